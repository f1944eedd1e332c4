#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The filter zstd: the same backup as through gzip, and readable without us.
. "$(dirname "$0")/lib.sh"
need sqlite3 zstd jq

"$HOLDFAST_PROGRAMS/makedb" app.db 12 || fail 'cannot make app.db'
before=$(content app.db)
cat >fleet.json <<'JSON'
{ "version": 1, "state_dir": "state",
  "filters": { "gz": { "type": "gzip" }, "zst": { "type": "zstd" }, "small": { "type": "zstd", "level": 12 } },
  "sinks": { "one": { "type": "dir", "path": "one", "through": ["zst"] },
             "two": { "type": "dir", "path": "two", "through": ["gz"] },
             "three": { "type": "dir", "path": "three", "through": ["small"] } },
  "defaults": { "to": ["one", "two", "three"], "require": "all" },
  "pipelines": { "app": { "from": { "engine": "sqlite", "path": "app.db" } } } }
JSON
hf 0 plugins zstd
out 'libzstd 1.' 'level'
export HOLDFAST_CONFIG=$WORK/fleet.json
hf 0 backup app
id=$(ls one/app/data)
hf 0 verify app
for sink in one three; do
  file=$sink/app/data/$id/app.db.zst
  [ -s "$file" ] && [ -s "$file.frames" ] || fail "no $file with frames"
  run 0 zstd -tq "$file"
done
[ "$(stat -c %s three/app/data/*/app.db.zst)" -lt "$(stat -c %s one/app/data/*/app.db.zst)" ] || fail 'level 12 is not smaller than 3'
ok

# Each frame on its own, as a reader of a range takes them.
size=$(od -An -tu4 -N4 "one/app/data/$id/app.db.zst.frames" | tr -d ' ')
same 'bytes of the first frame' "$(head -c "$size" "one/app/data/$id/app.db.zst" | zstd -dc | wc -c)" 1048576

# What show prints is what to do.
hf 0 show app "$id"
out 'zstd -dc app.db.zst > /tmp/app.db'
(cd "one/app/data/$id" && sha256sum --quiet -c SHA256SUMS && zstd -dqc app.db.zst >"$WORK/byhand.db") || fail 'by hand'
same 'the copy by hand' "$(content byhand.db)" "$before"
for sink in one two three; do
  hf 0 restore app --from "$sink" --to "$WORK/from-$sink.db"
  same "the copy from $sink" "$(content "from-$sink.db")" "$before"
done

# From gzip to zstd: the bytes are others, the database is the same.
rm -r one/app
hf 0 copy app "$id" --from two --to one
hf 0 restore app --from one --to "$WORK/copied.db"
same 'the copy that came from gzip' "$(content copied.db)" "$before"

# Damage is found and named, and the other copies are still good.
flip "one/app/data/$id/app.db.zst" 5000
hf 4 verify app --sink one
err 'app.db.zst' 'zstd: '
hf 0 restore app --to "$WORK/good.db"
same 'the copy from a good sink' "$(content good.db)" "$before"
