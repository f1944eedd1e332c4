#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# kill -9 of Holdfast at random moments of a backup, a restore to a new name and
# a restore in place.  After each: nothing bad is listed, no database stands
# half restored under its name, no session and no program is left, and the next
# run succeeds and clears what was left.
# HOLDFAST_TEST_LONG=1: 60 kills.  HOLDFAST_TEST_SEED: the same moments again.
. "$(dirname "$0")/../e2e/lib.sh"
. "$(dirname "$0")/../e2e/pg.sh"
kills=12
[ "${HOLDFAST_TEST_LONG:-0}" = 1 ] && kills=60
seed=${HOLDFAST_TEST_SEED:-$$}
echo "seed $seed (HOLDFAST_TEST_SEED), $kills kills"

pg_start one
sql one postgres 'CREATE DATABASE shop' 'CREATE ROLE hf_owner' 'CREATE DATABASE keep'
pg one shop -f "$PG_FIXTURES/shop.sql" >out 2>err || fail 'shop.sql'
fleet "{\"shop\": $(source_of "$(conninfo one shop)" jobs 3 chunk_size '"256KiB"')}"
f="-q -c fleet.json"
others='keep postgres shop template0 template1 '
RANDOM=$seed

timed() {
  local start
  start=$(date +%s%N)
  hf 0 "$@"
  took=$((($(date +%s%N) - start) / 1000000))
}
timed $f backup shop; backup_ms=$took
timed $f restore shop --to copy; restore_ms=$took
rows_of one shop >backup.rows
rows_of one copy >same.a; cp backup.rows same.b; same_file 'unharmed'
drop one copy
timed $f restore shop --in-place --yes; place_ms=$took
drop_safety() {
  local name
  for name in $(databases one); do
    case " $others copy " in *" $name "*) ;; *) drop one "$name" ;; esac
  done
}
drop_safety
echo "unharmed: backup $backup_ms ms, restore $restore_ms ms, in place $place_ms ms"

struck=0
strike() {
  local limit=$1 delay pid code=0
  shift
  delay=$(((RANDOM * 32768 + RANDOM) % (limit + limit / 10 + 1)))
  "$HOLDFAST" "$@" >out 2>err </dev/null &
  pid=$!
  sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
  kill -9 "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null || code=$?
  [ "$code" -ne 137 ] || struck=$((struck + 1))
  what="$what, killed after $delay ms"
  no_stray one
  no_session one
}
# The databases that are there and need not be; those half restored have a dot
# and a random part behind the name.
unexpected() { databases one | grep -vx "$(tr ' ' '\n' <<<"$others" | grep . | paste -sd '|' | sed 's/|/\\|/g')"; }

for ((i = 1; i <= kills; i++)); do
  case $((i % 3)) in
  0)
    what="kill $i: backup"
    strike "$backup_ms" $f backup shop
    hf 0 $f verify shop --backup latest
    hf 0 $f backup shop
    [ -z "$(for data in sink/shop/data/*/; do [ -e "sink/shop/catalog/$(basename "$data").json" ] || find "$data" -type f; done)" ] ||
      fail "$what: not cleared by the next backup"
    rows_of one shop >backup.rows
    ;;
  1)
    what="kill $i: restore to a new name"
    strike "$restore_ms" $f restore shop --to copy
    if [ "$(databases one | grep -cx copy)" -eq 1 ]; then
      rows_of one copy >same.a; cp backup.rows same.b; same_file "$what: a database of that name that"
      drop one copy
    fi
    hf 0 $f restore shop --to copy
    rows_of one copy >same.a; cp backup.rows same.b; same_file "$what: the next restore"
    same "$what: databases" "$(unexpected | tr '\n' ' ')" 'copy '
    drop one copy
    ;;
  2)
    what="kill $i: restore in place"
    sql one shop "CREATE TABLE IF NOT EXISTS mark (i integer)" "INSERT INTO mark VALUES ($i)"
    rows_of one shop >changed.rows
    strike "$place_ms" $f restore shop --in-place --yes
    [ "$(databases one | grep -cx shop)" -eq 1 ] || fail "$what: the database is gone: $(databases one)"
    rows_of one shop >same.a
    if ! cmp -s same.a changed.rows; then
      cp backup.rows same.b; same_file "$what: neither the old nor the new one"
      kept=0
      for name in $(unexpected); do
        rows_of one "$name" >kept.rows
        cmp -s kept.rows changed.rows && kept=1
      done
      [ "$kept" -eq 1 ] || fail "$what: the replaced database is not kept: $(databases one)"
    fi
    hf 0 $f restore shop --in-place --yes
    rows_of one shop >same.a; cp backup.rows same.b; same_file "$what: the next restore"
    unexpected | grep -q '\.holdfast-' && fail "$what: not cleared: $(unexpected)"
    drop_safety
    ;;
  esac
done
hf 0 $f verify shop --backup all
[ "$struck" -ge $((kills / 3)) ] || fail "only $struck of $kills runs were killed before they ended"
echo "$struck of $kills runs were killed before they ended"
