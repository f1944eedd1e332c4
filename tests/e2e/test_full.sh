#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 300
# A full disk: earlier backups stay, the error says what to do.
# Mounting needs root, or a namespace in which one is.
[ "$(id -u)" -eq 0 ] || ! unshare --user --map-root-user --mount true 2>/dev/null ||
  exec unshare --user --map-root-user --mount bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
need sqlite3 jq mount

"$HOLDFAST_PROGRAMS/makedb" app.db 12 || fail 'cannot make app.db'
cat >full.json <<JSON
{ "version": 1, "state_dir": "state", "filters": { "gz": { "type": "gzip" } },
  "sinks": { "full": { "type": "dir", "path": "full/repo", "min_free": "0" }, "one": { "type": "dir", "path": "one" } },
  "defaults": { "through": ["gz"] },
  "pipelines": { "both": { "from": { "engine": "sqlite", "path": "app.db" }, "to": ["full", "one"] },
                 "only": { "from": { "engine": "sqlite", "path": "app.db" }, "to": ["full"] } } }
JSON
mkdir full
mount -t tmpfs -o size=4m none full 2>err || { echo "skipped: no file system may be mounted here" >&2; exit 77; }
umount full
trap 'code=$?; umount "$WORK/full" 2>/dev/null; (exit $code); cleanup' EXIT
# A limit of the file size is met by everybody.
run 1 bash -c "ulimit -f 2048; exec '$HOLDFAST' -c full.json backup only"
err 'File too large' 'hint:'
hf 0 -c full.json list only --json
json out '[.pipelines[].backups[]] | length == 0'

# A real full file system.
rm -rf full/repo state/sinks
mount -t tmpfs -o size=4m none full || fail 'cannot mount'
hf 3 -c full.json backup both
out 'full FAILED' 'one ok'
err 'No space left on device' 'Free some space'
hf 1 -c full.json backup only
run 1 sh -c 'find full -name "*.gz" | grep .'
# A restore to a full disk leaves nothing there, and says why.
hf 1 -c full.json restore both --to full/app.db
err 'bytes are needed in' 'are free'
run 1 sh -c 'ls -A full | grep app.db'
mount -o remount,size=200m full
hf 0 -c full.json backup both
hf 0 -c full.json backup only
hf 0 -c full.json verify both only
umount full
