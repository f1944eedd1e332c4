#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900 LOCK ceph COST 70
# What sharing a sink between machines rests on.  Conditional puts: asked for
# until there is an answer, and where there are none the sink is not shared.
# The lease: two hosts and one pipeline, in a bucket of a real service and in a
# folder.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/ceph.sh"
. "$here/lib.sh"
need sqlite3 jq python3 unshare faketime
if tool=$(ceph_missing); then need "$tool"; fi
unshare --uts true 2>/dev/null || { echo 'skipped: only root can be another host' >&2; checks=1; exit 77; }
trap 'code=$?; ceph_stop; (exit "$code"); cleanup' EXIT
ceph_start || fail "the gateway does not start"
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_CA_BUNDLE http_proxy https_proxy
export HOME=$WORK AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET
sqlite3 app.db "CREATE TABLE t(b); INSERT INTO t VALUES (randomblob(300000))" || fail "no database"

# fleet FILE BUCKET PORT OPTIONS...
fleet() {
  cat >"$1" <<JSON
{ "version": 1, "state_dir": "state-$2",
  "sinks": {
    "nas": { "type": "dir", "path": "nas-$2" },
    "offsite": { "type": "s3", "endpoint": "http://127.0.0.1:$3", "bucket": "$2", "region": "us-east-1",
      "timeout": "${timeout:-30s}" ${4:+, $4} } },
  "defaults": { "verify": "none" },
  "pipelines": {
    "near": { "from": { "engine": "sqlite", "path": "app.db", "busy_timeout": "2m" }, "to": ["nas"] },
    "far": { "from": { "engine": "sqlite", "path": "app.db", "busy_timeout": "2m" }, "to": ["offsite"] },
    "both": { "from": { "engine": "sqlite", "path": "app.db" }, "to": ["nas", "offsite"] } } }
JSON
}
# keys BUCKET PREFIX
keys() { ceph_s3 GET "$1?list-type=2&prefix=${2//\//%2F}" | tr '<' '\n' | sed -n 's/^Key>//p'; }
front=$(free_ports 1)
proxy=
# begin_proxy ARGUMENT...
begin_proxy() {
  local n
  [ -z "$proxy" ] || { kill -9 "$proxy"; wait "$proxy" 2>/dev/null; }
  : >ready
  python3 "$here/s3_proxy.py" --port "$front" --to "$S3_PORT" --log faults "$@" >ready &
  proxy=$!
  children="$children $proxy"
  for ((n = 0; n < 200; n++)); do
    grep -q ready ready && return
    sleep 0.05
  done
  fail "the proxy does not start"
}

# ---- a probe that failed is an error, never "no" ----
for fault in error500 lose; do
  ceph_bucket "$fault" || fail "no bucket"
  timeout=6s fleet probe.json "$fault" "$front"
  begin_proxy --rate 1 --faults "$fault" --match "PUT /$fault/holdfast-probe"
  hf 1 -c probe.json backup far
  err 'trying a conditional put' 'error: '
  no_err 'must not share' 'see each other'
  [ -s faults ] || fail "nothing was broken"
  ok
  hf 0 -c probe.json --json list far
  json out '[.. | .id? // empty] | length == 0'
  # The next one asks again.
  fleet probe.json "$fault" "$front"
  begin_proxy --rate 1 --faults "$fault" --match "PUT /$fault/holdfast-probe" --at-most 2
  hf 0 -c probe.json backup far
  no_err 'must not share'
done

# ---- a service that does not know the condition ----
for kind in ignore refuse; do
  ceph_bucket "$kind" || fail "no bucket"
  fleet "$kind.json" "$kind" "$front"
  begin_proxy --rate 0 --conditions "$kind"
  hf 2 -c "$kind.json" backup far
  err 'does not keep "If-None-Match: *"' 'sink offsite cannot create an object only if it is absent' \
    '"exclusive": true in sinks.offsite'
  same "objects in a bucket that is not to be shared" "$(keys "$kind" '' | wc -l)" 0
  # Found out once, and said once.
  hf 2 -c "$kind.json" backup far
  no_err 'does not keep "If-None-Match: *"'
  err 'sink offsite cannot create an object only if it is absent'
  hf 1 -c "$kind.json" doctor far
  out 'shareable' '"exclusive": true'
  # The other sink has its backup.
  hf 3 -c "$kind.json" backup both
  err 'sink offsite cannot create an object only if it is absent'
  fleet alone.json "$kind" "$front" '"exclusive": true'
  hf 0 -c alone.json backup both
  hf 0 -c alone.json verify both
  hf 0 -c alone.json restore both --from offsite --to "$kind.db"
  same "restored" "$(content "$kind.db")" "$(content app.db)"
  # The service has learned it.
  begin_proxy --rate 0
  hf 2 -c "$kind.json" backup far
  hf 0 -c "$kind.json" doctor far
  hf 0 -c "$kind.json" backup far
done

# ---- two hosts ----
# on HOST COMMAND...: there.  Same files, same processes, another name.  A
# program, so that its process is that of the command.
cat >on <<'SH'
#!/bin/sh
exec unshare --uts sh -c 'hostname "$0" && exec "$@"' "$@"
SH
# at OFFSET COMMAND...: by a clock that is wrong.
cat >at <<'SH'
#!/bin/sh
offset=$1
shift
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 DONT_FAKE_MONOTONIC=1 FAKETIME_FORCE_MONOTONIC_FIX=0
exec faketime -f "$offset" "$@"
SH
chmod +x on at
# begin HOST PIPELINE: a backup there that holds the lease and waits for the
# database.
begin() {
  local n
  ./on "$1" "$HOLDFAST" -c hosts.json backup "$2" >"$1.out" 2>"$1.err" </dev/null &
  holder=$!
  children="$children $holder"
  for ((n = 0; n < 200; n++)); do
    "$HOLDFAST" -q -c hosts.json --json status "$2" >status 2>/dev/null
    jq -e --arg host "$1" '[.. | strings] | any(. == $host)' status >/dev/null && return
    kill -0 "$holder" 2>/dev/null || fail "it ended too early: $(cat "$1.err")"
    sleep 0.05
  done
  fail "$1 does not hold the lease"
}
# ended HOST CODE
ended() {
  local code=0
  wait "$holder" || code=$?
  [ "$code" -eq "$2" ] || fail "exit $code instead of $2 on $1: $(cat "$1.err")"
  ok
}
# listed PIPELINE N
listed() {
  hf 0 -c hosts.json --json list "$1"
  same "backups of $1" "$(jq '[.. | .id? // empty] | unique | length' out)" "$2"
}
# Two minutes are long: the newest lease, which nobody renews any more, says now
# that it lasts three seconds.
shorten() {
  local key=
  case $1 in
  near)
    key=$(ls nas-hosts/near/lease/* | tail -n 1)
    cp "$key" lease.json
    ;;
  far)
    key=$(keys hosts far/lease/ | tail -n 1)
    ceph_s3 GET "hosts/$key" >lease.json || fail "no lease"
    ;;
  esac
  python3 - <<'PY' || fail "the lease cannot be changed"
import hashlib, re
text = open("lease.json").read()
text = re.sub(r',\n  "sha256": "[0-9a-f]{64}"\n}\n$', "\n}\n", text)
text, n = re.subn(r'"ttl_ms": \d+', '"ttl_ms": 3000', text)
assert n == 1
seal = hashlib.sha256(text.encode()).hexdigest()
open("lease.json", "w").write(text[:-3] + ',\n  "sha256": "%s"\n}\n' % seal)
PY
  case $1 in
  near) cat lease.json >"$key" ;;
  far) ceph_s3 PUT "hosts/$key" lease.json >/dev/null || fail "no lease" ;;
  esac
}

ceph_bucket hosts || fail "no bucket"
fleet hosts.json hosts "$S3_PORT"
for p in near far; do
  hf 0 -c hosts.json backup "$p"
  listed "$p" 1

  # A holder that is stopped for longer than its lease lasts.
  hold one app.db 'BEGIN EXCLUSIVE;'
  begin here "$p"
  run 11 ./on there "$HOLDFAST" -c hosts.json backup "$p"
  err locked 'on here'
  kill -STOP "$holder"
  same "who was stopped" "$(ps -o comm= -p "$holder")" "$(basename "$HOLDFAST")"
  until ps -o stat= -p "$holder" | grep -q '^T'; do sleep 0.05; done
  release one
  # It is the store's clock that counts, not the one of who asks.
  run 11 ./on there ./at +10m "$HOLDFAST" -c hosts.json backup "$p"
  err locked 'on here'
  shorten "$p"
  sleep 4.5
  run 0 ./on there ./at -10m "$HOLDFAST" -v -c hosts.json backup "$p"
  err 'took over the lease'
  listed "$p" 2
  kill -CONT "$holder"
  ended here 11
  grep -q 'the lease in sink [a-z]* was lost' here.err || fail "it does not say why: $(cat here.err)"
  listed "$p" 2
  hf 0 -c hosts.json verify "$p"

  # Killed: free at once on its own machine, after its time on others.
  for host in there here; do
    hold one app.db 'BEGIN EXCLUSIVE;'
    begin here "$p"
    kill -9 "$holder"
    ended here 137
    release one
    if [ "$host" = there ]; then
      run 11 ./on there "$HOLDFAST" -c hosts.json backup "$p"
      shorten "$p"
      sleep 4.5
    fi
    run 0 ./on "$host" "$HOLDFAST" -v -c hosts.json backup "$p"
    err 'took over the lease'
  done
  listed "$p" 4

  # Three at once, of three machines, then the one that holds it is killed: one
  # backup at most.
  hold one app.db 'BEGIN EXCLUSIVE;'
  racers=
  for host in a b c; do
    ./on "$host" "$HOLDFAST" -c hosts.json backup "$p" >"$host.out" 2>"$host.err" </dev/null &
    racers="$racers $host:$!"
    children="$children $!"
  done
  winner=
  for ((n = 0; n < 300; n++)); do
    winner= living=0
    for racer in $racers; do
      kill -0 "${racer#*:}" 2>/dev/null && { winner=$racer living=$((living + 1)); }
    done
    [ "$living" -gt 1 ] || break
    sleep 0.1
  done
  [ "$living" -eq 1 ] || fail "of three at once $living hold the lease"
  for racer in $racers; do
    [ "$racer" != "$winner" ] || continue
    holder=${racer#*:}
    ended "${racer%:*}" 11
  done
  release one
  holder=${winner#*:}
  ended "${winner%:*}" 0
  listed "$p" 5
  hf 0 -c hosts.json verify "$p"
done
same "uploads left" "$(ceph_s3 GET 'hosts?uploads=' | grep -c '<Upload>')" 0
