#!/bin/bash
# However the rows are shared, a run has the bits of one process that folds the same micro-batches; workers that have no
# files can take part; a pipeline's slowest stage is told of; the lost worker's rows are to be had elsewhere.
. "$(dirname "$0")/lib.sh"

modes=(central peer staged)

# law_of_modes WORKERS SERVERS KEY=VALUE...: in each of the modes.
law_of_modes() {
  local workers=$1 servers=$2 mode
  shift 2
  train one topology.servers=0 train.micro_batches="$workers" "$@"
  expect_exit 0
  for mode in "${modes[@]}"; do
    train many topology.workers="$workers" topology.servers="$servers" data.sharing="$mode" "$@"
    expect_exit 0
    same_weights one many
    rm -rf many
  done
  rm -rf one
}

write_job 611 32  # the last batch of an epoch has 3 rows
law_of_modes 3 2 train.optimizer.type=adam train.optimizer.learning_rate=1e-3
modes=(staged)
law_of_modes 4 1 topology.loaders=3 data.ahead=1
modes=(peer)
law_of_modes 2 1 data.ahead=1 train.optimizer.type=momentum
law_of_modes 4 2 train.clip_norm=0.5
modes=(central peer staged)

# Without servers, and where workers step by themselves: the bits of a run in which each reads for itself.
for setting in "topology.kind=ring" "topology.kind=tree sync.policy=local sync.period=3" \
               "topology.servers=2 sync.policy=bmuf sync.period=4" \
               "topology.servers=1 sync.policy=subset sync.size=2" "topology.servers=1 sync.policy=quorum sync.quorum=3"; do
  train alone topology.workers=3 $setting
  expect_exit 0
  for mode in "${modes[@]}"; do
    train shared topology.workers=3 data.sharing="$mode" $setting
    expect_exit 0
    same_weights alone shared
    rm -rf shared
  done
  rm -rf alone
done

# Pairs take what is there when they meet: no two runs of gossip have the same bits, but each of them learns.
for mode in "${modes[@]}"; do
  train pairs topology.workers=3 topology.kind=gossip sync.policy=gossip data.sharing="$mode"
  expect_exit 0
  rm -rf pairs
done

# More workers than rows: some hold nothing.
write_job 3 4
law_of_modes 4 1 train.epochs=3

# A worker from outside that has none of the files: where each reads for itself it fails, elsewhere it does its part.
write_files() {
  write_job 6400 16
  seq 1 900 | awk '{ a = $1 * 37 % 101; b = $1 * 53 % 89; print a "," b "," ($1 * 7 % 13) "," (a > b ? "up" : "down") }' > rows.csv
  sed -i '/^data:/,/^train:/{/^train:/!d}' job.yaml
  sed -i 's/{dense: 3}/{dense: 2}/' job.yaml
  cat >> job.yaml <<END
data: {format: csv, train: rows.csv, csv: {header: false, target: last}, holdout: 0.1, normalize: {features: standardize}}
END
}
write_files
run run job.yaml --out whole -q --set topology.workers=2
expect_exit 0
for mode in "${modes[@]}" replicate; do
  begin outside --set data.sharing="$mode" --set topology.workers=2 --set topology.external=1 --listen 'tcp://127.0.0.1:*' \
    --token-file token
  await_line 10 "$scratch/stderr" "join with: dtrain worker"
  read -r -a command <<< "$(sed -n 's/.*join with: dtrain \(worker .*\)/\1/p' "$scratch/stderr" | head -n 1)"
  "$dtrain" "${command[@]}" --data-dir /nowhere > joiner.out 2> joiner < /dev/null &
  joiner=$!
  await_end 30
  if [ "$mode" = replicate ]; then
    [ "$code" -eq 4 ] || complain "a worker without files ended the run with $code: $(cat joiner)"
  else
    expect_exit 0
    same_weights whole outside
  fi
  await_end 10 $joiner
  rm -rf outside
done
expect_alone

# The slowest stage is the workers' here, which are slowed; and all three are told of.
write_job
train staged topology.workers=2 topology.loaders=2 data.sharing=staged faults.inject.compute=constant:1 faults.inject.unit='2 ms'
expect_exit 0
[ "$(value staged/summary.json bottleneck)" = train ] || complain "the bottleneck is $(value staged/summary.json bottleneck)"
[ "$(value staged/summary.json loaders)" = 2 ] || complain "there are $(value staged/summary.json loaders) loaders"

# A worker that is lost takes its shard along: the others get those rows from the loader, and every row is learned.
write_job 6400 32
for mode in peer central staged; do
  begin lost --set data.sharing=$mode --set topology.workers=3 --set faults.on_worker_loss=continue --set train.epochs=3 \
    --set faults.inject.compute=constant:1 --set faults.inject.unit='4 ms'
  await_step lost 20
  kill -9 "$(pid_of lost worker 1)"
  await_end 60
  expect_exit 0
  grep -q '"event":"fault"' lost/metrics.jsonl || complain "$mode: it lost nobody"
  [ "$(value lost/summary.json steps)" = 600 ] || complain "$mode: the run ended at step $(value lost/summary.json steps)"
  rm -rf lost
done
expect_alone

# A loader that is lost ends a run that may not go back, and is named.
begin lost --set faults.max_restarts=0 --set data.sharing=central --set topology.workers=2 --set train.epochs=50 --set faults.inject.compute=constant:1 \
  --set faults.inject.unit='2 ms'
await_step lost 5
kill -9 "$(pid_of lost loader 0)"
await_end 20
expect_exit 7
grep -q 'loader 0' "$scratch/stderr" || complain "the loader is not named: $(cat "$scratch/stderr")"
expect_alone
finish
