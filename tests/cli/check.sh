#!/bin/bash
# `check` and `plan` tell every mistake at once and start nothing.
. "$(dirname "$0")/lib.sh"

cat > good.yaml << 'EOF'
name: small
model:
  layers:
    - dense: 10
data:
  format: generated
  generate: {set: digits, rows: 200, test_rows: 50}
train:
  epochs: 2
  batch: 20
topology: {workers: 2, servers: 1}
EOF

run check good.yaml
expect_exit 0
expect_same stdout <<< "good.yaml: ok"
expect_empty stderr

run check good.yaml --json
expect_exit 0
expect_same stdout <<< "[]"

# --set takes exactly one value, wherever it stands, and may be given again.
run check --set train.batch=10 good.yaml
expect_exit 0
run check --set train.batch=10 --set=train.epochs=1 good.yaml
expect_exit 0
run check good.yaml --set train.batch=10
expect_exit 0
run check -- good.yaml
expect_exit 0
run check --set train.bach=10 good.yaml
expect_exit 3
expect_line stderr "--set train.bach=10: error: unknown key 'bach' in train; did you mean 'batch'?"

sed -e 's/epochs: 2/epochs: -2/' -e 's/batch: 20/bach: 20/' good.yaml > bad.yaml
run check bad.yaml
expect_exit 3
expect_empty stdout
expect_same stderr << 'EOF'
bad.yaml:9:11: error: train.epochs must be at least 1, got -2
    9 |   epochs: -2
      |           ^~
bad.yaml:10:3: error: unknown key 'bach' in train; did you mean 'batch'?
   10 |   bach: 20
      |   ^~~~
2 errors
EOF

run check bad.yaml --json
expect_exit 3
expect_part stdout '"line": 9'
expect_part stdout '"line": 10'
expect_part stdout '"severity": "error"'
expect_line stderr "2 errors"

# A warning is a warning, however quiet the rest.
run check good.yaml -q --set train.optimizer.beta1=0.5
expect_exit 0
expect_part stderr "warning: train.optimizer.beta1 has no effect"

run check missing.yaml
expect_exit 3
expect_same stderr <<< "dtrain: error: cannot open missing.yaml: No such file or directory"

# A job that is right with data that is not there.
sed -e 's/format: generated/format: csv/' -e 's/generate: .*/train: rows.csv/' good.yaml > nodata.yaml
run check nodata.yaml
expect_exit 4
expect_empty stdout
expect_part stderr "rows.csv"
run check nodata.yaml --json
expect_exit 4
expect_part stdout '"severity": "error"'
expect_part stderr "rows.csv"

# What steers a terminal in a file of data does not steer the terminal of who reads the message.
printf '2,\033x\n' > rows.csv
run check nodata.yaml --set data.format=libsvm
expect_exit 4
expect_part stderr "label '2,?x'"

run plan good.yaml
expect_exit 0
expect_part stdout "784-10"
run plan --json good.yaml --set topology.workers=3
expect_exit 0
expect_line stdout '  "workers": 3,'
expect_line stdout '  "servers": 1,'
expect_line stdout '  "steps": 20,'
run plan bad.yaml
expect_exit 3

[ ! -e runs ] || complain "check or plan left a folder"
finish
