#!/usr/bin/env bash
# Samples a second of dtrain and PyTorch side by side: 784-512-512-10, the same MNIST files, the same global batches.
#
#   tests/bench/compare_torch.sh DTRAIN FOLDER [ROUNDS [SAMPLES]]
#
# FOLDER holds MNIST's .gz files (datasets/fetch.sh mnist). PYTHON (default python3) must have PyTorch and numpy.
# Programs take turns, ROUNDS times (default 5), about SAMPLES rows each (default 200000); a ratio is that of the
# medians. Two workers, with a server and on a ring, stand beside DistributedDataParallel; one worker alone beside one
# process, unless ALONE=no.
set -euo pipefail
dtrain=$1 folder=$(realpath "$2") rounds=${3:-5} samples=${4:-200000}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3} alone=${ALONE:-yes}

ours() {  # BATCH STEPS WORKERS SERVERS KIND
  "$dtrain" bench "$here/../../configs/bench.yaml" --json -q --steps "$2" --set train.batch="$1" \
    --set topology.workers="$3" --set topology.servers="$4" --set topology.kind="$5" \
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
median() { sort -n "$1" | sed -n "$(((rounds + 1) / 2))p"; }
row() {  # BATCH OURS FILE THEIRS SPEED
  local speed
  speed=$(median "$3")
  printf '%-6s %-26s %10s %-34s %10s %6s\n' "$1" "$2" "$speed" "$4" "$5" "$(awk "BEGIN { printf \"%.2f\", $speed / $5 }")"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '%-6s %-26s %10s %-34s %10s %6s\n' batch dtrain samples/s PyTorch samples/s ratio
for batch in 32 128 1024; do
  steps=$((samples / batch > 200 ? samples / batch : 200))
  rm -f "$work"/*
  for ((i = 0; i < rounds; ++i)); do
    ours "$batch" "$steps" 2 1 parameter_server >>"$work/server"
    ours "$batch" "$steps" 2 0 ring >>"$work/ring"
    ddp "$batch" "$steps" >>"$work/ddp"
    [[ $alone == yes ]] || continue
    ours "$batch" "$steps" 1 0 parameter_server >>"$work/alone"
    single "$batch" "$steps" 2 >>"$work/two_threads"
    single "$batch" "$steps" 1 >>"$work/one_thread"
  done
  peers=$(median "$work/ddp")
  row "$batch" "2 workers, 1 server" "$work/server" "DDP over gloo, 2 ranks" "$peers"
  row "$batch" "2 workers, ring" "$work/ring" "DDP over gloo, 2 ranks" "$peers"
  [[ $alone == yes ]] || continue
  two=$(median "$work/two_threads") one=$(median "$work/one_thread")
  row "$batch" "1 worker, no server" "$work/alone" "1 process, best of 1 and 2 threads" "$((two > one ? two : one))"
done
