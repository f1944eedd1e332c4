# SPDX-License-Identifier: BSD-2-Clause
# A server whose WAL is kept, for the tests: source it after pg.sh.  The pipeline
# is "modulo", of the database modulodb, with the sinks $WORK/one/repo and
# $WORK/two/repo; the configuration, $HOLDFAST_CONFIG, the test writes itself.
#   ${AS[@]}   what comes before the program: that it is the server's user
# The server runs the program too, as its own user.
mkdir -p "$WORK/program/bin" "$WORK/program/lib/holdfast"
cp "$HOLDFAST" "$WORK/program/bin/holdfast"
cp "$(dirname "$HOLDFAST")"/../lib/holdfast/{postgres,dir,gzip}.so "$WORK/program/lib/holdfast/" || fail 'no plugins'
cp "$(dirname "$HOLDFAST")"/../lib/holdfast/s3.so "$WORK/program/lib/holdfast/" 2>/dev/null
HOLDFAST=$WORK/program/bin/holdfast
PATH=$WORK/program/bin:$PATH
export HOLDFAST_CONFIG=$WORK/fleet.json TZ=UTC
for f in one two state restored; do pg_folder "$WORK/$f"; done
# The server's user does not see the folder from which this was started.
cd "$WORK/restored" || exit 1
# Not pg_as: signals are for the program itself, not for a shell around it.
AS=()
[ "$(id -u)" -ne 0 ] || AS=(setpriv --reuid postgres --regid postgres --init-groups)

# op CODE ARGUMENT...: the program, as the user of the server.
op() {
  local expected=$1
  shift
  run "$expected" "${AS[@]}" "$HOLDFAST" "$@"
}

# --- following, writing -----------------------------------------------------------

runner= writer=
follow() {
  "${AS[@]}" "$HOLDFAST" -v run modulo 2>>"$WORK/run.err" </dev/null &
  runner=$!
  children="$children $runner"
}
# unfollow SIGNAL CODE
unfollow() {
  local code=0
  # One that has only just been started does not know the signal yet.
  [ "$1" = KILL ] || within 30 'it can be told to end' heeds "$runner"
  kill "-$1" "$runner" 2>/dev/null
  wait "$runner" 2>/dev/null || code=$?
  [ "$code" -eq "$2" ] || fail "holdfast run: exit $code instead of $2: $(tail -n 5 "$WORK/run.err")"
  ok
}

heeds() { [ "$(cat "/proc/$1/comm")" = holdfast ] && [ $((0x$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status") >> 14 & 1)) = 1 ]; }

# tables NAME: what write and archived write into.
tables() {
  sql "$1" modulodb 'CREATE TABLE rows (n serial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), pad text)' \
    'CREATE TABLE tail (at timestamptz DEFAULT clock_timestamp())'
}
# A line of $WORK/acked for each row that was committed: its number, its
# transaction, an LSN behind its commit.  Some transactions are rolled back.
write() {
  local n=0
  while [ ! -e "$WORK/quiet" ]; do
    while [ ! -e "$WORK/quiet" ]; do
      n=$((n + 1))
      [ $((n % 7)) -ne 0 ] || echo "BEGIN; INSERT INTO rows (pad) VALUES ('never'); ROLLBACK;"
      echo "INSERT INTO rows (pad) VALUES (repeat('$n ', 50)) RETURNING n, pg_current_xact_id()::text::bigint AS x \\gset"
      echo "SELECT :n, :x, pg_current_wal_insert_lsn();"
      sleep 0.02
    done | pg "$1" modulodb >>"$WORK/acked" 2>/dev/null
    sleep 0.2
  done
}
begin() {
  rm -f "$WORK/quiet"
  write "$1" &
  writer=$!
  children="$children $writer"
}
finish() {
  touch "$WORK/quiet"
  wait "$writer"
}
# lost NAME [NUMBER...]: rows that the writer was told of, and that are neither
# there nor among these.
lost() {
  cut -d'|' -f1 "$WORK/acked" | sort >"$WORK/told"
  { sql "$1" modulodb 'SELECT n FROM rows' && shift && printf '%s\n' "$@"; } | sort | comm -23 "$WORK/told" -
}

# within SECONDS WHAT COMMAND...: it comes true by then.
within() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "not within its time: $what"
    sleep 0.1
  done
  ok
}
slot() { [ "$(sql "$1" postgres 'SELECT count(*) FROM pg_replication_slots WHERE active')" = 1 ]; }
# said TEXT [TIMES]: by "holdfast run", so often at least.
said() { [ "$(grep -cF -- "$1" "$WORK/run.err")" -ge "${2:-1}" ]; }

# window PIPELINE JQ-FILTER: of what list says can be restored.
window() { "${AS[@]}" "$HOLDFAST" list --json 2>/dev/null | jq -er ".pipelines[] | select(.pipeline == \"$1\") | .windows | $2"; }
# Everything that NAME has written is in the log, in whole segments.
archived() {
  local lsn segment
  IFS='|' read -r lsn segment < <(sql "$1" modulodb 'CHECKPOINT' 'INSERT INTO tail DEFAULT VALUES' 'SELECT l, pg_walfile_name(l) FROM pg_current_wal_insert_lsn() l')
  [ -n "$segment" ] || fail "where is $1?"
  sql "$1" modulodb 'SELECT pg_switch_wal()' 'INSERT INTO tail DEFAULT VALUES' >/dev/null
  within "${2:-60}" "the log reaches $lsn" reaches_lsn "$1" "$lsn"
  within 60 "$segment is whole" whole "$segment"
}
whole() { ls "$WORK"/one/repo/modulo/wal/*/*/"$1.json"; }
reaches_lsn() { [ "$(sql "$1" postgres "SELECT '$(window modulo '.[-1].last')'::pg_lsn >= '$2'")" = t ]; }
no_gap() {
  [ "$(window modulo 'map(select(.gap)) | length')" = 0 ] || fail "a gap: $(window modulo .)"
  [ "$(window modulo length)" = 1 ] || fail "not one window: $(window modulo .)"
  ok
}

# Also for who has it open: a folder that was renamed stays what it was.
away() { for s; do pg_as chmod 000 "$WORK/$s/repo" && pg_as mv "$WORK/$s/repo" "$WORK/$s/away"; done; }
# A sink that is used meanwhile may have been made anew, empty.
back() { for s; do pg_as rmdir "$WORK/$s/repo" 2>/dev/null; pg_as mv "$WORK/$s/away" "$WORK/$s/repo" && pg_as chmod 700 "$WORK/$s/repo" || fail "$s"; done; }

# --- restoring --------------------------------------------------------------------

settled() { [[ $(sql "$1" postgres "SELECT NOT pg_is_in_recovery() OR pg_is_wal_replay_paused()") = t ]]; }
# restored NAME ARGUMENT...: a copy in $WORK/NAME that archives nowhere.
restored() {
  local name=$1
  shift
  pg_folder "$WORK/$name"
  op 0 restore modulo --to "$WORK/$name/data" "$@"
  echo 'archive_mode = off' | pg_as tee -a "$WORK/$name/data/postgresql.auto.conf" >/dev/null
}
gone() {
  pg_stop "$1" immediate
  rm -rf "${WORK:?}/$1"
  unset "pg_port[$1]" "pg_state[$1]"
}

# peak PID: the most memory that it has had, in MiB.
peak() { awk '/^VmHWM/ { print int(($2 + 1023) / 1024) }' "/proc/$1/status"; }
