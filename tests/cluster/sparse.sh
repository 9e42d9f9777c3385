#!/bin/bash
# Rows that are mostly zeros: only the weights that they touch are stepped and sent, and to the same bits; what a step
# costs goes with what is not zero.
. "$(dirname "$0")/lib.sh"

# rows COUNT FEATURES NONZEROS SEED: libsvm text, a row with about so many features of all there are.
rows() {
  awk -v rows="$1" -v width="$2" -v nonzeros="$3" -v seed="$4" 'BEGIN {
    srand(seed)
    for (r = 0; r < rows; ++r) {
      at = 0; line = ""; sum = 0
      for (k = 0; k < nonzeros; ++k) {
        at += 1 + int(rand() * 2 * (width / nonzeros - 1))
        if (at > width) break
        value = int(rand() * 100 + 1) / 100
        sum += at % 7 < 3 ? value : -value
        line = line " " at ":" value
      }
      print (sum > 0 ? 1 : 0) line
    }
  }'
}

write_sparse_job() {
  cat > job.yaml <<END
name: t
seed: 5
model:
  layers:
    - {dense: 24, activation: relu, dropout: 0.2}
    - {dense: 16, activation: tanh}
    - {dense: 1}
  loss: binary_cross_entropy
data:
  format: libsvm
  libsvm: {features: $1}
  train: {features: train.svm}
  test: {features: test.svm}
train: {epochs: 2, batch: 32, evaluate: 0, optimizer: {learning_rate: 1e-2}}
topology: {threads: 1}
output: {log_every: 1}
END
}

# sent RUN: by all workers together.
sent() { sed -n '/"role": "worker"/,/}/p' "$1/summary.json" | awk -F'[:,]' '/"bytes_sent"/ { sum += $2 } END { print sum }'; }

# near A B SHARE: they differ by no more than this share.
near() { awk -v a="$1" -v b="$2" -v share="$3" 'BEGIN { d = a > b ? a - b : b - a; exit !(a != "" && b != "" && d <= share * (a > 0 ? a : -a)) }'; }

rows 611 5000 20 1 > train.svm
rows 60 5000 20 2 > test.svm
write_sparse_job 5000
moments=(train.optimizer.type=momentum)
decay=(train.optimizer.type=adamw train.optimizer.weight_decay=0.01 train.optimizer.learning_rate=1e-3)
for servers in 1 2 3; do
  law 1 $servers
  law 2 $servers "${moments[@]}" train.schedule.type=cosine train.schedule.warmup='5 step'
  law 3 $servers "${decay[@]}" train.evaluate='7 step'
done
law 3 2 train.optimizer.type=adagrad train.clip_norm=0.1
law 2 2 train.optimizer.type=rmsprop train.optimizer.learning_rate=1e-3 topology.transport=ipc
law 2 2 train.optimizer.type=adam train.optimizer.weight_decay=1e-3 train.sparse=lazy

# Where weights travel whole they are stepped whole too, and that is no other result; the plan says why.
law 2 2 faults.on_worker_loss=continue "${moments[@]}"
law 2 1 sync.codec=zstd "${decay[@]}"
run plan job.yaml --set topology.workers=2
expect_part stdout 'a step reads, steps and exchanges about'
run plan job.yaml --set topology.workers=2 --set sync.codec=fp16
expect_part stdout 'since sync.codec packs whole pieces'

# asp: alone it is bsp, to the bit; together they end.
train alone topology.servers=2 sync.policy=asp "${moments[@]}"
train gated topology.servers=2 sync.policy=bsp "${moments[@]}"
same_weights alone gated
for policy in asp ssp; do
  train free topology.workers=3 topology.servers=2 sync.policy=$policy "${decay[@]}" train.clip_norm=0.5
  expect_exit 0
  rm -rf free
done

# Dense is another order of sums, and nothing else.
for optimizer in sgd adam; do
  train dense train.sparse=off train.optimizer.type=$optimizer
  train sparse train.sparse=exact train.optimizer.type=$optimizer
  near "$(value dense/summary.json loss)" "$(value sparse/summary.json loss)" 1e-4 ||
    complain "$optimizer: the loss is $(value sparse/summary.json loss) instead of $(value dense/summary.json loss)"
  [ "$(sha dense)" != "$(sha sparse)" ] || complain "$optimizer: nothing was sparse"
  rm -rf dense sparse
done

# Stopped at any step, a run goes on to the bits of one that was not.
at_end_or() { at_step cut "$1" || gone "$leader"; }
for flags in "${moments[*]} topology.workers=2 topology.servers=2" "${decay[*]} topology.servers=0"; do
  mapfile -t words < <(set_words $flags train.epochs=20 checkpoint.every='30 step')
  run run job.yaml --out whole -q "${words[@]}"
  expect_exit 0
  begin cut "${words[@]}"
  await 20 at_end_or $((20 + RANDOM % 200)) || complain "no step was made; stderr: $(cat "$scratch/stderr")"
  kill -INT "$leader" 2> /dev/null
  await_end 5
  expect_alone
  [ $code -eq 0 ] || { begin_resume cut; await_end 30; expect_exit 0; }
  same_weights whole cut
  rm -rf whole cut
done

# What travels goes with what is not zero: ten times as many features that do not occur send nothing more.
train small topology.workers=2
write_sparse_job 50000
train large topology.workers=2
expect_exit 0
[ "$(sent small)" = "$(sent large)" ] || complain "$(sent small) bytes with 5,000 features, $(sent large) with 50,000"
weights=$(value large/summary.json count)
[ $((4 * weights * 40)) -gt $((20 * $(sent large))) ] || complain "$(sent large) bytes were sent of $weights weights in 40 steps"

expect_alone
finish
