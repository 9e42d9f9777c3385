#!/bin/bash
# faults.replicas: 1: whichever server is killed, whenever, no update is lost or made twice, nobody is started anew, and
# under deterministic policies the weights have the bits of a run that nothing happened to.
. "$(dirname "$0")/lib.sh"
write_job 1600 16  # 100 steps an epoch
slowly=(faults.inject.compute=constant:1 faults.inject.unit='10 ms')
kept=(faults.replicas=1 faults.max_restarts=0 topology.workers=3 output.trace=true)

pids() { for rank in 0 1 2; do pid_of "$1" worker $rank; done | tr '\n' ' '; }

# kill_role RUN ROLE RANK: with SIGKILL, once the role has joined.
kill_role() {
  await 20 eval '[ -n "$(pid_of '"$1 $2 $3"')" ]' || complain "$2 $3 never joined"
  kill -9 "$(pid_of "$1" "$2" "$3")"
}
# faults RUN: how often it lost somebody.
faults() { grep -c '"event":"fault"' "$1/metrics.jsonl"; }

# whole RUN: ended well, alone, with the workers that it began with, every push in its order and once.
whole() {
  await_end 60
  expect_exit 0
  expect_alone
  local what=$ran
  [ "$(pids "$1")" = "$workers" ] || complain "the workers were $workers and are $(pids "$1")"
  [ "$(value "$1/summary.json" status)" = "done" ] || complain "the summary says $(value "$1/summary.json" status)"
  run verify trace "$1/trace.jsonl"
  ran="$what; $ran"
  expect_exit 0
}

# survives LOST... -- KEY=VALUE...: each is killed at a step of its own, ROLE:RANK:STEP.
survives() {
  local lost=() words role rank step
  while [ "$1" != -- ]; do lost+=("$1"); shift; done
  shift
  mapfile -t words < <(set_words "${kept[@]}" "${slowly[@]}" "$@")
  begin on "${words[@]}"
  ran+=": kills ${lost[*]}"
  for one in "${lost[@]}"; do
    IFS=: read -r role rank step <<< "$one"
    await_step on "$step"
    workers=$(pids on)
    kill_role on "$role" "$rank"
  done
  whole on
  [ "$(faults on)" -eq ${#lost[@]} ] || complain "$(faults on) faults are told, of ${#lost[@]}"
  grep -q '"action":"standby"' on/metrics.jsonl || complain "no fault says what was done"
}

# law LOST... -- KEY=VALUE...: the bits of the undisturbed run.
law() {
  survives "$@"
  while [ "$1" != -- ]; do shift; done
  shift
  train calm topology.workers=3 "$@"
  expect_exit 0
  same_weights calm on
  rm -rf calm on
}
somewhen() { echo $((5 + RANDOM % 100)); }

adam=(train.optimizer.type=adam train.optimizer.learning_rate=1e-3)

# Whoever steps: servers, workers by themselves, whole gradients and packed ones. Checkpoints fall due all the time.
for words in bsp 'subset sync.size=2' 'local sync.period=7' 'bmuf sync.period=5' \
  'sign_vote train.optimizer.type=sgd train.optimizer.learning_rate=1e-3' 'bsp sync.codec=onebit' \
  'local sync.period=4 sync.momentum=average' 'bsp topology.transport=ipc' 'bsp topology.transport=tcp' \
  'local sync.period=3 topology.transport=ipc'; do
  servers=$((1 + RANDOM % 2))
  read -r -a words <<< "sync.policy=$words"
  law "server:$((RANDOM % servers)):$(somewhen)" -- "${adam[@]}" "${words[@]}" topology.servers=$servers \
    checkpoint.every="$((1 + RANDOM % 9)) step" train.evaluate="$((1 + RANDOM % 9)) step"
done

# A server of each slice, one after the other; both servers of different slices; the standby alone; at the very start.
law server:0:20 server:1:90 -- topology.servers=2 "${adam[@]}"
law server:1:30 standby:0:60 -- topology.servers=2 checkpoint.every='20 ms' "${adam[@]}"
law standby:0:"$(somewhen)" -- sync.policy=local sync.period=5 checkpoint.every='2 step' "${adam[@]}"
law server:0:1 -- topology.servers=1 "${adam[@]}"

# What leaves the order to chance: every push counts once over both lives of the server.
for words in asp 'ssp sync.staleness=1' 'ssp sync.eager=true' 'easgd sync.period=3' \
  'asp sync.compensation=staleness' 'asp sync.codec=topk'; do
  servers=$((1 + RANDOM % 2))
  read -r -a words <<< "sync.policy=$words"
  survives "server:$((RANDOM % servers)):$(somewhen)" -- "${words[@]}" topology.servers=$servers \
    checkpoint.every="$((1 + RANDOM % 9)) step" "${adam[@]}"
  [ "$(value on/summary.json steps)" -eq 200 ] || complain "the run ended at step $(value on/summary.json steps)"
  rm -rf on
done

# At the very end, which it may miss.
for try in 1 2 3; do
  mapfile -t words < <(set_words "${kept[@]}" checkpoint.every='2 step' sync.policy=local sync.period=4 "${adam[@]}")
  begin on "${words[@]}"
  await_step on 150
  workers=$(pids on)
  server=$(pid_of on server 0)
  await_step on $((197 + try))
  kill -9 "$server" 2> /dev/null
  whole on
  train calm topology.workers=3 sync.policy=local sync.period=4 "${adam[@]}"
  same_weights calm on
  rm -rf calm on
done

# A server that freezes is killed, and replaced.
mapfile -t words < <(set_words "${kept[@]}" "${slowly[@]}" 'faults.stalled_after=1 s' "${adam[@]}")
begin on "${words[@]}"
await_step on 20
workers=$(pids on)
kill -STOP "$(pid_of on server 0)"
whole on
grep -q 'made no progress\|was stopped by signal 19' on/metrics.jsonl || complain "no fault tells that it stood still"
train calm topology.workers=3 "${adam[@]}"
same_weights calm on
rm -rf calm on

# Both servers of a slice: as one that has no standby.
for first in server standby; do
  second=standby
  [ $first = server ] || second=server
  mapfile -t words < <(set_words "${kept[@]}" "${slowly[@]}" checkpoint.every='5 step')
  begin on "${words[@]}"
  await_step on 20
  kill -9 "$(pid_of on $first 0)"
  await_step on 60
  kill -9 "$(pid_of on $second 0)"
  await_end 20
  expect_exit 7
  expect_last 'server 0 (pid [0-9]*) was killed by signal 9 (SIGKILL)'
  expect_alone
  rm -rf on
done
finish
