#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900 LOCK ceph LONG
# 5,000 objects list completely, each once: pages hold a thousand.
. "$(dirname "$0")/ceph.sh"
. "$(dirname "$0")/lib.sh"
need sort cut
if tool=$(ceph_missing); then need "$tool"; fi
trap 'code=$?; ceph_stop; (exit "$code"); cleanup' EXIT
ceph_start || fail "the gateway does not start"
ceph_bucket many || fail "no bucket"
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION http_proxy HTTP_PROXY
export AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_EC2_METADATA_DISABLED=true
plugin=$(find "$HOLDFAST_PROGRAMS/.." -name s3.so -path '*/holdfast/*' | head -n 1)
store() { "$HOLDFAST_PROGRAMS/s3store" "$plugin" "endpoint=$S3_ENDPOINT" bucket=many 'prefix=a b' -- "$@"; }

for i in 0 1 2 3; do
  store fill $((i * 1250)) $(((i + 1) * 1250)) full &
  children="$children $!"
done
for i in $children; do wait "$i" || fail "cannot write objects"; done
# Neighbours that are not asked for.
store fill 0 3 fuller || fail "cannot write objects"
store list full/ >keys || fail "no listing"
for ((i = 0; i < 5000; i++)); do printf 'full/%06d\n' "$i"; done >wanted
sort keys >sorted
run 0 cmp sorted wanted
same "keys of a part of them" "$(store list full/0010 | wc -l)" 100
same "keys of nothing" "$(store list fullest | wc -l)" 0
same "keys of all" "$(store list full | wc -l)" 5003
