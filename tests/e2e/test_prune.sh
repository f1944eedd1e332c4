#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Retention: what goes and what stays, exit codes, sinks that are away, and a
# prune that is killed at any moment.
# ctest: TIMEOUT 600
. "$(dirname "$0")/lib.sh"
need jq sqlite3

kills=10
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && kills=200
sqlite3 app.db "CREATE TABLE t(a); INSERT INTO t VALUES('first')" || fail "no database"

# fleet FILE RETENTION
fleet() {
  cat >"$1" <<JSON
{ "version": 1, "state_dir": "state", "filters": { "gz": { "type": "gzip" } },
  "sinks": { "a": { "type": "dir", "path": "a" }, "b": { "type": "dir", "path": "b" } },
  "defaults": { "through": ["gz"], "to": ["a", "b"] },
  "pipelines": {
    "app": { "from": { "engine": "sqlite", "path": "app.db" }$2 },
    "app-2": { "from": { "engine": "sqlite", "path": "app.db" }, "to": ["a"] } } }
JSON
}
fleet all.json ''
fleet two.json ', "retention": { "last": 2, "reports": "1h" }'
ids() { "$HOLDFAST" -c all.json list "${1:-app}" --json | jq -r '.pipelines[0].backups[].id'; }
# everything SINK...: names and contents.
everything() { find "$@" -type f -exec sha256sum {} + | sort -k 2; }
# only SINK N: it has so many backups, all whole, and data of no others.
only() {
  same "backups in $1" "$(find "$1/app/catalog" -name '*.json' | wc -l)" "$2"
  same "data in $1" "$(ls "$1/app/data")" "$(ls "$1/app/catalog" | sed 's/\.json$//')"
}

hf 0 prune --help
out '--dry-run' retention
hf 10 -c two.json prune nothing
hf 2 -c two.json prune --frob

# Nothing there yet: nothing is made, either.  But who asks what there is learns
# that the folder is missing, for it may be a disk that is not mounted.
hf 0 -c two.json prune
[ ! -e a ] && [ ! -e b ] || fail "prune made the folder of a sink"
hf 5 -c two.json status
[ ! -e a ] && [ ! -e b ] || fail "status made the folder of a sink"
hf 10 -c two.json list
err "is not there" "mounted"
ok

for i in 1 2 3 4 5; do
  sqlite3 app.db "UPDATE t SET a = 'version $i'"
  hf 0 -c all.json backup app
done
hf 0 -c all.json backup app-2
hf 0 -c all.json verify app --backup all
all=$(ids)
last=$(tail -n 1 <<<"$all")
other=$(everything a/app-2)

# ---- no rule, a dry run ----
hf 0 -c all.json prune app
out 'keep' 'no rule'
same "backups without a rule" "$(ids)" "$all"
before=$(everything a b)
hf 0 -c two.json prune app -n
out "$last" 'last 1' 'no rule keeps it' 'remove'
same "what a dry run left" "$(everything a b)" "$before"
hf 0 -c two.json --json prune app -n
json out '.pipelines[0] | .dry_run and ([.backups[].keep] == [false, false, false, true, true])'
json out '[.pipelines[0].backups[].removed] == [2, 2, 2, 0, 0]'
same "what a dry run left" "$(everything a b)" "$before"

# ---- another run is at work ----
echo "a lease that nobody can read is held for two minutes" >b/app/lease/00000000000000000099.json
before=$(everything a b)
hf 11 -c two.json prune app
err locked
hf 11 -c two.json --json prune app
json out '.pipelines[0].error.status != null'
same "what is there beside a held lease" "$(everything a/app/data b/app/data a/app/catalog b/app/catalog)" \
  "$(grep -E '/(data|catalog)/' <<<"$before" | grep -v app-2)"
rm b/app/lease/00000000000000000099.json

# ---- a sink that is away ----
mv b b.away
echo x >b
hf 3 -c two.json prune app
err 'sink b' 'nothing of its log'
out removed
only a 2
same "the sink that was away" "$(ls b.away/app/catalog | wc -l)" 5
hf 3 -c two.json --json prune app
json out '.pipelines[0] | .log_error != null and ([.sinks[] | .error != null] == [false, true])'
rm b
mkdir b
# A disk that is not mounted.
hf 3 -c two.json prune app
err 'has held a repository, and has none now'
same "written below the mount point" "x$(ls b)" x
rmdir b
mv b.away b
hf 0 -c two.json --json prune app
json out '.pipelines[0] | [.backups[] | select(.keep | not) | .removed] == [1, 1, 1]'
only a 2
only b 2
hf 0 -c two.json prune
no_out removed
out 'app-2'
same "another pipeline whose name begins so" "$(everything a/app-2 | grep -v /lease/ | grep -v prune)" \
  "$(grep -v /lease/ <<<"$other")"
hf 0 -c two.json verify app --backup all
hf 0 -c two.json restore app --to back.db
same "restored after pruning" "$(content back.db)" "$(content app.db)"

# ---- a backup that only one sink lacks does not come back ----
hf 0 -c two.json backup app
no_out 'completed from'
hf 0 -c two.json prune app
only a 2
only b 2
report=$(find a/app/reports -name '*-prune-*' | sort | tail -n 1)
json "${report}" '.kind == "prune" and .outcome == "done" and ([.backups[] | select(.keep) | .why] | length == 2)'

# ---- leftovers ----
dead=20200101T000000Z-00000001
mkdir -p "a/app/data/$dead" "a/app/checks/$dead"
echo x >"a/app/data/$dead/part"
echo x >"a/app/checks/$dead/x.json"
touch -d '2 days ago' "a/app/data/$dead/part"
old=a/app/reports/20200101T000000.000Z-backup-$dead.json
echo '{}' >"$old"
touch -d '2 days ago' "$old"
hf 0 -c two.json prune app
out '1 report'
for gone in "a/app/data/$dead" "a/app/checks/$dead" "$old"; do
  [ -e "$gone" ] && fail "$gone is still there"
  ok
done

# ---- killed at any moment ----
for i in 1 2 3 4; do hf 0 -c all.json backup app; done
rm -rf b
fleet one.json ', "to": ["a"], "retention": { "last": 1 }'
cp -a a a.full
newest=$(ids | tail -n 1)
interrupted=0
# Over the time that it takes here.
began=$(date +%s%N)
hf 0 -c one.json prune app
took=$(($(date +%s%N) - began))
for ((i = 1; i <= kills; i++)); do
  rm -rf a
  cp -a a.full a
  "$HOLDFAST" -q -c one.json prune app >/dev/null 2>&1 &
  victim=$!
  children="$children $victim"
  sleep "$(awk -v i="$i" -v n="$kills" -v took="$took" 'BEGIN { print took / 1e9 * i / (n + 1) }')"
  kill -9 "$victim" 2>/dev/null && interrupted=$((interrupted + 1))
  wait "$victim" 2>/dev/null
  hf 0 -c one.json verify app --backup all
  out "$newest"
  # A day later nothing is left of the others.
  find a/app/data -type f -exec touch -d '2 days ago' {} +
  hf 0 -c one.json prune app
  only a 1
  same "the newest" "$(ls a/app/data)" "$newest"
done
[ "$interrupted" -ge 2 ] || fail "only $interrupted of $kills were killed before their end"
ok
