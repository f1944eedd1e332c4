# A server of a benchmark's own; source it in the folder of the work, after lib.sh.
# shellcheck shell=bash disable=SC2034,SC2154
#
#   initdb_options, server_options   arrays, may be empty
# It sets data, as, server (the postmaster), PGHOST, PGPORT, PGUSER.

unset "${!PG@}"
export PGHOST=$work/pg PGPORT=5432 PGUSER=postgres
data=$work/pg/data
as=()
if [ "$(id -u)" -eq 0 ]; then
  # PostgreSQL refuses to be root.
  as=(setpriv --reuid=postgres --regid=postgres --init-groups --reset-env)
  chmod 711 "$work"
fi
mkdir -p pg
[ "${#as[@]}" -eq 0 ] || chown postgres:postgres pg
# Outside of our folder, which another user may not enter.
run_as() { (cd / && exec "${as[@]}" "$@"); }

if [ ! -d "$data/base" ]; then
  run_as "$pgbin/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
    "${initdb_options[@]}" >initdb.log 2>&1 || {
    cat initdb.log >&2
    exit 1
  }
fi
(cd / && exec "${as[@]}" "$pgbin/postgres" -D "$data" -c listen_addresses= \
  -c unix_socket_directories="$PGHOST" -c shared_buffers=1GB -c max_wal_size=8GB "${server_options[@]}") >server.log 2>&1 &
server=$!
for _ in $(seq 1 300); do
  ! pg_isready -q || break
  kill -0 "$server" 2>/dev/null || { server=''; cat server.log >&2; exit 1; }
  sleep 0.2
done
pg_isready -q || { cat server.log >&2; exit 1; }

# sql DATABASE STATEMENT
sql() { PGOPTIONS='-c client_min_messages=warning' psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }

# The time of the postmaster, of what it has waited for, and of what lives.
server_time() {
  { cat /proc/[0-9]*/stat 2>/dev/null || :; } |
    awk -v p="$server" -v hz="$(getconf CLK_TCK)" '
      { pid = $1; sub(/^.*\) /, "") }
      pid == p { t += $12 + $13 + $14 + $15 }
      $2 == p { t += $12 + $13 }
      END { printf "%.2f", t / hz }'
}

# The postmaster counts a backend when it has ended, a moment after the client.
backends_gone() {
  local pid
  for _ in $(seq 1 200); do
    for pid in $(ps -o pid= --ppid "$server"); do
      ! grep -qs '\[local\]' "/proc/$pid/cmdline" || break
      pid=
    done
    [ -n "$pid" ] || return 0
    sleep 0.05
  done
  echo 'bench: a backend does not end' >&2
  exit 1
}
