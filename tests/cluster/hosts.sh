#!/bin/bash
# Hosts of their own: off loopback the wire is encrypted by itself, and only the holder of the token comes in.
. "$(dirname "$0")/lib.sh"
here=dtrain-$$-a there=dtrain-$$-b
leave() {
  end_strays
  ip netns del $here 2> "$scratch/ignored"
  ip netns del $there 2> "$scratch/ignored"
  rm -rf "$scratch"
}
if ! { ip netns add $here && ip netns add $there; } 2> "$scratch/refused"; then
  echo "skipped: no network namespaces here ($(head -n 1 "$scratch/refused"))"
  exit 77
fi
trap leave EXIT
ip -n $here link add va type veth peer name vb netns $there
for side in "$here va 1" "$there vb 2"; do
  read -r space device number <<< "$side"
  ip -n "$space" addr add 10.77.0."$number"/24 dev "$device"
  ip -n "$space" link set "$device" up
  ip -n "$space" link set lo up
done
write_job 6400 16
mapfile -t all < <(set_words topology.workers=2 topology.servers=2 train.optimizer.type=adam)
run run job.yaml --out whole -q "${all[@]}"
expect_exit 0

# start RUN WORD...: the run in one namespace; the endpoint it tells is in $endpoint.
start() {
  local folder=$1
  shift
  rm -rf "$folder"
  ran="dtrain run job.yaml --out $folder $* (between two hosts)"
  : > stderr
  ip netns exec $here "$dtrain" run job.yaml --out "$folder" "${all[@]}" --set topology.external=1 "$@" > stdout 2> stderr < /dev/null &
  leader=$!
  await_line 10 stderr 'join with: dtrain worker'
  endpoint=$(sed -n 's/.*join with: dtrain worker --connect \([^ ]*\).*/\1/p' stderr | head -n 1)
}
# join_there NAME WORD...: a worker in the other one.
join_there() {
  local name=$1
  shift
  ip netns exec $there "$dtrain" worker --connect "$endpoint" "$@" > "$name.out" 2> "$name" < /dev/null &
  joiner=$!
}

for listen in 'tcp://10.77.0.1:*' 'tcp://*:*'; do
  start sealed --listen "$listen"
  [ -s sealed/token ] || complain "no token was written"
  join_there bare
  await_end 5 $joiner
  [ "$code" -eq 2 ] || complain "without a token: $code, $(cat bare)"
  join_there plain --insecure --join-within '3 s'
  await_end 10 $joiner
  [ "$code" -eq 6 ] || complain "--insecure against a run that encrypts: $code, $(cat plain)"
  join_there right --token-file sealed/token
  await_end 20
  expect_exit 0
  same_weights whole sealed
  await_end 10 $joiner
  [ "$code" -eq 0 ] || complain "with the token: $code, $(cat right)"
done

start plain --listen 'tcp://10.77.0.1:*' --insecure
[ ! -e plain/token ] || complain "a token was written for a run without keys"
join_there right --insecure
await_end 20
expect_exit 0
same_weights whole plain

# The cable is pulled.
start cut --listen 'tcp://10.77.0.1:*' --set train.epochs=50
join_there right --token-file cut/token
await_step cut 20
ip -n $there link set vb down
await_end 10
expect_exit 7
noticed_within cut 3
expect_last 'worker 1'
await_end 5 $joiner
[ "$code" -eq 7 ] || complain "the worker that was cut off ended with $code: $(cat right)"
expect_alone
finish
