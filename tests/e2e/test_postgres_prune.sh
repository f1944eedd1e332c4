#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 600
# Retention of physical backups: the WAL goes with the backups that needed it,
# and what is promised stays whole.
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/pg.sh
. "$(dirname "$0")/pg.sh"
need jq

pg_start main
printf '%s\n' 'local replication all trust' 'host replication all all scram-sha-256' |
  pg_as tee -a "$WORK/main/data/pg_hba.conf" >/dev/null
mkdir -m 777 theirs theirs/a theirs/b theirs/state
# fleet FILE RETENTION
fleet() {
  cat >"theirs/$1" <<JSON
{ "version": 1, "state_dir": "$WORK/theirs/state",
  "sinks": { "a": { "type": "dir", "path": "$WORK/theirs/a" }, "b": { "type": "dir", "path": "$WORK/theirs/b" } },
  "defaults": { "to": ["a", "b"], "verify": "none" },
  "pipelines": { "main": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "$(conninfo main)",
    "wal": { "push": true, "wait": "60s" } }$2 } } }
JSON
  chmod 644 "theirs/$1"
}
fleet all.json ''
fleet one.json ', "retention": { "last": 1 }'
fleet moments.json ', "retention": { "last": 2, "wal": "1s" }'
# op CODE FILE ARGUMENT...: as the server's user, who writes the log.
op() { run "$1" pg_as "$HOLDFAST" -c "$WORK/theirs/$2" "${@:3}"; }
segments() { find "theirs/$1/main/wal" -name '*.json' | grep -oE '[0-9A-F]{24}\.json' | sort; }
more() {
  sql main postgres "INSERT INTO t SELECT generate_series(1, 1000)" 'SELECT pg_switch_wal()' >/dev/null
}

sql main postgres 'CREATE TABLE t (i int)' 'ALTER SYSTEM SET archive_mode = on' \
  "ALTER SYSTEM SET archive_command = '$HOLDFAST -c $WORK/theirs/all.json wal push %p'" >/dev/null
pg_stop main
pg_start main
for n in 1 2 3; do
  more
  more
  op 0 all.json backup main
done
more
until [ "$(sql main postgres "SELECT count(*) FROM pg_ls_dir('pg_wal/archive_status') f WHERE f LIKE '%.ready'")" = 0 ]; do sleep 0.2; done
op 0 all.json verify main --backup all
# What the oldest backup does not need, nobody does.
op 0 all.json prune main
out 'no rule' 'objects of its log'
before=$(segments a)
op 0 all.json prune main
no_out 'of its log'
same "the log without a rule" "$(segments a)" "$before"
op 0 all.json verify main --backup all

# Moments between the backups are not promised any more; each can be restored.
sleep 1.1
op 0 moments.json prune main -n
out 'objects of its log'
same "the log after a dry run" "$(segments a)" "$before"
op 0 moments.json prune main
out 'objects of its log'
after=$(segments a)
[ "$(wc -l <<<"$after")" -lt "$(wc -l <<<"$before")" ] || fail "nothing of the log went: $before"
ok
same "the newest of it" "$(tail -n 2 <<<"$after")" "$(tail -n 2 <<<"$before")"
same "both sinks" "$(segments b)" "$after"
op 0 moments.json verify main --backup all

# A sink that is away: what it has may need the log.
mv theirs/b theirs/b.away
echo x >theirs/b
op 3 one.json prune main
err 'nothing of its log was removed'
same "the log while a sink is away" "$(segments a)" "$after"
rm theirs/b
mv theirs/b.away theirs/b
op 0 one.json prune main
out 'of its log'
op 0 one.json list main --json
json out '.pipelines[0].backups | length == 1'
op 0 one.json verify main --backup all
same "both sinks" "$(segments a)" "$(segments b)"
op 0 one.json prune main
no_out 'of its log'

# From one whose copies are all damaged no moment is promised; from one of which
# a copy is good it is.
op 0 one.json list main --json
json out '.pipelines[0].windows | length == 1'
# flip SINK: a byte in the middle of the backup.
flip() {
  local file=theirs/$1/main/data/*/base.tar at
  at=$(($(stat -c %s $file) / 2))
  printf "\\x$(printf %02x $((255 - $(od -An -tu1 -j $at -N 1 $file))))" | dd of=$(echo $file) bs=1 seek=$at conv=notrunc status=none
}
flip a
op 4 one.json verify main --backup all
op 0 one.json list main --json
json out '.pipelines[0].windows | length == 1'
flip b
op 4 one.json verify main --backup all
op 0 one.json list main --json
json out '.pipelines[0].windows == []'
flip a
op 4 one.json verify main --backup all
op 0 one.json list main --json
json out '.pipelines[0].windows | length == 1'
pg_stop main
