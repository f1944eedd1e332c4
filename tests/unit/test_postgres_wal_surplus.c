/* SPDX-License-Identifier: BSD-2-Clause */
/* What may go of a log: for random archives of several timelines, and random
 * backups that are kept, everything that is promised can still be reached. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/walstore.h"
#include "wal/wal.h"

#define SIZE ((lsn_t)WALKIT_SEGMENT)
#define ROUNDS 400
#define TIMELINES 5
#define BACKUPS 6

static struct hf_error err;
static struct hf_ctx ctx = { .who = "test" };
static struct hf_engine engine = { .ctx = &ctx };

/* A cluster's life: each timeline leaves an earlier one somewhere, and goes on
 * from there. */
struct timeline {
	uint32_t parent;
	lsn_t begin, end; /* end: what was written of it */
};
struct backup {
	uint32_t timeline;
	lsn_t start, stop;
	struct memout *facts;
};
struct world {
	unsigned seed;
	uint32_t timelines; /* 1 to this */
	struct timeline t[TIMELINES + 1];
	struct backup b[BACKUPS]; /* in the order of time */
	size_t nb;
	struct memout *log;
};

static unsigned
any(struct world *w, unsigned n)
{
	w->seed = w->seed * 1103515245 + 12345;
	return (w->seed >> 16) % n;
}

static void
put(struct world *w, enum wal_kind kind, uint32_t timeline, uint64_t segno,
    uint32_t offset)
{
	struct wal_name n = { .kind = kind,
		.timeline = timeline,
		.segno = segno,
		.offset = offset };

	walstore_put(w->log, &n, WALKIT_SEGMENT, "x", 1, NULL, 0);
}

/* Some WAL on a timeline, and perhaps a backup in it. */
static void
go_on(struct world *w, uint32_t timeline)
{
	struct timeline *t = &w->t[timeline];
	lsn_t from = t->end;
	struct backup *b = &w->b[w->nb];
	char id[8];

	t->end += SIZE / 2 + any(w, 5) * SIZE + any(w, WALKIT_SEGMENT);
	if (w->nb == BACKUPS || any(w, 2) == 0)
		return;
	(void)snprintf(id, sizeof id, "b%zu", w->nb);
	b->timeline = timeline;
	b->start = from + (t->end - from) / 4;
	b->stop = from + (t->end - from) / 2;
	b->facts = walstore_backup(
	    id, timeline, b->start, b->stop, 1000 + (int64_t)w->nb, false);
	w->nb++;
}

static void
promote(struct world *w, uint32_t parent)
{
	struct timeline *p = &w->t[parent], *t = &w->t[++w->timelines];

	t->parent = parent;
	t->begin = p->begin + (p->end - p->begin) * any(w, 5) / 4;
	if (t->begin == 0)
		t->begin = p->end;
	t->end = t->begin;
}

/* "1<tab>LSN<tab>reason" for each ancestor. */
static void
write_history(
    struct world *w, uint32_t timeline, uint32_t of, char *text, size_t cap)
{
	char lsn[LSN_TEXT_MAX];
	size_t n;

	if (w->t[of].parent == 0)
		return;
	write_history(w, timeline, w->t[of].parent, text, cap);
	n = strlen(text);
	(void)snprintf(text + n, cap - n, "%u\t%s\tx\n",
	    (unsigned)w->t[of].parent, lsn_text(w->t[of].begin, lsn));
}

static void
store(struct world *w)
{
	char text[512];
	uint64_t last;

	for (uint32_t i = 1; i <= w->timelines; i++) {
		last = w->t[i].end / SIZE;
		for (uint64_t s = w->t[i].begin / SIZE; s < last; s++) {
			put(w, WAL_SEGMENT, i, s, 0);
			if (any(w, 4) == 0)
				put(w, WAL_PIECE, i, s, 0);
			if (any(w, 4) == 0)
				put(w, WAL_BACKUP, i, s, 40);
		}
		put(w, WAL_PIECE, i, last, 0);
		text[0] = '\0';
		write_history(w, i, i, text, sizeof text);
		if (i > 1)
			walstore_history(w->log, i, text);
	}
}

static void
make(struct world *w, unsigned seed)
{
	memset(w, 0, sizeof *w);
	w->seed = seed * 7919 + 1;
	w->log = memlog_new();
	w->timelines = 1;
	w->t[1].begin = w->t[1].end = 3 * SIZE + 40;
	for (unsigned i = 0; i < 12; i++) {
		if (w->timelines < TIMELINES && any(w, 4) == 0)
			promote(w, 1 + any(w, w->timelines));
		go_on(
		    w, any(w, 4) > 0 ? w->timelines : 1 + any(w, w->timelines));
	}
	store(w);
}

static void
unmake(struct world *w)
{
	for (size_t i = 0; i < w->nb; i++)
		memout_free(w->b[i].facts);
	memout_free(w->log);
}

struct gone {
	char name[2000][WAL_LOG_MAX];
	size_t n;
};

static int
take(void *arg, const struct hf_object *o)
{
	struct gone *g = arg;

	assert_true(g->n < sizeof g->name / sizeof *g->name);
	(void)snprintf(g->name[g->n++], WAL_LOG_MAX, "%s", o->key);
	return 0;
}

static struct archive *
load(struct world *w)
{
	struct archive *a;

	error_clear(&err);
	if (archive_load(memout_in(w->log), WALSTORE_SYSTEM, WALKIT_SEGMENT, &a,
		&err) != HF_OK)
		fail_msg("%s", err.cause);
	return a;
}

/* The ways on from a backup: to each timeline that it can be brought to, how
 * far; 0: not at all. */
static void
ways(struct world *w, const struct backup *b, lsn_t end[TIMELINES + 1])
{
	struct archive *a = load(w);
	char gap[WAL_FILE_MAX];

	for (uint32_t t = 1; t <= w->timelines; t++) {
		end[t] = 0;
		if (archive_timeline_at(a, b->timeline, t, b->stop) !=
		    b->timeline)
			continue;
		(void)archive_reach(a, b->timeline, b->start, t, UINT64_MAX,
		    &end[t], NULL, gap);
	}
	archive_free(a);
}

static struct gone gone;

static void
ask(struct world *w, const size_t *kept, size_t n, size_t whole)
{
	struct hf_in *in[BACKUPS];

	for (size_t i = 0; i < n; i++)
		in[i] = memout_in(w->b[kept[i]].facts);
	gone.n = 0;
	error_clear(&err);
	if (wal_surplus(&engine, memout_in(w->log), in, n, whole, take, &gone,
		&err) != HF_OK)
		fail_msg("%s", err.cause);
}

/* Never what is newer than the newest backup, on its timeline or a later
 * one. */
static void
assert_newer_stays(struct world *w, const struct backup *newest)
{
	struct wal_name n;
	uint64_t system;

	for (size_t i = 0; i < gone.n; i++) {
		assert_true(
		    wal_name_of_log(gone.name[i], WALKIT_SEGMENT, &system, &n));
		assert_true(n.timeline < newest->timeline ||
			    (n.timeline == newest->timeline &&
				n.segno <= newest->start / SIZE));
	}
	(void)w;
}

static size_t
one_round(unsigned seed)
{
	lsn_t before[BACKUPS][TIMELINES + 1], after[TIMELINES + 1];
	size_t kept[BACKUPS], n = 0, whole;
	struct world w;

	make(&w, seed);
	for (size_t i = 0; i < w.nb; i++)
		if (any(&w, 3) > 0)
			kept[n++] = i;
	if (n == 0) {
		unmake(&w);
		return 0;
	}
	whole = any(&w, (unsigned)n + 1);
	for (size_t i = 0; i < n; i++)
		ways(&w, &w.b[kept[i]], before[i]);
	ask(&w, kept, n, whole);
	assert_newer_stays(&w, &w.b[kept[n - 1]]);
	for (size_t i = 0; i < gone.n; i++)
		assert_int_equal(memlog_remove(w.log, gone.name[i]), HF_OK);
	for (size_t i = 0; i < n; i++) {
		const struct backup *b = &w.b[kept[i]];

		ways(&w, b, after);
		for (uint32_t t = 1; t <= w.timelines; t++) {
			if (before[i][t] == 0)
				continue;
			if (i >= whole && after[t] != before[i][t])
				fail_msg(
				    "seed %u: a promised moment is lost", seed);
			if (t == b->timeline && before[i][t] >= b->stop &&
			    after[t] < b->stop)
				fail_msg("seed %u: a backup is lost", seed);
		}
	}
	n = gone.n;
	/* What is left is left the next time too. */
	ask(&w, kept, 1, 0);
	unmake(&w);
	return n;
}

static void
what_is_promised_can_still_be_reached(void **state)
{
	size_t all = 0;

	(void)state;
	for (unsigned seed = 0; seed < ROUNDS; seed++)
		all += one_round(seed);
	/* And it is no rule that keeps everything. */
	assert_true(all > ROUNDS * 3);
}

static struct world
plain(size_t segments)
{
	struct world w = { .log = memlog_new() };

	for (uint64_t s = 1; s <= segments; s++)
		put(&w, WAL_SEGMENT, 1, s, 0);
	return w;
}

static void
add(struct world *w, uint64_t segno)
{
	struct backup *b = &w->b[w->nb++];

	b->timeline = 1;
	b->start = segno * SIZE + 40;
	b->stop = segno * SIZE + 5000;
	b->facts = walstore_backup("x", 1, b->start, b->stop, 5, false);
}

static void
between_backups_all_goes_that_nothing_promises(void **state)
{
	struct world w = plain(12);
	const size_t kept[] = { 0, 1, 2 };

	(void)state;
	add(&w, 3);
	add(&w, 6);
	add(&w, 9);
	ask(&w, kept, 3, 3);
	assert_int_equal(gone.n, 6); /* 1, 2, 4, 5, 7, 8 */
	ask(&w, kept, 3, 1);
	assert_int_equal(gone.n, 4); /* 1, 2, 4, 5 */
	ask(&w, kept, 3, 0);
	assert_int_equal(gone.n, 2);
	ask(&w, kept, 0, 0);
	assert_int_equal(gone.n, 0);
	unmake(&w);
}

static void
pieces_of_what_is_whole_go_and_others_stay(void **state)
{
	struct world w = plain(6);
	const size_t kept[] = { 0 };

	(void)state;
	add(&w, 2);
	add(&w, 5);
	put(&w, WAL_PIECE, 1, 4, 0);
	put(&w, WAL_PIECE, 1, 6, 0);
	put(&w, WAL_PIECE, 1, 7, 0);
	ask(&w, kept, 1, 0);
	assert_int_equal(gone.n, 1); /* segment 1: 2 is the newest here */
	ask(&w, (const size_t[]){ 0, 1 }, 2, 0);
	assert_int_equal(gone.n, 2);
	assert_non_null(strstr(gone.name[1], "04.from-00000000"));
	unmake(&w);
}

static void
with_a_damaged_history_nothing_goes(void **state)
{
	struct world w = plain(6);

	(void)state;
	add(&w, 5);
	walstore_history(w.log, 2, "no history\n");
	ask(&w, (const size_t[]){ 0 }, 1, 0);
	assert_int_equal(gone.n, 0);
	unmake(&w);
}

static void
another_servers_wal_is_left_alone(void **state)
{
	struct world w = plain(6);

	(void)state;
	add(&w, 5);
	assert_int_equal(
	    memlog_put(
		w.log, "42/00000001/000000010000000000000001", "x", 1, NULL),
	    HF_OK);
	ask(&w, (const size_t[]){ 0 }, 1, 0);
	assert_int_equal(gone.n, 4);
	for (size_t i = 0; i < gone.n; i++)
		assert_int_equal(strncmp(gone.name[i], "42/", 3) == 0, 0);
	unmake(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_promised_can_still_be_reached),
		cmocka_unit_test(
		    between_backups_all_goes_that_nothing_promises),
		cmocka_unit_test(pieces_of_what_is_whole_go_and_others_stay),
		cmocka_unit_test(with_a_damaged_history_nothing_goes),
		cmocka_unit_test(another_servers_wal_is_left_alone),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
