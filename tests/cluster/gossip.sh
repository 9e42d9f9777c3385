#!/bin/bash
# Gossip: workers average in pairs. It learns with an even and an odd number of them, moves what the plan says, can be
# stopped and resumed, and ends when a worker is lost.
here=$(dirname "$(realpath "$0")")
. "$here/lib.sh"
digits=$here/../../configs/digits.yaml
pairs=(topology.kind=gossip sync.policy=gossip)

# total RUN KEY: of all roles.
total() { awk -v key="\"$2\":" '$1 == key { sum += $2 } END { printf "%d", sum }' "$1/summary.json"; }

# Each worker of even rank sends all weights in every step, and is answered with as many.
moved() {
  local workers=$1 steps weights want key
  steps=$(value all/summary.json steps) weights=$(value all/summary.json count)
  want=$((2 * ((workers + 1) / 2) * steps * 4 * weights))
  for key in bytes_sent bytes_received; do
    [ "$(total all $key)" = "$want" ] || complain "$workers workers: $key is $(total all $key) and not $want"
  done
  is "($(value all/plan.json bytes_per_worker_step) * $workers * $steps - 2 * $want) ^ 2 < ($workers * $steps) ^ 2" \
    "what was foreseen for $workers workers"
}
is() { awk "BEGIN { exit !($1) }" || complain "$2: $1"; }

write_job
for workers in 2 3 5; do
  for transport in shared_memory tcp; do
    train all "${pairs[@]}" topology.workers=$workers topology.transport=$transport train.optimizer.type=momentum
    expect_exit 0
    moved $workers
    rm -rf all
  done
done
write_job 42 10  # some have nothing to do in a step
train all "${pairs[@]}" topology.workers=4 train.clip_norm=1
expect_exit 0
moved 4
rm -rf all

# The main job: its own assertion says what it must reach.
mapfile -t words < <(set_words "${pairs[@]}" topology.servers=0 topology.workers=3 topology.threads=1)
run run "$digits" --out learned -q "${words[@]}"
expect_exit 0

# Stopped in its midst, and resumed: every step is done, by each.
write_job 12800 32
slow=(faults.inject.compute=constant:1 'faults.inject.unit=4 ms')
mapfile -t words < <(set_words "${pairs[@]}" topology.workers=3 "${slow[@]}")
begin cut "${words[@]}"
await_step cut 60
kill -INT "$leader"
await_end 10
expect_exit 130
begin_resume cut "${quick[@]}"
await_end 30
expect_exit 0
[ "$(value cut/summary.json steps)" = 800 ] || complain "$(value cut/summary.json steps) steps were done and not 800"

# A worker is lost: whoever waits for it is told.
for rank in 0 1; do
  rm -rf lost
  begin lost "${words[@]}"
  await_step lost 40
  kill -9 "$(pid_of lost worker $rank)"
  await_end 10
  expect_exit 7
  expect_last "worker $rank .*killed by signal 9"
done
expect_alone
finish
