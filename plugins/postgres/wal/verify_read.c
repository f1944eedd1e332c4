/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify_read.h"

#include "page.h"
#include "postgres.h"
#include "segment.h"
#include "workers.h"

#include <stdlib.h>
#include <string.h>

/* Segments of a task; before them one more is read, so that what crosses into
 * the first is checked too. */
#define RUN 32
/* What is read at once: any number of pages of any size. */
#define CHUNK ((size_t)256 << 10)

struct task {
	size_t first, n; /* numbers in the archive */
	bool led;
	struct wal_name lead;
};

struct all {
	struct hf_engine *e;
	struct hf_in *log;
	const struct archive *a;
	struct verdict *verdicts;
	struct task *tasks;
	size_t ntasks;
};

/* ---- one object ---- */

struct reading {
	const struct all *all;
	const struct wal_name *name;
	struct segment_walk *walk;
	uint8_t *chunk;
	uint64_t size;
	bool ended;
	char why[WHY_MAX]; /* the first that is wrong */
};

static void
wrong(struct reading *r, const char *why)
{
	if (r->why[0] == '\0')
		(void)why_say(r->why, 0, "%s", why);
}

/* The next pages of a segment. */
static int
look_at(struct reading *r, size_t n, struct hf_error *err)
{
	struct segment_header h;
	char why[WHY_MAX];
	int rc;

	if (r->name->kind != WAL_SEGMENT && r->name->kind != WAL_PARTIAL)
		return HF_OK;
	if (r->size == n) {
		if (segment_header_why(r->chunk, n, &h, why) != HF_OK ||
		    segment_header_fits(
			&h, archive_system(r->all->a), r->name, why) != HF_OK)
			wrong(r, why);
		else if (h.segment_size != archive_segment_size(r->all->a))
			wrong(r, "its header has another segment size");
	}
	if (r->ended)
		return HF_OK;
	/* Of a .partial, what was being written when the timeline ended may be
	 * there in part. */
	rc = segment_walk_feed(r->walk, r->chunk, n, "", NULL);
	r->ended = rc != HF_OK;
	if (rc == HF_E_NOMEM)
		return postgres_nomem(err);
	if (rc == HF_E_UNSUPPORTED || rc == HF_E_CORRUPT)
		if (r->name->kind == WAL_SEGMENT)
			wrong(r, segment_walk_why(r->walk));
	return HF_OK;
}

/* A history says where timelines parted. */
static void
look_at_history(struct reading *r, size_t n)
{
	struct history h;
	char why[WHY_MAX];

	if (history_parse(r->chunk, n, r->name->timeline, &h, why) != HF_OK)
		wrong(r, why);
	else
		history_clear(&h);
}

/* A chunk, or what is left.  HF_EOF: the object has ended, and its hash is that
 * of its document. */
static int
fill(
    struct hf_reader *in, struct reading *r, size_t *have, struct hf_error *err)
{
	size_t n;
	int rc = HF_OK;

	for (*have = 0; *have < CHUNK && rc == HF_OK; *have += n) {
		if (H->cancelled(r->all->e->ctx))
			return H->fail(err, HF_E_CANCELLED, "cancelled");
		rc = H->in_read(in, r->chunk + *have, CHUNK - *have, &n, err);
	}
	r->size += *have;
	return rc;
}

static int
read_through(struct hf_reader *in, struct reading *r, struct hf_error *err)
{
	size_t have;
	int rc, seen = HF_OK;

	do {
		rc = fill(in, r, &have, err);
		if (rc < HF_OK)
			return rc;
		if (have > 0 && (seen = look_at(r, have, err)) != HF_OK)
			return seen;
	} while (rc == HF_OK);
	if (r->name->kind == WAL_HISTORY)
		look_at_history(r, r->size <= CHUNK ? have : 0);
	if (r->name->kind == WAL_SEGMENT &&
	    r->size != archive_segment_size(r->all->a))
		wrong(r, r->size < archive_segment_size(r->all->a)
			     ? "it is shorter than a segment"
			     : "it is longer than a segment");
	return HF_OK;
}

/* v NULL: it is only led over. */
static int
read_object(struct reading *r, const struct wal_name *n, struct verdict *v,
    struct hf_error *err)
{
	struct hf_error *own = H->fail_new();
	const struct archive *a = r->all->a;
	struct hf_reader *in = NULL;
	char name[WAL_LOG_MAX];
	int rc;

	r->name = n;
	r->size = 0;
	r->ended = false;
	r->why[0] = '\0';
	wal_name_log(n, archive_system(a), archive_segment_size(a), name);
	rc = H->in_open(r->all->log, name, 0, UINT64_MAX, &in, own);
	if (rc == HF_OK)
		rc = read_through(in, r, own);
	H->in_close(in);
	if (v != NULL && rc == HF_OK)
		v->read = true;
	if (rc == HF_E_CORRUPT) {
		/* Before what its content says: that may follow from it. */
		r->why[0] = '\0';
		wrong(r, "it is damaged: its bytes are not those that were "
			 "stored");
	}
	if (rc == HF_E_CORRUPT || rc == HF_E_NOTFOUND)
		rc = HF_OK;
	if (v != NULL && rc == HF_OK) {
		v->ended = r->ended;
		if (r->why[0] != '\0' && (v->why = strdup(r->why)) == NULL)
			rc = postgres_nomem(own);
	}
	if (rc != HF_OK)
		(void)H->fail_move(err, own);
	H->fail_free(own);
	return rc;
}

/* ---- tasks ---- */

static int
begin(void *arg, const atomic_bool *stop, void **state, struct hf_error *err)
{
	struct reading *r = calloc(1, sizeof *r);

	(void)stop;
	*state = NULL;
	if (r == NULL || (r->chunk = malloc(CHUNK)) == NULL) {
		free(r);
		return postgres_nomem(err);
	}
	r->all = arg;
	*state = r;
	return HF_OK;
}

static void
end(void *arg, void *state)
{
	struct reading *r = state;

	(void)arg;
	free(r->chunk);
	free(r);
}

static int
run(void *arg, void *state, size_t number, struct hf_error *err)
{
	struct all *all = arg;
	struct task *t = &all->tasks[number];
	struct reading *r = state;
	int rc;

	if ((rc = segment_walk_new(NULL, NULL, &r->walk, err)) != HF_OK)
		return rc;
	if (t->led)
		rc = read_object(r, &t->lead, NULL, err);
	for (size_t i = t->first; i < t->first + t->n && rc == HF_OK; i++)
		rc = read_object(
		    r, archive_at(all->a, i), &all->verdicts[i], err);
	segment_walk_free(r->walk);
	r->walk = NULL;
	return rc;
}

/* The segment before one: on its own timeline, or on that from which it came. */
static bool
before(const struct archive *a, const struct wal_name *n, struct wal_name *lead)
{
	if (n->kind != WAL_SEGMENT || n->segno == 0)
		return false;
	*lead = *n;
	lead->segno--;
	if (archive_has(a, lead->timeline, lead->segno))
		return true;
	for (size_t i = 0; i < archive_histories(a); i++) {
		const struct history *h = archive_history(a, i);

		/* Only its first segment goes on where another ended. */
		if (h->timeline != n->timeline ||
		    h->entries[h->n - 1].end / archive_segment_size(a) !=
			n->segno)
			continue;
		for (size_t j = h->n; j-- > 0;)
			if (archive_has(
				a, h->entries[j].timeline, lead->segno)) {
				lead->timeline = h->entries[j].timeline;
				return true;
			}
	}
	return false;
}

static void
cut(struct all *all)
{
	size_t count = archive_count(all->a);
	struct task *t = NULL;
	uint32_t timeline = 0;

	for (size_t i = 0; i < count; i++) {
		const struct wal_name *n = archive_at(all->a, i);

		/* A history stands before its timeline's first segment, which
		 * is the one to be led to. */
		if (t == NULL || t->n == RUN || n->timeline != timeline ||
		    archive_at(all->a, i - 1)->kind == WAL_HISTORY) {
			t = &all->tasks[all->ntasks++];
			*t = (struct task){ .first = i };
			t->led = before(all->a, n, &t->lead);
		}
		timeline = n->timeline;
		t->n++;
	}
}

int
verify_read(struct hf_engine *e, struct hf_in *log, const struct archive *a,
    struct verdict *verdicts, struct hf_error *err)
{
	static const struct workers_ops ops = {
		.begin = begin, .task = run, .end = end
	};
	struct all all = { .e = e, .log = log, .a = a, .verdicts = verdicts };
	int rc;

	all.tasks = calloc(archive_count(a) + 1, sizeof *all.tasks);
	if (all.tasks == NULL)
		return postgres_nomem(err);
	cut(&all);
	rc = workers_run(e->conf.wal.jobs > 1 ? (unsigned)e->conf.wal.jobs : 1,
	    all.ntasks, &ops, &all, err);
	free(all.tasks);
	return rc;
}

void
verify_read_clear(struct verdict *verdicts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(verdicts[i].why);
}
