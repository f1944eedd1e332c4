#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Incremental backups of a PostgreSQL server, by the program: where the server
# cannot make one it is a full one, with the reason.  What they are restored to
# is in test_postgres_chain.sh.
# ctest: TIMEOUT 300
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/pg.sh
. "$(dirname "$0")/pg.sh"

pg_start one -k
replicate one
sql one postgres 'ALTER SYSTEM SET full_page_writes = on' 'SELECT pg_reload_conf()' \
  'CREATE DATABASE shop' >/dev/null
sql one shop "CREATE TABLE t AS SELECT g, repeat('x', 200) AS t FROM generate_series(1, 20000) g"
cat >fleet.json <<JSON
{ "version": 1, "state_dir": "$WORK/state",
  "sinks": { "disk": { "type": "dir", "path": "$WORK/repo" } },
  "defaults": { "to": ["disk"], "verify": "none", "incremental": {} },
  "pipelines": {
    "shop": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "$(conninfo one)" } },
    "dump": { "from": { "engine": "postgres", "conninfo": "$(conninfo one shop)", "bin_dir": "$PG_BIN" } }
  } }
JSON
export HOLDFAST_CONFIG=$WORK/fleet.json

# took PIPELINE KIND: what the next backup is.
took() {
  hf 0 backup "$1"
  out "$2"
}

took shop full
took dump full
took dump 'full (mode logical has no incremental backups)'

if [ "$(sql one postgres 'SHOW server_version_num')" -lt 170000 ]; then
  took shop 'no incremental backup: it needs server 17'
  err 'a full backup, and not what has changed since'
  exit
fi

took shop 'summarize_wal is off'
hf 0 doctor shop
out 'summarize_wal: off, which incremental backups alone need'
sql one postgres 'ALTER SYSTEM SET summarize_wal = on' 'SELECT pg_reload_conf()' >/dev/null
# One from which on there are summaries, and two increments.
hf 0 backup --full shop
sql one shop 'UPDATE t SET t = 1 WHERE g % 1000 = 7'
took shop incremental
sql one shop 'CREATE TABLE more AS SELECT 1 AS i'
took shop incremental
hf 0 doctor shop
out 'summarize_wal: on, '
hf 0 verify shop

# What the server no longer knows is a full one, and goes on from there.
sql one postgres CHECKPOINT
for n in {1..100}; do
  [ "$(sql one postgres 'SELECT summarized_lsn >= redo_lsn FROM pg_get_wal_summarizer_state(), pg_control_checkpoint()')" = t ] && break
  sleep 0.1
done
find "$WORK/one/data/pg_wal/summaries" -type f -delete
took shop 'WAL summaries are required'
sql one shop 'DELETE FROM more'
took shop incremental
