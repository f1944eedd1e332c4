/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include "conn.h"
#include "place.h"
#include "postgres.h"
#include "walfile.h"
#include "waiting.h"
#include "workers.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARKS "wal-pushed"
/* Of other files in one call: so many for each connection, and after so long
 * none is begun any more. */
#define BATCH_EACH 8
#define BATCH_MAX 64
#define BATCH_TIME 5000 /* ms */

/* One call: its own file, and others that wait behind it. */
struct push {
	struct hf_engine *e;
	struct hf_out *log;
	struct hf_in *have;
	struct walfile *own;
	char folder[PATH_MAX]; /* of the file */
	char marks[PATH_MAX];
	struct waiting waiting;
	atomic_bool enough; /* of the others */
	int64_t until;
};

/* An earlier call has brought it to the log already: then no sink is opened. */
static bool
served(const struct push *p, struct walfile *s)
{
	struct mark m;
	bool fits;

	if (!mark_read(p->marks, s->file, &m))
		return false;
	fits = mark_fits(&m, s->fd);
	mark_remove(p->marks, s->file);
	return fits;
}

/* Whatever becomes of it: the server will ask for it, and hears of it then. */
static void
push_other(struct push *p, const char *file)
{
	char path[PATH_MAX];
	struct walfile s;
	struct mark m;
	int rc;

	if (snprintf(path, sizeof path, "%s/%s", p->folder, file) >=
	    (int)sizeof path)
		return;
	if ((rc = walfile_open(&s, path, NULL)) != HF_OK) {
		/* Another call can have been faster. */
		if (rc != HF_E_NOTFOUND)
			atomic_store(&p->enough, true);
		return;
	}
	if (s.system != p->own->system ||
	    (rc = walfile_put(&s, p->log, p->have, &m, NULL)) != HF_OK)
		atomic_store(&p->enough, true);
	else
		(void)mark_write(p->marks, file, &m);
	walfile_close(&s);
}

static int
task(void *arg, void *state, size_t n, struct hf_error *err)
{
	struct push *p = arg;
	struct mark m;

	(void)state;
	if (n == 0)
		return walfile_put(p->own, p->log, p->have, &m, err);
	if (!atomic_load(&p->enough) && conn_now() < p->until &&
	    !H->cancelled(p->e->ctx))
		push_other(p, waiting_file(&p->waiting, n - 1));
	return HF_OK;
}

static bool
marked(void *arg, const char *file)
{
	struct push *p = arg;
	struct mark m;

	return mark_read(p->marks, file, &m);
}

/* What to bring along.  Only where marks can be left: without them the work
 * would be done twice. */
static void
look_behind(struct push *p, unsigned jobs)
{
	size_t most = (size_t)jobs * BATCH_EACH;

	mark_sweep(p->marks, NULL, NULL);
	waiting_find(&p->waiting, p->folder, p->own->file,
	    most < BATCH_MAX ? most : BATCH_MAX, marked, p);
}

static int
push_all(struct push *p, struct hf_error *err)
{
	static const struct workers_ops ops = { .task = task };
	unsigned jobs =
	    p->e->conf.wal.jobs > 0 ? (unsigned)p->e->conf.wal.jobs : 1;
	int lock, rc;

	lock = p->marks[0] == '\0' ? -1 : mark_lock(p->marks);
	if (lock != -1)
		look_behind(p, jobs);
	p->until = conn_now() + BATCH_TIME;
	rc = workers_run(jobs, 1 + p->waiting.n, &ops, p, err);
	waiting_free(&p->waiting);
	if (lock != -1)
		(void)close(lock);
	return rc;
}

int
wal_push(struct hf_engine *e, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *err)
{
	struct walfile own;
	struct push *p;
	int rc;

	if ((rc = walfile_open(&own, file, err)) != HF_OK)
		return rc;
	if ((p = calloc(1, sizeof *p)) == NULL) {
		walfile_close(&own);
		return postgres_nomem(err);
	}
	p->e = e;
	p->log = log;
	p->have = have;
	p->own = &own;
	if (!place_folder(file, p->folder, sizeof p->folder) ||
	    !mark_folder(e, MARKS, own.system, p->marks, sizeof p->marks))
		p->marks[0] = '\0';
	rc = p->marks[0] != '\0' && served(p, &own) ? HF_OK : push_all(p, err);
	free(p);
	walfile_close(&own);
	return rc;
}
