/* SPDX-License-Identifier: BSD-2-Clause */
/* What a manifest says about a database, and a restored one must agree with. */
#ifndef HF_SQLITE_FACTS_H
#define HF_SQLITE_FACTS_H

#include "source.h"

struct hf_out;

#define FACTS_HASH 65 /* 64 digits and the NUL */

/* SHA-256 over the ordered schema, and the number of tables: a SQLite result
 * code. */
int facts_schema(sqlite3 *, char hex[FACTS_HASH], int64_t *tables);

/* Tell all that a transaction shows. */
int facts_tell(struct source *, struct hf_out *, struct hf_error *);

/* One number or text. */
int facts_number(
    struct hf_out *, const char *key, int64_t value, struct hf_error *);

#endif
