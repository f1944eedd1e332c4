#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900 LOCK ceph COST 125
# SQLite and PostgreSQL to a folder and to a bucket at once: each is a whole
# copy.  One of the two fails, before and in mid-backup: the other has its
# backup, the run says so, and what fails leaves nothing.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/ceph.sh"
. "$here/lib.sh"
at_exit() { ceph_stop; }
. "$here/pg.sh"
need sqlite3 python3
if tool=$(ceph_missing); then need "$tool"; fi
ceph_start || fail "the gateway does not start"
ceph_bucket sinks || fail "no bucket"
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_CA_BUNDLE http_proxy https_proxy
export HOME=$WORK AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET

# What the sanitizer remembers of thread-local storage is wrong once libpq and
# libcurl have both been at work, and its own search for leaks dies of that.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}intercept_tls_get_addr=0

pg_start one
sql one postgres 'CREATE DATABASE src'
sql one src 'CREATE TABLE large (i integer PRIMARY KEY, t bytea)' 'CREATE VIEW few AS SELECT i FROM large WHERE i < 10' \
  "INSERT INTO large SELECT i, decode(string_agg(md5((i * 1000 + k)::text), ''), 'hex') FROM generate_series(1, 450) i, generate_series(1, 1000) k GROUP BY i"
sqlite3 app.db "CREATE TABLE t(b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<7)
  INSERT INTO t SELECT randomblob(1000000) FROM n" || fail "no database"
front=$(free_ports 1)
# sinks PORT [TIMEOUT]: through this one the bucket is reached.
sinks() {
  jq -n --arg port "$1" --arg t "${2:-30s}" --arg c "$(conninfo one src)" --arg b "$PG_BIN" '{version: 1, state_dir: "state",
    filters: {gz: {type: "gzip"}},
    sinks: {nas: {type: "dir", path: "nas"},
      offsite: {type: "s3", endpoint: ("http://127.0.0.1:" + $port), bucket: "sinks", prefix: "db", region: "us-east-1",
        part_size: "5MiB", timeout: $t}},
    defaults: {through: ["gz"], to: ["nas", "offsite"]},
    pipelines: {lite: {from: {engine: "sqlite", path: "app.db"}},
      pg: {from: {engine: "postgres", conninfo: $c, bin_dir: $b, chunk_size: "1GiB"}}}}' >fleet.json || fail "no configuration"
}
f='-c fleet.json'
# copies PIPELINE NAS OFFSITE: backups in each.
copies() {
  same "backups of $1 in the folder" "$(ls "nas/$1/catalog" | wc -l)" "$2"
  same "backups of $1 in the bucket" \
    "$(ceph_s3 GET "sinks?list-type=2&prefix=db%2F$1%2Fcatalog%2F" | tr '<' '\n' | grep -c '^Key>')" "$3"
}
# data PIPELINE N: of so many backups there are objects in the bucket.
data() {
  same "data of $1 in the bucket" "$(ceph_s3 GET "sinks?list-type=2&prefix=db%2F$1%2Fdata%2F" | tr '<' '\n' |
    sed -n 's,^Key>db/[^/]*/data/\([^/]*\)/.*,\1,p' | sort -u | wc -l)" "$2"
  same "uploads left" "$(ceph_s3 GET 'sinks?uploads=' | grep -c '<Upload>')" 0
}
# both_restore N: what the two sinks give back.
both_restore() {
  local sink
  for sink in nas offsite; do
    hf 0 $f restore lite --from "$sink" --to "lite$1.$sink"
    same "lite from $sink" "$(content "lite$1.$sink")" "$(content app.db)"
    hf 0 $f restore pg --from "$sink" --to "copy$1_$sink"
    same_database "pg from $sink" one src one "copy$1_$sink"
    drop one "copy$1_$sink"
  done
}

# ---- each is a whole copy ----
sinks "$S3_PORT"
hf 0 $f doctor
for p in lite pg; do
  hf 0 $f backup "$p"
  out 'nas ok' 'offsite ok'
  copies "$p" 1 1
  hf 0 $f verify "$p"
done
both_restore 1
# The same bytes in both.
for p in lite pg; do
  for file in $(cd "nas/$p/data" && find . -type f ! -name SHA256SUMS); do
    ceph_s3 GET "sinks/db/$p/data/${file#./}" | cmp - "nas/$p/data/$file" || fail "$p: $file differs"
    ok
  done
done

# ---- the bucket fails in mid-backup ----
: >ready
python3 "$here/s3_proxy.py" --port "$front" --to "$S3_PORT" --rate 1 --faults error500 --match 'partNumber=1&' \
  --log faults >ready &
children="$children $!"
for ((n = 0; n < 200; n++)); do
  grep -q ready ready && break
  sleep 0.05
done
sinks "$front" 6s
for p in lite pg; do
  hf 3 $f --json backup "$p"
  json out '.. | objects | select(.name? == "nas") | .ok'
  json out '.. | objects | select(.name? == "offsite") | .ok | not'
  err 'uploading part 1'
  copies "$p" 2 1
  data "$p" 1
done
no_session one

# ---- or cannot be reached at all ----
sinks "$(free_ports 1)" 6s
for p in lite pg; do
  hf 3 $f backup "$p"
  out 'nas ok' 'offsite FAILED'
  err "host: http://127.0.0.1:"
  hf 0 $f restore "$p" --from nas --to "${p}_nas"
done
same_database 'from the folder alone' one src one pg_nas
drop one pg_nas

# ---- and the folder, while the bucket is well ----
sinks "$S3_PORT"
mv nas away
: >nas
for p in lite pg; do
  hf 3 $f backup "$p"
  out 'nas FAILED' 'offsite ok'
done
rm nas
mv away nas
for p in lite pg; do
  hf 0 $f backup "$p"
  out 'nas ok' 'offsite ok'
done
both_restore 2
