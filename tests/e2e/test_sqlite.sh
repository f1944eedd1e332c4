#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900 COST 50
# Every kind of SQLite database, there and back; what is stored, read by other
# tools; damage, in sinks and in the original; two runs at once.
. "$(dirname "$0")/lib.sh"
need sqlite3 jq gunzip sha256sum od dd

mkdir db sink copy new
names=()

# pipeline NAME PATH: remember it for the configuration.
declare -A path
pipeline() {
  names+=("$1")
  path[$1]=$2
}

# sql NAME SQL: db/NAME.db made by it.
sql() {
  sqlite3 "db/$1.db" "$2" >/dev/null || fail "cannot make $1"
  pipeline "$1" "db/$1.db"
}

# ---- the databases ----
: >db/zero.db
pipeline zero db/zero.db
sql empty 'VACUUM'
sql onepage "PRAGMA user_version=7; PRAGMA application_id=305419896;"
rows="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000)
  INSERT INTO t SELECT i, printf('row %d of %s', i, hex(randomblob(i % 80))) FROM n;"
for size in 512 1024 2048 4096 8192 16384 32768 65536; do
  sql "page$size" "PRAGMA page_size=$size; CREATE TABLE t(a INTEGER PRIMARY KEY, b); $rows"
  sql "walpage$size" "PRAGMA page_size=$size; PRAGMA journal_mode=wal; CREATE TABLE t(a INTEGER PRIMARY KEY, b); $rows"
done
sql autovacuum "PRAGMA auto_vacuum=full; CREATE TABLE t(a,b); $rows DELETE FROM t WHERE a % 3 = 0"
sql incremental "PRAGMA auto_vacuum=incremental; PRAGMA journal_mode=wal; CREATE TABLE t(a,b); $rows DELETE FROM t WHERE a % 3 = 0"
sql utf16 "PRAGMA encoding='UTF-16le'; CREATE TABLE t(a,b); $rows INSERT INTO t VALUES (0, 'Größe 日本 🐘')"
sql blob "CREATE TABLE f(name, body); INSERT INTO f VALUES ('one', randomblob(100000000)), ('two', zeroblob(100000000))"
sql rowid "CREATE TABLE t(a TEXT PRIMARY KEY, b) WITHOUT ROWID; CREATE INDEX i ON t(b);
  INSERT INTO t SELECT hex(randomblob(8)), value FROM generate_series(1, 5000)"
sql fts "CREATE VIRTUAL TABLE doc USING fts5(title, body);
  INSERT INTO doc SELECT 'title ' || value, 'some words ' || hex(randomblob(20)) FROM generate_series(1, 3000);
  DELETE FROM doc WHERE rowid % 7 = 0"
sql generated "CREATE TABLE t(a INT, b INT GENERATED ALWAYS AS (a * 2) STORED, c INT AS (a + 1) VIRTUAL);
  INSERT INTO t(a) SELECT value FROM generate_series(1, 1000); CREATE INDEX i ON t(c);
  CREATE VIEW v AS SELECT sum(b) FROM t; CREATE TRIGGER g AFTER DELETE ON t BEGIN SELECT 1; END"
awkward=("with space" "qu'ote" 'dou"ble' 'Größe-日本' '-dash' 'dollar$(x)' 'a;b&c' 'plus+=%41')
i=0
for name in "${awkward[@]}"; do
  i=$((i + 1))
  sqlite3 "./db/$name.db" "CREATE TABLE t(a); INSERT INTO t VALUES ('$i')" || fail "cannot make $name"
  pipeline "name$i" "db/$name.db"
done
# WAL with frames that are only there: somebody has it open.
sql walonly 'PRAGMA journal_mode=wal; PRAGMA user_version=3; CREATE TABLE t(a,b)'
hold walonly db/walonly.db "PRAGMA wal_autocheckpoint=0; $rows BEGIN; INSERT INTO t VALUES (1,'not committed');"
sql walpart 'PRAGMA journal_mode=wal; CREATE TABLE t(a,b)'
hold walpart db/walpart.db "PRAGMA wal_autocheckpoint=0; $rows PRAGMA wal_checkpoint(PASSIVE); UPDATE t SET b='changed' WHERE a % 2 = 0;"
# A WAL without anybody: its writer was killed.
sql walkilled 'PRAGMA journal_mode=wal; CREATE TABLE t(a,b)'
hold walkilled db/walkilled.db "PRAGMA wal_autocheckpoint=0; $rows"
kill -9 "$held_walkilled"
wait "$held_walkilled" 2>/dev/null
[ -s db/walkilled.db-wal ] || fail 'the killed writer left no WAL'
if [ "${HOLDFAST_TEST_LONG:-0}" = 1 ]; then
  "$HOLDFAST_PROGRAMS/makedb" db/large.db 2048 || fail 'cannot make large'
  pipeline large db/large.db
fi

for name in "${names[@]}"; do
  jq -n --arg n "$name" --arg p "${path[$name]}" '{($n): {from: {engine: "sqlite", path: $p}}}'
done | jq -s 'add as $p | {version: 1, state_dir: "state", filters: {gz: {type: "gzip"}},
  sinks: {one: {type: "dir", path: "sink/one"}, two: {type: "dir", path: "sink/two"}},
  defaults: {through: ["gz"], to: ["one", "two"]}, pipelines: $p}' >fleet.json
f="-c fleet.json"
hf 0 $f config validate

# ---- there and back ----
declare -A before
for name in "${names[@]}"; do
  before[$name]=$(content "${path[$name]}") || fail "cannot read ${path[$name]}"
done
hf 0 $f backup --all --json
json out ".backups | length == ${#names[@]}"
json out '[.backups[] | select(.result != "done" or (.verify.passed | not))] | length == 0'
for name in "${names[@]}"; do
  hf 0 $f restore "$name" --to "new/$name.db" --json
  json out '.restored'
  for rest in -wal -shm -journal; do
    [ ! -e "new/$name.db$rest" ] || fail "$name: $rest was left"
  done
  same "content of $name" "$(content "new/$name.db")" "${before[$name]}"
  integrity "new/$name.db"
  same "the original of $name" "$(content "${path[$name]}")" "${before[$name]}"
done
same 'rows that were not committed' "$(sqlite3 new/walonly.db "SELECT count(*) FROM t WHERE b='not committed'")" 0
release walonly
release walpart
rm -f new/*

# ---- how much of the copy is checked ----
for check in none quick full; do
  hf 0 $f restore page4096 --to new/checked.db -o check=$check
  same "content, check=$check" "$(content new/checked.db)" "${before[page4096]}"
  rm new/checked.db
done
hf 2 $f restore page4096 --to new/checked.db -o check=maybe
err 'expected one of none, quick, full'
[ ! -e new/checked.db ] || fail 'something was restored'

# ---- what is stored, without Holdfast ----
for name in "${names[@]}"; do
  hf 0 $f show "$name" --json
  key=$(jq -r '.sources[0].objects[0].key' out)
  id=$(jq -r .id out)
  for sink in one two; do
    dir=$(dirname "sink/$sink/$key")
    (cd "$dir" && sha256sum --quiet --strict -c SHA256SUMS) >out 2>err || fail "sha256sum -c in $dir"
    gunzip -c "sink/$sink/$key" >copy/by-hand.db || fail "gunzip of $key"
    same "raw hash of $name" "$(sha256sum <copy/by-hand.db | cut -d ' ' -f 1)" \
      "$(jq -r '.sources[0].objects[0].raw_sha256' "sink/$sink/$name/catalog/$id.json")"
    same "raw size of $name" "$(size_of copy/by-hand.db)" \
      "$(jq -r '.sources[0].objects[0].raw_size' "sink/$sink/$name/catalog/$id.json")"
    same "stored size of $name" "$(size_of "sink/$sink/$key")" \
      "$(jq -r '.sources[0].objects[0].stored_size' "sink/$sink/$name/catalog/$id.json")"
    integrity copy/by-hand.db
    same "content of $name by hand" "$(content copy/by-hand.db)" "${before[$name]}"
    rm -f copy/*
  done
done
find sink/one sink/two -type f -perm /077 | grep -q . && fail 'a stored file is open to others'
find sink/one sink/two -type d -perm /077 | grep -q . && fail 'a folder of a sink is open to others'
ok

# ---- a rollback-mode database under writers ----
sqlite3 db/live.db 'CREATE TABLE a(n INTEGER); CREATE TABLE b(n INTEGER);
  INSERT INTO a VALUES (0); INSERT INTO b VALUES (0);
  CREATE TABLE fill(x); INSERT INTO fill SELECT randomblob(4000) FROM generate_series(1, 3000)'
sqlite3 db/livewal.db 'PRAGMA journal_mode=wal; CREATE TABLE a(n INTEGER); CREATE TABLE b(n INTEGER);
  INSERT INTO a VALUES (0); INSERT INTO b VALUES (0);
  CREATE TABLE fill(x); INSERT INTO fill SELECT randomblob(4000) FROM generate_series(1, 3000)' >/dev/null
cat >live.json <<'END'
{ "version": 1, "state_dir": "state", "filters": { "gz": { "type": "gzip" } },
  "sinks": { "one": { "type": "dir", "path": "sink/one" } },
  "defaults": { "through": ["gz"], "to": ["one"] },
  "pipelines": {
    "live": { "from": { "engine": "sqlite", "path": "db/live.db" } },
    "livewal": { "from": { "engine": "sqlite", "path": "db/livewal.db" } } } }
END
touch writing
for db in db/live.db db/livewal.db; do
  while [ -e writing ]; do
    sqlite3 "$db" '.timeout 20000' 'BEGIN IMMEDIATE; UPDATE a SET n = n + 1; UPDATE b SET n = n - 1; COMMIT' || break
    sleep 0.02
  done >/dev/null 2>&1 &
  children="$children $!"
done
for n in 1 2 3 4 5; do
  hf 0 -c live.json backup --all
  for name in live livewal; do
    hf 0 -c live.json restore "$name" --to "new/$name.$n.db"
    same "the sum over two tables" "$(sqlite3 "new/$name.$n.db" 'SELECT (SELECT n FROM a) + (SELECT n FROM b)')" 0
    integrity "new/$name.$n.db"
  done
done
rm writing
wait $(jobs -p) 2>/dev/null
children=
[ "$(sqlite3 db/live.db 'SELECT n FROM a')" -gt 5 ] || fail 'the writer of the rollback-mode database starved'
[ "$(sqlite3 db/livewal.db 'SELECT n FROM a')" -gt 5 ] || fail 'the writer of the WAL database starved'
rm -f new/*

# ---- in place ----
sqlite3 db/shop.db 'PRAGMA journal_mode=wal; CREATE TABLE t(a,b)' "$rows" >/dev/null
chmod 640 db/shop.db
cat >shop.json <<'END'
{ "version": 1, "state_dir": "state", "filters": { "gz": { "type": "gzip" } },
  "sinks": { "one": { "type": "dir", "path": "sink/one" }, "two": { "type": "dir", "path": "sink/two" } },
  "defaults": { "through": ["gz"], "to": ["one", "two"] },
  "pipelines": { "shop": { "from": { "engine": "sqlite", "path": "db/shop.db" } } } }
END
f="-c shop.json"
good=$(content db/shop.db)
hf 0 $f backup shop --json
id=$(jq -r '.backups[0].id' out)
sqlite3 db/shop.db "DELETE FROM t WHERE a > 10; INSERT INTO t VALUES (-1, 'later')"
later=$(content db/shop.db)
hf 0 $f restore shop --in-place --yes --json
json out '.restored and .in_place'
safety=$(jq -r '.results.safety_copy' out)
[ -s "$safety" ] || fail "no safety copy \"$safety\""
same 'content after a restore in place' "$(content db/shop.db)" "$good"
same 'mode after a restore in place' "$(stat -c %a db/shop.db)" 640
same 'rows of the safety copy' "$(sqlite3 "$safety" "SELECT count(*) FROM t WHERE b='later'")" 1
undo=$(jq -r '.results.undo' out)
sh -c "$undo" || fail "the undo command failed: $undo"
same 'content after undoing it' "$(content db/shop.db | head -n 1)" "$(echo "$later" | head -n 1)"
[ ! -e "$safety" ] || fail 'the safety copy is still there after the undo'
# Overwritten in the middle.
dd if=/dev/urandom of=db/shop.db bs=4096 seek=2 count=3 conv=notrunc status=none
hf 0 $f restore shop --in-place --yes
same 'content after damage and a restore' "$(content db/shop.db)" "$good"
rm -f db/shop.db.* db/shop.db-*
# Gone.
rm -f db/shop.db
hf 0 $f restore shop --in-place --yes
same 'content after loss and a restore' "$(content db/shop.db)" "$good"
# In use by another process: refused, and nothing is changed.
hold user db/shop.db 'BEGIN; SELECT count(*) FROM t;'
run_code=0
"$HOLDFAST" $f restore shop --in-place --yes >out 2>err </dev/null || run_code=$?
[ "$run_code" -ne 0 ] || fail 'replaced a database that is in use'
ok
release user
same 'content after a refused restore' "$(content db/shop.db)" "$good"

# ---- two runs of one pipeline at once ----
# The first one waits for a lock of the database, and so holds the lease.
sqlite3 db/shop.db 'PRAGMA journal_mode=delete' >/dev/null
hold locker db/shop.db 'BEGIN EXCLUSIVE;'
"$HOLDFAST" $f backup shop >first.out 2>first.err </dev/null &
first=$!
children="$children $first"
for ((i = 0; i < 100; i++)); do
  ls sink/one/shop/lease/ 2>/dev/null | grep -q . && jq -e '.released != true' "$(ls -d sink/one/shop/lease/* | tail -n 1)" >/dev/null 2>&1 && break
  sleep 0.1
done
hf 11 $f backup shop
out locked
err "$(hostname)"
hf 0 $f status
out backup
hf 11 $f backup shop --json
json out '.backups[0].result == "locked"'
release locker
wait "$first" || fail "the first run failed: $(cat first.err)"
ok
hf 0 $f backup shop

# ---- damage in a sink ----
hf 0 $f show shop "$id" --json
key=$(jq -r '.sources[0].objects[0].key' out)
cp -r sink pristine
middle=$(($(size_of "sink/one/$key") / 2))
# The newest one: status tells, until it is found well again.
hf 0 $f show shop --json
newest=$(jq -r '.sources[0].objects[0].key' out)
flip "sink/one/$newest" 1000
hf 4 $f verify shop
hf 4 $f status shop
out 'FAILED its check'
hf 4 $f status shop --json
json out '.pipelines[0].copies_failed == 1'
flip "sink/one/$newest" 1000
hf 0 $f verify shop
hf 0 $f status shop
flip "sink/one/$key" "$middle"
hf 4 $f verify shop --backup "$id"
out 'one FAILED' 'two ok'
err shop.db
hf 0 $f list shop
out 'FAILED verify'
hf 4 $f verify shop --backup "$id" --json
json out '(.passed | not) and (.checks[0].sinks | map(.passed) == [false, true])'
# It falls back to the other sink, and says so.
hf 0 $f restore shop --backup "$id" --to new/fallback.db
out 'from two'
err 'one'
same 'content from the other sink' "$(content new/fallback.db)" "$good"
hf 4 $f restore shop --backup "$id" --from one --to new/bad.db
[ ! -e new/bad.db ] || fail 'a damaged copy was restored'
ok
# Both damaged: nothing is restored, and the original stays.
flip "sink/two/$key" "$middle"
hf 4 $f restore shop --backup "$id" --in-place --yes
same 'the original after two damaged copies' "$(content db/shop.db | cut -d ' ' -f 1)" "$(echo "$good" | cut -d ' ' -f 1)"
# Any flipped bit, and a missing last byte, of any file of the backup.
for file in "$key" "shop/catalog/$id.json" "$(dirname "$key")/SHA256SUMS"; do
  size=$(size_of "pristine/one/$file")
  for at in 0 $((size / 3)) $((size - 1)) end; do
    rm -rf sink && cp -r pristine sink
    if [ "$at" = end ]; then
      truncate -s $((size - 1)) "sink/one/$file"
    else
      flip "sink/one/$file" "$at"
    fi
    hf 4 $f verify shop --backup "$id"
    err "$(basename "$file")"
  done
done
rm -rf sink && cp -r pristine sink
rm "sink/one/$key"
hf 4 $f verify shop --backup "$id"
rm -rf sink && cp -r pristine sink
hf 0 $f verify shop --backup "$id"

# ---- refused, and why ----
mkdir db/folder.db
head -c 8192 /dev/urandom >db/noise.db
printf 'SQLite format 3\0' >db/short.db
jq -n '{version: 1, state_dir: "state", sinks: {one: {type: "dir", path: "sink/one"}}, defaults: {to: ["one"]},
  pipelines: (["folder", "noise", "short", "none"] | map({(.): {from: {engine: "sqlite", path: "db/\(.).db"}}}) | add)}' >refused.json
for name in folder noise short none; do
  code=0
  "$HOLDFAST" -c refused.json backup $name >out 2>err </dev/null || code=$?
  [ "$code" -ne 0 ] || fail "$name was backed up"
  err "error: $name" "db/$name.db"
  "$HOLDFAST" -c refused.json list $name >out 2>err
  no_out "$name"
done
[ ! -e db/none.db ] || fail 'a database that was not there was made'
ok
