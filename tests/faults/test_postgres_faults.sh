#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What can go wrong while a PostgreSQL database is backed up.  Each time: the
# right exit code, a message that names what failed, nothing listed, no session
# or program left, and the next backup works.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/pg.sh"

pg_start one
sql one postgres 'CREATE DATABASE src' "CREATE ROLE reads LOGIN PASSWORD 'right'"
# Large enough that a COPY can be stopped in its middle.
sql one src 'CREATE TABLE large (i integer, t text)' \
  "INSERT INTO large SELECT i, string_agg(md5((i * 1000 + k)::text), '') FROM generate_series(1, 30000) i, generate_series(1, 60) k GROUP BY i" \
  'CREATE TABLE small (a integer PRIMARY KEY)' 'INSERT INTO small VALUES (1)' \
  "SELECT lo_from_bytea(4711, 'secret')" 'GRANT SELECT ON large, small TO reads' >/dev/null
f="-c fleet.json"
with() { fleet "{\"src\": $(source_of "$@")}"; }
with "$(conninfo one src)" jobs 2 chunk_size '"1GiB"'
hf 0 $f backup src
listed=1

# After each fault.
nothing_of_it() {
  same "$1: backups that are listed" "$(ls sink/src/catalog | wc -l)" "$listed"
  no_session one
  no_stray one
}
next_works() {
  with "$(conninfo one src)" jobs 2 chunk_size '"1GiB"'
  hf 0 $f backup src
  listed=$((listed + 1))
  [ -z "$(for data in sink/src/data/*/; do [ -e "sink/src/catalog/$(basename "$data").json" ] || find "$data" -type f; done)" ] ||
    fail "$1: the next backup does not clear what was left"
  ok
}
# A backup that stands still in the middle of the COPY of "large".
begin() {
  "$HOLDFAST" $f backup src >out 2>err </dev/null &
  run_pid=$!
  children="$children $run_pid"
  sql one postgres "DO \$\$ BEGIN
    FOR i IN 1..10000 LOOP
      IF EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '^COPY .*large' AND state = 'active') THEN RETURN; END IF;
      PERFORM pg_stat_clear_snapshot(), pg_sleep(0.002);
    END LOOP;
    RAISE 'no COPY was seen';
  END \$\$"
  kill -STOP "$run_pid" || fail "the backup had ended"
}
# goes_on CODE: its end.
goes_on() {
  local code=0
  kill -CONT "$run_pid"
  wait "$run_pid" || code=$?
  [ "$code" -eq "$1" ] || fail "$what: exit $code instead of $1"
  ok
}
pid_of() { sql one postgres "SELECT pid FROM pg_stat_activity WHERE datname = 'src' AND pid <> pg_backend_pid() AND $1 LIMIT 1"; }

what='server killed'
begin
pg_kill9 one
goes_on 1
err src hint
pg_start one
nothing_of_it "$what"
next_works "$what"

what='server stopped'
begin
pg_stop one immediate
goes_on 1
err src
pg_start one
nothing_of_it "$what"

what='server not there'
pg_stop one
hf 1 $f backup src
err "${pg_port[one]}" hint
pg_start one
nothing_of_it "$what"
next_works "$what"

what="a worker's backend terminated"
begin
sql one postgres "SELECT pg_terminate_backend($(pid_of "query ~ '^COPY .*large'"))" >/dev/null
goes_on 1
err large hint
nothing_of_it "$what"
next_works "$what"

what="the coordinator's backend terminated"
begin
sql one postgres "SELECT pg_terminate_backend($(pid_of "state = 'idle in transaction'"))" >/dev/null
goes_on 1
err src
nothing_of_it "$what"
next_works "$what"

what="a worker's query cancelled"
begin
sql one postgres "SELECT pg_cancel_backend($(pid_of "query ~ '^COPY .*large'"))" >/dev/null
goes_on 1
err large
nothing_of_it "$what"

what='interrupted'
begin
kill -INT "$run_pid"
goes_on 130
nothing_of_it "$what"
next_works "$what"

what='a table dropped after the snapshot'
mkfifo dropper
pg one src <dropper >dropper.out 2>&1 &
children="$children $!"
exec 8>dropper
echo "BEGIN; DROP TABLE small;" >&8
for ((i = 0; i < 100; i++)); do
  [ "$(sql one src "SELECT count(*) FROM pg_locks WHERE relation = (SELECT oid FROM pg_class WHERE relname = 'small') AND mode = 'AccessExclusiveLock'")" -gt 0 ] && break
  sleep 0.05
done
"$HOLDFAST" $f backup src >out 2>err </dev/null &
run_pid=$!
for ((i = 0; i < 200; i++)); do
  [ "$(sql one src "SELECT count(*) FROM pg_locks WHERE relation = (SELECT oid FROM pg_class WHERE relname = 'small') AND NOT granted")" -gt 0 ] && break
  sleep 0.05
done
[ "$i" -lt 200 ] || fail "$what: nobody waits for the table"
echo 'COMMIT;' >&8
exec 8>&-
# It begins again with another snapshot, which does not know the table.
wait "$run_pid" || fail "$what: exit $?"
listed=$((listed + 1))
nothing_of_it "$what"
hf 0 $f restore src --to copy
same "$what: tables" "$(sql one copy "SELECT string_agg(relname, ' ') FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")" large
same "$what: rows" "$(sql one copy 'SELECT count(*), sum(i) FROM large')" "$(sql one src 'SELECT count(*), sum(i) FROM large')"
drop one copy
sql one src 'CREATE TABLE small (a integer PRIMARY KEY)' 'INSERT INTO small VALUES (1)' 'GRANT SELECT ON small TO reads'
next_works "$what"

# ---- who may not ----
what='a wrong password'
printf 'xyzzy\n' >password
with "$(tcp one src reads)" password "{\"file\": \"$WORK/password\"}"
hf 12 $f backup src
err reads password hint
nothing_of_it "$what"

what='no password'
with "$(tcp one src reads)"
PGPASSFILE=$WORK/none hf 12 $f backup src
err "${pg_port[one]}" password hint

what='no such role'
with "$(tcp one src nobody_there)" password "{\"file\": \"$WORK/password\"}"
hf 12 $f backup src
err nobody_there
with "host=$PG_HOST port=${pg_port[one]} user=nobody_there dbname=src"
hf 12 $f backup src
err nobody_there hint

what='no such database'
with "$(conninfo one nowhere)"
hf 10 $f backup src
err nowhere hint

what='no such host'
with 'host=nowhere.invalid user=reads dbname=src'
hf 1 $f backup src
err nowhere.invalid hint

what='a wrong keyword'
with 'hostt=x user=reads dbname=src'
hf 2 $f backup src
err hostt

what='one table may not be read'
printf 'right\n' >password
sql one src 'CREATE TABLE "a ""closed"" one" (a integer)'
with "$(tcp one src reads)" password "{\"file\": \"$WORK/password\"}" large_objects false
hf 12 $f backup src
err closed hint
nothing_of_it "$what"
hf 1 $f doctor src
out closed
sql one src 'DROP TABLE "a ""closed"" one"'
hf 0 $f backup src
listed=$((listed + 1))

what='rows that may not be seen'
sql one src 'CREATE TABLE owned (a integer)' 'INSERT INTO owned VALUES (1), (2)' 'GRANT SELECT ON owned TO reads' \
  'ALTER TABLE owned ENABLE ROW LEVEL SECURITY' 'CREATE POLICY half ON owned TO reads USING (a = 1)'
hf 12 $f backup src
err owned hint
nothing_of_it "$what"
sql one src 'DROP TABLE owned'

what='a large object may not be read'
with "$(tcp one src reads)" password "{\"file\": \"$WORK/password\"}"
hf 12 $f backup src
err 4711 hint
nothing_of_it "$what"
sql one src 'GRANT SELECT ON LARGE OBJECT 4711 TO reads'
hf 0 $f backup src
listed=$((listed + 1))

what='no more connections'
sql one postgres 'ALTER ROLE reads CONNECTION LIMIT 1'
hf 1 $f backup src
err connection hint
nothing_of_it "$what"
sql one postgres 'ALTER ROLE reads CONNECTION LIMIT -1'

# ---- pg_dump ----
what='pg_dump is not there'
mkdir none old broken
with "$(conninfo one src)" bin_dir "\"$WORK/none\""
code=0
"$HOLDFAST" $f backup src >out 2>err </dev/null || code=$?
[ "$code" -eq 10 ] || [ "$code" -eq 1 ] || fail "$what: exit $code"
err pg_dump hint postgresql-client
nothing_of_it "$what"

what='pg_dump is too old'
for p in "$PG_BIN"/*; do ln -s "$p" broken/; done
for p in pg_dump pg_restore pg_dumpall; do
  printf '#!/bin/sh\necho "%s (PostgreSQL) 12.3"\n' $p >old/$p
  chmod 755 old/$p
done
with "$(conninfo one src)" bin_dir "\"$WORK/old\""
hf 1 $f backup src
major=$(sql one postgres "SELECT current_setting('server_version_num')::int / 10000")
err pg_dump 12 "postgresql-client-$major" hint
nothing_of_it "$what"
hf 1 $f doctor src
out pg_dump

what='pg_dump breaks off'
for how in 'exit 1' 'exit 0' 'kill -SEGV $$'; do
  rm -f broken/pg_dump
  printf '#!/bin/sh\ncase "$*" in *--version*) exec "%s/pg_dump" --version ;; esac\n"%s/pg_dump" "$@" | head -c 700\necho "pg_dump: error: broke off for a test" >&2\n%s\n' \
    "$PG_BIN" "$PG_BIN" "$how" >broken/pg_dump
  chmod 755 broken/pg_dump
  with "$(conninfo one src)" bin_dir "\"$WORK/broken\""
  code=0
  "$HOLDFAST" $f backup src >out 2>err </dev/null || code=$?
  [ "$code" -eq 1 ] || [ "$code" -eq 4 ] || fail "$what ($how): exit $code"
  err pg_
  [ "$how" = 'exit 0' ] || err 'broke off for a test'
  nothing_of_it "$what"
done
next_works "$what"
hf 0 $f verify src --backup all
