#!/bin/bash
# dtrain verify trace: small traces made by hand, good ones and ones that are broken in one event.
. "$(dirname "$0")/lib.sh"

# head_of SYNC CLOCKS SERVERS STEPS: the first line of a trace.
head_of() {
  local workers=$(($(tr -cd , <<< "$2" | wc -c) + 1)) job
  job="model: {layers: [{dense: 10}]}\\ndata: {format: generated}\\ntopology: {workers: $workers, servers: $3}\\nsync: {$1}\\n"
  printf '{"event": "begin", "workers": %d, "servers": %d, "total_steps": %d, "single_until": 0, "clocks": [%s], "absent": [], "job": "%s"}\n' \
    $workers "$3" "$4" "$2" "$job"
}

# e EVENT RANK [CLOCK] VERSION [ROWS or ORDINAL], of server $server: one line.
server=0
e() {
  case $1 in
    push) printf '{"event": "push", "server": %d, "rank": %d, "clock": %d, "version": %d, "rows": %d}\n' $server "$2" "$3" "$4" "${5:-8}" ;;
    cut) printf '{"event": "cut", "server": %d, "rank": %d, "clock": %d, "version": %d, "ordinal": %d}\n' $server "$2" "$3" "$4" "${5:-8}" ;;
    drop | apply | release) printf '{"event": "%s", "server": %d, "rank": %d, "clock": %d, "version": %d}\n' "$1" $server "$2" "$3" "$4" ;;
    join) printf '{"event": "join", "server": %d, "rank": %d, "clock": 0, "version": %d}\n' $server "$2" "$3" ;;
    undo) printf '{"event": "undo", "server": %d, "version": %d}\n' $server "$2" ;;
    *) printf '{"event": "%s", "server": %d, "rank": %d, "version": %d}\n' "$1" $server "$2" "$3" ;;
  esac
}

expect_kept() {
  run verify trace t.jsonl
  expect_exit 0
  expect_empty stderr
  expect_same stdout <<< "$1: promise kept"
}

# expect_broken LINE WHY: the event of that line is named, and why.
expect_broken() {
  run verify trace t.jsonl
  expect_exit 9
  expect_empty stdout
  expect_same stderr << END
dtrain: error: t.jsonl:$1: $2
  $(sed -n "$1p" t.jsonl)
END
}

# expect_lacking LINE WHY: the trace ends before that line, and should not.
expect_lacking() {
  run verify trace t.jsonl
  expect_exit 9
  expect_empty stdout
  expect_same stderr <<< "dtrain: error: t.jsonl:$1: here the trace ends, but $2"
}

# without LINE: t.jsonl loses it. twice LINE: it comes twice. instead LINE TEXT.
without() { sed -i "$1d" t.jsonl; }
twice() { sed -i "$1p" t.jsonl; }
instead() { sed -i "$1c$2" t.jsonl; }

# bsp: two ranks, two steps; one has no rows in the second. Lines: 2-3 the start, 4-9 step 0, 10-14 step 1.
bsp() {
  head_of "policy: bsp" "0, 0" 1 2
  e pull 0 0; e release 0 0 0
  e push 1 0 0; e push 0 0 0
  e apply 0 0 1; e apply 1 0 1; e release 0 1 1; e release 1 1 1
  e push 0 1 1; e push 1 1 1 0
  e apply 0 1 2; e release 0 2 2; e release 1 2 2
}
bsp > t.jsonl && expect_kept "bsp, 1 server, 2 workers, 2 updates, 4 pushes"
run verify trace t.jsonl --json
expect_exit 0
expect_same stdout << 'END'
{
  "policy": "bsp",
  "servers": 1,
  "workers": 2,
  "updates": 2,
  "pushes": 4
}
END
bsp > t.jsonl && twice 4 && expect_broken 5 "a push of rank 1 for step 0 is taken, which it did not owe: a duplicate, a leftover, or one that comes before its turn"
bsp > t.jsonl && without 4 && expect_broken 5 "an update is made, though rank 1 has not pushed for step 0"
bsp > t.jsonl && without 7 && expect_broken 6 "the update of step 0 lacks rank 1's push, which was taken"
bsp > t.jsonl && twice 7 && expect_broken 8 "rank 1's push of step 0 is in this update already"
bsp > t.jsonl && instead 12 "$(e apply 0 1 3)" && expect_broken 12 "this update makes version 3, but the one before it made 1: versions grow by one"
bsp > t.jsonl && instead 8 "$(e release 0 1 0)" && expect_broken 8 "the version is told as 0, but the updates up to here make it 1"
bsp > t.jsonl && instead 8 "$(e release 0 2 1)" && expect_broken 8 "rank 0 is released into step 2, but step 1 is next"
bsp > t.jsonl && sed -i '12i\'"$(e apply 1 1 2)" t.jsonl && expect_broken 12 "rank 1's push of step 1 is applied, but it has no rows"
bsp > t.jsonl && instead 10 "$(e drop 0 1 1)" && expect_broken 10 "the push of step 1 is dropped, though it is just what rank 0 owed"
bsp > t.jsonl && without 14 && expect_lacking 14 "rank 1 may do step 2, and is never released into it"
bsp > t.jsonl && sed -i '12,$d' t.jsonl && expect_lacking 12 "all that step 1 waits for was pushed, but it is never taken"

# A rank is lost when its last step was torn: the step is taken back.
undone() {
  head_of "policy: bsp" "0, 0, 0" 1 2
  for rank in 0 1 2; do e push $rank 0 5; done
  for rank in 0 1 2; do e apply $rank 0 6; done
  for rank in 0 1 2; do e release $rank 1 6; done
  e lose 1 6; e undo 5
  e apply 0 0 6; e apply 2 0 6; e release 0 1 6; e release 2 1 6
  e push 2 1 6; e push 0 1 6
  e apply 0 1 7; e apply 2 1 7; e release 0 2 7; e release 2 2 7
}
undone > t.jsonl && expect_kept "bsp, 1 server, 3 workers, 2 updates, 5 pushes"
undone > t.jsonl && without 11 && expect_broken 11 "an update is taken back, though no rank was lost just before"
undone > t.jsonl && sed -i '14i\'"$(e apply 1 0 6)" t.jsonl && expect_broken 14 "rank 1's push of step 0 is applied, but no such push waits to be: it never came, or it is in an update already"
undone > t.jsonl && instead 17 "$(e push 1 1 6)" && expect_broken 17 "a push of rank 1 is taken, though it is lost and has not joined again"
undone > t.jsonl && instead 15 "$(e release 1 1 6)" && expect_broken 15 "rank 1 is released, though it is lost and has not joined again"

# ssp, at most 1 ahead. Rank 0 waits before step 2 until rank 1 has done step 0.
ssp() {
  head_of "policy: ssp, staleness: 1" "0, 0" 1 3
  e push 0 0 0; e apply 0 0 1; e release 0 1 1
  e push 0 1 1; e apply 0 1 2
  e push 1 0 2; e apply 1 0 3; e release 0 2 3; e release 1 1 3
  e lose 1 3
  e push 0 2 3; e apply 0 2 4; e release 0 3 4
  e join 1 4; e release 1 3 4
}
ssp > t.jsonl && expect_kept "ssp:1, 1 server, 2 workers, 4 updates, 4 pushes"
ssp > t.jsonl && sed -i '7i\'"$(e release 0 2 2)" t.jsonl && expect_broken 7 "rank 0 is released into step 2, 2 ahead of rank 1, which has done 0; at most 1 are allowed"
ssp > t.jsonl && sed -i '9d; 11,$d' t.jsonl && expect_lacking 10 "rank 0 waits for step 2, which nothing forbids, and is never released"
ssp > t.jsonl && without 16 && expect_lacking 16 "rank 1 waits for step 3, which nothing forbids, and is never released"
ssp > t.jsonl && sed -i '3{h;d};4G' t.jsonl && expect_broken 3 "the version is told as 1, but the updates up to here make it 0"

# asp: each push an update by itself.
{
  head_of "policy: asp" "4, 4" 1 9
  e push 0 4 7; e push 1 4 7; e apply 0 4 8; e apply 1 4 8
} > t.jsonl && expect_broken 5 "one update holds the pushes of ranks 0 1: under this policy each is one by itself"
{ head_of "policy: asp" "4" 1 9; e push 0 4 7; e release 0 5 7; } > t.jsonl
expect_broken 3 "rank 0 is released into step 5 before its own push of step 4 was applied"
{ head_of "policy: asp" "4" 1 9; e push 0 4 7; } > t.jsonl
expect_lacking 3 "rank 0's push of step 4 was taken and never applied"

# quorum: 2 of 3; what comes later is dropped.
quorum() {
  head_of "policy: quorum, quorum: 2" "0, 0, 0" 1 1
  e push 2 0 0; e push 0 0 0; e apply 0 0 1; e apply 2 0 1
  for rank in 0 1 2; do e release $rank 1 1; done
  e drop 1 0 1
}
quorum > t.jsonl && expect_kept "quorum:2, 1 server, 3 workers, 1 update, 2 pushes"
quorum > t.jsonl && sed -i '3d;4d' t.jsonl && expect_broken 3 "an update is made, though of the 2 pushes of step 0 that make a quorum only 1 came, and rank 0 has not pushed"
quorum > t.jsonl && sed -i '4i\'"$(e push 1 0 0)"'
6i\'"$(e apply 1 0 1)" t.jsonl && expect_broken 7 "the update of step 0 holds 3 pushes, where the quorum is 2"

# local, weights every 2 steps and at the end.
local_sgd() {
  head_of "policy: local, period: 2" "0, 0" 1 3
  e push 0 1 0; e push 1 1 0; e apply 0 1 1; e apply 1 1 1; e release 0 2 1; e release 1 2 1
  e push 0 2 1; e push 1 2 1; e apply 0 2 2; e apply 1 2 2; e release 0 3 2; e release 1 3 2
}
local_sgd > t.jsonl && expect_kept "local:2, 1 server, 2 workers, 2 updates, 4 pushes"
local_sgd > t.jsonl && instead 2 "$(e push 0 0 0)" && expect_broken 2 "a push of rank 0 for step 0 is taken, which it did not owe: a duplicate, a leftover, or one that comes before its turn"

# Two servers, of which each keeps to the policy but not to what the other does.
two_servers() {
  head_of "policy: quorum, quorum: 1" "0, 0" 2 1
  for server in 0 1; do
    e push $server 0 0; e apply $server 0 1; e release 0 1 1; e release 1 1 1
  done
  server=0
}
two_servers > t.jsonl
expect_broken 7 "update 1 of server 0 is of step 0 and ranks 0, that of server 1 is of step 0 and ranks 1: all servers must take the same pushes in the same order"

# What is saved where each rank goes on by itself: a cut, the same on every server. Lines 5-6 and 13-14.
cuts() {
  head_of "policy: asp" "0, 0" 2 3
  for server in 0 1; do
    e push 0 0 0; e apply 0 0 1; e release 0 1 1
    e cut 0 1 1; e cut 1 0 1
    e push 1 0 1; e apply 1 0 2; e release 1 1 2
  done
  server=0
}
cuts > t.jsonl && expect_kept "asp, 2 servers, 2 workers, 4 updates, 4 pushes"
cuts > t.jsonl && instead 5 "$(e cut 0 2 1)" && expect_broken 5 "the cut has rank 0 at step 2, but what was applied of it ends before step 1"
cuts > t.jsonl && instead 5 "$(e cut 0 0 1)" && expect_broken 5 "the cut has rank 0 at step 0, but what was applied of it ends before step 1"
cuts > t.jsonl && sed -i '3{h;d};5G' t.jsonl && expect_broken 3 "the version is told as 1, but the updates up to here make it 0"
cuts > t.jsonl && without 6 && expect_broken 6 "the cut before this tells of 1 of 2 ranks only"
cuts > t.jsonl && without 5 && expect_broken 5 "a cut tells of rank 1 where rank 0 of ordinal 8 is due"
cuts > t.jsonl && instead 6 "$(e cut 1 0 1 16)" && expect_broken 6 "a cut tells of rank 1 where rank 1 of ordinal 8 is due"
# A server that takes another's place lacks the cut that was under way.
cuts > t.jsonl && without 13 && without 13 && expect_kept "asp, 2 servers, 2 workers, 4 updates, 4 pushes"
cuts > t.jsonl && sed -i '13,14{H;d};17G' t.jsonl && sed -i '/^$/d; 16,$s/"clock": 0, "version": 1/"clock": 1, "version": 2/; 16,$s/"version": 1/"version": 2/' t.jsonl
expect_broken 17 "the cut of ordinal 8 has rank 1 at step 0 on server 0 and at step 1 on server 1: it must be one on all"
{ head_of "policy: asp" "0" 1 3; e push 0 0 0; e cut 0 1 0; e apply 0 0 1; e release 0 1 1; } > t.jsonl
expect_broken 3 "the cut has rank 0 at step 1, but its push of step 0 is not applied yet"
{ head_of "policy: easgd, period: 4" "0" 1 9; e push 0 3 0; e apply 0 3 1; e release 0 4 1; e cut 0 6 1; } > t.jsonl
expect_kept "easgd:4, 1 server, 1 worker, 1 update, 1 push"
instead 5 "$(e cut 0 8 1)" && expect_broken 5 "the cut has rank 0 at step 8, but what was applied of it ends before step 4"
bsp > t.jsonl && sed -i '9a\'"$(e cut 0 1 1)" t.jsonl && expect_broken 10 "a cut is told of, though all steps here are in common and what is saved is that of a step"

# What is no trace.
# expect_unreadable PLACE WHY
expect_unreadable() {
  run verify trace t.jsonl
  expect_exit 4
  expect_empty stdout
  expect_part stderr "dtrain: error: t.jsonl$1: $2"
}
: > t.jsonl && expect_unreadable "" "an empty file is no trace"
e push 0 0 0 > t.jsonl && expect_unreadable ":1" "a trace's first line is"
bsp > t.jsonl && instead 5 '{"event": "push"' && expect_unreadable ":5" "not JSON"
first='a trace'"'"'s first line is {"event": "begin", ...}'
echo "name: small" > t.jsonl && expect_unreadable ":1" "not JSON; $first"
expect_same stderr <<< "dtrain: error: t.jsonl:1: not JSON; $first"
echo "{}" > t.jsonl && expect_unreadable ":1" 'field "event" is missing; '"$first"
bsp > t.jsonl && instead 5 '{"event": "shove", "server": 0}' && expect_unreadable ":5" 'unknown event "shove"'
bsp > t.jsonl && instead 5 '{"event": "lose", "server": 0, "rank": -1, "version": 0}' && expect_unreadable ":5" 'field "rank" must be a whole number'
bsp > t.jsonl && instead 5 '{"event": "lose", "server": 0, "version": 0}' && expect_unreadable ":5" 'field "rank" is missing'
bsp > t.jsonl && instead 5 '{"event": "lose", "server": 0, "rank": 0, "rank": 1, "version": 0}' && expect_unreadable ":5" 'field "rank" given twice'
bsp > t.jsonl && instead 5 '{"event": "lose", "server": 0, "rank": 0, "version": 0, "why": 1}' && expect_unreadable ":5" 'unknown field "why"'
{ head_of "policy: bps" "0" 1 1; } > t.jsonl && expect_unreadable ":1" "the job in the trace cannot be read"
rm t.jsonl
run verify trace t.jsonl
expect_exit 4

expect_usage "WHAT must be trace or resume, got 'traces'; did you mean trace? (see dtrain verify --help)" verify traces t.jsonl
expect_usage "--at and --set go with dtrain verify resume: a trace is of a run that is over" verify trace t.jsonl --at 3
expect_usage "--at and --set go with dtrain verify resume: a trace is of a run that is over" verify trace t.jsonl --set seed=1
expect_usage "--at must be a whole number of at least 1, got '0' (see dtrain verify --help)" verify resume t.yaml --at 0

finish
