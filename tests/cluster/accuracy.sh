#!/bin/bash
# accuracy.sh DTRAIN JOB [FOLDER]: the declared accuracy of configs/JOB.yaml, which asserts it, on the real set, whole.
# Skips, saying so, where the files are not: DTRAIN_DATASETS, or ../shared/datasets beside the source tree.
. "$(dirname "$0")/lib.sh"
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
datasets=${DTRAIN_DATASETS:-$root/../shared/datasets}
folder=$datasets/${3:-$2}
if [ ! -d "$folder" ]; then
  echo "skipped: there is no $folder"
  exit 77
fi
run run "$root/configs/$2.yaml" --set "data.dir=$folder" --out accurate -q
expect_exit 0
expect_alone
finish
