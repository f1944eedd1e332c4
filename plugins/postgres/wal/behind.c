/* SPDX-License-Identifier: BSD-2-Clause */
#include "behind.h"

#include "place.h"
#include "postgres.h"
#include "wal.h"
#include "waiting.h"
#include "workers.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MARKS "wal-pushed"
/* So many at a time for each connection; then it is looked again what waits,
 * and in which order. */
#define BATCH_EACH 8
/* The server's call waits so long for a file that is being brought along. */
#define PATIENCE 10000 /* ms */
#define LOOK 5

/* ---- the server's calls ---- */

bool
behind_marks(
    const struct hf_engine *e, const struct walfile *s, char *out, size_t cap)
{
	return mark_folder(e, MARKS, s->system, out, cap);
}

bool
behind_has(struct hf_engine *e, const char *marks, const struct walfile *s)
{
	struct mark m;
	bool fits, read;

	/* They are taken in the server's order, so that this one is among the
	 * next, or nobody is at work any more. */
	for (int ms = 0; !(read = mark_read(marks, s->file, &m)); ms += LOOK)
		if (ms >= PATIENCE || !mark_locked(marks) ||
		    !H->sleep(e->ctx, LOOK))
			break;
	if (!read && !mark_read(marks, s->file, &m))
		return false;
	fits = mark_fits(&m, s->fd);
	mark_remove(marks, s->file);
	return fits;
}

static bool
marked(void *arg, const char *file)
{
	const char *marks = arg;
	struct mark m;

	return mark_read(marks, file, &m);
}

bool
behind_wanted(const char *marks, const char *folder, const struct walfile *s)
{
	struct waiting w;
	bool wanted;

	if (mark_locked(marks))
		return false;
	waiting_find(&w, folder, s->file, 1, marked, (void *)(uintptr_t)marks);
	wanted = w.n > 0;
	waiting_free(&w);
	return wanted;
}

/* ---- the process of its own ---- */

struct behind {
	struct hf_engine *e;
	struct hf_out *log;
	struct hf_in *have;
	uint64_t system;
	char folder[PATH_MAX]; /* of the files */
	char marks[PATH_MAX];
	struct waiting waiting;
	atomic_bool enough;
};

/* Whatever becomes of it: the server will ask for it, and hears of it then. */
static void
push_one(struct behind *b, const char *file)
{
	char path[PATH_MAX];
	struct walfile s;
	struct mark m;
	int rc;

	/* The server may have come for it meanwhile. */
	if (!waiting_has(b->folder, file) ||
	    snprintf(path, sizeof path, "%s/%s", b->folder, file) >=
		(int)sizeof path)
		return;
	if ((rc = walfile_open(&s, path, NULL)) != HF_OK) {
		/* Another call can have been faster. */
		if (rc != HF_E_NOTFOUND)
			atomic_store(&b->enough, true);
		return;
	}
	if (s.system != b->system ||
	    walfile_put(&s, b->log, b->have, &m, NULL) != HF_OK ||
	    !mark_write(b->marks, file, &m))
		atomic_store(&b->enough, true);
	walfile_close(&s);
}

static int
task(void *arg, void *state, size_t n, struct hf_error *err)
{
	struct behind *b = arg;

	(void)state;
	(void)err;
	if (!atomic_load(&b->enough) && !H->cancelled(b->e->ctx))
		push_one(b, waiting_file(&b->waiting, n));
	return HF_OK;
}

/* Until nothing waits that has no mark, or one fails. */
static int
push_all(struct behind *b, const char *file, struct hf_error *err)
{
	static const struct workers_ops ops = { .task = task };
	unsigned jobs =
	    b->e->conf.wal.jobs > 0 ? (unsigned)b->e->conf.wal.jobs : 1;
	bool more = true;
	int rc = HF_OK;

	while (rc == HF_OK && more) {
		mark_sweep(b->marks, NULL, NULL);
		waiting_find(&b->waiting, b->folder, file,
		    (size_t)jobs * BATCH_EACH, marked, b->marks);
		rc = workers_run(jobs, b->waiting.n, &ops, b, err);
		more = b->waiting.n > 0 && !atomic_load(&b->enough) &&
		       !H->cancelled(b->e->ctx);
		waiting_free(&b->waiting);
	}
	return rc;
}

int
wal_behind(struct hf_engine *e, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *err)
{
	struct behind b = { .e = e, .log = log, .have = have };
	struct walfile s;
	int lock, rc;

	if ((rc = walfile_open(&s, file, err)) != HF_OK)
		return rc;
	b.system = s.system;
	if (place_folder(file, b.folder, sizeof b.folder) &&
	    behind_marks(e, &s, b.marks, sizeof b.marks) &&
	    (lock = mark_lock(b.marks)) != -1) {
		rc = push_all(&b, s.file, err);
		(void)close(lock);
	}
	walfile_close(&s);
	return rc;
}
