#!/bin/bash
# Where each rank goes on by itself, a checkpoint is one consistent cut: what every server saves holds just the pushes
# below the clocks that it says. The servers' own traces tell what was applied, and the checkpoints what was saved.
. "$(dirname "$0")/lib.sh"
write_job 3200 16  # 200 steps an epoch

# cuts_of TRACE SERVER WORKERS: its cuts, the last step of the run with them, one a line: "12 14 9"
cuts_of() {
  sed -n 's/.*"event": "cut", "server": '"$2"', .*"clock": \([0-9]*\),.*/\1/p' "$1" | paste -d ' ' $(yes - | head -n "$3")
}
# clocks_of CHECKPOINT: the same of what was saved.
clocks_of() {
  tr -d '\n ' < "$1/progress.json" | sed 's/.*"clocks":\[\([0-9,]*\)\].*/\1\n/' | tr ',' ' '
}

# expect_cuts RUN TRACE WORKERS SERVERS LEAST: at least so many checkpoints are cuts that every server tells of.
expect_cuts() {
  local run=$1 trace=$1/$2 workers=$3 servers=$4 checkpoint clocks server count=0
  ran="verify trace $trace ($ran)"
  "$dtrain" verify trace "$trace" > verified 2>&1 || complain "$(cat verified)"
  for ((server = 0; server < servers; ++server)); do cuts_of "$trace" $server "$workers" > "cuts.$server"; done
  for checkpoint in "$run"/checkpoints/step-*; do
    clocks=$(clocks_of "$checkpoint")
    for ((server = 0; server < servers; ++server)); do
      grep -qxF "$clocks" "cuts.$server" || complain "server $server made no cut at $clocks, which $checkpoint is of"
    done
    count=$((count + 1))
  done
  [ "$count" -ge "$5" ] || complain "$count checkpoints, where at least $5 were to be made"
}

# law WORKERS SERVERS KEY=VALUE...: with a straggler, so that ranks are far apart.
straggler=(faults.inject.compute=two_point:1,9,0.1 faults.inject.unit='2 ms')
law() {
  train cut topology.workers="$1" topology.servers="$2" output.trace=true checkpoint.keep=1000 "${straggler[@]}" "${@:3}"
  expect_exit 0
  expect_cuts cut trace.jsonl "$1" "$2" 2
  expect_alone
}
adam=(train.optimizer.type=adam train.optimizer.learning_rate=1e-3)
for servers in 1 2 3; do
  law 3 $servers sync.policy=asp "${adam[@]}" checkpoint.every='7 step'
  rm -rf cut
  law 4 $servers sync.policy=ssp sync.staleness=1 train.clip_norm=0.3 checkpoint.every='20 ms'
  rm -rf cut
  law 3 $servers sync.policy=easgd sync.period=3 train.optimizer.type=nesterov checkpoint.every='9 step'
  rm -rf cut
done
law 3 2 sync.policy=adaptive sync.high=4 train.clip_norm=0.3 checkpoint.every='0.1 epoch'
rm -rf cut
law 4 3 sync.policy=asp sync.compensation=delay data.sharing=shard checkpoint.every='5 step'
rm -rf cut
law 3 2 sync.policy=ssp sync.staleness=2 sync.eager=true checkpoint.every='10 ms'
rm -rf cut
law 3 2 sync.policy=asp sync.codec=onebit checkpoint.every='20 step'

# A trace whose cut has one push more, or that tells of a push below the cut behind it, is found out.
line=$(grep -n '"event": "cut"' cut/trace.jsonl | head -n 1)
clock=$(sed 's/.*"clock": \([0-9]*\).*/\1/' <<< "$line")
sed "${line%%:*}s/\"clock\": $clock/\"clock\": $((clock + 1))/" cut/trace.jsonl > forged.jsonl
run verify trace forged.jsonl
expect_exit 9
rm -rf cut

# Parts of a split network mark at the same step, and so do all replicas' parts.
split=(topology.split.pipeline=2 "${straggler[@]}" output.trace=true checkpoint.keep=1000)
for policy in asp 'ssp sync.staleness=1 train.clip_norm=0.3' 'easgd sync.period=4'; do
  train cut topology.workers=4 topology.servers=2 sync.policy=$policy "${split[@]}" checkpoint.every='9 step'
  expect_exit 0
  expect_cuts cut trace.jsonl 2 2 2
  expect_alone
  rm -rf cut
done

# Who takes the place of one that waited for others waits too, and marks all the same, though its codec keeps something back.
mapfile -t words < <(set_words topology.workers=2 topology.servers=1 sync.policy=ssp sync.staleness=0 sync.codec=onebit \
  faults.on_worker_loss=restart checkpoint.every='150 ms' train.steps=12 faults.inject.compute=slow:1,100,0 faults.inject.unit='5 ms')
begin cut "${words[@]}"
await_step cut 3
kill -9 "$(pid_of cut worker 1)"
await_end 60
expect_exit 0
expect_alone
rm -rf cut

# Of whoever is lost while the others come to their end, the last cut has all that was applied.
mapfile -t words < <(set_words topology.workers=4 topology.servers=1 sync.policy=asp topology.transport=tcp output.trace=true \
  faults.stalled_after='1 s' faults.on_worker_loss=continue faults.inject.compute=constant:1 faults.inject.unit='1 ms')
for step in 100 380 385 390 393; do
  run run job.yaml --out cut -q --chaos cut:worker.0@$step "${words[@]}"
  # Where the others had come to their end when it was noticed, nobody could take over its rows. At 100 they have not.
  if [ "$code" -eq 7 ] && [ $step -gt 100 ]; then
    expect_last 'worker 0\|server 0'
  else
    expect_exit 0
    run verify trace cut/trace.jsonl
    expect_exit 0
  fi
  rm -rf cut
done

# A stop is a cut, from which the next part begins: no push is applied twice, and none is left out.
for policy in 'asp' 'ssp sync.staleness=1' 'easgd sync.period=5' 'asp train.clip_norm=0.3'; do
  mapfile -t words < <(set_words topology.workers=3 topology.servers=2 sync.policy=$policy "${straggler[@]}" \
    checkpoint.every=0 output.trace=true)
  begin cut "${words[@]}"
  await_step cut $((20 + RANDOM % 60))
  kill -INT "$leader"
  await_end 20
  [ "$code" -eq 130 ] || complain "exit code $code after SIGINT; stderr: $(cat "$scratch/stderr")"
  expect_cuts cut trace.jsonl 3 2 1
  stopped=$(tail -n 1 cuts.0 | tr ' ' ,)
  run resume cut -q
  expect_exit 0
  head -n 1 cut/trace-2.jsonl | tr -d ' ' | grep -qF "\"clocks\":[$stopped]" ||
    complain "stopped at $stopped, and resumed from $(head -n 1 cut/trace-2.jsonl | cut -c 1-200)"
  run verify trace cut/trace-2.jsonl
  expect_exit 0
  rm -rf cut
done

# A worker that is lost holds no checkpoint up.
mapfile -t words < <(set_words topology.workers=3 topology.servers=2 sync.policy=asp faults.on_worker_loss=continue \
  checkpoint.every='2 step' checkpoint.keep=1000 output.trace=true faults.inject.compute=constant:1 faults.inject.unit='8 ms')
for rank in 1 2; do
  begin cut "${words[@]}"
  await_step cut $((10 + RANDOM % 30))
  kill -9 "$(pid_of cut worker $rank)"
  await_line 20 cut/metrics.jsonl '"event":"fault"'
  lost=$(grep -n '"event":"fault"' cut/metrics.jsonl | head -n 1 | cut -d : -f 1)
  await_end 60
  expect_exit 0
  after=$(tail -n "+$lost" cut/metrics.jsonl | grep -c '"event":"checkpoint"')
  [ "$after" -ge 3 ] || complain "$after checkpoints after the loss of worker $rank"
  run verify trace cut/trace.jsonl
  expect_exit 0
  expect_alone
  rm -rf cut
done

# What was recorded with checkpoints is repeated bit for bit; the repetition saves none on its way.
for policy in 'asp' 'easgd sync.period=3'; do
  words=(topology.workers=3 topology.servers=2 sync.policy=$policy checkpoint.every='5 step')
  train first output.trace=true "${words[@]}"
  expect_exit 0
  mapfile -t flags < <(set_words "${words[@]}" "${straggler[@]}")
  run run job.yaml --out again --replay first/trace.jsonl -q "${flags[@]}"
  expect_exit 0
  same_weights first again
  rm -rf first again
done

# Training goes on while a large state is written.
cat > job.yaml <<'END'
name: t
seed: 5
model: {layers: [{dense: 2000, activation: relu}, {dense: 2000, activation: relu}, {dense: 3}]}
data: {format: generated, generate: {set: blobs, rows: 640, test_rows: 50, features: 13, classes: 3, noise: 2}}
train: {epochs: 1, batch: 8, evaluate: 0, optimizer: {type: adam, learning_rate: 1e-3}}
topology: {threads: 1, workers: 2, servers: 1}
checkpoint: {every: 20 step, keep: 1}
output: {log_every: 1}
END
seconds() { date -d "$(sed 's/.*"time":"\([^"]*\)".*/\1/' <<< "$1")" +%s.%N; }
for policy in bsp asp; do
  train large sync.policy=$policy
  expect_exit 0
  grep '"event":"step"' large/metrics.jsonl | while read -r step; do seconds "$step"; done > times
  grep '"event":"checkpoint"' large/metrics.jsonl | while read -r saved; do
    end=$(seconds "$saved") took=$(sed 's/.*"seconds":\([0-9.e-]*\).*/\1/' <<< "$saved")
    awk -v end="$end" -v took="$took" '$1 > end - took && $1 < end { ++n } END { exit !(n > 0) }' times && echo "in $took s"
  done > during
  [ -s during ] || complain "no step was made while a checkpoint was written under $policy"
  rm -rf large
done
finish
