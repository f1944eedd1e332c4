/* SPDX-License-Identifier: BSD-2-Clause */
/* Restore: databases built under a temporary name, checked, then renamed; or
 * single objects, or the rows alone, into a database that is there. */
#ifndef HF_POSTGRES_LOAD_H
#define HF_POSTGRES_LOAD_H

#include <holdfast/plugin.h>

/* target: as conninfo_target has it.  A backup of one database goes to the
 * dbname of the target, or to its own name when that gives none.  One of
 * several goes, with restore_conf.database, the same way; without it, all go
 * under their own names, and a target with a dbname is HF_E_INVALID. */
int load_run(struct hf_engine *, const struct hf_request *,
    struct hf_in *const *, size_t n, struct hf_error *);

/* Only the look at the target that load_run begins with, for who has hours of
 * work before it can be called: a whole database under the dbname of the target
 * would be refused for what is there now.  Single objects are not asked
 * about. */
int load_look(struct hf_engine *, const struct hf_request *, struct hf_error *);

#endif
