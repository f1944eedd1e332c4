#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 5400 LABELS serial LONG
# The tests of PostgreSQL with version 18, out of the next Debian.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
# shellcheck source=tests/e2e/debian.sh
. "$here/debian.sh"

debian_postgres sid 18
debian_programs test_postgres_{incr_live,chain_live,base_check}
debian_scripts "$here"/test_postgres.sh \
  "$here"/test_postgres_{select,load,physical,incr,recover,chain,pitr,prune}.sh \
  "$here"/../faults/test_postgres_{faults,kill,restore}.sh
