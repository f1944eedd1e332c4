/* SPDX-License-Identifier: BSD-2-Clause */
/* The built database takes the place of one that is in use.
 *
 * Both renames are one transaction.  The first takes a lock that keeps new
 * connections waiting, and then waits five seconds for those that are there
 * to go; with force they are ended meanwhile from a second connection, so
 * nobody who reconnects can slip in between.  Who waited finds the new one.
 */
#ifndef HF_POSTGRES_LOAD_SWAP_H
#define HF_POSTGRES_LOAD_SWAP_H

#include <holdfast/plugin.h>

struct target;
struct text;

void swap_add_rename(struct text *sql, const char *from, const char *to);
/* comment NULL: none. */
void swap_add_comment(struct text *sql, const char *name, const char *comment);

/* On HF_OK t->safety is the name of the former one.  The new one is looked at
 * once more; if that fails both have their names back. */
int swap_run(struct target *t, struct hf_error *);

#endif
