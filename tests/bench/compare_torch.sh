#!/usr/bin/env bash
# Samples a second of dtrain and PyTorch side by side: 784-512-512-10, the same MNIST files, the same global batches.
#
#   tests/bench/compare_torch.sh DTRAIN FOLDER [ROUNDS]
#
# FOLDER holds MNIST's .gz files (datasets/fetch.sh mnist). PYTHON (default python3) must have PyTorch and numpy.
# Programs take turns, ROUNDS times (default 5); the ratio is that of the medians.
set -euo pipefail
dtrain=$1 folder=$(realpath "$2") rounds=${3:-5}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

ours() {  # BATCH STEPS WORKERS SERVERS
  "$dtrain" bench "$here/../../configs/bench.yaml" --json -q --steps "$2" --set train.batch="$1" \
    --set topology.workers="$3" --set topology.servers="$4" \
    --set data.format=idx --set data.dir="$folder" \
    --set 'data.train={features: train-images-idx3-ubyte.gz, labels: train-labels-idx1-ubyte.gz}' \
    --set 'data.test={features: t10k-images-idx3-ubyte.gz, labels: t10k-labels-idx1-ubyte.gz}' |
    sed -n 's/.*"samples_per_second": \([0-9]*\).*/\1/p'
}
single() {  # BATCH STEPS THREADS
  OMP_NUM_THREADS=$3 "$python" "$here/peer_torch.py" "$folder" --batch "$1" --steps "$2"
}
ddp() {  # BATCH STEPS
  local port=$((20000 + RANDOM % 20000))
  export OMP_NUM_THREADS=1 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port GLOO_SOCKET_IFNAME=lo
  RANK=1 "$python" "$here/peer_torch.py" "$folder" --batch "$1" --steps "$2" &
  RANK=0 "$python" "$here/peer_torch.py" "$folder" --batch "$1" --steps "$2"
  wait
  unset OMP_NUM_THREADS WORLD_SIZE MASTER_ADDR MASTER_PORT
}
median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }

printf '%-6s %-34s %10s %-34s %10s %6s\n' batch dtrain samples/s PyTorch samples/s ratio
for batch in 32 128 1024; do
  steps=$((200000 / batch > 400 ? 200000 / batch : 400))
  : >"${work:=$(mktemp -d)}/a" && : >"$work/b" && : >"$work/c" && : >"$work/d" && : >"$work/e"
  for ((i = 0; i < rounds; ++i)); do
    ours "$batch" "$steps" 2 1 >>"$work/a"
    ddp "$batch" "$steps" >>"$work/b"
    ours "$batch" "$steps" 1 0 >>"$work/c"
    single "$batch" "$steps" 2 >>"$work/d"
    single "$batch" "$steps" 1 >>"$work/e"
  done
  a=$(median <"$work/a") b=$(median <"$work/b") c=$(median <"$work/c") d=$(median <"$work/d") e=$(median <"$work/e")
  best=$((d > e ? d : e))
  printf '%-6s %-34s %10s %-34s %10s %6s\n' "$batch" "2 workers, 1 server, ipc" "$a" "DDP over gloo, 2 ranks" "$b" \
    "$(awk "BEGIN { printf \"%.2f\", $a / $b }")"
  printf '%-6s %-34s %10s %-34s %10s %6s\n' "$batch" "1 worker, no server" "$c" "1 process, best of 1 and 2 threads" "$best" \
    "$(awk "BEGIN { printf \"%.2f\", $c / $best }")"
done
rm -rf "$work"
