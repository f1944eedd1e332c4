#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Backups copied from sink to sink, killed copies, and a sink that failed being
# completed by the next run although the database is gone.
# ctest: TIMEOUT 600
. "$(dirname "$0")/lib.sh"
need jq sqlite3

kills=12
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && kills=100
db=$WORK/app.db
"$HOLDFAST_PROGRAMS/makedb" "$db" 4 >/dev/null || fail "no database"

# In c everything is compressed twice; d is none of the pipeline's sinks.
fleet() {
  cat <<JSON
{ "version": 1, "state_dir": "$WORK/state",
  "filters": { "gz": { "type": "gzip" }, "gz9": { "type": "gzip", "level": 9 } },
  "sinks": { "a": { "type": "dir", "path": "$WORK/a" },
             "b": { "type": "dir", "path": "$WORK/b" },
             "c": { "type": "dir", "path": "$WORK/c", "through": ["gz9"] },
             "d": { "type": "dir", "path": "$WORK/d" } },
  "pipelines": {
    "app": { "from": { "engine": "sqlite", "path": "$db" }, "through": ["gz"], "to": $1 } } }
JSON
}
fleet '["a"]' >one.json
fleet '["a", "b"]' >two.json
fleet '["c"]' >c.json
fleet '["d"]' >d.json
newest() { "$HOLDFAST" -c "$1" list app --json 2>/dev/null | jq -r '.pipelines[0].backups[-1].id'; }
# restored FLEET: the newest of its one sink is the database.
restored() {
  rm -f "$WORK/restored.db"
  hf 0 -c "$1" restore app --to "$WORK/restored.db"
  same "what came out of $1" "$(content "$db")" "$(content "$WORK/restored.db")"
  integrity "$WORK/restored.db"
}
# lose SINK: to begin it anew.
lose() { rm -rf "$1" state; }
# whole FLEET: all that is listed can be read to the last byte.
whole() { hf 0 -c "$1" verify app --backup all; }

# ---- usage ----
hf 2 -c one.json copy
hf 2 -c one.json copy app
hf 2 -c one.json copy app --from a
hf 2 -c one.json copy app --from a --to a
hf 2 -c one.json copy app 2026 --latest --from a --to d
hf 10 -c one.json copy app --from a --to nowhere
hf 10 -c one.json copy nothing --from a --to d
hf 10 -c one.json copy app --from a --to d
err "is not there" "mounted"
mkdir a
hf 10 -c one.json copy app --from a --to d
err "has no backup of pipeline app"
hf 0 copy --help
out "--from" "--latest" "--dry-run"

# ---- same filters, other filters ----
hf 0 -c one.json backup app
first=$(newest one.json)
hf 0 -c one.json copy app --from a --to d -n
out "$first" "would be copied"
[ -n "$(find d -type f 2>/dev/null)" ] && fail "a dry run wrote"
hf 0 -c one.json copy app --from a --to d
out "$first" "a -> d" "copied"
diff -r a/app/data d/app/data >/dev/null || fail "other bytes by the same filters"
ok
(cd "d/app/data/$first" && run 0 sha256sum -c SHA256SUMS)
restored d.json
whole d.json
hf 0 -c one.json copy app --from a --to c
[ -e "c/app/data/$first/app.db.gz.gz" ] || fail "c's own filter was not used"
ok
same "the object by hand" "$(gunzip <"a/app/data/$first/app.db.gz" | sha256sum)" \
  "$(gunzip <"c/app/data/$first/app.db.gz.gz" | gunzip | sha256sum)"
restored c.json
whole c.json
# And back from there.  A sink that is suddenly empty may be a disk that is not
# mounted: nothing is copied below its mount point.
rm -r d
hf 10 -c one.json copy app --from c --to d
err "has held a repository"
lose d
hf 0 -c one.json copy app --from c --to d --latest
restored d.json
hf 0 -c one.json copy app --from a --to d
out "nothing to copy"
hf 0 -c one.json copy app "$first" --from a --to d
out "there already"
hf 10 -c one.json copy app 2001 --from a --to d

# ---- a damaged source ----
sleep 1
sqlite3 "$db" 'CREATE TABLE more(x); INSERT INTO more VALUES(1)'
hf 0 -c one.json backup app
second=$(newest one.json)
object=a/app/data/$second/app.db.gz
cp "$object" whole.gz
flip "$object" $(($(size_of "$object") / 2))
lose d
hf 4 -c one.json copy app --from a --to d --json
json out '.result == "damaged" and .copied == 1 and .failed == 1'
json out ".backups | map({(.id): .result}) | add == {\"$first\": \"copied\", \"$second\": \"damaged\"}"
err app.db
[ -e "d/app/catalog/$second.json" ] && fail "damage was published"
[ -n "$(find "d/app/data/$second" -type f 2>/dev/null)" ] && fail "damage was left lying"
whole d.json
cp whole.gz "$object"

# ---- kill -9 ----
# By the filters of c, and as it is stored; of both backups, and of one more.  What
# a kill leaves is whole or nothing, and the next copy succeeds.
struck=0
start=$(date +%s%N)
lose c
hf 0 -c one.json copy app --from a --to c
took=$((($(date +%s%N) - start) / 1000000))
sources=$(cd a/app && find data catalog -type f -exec sha256sum {} + | sort)
RANDOM=${HOLDFAST_TEST_SEED:-$$}
for ((i = 0; i < kills; i++)); do
  if ((i % 2)); then sink=c; else sink=d; fi
  ((i % 4 < 2)) && lose "$sink"
  "$HOLDFAST" -q -c one.json copy app --from a --to $sink >"$WORK/out" 2>&1 &
  pid=$!
  delay=$((RANDOM % (took * 3 / 4 + 1)))
  sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
  kill -9 $pid 2>/dev/null
  code=0
  wait $pid 2>/dev/null || code=$?
  [ $code -ne 137 ] || struck=$((struck + 1))
  if [ -n "$(find $sink/app/catalog -name '*.json' 2>/dev/null)" ]; then whole $sink.json; fi
  same "the source after kill $i" "$sources" \
    "$(cd a/app && find data catalog -type f -exec sha256sum {} + | sort)"
  hf 0 -c one.json copy app --from a --to $sink
  whole $sink.json
  for data in $sink/app/data/*/; do
    [ -e "$sink/app/catalog/$(basename "$data").json" ] || fail "left lying: $data"
  done
  ((i % 4 >= 2)) && rm -f "$sink/app/catalog/$second.json"
done
echo "$struck of $kills copies were killed"
[ "$struck" -ge $((kills / 4)) ] || fail "only $struck of $kills copies were killed"
ok
lose c
hf 0 -c one.json copy app --from a --to c
restored c.json

# ---- the next run completes a sink that failed ----
rm -rf a state
hf 0 -c two.json backup app
early=$(newest two.json)
sleep 1
mv b away
: >b
hf 3 -c two.json backup app
partial=$(newest two.json)
rm b
mv away b
hf 0 -c two.json list app
out "a,b:missing"
hf 0 -c two.json status app --json
# The database is gone: nobody can have read it.
want=$(content "$db")
mv "$db" "$db.gone"
hf 10 -c two.json backup app
out "earlier backup $partial" "completed from a"
err "no such database"
hf 0 -c two.json list app --json
json out ".pipelines[0].backups | length == 2 and all(.copies | all(.state == \"present\"))"
json out ".pipelines[0].backups[1].id == \"$partial\""
whole two.json
rm -f "$WORK/restored.db"
hf 0 -c two.json restore app --from b --backup "$partial" --to "$WORK/restored.db"
same "the completed copy" "$want" "$(content "$WORK/restored.db")"
mv "$db.gone" "$db"
# What somebody removes from a sink stays removed.
rm -r "b/app/catalog/$early.json" "b/app/data/$early"
hf 0 -c two.json backup app --json
json out '.backups[0] | has("completed") | not'
[ -e "b/app/catalog/$early.json" ] && fail "it was brought back"
ok
# A backup that is completed is in the run's report.
grep -l '"completed"' a/app/reports/*-backup-*.json >/dev/null || fail "no report tells of it"
ok
