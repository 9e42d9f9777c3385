#!/bin/bash
# Every sync policy, through the binary: it ends, its trace keeps the promise, its bits and bytes are what they should
# be, and what it counts is told.
. "$(dirname "$0")/lib.sh"

# kept RUN KEY=VALUE...: a run that ends, and whose trace keeps the policy's promise.
kept() {
  local folder=$1
  train "$@" output.trace=true
  expect_exit 0
  run verify trace "$folder/trace.jsonl"
  expect_exit 0
}

# number RUN KEY: the first of that name in the summary, 0 if it is not told.
number() {
  local told
  told=$(value "$1/summary.json" "$2")
  echo "${told:-0}"
}
holds() { awk "BEGIN { exit !($1) }" || complain "$2: $1"; }
# worker RUN RANK KEY: of a worker's entry in the summary.
worker() {
  sed -n '/"role": "worker"/,/}/p' "$1/summary.json" | awk -v RS='}' -v rank="$2" 'NR == rank + 1' > "$scratch/role"
  value "$scratch/role" "$3"
}

gated=(bsp subset local bmuf quorum adaptive)
declare -A options=(
  [bsp]='' [asp]='' [ssp]='sync.staleness=2' [quorum]='sync.quorum=2' [subset]='sync.size=2' [local]='sync.period=5'
  [easgd]='sync.period=4' [bmuf]='sync.period=5' [adaptive]='sync.adapt=period sync.low=1 sync.high=6 sync.period=6'
  [bounded]='sync.high=4')
# the words of a policy, in $words.
policy() {
  local name=$1
  [ "$name" != bounded ] || name=adaptive
  read -r -a words <<< "sync.policy=$name ${options[$1]}"
}

# Bits do not depend on the number of servers, nor on the run.
write_job 611 32
for name in "${gated[@]}"; do
  policy $name
  [ $name != quorum ] || words=(sync.policy=quorum sync.quorum=3)
  words+=(topology.workers=3 train.optimizer.type=adam train.optimizer.learning_rate=1e-3)
  kept one topology.servers=1 "${words[@]}"
  for servers in 1 2 3; do
    kept many topology.servers=$servers "${words[@]}"
    same_weights one many
    rm -rf many
  done
  [ $name != bsp ] || mv one bsp
  [ $name != quorum ] || same_weights bsp one
  rm -rf one
done

# So do those of a vote by sign.
words=(sync.policy=sign_vote topology.workers=3 train.optimizer.learning_rate=1e-3)
kept one topology.servers=1 "${words[@]}"
for servers in 1 2 3; do
  kept many topology.servers=$servers "${words[@]}"
  same_weights one many
  rm -rf many
done
kept many topology.servers=2 "${words[@]}" sync.vote_feedback=true
rm -rf one many

# A quorum of all is bsp, where some ranks have no rows too.
write_job 42 10
words=(topology.workers=4 topology.servers=2 train.epochs=4)
kept one sync.policy=bsp "${words[@]}"
kept other sync.policy=quorum sync.quorum=4 "${words[@]}"
same_weights one other
rm -rf one other

# A period of 1 under plain sgd is bsp up to rounding; one worker alone is one process, to the bit.
write_job 611 32
kept one topology.workers=3 topology.servers=2
kept other topology.workers=3 topology.servers=2 sync.policy=local sync.period=1
holds "($(number one loss) - $(number other loss)) ^ 2 < 1e-8" "the losses of bsp and of local with a period of 1"
rm -rf one other
for kind in nesterov adam; do
  alone=(train.optimizer.type=$kind train.optimizer.learning_rate=1e-3)
  train one topology.servers=0 "${alone[@]}"
  for name in asp ssp local bmuf bounded; do
    policy $name
    [ $name != bmuf ] || words+=(sync.block_momentum=0 sync.nesterov=false)
    kept other topology.servers=2 "${words[@]}" "${alone[@]}"
    [ $name = bmuf ] || same_weights one other
    rm -rf other
  done
  rm -rf one
done

# Bytes: what period says, and one pull; under subset a push for a step that it was drawn for.
write_job 640 32  # 40 steps
for name in local bmuf easgd; do
  for period in 1 5 8; do
    kept bytes topology.workers=2 topology.servers=3 sync.policy=$name sync.period=$period
    size=$((4 * $(number bytes count))) exchanges=$((40 / period))
    for rank in 0 1; do
      [ "$(worker bytes $rank bytes_sent)" -eq $((size * exchanges)) ] ||
        complain "worker $rank sent $(worker bytes $rank bytes_sent) in $exchanges exchanges of $size"
      [ "$(worker bytes $rank bytes_received)" -eq $((size * (exchanges + 1))) ] ||
        complain "worker $rank received $(worker bytes $rank bytes_received) in $exchanges exchanges of $size"
    done
    rm -rf bytes
  done
done
kept bytes topology.workers=4 topology.servers=2 sync.policy=subset sync.size=1 train.epochs=4
size=$((4 * $(number bytes count))) sent=0
for rank in 0 1 2 3; do
  sent=$((sent + $(worker bytes $rank bytes_sent)))
  holds "$(worker bytes $rank bytes_sent) > $size * 40 && $(worker bytes $rank bytes_sent) < $size * 120" "of 320 pushes, worker $rank made"
done
steps=$(sed -n 's/{"event": "apply", "server": 0,.*"version": \([0-9]*\).*/\1/p' bytes/trace.jsonl | tail -n 1)
[ "$sent" -eq $((size * steps)) ] || complain "$sent bytes were pushed in $steps steps of one part each"
rm -rf bytes

# Every kind of thing that a policy may be combined with, on rows that are not there for everybody.
besides=(
  'train.clip_norm=0.3 topology.servers=2'
  'data.sharing=shard topology.servers=1'
  'train.optimizer.type=momentum train.clip_norm=0.3 data.sharing=shard topology.servers=3'
  'train.schedule.type=cosine train.optimizer.type=adam train.micro_batches=2 topology.servers=2')
for name in "${!options[@]}"; do
  for beside in "${besides[@]}"; do
    read -r -a extra <<< "$beside"
    policy $name
    write_job 611 32
    kept any topology.workers=$((2 + RANDOM % 3)) "${words[@]}" "${extra[@]}"
    rm -rf any
    write_job 42 10
    kept any topology.workers=4 train.epochs=4 "${words[@]}" "${extra[@]}"
    rm -rf any
  done
done
write_job 611 32
for how in keep reset average; do
  for name in local bmuf adaptive; do
    policy $name
    kept any topology.workers=3 topology.servers=2 "${words[@]}" sync.momentum=$how train.optimizer.type=adam \
      train.optimizer.learning_rate=1e-3
    sums+=" $name:$(sha any)"
    rm -rf any
  done
done
[ "$(tr ' ' '\n' <<< "${sums# }" | sort -u | wc -l)" -eq 9 ] || complain "sync.momentum changes nothing:$sums"
kept any topology.workers=3 topology.servers=2 sync.policy=local sync.period=7 sync.single_until='9 step'
rm -rf any
for name in asp ssp bounded; do
  for how in 'staleness' 'delay' 'delay sync.adaptive_lambda=true'; do
    policy $name
    read -r -a extra <<< "sync.compensation=$how"
    kept any topology.workers=3 topology.servers=2 "${words[@]}" "${extra[@]}" sync.rate=share
    rm -rf any
  done
done
kept any topology.workers=3 topology.servers=2 sync.policy=ssp sync.eager=true
rm -rf any

# ssp with a slow rank: nobody is more than the bound ahead, so no push can be older than all that others may do then.
write_job 960 32  # 60 steps
kept slow topology.workers=3 topology.servers=2 sync.policy=ssp sync.staleness=2 \
  faults.inject.compute=slow:1,6,1 faults.inject.unit='2 ms'
oldest=$(sed -n '/"histogram"/,/}/p' slow/summary.json | sed -n 's/.*"\([0-9]*\)": *[0-9].*/\1/p' | sort -n | tail -n 1)
[ "${oldest:-99}" -le $((2 * (2 * 2 + 1))) ] || complain "a push was ${oldest:-?} updates old"
rm -rf slow

# quorum with a slow rank: its steps are given up, what comes late is counted, and so are rows that nobody learned.
write_job 480 32
kept slow topology.workers=3 topology.servers=2 sync.policy=quorum sync.quorum=2 \
  faults.inject.compute=slow:1,30,0 faults.inject.unit='5 ms'
abandoned=$(number slow abandoned_steps)
[ "$abandoned" -ge 20 ] || complain "worker 0 gave up $abandoned of its 30 steps and more"
[ "$(worker slow 0 rows)" -le 64 ] || complain "worker 0 learned $(worker slow 0 rows) rows"
learned=$(($(worker slow 0 rows) + $(worker slow 1 rows) + $(worker slow 2 rows)))
grep -q '"rows_never_learned": [0-9]' slow/summary.json || complain "the rows that nobody learned are not told"
[ $((learned + $(number slow rows_never_learned))) -eq 960 ] ||
  complain "$learned rows were learned and $(number slow rows_never_learned) were not, of 960"
rm -rf slow
expect_alone
finish
