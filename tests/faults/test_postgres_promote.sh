#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A standby is backed up and followed, and promoted while its backup is on the
# way: that is an error that says so, or a good backup, and never one that is
# listed and cannot be restored.  What is followed goes over to the new timeline,
# and no row is missing of which the writer was told.  The promoted server is then
# the one to which the next standby belongs.
# HOLDFAST_TEST_LONG=1: eight promotions at random moments rather than one.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/pg.sh"
# shellcheck source=tests/e2e/pitr.sh
. "$(dirname "$0")/../e2e/pitr.sh"
need jq
rounds=1
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && rounds=8

pg_start s0 -k
replicate s0
sql s0 postgres 'ALTER SYSTEM SET full_page_writes = on' 'SELECT pg_reload_conf()' 'CREATE DATABASE modulodb' >/dev/null
tables s0
sql s0 modulodb "CREATE TABLE large AS SELECT g, repeat(md5(g::text), 16) FROM generate_series(1, 20000) g"

# source_is NAME: the pipeline is of that server.
source_is() {
  jq -n --arg w "$WORK" --arg c "$(conninfo "$1" modulodb)" '{ version: 1, state_dir: ($w + "/state"), filters: { gz: { type: "gzip" } },
    sinks: { one: { type: "dir", path: ($w + "/one/repo") } }, defaults: { through: ["gz"], to: ["one"], verify: "none" },
    pipelines: { modulo: { from: { engine: "postgres", mode: "physical", conninfo: $c, max_rate: "12MiB",
      wal: { stream: true, flush: "500ms", wait: "30s" } } } } }' >"$HOLDFAST_CONFIG" || fail 'fleet.json'
  chmod 644 "$HOLDFAST_CONFIG"
}
# standby NAME OF: a new one that streams.
standby() {
  pg_folder "$WORK/$1"
  (cd / && pg_as "$PG_BIN/pg_basebackup" -h "$PG_HOST" -p "${pg_port[$2]}" -U postgres -D "$WORK/$1/data" -R -C -S "to_$1" -c fast) >"$WORK/out" 2>&1 || fail 'pg_basebackup'
  pg_start "$1"
}
behind() { [ "$(sql "$1" postgres "SELECT pg_last_wal_replay_lsn() >= '$2'")" = t ]; }
copied() { [ "$(sql "$1" postgres "SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > $2")" = 1 ] || ! kill -0 "$pid" 2>/dev/null; }
listed() { ls "$WORK/one/repo/modulo/catalog" 2>/dev/null | wc -l; }
opened() { [ "$(sql "$1" postgres 'SELECT pg_is_in_recovery()')" = f ]; }

failures=0
for ((round = 1; round <= rounds; round++)); do
  old=s$((round - 1)) new=s$round
  standby "$new" "$old"
  source_is "$new"
  follow
  begin "$old"
  within 30 'the standby is followed' slot "$new"
  # The first is whole: what is followed stands on it.
  [ "$round" -gt 1 ] || op 0 backup modulo
  before=$(listed)
  # Some are near the end, or over.
  at=$(((RANDOM * 32768 + RANDOM) % 50000000 + 1))
  [ "$rounds" -gt 1 ] || at=10000000
  "${AS[@]}" "$HOLDFAST" backup modulo >"$WORK/out" 2>"$WORK/err" </dev/null &
  pid=$!
  children="$children $pid"
  within 60 'it copies' copied "$new" "$at"
  finish
  end=$(sql "$old" postgres 'SELECT pg_current_wal_insert_lsn()')
  within 30 'the standby has all of it' behind "$new" "$end"
  pg_stop "$old" immediate
  sql "$new" postgres 'SELECT pg_promote()' >/dev/null
  within 30 'it is promoted' opened "$new"
  code=0
  wait "$pid" || code=$?
  if [ "$code" -eq 0 ]; then
    same 'it is listed' "$(listed)" $((before + 1))
  else
    same 'it is not listed' "$(listed)" "$before"
    err promoted
    failures=$((failures + 1))
  fi
  begin "$new"
  sleep 1
  finish
  archived "$new"
  [ -z "$(lost "$new")" ] || fail "the server lost rows: $(lost "$new" | head)"
  no_gap
  # From the newest backup on to the newest row.
  restored copy
  run 0 pg_as "$PG_BIN/pg_verifybackup" -n "$WORK/copy/data"
  pg_start copy
  within 60 'the copy opens' settled copy
  same 'rows' "$(sql copy modulodb 'SELECT count(*), sum(n) FROM rows')" "$(sql "$new" modulodb 'SELECT count(*), sum(n) FROM rows')"
  gone copy
  op 0 backup modulo
  unfollow TERM 0
  rm -rf "${WORK:?}/$old"
done
op 0 verify modulo
[ "$rounds" -gt 1 ] || [ "$failures" -eq 1 ] || fail 'the backup was not on its way'
echo "$rounds promotions, $failures backups failed by them"
