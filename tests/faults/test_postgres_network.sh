#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The network between Holdfast and a PostgreSQL server is cut, without a word
# to either: backup and restore end with an error within the time that the
# keepalives of the conninfo give, and nothing is listed.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/pg.sh"
# shellcheck source=tests/faults/net.sh
. "$(dirname "$0")/net.sh"

PG_LISTEN="127.0.0.1,$net.1" pg_start one
sql one postgres 'CREATE DATABASE src' "CREATE ROLE far LOGIN SUPERUSER PASSWORD 'away'"
sql one src 'CREATE TABLE large (i integer, t text)' \
  "INSERT INTO large SELECT i, string_agg(md5((i * 1000 + k)::text), '') FROM generate_series(1, 30000) i, generate_series(1, 60) k GROUP BY i"
echo away >password
fleet "{\"src\": $(source_of "host=$net.1 port=${pg_port[one]} user=far dbname=src connect_timeout=5 keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=3000" \
  password "{\"file\": \"$WORK/password\"}" jobs 2 chunk_size '"1GiB"')}"
f="-c fleet.json"
inside() { nsenter -t "$inside" -n "$HOLDFAST" $f "$@"; }
run 0 inside backup src
listed=$(ls sink/src/catalog | wc -l)

# cut_in PATTERN ARGUMENTS...: cut while a COPY like this one is at work.
cut_in() {
  local pattern=$1 start code=0 pid
  shift
  nsenter -t "$inside" -n "$HOLDFAST" $f "$@" >out 2>err </dev/null &
  pid=$!
  children="$children $pid"
  sql one postgres "DO \$\$ BEGIN
    FOR i IN 1..10000 LOOP
      IF EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '$pattern' AND query !~ 'pg_stat' AND state = 'active') THEN RETURN; END IF;
      PERFORM pg_stat_clear_snapshot(), pg_sleep(0.002);
    END LOOP;
    RAISE 'no COPY was seen';
  END \$\$"
  cut_off
  start=$SECONDS
  wait "$pid" || code=$?
  [ "$code" -eq 1 ] || fail "exit $code after the network was cut"
  [ $((SECONDS - start)) -lt 60 ] || fail "it took $((SECONDS - start)) s to notice"
  mend one
  err "$net.1" hint
}
cut_in 'COPY .*large.* TO' backup src
same 'backups that are listed' "$(ls sink/src/catalog | wc -l)" "$listed"
sleep 3
no_session one
no_stray one
run 0 inside backup src

before=$(databases one)
cut_in 'COPY .*large.* FROM' restore src --to copy
databases one | grep -qx copy && fail 'a database that is not whole has the name'
sleep 3
run 0 inside restore src --to copy
same 'rows after the next restore' "$(sql one copy 'SELECT count(*), sum(i) FROM large')" "$(sql one src 'SELECT count(*), sum(i) FROM large')"
same 'databases after it' "$(databases one | grep -vx copy)" "$before"

# Cut before it begins.
cut_off
run 1 inside backup src
err "$net.1" hint
mend one
run 0 inside backup src
