/* SPDX-License-Identifier: BSD-2-Clause */
/* Following logs for as long as the service runs. */
#ifndef HF_SERVICE_FOLLOW_H
#define HF_SERVICE_FOLLOW_H

#include <stddef.h>

struct cancel;
struct hf_error;
struct repo;

/* One source whose engine follows a log (HF_LOG_FOLLOW). */
struct follow_job {
	struct repo *repo; /* of this job alone */
	size_t source;
	const char *name; /* for the log: "modulo/postgres" */
};

/* Each in a thread of its own.  One that fails is begun again, after a pause
 * that grows to a minute: a server that restarts, a sink that is away, a
 * setting that somebody is about to mend.  Returns when cancelled: HF_OK.
 * Else only what keeps a thread from starting. */
int follow_run(const struct follow_job *, size_t n, const struct cancel *,
    struct hf_error *);

#endif
