#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# WAL into the log both ways at once, archive_command and a followed slot, while
# a writer works and Holdfast, the server and the sink go away in turn at random
# moments.  In the end: every segment that the server ever finished is in the log
# with its own bytes, nothing waits, nothing is left of the pieces of segments
# that are whole, and a file that is not there is "not found" (10), a sink that
# is not there is not (126).
# HOLDFAST_TEST_LONG=1: 60 faults.  HOLDFAST_TEST_SEED: the same moments again.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/pg.sh"
rounds=6
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && rounds=60
seed=${HOLDFAST_TEST_SEED:-$$}
echo "seed $seed (HOLDFAST_TEST_SEED), $rounds faults"
RANDOM=$seed
AS=()
[ "$(id -u)" -ne 0 ] || AS=(setpriv --reuid postgres --regid postgres --init-groups)

pg_start one
pg_folder "$WORK/state"
pg_folder "$WORK/sink"
fleet "{\"shop\": $(source_of "$(conninfo one postgres)" mode '"physical"' \
  wal '{"stream": true, "push": true, "flush": "300ms"}')}"
chmod 644 fleet.json
printf '%s\n' 'archive_mode = on' 'wal_keep_size = 4GB' \
  "archive_command = '$HOLDFAST -q -c $WORK/fleet.json wal push \"%p\"'" |
  pg_as tee -a one/data/postgresql.conf >/dev/null
echo 'local replication all trust' | pg_as tee -a one/data/pg_hba.conf >/dev/null
pg_stop one
pg_start one
sql one postgres 'CREATE TABLE t (a int, b text)'

follow() {
  "${AS[@]}" "$HOLDFAST" -c "$WORK/fleet.json" run >>run.out 2>>run.err </dev/null &
  follower=$!
  children="$children $follower"
}
until_true() {
  local n
  for n in {1..300}; do
    [ "$(sql one postgres "$1")" = t ] && return
    sleep 0.2
  done
  fail "never true: $1 $(tail -n 5 run.err)"
}
write() {
  sql one postgres "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g" \
    'SELECT pg_switch_wal()' "INSERT INTO t VALUES (0, 'more')" >/dev/null
}
pause() { sleep "0.$((RANDOM % 900 + 100))"; }

follow
for ((i = 0; i < rounds; i++)); do
  write
  pause
  case $((i % 3)) in
    0)
      kill -9 "$follower"
      wait "$follower" 2>/dev/null
      write
      follow
      ;;
    1)
      pg_kill9 one
      pg_start one
      ;;
    2)
      chmod 000 sink
      write
      pause
      chmod 700 sink
      ;;
  esac
done
# What failed is begun again after a pause that grows; this one begins now.
kill -TERM "$follower"
wait "$follower" || fail "run ended with $? $(tail -n 5 run.err)"
follow
write
until_true "SELECT bool_and(restart_lsn >= pg_current_wal_flush_lsn()) FROM pg_replication_slots"
last=$(sql one postgres 'SELECT pg_walfile_name(pg_switch_wal())')
sql one postgres "INSERT INTO t VALUES (0, 'end')"
until_true "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver"
kill -TERM "$follower"
wait "$follower" || fail "run ended with $? $(tail -n 5 run.err)"
ok

got=0
for f in $(cd one/data/pg_wal && ls | grep -x '[0-9A-F]\{24\}' | sort); do
  [[ ! $f > $last ]] || continue
  "${AS[@]}" "$HOLDFAST" -q -c fleet.json wal get "$f" "$WORK/state/got" >out 2>err ||
    fail "wal get $f: exit code $?"
  cmp "$WORK/state/got" "one/data/pg_wal/$f" || fail "$f has other bytes"
  # Data without a document is what a killed writer left; prune clears it.
  find sink -name "$f.from-*.json" | grep -q . && fail "pieces of $f were left"
  got=$((got + 1))
done
[ "$got" -ge "$rounds" ] || fail "only $got segments"
ok
echo "$got segments, each as the server has it"

run 10 "${AS[@]}" "$HOLDFAST" -q -c fleet.json wal get 00000009.history "$WORK/state/got"
run 10 "${AS[@]}" "$HOLDFAST" -q -c fleet.json wal get 0000000100000FFF00000001 "$WORK/state/got"
chmod 000 sink
run 126 "${AS[@]}" "$HOLDFAST" -q -c fleet.json wal get 0000000100000FFF00000001 "$WORK/state/got"
run 126 "${AS[@]}" "$HOLDFAST" -q -c fleet.json wal get "$last" "$WORK/state/got"
chmod 700 sink

# A host that has never seen the sinks, where the one that alone has a segment
# is not mounted: its folder is missing, or is the empty one below the mount.
pg_folder "$WORK/two"
jq --arg w "$WORK" '.sinks.two = {type: "dir", path: ($w + "/two")} | .state_dir = ($w + "/state/other")
  | .defaults += {to: ["one", "two"], require: "any"}' fleet.json >other.json || fail 'other.json'
chmod 644 other.json
first=$(cd one/data/pg_wal && ls | grep -x '[0-9A-F]\{24\}' | sort | head -n 1)
run 0 "${AS[@]}" "$HOLDFAST" -q -c other.json wal push "$WORK/one/data/pg_wal/$last"
rm -r state/other
mv sink away
run 126 "${AS[@]}" "$HOLDFAST" -q -c other.json wal get "$first" "$WORK/state/got"
[ ! -e sink ] || fail 'the folder of a sink was made by reading'
pg_folder "$WORK/sink"
run 126 "${AS[@]}" "$HOLDFAST" -q -c other.json wal get "$first" "$WORK/state/got"
run 0 "${AS[@]}" "$HOLDFAST" -q -c other.json wal get "$last" "$WORK/state/got"
rmdir sink
mv away sink
run 0 "${AS[@]}" "$HOLDFAST" -q -c other.json wal get "$first" "$WORK/state/got"
cmp "$WORK/state/got" "one/data/pg_wal/$first" || fail "$first has other bytes"
run 10 "${AS[@]}" "$HOLDFAST" -q -c other.json wal get 0000000100000FFF00000001 "$WORK/state/got"
ok
