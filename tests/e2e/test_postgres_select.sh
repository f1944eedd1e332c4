#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 600
# What of a PostgreSQL server is backed up: selections, all databases, and
# databases in every encoding.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/pg.sh"

pg_start one
sql one postgres 'CREATE DATABASE shop'
pg one shop -c 'CREATE ROLE hf_owner' -f "$PG_FIXTURES/shop.sql" >out 2>err || fail 'shop.sql'
sql one shop "SELECT lo_from_bytea(77, 'a large one')" >/dev/null
f="-c fleet.json"
# options KEY VALUE...: the database shop with them, backed up and restored to
# "part"; what is there is in $tables.
options() {
  fleet "{\"shop\": $(source_of "$(conninfo one shop)" "$@")}"
  hf 0 $f backup shop
  drop one part
  hf 0 $f restore shop --to part
  tables=$(sql one part "SELECT string_agg(format('%s.%s', nspname, relname), ' ' ORDER BY relname) FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname !~ '^pg_|^information'")
}
# rows TABLE: in the copy
rows() { sql one part "SELECT count(*) FROM $1"; }

# ---- selections ----
options schemas '["st*"]'
same 'only a schema' "$tables" 'stock.place stock.unit'
same 'its rows' "$(rows stock.unit)" 5000
options exclude_schemas '["stock"]'
same 'not a schema' "$tables" 'public.Odd "name" of.it public.customer public.product public.sale'
same 'large objects' "$(sql one part 'SELECT count(*) FROM pg_largeobject_metadata')" 1
options tables '["public.customer", "stock.p*", "public.\"Odd \"\"name\"\" of.it\""]'
same 'only some tables' "$tables" 'public.Odd "name" of.it public.customer stock.place'
same 'their rows' "$(rows customer) $(rows stock.place)" '1000 20'
same 'no large objects' "$(sql one part 'SELECT count(*) FROM pg_largeobject_metadata')" 0
options exclude_tables '["*.unit", "sale", "best*"]'
same 'not some tables' "$tables" 'public.Odd "name" of.it public.customer stock.place public.product'
options content '"schema"'
same 'definitions only' "$tables" 'public.Odd "name" of.it public.customer stock.place public.product public.sale stock.unit'
same 'rows' "$(rows product) $(rows sale)" '0 0'
schema_of one shop >same.a; schema_of one part >same.b; same_file 'definitions only'
options large_objects false
same 'without large objects' "$(sql one part 'SELECT count(*) FROM pg_largeobject_metadata')" 0
same 'but with rows' "$(rows sale)" 30000
# Rows alone go into tables that are there.
fleet "{\"shop\": $(source_of "$(conninfo one shop)" content '"data"')}"
hf 0 $f backup shop
drop one part
sql one postgres 'CREATE DATABASE part TEMPLATE template0'
"$PG_BIN/pg_dump" -s -h "$PG_HOST" -p "${pg_port[one]}" -U postgres shop 2>err | pg one part >out 2>>err || fail 'definitions'
hf 0 $f restore shop --to part
rows_of one shop | grep -v best_known >same.a; rows_of one part | grep -v best_known >same.b; same_file 'rows alone'
for wrong in tables schemas; do
  fleet "{\"shop\": $(source_of "$(conninfo one shop)" $wrong '["nothing_there"]')}"
  code=0
  "$HOLDFAST" $f backup shop >out 2>err </dev/null || code=$?
  [ "$code" -eq 10 ] || [ "$code" -eq 2 ] || fail "exit $code for $wrong that select nothing"
  err nothing_there
done
drop one part

# ---- encodings ----
# Each has every byte that it can have.
sql one postgres "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0" \
  "CREATE DATABASE japan ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0" \
  "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
printf '%s\n' 'CREATE TABLE "Stra\337e" ("\344" text, "b.c" text);' \
  'INSERT INTO "Stra\337e" SELECT chr(i), chr(i) FROM generate_series(1, 255) i WHERE i NOT BETWEEN 128 AND 159;' \
  "COMMENT ON TABLE \"Stra\\337e\" IS 'Gr\\366\\337e';" | while IFS= read -r line; do printf "${line//%/%%}\n"; done >latin.sql
PGCLIENTENCODING=LATIN1 pg one latin -f latin.sql || fail latin
printf "CREATE TABLE \"\\306\\374\\313\\334\" (a text, b integer); INSERT INTO \"\\306\\374\\313\\334\" VALUES (E'\\306\\374\\313\\334\\\\\\\\ \\\\n\\245\\241', 1), ('\\217\\260\\241', 2), ('\\216\\261', 3);" >japan.sql
PGCLIENTENCODING=EUC_JP pg one japan -f japan.sql || fail japan
cat >ascii.sql <<'SQL'
CREATE TABLE bytes (i integer, a text);
DO $$ BEGIN
  FOR i IN 1..255 LOOP
    EXECUTE format('INSERT INTO bytes VALUES (%s, E''x\x%s\\y'')', i, lpad(to_hex(i), 2, '0'));
  END LOOP;
END $$;
SQL
pg one ascii -f ascii.sql || fail ascii
printf 'CREATE TABLE "h\351\377\200" (a text); INSERT INTO "h\351\377\200" VALUES (\x27\303\251 \351\x27);' >more.sql
PGCLIENTENCODING=SQL_ASCII pg one ascii -f more.sql || fail ascii
pipelines={}
for db in latin japan ascii; do
  pipelines=$(jq -c --arg d $db --argjson s "$(source_of "$(conninfo one $db)")" '.[$d] = $s' <<<"$pipelines")
done
fleet "$pipelines"
for db in latin japan ascii; do
  hf 0 $f backup $db
  hf 0 $f restore $db --to copy -o check=full
  same_database "encoding of $db" one $db one copy
  same "encoding of $db" "$(sql one postgres "SELECT string_agg(encoding::text, '=') FROM pg_database WHERE datname IN ('copy', '$db')")" \
    "$(sql one postgres "SELECT encoding || '=' || encoding FROM pg_database WHERE datname = '$db'")"
  hf 0 $f verify $db
  drop one copy
  sql one postgres "CREATE DATABASE hand ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
  [ $db = ascii ] || { drop one hand; sql one postgres "CREATE DATABASE hand TEMPLATE $db"; pg one hand -c "DO \$\$ DECLARE t text; BEGIN FOR t IN SELECT format('%I', relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP EXECUTE 'DROP TABLE ' || t; END LOOP; END \$\$" || fail hand; }
  by_hand one hand "$(stored_folder sink $db)" || fail "$db by hand: $(head -n 3 psql.err)"
  same_database "$db by hand" one $db one hand
  drop one hand
done
# A dump in another encoding than the database's, which can hold it.
fleet "{\"latin\": $(source_of "$(conninfo one latin)" encoding '"UTF8"')}"
hf 0 $f backup latin
hf 0 $f restore latin --to copy
same_database 'a dump in UTF8 of a LATIN1 database' one latin one copy
drop one copy
# Into a database that somebody made, in another encoding.
sql one postgres 'CREATE DATABASE utf TEMPLATE template0'
hf 0 $f restore latin --to utf
PGCLIENTENCODING=UTF8 rows_of one latin | sed 's/|.*//' >same.a
rows_of one utf | sed 's/|.*//' >same.b
same_file 'tables in another encoding'
same 'text in another encoding' "$(sql one utf 'SELECT md5(string_agg(convert_to("ä", $$LATIN1$$), $$$$ ORDER BY "ä" COLLATE "C")) FROM "Straße"')" \
  "$(PGCLIENTENCODING=UTF8 sql one latin 'SELECT md5(string_agg(convert_to("ä", $$LATIN1$$), $$$$ ORDER BY "ä" COLLATE "C")) FROM "Straße"')"
drop one utf
# A dump in an encoding that cannot hold it.
sql one postgres 'CREATE DATABASE wide'
sql one wide "CREATE TABLE words (a text)" "INSERT INTO words VALUES ('short'), ('日本')"
fleet "{\"wide\": $(source_of "$(conninfo one wide)" encoding '"LATIN1"')}"
hf 2 $f backup wide
err words LATIN1 hint
[ -z "$(ls sink/wide/catalog 2>/dev/null)" ] || fail 'a backup is listed'
fleet "{\"wide\": $(source_of "$(conninfo one wide)" encoding '"LATTIN1"')}"
code=0
"$HOLDFAST" $f backup wide >out 2>err </dev/null || code=$?
[ "$code" -eq 2 ] || [ "$code" -eq 1 ] || fail "exit $code for an encoding that there is not"
err LATTIN1
no_session one

# ---- a locale of ICU ----
if pg one postgres -c "CREATE DATABASE phones LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LOCALE 'C' TEMPLATE template0" 2>/dev/null; then
  sql one phones 'CREATE TABLE t (a text)' "INSERT INTO t VALUES ('Öl'), ('Oz'), ('Ofen')" 'CREATE INDEX ON t (a)'
  fleet "{\"icu\": $(source_of "$(conninfo one phones)")}"
  hf 0 $f backup icu
  hf 0 $f restore icu --to copy
  same_database 'a locale of ICU' one phones one copy
  same 'its order' "$(sql one copy 'SELECT string_agg(a, $$ $$ ORDER BY a) FROM t')" "$(sql one phones 'SELECT string_agg(a, $$ $$ ORDER BY a) FROM t')"
  drop one copy; drop one phones
fi

# ---- all databases ----
drop one ascii
sql one postgres 'CREATE DATABASE "Größe 日本/x.y %41"' 'CREATE DATABASE closed ALLOW_CONNECTIONS false' 'CREATE DATABASE " it'"'"'s \"' \
  'CREATE ROLE later LOGIN' 'CREATE DATABASE a_template IS_TEMPLATE true'
sql one 'Größe 日本/x.y %41' 'CREATE TABLE t (a integer)' 'INSERT INTO t SELECT generate_series(1, 5)'
sql one " it's \\" 'CREATE TABLE u (a integer)' 'INSERT INTO u SELECT generate_series(1, 6)'
fleet "{\"all\": $(source_of "$(conninfo one postgres)" databases '["*"]')}"
hf 0 $f backup all
hf 0 $f verify all
hf 0 $f verify all --deep
hf 0 $f restore all --database shop --to copy
same_database 'one of all' one shop one copy
drop one copy
hf 0 $f restore all --database 'Größe 日本/x.y %41' --to copy
same 'rows of an odd name' "$(sql one copy 'SELECT count(*) FROM t')" 5
drop one copy
code=0
"$HOLDFAST" $f restore all --to copy >out 2>err </dev/null || code=$?
[ "$code" -eq 2 ] || fail "exit $code of all databases to one name"
err copy
hf 10 $f restore all --database nothing --to copy
err nothing shop
pg_start two
hf 0 $f restore all --to "$(conninfo two)"
same 'databases of the other server' "$(databases two | tr '\n' '|')" "$(databases one | grep -vx 'closed\|a_template' | tr '\n' '|')"
for db in shop latin japan wide 'Größe 日本/x.y %41' " it's \\"; do
  rows_of one "$db" >same.a; rows_of two "$db" >same.b
  if [ -s same.a ]; then same_file "rows of $db on the other server"; else fail "$db has no rows"; fi
done
same 'roles' "$(sql two postgres "SELECT count(*) FROM pg_roles WHERE rolname IN ('later', 'hf_owner')")" 2
# Two by name.
fleet "{\"two\": $(source_of "$(conninfo one postgres)" databases '["shop", "wide"]')}"
hf 0 $f backup two
hf 0 $f show two --json
out shop wide
no_out japan
fleet "{\"two\": $(source_of "$(conninfo one postgres)" databases '["shop", "wrong"]')}"
hf 10 $f backup two
err wrong hint
no_session one
no_session two
