#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A lower folder of core/ never includes a higher one, and nothing in core/
# knows a plugin.  HOLDFAST_SOURCE: the tree.
cd "${HOLDFAST_SOURCE:?}/core" || exit 1
found=0
# may_not FOLDER HIGHER...
may_not() {
  folder=$1
  shift
  for higher in "$@"; do
    grep -nE "#include \"$higher/" "$folder"/*.[ch] && found=1
  done
}
may_not base plugin config flow repo cli
may_not plugin config flow repo cli
may_not config flow repo cli
may_not flow config repo cli
may_not repo cli
grep -nE '#include "(plugins|sinks)/' ./*/*.[ch] && found=1
[ "$found" -eq 0 ] && echo "no folder includes a higher one"
exit "$found"
