#!/bin/bash
# run.sh DTRAIN ROOT: a short run of real processes is clean. What a sanitizer finds in a child stands in the child's log.
set -u
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# short NAME KEY=VALUE...: twenty steps of the main job.
short() {
  local name=$1 flags=()
  shift
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
[ "$failures" -eq 0 ]
