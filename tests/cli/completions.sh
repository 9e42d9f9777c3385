#!/bin/bash
# The bash script completes verbs, flags, files, keys and choices; the others are at least complete.
. "$(dirname "$0")/lib.sh"

run completions bash
expect_exit 0
. "$scratch/stdout"

# offered WORD...: what bash would offer for the last word of a command line.
offered() {
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  COMPREPLY=()
  _dtrain
  printf '%s\n' "${COMPREPLY[@]}"
}

expect_offer() {
  ran="completion of $(printf '%s ' "${@:2}")"
  offered "${@:2}" > offers
  grep -qxF -- "$1" offers || complain "does not offer '$1': $(head -c 300 offers)"
}

expect_no_offer() {
  ran="completion of $(printf '%s ' "${@:2}")"
  offered "${@:2}" > offers
  ! grep -qxF -- "$1" offers || complain "offers '$1'"
}

mkdir folder
touch job.yaml
expect_offer run dtrain r
expect_offer completions dtrain ""
expect_no_offer plan dtrain r
expect_offer --max-time dtrain run --m
expect_no_offer --max-time dtrain check --
expect_offer --json dtrain --j
expect_offer job.yaml dtrain run j
expect_offer folder dtrain run --out ""
expect_no_offer job.yaml dtrain run --out ""
expect_offer train.batch= dtrain run --set train.b
expect_offer train.batch= dtrain run --set = train.b
expect_offer bsp dtrain run --set sync.policy = b
expect_offer asp dtrain run --set sync.policy =
expect_offer always dtrain --color al
expect_offer never dtrain --color = ne
expect_offer train.optimizer.type dtrain explain train.optimizer.t
expect_offer zsh dtrain completions ""

for shell in zsh fish; do
  run completions "$shell"
  expect_exit 0
  for word in max-time train.batch sync.policy inspect; do expect_part stdout "$word"; done
  if command -v "$shell" > /dev/null; then
    "$shell" -n stdout || complain "$shell refuses its script"
  fi
done

finish
