#!/bin/bash
# bsp has the bits of one process that folds the same micro-batches, and sends what the formula says; asp is told of.
. "$(dirname "$0")/lib.sh"

write_job 611 32  # the last batch of an epoch has 3 rows
for servers in 1 2 3; do
  law 1 $servers train.optimizer.type=sgd
  law 2 $servers train.optimizer.type=nesterov
  law 3 $servers train.optimizer.type=adam train.optimizer.learning_rate=1e-3
  law 4 $servers train.optimizer.type=adamw train.optimizer.learning_rate=1e-3 train.optimizer.weight_decay=0.01
done
law 3 2 train.clip_norm=0.5 train.optimizer.type=momentum train.optimizer.weight_decay=1e-3
law 4 3 train.clip_norm=0.1 train.optimizer.type=adagrad
law 2 3 train.optimizer.type=rmsprop train.optimizer.learning_rate=1e-3 train.clip_norm=1
law 4 2 train.schedule.type=cosine train.schedule.warmup='5 step'
law 3 1 data.partition.by=contiguous

write_job 42 10  # the last batch of an epoch has 2 rows: some ranks have none
law 3 2 train.optimizer.type=adam train.epochs=5
law 4 3 train.clip_norm=0.5 train.epochs=5
law 3 2 train.batch=100000
train few topology.workers=3 topology.servers=2 sync.policy=asp train.clip_norm=0.5 train.epochs=5
expect_exit 0
write_job 1 4
law 4 2 train.epochs=3

# Bytes: 4n up and 4n down for every step with rows, and one pull.
write_job 640 32
train bytes topology.workers=2 topology.servers=3
weights=$(value bytes/summary.json count)
for rank in 0 1; do
  sed -n '/"role": "worker"/,/}/p' bytes/summary.json | awk -v RS='}' -v rank=$rank 'NR == rank + 1' > role
  [ "$(value role rank)" = $rank ] || complain "worker $rank is not where it was sought: $(cat role)"
  [ "$(value role bytes_sent)" -eq $((4 * weights * 40)) ] || complain "worker $rank sent $(value role bytes_sent)"
  [ "$(value role bytes_received)" -eq $((4 * weights * 41)) ] || complain "worker $rank received $(value role bytes_received)"
done

# asp: alone it is bsp, to the bit.
write_job 611 32
train alone topology.servers=2 sync.policy=asp train.optimizer.type=adam
expect_exit 0
train gated topology.servers=2 sync.policy=bsp train.optimizer.type=adam
same_weights alone gated

# asp: every push is applied; the mean staleness is near N - 1, whatever the speeds, up to the ends of the run.
write_job 8192 32
train free topology.workers=3 topology.servers=2 sync.policy=asp train.epochs=4 faults.inject.compute=constant:1 faults.inject.unit='1 ms'
expect_exit 0
mean=$(sed -n '/"staleness": {/,/^  }/p' free/summary.json | sed -n 's/.*"mean": *\([0-9.]*\).*/\1/p')
awk -v mean="${mean:-none}" 'BEGIN { exit !(mean > 1 && mean < 2.2) }' || complain "the mean staleness of three workers is ${mean:-not told}"
pushes=$(sed -n '/"histogram"/,/}/p' free/summary.json | sed -n 's/.*": *\([0-9]*\),\{0,1\}$/\1/p' | awk '{ sum += $1 } END { print sum + 0 }')
[ "$pushes" -eq $((2 * 3 * 4 * 256)) ] || complain "$pushes pushes were applied to both slices instead of 6144"
expect_alone
finish
