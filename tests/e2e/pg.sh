# SPDX-License-Identifier: BSD-2-Clause
# PostgreSQL servers for the tests: source it after lib.sh.
#   HOLDFAST_TEST_PG_BIN   the folder of the server's programs; default: the
#                          newest that Debian's packages have put there
#   $PG_BIN                that folder, as a copy of the installation in $WORK
#                          that has an extension more (see pg_tree)
#   $PG_MAJOR              its version: 15
# Servers refuse root: then they run as the user postgres.
PG_FIXTURES=$(cd "$(dirname "${BASH_SOURCE[0]}")/postgres" && pwd)
pg_found=${HOLDFAST_TEST_PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5n | tail -n 1)}
declare -A pg_port pg_state
[ -x "$pg_found/postgres" ] || { echo "skipped: no PostgreSQL server is there" >&2; checks=1; exit 77; }
need jq setpriv

# As the user of the servers.
pg_as() {
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --reuid postgres --regid postgres --init-groups "$@"
  else
    "$@"
  fi
}

# A server finds its files relative to its own program: so a copy of that one,
# with links to the rest, is an installation to which an extension can be added
# without being root.
pg_tree() {
  local from=$1 to=$WORK/installed version n share f
  version=$(basename "$(dirname "$from")")
  share=$(cd "$from/../../../../share/postgresql/$version" && pwd) || fail "no share folder for $from"
  PG_BIN=$to/lib/postgresql/$version/bin
  PG_MAJOR=$version
  mkdir -p "$PG_BIN" "$to/share/postgresql/$version/extension"
  for n in postgres initdb pg_ctl; do cp -L "$from/$n" "$PG_BIN/$n"; done
  for f in "$from"/*; do [ -e "$PG_BIN/$(basename "$f")" ] || ln -s "$f" "$PG_BIN/"; done
  ln -s "$(cd "$from/../lib" && pwd)" "$to/lib/postgresql/$version/lib"
  for f in "$share"/*; do [ "$(basename "$f")" = extension ] || ln -s "$f" "$to/share/postgresql/$version/"; done
  ln -s "$share"/extension/* "$to/share/postgresql/$version/extension/"
  cp "$PG_FIXTURES"/extension/hf_config* "$to/share/postgresql/$version/extension/"
  chmod -R a+rX "$to"
}

# A folder that the servers' user owns.
pg_folder() {
  mkdir -p "$1"
  [ "$(id -u)" -ne 0 ] || chown postgres: "$1"
}

pg_free_port() {
  local port n
  for n in {1..200}; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  fail 'no free port'
}

# pg_start NAME [initdb's options...]: a new server in $WORK/NAME (data, log),
# socket in $PG_HOST; or, where it is there already, the same one again.  Everybody
# is trusted on the socket; over TCP, on 127.0.0.1, passwords are asked for.
pg_start() {
  local name=$1 dir=$WORK/$1 n
  shift
  if [ ! -e "$dir/data/PG_VERSION" ]; then
    pg_folder "$dir"
    (cd / && pg_as "$PG_BIN/initdb" -D "$dir/data" -U postgres -A trust --no-sync \
      -E UTF8 --locale="$pg_locale" "$@") >"$dir/initdb.log" 2>&1 ||
      fail "initdb: $(tail -n 5 "$dir/initdb.log")"
    printf '%s\n' 'local all all trust' 'host all all all scram-sha-256' |
      pg_as tee "$dir/data/pg_hba.conf" >/dev/null
    printf '%s\n' 'fsync = off' 'full_page_writes = off' 'jit = off' \
      'shared_buffers = 32MB' 'max_wal_size = 2GB' 'max_connections = 50' \
      'wal_level = logical' 'dynamic_shared_memory_type = mmap' \
      "password_encryption = 'scram-sha-256'" "listen_addresses = '${PG_LISTEN:-127.0.0.1}'" \
      'log_statement_stats = off' "log_line_prefix = '%m [%p] %a '" "timezone = 'UTC'" |
      pg_as tee -a "$dir/data/postgresql.conf" >/dev/null
  fi
  for n in 1 2 3 4 5; do
    [ -n "${pg_port[$name]:-}" ] || pg_port[$name]=$(pg_free_port)
    pg_state[$name]=running
    (cd / && pg_as "$PG_BIN/pg_ctl" -s -w -t 60 -D "$dir/data" -l "$dir/log" \
      -o "-p ${pg_port[$name]} -k $PG_HOST" start) >"$dir/start.log" 2>&1 && return
    grep -q 'could not bind\|Address already in use' "$dir/log" || break
    pg_port[$name]=
  done
  fail "server $name does not start: $(tail -n 5 "$dir/start.log" "$dir/log")"
}

# pg_stop NAME [MODE]
pg_stop() {
  (cd / && pg_as "$PG_BIN/pg_ctl" -s -w -t 60 -D "$WORK/$1/data" -m "${2:-fast}" stop) >/dev/null 2>&1
  pg_state[$1]=stopped
}

pg_pid() { head -n 1 "$WORK/$1/data/postmaster.pid"; }

# pg_kill9 NAME: the postmaster and its children, as a power cut would.
pg_kill9() {
  local pid children_of
  pid=$(pg_pid "$1") || fail "$1 does not run"
  children_of=$(ps -o pid= --ppid "$pid")
  kill -9 "$pid" $children_of 2>/dev/null
  while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
  pg_state[$1]=killed
}

# replicate NAME: it may be streamed from.
replicate() {
  printf '%s\n' 'local replication all trust' 'host replication all all scram-sha-256' |
    pg_as tee -a "$WORK/$1/data/pg_hba.conf" >/dev/null
  sql "$1" postgres 'SELECT pg_reload_conf()' >/dev/null
}

pg_exit() {
  local code=$? name
  for name in "${!pg_state[@]}"; do
    # One that was killed left shared memory: starting clears it.
    [ "${pg_state[$name]}" = killed ] && (pg_start "$name") >/dev/null 2>&1
    [ "${pg_state[$name]}" = stopped ] || pg_stop "$name" immediate
  done
  # What a test mounted or put up.
  type at_exit >/dev/null 2>&1 && at_exit
  (exit "$code")
  cleanup
}

# pg NAME DATABASE PSQL-ARGUMENTS...: psql, quiet, unaligned, stopping at errors.
pg() {
  local name=$1 db=$2
  shift 2
  PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning" \
    "$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$PG_HOST" -p "${pg_port[$name]}" -U "${PG_USER:-postgres}" -d "$db" "$@"
}
# sql NAME DATABASE SQL...: what it prints.  It must succeed.
sql() {
  local name=$1 db=$2 args=() s
  shift 2
  for s; do args+=(-c "$s"); done
  pg "$name" "$db" "${args[@]}" 2>"$WORK/psql.err" </dev/null || fail "psql: $(cat "$WORK/psql.err")"
}

# conninfo NAME [DATABASE]: over the socket, as the superuser.
conninfo() { echo "host=$PG_HOST port=${pg_port[$1]} user=postgres${2:+ dbname=$2}"; }
# tcp NAME DATABASE USER
tcp() { echo "host=127.0.0.1 port=${pg_port[$1]} user=$3 dbname=$2"; }

databases() { sql "$1" postgres "SELECT datname FROM pg_database ORDER BY datname::text COLLATE \"C\""; }
# drop NAME DATABASE: whoever is in it; a subscription would keep it.
drop() {
  local sub
  if [ -n "$(sql "$1" postgres "SELECT 1 FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid WHERE datname = '${2//\'/\'\'}'")" ]; then
    sub='SET default_transaction_read_only = off; ALTER SUBSCRIPTION sub DISABLE; ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub'
    pg "$1" "$2" >/dev/null <<<"$sub" || fail "the subscription of $2"
  fi
  sql "$1" postgres "DROP DATABASE IF EXISTS \"${2//\"/\"\"}\" WITH (FORCE)"
}

# everything NAME DATABASE: a database that has all there is.
everything() {
  local space=$WORK/$1/space
  if [ ! -e "$space" ]; then
    pg_folder "$space"
    pg "$1" postgres -v place="$space" -f "$PG_FIXTURES/globals.sql" >"$WORK/psql.out" 2>&1 || fail "globals.sql: $(cat "$WORK/psql.out")"
  fi
  sql "$1" postgres "CREATE DATABASE \"$2\""
  pg "$1" "$2" -f "$PG_FIXTURES/everything.sql" >"$WORK/psql.out" 2>&1 || fail "everything.sql: $(tail -n 5 "$WORK/psql.out")"
  pg "$1" "$2" -f "$PG_FIXTURES/properties.sql" >"$WORK/psql.out" 2>&1 || fail "properties.sql: $(tail -n 5 "$WORK/psql.out")"
}

# schema_of NAME DATABASE [pg_dump's options]: its definitions as text, with its
# properties, without what differs from run to run, and with the name masked.
schema_of() {
  local name=$1 db=$2
  shift 2
  "$PG_BIN/pg_dump" -s -C "$@" -h "$PG_HOST" -p "${pg_port[$name]}" -U postgres -d "dbname='${db//\'/\\\'}'" 2>"$WORK/dump.err" |
    sed -e '/^\\restrict /d' -e '/^\\unrestrict /d' -e "/DATABASE\\|^.connect /s/\\<${db//\//\\/}\\>/THE_DATABASE/g" ||
    fail "pg_dump of $db: $(cat "$WORK/dump.err")"
}

# rows_of NAME DATABASE: a line for each table: how many rows, and a hash of
# them in any order; sequences; large objects.  What is parted by hash is one
# table: an enum's hash is another one in another database.
rows_of() {
  PGOPTIONS='-c datestyle=iso -c intervalstyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c search_path=pg_catalog -c timezone=UTC' \
    pg "$1" "$2" 2>"$WORK/psql.err" <<'SQL' || fail "rows of $2: $(cat "$WORK/psql.err")"
SELECT format('SELECT %L, count(*), md5(string_agg(h_, '''' ORDER BY h_)) FROM (SELECT md5(row_::text) h_ FROM %s %I.%I row_) x_',
    replace(c.oid::regclass::text, chr(10), '~'),
    CASE WHEN relkind <> 'p' THEN 'ONLY' END, n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND ((relkind = 'r' AND NOT EXISTS (SELECT FROM pg_inherits
        JOIN pg_partitioned_table ON partrelid = inhparent
        WHERE inhrelid = c.oid AND partstrat = 'h'))
      OR (relkind = 'm' AND relispopulated)
      OR EXISTS (SELECT FROM pg_partitioned_table
        WHERE partrelid = c.oid AND partstrat = 'h'))
  ORDER BY nspname COLLATE "C", relname COLLATE "C" \gexec
SELECT format('SELECT %L, last_value, is_called FROM %I.%I', replace(c.oid::regclass::text, chr(10), '~'), n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind = 'S' ORDER BY nspname COLLATE "C", relname COLLATE "C" \gexec
SELECT 'large object ' || m.oid, pg_get_userbyid(lomowner), lomacl, md5(lo_get(m.oid)), obj_description(m.oid, 'pg_largeobject')
  FROM pg_largeobject_metadata m ORDER BY m.oid;
SQL
}

# same_database WHAT NAME1 DATABASE1 NAME2 DATABASE2: definitions and rows agree.
same_database() {
  schema_of "$2" "$3" >"$WORK/same.a"
  schema_of "$4" "$5" >"$WORK/same.b"
  same_file "$1: definitions"
  rows_of "$2" "$3" >"$WORK/same.a"
  rows_of "$4" "$5" >"$WORK/same.b"
  same_file "$1: rows"
}
same_file() {
  [ -s "$WORK/same.a" ] || fail "$1: empty"
  diff "$WORK/same.a" "$WORK/same.b" >"$WORK/same.diff" || { head -n 40 "$WORK/same.diff" >&2; fail "$1 differ"; }
  ok
}

# by_hand NAME DATABASE FOLDER...: what the manual says: all objects of a
# backup, in the order of their names, through psql.  Its exit code.
by_hand() {
  local name=$1 db=$2
  shift 2
  (cd "$1" && cat *.sql.gz) | gunzip | "$PG_BIN/psql" -X -q -h "$PG_HOST" -p "${pg_port[$name]}" -U "${PG_USER:-postgres}" -d "$db" >"$WORK/psql.out" 2>"$WORK/psql.err"
}

# fleet PIPELINES: the configuration $WORK/fleet.json, with one sink.
fleet() {
  jq -n --argjson p "$1" --arg w "$WORK" '{version: 1, state_dir: ($w + "/state"),
    filters: {gz: {type: "gzip"}}, sinks: {one: {type: "dir", path: ($w + "/sink")}},
    defaults: {through: ["gz"], to: ["one"], verify: "none"}, pipelines: $p}' >"$WORK/fleet.json" ||
    fail 'fleet.json'
}
# source_of CONNINFO [KEY JSON-VALUE]...: a pipeline of it, for fleet.
source_of() {
  local info=$1 more='{}'
  shift
  while [ $# -gt 0 ]; do
    more=$(jq -c --arg k "$1" --argjson v "$2" '.[$k] = $v' <<<"$more") || fail "source_of $1"
    shift 2
  done
  jq -n -c --arg c "$info" --arg b "$PG_BIN" --argjson m "$more" \
    '{from: ({engine: "postgres", conninfo: $c, bin_dir: $b} + $m)}'
}

# stored_folder SINK PIPELINE: the data of its newest backup.
stored_folder() { ls -d "$1/$2"/data/* | sort | tail -n 1; }

# no_session NAME: within five seconds nobody but us is connected, and no
# snapshot, lock or prepared transaction is held.
no_session() {
  local i left
  for ((i = 0; i < 50; i++)); do
    left=$(sql "$1" postgres "SELECT pid, datname, state, left(query, 60) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name !~ '${2:-^test}'")
    [ -n "$left" ] || { ok; return; }
    sleep 0.1
  done
  fail "sessions are left: $left"
}

# Programs of PostgreSQL that a run left behind: those that talk to NAME.
no_stray() {
  local i left
  for ((i = 0; i < 50; i++)); do
    left=$(grep -lsa -- "${pg_port[$1]}" /proc/[0-9]*/cmdline 2>/dev/null | while read -r f; do
      tr '\0' ' ' <"$f" | grep -E '(^|/)pg_(dump|restore|dumpall) '
    done 2>/dev/null)
    [ -z "$left" ] && { ok; return; }
    sleep 0.1
  done
  fail "programs are left: $left"
}

chmod 711 "$WORK"
PG_HOST=$WORK/sock
mkdir -m 1777 "$PG_HOST"
trap pg_exit EXIT
pg_tree "$pg_found"
# One that is not C, if there is one.
pg_locale=$(locale -a 2>/dev/null | grep -i 'utf-\?8$' | grep -iv '^C\.' | head -n 1)
: "${pg_locale:=C.UTF-8}"
