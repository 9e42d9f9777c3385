#!/bin/bash
# Under every deterministic policy a run that was stopped several times, in the midst of its blocks too, goes on to the
# bits of one that was not; under the others it goes on, ends and has learned.
. "$(dirname "$0")/lib.sh"
write_job 6400 16  # 400 steps an epoch

reached_or_gone() { at_step cut "$1" || gone "$leader"; }

# stop SIGNAL STEPS: ends what was begun when it is so many steps farther on than it was, if it has not ended by itself.
# $code is its exit code.
stop() {
  local newest
  newest=$(grep -s '"event":"step"' cut/metrics.jsonl | tail -n 1 | sed -n 's/.*"step":\([0-9]*\).*/\1/p')
  await 20 reached_or_gone $((${newest:-0} + $2)) || complain "made no $2 steps beyond ${newest:-0}; stderr: $(cat "$scratch/stderr")"
  if [ "$1" = KILL ]; then kill -9 -- "-$leader"; else kill "-$1" "$leader"; fi 2> /dev/null
  await_end 5
}

# interrupted KEY=VALUE...: in the folder cut, stopped at up to three moments, each time in another way.
interrupted() {
  local flags signals signal told=''
  mapfile -t flags < <(set_words "$@")
  mapfile -t signals < <(printf '%s\n' INT TERM KILL | shuf)
  rm -rf cut
  begin cut "${flags[@]}"
  for signal in "${signals[@]}"; do
    local steps=$((10 + RANDOM % 190))
    stop $signal $steps
    told+=" SIG$signal after $steps steps,"
    case $signal:$code in
      *:0) break ;;
      INT:130 | TERM:143 | KILL:137) ;;
      *) complain "exit code $code;$told stderr: $(cat "$scratch/stderr")" ;;
    esac
    expect_alone
    begin_resume cut
  done
  await_end 30
  ran="dtrain resume cut:$told of a run of $*"
  expect_exit 0
  expect_alone
}

# law KEY=VALUE...
law() {
  train whole "$@"
  expect_exit 0
  interrupted "$@"
  same_weights whole cut
  rm -rf whole cut
}

moments=(train.optimizer.type=nesterov train.clip_norm=1)
adam=(train.optimizer.type=adam train.optimizer.learning_rate=1e-3)
for servers in 1 2 3; do
  spread=(topology.workers=3 topology.servers=$servers checkpoint.every="$((3 + RANDOM % 30)) step")
  law sync.policy=local sync.period=7 "${moments[@]}" "${spread[@]}"
  law sync.policy=bmuf sync.period=5 "${adam[@]}" "${spread[@]}"
  law sync.policy=sign_vote train.optimizer.learning_rate=1e-3 "${spread[@]}"
  law sync.policy=subset sync.size=2 "${adam[@]}" "${spread[@]}"
  law sync.policy=quorum sync.quorum=3 "${moments[@]}" "${spread[@]}"
  law sync.policy=adaptive sync.adapt=period sync.low=1 sync.high=9 sync.period=9 "${moments[@]}" "${spread[@]}"
done
# Checkpoints at the ends of blocks, and by the clock; moments that are averaged, or begin anew.
law sync.policy=local sync.period=8 sync.momentum=average "${adam[@]}" topology.workers=2 topology.servers=2 \
  checkpoint.every='16 step'
law sync.policy=bmuf sync.period=8 sync.momentum=reset "${adam[@]}" topology.workers=2 topology.servers=2 \
  checkpoint.every='30 ms'
law sync.policy=bmuf sync.period=6 sync.momentum=average "${moments[@]}" topology.workers=3 topology.servers=2 \
  checkpoint.every='20 ms'
law sync.policy=local sync.period=50 sync.single_until='60 step' "${moments[@]}" topology.workers=3 topology.servers=2 \
  checkpoint.every='11 step' data.sharing=shard
law sync.policy=quorum sync.quorum=2 "${adam[@]}" topology.workers=2 topology.servers=2 checkpoint.every='30 ms'
law sync.policy=subset sync.size=1 topology.workers=3 topology.servers=2 checkpoint.every='20 ms'

# What leaves something to chance ends, at its last step, and has learned.
goes_on() {
  interrupted "$@" topology.workers=3 topology.servers=$((1 + RANDOM % 3))
  [ "$(value cut/summary.json status)" = "done" ] || complain "the summary says $(value cut/summary.json status)"
  local correct
  correct=$(value cut/summary.json accuracy)
  awk -v correct="${correct:-0}" 'BEGIN { exit !(correct > 0.5) }' || complain "the accuracy is ${correct:-not told}"
  rm -rf cut
}
for every in "$((2 + RANDOM % 20)) step" '20 ms'; do
  goes_on sync.policy=asp "${adam[@]}" checkpoint.every="$every" train.clip_norm=1
  goes_on sync.policy=ssp sync.staleness=2 sync.compensation=delay checkpoint.every="$every"
  goes_on sync.policy=easgd sync.period=6 "${moments[@]}" checkpoint.every="$every"
  goes_on sync.policy=adaptive sync.high=4 "${adam[@]}" checkpoint.every="$every"
  goes_on sync.policy=quorum sync.quorum=2 "${adam[@]}" checkpoint.every="$every"
done
finish
