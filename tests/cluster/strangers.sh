#!/bin/bash
# Whoever is not invited: bytes that are no ZeroMQ, half a greeting, a port scan, no key, a wrong token, a flood of
# connections, at the door for joiners and at those for data. All are refused and counted; the run does not notice.
. "$(dirname "$0")/lib.sh"
write_job 6400 16
mapfile -t all < <(set_words topology.workers=2 topology.servers=2 train.optimizer.type=adam)
run run job.yaml --out whole -q "${all[@]}"
expect_exit 0

# listening PID: the tcp ports on which the process listens.
listening() {
  local inodes
  inodes=" $(for file in "/proc/$1/fd"/*; do readlink "$file"; done 2> ignored | sed -n 's/socket:\[\([0-9]*\)\]/\1/p' | tr '\n' ' ') "
  while read -r _ local _ state _ _ _ _ _ inode _; do
    [ "$state" = 0A ] && [[ $inodes == *" $inode "* ]] && echo $((16#${local##*:}))
  done < "/proc/$1/net/tcp"
}

# bother PORT: what a stranger may say who has no key.
bother() {
  local port=$1 door
  printf 'GET / HTTP/1.0\r\n\r\n' 2> ignored > "/dev/tcp/127.0.0.1/$port"
  head -c 20000 /dev/urandom 2> ignored > "/dev/tcp/127.0.0.1/$port"
  printf '\001\000\377' 2> ignored > "/dev/tcp/127.0.0.1/$port"
  : > "/dev/tcp/127.0.0.1/$port"  # a scan
  exec {door}<> "/dev/tcp/127.0.0.1/$port"
  printf '\377\0\0\0\0\0\0\0\001\177\003' 2> ignored >&"$door"  # half a greeting, and silence
  held+=("$door")
}

# crowd PORT N: so many connections that say nothing, and stay.
crowd() {
  local port=$1 count=$2 k door
  for ((k = 0; k < count; ++k)); do
    { exec {door}<> "/dev/tcp/127.0.0.1/$port"; } 2> ignored || continue
    held+=("$door")
  done
}
let_go() {
  local door
  for door in "${held[@]}"; do exec {door}>&-; done
  held=()
}
held=()
trap '' PIPE  # a door that is shut in our face is what we are here for
ulimit -n "$(ulimit -Hn)"

# A token of another run, and this run's own with one thing changed.
"$dtrain" run job.yaml --out other --set topology.external=1 --set topology.workers=2 --listen 'tcp://127.0.0.1:*' \
  --token-file other-token > other.out 2> other.err < /dev/null &
other=$!
await 20 test -s other-token || complain "the other run wrote no token"

# Slow enough to be bothered in its midst; and with few descriptors to waste.
ran="dtrain run, bothered by strangers"
: > stderr
(
  ulimit -n 1100
  exec "$dtrain" run job.yaml --out run "${all[@]}" --set topology.external=1 --listen 'tcp://127.0.0.1:*' --token-file token \
    --set faults.inject.compute=constant:1 --set 'faults.inject.unit=25 ms' > stdout 2> stderr < /dev/null
) &
leader=$!
await_line 20 stderr 'join with: dtrain worker'
endpoint=$(sed -n 's/.*join with: dtrain worker --connect \([^ ]*\).*/\1/p' stderr | head -n 1)
port=${endpoint##*:}
join_here() { join_run "$1" worker --connect "$endpoint" "${@:2}"; }
secret=$(value token secret) nonce=$(value token nonce)
install -m 600 token guessed
sed -i "s/$secret/$(printf '0%.0s' {1..64})/" guessed
install -m 600 token stale
sed -i "s/$nonce/0123456789abcdef/" stale
bother "$port"
declare -A joiners
for kind in other-token guessed stale; do
  join_here "as-$kind" --token-file $kind --join-within '10 s'
  joiners[$kind]=$joiner
done
join_here as-plain --insecure --join-within '2 s'
joiners[plain]=$joiner
for kind in "${!joiners[@]}"; do
  await_end 40 "${joiners[$kind]}"
  [ "$code" -eq 6 ] || complain "a joiner with $kind ended with $code: $(cat as-$kind)"
done
grep -q 'secret is wrong' as-guessed || complain "a wrong secret is told as: $(cat as-guessed)"
grep -q 'secret is wrong' as-stale || complain "a wrong nonce is told as: $(cat as-stale)"

# More connections than anybody needs, while the one who is invited comes.
crowd "$port" 1000
join_here invited --token-file token
invited=$joiner
ran="dtrain run, bothered by strangers"
await 5 at_step run 1
let_go
await 60 at_step run 5 || complain "the invited worker did not get in: $(cat invited); $(cat stderr)"
bother "$port"
doors=$(listening "$(pid_of run server 0)")
[ -n "$doors" ] || complain "no door for data was found"
for door in $doors; do
  bother "$door"
  crowd "$door" 1000
  "$dtrain" worker --connect "tcp://127.0.0.1:$door" --token-file token --join-within '2 s' > as-misled.out 2> as-misled < /dev/null &
  joiner=$!
  await_end 40 $joiner
  [ "$code" -eq 6 ] || complain "a worker at the door for data ended with $code: $(cat as-misled)"
done
[ "$(find "/proc/$leader/fd" | wc -l)" -lt 700 ] || complain "descriptors of the run: $(find "/proc/$leader/fd" | wc -l)"
let_go
ran="dtrain run, bothered by strangers"
await_end 120 $leader
expect_exit 0
same_weights whole run
await_end 10 "$invited"
[ "$code" -eq 0 ] || complain "the invited worker ended with $code: $(cat invited)"

# Told, but not once for each; and counted.
grep -q 'warning: refused [0-9]* connections or messages of strangers in all' stderr || complain "the strangers are not counted: $(cat stderr)"
grep -q '"event":"strangers"' run/metrics.jsonl || complain "the metrics do not tell of strangers"
[ "$(grep -c 'warning: refused' stderr)" -le 40 ] || complain "a flood of lines: $(grep -c 'warning: refused' stderr)"
grep -q 'refused a stranger at the door for data' run/logs/server-0.log || complain "the server does not tell of strangers: $(cat run/logs/server-0.log)"

# A run that ends before it began has counted them too.
"$dtrain" worker --connect "$(sed -n 's/.*--connect \([^ ]*\).*/\1/p' other.err)" --token-file token > as-lost.out 2> as-lost < /dev/null
kill $other
await_end 10 $other
grep -q 'warning: refused [0-9]* connection.* of strangers in all' other.err || complain "strangers of a run that was stopped are not counted: $(cat other.err)"
expect_alone

# No name of a job becomes a path outside the run's folder.
for name in '../../x' '/tmp/x' '..' '.' "$(printf 'n%.0s' {1..300})" '"a\0b"' '"a\nb"'; do
  run run job.yaml -q --set topology.servers=0 --set name="$name"
  expect_exit 3
done
[ "$(find runs -mindepth 1 2> ignored | wc -l)" -eq 0 ] && [ ! -e ../x ] || complain "something was written: $(ls runs)"
finish
