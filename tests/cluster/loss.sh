#!/bin/bash
# A role that dies or freezes is found within two seconds and named; nothing hangs, nobody is left, nothing is lost. Of
# runs that may not go back by themselves; the others are recover.sh's. Policy by policy: loss_policies.sh.
. "$(dirname "$0")/lib.sh"
write_job 6400 16
# A step takes a while, so that a loss meets the run in its midst, however busy the machine.
slowly=(faults.inject.compute=constant:1 faults.inject.unit='5 ms')

# lose ROLE RANK SIGNAL: in the midst of the run that was begun.
lose() {
  await_step "$1" $((10 + RANDOM % 100))
  kill "-$4" "$(pid_of "$1" "$2" "$3")"
}

# Stopping (the default): exit code 7, a last line with role, rank and phase, and a sound checkpoint.
mapfile -t words < <(set_words topology.workers=2 topology.servers=2 train.optimizer.type=adam checkpoint.every='20 step' train.epochs=2 faults.max_restarts=0 "${slowly[@]}")
run run job.yaml --out whole -q "${words[@]}" "${quick[@]}"
expect_exit 0
for role in worker server worker server; do
  rank=$((RANDOM % 2))
  begin cut "${words[@]}"
  await 20 compgen -G "cut/checkpoints/step-*" || complain "no checkpoint came"
  lose cut $role $rank KILL
  await_end 10
  expect_exit 7
  noticed_within cut 2
  expect_last "$role $rank (pid [0-9]*) was killed by signal 9 (SIGKILL) at step [0-9]* while [a-z]*"
  expect_alone
  grep -q '"event":"fault"' cut/metrics.jsonl || complain "the metrics tell of no fault"
  [ "$(value cut/summary.json exit_code)" = 7 ] || complain "the summary's exit code is $(value cut/summary.json exit_code)"
  run resume cut -q "${quick[@]}"
  expect_exit 0
  same_weights whole cut
  rm -rf cut
done

# A worker that is stopped is named, with the signal; one that is only held up for less goes on.
begin frozen "${words[@]}"
lose frozen worker 1 STOP
await_end 5
expect_exit 7
expect_last 'worker 1 .*was stopped by signal 19 (SIGSTOP) for 1 s at step [0-9]* while'
expect_alone
begin held "${words[@]}"
await_step held 20
held=$(pid_of held worker 0)
kill -STOP "$held"
sleep 0.3
kill -CONT "$held"
await_end 30
expect_exit 0
same_weights whole held
rm -rf frozen held

# The coordinator gone: everybody goes with it.
begin orphans "${words[@]}"
await_step orphans 20
kill -9 "$leader"
await_end 5
expect_alone
rm -rf orphans

# continues WORKERS SERVERS MIN LOST...: goes on without these, completes, and says so.
continues() {
  local workers=$1 servers=$2 lost
  shift 2
  begin on --set topology.workers="$workers" --set topology.servers="$servers" --set faults.on_worker_loss=continue \
    --set "${slowly[0]}" --set "${slowly[1]}" "${extra[@]}"
  for lost in "$@"; do lose on worker "$lost" KILL; done
  await_end 20
  expect_exit 0
  expect_alone
  for lost in "$@"; do
    grep -q "worker $lost was killed by signal 9 (SIGKILL) \(at step [0-9]* while\|before its first report\)" "$scratch/stderr" || complain "nothing is said of worker $lost: $(cat "$scratch/stderr")"
    grep -q '"event":"fault","rank":'"$lost"',"role":"worker"\|"event":"fault","role":"worker","rank":'"$lost" on/metrics.jsonl || complain "no fault event tells of worker $lost"
  done
  # Asynchronous workers learn of a loss each at a step of its own: rows may be left out then, or come twice.
  local off=$(($(value on/summary.json steps) - 800))
  [ "${off#-}" -le $((slack * $#)) ] || complain "the run ended at step $(value on/summary.json steps)"
  rm -rf on
}
extra=() slack=0
continues 3 1 1
for try in 1 2 3 ${more:-}; do
  extra=(--set checkpoint.every='3 step' --set train.evaluate='7 step')
  continues 3 2 $((RANDOM % 3))
  continues 4 3 3 0
  extra=(--set train.clip_norm=0.5 --set checkpoint.every='10 ms')
  continues 3 2 $((RANDOM % 3))
  extra=(--set sync.policy=asp) slack=80
  continues 3 2 1
  extra+=(--set train.clip_norm=0.5)
  continues 4 2 0 2
  slack=0
done

# Fewer than min_workers: 7.
begin few --set "${slowly[0]}" --set "${slowly[1]}" --set topology.workers=2 --set faults.on_worker_loss=continue --set faults.min_workers=2
lose few worker 1 KILL
await_end 10
expect_exit 7
noticed_within few 2
expect_last 'worker 1'
expect_alone
finish
