#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The network between Holdfast and a PostgreSQL server is cut, without a word
# to either: backup and restore end with an error within the time that the
# keepalives of the conninfo give, and nothing is listed.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/pg.sh"
need ip unshare nsenter
[ "$(id -u)" -eq 0 ] || { echo 'skipped: only root can make a network'; checks=1; exit 77; }

# A network of our own, with Holdfast in it; the server stays outside.
unshare -n sleep 3600 &
inside=$!
children="$children $inside"
link=hf$((RANDOM % 10000))
net=10.$((200 + RANDOM % 50)).$((RANDOM % 250))
for ((i = 0; i < 100; i++)); do
  [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/self/ns/net)" ] && break
  sleep 0.02
done
ip link add "${link}a" type veth peer name "${link}b" || fail 'no veth'
at_exit() { ip link del "${link}a" 2>/dev/null; }
ip link set "${link}b" netns "$inside"
ip addr add "$net.1/24" dev "${link}a" && ip link set "${link}a" up || fail 'no address'
nsenter -t "$inside" -n sh -c "ip addr add $net.2/24 dev ${link}b && ip link set ${link}b up && ip link set lo up" || fail 'no address inside'

PG_LISTEN="127.0.0.1,$net.1" pg_start one
sql one postgres 'CREATE DATABASE src' "CREATE ROLE far LOGIN SUPERUSER PASSWORD 'away'"
sql one src 'CREATE TABLE large (i integer, t text)' \
  "INSERT INTO large SELECT i, string_agg(md5((i * 1000 + k)::text), '') FROM generate_series(1, 30000) i, generate_series(1, 60) k GROUP BY i"
echo away >password
fleet "{\"src\": $(source_of "host=$net.1 port=${pg_port[one]} user=far dbname=src connect_timeout=5 keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=3000" \
  password "{\"file\": \"$WORK/password\"}" jobs 2 chunk_size '"1GiB"')}"
f="-c fleet.json"
inside() { nsenter -t "$inside" -n "$HOLDFAST" $f "$@"; }
run 0 inside backup src
listed=$(ls sink/src/catalog | wc -l)

# The network is back when a connection can be made: addresses are looked up anew.
mend() {
  local i
  ip link set "${link}a" up
  for ((i = 0; i < 300; i++)); do
    nsenter -t "$inside" -n bash -c "exec 3<>/dev/tcp/$net.1/${pg_port[one]}" 2>/dev/null && return
    sleep 0.1
  done
  fail 'the network did not come back'
}

# cut_in PATTERN ARGUMENTS...: cut while a COPY like this one is at work.
cut_in() {
  local pattern=$1 start code=0 pid
  shift
  nsenter -t "$inside" -n "$HOLDFAST" $f "$@" >out 2>err </dev/null &
  pid=$!
  children="$children $pid"
  sql one postgres "DO \$\$ BEGIN
    FOR i IN 1..10000 LOOP
      IF EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '$pattern' AND query !~ 'pg_stat' AND state = 'active') THEN RETURN; END IF;
      PERFORM pg_stat_clear_snapshot(), pg_sleep(0.002);
    END LOOP;
    RAISE 'no COPY was seen';
  END \$\$"
  ip link set "${link}a" down
  start=$SECONDS
  wait "$pid" || code=$?
  [ "$code" -eq 1 ] || fail "exit $code after the network was cut"
  [ $((SECONDS - start)) -lt 60 ] || fail "it took $((SECONDS - start)) s to notice"
  mend
  err "$net.1" hint
}
cut_in 'COPY .*large.* TO' backup src
same 'backups that are listed' "$(ls sink/src/catalog | wc -l)" "$listed"
sleep 3
no_session one
no_stray one
run 0 inside backup src

before=$(databases one)
cut_in 'COPY .*large.* FROM' restore src --to copy
databases one | grep -qx copy && fail 'a database that is not whole has the name'
sleep 3
run 0 inside restore src --to copy
same 'rows after the next restore' "$(sql one copy 'SELECT count(*), sum(i) FROM large')" "$(sql one src 'SELECT count(*), sum(i) FROM large')"
same 'databases after it' "$(databases one | grep -vx copy)" "$before"

# Cut before it begins.
ip link set "${link}a" down
run 1 inside backup src
err "$net.1" hint
mend
run 0 inside backup src
