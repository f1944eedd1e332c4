# SPDX-License-Identifier: BSD-2-Clause
# For the scripts of this folder: source it first.
#   $HOLDFAST            the program under test
#   $HOLDFAST_PROGRAMS   the folder of the test programs (makedb, ...)
#   $WORK                a folder of this test, removed at its end
set -u
: "${HOLDFAST:?names the program to test}"
HOLDFAST_PROGRAMS=${HOLDFAST_PROGRAMS:-$(dirname "$HOLDFAST")}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-e2e.XXXXXX") || exit 1
# An empty folder, so that no other configuration is found.
cd "$WORK" || exit 1
unset HOLDFAST_CONFIG HOLDFAST_PLUGIN_PATH NO_COLOR
checks=0
children=

# ours PID: it is still the one that this test began.  Another process, perhaps
# of another test, may have got the number since.
ours() {
  [ "$(ps -o ppid= -p "$1" 2>/dev/null | tr -d ' ')" = $$ ] ||
    case $(readlink "/proc/$1/cwd") in "$WORK" | "$WORK"/*) ;; *) false ;; esac
}

cleanup() {
  local code=$? pid
  for pid in $children; do ours "$pid" && kill -9 "$pid" 2>/dev/null; done
  wait 2>/dev/null
  cd / && chmod -R u+rwX "$WORK" 2>/dev/null
  rm -rf "$WORK"
  if [ "$code" -eq 0 ]; then
    if [ "$checks" -eq 0 ]; then
      echo "nothing was checked" >&2
      exit 1
    fi
    echo "$checks checks passed"
  fi
  exit "$code"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# need TOOL...: skip the test where one is missing.
need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 || {
      echo "skipped: $tool is not there" >&2
      checks=1
      exit 77
    }
  done
}

fail() {
  echo "FAILED: $*" >&2
  local f
  for f in out err run.err; do
    [ -s "$WORK/$f" ] && { echo "--- $f" >&2; tail -n 40 "$WORK/$f" >&2; }
  done
  exit 1
}

ok() { checks=$((checks + 1)); }

# run CODE COMMAND...: run it; its exit code must be CODE.  What it printed is
# in $WORK/out and $WORK/err.
run() {
  local expected=$1 code=0
  shift
  "$@" >"$WORK/out" 2>"$WORK/err" </dev/null || code=$?
  [ "$code" -eq "$expected" ] || fail "exit $code instead of $expected: $*"
  ok
}

# hf CODE ARGUMENT...: the program itself.
hf() {
  local expected=$1
  shift
  run "$expected" "$HOLDFAST" "$@"
}

# out TEXT..., err TEXT...: each stands in what the last command printed.
out() { local t; for t in "$@"; do grep -qF -- "$t" "$WORK/out" || fail "no \"$t\" on stdout"; ok; done; }
err() { local t; for t in "$@"; do grep -qF -- "$t" "$WORK/err" || fail "no \"$t\" on stderr"; ok; done; }
no_out() { local t; for t in "$@"; do grep -qF -- "$t" "$WORK/out" && fail "\"$t\" on stdout"; ok; done; }
no_err() { local t; for t in "$@"; do grep -qF -- "$t" "$WORK/err" && fail "\"$t\" on stderr"; ok; done; }
quiet_err() { [ -s "$WORK/err" ] && fail "something on stderr"; ok; }
quiet_out() { [ -s "$WORK/out" ] && fail "something on stdout"; ok; }

# json FILE FILTER: the filter is true of the document.
json() {
  jq -e "$2" "$WORK/$1" >/dev/null 2>"$WORK/jq" || fail "$1: not true: $2 $(cat "$WORK/jq")"
  ok
}

# same WHAT A B: two texts are equal, and not empty.
same() {
  [ -n "$2" ] || fail "$1: empty"
  [ "$2" = "$3" ] || fail "$1: \"$2\" is not \"$3\""
  ok
}

# content FILE: a hash of the schema and of every row, like dbhash; and the
# facts of the header that a restore has to keep.
content() {
  sqlite3 -readonly "$1" '.sha3sum --schema' || return 1
  sqlite3 -readonly "$1" 'PRAGMA page_size; PRAGMA auto_vacuum; PRAGMA user_version; PRAGMA application_id; PRAGMA encoding; PRAGMA journal_mode;' |
    tr '\n' ' '
}

# integrity FILE
integrity() {
  local said
  said=$(sqlite3 "$1" 'PRAGMA integrity_check' 2>&1)
  same "integrity_check of $1" "$said" ok
}

# hold NAME DATABASE SQL: a sqlite3 that has run the SQL and keeps the database
# open until "release NAME".
hold() {
  local name=$1 db=$2 sql=$3 i
  mkfifo "$WORK/hold.$name"
  sqlite3 "$db" <"$WORK/hold.$name" >"$WORK/hold.$name.out" 2>&1 &
  children="$children $!"
  eval "held_$name=$!"
  eval "exec {hold_fd_$name}>\"$WORK/hold.$name\""
  local fd
  eval "fd=\$hold_fd_$name"
  printf '.timeout 20000\n%s\n.print held\n' "$sql" >&"$fd"
  for ((i = 0; i < 600; i++)); do
    grep -q '^held$' "$WORK/hold.$name.out" && return 0
    sleep 0.1
  done
  fail "the holder of $db did not get ready: $(cat "$WORK/hold.$name.out")"
}
release() {
  local fd pid
  eval "fd=\$hold_fd_$1 pid=\$held_$1"
  # Other children may have inherited the descriptor: its end is not enough.
  printf '.quit\n' >&"$fd"
  exec {fd}>&-
  wait "$pid" 2>/dev/null
  rm -f "$WORK/hold.$1" "$WORK/hold.$1.out"
}

# flip FILE OFFSET: one bit of one byte.
flip() {
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  [ -n "$byte" ] || fail "$1 has no byte $2"
  printf "\\x$(printf %02x $((byte ^ 1)))" |
    dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

size_of() { stat -c %s "$1"; }
