/* SPDX-License-Identifier: BSD-2-Clause */
/* One database out of a moment: recovered in a private server, copied from
 * there by the logical engine. */
#ifndef HF_POSTGRES_RECOVER_COPY_H
#define HF_POSTGRES_RECOVER_COPY_H

#include "recover.h"

struct links;

/* As recover_run, for a target that is a conninfo. */
int copy_run(struct hf_engine *, const struct hf_request *,
    const struct links *, const struct recover_target *, struct hf_error *);

#endif
