#!/bin/bash
# Roles from outside when the run goes back to its last checkpoint: they join anew, or leave their place to others.
. "$(dirname "$0")/lib.sh"
write_job 6400 16
slowly=(faults.inject.compute=constant:1 faults.inject.unit='4 ms')
mapfile -t all < <(set_words topology.workers=2 topology.servers=2 train.optimizer.type=adam train.epochs=1 checkpoint.every='20 step' "${slowly[@]}")
outside=(--set topology.external=1 --set topology.external_servers=1 --listen 'tcp://127.0.0.1:*')

# command_of ROLE N: what the run printed the Nth time to join it as a ROLE, into $command.
line_of() { sed -n "s/.*join with: dtrain \($1 .*\)/\1/p" "$scratch/stderr" | sed -n "$2p"; }
is_told() { [ -n "$(line_of "$@")" ]; }
command_of() {
  await 20 is_told "$@" || complain "no line to join as a $1 came: $(cat "$scratch/stderr")"
  read -r -a command <<< "$(line_of "$@")"
}

# gather RUN WORD...: with a server and a worker from outside, $server and $worker.
gather() {
  begin "$1" "${all[@]}" "${outside[@]}" "${@:2}"
  command_of server 1
  join_run server "${command[@]}"
  server=$joiner
  command_of worker 1
  join_run worker "${command[@]}"
  worker=$joiner
  await_step "$1" $((20 + RANDOM % 100))
}

# leaves NAME PID: it ended in peace.
leaves() {
  await_end 8 "$2"
  [ "$code" -eq 0 ] || complain "the $1 from outside ended with $code: $(cat "$1")"
}

run run job.yaml --out whole -q "${all[@]}" "${quick[@]}"
expect_exit 0
for token in '' '--token-file token'; do
  # They stay when a local role is lost, and join again by themselves.
  gather stay $token
  kill -9 "$(pid_of stay server 0)"
  await_end 30
  expect_exit 0
  same_weights whole stay
  ! grep '"event":"strangers"' stay/metrics.jsonl || complain "somebody of ours counted as a stranger: $(cat "$scratch/stderr")"
  leaves worker "$worker"
  leaves server "$server"
  grep -q 'worker 1 joins anew' worker || complain "the worker from outside did not join anew: $(cat worker)"
  expect_alone

  # One that is lost itself leaves its place to whoever comes, by the same command. Frozen or dead, it is noticed.
  gather place $token
  signal=$([ -z "$token" ] && echo KILL || echo STOP)
  kill "-$signal" "$server"
  command_of server 2
  lost=$server
  join_run server "${command[@]}"
  await_end 30
  expect_exit 0
  same_weights whole place
  leaves server "$joiner"
  leaves worker "$worker"
  [ $signal = KILL ] || kill -9 "$lost"
  after=$(sed -n 's/.*"event":"fault".*/&/p' place/metrics.jsonl | sed -n 's/.*"noticed_after":\([0-9.]*\).*/\1/p')
  echo "after signal $signal from outside, noticed within $after s"
  awk "BEGIN { exit !($after < 4) }" || complain "the loss was noticed only after $after s"
  expect_alone
  rm -rf stay place token
done

# A worker's place may be taken again while the others go on, by the same command.
gather again --set faults.on_worker_loss=restart --set train.epochs=3
kill -9 "$worker"
command_of worker 2
join_run worker "${command[@]}"
await_end 30
expect_exit 0
grep -q '"rank":1,.*"what":"takes part"\|"what":"takes part".*"rank":1' again/metrics.jsonl || complain "worker 1 did not take part again: $(cat "$scratch/stderr")"
leaves worker "$joiner"
leaves server "$server"

# Both at once: each place is told of again.
gather both --set faults.on_worker_loss=restart
kill -9 "$server" "$worker"
for role in server worker; do
  command_of $role 2
  join_run $role "${command[@]}"
  declare "$role=$joiner"
done
await_end 30
expect_exit 0
same_weights whole both
leaves server "$server"
leaves worker "$worker"
expect_alone

# Nobody comes: 6, and all are told.
gather lonely --set 'faults.join_within=8 s'
kill -9 "$server"
await_end 20
expect_exit 6
expect_last 'had not joined: server 1'
await_end 5 "$worker"
[ "$code" -eq 7 ] || complain "the worker from outside ended with $code: $(cat worker)"
expect_alone

# Stopped while it waits for somebody: at once, and it can be resumed. So it is when its time is over.
gather waiting
kill -9 "$server"
command_of server 2
kill -INT "$leader"
await_end 10
expect_exit 130
await_end 8 "$worker"
expect_alone
run resume waiting -q "${quick[@]}" --set topology.external=0 --set topology.external_servers=0
expect_exit 0
same_weights whole waiting
gather late --max-time '6 s'
kill -9 "$server"
await_end 20
expect_exit 75
await_end 5 "$worker"
expect_alone
finish
