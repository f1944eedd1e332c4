#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 1800 COST 80
# Backups of a database in which TPC-B runs: in each restored copy the sums of
# the four balances agree.  Definitions that change meanwhile: a right backup,
# or a clear failure.
# HOLDFAST_TEST_LONG=1: pgbench's scale 50 and 20 backups.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pg.sh"
scale=5 backups=5 chunk=8MiB
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && scale=50 backups=20 chunk=64MiB

pg_start one
sql one postgres 'CREATE DATABASE bench'
bench=("$PG_BIN/pgbench" -h "$PG_HOST" -p "${pg_port[one]}" -U postgres)
"${bench[@]}" -i -q -s "$scale" bench >out 2>err || fail 'pgbench -i'
fleet "{\"bench\": $(source_of "$(conninfo one bench)" jobs 3 chunk_size "\"$chunk\"" lock_timeout '"3s"')}"
f="-c fleet.json"

# ---- TPC-B ----
"${bench[@]}" -n -c 4 -j 2 -T 3600 bench >tpcb.log 2>&1 &
load=$!
children="$children $load"
done_before=0
for ((n = 1; n <= backups; n++)); do
  for ((i = 0; i < 100; i++)); do
    [ "$(sql one bench 'SELECT count(*) FROM pgbench_history')" -gt "$done_before" ] && break
    sleep 0.1
  done
  done_before=$(sql one bench 'SELECT count(*) FROM pgbench_history')
  hf 0 $f backup bench
  [ "$(sql one bench 'SELECT count(*) FROM pgbench_history')" -gt "$done_before" ] || fail 'nothing was committed during the backup: this shows nothing'
  hf 0 $f restore bench --to "copy$n" -o check=full
  IFS='|' read -r accounts branches tellers history rows count <<<"$(sql one "copy$n" "SELECT
    (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches),
    (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT coalesce(sum(delta), 0) FROM pgbench_history),
    (SELECT count(*) FROM pgbench_accounts), (SELECT count(*) FROM pgbench_history)")"
  same "backup $n: accounts and branches" "$accounts" "$branches"
  same "backup $n: accounts and tellers" "$accounts" "$tellers"
  same "backup $n: accounts and history" "$accounts" "$history"
  same "backup $n: accounts" "$rows" $((scale * 100000))
  [ "$count" -ge "$done_before" ] || fail "backup $n: committed rows are missing: $count of $done_before"
  drop one "copy$n"
done
kill -0 "$load" 2>/dev/null || fail "pgbench ended: $(tail -n 3 tpcb.log)"
stored=$(stored_folder sink bench)
[ "$PG_MAJOR" -lt 14 ] || [ "$(ls "$stored" | grep -c '^100-public\.pgbench_accounts\..*\.sql\.gz$')" -gt 1 ] || fail "accounts was not cut: $(ls "$stored")"
ok
kill -9 "$load"
wait "$load" 2>/dev/null

# ---- a rewrite at the moment at which the backup starts ----
# TRUNCATE and ALTER TABLE give a table new files, which a snapshot taken
# before sees as empty: such a copy must never be stored as a right one.
sql one postgres 'CREATE DATABASE race'
sql one race 'CREATE TABLE a (i integer, pad text)' "INSERT INTO a SELECT i, repeat('x', 300) FROM generate_series(1, 3000) i" \
  'CREATE TABLE b (i integer)' 'INSERT INTO b SELECT generate_series(1, 3000)'
fleet "{\"race\": $(source_of "$(conninfo one race)" jobs 2 chunk_size '"256KiB"' lock_timeout '"10s"')}"
cat >rewrite.sql <<'SQL'
BEGIN;
TRUNCATE a;
INSERT INTO a SELECT i, repeat('y', 300) FROM generate_series(1, 3000) i;
ALTER TABLE b ALTER i TYPE bigint;
ALTER TABLE b ALTER i TYPE integer;
COMMIT;
SQL
touch rewriting
while [ -e rewriting ]; do pg one race -f rewrite.sql >/dev/null 2>&1; sleep 0.0$((RANDOM % 10)); done &
rewriter=$!
children="$children $rewriter"
good=0 refused=0
for n in 1 2 3 4 5 6 7 8; do
  code=0
  "$HOLDFAST" $f backup race >out 2>err </dev/null || code=$?
  if [ "$code" -eq 0 ]; then
    good=$((good + 1))
    hf 0 $f restore race --to raced
    same 'rows beside a rewrite' "$(sql one raced 'SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)')" '3000|3000'
    drop one raced
  else
    [ "$code" -eq 1 ] || fail "exit $code beside a rewrite"
    err hint
    refused=$((refused + 1))
  fi
done
rm rewriting
wait "$rewriter"
echo "beside a rewrite: $good good backups, $refused refused"
no_session one
hf 0 $f backup race

# ---- somebody who waits for the backup ----
# ALTER TABLE waits for our locks, and all who come later wait behind it: our
# own workers must not.
sql one postgres 'CREATE DATABASE slow'
sql one slow "CREATE TABLE t (i integer, pad text)" "INSERT INTO t SELECT i, md5(i::text) || repeat(md5(i::text), 20) FROM generate_series(1, 120000) i" 'CREATE TABLE small (a integer)' 'INSERT INTO small VALUES (1)'
fleet "{\"slow\": $(source_of "$(conninfo one slow)" jobs 3 chunk_size '"1MiB"' lock_timeout '"4s"')}"
"$HOLDFAST" $f backup slow >slow.out 2>slow.err </dev/null &
backup=$!
children="$children $backup"
for ((i = 0; i < 200; i++)); do
  [ "$(sql one slow "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE relation = 't'::regclass AND mode = 'AccessShareLock' AND granted AND a.pid <> pg_backend_pid() AND application_name <> 'psql'")" -gt 0 ] && break
  kill -0 "$backup" 2>/dev/null || break
  sleep 0.02
done
pg one slow -c 'ALTER TABLE small ADD b integer' -c 'ALTER TABLE t ADD b integer' >alter.out 2>&1 &
alter=$!
wait "$backup" || fail "the backup did not end well while ALTER TABLE waited: $(cat slow.err)"
ok
wait "$alter" || fail "ALTER TABLE failed: $(cat alter.out)"
hf 0 $f restore slow --to copy
same 'rows with ALTER TABLE waiting' "$(sql one copy 'SELECT count(*) FROM t')" 120000
drop one copy

# ---- somebody who does not let go ----
pg one slow -c "SET application_name = 'the holder'" -c 'BEGIN' -c 'LOCK TABLE small' -c "SELECT pg_sleep(600)" >/dev/null 2>&1 &
holder=$!
children="$children $holder"
for ((i = 0; i < 100; i++)); do
  [ "$(sql one slow "SELECT count(*) FROM pg_locks WHERE relation = 'small'::regclass AND mode = 'AccessExclusiveLock'")" -gt 0 ] && break
  sleep 0.1
done
pid=$(sql one slow "SELECT pid FROM pg_locks WHERE relation = 'small'::regclass AND mode = 'AccessExclusiveLock'")
count=$(ls sink/slow/catalog | wc -l)
start=$SECONDS
hf 1 $f backup slow
[ $((SECONDS - start)) -lt 30 ] || fail "waited for the lock $((SECONDS - start)) s, with lock_timeout 4s"
err small "$pid" 'the holder' hint
same 'backups after it' "$(ls sink/slow/catalog | wc -l)" "$count"
hf 0 $f doctor slow
out small "$pid"
kill -9 "$holder"
sql one postgres "SELECT pg_terminate_backend($pid)" >/dev/null
no_session one
hf 0 $f backup slow
