#!/bin/bash
# Workers without servers: the bits and losses of servers, in as many bytes as the plan says, over every transport and
# under every policy that needs no server; stopped, killed and joined from outside they end as with servers.
here=$(dirname "$(realpath "$0")")
. "$here/lib.sh"
digits=$here/../../configs/digits.yaml

# digits RUN KEY=VALUE...: configs/digits.yaml, cut small: 48 steps, in each of which every rank has rows.
digits() {
  local folder=$1 words
  shift
  mapfile -t words < <(set_words data.generate.rows=3000 data.generate.test_rows=500 train.epochs=2 'assert=[]' topology.threads=1 "$@")
  run run "$digits" --out "$folder" -q "${words[@]}"
  expect_exit 0
}
# peers RUN KIND WORKERS KEY=VALUE...: without servers.
peers() {
  local folder=$1 kind=$2 workers=$3
  shift 3
  digits "$folder" topology.servers=0 topology.kind="$kind" topology.workers="$workers" "$@"
}

# loss RUN: on the test rows.
loss() { sed -n '/"test": {/,/}/p' "$1/summary.json" | sed -n 's/.*"loss": *\([-+.e0-9]*\).*/\1/p'; }
# near RUN OTHER: their losses are alike up to rounding.
near() {
  awk -v a="$(loss "$1")" -v b="$(loss "$2")" 'BEGIN { d = a > b ? a - b : b - a; exit !(b > 0 && d <= 1e-5 * b) }' ||
    complain "the loss of $1 is $(loss "$1"), that of $2 $(loss "$2")"
}

# bytes RUN [at_most]: all that workers sent in their exchanges is what was foreseen, and arrived.
bytes() {
  local sent received
  sent=$(value "$1/summary.json" payload_sent) received=$(value "$1/summary.json" payload_received)
  [ "${sent:-0}" -gt 0 ] && [ "$sent" = "$received" ] || complain "${sent:-no} bytes of $1 were sent, ${received:-no} received"
  awk -v how="${2:-exactly}" -v sent="$sent" -v steps="$(value "$1/plan.json" steps)" \
    -v workers="$(value "$1/plan.json" workers)" -v push="$(value "$1/plan.json" push_bytes_per_step)" \
    -v both="$(value "$1/plan.json" bytes_per_worker_step)" -v pull="$(value "$1/plan.json" pull_bytes_per_step)" \
    'BEGIN { mean = sent * 2 / steps / workers; off = mean - push - pull; told = both - push - pull
             exit !(told >= -0.51 && told <= 0.51 && off < 0.01 && (how == "at_most" || off > -0.01)) }' ||
    complain "$sent bytes of $1 were sent; the plan says: $(grep '_step"' "$1/plan.json")"
}

# sound RUN: its trace keeps the policy's promise.
sound() {
  run verify trace "$1/trace.jsonl"
  expect_exit 0
}

# All kinds: near to servers, the same bits each time and over each transport.
transports=(ipc tcp shared_memory) turn=0
for workers in 2 3 4; do
  digits served topology.workers=$workers
  for kind in ring halving_doubling tree auto; do
    peers one $kind $workers
    bytes one
    near one served
    how=${transports[$((turn++ % 3))]}
    peers other $kind $workers topology.transport=$how
    bytes other
    same_weights one other
    case $workers-$(value one/plan.json algorithm) in
      2-* | 3-tree | *-direct) same_weights served one ;;
    esac
    rm -rf one other
  done
  rm -rf served
done
peers one ring 3
for how in "${transports[@]}"; do
  peers other ring 3 topology.transport=$how
  bytes other
  same_weights one other
  rm -rf other
done
rm -rf one

# Every policy that needs no server, and what it may be combined with. Of two ranks no order of the sum can differ.
adam=(train.optimizer.type=adam train.optimizer.learning_rate=1e-3)
cases=(
  'sync.policy=bsp'
  'sync.policy=bsp train.clip_norm=0.5'
  'sync.policy=bsp data.sharing=shard train.clip_norm=0.5 train.optimizer.type=momentum'
  "sync.policy=subset sync.size=1 ${adam[*]}"
  'sync.policy=local sync.period=5'
  "sync.policy=local sync.period=4 sync.momentum=average ${adam[*]}"
  'sync.policy=local sync.period=5 train.clip_norm=0.5 data.sharing=shard'
  "sync.policy=bmuf sync.period=6 ${adam[*]}"
  'sync.policy=bmuf sync.period=7 sync.momentum=average')
for case in "${cases[@]}"; do
  read -r -a words <<< "$case"
  how=exactly
  [[ $case != *subset* ]] || how=at_most  # who is not drawn has nothing to send
  digits served "${words[@]}"
  peers one ring 2 "${words[@]}" output.trace=true
  same_weights served one
  sound one
  bytes one $how
  rm -rf one
  peers one halving_doubling 3 "${words[@]}" output.trace=true
  sound one
  bytes one $how
  peers other halving_doubling 3 "${words[@]}" topology.transport=tcp
  same_weights one other
  rm -rf served one other
done

# Every codec: the bytes foreseen, the same bits each time. Of fp16 they are those of servers: it knows no neighbours.
for codec in 'fp16' 'bf16 sync.feedback=true' 'qsgd' 'onebit' 'topk sync.density=0.02' 'zstd' 'zstd sync.zstd_of=onebit'; do
  read -r -a words <<< "sync.codec=$codec"
  how=exactly
  [[ $codec != zstd* ]] || how=at_most
  for workers in 2 3; do
    peers one ring $workers "${words[@]}"
    bytes one $how
    peers other ring $workers "${words[@]}" topology.transport=ipc
    same_weights one other
    [ "$codec" != fp16 ] || {
      digits served "${words[@]}" topology.workers=$workers
      same_weights served one
      rm -rf served
    }
    rm -rf one other
  done
done
expect_alone
[ "$failures" -eq 0 ] || finish  # what follows would wait for much that does not come

# Rows for some ranks only, and none for most.
write_job 42 10
for kind in ring halving_doubling tree; do
  train idle topology.workers=4 topology.servers=0 topology.kind=$kind train.epochs=5 train.clip_norm=0.5 output.trace=true
  expect_exit 0
  sound idle
  rm -rf idle
done
write_job 1 4
train idle topology.workers=3 topology.servers=0 topology.kind=ring
expect_exit 0
rm -rf idle

# Stopped in the midst and resumed: the bits of a run that was not.
resumes() {
  local flags kinds=(ring halving_doubling tree)
  set -- topology.servers=0 topology.kind="${kinds[RANDOM % 3]}" "$@"
  mapfile -t flags < <(set_words "$@")
  rm -rf whole cut
  train whole "$@"
  expect_exit 0
  begin cut "${flags[@]}" "${slow[@]}"
  await_step cut $((20 + RANDOM % 100))
  kill -INT "$leader"
  await_end 5
  ran="a run of $* that is stopped"
  expect_exit 130
  begin_resume cut "${quick[@]}"
  await_end 20
  ran="dtrain resume of a run of $*"
  expect_exit 0
  same_weights whole cut
}
write_job 64000 32  # 2000 steps an epoch
slow_by '2 ms'
resumes topology.workers=3 train.optimizer.type=nesterov train.schedule.type=cosine
resumes topology.workers=3 sync.policy=local sync.period=7 "${adam[@]}"
resumes topology.workers=2 sync.policy=bmuf sync.period=5 train.optimizer.type=nesterov
resumes topology.workers=3 sync.codec=onebit "${adam[@]}"
resumes topology.workers=2 sync.codec=topk sync.density=0.05 sync.density_warmup='90 step' sync.topk_momentum=0.9
expect_alone

# Killed: whoever it is, it is named, and nobody is left.
for transport in shared_memory tcp; do
  for kind in ring tree; do
    rm -rf killed
    begin killed $(set_words topology.workers=3 topology.servers=0 topology.kind=$kind topology.transport=$transport train.epochs=100)
    await_step killed $((10 + RANDOM % 50))
    victim=$((RANDOM % 3))
    kill -9 "$(pid_of killed worker $victim)"
    await_end 5
    ran="a run on a $kind over $transport whose worker $victim is killed"
    expect_exit 7
    expect_last "worker $victim .*at step [0-9]* while"
    expect_alone
  done
done

# From outside, encrypted.
write_job 6400 16
mapfile -t all < <(set_words topology.workers=3 topology.servers=0 topology.kind=ring train.clip_norm=1)
run run job.yaml --out inside -q "${all[@]}"
expect_exit 0
begin outside "${all[@]}" --set topology.external=1 --listen 'tcp://127.0.0.1:*' --token-file token
await_line 10 "$scratch/stderr" 'join with: dtrain worker'
read -r -a command <<< "$(sed -n 's/.*join with: dtrain \(worker .*\)/\1/p' "$scratch/stderr" | head -n 1)"
"$dtrain" "${command[@]}" > joiner.out 2> joiner < /dev/null &
joiner=$!
await_end 20
expect_exit 0
same_weights inside outside
await_end 5 $joiner
[ "$code" -eq 0 ] || complain "the external worker ended with $code: $(cat joiner)"
expect_alone
finish
