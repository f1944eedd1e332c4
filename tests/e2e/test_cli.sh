#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a person types, and what comes back: help, mistakes, exit codes, JSON.
. "$(dirname "$0")/lib.sh"
need sqlite3 jq

mkdir data a b
sqlite3 data/app.db 'CREATE TABLE t(x); INSERT INTO t VALUES (1), (2)'
sqlite3 data/log.db 'CREATE TABLE t(x)'
cat >fleet.json <<'END'
{
  "version": 1,
  "state_dir": "state",
  "filters": { "gz": { "type": "gzip" } },
  "sinks": {
    "near": { "type": "dir", "path": "a" },
    "far":  { "type": "dir", "path": "b" }
  },
  "defaults": { "through": ["gz"], "to": ["near", "far"], "rpo": "1h" },
  "pipelines": {
    "shop": { "from": { "engine": "sqlite", "path": "data/app.db" } },
    "logs": { "from": { "engine": "sqlite", "path": "data/log.db" } }
  }
}
END
f="-c fleet.json"

# ---- help ----
hf 0 help
quiet_err
out 'Usage: holdfast' backup restore verify 'Exit codes'
no_out drill audit completion
hf 0 --help
hf 0 help --json
json out '.commands | length == 15'
verbs=$(jq -r '.commands[].name' out)
for verb in $verbs; do
  hf 0 "$verb" --help
  quiet_err
  out "Usage: holdfast $verb" --json --config
  [ "$(awk 'length > 80' out | wc -l)" -eq 0 ] || fail "$verb --help is too wide"
  cp out of_option
  hf 0 help "$verb"
  cmp -s out of_option || fail "help $verb differs from $verb --help"
  hf 0 "$verb" --help --json
  json out ".name == \"$verb\""
done
hf 0 --version
out 'holdfast ' 'ABI 1.'
hf 0 version --json
json out '.version and .abi_major == 1'

# ---- mistakes of the command line ----
hf 2
quiet_out
err 'error: no command was given' 'hint:'
hf 2 bakcup
err 'unknown command "bakcup"' 'Did you mean "backup"?'
hf 2 help bakcup
hf 2 $f backup --al
err 'unknown option "--al"' 'Did you mean "--all"?'
hf 2 $f backup
err 'backup needs a pipeline or --all' 'shop, logs'
hf 2 $f backup --all shop
hf 2 $f backup shop --jobs 0
err '--jobs: "0"'
hf 2 $f backup shop --jobs many
hf 10 $f backup shpo
err 'no pipeline "shpo"' 'Did you mean "shop"?'
hf 2 $f restore shop
err --to --in-place
hf 2 $f restore shop --to x --in-place
hf 2 $f restore shop --to ''
hf 2 $f restore shop --in-place
err 'needs a terminal' '--yes'
hf 2 $f restore shop --to x --at yesterday
err '"yesterday" is not a moment'
hf 2 $f restore shop --to x --at 2026-01-01 --backup latest
hf 2 $f restore shop --to x -o nonsense
hf 2 $f restore
hf 2 $f show
hf 2 $f show a b c
err '"c" is one word too many'
hf 2 $f config frobnicate
err 'validate|show|schema'
hf 2 $f --log-format yaml status
hf 2 $f -c other.json status
err 'given twice'
hf 10 $f verify --sink nowhere
hf 10 $f restore shop --to x --from nowhere
hf 10 $f restore shop --to x --source nothing
hf 10 $f plugins nosuch

# ---- mistakes of the configuration ----
hf 2 status
err 'no configuration file' ./holdfast.json
hf 2 -c missing.json status
err missing.json
hf 2 --plugin-dir /nonexistent plugins
err /nonexistent
cat >bad.json <<'END'
{
  "version": 1,
  "sinks": { "near": { "type": "dir", "path": "a" } },
  "pipelines": {
    "shop": {
      "from": { "engine": "sqlite", "path": "data/app.db" },
      "too": ["near"]
    }
  }
}
END
hf 2 -c bad.json config validate
err 'bad.json:7' too '"to"'
quiet_out
hf 2 -c bad.json backup shop
err 'bad.json:7' too
hf 2 -c bad.json config validate --json
json out '.ok == false and (.problems | length > 0) and ([.problems[].line] | contains([7]))'
json err '.error.exit == 2 and .error.status == "INVALID"'
printf '{ "version": 1,\n "sinks": { "a" }\n}\n' >broken.json
hf 2 -c broken.json status
err 'broken.json:2'
hf 1 -c bad.json doctor
out FAIL too

# ---- the configuration itself ----
hf 0 $f config validate
out 'fleet.json: ok, 2 pipelines'
quiet_err
hf 0 $f config validate --json
json out '.ok and .pipelines == 2'
hf 0 $f config show
json out '.pipelines.shop.through == ["gz"] and .pipelines.shop.rpo == "1h"'
json out '.pipelines.shop.from[0].engine == "sqlite"'
hf 0 config schema
json out '."$schema" != null'
HOLDFAST_CONFIG=fleet.json hf 0 config validate
cp fleet.json holdfast.json
hf 0 config validate
rm holdfast.json

# ---- plugins ----
hf 0 plugins
out sqlite dir gzip engine store filter
hf 0 plugins --json
json out '[.plugins[].name] | contains(["dir", "gzip", "sqlite"])'
for p in sqlite dir gzip; do
  hf 0 plugins $p
  out "$p " 'Options:'
  hf 0 plugins $p --json
  json out ".name == \"$p\" and (.options | length > 0)"
done
hf 0 plugins sqlite
out path required busy_timeout default
hf 10 plugins sqlit
err '"sqlite"'

# ---- before the first backup ----
hf 0 $f list
out 'no backups yet'
hf 10 $f show shop
err 'no backup'
hf 10 $f restore shop --to x
hf 10 $f verify shop
hf 5 $f status
out shop logs 'no backup'
hf 5 $f status --json
json out '.stale and (.pipelines | length == 2) and .pipelines[0].last_id == null'
hf 0 $f backup -n --all
out 'would read'
[ -z "$(find a b -name '*.json' -path '*catalog*' 2>/dev/null)" ] || fail 'a dry run stored something'
hf 0 $f doctor
out ok sqlite
no_out FAIL
hf 0 $f doctor --json
json out '.ok and (.findings | length > 5)'

# ---- a backup, and every view of it ----
hf 0 $f backup shop
out 'shop  sqlite' 'near ok' 'far ok' 'readback ok'
no_err error:
hf 0 $f backup --all --json
json out '.backups | length == 2'
json out '.backups[0] | .pipeline == "shop" and .result == "done" and (.sinks | length == 2) and .verify.passed'
quiet_err
id=$(jq -r '.backups[0].id' out)
hf 0 $f backup --all -j 2
out '2 pipelines: 2 ok'
hf 0 $f list
out PIPELINE shop logs near,far "$id"
hf 0 $f list shop --json
json out '.pipelines[0].backups | length == 3'
json out ".pipelines[0].backups[1].id == \"$id\""
hf 0 $f show shop "$id"
out "$id" 'sha256sum -c SHA256SUMS' 'gunzip -c' page_size 'near ok'
hf 0 $f show shop latest --json
json out '.pipeline == "shop" and (.sources[0].objects | length == 1)'
hf 10 $f show shop 20000101T000000Z-00000000
hf 0 $f verify shop
out 'near ok' 'far ok'
hf 0 $f verify --backup all --json
json out '.passed and (.checks | length == 5)'
# A copy that is gone is no copy that is well.
mv b/shop/catalog b/shop/away
hf 3 $f verify shop
out 'near ok' 'far missing'
err 'has no copy'
hf 3 $f verify shop --json
json out '.passed == false and .checks[0].passed == false'
hf 0 $f verify shop --sink near
hf 10 $f verify shop --sink far
mv b/shop/away b/shop/catalog
hf 2 $f verify shop --backup ''
hf 2 $f show shop ''
hf 2 $f restore shop --to never.db --backup ''
hf 10 $f restore shop --to never.db --at 1970-01-01T00:00:00Z
[ ! -e never.db ] || fail 'an empty id restored'
hf 0 $f verify shop --deep
hf 0 $f list shop
out 'deep '
# A plain verify does not hide it.
hf 0 $f verify shop
hf 0 $f list shop
grep -q 'verify [0-9]s, deep [0-9]s' out || fail 'deep is hidden'
hf 0 $f list shop --json
json out '.pipelines[0].backups[-1].copies[0] | .check.kind == "verify" and .proved.kind == "deep" and .proved.passed'
hf 0 $f show shop
out 'verify passed' ', deep passed'
hf 0 $f status
out ok
hf 0 $f status shop --json
json out '.stale == false and .pipelines[0].backups == 3 and .pipelines[0].copies_missing == 0'

# ---- restore ----
hf 0 $f restore shop --to new.db -n
[ ! -e new.db ] || fail 'a dry run restored'
hf 0 $f restore shop --to new.db
out 'restored' new.db
err 'backup' 'near (ok)' "data/app.db on $(hostname)"
hf 1 $f restore shop --to new.db
err new.db
hf 0 $f restore shop --backup "$id" --to new2.db --json
json out ".restored and .id == \"$id\" and .target == \"new2.db\""
hf 0 $f restore shop --from far --to new3.db -q
quiet_err
out 'from far'
hf 10 $f restore shop --at 2001-01-01 --to new4.db
hf 0 $f restore shop --at 2099-01-01 --to new4.db
hf 2 $f restore shop --to new5.db -o nosuch=1
err nosuch
hf 2 $f restore shop --json
quiet_out
json err '.error.exit == 2 and .error.status == "INVALID"'
hf 1 $f restore shop --to new.db --json
json out '.restored == false and .error.status == "EXISTS"'
json err '.error.status == "EXISTS" and .error.exit == 1'
hf 0 $f restore shop --in-place --yes
out 'in place' safety
same 'rows after a restore in place' "$(sqlite3 data/app.db 'SELECT sum(x) FROM t')" 3

# ---- what an engine takes beyond that ----
cat >server.json <<'END'
{
  "version": 1,
  "state_dir": "server-state",
  "filters": { "gz": { "type": "gzip" } },
  "sinks": { "near": { "type": "dir", "path": "server-a" } },
  "defaults": { "through": ["gz"], "to": ["near"] },
  "pipelines": {
    "one": { "from": { "engine": "testserver", "objects": 3 } },
    "raw": { "from": { "engine": "testserver", "objects": 3 }, "through": [] },
    "two": { "from": [ { "engine": "testserver", "name": "main" },
                       { "engine": "sqlite", "name": "app", "path": "data/app.db" } ] }
  }
}
END
s="-c server.json --plugin-dir $TEST_PLUGINS"
hf 0 $s backup --all
hf 0 $s restore one --to here --only table public.orders --only "view" "a b" \
  --no-owner --role keeper --database shop -o tell=x
out 'only 0: table public.orders' 'only 1: view a b' 'no owner: yes' \
  'role: keeper' 'database: shop' 'told: x'
err 'with     only=table public.orders' 'with     no_owner=true'
hf 0 $s restore one --to there --only table public.orders -n
err 'with     only=table public.orders'
[ ! -e there ] || fail 'a dry run restored'
hf 0 $s restore one --to there -o only='table a' -o only='table b'
out 'only 0: table a' 'only 1: table b'
hf 2 $s restore one --to more --only table
err '--only needs two words: --only KIND NAME'
hf 2 $s restore one --to more --role ''
err '--role needs a name'
hf 2 $f restore shop --to more --only table orders
err '--only: the engine sqlite (source sqlite)' 'no option "only"'
hf 2 $f restore shop --to more --no-owner -n
err '--no-owner: the engine sqlite'
[ ! -e more ] || fail 'a refused restore left something'
# A server has no place below a place.
hf 2 $s restore two --to 'host=db dbname=x'
err 'has 2 sources' '--source main --to PLACE'
hf 2 $s restore two --to 'host=db dbname=x' -n
[ ! -e 'host=db dbname=x' ] || fail 'a folder was made of a conninfo'
hf 0 $s restore two --to alone --source main --role keeper
hf 2 $s restore two --to alone --source app --role keeper
err 'the engine sqlite (source app)'
# A password that somebody typed is not written down.
hf 10 $s restore one --to 'nowhere/password=hunter22'
no_err hunter22
no_out hunter22
err 'password=********'
grep -rq hunter22 server-a && fail 'a password in a report'
hf 10 $s restore one --to 'nowhere/password=hunter22' --json
no_out hunter22
# By hand: objects that are scripts go to the tool that the engine names.
hf 0 $s show one
out 'cat *.sql.gz | gunzip -c | consume -d NEW'
no_out '> /tmp/'
hf 0 $s show raw
out 'cat *.sql | consume -d NEW'
hf 0 $s show two
out 'cat main/*.sql.gz | gunzip -c | consume -d NEW' '/tmp/app.db'
(cd server-a/one/data/*/ && cat *.sql.gz | gunzip -c) >by-hand
cat here/*.sql | cmp -s - by-hand || fail 'the scripts by hand'

# ---- one pipeline fails, the others do not ----
sed 's|data/log.db|data/none.db|' fleet.json >half.json
hf 10 -c half.json backup --all
out 'shop  sqlite' FAILED '2 pipelines: 1 ok, 1 failed'
err none.db
hf 10 -c half.json backup --all --json
json out '.backups[0].result == "done" and .backups[1].error.status == "NOTFOUND"'
json err '.error.status == "NOTFOUND" and .error.exit == 10'
hf 1 -c half.json doctor
out FAIL none.db

# ---- a sink is missing ----
sed 's|"path": "b"|"path": "/proc/nothing/here"|' fleet.json >part.json
hf 10 -c part.json verify shop --sink far
same 'how often the sink is said to be opened' "$(grep -c 'while: opening sink far' err)" 1
hf 3 -c part.json backup shop
out 'near ok' 'far FAILED'
hf 3 -c part.json backup shop --json
json out '.backups[0].result == "partial" and .backups[0].sinks[1].ok == false'

# ---- two fleets, one list ----
sed 's|"version": 1,|"version": 1, "environment": "staging",|' fleet.json >staging.json
# An id has whole seconds.
sleep 1
hf 0 $f backup logs
no_err 'two fleets'
sleep 1
hf 0 -c staging.json backup logs
err 'two fleets seem to share it' 'is of environment ""' 'this is "staging"'
hf 0 $f doctor logs
out 'one fleet' 'is of environment "staging"'
if unshare --uts true 2>/dev/null; then
  sleep 1
  hf 0 $f backup logs
  sleep 1
  elsewhere() { unshare --uts sh -c 'hostname elsewhere; exec "$@"' sh "$HOLDFAST" $f "$@"; }
  # A host that goes on where another one stopped was moved; two take turns.
  run 0 elsewhere backup logs
  no_err 'two fleets'
  hf 0 $f backup logs
  err 'two fleets' 'host elsewhere has made backup'
fi

# ---- what was not asked for ----
code=0
"$HOLDFAST" $f list >/dev/full 2>err || code=$?
same 'exit code with a full disk on stdout' "$code" 1
"$HOLDFAST" $f backup shop <&- >&- 2>&- || fail 'closed standard files'
integrity data/app.db
"$HOLDFAST" $f list 2>err | head -n 1 >/dev/null
[ "${PIPESTATUS[0]}" -eq 0 ] || fail 'a reader that had enough'
ok
# What is told line by line meets its absence before the end.
mkfifo reader
exec 7<>reader 8>reader 7<&-
"$HOLDFAST" $f verify shop >&8 2>err || fail 'a reader that had gone'
exec 8>&-
ok

# ---- colour: on a terminal, and not with NO_COLOR ----
if command -v script >/dev/null 2>&1; then
  TERM=xterm script -qec "'$HOLDFAST' $f status" /dev/null >out 2>err </dev/null
  grep -q $'\033\[' out || fail 'no colour on a terminal'
  NO_COLOR=1 TERM=xterm script -qec "'$HOLDFAST' $f status" /dev/null >out 2>err </dev/null
  grep -q $'\033\[' out && fail 'colour with NO_COLOR'
  hf 0 $f status
  grep -q $'\033' out && fail 'colour in a file'
  ok
  # In place: the name has to be typed.
  for answer in no shop; do
    echo $answer | script -qec "'$HOLDFAST' $f restore shop --in-place; echo code=\$?" /dev/null >out 2>err
    case $answer in
    no) out 'not confirmed' code=1 ;;
    shop) out restored code=0 ;;
    esac
  done
fi

# ---- an interrupt ends it in good order ----
hold locker data/log.db 'PRAGMA journal_mode=delete; BEGIN EXCLUSIVE;'
"$HOLDFAST" $f backup logs >out 2>err &
pid=$!
sleep 1
kill -TERM "$pid" 2>/dev/null
code=0
wait "$pid" || code=$?
release locker
same 'exit code of an interrupted backup' "$code" 130
hf 0 $f backup logs

# ---- no place for temporary files: slower, but a backup ----
sed 's|"state_dir": "state"|"state_dir": "/proc/nothing"|' fleet.json >stateless.json
hf 0 -c stateless.json backup shop
err 'warn: slow sinks will hold up'

# ---- a disk that is not mounted is an empty folder ----
mkdir unmounted
sqlite3 unmounted/a.db 'CREATE TABLE t(a)'
cat >unmounted.json <<JSON
{ "version": 1, "state_dir": "unmounted/state",
  "sinks": { "nas": { "type": "dir", "path": "unmounted/nas" } },
  "defaults": { "to": ["nas"] },
  "pipelines": { "a": { "from": { "engine": "sqlite", "path": "unmounted/a.db" } } } }
JSON
hf 0 -c unmounted.json backup a
mv unmounted/nas unmounted/elsewhere
mkdir unmounted/nas
hf 10 -c unmounted.json backup a
# What strangers keep there says nothing.
mkdir unmounted/nas/photos && echo x >unmounted/nas/photos/1.jpg
hf 10 -c unmounted.json backup a
rm -r unmounted/nas/photos
hf 10 -c unmounted.json backup a
err 'sink nas has held a repository, and has none now' 'mount it' 'unmounted/state/sinks/nas-'
run 1 test -e unmounted/nas/repo.json
hf 1 -c unmounted.json doctor a
out 'sink nas has held a repository'
# Nor is that "no backups yet".
hf 10 -c unmounted.json list a
err 'sink nas has held a repository, and has none now'
hf 10 -c unmounted.json restore a --to unmounted/new.db
err 'sink nas has held a repository, and has none now'
# It stays empty beside a sink that is there, or the next run would begin anew.
sed -e 's|"unmounted/nas" }|"unmounted/nas" }, "usb": { "type": "dir", "path": "unmounted/usb" }|' \
  -e 's|"to": \["nas"\]|"to": ["nas", "usb"]|' unmounted.json >beside.json
for i in 1 2; do
  hf 3 -c beside.json backup a
  out 'nas FAILED' 'usb ok'
  hf 3 -c beside.json verify a
  hf 0 -c beside.json restore a --to "unmounted/beside$i.db"
  run 1 sh -c 'ls -A unmounted/nas | grep .'
done
# Without repo.json alone it is still the right place.
rmdir unmounted/nas
mv unmounted/elsewhere unmounted/nas
rm unmounted/nas/repo.json
hf 0 -c unmounted.json backup a
# And it may begin anew, when somebody says so.
rm -r unmounted/nas unmounted/state/sinks
hf 0 -c unmounted.json backup a
