#!/bin/bash
# floors.sh SRC: every room includes only rooms on lower floors and, of the world outside, only what it alone may.
# The rooms and their floors are those that SRC/meson.build lists; prints each offence and exits with 1 if there is any.
set -u
src=$1
offences=0

# Floors of the list, and of what stands above it.
declare -A floor=([cli]=6 [main]=7) libraries=([cli]=" cli11 " [main]="")
while read -r room number names; do
  floor[$room]=$number
  libraries[$room]=" $names "
done < <(sed -n "s/^  \['\([a-z]*\)', \([0-9]*\), \[\(.*\)\]\],\$/\1 \2 \3/p" "$src/meson.build" | tr -d ,)
if [ "${#floor[@]}" -lt 3 ]; then
  echo "$src/meson.build lists no rooms"
  exit 1
fi

# Which dependency of meson.build an external header belongs to; "" for the language's and the system's own.
library_of() {
  case "$1" in
    CLI/*) echo cli11 ;;
    nlohmann/*) echo json ;;
    sodium.h | sodium/*) echo sodium ;;
    xxhash.h | xxh3.h) echo xxhash ;;
    yaml-cpp/*) echo yaml ;;
    zmq.h | zmq.hpp | zmq_addon.hpp) echo zmq ;;
    zlib.h) echo zlib ;;
    zip.h) echo libzip ;;
    zstd.h | zstd_errors.h) echo zstd ;;
    cblas.h | openblas_config.h | lapacke.h) echo blas ;;
    omp.h) echo openmp ;;
    # Every room formats its messages through base/error.hpp, whose interface fmt is a part of.
    fmt/*) ;;
    sys/* | linux/* | net/* | netinet/* | arpa/*) ;;
    fcntl.h | glob.h | ifaddrs.h | immintrin.h | malloc.h | netdb.h | poll.h | pthread.h | sched.h | signal.h | unistd.h) ;;
    *.h | *.hpp | */*) echo "of no known library" ;;
  esac
}

offence() {
  offences=$((offences + 1))
  echo "$1: $2"
}

check_room_include() {
  local place=$1 room=$2 other=${3%%/*}
  if [ -z "${floor[$other]+known}" ]; then
    offence "$place" "includes \"$3\", which is in no room"
  elif [ "$other" != "$room" ] && [ "${floor[$other]}" -ge "${floor[$room]}" ]; then
    offence "$place" "$room (floor ${floor[$room]}) includes \"$3\" (floor ${floor[$other]})"
  fi
}

while IFS=: read -r file line text; do
  path=${file#"$src"/}
  room=${path%%/*}
  [ "$path" = main.cpp ] && room=main
  if [ -z "${floor[$room]+known}" ]; then
    offence "$path:$line" "is in no room that meson.build lists"
    continue
  fi
  header=$(sed 's/.*include *[<"]\([^>"]*\)[>"].*/\1/' <<< "$text")
  if [[ $text == *\"* ]]; then
    check_room_include "$path:$line" "$room" "$header"
  else
    library=$(library_of "$header")
    [[ -z $library || ${libraries[$room]} == *" $library "* ]] ||
      offence "$path:$line" "$room includes <$header>, which is $library and not its own"
  fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include' "$src" --include='*.hpp' --include='*.cpp' --include='*.in')

# Processes are started in one room only.
while IFS=: read -r file line text; do
  offence "${file#"$src"/}:$line" "starts a process outside launch: $text"
done < <(grep -rnE '(^|[^_[:alnum:].>])(fork|vfork|execv|execvp|execve|execl|execlp|posix_spawnp?|popen|system)\(' \
  "$src" --include='*.hpp' --include='*.cpp' | grep -v "^$src/launch/")

[ "$offences" -eq 0 ]
