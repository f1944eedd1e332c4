#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 900
# A PostgreSQL database that has every kind of object, there and back: to a new
# name, to another server, without Holdfast, with little rights, in place; and
# what is stored is checked.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pg.sh"
need gunzip sha256sum

pg_start one
everything one src
sql one postgres 'CREATE DATABASE shop OWNER hf_owner'
pg one shop -f "$PG_FIXTURES/shop.sql" >out 2>err || fail 'shop.sql'
fleet "$(jq -n --argjson src "$(source_of "$(conninfo one src)" jobs 3 chunk_size '"64KiB"')" \
  --argjson shop "$(source_of "$(conninfo one shop)" jobs 2)" '{src: $src, shop: $shop}')"
f="-c fleet.json"

# ---- backup ----
hf 0 $f doctor src
hf 0 $f backup src --json
json out '.backups[0].result == "done"'
no_session one
no_stray one
hf 0 $f list src
out src
hf 0 $f show src
hf 0 $f show src --json
id=$(jq -r .id out)
pipeline_facts=$(jq -r '[.sources[0].facts | to_entries[] | "\(.key)=\(.value)"] | join("\n")' out)
for fact in server_version encoding collat size snapshot lsn; do
  grep -qi "^[a-z_.]*$fact[a-z_.]*=." <<<"$pipeline_facts" || fail "no fact \"$fact\" in the manifest: $pipeline_facts"
  ok
done
stored=$(stored_folder sink src)
for part in 000-globals 010-pre-data 100-sales.orders.0001 800-sequences 900-post-data 950-refresh 970-database; do
  [ -s "$stored/$part.sql.gz" ] || fail "$part.sql.gz is not stored: $(ls "$stored")"
  ok
done
# 13 cannot read a part of a table without reading all of it.
part=0002
[ "$PG_MAJOR" -ge 14 ] || part=0001
[ -s "$stored/100-sales.orders.$part.sql.gz" ] || fail "a table larger than chunk_size is not cut: $(ls "$stored")"
ok
# The counts of contents.json are those of the database.
gunzip -c "$stored/contents.json.gz" >contents.json || fail 'contents.json'
json contents.json '.tables[] | select(.schema == "sales" and .name == "orders") | .rows == 20000'
json contents.json '[.tables[] | .rows == ([.pieces[].rows] | add // 0)] | all'
hf 0 $f verify src
hf 0 $f verify src --deep --json
json out '[.. | objects | select(has("passed")) | .passed] | all'
no_stray one

# ---- to a new name ----
hf 0 $f restore src --to copy --json
json out .restored
same_database 'restored to a new name' one src one copy
same 'what nobody may see' "$(databases one | tr '\n' ' ')" 'copy postgres shop src template0 template1 '
same 'rows that an event trigger recorded' "$(sql one copy 'SELECT count(*) FROM sales.ddl_log')" 0
# Everybody was analysed, and no sequence of the source was touched.
same 'tables without statistics' "$(sql one copy "SELECT count(*) FROM pg_class c WHERE relkind = 'r' AND reltuples < 0 AND relnamespace = 'sales'::regnamespace")" 0
no_session one
hf 1 $f restore src --to copy
err copy hint
same_database 'a refused restore' one src one copy
drop one copy

# ---- without Holdfast ----
sql one postgres 'CREATE DATABASE hand OWNER hf_owner TEMPLATE template0'
by_hand one hand "$stored" || fail "by hand: $(head -n 3 psql.err)"
ok
same_database 'by hand' one src one hand
drop one hand
# One damaged object stops it there.
cp -r "$stored" damaged
gunzip -c "$stored/100-sales.orders.$part.sql.gz" >orders.sql
sed '/^COPY /{n;s/^/not a number/}' orders.sql | gzip >"damaged/100-sales.orders.$part.sql.gz"
sql one postgres 'CREATE DATABASE hand TEMPLATE template0'
by_hand one hand damaged && fail 'psql loads damaged rows'
grep -q 'orders' psql.err || fail "psql does not name the table: $(cat psql.err)"
same 'indexes behind the damage' "$(sql one hand "SELECT count(*) FROM pg_indexes WHERE schemaname = 'sales'")" 0
drop one hand
(cd "$stored" && sha256sum --quiet --strict -c SHA256SUMS) || fail 'SHA256SUMS'
ok

# ---- in place ----
sql one src 'SET default_transaction_read_only = off' "DELETE FROM sales.hen WHERE false" 'TRUNCATE sales.orders CASCADE'
rows_of one src >later.rows
pg one src -c "SELECT 'test', pg_sleep(600)" >/dev/null 2>&1 &
user=$!
children="$children $user"
for n in {1..100}; do
  [ "$(sql one postgres "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND datname = 'src'")" -gt 0 ] && break
  sleep 0.1
done
code=0
"$HOLDFAST" $f restore src --in-place --yes >out 2>err </dev/null || code=$?
[ "$code" -eq 1 ] || [ "$code" -eq 11 ] || fail "exit $code of a restore in place of what is in use"
err src hint
kill -0 "$user" || fail 'a refused restore ended the connection of somebody'
rows_of one src >same.a; cp later.rows same.b; same_file 'a refused restore in place'
same 'databases after it' "$(databases one | tr '\n' ' ')" 'postgres shop src template0 template1 '
hf 0 $f restore src --in-place --yes --force --json
json out '.restored and .in_place'
safety=$(jq -r .results.safety_copy out)
undo=$(jq -r .results.undo out)
wait "$user" && fail 'the connection of the user was not ended'
same 'rows of the restored one' "$(sql one src 'SELECT count(*) FROM sales.orders')" 20000
same 'the safety copy' "$(sql one postgres "SELECT count(*) FROM pg_database WHERE datname = '${safety//\'/\'\'}'")" 1
rows_of one "$safety" >same.a; cp later.rows same.b; same_file 'the safety copy'
hf 0 $f restore src --to copy
same_database 'restored in place' one src one copy
[ "$undo" != null ] || fail 'no undo command'
PATH=$PG_BIN:$PATH run 0 sh -c "$undo"
rows_of one src >same.a; cp later.rows same.b; same_file 'the safety copy, put back'
for name in $(databases one | grep -vx 'copy\|postgres\|shop\|src\|template[01]'); do drop one "$name"; done
# A copy that fails its check never takes the place: an index of it is invalid.
mkdir spoiling
for p in "$PG_BIN"/*; do ln -s "$p" spoiling/; done
rm spoiling/pg_restore
cat >spoiling/pg_restore <<END
#!/bin/sh
"$PG_BIN/pg_restore" "\$@" || exit
case "\$*" in *post-data*) ;; *) exit 0 ;; esac
case "\$*" in *--list*) exit 0 ;; esac
"$PG_BIN/psql" -X -q -A -t -h "$PG_HOST" -p "${pg_port[one]}" -U postgres -d postgres \
  -c "SELECT datname FROM pg_database WHERE datname NOT IN ('src', 'copy', 'shop', 'template0', 'postgres')" |
while read -r name; do
  PGOPTIONS='-c default_transaction_read_only=off' "$PG_BIN/psql" -X -q -h "$PG_HOST" -p "${pg_port[one]}" -U postgres -d "\$name" \
    -c "UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass('sales.customer_lower')" </dev/null
done >/dev/null 2>&1
exit 0
END
chmod 755 spoiling/pg_restore
jq --arg d "$WORK/spoiling" '.pipelines.src.from.bin_dir = $d' fleet.json >spoiling.json
code=0
"$HOLDFAST" -c spoiling.json restore src --in-place --yes >out 2>err </dev/null || code=$?
[ "$code" -eq 4 ] || [ "$code" -eq 1 ] || fail "exit $code of a restore whose check fails"
err customer_lower
rows_of one src >same.a; cp later.rows same.b; same_file 'a restore in place whose check failed'
same 'databases after it' "$(databases one | tr '\n' ' ')" 'copy postgres shop src template0 template1 '
drop one src
hf 0 $f restore src --in-place --yes
same_database 'in place of a database that is gone' one copy one src
drop one copy

# ---- another server, that knows none of the roles ----
schema_of one src >src.schema
rows_of one src >src.rows
"$PG_BIN/pg_dumpall" -g -h "$PG_HOST" -p "${pg_port[one]}" -U postgres >src.globals || fail pg_dumpall
pg_start two
hf 0 $f restore src --to "$(conninfo two far)" -o tablespaces=false
schema_of two far --no-tablespaces >same.b
schema_of one src --no-tablespaces >same.a
same_file 'on another server, without tablespaces: definitions'
rows_of two far >same.b; cp src.rows same.a; same_file 'on another server: rows'
drop two far
# The source need not be there; its tablespace's folder must be, and free.
pg_stop one
mv one/space one/space.away
pg_folder one/space
sql two postgres 'DROP TABLESPACE IF EXISTS hf_space'
for role in hf_owner hf_reader hf_admin '"Rôle ""with"" '"'all'"' \ of.it/100%"'; do sql two postgres "DROP ROLE IF EXISTS $role"; done
hf 0 $f restore src --to "$(conninfo two far)"
schema_of two far >same.b; cp src.schema same.a; same_file 'on another server: definitions'
rows_of two far >same.b; cp src.rows same.a; same_file 'on another server: rows'
"$PG_BIN/pg_dumpall" -g -h "$PG_HOST" -p "${pg_port[two]}" -U postgres | sed 's/\<far\>/src/g' >same.b || fail pg_dumpall
cp src.globals same.a
sed -i -e '/^\\\(un\)\?restrict /d' -e '/^ALTER ROLE postgres /d' same.a same.b
same_file 'roles and tablespaces on another server'
drop two far
sql two postgres 'DROP TABLESPACE hf_space'
pg_stop two
rmdir one/space && mv one/space.away one/space
pg_start one

# ---- an ordinary database, by roles that may do little ----
sql one postgres "CREATE ROLE creates LOGIN CREATEDB" 'CREATE ROLE poor LOGIN' 'CREATE DATABASE poors OWNER poor'
hf 0 $f backup shop
hf 0 $f restore shop --to "host=$PG_HOST port=${pg_port[one]} user=creates dbname=creates_copy" --no-owner
schema_of one shop -O -x >same.a
schema_of one creates_copy -O -x >same.b
same_file 'by a role with CREATEDB: definitions'
rows_of one shop | grep -v '^large object' >same.a
rows_of one creates_copy | grep -v '^large object' >same.b
same_file 'by a role with CREATEDB: rows'
same 'owners' "$(sql one creates_copy "SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'public'::regnamespace")" creates
hf 12 $f restore shop --to "host=$PG_HOST port=${pg_port[one]} user=poor dbname=new" --no-owner
err CREATEDB hint
hf 0 $f restore shop --to "host=$PG_HOST port=${pg_port[one]} user=poor dbname=poors" --no-owner
rows_of one shop | grep -v '^large object' >same.a
rows_of one poors | grep -v '^large object' >same.b
same_file 'into an empty database: rows'
same 'its owner' "$(sql one postgres "SELECT datdba::regrole FROM pg_database WHERE datname = 'poors'")" poor
hf 1 $f restore shop --to "host=$PG_HOST port=${pg_port[one]} user=poor dbname=poors" --no-owner
err poors hint
rows_of one poors | grep -v '^large object' >same.b; same_file 'a database that was not empty'
hf 0 $f restore shop --to rolled --role hf_owner --no-owner
same 'owners with a role' "$(sql one rolled "SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'public'::regnamespace")" hf_owner
drop one rolled; drop one poors; drop one creates_copy

# ---- single objects ----
table() { sql "$1" "$2" "SELECT count(*), md5(string_agg(md5(x::text), '' ORDER BY md5(x::text))) FROM $3 x"; }
sql one postgres 'CREATE DATABASE part TEMPLATE template0'
hf 0 $f restore shop --to part --only table public.customer
same 'rows of one table' "$(table one part customer)" "$(table one shop customer)"
same 'tables' "$(sql one part "SELECT string_agg(relname, ' ') FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")" customer
same 'its constraints' "$(sql one part "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE contype <> 'n' AND conrelid = 'customer'::regclass")" 'customer_friend_fkey customer_pkey'
hf 0 $f restore shop --to part --only table 'public."Odd ""name"" of.it"'
same 'rows of a quoted name' "$(table one part '"Odd ""name"" of.it"')" "$(table one shop '"Odd ""name"" of.it"')"
# What is there is not replaced.
sql one part "UPDATE customer SET name = 'changed' WHERE id = 7"
hf 1 $f restore shop --to part --only table public.customer
err customer hint
same 'a row after it' "$(sql one part 'SELECT name FROM customer WHERE id = 7')" changed
hf 10 $f restore shop --to part --only table public.nothing
err nothing
hf 0 $f restore shop --to part --only schema stock
same 'tables of one schema' "$(sql one part "SELECT string_agg(nspname || '.' || relname, ' ' ORDER BY relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname = 'stock'")" 'stock.place stock.unit'
same 'rows of one schema' "$(table one part stock.unit)" "$(table one shop stock.unit)"
drop one part
# Back into the database that lost it.
hf 0 $f restore shop --to part
sql one part 'DROP TABLE sale CASCADE'
hf 0 $f restore shop --to part --only table public.sale
same 'a table put back' "$(table one part sale)" "$(table one shop sale)"
same 'its constraints and indexes' "$(sql one part "SELECT (SELECT count(*) FROM pg_constraint WHERE contype <> 'n' AND conrelid = 'sale'::regclass), (SELECT count(*) FROM pg_index WHERE indrelid = 'sale'::regclass)")" '3|2'
same 'its sequence' "$(sql one part "SELECT nextval(pg_get_serial_sequence('sale', 'id'))")" 30001
drop one part
no_session one

# ---- a role that may only read, over TCP; its password is nowhere ----
printf 'open sesame %s\n' "$RANDOM$RANDOM" >password
chmod 600 password
printf "CREATE ROLE reads LOGIN PASSWORD '%s'; GRANT CONNECT ON DATABASE shop TO reads;" "$(cat password)" >role.sql
pg one postgres -f role.sql || fail 'role'
if [ "$PG_MAJOR" -ge 14 ]; then
  sql one postgres 'GRANT pg_read_all_data TO reads'
else
  sql one shop 'GRANT USAGE ON SCHEMA stock TO reads' \
    'GRANT SELECT ON ALL TABLES IN SCHEMA public, stock TO reads' \
    'GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, stock TO reads'
fi
fleet "{\"shop\": $(source_of "$(tcp one shop reads)" password "{\"file\": \"$WORK/password\"}" large_objects false)}"
head -c -1 password >pattern
(while [ -e pattern ]; do
  grep -lsaF -f pattern /proc/[0-9]*/cmdline >>seen 2>/dev/null
  sleep 0.02
done) &
watcher=$!
hf 0 $f backup shop -vv
no_err "$(cat pattern)"
hf 0 $f show shop --json
no_out "$(cat pattern)"
hf 0 $f restore shop --to "$(conninfo one copy)"
# What only a superuser may read is told beforehand.
sql one shop "CREATE SUBSCRIPTION away CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)" >/dev/null
hf 0 $f doctor shop
out subscriptions 'left out'
sql one shop 'ALTER SUBSCRIPTION away SET (slot_name = NONE)' 'DROP SUBSCRIPTION away' >/dev/null
rows_of one shop | grep -v '^large object' >same.a
rows_of one copy >same.b
same_file 'what a role with pg_read_all_data saves'
drop one copy
printf 'wrong one\n' >password
hf 12 $f backup shop -vv
err reads hint
no_err 'wrong one'
hf 1 $f doctor shop
out reads
no_out 'wrong one'
mv pattern pattern.away
wait "$watcher"
[ ! -s seen ] || fail 'the password stood in the arguments of a program'
grep -raqF -f pattern.away sink state && fail 'the password is stored'
for stored in sink/shop/data/*/; do
  for object in "$stored"*.gz; do gunzip -c "$object" | grep -aqF -f pattern.away && fail "the password is in $object"; done
done
ok
no_session one
