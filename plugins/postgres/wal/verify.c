/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include "finding.h"
#include "needs.h"
#include "postgres.h"
#include "verify_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HINT_DAMAGED                                                    \
	"Restore it from another copy of the sink, or take a new base " \
	"backup: "                                                      \
	"what lies behind it can only be reached from there."
#define HINT_NEW_BASE                                                         \
	"Take a new base backup: moments behind the gap can only be reached " \
	"from one that was taken later."

struct verify {
	struct hf_engine *e;
	struct archives archives;
	const struct needs *needs;
	size_t nneeds;
	const struct archive *a; /* the system that is looked at */
	struct verdict *verdicts;
	struct findings *out;
};

/* ---- objects ---- */

/* A segment whose records end too early: later ones cannot be reached. */
static bool
ends_early(const struct verify *v, size_t i)
{
	const struct wal_name *n = archive_at(v->a, i);

	return n->kind == WAL_SEGMENT && v->verdicts[i].ended &&
	       v->verdicts[i].why == NULL &&
	       archive_has(v->a, n->timeline, n->segno + 1);
}

static void
tell_object(struct verify *v, size_t i)
{
	const struct wal_name *n = archive_at(v->a, i);
	char name[WAL_LOG_MAX];

	wal_name_log(n, archive_system(v->a), archive_segment_size(v->a), name);
	if (v->verdicts[i].why != NULL)
		finding_tell(v->out, HF_FAIL, name, HINT_DAMAGED, "%s",
		    v->verdicts[i].why);
	else if (ends_early(v, i))
		finding_tell(v->out, HF_FAIL, name, HINT_DAMAGED,
		    "its records end before it does, and later segments "
		    "follow");
}

/* Names [from, to) are of one timeline. */
static void
tell_timeline(struct verify *v, size_t from, size_t to)
{
	uint32_t size = archive_segment_size(v->a);
	char check[32], first[LSN_TEXT_MAX], last[LSN_TEXT_MAX];
	size_t segments = 0, others = 0, bad = 0;
	const struct wal_name *low = NULL, *high = NULL;

	for (size_t i = from; i < to; i++) {
		const struct wal_name *n = archive_at(v->a, i);

		bad += v->verdicts[i].why != NULL || ends_early(v, i);
		if (n->kind != WAL_SEGMENT) {
			others++;
			continue;
		}
		segments++;
		low = low == NULL ? n : low;
		high = n;
	}
	(void)snprintf(check, sizeof check, "timeline %" PRIu32,
	    archive_at(v->a, from)->timeline);
	(void)lsn_text(low == NULL ? 0 : low->segno * size, first);
	(void)lsn_text(high == NULL ? 0 : (high->segno + 1) * size, last);
	if (bad > 0)
		finding_tell(v->out, HF_FAIL, check, NULL,
		    "%zu of %zu files are not as they should be", bad,
		    segments + others);
	else if (segments == 0)
		finding_tell(v->out, HF_PASS, check, NULL,
		    "no whole segment, %zu other files, all read", others);
	else
		finding_tell(v->out, HF_PASS, check, NULL,
		    "%zu segments between %s and %s and %zu other files, all "
		    "read, record by record",
		    segments, first, last, others);
}

static int
look_at_objects(struct verify *v, struct hf_error *err)
{
	size_t n = archive_count(v->a), to;
	int rc;

	if ((v->verdicts = calloc(n + 1, sizeof *v->verdicts)) == NULL)
		return postgres_nomem(err);
	rc = verify_read(v->e, v->archives.log, v->a, v->verdicts, err);
	for (size_t i = 0; i < n && rc == HF_OK; i++)
		tell_object(v, i);
	for (size_t from = 0; from < n && rc == HF_OK; from = to) {
		for (to = from; to < n && archive_at(v->a, to)->timeline ==
					      archive_at(v->a, from)->timeline;
		     to++)
			continue;
		tell_timeline(v, from, to);
	}
	verify_read_clear(v->verdicts, n);
	free(v->verdicts);
	return rc;
}

/* ---- histories ---- */

/* A history begins with that of its parent. */
static bool
agree(const struct history *child, const struct history *parent)
{
	if (parent->n + 1 != child->n)
		return false;
	for (size_t i = 0; i < parent->n; i++)
		if (parent->entries[i].timeline != child->entries[i].timeline ||
		    parent->entries[i].end != child->entries[i].end)
			return false;
	return true;
}

static void
look_at_histories(struct verify *v)
{
	char check[32];

	for (size_t i = 0; i < archive_histories(v->a); i++) {
		const struct history *h = archive_history(v->a, i);
		uint32_t parent = h->entries[h->n - 1].timeline;

		for (size_t j = 0; j < archive_histories(v->a); j++) {
			const struct history *p = archive_history(v->a, j);

			if (p->timeline != parent || agree(h, p))
				continue;
			(void)snprintf(check, sizeof check,
			    "%08" PRIX32 ".history", h->timeline);
			finding_tell(v->out, HF_FAIL, check, NULL,
			    "it does not go on from %08" PRIX32 ".history, "
			    "that of its parent",
			    parent);
		}
	}
}

/* ---- what the backups promise ---- */

/* Another backup begins behind the gap and leads on from there. */
static bool
led_on(const struct verify *v, size_t i, const struct stretch *s)
{
	struct stretch later;

	for (size_t j = i + 1; j < v->nneeds; j++) {
		if (v->needs[j].system != v->needs[i].system ||
		    (v->needs[j].stop <= s->end &&
			v->needs[j].timeline <= v->needs[i].timeline))
			continue;
		stretch_find(v->a, &v->needs[j], 0, &later);
		if (later.alive)
			return true;
	}
	return false;
}

static void
look_at_backup(struct verify *v, size_t i)
{
	const struct needs *n = &v->needs[i];
	const char *id = H->in_fact(n->backup, "backup");
	char check[128], at[LSN_TEXT_MAX];
	struct stretch s;
	lsn_t own;

	(void)snprintf(check, sizeof check, "backup %s", id == NULL ? "" : id);
	stretch_find(v->a, n, 0, &s);
	(void)lsn_text(s.end, at);
	if (!s.alive) {
		finding_tell(v->out, HF_FAIL, check,
		    "Take a new base backup: this one is lost unless that file "
		    "is found.",
		    "it cannot be restored: of the WAL that it needs, %s is "
		    "missing",
		    s.gap);
		return;
	}
	/* What retention leaves of an older backup: no more than its own. */
	own = (n->stop / n->segment_size + 1) * n->segment_size;
	if (s.gap[0] == '\0')
		finding_tell(v->out, HF_PASS, check, NULL,
		    "every moment up to %s can be reached", at);
	else if (!led_on(v, i, &s))
		finding_tell(v->out, HF_FAIL, check, HINT_NEW_BASE,
		    "%s is missing: no moment behind %s can be reached", s.gap,
		    at);
	else if (s.end <= own)
		finding_tell(v->out, HF_PASS, check, NULL,
		    "its own moment can be reached; later ones from a later "
		    "backup");
	else
		finding_tell(v->out, HF_WARN, check, NULL,
		    "%s is missing: moments between %s and the next backup "
		    "cannot be reached",
		    s.gap, at);
}

/* Segments that are missing before the oldest backup's needs harm nobody, but
 * somebody may wonder. */
static void
look_before(struct verify *v)
{
	uint32_t size = archive_segment_size(v->a);
	const struct wal_name *last = NULL;
	struct wal_name missing;
	char file[WAL_FILE_MAX];
	lsn_t oldest = UINT64_MAX;

	for (size_t i = 0; i < v->nneeds; i++)
		if (v->needs[i].system == archive_system(v->a) &&
		    v->needs[i].start < oldest)
			oldest = v->needs[i].start;
	for (size_t i = 0; i < archive_count(v->a); i++) {
		const struct wal_name *n = archive_at(v->a, i);

		if (n->kind != WAL_SEGMENT)
			continue;
		if (last != NULL && last->timeline == n->timeline &&
		    n->segno > last->segno + 1 && n->segno <= oldest / size) {
			missing = *last;
			missing.segno++;
			wal_name_file(&missing, size, file);
			finding_tell(v->out, HF_WARN, file, NULL,
			    "it is missing; no backup needs it");
		}
		last = n;
	}
}

/* ---- all ---- */

static int
look_at_system(struct verify *v, struct hf_error *err)
{
	const char *reason, *name;
	int rc;

	if ((rc = look_at_objects(v, err)) != HF_OK)
		return rc;
	/* One that cannot be parsed was told with the objects. */
	if ((name = archive_broken(v->a, &reason)) != NULL)
		finding_tell(v->out, HF_FAIL, "histories", HINT_DAMAGED,
		    "which timelines belong together cannot be said: %s: %s",
		    name, reason);
	if ((name = archive_stranger(v->a)) != NULL)
		finding_tell(v->out, HF_WARN, name, NULL,
		    "it is no WAL file; it is left alone");
	look_at_histories(v);
	look_before(v);
	for (size_t i = 0; i < v->nneeds; i++)
		if (v->needs[i].system == archive_system(v->a))
			look_at_backup(v, i);
	return HF_OK;
}

struct systems {
	uint64_t *list;
	size_t n;
	bool nomem;
};

static int
add_system(void *arg, uint64_t system)
{
	struct systems *s = arg;
	uint64_t *more;

	for (size_t i = 0; i < s->n; i++)
		if (s->list[i] == system)
			return 0;
	if ((more = realloc(s->list, (s->n + 1) * sizeof *more)) == NULL) {
		s->nomem = true;
		return 1;
	}
	s->list = more;
	s->list[s->n++] = system;
	return 0;
}

/* Those of the log, and those of backups of which it has nothing. */
static int
find_systems(struct verify *v, struct systems *s, struct hf_error *err)
{
	int rc = archive_systems(v->archives.log, add_system, s, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < v->nneeds && !s->nomem; i++)
		(void)add_system(s, v->needs[i].system);
	return s->nomem ? postgres_nomem(err) : HF_OK;
}

/* How long the segments are, a backup says, or a document. */
static int
open_system(struct verify *v, uint64_t system, struct hf_error *err)
{
	struct needs none = { .system = system };
	const struct needs *n = &none;
	struct archive *a = NULL;
	int rc;

	for (size_t i = 0; i < v->nneeds; i++)
		if (v->needs[i].system == system)
			n = &v->needs[i];
	rc = archives_get(&v->archives, n, &a, err);
	v->a = a;
	return rc;
}

int
wal_verify(struct hf_engine *e, struct hf_in *log, struct hf_in *const *backups,
    size_t n, hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct findings out = { .cb = fn, .arg = arg };
	struct verify v = { .e = e, .archives.log = log, .out = &out };
	struct systems systems = { .list = NULL };
	struct needs *needs;
	int rc;

	if ((rc = needs_read_all(backups, n, &needs, &v.nneeds, err)) != HF_OK)
		return rc;
	v.needs = needs;
	rc = find_systems(&v, &systems, err);
	for (size_t i = 0; i < systems.n && rc == HF_OK; i++) {
		if ((rc = open_system(&v, systems.list[i], err)) == HF_OK)
			rc = look_at_system(&v, err);
		if (rc == HF_OK)
			rc = out.rc;
	}
	archives_clear(&v.archives);
	free(systems.list);
	free(needs);
	return rc;
}
