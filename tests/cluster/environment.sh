#!/bin/bash
# What the machine does not give: folders that cannot be written, few descriptors, wrong places to listen; each with its
# exit code and the remedy. Full disks: errors.sh; signals and --max-time: resume.sh.
. "$(dirname "$0")/lib.sh"
write_job 640 16
cluster=(--set topology.workers=2 --set topology.servers=2)

# Too few descriptors: raised as far as the system lets us, told, or refused with the number.
limited() {
  local flag=$1
  shift
  ran="ulimit $flag 40; dtrain run $*"
  (
    ulimit "$flag" 40
    exec "$dtrain" run "$@" > "$scratch/stdout" 2> "$scratch/stderr" < /dev/null
  )
  code=$?
}
limited -n job.yaml --out few "${cluster[@]}"
expect_exit 5
expect_last 'a run of 4 roles needs [0-9]* open files, and this process may have 40: raise the limit (ulimit -n [0-9]*)'
[ ! -e few ] || complain "a run that never was left a folder"
needed=$(sed -n 's/.*(ulimit -n \([0-9]*\)).*/\1/p' stderr)
limited -Sn job.yaml --out raised "${cluster[@]}"
expect_exit 0
expect_part stderr 'the limit of 40 is raised to'
limited -n job.yaml --out alone -q --set topology.servers=0  # one process needs few
expect_exit 0
(
  ulimit -n "$needed"
  exec "$dtrain" run job.yaml --out enough -q "${cluster[@]}" --set checkpoint.every='1 step' > stdout 2> stderr < /dev/null
)
code=$? ran="ulimit -n $needed; dtrain run"
expect_exit 0
same_weights raised enough
expect_alone

# What is there already: another name beside it, in its place, or an error; and nothing but a run is ever replaced.
here=(-q --set topology.servers=0 --set output.dir=there)
for expected in there/t there/t-2 there/t-3; do
  run run job.yaml "${here[@]}"
  expect_exit 0
  [ -e $expected/summary.json ] || complain "no run in $expected: $(ls there)"
done
run run job.yaml "${here[@]}" --set output.if_exists=fail
expect_exit 5
expect_part stderr 'there/t exists already; remove it, choose another with --out, or set output.if_exists to new or replace'
touch there/t/old
run run job.yaml "${here[@]}" --set output.if_exists=replace --set seed=9
expect_exit 0
[ ! -e there/t/old ] && [ -e there/t/summary.json ] || complain "the old run was not replaced: $(ls there/t)"
mkdir -p there/mine && touch there/mine/letter
run run job.yaml "${here[@]}" --set name=mine --set output.if_exists=replace
expect_exit 5
[ -e there/mine/letter ] || complain "a folder that is no run was replaced"
run run job.yaml --out there/mine -q --set topology.servers=0
expect_exit 5

# Where nobody can join, or a token cannot be.
run run job.yaml --out never --listen ipc:///tmp/x
expect_exit 2
expect_part stderr 'come by TCP'
run run job.yaml --out never --listen inproc://x
expect_exit 2
run run job.yaml --out never --token-file - --listen 'tcp://127.0.0.1:*'
expect_exit 2
run run job.yaml --out never -q --token-file "$scratch" --set topology.workers=2 --set topology.external=1 --listen 'tcp://127.0.0.1:*'
expect_exit 5
expect_part stderr 'no regular file'
run worker --connect tcp://127.0.0.1:1 --token-fd 3 --token-file x
expect_exit 2
echo '{}' > loose && chmod 644 loose
run worker --connect tcp://127.0.0.1:1 --token-file loose
expect_exit 5
expect_part stderr 'chmod 600 loose'
run worker --connect tcp://127.0.0.1:1 --token-file none
expect_exit 5
expect_part stderr 'cannot read the token file none: No such file'

run run job.yaml --out unheard --set topology.workers=2 --set topology.external=1
expect_exit 2
expect_part stderr 'say where they reach us, for example --listen'
[ ! -e unheard ] || complain "a run that never was left a folder"

# Folders that may not be written to: as a user who is not root.
as_nobody=()
if [ "$(id -u)" = 0 ]; then
  chmod 711 "$scratch"
  as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  if ! "${as_nobody[@]}" "$dtrain" --version > ignored 2>&1; then
    echo "skipped: folders that may not be written to (nobody cannot run $dtrain: $(head -n 1 ignored))"
    finish
    exit
  fi
fi
# unprivileged WORD...: as run, without the rights of root.
unprivileged() {
  ran="dtrain $* (not as root)"
  "${as_nobody[@]}" "$dtrain" "$@" > "$scratch/stdout" 2> "$scratch/stderr" < /dev/null
  code=$?
}
chmod 644 job.yaml
mkdir -m 555 locked
unprivileged run "$scratch/job.yaml" --out "$scratch/locked/run" -q --set topology.servers=0
expect_exit 5
expect_part stderr 'locked/run: Permission denied; choose another place with --out or output.dir'
unprivileged run "$scratch/job.yaml" -q --set topology.servers=0 --set output.dir="$scratch/locked"
expect_exit 5
expect_part stderr 'Permission denied'

# Data that may be read but not written beside: no cache, and no complaint; data that may not be read: named.
mkdir data
seq 0 399 | awk 'BEGIN { print "a,b,label" } { print $1 % 17 "," $1 % 5 "," ($1 % 2 ? "x" : "y") }' > data/train.csv
chmod 644 data/train.csv && chmod 555 data
cat > csv.yaml <<END
name: c
model: {layers: [{dense: 2}]}
data: {format: csv, train: data/train.csv}
train: {batch: 16}
topology: {workers: 2, threads: 1}
END
chmod 644 csv.yaml
mkdir -m 777 free
unprivileged run "$scratch/csv.yaml" --out "$scratch/free/run" -q
expect_exit 0
[ ! -e data/.dtrain-cache ] || complain "a cache was written beside data that may not be written to"
unprivileged run "$scratch/csv.yaml" --out "$scratch/free/off" -q --set data.cache=off
expect_exit 0
same_weights free/run free/off
chmod 000 data/train.csv
unprivileged run "$scratch/csv.yaml" --out "$scratch/free/none" -q
expect_exit 4
expect_part stderr 'train.csv: Permission denied'
[ ! -e free/none ] || complain "a folder was made for a run that never was"
chmod 755 data

# A checkpoint cannot be written: told, and the run can go on when it can.
write_job 6400 16
chmod 644 job.yaml
ran="dtrain run, whose checkpoints cannot be written after a while"
"${as_nobody[@]}" "$dtrain" run "$scratch/job.yaml" --out "$scratch/free/stuck" "${cluster[@]}" --set checkpoint.every='20 step' \
  --set faults.inject.compute=constant:1 --set 'faults.inject.unit=5 ms' > stdout 2> stderr < /dev/null &
leader=$!
await 20 compgen -G 'free/stuck/checkpoints/step-*' || complain "no checkpoint came: $(cat stderr)"
chmod 555 free/stuck/checkpoints && [ ${#as_nobody[@]} -eq 0 ] || chown 0:0 free/stuck/checkpoints
await_end 40 $leader
expect_exit 5
expect_last 'checkpoints.*Permission denied'
expect_alone
[ ${#as_nobody[@]} -eq 0 ] || chown 65534:65534 free/stuck/checkpoints
chmod 700 free/stuck/checkpoints
unprivileged resume "$scratch/free/stuck" -q --set 'faults.inject.compute=""'
expect_exit 0
"${as_nobody[@]}" "$dtrain" run "$scratch/job.yaml" --out "$scratch/free/whole" -q "${cluster[@]}" > stdout 2> stderr < /dev/null
same_weights free/whole free/stuck
finish
