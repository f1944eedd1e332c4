/* SPDX-License-Identifier: BSD-2-Clause */
/* What a log says of its WAL: names, timelines, gaps, what can be reached, what
 * may go, and what verify finds. */
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

#include <time.h>

#define SIZE ((lsn_t)WALKIT_SEGMENT)
#define FIRST 5 /* the first segment */
#define T0 INT64_C(1790000000)
#define US INT64_C(1000000)

static struct hf_error err;
static struct hf_ctx ctx = { .who = "test" };
static struct hf_engine engine = { .ctx = &ctx, .conf.wal.jobs = 2 };
static struct memout *logged;
static struct walkit *one, *two; /* timeline 1; 2, which left it in segment 8 */
static lsn_t fork_at, points[16];

/* Segment n of a timeline commits at T0 + 100 n + 0.5 s. */
static void
write_segment(struct walkit *k, size_t n)
{
	points[n] = walkit_commit(
	    k, (uint32_t)(1000 + n), (T0 + 100 * (int)n) * US + US / 2);
	if (n == 6)
		walkit_restore_point(k, "release", (T0 + 601) * US);
	walkit_fill_segment(k);
}

/* Timeline 1: segments 5 to 9; timeline 2 left it in segment 8, which it has,
 * and 9, and of 10 two pieces. */
static int
make(void **state)
{
	char text[64], lsn[LSN_TEXT_MAX];

	(void)state;
	error_clear(&err);
	logged = memlog_new();
	one = walkit_new(WALSTORE_SYSTEM, 1, WALKIT_SEGMENT, FIRST * SIZE);
	for (size_t n = FIRST; n < 8; n++)
		write_segment(one, n);
	walkit_fill(one, 30000);
	fork_at = walkit_end(one);
	two = walkit_copy(one);
	walkit_timeline(two, 2);
	for (size_t n = 8; n < 10; n++) {
		write_segment(one, n);
		write_segment(two, n);
	}
	points[10] = walkit_commit(two, 1010, (T0 + 1000) * US + US / 2);
	walkit_fill(two, 100000);
	for (size_t n = FIRST; n < 10; n++)
		walstore_segment(logged, one, n - FIRST, 1, n);
	for (size_t n = 8; n < 10; n++)
		walstore_segment(logged, two, n - FIRST, 2, n);
	walstore_piece(logged, two, 10 - FIRST, 2, 10, 0, 40000);
	walstore_piece(logged, two, 10 - FIRST, 2, 10, 40000, 90001);
	(void)snprintf(text, sizeof text, "1\t%s\tno recovery target\n",
	    lsn_text(fork_at, lsn));
	walstore_history(logged, 2, text);
	return 0;
}

static int
unmake(void **state)
{
	(void)state;
	memout_free(logged);
	walkit_free(one);
	walkit_free(two);
	return 0;
}

/* ---- names ---- */

static void
names_are_read_as_they_are_written(void **state)
{
	static const char *const good[] = { "000000010000000000000003",
		"00000001000000020000000F.partial", "00000002.history",
		"000000010000000000000003.00000028.backup",
		"0000000A0000000000000003.from-000A0000" };
	static const char *const bad[] = { "", "000000010000000000000",
		"00000001000000000000000a", "000000000000000000000003",
		"000000010000000000001000", "00000001.History",
		"000000010000000000000003.from-00100000",
		"000000010000000000000003.part", "00000002.history.tmp",
		"000000010000000000000003.0000028.backup" };
	char file[WAL_FILE_MAX], name[WAL_LOG_MAX];
	struct wal_name n, m;
	uint64_t system;
	lsn_t lsn;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(wal_name_parse(good[i], WALKIT_SEGMENT, &n));
		wal_name_file(&n, WALKIT_SEGMENT, file);
		assert_string_equal(file, good[i]);
		wal_name_log(&n, 42, WALKIT_SEGMENT, name);
		assert_true(wal_name_of_log(name, WALKIT_SEGMENT, &system, &m));
		assert_int_equal(system, 42);
		assert_memory_equal(&n, &m, sizeof n);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (wal_name_parse(bad[i], WALKIT_SEGMENT, &n))
			fail_msg("%s", bad[i]);
	assert_false(wal_name_of_log("42/00000002/000000010000000000000003",
	    WALKIT_SEGMENT, &system, &n));
	assert_false(wal_name_of_log("042/00000001/000000010000000000000003",
	    WALKIT_SEGMENT, &system, &n));
	assert_true(lsn_parse("16/B374D848", &lsn));
	assert_int_equal(lsn, UINT64_C(0x16B374D848));
	assert_false(lsn_parse("16/B374D8480", &lsn));
	assert_false(lsn_parse("16", &lsn));
}

/* ---- the archive ---- */

static struct archive *
load(void)
{
	struct archive *a;

	if (archive_load(memout_in(logged), 0, 0, &a, &err) != HF_OK)
		fail_msg("%s", err.cause);
	return a;
}

static void
timelines_lead_from_one_to_another(void **state)
{
	struct archive *a = load();

	(void)state;
	assert_int_equal(archive_system(a), WALSTORE_SYSTEM);
	assert_int_equal(archive_segment_size(a), WALKIT_SEGMENT);
	assert_int_equal(archive_latest(a, 1, 6 * SIZE), 2);
	assert_int_equal(archive_latest(a, 1, fork_at), 2);
	assert_int_equal(archive_latest(a, 1, fork_at + 8), 1);
	assert_int_equal(archive_latest(a, 2, 9 * SIZE), 2);
	assert_int_equal(archive_timeline_at(a, 1, 2, fork_at - 1), 1);
	assert_int_equal(archive_timeline_at(a, 1, 2, fork_at), 2);
	assert_int_equal(archive_timeline_at(a, 1, 3, fork_at), 0);
	assert_int_equal(archive_switch(a, 1, 2), fork_at);
	assert_int_equal(archive_switch(a, 2, 2), UINT64_MAX);
	assert_int_equal(archive_segment_timeline(a, 1, 2, 7), 1);
	assert_int_equal(archive_segment_timeline(a, 1, 2, 8), 2);
	archive_free(a);
}

static int
reach(struct archive *a, uint32_t target, lsn_t to, lsn_t *end, char *gap)
{
	return archive_reach(a, 1, 5 * SIZE + 100, target, to, end, NULL, gap);
}

static void
the_first_gap_is_named_and_pieces_count(void **state)
{
	struct archive *a = load();
	char gap[WAL_FILE_MAX];
	lsn_t end;

	(void)state;
	assert_int_equal(reach(a, 2, UINT64_MAX, &end, gap), HF_OK);
	assert_int_equal(end, 10 * SIZE + 90001);
	assert_int_equal(reach(a, 1, UINT64_MAX, &end, gap), HF_OK);
	assert_int_equal(end, 10 * SIZE);
	assert_int_equal(reach(a, 2, 11 * SIZE, &end, gap), HF_E_NOTFOUND);
	assert_string_equal(gap, "00000002000000000000000A");
	archive_free(a);
	/* The parent's copy leads to the switch, and no further. */
	walstore_remove(logged, 2, 8);
	a = load();
	assert_int_equal(reach(a, 2, fork_at, &end, gap), HF_OK);
	assert_int_equal(reach(a, 2, UINT64_MAX, &end, gap), HF_E_NOTFOUND);
	assert_int_equal(end, fork_at);
	assert_string_equal(gap, "000000020000000000000008");
	archive_free(a);
	walstore_remove(logged, 1, 6);
	a = load();
	assert_int_equal(reach(a, 2, UINT64_MAX, &end, gap), HF_E_NOTFOUND);
	assert_int_equal(end, 6 * SIZE);
	assert_string_equal(gap, "000000010000000000000006");
	archive_free(a);
}

/* The same answers, whatever part was asked for and whatever else is there. */
static void
compare_parts(void)
{
	struct hf_in *log = memout_in(logged);
	struct archive *all = load(), *part;

	for (uint32_t timeline = 1; timeline <= 2; timeline++)
		for (uint64_t from = FIRST; from < 11; from++)
			for (lsn_t to = from * SIZE + 1; to < 12 * SIZE;
			     to += SIZE / 3) {
				char gaps[2][WAL_FILE_MAX];
				lsn_t ends[2];
				int rc[2];

				assert_int_equal(
				    archive_load_part(log, WALSTORE_SYSTEM,
					WALKIT_SEGMENT, timeline, from,
					to / SIZE, &part, &err),
				    HF_OK);
				rc[0] = archive_reach(all, 1, from * SIZE,
				    timeline, to, &ends[0], NULL, gaps[0]);
				rc[1] = archive_reach(part, 1, from * SIZE,
				    timeline, to, &ends[1], NULL, gaps[1]);
				assert_int_equal(rc[0], rc[1]);
				assert_string_equal(gaps[0], gaps[1]);
				if (rc[0] != HF_OK)
					assert_int_equal(ends[0], ends[1]);
				archive_free(part);
			}
	archive_free(all);
}

static void
a_part_of_the_log_answers_as_all_of_it(void **state)
{
	struct wal_name n = { .kind = WAL_SEGMENT, .timeline = 2 };
	char name[WAL_LOG_MAX];
	struct archive *a;
	size_t before;

	(void)state;
	compare_parts();
	/* Far behind, and before, in both timelines. */
	for (n.segno = 1000; n.segno < 1600; n.segno++) {
		n.timeline = 1 + n.segno % 2;
		wal_name_log(&n, WALSTORE_SYSTEM, WALKIT_SEGMENT, name);
		assert_int_equal(memlog_put(logged, name, "", 0, NULL), HF_OK);
	}
	before = memout_listed(logged);
	assert_int_equal(archive_load_part(memout_in(logged), WALSTORE_SYSTEM,
			     WALKIT_SEGMENT, 2, 7, 9, &a, &err),
	    HF_OK);
	assert_true(archive_has(a, 1, 7));
	assert_true(archive_has(a, 2, 9));
	assert_true(memout_listed(logged) - before < 20);
	archive_free(a);
	walstore_remove(logged, 2, 8);
	walstore_remove(logged, 1, 6);
	memlog_remove(logged, "7300000000000000001/00000002/"
			      "00000002000000000000000A.from-00000000");
	memlog_remove(logged, "7300000000000000001/00000002/"
			      "00000002000000000000000A.from-00009C40");
	compare_parts();
}

static void
a_missing_piece_ends_what_pieces_give(void **state)
{
	struct archive *a;

	(void)state;
	assert_int_equal(memlog_remove(logged, "7300000000000000001/00000002/"
					       "00000002000000000000000A.from-"
					       "00000000"),
	    HF_OK);
	a = load();
	assert_int_equal(archive_pieces(a, 2, 10), 0);
	archive_free(a);
}

static void
pieces_do_not_stand_for_what_was_left_or_is_followed(void **state)
{
	struct archive *a;

	(void)state;
	walstore_piece(logged, one, 9 - FIRST, 1, 10, 0, 5000);
	a = load();
	assert_int_equal(archive_pieces(a, 1, 10), 0); /* left in 8 */
	assert_int_equal(archive_pieces(a, 2, 10), 10 * SIZE + 90001);
	archive_free(a);
	walstore_segment(logged, two, 0, 2, 11);
	a = load();
	assert_int_equal(archive_pieces(a, 2, 10), 0);
	archive_free(a);
}

/* What the old primary wrote after the promotion can be reached, and who goes
 * to the new timeline gets none of it. */
static void
pieces_beside_the_new_timelines_segment_count(void **state)
{
	lsn_t end;
	char gap[WAL_FILE_MAX];
	struct archive *a;

	(void)state;
	walstore_remove(logged, 1, 8);
	walstore_remove(logged, 1, 9);
	walstore_piece(logged, one, 8 - FIRST, 1, 8, 0, 40000);
	walstore_piece(logged, one, 8 - FIRST, 1, 8, 40000, 90001);
	assert_true(fork_at < 8 * SIZE + 90001);
	a = load();
	assert_int_equal(archive_pieces(a, 1, 8), 8 * SIZE + 90001);
	assert_int_equal(
	    archive_reach(a, 1, FIRST * SIZE, 1, UINT64_MAX, &end, NULL, gap),
	    HF_OK);
	assert_int_equal(end, 8 * SIZE + 90001);
	assert_int_equal(archive_segment_timeline(a, 1, 2, 8), 2);
	archive_free(a);
	walstore_remove(logged, 2, 8);
	a = load();
	assert_int_equal(archive_pieces(a, 1, 8), 0);
	archive_free(a);
}

static void
a_damaged_history_is_said_and_not_followed(void **state)
{
	struct archive *a;
	const char *why;
	size_t len;

	(void)state;
	memset(memlog_get(logged,
		   "7300000000000000001/00000002/00000002.history", &len),
	    'x', 3);
	a = load();
	assert_non_null(archive_broken(a, &why));
	assert_string_equal(why, "line 1: no timeline");
	assert_int_equal(archive_latest(a, 1, 6 * SIZE), 1);
	archive_free(a);
}

/* ---- what can be restored ---- */

struct spans {
	int64_t from[8], to[8];
	char gap[8][256], branch[8][32];
	size_t n;
};

static int
take_span(void *arg, const struct hf_span *s)
{
	struct spans *all = arg;

	all->from[all->n] = s->from;
	all->to[all->n] = s->to;
	(void)snprintf(all->gap[all->n], sizeof all->gap[0], "%s",
	    s->gap == NULL ? "" : s->gap);
	(void)snprintf(all->branch[all->n], sizeof all->branch[0], "%s",
	    s->branch == NULL ? "" : s->branch);
	all->n++;
	return 0;
}

static struct spans
spans(struct memout *const *backups, size_t n)
{
	struct hf_in *in[8];
	struct spans s = { .n = 0 };

	for (size_t i = 0; i < n; i++)
		in[i] = memout_in(backups[i]);
	if (wal_spans(&engine, memout_in(logged), in, n, take_span, &s, &err) !=
	    HF_OK)
		fail_msg("%s", err.cause);
	return s;
}

static void
a_window_leads_from_the_backup_to_the_last_commit(void **state)
{
	struct memout *b[2] = {
		walstore_backup(
		    "a", 1, 5 * SIZE + 40, 5 * SIZE + 5000, T0 + 510, false),
		walstore_backup(
		    "b", 2, 9 * SIZE + 40, 9 * SIZE + 5000, T0 + 910, false),
	};
	struct spans s;

	(void)state;
	/* Of timeline 1 what lies before the fork. */
	walstore_remove(logged, 1, 8);
	walstore_remove(logged, 1, 9);
	s = spans(b, 2);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.from[0], T0 + 510);
	assert_int_equal(s.to[0], T0 + 1000);
	assert_string_equal(s.gap[0], "");
	assert_string_equal(s.branch[0], "");
	walstore_remove(logged, 1, 7);
	s = spans(b, 2);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.to[0], T0 + 600);
	assert_non_null(strstr(s.gap[0], "000000010000000000000007, written "
					 "between"));
	assert_int_equal(s.from[1], T0 + 910);
	assert_int_equal(s.to[1], T0 + 1000);
	memout_free(b[0]);
	memout_free(b[1]);
}

/* An old primary that wrote on: a restore with --timeline gets there. */
static void
an_older_branch_that_goes_on_has_a_window_of_its_own(void **state)
{
	struct memout *b[2] = {
		walstore_backup(
		    "a", 1, 5 * SIZE + 40, 5 * SIZE + 5000, T0 + 510, false),
		walstore_backup(
		    "b", 1, 6 * SIZE + 40, 6 * SIZE + 5000, T0 + 610, false),
	};
	struct spans s = spans(b, 2);

	(void)state;
	assert_int_equal(s.n, 2);
	assert_string_equal(s.branch[0], "timeline 1");
	assert_int_equal(s.from[0], T0 + 510);
	assert_int_equal(s.to[0], T0 + 900);
	assert_string_equal(s.gap[0], "");
	assert_string_equal(s.branch[1], "");
	assert_int_equal(s.to[1], T0 + 1000);
	/* The last segment before the fork, and no commit behind it. */
	walstore_remove(logged, 1, 9);
	walstore_remove(logged, 1, 8);
	walstore_piece(logged, one, 8 - FIRST, 1, 8, 0,
	    (uint32_t)(fork_at % SIZE) & ~UINT32_C(8191));
	assert_int_equal(spans(b, 2).n, 1);
	/* From its pieces, too. */
	walstore_piece(logged, one, 8 - FIRST, 1, 8,
	    (uint32_t)(fork_at % SIZE) & ~UINT32_C(8191), 90001);
	s = spans(b, 2);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.branch[0], "timeline 1");
	assert_int_equal(s.to[0], T0 + 800);
	/* One that is missing before the fork is missing for both. */
	walstore_remove(logged, 1, 7);
	s = spans(b, 2);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.branch[0], "");
	memout_free(b[0]);
	memout_free(b[1]);
}

static void
a_backup_with_its_own_wal_is_a_moment(void **state)
{
	struct memout *b =
	    walstore_backup("a", 1, 2 * SIZE, 2 * SIZE + 5000, T0, true);
	struct spans s = spans(&b, 1);

	(void)state;
	assert_int_equal(s.n, 1);
	assert_int_equal(s.from[0], T0);
	assert_int_equal(s.to[0], T0);
	memout_free(b);
	b = walstore_backup("a", 1, 2 * SIZE, 2 * SIZE + 5000, T0, false);
	assert_int_equal(spans(&b, 1).n, 0);
	memout_free(b);
}

static struct restore_conf conf;

static int
ask(const char *until)
{
	struct memout *b = walstore_backup(
	    "a", 1, 5 * SIZE + 40, 5 * SIZE + 5000, T0 + 510, false);
	struct hf_request req = { .struct_size = sizeof req,
		.until = until,
		.restore_conf = &conf,
		.log = memout_in(logged) };
	int rc;

	error_clear(&err);
	rc = wal_reach(&engine, &req, memout_in(b), &err);
	memout_free(b);
	return rc;
}

static int
ask_conf(struct restore_conf c)
{
	c.inclusive = true;
	conf = c;
	return ask(NULL);
}

static const char *
at(int64_t us)
{
	static char text[64];
	time_t t = (time_t)(us / US);
	struct tm tm;
	size_t n;

	assert_non_null(gmtime_r(&t, &tm));
	n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, sizeof text - n, ".%06dZ", (int)(us % US));
	return text;
}

static void
a_time_can_be_reached_when_a_later_commit_is_there(void **state)
{
	int64_t last = (T0 + 1000) * US + US / 2;

	(void)state;
	conf = (struct restore_conf){ .inclusive = true };
	assert_int_equal(ask(at((T0 + 510) * US)), HF_OK);
	assert_int_equal(ask(at((T0 + 510) * US - 1)), HF_E_NOTFOUND);
	assert_int_equal(ask(at(last - 1)), HF_OK);
	assert_int_equal(ask(at(last)), HF_E_NOTFOUND);
	assert_non_null(strstr(err.cause, "is after the last commit"));
	conf.inclusive = false;
	assert_int_equal(ask(at(last)), HF_OK);
	assert_int_equal(ask(at(last + 1)), HF_E_NOTFOUND);
	/* On the old timeline the log ends earlier. */
	conf.timeline = "current";
	assert_int_equal(ask(at((T0 + 950) * US)), HF_E_NOTFOUND);
	assert_int_equal(ask(at((T0 + 850) * US)), HF_OK);
	/* Behind a gap nothing can. */
	conf.timeline = NULL;
	walstore_remove(logged, 2, 8);
	assert_int_equal(ask(at((T0 + 850) * US)), HF_E_NOTFOUND);
	assert_int_equal(ask(at((T0 + 650) * US)), HF_OK);
}

static void
positions_transactions_and_names_are_looked_for(void **state)
{
	char lsn[LSN_TEXT_MAX];

	(void)state;
	assert_int_equal(
	    ask_conf((struct restore_conf){ .xid = "1007" }), HF_OK);
	assert_int_equal(
	    ask_conf((struct restore_conf){ .xid = "1010" }), HF_OK);
	assert_int_equal(
	    ask_conf((struct restore_conf){ .xid = "4711" }), HF_E_NOTFOUND);
	assert_int_equal(
	    ask_conf((struct restore_conf){ .xid = "1005" }), HF_E_NOTFOUND);
	assert_non_null(strstr(err.cause, "before the end of the backup"));
	assert_int_equal(
	    ask_conf((struct restore_conf){ .name = "release" }), HF_OK);
	assert_int_equal(ask_conf((struct restore_conf){ .name = "Release" }),
	    HF_E_NOTFOUND);
	assert_int_equal(ask_conf((struct restore_conf){
			     .lsn = lsn_text(7 * SIZE + 8, lsn) }),
	    HF_OK);
	assert_int_equal(
	    ask_conf((struct restore_conf){ .lsn = lsn_text(points[10], lsn) }),
	    HF_OK);
	/* The record behind it is there in part. */
	assert_int_equal(ask_conf((struct restore_conf){
			     .lsn = lsn_text(points[10] + 8, lsn) }),
	    HF_E_NOTFOUND);
	assert_int_equal(ask_conf((struct restore_conf){
			     .lsn = lsn_text(5 * SIZE + 4999, lsn) }),
	    HF_E_NOTFOUND);
	assert_int_equal(
	    ask_conf((struct restore_conf){ .target = "immediate" }), HF_OK);
	assert_int_equal(
	    ask_conf((struct restore_conf){ .target = "latest" }), HF_OK);
	assert_int_equal(
	    ask_conf((struct restore_conf){ .timeline = "3" }), HF_E_NOTFOUND);
	walstore_remove(logged, 1, 6);
	assert_int_equal(ask_conf((struct restore_conf){ .target = "latest" }),
	    HF_E_NOTFOUND);
	assert_int_equal(
	    ask_conf((struct restore_conf){ .target = "immediate" }), HF_OK);
	assert_int_equal(ask_conf((struct restore_conf){ .name = "release" }),
	    HF_E_NOTFOUND);
}

/* ---- verify ---- */

struct found {
	char text[4096];
	unsigned fails, warns, passes;
};

static int
take_finding(void *arg, const struct hf_finding *f)
{
	struct found *all = arg;
	size_t n = strlen(all->text);

	all->fails += f->verdict == HF_FAIL;
	all->warns += f->verdict == HF_WARN;
	all->passes += f->verdict == HF_PASS;
	if (f->verdict != HF_PASS)
		(void)snprintf(all->text + n, sizeof all->text - n, "%s: %s\n",
		    f->check, f->result);
	return HF_OK;
}

static struct found
verify(void)
{
	struct memout *b = walstore_backup(
	    "a", 1, 5 * SIZE + 40, 5 * SIZE + 5000, T0 + 510, false);
	struct hf_in *in = memout_in(b);
	struct found f = { .fails = 0 };

	error_clear(&err);
	if (wal_verify(&engine, memout_in(logged), &in, 1, take_finding, &f,
		&err) != HF_OK)
		fail_msg("%s", err.cause);
	memout_free(b);
	return f;
}

static uint8_t *
segment(uint32_t timeline, unsigned segno)
{
	char name[WAL_LOG_MAX];
	size_t len;

	(void)snprintf(name, sizeof name,
	    "7300000000000000001/%08X/%08X00000000%08X", timeline, timeline,
	    segno);
	return memlog_get(logged, name, &len);
}

static void
what_is_whole_passes_and_every_damage_is_named(void **state)
{
	struct found f = verify();
	uint8_t *p;

	(void)state;
	if (f.fails != 0 || f.warns != 0)
		fail_msg("%s", f.text);
	assert_int_equal(f.passes, 3); /* two timelines, one backup */
	p = segment(1, 7);
	p[500000] ^= 1;
	f = verify();
	assert_non_null(
	    strstr(f.text, "000000010000000000000007: the record at"));
	assert_non_null(strstr(f.text, "timeline 1: 1 of"));
	assert_int_equal(f.fails, 2);
	p[500000] ^= 1;
	p[24] ^= 1;
	f = verify();
	assert_non_null(strstr(f.text, "belongs to another server"));
	p[24] ^= 1;
	/* A record that crosses into the child's first segment. */
	memcpy(segment(2, 8) + 40, "12345678", 8);
	f = verify();
	assert_non_null(strstr(f.text, "000000020000000000000008: the record"));
}

static void
a_gap_and_zeros_are_found(void **state)
{
	struct found f;

	(void)state;
	memset(segment(1, 6) + 8192, 0, WALKIT_SEGMENT - 8192);
	f = verify();
	assert_non_null(strstr(f.text,
	    "000000010000000000000006: its records end before it does"));
	walstore_remove(logged, 1, 6);
	f = verify();
	assert_non_null(
	    strstr(f.text, "backup a: 000000010000000000000006 is missing"));
	assert_int_equal(f.fails, 1);
	walstore_remove(logged, 1, 5);
	f = verify();
	assert_non_null(strstr(f.text, "backup a: it cannot be restored"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make, unmake)
		T(names_are_read_as_they_are_written),
		T(timelines_lead_from_one_to_another),
		T(the_first_gap_is_named_and_pieces_count),
		T(a_part_of_the_log_answers_as_all_of_it),
		T(a_missing_piece_ends_what_pieces_give),
		T(pieces_do_not_stand_for_what_was_left_or_is_followed),
		T(pieces_beside_the_new_timelines_segment_count),
		T(a_damaged_history_is_said_and_not_followed),
		T(a_window_leads_from_the_backup_to_the_last_commit),
		T(an_older_branch_that_goes_on_has_a_window_of_its_own),
		T(a_backup_with_its_own_wal_is_a_moment),
		T(a_time_can_be_reached_when_a_later_commit_is_there),
		T(positions_transactions_and_names_are_looked_for),
		T(what_is_whole_passes_and_every_damage_is_named),
		T(a_gap_and_zeros_are_found),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
