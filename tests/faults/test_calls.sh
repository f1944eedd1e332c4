#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The n-th system call on the files of a sink, or of the database that is
# restored, fails (EIO, ENOSPC) or kills the process; n = 1, 2, 3, ...  Each
# time: a clean error, no leak, earlier backups restore, the original is whole,
# the next run succeeds.  HOLDFAST, MAKEDB, PRELOAD: what was built.
# HOLDFAST_TEST_LONG=1: every n of the calls that change something, and 25 of
# the others; else as many as fit.
set -euo pipefail
command -v sqlite3 >/dev/null || { echo "needs sqlite3"; exit 77; }
most_of() {
  case ${HOLDFAST_TEST_LONG:-0}$1 in
  1*write*) echo 100000 ;;
  1*) echo 25 ;;
  *write*) echo 9 ;;
  *) echo 4 ;;
  esac
}

work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-calls-XXXXXX")
trap 'rm -rf "$work"' EXIT
db=$work/app.db
"$MAKEDB" "$db" 2
sqlite3 "$db" 'CREATE TABLE marks(n INTEGER PRIMARY KEY, note TEXT)' >/dev/null
cat > "$work/fleet.json" <<JSON
{ "version": 1, "state_dir": "$work/state",
  "filters": { "gz": { "type": "gzip" } },
  "sinks": { "a": { "type": "dir", "path": "$work/a", "min_free": "0" },
             "b": { "type": "dir", "path": "$work/b", "min_free": "0" } },
  "defaults": { "through": ["gz"], "to": ["a", "b"], "verify": "none" },
  "pipelines": { "app": { "from": { "engine": "sqlite", "path": "$db" } } } }
JSON
hf() { "$HOLDFAST" -q -c "$work/fleet.json" "$@"; }
export ASAN_OPTIONS="verify_asan_link_order=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
what=setup n=0
fail() {
  echo "FAILED: $what, call $n: $*"
  cat "$work/out" 2>/dev/null || true
  exit 1
}
hash_of() {
  rm -rf "$work/look"
  mkdir "$work/look"
  cp "$1" "$work/look/db"
  [ -e "$1-wal" ] && cp "$1-wal" "$work/look/db-wal"
  [ -e "$1-journal" ] && cp "$1-journal" "$work/look/db-journal"
  [ "$(sqlite3 "$work/look/db" 'PRAGMA integrity_check' 2>&1)" = ok ] || { echo damaged; return; }
  sqlite3 "$work/look/db" '.sha3sum --schema'
}
# faulty ERROR CALLS PATH ARGUMENTS...: one run; its exit code is in $code.
faulty() {
  local error=$1 calls=$2 path=$3
  shift 3
  code=0
  { env LD_PRELOAD="$PRELOAD" HF_FAULT_CALLS="$calls" HF_FAULT_AT="$n" HF_FAULT_ERROR="$error" \
    HF_FAULT_PATH="$path" HF_FAULT_COUNT="$work/count" \
    "$HOLDFAST" -q -c "$work/fleet.json" "$@" >"$work/out" 2>&1; } 2>/dev/null || code=$?
  seen=$(tr -dc 0-9 <"$work/count")
}
# sweep SEEN CALLS: the n of 1..SEEN, all of them or a number spread evenly.
sweep() {
  awk -v seen="$1" -v most="$(most_of "$2")" 'BEGIN {
    step = seen > most ? seen / most : 1
    for (x = 1; x < seen + 1; x += step) print int(x) }'
}
clean_exit() {
  case " $1 " in *" $code "*) ;; *) fail "exit $code, which is none of $1" ;; esac
}
# 3: a required sink does not have it, which is said and no damage.
listed_is_good() {
  local code=0
  hf verify app --backup latest >"$work/out" 2>&1 || code=$?
  case $code in 0 | 3) ;; *) fail "a listed backup is bad" ;; esac
}
# All but the first backup: what lists them must not take longer each time.
forget_others() {
  local sink
  for sink in "$work"/[ab]; do
    find "$sink/app/catalog" -type f ! -name "$first.json" -delete
    find "$sink/app/data" -mindepth 1 -maxdepth 1 ! -name "$first" -exec rm -r {} +
    rm -rf "$sink/app/reports" "$sink/app/checks"
  done
}
earlier_backup_is_good() {
  hf verify app --backup "$first" >"$work/out" 2>&1 || fail "the earlier backup is bad now"
}

hf backup app >/dev/null
first=$(basename "$work"/a/app/catalog/*.json .json)
first_hash=$(hash_of "$db")
sqlite3 "$db" "INSERT INTO marks VALUES (1, 'changed')"
changed_hash=$(hash_of "$db")
changing=write,fsync,rename,link,unlink,mkdir,truncate
looking=open,read,close,statvfs
total=0

for calls in $changing $looking; do for error in EIO ENOSPC+ kill after; do
  what="backup, $error of $calls"
  n=0 && faulty "$error" "$calls" "$work/a" backup app
  [ "$code" = 0 ] || fail "it fails without a fault"
  for n in $(sweep "$seen" "$calls"); do
    faulty "$error" "$calls" "$work/a" backup app
    # 0: the call did not matter; 3: without sink a; 1, 12: nothing at all.
    case $error in kill | after) clean_exit "137 0 1 3" ;; *) clean_exit "0 1 3 12" ;; esac
    [ "$(hash_of "$db")" = "$changed_hash" ] || fail "the source changed"
    earlier_backup_is_good
    listed_is_good
    hf backup app >"$work/out" 2>&1 || fail "the next backup fails"
    # An empty folder is nothing that a store knows of.
    for data in $(find "$work"/[ab]/app/data -mindepth 1 -type f -printf '%h\n' | sort -u); do
      [ -e "$(dirname "$(dirname "$data")")/catalog/$(basename "$data").json" ] || fail "not cleared: $data"
    done
    forget_others
    total=$((total + 1))
  done
done; done

for calls in $changing $looking; do for error in EIO ENOSPC+ kill after; do
  what="restore in place, $error of $calls"
  n=0 && faulty "$error" "$calls" "$db" restore app --backup "$first" --in-place --yes
  [ "$code" = 0 ] || fail "it fails without a fault"
  all=$seen
  for n in $(sweep "$all" "$calls"); do
    rm -f "$db".before-restore-*
    sqlite3 "$db" "INSERT INTO marks VALUES ($((n + 1)), 'changed $error')"
    before=$(hash_of "$db")
    faulty "$error" "$calls" "$db" restore app --backup "$first" --in-place --yes
    # 4: of some pages that cannot be read SQLite says that they are damaged.
    case $error in kill | after) clean_exit "137 0 1 3" ;; *) clean_exit "0 1 3 4 12 10" ;; esac
    now=$(hash_of "$db")
    if [ "$now" = "$first_hash" ]; then
      kept=0
      for copy in "$db".before-restore-*; do
        case $copy in *-wal | *-shm | *-journal) continue ;; esac
        [ -e "$copy" ] && [ "$(hash_of "$copy")" = "$before" ] && kept=1
      done
      [ "$kept" = 1 ] || fail "the replaced database is not kept"
    elif [ "$now" != "$before" ]; then
      fail "neither the old nor the new database: $now"
    elif [ "$code" = 0 ]; then
      fail "it says that it restored, but the old database is there"
    fi
    hf restore app --backup "$first" --in-place --yes >"$work/out" 2>&1 || fail "the next restore fails"
    [ "$(hash_of "$db")" = "$first_hash" ] || fail "the next restore gives something else"
    total=$((total + 1))
  done
done; done

what="verify, EIO"
calls=$changing,$looking
n=0 && faulty EIO "$calls" "$work/a" verify app --backup "$first"
for n in $(sweep "$seen" "$looking"); do
  faulty EIO "$calls" "$work/a" verify app --backup "$first"
  clean_exit "0 1 3 4 12"
  earlier_backup_is_good
  total=$((total + 1))
done
echo "$total faults, ok"
