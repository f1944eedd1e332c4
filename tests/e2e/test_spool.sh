#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 300 LABELS serial
# A sink slower than the disk does not hold the snapshot, and with it the
# application's WAL, until it is done: what it has not taken yet is spooled.
. "$(dirname "$0")/lib.sh"
need sqlite3

"$HOLDFAST_PROGRAMS/makedb" app.db 40 || fail 'cannot make app.db'
sqlite3 app.db 'CREATE TABLE late(a)'
before=$(content app.db)
mkdir slow
# configuration AFTER: what the slow sink may hold up.
configuration() {
  cat >fleet.json <<JSON
{ "version": 1, "state_dir": "state", "spool": { "after": "$1" },
  "filters": { "gz": { "type": "gzip" } },
  "sinks": { "fast": { "type": "dir", "path": "fast" },
             "slow": { "type": "teststore", "path": "slow", "pause": "200ms" } },
  "defaults": { "through": ["gz"], "to": ["fast", "slow"], "verify": "none" },
  "pipelines": { "app": { "from": { "engine": "sqlite", "path": "app.db" } } } }
JSON
}
start() {
  "$HOLDFAST" --plugin-dir "$TEST_PLUGINS" -c fleet.json backup app >out 2>err &
  backup=$!
  children="$children $backup"
}
# How a checkpoint ends that wants to start the WAL anew: 0 when nobody reads
# an older snapshot, 1 while the backup does.
blocked() { sqlite3 app.db 'PRAGMA wal_checkpoint(TRUNCATE)' | cut -d'|' -f1; }
running() { kill -0 "$backup" 2>/dev/null; }

# Without spooling the application is held up as long as the sink takes.
configuration 1h
start
for ((i = 0; i < 100 && $(find slow -name '*.json' | wc -l) == 0; i++)); do sleep 0.1; done
sleep 1
sqlite3 app.db "INSERT INTO late VALUES (1)"
same 'a checkpoint beside the slow sink, without spooling' "$(blocked)" 1
running || fail 'the backup was over already: this shows nothing'
wait "$backup" || fail "the backup failed"
ok

configuration 300ms
start
for ((i = 0; i < 200; i++)); do
  grep -q 'slow' err && break
  sleep 0.05
done
err 'sink slow: this sink is slower'
freed=
for ((i = 0; i < 200; i++)); do
  running || break
  sqlite3 app.db 'INSERT INTO late VALUES (2)'
  if [ "$(blocked)" = 0 ] && running; then
    freed=yes
    break
  fi
  sleep 0.05
done
same 'a checkpoint while the slow sink still writes' "$freed" yes
wait "$backup" || fail 'the backup failed'
ok
[ -z "$(find state -type f -size +64k)" ] || fail 'the spool was left'
for sink in fast slow; do
  run 0 "$HOLDFAST" --plugin-dir "$TEST_PLUGINS" -c fleet.json restore app --from "$sink" --to "$sink.db"
  integrity "$sink.db"
  same "rows in $sink" "$(sqlite3 "$sink.db" 'SELECT count(*) FROM late')" 1
done
