#!/bin/bash
# dtrain verify resume: trains, kills, resumes and compares, for jobs of every kind; what cannot be tried ends in a
# sentence, and leaves what it had for a look.
. "$(dirname "$0")/lib.sh"
write_job 1600 16  # 100 steps an epoch

# verified KEY=VALUE...: of job.yaml, with steps that take long enough to be killed in.
verified() {
  local words
  mapfile -t words < <(set_words topology.workers=3 checkpoint.every='30 step' faults.inject.compute=constant:1 \
    faults.inject.unit='3 ms' "$@")
  run verify resume job.yaml -q "${words[@]}" "${more[@]}"
}
more=()

# equal KEY=VALUE...
equal() {
  verified "$@"
  expect_exit 0
  expect_part stdout 'equal: promise kept'
  expect_part stdout 'from the checkpoint of step'
  [ -z "$(ls runs)" ] || complain "runs/ holds $(ls runs)"
  expect_alone
}
equal sync.policy=bsp topology.servers=2
equal sync.policy=local sync.period=7 topology.servers=2
equal topology.kind=ring
equal topology.split.pipeline=3 topology.servers=3
for policy in asp 'easgd sync.period=4'; do
  verified sync.policy=$policy topology.servers=2
  expect_exit 0
  expect_part stdout 'promises no equal weights; the resumed run ended at its last step'
  expect_part stdout 'from the checkpoint of step'
done

# Killed before the first checkpoint it begins anew, to the same bits.
more=(--at 5 --json)
verified topology.servers=1 checkpoint.every='190 step'
expect_exit 0
expect_part stdout '"resumed_from": 0'
expect_part stdout '"equal_weights_promised": true'
[ "$(value stdout whole)" = "$(value stdout resumed)" ] || complain "other weights: $(cat stdout)"

# What goes wrong is told as it was, and the folder stays.
more=()
verified train.optimizer.learning_rate=3e38 train.optimizer.type=sgd
expect_exit 8
expect_last 'learning_rate'
ls runs/verify-resume-*/whole.log > /dev/null || complain "nothing is left of the run that failed"
rm -rf runs
more=(--at 500)
verified topology.servers=1
expect_exit 2
expect_last 'the run ends at step 200'
[ -z "$(ls runs)" ] || complain "runs/ holds $(ls runs)"
verified topology.external=1
expect_exit 2
expect_last 'topology.external'
# Who stops it finds nothing left of it.
rm -rf runs
mapfile -t words < <(set_words topology.workers=2 train.epochs=1000)
join_run said verify resume job.yaml "${words[@]}"
begun() { ls runs/verify-resume-*/whole/metrics.jsonl; }
await 20 begun || complain "it does not begin: $(cat said)"
kill -INT "$joiner"
await_end 10 "$joiner"
[ "$code" -eq 130 ] || complain "exit code $code instead of 130: $(cat said)"
[ -z "$(ls runs)" ] || complain "runs/ holds $(ls runs)"
expect_alone
finish
