#!/usr/bin/env bash
# All-reduce of dtrain, gloo (PyTorch) and Open MPI side by side, between processes of this machine.
#
#   tests/bench/compare_allreduce.sh BENCH_ALLREDUCE [ROUNDS [SIZES [RANKS]]]
#
# BENCH_ALLREDUCE: the program of the build folder. PYTHON (default python3) must have PyTorch; mpicc and mpirun come
# from the PATH; what is missing is left out. Programs take turns, ROUNDS times (default 5); medians and ratios of them
# are printed: above 1, dtrain is faster. ALGORITHM: dtrain's (default: what topology.kind auto chooses). Processes that
# wait spin in Open MPI and sleep here: on a machine that is busy with other things ratios favour those who sleep.
set -euo pipefail
bench=$(realpath "$1") rounds=${2:-5} sizes=${3:-4096 65536 1048576 2678824 16777216 67108864} all_ranks=${4:-2 4}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
note() { echo "$*" >&2; }

has_gloo=1 has_mpi=1
"$python" -c 'import torch.distributed as d; d.Backend.GLOO' 2>"$work/why" || {
  has_gloo=0
  note "without gloo: $python has no PyTorch ($(tail -1 "$work/why"))"
}
if command -v mpicc >/dev/null && command -v mpirun >/dev/null; then
  mpicc -O2 "$here/peer_allreduce.c" -o "$work/peer"
else
  has_mpi=0
  note "without Open MPI: no mpicc and mpirun in the PATH"
fi

ours() {  # TRANSPORT RANKS
  local size
  for size in $sizes; do
    "$bench" --transport "$1" --ranks "$2" --algorithm "${ALGORITHM:-auto}" --bytes "$size" | awk 'NR == 2 { print $4, $5 }'
  done
}
gloo() {  # RANKS
  local port=$((20000 + RANDOM % 20000)) rank
  for ((rank = $1 - 1; rank >= 0; --rank)); do
    RANK=$rank WORLD_SIZE=$1 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port GLOO_SOCKET_IFNAME=lo OMP_NUM_THREADS=1 \
      "$python" "$here/peer_allreduce.py" $sizes &
  done
  wait
}
mpi() {  # TRANSPORTS RANKS
  mpirun --allow-run-as-root --oversubscribe --mca btl "$1" -n "$2" "$work/peer" $sizes
}
for ranks in $all_ranks; do
  for ((round = 0; round < rounds; ++round)); do
    ours shared "$ranks" >>"$work/shared-$ranks"
    if ((has_gloo)); then gloo "$ranks" >>"$work/gloo-$ranks"; fi
    if ((has_mpi)); then mpi vader,self "$ranks" >>"$work/mpi_shared-$ranks"; fi
    ours tcp "$ranks" >>"$work/tcp-$ranks"
    if ((has_mpi)); then mpi tcp,self "$ranks" >>"$work/mpi_tcp-$ranks"; fi
    ours ipc "$ranks" >>"$work/ipc-$ranks"
  done
done

median() {  # FILE SIZE
  [ -e "$1" ] || return 0
  awk -v size="$2" '$1 == size { print $2 }' "$1" | sort -g | sed -n "$(((rounds + 1) / 2))p"
}
ratio() { [ -z "$1" ] || awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }
note "$(uptime)"
row='%-5s %9s | %9s %9s %9s %6s %6s | %9s %9s %9s %6s %6s\n'
# shellcheck disable=SC2059
printf "$row" ranks bytes shared gloo 'MPI shm' /gloo /MPI tcp ipc 'MPI tcp' /gloo /MPI
for ranks in $all_ranks; do
  for size in $sizes; do
    a=$(median "$work/shared-$ranks" "$size") b=$(median "$work/gloo-$ranks" "$size")
    c=$(median "$work/mpi_shared-$ranks" "$size") d=$(median "$work/tcp-$ranks" "$size")
    e=$(median "$work/ipc-$ranks" "$size") f=$(median "$work/mpi_tcp-$ranks" "$size")
    # shellcheck disable=SC2059
    printf "$row" "$ranks" "$size" "$a" "$b" "$c" "$(ratio "$b" "$a")" "$(ratio "$c" "$a")" "$d" "$e" "$f" \
      "$(ratio "$b" "$d")" "$(ratio "$f" "$d")"
  done
done
