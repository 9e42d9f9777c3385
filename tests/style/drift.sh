#!/bin/bash
# drift.sh DTRAIN ROOT: what is generated and committed is what the program prints today, and the jobs in configs/ are
# ones that it reads.
set -u
dtrain=$1
root=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

complain() {
  failures=$((failures + 1))
  echo "$1"
}

# same FILE WORD...: FILE is what `dtrain WORD...` prints.
same() {
  local file=$root/$1
  shift
  "$dtrain" "$@" > "$scratch/printed" || complain "dtrain $* failed"
  diff -u "$file" "$scratch/printed" > "$scratch/difference" ||
    complain "$file is not what \`dtrain $*\` prints; write it anew. $(head -30 "$scratch/difference")"
}

same man/dtrain.1 man dtrain.1
same man/dtrain-job.5 man dtrain-job.5
same completions/dtrain.bash completions bash
same completions/_dtrain completions zsh
same completions/dtrain.fish completions fish

jobs=0
for job in "$root"/configs/*.yaml; do
  jobs=$((jobs + 1))
  "$dtrain" check "$job" > "$scratch/stdout" 2> "$scratch/stderr"
  case $? in
    0) ;;
    4) echo "$job: its data is not here" ;;
    *) complain "$job: $(cat "$scratch/stderr")" ;;
  esac
done
[ "$jobs" -gt 0 ] || complain "there are no jobs in configs/"

# Warnings of man(1) are mistakes in the pages; without groff there is nobody to give them.
if command -v groff > /dev/null; then
  for page in "$root"/man/dtrain*; do
    warnings=$(groff -man -Tutf8 -ww "$page" 2>&1 > /dev/null)
    [ -z "$warnings" ] || complain "$page: $warnings"
  done
fi

[ "$failures" -eq 0 ]
