#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 1200 COST 95
# Any moment of a PostgreSQL server, by the program alone: streamed and pushed
# WAL, targets that are hit to the row, targets that are refused, what is killed
# or lost on the way.
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/pg.sh
. "$(dirname "$0")/pg.sh"
# shellcheck source=tests/e2e/pitr.sh
. "$(dirname "$0")/pitr.sh"
need jq gunzip

# Set by test_postgres_pitr_long.sh.
long=${pitr_long:-}

# --- a server that has nothing of it yet ----------------------------------------

pg_start main -k
pg_as sed -i '/^wal_level/d' "$WORK/main/data/postgresql.conf"
sql main postgres 'ALTER SYSTEM SET wal_level = minimal' 'ALTER SYSTEM SET max_wal_senders = 0' \
  'ALTER SYSTEM SET full_page_writes = on' 'ALTER SYSTEM SET track_commit_timestamp = on'
pg_stop main && pg_start main
sql main postgres 'CREATE DATABASE modulodb'

cat >"$HOLDFAST_CONFIG" <<JSON
{ "version": 1, "state_dir": "$WORK/state",
  "filters": { "gz": { "type": "gzip" } },
  "sinks": { "one": { "type": "dir", "path": "$WORK/one/repo" }, "two": { "type": "dir", "path": "$WORK/two/repo" } },
  "defaults": { "through": ["gz"], "to": ["one", "two"], "verify": "none" },
  "pipelines": {
    "modulo": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "$(conninfo main modulodb)", "bin_dir": "$PG_BIN",
        "wal": { "stream": true, "flush": "1s" } }, "retention": { "last": 1, "wal": "1s" } },
    "pushed": { "from": { "engine": "postgres", "mode": "physical", "conninfo": "$(conninfo main modulodb)", "bin_dir": "$PG_BIN",
        "wal": { "push": true } } } } }
JSON

# What doctor prints is what is done: its SQL, until it finds no fault.
told() { grep -o "$1 [^;]*;" "$WORK/out" | sort -u; }
op 1 doctor
out 'wal_level: minimal' 'max_wal_senders: 0' 'archive_mode: off' 'pg_hba.conf'
told 'ALTER SYSTEM SET' | grep -v max_slot | pg main postgres -f - || fail 'what doctor prints is no SQL'
replicate main
pg_stop main && pg_start main
op 1 doctor
out "ALTER SYSTEM SET archive_command = 'holdfast wal push" 'there is no replication slot' 'max_slot_wal_keep_size'
no_out 'wal_level: minimal'
sql main postgres "ALTER SYSTEM SET archive_command = 'holdfast wal push --pipeline pushed \"%p\"'" \
  "ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'" 'SELECT pg_reload_conf()' >/dev/null
op 0 doctor
no_out FAIL

# --- what a restore must have -----------------------------------------------------

# rows_where NAME CONDITION: how many, and a hash of their numbers.
rows_where() { sql "$1" modulodb "SELECT count(*), md5(string_agg(n::text, ',' ORDER BY n)) FROM rows WHERE $2"; }
# Of a row: its commit, in microseconds, and its transaction.
AT=pg_xact_commit_timestamp'(xmin)'
# What was committed before anybody followed has none.
LSN="coalesce((SELECT lsn FROM commits c WHERE c.xid = rows.xmin::text::bigint), '0/0')"

# commits NAME: a table of where each transaction's commit stands in the log,
# by the server's own reader out of what "wal get" gives.
commits() {
  local f dir=$WORK/restored/segments
  pg_folder "$dir"
  for f in $(cd "$WORK/one/repo/modulo/wal" && ls */*/ | grep -Ex '[0-9A-F]{24}\.json'); do
    f=${f%.json}
    [ -e "$dir/$f" ] || op 0 wal get --pipeline modulo "$f" "$dir/$f"
    pg_as "$PG_BIN/pg_waldump" -r Transaction "$dir/$f" 2>/dev/null |
      sed -n "s/.*tx: *\([0-9]*\), lsn: \([^,]*\),.*COMMIT.*/$((16#${f:0:8}))\t\1\t\2/p"
  done >"$WORK/commits"
  [ -s "$WORK/commits" ] || fail 'no commit in the log'
  sql "$1" modulodb 'DROP TABLE IF EXISTS commits' 'CREATE TABLE commits (timeline int, xid bigint, lsn pg_lsn)' >/dev/null
  pg "$1" modulodb -c '\copy commits from stdin' <"$WORK/commits" || fail 'commits'
}

# hit ORACLE CONDITION ARGUMENT...: a restore has exactly these rows.
hits=0
hit() {
  local oracle=$1 expected got
  hits=$((hits + 1))
  expected=$(rows_where "$oracle" "$2")
  shift 2
  restored copy "$@"
  pg_start copy
  within 120 "recovery of $*: $(grep FATAL "$WORK/copy/log" | tail -n 1)" settled copy
  got=$(rows_where copy true)
  [ "$got" = "$expected" ] || {
    cp "$WORK/copy/log" "$WORK/err"
    fail "restore $*: $got instead of $expected"
  }
  ok
  gone copy
}

# refused ARGUMENT...: nothing is written, and the nearest moment is told.
refused() {
  op 10 restore modulo --to "$WORK/restored/no" "$@"
  err 'that can be reached'
  [ -z "$(ls -A "$WORK/restored" | grep -v '^segments$')" ] || fail "something was written for $*"
  ok
}

# --- backups, and a writer all through --------------------------------------------

tables main
follow
within 30 'the slot' slot main
begin main
op 0 backup modulo
op 0 backup pushed
within 20 'a window' window modulo '.[0] | .to > .from'
hf 0 list
out 'modulo: any time between'
first=$(window modulo '.[0].from')
sql main postgres 'SELECT pg_switch_wal()' >/dev/null
sleep 1
finish
# Nobody writes: status must not take that for a log that stays behind.
idle=$(date -u +%FT%TZ)
current() { [[ $(pg_as "$HOLDFAST" status modulo --json 2>/dev/null | jq -r '.pipelines[0].log_until') > "$idle" ]]; }
within 60 'the log is current' current
sql main modulodb "SELECT pg_create_restore_point('before the change')" >/dev/null
named=$(sql main modulodb 'SELECT max(n) FROM rows')
begin main
op 0 backup modulo
sleep 1
sql main postgres 'SELECT pg_switch_wal()' >/dev/null
sleep 2
finish
archived main
commits main

# random CONDITION: a row.
random() { sql main modulodb "SELECT n FROM rows WHERE $1 ORDER BY random() LIMIT 1"; }
of_row() { sql main modulodb "SELECT $2 FROM rows WHERE n = $1"; }
second=$(jq -r '.sources[0].facts.stop_lsn' "$(ls "$WORK"/one/repo/modulo/catalog/*.json | sort | tail -n 1)")
oldest=$(sql main modulodb "SELECT min(n) FROM rows WHERE $AT > '$first'")
reached="n > $oldest AND n < (SELECT max(n) FROM rows)"

# by KIND [ARGUMENT...]: to a random row.
by() {
  local kind=$1 n x
  shift
  n=$(random "$reached")
  case $kind in
  time)
    # Somewhere between this row and the next.
    x=$(sql main modulodb "SELECT a.at + random() * (b.at - a.at) FROM (SELECT $AT AS at FROM rows WHERE n = $n) a, (SELECT min($AT) AS at FROM rows WHERE n > $n) b")
    hit main "$AT <= '$x'" --at "$x" "$@"
    ;;
  instant)
    x=$(of_row "$n" "$AT")
    hit main "$AT <= '$x'" --at "$x" "$@"
    ;;
  before-instant)
    x=$(of_row "$n" "$AT")
    hit main "$AT < '$x'" --at "$x" -o inclusive=false "$@"
    ;;
  lsn)
    x=$(of_row "$n" "$LSN")
    hit main "$LSN <= '$x'" --lsn "$x" "$@"
    ;;
  before-lsn)
    x=$(of_row "$n" "$LSN")
    hit main "$LSN < '$x'" --lsn "$x" -o inclusive=false "$@"
    ;;
  xid)
    x=$(of_row "$n" xmin)
    hit main "$LSN <= '$(of_row "$n" "$LSN")'" --xid "$x" "$@"
    ;;
  before-xid)
    x=$(of_row "$n" xmin)
    hit main "$LSN < '$(of_row "$n" "$LSN")'" --xid "$x" -o inclusive=false "$@"
    ;;
  name) hit main "n <= $named" --name 'before the change' "$@" ;;
  immediate) hit main "$LSN < '$second'" --target immediate "$@" ;;
  latest) hit main true "$@" ;;
  esac
}

for kind in time before-instant lsn before-xid name immediate latest; do by "$kind"; done

# --- what cannot be reached -------------------------------------------------------

refused --at '2020-01-01 00:00:00Z'
err 'before the end of the backup'
refused --at '2099-01-01 00:00:00Z'
err 'after the last commit'
refused --lsn 0/100
refused --lsn FF/0
refused --xid 4000000
refused --name 'never made'
op 2 restore modulo --to "$WORK/restored/no" --lsn "$second" --target immediate

# log_files SEGMENT: its files in both sinks.
log_files() { ls "$WORK"/{one,two}/repo/modulo/wal/*/*/"$1"[-.]*; }
before=$(sql main modulodb "SELECT $AT FROM rows WHERE n = $oldest")
after=$(sql main modulodb "SELECT $AT FROM rows WHERE n < (SELECT max(n) FROM rows) ORDER BY n DESC LIMIT 1")
middle=$(sql main modulodb "SELECT pg_walfile_name($LSN) FROM rows WHERE $AT = '$after'")
mkdir "$WORK/kept"
log_files "$middle" >"$WORK/kept/list"
while read -r f; do mv "$f" "$WORK/kept/$(echo "$f" | tr / :)"; done <"$WORK/kept/list"
op 10 restore modulo --to "$WORK/restored/no" --at "$after"
err "$middle" 'that can be reached'
op 0 list
out 'then a gap' "$middle"
op 4 verify modulo
out "$middle"
op 0 restore modulo -n --to "$WORK/restored/no" --at "$before"
while read -r f; do mv "$WORK/kept/$(echo "$f" | tr / :)" "$f"; done <"$WORK/kept/list"
op 0 verify

# --- one database -----------------------------------------------------------------

op 0 restore modulo --at "$after" --to "$(conninfo main modulodb_recovery)"
same 'one database' "$(sql main modulodb_recovery 'SELECT count(*), max(n) FROM rows')" "$(sql main modulodb "SELECT count(*), max(n) FROM rows WHERE $AT <= '$after'")"
[ -z "$(ls -A "$WORK/state/scratch")" ] || fail 'the private server left files'
grep -lsa -- "$WORK/state/scratch" /proc/[0-9]*/cmdline && fail 'the private server still runs'
ok

# --- wal push and wal get, by hand --------------------------------------------------

get() { run "$1" pg_as sh -c 'cd "$0" && exec "$@"' "$WORK/main/data" "$HOLDFAST" "${@:2}"; }
f=$(ls "$WORK/restored/segments" | sort | head -n 1)
file=$WORK/restored/$f
pg_as cp "$WORK/restored/segments/$f" "$file"
op 0 wal push --pipeline pushed "$file"
op 0 wal push --pipeline pushed "$file"
printf '\1\2\3\4' | pg_as dd of="$file" bs=1 seek=5000 conv=notrunc status=none
op 1 wal push --pipeline pushed "$file"
err 'other bytes' 'SHA-256'
rm "$file"
run 10 pg_as "$HOLDFAST" wal push --pipeline pushed "$file"
op 2 wal push "$file"
err '--pipeline'
get 0 wal get --pipeline pushed "$f" "$file"
cmp -s "$file" "$WORK/restored/segments/$f" || fail 'what was pushed twice is not what comes out'
rm "$file"
get 10 wal get --pipeline modulo 0000000100000FFF000000AA "$file"
get 10 wal get --pipeline modulo 00000009.history "$file"
get 126 wal get --pipeline modulo nonsense "$file"
get 126 wal get --pipeline nobody "$f" "$file"
get 126 wal get --pipeline modulo --unknown "$f" "$file"
get 126 --unknown wal get --pipeline modulo "$f" "$file"
get 126 wal get --pipeline modulo "$f"
get 126 wal get "$f" "$file"
get 126 -c "$WORK/nowhere.json" wal get --pipeline modulo "$f" "$file"
pg_as sh -c 'echo "{" >"$0"' "$WORK/state/bad.json"
get 126 -c "$WORK/state/bad.json" wal get --pipeline modulo "$f" "$file"
unfollow TERM 0
away one two
get 126 wal get --pipeline modulo 0000000100000FFF000000AA "$file"
get 126 wal get --pipeline modulo 00000009.history "$file"
op 1 wal push --pipeline pushed "$WORK/restored/segments/$f"
back one
get 126 wal get --pipeline modulo 0000000100000FFF000000AA "$file"
get 0 wal get --pipeline modulo "$f" "$file"
back two
[ -e "$file" ] && cmp -s "$file" "$WORK/restored/segments/$f" || fail 'one sink is enough to read'
ok
rm -rf "$file" "${WORK:?}/state/sources"

# --- damage stops a recovery ------------------------------------------------------

restored damaged --at "$after"
log_files "$middle" | grep 'gz$' | while read -r f; do flip "$f" "$(($(size_of "$f") / 2))"; done
rm -rf "${WORK:?}/state/sources"
pg_port[damaged]=$(pg_free_port)
(cd / && pg_as timeout 60 "$PG_BIN/pg_ctl" -s -w -t 50 -D "$WORK/damaged/data" -l "$WORK/damaged/log" -o "-p ${pg_port[damaged]} -k $PG_HOST" start) >/dev/null 2>&1
within 30 'the server stops' test ! -e "$WORK/damaged/data/postmaster.pid"
grep -q "could not restore file \"$middle\"" "$WORK/damaged/log" || fail "$(tail -n 20 "$WORK/damaged/log")"
pg_as "$PG_BIN/pg_controldata" "$WORK/damaged/data" | grep -q 'state: *in archive recovery' || fail 'it was opened'
op 4 verify modulo
out "$middle"
log_files "$middle" | grep 'gz$' | while read -r f; do flip "$f" "$(($(size_of "$f") / 2))"; done
# And when it is mended the same server goes on to where it was to go.
pg_start damaged
within 60 'recovery after the damage' settled damaged
same 'after the damage' "$(rows_where damaged true)" "$(rows_where main "$AT <= '$after'")"
gone damaged

# --- killed, again and again --------------------------------------------------------

follow
begin main
for n in 1 2 3; do
  sleep 0.$((RANDOM % 9 + 1))
  unfollow KILL 137
  follow
done
sleep 1
away one
sleep 3
grep -q 'could not be kept' "$WORK/run.err" || fail 'a sink is away, and nobody says so'
ok
back one
pg_kill9 main
pg_start main
# It waits longer after each failure.
unfollow KILL 137
follow
sleep 1
finish
archived main
no_gap
op 0 verify modulo
# No row of which the writer was told is missing, here or there.
[ -z "$(lost main)" ] || fail 'the server lost rows'
ok
hit main true

# --- the disk of the server is lost -------------------------------------------------

archived main
begin main
sleep 4
# Both at once: what has arrived and is not stored is lost too.
kill -9 "$runner"
pg_kill9 main
lost_at=$(date +%s.%N)
unfollow KILL 137
finish
whole=$(cd "$WORK/one/repo/modulo/wal" && ls */*/ | grep -Ex '[0-9A-F]{24}\.json' | sort | tail -n 1 | cut -c1-24)
restored copy
pg_start copy
within 60 'recovery of what was lost' settled copy
kept=$(sql copy modulodb 'SELECT max(n) FROM rows')
newest=$(sql copy modulodb "SELECT extract(epoch FROM max(at)) FROM rows")
# The last row that whole segments alone would have given.
end=$(((16#${whole:8:8} * 256 + 16#${whole:16:8} + 1) * 16777216))
only=$(while IFS='|' read -r n _ lsn; do
  [ $(((16#${lsn%/*} << 32) + 16#${lsn#*/})) -gt "$end" ] || echo "$n"
done <"$WORK/acked" | tail -n 1)
acked=$(tail -n 1 "$WORK/acked" | cut -d'|' -f1)
echo "the server's disk is lost: $((acked - kept)) of $((acked - only)) rows since the last whole segment, $(echo "$lost_at - $newest" | bc 2>/dev/null) s"
[ "$kept" -gt "$only" ] || fail "$kept rows, whole segments alone have $only"
[ "$kept" -le "$acked" ] || [ "$kept" -le $((acked + 1)) ] || fail "$kept rows, written were $acked"
ok
gone copy
pg_start main

# --- what is pruned, and what is promised -------------------------------------------

follow
begin main
op 0 backup modulo
sleep 2
finish
archived main
commits main
op 0 verify modulo
sleep 2
op 0 prune modulo
[ "$(ls "$WORK/one/repo/modulo/catalog" | wc -l)" -eq 1 ] || fail 'not one backup is left'
[ "$(ls "$WORK"/one/repo/modulo/wal/*/*/*.json | wc -l)" -lt "$(ls "$WORK/restored/segments" | wc -l)" ] || fail 'no segment was removed'
ok
refused --at "$after"
first=$(window modulo '.[0].from')
[ "$(window modulo length)" = 1 ] || fail 'not one window'
oldest=$(sql main modulodb "SELECT min(n) FROM rows WHERE $AT > '$first'")
reached="n > $oldest AND n < (SELECT max(n) FROM rows)"
by time --action promote
op 0 verify modulo --deep
unfollow TERM 0

# --- the server's user cannot read the configuration --------------------------------

if [ "$(id -u)" -eq 0 ]; then
  jq --arg w "$WORK" '.state_dir = $w + "/root-state"' "$HOLDFAST_CONFIG" >"$WORK/root.json"
  chmod 600 "$WORK/root.json"
  pg_folder "$WORK/unread"
  hf 0 -c "$WORK/root.json" restore modulo --to "$WORK/unread/data"
  err 'as postgres no WAL can be fetched' 'root.json: Permission denied'
  out 'restore_command'
  rm -rf "$WORK/unread/data"
  chmod 644 "$WORK/root.json"
  hf 0 -c "$WORK/root.json" restore modulo --to "$WORK/unread/data"
  no_err 'no WAL can be fetched'
  [ -z "$(ls "$WORK/unread/data/pg_wal" | grep -vx -e archive_status -e summaries)" ] || fail 'the rehearsal left a file'
  ok
fi

# --- thirty targets, a promotion, kills at random ------------------------------------

if [ "$long" = 1 ]; then
  sql main postgres "SELECT pg_create_physical_replication_slot('standby', true)" >/dev/null
  follow
  begin main
  op 0 backup modulo
  # The standby is made from the backup; its WAL it gets from the server.
  pg_folder "$WORK/standby"
  op 0 restore modulo --to "$WORK/standby/data"
  printf "%s\n" "primary_conninfo = '$(conninfo main)'" "primary_slot_name = 'standby'" "archive_command = 'true'" 'wal_keep_size = 1GB' |
    pg_as tee -a "$WORK/standby/data/postgresql.auto.conf" >/dev/null
  pg_as mv "$WORK/standby/data/recovery.signal" "$WORK/standby/data/standby.signal"
  pg_start standby
  streams() { [ "$(sql main postgres "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name <> 'holdfast'")" -ge 1 ]; }
  within 60 'the standby streams' streams
  sleep 5
  sql main postgres 'SELECT pg_switch_wal()' >/dev/null
  sleep 2
  finish
  archived main
  commits main
  first=$(window modulo '.[0].from')
  oldest=$(sql main modulodb "SELECT min(n) FROM rows WHERE $AT > '$first'")
  reached="n > $oldest AND n < (SELECT max(n) FROM rows)"
  kinds=(time instant before-instant lsn before-lsn xid before-xid)
  for n in {1..15}; do
    action=
    [ $((RANDOM % 2)) = 0 ] || action='--action promote'
    # shellcheck disable=SC2086
    by "${kinds[n % 7]}" $action
  done

  # The standby takes over the address.  What the old server still wrote is on a
  # branch of its own.
  happened=0
  switched=$(sql main modulodb 'SELECT max(n) FROM rows')
  at_end=$(sql main modulodb 'SELECT pg_current_wal_insert_lsn()')
  caught_up() { [ "$(sql standby postgres "SELECT pg_last_wal_replay_lsn() >= '$at_end'")" = t ]; }
  within 30 'the standby has all of it' caught_up
  sql standby postgres 'SELECT pg_promote()' >/dev/null
  begin main
  sleep 3
  finish
  archived main
  forked=$(sql main modulodb 'SELECT max(n) FROM rows')
  branch=$(rows_where main true)
  pg_stop main
  pg_stop standby
  pg_port[standby]=${pg_port[main]}
  pg_start standby
  unfollow KILL 137
  follow
  within 60 'the new server is followed' slot standby
  begin standby
  sleep 5
  sql standby postgres 'SELECT pg_switch_wal()' >/dev/null
  sleep 2
  finish
  archived standby
  op 0 verify modulo
  op 0 list
  cat "$WORK/out"
  commits standby
  sql standby modulodb "DELETE FROM commits WHERE timeline = 1 AND lsn > '$at_end'" >/dev/null
  mains=$(declare -f random of_row by)
  eval "${mains//main/standby}"
  reached="n > $(sql standby modulodb "SELECT max(n) FROM rows WHERE $LSN <= '$at_end'") AND n < (SELECT max(n) FROM rows)"
  for n in {1..13}; do by "${kinds[n % 7]}"; done
  by latest
  # The branch that was left is there too, for who asks for it.
  restored copy --timeline 1
  pg_start copy
  within 120 'the branch that was left' settled copy
  same 'the branch that was left' "$(rows_where copy true)" "$branch"
  gone copy

  # Whatever happens, in any order.
  until_then=$((SECONDS + 60 * ${HOLDFAST_TEST_KILL_MINUTES:-3}))
  begin standby
  while [ "$SECONDS" -lt "$until_then" ]; do
    sleep $((RANDOM % 4)).$((RANDOM % 10))
    case $((RANDOM % 7)) in
    0 | 1 | 2) unfollow KILL 137 && follow ;;
    3) pg_kill9 standby && pg_start standby ;;
    4) unfollow TERM 0 && follow ;;
    5) away one && sleep $((RANDOM % 5)) && back one ;;
    6) away one two && sleep $((RANDOM % 5)) && back one two ;;
    esac
    # Its pauses grow with its failures.
    [ $((RANDOM % 3)) -ne 0 ] || { unfollow KILL 137 && follow; }
    happened=$((happened + 1))
  done
  unfollow KILL 137
  follow
  finish
  archived standby
  [ "$(window modulo 'map(select(.gap)) | length')" = 0 ] || fail "a gap: $(window modulo .)"
  op 0 verify modulo
  [ -z "$(lost standby $(seq "$((switched + 1))" "$forked"))" ] || fail 'the server lost rows'
  hit standby true
  echo "$hits targets; $happened times something was killed or moved away"
  unfollow TERM 0
fi
