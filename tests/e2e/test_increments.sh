#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Incremental backups at the command line: which kind, and what is said of it.
. "$(dirname "$0")/lib.sh"
need jq
: "${TEST_PLUGINS:?}"

cat >fleet.json <<'END'
{
  "version": 1,
  "state_dir": "state",
  "filters": { "gz": { "type": "gzip" } },
  "sinks": {
    "near": { "type": "dir", "path": "a" },
    "far":  { "type": "dir", "path": "b" }
  },
  "pipelines": {
    "shop": {
      "from": { "engine": "testdelta", "path": "file" },
      "through": ["gz"], "to": ["near", "far"],
      "incremental": { "full_every": "1d", "max_chain": 3 },
      "retention": { "last": 1 }
    },
    "plain": {
      "from": { "engine": "testdelta", "path": "file" }, "to": ["near"]
    }
  }
}
END
f="--plugin-dir $TEST_PLUGINS -c fleet.json"
head -c 20000 /dev/zero | tr '\0' 'x' >file

# change N: another state of the file, kept as file.N.
change() {
  printf 'state %s' "$1" | dd of=file bs=1 seek=$(($1 * 1500)) conv=notrunc status=none
  printf 'state %s' "$1" | dd of=file bs=1 seek=9000 conv=notrunc status=none
  cp file "file.$1"
}
# restored ID N: it is that state.
restored() {
  rm -f again
  hf 0 $f restore shop --backup "$1" --to again
  cmp -s again "file.$2" || fail "$1 is not state $2"
  ok
}

# ---- which kind ----
hf 2 $f backup shop --full --incremental
quiet_out
err '--full and --incremental exclude each other' 'hint:'
hf 0 backup --help
out --full --incremental
change 0
hf 0 $f backup -n shop
out 'full (there is no earlier backup)'
hf 0 $f backup shop
out 'full (there is no earlier backup)'
full=$("$HOLDFAST" $f list shop --json | jq -r '.pipelines[0].backups[0].id')
change 1
hf 0 $f backup -n shop --json
json out ".backups[0].kind == \"incremental\" and .backups[0].parent == \"$full\""
hf 0 $f backup -n --full shop
out ', full'
hf 0 $f backup shop
out "incremental on $full"
one=$("$HOLDFAST" $f list shop --json | jq -r '.pipelines[0].backups[1].id')
change 2
hf 0 $f backup shop --json
json out ".backups[0].kind == \"incremental\" and .backups[0].parent == \"$one\" and (.backups[0] | has(\"full_because\") | not)"
two=$(jq -r '.backups[0].id' out)
hf 0 $f list shop
out incremental full
hf 0 $f list shop --json
json out ".pipelines[0].backups | map(.kind) == [\"full\", \"incremental\", \"incremental\"]"
json out ".pipelines[0].backups[2].parent == \"$one\""
for i in 0 1 2; do
  restored "$(jq -r ".pipelines[0].backups[$i].id" out 2>/dev/null || echo)" "$i" 2>/dev/null ||
    fail "restore $i"
  "$HOLDFAST" $f list shop --json >out
done
hf 0 $f verify shop --deep --backup all

hf 0 $f restore -n shop --to again2
err "  on       $one"

# Where the file says nothing it is full, unless asked.
hf 0 $f backup plain
no_out 'full (' incremental
hf 0 $f backup plain --incremental --json
json out '.backups[0].kind == "incremental"'

# ---- by hand ----
hf 0 $f show shop "$two"
out "parent" "$one" 'needs all of, in this order' 'put the 3 together' ', incremental'
awk '/in this order/ { n = 1 } n && /^    2/ { print $1 }' out | head -3 >order
printf '%s\n' "$full" "$one" "$two" | cmp -s - order || fail "the order by hand: $(cat order)"
ok
rm -rf "/tmp/$full" "/tmp/$one" "/tmp/$two"
# The commands that are shown do what they say.
grep '^    \(cd\|sha256sum\|mkdir\|gunzip\|cat\) ' out >byhand.sh
(set -e; . ./byhand.sh) >byhand.out 2>&1 || fail "by hand: $(cat byhand.out)"
cmp -s "/tmp/$full/data" file.0 || fail "by hand the full one is something else"
ok
rm -rf "/tmp/$full" "/tmp/$one" "/tmp/$two"

# ---- a full one when it is due, or asked for ----
change 3
hf 0 $f backup shop
out incremental
change 4
hf 0 $f backup shop --json
json out '.backups[0].kind == "full" and (.backups[0].full_because | test("3 increments"))'
four=$(jq -r '.backups[0].id' out)
change 5
hf 0 $f backup shop --json
json out ".backups[0].parent == \"$four\""
five=$(jq -r '.backups[0].id' out)

# ---- retention ----
hf 0 $f prune shop --json
json out '.pipelines[0].backups | map(select(.keep)) | length == 2'
hf 0 $f list shop --json
json out ".pipelines[0].backups | map(.id) == [\"$four\", \"$five\"]"
restored "$five" 5

# ---- a parent that is gone ----
rm "b/shop/catalog/$four.json"
hf 0 $f list shop
out 'far:parent MISSING'
hf 4 $f status shop
out 'BROKEN, lacks its parent'
hf 4 $f verify shop
err "$four" 'does not have'
hf 10 $f restore shop --backup "$five" --from far --to again2
err "$four" "$five"
restored "$five" 5
hf 0 $f copy shop --from near --to far
hf 0 $f verify shop
hf 0 $f status shop
rm "a/shop/catalog/$four.json" "b/shop/catalog/$four.json"
change 6
hf 0 $f backup shop
out 'full (' "$four"
