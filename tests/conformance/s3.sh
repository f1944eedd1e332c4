#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# s3.sh CONFORM PLUGIN: the suite on a service that this script starts.
set -u
conform=$1 plugin=$2
. "$(dirname "$0")/../e2e/ceph.sh"
if tool=$(ceph_missing); then
  echo "$tool is missing"
  exit 77
fi
WORK=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-s3-conform.XXXXXX") || exit 1
trap 'ceph_stop; rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM
ceph_start || exit 1
ceph_bucket suite || exit 1
# Keys come from the surroundings, as they mostly do; and everything below a
# prefix that has to be encoded.
export AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_EC2_METADATA_DISABLED=true
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION
"$conform" "$plugin" "endpoint=$S3_ENDPOINT" bucket=suite 'prefix=a b+c%d=é/suite' timeout=10s --format tap
