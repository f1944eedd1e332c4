#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ctest: TIMEOUT 6000 LABELS serial LONG
# test_postgres_pitr.sh, and behind it thirty targets, across a promotion too,
# and kills at random.
#   HOLDFAST_TEST_KILL_MINUTES   for so long; default: 3
pitr_long=1
# shellcheck source=tests/e2e/test_postgres_pitr.sh
. "$(dirname "$0")/test_postgres_pitr.sh"
