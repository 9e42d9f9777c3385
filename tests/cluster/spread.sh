#!/bin/bash
# topology.hosts: roles on several hosts, started over ssh, by hand, by srun or in a loop. Hosts are network namespaces,
# ssh a script that runs its command in the one of that name, as a process that outlives it.
. "$(dirname "$0")/lib.sh"
here=dtrain-$$-a
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE  # ssh takes no environment along, and other kernels make other bits
leave() {
  end_strays
  for host in a b c; do ip netns del dtrain-$$-$host 2> "$scratch/ignored"; done
  rm -rf "$scratch"
}
if ! ip netns add $here 2> "$scratch/refused"; then
  echo "skipped: no network namespaces here ($(head -n 1 "$scratch/refused"))"
  exit 77
fi
trap leave EXIT
ip -n $here link add bridge type bridge
ip -n $here addr add 10.78.0.1/24 dev bridge
for device in lo bridge; do ip -n $here link set $device up; done
number=1
for host in b c; do
  number=$((number + 1))
  ip netns add dtrain-$$-$host
  ip -n $here link add to-$host type veth peer name eth0 netns dtrain-$$-$host
  ip -n $here link set to-$host master bridge up
  ip -n dtrain-$$-$host addr add 10.78.0.$number/24 dev eth0
  for device in lo eth0; do ip -n dtrain-$$-$host link set $device up; done
done

mkdir bin
cat > bin/ssh <<END
#!/bin/bash
while [ "\$1" = -o ]; do shift 2; done
host=\${1#*@}
shift
echo "\$host: \$*" >> $scratch/started
case \$host in
  b | c) ;;
  hangs) exec sleep 60 ;;
  *)
    echo "ssh: connect to host \$host port 22: No route to host" >&2
    exit 255
    ;;
esac
exec 3<&0
ip netns exec dtrain-$$-\$host env -i DTRAIN_TEST_MARK=$scratch PATH=$(dirname "$dtrain"):/usr/bin:/bin setsid sh -c "\$*" <&3 &
exec 3<&-
wait \$!
END
cat > bin/srun <<'END'
#!/bin/bash
# srun -n N WORD...: N copies at once.
count=$2
shift 2
for ((k = 0; k < count; ++k)); do SLURM_PROCID=$k "$@" & done
wait
END
chmod +x bin/ssh bin/srun
export PATH=$scratch/bin:$PATH

write_job 6400 16
mapfile -t common < <(set_words train.optimizer.type=adam train.clip_norm=1)
run run job.yaml --out whole -q "${common[@]}" --set topology.workers=3 --set topology.servers=2
expect_exit 0
slow_by '5 ms'
three='[{host: b, workers: 1, servers: 1}, {host: localhost, workers: 1}, {host: root@c, workers: 1, servers: 1}]'

# start RUN HOSTS WORD...: the run, in the first namespace.
start() {
  local folder=$1 hosts=$2
  shift 2
  rm -rf "$folder" started
  ran="dtrain run job.yaml --out $folder, hosts $hosts, $*"
  : > stderr
  ip netns exec $here "$dtrain" run job.yaml --out "$folder" "${common[@]}" --set topology.hosts="$hosts" "$@" > stdout 2> stderr < /dev/null &
  leader=$!
}

# lies_on HOST RUN ROLE RANK
lies_on() {
  local found
  found=$(ip netns identify "$(pid_of "$2" "$3" "$4")")
  [ "$found" = "dtrain-$$-$1" ] || complain "$3 $4 is on ${found:-no host of ours} instead of $1"
}

# Spread over three hosts: each where the list has it, no secret on a command line, the weights of a local run.
start spread "$three" "${slow[@]}"
await_step spread 5
lies_on b spread server 0
lies_on c spread server 1
lies_on b spread worker 0
lies_on a spread worker 1
lies_on c spread worker 2
cat /proc/[0-9]*/cmdline 2> ignored | tr '\0' '\n' > lines
! grep -qF -- "$(value spread/token secret)" lines || complain "the secret stands on a command line"
! grep -qE '[0-9a-f]{64}' started || complain "ssh was told a secret: $(cat started)"
[ "$(stat -c %a spread/token)" = 600 ] || complain "the token can be read by others"
await_end 60
expect_exit 0
same_weights whole spread
expect_alone
run plan job.yaml --set topology.hosts="$three"
expect_exit 0
expect_part stdout '1 worker and 1 server on b, 1 worker on localhost, 1 worker and 1 server on root@c; started over ssh'
run check job.yaml --set topology.hosts="$three"
expect_line stdout 'job.yaml: ok: 1 worker and 1 server on b, 1 worker on localhost, 1 worker and 1 server on root@c'

# A host that is not there, one that does not answer, and one without dtrain.
start gone '[{host: b, workers: 1}, {host: node7, workers: 1}, {host: localhost, servers: 1}]'
await_end 30
expect_exit 6
expect_last 'worker 1: ssh to node7 ended with status 255: ssh: connect to host node7 port 22: No route to host'
expect_alone
start mute '[{host: b, workers: 1}, {host: hangs, workers: 1}, {host: localhost, servers: 1}]' --set 'faults.join_within=8 s'
await_end 30
expect_exit 6
expect_last 'had not joined: worker 1 on hangs'
expect_alone
start bare '[{host: b, workers: 1}, {host: localhost, servers: 1}]' --set topology.program=/nowhere/dtrain
await_end 30
expect_exit 6
expect_last 'ssh to b ended with status 127: .*nowhere.*topology.program'
expect_alone

# The run cannot be reached from there: who waits to join ends with it all the same.
start deaf '[{host: b, workers: 1}, {host: c, workers: 1}, {host: localhost, servers: 1}]' --listen 'tcp://127.0.0.1:*' \
  --set 'faults.join_within=8 s'
await_end 30
expect_exit 6
expect_last 'had not joined: worker 0 on b, worker 1 on c'
await 3 no_strays || complain "roles that never joined are left"
start deaf '[{host: b, workers: 1}, {host: c, workers: 1}, {host: localhost, servers: 1}]' --listen 'tcp://127.0.0.1:*'
on_both() { [ "$(wc -l < started)" -eq 2 ] && [ "$(strays | wc -l)" -eq 4 ]; }
await 20 on_both || complain "the roles were not started: $(cat started)"
kill -9 $leader
await_end 5
await 3 no_strays || complain "roles that never joined outlive a run that was killed"

# Ctrl-C: nobody stays, and the run goes on later, with its hosts.
start stopped "$three" "${slow[@]}"
await_step stopped 20
kill -INT $leader
await_end 20
expect_exit 130
expect_alone
ip netns exec $here "$dtrain" resume stopped -q > stdout 2> stderr < /dev/null
code=$?
expect_exit 0
same_weights whole stopped
expect_alone

# The run is killed, and a role elsewhere is.
start killed "$three" "${slow[@]}"
await_step killed 20
kill -9 $leader
await_end 5
await 5 no_strays || complain "roles elsewhere outlive their run"
start less "$three" "${slow[@]}"
await_step less 20
kill -9 "$(pid_of less worker 2)"
await_end 20
expect_exit 7
expect_last 'worker 2 .*\(ssh to root@c ended with status 137\|closed its connection\).* at step [0-9]* while'
expect_alone

# A server elsewhere is lost: the run goes back to its last checkpoint, and all are started anew where they were.
start back "$three" "${slow[@]}" --set checkpoint.every='20 step'
await 60 compgen -G 'back/checkpoints/step-*/DONE' || complain "no checkpoint came: $(cat stderr)"
kill -9 "$(pid_of back server 1)"
await_line 60 back/metrics.jsonl '"event":"recovery"'
lies_on c back server 1
await_end 60
expect_exit 0
same_weights whole back
expect_alone

# A worker elsewhere is lost and started anew there, while the others go on.
start anew "$three" "${slow[@]}" --set faults.on_worker_loss=restart --set train.epochs=8
await_step anew 20
lost=$(pid_of anew worker 2)
kill -9 "$lost"
again() { [ "$(pid_of anew worker 2)" != "$lost" ]; }
await 60 again || complain "worker 2 was not started anew: $(cat stderr)"
lies_on c anew worker 2
await_end 120
expect_exit 0
expect_alone

# By hand: the lines that are printed, given where they say; without hosts in a shell's loop, or by srun.
start hand "$three" --set topology.launch=print --token-file hand-token
await_line 20 stderr 'on root@c: dtrain worker'
[ ! -e started ] || complain "ssh was called all the same"
sed -n 's/^dtrain: on \(root@\)\{0,1\}\([bc]\): dtrain \(.*\)/\2 \3/p' stderr > lines
[ "$(wc -l < lines)" -eq 4 ] || complain "four lines should be given by hand: $(cat stderr)"
while read -r host line; do
  ip netns exec dtrain-$$-"$host" "$dtrain" $line 2>> hand.err < /dev/null &
done < lines
await_end 60
expect_exit 0
same_weights whole hand
expect_alone

# outside: a run whose workers all join from outside; $endpoint.
outside() {
  rm -rf "$1"
  ran="dtrain run --out $1 (workers from outside)"
  : > stderr
  ip netns exec $here "$dtrain" run job.yaml --out "$1" "${common[@]}" --set topology.workers=3 --set topology.servers=2 \
    --set topology.external=3 --listen 'tcp://10.78.0.1:*' --token-file "$1-token" > stdout 2> stderr < /dev/null &
  leader=$!
  await_line 20 stderr 'join with: dtrain worker'
  endpoint=$(sed -n 's/.*join with: dtrain worker --connect \([^ ]*\).*/\1/p' stderr | head -n 1)
}
outside loop
ip netns exec dtrain-$$-b sh -c "for k in 1 2 3; do $dtrain worker --connect $endpoint --token-file loop-token & done; wait" 2> loop.err < /dev/null
await_end 60
expect_exit 0
same_weights whole loop
expect_alone
outside slurm
ip netns exec dtrain-$$-c srun -n 3 "$dtrain" worker --connect "$endpoint" --token-file slurm-token 2> slurm.err < /dev/null
[ $? -eq 0 ] || complain "srun failed: $(cat slurm.err)"
await_end 60
expect_exit 0
same_weights whole slurm

# The token by a descriptor, in all its spellings.
outside given
for words in '--token-file -' '--token-fd 3' '--token-file /dev/stdin'; do
  ip netns exec dtrain-$$-b "$dtrain" worker --connect "$endpoint" $words 2>> given.err < given-token 3< given-token &
done
await_end 60
expect_exit 0
same_weights whole given
expect_alone
run worker --connect "$endpoint" --token-fd three
expect_exit 2
run worker --connect "$endpoint" --token-fd 9
expect_exit 5
expect_part stderr '/dev/fd/9'
run run job.yaml --out never --token-file /dev/stdin --listen 'tcp://127.0.0.1:*'
expect_exit 2
run run job.yaml --out never --listen ipc:///tmp/x
expect_exit 2
expect_part stderr 'come by TCP'

# What is private stays so under any umask.
(
  umask 000
  exec ip netns exec $here "$dtrain" run job.yaml --out open "${common[@]}" "${slow[@]}" --set topology.hosts="$three" > open.out 2> open.err < /dev/null
) &
leader=$!
await_step open 5
[ "$(stat -c %a open)" = 700 ] || complain "the run's folder is open to others: $(stat -c %a open)"
[ "$(stat -c %a open/token)" = 600 ] || complain "the token is open to others: $(stat -c %a open/token)"
sockets=$(tr '\0' '\n' < "/proc/$(pid_of open worker 1)/cmdline" | sed -n 's|^ipc://\(.*\)/[^/]*$|\1|p')
[ -d "$sockets" ] && [ "$(stat -c %a "$sockets")" = 700 ] || complain "the sockets' folder is open to others: $sockets"
kill -INT $leader
await_end 20
expect_alone
finish
