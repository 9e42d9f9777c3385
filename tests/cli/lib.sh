#!/bin/bash
# Sourced by the scripts beside it: runs the program and holds what it says to the letter.
# A script is called with the program's path, and then what its own first line says.
set -u
dtrain=$(readlink -f "$1")
make_run=$(readlink -f "${2:-/}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
unset NO_COLOR
failures=0
code=0
ran=""

# run WORD...: runs dtrain; its words go to $scratch/stdout and $scratch/stderr.
run() {
  ran="dtrain $*"
  "$dtrain" "$@" > "$scratch/stdout" 2> "$scratch/stderr" < /dev/null
  code=$?
}

complain() {
  failures=$((failures + 1))
  printf 'FAILED: %s\n  %s\n' "$ran" "$1"
}

expect_exit() {
  [ "$code" -eq "$1" ] || complain "exit code $code instead of $1; stderr: $(cat "$scratch/stderr")"
}

# expect_same stdout|stderr: exactly what this function reads.
expect_same() {
  cat > "$scratch/expected"
  diff -u "$scratch/expected" "$scratch/$1" > "$scratch/difference" || complain "$1 is not as expected: $(cat "$scratch/difference")"
}

# expect_line stdout|stderr TEXT: one line is exactly TEXT.
expect_line() {
  grep -qxF -- "$2" "$scratch/$1" || complain "no line of $1 is '$2': $(cat "$scratch/$1")"
}

# expect_part stdout|stderr TEXT: TEXT occurs.
expect_part() {
  grep -qF -- "$2" "$scratch/$1" || complain "$1 lacks '$2': $(cat "$scratch/$1")"
}

expect_empty() {
  [ ! -s "$scratch/$1" ] || complain "$1 is not empty: $(cat "$scratch/$1")"
}

# expect_usage TEXT WORD...: the words are refused with exit code 2 and one line on stderr.
expect_usage() {
  local text=$1
  shift
  run "$@"
  expect_exit 2
  expect_empty stdout
  expect_same stderr <<< "dtrain: error: $text"
}

finish() {
  [ "$failures" -eq 0 ] || exit 1
}
