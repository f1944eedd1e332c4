#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Incremental physical backups by the program: taken, listed, restored as one,
# recovered by WAL behind the last, killed, damaged.  A server before 17 makes
# none: then the runs make full ones and say why.
# ctest: TIMEOUT 300
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/pg.sh
. "$(dirname "$0")/pg.sh"

pg_start one --data-checksums
echo 'local replication all trust' | pg_as tee -a "$WORK/one/data/pg_hba.conf" >/dev/null
version=$(sql one postgres 'SHOW server_version_num')
sql one postgres 'ALTER SYSTEM SET full_page_writes = on' >/dev/null
[ "$version" -lt 170000 ] || sql one postgres 'ALTER SYSTEM SET summarize_wal = on' >/dev/null
sql one postgres 'SELECT pg_reload_conf()' 'CREATE DATABASE shop' >/dev/null
sql one shop "CREATE TABLE t AS SELECT g, repeat('x', 200) AS t FROM generate_series(1, 40000) g" \
  'CREATE INDEX ON t (g)' 'CREATE TABLE u AS SELECT generate_series(1, 9000) AS g'
shop=$(source_of "$(conninfo one shop)" mode '"physical"' | jq -c '. + {incremental: {}}')
fleet "{\"shop\": $shop, \"logged\": $(jq -c '.from.wal = {stream: true, flush: "1s"}' <<<"$shop")}"
H() { "$HOLDFAST" -c "$WORK/fleet.json" "$@"; }
mkdir "$WORK/two" && chmod 755 "$WORK/two"
[ "$(id -u)" -ne 0 ] || chown postgres: "$WORK/two"

H backup shop >"$WORK/out" 2>&1 || fail "backup: $(cat "$WORK/out")"
for n in 1 2 3; do
  sql one shop "UPDATE t SET t = t || '$n' WHERE g % 500 = $n" \
    "DELETE FROM u WHERE g > $((9000 - 2000 * n))" 'VACUUM u' \
    "CREATE TABLE new_$n AS SELECT generate_series(1, 1000) AS g" >/dev/null
  H backup shop --incremental >"$WORK/out" 2>&1 || fail "backup $n: $(cat "$WORK/out")"
  sum[n]=$(sql one shop 'SELECT md5(string_agg(t::text, $$$$ ORDER BY g)) FROM t' 'SELECT count(*) FROM u')
done
H list shop --json >"$WORK/list" || fail 'list'

if [ "$version" -lt 170000 ]; then
  grep -q 'full (' "$WORK/out" || fail "why it is a full one: $(cat "$WORK/out")"
  H restore shop --to "$WORK/two/data" >"$WORK/out" 2>&1 || fail "restore: $(cat "$WORK/out")"
  ! grep -q 'increments' "$WORK/out" || fail 'increments of an older server'
  ok
  exit 0
fi

mapfile -t ids < <(H list shop | grep -oE '[0-9]{8}T[0-9]{6}Z-[0-9a-f]+')
[ ${#ids[@]} -eq 4 ] || fail "backups: $(H list shop)"

# The newest, and one in between.
for n in 3 2; do
  rm -rf "$WORK/two/data"
  H restore shop --backup "${ids[n]}" --to "$WORK/two/data" >"$WORK/out" 2>&1 || fail "restore $n: $(cat "$WORK/out")"
  grep -q "$n, on a full backup" "$WORK/out" || fail "the links are not told: $(cat "$WORK/out")"
  pg_as "$PG_BIN/pg_verifybackup" "$WORK/two/data" >"$WORK/verify" 2>&1 || fail "pg_verifybackup: $(cat "$WORK/verify")"
  pg_start two
  [ "$(sql two shop 'SELECT md5(string_agg(t::text, $$$$ ORDER BY g)) FROM t' 'SELECT count(*) FROM u')" = "${sum[n]}" ] ||
    fail "rows of the restored server $n"
  [ "$(sql two shop "SELECT count(*) FROM pg_class WHERE relname ~ '^new_'")" = "$n" ] || fail "tables of the restored server $n"
  pg_stop two
  ok
done

# Killed at any time: nothing that a server takes for its own, and the next one
# clears up.
for pause in 0.05 0.1 0.2 0.3 0.5; do
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

# A file that cannot be written to its end, in the middle of it.
(ulimit -f 1024; H restore shop --to "$WORK/two/small") >"$WORK/out" 2>&1 && fail 'restored without room'
grep -q 'File too large' "$WORK/out" || fail "why it failed: $(cat "$WORK/out")"
[ -z "$(find "$WORK/two" -name '*small*')" ] || fail "left: $(find "$WORK/two" -name '*small*')"
ok

H verify shop --deep >"$WORK/out" 2>&1 || fail "verify --deep: $(cat "$WORK/out")"
ok
H restore shop --to "$(conninfo one shop_then)" >"$WORK/out" 2>&1 || fail "one database: $(cat "$WORK/out")"
[ "$(sql one shop_then 'SELECT md5(string_agg(t::text, $$$$ ORDER BY g)) FROM t' 'SELECT count(*) FROM u')" = "${sum[3]}" ] ||
  fail 'rows of the database'
ok

# A link in the middle is damaged, or gone.
folder=$(ls -d "$WORK"/sink/shop/data/* | sort | sed -n 2p)
tar=$(find "$folder" -name 'base.tar*' ! -name '*.frames')
[ -s "$tar" ] || fail 'no base.tar in the sink'
cp "$tar" "$WORK/good"
flip "$tar" $(($(size_of "$tar") / 2))
H restore shop --backup "${ids[3]}" --to "$WORK/two/damaged" >"$WORK/out" 2>&1 && fail 'it restored a damaged chain'
grep -qi 'damaged\|corrupt' "$WORK/out" || fail "what is wrong is not said: $(cat "$WORK/out")"
[ -z "$(find "$WORK/two" -name "*damaged*")" ] || fail 'a failed restore left something'
rm "$tar"
H restore shop --backup "${ids[3]}" --to "$WORK/two/damaged" >"$WORK/out" 2>&1 && fail 'it restored a chain with a hole'
[ -z "$(find "$WORK/two" -name "*damaged*")" ] || fail 'a failed restore left something'
cp "$WORK/good" "$tar"
H restore shop --backup "${ids[3]}" --to "$WORK/two/damaged" >"$WORK/out" 2>&1 || fail "mended: $(cat "$WORK/out")"
ok

# A full backup, an increment, and a moment behind it that is in the log.
"$HOLDFAST" -c "$WORK/fleet.json" run logged >"$WORK/run.err" 2>&1 &
children="$children $!"
H backup logged >"$WORK/out" 2>&1 || fail "backup: $(cat "$WORK/out")"
sql one shop "UPDATE t SET t = 'later' WHERE g % 700 = 1"
H backup logged --incremental >"$WORK/out" 2>&1 || fail "backup: $(cat "$WORK/out")"
grep -q 'incremental on' "$WORK/out" || fail "no increment: $(cat "$WORK/out")"
sql one shop 'INSERT INTO u SELECT generate_series(1, 500)'
# The end of a backup is known to the second.
sleep 1.1
at=$(sql one shop 'SELECT to_char(clock_timestamp() AT TIME ZONE $$UTC$$, $$YYYY-MM-DD"T"HH24:MI:SS.US"Z"$$)')
then=$(sql one shop 'SELECT md5(string_agg(t::text, $$$$ ORDER BY g)) FROM t' 'SELECT count(*) FROM u')
sleep 0.1
sql one shop 'TRUNCATE t' 'SELECT pg_switch_wal()' >/dev/null
for n in {1..60}; do
  H restore logged --at "$at" --to "$(conninfo one shop_at)" >"$WORK/out" 2>&1 && break
  sleep 0.5
done
[ "$(sql one shop_at 'SELECT md5(string_agg(t::text, $$$$ ORDER BY g)) FROM t' 'SELECT count(*) FROM u')" = "$then" ] ||
  fail "rows of that moment: $(cat "$WORK/out")"
ok

# Without the full backup no moment is promised from its increment.
H list logged --json 2>/dev/null | jq -e '.pipelines[0].windows | length > 0' >/dev/null || fail 'nothing is promised'
full=$(H list logged --json 2>/dev/null | jq -r '.pipelines[0].backups[0].id')
mv "$WORK/sink/logged/catalog/$full.json" "$WORK/full.json" || fail 'no full backup'
H list logged --json 2>/dev/null | jq -e '.pipelines[0].windows == []' >/dev/null ||
  fail "what cannot be reached is promised: $(H list logged 2>&1)"
H verify logged >"$WORK/out" 2>&1 && fail 'verified without what it builds on'
grep -q 'every moment' "$WORK/out" && fail "what cannot be reached is promised: $(cat "$WORK/out")"
mv "$WORK/full.json" "$WORK/sink/logged/catalog/$full.json"
H verify logged >"$WORK/out" 2>&1 || fail "mended: $(cat "$WORK/out")"
grep -q 'every moment' "$WORK/out" || fail "nothing is promised: $(cat "$WORK/out")"
ok
