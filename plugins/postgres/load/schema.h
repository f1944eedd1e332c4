/* SPDX-License-Identifier: BSD-2-Clause */
/* Definitions: pg_restore with the stored schema archive. */
#ifndef HF_POSTGRES_LOAD_SCHEMA_H
#define HF_POSTGRES_LOAD_SCHEMA_H

#include <holdfast/plugin.h>

struct job;
struct toc;

/* Find pg_restore, and copy the archive to a file of ours; job->schema names
 * it. */
int schema_open(struct job *, struct hf_error *);
/* Remove that file; no-op when there is none. */
void schema_close(struct job *);

/* What is in it. */
int schema_list(struct job *, struct toc *, struct hf_error *);

/* Restore "pre-data" or "post-data" into job->work.  pick (may be NULL): which
 * entries.  Entries of pre-data that need more than our role may do to an own
 * database, and change nothing (the comment of the extension plpgsql), are
 * left out and told. */
typedef bool schema_pick_fn(void *arg, size_t entry);
int schema_restore(struct job *, const char *section, const struct toc *,
    schema_pick_fn *pick, void *arg, struct hf_error *);
/* Drop those entries of pre-data again, in reverse order, and nothing that
 * others made depend on them since; for clearing up, so it is never cancelled.
 * What cannot be dropped is logged. */
void
schema_drop(struct job *, const struct toc *, schema_pick_fn *pick, void *arg);

#endif
