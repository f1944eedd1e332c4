/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking: at a source before a backup, inside a restored copy after one. */
#ifndef HF_POSTGRES_INSPECT_H
#define HF_POSTGRES_INSPECT_H

#include <holdfast/plugin.h>

/* Can it be backed up?  Connection, version, pg_dump, every privilege that a
 * dump needs, roles' passwords, large objects, standby, locks held now. */
int inspect_source(
    struct hf_engine *, hf_finding_fn *, void *arg, struct hf_error *);

/* A target for load_run: on a private server that is started in dir (see
 * server.h), without a dbname; or, with conf.scratch, a new name there. */
int inspect_scratch(struct hf_engine *, const char *dir, char *target,
    size_t cap, struct hf_error *);
int inspect_target(struct hf_engine *, const char *target, struct hf_in *,
    hf_finding_fn *, void *arg, struct hf_error *);
int inspect_query(struct hf_engine *, const char *target, const char *sql,
    char *value, size_t cap, struct hf_error *);
void inspect_discard(struct hf_engine *, const char *target);

#endif
