#!/bin/bash
# A network that is larger than a worker may be is refused, and runs with the split that the refusal names; what each
# role then has resident is what was foreseen, up to 15 %.
. "$(dirname "$0")/lib.sh"
grep -qa '__[at]san_init' "$dtrain" && exit 77  # whose memory is several times what it would be

cat > job.yaml <<END
name: t
model:
  layers:
    - {dense: 1200, activation: relu}
    - {dense: 1200, activation: relu}
    - {dense: 1200, activation: relu}
    - {dense: 3}
data:
  format: generated
  generate: {set: blobs, rows: 256, test_rows: 50, features: 1200, classes: 3}
train: {batch: 32, optimizer: {type: adam, learning_rate: 0.001}}
topology: {threads: 1}
END

# figures FILE KEY: role, rank and this number of each role.
figures() {
  sed -n 's/^ *"\(role\|rank\|'"$2"'\)": *"\{0,1\}\([^",]*\)"\{0,1\},\{0,1\}$/\1 \2/p' "$1" |
    awk -v key="$2" '$1 == "role" { role = $2 } $1 == "rank" { rank = $2 } $1 == key && role != "" { print role, rank, $2; role = "" }'
}

# foreseen KEY=VALUE...: a run with these words, each of whose roles has what the plan says.
foreseen() {
  local words
  mapfile -t words < <(set_words "$@")
  run plan job.yaml --json "${words[@]}"
  expect_exit 0
  figures stdout memory_bytes > planned
  train out "$@"
  expect_exit 0
  figures out/summary.json peak_bytes > measured
  [ -s planned ] || complain 'no role has a memory_bytes'
  join <(sed 's/ /./' planned | sort) <(sed 's/ /./' measured | sort) > both
  [ "$(wc -l < both)" -eq "$(wc -l < planned)" ] || complain "not all that was planned was measured: $(cat planned measured)"
  awk '{ d = $2 / $3 - 1; if (d < 0) d = -d; if (d > 0.15) print }' both > far
  [ ! -s far ] || complain "foreseen and measured bytes are far apart: $(cat far)"
  rm -rf out
}

foreseen topology.workers=1
foreseen topology.workers=2 topology.split.pipeline=2
foreseen topology.workers=3 topology.split.pipeline=3
foreseen topology.workers=2 topology.split.tensor=2
foreseen topology.workers=4 topology.split.pipeline=2
foreseen topology.workers=4 topology.split.pipeline=2 topology.kind=ring

# In one process weights, moments, their next version, the gradient and a copy that is saved: ten times 17 MB.
limit='topology.memory=100 MiB'
mapfile -t words < <(set_words "$limit")
for verb in plan run; do
  run "$verb" job.yaml "${words[@]}"
  expect_exit 3
  expect_part stderr 'MiB of memory, and topology.memory is 100 MiB: topology.split: {pipeline: 3} would need '
done
foreseen "$limit" topology.workers=3 topology.split.pipeline=3

finish
