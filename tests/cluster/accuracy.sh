#!/bin/bash
# The declared accuracies, on the real sets, whole: configs/mnist.yaml and configs/fashion-mnist.yaml assert them.
# Skips, saying so, where the files are not: DTRAIN_DATASETS, or ../shared/datasets beside the source tree.
. "$(dirname "$0")/lib.sh"
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
datasets=${DTRAIN_DATASETS:-$root/../shared/datasets}
if [ ! -d "$datasets/$2" ]; then
  echo "skipped: $2 is not in $datasets"
  exit 77
fi
run run "$root/configs/$2.yaml" --set "data.dir=$datasets/$2" --out accurate -q
expect_exit 0
expect_alone
finish
