#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# archive_command when several segments wait: the first call ends when its own
# file is safe, a process in the background brings the others along, and the
# calls for these are answered although the sink is gone by then.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pg.sh"

pg_start one
pg_folder "$WORK/state"
pg_folder "$WORK/sink"
fleet "{\"shop\": $(source_of "$(conninfo one postgres)" mode '"physical"' wal '{"push": true}')}"
chmod 644 fleet.json
printf '%s\n' 'archive_mode = on' "archive_command = ''" |
  pg_as tee -a one/data/postgresql.conf >/dev/null
pg_stop one
pg_start one
sql one postgres 'CREATE TABLE t (a int)'
for n in 1 2 3 4 5 6; do
  sql one postgres "INSERT INTO t VALUES ($n)" 'SELECT pg_switch_wal()' >/dev/null
done
pg_stop one

data=$WORK/one/data
mapfile -t waiting < <(cd "$data/pg_wal/archive_status" && printf '%s\n' *.ready | sed 's/\.ready$//')
[ "${#waiting[@]}" -ge 6 ] || fail "only ${#waiting[@]} segments wait"
push() { (cd "$data" && pg_as "$HOLDFAST" -q -c "$WORK/fleet.json" wal push "pg_wal/$1"); }
marks() { find "$WORK/state" -name '*.ok' | wc -l; }

run 0 push "${waiting[0]}"
find sink -name "${waiting[0]}.json" | grep -q . || fail 'the first one is not there'
for n in {1..300}; do
  [ "$(marks)" -lt $((${#waiting[@]} - 1)) ] || break
  sleep 0.1
done
[ "$(marks)" -eq $((${#waiting[@]} - 1)) ] || fail "$(marks) were brought along"
[ "$(find sink -name '*.json' | grep -c '/0000000100000000')" -eq "${#waiting[@]}" ] ||
  fail 'a mark of what is not there'
ok

chmod 000 sink
for f in "${waiting[@]:1}"; do run 0 push "$f"; done
# A mark answers once.
[ "$(marks)" -eq 0 ] || fail "$(marks) marks are left"
run 12 push "${waiting[1]}"
chmod 700 sink

# Somebody else's bytes are refused still.
printf 'x' | pg_as dd of="$data/pg_wal/${waiting[2]}" bs=1 seek=9000 conv=notrunc 2>/dev/null
run 1 push "${waiting[2]}"
grep -q 'with other bytes' err || fail "$(cat err)"
ok
