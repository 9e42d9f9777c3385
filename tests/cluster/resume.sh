#!/bin/bash
# A run that was ended at any moment, in any way, goes on to the bits of one that was not.
. "$(dirname "$0")/lib.sh"

write_job 6400 16  # 400 steps an epoch

# ended FOLDER SIGNAL WORD...: begins a run, ends it in its midst; its exit code is in $code.
ended() {
  local folder=$1 signal=$2
  shift 2
  begin "$folder" "$@"
  await 20 compgen -G "$folder/checkpoints/step-*" || complain "no checkpoint came; stderr: $(cat "$scratch/stderr")"
  await_step "$folder" $((20 + RANDOM % 150))
  if [ "$signal" = KILL ]; then kill -9 -- "-$leader"; else kill "-$signal" "$leader"; fi
  await_end 5
}

# trial SIGNAL CODE SEED TOPOLOGY...
trial() {
  local signal=$1 expected=$2
  shift 2
  mapfile -t words < <(set_words "${topology[@]}" seed="$1" train.optimizer.type=nesterov checkpoint.every='5 step')
  run run job.yaml --out whole -q "${words[@]}"
  expect_exit 0
  ended cut "$signal" "${words[@]}"
  [ "$code" -eq "$expected" ] || complain "exit code $code instead of $expected after SIG$signal; stderr: $(cat "$scratch/stderr")"
  expect_alone
  if [ "$signal" != KILL ]; then
    [ "$(value cut/summary.json status)" = stopped ] || complain "the summary says $(value cut/summary.json status)"
  fi
  run resume cut -q
  expect_exit 0
  same_weights whole cut
  rm -rf whole cut
}

for seed in 1 2; do
  topology=(topology.workers=1 topology.servers=0 train.epochs=150 output.log_every=10)
  trial INT 130 $seed
  trial TERM 143 $seed
  trial KILL 137 $seed
  topology=(topology.workers=2 topology.servers=2)
  trial INT 130 $seed
  trial TERM 143 $seed
  trial KILL 137 $seed
done
topology=(topology.workers=3 topology.servers=2 train.clip_norm=0.5)
for seed in 1 2 3; do trial INT 130 $seed; done
finish
