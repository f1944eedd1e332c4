# SPDX-License-Identifier: BSD-2-Clause
# PostgreSQL of another Debian: its own, or one unpacked into a folder, whose
# programs run beside ours with its libraries.  Source it after lib.sh.
#   debian_postgres SUITE VERSION   sets $bin, the folder of its programs
#   debian_scripts SCRIPT...        runs each with that server
#   debian_programs PROGRAM...      the same of unit tests
# HOLDFAST_TEST_<SUITE> (HOLDFAST_TEST_TRIXIE): such a folder that is there
# already.

debian_postgres() {
  local suite=$1 number=$2 root from loader libraries program given
  chmod 711 "$WORK"
  bin=/usr/lib/postgresql/$number/bin
  if [ ! -x "$bin/postgres" ]; then
    given=HOLDFAST_TEST_${suite^^}
    root=${!given:-}
    if [ -z "$root" ]; then
      need debootstrap
      [ "$(id -u)" -eq 0 ] || { echo 'skipped: only root can unpack another Debian'; checks=1; exit 77; }
      root=$WORK/$suite
      debootstrap --variant=minbase --include="postgresql-$number" "$suite" "$root" >debootstrap.log 2>&1 ||
        fail "debootstrap: $(tail -n 5 debootstrap.log)"
      chmod 755 "$root"
    fi
    from=$root/usr/lib/postgresql/$number
    loader=$(ls "$root"/usr/lib*/ld-linux*.so.* 2>/dev/null | head -n 1)
    libraries=$(ls -d "$root"/usr/lib/*-linux-gnu* | paste -sd :)
    # An older one cannot say what the program is to be called; ours can run
    # what was made for it, with our C library.
    if [ -z "$loader" ] || ! "$loader" --help 2>/dev/null | grep -q -e --argv0; then
      loader=$(ldd /bin/sh | grep -o "/[^ ]*/ld-linux[^ ]*")
      libraries=$(ls -d /usr/lib/*-linux-gnu* | paste -sd :):$libraries
    fi
    { [ -x "$from/bin/postgres" ] && [ -x "$loader" ]; } || fail "no PostgreSQL $number in $root"
    # What stands for each program: the same name, in a folder of the same
    # shape, so that the programs find each other and their files.
    bin=$WORK/pg$number/lib/postgresql/$number/bin
    mkdir -p "$bin" "$WORK/pg$number/share/postgresql"
    ln -s "$from/lib" "$WORK/pg$number/lib/postgresql/$number/lib"
    ln -s "$root/usr/share/postgresql/$number" "$WORK/pg$number/share/postgresql/$number"
    for program in "$from"/bin/*; do
      cat >"$bin/$(basename "$program")" <<END
#!/bin/sh
export LOCPATH='$root/usr/lib/locale'
exec '$loader' --library-path '$libraries' --argv0 "\$0" '$program' "\$@"
END
    done
    chmod -R a+rX "$WORK/pg$number"
    chmod 755 "$bin"/*
  fi
  # With LOCPATH set the C library keeps its parts for ever, and programs that
  # the server starts inherit it.
  echo 'leak:__argz_add_sep' >lsan.supp
  chmod 644 lsan.supp
  export LSAN_OPTIONS=suppressions=$WORK/lsan.supp:print_suppressions=0
  case $("$bin/postgres" --version) in
  *" $number".* | *" $number"[a-z]*) ok ;;
  *) fail "not version $number: $("$bin/postgres" --version)" ;;
  esac
}

debian_scripts() {
  local script
  for script in "$@"; do
    HOLDFAST_TEST_PG_BIN=$bin HOLDFAST_TEST_LONG=0 run 0 bash "$script"
    echo "$(basename "$script"): $(tail -n 1 out)"
  done
}

debian_programs() {
  local program
  for program in "$@"; do
    HOLDFAST_TEST_PG_BIN=$bin HOLDFAST_TEST_LONG=1 run 0 "$HOLDFAST_PROGRAMS/$program"
    echo "$program: $(tail -n 1 out)"
  done
}
