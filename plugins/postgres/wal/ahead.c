/* SPDX-License-Identifier: BSD-2-Clause */
#include "ahead.h"

#include "archive.h"
#include "fetch.h"
#include "postgres.h"
#include "wal.h"
#include "workers.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "wal-ahead"
/* So far ahead, at most so many and so many bytes, but two at least. */
#define MOST 16
#define LEAST 2
#define BYTES (UINT64_C(256) << 20)
/* A get waits so long for one that another process is fetching. */
#define PATIENCE 5000 /* ms */
#define LOOK 10

struct ahead {
	struct hf_engine *e;
	struct fetch next; /* the first; the others follow it */
	char folder[PATH_MAX];
	uint64_t count;
	atomic_bool end; /* there is no more */
};

static bool
path_of(char *out, size_t cap, const char *folder, const char *file,
    const char *suffix)
{
	int n = snprintf(out, cap, "%s/%s%s", folder, file, suffix);

	return n >= 0 && (size_t)n < cap;
}

/* "<file>.begun" stands there while it is fetched. */
static void
begun(const char *folder, const char *file, bool yes)
{
	char path[PATH_MAX];
	FILE *f;

	if (!path_of(path, sizeof path, folder, file, ".begun"))
		return;
	if (!yes)
		(void)unlink(path);
	else if ((f = fopen(path, "we")) != NULL)
		(void)fclose(f);
}

/* ---- taking ---- */

/* One that is just arriving comes sooner than if it were begun again. */
static void
wait_for(struct hf_engine *e, const char *folder, const char *file)
{
	char path[PATH_MAX];

	if (!path_of(path, sizeof path, folder, file, ".begun"))
		return;
	for (int ms = 0; ms < PATIENCE; ms += LOOK)
		if (access(path, F_OK) == -1 || !mark_locked(folder) ||
		    !H->sleep(e->ctx, LOOK))
			break;
}

int
ahead_take(struct hf_engine *e, const struct fetch *f, const char *path)
{
	char folder[PATH_MAX], from[PATH_MAX], file[WAL_FILE_MAX];
	struct mark m;
	int rc;

	if (f->name.kind != WAL_SEGMENT ||
	    !mark_folder(e, FOLDER, f->system, folder, sizeof folder))
		return HF_E_NOTFOUND;
	wal_name_file(&f->name, f->segment_size, file);
	wait_for(e, folder, file);
	if (!mark_read(folder, file, &m) ||
	    !path_of(from, sizeof from, folder, file, ""))
		return HF_E_NOTFOUND;
	rc = m.size == f->segment_size ? fetch_move(from, &m, path, NULL)
				       : HF_E_NOTFOUND;
	mark_remove(folder, file);
	(void)unlink(from);
	return rc;
}

/* ---- fetching ---- */

static int
task(void *arg, void *state, size_t n, struct hf_error *err)
{
	struct ahead *a = arg;
	struct fetch f = a->next;
	char path[PATH_MAX], file[WAL_FILE_MAX];
	struct mark m;
	int rc;

	(void)state;
	f.name.segno += n;
	wal_name_file(&f.name, f.segment_size, file);
	if (atomic_load(&a->end) || H->cancelled(a->e->ctx) ||
	    mark_read(a->folder, file, &m) ||
	    !path_of(path, sizeof path, a->folder, file, ""))
		return HF_OK;
	begun(a->folder, file, true);
	rc = fetch_object(&f, path, &m, err);
	if (rc == HF_OK && !mark_write(a->folder, file, &m))
		(void)unlink(path);
	begun(a->folder, file, false);
	if (rc == HF_OK)
		return HF_OK;
	atomic_store(&a->end, true);
	return rc == HF_E_NOTFOUND ? HF_OK : rc;
}

/* Of this timeline, those that recovery has left behind or that were fetched
 * for another place. */
static bool
surplus(void *arg, const char *file)
{
	const struct ahead *a = arg;
	struct wal_name n;

	return !wal_name_parse(file, a->next.segment_size, &n) ||
	       n.kind != WAL_SEGMENT ||
	       (n.timeline == a->next.name.timeline &&
		   (n.segno < a->next.name.segno ||
		       n.segno >= a->next.name.segno + a->count));
}

int
wal_ahead(struct hf_engine *e, const char *name, struct hf_in *log,
    struct hf_error *err)
{
	static const struct workers_ops ops = { .task = task };
	struct ahead a = { .e = e, .next.log = log };
	struct archive *had = NULL;
	int lock, rc;

	/* As restore_command, in the data directory. */
	rc = fetch_identify(&a.next, name, "pg_wal/", &had, err);
	archive_free(had);
	if (rc != HF_OK)
		return rc;
	if (a.next.name.kind != WAL_SEGMENT ||
	    !mark_folder(e, FOLDER, a.next.system, a.folder, sizeof a.folder) ||
	    (lock = mark_lock(a.folder)) == -1)
		return HF_OK;
	a.next.name.segno++;
	a.count = BYTES / a.next.segment_size;
	if (a.count > MOST)
		a.count = MOST;
	if (a.count < LEAST)
		a.count = LEAST;
	mark_sweep(a.folder, surplus, &a);
	rc = workers_run(e->conf.wal.jobs > 0 ? (unsigned)e->conf.wal.jobs : 1,
	    (size_t)a.count, &ops, &a, err);
	(void)close(lock);
	return rc;
}
