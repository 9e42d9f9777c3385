#!/bin/sh
# Brings MNIST or Fashion-MNIST to datasets/NAME beside this script: downloaded, or copied from a folder that has the
# files. Only files with the right SHA-256 are put there; running it again fetches only what is missing.
set -u

usage() {
  echo "usage: $0 mnist|fashion-mnist [--from FOLDER]" >&2
  exit 2
}

say() { echo "fetch: $*" >&2; }

name=${1:-}
from=
[ $# -gt 0 ] && shift
while [ $# -gt 0 ]; do
  case $1 in
    --from)
      [ $# -ge 2 ] || usage
      from=$2
      shift 2
      ;;
    *) usage ;;
  esac
done

case $name in
  mnist)
    mirrors="https://ossci-datasets.s3.amazonaws.com/mnist https://storage.googleapis.com/cvdf-datasets/mnist"
    sums="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609 train-images-idx3-ubyte.gz
3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c train-labels-idx1-ubyte.gz
8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6 t10k-images-idx3-ubyte.gz
f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6 t10k-labels-idx1-ubyte.gz"
    ;;
  fashion-mnist)
    mirrors="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com
https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"
    sums="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84 train-images-idx3-ubyte.gz
a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845 train-labels-idx1-ubyte.gz
346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073 t10k-images-idx3-ubyte.gz
67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5 t10k-labels-idx1-ubyte.gz"
    ;;
  *) usage ;;
esac

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
folder=$here/$name
mkdir -p "$folder" || exit 1

sum_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# download URL FILE: goes on where an earlier attempt stopped.
download() {
  if command -v curl > /dev/null; then
    curl --fail --silent --show-error --location --connect-timeout 20 --retry 2 --continue-at - --output "$2" "$1"
  elif command -v wget > /dev/null; then
    wget --quiet --timeout=20 --tries=3 --continue --output-document="$2" "$1"
  else
    say "neither curl nor wget is installed; install one, or use --from FOLDER"
    exit 1
  fi
}

# accept PART FILE SUM WHERE: puts PART in place if its checksum is right, else removes it.
accept() {
  found=$(sum_of "$1")
  if [ "$found" = "$3" ]; then
    mv -- "$1" "$folder/$2"
    return 0
  fi
  say "$2 from $4 has SHA-256 $found, expected $3"
  rm -f -- "$1"
  return 1
}

copy_one() {
  if [ ! -f "$from/$1" ]; then
    say "there is no $1 in $from"
    return 1
  fi
  cp -- "$from/$1" "$folder/$1.part" && accept "$folder/$1.part" "$1" "$2" "$from"
}

fetch_one() {
  # Whole already, but never put in place: an earlier run was ended between the two.
  if [ -f "$folder/$1.part" ] && [ "$(sum_of "$folder/$1.part")" = "$2" ]; then
    accept "$folder/$1.part" "$1" "$2" "an earlier run"
    return
  fi
  for mirror in $mirrors; do
    say "$1 from $mirror"
    if download "$mirror/$1" "$folder/$1.part"; then
      accept "$folder/$1.part" "$1" "$2" "$mirror" && return 0
    else
      say "$mirror did not deliver $1"
    fi
  done
  return 1
}

failed=
while read -r sum file; do
  if [ -f "$folder/$file" ] && [ "$(sum_of "$folder/$file")" = "$sum" ]; then
    say "$file is there already"
  elif [ -n "$from" ]; then
    copy_one "$file" "$sum" || failed="$failed $file"
  else
    fetch_one "$file" "$sum" || failed="$failed $file"
  fi
done << END
$sums
END

if [ -n "$failed" ]; then
  say "failed:$failed"
  say "what arrived is in $folder; run this again to go on, or copy the files from elsewhere with --from FOLDER"
  exit 1
fi
say "$name is complete in $folder"
