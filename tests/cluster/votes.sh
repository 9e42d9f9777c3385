#!/bin/bash
# A vote by sign, on servers and without: the same bits, in one bit a weight each way; it learns, and a run that was
# stopped goes on to the bits of one that was not.
here=$(dirname "$(realpath "$0")")
. "$here/lib.sh"
digits=$here/../../configs/digits.yaml
vote=(sync.policy=sign_vote train.optimizer.learning_rate=5e-4)

# worker_value RUN RANK KEY: of that worker's tally.
worker_value() {
  sed -n '/"role": "worker"/,/}/p' "$1/summary.json" | awk -v RS='}' -v rank="$2" 'NR == rank + 1' > role
  [ "$(value role rank)" = "$2" ] || complain "worker $2 is not where it was sought: $(cat role)"
  value role "$3"
}

is() { awk "BEGIN { exit !($1) }" || complain "$2: $1"; }

# bytes RUN PULLS: all workers together sent and received what was foreseen of each step, which is a 32nd of what fp32
# would be and at most a byte a message; and pulled the weights so often each.
bytes() {
  local rank steps push pull weights sent=0 received=0
  steps=$(value "$1/summary.json" steps) weights=$(value "$1/summary.json" count)
  push=$(value "$1/plan.json" push_bytes_per_step) pull=$(value "$1/plan.json" pull_bytes_per_step)
  for rank in 0 1 2; do
    sent=$((sent + $(worker_value "$1" $rank bytes_sent)))
    received=$((received + $(worker_value "$1" $rank bytes_received)))
  done
  is "($sent - 3 * $steps * $push) ^ 2 < 1" "what the workers of $1 sent"
  is "($received - 3 * ($steps * $push + 4 * $weights * $2)) ^ 2 < 1" "what the workers of $1 received"
  is "$push == $pull && $push >= $weights / 8 && $push < $weights / 8 * 4 / 3 + 24" "the bytes of a step of $weights weights"
}

# same KINDS KEY=VALUE...: on one server, on two and on none, whatever kind of exchange was asked for.
same() {
  local kind kinds=$1
  shift
  train one topology.workers=3 topology.servers=1 "${vote[@]}" "$@"
  expect_exit 0
  bytes one 1
  train other topology.workers=3 topology.servers=2 "${vote[@]}" "$@"
  expect_exit 0
  bytes other 1
  same_weights one other
  for kind in $kinds; do
    rm -rf other
    train other topology.workers=3 topology.kind=$kind "${vote[@]}" "$@"
    expect_exit 0
    bytes other 0
    same_weights one other
  done
  rm -rf one other
}

write_job 640 32
same 'ring halving_doubling tree auto'
same ring train.optimizer.weight_decay=0.1 train.schedule.type=cosine train.schedule.warmup='5 step'
write_job 42 10  # some have nothing to do in a step
train one topology.workers=4 topology.servers=1 train.epochs=4 "${vote[@]}"
for where in topology.servers=2 topology.kind=ring; do
  train other topology.workers=4 train.epochs=4 "${vote[@]}" $where
  expect_exit 0
  same_weights one other
  rm -rf other
done
rm -rf one

# The main job.
learns() {
  local words
  mapfile -t words < <(set_words sync.policy=sign_vote train.optimizer.type=sgd train.optimizer.learning_rate=2e-3 topology.threads=1 "$@")
  run run "$digits" --out learned -q "${words[@]}"
  expect_exit 0
  rm -rf learned
}
learns topology.servers=2
learns topology.servers=0 topology.kind=ring sync.vote_feedback=true

reached_or_gone() { at_step cut "$1" || gone "$leader"; }

# resumes KEY=VALUE...: stopped in its midst, if it has not ended by then.
resumes() {
  local flags
  mapfile -t flags < <(set_words "${vote[@]}" "$@" checkpoint.every='30 step')
  rm -rf whole cut
  train whole "${vote[@]}" "$@" checkpoint.every='30 step'
  expect_exit 0
  begin cut "${flags[@]}"
  await 20 reached_or_gone 40 || complain "made no 40 steps"
  kill -INT "$leader" 2> /dev/null
  await_end 10
  if [ "$code" != 0 ]; then
    [ "$code" = 130 ] || complain "exit code $code instead of 130; stderr: $(cat "$scratch/stderr")"
    begin_resume cut
    await_end 20
  fi
  ran="dtrain resume of a run of $*"
  expect_exit 0
  same_weights whole cut
}

write_job 12800 32  # 400 steps an epoch
for where in topology.servers=2 topology.kind=ring; do
  resumes topology.workers=3 $where
  resumes topology.workers=3 $where sync.vote_feedback=true train.schedule.type=cosine
done

# A worker is lost, and the others go on.
slow_by '2 ms'
begin lost "${slow[@]}" $(set_words "${vote[@]}" topology.workers=3 topology.servers=3 train.epochs=2 sync.vote_feedback=true faults.on_worker_loss=continue)
await_step lost 60
kill -9 "$(pid_of lost worker 1)"
await_end 20
ran='a run that lost a worker'
expect_exit 0
grep -q '"event":"fault"' lost/metrics.jsonl || complain "it lost nobody"
correct=$(value lost/summary.json accuracy)
awk -v correct="${correct:-0}" 'BEGIN { exit !(correct > 0.5) }' || complain "the accuracy is ${correct:-not told}"
expect_alone
finish
