#!/bin/sh
# postgres.sh CONFORM PLUGIN named|private: the suite on a small database of a
# server that is started for it; copies are restored to that one, or to a
# server of the engine's own.
set -eu
conform=$1 plugin=$2 where=$3
bin=${HOLDFAST_TEST_PG_BIN:-}
for d in /usr/lib/postgresql/*/bin; do
  [ -n "${HOLDFAST_TEST_PG_BIN:-}" ] || [ ! -x "$d/initdb" ] || bin=$d
done
[ -n "$bin" ] || { echo "no PostgreSQL server is there"; exit 77; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/pg-conform-XXXXXX")
started=

# Servers refuse root.
as() {
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --reuid postgres --regid postgres --init-groups "$@"
  else
    "$@"
  fi
}
finish() {
  [ -z "$started" ] || (cd / && as "$bin/pg_ctl" -s -D "$dir/data" -m immediate stop) || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

[ "$(id -u)" -ne 0 ] || chown postgres "$dir"
(cd / && as "$bin/initdb" -D "$dir/data" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8) > "$dir/initdb.log" 2>&1 ||
  { cat "$dir/initdb.log"; exit 1; }
# No TCP: the socket's folder is ours alone, so any port will do.
as tee -a "$dir/data/postgresql.conf" > /dev/null << CONF
listen_addresses = ''
unix_socket_directories = '$dir'
fsync = off
autovacuum = off
dynamic_shared_memory_type = mmap
CONF
(cd / && as "$bin/pg_ctl" -s -w -t 60 -D "$dir/data" -l "$dir/data/log" start) || { cat "$dir/data/log"; exit 1; }
started=yes

psql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$dir" -U postgres -d shop "$@"; }
"$bin/createdb" -h "$dir" -U postgres 'shop'
psql << SQL
CREATE TABLE customer(id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE purchase(id serial PRIMARY KEY, customer int REFERENCES customer,
  note text, photo bytea);
CREATE INDEX by_customer ON purchase(customer);
CREATE MATERIALIZED VIEW total AS SELECT customer, count(*) FROM purchase GROUP BY 1;
INSERT INTO customer SELECT i, 'customer number ' || i FROM generate_series(1, 500) i;
INSERT INTO purchase(customer, note, photo) SELECT i % 500 + 1, 'note ' || md5(i::text),
  decode(md5(i::text), 'hex') FROM generate_series(1, 2000) i;
REFRESH MATERIALIZED VIEW total;
SELECT lo_from_bytea(0, 'a large object') \g /dev/null
SQL

set -- "conninfo=host=$dir user=postgres dbname=shop" "bin_dir=$bin" \
  --query 'SELECT count(*) FROM purchase' --format tap
case $where in
named) set -- "$@" "scratch=host=$dir user=postgres dbname=postgres" ;;
private) set -- "$@" --only 'engine: what was restored*' --only 'engine: answers*' --only 'engine: discard*' ;;
esac

rows() { psql -c 'SELECT md5(string_agg(p::text, $$ $$ ORDER BY id)) FROM purchase p'; }
before=$(rows)
"$conform" "$plugin" "$@"
after=$(rows)
[ "$before" = "$after" ] || { echo "the source was changed"; exit 1; }
left=$(psql -c "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
[ "$left" = 0 ] || { echo "$left connections were left open"; exit 1; }
