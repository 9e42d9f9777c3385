#!/bin/bash
# The verbs that look at a finished run, which the program make_run makes.
. "$(dirname "$0")/lib.sh"

cat > rows.csv << 'EOF'
x,y,kind
0,0,no
0,1,yes
1,0,no
EOF
cat > softmax.yaml << 'EOF'
name: softmax
model:
  layers:
    - dense: 2
data: {format: csv, train: rows.csv, test: rows.csv}
EOF
"$make_run" softmax.yaml soft || exit 1

# Weights [in, out] are -1 0 / 1 -1, biases 0 1: the logits are y - x and 1 - y.
run predict soft --data rows.csv
expect_exit 0
expect_empty stderr
expect_same stdout << 'EOF'
yes
no
yes
EOF
run predict --probabilities soft/model.safetensors --data rows.csv
expect_exit 0
cut -f 1 stdout > classes
cut -f 2 stdout | cut -c 1-6 > first
ran="predict --probabilities"
[ "$(paste -sd ' ' classes)" = "yes no yes" ] || complain "classes: $(cat classes)"
[ "$(paste -sd ' ' first)" = "0.2689 0.7310 0.1192" ] || complain "probabilities of the first class: $(cat first)"

# A target is not needed to predict, only to judge.
cut -d , -f 1,2 rows.csv > unlabelled.csv
run predict soft --data unlabelled.csv --json
expect_exit 0
expect_same stdout << 'EOF'
{
  "classes": [
    "no",
    "yes"
  ],
  "predictions": [
    "yes",
    "no",
    "yes"
  ]
}
EOF
run eval soft --data unlabelled.csv
expect_exit 4

# Losses by hand: -ln p of "no", "yes", "no" = 1.313262, 1.313262, 2.126928.
run eval soft
expect_exit 0
expect_same stdout << 'EOF'
  rows      3
  loss      1.58448
  accuracy  0
  log_loss  1.58448
EOF
run eval soft --json
expect_exit 0
expect_line stdout '  "rows": 3,'
expect_line stdout '    "accuracy": 0.0,'

# The way that rows are written can be changed for one call.
tr , ';' < rows.csv > other.csv
run eval soft --data other.csv --set "data.csv.delimiter=;"
expect_exit 0
expect_line stdout "  rows      3"

# Without the run beside it, a model knows no rows of its own.
cp soft/model.safetensors alone.safetensors
run predict alone.safetensors --data rows.csv
expect_exit 0
expect_usage "nothing says which rows to use: give --data FILE or --job JOB" eval alone.safetensors
run eval alone.safetensors --job softmax.yaml
expect_exit 0
expect_usage "--labels goes with --data" eval soft --labels rows.csv
expect_usage "there is no nowhere" eval nowhere

cat > line.yaml << 'EOF'
name: line
model:
  layers:
    - dense: 1
  loss: mean_squared_error
data:
  format: csv
  train: line.csv
EOF
printf 'x,y,z\n0,0,1\n2,1,5\n' > line.csv
"$make_run" line.yaml line || exit 1
# z = -x + 0 y + 1
run predict line --data line.csv
expect_exit 0
expect_same stdout << 'EOF'
1
-1
EOF
expect_usage "--probabilities is for classes; this model predicts a value" predict --probabilities line --data line.csv
expect_usage "the job has no test part: give --data FILE" eval line
run eval line --data line.csv
expect_exit 0
expect_line stdout "  rmse      4.24264"

run inspect soft/model.safetensors
expect_exit 0
expect_line stdout "soft/model.safetensors: 6 numbers in 2 tensors"
expect_line stdout "  layers.0.weight               2 x 2      1.73205           -1            1"
run inspect soft/model.safetensors --json
expect_exit 0
expect_part stdout '"finite": true'
run inspect soft/checkpoints/step-4
expect_exit 0
expect_line stdout "soft/checkpoints/step-4: a sound checkpoint"
expect_line stdout "  worker clocks   4 4"
run inspect soft
expect_exit 0
expect_line stdout "  newest checkpoint  step 4"
run inspect soft --json
expect_exit 0
expect_line stdout '  "newest_checkpoint": 4,'

# Damage is told as such.
printf 'x' >> soft/checkpoints/step-4/state.safetensors
run inspect soft/checkpoints/step-4
expect_exit 10
head -c 40 soft/model.safetensors > cut.safetensors
run inspect cut.safetensors
expect_exit 10
run predict cut.safetensors --data rows.csv
expect_exit 10
expect_part stderr "cut.safetensors"
mkdir empty
expect_usage "empty is neither the folder of a run (with resolved.yaml) nor of a checkpoint (with progress.json)" \
  inspect empty

run compare soft line
expect_exit 0
run compare soft line --json
expect_exit 0
expect_part stdout '"same_weights": false'
run compare soft soft --json
expect_part stdout '"same_weights": true'
run compare soft empty
expect_exit 2

run report soft
expect_exit 0
expect_same stdout <<< "soft/report.html"
grep -qi "<html" soft/report.html || complain "no page was written"
expect_usage "empty is not the folder of a run: it has no resolved.yaml" report empty

# A run that misses what its job asserts is told so in its document too; its results are there all the same.
run run line.yaml -q --json --out missed --set 'assert=[train.loss < 0]'
expect_exit 9
expect_line stdout '  "exit_code": 9,'
expect_part stdout '"assertion failed: train.loss < 0, got '
expect_part stderr "assertion failed: train.loss < 0, got "

# Numbers that are none have no sign, and no smallest among them.
run run line.yaml -q --out wild --set train.epochs=9 --set train.optimizer.learning_rate=1e30 \
  --set train.on_nonfinite=ignore
expect_exit 0
expect_line stdout "  train loss   nan"
run predict wild --data line.csv
expect_same stdout <<< $'nan\nnan'
run inspect wild/model.safetensors
expect_line stdout "  layers.0.bias                     1            0            -            -  1 not finite"

finish
