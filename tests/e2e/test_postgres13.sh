#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 5400 LABELS serial LONG
# The tests of PostgreSQL with version 13, out of Debian 11: the oldest that is
# supported, and the older protocol of base backups.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
# shellcheck source=tests/e2e/debian.sh
. "$here/debian.sh"

debian_postgres bullseye 13
debian_programs test_postgres_{incr_live,base_check}
debian_scripts "$here"/test_postgres.sh \
  "$here"/test_postgres_{select,load,physical,incr,recover,pitr,prune}.sh \
  "$here"/../faults/test_postgres_{faults,kill,restore}.sh
