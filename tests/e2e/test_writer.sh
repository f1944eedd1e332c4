#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900 LABELS serial
# Fifty backups beside a writer whose transactions keep an invariant over two
# tables: every restored copy keeps it.
. "$(dirname "$0")/lib.sh"
need sqlite3

"$HOLDFAST_PROGRAMS/sqlite_writer" app.db init 200 >/dev/null || fail "no database"
sqlite3 app.db 'PRAGMA journal_mode=wal' >/dev/null
cat >fleet.json <<JSON
{ "version": 1, "state_dir": "state", "filters": { "gz": { "type": "gzip" } },
  "sinks": { "one": { "type": "dir", "path": "one" }, "two": { "type": "dir", "path": "two" } },
  "defaults": { "through": ["gz"], "to": ["one", "two"], "verify": "none" },
  "pipelines": { "app": { "from": { "engine": "sqlite", "path": "app.db" } } } }
JSON

"$HOLDFAST_PROGRAMS/sqlite_writer" app.db run 800 400 60000 >writer.out 2>&1 &
writer=$!
children="$children $writer"
last=0
for i in $(seq 1 50); do
  hf 0 -q -c fleet.json backup app
  kill -0 "$writer" 2>/dev/null || fail "the writer has ended: $(cat writer.out)"
  # The two sinks in turn: both have to have it.
  hf 0 -q -c fleet.json restore app --from "$([ $((i % 2)) = 0 ] && echo one || echo two)" --to "copy$i.db"
  integrity "copy$i.db"
  run 0 "$HOLDFAST_PROGRAMS/sqlite_writer" "copy$i.db" check
  out ok
  # And the copies move on: they are not one backup fifty times.
  now=$(sqlite3 "copy$i.db" 'SELECT count(*) FROM journal')
  [ "$now" -gt "$last" ] || fail "copy $i has $now transactions, the one before had $last"
  last=$now
  rm -f "copy$i.db"
done
kill -TERM "$writer"
wait "$writer" || fail "the writer failed: $(cat writer.out)"
grep -q ' 0 failed' writer.out || fail "the writer was kept from writing: $(cat writer.out)"
echo "writer: $(cat writer.out); the last copy has $last"
ok
