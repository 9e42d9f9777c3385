#!/bin/bash
# floors_refuse.sh FLOORS: the script beside this one refuses what it is there to refuse.
set -u
floors=$1
house=$(mktemp -d)
trap 'rm -rf "$house"' EXIT
failures=0

# build FILE TEXT: a house of four rooms, right but for one file.
build() {
  rm -rf "${house:?}"/*
  mkdir "$house"/{base,job,data,sync,attic}
  rmdir "$house/attic"
  printf "rooms = [\n  ['base', 0, [fmt, json]],\n  ['job', 1, [yaml]],\n  ['data', 2, [zlib]],\n  ['sync', 2, []],\n]\n" \
    > "$house/meson.build"
  echo '#include <nlohmann/json.hpp>' > "$house/base/json.hpp"
  printf '#include <yaml-cpp/yaml.h>\n#include <vector>\n#include "base/json.hpp"\n' > "$house/job/read.cpp"
  printf '#include <zlib.h>\n#include <unistd.h>\n#include "data/data.hpp"\n#include "job/job.hpp"\n' > "$house/data/a.cpp"
  mkdir -p "$(dirname "$house/$1")"
  echo "$2" >> "$house/$1"
}

expect() {
  local wanted=$1
  bash "$floors" "$house" > "$house/said"
  local code=$?
  if [ "$code" -ne "$wanted" ] || { [ $# -gt 1 ] && ! grep -qF -- "$2" "$house/said"; }; then
    failures=$((failures + 1))
    echo "exit code $code instead of $wanted${2:+ with: $2}; said: $(cat "$house/said")"
  fi
}

build job/read.cpp '#include <fmt/format.h>'
expect 0
build job/read.cpp '#include "data/data.hpp"'
expect 1 'job (floor 1) includes "data/data.hpp" (floor 2)'
build sync/policy.cpp '#include "data/data.hpp"'
expect 1 'sync (floor 2) includes "data/data.hpp" (floor 2)'
build sync/policy.cpp '#include <zlib.h>'
expect 1 'sync includes <zlib.h>'
build data/a.cpp '#include <nlohmann/json.hpp>'
expect 1 'data includes <nlohmann/json.hpp>'
build data/a.cpp '#include <boost/any.hpp>'
expect 1 'of no known library'
build data/a.cpp '#include "helper.hpp"'
expect 1 'in no room'
build attic/a.cpp '#include "base/json.hpp"'
expect 1 'attic/a.cpp:1: is in no room'
build data/a.cpp 'int child() { return fork(); }'
expect 1 'starts a process outside launch'
build cli/run.cpp '#include <CLI/CLI.hpp>'
expect 0
build main.cpp '#include <CLI/CLI.hpp>'
expect 1 'main includes <CLI/CLI.hpp>'

[ "$failures" -eq 0 ]
