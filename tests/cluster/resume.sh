#!/bin/bash
# A run that was ended at any moment, in any way, goes on to the bits of one that was not.
. "$(dirname "$0")/lib.sh"

write_job 6400 16  # 400 steps an epoch
slow_by '2 ms'

# ended FOLDER SIGNAL WORD...: begins a run, ends it in its midst; its exit code is in $code.
ended() {
  local folder=$1 signal=$2
  shift 2
  begin "$folder" "$@" "${slow[@]}"
  await 20 compgen -G "$folder/checkpoints/step-*" || complain "no checkpoint came; stderr: $(cat "$scratch/stderr")"
  await_step "$folder" $((20 + RANDOM % 150))
  if [ "$signal" = KILL ]; then kill -9 -- "-$leader"; else kill "-$signal" "$leader"; fi
  await_end 15
}

# trial SIGNAL CODE SEED TOPOLOGY...
trial() {
  local signal=$1 expected=$2
  shift 2
  mapfile -t words < <(set_words "${topology[@]}" seed="$1" train.optimizer.type=nesterov checkpoint.every='5 step')
  [ -e whole-$1 ] || run run job.yaml --out whole-"$1" -q "${words[@]}"
  expect_exit 0
  ended cut "$signal" "${words[@]}"
  [ "$code" -eq "$expected" ] || complain "exit code $code instead of $expected after SIG$signal; stderr: $(cat "$scratch/stderr")"
  expect_alone
  if [ "$signal" != KILL ]; then
    [ "$(value cut/summary.json status)" = stopped ] || complain "the summary says $(value cut/summary.json status)"
  fi
  run resume cut -q "${quick[@]}"
  expect_exit 0
  same_weights whole-"$1" cut
  rm -rf cut
}

for seed in 1 2; do
  topology=(topology.workers=1 topology.servers=0 train.epochs=60 output.log_every=10)
  trial INT 130 $seed
  trial TERM 143 $seed
  trial KILL 137 $seed
  rm -rf whole-*
  topology=(topology.workers=2 topology.servers=2 train.epochs=8)
  trial INT 130 $seed
  trial TERM 143 $seed
  trial KILL 137 $seed
  rm -rf whole-*
done
topology=(topology.workers=3 topology.servers=2 train.clip_norm=0.5 train.epochs=8)
for seed in 1 2 3; do trial INT 130 $seed; done
rm -rf whole-* cut

# Out of time: 75, and on with `run --out X --resume`, which also begins a run that is not there yet.
write_job 6400 16
for topology in 'topology.servers=0' 'topology.servers=1'; do
  words=(--set "$topology" --set train.epochs=1500 --set output.log_every=50 --set train.optimizer.type=adam)
  run run job.yaml --out cut --resume -q "${words[@]}" --max-time '1 s'
  expect_exit 75
  [ "$(value cut/summary.json status)" = stopped ] || complain "the summary says $(value cut/summary.json status)"
  expect_alone
  at=$(value cut/summary.json steps)
  run run job.yaml --out cut --resume -q "${words[@]}" --max-time '1 s'
  expect_exit 75
  [ "$(value cut/summary.json steps)" -gt "$at" ] || complain "$at steps, then $(value cut/summary.json steps)"
  run run job.yaml --out cut -q "${words[@]}"
  expect_exit 5
  rm -rf cut
done

# The second signal ends the run at once, whatever it is at, and nobody is left.
for topology in 'topology.servers=0' 'topology.servers=2'; do
  begin cut --set "$topology" --set train.epochs=1000 --set train.batch=6400 --set data.generate.test_rows=200000 --set train.evaluate='1 step'
  await_step cut 1
  kill -INT "$leader"
  await_line 5 "$scratch/stderr" 'once more ends at once'
  once_more() { kill -INT "$leader" 2> /dev/null; gone "$leader"; }
  await 5 once_more || complain "does not end at once"
  await_end 5
  expect_exit 130
  expect_alone
  rm -rf cut
done

# A signal that comes twice at once, as timeout(1) sends it, is one.
begin cut --set train.epochs=1000
await_step cut 1
kill -INT "$leader" && kill -INT "$leader"
await_end 10
expect_exit 130
ls cut/checkpoints/*/DONE > /dev/null 2>&1 || complain "nothing was saved: $(cat "$scratch/stderr")"
rm -rf cut

# A folder that a run is in is nobody else's.
begin cut --set train.epochs=1000 --set topology.servers=2
await_step cut 1
run resume cut -q
expect_exit 5
expect_part stderr 'cut is in use'
run run job.yaml --out cut -q --set output.if_exists=replace
expect_exit 5
expect_part stderr 'cut is in use'
kill -INT "$leader"
await_end 10
[ "$code" -eq 130 ] || complain "the run that was there ended with $code: $(cat "$scratch/stderr")"
expect_alone
rm -rf cut

# A newest checkpoint that is torn, or changed, is told and passed over for the one before.
words=(--set topology.workers=2 --set topology.servers=2 --set train.optimizer.type=adam)
run run job.yaml --out whole -q "${words[@]}"
spoil() {
  rm -rf cut
  run run job.yaml --out cut -q "${words[@]}" --set checkpoint.every='10 step' --set train.steps=35
  sed -i 's/  steps: 35/  steps: 0/' cut/resolved.yaml
  rm cut/summary.json
  "$@"
  run resume cut -q
  expect_exit 0
  expect_part stderr step-35
  same_weights whole cut
}
shorten() { truncate -s -10 cut/checkpoints/step-35/state.safetensors; }
change() { printf X | dd of=cut/checkpoints/step-35/state.safetensors bs=1 seek=20000 conv=notrunc 2> dd; }
spoil shorten
spoil change
spoil rm cut/checkpoints/step-35/DONE
spoil rm cut/checkpoints/step-35/progress.json

# All of them spoilt, other data, workers with weights of their own that were not there, no run at all: 10.
rm -rf cut
run run job.yaml --out cut -q "${words[@]}" --set train.steps=20
sed -i 's/  steps: 20/  steps: 0/; s/noise: 2/noise: 3/' cut/resolved.yaml
rm cut/summary.json
run resume cut -q
expect_exit 10
expect_part stderr data_hash
sed -i 's/noise: 3/noise: 2/' cut/resolved.yaml
run resume cut -q --set sync.policy=local
expect_exit 10
expect_part stderr 'own weights of 0 workers'
for file in cut/checkpoints/*/state.safetensors; do truncate -s -10 "$file"; done
run resume cut -q
expect_exit 10
expect_part stderr "none of the run's 1 checkpoint"
run resume nothing -q
expect_exit 10
expect_alone
finish
