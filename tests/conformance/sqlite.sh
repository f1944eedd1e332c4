#!/bin/sh
# sqlite.sh CONFORM PLUGIN wal|delete|empty: the suite on a database of that
# shape.
set -eu
conform=$1 plugin=$2 shape=$3
command -v sqlite3 > /dev/null || { echo "sqlite3 is missing"; exit 77; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/sqlite-conform-XXXXXX")
trap 'rm -rf "$dir"' EXIT
db="$dir/shop of the day.db"

case $shape in
wal | delete)
  sqlite3 "$db" > /dev/null << SQL
PRAGMA journal_mode = $shape;
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE purchase(id INTEGER PRIMARY KEY, customer REFERENCES customer,
  note TEXT, photo BLOB);
CREATE INDEX by_customer ON purchase(customer);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO customer SELECT i, 'customer number ' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO purchase SELECT i, i % 500 + 1, 'note ' || hex(randomblob(40)),
  randomblob(300) FROM n;
PRAGMA user_version = 7;
SQL
  query='SELECT count(*) FROM purchase'
  ;;
empty)
  sqlite3 "$db" 'VACUUM'
  query='SELECT 1'
  ;;
esac

before=$(sqlite3 "$db" .dump | sha256sum)
"$conform" "$plugin" "path=$db" --query "$query" --format tap
after=$(sqlite3 "$db" .dump | sha256sum)
[ "$before" = "$after" ] || { echo "the source was changed"; exit 1; }
