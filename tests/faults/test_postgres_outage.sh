#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What is away and comes back, beside a writer: the network between "holdfast run"
# and the server, a sink, all sinks, the room in a sink, Holdfast itself.  Each
# time somebody says that the server keeps WAL and why; in the end every segment
# is in every sink once, without a gap, and no row is missing of which the writer
# was told.  A base backup that is cut off is an error, and nothing is listed.
# HOLDFAST_TEST_LONG=1: the sinks are away for ten minutes, the network for one.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/pg.sh"
# shellcheck source=tests/faults/net.sh
. "$(dirname "$0")/net.sh"
# shellcheck source=tests/e2e/pitr.sh
. "$(dirname "$0")/../e2e/pitr.sh"
need mount jq
sinks_away=3 network_away=3
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && sinks_away=600 network_away=60
# setpriv comes last: only root may enter.
AS=(nsenter -t "$inside" -n "${AS[@]}")

cat >"$HOLDFAST_CONFIG" <<JSON
{ "version": 1, "state_dir": "$WORK/state", "filters": { "gz": { "type": "gzip", "level": 1 } },
  "sinks": { "one": { "type": "dir", "path": "$WORK/one/repo", "min_free": "0" }, "two": { "type": "dir", "path": "$WORK/two/repo" } },
  "defaults": { "through": ["gz"], "to": ["one", "two"], "verify": "none" },
  "pipelines": {} }
JSON
PG_LISTEN="127.0.0.1,$net.1" pg_start main
replicate main
sql main postgres 'CREATE DATABASE modulodb' "CREATE ROLE far LOGIN SUPERUSER PASSWORD 'away'"
tables main
echo away >"$WORK/password"
jq --arg password "$WORK/password" --arg c "host=$net.1 port=${pg_port[main]} user=far dbname=modulodb connect_timeout=3 keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=3000" '
  { engine: "postgres", mode: "physical", conninfo: $c, password: { file: $password } } as $from |
  .pipelines = { modulo: { from: ($from + { wal: { stream: true, push: true, flush: "1s" } }), rpo: "4s" },
    slow: { from: ($from + { max_rate: "4MiB" }) } }' "$HOLDFAST_CONFIG" >"$WORK/made" && cat "$WORK/made" >"$HOLDFAST_CONFIG"
chmod 644 "$HOLDFAST_CONFIG" "$WORK/password"
# At first it is streamed alone.
printf '%s\n' 'archive_mode = on' "archive_command = 'true'" "wal_sender_timeout = '4s'" | pg_as tee -a "$WORK/main/data/postgresql.conf" >/dev/null
mount -t tmpfs -o size=2g,mode=700 none "$WORK/one" || fail 'no tmpfs can be mounted'
at_exit() {
  net_down
  # Somebody may still be in there.
  umount -l "$WORK/one" 2>/dev/null
}
chown postgres: "$WORK/one"
pg_stop main
PG_LISTEN="127.0.0.1,$net.1" pg_start main

# held: bytes that the slot keeps on the server's disk.
held() { sql main postgres "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots"; }
# fill MIB: so much WAL at least, that does not become smaller.
head -c 1048576 /dev/urandom >"$WORK/random"
fill() { sql main modulodb "SELECT count(pg_logical_emit_message(false, 'fill', pg_read_binary_file('$WORK/random'))) FROM generate_series(1, $1)" >/dev/null; }
# All that is there is streamed, and both sinks have the same, each row too.
whole_again() {
  local s
  archived main "${1:-60}"
  no_gap
  for s in one two; do
    (cd "$WORK/$s/repo/modulo/wal" && find . -name '*.json' | grep -v '[.]from-' | sort) >"$WORK/has.$s"
  done
  diff "$WORK/has.one" "$WORK/has.two" >"$WORK/out" || fail 'one sink has what the other has not'
  [ -z "$(lost main)" ] || fail 'the server lost rows'
  ok
}
stale() { "${AS[@]}" "$HOLDFAST" status modulo >"$WORK/out" 2>"$WORK/err"; [ $? -eq 5 ]; }
fresh() { "${AS[@]}" "$HOLDFAST" status modulo >"$WORK/out" 2>"$WORK/err"; }

follow
within 30 'the slot' slot main
begin main
op 0 backup modulo
within 20 'it is current' fresh

# --- the network --------------------------------------------------------------------

cut_off
within 30 'that the server is gone is said' said 'again in'
sleep "$network_away"
mend main
since=$SECONDS
# Its pauses grow, to a minute at most.
within 100 'the stream comes back' said 'streaming timeline' 2
within 60 'it is current again' fresh
echo "the network was away for more than $network_away s: current $((SECONDS - since)) s after it came back"
whole_again

listed=$(ls "$WORK/one/repo/slow/catalog" 2>/dev/null | wc -l)
"${AS[@]}" "$HOLDFAST" backup slow >"$WORK/out" 2>"$WORK/err" </dev/null &
pid=$!
children="$children $pid"
copying() { [ "$(sql main postgres "SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > 1000000")" = 1 ]; }
within 30 'it copies' copying
cut_off
since=$SECONDS code=0
wait "$pid" || code=$?
[ "$code" -eq 1 ] || fail "exit $code after the network was cut"
[ $((SECONDS - since)) -lt 30 ] || fail "it took $((SECONDS - since)) s to notice"
err "$net.1" hint
mend main
same 'backups that are listed' "$(ls "$WORK/one/repo/slow/catalog" 2>/dev/null | wc -l)" "$listed"
whole_again
op 0 backup modulo

# --- a server that is there, and says nothing -----------------------------------------

n=$(grep -c 'streaming timeline' "$WORK/run.err")
unfollow TERM 0
follow
n=$((n + 1))
within 60 'the stream begins' said 'streaming timeline' "$n"
silent=$(grep -c 'the server has said nothing' "$WORK/run.err")
sender=$(sql main postgres 'SELECT active_pid FROM pg_replication_slots')
kill -STOP "$sender"
within 30 'that nothing is heard is told' said 'the server has said nothing for 4 s' $((silent + 1))
kill -CONT "$sender"
within 60 'the stream comes back' said 'streaming timeline' $((n + 1))

# --- a sink, all sinks --------------------------------------------------------------

# From here on it is pushed too.
sql main postgres "ALTER SYSTEM SET archive_command = '$HOLDFAST -q -c $HOLDFAST_CONFIG wal push --pipeline modulo \"%p\"'" 'SELECT pg_reload_conf()' >/dev/null
archived main
told=$(grep -c 'bytes of WAL are not in the log' "$WORK/run.err")
failed=$(sql main postgres 'SELECT failed_count FROM pg_stat_archiver')
failing() { [ "$(sql main postgres 'SELECT failed_count FROM pg_stat_archiver')" -gt "$failed" ]; }
away one
since=$SECONDS
within 30 'a sink that is away is told' said 'could not be kept'
within 60 'status calls it stale' stale
out STALE
away two
fill 96
sql main postgres 'SELECT pg_switch_wal()' >/dev/null
within 60 'what waits is told' said 'bytes of WAL are not in the log' $((told + 1))
first=$(held)
[ "$first" -gt 67108864 ] || fail "$first bytes wait"
within 60 'archive_command fails' failing
while [ $((SECONDS - since)) -lt "$sinks_away" ]; do
  fill 8
  sleep 10
done
most=$(held)
waits=$(sql main postgres "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name ~ 'ready'")
[ "$waits" -gt 2 ] || fail "only $waits segments wait for archive_command"
op 10 status modulo
err 'has held a repository'
times=$(($(grep -c 'bytes of WAL are not in the log' "$WORK/run.err") - told))
[ "$times" -ge $((sinks_away / 35)) ] || fail "in $sinks_away s the lag was told only $times times"
[ "$sinks_away" -lt 100 ] || [ "$most" -gt "$first" ] || fail 'the slot did not grow'
gone_for=$((SECONDS - since))
back one two
since=$SECONDS
within 60 'the log takes WAL again' said 'the log takes WAL again'
within 120 'it is current again' fresh
echo "no sink for $gone_for s: $((most >> 20)) MiB and $waits segments waited, told $times times; current after $((SECONDS - since)) s"
pushed() { [ "$(sql main postgres "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name ~ 'ready'")" = 0 ]; }
whole_again 120
within 120 'everything is pushed' pushed

# --- a sink that is full --------------------------------------------------------------

# So much is used, and no more than 8 MiB can be added.
room() { mount -o "remount,size=$(($(du -sk "$WORK/one" | cut -f1) / 1024 + $1))m" "$WORK/one" || fail 'no room can be made'; }
failed=$(sql main postgres 'SELECT failed_count FROM pg_stat_archiver')
room 8
fill 48
sql main postgres 'SELECT pg_switch_wal()' >/dev/null
within 60 'the stream says that it is full' said 'No space left on device'
within 60 'archive_command fails' failing
grep -q 'No space left on device' "$WORK/main/log" || fail 'the server does not hear why'
within 60 'status calls it stale' stale
room 2000
within 120 'it is current' fresh
whole_again
within 120 'everything is pushed' pushed

# --- nobody follows -------------------------------------------------------------------

unfollow TERM 0
sleep 1
within 60 'status calls it stale' stale
op 1 doctor modulo
out 'nobody follows it, it holds back' 'holdfast run'
# While nobody says it, neither pushing nor anything else may make it forget.
sql main postgres "ALTER SYSTEM SET archive_command = 'true'" 'SELECT pg_reload_conf()' >/dev/null
sleep 1
fill 24
[ "$(held)" -gt 16777216 ] || fail 'the slot forgot what nobody streamed'
follow
within 60 'it is current' fresh
finish
whole_again
# What could not be removed while a sink was away is removed at a new start.
leftover() {
  find "$WORK"/{one,two}/repo/modulo/wal -name '*.from-*.json' | sed 's/[.]from-.*//' | sort -u |
    while read -r f; do [ ! -e "$f.json" ] || echo "$f"; done | grep .
}
cleared() { ! leftover; }
within 30 'no piece is left of what is whole' cleared
op 0 verify modulo
unfollow TERM 0
if [ "${HOLDFAST_TEST_LONG:-0}" = 1 ]; then
  restored copy
  pg_start copy
  within 120 'the copy opens' settled copy
  same 'rows' "$(sql copy modulodb 'SELECT count(*), sum(n), max(n) FROM rows')" "$(sql main modulodb 'SELECT count(*), sum(n), max(n) FROM rows')"
  gone copy
fi
