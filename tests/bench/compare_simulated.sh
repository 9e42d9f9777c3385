#!/usr/bin/env bash
# Time a step of real runs with stragglers made on purpose, beside what `dtrain simulate` foretells for the same draws.
#
#   tests/bench/compare_simulated.sh DTRAIN [WORKERS [STEPS [UNIT_MS]]]
#
# The unit should be ten times what a step computes, or more, with all workers at work at once.
set -euo pipefail
dtrain=$(realpath "$1") workers=${2:-8} steps=${3:-200} unit_ms=${4:-40}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compute=two_point:1,5,0.1
job=$here/../../configs/digits.yaml
words=(--set "topology.workers=$workers" --set topology.servers=1 --set topology.threads=1 --set data.generate.rows=20000
  --set train.batch=64 --set train.epochs=1000 --set train.evaluate=0 --set checkpoint.every=0 --set 'assert=[]')
json() { python3 -c "import json,sys; d=json.load(open(sys.argv[1])); print($2)" "$1"; }

printf '%-10s %12s %12s %8s\n' policy 'real, ms' 'foretold, ms' ratio
for policy in bsp ssp:3 ssp:10 asp "quorum:$((workers - 1))" subset:$((workers / 2)) local:5; do
  name=${policy%%:*} number=${policy#*:}
  case $name in
    ssp) more=(--set "sync.staleness=$number") ;;
    quorum) more=(--set "sync.quorum=$number") ;;
    subset) more=(--set "sync.size=$number") ;;
    local) more=(--set "sync.period=$number") ;;
    *) more=() ;;
  esac
  "$dtrain" run "$job" --out "$work/run" -q "${words[@]}" --set "sync.policy=$name" "${more[@]}" \
    --set "train.steps=$steps" --set "faults.inject.compute=$compute" --set "faults.inject.unit=$unit_ms ms" > "$work/out"
  # A worker's steps, done or given up: under quorum and subset the run has more of them than batches.
  clocks=$(json "$work/run/summary.json" "max(r['steps'] + r['abandoned'] for r in d['roles'] if r['role'] == 'worker')")
  "$dtrain" simulate "$job" --json "${words[@]}" --workers "$workers" --steps "$clocks" --compute "$compute" \
    --compare "$policy" > "$work/simulated"
  real=$(json "$work/run/summary.json" "1000 * d['seconds'] / $clocks")
  foretold=$(json "$work/simulated" "$unit_ms * d['policies'][0]['seconds'] / $clocks")
  printf '%-10s %12.1f %12.1f %8.3f\n' "$policy" "$real" "$foretold" "$(awk "BEGIN { print $real / $foretold }")"
  rm -rf "$work/run"
done
