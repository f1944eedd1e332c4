/* SPDX-License-Identifier: BSD-2-Clause */
/* The sqlite engine: what its files share.
 *
 * The one rule of this folder: a live database, its -wal and its -shm are
 * never opened or closed except by SQLite.  POSIX locks belong to the process,
 * and closing any descriptor of a file drops all of them, those of other
 * connections in this process too.  So look with stat(), and read through the
 * file handles that SQLite lends.
 */
#ifndef HF_SQLITE_SQLITE_H
#define HF_SQLITE_SQLITE_H

#include <holdfast/plugin.h>

/* The core's services; set once, when the plugin is loaded. */
extern const struct hf_host *H;

/* The option table fills this. */
struct conf {
	const char *path;
	int64_t busy_timeout, stall_budget; /* milliseconds */
	int64_t wal_warn;                   /* bytes */
	const char *method;                 /* "auto", "direct" or "api" */
};

/* holdfast restore -o */
struct restore_conf {
	const char *check;
};

struct hf_engine {
	const struct hf_ctx *ctx;
	struct conf conf;
};

/* Record a failure with a hint.  Returns status. */
int sqlite_fail_hint(struct hf_error *, int status, const char *hint,
    const char *fmt, ...) HF_PRINTF(4, 5);

#endif
