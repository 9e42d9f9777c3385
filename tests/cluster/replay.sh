#!/bin/bash
# A run that was recorded is repeated bit for bit, whatever its policy leaves to chance and however slow its workers are
# the second time; and what cannot be repeated is refused in a sentence.
. "$(dirname "$0")/lib.sh"
write_job 960 32

# replay RUN FILE KEY=VALUE...: job.yaml once more, as the trace has it.
replay() {
  local folder=$1 file=$2 words
  shift 2
  mapfile -t words < <(set_words "$@")
  run run job.yaml --out "$folder" --replay "$file" --record -q "${words[@]}"
}

# law WORKERS SERVERS KEY=VALUE...
law() {
  local words=(topology.workers="$1" topology.servers="$2" "${@:3}") flags
  local straggler="two_point:1,$((2 + RANDOM % 6)),0.$((1 + RANDOM % 5))"
  mapfile -t flags < <(set_words "${words[@]}")
  run run job.yaml --out first --record -q "${flags[@]}"
  expect_exit 0
  replay again first/trace.jsonl "${words[@]}" faults.inject.compute="$straggler" faults.inject.unit='1 ms'
  expect_exit 0
  same_weights first again
  run verify trace again/trace.jsonl
  expect_exit 0
  expect_alone
  rm -rf first again
}

for servers in 1 2 3; do
  law $((2 + RANDOM % 3)) $servers sync.policy=asp train.optimizer.type=adam train.optimizer.learning_rate=1e-3
  law $((2 + RANDOM % 3)) $servers sync.policy=ssp sync.staleness=$((RANDOM % 3)) train.clip_norm=0.3
  law $((2 + RANDOM % 3)) $servers sync.policy=easgd sync.period=3 train.optimizer.type=nesterov
  law $((3 + RANDOM % 2)) $servers sync.policy=quorum sync.quorum=$((1 + RANDOM % 2))
  law $((2 + RANDOM % 3)) $servers sync.policy=adaptive sync.high=4
done
law 3 2 sync.policy=asp sync.compensation=delay train.clip_norm=0.3
law 4 2 sync.policy=ssp sync.compensation=delay sync.adaptive_lambda=true sync.rate=share
law 4 3 sync.policy=asp sync.compensation=staleness data.sharing=shard
law 4 2 sync.policy=quorum sync.quorum=2 train.clip_norm=0.3 data.sharing=shard
law 4 2 sync.policy=adaptive sync.high=4 train.clip_norm=0.3 sync.compensation=staleness
for policy in bsp subset local bmuf; do law 3 2 sync.policy=$policy; done
law 3 2 sync.policy=adaptive sync.adapt=period sync.low=1

# A trace of one's own: asked for by a key, it is the same file.
asp=(topology.workers=3 topology.servers=2 sync.policy=asp)
train kept "${asp[@]}" output.trace=true
replay again kept/trace.jsonl "${asp[@]}"
same_weights kept again
rm -rf again

# refused PATTERN FILE KEY=VALUE...
refused() {
  local pattern=$1 file=$2
  shift 2
  replay no "$file" "$@"
  expect_exit 2
  expect_last "$pattern"
  [ ! -e no ] || complain "a run began"
  rm -rf no
}
refused 'sync.policy was asp .* and is bsp now' kept/trace.jsonl "${asp[@]}" sync.policy=bsp
refused 'topology.workers was 3 .* and is 4 now' kept/trace.jsonl "${asp[@]}" topology.workers=4
refused 'topology.servers was 2 .* and is 1 now' kept/trace.jsonl "${asp[@]}" topology.servers=1
refused 'seed was 5 .* and is 6 now' kept/trace.jsonl "${asp[@]}" seed=6
refused 'train.optimizer.learning_rate was 0.05 .* and is 0.06 now' kept/trace.jsonl "${asp[@]}" \
  train.optimizer.learning_rate=0.06
replay again kept/trace.jsonl "${asp[@]}" name=other train.evaluate='9 step' checkpoint.every='7 step' output.log_every=3
expect_exit 0
same_weights kept again

head -n 200 kept/trace.jsonl > torn.jsonl
refused 'is no whole recording of asp' torn.jsonl "${asp[@]}"
sed '/"apply"/{0,//d}' kept/trace.jsonl > other.jsonl
refused 'is no whole recording of asp' other.jsonl "${asp[@]}"
run run job.yaml --out no --replay job.yaml -q
expect_exit 4
run run job.yaml --out no --replay nothing.jsonl -q
expect_exit 4
run run job.yaml --out kept --resume --replay kept/trace.jsonl
expect_exit 2
train fresh topology.workers=2 sync.policy=ssp sync.eager=true output.trace=true
refused 'sync.eager' fresh/trace.jsonl topology.workers=2 sync.policy=ssp sync.eager=true

# Stopped and resumed: neither part is a whole run.
write_job 6400 16
slow_by '5 ms'
mapfile -t words < <(set_words "${asp[@]}" checkpoint.every='5 step')
begin cut --record "${words[@]}" "${slow[@]}"
await_step cut $((30 + RANDOM % 100))
kill -INT "$leader"
await_end 15
refused 'is no whole recording' cut/trace.jsonl "${asp[@]}"
run resume cut --record -q "${quick[@]}"
expect_exit 0
refused 'was recorded when a run was resumed' cut/trace-2.jsonl "${asp[@]}"

mapfile -t quorum < <(set_words topology.workers=3 topology.servers=2 sync.policy=quorum sync.quorum=2)
begin short --record "${quorum[@]}" "${slow[@]}"
await_step short $((30 + RANDOM % 100))
kill -INT "$leader"
await_end 15
run run job.yaml --out no --replay short/trace.jsonl -q "${quorum[@]}"
expect_exit 4
expect_last 'the recording ends before step'
expect_alone
rm -rf no

# A replay that is stopped ends.
mapfile -t words < <(set_words "${asp[@]}" train.clip_norm=0.3 checkpoint.every='5 step')
run run job.yaml --out full --record -q "${words[@]}"
begin half "${words[@]}" "${slow[@]}" --replay full/trace.jsonl
await_step half $((30 + RANDOM % 100))
kill -INT "$leader"
await_end 15
[ "$code" -eq 130 ] || complain "exit code $code after SIGINT; stderr: $(cat "$scratch/stderr")"
expect_alone

# A worker was lost: neither is that.
mapfile -t lossy < <(set_words "${asp[@]}")
begin lost --record "${lossy[@]}" "${slow[@]}" --set faults.on_worker_loss=continue
await_step lost $((30 + RANDOM % 100))
kill -9 "$(pid_of lost worker 1)"
await_end 20
expect_exit 0
refused 'lost worker 1' lost/trace.jsonl "${asp[@]}"
expect_alone
finish
