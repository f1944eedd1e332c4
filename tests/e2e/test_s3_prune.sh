#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900 LOCK ceph COST 50
# Retention in a bucket: many objects go in few requests, uploads of dead runs
# are ended, and nothing of anybody else is touched.
here=$(dirname "$0")
. "$here/ceph.sh"
. "$here/lib.sh"
need jq aws python3
: "${TEST_PLUGINS:?names the folder of the test plugins}"
if tool=$(ceph_missing); then need "$tool"; fi
trap 'code=$?; ceph_stop; (exit "$code"); cleanup' EXIT
ceph_start || fail "the gateway does not start"
ceph_bucket shop || fail "no bucket"
export HOME=$WORK AWS_EC2_METADATA_DISABLED=true KEY=$S3_KEY SECRET=$S3_SECRET
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION http_proxy HTTP_PROXY

s3api() {
  AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_DEFAULT_REGION=us-east-1 \
    aws --endpoint-url "$S3_ENDPOINT" s3api "$@"
}
count() { s3api list-objects-v2 --bucket shop --prefix "$1" --query 'length(Contents || `[]`)'; }
uploads() { s3api list-multipart-uploads --bucket shop --query 'Uploads[].Key' --output text | tr '\t' '\n' | sort; }
hfp() { local code=$1; shift; hf "$code" --plugin-dir "$TEST_PLUGINS" "$@"; }

# proxy OPTION...: in front of the gateway, from then on $at.
proxy() {
  local front
  front=$(free_ports 1)
  mkfifo ready
  python3 "$here/s3_proxy.py" --port "$front" --to "$S3_PORT" --rate 0 "$@" >ready &
  children="$children $!"
  read -r _ <ready
  rm ready
  at=http://127.0.0.1:$front
}
# fleet FILE OBJECTS
fleet() {
  cat >"$1" <<JSON
{ "version": 1, "state_dir": "state",
  "sinks": { "offsite": { "type": "s3", "endpoint": "$at", "bucket": "shop", "prefix": "a b+c", "region": "us-east-1",
    "access_key": {"env": "KEY"}, "secret_key": {"env": "SECRET"} } },
  "defaults": { "to": ["offsite"], "verify": "none" },
  "pipelines": {
    "app": { "from": { "engine": "testengine", "objects": $2, "size": 10 }, "retention": { "last": 1 } },
    "app-2": { "from": { "engine": "testengine", "objects": 1, "size": 10 } } } }
JSON
}

# ---- 1,100 objects go in two requests, and a few around them ----
at=$S3_ENDPOINT
fleet many.json 1100
hfp 0 -c many.json backup app
fleet one.json 1
hfp 0 -c one.json backup app
hfp 0 -c one.json backup app-2
id=$(s3api list-objects-v2 --bucket shop --prefix 'a b+c/app/catalog/' --query 'Contents[0].Key' --output text)
id=$(basename "$id" .json)
same "objects of it" "$(count "a b+c/app/data/$id/")" 1101
proxy --requests requests
fleet pruned.json 1
before=$(s3api list-objects-v2 --bucket shop --query 'Contents[].[Key, ETag]' --output text)
hfp 0 -c pruned.json prune app -n
out "$id" 'no rule keeps it'
grep -vE '^(GET|HEAD) ' requests && fail "a dry run asks for more than reading"
ok
same "what a dry run left" "$(s3api list-objects-v2 --bucket shop --query 'Contents[].[Key, ETag]' --output text)" "$before"
: >requests
hfp 0 -c pruned.json prune app
out "$id" removed
same "objects of it" "$(count "a b+c/app/data/$id/")" 0
same "requests that remove many" "$(grep -c '^POST .*delete=' requests)" 2
[ "$(wc -l <requests)" -le 45 ] || fail "$(wc -l <requests) requests: $(sort requests | uniq -c)"
ok
# The manifest went first.
first=$(grep -nE '^DELETE .*/catalog/' requests | cut -d : -f 1 | head -n 1)
data=$(grep -n '^POST .*delete=' requests | cut -d : -f 1 | head -n 1)
[ -n "$first" ] && [ "$first" -lt "$data" ] || fail "the manifest is request ${first:-none}, its data $data"
ok
same "another pipeline" "$(count 'a b+c/app-2/data/')" 2
hfp 0 -c one.json verify
hfp 0 -c pruned.json --json prune app
json out '.pipelines[0] | ([.backups[].keep] == [true]) and .sinks[0].unfinished_uploads == 0'

# ---- uploads of dead runs ----
begin() { s3api create-multipart-upload --bucket shop --key "$1" >/dev/null || fail "no upload of $1"; ok; }
dead=data/20200101T000000Z-00000001/part
begin "a b+c/app/$dead"
begin "a b+c/app/$dead.1"
begin "a b+c/app-2/$dead"
begin "app/$dead"
theirs=$(uploads | grep -v '^a b+c/app/')
# They may be those of a run that lives on another machine.
hfp 0 -c pruned.json prune app
same "young uploads" "$(uploads | wc -l)" 4
# Two days later.
proxy --ahead 172800
fleet later.json 1
hfp 0 -c later.json prune app -n
out 'would remove 2 unfinished uploads'
same "uploads after a dry run" "$(uploads | wc -l)" 4
hfp 0 -c later.json prune app
out 'removed 2 unfinished uploads'
same "uploads of others" "$(uploads)" "$theirs"
hfp 0 -c one.json verify

# ---- a service that cannot be reached ----
at=http://127.0.0.1:$(free_ports 1)
fleet away.json 1
sed -i 's/"region"/"timeout": "2s", "region"/' away.json
hfp 1 -c away.json prune app
err 'Nothing answers there'
