#!/bin/bash
# Whatever the policy, a run that goes on without a lost worker ends, and has kept the policy's promise.
. "$(dirname "$0")/lib.sh"
write_job 6400 16
# A step takes a while, so that a loss meets the run in its midst, however busy the machine.
slowly=(faults.inject.compute=constant:1 faults.inject.unit='4 ms')

# Under every policy: a random worker, at a random step; the others go on to the end, and the promise is kept.
survives() {
  local lost=$((RANDOM % 3))
  begin on "$@"
  await_step on $((10 + RANDOM % 150))
  ran+=": worker $lost is killed at step $(grep '"event":"step"' on/metrics.jsonl | tail -n 1 | sed -n 's/.*"step":\([0-9]*\).*/\1/p')"
  kill -9 "$(pid_of on worker $lost)"
  local what=$ran
  await_end 20
  expect_exit 0
  expect_alone
  grep -q "worker $lost was killed by signal 9 (SIGKILL) \(at step [0-9]* while\|before its first report\)" "$scratch/stderr" || complain "nothing is said of worker $lost: $(cat "$scratch/stderr")"
  [ "$(value on/summary.json status)" = "done" ] || complain "the summary says $(value on/summary.json status)"
  run verify trace on/trace.jsonl
  ran="$what; $ran"
  expect_exit 0
  rm -rf on
}
for servers in 1 2; do
  for words in bsp asp 'ssp sync.staleness=2' 'ssp sync.eager=true' 'quorum sync.quorum=2' 'subset sync.size=2' \
    'local sync.period=5' 'easgd sync.period=4' 'bmuf sync.period=5' 'adaptive sync.high=4' \
    'adaptive sync.adapt=period sync.low=1 sync.period=6'; do
    read -r -a words <<< "sync.policy=$words topology.servers=$servers"
    words+=(topology.workers=3 faults.on_worker_loss=continue output.trace=true checkpoint.every="$((3 + RANDOM % 40)) step")
    words+=(train.epochs=1 "${slowly[@]}")
    [ $((RANDOM % 2)) -eq 0 ] || words+=(train.clip_norm=0.5 data.sharing=shard)
    mapfile -t words < <(set_words "${words[@]}")
    survives "${words[@]}"
  done
done
# Whoever has come to the end takes over nothing: a run that is left by the others is not done, but goes back, or ends.
slow=(topology.workers=2 sync.policy=asp train.epochs=1 checkpoint.every='5 step' faults.inject.compute=slow:1,100,1 faults.inject.unit='1 ms')
mapfile -t words < <(set_words "${slow[@]}" data.generate.rows=640)
run run job.yaml --out left -q --chaos kill:worker.1@30 "${words[@]}" --set faults.on_worker_loss=continue
expect_exit 7
expect_last 'worker 1'
run resume left -q
expect_exit 0
rm -rf left
run run job.yaml --out left -q --chaos kill:worker.1@30 "${words[@]}" --set faults.on_worker_loss=restart
expect_exit 0
grep -q '"action":"back"' left/metrics.jsonl || complain "it did not go back: $(grep '"event":"fault"' left/metrics.jsonl)"
expect_alone
finish
