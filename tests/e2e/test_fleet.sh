#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900 LABELS serial
# A thousand small databases in one file, one command; and a full disk.
# HOLDFAST_TEST_LONG=1: a thousand, else two hundred.
. "$(dirname "$0")/lib.sh"
need sqlite3 jq

n=200
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && n=1000
mkdir db
for ((i = 1; i <= n; i++)); do
  printf '.open db/%d.db\nPRAGMA journal_mode=wal;\nCREATE TABLE t(a);\nINSERT INTO t VALUES (%d);\n' $i $i
done | sqlite3 >/dev/null || fail 'cannot make the databases'
seq 1 "$n" | jq -n '[inputs | {("db\(.)"): {from: {engine: "sqlite", path: "db/\(.).db"}}}] | add as $p |
  {version: 1, state_dir: "state", filters: {gz: {type: "gzip"}}, sinks: {one: {type: "dir", path: "one"}},
   defaults: {through: ["gz"], to: ["one"], rpo: "1h"}, pipelines: $p}' >fleet.json
hf 0 -c fleet.json backup --all --json
json out ".backups | length == $n"
json out '[.backups[] | select(.result != "done")] | length == 0'
hf 0 -c fleet.json status --json
json out ".pipelines | length == $n"
for i in 1 77 "$n"; do
  hf 0 -c fleet.json restore "db$i" --to "new$i.db"
  same "database $i" "$(sqlite3 "new$i.db" 'SELECT a FROM t')" "$i"
done

# ---- a full disk ----
# A limit of the file size is met by everybody; a real full file system where
# one may be mounted.
"$HOLDFAST_PROGRAMS/makedb" app.db 12 || fail 'cannot make app.db'
cat >full.json <<JSON
{ "version": 1, "state_dir": "state", "filters": { "gz": { "type": "gzip" } },
  "sinks": { "full": { "type": "dir", "path": "full/repo", "min_free": "0" }, "one": { "type": "dir", "path": "one" } },
  "defaults": { "through": ["gz"] },
  "pipelines": { "both": { "from": { "engine": "sqlite", "path": "app.db" }, "to": ["full", "one"] },
                 "only": { "from": { "engine": "sqlite", "path": "app.db" }, "to": ["full"] } } }
JSON
mkdir full
trap 'code=$?; umount "$WORK/full" 2>/dev/null; (exit $code); cleanup' EXIT
run 1 bash -c "ulimit -f 2048; exec '$HOLDFAST' -c full.json backup only"
err 'File too large' 'hint:'
hf 0 -c full.json list only --json
json out '[.pipelines[].backups[]] | length == 0'
if [ "$(id -u)" -eq 0 ] && rm -rf full/repo state/sinks && mount -t tmpfs -o size=4m none full 2>/dev/null; then
  hf 3 -c full.json backup both
  out 'full FAILED' 'one ok'
  err 'No space left on device' 'Free some space'
  hf 1 -c full.json backup only
  run 1 sh -c 'find full -name "*.gz" | grep .'
  # A restore to a full disk leaves nothing there, and says why.
  hf 1 -c full.json restore both --to full/app.db
  err 'bytes are needed in' 'are free'
  run 1 sh -c 'ls -A full | grep app.db'
  mount -o remount,size=200m full
  hf 0 -c full.json backup both
  hf 0 -c full.json backup only
  hf 0 -c full.json verify both only
  umount full
fi
