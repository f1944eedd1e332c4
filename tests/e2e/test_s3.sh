#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900 LOCK ceph COST 75
# Backups in a bucket of a real service: there and back, read and written by
# other clients; every error that users meet; kills, and two runs at once.
. "$(dirname "$0")/ceph.sh"
. "$(dirname "$0")/lib.sh"
need sqlite3 jq gunzip sha256sum aws rclone openssl
if tool=$(ceph_missing); then need "$tool"; fi
trap 'code=$?; ceph_stop; (exit "$code"); cleanup' EXIT
ceph_start || fail "the gateway does not start"
for bucket in shop big race; do ceph_bucket "$bucket" || fail "no bucket"; done

unset AWS_PROFILE AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
unset AWS_CA_BUNDLE http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
export HOME=$WORK AWS_EC2_METADATA_DISABLED=true KEY=$S3_KEY SECRET=$S3_SECRET

# A second client, with its own configuration.
s3api() {
  AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_DEFAULT_REGION=us-east-1 \
    aws --endpoint-url "$S3_ENDPOINT" s3api "$@"
}
rc() {
  RCLONE_CONFIG_CEPH_TYPE=s3 RCLONE_CONFIG_CEPH_PROVIDER=Ceph RCLONE_CONFIG_CEPH_ENDPOINT=$S3_ENDPOINT \
    RCLONE_CONFIG_CEPH_ACCESS_KEY_ID=$S3_KEY RCLONE_CONFIG_CEPH_SECRET_ACCESS_KEY=$S3_SECRET \
    rclone -q --config /dev/null "$@"
}
no_uploads() { same "uploads left in $1" "$(s3api list-multipart-uploads --bucket "$1" --query 'length(Uploads || `[]`)')" 0; }
no_secret() { grep -qF "$S3_SECRET" "$WORK"/out "$WORK"/err && fail "the secret is shown"; ok; }

# fleet FILE BUCKET OPTIONS: a configuration whose sink offsite has these too.
fleet() {
  local timeout='"timeout": "20s",'
  case $3 in *'"timeout"'*) timeout= ;; esac
  cat >"$1" <<JSON
{ "version": 1, "state_dir": "state", "filters": { "gz": { "type": "gzip" } },
  "sinks": {
    "nas": { "type": "dir", "path": "nas" },
    "offsite": { "type": "s3", "bucket": "$2", $timeout $3, "region": "us-east-1" } },
  "defaults": { "through": ["gz"], "to": ["nas", "offsite"] },
  "pipelines": {
    "app": { "from": { "engine": "sqlite", "path": "app.db" } },
    "only": { "from": { "engine": "sqlite", "path": "app.db" }, "to": ["offsite"], "verify": "none" },
    "raw": { "from": { "engine": "sqlite", "path": "big.db" }, "to": ["offsite"], "through": [], "verify": "none" } } }
JSON
}
keys='"access_key": {"env": "KEY"}, "secret_key": {"env": "SECRET"}'
prefix='nightly backups/50% + Größe=1'
at="\"endpoint\": \"$S3_ENDPOINT\""

sqlite3 app.db "CREATE TABLE t(a INTEGER PRIMARY KEY, b);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000)
  INSERT INTO t SELECT i, hex(randomblob(60)) FROM n" || fail "no database"
sqlite3 big.db "CREATE TABLE t(b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<36)
  INSERT INTO t SELECT randomblob(1000000) FROM n" || fail "no database"
before=$(content app.db)

# ---- there and back, to a folder and to a bucket at once ----
fleet fleet.json shop "$at, $keys, \"prefix\": \"$prefix\""
hf 0 -c fleet.json doctor
no_secret
hf 0 -c fleet.json backup app
hf 0 -c fleet.json --json list app
id=$(jq -r '.. | .id? // empty' out | head -n 1)
out "$id"
hf 0 -c fleet.json show app "$id"
no_secret
hf 0 -c fleet.json verify app
hf 0 -c fleet.json verify app --deep
hf 0 -c fleet.json restore app --from offsite --to copy.db
same "restored from the bucket" "$(content copy.db)" "$before"
# The bucket alone, and a machine that never saw it.
rm -rf nas state
hf 0 -c fleet.json restore app --to again.db
same "restored on another machine" "$(content again.db)" "$before"

# ---- other clients read it byte for byte ----
mkdir seen
rc copy "ceph:shop/$prefix" seen || fail "rclone cannot read it"
data=seen/app/data/$id
(cd "$data" && sha256sum --quiet -c SHA256SUMS) || fail "sha256sum finds a difference"
ok
found=$(find "$data" -name '*.gz' | head -n 1)
gunzip -c "$found" >plain.db || fail "gunzip"
same "what gunzip gives" "$(content plain.db)" "$before"
s3api get-object --bucket shop --key "$prefix/app/data/$id/$(basename "$found")" got.gz >/dev/null || fail "aws cannot read it"
run 0 cmp got.gz "$found"

# ---- and we read what they wrote, elsewhere ----
rc copy seen 'ceph:shop/by rclone' || fail "rclone cannot write"
fleet theirs.json shop "$at, $keys, \"prefix\": \"by rclone\""
hf 3 -c theirs.json verify app --deep
out 'nas missing' 'offsite ok'
hf 0 -c theirs.json restore app --from offsite --to theirs.db
same "restored from what rclone wrote" "$(content theirs.db)" "$before"
AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_DEFAULT_REGION=us-east-1 \
  aws --endpoint-url "$S3_ENDPOINT" s3 cp --quiet --recursive seen s3://shop/by/aws/ || fail "aws cannot write"
fleet theirs.json shop "$at, $keys, \"prefix\": \"by/aws\""
hf 3 -c theirs.json verify app --deep
out 'nas missing' 'offsite ok'

# ---- parts ----
fleet big.json big "$at, $keys, \"part_size\": \"5MiB\""
hf 0 -c big.json backup raw
id=$(s3api list-objects-v2 --bucket big --query 'Contents[?Size>`30000000`].Key | [0]' --output text)
tag=$(s3api head-object --bucket big --key "$id" --query ETag --output text)
case $tag in *-[678]\" | *-[678]) ok ;; *) fail "ETag $tag: not of about seven parts" ;; esac
s3api get-object --bucket big --key "$id" got.db >/dev/null
same "an object of parts" "$(content got.db)" "$(content big.db)"
hf 0 -c big.json restore raw --to bigcopy.db
same "restored from parts" "$(content bigcopy.db)" "$(content big.db)"
no_uploads big

# ---- from sink to sink, and a bucket that was away ----
fleet copy.json shop "$at, $keys, \"prefix\": \"copied\""
fleet away.json shop "\"endpoint\": \"http://127.0.0.1:9\", $keys, \"prefix\": \"copied\", \"timeout\": \"2s\""
rm -rf nas state
hf 3 -c away.json backup app
hf 0 -c copy.json list app
out 'offsite:missing'
mv app.db app.gone
hf 10 -c copy.json backup app
out 'completed from nas'
no_secret
hf 0 -c copy.json verify app
out 'nas ok' 'offsite ok'
mv app.gone app.db
rm -rf nas state
hf 0 -c copy.json copy app --from offsite --to nas
out 'copied'
hf 0 -c copy.json restore app --from nas --to back.db
same "copied to the bucket and back" "$(content back.db)" "$before"
# An object of many parts.
hf 0 -c big.json copy raw --from offsite --to nas
run 0 cmp big.db "$(find nas/raw/data -name 'big.db')"
fleet bigcopy.json big "$at, $keys, \"part_size\": \"5MiB\", \"prefix\": \"again\""
hf 0 -c bigcopy.json copy raw --from nas --to offsite
hf 0 -c bigcopy.json restore raw --to bigagain.db
same "copied in parts" "$(content bigagain.db)" "$(content big.db)"
no_uploads shop
no_uploads big

# ---- a limit ----
fleet slow.json big "$at, $keys, \"bandwidth\": \"8MiB\", \"timeout\": \"60s\", \"part_size\": \"5MiB\""
start=$(date +%s%N)
hf 0 -c slow.json backup raw
took=$((($(date +%s%N) - start) / 1000000))
# 36 MB at 8 MiB/s: 4.3 s.
[ "$took" -ge 3800 ] && [ "$took" -le 12000 ] || fail "36 MB at 8MiB/s took $took ms"
ok

# ---- who we are: environment, files, option; and nobody ----
fleet env.json shop "$at"
AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET hf 0 -c env.json backup only
mkdir -p .aws
printf '[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n\n[profile]\n[ceph]\naws_access_key_id=%s\naws_secret_access_key = %s\n' \
  "$S3_KEY" "$S3_SECRET" >.aws/credentials
fleet profile.json shop "$at, \"profile\": \"ceph\""
hf 0 -c profile.json backup only
AWS_PROFILE=ceph hf 0 -c env.json backup only
hf 12 -c env.json backup only
err 'InvalidAccessKeyId' 'does not know this access key'
rm -r .aws
printf '%s\n' "$S3_SECRET" >secret
chmod 600 secret
fleet file.json shop "$at, \"access_key\": {\"env\": \"KEY\"}, \"secret_key\": {\"file\": \"secret\"}"
hf 0 -c file.json backup only
hf 12 -c env.json backup only
err 'no S3 credentials were found' 'AWS_ACCESS_KEY_ID'

# ---- what goes wrong: message, hint, exit code; never the secret ----
# wrong CODE OPTIONS BUCKET TEXT...
wrong() {
  local code=$1 options=$2 bucket=$3
  shift 3
  fleet wrong.json "$bucket" "$options"
  hf "$code" -c wrong.json backup only
  err "$@"
  no_secret
}
KEY=NOSUCHKEYATALL000000 wrong 12 "$at, $keys" shop InvalidAccessKeyId 'hint:' 'http: 403' "$S3_ENDPOINT"
SECRET=${S3_SECRET}x wrong 12 "$at, $keys" shop SignatureDoesNotMatch 'secret key does not belong'
wrong 2 "$at, $keys" nosuchbucket NoSuchBucket 'The bucket does not exist at this endpoint'
short='"timeout": "3s"'
port=$(free_ports 1)
wrong 1 "\"endpoint\": \"http://127.0.0.1:$port\", $keys, $short" shop connect 'Nothing answers there'
wrong 1 "\"endpoint\": \"http://no-such-host.invalid\", $keys, $short" shop resolve 'has no address'
wrong 2 "\"endpoint\": \"http://me:$S3_SECRET@127.0.0.1:1\", $keys" shop 'endpoint must be'
wrong 2 "$at, $keys, \"lock\": \"1d\"" shop InvalidRequest 'Object Lock'
# TLS: a certificate of nobody's; then trusted.
openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null || fail "no certificate"
port=$(free_ports 1)
openssl s_server -quiet -accept "127.0.0.1:$port" -key tls.key -cert tls.pem -WWW >/dev/null 2>&1 &
children="$children $!"
for ((i = 0; i < 100; i++)); do
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  sleep 0.1
done
wrong 12 "\"endpoint\": \"https://127.0.0.1:$port\", $keys" shop certificate 'is not trusted' ca_file
fleet wrong.json shop "\"endpoint\": \"https://127.0.0.1:$port\", $keys, $short, \"ca_file\": \"tls.pem\""
run_any=0
"$HOLDFAST" -c wrong.json backup only >out 2>err || run_any=$?
[ "$run_any" -ne 0 ] || fail "a web server that is no S3 took a backup"
no_err certificate

# ---- a clock that is wrong is put right once ----
if command -v faketime >/dev/null 2>&1; then
  faked=$(ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 faketime -f '+2h' "$HOLDFAST" -c file.json backup only 2>&1) ||
    fail "a clock two hours ahead: $faked"
  case $faked in *"clock is -7"*) ok ;; *) fail "the clock is not spoken of: $faked" ;; esac
fi

# ---- killed in mid-upload: nothing listed, and the next run is well ----
fleet kill.json race "$at, $keys, \"part_size\": \"5MiB\", \"bandwidth\": \"6MiB\", \"timeout\": \"60s\""
"$HOLDFAST" -q -c kill.json backup raw >/dev/null 2>&1 &
victim=$!
children="$children $victim"
for ((i = 0; i < 100; i++)); do
  [ "$(s3api list-multipart-uploads --bucket race --query 'length(Uploads || `[]`)')" != 0 ] && break
  kill -0 "$victim" 2>/dev/null || fail "it ended too early"
done
# The holder is alive: another run is told so.
hf 11 -c kill.json backup raw
err locked
kill -9 "$victim"
wait "$victim" 2>/dev/null
hf 0 -c kill.json --json list raw
json out '[.. | .id? // empty] | length == 0'
sed -i 's/, "bandwidth": "6MiB"//' kill.json
hf 0 -c kill.json backup raw
hf 0 -c kill.json verify raw
# Told to stop it leaves no upload of its own.
before_stop=$(s3api list-multipart-uploads --bucket race --query 'length(Uploads || `[]`)')
fleet stop.json race "$at, $keys, \"part_size\": \"5MiB\", \"bandwidth\": \"6MiB\", \"timeout\": \"60s\""
"$HOLDFAST" -c stop.json backup raw >stop.out 2>&1 &
victim=$!
children="$children $victim"
for ((i = 0; i < 100; i++)); do
  [ "$(s3api list-multipart-uploads --bucket race --query 'length(Uploads || `[]`)')" -gt "$before_stop" ] && break
  kill -0 "$victim" 2>/dev/null || fail "it ended too early"
done
kill -TERM "$victim"
code=0
wait "$victim" || code=$?
same "exit code of a run that was told to stop" "$code" 130
# And gives the lease back, for other machines too.
grep 'could not be' stop.out && fail "it could not clean up"
ok
same "uploads after it" "$(s3api list-multipart-uploads --bucket race --query 'length(Uploads || `[]`)')" "$before_stop"

no_uploads shop
no_uploads big
