#!/bin/bash
# A run that loses a role goes back to its last checkpoint by itself, with those from outside, and ends with the bits of
# a run that lost nobody. What it cannot mend it says; and it is told when each loss was noticed.
. "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")
export TMPDIR=$scratch/tmp XDG_RUNTIME_DIR=  # sockets lie where we can look
mkdir "$TMPDIR"
write_job 6400 16
# A step takes a while, so that a loss meets the run in its midst, however busy the machine.
slowly=(faults.inject.compute=constant:1 faults.inject.unit='4 ms')
both=(train.epochs=1 "${slowly[@]}")

# events RUN KIND: the lines of these.
events() { grep "\"event\":\"$2\"" "$1/metrics.jsonl"; }
count_events() { grep -c "\"event\":\"$2\"" "$1/metrics.jsonl"; }
at_least() { [ "$(count_events "$1" "$2")" -ge "$3" ]; }
# field KEY: of each event on stdin.
field() { sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p'; }

# lose RUN ROLE RANK SIGNAL: in the midst of the run that was begun.
lose() {
  await_step "$1" $((5 + RANDOM % 100))
  ran+="; $2 $3 gets signal $4 at step $(events "$1" step | field step | tail -n 1)"
  kill "-$4" "$(pid_of "$1" "$2" "$3")"
}

# went_back RUN TIMES: it did, each time as it should, and nobody is left.
went_back() {
  local what=$ran
  await_end 60
  ran=$what
  expect_exit 0
  expect_alone
  [ "$(events "$1" fault | field action | sort | uniq -c | tr -s ' ')" = " $2 back" ] ||
    complain "the run should have gone back $2 times: $(events "$1" fault)"
  [ "$(count_events "$1" recovery)" = "$2" ] || complain "the run should have gone on $2 times: $(events "$1" recovery)"
  [ "$(value "$1/summary.json" restarts)" = "$2" ] || complain "the summary tells of $(value "$1/summary.json" restarts) restarts"
  [ "$(value "$1/summary.json" faults)" = "$2" ] || complain "the summary tells of $(value "$1/summary.json" faults) faults"
  [ "$(value "$1/summary.json" status)" = "done" ] || complain "the summary says $(value "$1/summary.json" status)"
}

# goes_back ROLES KEY=VALUE...: one of each of these ("server worker"), one after the other; the same weights, and the
# same steps, rows and epochs.
goes_back() {
  local roles=$1 words role times=0 key
  shift
  mapfile -t words < <(set_words "${both[@]}" "$@" faults.on_worker_loss=restart checkpoint.every="$((10 + RANDOM % 40)) step")
  run run job.yaml --out whole -q "${words[@]}" "${quick[@]}"
  expect_exit 0
  begin mended "${words[@]}"
  for role in $roles; do
    lose mended "${role%[0-9]}" "${role#"${role%[0-9]}"}" "$([ $((RANDOM % 4)) = 0 ] && echo STOP || echo KILL)"
    times=$((times + 1))
    await 20 at_least mended recovery $times || complain "the run did not go on: $(cat "$scratch/stderr")"
  done
  went_back mended $times
  same_weights whole mended
  for key in steps rows epochs; do
    [ "$(value whole/summary.json $key)" = "$(value mended/summary.json $key)" ] ||
      complain "$key are $(value mended/summary.json $key), not $(value whole/summary.json $key)"
  done
  rm -rf whole mended
}
goes_back server0 topology.workers=2 topology.servers=1
goes_back 'server1 server0' topology.workers=3 topology.servers=2 train.optimizer.type=adam
goes_back server0 topology.workers=2 topology.servers=2 sync.policy=local sync.period=5
goes_back worker1 topology.workers=3 topology.kind=ring train.optimizer.type=adam
goes_back worker1 topology.workers=2 topology.split.pipeline=2 topology.servers=2
goes_back worker0 topology.workers=2 topology.split.pipeline=2 topology.servers=0
goes_back loader0 topology.workers=2 topology.servers=1 data.sharing=central topology.transport=tcp

# Without a checkpoint it begins anew; and each attempt has a trace of its own.
mapfile -t words < <(set_words "${both[@]}" topology.workers=2 topology.servers=2 checkpoint.every=0 output.trace=true)
run run job.yaml --out whole -q "${words[@]}" "${quick[@]}"
expect_exit 0
begin anew "${words[@]}"
lose anew server 1 KILL
went_back anew 1
[ "$(events anew recovery | field step)" = 0 ] || complain "it should have begun anew: $(events anew recovery)"
same_weights whole anew
run verify trace anew/trace-2.jsonl
expect_exit 0

# A recording that is repeated is not repeated twice.
begin repeated "${words[@]}" --set sync.policy=asp --set output.trace=true
await_end 30
expect_exit 0
begin replayed "${words[@]}" --set sync.policy=asp --replay repeated/trace.jsonl
await_step replayed 5
kill -9 "$(pid_of replayed server 0)"
await_end 10
expect_exit 7
expect_last 'server 0 (pid [0-9]*) was killed by signal 9 (SIGKILL) at step [0-9]* while'
rm -rf whole anew repeated replayed

# Once more than faults.max_restarts is once too often; and a worker whose loss ends the run ends it at once.
mapfile -t words < <(set_words topology.workers=2 topology.servers=1 checkpoint.every='20 step' "${slowly[@]}")
begin often "${words[@]}" --set faults.max_restarts=1
lose often server 0 KILL
await 20 at_least often recovery 1 || complain "the run did not go on: $(cat "$scratch/stderr")"
kill -9 "$(pid_of often server 0)"
await_end 15
expect_exit 7
expect_last 'server 0 .* was killed by signal 9 (SIGKILL) \(at step [0-9]* while .*\|while .*\|before its first report\); roles were started anew once before (faults.max_restarts)'
expect_alone
[ "$(events often fault | field action | tr '\n' ' ')" = 'back stop ' ] || complain "the events say $(events often fault)"
run resume often -q "${quick[@]}"
expect_exit 0
begin stopped "${words[@]}"
lose stopped worker 1 KILL
await_end 15
expect_exit 7
[ "$(events stopped fault | field action)" = stop ] || complain "the events say $(events stopped fault)"
expect_alone
rm -rf often stopped

# How soon: a killed role within 0.5 s of its last sign of life, a stopped one within 1.5 s. The best of some, since a
# busy machine may be late.
soon() {
  local signal=$1 most=$2 times=() try best
  for try in 1 2 3; do
    begin quick "${words[@]}" --set faults.max_restarts=0
    lose quick "$([ $try = 2 ] && echo worker || echo server)" 0 "$signal"
    await_end 15
    expect_exit 7
    times+=("$(events quick fault | field noticed_after)")
    rm -rf quick
  done
  best=$(printf '%s\n' "${times[@]}" | sort -g | head -n 1)
  echo "after signal $signal, noticed within ${times[*]} s"
  awk "BEGIN { exit !($best <= $most) }" || complain "signal $signal was noticed only after $best s"
}
soon KILL 0.5
soon STOP 1.5

# Everybody lives and waits, for what is on its way for longer than anybody should wait.
for kind in parameter_server ring; do
  train still topology.kind=$kind topology.workers=2 faults.inject.latency='60 s' faults.stalled_after='0.7 s'
  expect_exit 7
  expect_last 'stands still: for 2[0-9.]* s .*all roles live, wait, and come no further (.*worker 1 at step 1 waiting for weights'
  expect_alone
  rm -rf still
done

# A process that lives, and whose network answers, and that makes no progress all the same.
begin idle "${words[@]}" --set 'faults.stalled_after=1 s' --set faults.max_restarts=0
await_step idle 20
python3 "$here/hold.py" "$(pid_of idle worker 1)" > hold 2>&1 &
if await 5 grep -q held hold; then
  await_end 20
  expect_exit 7
  expect_last 'worker 1 .*made no progress for .*(faults.stalled_after) at step [0-9]* while'
else
  echo "skipped: a process of which one thread is held ($(head -n 1 hold))"
  kill "$leader"
  await_end 10
fi
expect_alone

# A machine with far too much to do is no fault, by whichever way roles are reached.
busy=()
for _ in 1 2 3 4 5 6 7 8; do
  (while :; do :; done) &
  busy+=($!)
done
for transport in shared_memory tcp; do
  ran="nice dtrain run job.yaml --set topology.transport=$transport (busy)"
  nice -n 3 "$dtrain" run job.yaml --out "busy-$transport" -q --set topology.workers=3 --set topology.servers=2 \
    --set train.epochs=1 --set train.batch=64 --set topology.transport=$transport --set faults.max_restarts=0 \
    > "$scratch/stdout" 2> "$scratch/stderr" < /dev/null
  code=$?
  expect_exit 0
  [ "$(count_events "busy-$transport" fault)" = 0 ] || complain "there were faults: $(events "busy-$transport" fault)"
done
kill "${busy[@]}"
wait "${busy[@]}" 2> "$scratch/ignored"

# Ctrl-Z, for as long as it pleases, is none either: all are stopped, and go on together.
begin paused "${words[@]}" --set train.epochs=1
await_step paused 20
kill -STOP -- "-$leader"
sleep 2
kill -CONT -- "-$leader"
await_end 30
expect_exit 0
[ "$(count_events paused fault)" = 0 ] || complain "there were faults: $(events paused fault)"
rm -rf idle busy-* paused

# A coordinator that is killed leaves a folder of sockets, which the next run removes.
begin orphans "${words[@]}"
await_step orphans 20
kill -9 "$leader"
await_end 15
expect_alone
[ -n "$(compgen -G "$TMPDIR/dt-*")" ] || complain "no folder is left to be removed"
run resume orphans -q "${quick[@]}" --set train.epochs=1
expect_exit 0
[ -z "$(compgen -G "$TMPDIR/dt-*")" ] || complain "folders are left: $(ls "$TMPDIR")"
finish
