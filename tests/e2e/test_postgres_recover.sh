#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A physical backup restored by the program: started, looked into, one database
# taken out of it; and restores that are killed.
# ctest: TIMEOUT 300
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/pg.sh
. "$(dirname "$0")/pg.sh"

pg_start one --data-checksums
echo 'local replication all trust' | pg_as tee -a "$WORK/one/data/pg_hba.conf" >/dev/null
sql one postgres 'ALTER SYSTEM SET full_page_writes = on' 'SELECT pg_reload_conf()' >/dev/null
sql one postgres 'CREATE DATABASE shop'
sql one shop "CREATE TABLE t AS SELECT g, repeat('x', 200) AS t FROM generate_series(1, 20000) g" \
  'CREATE INDEX ON t (g)'
fleet "{\"shop\": $(source_of "$(conninfo one shop)" mode '"physical"')}"
H() { "$HOLDFAST" -c "$WORK/fleet.json" "$@"; }

H backup shop >"$WORK/out" 2>&1 || fail "backup: $(cat "$WORK/out")"
sql one shop 'DELETE FROM t WHERE g > 100'

# A data directory, started under the server's own name for it.
mkdir "$WORK/two" && chmod 755 "$WORK/two"
H restore shop --to "$WORK/two/data" >"$WORK/out" 2>&1 || fail "restore: $(cat "$WORK/out")"
grep -q 'pg_ctl -D' "$WORK/out" || fail "how to start it is not said: $(cat "$WORK/out")"
pg_as "$PG_BIN/pg_verifybackup" "$WORK/two/data" >"$WORK/verify" 2>&1 || fail "pg_verifybackup: $(cat "$WORK/verify")"
[ "$(id -u)" -ne 0 ] || chown postgres: "$WORK/two"
pg_start two
[ "$(sql two shop 'SELECT count(*) FROM t')" = 20000 ] || fail 'rows of the restored server'
ok
pg_stop two
H restore shop --to "$WORK/two/data" >"$WORK/out" 2>&1 && fail 'it restored over a data directory'
grep -q 'not empty' "$WORK/out" || fail "why it is refused: $(cat "$WORK/out")"
ok

# Killed at any time: nothing that a server takes for its own, and the next one
# clears up.
for pause in 0.02 0.05 0.1 0.2; do
  "$HOLDFAST" -c "$WORK/fleet.json" restore shop --to "$WORK/two/killed" >"$WORK/out" 2>&1 &
  sleep "$pause"
  kill -9 $! 2>/dev/null
  wait $! 2>/dev/null
  [ -e "$WORK/two/killed" ] && { rm -r "$WORK/two/killed"; continue; }
  [ -z "$(find "$WORK/two" -path '*.killed.holdfast-*' -name pg_control)" ] || fail 'a killed restore left a pg_control'
done
H restore shop --to "$WORK/two/killed" >"$WORK/out" 2>&1 || fail "after kills: $(cat "$WORK/out")"
[ -z "$(find "$WORK/two" -name '*holdfast*')" ] || fail 'leftovers of killed restores are there'
ok

# A file that cannot be written to its end, in the middle of it: an error that
# names it, and nothing is left.
(ulimit -f 2048; H restore shop --to "$WORK/two/small") >"$WORK/out" 2>&1 && fail 'restored without room'
grep -q 'File too large' "$WORK/out" || fail "why it failed: $(cat "$WORK/out")"
[ -z "$(find "$WORK/two" -name '*small*')" ] || fail "left: $(find "$WORK/two" -name '*small*')"
ok

# One database, into the server it came from.
H restore shop --to "$(conninfo one shop_then)" >"$WORK/out" 2>&1 || fail "one database: $(cat "$WORK/out")"
[ "$(sql one shop_then 'SELECT count(*) FROM t')" = 20000 ] || fail 'rows of the database'
[ "$(sql one shop 'SELECT count(*) FROM t')" = 100 ] || fail 'the source was touched'
ok

# A target that is in use is found before anything is recovered: here nothing
# could be, as the backup is gone from its sink.
tar=$(find "$WORK/sink" -name 'base.tar*' | head -1)
[ -n "$tar" ] || fail 'no base.tar in the sink'
mkdir "$WORK/aside" && mv "$(dirname "$tar")" "$WORK/aside/data"
H restore shop --to "$(conninfo one shop)" >"$WORK/out" 2>&1 && fail 'it restored over a database'
grep -q 'shop exists and is not empty: it has table public.t' "$WORK/out" || fail "why it is refused: $(cat "$WORK/out")"
mv "$WORK/aside/data" "$(dirname "$tar")"
[ "$(sql one shop 'SELECT count(*) FROM t')" = 100 ] || fail 'the database that was there'
ok
H verify shop --deep >"$WORK/out" 2>&1 || fail "verify --deep: $(cat "$WORK/out")"
ok
no_session one
