#!/bin/bash
# What is wrong around a run: a clear message, the exit code that is documented, nothing hung and nothing lost.
. "$(dirname "$0")/lib.sh"
write_job 6400 16
solo=(--set topology.servers=0)
cluster=(--set topology.workers=2 --set topology.servers=2)

# A disk that is full: stopped with 5, and the checkpoints from before are sound.
full() {
  local limit=$1
  shift
  rm -rf full
  (
    ulimit -f "$limit"
    trap '' XFSZ
    exec "$dtrain" run job.yaml --out full -q "$@" > "$scratch/stdout" 2> "$scratch/stderr" < /dev/null
  )
  code=$? ran="a file may have $limit KiB: dtrain run $*"
  expect_exit 5
  expect_last 'File too large'
  expect_alone
}
run run job.yaml --out whole -q "${solo[@]}" --set checkpoint.every='50 step'
for topology in solo cluster; do
  [ $topology = solo ] && words=("${solo[@]}") || words=("${cluster[@]}")
  full 60 "${words[@]}" --set checkpoint.every='600 step' --set output.log_every=1  # metrics fill it first
  full 20 "${words[@]}" --set checkpoint.every='50 step' --set output.log_every=800  # no checkpoint fits
done

# With room for some checkpoints only.
mkdir -p small
if mount -t tmpfs -o size=300k none small 2> "$scratch/mount"; then
  run run job.yaml --out small/run -q "${cluster[@]}" --set checkpoint.every='50 step' --set checkpoint.keep=100
  expect_exit 5
  expect_last 'No space left on device'
  expect_alone
  cp -r small/run rescued
  umount small
  rm -rf rescued/checkpoints/.step*
  run resume rescued -q
  expect_exit 0
  run run job.yaml --out whole -q "${cluster[@]}" --set output.if_exists=replace
  same_weights whole rescued
else
  echo "skipped: a file system of its own (tmpfs needs privileges)"
fi

# A folder that cannot be made.
echo text > file
run run job.yaml --out file/run -q
expect_exit 5
expect_part stderr 'file'
run run job.yaml --out file -q
expect_exit 5
expect_part stderr 'file exists'

# Data: the file and the place.
csv() {
  cat > csv.yaml <<END
name: c
model: {layers: [{dense: 2}]}
data: {format: csv, train: train.csv}
train: {batch: 2}
topology: {workers: ${1:-1}, threads: 1}
END
}
seq 0 9 | awk 'BEGIN { print "a,b,label" } { print $1 ",1," ($1 % 2 ? "x" : "y") }' > good.csv
csv 1
run run csv.yaml --out none -q
expect_exit 4
expect_part stderr "train.csv"
[ ! -e none ] || complain "a folder was made for a run that never was"
sed '6s/.*/nan,1,x/' good.csv > train.csv
run run csv.yaml --out none -q
expect_exit 4
expect_part stderr "train.csv:6"
sed '6s/.*/1e999,1,x/' good.csv > train.csv
run run csv.yaml --out none -q
expect_exit 4
expect_part stderr "train.csv:6"
{ cat good.csv; echo '3,1,z'; } > train.csv
run run csv.yaml --out none -q
expect_exit 4
expect_part stderr "3 classes (x, y, z)"
head -c 40 good.csv > train.csv; printf '"' >> train.csv
run run csv.yaml --out none -q
expect_exit 4
expect_part stderr "train.csv"

# A learning rate that diverges: 8, the step, and the last checkpoint is sound.
for topology in solo cluster; do
  [ $topology = solo ] && words=("${solo[@]}") || words=("${cluster[@]}")
  run run job.yaml --out wild -q "${words[@]}" --set train.optimizer.learning_rate=1e38 --set train.schedule.warmup='1 epoch' \
    --set checkpoint.every='1 step' --set output.if_exists=replace
  expect_exit 8
  expect_last 'step [0-9]* is not finite'
  expect_alone
  [ "$(value wild/summary.json exit_code)" = 8 ] || complain "the summary's exit code is $(value wild/summary.json exit_code)"
  newest=$(ls wild/checkpoints | sort -t - -k 2 -n | tail -n 1)
  run inspect "wild/checkpoints/$newest" --json
  expect_exit 0
  expect_part stdout '"finite": true'
  run resume wild -q
  expect_exit 8
  run run job.yaml --out wild -q "${words[@]}" --set train.optimizer.learning_rate=3e38 --set train.optimizer.type=adam \
    --set checkpoint.every='1 step' --set train.steps=1 --set output.if_exists=replace
  expect_exit 8
  expect_last 'a weight of step 1 is not finite'
  [ ! -e wild/checkpoints/step-1 ] || complain "weights that are not finite were saved"
done

# Two at once on the same job, without --out: a folder each.
"$dtrain" run job.yaml -q "${cluster[@]}" > one.out 2>&1 < /dev/null & one=$!
run run job.yaml -q "${cluster[@]}"
expect_exit 0
await_end 20 $one
[ "$code" -eq 0 ] || complain "the first of two runs ended with $code: $(cat one.out)"
[ -e runs/t/summary.json ] && [ -e runs/t-2/summary.json ] || complain "two runs left $(ls runs)"
same_weights runs/t runs/t-2

# Closed descriptors and a terminal that went away are no reason to fail.
"$dtrain" run job.yaml --out closed -q "${cluster[@]}" >&- 2>&- <&-
code=$? ran="dtrain run with 0, 1 and 2 closed"
[ "$code" -eq 0 ] || [ "$code" -eq 5 ] || complain "exit code $code"
same_weights whole closed

# A long TMPDIR, and none that can be written to.
long=$scratch/$(printf 'x%.0s' {1..120})
mkdir "$long"
TMPDIR=$long run run job.yaml --out long -q "${cluster[@]}"
expect_exit 0
TMPDIR=/nowhere run run job.yaml --out nowhere -q "${cluster[@]}"
expect_exit 0
expect_alone

# Far more roles than cores or blocks.
write_job 200 64
run run job.yaml --out crowd -q --set topology.workers=16 --set topology.servers=3
expect_exit 0
run run job.yaml --out crowd1 -q --set train.micro_batches=16 --set topology.servers=0
run run job.yaml --out servers -q --set topology.workers=2 --set topology.servers=9
expect_exit 0
expect_part stderr "3 will be used"
same_weights crowd crowd1
expect_alone
finish
