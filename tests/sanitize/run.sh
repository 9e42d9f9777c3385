#!/bin/bash
# run.sh DTRAIN ROOT: a short run of real processes is clean. What a sanitizer finds in a child stands in the child's log.
set -u
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# short NAME [--chaos SPEC] KEY=VALUE...: twenty steps of the main job.
short() {
  local name=$1 flags=()
  shift
  [ "${1:-}" != --chaos ] || { flags=("$1" "$2"); shift 2; }
  for change in train.steps=20 'checkpoint.every=10 step' 'assert=[]' "$@"; do flags+=(--set "$change"); done
  "$dtrain" run "$root/configs/digits.yaml" --out "$scratch/$name" "${flags[@]}" < /dev/null > "$scratch/said" 2>&1
  local code=$?
  if [ "$code" -ne 0 ] || grep -rqsE 'Sanitizer|runtime error:' "$scratch/said" "$scratch/$name/logs"; then
    failures=$((failures + 1))
    echo "$name: exit code $code"
    cat "$scratch/said"
    [ ! -d "$scratch/$name/logs" ] || tail -n 200 "$scratch/$name"/logs/*
  fi
}

dtrain=$1
root=$2
short bsp
short two_servers topology.servers=2 train.optimizer.type=adam
short asp sync.policy=asp
short split topology.workers=4 topology.servers=0 topology.split.pipeline=2 topology.split.tensor=2
short split_served topology.workers=4 topology.servers=2 topology.split.pipeline=2 train.clip_norm=1
short alone topology.workers=1 topology.servers=0

# What is done about losses: the others go on, somebody takes the place, a standby takes over, all go back.
short goes_on --chaos kill:worker.1@6 topology.workers=3 topology.servers=2 faults.on_worker_loss=continue
short cuts_on --chaos kill:worker.1@6 topology.workers=3 topology.servers=2 faults.on_worker_loss=continue sync.policy=asp 'checkpoint.every=3 step'
short anew --chaos kill:worker.1@6 faults.on_worker_loss=restart topology.servers=2 train.steps=40 faults.inject.compute=constant:1 'faults.inject.unit=20 ms'
short stands_by --chaos kill:server.0@8 faults.replicas=1 topology.servers=2
short back --chaos kill:server.0@12
short ring_back --chaos kill:worker.0@12 topology.servers=0 topology.kind=ring faults.on_worker_loss=restart
short meddled --chaos 'delay@~0.2:5ms,duplicate@~0.2' sync.policy=ssp
[ "$failures" -eq 0 ]
