#!/bin/bash
# Columns of every kind have the same numbers in training, eval and predict, in one process and in several.
. "$(dirname "$0")/lib.sh"

rows() { # rows FROM TO: `bought` follows from all columns
  awk -v OFS=, -v from="$1" -v to="$2" 'BEGIN { print "age", "city", "joined", "user", "fare", "bought"
    for (i = from; i < to; ++i) {
      age = i % 11 ? 20 + i % 50 : ""; city = i % 3 ? "Oslo" : "Bergen"; fare = (i * 37) % 400
      points = (age > 40) + (city == "Oslo") + (i % 12 > 6) + fare / 400
      bought = "no"
      if (points > 2) bought = "yes"
      print age, city, sprintf("2024-%02d-%02d", 1 + i % 12, 1 + i % 28), "u" i % 120, fare, bought } }'
}
rows 0 400 > train.csv
rows 400 520 > test.csv
cat > job.yaml << 'END'
name: columns
model: {layers: [{dense: 16, activation: relu}, {dense: 1}], loss: binary_cross_entropy}
data:
  format: csv
  train: train.csv
  test: test.csv
  columns:
    - {names: [age], missing: median, clip_low: 20, clip_high: 65, fit: min_max}
    - {names: [joined], as: date, parts: [month, day_of_year], fit: standardize}
    - {names: [user], as: hash, buckets: 64}
    - {names: [fare], log: log1p, scale: 1/2, fit: standardize}
train: {epochs: 8, batch: 20, optimizer: {type: momentum, learning_rate: 0.1}}
assert: [test.accuracy >= 0.8]
END

hash_of() { sed -n 's/.*"sha256": *"\([0-9a-f]*\)".*/\1/p; s/.*"weights.sha256": *"\([0-9a-f]*\)".*/\1/p' "$1/summary.json" | head -1; }

run run job.yaml --out one -q --set train.micro_batches=2
expect_exit 0
run run job.yaml --out several -q --set topology.workers=2 --set topology.servers=2
expect_exit 0
[ -n "$(hash_of one)" ] || complain "no hash in $(cat one/summary.json)"
[ "$(hash_of one)" = "$(hash_of several)" ] || complain "two workers see other numbers than one process"

# The job is needed no more, nor the training rows: what was fitted is in the model.
cp one/model.safetensors model.safetensors
run eval one --json
expect_exit 0
cp stdout whole
cat > plain.yaml << 'END'
model: {layers: [{dense: 16, activation: relu}, {dense: 1}], loss: binary_cross_entropy}
data: {format: csv, train: test.csv}
END
run eval model.safetensors --data test.csv --job plain.yaml --json
expect_exit 0
[ "$(grep -E 'accuracy|auc|loss' whole)" = "$(grep -E 'accuracy|auc|loss' stdout)" ] ||
  complain "eval of the model alone differs: $(cat whole stdout)"

run predict model.safetensors --data test.csv
expect_exit 0
cut -d, -f6 test.csv | tail -n +2 | paste -d' ' - stdout | awk '$1 == $2 { ++right } END { exit right < 96 }' ||
  complain "fewer than 96 of 120 predictions are right"

# What training did not see is told; what cannot be is told with its place.
sed '2s/Oslo\|Bergen/Rome/' test.csv > rome.csv
run predict model.safetensors --data rome.csv
expect_exit 0
expect_part stderr "column 'city': 1 of 120 rows have values that the training rows lack, such as 'Rome'"
sed '3s/2024-[0-9-]*/soon/' test.csv > soon.csv
run predict model.safetensors --data soon.csv
expect_exit 4
grep -qE "soon.csv:3:[0-9]+: column 'joined' must be a date.* got 'soon'" stderr || complain "no place: $(cat stderr)"
finish
