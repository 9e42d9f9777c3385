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

# What contradicts a policy is told with its place and what to do instead.
sed -e 's/workers: 2/workers: 4/' good.yaml > policies.yaml
cat >> policies.yaml << 'EOF'
sync: {policy: quorum, quorum: 6, compensation: delay}
faults: {inject: {compute: 'slow:1,3,9'}}
EOF
run check policies.yaml
expect_exit 3
expect_same stderr << 'EOF'
policies.yaml:12:32: error: sync.quorum is 6, but topology.workers is 4: set it to 4 or less, or auto
   12 | sync: {policy: quorum, quorum: 6, compensation: delay}
      |                                ^
policies.yaml:12:49: error: sync.compensation makes up for old gradients, and under quorum none is old: set it to none, or sync.policy to asp or ssp
   12 | sync: {policy: quorum, quorum: 6, compensation: delay}
      |                                                 ^~~~~
policies.yaml:13:28: error: faults.inject.compute names rank 9, but topology.workers is 4: ranks count from 0
   13 | faults: {inject: {compute: 'slow:1,3,9'}}
      |                            ^~~~~~~~~~~~
3 errors
EOF
run check good.yaml --set sync.policy=ssp --set topology.servers=0 --set topology.workers=1
expect_exit 3
expect_line stderr "--set sync.policy=ssp: error: ssp needs a server: set topology.servers to 1 or more, or sync.policy to bsp"
run check good.yaml --set sync.policy=local --set sync.period=0
expect_exit 3
expect_line stderr "--set sync.period=0: error: sync.period must be at least 1, got 0"
run check good.yaml --set sync.policy=easgd --set sync.alpha=0.75
expect_exit 0
expect_line stderr "--set sync.alpha=0.75: warning: sync.alpha is 0.75, and 2 workers together pull the centre beyond where they are: 1 / workers = 0.5 is the most, and auto is 0.9 / workers"
run check good.yaml --set sync.staleness=5
expect_exit 0
expect_line stderr "--set sync.staleness=5: warning: sync.staleness has no effect: only ssp has it, and sync.policy is bsp"

run plan good.yaml
expect_exit 0
expect_part stdout "784-10"
run plan --json good.yaml --set topology.workers=3
expect_exit 0
expect_line stdout '  "workers": 3,'
expect_line stdout '  "servers": 1,'
expect_line stdout '  "steps": 20,'
run plan --json good.yaml --set topology.workers=4 --set sync.policy=local --set sync.period=8
expect_exit 0
expect_line stdout '  "policy": "local",'
expect_line stdout '  "policy_spec": "local:8",'
expect_line stdout '  "bytes_per_worker_step": 9420,'
run plan bad.yaml
expect_exit 3

[ ! -e runs ] || complain "check or plan left a folder"
finish
