#!/bin/sh
# usage.sh CONFORM PLUGIN: exit statuses of wrong and right calls.
set -eu
conform=$1 plugin=$2
dir=$(mktemp -d "${TMPDIR:-/tmp}/usage-XXXXXX")
trap 'rm -rf "$dir"' EXIT

expect() {
  want=$1
  shift
  status=0
  "$conform" "$@" > "$dir/out" 2> "$dir/err" || status=$?
  if [ $status -ne "$want" ]; then
    echo "holdfast-conform $*: status $status, not $want"
    cat "$dir/out" "$dir/err"
    exit 1
  fi
}

expect 2
expect 2 "$plugin" --no-such-option
expect 2 "$plugin" 'path={scratch}/o' --format xml
expect 2 "$plugin" 'path={scratch}/o' --timeout never
expect 2 "$plugin"
grep -q path "$dir/err"
expect 2 "$plugin" 'path={scratch}/o' colour=red
grep -q colour "$dir/err"
expect 2 "$plugin" 'path={scratch}/o' --only 'no such case'
expect 2 "$plugin" 'path={scratch}/o' --scratch "$dir/missing"
expect 1 "$dir/missing.so"
expect 0 --help
expect 0 --version
expect 0 "$plugin" 'path={scratch}/o' --list
grep -q '^store: invisible before commit$' "$dir/out"
expect 0 "$plugin" 'path={scratch}/o' --only 'store: invisible*' \
  --scratch "$dir"
grep -q '^ok 1 - store: invisible before commit$' "$dir/out"
expect 0 "$plugin" 'path={scratch}/o' --only 'store: invisible*' --format tap
head -n 2 "$dir/out" | tr '\n' ' ' | grep -q '^TAP version 13 1\.\.1 $'

# a secret that is given from outside is not repeated
HF_TEST_TOKEN=very-secret-token-1
export HF_TEST_TOKEN
expect 1 "$plugin" 'path={scratch}/o' 'token={"env":"HF_TEST_TOKEN"}' \
  fault=secret --only 'store: invisible*'
! grep -q very-secret "$dir/out" "$dir/err"
grep -q 'value of a secret' "$dir/out"

# nothing is left behind
[ -z "$(ls -d "$dir"/conform-* 2> /dev/null)" ]
# a store that is not in the scratch folder is cleared as well
expect 0 "$plugin" "path=$dir/kept" --only 'store: objects of many*'
[ -z "$(find "$dir/kept" -type f)" ]
