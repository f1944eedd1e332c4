#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 600
# Physical backups of a PostgreSQL server: what is stored extracts and passes
# pg_verifybackup; what is no whole backup is never listed.
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/pg.sh
. "$(dirname "$0")/pg.sh"
need tar gunzip

# pg_wal elsewhere, two tablespaces, an unlogged table, checksums.
pg_folder "$WORK/main"
pg_start main -k -X "$WORK/main/wal"
replicate main
sql main postgres "ALTER SYSTEM SET full_page_writes = on" "SELECT pg_reload_conf()" >/dev/null
for n in one two; do
  pg_folder "$WORK/main/space $n"
  sql main postgres "CREATE TABLESPACE $n LOCATION '$WORK/main/space $n'"
done
sql main postgres 'CREATE DATABASE shop TABLESPACE one'
sql main shop "CREATE TABLE a AS SELECT g AS id, repeat(md5(g::text), 8) AS t FROM generate_series(1, 20000) g" \
  'CREATE UNLOGGED TABLE u TABLESPACE two AS SELECT 1 AS i' 'CREATE TABLE empty ()'

export HOLDFAST_CONFIG=$WORK/fleet.json
cat >fleet.json <<JSON
{ "version": 1, "state_dir": "$WORK/state",
  "filters": { "gz": { "type": "gzip" } },
  "sinks": { "disk": { "type": "dir", "path": "$WORK/repo" } },
  "defaults": { "through": ["gz"], "to": ["disk"], "verify": "none" },
  "pipelines": {
    "main": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "$(conninfo main)" } },
    "trusting": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "$(conninfo main)", "verify_checksums": false } },
    "nobody": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "host=$PG_HOST port=${pg_port[main]} user=nobody dbname=postgres" } },
    "slow": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "$(conninfo main)", "max_rate": "1MiB" } },
    "streamed": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "$(conninfo main)", "wal": { "stream": true, "wait": "2s" } } }
  } }
JSON

# extract PIPELINE DIR: the newest backup, each tablespace where DIR has it.
extract() {
  local id f name to
  id=$(basename "$(ls -d "repo/$1/catalog/"*.json | sort | tail -n 1)" .json)
  rm -rf "$2" && mkdir -m 700 "$2" || fail "no folder $2"
  for f in repo/"$1"/data/"$id"/base.tar.gz repo/"$1"/data/"$id"/[0-9]*.tar.gz; do
    name=$(basename "$f" .tar.gz)
    to=$2
    [ "$name" = base ] || to=$2/pg_tblspc/$name
    mkdir -p "$to"
    gunzip -c "$f" | tar -xf - -C "$to" || fail "$f does not extract"
    ok
  done
  gunzip -c repo/"$1"/data/"$id"/backup_manifest.gz >"$2/backup_manifest" || fail 'no manifest'
}

# --- whole ---------------------------------------------------------------------

hf 0 backup main
extract main copy
[ "$(ls copy/pg_tblspc | wc -l)" -eq 2 ] || fail 'not two tablespaces'
run 0 "$PG_BIN/pg_verifybackup" copy
out 'successfully verified'
[ -s copy/backup_label ] && [ -s copy/tablespace_map ] || fail 'no label, or no map'
ok

# --- pages that are damaged ------------------------------------------------------

sql main postgres 'CREATE TABLE damaged AS SELECT g, repeat(md5(g::text), 12) FROM generate_series(1, 500) g' 'CHECKPOINT'
file=$(sql main postgres "SELECT pg_relation_filepath('damaged')")
printf 'not what was written' | dd of="$WORK/main/data/$file" bs=1 seek=$((8192 * 2 + 5000)) conv=notrunc 2>/dev/null
listed=$(ls repo/main/catalog | wc -l)
hf 1 backup main
err "$file block 2" 'verify_checksums'
[ "$(ls repo/main/catalog | wc -l)" -eq "$listed" ] || fail 'a damaged backup is listed'
ok
hf 0 backup trusting
extract trusting copy
run 0 "$PG_BIN/pg_verifybackup" copy
sql main postgres 'DROP TABLE damaged' 'CHECKPOINT'

# --- what is missing -------------------------------------------------------------

sql main postgres 'CREATE ROLE nobody LOGIN'
hf 12 backup nobody
err 'no right to replicate' 'ALTER ROLE'
hf 1 doctor nobody
out 'ALTER ROLE "nobody" REPLICATION'

# Nobody follows the slot: found before anything is copied.
hf 1 backup streamed
err 'WAL does not arrive in the log' 'holdfast run'
[ ! -e repo/streamed/catalog ] || [ -z "$(ls repo/streamed/catalog)" ] || fail 'it is listed'
ok

# --- ended in the middle ---------------------------------------------------------

"$HOLDFAST" backup slow >"$WORK/slow.out" 2>"$WORK/slow.err" &
pid=$!
children="$children $pid"
for n in {1..200}; do
  [ "$(sql main postgres "SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > 1000000")" = 0 ] || break
  sleep 0.1
done
sql main postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'" >/dev/null
wait "$pid" && fail 'a backup without its end was taken for one'
grep -q 'replication on' "$WORK/slow.err" || fail "$(cat "$WORK/slow.err")"
[ ! -e repo/slow/catalog ] || [ -z "$(ls repo/slow/catalog)" ] || fail 'it is listed'
ok

# --- a standby -------------------------------------------------------------------

pg_folder "$WORK/standby"
(cd / && pg_as "$PG_BIN/pg_basebackup" -h "$PG_HOST" -p "${pg_port[main]}" -U postgres -D "$WORK/standby/data" -R -c fast \
  -T "$WORK/main/space one=$WORK/standby/space one" -T "$WORK/main/space two=$WORK/standby/space two") >basebackup.log 2>&1 ||
  fail "pg_basebackup: $(cat basebackup.log)"
pg_start standby
sed -i "s/$(conninfo main | sed 's/[/]/\\\//g')/$(conninfo standby | sed 's/[/]/\\\//g')/" fleet.json
hf 0 backup main
extract main copy
run 0 "$PG_BIN/pg_verifybackup" copy
grep -q '^BACKUP FROM: standby' copy/backup_label || fail 'not of the standby'
ok

# --- pushed ----------------------------------------------------------------------

# The server's user writes too.
pg_start pushing
replicate pushing
mkdir -m 777 theirs theirs/repo theirs/state
cat >theirs/fleet.json <<JSON
{ "version": 1, "state_dir": "$WORK/theirs/state",
  "sinks": { "disk": { "type": "dir", "path": "$WORK/theirs/repo" } },
  "defaults": { "to": ["disk"], "verify": "none" },
  "pipelines": { "pushed": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "$(conninfo pushing)", "wal": { "push": true, "wait": "5s" } } } } }
JSON
chmod 644 theirs/fleet.json
theirs() { run "$1" pg_as "$HOLDFAST" -c "$WORK/theirs/fleet.json" "${@:2}"; }
# Before 14 a server does not say whether it is a standby, whose primary may
# archive: there it is found when the WAL does not come.
early=2
[ "$PG_MAJOR" -ge 14 ] || early=1
theirs $early backup pushed
err 'archive_mode is off' 'ALTER SYSTEM SET archive_mode = on'
sql pushing postgres 'ALTER SYSTEM SET archive_mode = on' "ALTER SYSTEM SET archive_command = 'false'"
pg_stop pushing
pg_start pushing
theirs 1 backup pushed
err 'nothing was copied yet' 'archive_command failed at 0000000100000000'
[ -z "$(ls theirs/repo/pushed/catalog 2>/dev/null)" ] || fail 'it is listed'
ok
sql pushing postgres "ALTER SYSTEM SET archive_command = '$HOLDFAST -c $WORK/theirs/fleet.json wal push %p'" 'SELECT pg_reload_conf()' >/dev/null
theirs 0 backup pushed
mkdir -m 700 theirs/copy
tar -xf theirs/repo/pushed/data/*/base.tar -C theirs/copy
cp theirs/repo/pushed/data/*/backup_manifest theirs/copy/
run 0 "$PG_BIN/pg_verifybackup" -n theirs/copy
pg_stop pushing
