#!/bin/bash
# clocks.sh DTRAIN LIBRARY: while the time of day jumps by hours with every look at it, a run takes its course: what it
# waits for, how long, and what it comes to are as ever.
library=$(realpath "$2")
. "$(dirname "$0")/lib.sh"
write_job 1600 16
jumping() { LD_PRELOAD=$library "$@"; }

# jumped RUN: the events of its metrics are hours apart, forth and back.
jumped() {
  local hours
  hours=$(sed -n 's/.*"time":"[0-9-]*T\([0-9]*\):.*/\1/p' "$1/metrics.jsonl" | uniq | wc -l)
  [ "$hours" -ge 10 ] || complain "the time of day jumped $hours times only"
}

for topology in topology.servers=2 topology.kind=ring; do
  words=(topology.workers=2 $topology checkpoint.every='50 ms' faults.inject.compute=constant:1 faults.inject.unit='2 ms')
  train whole "${words[@]}"
  expect_exit 0
  jumping train jumps "${words[@]}"
  expect_exit 0
  same_weights whole jumps
  jumped jumps
  ! grep -q '"event":"fault"' jumps/metrics.jsonl || complain "something was taken for lost: $(grep '"event":"fault"' jumps/metrics.jsonl)"
  rm -rf whole jumps
done

# Limits of time and losses are noticed as ever, and what a stopped run comes to is the same.
mapfile -t words < <(set_words topology.workers=2 topology.servers=2 faults.inject.compute=constant:1 faults.inject.unit='10 ms')
run run job.yaml --out whole -q "${words[@]}"
expect_exit 0
jumping run run job.yaml --out parts -q "${words[@]}" --max-time '1 s'
expect_exit 75
jumping run resume parts -q
expect_exit 0
same_weights whole parts
jumping begin lost "${words[@]}" --set faults.on_worker_loss=continue --set faults.stalled_after='2 s'
await_step lost 5
kill -9 "$(pid_of lost worker 1)"
await_end 60
expect_exit 0
grep -q '"event":"fault".*"rank":1,.*"action":"continue"' lost/metrics.jsonl || complain "the loss is not told of"
[ "$(grep -c '"event":"fault"' lost/metrics.jsonl)" -eq 1 ] || complain "more was taken for lost: $(grep '"event":"fault"' lost/metrics.jsonl)"
expect_alone
finish
