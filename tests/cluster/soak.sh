#!/bin/bash
# A bounded soak of real processes: short runs under random policies and topologies, with random faults made on purpose.
# Each must end, in time, with an exit code that is documented for what was done to it, and leave nobody behind; what it
# says of itself must be true. SOAK_SEED repeats a soak, SOAK_RUNS makes it longer.
. "$(dirname "$0")/lib.sh"
seed=${SOAK_SEED:-$((RANDOM * 32768 + RANDOM))} runs=${SOAK_RUNS:-20}
echo "soak.sh: SOAK_SEED=$seed SOAK_RUNS=$runs"
RANDOM=$((seed % 32768))
write_job 640 16
patience=60  # s; a quiet machine needs 6 at most
faults=0 hangs=0 lost=0

# one_of WORD...: one of the words, drawn, into $drawn (a subshell would draw the same again).
one_of() {
  local at=$((RANDOM % $# + 1))
  drawn=${!at}
}

# draw_run: what is to be run, into $words, $kind and $policy; $workers and $servers of it.
draw_run() {
  one_of servers servers servers servers split ring halving_doubling tree gossip one
  kind=$drawn
  workers=$((3 + RANDOM % 2)) servers=0 policy=bsp losses=stop
  one_of 0 0 3
  words=(checkpoint.every='20 step' faults.stalled_after='2 s' faults.max_restarts=$drawn)
  words+=(faults.inject.compute=constant:1 faults.inject.unit='1 ms')
  case $kind in
    servers)
      servers=$((1 + RANDOM % 2))
      one_of bsp bsp asp 'ssp:2' "quorum:2" "subset:2" 'local:5' 'easgd:4' 'bmuf:5' 'adaptive:0-4'
      policy=$drawn
      one_of stop continue restart replicas
      losses=$drawn
      case $losses:$policy in
        replicas:quorum:* | replicas:adaptive:*) losses=stop ;; # which it does not go with
        replicas:*) losses=stop words+=(faults.replicas=1) ;;
      esac
      one_of replicate replicate shard central
      words+=(output.trace=true data.sharing="$drawn")
      ;;
    split)
      workers=4
      one_of bsp asp 'local:5' 'easgd:4' ring
      policy=$drawn
      [ $policy = ring ] && policy=bsp words+=(topology.kind=ring) || servers=2
      one_of pipeline tensor
      words+=(topology.split."$drawn"=2 train.optimizer.learning_rate=1e-3)
      ;;
    one) workers=1 ;;
    gossip) policy=gossip words+=(topology.kind=gossip) ;;
    *) words+=(topology.kind=$kind) ;;
  esac
  case $policy in
    ssp:*) words+=(sync.policy=ssp sync.staleness=2) ;;
    quorum:*) words+=(sync.policy=quorum sync.quorum=2) ;;
    subset:*) words+=(sync.policy=subset sync.size=2) ;;
    local:* | bmuf:*) words+=(sync.policy="${policy%:*}" sync.period=5) ;;
    easgd:*) words+=(sync.policy=easgd sync.period=4) ;;
    adaptive:*) words+=(sync.policy=adaptive sync.high=4) ;;
    *) words+=(sync.policy="$policy") ;;
  esac
  words+=(topology.workers=$workers topology.servers=$servers faults.on_worker_loss=$losses)
  if [ $workers -gt 1 ]; then
    one_of ipc shared_memory tcp
    words+=(topology.transport="$drawn")
  fi
}

# draw_chaos: into $chaos; and the exit codes that it allows, beside 0 (1: 0 is all), into $codes.
draw_chaos() {
  local who action
  who=worker
  [ $servers -eq 0 ] || { one_of worker worker server; who=$drawn; }
  if [ $workers -eq 1 ]; then
    one_of kill:worker kill:coordinator disk
  else
    one_of kill kill stop drop drop cut delay duplicate coordinator disk
  fi
  action=$drawn
  codes='0 7'
  case $action in
    kill:worker | kill:coordinator) chaos=$action codes='0 137' ;;
    coordinator) chaos=kill:coordinator codes='0 137' ;;
    disk) chaos=disk@$((1 + RANDOM % 3)) codes='0 5' ;;
    delay) chaos="delay:$who.*@~0.1:$((1 + RANDOM % 20))ms" codes=0 ;;
    duplicate) chaos="duplicate:$who.*@~0.1:$((1 + RANDOM % 3))" codes=0 ;;
    *) chaos=$action:$who ;;
  esac
  # Something that does no harm goes on beside it.
  [ $workers -eq 1 ] || [ $((RANDOM % 2)) -eq 0 ] || chaos+=",delay@~0.05:2ms,duplicate:worker.*@~0.02"
  chaos+=",seed=$RANDOM"
}

# Whether the run went through all its steps with all its workers, be it after going back.
all_there() { ! grep '"event":"fault"' "$1/metrics.jsonl" | grep '"role":"worker"' | grep -q '"action":"continue"'; }

# The trace of its last attempt; nothing if there is none.
newest_trace() { ls -t on/trace*.jsonl 2> /dev/null | head -n 1; }

# judge: the run that has ended, in the folder on.
judge() {
  local allowed=0 c
  for c in $codes; do [ "$code" = "$c" ] && allowed=1; done
  [ $allowed = 1 ] || complain "ended with $code, not with one of: $codes; stderr: $(cat "$scratch/stderr")"
  await 5 no_strays || expect_alone
  faults=$((faults + $(grep -c '"event":"chaos"' on/metrics.jsonl)))
  if [ "$code" = 137 ] && ls on/checkpoints/*/DONE > /dev/null 2>&1; then
    begin_resume on
    await_or_hang
    expect_exit 0
  fi
  [ "$code" = 0 ] || return 0
  if [ -n "$(newest_trace)" ]; then
    "$dtrain" verify trace "$(newest_trace)" > "$scratch/verified" 2>&1 || {
      lost=$((lost + 1))
      complain "its trace breaks the promise: $(cat "$scratch/verified")"
    }
  fi
  case $policy in bsp | subset:* | local:* | bmuf:*) ;; *) return 0 ;; esac
  all_there on || return 0
  train calm "${words[@]}"
  expect_exit 0
  same_weights on calm
  [ "$(sha on)" = "$(sha calm)" ] || lost=$((lost + 1))
}

# await_or_hang: until what was begun has ended, with its exit code in $code.
await_or_hang() {
  await "$patience" gone "$leader" || {
    hangs=$((hangs + 1))
    complain "hangs; metrics: $(tail -n 3 on/metrics.jsonl); stderr: $(cat "$scratch/stderr")"
    [ -z "${SOAK_KEEP:-}" ] || cp -r . "$SOAK_KEEP"
    kill -9 "$leader"
  }
  wait "$leader" 2> /dev/null
  code=$?
  ! grep -q 'stands still' "$scratch/stderr" || {
    hangs=$((hangs + 1))
    complain "would hang; stderr: $(cat "$scratch/stderr")"
  }
}

for ((number = 1; number <= runs; ++number)); do
  draw_run
  draw_chaos
  mapfile -t flags < <(set_words "${words[@]}")
  begin on --chaos "$chaos" "${flags[@]}"
  started=$SECONDS
  await_or_hang
  judge
  echo "  $number: $kind, $policy, $workers workers, $servers servers, $losses, $chaos: exit $code after $((SECONDS - started)) s"
  end_strays
  rm -rf on calm
done
echo "soak: $runs runs, $faults faults, $hangs hangs, $lost lost updates"
[ $((faults * 2)) -ge "$runs" ] || complain "only $faults faults came about in $runs runs"
finish
