#!/bin/bash
# Help and version go to stdout with exit code 0, before and after the verb.
. "$(dirname "$0")/lib.sh"

run --version
expect_exit 0
expect_empty stderr
grep -qxE 'dtrain [0-9]+\.[0-9]+\.[0-9]+' stdout || complain "no version: $(cat stdout)"

run --help
expect_exit 0
expect_empty stderr
cp stdout overview
run -h
expect_same stdout < overview

listed=0
for verb in $(sed -n 's/^  \([a-z]\{1,\}\) .*/\1/p' overview); do
  listed=$((listed + 1))
  run "$verb" --help
  expect_exit 0
  expect_empty stderr
  expect_part stdout "usage: dtrain $verb "
  cp stdout after
  run --help "$verb"
  expect_same stdout < after
done
ran="dtrain --help"
[ "$listed" -eq 21 ] || complain "lists $listed verbs"

awk 'length > 80' overview after > long
[ ! -s long ] || complain "lines longer than 80 columns: $(cat long)"

run schema --help
expect_same stdout << 'EOF'
usage: dtrain schema [FLAGS]

Prints a JSON Schema (2020-12). An editor with a YAML language server completes
and checks jobs with it.

Flags of every verb:
      --json        print one JSON document on stdout instead of text
  -q, --quiet       nothing on stderr but warnings and errors
  -v, --verbose     tell more on stderr
      --color WHEN  auto, always or never (auto: on a terminal, unless NO_COLOR
                    is set)
  -h, --help        show help, also for one verb, and exit
      --version     show the version and exit

Examples:
  dtrain schema > job.schema.json
      Then name it in the editor's settings for YAML.
EOF

# With --json, texts are one document too.
for words in "--version" "--help" "run --help" "completions bash" "man dtrain.1"; do
  run $words
  cp stdout text
  run $words --json
  expect_exit 0
  python3 -c 'import json, sys; (text,) = json.load(open("stdout")).values(); sys.exit(text.strip() != open("text").read().strip())' ||
    complain "not the same text in JSON: $(head -c 200 stdout)"
done

finish
