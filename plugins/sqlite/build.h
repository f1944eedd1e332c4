/* SPDX-License-Identifier: BSD-2-Clause */
/* The restored database, built beside its target and checked there. */
#ifndef HF_SQLITE_BUILD_H
#define HF_SQLITE_BUILD_H

#include <holdfast/plugin.h>

struct build {
	char *path; /* TARGET.holdfast-XXXXXX.tmp */
	int fd;     /* locked with flock(), so that others know it is alive */
	const char *pragma; /* of its check, see build_check */
};

/* Write the one object of in, check it, make it durable; mode 0600.  On
 * failure nothing is left.  pragma: "quick_check", "integrity_check", or NULL
 * for none but the hash of the object. */
int build_file(const struct hf_engine *, struct hf_in *, const char *target,
    const char *pragma, struct build *, struct hf_error *);

/* Close it; and unlink it, unless it was renamed. */
void build_end(struct build *, bool renamed);

/* Remove what killed runs left beside target. */
void build_clear(const struct hf_engine *, const char *target);

/* The check of an open database as a status: HF_E_CORRUPT with its first
 * line; what needs functions of the application is only logged. */
int build_check(const struct hf_engine *, struct hf_in *, const struct build *,
    void *sqlite3_db, const char *path, struct hf_error *);

#endif
