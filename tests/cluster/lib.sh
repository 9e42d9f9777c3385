#!/bin/bash
# Sourced by the scripts beside it: real processes, watched through what they write, never through time alone.
# Every wait is for an event and has a deadline; no process may outlive a script.
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"
dtrain=$(realpath "$dtrain")
export DTRAIN_TEST_MARK=$scratch  # every process of ours has it in its environment
export OMP_NUM_THREADS=1
trap 'end_strays; rm -rf "$scratch"' EXIT

# write_job [ROWS [BATCH]]: job.yaml, of 10,947 weights: three blocks, so up to three servers have work.
write_job() {
  cat > job.yaml <<END
name: t
seed: 5
model:
  layers:
    - {dense: 96, activation: relu, dropout: 0.2}
    - {dense: 96, activation: tanh}
    - {dense: 3}
data:
  format: generated
  generate: {set: blobs, rows: ${1:-611}, test_rows: 50, features: 13, classes: 3, noise: 2}
train: {epochs: 2, batch: ${2:-32}, evaluate: 0}
topology: {threads: 1}
output: {log_every: 1}
END
}

# set_words A=1 B=2: the flags that set these.
set_words() {
  local word
  for word in "$@"; do printf -- '--set\n%s\n' "$word"; done
}

# slow_by TIME: $slow makes each step of a run take so long, that what befalls it may meet it in its midst, however busy
# the machine; $quick undoes that. What the run comes to does not depend on it.
slow_by() { slow=(--set faults.inject.compute=constant:1 --set "faults.inject.unit=$1"); }
quick=(--set 'faults.inject.compute=""')

# train RUN KEY=VALUE...: a run of job.yaml into a folder that was not there.
train() {
  local folder=$1 words
  shift
  mapfile -t words < <(set_words "$@")
  run run job.yaml --out "$folder" -q "${words[@]}"
}

# begin RUN WORD...: `dtrain run job.yaml` beside the script, in a process group of its own. $leader is its process.
begin() {
  local folder=$1
  shift
  ran="dtrain run job.yaml --out $folder $*"
  : > "$scratch/stderr"  # now, not when the process has come to it: the next to look must not see an older run's
  set -m
  "$dtrain" run job.yaml --out "$folder" "$@" > "$scratch/stdout" 2> "$scratch/stderr" < /dev/null &
  leader=$!
  set +m
}

# begin_resume RUN WORD...
begin_resume() {
  ran="dtrain resume $*"
  : > "$scratch/stderr"
  set -m
  "$dtrain" resume "$@" > "$scratch/stdout" 2> "$scratch/stderr" < /dev/null &
  leader=$!
  set +m
}

# await SECONDS WORD...: until the command succeeds. False when time is over.
await() {
  local until=$((SECONDS + $1 + 1))
  shift
  until "$@" > "$scratch/await" 2>&1; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.02  # between two looks, not for the event
  done
}

# await_line SECONDS FILE PATTERN: until a line of the file matches.
await_line() {
  await "$1" grep -qs -- "$3" "$2" || complain "no '$3' in $2 within $1 s: $(tail -n 3 "$2" 2> /dev/null); stderr: $(cat "$scratch/stderr")"
}

# await_step RUN N: until the metrics tell of step N or a later one.
at_step() {
  local newest
  newest=$(grep -s '"event":"step"' "$1/metrics.jsonl" | tail -n 1 | sed -n 's/.*"step":\([0-9]*\).*/\1/p')
  [ "${newest:-0}" -ge "$2" ]
}
await_step() {
  await 20 at_step "$1" "$2" || complain "step $2 was not reached; stderr: $(cat "$scratch/stderr")"
}

gone() { ! kill -0 "$1" 2> /dev/null || grep -qs '^State:.*Z' "/proc/$1/status"; }

# await_end SECONDS [PID]: until it has ended, and takes its exit code; kills it if it has not.
await_end() {
  local pid=${2:-$leader}
  await "$1" gone "$pid" || {
    complain "did not end within $1 s; stderr: $(cat "$scratch/stderr")"
    kill -9 "$pid"
  }
  wait "$pid" 2> /dev/null
  code=$?
}

# pid_of RUN ROLE RANK: of a role, as the metrics of the run tell it (the newest, if it joined twice).
pid_of() {
  sed -n 's/.*"role":"'"$2"'","rank":'"$3"',.*"pid":\([0-9]*\)[,}].*/\1/p' "$1/metrics.jsonl" | tail -n 1
}

# join_run NAME WORD...: the WORDs are a command line of `dtrain`, beside the script; its stderr goes to the file NAME.
# $joiner is its process.
join_run() {
  local name=$1
  shift
  "$dtrain" "$@" > "$name.out" 2> "$name" < /dev/null &
  joiner=$!
}

# value FILE KEY: of the first "KEY": VALUE of a document that dtrain wrote.
value() {
  sed -n 's/.*"'"$2"'": *"\{0,1\}\([^",}]*\)"\{0,1\}.*/\1/p' "$1" | head -n 1
}
sha() { value "$1/summary.json" sha256; }

# same_weights RUN OTHER: both have weights, of the same bits.
same_weights() {
  local one other
  one=$(sha "$1") other=$(sha "$2")
  [ -n "$one" ] && [ "$one" = "$other" ] || complain "the weights of $1 (${one:-none}) are not those of $2 (${other:-none})"
}

# law WORKERS SERVERS KEY=VALUE...: the bits of one process that folds the same micro-batches.
law() {
  local workers=$1 servers=$2
  shift 2
  train one topology.servers=0 train.micro_batches="$workers" "$@"
  expect_exit 0
  train many topology.workers="$workers" topology.servers="$servers" "$@"
  expect_exit 0
  same_weights one many
  rm -rf one many
}

strays() {
  local process
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/exe" 2> /dev/null)" = "$dtrain" ] || continue
    tr '\0' '\n' 2> /dev/null < "$process/environ" | grep -qxF "DTRAIN_TEST_MARK=$scratch" && echo "${process#/proc/}"
  done
}
no_strays() { [ -z "$(strays)" ]; }

# noticed_within RUN SECONDS: the newest fault was told so soon after the last sign of life.
noticed_within() {
  local seconds
  seconds=$(sed -n '/"event":"fault"/s/.*"noticed_after":\([-0-9.e]*\).*/\1/p' "$1/metrics.jsonl" | tail -n 1)
  awk -v seconds="${seconds:-99}" -v most="$2" 'BEGIN { exit !(seconds + 0 <= most + 0) }' ||
    complain "a loss was noticed after ${seconds:-nothing} s, not within $2 s"
}

# expect_alone: within some seconds, no process of ours is left.
expect_alone() {
  await 4 no_strays || complain "processes are left: $(for pid in $(strays); do tr '\0' ' ' < "/proc/$pid/cmdline"; done)"
}
end_strays() {
  local pid
  for pid in $(strays); do kill -9 "$pid"; done
}

# expect_last PATTERN: the last line of stderr matches.
expect_last() {
  tail -n 1 "$scratch/stderr" | grep -q -- "$1" || complain "the last line of stderr is not '$1': $(cat "$scratch/stderr")"
}
