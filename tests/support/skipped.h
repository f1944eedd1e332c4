/* SPDX-License-Identifier: BSD-2-Clause */
/* A case that cannot run here is no case that passed: cmocka's own skip()
 * leaves the exit code 0.  Include after cmocka.h. */
#ifndef HF_TESTS_SUPPORT_SKIPPED_H
#define HF_TESTS_SUPPORT_SKIPPED_H

#include <stdbool.h>

static bool skipped_some;

#define SKIP()                       \
	do {                         \
		skipped_some = true; \
		skip();              \
	} while (0)

/* The program's exit code, of what cmocka's runner gave: 77 tells ctest that
 * a case was skipped. */
static inline int
skipped_exit(int failed)
{
	return failed == 0 && skipped_some ? 77 : failed;
}

#endif
