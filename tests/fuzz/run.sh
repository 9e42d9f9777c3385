#!/bin/sh
# run.sh FUZZER CORPUS: a short bounded search from the corpus; an input that breaks the door is printed in base64.
set -u
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/new"
"$1" -max_total_time="${FUZZ_SECONDS:-2}" -timeout=5 -rss_limit_mb=1500 -print_final_stats=1 \
  -artifact_prefix="$scratch/" "$scratch/new" "$2" && exit 0
for input in "$scratch"/crash-* "$scratch"/timeout-* "$scratch"/oom-*; do
  [ -f "$input" ] && echo "input in base64: $(base64 -w 0 "$input")"
done
exit 1
