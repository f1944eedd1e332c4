#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 3600 LABELS serial LONG
# The tests of PostgreSQL with version 17, out of Debian 13: its own, or one
# unpacked into a folder, whose programs run beside ours with its libraries.
#   HOLDFAST_TEST_TRIXIE   such a folder that is there already
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
chmod 711 "$WORK"

bin=/usr/lib/postgresql/17/bin
if [ ! -x $bin/postgres ]; then
  trixie=${HOLDFAST_TEST_TRIXIE:-}
  if [ -z "$trixie" ]; then
    need debootstrap
    [ "$(id -u)" -eq 0 ] || { echo 'skipped: only root can unpack another Debian'; checks=1; exit 77; }
    trixie=$WORK/trixie
    debootstrap --variant=minbase --include=postgresql-17 trixie "$trixie" >debootstrap.log 2>&1 ||
      fail "debootstrap: $(tail -n 5 debootstrap.log)"
    chmod 755 "$trixie"
  fi
  from=$trixie/usr/lib/postgresql/17
  loader=$(ls "$trixie"/usr/lib*/ld-linux*.so.* 2>/dev/null | head -n 1)
  libraries=$(ls -d "$trixie"/usr/lib/*-linux-gnu* | paste -sd :)
  { [ -x "$from/bin/postgres" ] && [ -n "$loader" ]; } || fail "no PostgreSQL 17 in $trixie"
  # What stands for each program: the same name, in a folder of the same shape,
  # so that the programs find each other and their files.
  bin=$WORK/pg17/lib/postgresql/17/bin
  mkdir -p "$bin" "$WORK/pg17/share/postgresql"
  ln -s "$from/lib" "$WORK/pg17/lib/postgresql/17/lib"
  ln -s "$trixie/usr/share/postgresql/17" "$WORK/pg17/share/postgresql/17"
  for program in "$from"/bin/*; do
    cat >"$bin/$(basename "$program")" <<END
#!/bin/sh
export LOCPATH='$trixie/usr/lib/locale'
exec '$loader' --library-path '$libraries' --argv0 "\$0" '$program' "\$@"
END
  done
  chmod -R a+rX "$WORK/pg17"
  chmod 755 "$bin"/*
fi
# With LOCPATH set the C library keeps its parts for ever, and programs that the
# server starts inherit it.
echo 'leak:__argz_add_sep' >lsan.supp
chmod 644 lsan.supp
export LSAN_OPTIONS=suppressions=$WORK/lsan.supp:print_suppressions=0
version=$("$bin/postgres" --version)
case $version in *' 17.'*) ok ;; *) fail "not version 17: $version" ;; esac

for script in "$here"/test_postgres.sh "$here"/test_postgres_{select,load,physical,recover,pitr,prune}.sh \
  "$here"/../faults/test_postgres_{faults,kill,restore}.sh; do
  HOLDFAST_TEST_PG_BIN=$bin HOLDFAST_TEST_LONG=0 run 0 bash "$script"
  echo "$(basename "$script"): $(tail -n 1 out)"
done
