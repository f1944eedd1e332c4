/* SPDX-License-Identifier: BSD-2-Clause */
/* A base backup, and the increments on it, as a data directory: files,
 * tablespaces, settings. */
#ifndef HF_POSTGRES_RECOVER_CLUSTER_H
#define HF_POSTGRES_RECOVER_CLUSTER_H

#include "chain.h"
#include "limits.h"
#include "recover.h"

struct cluster {
	struct hf_engine *e;
	const struct hf_request *req;
	struct links links;
	const char *dir; /* absolute */
	const struct recover_target *target;
	const char *restore_command; /* as the server is to have it */
	/* A private copy: tablespaces go below this folder, and no settings of
	 * the source's are kept.  NULL: it is none. */
	const char *below;

	/* Told. */
	size_t files;
	uint64_t bytes;
	bool configured; /* it had a postgresql.conf */
	bool has_limits;
	struct limits limits;
};

/* As hf_engine_ops.restore. */
int cluster_restore(struct cluster *, struct hf_error *);

#endif
