#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Backups to a bucket through a proxy that breaks what passes.  Each run ends in
# a backup that verifies, or in an error with nothing listed; no upload is left.
# Then: the gateway is killed and comes back, the keys are revoked, all in
# mid-backup.  HOLDFAST, MAKEDB: the programs.  HOLDFAST_TEST_LONG=1: 500 runs.
set -euo pipefail
here=$(cd "$(dirname "$0")/../e2e" && pwd)
. "$here/ceph.sh"
if tool=$(ceph_missing); then
  echo "needs $tool"
  exit 77
fi
for tool in sqlite3 jq aws timeout; do
  command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
runs=20
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && runs=500
seed=${HOLDFAST_TEST_SEED:-$$}
echo "seed $seed (HOLDFAST_TEST_SEED), $runs runs"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-s3-faults-XXXXXX")
proxy=
victim=
finish() {
  local code=$?
  set +e
  [ -n "$proxy" ] && kill -9 "$proxy" 2>/dev/null
  [ -n "$victim" ] && kill -9 "$victim" 2>/dev/null
  ceph_stop
  wait 2>/dev/null
  rm -rf "$WORK"
  exit "$code"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
cd "$WORK"
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_CA_BUNDLE http_proxy https_proxy
export HOME=$WORK AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET

fail() {
  echo "FAILED at run $i (HOLDFAST_TEST_SEED=$seed): $*"
  for f in out err faults; do
    [ -s "$WORK/$f" ] && { echo "--- $f"; tail -n 40 "$WORK/$f"; }
  done
  exit 1
}
i=0
ceph_start || fail "the gateway does not start"
ceph_bucket faults || fail "no bucket"
front=$(free_ports 1)

# fleet FILE PORT TIMEOUT: one sink, parts of 5 MiB.
fleet() {
  cat >"$1" <<JSON
{ "version": 1, "state_dir": "$WORK/state",
  "sinks": { "s": { "type": "s3", "endpoint": "http://127.0.0.1:$2", "bucket": "faults", "prefix": "a b",
    "region": "us-east-1", "part_size": "5MiB", "timeout": "$3", "low_speed_time": "1s" } },
  "defaults": { "to": ["s"], "verify": "none" },
  "pipelines": { "app": { "from": { "engine": "sqlite", "path": "app.db" } } } }
JSON
}
fleet direct.json "$S3_PORT" 20s
api() { AWS_DEFAULT_REGION=us-east-1 aws --endpoint-url "$S3_ENDPOINT" s3api "$@"; }
# Quicker than aws, and asked often.
uploads() {
  curl -fsS --aws-sigv4 aws:amz:us-east-1:s3 --user "$S3_KEY:$S3_SECRET" -H "x-amz-content-sha256: $empty" \
    "$S3_ENDPOINT/faults?uploads=" | tr '<' '\n' | grep -c '^Upload>' || true
}
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
listed() { "$HOLDFAST" -q -c direct.json --json list app | jq '[.. | .id? // empty] | unique | length'; }

sqlite3 app.db "CREATE TABLE t(b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<12)
  INSERT INTO t SELECT randomblob(1000000) FROM n"

# begin_proxy SEED FAULTS-ARGUMENTS...
begin_proxy() {
  local s=$1
  : >ready
  shift
  python3 "$here/s3_proxy.py" --port "$front" --to "$S3_PORT" --seed "$s" --log faults "$@" >ready &
  proxy=$!
  for ((n = 0; n < 100; n++)); do
    grep -q ready ready && return
    sleep 0.05
  done
  fail "the proxy does not start"
}
end_proxy() {
  kill -9 "$proxy"
  wait "$proxy" 2>/dev/null || true
  proxy=
}
# run_through FILE: what came of it is in $code, out and err.
run_through() {
  code=0
  timeout 120 "$HOLDFAST" -c "$1" backup app >out 2>err </dev/null || code=$?
}
# After a run: what is listed is whole, and grew only if the run said so.
look() {
  local now
  now=$(listed) || fail "the list cannot be read"
  if [ "$code" -eq 0 ]; then
    [ "$now" -eq $((before + 1)) ] || fail "it ended well, but $now backups are listed after $before"
    "$HOLDFAST" -q -c direct.json verify app >out 2>err || fail "a backup that is listed is bad"
    good=$((good + 1))
  else
    [ "$code" -ne 124 ] || fail "it hangs"
    [ "$now" -eq "$before" ] || fail "it failed, but $now backups are listed after $before"
    grep -q '^error: ' err || fail "it failed without an error"
    grep -qF "$S3_SECRET" out err && fail "the secret is shown"
    bad=$((bad + 1))
  fi
  before=$now
}

good=0 bad=0 before=0 made=0
fleet front.json "$front" 10s
RANDOM=$seed
for i in $(seq 1 "$runs"); do
  # From some faults to so many that no run can end well.
  rate=$(printf 0.%02d $((RANDOM % 4 * 6 + 4)))
  [ $((i % 10)) -eq 0 ] && rate=0.95
  [ "$rate" = 0.95 ] && sed -i 's/"timeout": "10s"/"timeout": "2s"/' front.json
  begin_proxy $((seed * 1000 + i)) --rate "$rate"
  run_through front.json
  end_proxy
  [ "$rate" = 0.95 ] && sed -i 's/"timeout": "2s"/"timeout": "10s"/' front.json
  made=$((made + $(wc -l <faults)))
  look
  # What a run could not abort, as the proxy broke that too, the log said.
  left=$(uploads)
  if [ "$left" -ne 0 ]; then
    grep -q 'parts of the upload' err || fail "$left uploads are left"
    api list-multipart-uploads --bucket faults --query 'Uploads[].[Key,UploadId]' --output text >left
    while IFS=$'\t' read -r key id; do
      api abort-multipart-upload --bucket faults --key "$key" --upload-id "$id"
    done <left
  fi
done
echo "$made faults: $good runs ended well, $bad in an error"
[ "$good" -ge $((runs / 4)) ] || fail "only $good runs ended well"
[ "$made" -ge "$runs" ] || fail "only $made faults were made"

# Each kind alone, until it cannot fail any more: all is ridden out.
for fault in reset_up reset_down stall error500 late500 complete truncate lose delay duplicate; do
  i=$fault
  begin_proxy 1 --rate 1 --faults "$fault" --at-most 3
  run_through front.json
  end_proxy
  [ "$code" -eq 0 ] || fail "three times $fault is not ridden out"
  [ -s faults ] || fail "no fault was made"
  look
  [ "$(uploads)" -eq 0 ] || fail "uploads are left"
done

# begin_backup FILE: back when it has begun to send parts.
begin_backup() {
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
fleet slow.json "$S3_PORT" 60s
sed -i 's/"part_size"/"bandwidth": "4MiB", "part_size"/' slow.json
begin_backup slow.json
ceph_kill9
sleep 3
ceph_restart || fail "the gateway does not come back"
end_backup
[ "$code" -eq 0 ] || fail "the gateway's restart was not ridden out"
look
[ "$(uploads)" -eq 0 ] || fail "uploads are left"

i='keys revoked'
begin_backup slow.json
ceph_admin user suspend --uid=test >/dev/null
end_backup
ceph_admin user enable --uid=test >/dev/null
[ "$code" -eq 12 ] || fail "exit $code instead of 12"
grep -Eq 'UserSuspended|AccessDenied' err || fail "the error does not say it"
look
echo "ok"
