#!/usr/bin/env bash
# Parsing of CSV by dtrain, pandas (its C engine), PyArrow and polars side by side, a numeric file of made-up rows.
#
#   tests/bench/compare_csv.sh BENCH_PARSE [ROUNDS [MEGABYTES [THREADS]]]
#
# BENCH_PARSE: the program of the build folder. PYTHON (default python3) has the libraries; what is missing is left out.
# Programs take turns, ROUNDS times (default 5), on as many cores as there are THREADS (default 1); medians in megabytes
# of text a second are printed, and ratios of them: above 1, dtrain is faster. pandas always has one thread.
set -euo pipefail
bench=$(realpath "$1") rounds=${2:-5} megabytes=${3:-100} threads=${4:-1}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk -v bytes="$((megabytes * 1000000))" 'BEGIN {
  srand(1); OFS = ","
  for (c = 1; c <= 28; ++c) printf "x%d,", c
  print "y"
  while (written < bytes) {
    row = ""
    for (c = 1; c <= 28; ++c) row = row sprintf("%.6f,", c % 4 ? rand() * 4 - 2 : rand() * 1000)
    row = row int(rand() * 2); written += length(row) + 1; print row
  } }' > "$work/rows.csv"
cores=0-$((threads - 1))
libraries=()
for library in pandas pyarrow polars; do
  "$python" -c "import $library" 2> "$work/why" && libraries+=("$library") || echo "without $library: $(tail -1 "$work/why")" >&2
done
for ((round = 0; round < rounds; ++round)); do
  taskset -c "$cores" "$bench" "$work/rows.csv" --threads "$threads" --rounds 1
  for library in "${libraries[@]}"; do
    taskset -c "$cores" "$python" "$here/peer_csv.py" "$library" "$work/rows.csv" "$threads" 2 | tail -1
  done
done > "$work/figures"
[ "$(awk '{ print $2 }' "$work/figures" | sort -u | wc -l)" = 1 ] || { echo "they read different numbers of rows" >&2; exit 1; }
median() { awk -v who="$1" '$1 == who { print $3 }' "$work/figures" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
ours=$(median dtrain)
echo "dtrain   $ours MB/s"
for library in "${libraries[@]}"; do
  awk -v who="$library" -v ours="$ours" -v theirs="$(median "$library")" \
    'BEGIN { printf "%-8s %.1f MB/s, dtrain is %.2f times as fast\n", who, theirs, ours / theirs }'
done
