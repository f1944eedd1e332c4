#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Backups to a bucket, and restores from it, through a proxy that breaks what
# passes.  Each run ends in a backup that restores to what was there, or in an
# error with nothing listed; no upload is left.  Then: the gateway is killed and
# comes back, the keys are revoked, all in mid-backup.
#   HOLDFAST                 the program
#   HOLDFAST_TEST_LONG=1     500 runs rather than 15
#   HOLDFAST_TEST_RUNS, _SEED, _JOBS: so many, of this seed, so many at once
set -euo pipefail
here=$(cd "$(dirname "$0")/../e2e" && pwd)
. "$here/ceph.sh"
if tool=$(ceph_missing); then
  echo "needs $tool"
  exit 77
fi
for tool in sqlite3 jq timeout; do
  command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
runs=15
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && runs=500
runs=${HOLDFAST_TEST_RUNS:-$runs}
seed=${HOLDFAST_TEST_SEED:-$$}
# They wait more than they work.
jobs=${HOLDFAST_TEST_JOBS:-3}
echo "seed $seed (HOLDFAST_TEST_SEED), $runs runs"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-s3-faults-XXXXXX")
proxy=
victim=
workers=
finish() {
  local code=$? pid
  set +e
  for pid in $workers; do kill "$pid" 2>/dev/null; done
  for pid in $proxy $victim; do kill -9 "$pid" 2>/dev/null; done
  for pid in $workers; do wait "$pid" 2>/dev/null; done
  ceph_stop
  wait 2>/dev/null
  if [ "$code" -ne 0 ] && [ -n "${HOLDFAST_TEST_KEEP:-}" ]; then
    echo "kept: $WORK"
  else
    rm -rf "$WORK"
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
cd "$WORK"
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_CA_BUNDLE http_proxy https_proxy
# What the sanitizer remembers of thread-local storage can be wrong when threads
# that used libcurl have ended, and its own search for leaks dies of that.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}intercept_tls_get_addr=0
export HOME=$WORK AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET

fail() {
  echo "FAILED at run $i (HOLDFAST_TEST_SEED=$seed): $*"
  local f
  for f in out err faults; do
    [ -s "$f" ] && { echo "--- $f"; tail -n 40 "$f"; }
  done
  exit 1
}
i=0
ceph_start || fail "the gateway does not start"

# fleet FILE BUCKET PORT TIMEOUT [MORE [STALL]]: one sink, parts of 5 MiB.
fleet() {
  cat >"$1" <<JSON
{ "version": 1, "state_dir": "$PWD/state",
  "sinks": { "s": { "type": "s3", "endpoint": "http://127.0.0.1:$3", "bucket": "$2", "prefix": "a b", ${5:-}
    "region": "us-east-1", "part_size": "5MiB", "timeout": "$4", "low_speed_time": "${6:-1s}" } },
  "defaults": { "to": ["s"], "verify": "none" },
  "pipelines": { "app": { "from": { "engine": "sqlite", "path": "app.db" } } } }
JSON
}
upload_ids() { ceph_s3 GET "$bucket?uploads=" | tr '<' '\n' | sed -n "s/^$1>//p"; }
uploads() { upload_ids UploadId | wc -l; }
abort_uploads() {
  local key id
  paste <(upload_ids Key) <(upload_ids UploadId) >left
  while IFS=$'\t' read -r key id; do
    ceph_s3 DELETE "$bucket/${key// /%20}?uploadId=$id"
  done <left
}
listed() { "$HOLDFAST" -q -c direct.json --json list app | jq '[.. | .id? // empty] | unique | length'; }
content() { sqlite3 -readonly "$1" 'PRAGMA integrity_check' .sha3sum; }
# is_whole FILE: it is what app.db is.  Mostly byte for byte, and that is quicker
# to see.
is_whole() { cmp -s "$1" app.db || [ "$(content "$1")" = "$(content app.db)" ]; }
# fill MEGABYTES: app.db anew.
fill() {
  rm -f app.db
  sqlite3 app.db "CREATE TABLE t(a INTEGER PRIMARY KEY, b);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<$1)
    INSERT INTO t SELECT i, randomblob(1000000) FROM n"
}

# place BUCKET: a database here, and a bucket.
place() {
  bucket=$1
  ceph_bucket "$bucket" || fail "no bucket"
  front=$(free_ports 1)
  fleet direct.json "$bucket" "$S3_PORT" 2m '' 30s
  fill 11
  good=0 bad=0 before=0 made=0 restored=0 refused=0
}

# begin_proxy SEED FAULTS-ARGUMENTS...
begin_proxy() {
  local s=$1 n
  : >ready
  shift
  python3 "$here/s3_proxy.py" --port "$front" --to "$S3_PORT" --seed "$s" --log faults "$@" >ready &
  proxy=$!
  for ((n = 0; n < 200; n++)); do
    grep -q ready ready && return
    sleep 0.05
  done
  fail "the proxy does not start"
}
end_proxy() {
  kill -9 "$proxy"
  wait "$proxy" 2>/dev/null || true
  proxy=
  made=$((made + $(wc -l <faults)))
}
# through ARGUMENT...: what came of it is in $code, out and err.
through() {
  code=0
  timeout 120 "$HOLDFAST" -c front.json "$@" >out 2>err </dev/null || code=$?
  [ "$code" -ne 124 ] || fail "it hangs"
  [ "$code" -lt 124 ] || [ "$code" -eq 130 ] || fail "it died: exit $code"
  [ "$code" -eq 0 ] || grep -q '^error: ' err || fail "it failed without an error"
  if grep -qF "$S3_SECRET" out err; then fail "the secret is shown"; fi
}
# After a backup: what is listed is whole, and grew only if the run said so.
look() {
  local now
  now=$(listed) || fail "the list cannot be read"
  if [ "$code" -eq 0 ]; then
    [ "$now" -eq $((before + 1)) ] || fail "it ended well, but $now backups are listed after $before"
    rm -f copy.db
    "$HOLDFAST" -q -c direct.json restore app --to copy.db >out 2>err || fail "a backup that is listed is bad"
    is_whole copy.db || fail "what was restored is not what was there"
    good=$((good + 1))
  else
    [ "$now" -eq "$before" ] || fail "it failed, but $now backups are listed after $before"
    bad=$((bad + 1))
  fi
  before=$now
}
no_uploads() { [ "$(uploads)" -eq 0 ] || fail "uploads are left"; }

# restore_through SEED ARGUMENTS...: reads are broken too.
restore_through() {
  rm -f through.db
  begin_proxy "$@"
  through restore app --to through.db
  end_proxy
  if [ "$code" -eq 0 ]; then
    is_whole through.db || fail "a restore said that it was good"
    restored=$((restored + 1))
  else
    [ ! -e through.db ] || fail "a restore that failed left something"
    refused=$((refused + 1))
  fi
}

# campaign NAME FIRST STEP: every so many of the runs.
campaign() {
  local rate timeout left
  mkdir "$1"
  cd "$1"
  place "$1"
  for ((i = $2; i <= runs; i += $3)); do
    RANDOM=$((seed + i))
    # From some faults to so many that no run can end well.
    left=0
    rate=$(printf 0.%02d $((RANDOM % 4 * 6 + 4))) timeout=15s
    [ $((i % 10)) -ne 0 ] || rate=0.95 timeout=2s
    # One in four is a single PUT.
    fill $((i % 4 == 1 ? 1 : 6 + i % 3 * 3))
    fleet front.json "$bucket" "$front" "$timeout"
    begin_proxy $((seed * 1000 + i)) --rate "$rate"
    through backup app
    end_proxy
    cp err said
    look
    if [ "$(uploads)" -ne 0 ]; then
      # It could not: the proxy broke that too, for all of its time.
      grep -q 'parts of the upload' said || fail "uploads are left, and nothing is said"
      left=1
      abort_uploads
    fi
    [ "$code" -ne 0 ] || restore_through $((seed * 1000 + i + 500)) --rate "$rate"
    echo "$made $good $bad $restored $refused $left" >>results
    made=0 good=0 bad=0 restored=0 refused=0
  done
  exit 0
}

for ((w = 1; w <= jobs; w++)); do
  (trap '[ -z "$proxy" ] || kill -9 "$proxy" 2>/dev/null || true' EXIT; trap - HUP INT; trap 'exit 1' TERM
    campaign "part$w" "$w" "$jobs") >"part$w.log" 2>&1 &
  workers="$workers $!"
done
failed=0
for pid in $workers; do
  wait "$pid" || failed=1
done
workers=
[ "$failed" -eq 0 ] || { tail -n 150 part?.log; exit 1; }
read -r made good bad restored refused left < <(awk '{ for (k = 1; k <= 6; k++) s[k] += $k }
  END { print s[1], s[2], s[3], s[4], s[5], s[6] }' part*/results)
echo "$made faults: $good backups ended well, $bad in an error ($left could not take their upload back, and said so);"
echo "of the restores $restored ended well, $refused in an error"
[ $((good + bad)) -eq "$runs" ] || fail "$((good + bad)) runs"
[ "$good" -ge $((runs / 4)) ] || fail "only $good runs ended well"
[ "$made" -ge "$runs" ] || fail "only $made faults were made"

# Each kind alone, until it cannot fail any more: all is ridden out.
place kinds
fleet front.json kinds "$front" 10s
for fault in reset_up reset_down stall error500 late500 complete truncate lose delay duplicate; do
  i=$fault
  begin_proxy 1 --rate 1 --faults "$fault" --at-most 3
  through backup app
  end_proxy
  [ "$code" -eq 0 ] || fail "three times $fault is not ridden out"
  [ -s faults ] || fail "no fault was made"
  look
  no_uploads
  [ "$fault" != complete ] || continue
  restore_through 2 --rate 1 --faults "$fault" --at-most 3
  [ "$code" -eq 0 ] || fail "three times $fault is not ridden out by a restore"
done

# begin_backup FILE: back when it has begun to send parts.
begin_backup() {
  local n
  "$HOLDFAST" -q -c "$1" backup app >out 2>err </dev/null &
  victim=$!
  for ((n = 0; n < 200; n++)); do
    [ "$(uploads)" -gt 0 ] && return
    kill -0 "$victim" 2>/dev/null || fail "it ended before it could be disturbed"
  done
  fail "no upload begins"
}
end_backup() {
  code=0
  wait "$victim" || code=$?
  victim=
}

i='gateway killed'
fleet slow.json kinds "$S3_PORT" 60s '"bandwidth": "4MiB",'
begin_backup slow.json
ceph_kill9
sleep 3
ceph_restart || fail "the gateway does not come back"
end_backup
[ "$code" -eq 0 ] || fail "the gateway's restart was not ridden out"
look
no_uploads

i='gateway gone'
fleet brief.json kinds "$S3_PORT" 5s '"bandwidth": "8MiB",'
begin_backup brief.json
ceph_kill9
end_backup
[ "$code" -eq 1 ] || fail "exit $code instead of 1"
grep -q 'Nothing answers there' err || fail "the error does not say it"
ceph_restart || fail "the gateway does not come back"
look
abort_uploads

i='keys revoked'
begin_backup slow.json
ceph_admin user suspend --uid=test >/dev/null
end_backup
ceph_admin user enable --uid=test >/dev/null
[ "$code" -eq 12 ] || fail "exit $code instead of 12"
grep -Eq 'UserSuspended|AccessDenied' err || fail "the error does not say it"
look
echo "ok"
