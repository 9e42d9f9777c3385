#!/bin/bash
# run.sh DTRAIN ROOT: runs every `sh` block of ROOT/README.md, in order, in one folder that has configs/ and datasets/.
# Blocks that install, build or test are .ci/run's. A block that listens is a run that waits: the commands that it
# prints on stderr are run too, as its reader would.
set -euo pipefail
dtrain=$(readlink -f "$1")
root=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/blocks" "$scratch/bin" "$scratch/clone"
ln -s "$dtrain" "$scratch/bin/dtrain"
export PATH="$scratch/bin:$PATH"
cp -r "$root/configs" "$root/datasets" "$scratch/clone"
rm -rf "$scratch/clone/configs/runs"
cd "$scratch/clone"

awk -v folder="$scratch/blocks" '
  /^```sh$/ { inside = 1; file = sprintf("%s/%02d", folder, ++count); next }
  /^```$/   { inside = 0; next }
  inside    { print > file }' "$root/README.md"

# joined BLOCK: runs it, and with it every command that it asks for.
joined() {
  mkfifo "$scratch/said"
  bash -euo pipefail "$1" 2> "$scratch/said" < /dev/null &
  local run=$! joins=() line
  while IFS= read -r line; do
    echo "$line"
    if [[ $line == *"join with: "* ]]; then
      bash -c "${line#*join with: }" < /dev/null &
      joins+=($!)
    fi
  done < "$scratch/said"
  for child in "$run" "${joins[@]}"; do wait "$child" || return 1; done
  [ "${#joins[@]}" -gt 0 ] || { echo "nobody was asked to join"; return 1; }
}

tried=0
for block in "$scratch/blocks"/*; do
  if grep -qE 'apt-get|meson ' "$block"; then continue; fi
  tried=$((tried + 1))
  echo "--- $(head -1 "$block")"
  if grep -q -- --listen "$block"; then joined "$block"; else bash -euo pipefail "$block" < /dev/null; fi ||
    { echo "this block of README.md fails:"; cat "$block"; exit 1; }
done
[ "$tried" -ge 8 ] || { echo "only $tried blocks to run: is README.md read rightly?"; exit 1; }

# The job on the page is the job in configs/, comments aside.
bare() { sed -e 's/ *#.*//' -e '/^$/d' "$1"; }
awk '/^```yaml$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$root/README.md" > shown.yaml
diff <(bare configs/digits.yaml) <(bare shown.yaml) || { echo "README.md shows another configs/digits.yaml"; exit 1; }

# Exit codes and the files of a run are as the page says.
dtrain man dtrain.1 > page
for code in $(sed -n 's/^| \([0-9]\{1,\}\) |.*/\1/p' "$root/README.md"); do
  grep -qxF "\\fB$code\\fR" page || { echo "exit code $code is not in the manual"; exit 1; }
done
for file in summary.json model.safetensors report.html metrics.jsonl job.yaml resolved.yaml plan.json logs checkpoints; do
  [ -e "runs/three/$file" ] || { echo "a run leaves no $file"; exit 1; }
done
