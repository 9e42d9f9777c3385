#!/bin/bash
# Every codec learns, in as many bytes as the plan says, with the same bits every time; and a run that was stopped goes
# on to the bits of one that was not.
here=$(dirname "$(realpath "$0")")
. "$here/lib.sh"
digits=$here/../../configs/digits.yaml
momentum=(train.optimizer.type=sgd train.optimizer.learning_rate=0.1 sync.topk_momentum=0.9)

# digits RUN KEY=VALUE...: configs/digits.yaml, which asks for its accuracy itself.
digits() {
  local folder=$1 words
  shift
  mapfile -t words < <(set_words topology.servers=2 topology.threads=1 "$@")
  run run "$digits" --out "$folder" -q "${words[@]}"
}

# worker_value RUN RANK KEY: of that worker's tally.
worker_value() {
  sed -n '/"role": "worker"/,/}/p' "$1/summary.json" | awk -v RS='}' -v rank="$2" 'NR == rank + 1' > role
  [ "$(value role rank)" = "$2" ] || complain "worker $2 is not where it was sought: $(cat role)"
  value role "$3"
}

# within RELATION A B: a is so many bytes as b, or at most so many.
within() { awk -v a="$2" -v b="$3" -v how="$1" 'BEGIN { exit !(how == "at_most" ? a <= b : a == b) }'; }

# bytes RUN RELATION: what each worker sent and received is what was foreseen for each step, and one pull.
bytes() {
  local steps weights push pull rank sent received
  steps=$(value "$1/summary.json" steps)
  weights=$(value "$1/summary.json" count)
  push=$(value "$1/plan.json" push_bytes_per_step) pull=$(value "$1/plan.json" pull_bytes_per_step)
  for rank in 0 1; do
    sent=$(worker_value "$1" $rank bytes_sent) received=$(worker_value "$1" $rank bytes_received)
    within "$2" "$sent" "$(awk -v a="$steps" -v b="$push" 'BEGIN { printf "%.0f", a * b }')" ||
      complain "worker $rank of $1 sent $sent bytes in $steps steps, where $push a step were foreseen"
    within "$2" "$received" "$(awk -v a="$steps" -v b="$pull" -v n="$weights" 'BEGIN { printf "%.0f", a * b + 4 * n }')" ||
      complain "worker $rank of $1 received $received bytes in $steps steps, where $pull a step were foreseen"
  done
}

# ratio RUN LEAST: so many times fewer bytes than without the codec.
ratio() {
  local told
  told=$(value "$1/summary.json" ratio)
  awk -v told="${told:-0}" -v least="$2" 'BEGIN { exit !(told >= least) }' || complain "the ratio of $1 is ${told:-not told}, below $2"
}

# learns RELATION LEAST_RATIO KEY=VALUE...
learns() {
  local relation=$1 least=$2
  shift 2
  digits one "$@"
  expect_exit 0
  bytes one "$relation"
  ratio one "$least"
  digits two "$@"
  expect_exit 0
  same_weights one two
  rm -rf one two
}

learns exactly 1.9 sync.codec=fp16
learns exactly 1.9 sync.codec=bf16 sync.feedback=true
learns exactly 3.8 sync.codec=qsgd
learns exactly 25 sync.codec=onebit
learns exactly 7 sync.codec=topk sync.density=0.02 sync.density_warmup='100 step' "${momentum[@]}"
learns at_most 1 sync.codec=zstd
learns at_most 10 sync.codec=zstd sync.zstd_of=topk sync.density=0.02 sync.density_warmup='20 step' "${momentum[@]}"
learns exactly 1.5 sync.codec=qsgd sync.levels=7  # up only: so few levels lose more of a change than it is
digits plain
digits packed sync.codec=zstd
same_weights plain packed
digits free sync.policy=asp sync.codec=onebit train.optimizer.learning_rate=0.02 'assert=[test.accuracy >= 0.8]'
expect_exit 0
bytes free exactly
digits some sync.policy=quorum sync.quorum=1 sync.codec=onebit 'assert=[test.accuracy >= 0.8]'
expect_exit 0

# More servers, workers with nothing to do in a step, and a clipped norm.
write_job 42 10
train idle topology.workers=3 topology.servers=2 train.epochs=5 sync.codec=topk sync.density=0.1 train.clip_norm=0.5
expect_exit 0

reached_or_gone() { at_step "$1" "$2" || gone "$leader"; }

# stopped RUN: in its midst, by a signal, and some steps later by another, if it has not ended by itself.
stopped() {
  local newest
  for _ in 1 2; do
    newest=$(grep -s '"event":"step"' "$1/metrics.jsonl" | tail -n 1 | sed -n 's/.*"step":\([0-9]*\).*/\1/p')
    await 20 reached_or_gone "$1" $((${newest:-0} + 40)) || complain "made no 40 steps beyond ${newest:-0}"
    kill -INT "$leader" 2> /dev/null
    await_end 10
    [ "$code" = 0 ] && return
    [ "$code" = 130 ] || complain "exit code $code instead of 130; stderr: $(cat "$scratch/stderr")"
    begin_resume "$1"
  done
  await_end 20
  ran="dtrain resume $1"
  expect_exit 0
}

# resumes KEY=VALUE...
resumes() {
  local flags
  mapfile -t flags < <(set_words "$@" topology.workers=2 topology.servers=2 checkpoint.every='30 step')
  rm -rf whole cut
  train whole "$@" topology.workers=2 topology.servers=2 checkpoint.every='30 step'
  expect_exit 0
  begin cut "${flags[@]}"
  stopped cut
  ran="dtrain resume of a run of $*"
  same_weights whole cut
}

write_job 25600 32  # 800 steps an epoch
cosine=(train.schedule.type=cosine train.schedule.warmup='20 step')
resumes sync.codec=fp16
resumes sync.codec=qsgd sync.feedback=true "${cosine[@]}"
resumes sync.codec=onebit train.optimizer.type=adam train.optimizer.learning_rate=1e-3
resumes sync.codec=topk sync.density=0.05 "${momentum[@]}" "${cosine[@]}"
resumes sync.codec=topk sync.masking=false sync.density_warmup=0 "${momentum[@]}" train.clip_norm=1
resumes sync.codec=zstd sync.zstd_of=onebit train.optimizer.type=nesterov
resumes sync.policy=subset sync.size=1 sync.codec=onebit "${cosine[@]}"
resumes sync.policy=quorum sync.quorum=2 sync.codec=onebit

slow_by '2 ms'
# A worker is lost, and the others go on: a server that takes a step back tells them the weights.
for policy in bsp subset quorum; do
  rm -rf lost
  begin lost "${slow[@]}" $(set_words topology.workers=3 topology.servers=3 sync.codec=onebit sync.policy=$policy train.epochs=3 faults.on_worker_loss=continue)
  await_step lost 60
  kill -9 "$(pid_of lost worker 1)"
  await_end 20
  ran="a run under $policy that lost a worker"
  expect_exit 0
  grep -q '"event":"fault"' lost/metrics.jsonl || complain "it lost nobody"
  correct=$(value lost/summary.json accuracy)
  awk -v correct="${correct:-0}" 'BEGIN { exit !(correct > 0.5) }' || complain "the accuracy is ${correct:-not told}"
done
expect_alone
finish
