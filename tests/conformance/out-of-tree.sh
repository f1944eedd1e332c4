#!/bin/sh
# out-of-tree.sh CMAKE BUILD EXAMPLE CC SANITIZE: install BUILD into a new
# prefix, build the example from that prefix alone, once with the CMake package
# and once with pkg-config, run the installed suite on it, and use it as the
# sink of a real backup.
set -eu
cmake=$1 build=$2 example=$3 cc=$4 sanitize=$5
dir=$(mktemp -d "${TMPDIR:-/tmp}/out-of-tree-XXXXXX")
trap 'rm -rf "$dir"' EXIT
prefix=$dir/prefix
umask 022
unset HOLDFAST_PLUGIN_PATH

die() {
  echo "$*"
  exit 1
}

# Another repository: nothing of ours stands beside it.
mkdir "$dir/repository"
cp "$example"/* "$dir/repository"
"$cmake" --install "$build" --prefix "$prefix" > "$dir/install.log" 2>&1 ||
  { tail -n 20 "$dir/install.log"; die "cmake --install failed"; }
# A moved prefix still works.
mv "$prefix" "$dir/moved"
prefix=$dir/moved
conform=$prefix/bin/holdfast-conform
[ -x "$conform" ] || die "holdfast-conform was not installed"

echo "== by the CMake package"
"$cmake" -S "$dir/repository" -B "$dir/by-cmake" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Debug > "$dir/cmake.log" ||
  { cat "$dir/cmake.log"; die "the example does not configure"; }
"$cmake" --build "$dir/by-cmake" || die "the example does not build"
(cd "$dir/by-cmake" && "$(dirname "$cmake")/ctest" --output-on-failure) ||
  die "the example does not pass"

echo "== by pkg-config"
pc=$(dirname "$(find "$prefix" -name holdfast.pc)")
PKG_CONFIG_PATH=$pc
export PKG_CONFIG_PATH
mkdir "$dir/plugins"
# shellcheck disable=SC2046
"$cc" -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror \
  -D_GNU_SOURCE -O1 -fPIC -fvisibility=hidden -shared \
  $(pkg-config --cflags holdfast sqlite3) "$dir/repository/cabinet.c" \
  -o "$dir/plugins/cabinet.so" $(pkg-config --libs holdfast sqlite3)
[ -d "$(pkg-config --variable=plugindir holdfast)" ] ||
  die "plugindir of holdfast.pc is no folder"
"$(pkg-config --variable=conform holdfast)" "$dir/plugins/cabinet.so" \
  'path={scratch}/cabinet.db' --only 'store: invisible*' --only 'plugin: *'

holdfast=$prefix/bin/holdfast
if [ ! -x "$holdfast" ]; then
  echo "== no program was built: no backup"
  exit 0
fi

echo "== as the sink of a backup"
[ -z "$(ldd "$dir/plugins/cabinet.so" | grep -i holdfast)" ] ||
  die "the plugin links to something of Holdfast's"
HOLDFAST_PLUGIN_PATH=$dir/plugins
export HOLDFAST_PLUGIN_PATH
"$holdfast" plugins > "$dir/plugins.txt"
cat "$dir/plugins.txt"
for name in cabinet dir gzip; do
  grep -q "$name" "$dir/plugins.txt" || die "$name is not listed"
done
mkdir "$dir/run"
cd "$dir/run"
cp "$example/fleet.json" .
sqlite3 shop.db > /dev/null << 'SQL'
PRAGMA journal_mode = WAL;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, photo BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO item SELECT i, 'item number ' || i, randomblob(900) FROM n;
SQL
sqlite3 shop.db .dump > before.sql
"$holdfast" -c fleet.json backup shop || die "the backup failed"
"$holdfast" -c fleet.json list || die "list failed"
"$holdfast" -c fleet.json verify --deep || die "verify failed"
[ "$(sqlite3 box.db "SELECT count(*) FROM objects WHERE key LIKE \
'shop/catalog/%'")" = 1 ] || die "the cabinet has no manifest"
"$holdfast" -c fleet.json restore shop --to copy.db || die "the restore failed"
sqlite3 copy.db .dump > after.sql
cmp before.sql after.sql || die "the restored database is another one"
sqlite3 box.db "SELECT writefile(printf('piece-%06d', n), data)
  FROM pieces JOIN objects USING(body) WHERE key LIKE 'shop/data/%/shop.db.gz'" \
  > /dev/null
cat piece-* | gunzip > by-hand.db
sqlite3 by-hand.db .dump > by-hand.sql
cmp before.sql by-hand.sql || die "the pieces are not the object"
echo "== restored from the cabinet, the same content"
