/* SPDX-License-Identifier: BSD-2-Clause */
/* A private server that recovers a base backup, for looking at it and for
 * copying from it; engine.server while it runs. */
#ifndef HF_POSTGRES_RECOVER_PRIVATE_H
#define HF_POSTGRES_RECOVER_PRIVATE_H

#include "recover.h"

struct links;

/* Is this the data directory of the engine's private server? */
bool private_is(const struct hf_engine *, const char *target);

/* Restore into it, start, recover to the target, promote.  WAL that the server
 * asks for comes from request->log. */
int private_fill(struct hf_engine *, const struct hf_request *,
    const struct links *, const struct recover_target *, struct hf_error *);

/* Start again after server_halt: it has recovered. */
int private_again(struct hf_engine *, int version, struct hf_error *);

#endif
