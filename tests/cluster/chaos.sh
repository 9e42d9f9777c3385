#!/bin/bash
# --chaos does what it says, at the step that it says, and tells of it; what it breaks is found and named.
. "$(dirname "$0")/lib.sh"
write_job 1600 16
base=(topology.workers=3 topology.servers=2 checkpoint.every='20 step' faults.max_restarts=0)

# break_it SPEC KEY=VALUE...: a run into the folder on, with these faults.
break_it() {
  local chaos=$1 words
  shift
  mapfile -t words < <(set_words "${base[@]}" "$@")
  rm -rf on
  begin on --chaos "$chaos" "${words[@]}"
  await_end 60
  await 5 no_strays || expect_alone
}
# expect_event ROLE RANK FAULT STEP
expect_event() {
  grep -q '"event":"chaos","role":"'"$1"'","rank":'"$2"',"fault":"'"$3"'","step":'"$4"'[,}]' on/metrics.jsonl ||
    complain "no event tells of $3 at step $4: $(grep chaos on/metrics.jsonl | head -n 5)"
}

train calm "${base[@]}"
expect_exit 0

# What delays and doubles changes nothing, and doubles are counted.
for transport in ipc tcp shared_memory; do
  break_it 'delay:worker.*@~0.2:3ms,delay:server.0@5,duplicate:worker.1@7:3,duplicate:server.*@~0.1' topology.transport=$transport
  expect_exit 0
  same_weights calm on
  expect_event worker 1 duplicate:worker.1@7:3 7
  expect_event server 0 'delay:server.0@5:0.02s' 5
  grep -q '"refused": *[1-9]' on/summary.json || complain "no message that came twice was refused"
done

# Who is killed goes at that very step.
break_it kill:worker.1@40
expect_exit 7
expect_last 'worker 1 (pid [0-9]*) was killed by signal 9 (SIGKILL)'
expect_event worker 1 kill:worker.1@40 40
grep -q -- '--chaos: kill:worker.1@40 at step 40' on/logs/worker-1.log || complain "the log of worker 1 does not tell of it"
break_it kill:worker.1@40 faults.on_worker_loss=continue
expect_exit 0
cp on/summary.json first.json
break_it kill:worker.1@40 faults.on_worker_loss=continue
[ "$(value first.json sha256)" = "$(sha on)" ] || complain "the same fault did not lead to the same weights"
break_it kill:server.1@33
expect_exit 7
expect_last 'server 1 (pid [0-9]*) was killed by signal 9'
expect_event server 1 kill:server.1@33 33
# It goes once: the run that goes back for it is not broken again by it.
break_it kill:server.1@33 faults.max_restarts=3
expect_exit 0
same_weights calm on
[ "$(grep -c '"event":"chaos"' on/metrics.jsonl)" = 1 ] || complain "the fault was made again: $(grep chaos on/metrics.jsonl)"
break_it stop:worker.2@9 'faults.stalled_after=1 s'
expect_exit 7
expect_last 'worker 2 .*was stopped by signal 19\|worker 2 .*made no progress for'
break_it kill:coordinator@30 faults.inject.compute=constant:1 faults.inject.unit='2 ms'
expect_exit 137
expect_event coordinator 0 kill:coordinator@30 '[0-9]*'
run resume on -q
expect_exit 0
same_weights calm on

# Without servers, and in one process.
break_it kill:worker.2@12 topology.servers=0 topology.kind=ring
expect_exit 7
expect_last 'worker 2 (pid [0-9]*) was killed by signal 9'
break_it kill:worker.0@50 topology.workers=1 topology.servers=0
expect_exit 137
expect_event worker 0 kill:worker.0@50 50
run resume on -q
expect_exit 0

# A message that is lost is found and named: in the midst, as the last of its sender, from workers, servers and peers.
for what in drop:worker.1@20 drop:worker.0@200 drop:server.0@30 drop:server.1@199:2; do
  break_it $what
  expect_exit 7
  expect_last 'lost on the way to us'
done
break_it drop:worker.1@20 topology.servers=0 topology.kind=ring
expect_exit 7
expect_last 'of worker 1 .* lost on the way to us'
break_it drop:worker.1@20:2 sync.policy=gossip topology.servers=0 topology.kind=gossip
expect_exit 7
expect_last 'of worker 1 .* lost on the way to us\|worker 1 .*sent . message.* that did not come'

# A worker whose connections are cut is lost, or its messages are found to be.
break_it cut:worker.1@20 faults.inject.compute=constant:1 faults.inject.unit='50 ms'
expect_exit 7
expect_last 'worker 1\|server [01]'

# A full disk.
break_it disk@2
expect_exit 5
expect_last 'No space left on device'
[ "$(ls on/checkpoints | wc -l)" -eq 1 ] || complain "there are other checkpoints than one: $(ls on/checkpoints)"

# What never came is told of.
break_it kill:worker.1@20,delay:worker.1@5000 faults.on_worker_loss=continue
expect_exit 0
expect_part stderr 'delay:worker.1@5000:0.02s never came'
! grep 'kill:worker.1@20 never came' "$scratch/stderr" || complain 'what came counts as if it had not'

# Words that cannot be meant are refused before anything is made.
rm -rf on
run run job.yaml --out on --chaos kill:worker.9 --set topology.workers=2
expect_exit 2
expect_last "item 1, 'kill:worker.9': there is no worker 9: this run has 0 to 1"
[ ! -e on ] || complain "a folder was made"
run run job.yaml --out on --chaos drop
expect_exit 2
expect_last 'this run is one process'
finish
