#!/bin/bash
# Workers that come again, and more of them: whoever joins a run that has begun takes part from one step on that all
# agree on. No row is left out or learned twice but those of a step that a loss fell into.
. "$(dirname "$0")/lib.sh"
write_job 6400 16
slowly=(faults.inject.compute=constant:1 faults.inject.unit='5 ms')

# command_of PATTERN: what the run printed to join it, behind the pattern, into $command.
command_of() {
  await_line 20 "$scratch/stderr" "$1"
  read -r -a command <<< "$(sed -n "s/.*$1: dtrain \(worker .*\)/\1/p" "$scratch/stderr" | head -n 1)"
}

# took_part RUN RANK N: worker RANK has joined the run N times since it began.
count_joins() { grep -c '"rank":'"$2"',.*"what":"takes part"' "$1/metrics.jsonl"; }
took_part() { [ "$(count_joins "$1" "$2")" -ge "$3" ]; }
await_part() {
  await 60 took_part "$1" "$2" "$3" || complain "worker $2 took part $(count_joins "$1" "$2") times; stderr: $(cat "$scratch/stderr")"
}

# steps_lie RUN: under a policy with steps in common, each of its steps applies the whole batch, whoever shares it, but
# for those that a loss fell into (at most two for each). Reads the trace: rows of what server 0 applied, by step.
steps_lie() {
  awk -v losses="$2" '
    function field(name,  at) { at = index($0, "\"" name "\": "); return at ? substr($0, at + length(name) + 4) + 0 : 0 }
    /"server": 0/ && /"event": "push"/ { rows[field("rank") "," field("clock")] = field("rows") }
    /"server": 0/ && /"event": "apply"/ { by[field("clock")] += rows[field("rank") "," field("clock")]; if (field("clock") > last) last = field("clock") }
    END {
      for (c = 0; c <= last; ++c) { if (by[c] > 16 && !losses) over++; if (by[c] < 16) under++; if (by[c] > 16) over++ }
      if (over > 2 * losses || under > 2 * losses) { print over + 0, "steps have too many rows,", under + 0, "too few"; exit 1 }
      if (last != 399) { print "the last step is", last; exit 1 }
    }' "$1/trace.jsonl" > "$scratch/rows" || complain "$1: $(cat "$scratch/rows")"
}

# ends RUN: the run that was begun ends well, and its trace keeps the promise.
ends() {
  local what=$ran
  await_end 60
  expect_exit 0
  expect_alone
  [ "$(value "$1/summary.json" status)" = "done" ] || complain "the summary says $(value "$1/summary.json" status)"
  run verify trace "$1/trace.jsonl"
  ran="$what; $ran"
  expect_exit 0
}

# Under every policy: a random worker is lost at a random step and comes again; twice in a row under some.
returns() {
  local times=$1 lost=$((RANDOM % 3)) n
  shift
  begin on "$@"
  for ((n = 1; n <= times; ++n)); do
    await_step on $((10 + RANDOM % 40))
    ran+=": worker $lost is killed after step $(grep '"event":"step"' on/metrics.jsonl | tail -n 1 | sed -n 's/.*"step":\([0-9]*\).*/\1/p')"
    kill -9 "$(pid_of on worker $lost)"
    await_part on $lost "$n"
  done
  ends on
}
for servers in 1 2; do
  for words in bsp asp 'ssp sync.staleness=2' 'ssp sync.eager=true' 'quorum sync.quorum=2' 'subset sync.size=2' \
    'local sync.period=5' 'easgd sync.period=4' 'bmuf sync.period=5' 'adaptive sync.high=4' \
    'adaptive sync.adapt=period sync.low=1 sync.period=6' sign_vote 'bsp sync.codec=onebit'; do
    read -r -a words <<< "sync.policy=$words topology.servers=$servers"
    words+=(topology.workers=3 faults.on_worker_loss=restart output.trace=true checkpoint.every="$((3 + RANDOM % 40)) step")
    words+=(train.epochs=1 "${slowly[@]}")
    case "${words[*]}" in
      *policy=sign_vote*) ;; # signs cannot be clipped
      *) [ $((RANDOM % 2)) -eq 0 ] || words+=(train.clip_norm=0.5) ;;
    esac
    case $((RANDOM % 3)) in
      0) words+=(data.sharing=shard) ;;
      1) words+=(data.sharing=central) ;;
    esac
    mapfile -t words < <(set_words "${words[@]}")
    times=$((1 + RANDOM % 2))
    returns $times "${words[@]}"
    case "${words[*]}" in
      *policy=bsp* | *policy=sign_vote*) steps_lie on $times ;;
    esac
    rm -rf on
  done
done
[ -n "${only_policies:-}" ] && finish

# A run of an elastic job is stopped after a loss, and goes on.
mapfile -t words < <(set_words topology.workers=3 topology.servers=2 faults.on_worker_loss=restart sync.policy=local sync.period=5 "${slowly[@]}")
begin cut "${words[@]}"
await_step cut 20
kill -9 "$(pid_of cut worker 1)"
await_part cut 1 1
kill -INT "$leader"
await_end 10
expect_exit 130
expect_alone
run resume cut -q "${quick[@]}"
expect_exit 0
[ "$(value cut/summary.json status)" = "done" ] || complain "the summary says $(value cut/summary.json status)"
rm -rf cut

# Beyond max_restarts the others go on alone, while there are enough of them.
mapfile -t words < <(set_words topology.workers=2 faults.on_worker_loss=restart faults.max_restarts=1 "${slowly[@]}")
begin few "${words[@]}"
await_step few 10
kill -9 "$(pid_of few worker 1)"
await_part few 1 1
kill -9 "$(pid_of few worker 1)"
await_end 60
expect_exit 0
[ "$(grep -c 'worker 1 is started anew' "$scratch/stderr")" -eq 1 ] || complain "worker 1 was not started anew once: $(cat "$scratch/stderr")"
expect_alone
rm -rf few
begin few "${words[@]}" --set faults.min_workers=2
await_step few 10
kill -9 "$(pid_of few worker 1)"
await_part few 1 1
kill -9 "$(pid_of few worker 1)"
await_end 10
expect_exit 7
expect_last 'worker 1'
expect_alone
rm -rf few

# An outsider is lost, and another takes its place, with a token or without.
for token in '' '--token-file token'; do
  mapfile -t words < <(set_words topology.workers=2 topology.external=1 topology.servers=2 faults.on_worker_loss=continue output.trace=true train.epochs=1 "${slowly[@]}" faults.inject.unit='10 ms')
  begin out "${words[@]}" --listen 'tcp://127.0.0.1:*' $token
  command_of 'join with'
  join_run first "${command[@]}"
  await_step out 20
  kill -9 $joiner
  await_line 20 "$scratch/stderr" 'worker 1 closed its connection'
  join_run second "${command[@]}"
  await_part out 1 1
  ends out
  steps_lie out 1
  await_end 10 $joiner
  [ "$code" -eq 0 ] || complain "the second outsider ended with $code: $(cat second)"
  rm -rf out
done

# A third worker joins a run of two, and no fourth.
for policy in bsp asp quorum local; do
  mapfile -t words < <(set_words topology.workers=2 topology.max_workers=3 topology.servers=2 sync.policy=$policy output.trace=true train.epochs=1 "${slowly[@]}" faults.inject.unit='10 ms')
  begin grown "${words[@]}" --listen 'tcp://127.0.0.1:*'
  command_of 'more workers .* may join with'
  await_step grown 20
  join_run third "${command[@]}"
  third=$joiner
  await_part grown 2 1
  join_run fourth "${command[@]}"
  await_end 20 $joiner
  [ "$code" -eq 6 ] || complain "a worker too many ended with $code: $(cat fourth)"
  grep -q 'no worker is wanted.*topology.max_workers: 3' fourth || complain "a worker too many is told: $(cat fourth)"
  ends grown
  ! grep -q '"event":"strangers"' grown/metrics.jsonl || complain "who comes too late counts as a stranger: $(cat "$scratch/stderr")"
  [ $policy != bsp ] || steps_lie grown 0
  await_end 10 $third
  [ "$code" -eq 0 ] || complain "the third worker ended with $code: $(cat third)"
  [ "$(grep -c '"role": "worker"' grown/summary.json)" -eq 3 ] || complain "the summary does not tell of three workers"
  rm -rf grown
done
run run job.yaml --out silent -q --set topology.workers=2 --set topology.max_workers=3
expect_exit 2
expect_part stderr 'may grow from 2 to 3 workers'
finish
