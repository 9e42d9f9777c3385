#!/bin/bash
# One network over several workers: a pipeline has the bits of one process that accumulates the same micro-batches, by
# servers and by all-reduce, under every policy; a tensor group has its loss up to rounding; checkpoints of any grid go on
# on any other; a run that is stopped, killed or too large ends as documented.
. "$(dirname "$0")/lib.sh"
write_job 611 32
# An odd number of weights before the second stage: what depends on a weight's number must know the one in the whole.
sed -i 's/features: 13/features: 12/; 0,/dense: 96/s//dense: 95/' job.yaml

# grid DATA PIPELINE TENSOR: the words that ask for it.
grid() { echo "topology.workers=$(($1 * $2 * $3)) topology.split.pipeline=$2 topology.split.tensor=$3"; }

# loss RUN: on the test rows. near RUN OTHER: alike up to rounding.
loss() { sed -n '/"test": {/,/}/p' "$1/summary.json" | sed -n 's/.*"loss": *\([-+.e0-9]*\).*/\1/p'; }
near() {
  awk -v a="$(loss "$1")" -v b="$(loss "$2")" 'BEGIN { d = a > b ? a - b : b - a; exit !(b > 0 && d <= 1e-3 * b) }' ||
    complain "the loss of $1 is $(loss "$1"), that of $2 $(loss "$2")"
}

# ends FOLDER KEY=VALUE...: a run that is done and has left nobody.
ends() {
  rm -rf "$1"
  train "$@"
  expect_exit 0
  expect_alone
}

# A pipeline, however it is scheduled and whoever steps its weights.
ends one topology.servers=0 train.micro_batches=4
for way in topology.servers=0 topology.servers=auto topology.kind=ring topology.transport=ipc topology.transport=tcp; do
  ends pipe $(grid 1 2 1) train.micro_batches=4 $way
  same_weights one pipe
done
ends pipe $(grid 1 2 1) train.micro_batches=4 topology.servers=2
same_weights one pipe
ends pipe $(grid 1 3 1) train.micro_batches=4 topology.servers=3 topology.split.schedule=gpipe
same_weights one pipe
ends pipe $(grid 1 3 1) train.micro_batches=4 topology.split.schedule=gpipe
same_weights one pipe

# With data parallelism, and every policy whose bits do not depend on the order of messages.
moments='train.optimizer.type=nesterov train.optimizer.learning_rate=1e-2'
for policy in "bsp $moments" "subset sync.size=1 $moments" "local sync.period=3 $moments" "bmuf sync.period=4 $moments" \
  'sign_vote train.optimizer.learning_rate=1e-3'; do
  for kind in parameter_server ring; do
    words="sync.policy=$policy topology.kind=$kind train.micro_batches=3"
    ends two topology.workers=2 $words
    ends split $(grid 2 2 1) $words
    same_weights two split
  done
done
# Under the others it ends, and its trace keeps the policy's promise.
for policy in asp 'ssp sync.staleness=1' 'easgd sync.period=3'; do
  ends split $(grid 2 2 1) sync.policy=$policy output.trace=true
  run verify trace split/trace.jsonl
  expect_exit 0
done
ends split $(grid 2 2 1) sync.policy=asp output.trace=true
run run job.yaml --out again -q --replay split/trace.jsonl $(set_words $(grid 2 2 1) sync.policy=asp)
expect_exit 0
same_weights split again

# Tensor groups, alone and with the other axes.
ends plain topology.servers=0
for parts in '1 1 2' '1 1 3' '2 1 2' '1 2 2' '2 2 2'; do
  for way in topology.kind=ring topology.kind=parameter_server; do
    ends tensor $(grid $parts) train.micro_batches=1 $way
    near plain tensor
  done
done

# Clipped by the norm of the whole gradient, whoever has a part of it; a norm of a part would be another.
clip='train.clip_norm=0.05 train.optimizer.learning_rate=1'
for policy in bsp 'local sync.period=2'; do
  ends plain topology.workers=2 sync.policy=$policy $clip
  for parts in '2 2 1' '2 2 2'; do
    for way in topology.kind=ring topology.kind=parameter_server; do
      ends clipped $(grid $parts) train.micro_batches=1 $way sync.policy=$policy $clip
      near plain clipped
    done
  done
done
ends plain topology.servers=0 $clip
ends clipped $(grid 1 3 1) train.micro_batches=1 $clip
near plain clipped
ends unclipped topology.servers=0 train.optimizer.learning_rate=1
[ "$(loss plain)" != "$(loss unclipped)" ] || complain "clipping to this norm changes nothing"

# What was begun on one grid goes on on another, or in one process.
epochs=120
slow_by '2 ms'
# stopped KEY=VALUE...: a run into the folder cut, stopped in its midst.
stopped() {
  local words
  rm -rf cut
  mapfile -t words < <(set_words "$@")
  begin cut "${words[@]}" "${slow[@]}"
  await_step cut $((30 + RANDOM % 100))
  kill -INT "$leader"
  await_end 15
  [ "$code" -eq 130 ] || complain "exit code $code after SIGINT; stderr: $(cat "$scratch/stderr")"
  expect_alone
}
# goes_on GRID OTHER...: stopped, then resumed with these words, it ends as the run in the folder whole.
goes_on() {
  local words
  stopped train.micro_batches=4 $1 train.epochs=$epochs
  shift
  mapfile -t words < <(set_words "$@")
  run resume cut -q "${quick[@]}" "${words[@]}"
  expect_exit 0
  same_weights whole cut
}
ends whole topology.servers=0 train.micro_batches=4 train.epochs=$epochs
alone='topology.workers=1 topology.split.pipeline=1 topology.split.tensor=1 topology.servers=0'
goes_on "$(grid 1 2 1)"
goes_on "$(grid 1 2 1) topology.servers=2"
goes_on "$(grid 1 2 1) topology.servers=2" $alone
goes_on "$(grid 1 3 1)" $(grid 1 2 1)
epochs=1000  # one process is fast
ends whole topology.servers=0 train.micro_batches=4 train.epochs=$epochs
goes_on "$alone" $(grid 1 3 1) topology.servers=3
epochs=120
ends whole topology.workers=2 train.micro_batches=4 train.epochs=$epochs
goes_on "$(grid 2 2 1)"
goes_on "$(grid 2 2 1) topology.kind=ring"
goes_on "$(grid 2 2 1) topology.kind=ring" $(grid 2 3 1) topology.kind=parameter_server topology.servers=auto

# Ranks of a tensor group stop at the same step, whenever they are told.
for moment in 0.1 0.2 0.3 0.4 0.5 0.6; do
  for parts in '1 1 2' '1 2 2'; do
    rm -rf cut
    mapfile -t words < <(set_words $(grid $parts) train.micro_batches=1 train.epochs=4000)
    begin cut "${words[@]}" --max-time "$moment s"
    await_end 15
    [ "$code" -eq 75 ] || complain "exit code $code after $moment s on a grid of $parts; stderr: $(cat "$scratch/stderr")"
    expect_alone
  done
done

# The last batch of an epoch leaves the second replica without a row; workers that step by themselves stop in their blocks.
epochs=60
for policy in bsp 'local sync.period=7' 'bmuf sync.period=5' 'subset sync.size=1'; do
  for kind in parameter_server ring; do
    words="data.generate.rows=609 sync.policy=$policy topology.kind=$kind train.micro_batches=3"
    ends whole topology.workers=2 $words train.epochs=$epochs
    goes_on "$(grid 2 2 1) $words"
  done
done
# easgd is not the same twice, but it goes on, also where the first step that is resumed begins with a push: its answer
# may be there before the step's own layers are asked for.
for period in 3 1; do
  stopped $(grid 2 2 1) sync.policy=easgd sync.period=3 train.epochs=120 checkpoint.every='7 step'
  begin_resume cut -q "${quick[@]}" --set sync.period=$period
  await_end 30
  expect_exit 0
  expect_alone
done

# With more who share the rows it goes on too, though not to the same bits.
more='train.epochs=120 train.optimizer.learning_rate=1e-3'
ends whole topology.servers=0 train.micro_batches=1 $more
stopped $(grid 1 2 1) train.micro_batches=1 $more
mapfile -t words < <(set_words $(grid 2 1 1) topology.servers=1)
run resume cut "${quick[@]}" "${words[@]}"
expect_exit 0
expect_part stderr 'were 1 when the checkpoint was written and are 2 now'
near whole cut

# Whoever dies ends the run, and says who it was.
begin dead $(set_words $(grid 2 2 1) train.epochs=400)
await_step dead 5
kill -9 "$(pid_of dead worker 2)"
await_end 15
[ "$code" -eq 7 ] || complain "exit code $code instead of 7"
expect_last 'worker 2'
expect_alone

finish
