#!/bin/bash
# Command lines that are wrong end with exit code 2 and name what was probably meant.
. "$(dirname "$0")/lib.sh"

expect_usage "a verb is missing: what should be done? (see dtrain --help)"
expect_usage "unknown verb 'rnu'; did you mean run? (see dtrain --help)" rnu job.yaml
expect_usage "unknown verb 'frobnicate' (see dtrain --help)" frobnicate
expect_usage "dtrain check has no flag --jsn; did you mean --json? (see dtrain check --help)" check --jsn job.yaml
expect_usage "dtrain check has no flag --out (see dtrain check --help)" check job.yaml --out runs
expect_usage "--out goes after the verb: dtrain run --out ... (see dtrain run --help)" --out runs run job.yaml
expect_usage "dtrain check needs JOB (see dtrain check --help)" check
expect_usage "unexpected argument 'b.yaml' (see dtrain check --help)" check a.yaml b.yaml
expect_usage "unexpected argument 'plan' (see dtrain schema --help)" schema plan
expect_usage "dtrain worker needs --connect ENDPOINT (see dtrain worker --help)" worker
expect_usage "dtrain predict needs --data FILE (see dtrain predict --help)" predict model.safetensors
expect_usage "--out needs a value: --out DIR (see dtrain --help)" run job.yaml --out
expect_usage "--out needs a value: --out DIR (see dtrain run --help)" run job.yaml --out --insecure
expect_usage "--out is given twice (see dtrain run --help)" run job.yaml --out a --out b
expect_usage "--set needs KEY=VALUE, got 'job.yaml' (see dtrain check --help)" check --set job.yaml
expect_usage "--color must be auto or always or never, got 'alway'; did you mean always? (see dtrain plan --help)" \
  plan --color alway job.yaml
expect_usage "SHELL must be bash or zsh or fish, got 'fsh'; did you mean zsh? (see dtrain completions --help)" \
  completions fsh
expect_usage "--max-time must be a time above 0 in ms, s, min or h, such as \"90 s\", got '90' (see dtrain run --help)" \
  run --max-time 90 job.yaml
expect_usage "--steps must be a whole number of at least 1, got '0' (see dtrain bench --help)" bench --steps 0 job.yaml
expect_usage "--steps must be a whole number of at least 1, got '-3' (see dtrain bench --help)" bench --steps -3 job.yaml
expect_usage "unknown flag --job-file (see dtrain --help)" --job-file a

# A wrong command line is told in the form that it asked for.
run check --json
expect_exit 2
expect_same stdout << 'EOF'
{
  "error": {
    "kind": "usage error",
    "message": "dtrain check needs JOB (see dtrain check --help)",
    "exit_code": 2
  }
}
EOF
expect_same stderr <<< "dtrain: error: dtrain check needs JOB (see dtrain check --help)"

# What cannot be written is a failure, not a success without a result.
if [ -e /dev/full ]; then
  ran="dtrain schema > /dev/full"
  "$dtrain" schema > /dev/full 2> "$scratch/stderr"
  code=$?
  expect_exit 5
  expect_same stderr <<< "dtrain: error: cannot write to standard output: No space left on device"
fi

finish
