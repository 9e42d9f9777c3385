#!/bin/bash
# Shards of every cut: the plan tells who has which rows, a run learns from them, and all roles agree on them.
. "$(dirname "$0")/lib.sh"

write_job 611 32
for by in stride contiguous hash label dirichlet; do
  cut="data.sharing=shard data.partition.by=$by"
  mapfile -t words < <(set_words $cut topology.workers=3 topology.servers=2)
  run plan job.yaml "${words[@]}"
  expect_exit 0
  expect_part stdout 'worker 2'
  grep -qE '^shard +rows +0 +1 +2$' "$scratch/stdout" || complain "no table of shards: $(cat "$scratch/stdout")"
  train shards $cut topology.workers=3 topology.servers=2
  expect_exit 0
  train again $cut topology.workers=3 topology.servers=1
  expect_exit 0
  same_weights shards again
  rows=$(sed -n '/"shards"/,$p' shards/plan.json | sed -n 's/.*"rows": *\([0-9]*\).*/\1/p' | awk '{ sum += $1 } END { print sum + 0 }')
  [ "$rows" -eq 611 ] || complain "the shards by $by hold $rows rows instead of 611"
  rm -rf shards again
done

mapfile -t words < <(set_words data.sharing=shard data.partition.by=dirichlet data.partition.alpha=1e-6 topology.workers=8)
run run job.yaml --out empty -q "${words[@]}"
expect_exit 4
expect_part stderr 'without training rows: raise data.partition.alpha'

mapfile -t words < <(set_words data.sharing=shard data.partition.by=label topology.workers=3)
run plan job.yaml --json "${words[@]}"
expect_exit 0
expect_part stdout '"classes"'
expect_alone
finish
