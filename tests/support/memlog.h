/* SPDX-License-Identifier: BSD-2-Clause */
/* A pipeline's log in memory: a memout that is one (memout_log), with what the
 * tests of logs need besides.
 *
 * memout_in and memout_out give what plugins get; memout_fail makes the n-th
 * call fail, memout_lose one name. */
#ifndef HF_TESTS_MEMLOG_H
#define HF_TESTS_MEMLOG_H

#include "support/memout.h"

struct memout *memlog_new(void); /* never NULL; memout_free */

/* Through the host table, as an engine does it.  facts: key, value, ..., NULL;
 * NULL: none.  The status of the first call that failed. */
int memlog_put(struct memout *, const char *name, const void *, size_t,
    const char *const *facts);
int memlog_remove(struct memout *, const char *name);

/* Borrowed, and may be changed to damage it; NULL: not there. */
void *memlog_get(struct memout *, const char *name, size_t *size);
bool memlog_has(struct memout *, const char *name);
/* Into value; "" when the object or the fact is not there. */
const char *memlog_fact(struct memout *, const char *name, const char *key,
    char *value, size_t cap);

#endif
