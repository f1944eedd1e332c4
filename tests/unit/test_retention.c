/* SPDX-License-Identifier: BSD-2-Clause */
/* Which backups are kept, and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/config.h"
#include "repo/retention.h"

#define MAX 64
#define HOUR_MS ((int64_t)60 * 60 * 1000)
#define DAY_MS (24 * HOUR_MS)

static struct retention_item items[MAX];
static size_t n;

/* "2026-11-21 14:30", UTC. */
static int64_t
at(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return (int64_t)timegm(&tm) * 1000;
}

/* Proven, without a parent; oldest first. */
static void
history(size_t count, const char *const *times)
{
	assert_true(count <= MAX);
	n = count;
	memset(items, 0, sizeof items);
	for (size_t i = 0; i < n; i++) {
		items[i].at_ms = at(times[i]);
		items[i].proven = true;
		items[i].parent = -1;
	}
}
#define HISTORY(...)                                          \
	do {                                                  \
		const char *const times[] = { __VA_ARGS__ };  \
		history(sizeof times / sizeof *times, times); \
	} while (0)

/* "KK-K": one letter a backup, oldest first. */
static void
expect(const struct config_retention *r, int64_t now_ms, const char *kept)
{
	char got[MAX + 1] = "";
	size_t removed = retention_apply(r, items, n, now_ms), gone = 0;

	for (size_t i = 0; i < n; i++) {
		got[i] = items[i].keep ? 'K' : '-';
		gone += !items[i].keep;
		assert_int_equal(items[i].keep, items[i].why[0] != '\0');
	}
	assert_string_equal(got, kept);
	assert_int_equal(removed, gone);
}

static void
zone(const char *tz)
{
	assert_int_equal(setenv("TZ", tz, 1), 0);
	tzset();
}

/* Central Europe, without a database of zones. */
#define EUROPE "CET-1CEST,M3.5.0,M10.5.0/3"

static int
in_utc(void **state)
{
	(void)state;
	zone("UTC0");
	return 0;
}

/* ---- the rules ---- */

static void
without_a_rule_everything_is_kept(void **state)
{
	struct config_retention r = {
		.min_keep = 1, .wal_ms = DAY_MS, .reports_ms = DAY_MS
	};

	(void)state;
	HISTORY("2020-01-01 00:00", "2021-01-01 00:00", "2022-01-01 00:00");
	expect(&r, at("2026-11-21 00:00"), "KKK");
	assert_string_equal(items[0].why, "no rule");
	n = 0;
	expect(&r, 0, "");
}

static void
last_counts_from_the_newest(void **state)
{
	struct config_retention r = { .last = 2, .min_keep = 1 };

	(void)state;
	/* Two of one moment are told apart by their order. */
	HISTORY("2026-11-20 00:00", "2026-11-21 00:00", "2026-11-21 00:00",
	    "2026-11-21 00:00");
	expect(&r, at("2026-11-21 01:00"), "--KK");
	assert_string_equal(items[3].why, "last 1");
	assert_string_equal(items[2].why, "last 2");
	r.last = 9;
	expect(&r, at("2026-11-21 01:00"), "KKKK");
}

static void
each_period_keeps_its_last_backup(void **state)
{
	struct config_retention r = { .min_keep = 1 };
	int64_t now = at("2026-11-21 12:00");

	(void)state;
	HISTORY("2024-12-31 23:59", "2025-06-01 10:00", "2026-09-30 10:00",
	    "2026-11-01 10:00", "2026-11-20 10:00", "2026-11-21 10:10",
	    "2026-11-21 10:50", "2026-11-21 11:05");
	r.hourly = 2;
	expect(&r, now, "------KK");
	assert_string_equal(items[7].why, "hourly 2026-11-21T11");
	r = (struct config_retention){ .min_keep = 1, .daily = 2 };
	expect(&r, now, "----K--K");
	assert_string_equal(items[4].why, "daily 2026-11-20");
	r = (struct config_retention){ .min_keep = 1, .weekly = 2 };
	expect(&r, now, "---K---K");
	assert_string_equal(items[7].why, "weekly 2026-W47");
	r = (struct config_retention){ .min_keep = 1, .monthly = 2 };
	expect(&r, now, "--K----K");
	assert_string_equal(items[2].why, "monthly 2026-09");
	r = (struct config_retention){ .min_keep = 1, .yearly = 3 };
	expect(&r, now, "KK-----K");
	assert_string_equal(items[0].why, "yearly 2024");
	/* Whatever keeps it is told. */
	r.last = 1;
	r.daily = 1;
	expect(&r, now, "KK-----K");
	assert_string_equal(
	    items[7].why, "last 1, daily 2026-11-21, yearly 2026");
}

static void
within_ends_at_its_very_age(void **state)
{
	struct config_retention r = { .min_keep = 1, .within_ms = DAY_MS };

	(void)state;
	HISTORY("2026-11-20 12:00", "2026-11-20 12:01", "2026-11-21 11:00");
	expect(&r, at("2026-11-21 12:00"), "KKK");
	expect(&r, at("2026-11-21 12:00") + 1, "-KK");
	/* A clock that was ahead when it was made. */
	expect(&r, at("2026-11-20 00:00"), "KKK");
}

/* ---- the calendar ---- */

static void
days_are_those_of_the_local_zone(void **state)
{
	struct config_retention r = { .min_keep = 1, .daily = 2 };

	(void)state;
	HISTORY("2026-11-20 12:00", "2026-11-20 22:30", "2026-11-20 23:30");
	expect(&r, at("2026-11-21 12:00"), "--K");
	zone(EUROPE);
	expect(&r, at("2026-11-21 12:00"), "-KK");
	assert_string_equal(items[2].why, "daily 2026-11-21");
	zone("EST5");
	expect(&r, at("2026-11-21 12:00"), "--K");
}

static void
an_hour_that_the_clock_has_twice_is_one(void **state)
{
	struct config_retention r = { .min_keep = 1, .hourly = 2 };

	(void)state;
	/* 01:30 and 02:30 in summer, 02:30 in winter time. */
	HISTORY("2026-10-24 23:30", "2026-10-25 00:30", "2026-10-25 01:30");
	expect(&r, at("2026-10-25 02:00"), "-KK");
	zone(EUROPE);
	expect(&r, at("2026-10-25 02:00"), "K-K");
	assert_string_equal(items[2].why, "hourly 2026-10-25T02");
	/* The hour that it leaves out, and a day of 23 hours. */
	HISTORY("2026-03-29 00:30", "2026-03-29 01:30");
	expect(&r, at("2026-03-29 02:00"), "KK");
	assert_string_equal(items[1].why, "hourly 2026-03-29T03");
	r = (struct config_retention){ .min_keep = 1, .daily = 2 };
	HISTORY("2026-03-28 22:59", "2026-03-28 23:01", "2026-03-29 21:59",
	    "2026-03-29 22:01");
	expect(&r, at("2026-03-30 02:00"), "--KK");
}

static void
a_week_goes_on_over_new_year(void **state)
{
	struct config_retention r = { .min_keep = 1, .weekly = 2 };

	(void)state;
	/* Thursday, Friday, Sunday, and Monday. */
	HISTORY("2026-12-31 12:00", "2027-01-01 12:00", "2027-01-03 12:00",
	    "2027-01-04 12:00");
	expect(&r, at("2027-01-05 00:00"), "--KK");
	assert_string_equal(items[2].why, "weekly 2026-W53");
	assert_string_equal(items[3].why, "weekly 2027-W01");
	r = (struct config_retention){ .min_keep = 1, .yearly = 2 };
	expect(&r, at("2027-01-05 00:00"), "K--K");
	/* The last days of a year may be of the next one's first week. */
	r = (struct config_retention){ .min_keep = 1, .weekly = 1 };
	HISTORY("2025-12-28 12:00", "2025-12-29 12:00", "2026-01-04 12:00");
	expect(&r, at("2026-01-05 00:00"), "--K");
	assert_string_equal(items[2].why, "weekly 2026-W01");
}

/* ---- what is known of them ---- */

static void
never_fewer_proven_ones_than_min_keep(void **state)
{
	struct config_retention r = { .last = 1, .min_keep = 2 };
	int64_t now = at("2026-11-21 12:00");

	(void)state;
	HISTORY("2026-11-17 00:00", "2026-11-18 00:00", "2026-11-19 00:00",
	    "2026-11-20 00:00");
	expect(&r, now, "--KK");
	assert_string_equal(items[2].why, "min_keep 2");
	items[2].proven = false;
	expect(&r, now, "-K-K");
	/* There are not as many: nothing goes. */
	r.min_keep = 4;
	expect(&r, now, "KKKK");
	assert_string_equal(items[0].why, "fewer than min_keep are proven");
	for (size_t i = 0; i < n; i++)
		items[i].proven = false;
	r.min_keep = 1;
	expect(&r, now, "KKKK");
}

static void
a_damaged_one_takes_nobodys_place(void **state)
{
	struct config_retention r = { .last = 2, .daily = 2, .min_keep = 1 };
	int64_t now = at("2026-11-21 12:00");

	(void)state;
	HISTORY("2026-11-19 00:00", "2026-11-20 00:00", "2026-11-20 10:00",
	    "2026-11-21 00:00");
	items[2].proven = false;
	items[2].failed = true;
	expect(&r, now, "-K-K");
	/* While nothing newer is known to be good it is better than nothing. */
	items[3].proven = false;
	expect(&r, now, "-KKK");
	assert_string_equal(items[2].why, "no newer one is proven");
}

static void
one_that_cannot_be_read_is_never_removed(void **state)
{
	struct config_retention r = { .last = 1, .min_keep = 1 };

	(void)state;
	HISTORY("2020-01-01 00:00", "2026-11-19 00:00", "2026-11-20 00:00",
	    "2026-11-21 00:00");
	items[0].proven = items[3].proven = false;
	items[0].unknown = items[3].unknown = true;
	expect(&r, at("2026-11-21 12:00"), "K-KK");
	assert_string_equal(items[0].why, "its manifest cannot be read");
	assert_string_equal(items[2].why, "last 1");
}

/* A newer one keeps its day's place, but may turn out bad when it is read. */
static void
the_newest_proven_one_stays_behind_one_that_nobody_checked(void **state)
{
	struct config_retention r = { .daily = 2, .min_keep = 1 };

	(void)state;
	HISTORY("2026-11-20 10:00", "2026-11-21 08:00", "2026-11-21 09:00",
	    "2026-11-21 10:00");
	items[3].proven = false;
	expect(&r, at("2026-11-21 12:00"), "K-KK");
	assert_string_equal(items[2].why, "the newest that is proven");
}

static void
what_is_kept_keeps_its_parents(void **state)
{
	struct config_retention r = { .last = 1, .min_keep = 1 };
	int64_t now = at("2026-11-21 12:00");

	(void)state;
	HISTORY("2026-11-18 00:00", "2026-11-19 00:00", "2026-11-20 00:00",
	    "2026-11-21 00:00");
	items[3].parent = 2;
	items[2].parent = 0;
	expect(&r, now, "K-KK");
	assert_string_equal(items[0].why, "needed by a later one");
	/* Of the same second, they may stand in any order. */
	HISTORY("2026-11-18 00:00", "2026-11-19 00:00", "2026-11-20 00:00",
	    "2026-11-20 00:00", "2026-11-21 00:00");
	items[4].parent = 2;
	items[2].parent = 3;
	items[3].parent = 0;
	expect(&r, now, "K-KKK");
	/* What manifests say may be nonsense: a ring, nobody. */
	items[0].parent = 4;
	expect(&r, now, "K-KKK");
	items[0].parent = 99;
	expect(&r, now, "K-KKK");
}

/* ---- moments ---- */

static void
moments_are_promised_from_before_the_log_begins(void **state)
{
	struct config_retention r = { .last = 3, .min_keep = 1 };
	int64_t now = at("2026-11-21 12:00"), ended[4];

	(void)state;
	HISTORY("2026-11-18 00:00", "2026-11-19 00:00", "2026-11-20 00:00",
	    "2026-11-21 00:00");
	for (size_t i = 0; i < n; i++)
		ended[i] = items[i].at_ms + HOUR_MS;
	expect(&r, now, "-KKK");
	/* Without "wal": as far back as there are backups. */
	assert_int_equal(retention_whole(&r, items, ended, n, now), 0);
	r.wal_ms = DAY_MS;
	/* Counted among those that are kept. */
	assert_int_equal(retention_whole(&r, items, ended, n, now), 1);
	r.wal_ms = now - ended[2];
	assert_int_equal(retention_whole(&r, items, ended, n, now), 1);
	r.wal_ms++;
	assert_int_equal(retention_whole(&r, items, ended, n, now), 0);
	r.wal_ms = HOUR_MS;
	assert_int_equal(retention_whole(&r, items, ended, n, now), 2);
	/* A damaged one promises nothing. */
	items[3].failed = true;
	assert_int_equal(retention_whole(&r, items, ended, n, now), 1);
	r.wal_ms = 100 * DAY_MS;
	assert_int_equal(retention_whole(&r, items, ended, n, now), 0);
}

/* ---- any history ---- */

static uint64_t seed;

static int64_t
dice(int64_t sides)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (int64_t)((seed >> 33) % (uint64_t)sides);
}

static void
any_history(int64_t now)
{
	n = (size_t)dice(MAX) + 1;
	memset(items, 0, sizeof items);
	for (size_t i = n; i > 0; i--) {
		struct retention_item *item = &items[i - 1];
		int64_t known = dice(10);

		now -= dice(3) == 0 ? 0 : dice(40) * HOUR_MS + dice(HOUR_MS);
		item->at_ms = now;
		item->proven = known < 6;
		item->failed = known == 7;
		item->unknown = known == 8;
		item->parent = i > 1 && dice(3) == 0
				   ? (ptrdiff_t)dice((int64_t)i - 1)
				   : -1;
	}
}

static int64_t
maybe(int64_t most)
{
	return dice(3) == 0 ? dice(most) + 1 : 0;
}

static size_t
proven(bool kept)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += items[i].proven && (!kept || items[i].keep);
	return found;
}

/* Leave what was kept, as a run of prune does. */
static void
remove_rest(void)
{
	ptrdiff_t now_at[MAX];
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		now_at[i] = items[i].keep ? (ptrdiff_t)left++ : -1;
	left = 0;
	for (size_t i = 0; i < n; i++) {
		struct retention_item item = items[i];

		if (!item.keep)
			continue;
		if (item.parent >= 0) {
			/* Nobody loses what it builds on. */
			assert_true(items[item.parent].keep);
			item.parent = now_at[item.parent];
		}
		items[left++] = item;
	}
	n = left;
}

static void
in_any_history_enough_stays_and_twice_is_as_once(void **state)
{
	static const char *const zones[] = { "UTC0", EUROPE, "NZST-12NZDT" };
	int64_t now = at("2027-01-05 03:00");
	size_t had, removed, total = 0;

	(void)state;
	for (seed = 1; seed <= 3000; seed++) {
		uint64_t own = seed;
		struct config_retention r = { .last = maybe(5),
			.hourly = maybe(5),
			.daily = maybe(5),
			.weekly = maybe(5),
			.monthly = maybe(3),
			.yearly = maybe(2),
			.within_ms = maybe(3) * DAY_MS,
			.min_keep = dice(4) + 1 };

		zone(zones[own % 3]);
		any_history(now);
		had = proven(false);
		removed = retention_apply(&r, items, n, now);
		total += removed;
		if (had <= (size_t)r.min_keep)
			assert_int_equal(proven(true), had);
		else
			assert_true(proven(true) >= (size_t)r.min_keep);
		for (size_t i = n; i > 0; i--)
			if (items[i - 1].proven) {
				assert_true(items[i - 1].keep);
				break;
			}
		remove_rest();
		assert_int_equal(retention_apply(&r, items, n, now), 0);
		seed = own;
	}
	/* It was not for want of anything to remove. */
	assert_true(total > 3000);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, in_utc)
	const struct CMUnitTest tests[] = {
		TEST(without_a_rule_everything_is_kept),
		TEST(last_counts_from_the_newest),
		TEST(each_period_keeps_its_last_backup),
		TEST(within_ends_at_its_very_age),
		TEST(days_are_those_of_the_local_zone),
		TEST(an_hour_that_the_clock_has_twice_is_one),
		TEST(a_week_goes_on_over_new_year),
		TEST(never_fewer_proven_ones_than_min_keep),
		TEST(a_damaged_one_takes_nobodys_place),
		TEST(one_that_cannot_be_read_is_never_removed),
		TEST(
		    the_newest_proven_one_stays_behind_one_that_nobody_checked),
		TEST(what_is_kept_keeps_its_parents),
		TEST(moments_are_promised_from_before_the_log_begins),
		TEST(in_any_history_enough_stays_and_twice_is_as_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
