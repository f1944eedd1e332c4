#!/bin/sh
# finds.sh CONFORM PLUGIN FAULT CASE [KEY=VALUE...]: the suite has to fail the
# named case on a plugin with that fault, and to pass it without.
set -eu
conform=$1 plugin=$2 fault=$3 case=$4
shift 4
dir=$(mktemp -d "${TMPDIR:-/tmp}/finds-XXXXXX")
trap 'rm -rf "$dir"' EXIT
seq 1 2000 > "$dir/source"

run() {
  status=0
  what=$1
  shift
  "$conform" "$plugin" "$@" --only "$case" --scratch "$dir" \
    --timeout 20 --format tap > "$dir/out" 2>&1 || status=$?
  echo "== $what"
  cat "$dir/out"
}

case $plugin in
*engine.so) set -- "path=$dir/source" "$@" ;;
*store.so) set -- 'path={scratch}/objects' "$@" ;;
esac

if [ "$fault" != - ]; then
  run "without a fault" "$@"
  if [ $status -ne 0 ] || ! grep -q "^ok 1 - $case\$" "$dir/out"; then
    echo "the case does not pass on a sound plugin (status $status)"
    exit 1
  fi
  set -- "$@" "fault=$fault"
fi
run "with fault $fault" "$@"
if [ $status -ne 1 ] || ! grep -q "^not ok 1 - $case\$" "$dir/out"; then
  echo "the suite did not find the fault (status $status)"
  exit 1
fi
echo "found"
