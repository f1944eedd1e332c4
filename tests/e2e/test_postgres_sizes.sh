#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 7200
# Servers that are not of the usual size: small and large WAL segments, a table
# of several files, many tables.  Streamed, pushed, fetched, backed up, restored,
# to a position too; and with how much memory.
# HOLDFAST_TEST_LONG=1: segments of 1 GiB, 5 GB in a table, 20,000 tables.
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/pg.sh
. "$(dirname "$0")/pg.sh"
# shellcheck source=tests/e2e/pitr.sh
. "$(dirname "$0")/pitr.sh"
need jq python3
sizes=1 mib=24 ntables=300
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && sizes='1 1024' mib=5000 ntables=20000
# MiB that each process may have at most.  Where a sanitizer watches that says
# nothing: it keeps what was freed.
most=128
grep -qa __asan_init "$HOLDFAST" && most=512

# source_is NAME WAL: the pipeline is of that server.
source_is() {
  jq -n --arg w "$WORK" --arg b "$PG_BIN" --arg c "$(conninfo "$1" modulodb)" --argjson wal "$2" '{ version: 1, state_dir: ($w + "/state"),
    filters: { gz: { type: "gzip", level: 1 } }, sinks: { one: { type: "dir", path: ($w + "/one/repo") } },
    defaults: { through: ["gz"], to: ["one"], verify: "none" },
    pipelines: { modulo: { from: { engine: "postgres", mode: "physical", conninfo: $c, bin_dir: $b, wal: $wal } } } }' >"$HOLDFAST_CONFIG" || fail 'fleet.json'
  chmod 644 "$HOLDFAST_CONFIG"
}
# measured CODE WHAT ARGUMENT...: as op, and says what it took.
measured() {
  local expected=$1 what=$2 start=$SECONDS
  shift 2
  run "$expected" python3 -c 'import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str((resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss + 1023) // 1024))
sys.exit(code)' "$WORK/peak" "${AS[@]}" "$HOLDFAST" "$@"
  bounded "$what" "$(cat "$WORK/peak")" "$((SECONDS - start))"
}
bounded() {
  echo "$1: $2 MiB${3:+, $3 s}"
  [ "$2" -le "$most" ] || fail "$1: $2 MiB"
  ok
}
forget() {
  pg_stop "$1"
  rm -rf "${WORK:?}/$1" "$WORK/one/repo" "$WORK/state" "$WORK/acked" "$WORK/quiet"
  pg_folder "$WORK/state"
}

# --- the size of a WAL segment ------------------------------------------------------

for size in $sizes; do
  name=seg$size
  pg_start "$name" "--wal-segsize=$size"
  replicate "$name"
  # What a small server keeps of segments that it writes over again.
  sql "$name" postgres "ALTER SYSTEM SET min_wal_size = '$((size * 2))MB'" "ALTER SYSTEM SET max_wal_size = '$((size * 4))MB'" \
    'ALTER SYSTEM SET archive_mode = on' "ALTER SYSTEM SET archive_command = 'test ! -e $WORK/state/push || $HOLDFAST -q -c $HOLDFAST_CONFIG wal push \"%p\"'" \
    'CREATE DATABASE modulodb'
  pg_stop "$name"
  pg_start "$name"
  tables "$name"
  source_is "$name" '{"stream": true, "push": true, "flush": "1s"}'
  follow
  within 30 'the slot' slot "$name"
  measured 0 "backup, segments of $size MiB" backup modulo
  head -c 1048576 /dev/urandom >"$WORK/random"
  # fill PERCENT: of a segment, at least.
  fill() { sql "$name" modulodb "SELECT count(pg_logical_emit_message(false, 'fill', pg_read_binary_file('$WORK/random', 0, 65536))) FROM generate_series(1, $size * 16 * $1 / 100)" >/dev/null; }
  begin "$name"
  fill 130
  sleep 1
  fill 60
  sleep 1
  finish
  # What has arrived of a segment is pieces.
  IFS='|' read -r number target < <(sql "$name" modulodb 'SELECT max(n), pg_current_wal_insert_lsn() FROM rows')
  hold=$(sql "$name" modulodb 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())')
  sql "$name" modulodb "INSERT INTO rows (pad) VALUES ('behind')"
  within 120 'it is streamed' reaches_lsn "$name" "$(sql "$name" modulodb 'SELECT pg_current_wal_insert_lsn()')"
  ls "$WORK"/one/repo/modulo/wal/*/*/"$hold".from-*.json >/dev/null || fail 'no piece'
  whole "$hold" >/dev/null 2>&1 && fail 'it is whole already'
  restored copy --lsn "$target"
  pg_start copy
  within 600 'the copy is there' settled copy
  same 'rows' "$(sql copy modulodb 'SELECT count(*), max(n) FROM rows')" "$(sql "$name" modulodb "SELECT count(*), max(n) FROM rows WHERE n <= $number")"
  same 'the last row' "$number" "$(sql copy modulodb 'SELECT max(n) FROM rows')"
  gone copy
  rm -rf "${WORK:?}/state/sources"
  measured 0 "wal get, pieces of a segment of $size MiB" wal get "$hold" "$WORK/restored/got"
  same 'length' "$(size_of "$WORK/restored/got")" $((size << 20))
  archived "$name" 240
  bounded "run, segments of $size MiB" "$(peak "$runner")"
  rm -f "$WORK/restored/got"
  rm -rf "${WORK:?}/state/sources"
  measured 0 "wal get, a segment of $size MiB" wal get "$hold" "$WORK/restored/got"
  cmp "$WORK/restored/got" "$WORK/$name/data/pg_wal/$hold" || fail "$hold has other bytes"
  unfollow TERM 0
  # Pushed alone, into a log of its own.
  rm -rf "$WORK/one/repo" "${WORK:?}/state/sources" "$WORK/state/sinks"
  mv "$WORK/restored/got" "$WORK/restored/$hold"
  measured 0 "wal push, a segment of $size MiB" wal push "$WORK/restored/$hold"
  rm -f "$WORK/restored/$hold"
  touch "$WORK/state/push"
  sql "$name" modulodb 'SELECT pg_switch_wal()' >/dev/null
  [ "$size" -gt 100 ] || fill 2000
  sql "$name" modulodb 'INSERT INTO tail DEFAULT VALUES' 'SELECT pg_switch_wal()' >/dev/null
  pushed() { [ "$(sql "$name" postgres "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name ~ 'ready'")" = 0 ]; }
  within 240 'all is pushed' pushed
  forget "$name"
done

# --- a table of several files, and many tables ----------------------------------------

pg_start main -k
replicate main
sql main postgres 'CREATE DATABASE modulodb' "ALTER SYSTEM SET autovacuum = off" 'SELECT pg_reload_conf()' >/dev/null
sql main modulodb 'CREATE TABLE large (n int, t text)' \
  "INSERT INTO large SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, $mib * 1024) g" \
  "DO \$\$ BEGIN FOR i IN 1..$ntables LOOP EXECUTE format('CREATE TABLE many_%s AS SELECT %s AS i', i, i); IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END \$\$" \
  'CHECKPOINT'
file=$(sql main modulodb "SELECT pg_relation_filepath('large')")
echo "$(du -smc "$WORK/main/data/$file"* | tail -n 1 | cut -f1) MiB in $(ls "$WORK/main/data/$file"* | grep -cv _) files; $(find "$WORK/main/data/base" -type f | wc -l) files in all"
source_is main '{}'
measured 0 backup backup modulo
pg_folder "$WORK/copy"
measured 0 restore restore modulo --to "$WORK/copy/data"
run 0 pg_as "$PG_BIN/pg_verifybackup" "$WORK/copy/data"
rm -rf "${WORK:?}/one/repo"
pg_start copy
within 120 'the copy opens' settled copy
# Each table in a transaction of its own: there are more than locks.
counted() {
  pg "$1" modulodb >"$WORK/same.$2" 2>"$WORK/err" <<'SQL' || fail "counting in $1"
SELECT count(*), sum(n), sum(hashtext(t)) FROM large;
SELECT format('SELECT %L, i FROM %I', relname, relname) FROM pg_class WHERE relname ~ '^many_' ORDER BY relname \gexec
SQL
}
counted copy a
counted main b
[ "$(wc -l <"$WORK/same.a")" -eq $((ntables + 1)) ] || fail 'not every table was counted'
same_file 'rows'
