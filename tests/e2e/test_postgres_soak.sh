#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 6000 LABELS serial LOCK ceph LONG
# A server is followed into a folder and a bucket beside a writer, and in any
# order, at random moments, "holdfast run", the server and the gateway are killed,
# the network between is cut, the folder moved away, and backups made.  In the end
# there is no gap, no row is missing of which the writer was told, both sinks have
# the same, and a server comes out of the bucket alone.
#   HOLDFAST_TEST_KILL_MINUTES   for so long; default: 3
#   HOLDFAST_TEST_SEED           the same order again
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
. "$here/pg.sh"
# shellcheck source=tests/faults/net.sh
. "$here/../faults/net.sh"
# shellcheck source=tests/e2e/pitr.sh
. "$here/pitr.sh"
. "$here/ceph.sh"
need jq
if tool=$(ceph_missing); then need "$tool"; fi
[ -e "$WORK/program/lib/holdfast/s3.so" ] || { echo 'skipped: built without s3' >&2; checks=1; exit 77; }
seed=${HOLDFAST_TEST_SEED:-$$}
echo "seed $seed (HOLDFAST_TEST_SEED)"
RANDOM=$seed
at_exit() {
  net_down
  ceph_stop
}
CEPH_LISTEN=0.0.0.0 ceph_start || fail 'the gateway does not start'
ceph_bucket wal || fail 'no bucket'
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_CA_BUNDLE http_proxy https_proxy
export AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET
AS=(nsenter -t "$inside" -n "${AS[@]}")

PG_LISTEN="127.0.0.1,$net.1" pg_start main
replicate main
sql main postgres 'CREATE DATABASE modulodb' "CREATE ROLE far LOGIN SUPERUSER PASSWORD 'away'"
tables main
echo away >"$WORK/password"
jq -n --arg w "$WORK" --arg s3 "http://$net.1:$S3_PORT" \
  --arg c "host=$net.1 port=${pg_port[main]} user=far dbname=modulodb connect_timeout=3 keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=3000" '
  { version: 1, state_dir: ($w + "/state"), filters: { gz: { type: "gzip" } },
    sinks: { one: { type: "dir", path: ($w + "/one/repo") },
      two: { type: "s3", endpoint: $s3, bucket: "wal", region: "us-east-1", timeout: "5s" } },
    defaults: { through: ["gz"], to: ["one", "two"], verify: "none" },
    pipelines: { modulo: { from: { engine: "postgres", mode: "physical", conninfo: $c, password: { file: ($w + "/password") },
      wal: { stream: true, flush: "1s" } } } } }' >"$HOLDFAST_CONFIG" || fail 'fleet.json'
chmod 644 "$HOLDFAST_CONFIG" "$WORK/password"

follow
within 60 'the slot' slot main
op 0 backup modulo
begin main

declare -A times
backups=
# pause SECONDS: up to so many.
pause() { sleep $((RANDOM % $1)).$((RANDOM % 10)); }
again() { unfollow KILL 137 && follow; }
# event NAME
event() {
  times[$1]=$((${times[$1]:-0} + 1))
  case $1 in
  run) again ;;
  stop) unfollow TERM 0 && follow ;;
  server) pg_kill9 main && pg_start main ;;
  gateway) ceph_kill9 && pause 5 && ceph_restart || fail 'the gateway does not come back' ;;
  network) cut_off && pause 7 && mend main ;;
  folder) away one && pause 5 && back one ;;
  all)
    cut_off && ceph_kill9 && away one && pg_kill9 main && pause 3 && pg_start main
    ceph_restart || fail 'the gateway does not come back'
    back one
    mend main
    ;;
  backup)
    [ -z "$backups" ] || kill -0 "$backups" 2>/dev/null || backups=
    [ -n "$backups" ] || {
      "${AS[@]}" "$HOLDFAST" backup modulo >>"$WORK/backups.out" 2>&1 </dev/null &
      backups=$!
      children="$children $backups"
    }
    ;;
  esac
}
kinds=(run run stop server gateway network folder all backup)
until_then=$((SECONDS + 60 * ${HOLDFAST_TEST_KILL_MINUTES:-3}))
while [ "$SECONDS" -lt "$until_then" ]; do
  pause 4
  event "${kinds[RANDOM % ${#kinds[@]}]}"
  # Its pauses grow with its failures.
  [ $((RANDOM % 3)) -ne 0 ] || again
done
[ -z "$backups" ] || wait "$backups"
for kind in "${!times[@]}"; do echo "$kind: ${times[$kind]}"; done
again
finish
archived main 180
no_gap
[ -z "$(lost main)" ] || fail "the server lost rows: $(lost main | head)"
echo "$(wc -l <"$WORK/acked") rows"
op 0 backup modulo
archived main
unfollow TERM 0
op 0 verify modulo
# What the one sink has, the other has; pieces go at a new start.
segments() { grep '/wal/.*json$' | grep -v '[.]from-' | sed 's#.*/wal/##' | sort; }
find "$WORK/one/repo/modulo/wal" -type f | segments >"$WORK/has.one"
marker=
while :; do
  ceph_s3 GET "wal?list-type=2&max-keys=1000&prefix=modulo%2Fwal%2F${marker:+&start-after=${marker//\//%2F}}" | tr '<' '\n' | sed -n 's/^Key>//p' >"$WORK/keys"
  [ -s "$WORK/keys" ] || break
  cat "$WORK/keys" >>"$WORK/all.keys"
  marker=$(tail -n 1 "$WORK/keys")
done
segments <"$WORK/all.keys" >"$WORK/has.two"
[ "$(wc -l <"$WORK/has.two")" -gt 3 ] || fail 'nothing is in the bucket'
diff "$WORK/has.one" "$WORK/has.two" >"$WORK/out" || fail 'one sink has what the other has not'
# Of a sink that is away nobody knows whether it has more: it is left out.
jq 'del(.sinks.one) | .defaults.to = ["two"]' "$HOLDFAST_CONFIG" >"$WORK/bucket.json"
cat "$WORK/bucket.json" >"$HOLDFAST_CONFIG"
restored copy
pg_start copy
within 600 'the copy opens' settled copy
same 'rows' "$(sql copy modulodb 'SELECT count(*), sum(n), max(n) FROM rows')" "$(sql main modulodb 'SELECT count(*), sum(n), max(n) FROM rows')"
gone copy
