/* SPDX-License-Identifier: BSD-2-Clause */
/* PostgreSQL's own programs: finding them, and running them as children.
 *
 * Search: bin_dir alone when it is set; else the folders in which
 * distributions keep one version each (/usr/lib/postgresql/N/bin,
 * /usr/pgsql-N/bin, ...), then PATH.  Debian's /usr/bin/pg_dump chooses a
 * version by rules of its own, so PATH comes last.
 */
#ifndef HF_POSTGRES_PROGRAM_H
#define HF_POSTGRES_PROGRAM_H

#include <stdatomic.h>
#include <sys/types.h>

#include <holdfast/plugin.h>

struct conf;

struct program {
	char path[4096];
	int version; /* as the server's numbers: 150020; 130000 if "13devel" */
};

/* name: "pg_dump", "pg_restore", "postgres", ...  The one of the server's own
 * major version if there is one, else the oldest that is newer.  at_least: a
 * server's version number; only its major part counts (0: the newest there
 * is).  HF_E_NOTFOUND: none at all; HF_E_UNSUPPORTED: only older ones, with
 * the newest found and the package to install (postgresql-client-N; for
 * servers' programs postgresql-N). */
int program_find(const struct conf *, const char *name, int at_least,
    struct program *, struct hf_error *);

struct child;
struct child_options {
	const char *path;
	char *const *argv; /* argv[0] included, NULL ends */
	char *const *env;  /* NULL: ours */
	int in, out;       /* descriptors to use, or -1: /dev/null */
	const char *user;  /* run as; NULL: as we are */
	const char *dir;   /* working folder; NULL: ours */
	/* Sent when the thread that started it ends, however it ends; 0: none.
	 * The signal that ends it when we are killed. */
	int death_signal;
	/* Set by others: end it, as if cancelled; may be NULL. */
	const atomic_bool *stop;
	int64_t time_limit; /* milliseconds, then it is ended; 0: none */
};

/* Signals are reset, all descriptors but 0..2 closed; stderr is kept.  It
 * leads a process group of its own, so that a Ctrl-C reaches it by way of us
 * alone.  HF_E_NOTFOUND: no such program or user; HF_E_DENIED: may not be run,
 * or we may not become that user.  The starting thread must outlive it. */
int child_start(const struct hf_ctx *, const struct child_options *,
    struct child **, struct hf_error *);
pid_t child_pid(const struct child *);
/* Wait for its end; wakes when cancelled (or *stop), ends it then and returns
 * HF_E_CANCELLED.  A failure has what it wrote to stderr, from the first error
 * in the last 8 KiB, without its own "pg_dump: error: " before it, and a
 * status: that of what the server said when that can be told (denied, not
 * found, lock timeout, lost connection), else HF_E_IO.  Statements that it
 * repeats there are left out: they can have passwords.  Note "entry": the
 * line of the contents at which pg_restore was.  Warnings of one that ends
 * well are logged.  what: for messages, "pg_dump".  Consumes the child. */
int child_wait(struct child *, const char *what, struct hf_error *);
/* Has it ended?  It still has to be waited for. */
bool child_ended(struct child *);
/* What it wrote to stderr so far (at most the last 8 KiB); to be freed; NULL
 * without memory.  It is as written: not for users, it can have statements. */
char *child_stderr(struct child *);
/* The signal, then KILL to its whole group after ms milliseconds; consumes the
 * child.  NULL is a no-op. */
void child_stop(struct child *, int signal, int64_t ms);

/* Start, wait, with its stdout in memory (at most max bytes, else HF_E_IO), to
 * be freed, with a NUL behind it: for listings.  in: a descriptor or -1; out
 * is not looked at. */
int child_capture(const struct hf_ctx *, const struct child_options *,
    size_t max, char **text, size_t *len, const char *what, struct hf_error *);

#endif
