#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900 LABELS serial
# A thousand small databases in one file, one command.
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
