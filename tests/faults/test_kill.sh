#!/usr/bin/env bash
# kill -9 at random moments of backup, restore in place and verify.  After each:
# nothing bad is listed, the original is whole (old or new, and then the old one
# is kept as the safety copy), and the next run succeeds and clears what was
# left.  HOLDFAST, MAKEDB: the programs.  HOLDFAST_TEST_LONG=1: 200 kills.
set -euo pipefail
for tool in sqlite3; do
  command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
kills=36
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && kills=201
seed=${HOLDFAST_TEST_SEED:-$$}
echo "seed $seed (HOLDFAST_TEST_SEED), $kills kills"
RANDOM=$seed

work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-kill-XXXXXX")
trap 'rm -rf "$work"' EXIT
db=$work/app.db
"$MAKEDB" "$db" 3
sqlite3 "$db" 'CREATE TABLE marks(n INTEGER PRIMARY KEY, note TEXT); PRAGMA wal_autocheckpoint=0' >/dev/null
cat > "$work/fleet.json" <<JSON
{ "version": 1, "state_dir": "$work/state",
  "filters": { "gz": { "type": "gzip" } },
  "sinks": { "a": { "type": "dir", "path": "$work/a" },
             "b": { "type": "dir", "path": "$work/b" } },
  "defaults": { "through": ["gz"], "to": ["a", "b"] },
  "pipelines": { "app": { "from": { "engine": "sqlite", "path": "$db" } } } }
JSON
hf() { "$HOLDFAST" -q -c "$work/fleet.json" "$@"; }
fail() {
  echo "FAILED at kill $i ($what): $*"
  ls -la "$work" "$work"/*/app/* || true
  cp -a "$work" "$work.failed" && echo "kept: $work.failed"
  exit 1
}
# A reader that changes nothing: a copy of the files, as an application that
# starts now would see them.
hash_of() {
  local copy=$work/look
  rm -rf "$copy"
  mkdir "$copy"
  cp "$1" "$copy/db"
  [ -e "$1-wal" ] && cp "$1-wal" "$copy/db-wal"
  [ -e "$1-journal" ] && cp "$1-journal" "$copy/db-journal"
  [ "$(sqlite3 "$copy/db" 'PRAGMA integrity_check')" = ok ] || { echo damaged; return; }
  sqlite3 "$copy/db" ".sha3sum --schema"
}
# Run, and kill it after a random part of the time that it took unharmed.
strike() {
  local limit_ms=$1 delay
  shift
  delay=$(((RANDOM * 32768 + RANDOM) % (limit_ms + limit_ms / 10 + 1)))
  # Not by hf: that would be a subshell's child, and the subshell be killed.
  "$HOLDFAST" -q -c "$work/fleet.json" "$@" >"$work/out" 2>&1 &
  local pid=$!
  sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
  kill -9 "$pid" 2>/dev/null || true
  local code=0
  wait "$pid" 2>/dev/null || code=$?
  [ "$code" -ne 137 ] || struck=$((struck + 1))
}
timed() {
  local start
  start=$(date +%s%N)
  "$@" >"$work/out" 2>&1 || { cat "$work/out"; fail "run without a kill: $*"; }
  took=$((($(date +%s%N) - start) / 1000000))
}
# 3: killed between two sinks, so that one does not have it: no damage.
listed_backups_are_good() {
  local code=0
  hf verify app --backup "$1" >"$work/out" 2>&1 || code=$?
  case $code in 0 | 3) ;; *) cat "$work/out"; fail "a listed backup is bad" ;; esac
}
# What no manifest names: files of runs that were killed.
leftovers() {
  local data
  for data in $(find "$work"/[ab]/app/data -mindepth 1 -type f -printf '%h\n' | sort -u); do
    [ -e "$(dirname "$(dirname "$data")")/catalog/$(basename "$data").json" ] || echo "$data"
  done
}

i=0 what=setup
timed hf backup app; backup_ms=$took
timed hf verify app; verify_ms=$took
timed hf restore app --in-place --yes; restore_ms=$took
rm -f "$db".before-restore-*
backup_hash=$(hash_of "$db")
echo "unharmed: backup $backup_ms ms, verify $verify_ms ms, restore $restore_ms ms"
old=0 new=0 struck=0

for i in $(seq 1 "$kills"); do
  sqlite3 "$db" "INSERT INTO marks VALUES ($i, hex(randomblob(2000)))"
  changed_hash=$(hash_of "$db")
  case $((i % 3)) in
  0)
    what=backup
    strike "$backup_ms" backup app
    [ "$(hash_of "$db")" = "$changed_hash" ] || fail "the source changed"
    listed_backups_are_good latest
    hf backup app >"$work/out" 2>&1 || { cat "$work/out"; fail "the next backup fails"; }
    [ -z "$(leftovers)" ] || fail "not cleared: $(leftovers)"
    backup_hash=$changed_hash
    ;;
  1)
    what='restore in place'
    strike "$restore_ms" restore app --in-place --yes
    seen=$(hash_of "$db")
    if [ "$seen" = "$changed_hash" ]; then
      old=$((old + 1))
    elif [ "$seen" = "$backup_hash" ]; then
      new=$((new + 1))
      kept=0
      for copy in "$db".before-restore-*; do
        case $copy in *-wal | *-shm | *-journal) continue ;; esac
        [ -e "$copy" ] && [ "$(hash_of "$copy")" = "$changed_hash" ] && kept=1
      done
      [ "$kept" = 1 ] || fail "the replaced database is not kept"
    else
      fail "neither the old nor the new database: $seen"
    fi
    hf restore app --in-place --yes >"$work/out" 2>&1 || { cat "$work/out"; fail "the next restore fails"; }
    [ "$(hash_of "$db")" = "$backup_hash" ] || fail "the next restore gives something else"
    rm -f "$db".before-restore-*
    rest=$(find "$work" -maxdepth 1 -name 'app.db*' ! -name app.db ! -name app.db-wal ! -name app.db-shm)
    [ -z "$rest" ] || fail "not cleared: $rest"
    ;;
  2)
    what=verify
    strike "$verify_ms" verify app
    listed_backups_are_good latest
    ;;
  esac
done
what=end
listed_backups_are_good all
[ "$struck" -ge $((kills / 3)) ] || fail "only $struck of $kills runs were killed before they ended"
echo "$struck of $kills runs were killed before they ended"
echo "restores in place that were killed: $old left the old database, $new the new one"
echo "ok"
