/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside WAL segments: what is in them is told, and what is wrong is found. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/error.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/walkit.h"
#include "wal/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM 77
#define START (UINT64_C(5) * WALKIT_SEGMENT)
#define T0 INT64_C(1790000000123456)

static struct hf_error err;

struct seen {
	struct segment_event e[4000];
	char name[64];
	size_t n;
};

static int
take(void *arg, const struct segment_event *e)
{
	struct seen *s = arg;

	assert_true(s->n < sizeof s->e / sizeof *s->e);
	s->e[s->n++] = *e;
	if (e->name != NULL)
		(void)snprintf(s->name, sizeof s->name, "%s", e->name);
	return 0;
}

/* All segments of k, in pages or larger parts.  The first status that is not
 * HF_OK. */
static int
walk(struct walkit *k, size_t part, struct seen *s, lsn_t *end)
{
	struct segment_walk *w;
	int rc = HF_OK;

	s->n = 0;
	error_clear(&err);
	assert_int_equal(segment_walk_new(take, s, &w, &err), HF_OK);
	for (size_t i = 0; i < walkit_count(k) && rc == HF_OK; i++)
		for (size_t at = 0; at < WALKIT_SEGMENT && rc == HF_OK;
		     at += part)
			rc = segment_walk_feed(
			    w, walkit_segment(k, i) + at, part, "file", &err);
	*end = segment_walk_end(w);
	segment_walk_free(w);
	return rc;
}

static struct seen seen;
static lsn_t end;

static void
assert_event(size_t i, enum segment_event_kind kind, lsn_t start, uint32_t xid,
    int64_t us)
{
	assert_true(i < seen.n);
	assert_int_equal(seen.e[i].kind, kind);
	assert_int_equal(seen.e[i].start, start);
	assert_int_equal(seen.e[i].xid, xid);
	assert_int_equal(seen.e[i].time_us, us);
}

static void
every_kind_is_told_with_its_time_and_transaction(void **state)
{
	struct walkit *k = walkit_new(SYSTEM, 1, WALKIT_SEGMENT, START);
	lsn_t at[6];

	(void)state;
	at[0] = walkit_commit(k, 700, T0);
	walkit_fill(k, 100);
	at[1] = walkit_abort(k, 701, T0 + 1);
	at[2] = walkit_commit_prepared(k, 702, T0 + 2);
	at[3] = walkit_restore_point(k, "before the release", T0 + 3);
	at[4] = walkit_switch(k);
	at[5] = walkit_commit(k, 703, T0 + 4);
	assert_int_equal(walk(k, 8192, &seen, &end), HF_EOF);
	assert_int_equal(seen.n, 6);
	assert_event(0, SEGMENT_COMMIT, at[0], 700, T0);
	assert_event(1, SEGMENT_ABORT, at[1], 701, T0 + 1);
	assert_event(2, SEGMENT_COMMIT, at[2], 702, T0 + 2);
	assert_event(3, SEGMENT_RESTORE_POINT, at[3], 0, T0 + 3);
	assert_string_equal(seen.name, "before the release");
	assert_event(4, SEGMENT_SWITCH, at[4], 0, 0);
	assert_int_equal(seen.e[4].end, START + WALKIT_SEGMENT);
	assert_event(5, SEGMENT_COMMIT, at[5], 703, T0 + 4);
	assert_int_equal(end, walkit_end(k));
	walkit_free(k);
}

static void
the_longer_statistics_of_18_are_understood(void **state)
{
	struct walkit *k = walkit_new(SYSTEM, 1, WALKIT_SEGMENT, START);
	lsn_t at;

	(void)state;
	walkit_magic(k, 0xD118);
	at = walkit_commit_prepared(k, 702, T0);
	assert_int_equal(walk(k, 65536, &seen, &end), HF_EOF);
	assert_event(0, SEGMENT_COMMIT, at, 702, T0);
	walkit_free(k);
}

/* Records of all sizes, so that each place in a header comes to lie across
 * pages, and some across segments. */
static void
records_cross_pages_and_segments(void **state)
{
	struct walkit *k = walkit_new(SYSTEM, 1, WALKIT_SEGMENT, START);
	lsn_t at[2000];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 1200; i++) {
		walkit_fill(k, (i * 37) % 5000);
		at[n++] = walkit_commit(k, (uint32_t)(1000 + i), T0 + (int)i);
	}
	walkit_fill(k, 3 * WALKIT_SEGMENT);
	at[n++] = walkit_commit(k, 5000, T0);
	assert_true(walkit_count(k) > 5);
	for (size_t part = 8192; part <= WALKIT_SEGMENT; part *= 2) {
		assert_int_equal(walk(k, part, &seen, &end), HF_EOF);
		assert_int_equal(seen.n, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(seen.e[i].start, at[i]);
		assert_int_equal(end, walkit_end(k));
	}
	walkit_free(k);
}

static void
what_a_crash_broke_off_is_passed_over(void **state)
{
	struct walkit *k = walkit_new(SYSTEM, 1, WALKIT_SEGMENT, START);
	lsn_t at;

	(void)state;
	walkit_commit(k, 1, T0);
	walkit_broken(k);
	at = walkit_commit(k, 2, T0 + 1);
	assert_int_equal(walk(k, 8192, &seen, &end), HF_EOF);
	assert_int_equal(seen.n, 2);
	assert_event(1, SEGMENT_COMMIT, at, 2, T0 + 1);
	walkit_free(k);
}

static struct walkit *
long_one(void)
{
	struct walkit *k = walkit_new(SYSTEM, 2, WALKIT_SEGMENT, START);

	for (size_t i = 0; i < 700; i++) {
		walkit_fill(k, (i * 311) % 3000);
		walkit_commit(k, (uint32_t)(1000 + i), T0);
	}
	return k;
}

/* Where a change is none: between records, or in the gap of a page header. */
static bool
is_padding(struct walkit *k, size_t at)
{
	uint8_t *p = walkit_segment(k, 0);
	size_t page = at % 8192;

	if (page >= 20 && page < 24)
		return true;
	return p[at] == 0; /* most of it */
}

static void
a_changed_byte_is_found_wherever_it_is(void **state)
{
	struct walkit *k = long_one();
	uint8_t *p = walkit_segment(k, 0);
	size_t tried = 0;
	lsn_t whole;
	int rc;

	(void)state;
	assert_int_equal(walk(k, 65536, &seen, &whole), HF_EOF);
	for (size_t at = 0; at < 3 * 8192; at++) {
		if (is_padding(k, at))
			continue;
		p[at] ^= 0x10;
		rc = walk(k, 65536, &seen, &end);
		/* An address that became an older one ends the records, which
		 * is seen too.  The long header's system and sizes are compared
		 * with the name: see below. */
		if (rc != HF_E_CORRUPT && end >= whole && at >= 40)
			fail_msg("byte %zu", at);
		p[at] ^= 0x10;
		tried++;
	}
	assert_true(tried > 10000);
	walkit_free(k);
}

static void
assert_corrupt(struct walkit *k, const char *said)
{
	assert_int_equal(walk(k, 65536, &seen, &end), HF_E_CORRUPT);
	if (strstr(err.cause, said) == NULL)
		fail_msg("%s", err.cause);
	assert_non_null(strstr(err.cause, "file: "));
}

static void
what_is_wrong_is_said_with_its_position(void **state)
{
	struct walkit *k = long_one();
	uint8_t *p = walkit_segment(k, 0);

	(void)state;
	p[40 + 30] ^= 1;
	assert_corrupt(k, "the record at 0/500040 has a wrong CRC");
	p[40 + 30] ^= 1;
	p[8192 + 8 + 1] ^= 0x40;
	assert_corrupt(k, "the page at 0/502000 has the address of another");
	p[8192 + 8 + 1] ^= 0x40;
	p[8192 + 4] = 1;
	assert_corrupt(k, "the page at 0/502000 is of an older timeline");
	p[8192 + 4] = 2;
	p[8192 + 16] ^= 1;
	assert_corrupt(k, "is continued by another one");
	p[8192 + 16] ^= 1;
	p[8192 + 2] = 0;
	assert_corrupt(k, "is not continued on the next page");
	p[8192 + 2] = 1;
	assert_int_equal(walk(k, 65536, &seen, &end), HF_EOF);
	walkit_free(k);
}

static void
zeros_old_pages_and_half_pages_end_the_records(void **state)
{
	struct walkit *k = long_one();
	uint8_t *p = walkit_segment(k, 0);
	struct segment_walk *w;
	lsn_t whole;

	(void)state;
	assert_int_equal(walk(k, 65536, &seen, &whole), HF_EOF);
	/* What was there before the file was used again. */
	p[10 * 8192 + 8 + 2] = 0;
	p[10 * 8192 + 8 + 3] = 0;
	p[10 * 8192 + 4] = 1;
	assert_int_equal(walk(k, 65536, &seen, &end), HF_EOF);
	assert_true(end > START + 9 * 8192 && end <= START + 10 * 8192);
	memset(p + 10 * 8192, 0, WALKIT_SEGMENT - 10 * 8192);
	assert_int_equal(walk(k, 65536, &seen, &end), HF_EOF);
	assert_true(end > START + 9 * 8192 && end <= START + 10 * 8192);
	assert_int_equal(segment_walk_new(NULL, NULL, &w, &err), HF_OK);
	assert_int_equal(
	    segment_walk_feed(w, p, 8192 + 3001, "file", &err), HF_EOF);
	assert_true(segment_walk_end(w) <= START + 8192 + 3001);
	assert_true(segment_walk_end(w) > START + 8192 - 3100);
	/* And another segment is read after it. */
	assert_int_equal(segment_walk_feed(w, walkit_segment(k, 1),
			     WALKIT_SEGMENT, "file", &err),
	    HF_EOF);
	assert_int_equal(segment_walk_end(w), whole);
	segment_walk_free(w);
	walkit_free(k);
}

static void
a_segment_that_does_not_follow_begins_anew(void **state)
{
	struct walkit *k = walkit_new(SYSTEM, 1, WALKIT_SEGMENT, START);
	struct segment_walk *w;

	(void)state;
	for (int i = 0; i < 3; i++)
		walkit_fill_segment(k);
	assert_int_equal(segment_walk_new(NULL, NULL, &w, &err), HF_OK);
	assert_int_equal(segment_walk_feed(w, walkit_segment(k, 0),
			     WALKIT_SEGMENT, "a", &err),
	    HF_OK);
	assert_int_equal(segment_walk_feed(w, walkit_segment(k, 2),
			     WALKIT_SEGMENT, "c", &err),
	    HF_OK);
	assert_true(segment_walk_end(w) > START + 2 * WALKIT_SEGMENT);
	segment_walk_free(w);
	walkit_free(k);
}

static void
a_promotion_goes_on_with_a_copy_of_the_segment(void **state)
{
	struct walkit *k = walkit_new(SYSTEM, 1, WALKIT_SEGMENT, START), *child;
	struct segment_walk *w;
	lsn_t at;

	(void)state;
	walkit_fill_segment(k);
	walkit_commit(k, 1, T0);
	child = walkit_copy(k);
	walkit_timeline(child, 2);
	walkit_fill(child, 20000);
	at = walkit_commit(child, 2, T0 + 1);
	assert_int_equal(walk(child, 65536, &seen, &end), HF_EOF);
	assert_event(seen.n - 1, SEGMENT_COMMIT, at, 2, T0 + 1);
	assert_int_equal(segment_walk_new(NULL, NULL, &w, &err), HF_OK);
	(void)segment_walk_feed(
	    w, walkit_segment(child, 1), WALKIT_SEGMENT, "", &err);
	assert_int_equal(segment_walk_timeline(w), 2);
	segment_walk_free(w);
	walkit_free(child);
	walkit_free(k);
}

static void
facts_are_those_of_commits_and_aborts(void **state)
{
	struct walkit *k = walkit_new(SYSTEM, 1, WALKIT_SEGMENT, START);
	struct segment_facts f;
	uint8_t odd[8192];

	(void)state;
	walkit_restore_point(k, "p", T0 - 5);
	walkit_commit(k, 1, T0 + 7);
	walkit_commit(k, 2, T0 + 3);
	walkit_abort(k, 3, T0 + 9);
	walkit_restore_point(k, "p", T0 + 20);
	segment_facts(walkit_segment(k, 0), WALKIT_SEGMENT, &f);
	assert_int_equal(f.first_commit_us, T0 + 3);
	assert_int_equal(f.last_commit_us, T0 + 9);
	assert_int_equal(f.end, walkit_end(k));
	memset(odd, 0xAA, sizeof odd);
	segment_facts(odd, sizeof odd, &f);
	assert_int_equal(f.end, 0);
	segment_facts(odd, 0, &f);
	assert_int_equal(f.last_commit_us, 0);
	walkit_free(k);
}

static void
a_header_says_whose_it_is(void **state)
{
	struct walkit *k = walkit_new(SYSTEM, 3, WALKIT_SEGMENT, START);
	struct wal_name n = { .kind = WAL_SEGMENT, .timeline = 3, .segno = 5 };
	struct segment_header h;
	char why[WHY_MAX];
	uint8_t *p;

	(void)state;
	walkit_commit(k, 1, T0);
	p = walkit_segment(k, 0);
	assert_int_equal(segment_header(p, 40, "f", &h, &err), HF_OK);
	assert_int_equal(h.system_identifier, SYSTEM);
	assert_int_equal(h.address, START);
	assert_int_equal(segment_header_fits(&h, SYSTEM, &n, why), HF_OK);
	assert_int_equal(segment_header_fits(&h, 0, &n, why), HF_OK);
	assert_int_equal(
	    segment_header_fits(&h, SYSTEM + 1, &n, why), HF_E_CORRUPT);
	n.segno = 6;
	assert_int_equal(
	    segment_header_fits(&h, SYSTEM, &n, why), HF_E_CORRUPT);
	n.segno = 5;
	n.timeline = 4; /* begins with a copy of 3 */
	assert_int_equal(segment_header_fits(&h, SYSTEM, &n, why), HF_OK);
	n.timeline = 2;
	assert_int_equal(
	    segment_header_fits(&h, SYSTEM, &n, why), HF_E_CORRUPT);
	assert_int_equal(segment_header(p, 39, "f", &h, &err), HF_E_CORRUPT);
	p[1] = 0x11;
	assert_int_equal(segment_header(p, 40, "f", &h, &err), HF_E_CORRUPT);
	p[0] = 0xD1;
	p[1] = 0x10;
	assert_int_equal(
	    segment_header(p, 40, "f", &h, &err), HF_E_UNSUPPORTED);
	walkit_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    every_kind_is_told_with_its_time_and_transaction),
		cmocka_unit_test(the_longer_statistics_of_18_are_understood),
		cmocka_unit_test(records_cross_pages_and_segments),
		cmocka_unit_test(what_a_crash_broke_off_is_passed_over),
		cmocka_unit_test(a_changed_byte_is_found_wherever_it_is),
		cmocka_unit_test(what_is_wrong_is_said_with_its_position),
		cmocka_unit_test(
		    zeros_old_pages_and_half_pages_end_the_records),
		cmocka_unit_test(a_segment_that_does_not_follow_begins_anew),
		cmocka_unit_test(
		    a_promotion_goes_on_with_a_copy_of_the_segment),
		cmocka_unit_test(facts_are_those_of_commits_and_aborts),
		cmocka_unit_test(a_header_says_whose_it_is),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
