#!/bin/bash
# clocks.sh SRC: nothing waits by the wall clock, which people and time servers set. Only base/time.cpp reads it, for the
# dates in logs and metrics.
set -u
found=$(grep -rnE 'system_clock|high_resolution_clock|gettimeofday|CLOCK_REALTIME|std::time\(|::time\(|\btime\((nullptr|NULL|0)\)|\.wait_until\(|sem_timedwait|pthread_cond_timedwait' \
  --include='*.cpp' --include='*.hpp' "$1" | grep -v "^$1/base/time.cpp:")
[ -z "$found" ] || { echo "$found"; exit 1; }
grep -q 'using Clock = std::chrono::steady_clock;' "$1/base/time.hpp" || { echo "Clock is not the steady one"; exit 1; }
# It sees what it looks for.
grep -q 'system_clock' "$1/base/time.cpp"
