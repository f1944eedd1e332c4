#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What can go wrong while a PostgreSQL database is restored: each time the
# target server is as it was, and the next restore works.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/pg.sh"

pg_start one
everything one src
sql one postgres 'CREATE DATABASE large' 'CREATE ROLE creates LOGIN CREATEDB'
sql one large 'CREATE TABLE large (i integer, t text)' \
  "INSERT INTO large SELECT i, string_agg(md5((i * 1000 + k)::text), '') FROM generate_series(1, 30000) i, generate_series(1, 60) k GROUP BY i" \
  'CREATE INDEX ON large (md5(t))'
f="-c fleet.json"
fleet "{\"src\": $(source_of "$(conninfo one src)"), \"large\": $(source_of "$(conninfo one large)" jobs 2)}"
hf 0 $f backup --all
before=$(databases one)
as_it_was() {
  no_session one
  no_stray one
  same "$what: databases" "$(databases one)" "$before"
}
# A restore that stands still in the middle of the COPY of "large".
begin() {
  "$HOLDFAST" $f restore large --to copy >out 2>err </dev/null &
  run_pid=$!
  children="$children $run_pid"
  sql one postgres "DO \$\$ BEGIN
    FOR i IN 1..10000 LOOP
      IF EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '^(BEGIN; *)?.*COPY .*large.* FROM' AND query !~ 'pg_stat' AND state = 'active') THEN RETURN; END IF;
      PERFORM pg_stat_clear_snapshot(), pg_sleep(0.002);
    END LOOP;
    RAISE 'no COPY was seen';
  END \$\$"
  kill -STOP "$run_pid" || fail 'the restore had ended'
}
goes_on() {
  local code=0
  kill -CONT "$run_pid"
  wait "$run_pid" || code=$?
  [ "$code" -eq "$1" ] || fail "$what: exit $code instead of $1"
  ok
}
works() {
  hf 0 $f restore large --to copy
  same "$what: rows after the next restore" "$(sql one copy 'SELECT count(*), sum(i) FROM large')" "$(sql one large 'SELECT count(*), sum(i) FROM large')"
  no_session one
  same "$what: databases after it" "$(databases one | grep -vx copy)" "$before"
  drop one copy
}

what='a session of the restore terminated'
begin
sql one postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'COPY .*large.* FROM' AND query !~ 'pg_stat'" >/dev/null
goes_on 1
err large
as_it_was
works

what='server killed in a restore'
begin
pg_kill9 one
goes_on 1
err copy
pg_start one
databases one | grep -qx copy && fail "$what: a database that is not whole has the name"
works

what='interrupted'
begin
kill -INT "$run_pid"
goes_on 130
as_it_was

# ---- a disk that is full ----
if [ "$(id -u)" -eq 0 ]; then
  mkdir tiny && mount -t tmpfs -o size=30m,mode=0700,uid=postgres none tiny || fail 'no tmpfs can be mounted'
  at_exit() { umount -l "$WORK/tiny" 2>/dev/null; }
  # No space for its rows, but for its definitions.
  what='no space on the target'
  sql one postgres "CREATE TABLESPACE tiny LOCATION '$WORK/tiny'"
  sql one postgres 'CREATE DATABASE crowded TABLESPACE tiny'
  before=$(databases one)
  hf 1 $f restore large --to crowded
  err space hint
  as_it_was
  same 'what is in the database' "$(sql one crowded "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")" 0
  drop one crowded
  sql one postgres 'DROP TABLESPACE tiny'
else
  # Root alone can mount: but a file may not grow beyond what a limit says.
  what='no space on the target'
  pg_stop one
  ulimit -S -f 32768
  pg_start one
  before=$(databases one)
  hf 1 $f restore large --to copy
  err large
  as_it_was
  pg_stop one
  ulimit -S -f unlimited
  pg_start one
fi
before=$(databases one)
works

# ---- a role that may create a database, but not what is in it ----
what='a role without rights'
code=0
"$HOLDFAST" $f restore src --to "host=$PG_HOST port=${pg_port[one]} user=creates dbname=copy" >out 2>err </dev/null || code=$?
[ "$code" -eq 12 ] || fail "$what: exit $code instead of 12"
err hint
as_it_was

what='a target that is not there'
hf 1 $f restore large --to "host=$PG_HOST port=1 user=postgres dbname=copy"
err hint
hf 12 $f restore large --to "$(tcp one copy creates)"
err creates
as_it_was

# ---- a pg_restore that fails ----
what='pg_restore fails'
mkdir broken
for p in "$PG_BIN"/*; do ln -s "$p" broken/; done
rm broken/pg_restore
printf '#!/bin/sh\ncase "$*" in *post-data*) case "$*" in *--list*) ;; *) echo "pg_restore: error: broken for a test" >&2; exit 1 ;; esac ;; esac\nexec "%s/pg_restore" "$@"\n' "$PG_BIN" >broken/pg_restore
chmod 755 broken/pg_restore
jq --arg d "$WORK/broken" '.pipelines.large.from.bin_dir = $d' fleet.json >broken.json
hf 1 -c broken.json restore large --to copy
err 'broken for a test'
as_it_was
works

# ---- a stored object that is damaged ----
what='damage in the sink'
object=$(ls sink/large/data/*/100-public.large.0001.sql.gz)
flip "$object" $(($(size_of "$object") / 2))
code=0
"$HOLDFAST" $f restore large --to copy >out 2>err </dev/null || code=$?
[ "$code" -eq 4 ] || fail "$what: exit $code instead of 4"
err 100-public.large.0001.sql
as_it_was
