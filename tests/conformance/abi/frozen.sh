#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# frozen.sh FROZEN PRESENT: every word of the frozen header, comments apart,
# stands in the present one in the same order.  Offsets are compared elsewhere;
# this sees a changed type of an argument.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

words() {
	sed -e ':a' -e 'N' -e '$!ba' \
		-e 's|/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/| |g' "$1" |
		grep -v 'define HF_ABI_MINOR' | tr -s ' \t\\' '\n\n\n' |
		sed '/^$/d'
}

words "$1" >"$dir/frozen"
words "$2" >"$dir/present"
grep -q hf_store_ops "$dir/frozen"
if diff "$dir/frozen" "$dir/present" | grep '^<'; then
	echo "these words of the frozen header are gone from $2" >&2
	exit 1
fi
