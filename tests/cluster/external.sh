#!/bin/bash
# Roles that join from another shell, with the command that the run prints: the same run; and those who may not join.
. "$(dirname "$0")/lib.sh"
write_job 6400 16
mapfile -t all < <(set_words topology.workers=2 topology.servers=2 train.optimizer.type=adam train.clip_norm=1)

# command_of ROLE: what the run printed to join it as a ROLE, into $command.
command_of() {
  await_line 10 "$scratch/stderr" "join with: dtrain $1"
  read -r -a command <<< "$(sed -n "s/.*join with: dtrain \($1 .*\)/\1/p" "$scratch/stderr" | head -n 1)"
}

run run job.yaml --out whole -q "${all[@]}"
expect_exit 0

# One worker, or one server, or both from outside: the same weights.
begin outside "${all[@]}" --set topology.external=1 --listen 'tcp://127.0.0.1:*'
command_of worker
join_run worker "${command[@]}"
await_end 20
expect_exit 0
same_weights whole outside
await_end 10 $joiner
[ "$code" -eq 0 ] || complain "the external worker ended with $code: $(cat worker)"
begin both "${all[@]}" --set topology.external=1 --set topology.external_servers=1 --listen 'tcp://127.0.0.1:*'
command_of server
join_run server "${command[@]}"
command_of worker
join_run worker "${command[@]}"
await_end 20
expect_exit 0
same_weights whole both
expect_alone

# With a token, also on loopback, everything is encrypted: the right one is admitted, another is not, nor is none.
begin sealed "${all[@]}" --set topology.external=1 --set topology.external_servers=1 --listen 'tcp://127.0.0.1:*' --token-file token
command_of worker
[ "$(stat -c %a token)" = 600 ] || complain "the token can be read by others: $(stat -c %a token)"
begin_other() { "$dtrain" run job.yaml --out other -q --set topology.external=1 --listen 'tcp://127.0.0.1:*' --token-file other-token 2> other.err < /dev/null & other=$!; }
begin_other
await 10 test -s other-token || complain "the other run wrote no token"
join_run none worker --connect "${command[2]}"
none=$joiner
join_run wrong worker --connect "${command[2]}" --token-file other-token
await_end 10 $joiner
[ "$code" -eq 6 ] || complain "a wrong token ended with $code: $(cat wrong)"
grep -q 'did not accept our key\|secret is wrong' wrong || complain "a wrong token is not told: $(cat wrong)"
await_end 10 $none
[ "$code" -eq 6 ] || complain "no token ended with $code: $(cat none)"
kill "$other"
join_run worker "${command[@]}"
command_of server
join_run server "${command[@]}"
await_end 20
expect_exit 0
same_weights whole sealed
await_end 10 $other
expect_alone

# Losses are made in the midst of runs whose steps take a while.
slow_by '5 ms'

# The external worker is killed: found by its connection, and told.
for token in '' '--token-file token'; do
  begin cut "${all[@]}" "${slow[@]}" --set topology.external=1 --listen 'tcp://127.0.0.1:*' $token
  command_of worker
  join_run worker "${command[@]}"
  await_step cut $((10 + RANDOM % 50))
  kill -9 $joiner
  await_end 10
  expect_exit 7
  noticed_within cut 2
  expect_last 'worker 1 .*at step [0-9]* while'
  expect_alone
  rm -rf cut
done

# The coordinator is killed: the children die with it, the external worker sees it.
begin orphan "${all[@]}" "${slow[@]}" --set topology.external=1 --listen 'tcp://127.0.0.1:*'
command_of worker
join_run worker "${command[@]}"
await_step orphan 20
kill -9 "$leader"
await_end 5 $joiner
[ "$code" -eq 7 ] || complain "the external worker ended with $code: $(cat worker)"
expect_alone

# Ctrl-C on the run: the external worker leaves in peace, and the run can be resumed with another.
begin stopped "${all[@]}" "${slow[@]}" --set topology.external=1 --listen 'tcp://127.0.0.1:*'
command_of worker
join_run worker "${command[@]}"
await_step stopped 20
kill -INT "$leader"
await_end 15
expect_exit 130
await_end 10 $joiner
[ "$code" -eq 0 ] || complain "the external worker ended with $code: $(cat worker)"
begin_resume stopped --listen 'tcp://127.0.0.1:*'
command_of worker
join_run worker "${command[@]}"
await_end 20
expect_exit 0
same_weights whole stopped
expect_alone

# Nobody comes.
begin lonely "${all[@]}" --set topology.external=1 --listen 'tcp://127.0.0.1:*' --set 'faults.join_within=5 s'
await_end 20
expect_exit 6
expect_last 'had not joined: worker 1'
expect_alone

# Nobody at all: nor does that count as a run that stands still.
begin nobody -q --set topology.workers=2 --set topology.kind=ring --set topology.external=2 \
  --listen 'tcp://127.0.0.1:*' --set 'faults.join_within=5 s' --set 'faults.stalled_after=50 ms'
await_end 20
expect_exit 6
expect_last 'had not joined: worker 0, worker 1'
expect_alone

# A second joiner for one place is refused.
begin full "${all[@]}" --set topology.external=1 --set topology.external_servers=1 --listen 'tcp://127.0.0.1:*'
command_of worker
join_run first "${command[@]}"
await_line 10 "$scratch/stderr" 'worker 1 joined'
join_run second "${command[@]}"
await_end 5 $joiner
[ "$code" -eq 6 ] || complain "a worker too many ended with $code: $(cat second)"
grep -q 'no worker is wanted' second || complain "a worker too many is told: $(cat second)"
kill "$leader"
await_end 5
expect_exit 143
grep -q '"status": "stopped"' full/summary.json || complain "a run that was stopped before it began is $(grep status full/summary.json)"
! grep '"event":"fault"' full/metrics.jsonl || complain "a wish to stop counts as a fault"
expect_alone

# A port that is taken, and nobody at the other end.
begin taken "${all[@]}" --set topology.external=1 --listen 'tcp://127.0.0.1:*'
command_of worker
run run job.yaml --out port -q "${all[@]}" --set topology.external=1 --listen "${command[2]}"
expect_exit 5
expect_part stderr "cannot listen on ${command[2]}: Address already in use"
kill -9 "$leader"
await_end 5
run worker --connect "${command[2]}" --join-within '500 ms'
expect_exit 6
expect_part stderr "nobody answers at ${command[2]}"
run worker --connect tcp://10.9.8.7:6
expect_exit 2
expect_part stderr "leaves this host"
expect_alone
finish
