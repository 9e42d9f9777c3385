#!/bin/bash
# simulate: its words, its JSON, its exit codes; and that real gradients in virtual time end where a run ends.
. "$(dirname "$0")/lib.sh"

see="(see dtrain simulate --help)"
forms="bsp, asp, ssp:3, ssp:3:eager, quorum:3, subset:2, local:10, easgd:10, bmuf:10, adaptive:0-10, adaptive:period:1-10, sign_vote or gossip"
expect_usage "--compare must be of $forms; got 'foo' $see" simulate --compare bsp,foo
expect_usage "--compare must be of $forms; got 'ssp:x': 'x' is no whole number of at least 0 $see" simulate --compare ssp:x
expect_usage "--compare must be of $forms; got 'bps'; did you mean bsp? $see" simulate --compare bps
expect_usage "--compare must be of $forms; got '' $see" simulate --compare ''
expect_usage "--compare must be of $forms; got 'ssp:4000000000': 4000000000 is too large, 1000000000 is the most $see" simulate --compare ssp:4000000000
expect_usage "--compare names ssp:3 twice, which would show the same twice: leave one out $see" simulate --compare ssp:3,bsp,ssp
expect_usage "--compare is given twice $see" simulate --compare bsp --compare asp
expect_usage "--compare quorum:9 needs 9 workers, but there are 8 workers: give quorum:8 or less, or --workers 9 $see" simulate --workers 8 --compare quorum:9
expect_usage "--compare subset:2 needs 2 workers, but there is 1 worker: give subset:1 or less, or --workers 2 $see" simulate --compare subset:2
expect_usage "--workers must be at most 1,000,000, got 1,000,001 $see" simulate --workers 1000001
expect_usage "--servers must be at most 1,024, got 99,999 $see" simulate --servers 99999
expect_usage "--steps must be at most 1,000,000,000, got 99,999,999,999 $see" simulate --steps 99999999999
expect_usage "1,000,000 workers times 1,024 servers are more than 20,000,000: give fewer --workers or --servers $see" simulate --workers 1000000 --servers 1024
expect_usage "--compute names rank 9, but there are 4 workers: ranks count from 0 $see" simulate --workers 4 --compute slow:1,3,9
expect_usage "--latency is at most 1000000000 s, got '1e308 s' $see" simulate --latency '1e308 s'
expect_usage "--bandwidth must be at least 1 bit/s, got '0 Gbit/s'; leave the flag out for links without end $see" simulate --bandwidth '0 Gbit/s'
expect_usage "--latency must be a time such as \"1 ms\", got 'soon' $see" simulate --latency soon
expect_usage "--bandwidth must be a number and a unit such as \"10 Gbit/s\" (bit/s, kbit/s, Mbit/s, Gbit/s, B/s, kB/s, MB/s, GB/s), got '10' $see" simulate --bandwidth 10
expect_usage "--lose must be RANK@TIME, or RANK@TIME:TIME for one that comes back, such as 3@20s:60s, got '3' $see" simulate --lose 3
expect_usage "--lose names rank 2, but there are 2 workers: ranks count from 0 $see" simulate --workers 2 --lose 2@1s
expect_usage "--lose 1@5s:4s comes back before it goes $see" simulate --workers 2 --lose 1@5s:4s
expect_usage "--trace needs a JOB: it begins with what the job promises $see" simulate --trace t.jsonl
expect_usage "--real needs a JOB, for its data and its network $see" simulate --real
expect_usage "--set changes a job, and no JOB is given $see" simulate --set seed=3
expect_usage "--workers must be a whole number of at least 1, got '0' $see" simulate --workers 0
run simulate --compute two_point:1
expect_exit 2
expect_part stderr "--compute must be constant:1, exponential:1, pareto:1,2.5, two_point:1,5,0.1, slow:1,3,0 or trace:FILE; got"


# Numbers with which nothing can be reckoned, and traces of times that are none.
run simulate --compute constant:1e308
expect_exit 2
expect_part stderr "got 'constant:1e308': 1e308 is too large: set it to 1000000000 or less $see"
run simulate --compute pareto:1e-300,2
expect_exit 2
expect_part stderr "1e-300 is too small: set it to 1e-09 or more $see"
run simulate --compute trace:
expect_exit 2
expect_part stderr "trace takes a file"
run simulate --compute trace:nowhere/times
expect_exit 4
expect_same stderr <<< "dtrain: error: nowhere/times, which --compute names, does not exist"
printf '1 2\n\n1 2 3\n' > times
run simulate --compute trace:times
expect_exit 4
expect_part stderr "line 3 has 3 times, line 1 has 2: give all lines one time for each rank"
printf '1 2\n1 1e10\n' > times
run simulate --compute trace:times
expect_exit 4
expect_part stderr "line 2: 1e10 is too large: set it to 1000000000 or less"

# A lost worker weighs by the time that it was there, under every policy; adaptive shows its bounds as it takes them.
run simulate --workers 4 --steps 20 --lose 1@1:300 --compare bsp,asp,ssp:3,adaptive:period
expect_exit 0
ran="time a step with a lost worker"
[ "$(awk 'NR > 2 { print $1, $2, $3 }' stdout)" = 'bsp 1 1.00
asp 1 1.00
ssp:3 1 1.00
adaptive:period:1-10 1 1.00' ] || complain "$(cat stdout)"
run simulate --compare adaptive:period:1-10 --steps 20
expect_exit 0

run simulate --workers 2 --steps 10 --compute slow:1,3,0 --compare bsp,asp
expect_exit 0
expect_empty stderr
expect_same stdout << 'END'
2 workers, 1 server, 10 steps, slow:1,3,0; times in seconds
policy   time a step    speed   computing   waiting   wasted   staleness   at most   bytes a step   all done after
bsp                3   1.00 x      66.7 %    33.3 %    0.0 %        0.00         0            0 B               30
asp              1.5   2.00 x     100.0 %     0.0 %    0.0 %        0.65         3            0 B               30
END

cat > job.yaml << 'END'
name: small
seed: 3
model:
  layers:
    - {dense: 16, activation: relu}
    - dense: 10
data:
  format: generated
  generate: {set: digits, rows: 400, test_rows: 50}
  normalize: {scale: 1/255}
train: {epochs: 2, batch: 40}
topology: {workers: 3, servers: 1, threads: 1}
END

run check --set faults.inject.compute=constant:1e308 job.yaml
expect_exit 3
expect_part stderr "1e308 is too large: set it to 1000000000 or less"
expect_usage "the job's policy quorum:3 needs 3 workers, but there are 2 workers: give --set sync.quorum=2 or less, or --workers 3 $see" simulate --workers 2 --set sync.policy=quorum --set sync.quorum=3 job.yaml

# The job's own policy, steps and bytes: 12,730 weights each way.
run simulate --json job.yaml
expect_exit 0
expect_empty stderr
for part in '"workers": 3' '"steps": 20' '"policy": "bsp"' '"time_per_step": 1.0' '"utilisation": 1.0' \
  '"staleness": {' '"mean": 0.0' '"bytes_per_step": 101840.0' '"bytes": 6263160' '"weight_bytes": 50920'; do
  expect_part stdout "$part"
done

run simulate --json --workers 8 --steps 20000 --compute two_point:1,5,0.1 --compare ssp:3
expect_exit 0
ran="time per step of ssp:3"
awk -F '[:,]' '/time_per_step/ { found = ($2 > 1.81 * 0.98 && $2 < 1.81 * 1.02) } END { exit !found }' stdout || complain "$(cat stdout)"

# Who is left can still form a quorum, or cannot.
run simulate --workers 3 --steps 50 --lose 2@10s --compare quorum:2,bsp
expect_exit 0
run simulate --workers 1 --steps 50 --lose 0@10s
expect_exit 7
expect_same stderr <<< "dtrain: error: all workers are lost"

run simulate --compare ssp:3,asp --trace t.jsonl job.yaml
expect_exit 2
expect_same stderr <<< "dtrain: error: --trace is of one policy, and --compare names 2 $see"
expect_usage "--trace tells what servers did, and gossip has none: leave gossip or --trace out $see" \
  simulate job.yaml --compare gossip --trace trace.jsonl
expect_usage "--real trains through servers, and gossip has none: leave gossip or --real out $see" \
  simulate job.yaml --compare gossip --real
run simulate --compare ssp:3 --compute exponential:1 --trace t.jsonl job.yaml
expect_exit 0
ran="the trace"
[ "$(wc -l < t.jsonl)" -eq $((1 + 3 + 3 + 60 * 3)) ] || complain "lines: $(wc -l < t.jsonl)"
run simulate --trace nowhere/t.jsonl job.yaml
expect_exit 5

# The same job, run and simulated: the same weights, whoever is slow.
run run --out here -q job.yaml
expect_exit 0
reference=$(grep -o '"sha256": "[0-9a-f]*"' here/summary.json)
run simulate --real --json --compute exponential:1 --latency 100ms job.yaml
expect_exit 0
expect_part stdout "$reference"
for part in '"loss": [' '"seconds":' '"rows": 800' '"accuracy":'; do expect_part stdout "$part"; done

run simulate --real --compare bsp,asp job.yaml
expect_exit 0
expect_part stdout "test accuracy"

# Batches of all together: a quorum of 2 of 3 takes half as many steps again.
run simulate --real --json --steps 10 --set sync.policy=quorum --set sync.quorum=2 job.yaml
expect_exit 0
expect_part stdout '"updates": 15'
run simulate --help
expect_part stdout "steps of every worker or, with --real, batches of"

[ "$failures" -eq 0 ]
