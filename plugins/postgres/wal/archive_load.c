/* SPDX-License-Identifier: BSD-2-Clause */
#include "archive_private.h"
#include "postgres.h"
#include "wal.h"
#include "workers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_SIZE_DEFAULT ((uint32_t)16 << 20)
#define DOCUMENTS_AT_ONCE 8

/* ---- the document of an object ---- */

static int
take_fact(void *arg, const char *key, const char *value)
{
	struct wal_facts *f = arg;

	if (strcmp(key, WAL_FACT_FIRST_COMMIT) == 0)
		f->first_commit_us = strtoll(value, NULL, 10);
	else if (strcmp(key, WAL_FACT_LAST_COMMIT) == 0)
		f->last_commit_us = strtoll(value, NULL, 10);
	else if (strcmp(key, WAL_FACT_END) == 0 && !lsn_parse(value, &f->end))
		f->end = 0;
	else if (strcmp(key, WAL_FACT_SEGMENT_SIZE) == 0)
		f->segment_size = strtoull(value, NULL, 10);
	else if (strcmp(key, "raw_size") == 0)
		f->raw_size = strtoull(value, NULL, 10);
	return 0;
}

int
wal_facts(struct hf_in *log, const char *name, struct wal_facts *f,
    struct hf_error *err)
{
	memset(f, 0, sizeof *f);
	return H->log_facts(log, name, take_fact, f, err);
}

/* ---- which systems there are ---- */

struct systems {
	int (*fn)(void *, uint64_t system);
	void *arg;
	uint64_t last;
	int rc;
};

/* "<system>/...", whatever follows. */
static bool
system_of(const char *key, uint64_t *system)
{
	struct wal_name n;

	/* What one segment size allows, another may not: small ones have more
	 * segments in a name's half, large ones more offsets. */
	return wal_name_of_log(key, (uint32_t)1 << 20, system, &n) ||
	       wal_name_of_log(key, (uint32_t)1 << 30, system, &n) ||
	       wal_name_of_log(key, SEGMENT_SIZE_DEFAULT, system, &n);
}

static int
next_system(void *arg, const struct hf_object *o)
{
	struct systems *s = arg;
	uint64_t system;

	/* Those of one system stand together. */
	if (!system_of(o->key, &system) || system == s->last)
		return 0;
	s->last = system;
	return s->rc = s->fn(s->arg, system);
}

int
archive_systems(struct hf_in *log, int (*fn)(void *, uint64_t system),
    void *arg, struct hf_error *err)
{
	struct systems s = { .fn = fn, .arg = arg };
	int rc = H->in_list(log, next_system, &s, err);

	return s.rc != 0 ? s.rc : rc;
}

struct only {
	uint64_t first, second;
};

static int
take_system(void *arg, uint64_t system)
{
	struct only *o = arg;

	if (o->first == 0)
		o->first = system;
	else
		o->second = system;
	return o->second != 0;
}

static int
only_system(struct hf_in *log, uint64_t *system, struct hf_error *err)
{
	struct only o = { 0, 0 };
	int rc;

	if ((rc = archive_systems(log, take_system, &o, err)) < 0)
		return rc;
	if (o.first == 0)
		return H->fail(err, HF_E_NOTFOUND, "the log has no WAL");
	if (o.second != 0)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Each server needs a pipeline of its own; one that was set "
		    "up anew is another server.",
		    "the log has WAL of several servers: system identifiers "
		    "%" PRIu64 " and %" PRIu64,
		    o.first, o.second);
	*system = o.first;
	return HF_OK;
}

/* ---- how long segments are ---- */

struct first_name {
	uint64_t system;
	char name[WAL_LOG_MAX];
};

static int
take_first(void *arg, const struct hf_object *o)
{
	struct first_name *f = arg;
	uint64_t system;

	if (!system_of(o->key, &system) || system != f->system)
		return 0;
	(void)snprintf(f->name, sizeof f->name, "%s", o->key);
	return 1;
}

/* As the document of the first object says. */
static int
find_segment_size(struct hf_in *log, struct archive *a, struct hf_error *err)
{
	struct first_name f = { .system = a->system };
	struct wal_facts facts;
	int rc;

	a->segment_size = SEGMENT_SIZE_DEFAULT;
	if ((rc = H->in_list(log, take_first, &f, err)) < 0)
		return rc;
	if (f.name[0] == '\0')
		return HF_OK;
	if ((rc = wal_facts(log, f.name, &facts, err)) != HF_OK)
		return rc;
	if (!wal_segment_size_valid(facts.segment_size))
		return H->fail(err, HF_E_CORRUPT,
		    "the document of %s does not say how long segments are",
		    f.name);
	a->segment_size = (uint32_t)facts.segment_size;
	return HF_OK;
}

/* ---- the names ---- */

struct listing {
	struct archive *a;
	bool nomem;
};

static int
take_name(void *arg, const struct hf_object *o)
{
	struct listing *l = arg;
	struct archive *a = l->a;
	struct wal_name n, *more;
	uint64_t system;
	size_t cap;

	if (!wal_name_of_log(o->key, a->segment_size, &system, &n)) {
		/* Of another system it may have another segment size. */
		if (a->stranger[0] == '\0' && !system_of(o->key, &system))
			(void)snprintf(
			    a->stranger, sizeof a->stranger, "%s", o->key);
		return 0;
	}
	if (system != a->system)
		return 0;
	if (a->n == a->cap) {
		cap = a->cap == 0 ? 256 : a->cap * 2;
		if ((more = realloc(a->names, cap * sizeof *more)) == NULL) {
			l->nomem = true;
			return 1;
		}
		a->names = more;
		a->cap = cap;
	}
	a->names[a->n++] = n;
	return 0;
}

int
archive_list(struct hf_in *log, struct archive *a, const char *prefix,
    struct hf_error *err)
{
	struct listing l = { .a = a };
	int rc = H->log_list(log, prefix, take_name, &l, err);

	if (l.nomem)
		return postgres_nomem(err);
	if (rc < 0)
		return rc;
	if (a->n > 0)
		qsort(a->names, a->n, sizeof *a->names, archive_compare);
	return HF_OK;
}

/* ---- histories ---- */

/* Damaged: noted, not failed: the rest of the log can still be used. */
static int
read_history(struct hf_in *log, struct archive *a, const struct wal_name *n,
    struct hf_error *err)
{
	struct history *h = &a->histories[a->nhistories];
	char name[WAL_LOG_MAX], why[WHY_MAX];
	struct hf_error *own = H->fail_new();
	void *data = NULL;
	size_t len;
	int rc;

	wal_name_log(n, a->system, a->segment_size, name);
	rc = wal_read(log, name, &data, &len, own);
	if (rc != HF_OK && rc != HF_E_CORRUPT && rc != HF_E_NOTFOUND) {
		(void)H->fail_move(err, own);
		goto done;
	}
	(void)why_say(why, rc,
	    rc == HF_E_NOTFOUND ? "it cannot be read" : "it is damaged");
	if (rc == HF_OK)
		rc = history_parse(data, len, n->timeline, h, why);
	if (rc == HF_E_NOMEM) {
		rc = postgres_nomem(err);
	} else if (rc == HF_OK) {
		a->nhistories++;
	} else {
		if (a->broken[0] == '\0') {
			(void)snprintf(a->broken, sizeof a->broken, "%s", name);
			(void)snprintf(
			    a->broken_why, sizeof a->broken_why, "%s", why);
		}
		rc = HF_OK;
	}
done:
	free(data);
	H->fail_free(own);
	return rc;
}

int
archive_read_histories(
    struct hf_in *log, struct archive *a, struct hf_error *err)
{
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < a->n; i++)
		n += a->names[i].kind == WAL_HISTORY;
	if (n == 0)
		return HF_OK;
	if ((a->histories = calloc(n, sizeof *a->histories)) == NULL)
		return postgres_nomem(err);
	for (size_t i = 0; i < a->n; i++)
		if (a->names[i].kind == WAL_HISTORY &&
		    (rc = read_history(log, a, &a->names[i], err)) != HF_OK)
			return rc;
	return HF_OK;
}

/* ---- pieces ---- */

/* Those of one segment, and their sizes. */
struct sizes {
	struct hf_in *log;
	const struct archive *a;
	const struct wal_name *names;
	uint64_t *size;
};

static int
read_size(void *arg, void *state, size_t task, struct hf_error *err)
{
	struct sizes *s = arg;
	char name[WAL_LOG_MAX];
	struct hf_error *own = H->fail_new();
	struct wal_facts facts;
	int rc;

	(void)state;
	wal_name_log(&s->names[task], s->a->system, s->a->segment_size, name);
	rc = wal_facts(s->log, name, &facts, own);
	if (rc == HF_OK) {
		s->size[task] = facts.raw_size;
	} else if (rc == HF_E_NOTFOUND) {
		/* Its segment became whole meanwhile. */
		s->size[task] = 0;
		rc = HF_OK;
	} else {
		(void)H->fail_move(err, own);
	}
	H->fail_free(own);
	return rc;
}

/* Has a timeline left this one before lsn, so that a recovery on the way to it
 * may not get this one's pieces?  Where the segment of that one is there, the
 * recovery asks for it first, and who asks for this one's wants this one. */
static bool
was_left(const struct archive *a, uint32_t timeline, uint64_t segno, lsn_t lsn)
{
	for (size_t i = 0; i < a->nhistories; i++) {
		const struct history *h = &a->histories[i];

		for (size_t e = 0; e < h->n; e++) {
			uint32_t next = e + 1 < h->n
					    ? h->entries[e + 1].timeline
					    : h->timeline;

			if (h->entries[e].timeline == timeline &&
			    h->entries[e].end < lsn &&
			    !archive_has(a, next, segno))
				return true;
		}
	}
	return false;
}

static int
join_pieces(struct hf_in *log, struct archive *a, size_t first, size_t n,
    struct hf_error *err)
{
	static const struct workers_ops ops = { .task = read_size };
	const struct wal_name *names = &a->names[first];
	struct sizes s = { .log = log, .a = a, .names = names };
	lsn_t start = names->segno * a->segment_size;
	uint64_t joined = 0, end;
	int rc;

	if ((s.size = calloc(n, sizeof *s.size)) == NULL)
		return postgres_nomem(err);
	if ((rc = workers_run(DOCUMENTS_AT_ONCE, n, &ops, &s, err)) != HF_OK)
		goto done;
	for (size_t i = 0; i < n && names[i].offset <= joined; i++) {
		end = names[i].offset + s.size[i];
		joined = end > joined ? end : joined;
	}
	if (joined > a->segment_size)
		joined = a->segment_size;
	if (joined > 0 &&
	    !was_left(a, names->timeline, names->segno, start + joined))
		a->pieces[a->npieces++] = (struct pieces){
			.timeline = names->timeline,
			.segno = names->segno,
			.end = start + joined,
		};
done:
	free(s.size);
	return rc;
}

/* The end of one timeline, whose names are [from, to): pieces count when no
 * later segment is there, and its own is not. */
static int
end_of_timeline(struct hf_in *log, struct archive *a, size_t from, size_t to,
    struct hf_error *err)
{
	size_t first, n = 0;
	uint64_t segno;

	while (to > from && a->names[to - 1].kind != WAL_SEGMENT &&
	       a->names[to - 1].kind != WAL_PIECE)
		to--;
	if (to == from || a->names[to - 1].kind != WAL_PIECE)
		return HF_OK;
	segno = a->names[to - 1].segno;
	for (first = to; first > from && a->names[first - 1].segno == segno &&
			 a->names[first - 1].kind == WAL_PIECE;
	     first--)
		n++;
	if (archive_has(a, a->names[first].timeline, segno))
		return HF_OK;
	return join_pieces(log, a, first, n, err);
}

int
archive_read_pieces(struct hf_in *log, struct archive *a, struct hf_error *err)
{
	size_t timelines = 0, from, to;
	int rc;

	for (size_t i = 0; i < a->n; i++)
		timelines +=
		    i == 0 || a->names[i].timeline != a->names[i - 1].timeline;
	if (timelines == 0)
		return HF_OK;
	if ((a->pieces = calloc(timelines, sizeof *a->pieces)) == NULL)
		return postgres_nomem(err);
	for (from = 0; from < a->n; from = to) {
		for (to = from; to < a->n && a->names[to].timeline ==
						 a->names[from].timeline;
		     to++)
			continue;
		if ((rc = end_of_timeline(log, a, from, to, err)) != HF_OK)
			return rc;
	}
	return HF_OK;
}

int
archive_load(struct hf_in *log, uint64_t system, uint32_t segment_size,
    struct archive **out, struct hf_error *err)
{
	struct archive *a;
	int rc;

	*out = NULL;
	if ((a = calloc(1, sizeof *a)) == NULL)
		return postgres_nomem(err);
	a->system = system;
	a->segment_size = segment_size;
	if ((system == 0 &&
		(rc = only_system(log, &a->system, err)) != HF_OK) ||
	    (segment_size == 0 &&
		(rc = find_segment_size(log, a, err)) != HF_OK) ||
	    (rc = archive_list(log, a, "", err)) != HF_OK ||
	    (rc = archive_read_histories(log, a, err)) != HF_OK ||
	    (rc = archive_read_pieces(log, a, err)) != HF_OK) {
		archive_free(a);
		return rc;
	}
	*out = a;
	return HF_OK;
}

void
archive_free(struct archive *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->nhistories; i++)
		history_clear(&a->histories[i]);
	free(a->histories);
	free(a->pieces);
	free(a->names);
	free(a);
}
