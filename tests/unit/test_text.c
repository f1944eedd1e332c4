/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

static void
sizes_have_decimal_and_binary_units(void **state)
{
	static const struct {
		const char *s;
		int64_t bytes;
	} good[] = { { "0", 0 }, { "4096", 4096 }, { "10kB", 10000 },
		{ "16MiB", 16 << 20 }, { "1.5GiB", 3LL << 29 },
		{ "2 TB", 2000000000000 }, { "1B", 1 } };
	static const char *const bad[] = { "", "MiB", "-1", "1XB", "1MiB ",
		"1 2", "99999999TiB", "1.MiB", "0x10" };
	int64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(text_parse_size(good[i].s, &v));
		assert_int_equal(v, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_parse_size(bad[i], &v));
}

static void
durations_need_a_unit_and_add_up(void **state)
{
	static const struct {
		const char *s;
		int64_t ms;
	} good[] = { { "90s", 90000 }, { "10m", 600000 }, { "26h", 93600000 },
		{ "7d", 604800000 }, { "2w", 1209600000 }, { "250ms", 250 },
		{ "1h30m", 5400000 }, { "1.5s", 1500 }, { "0s", 0 } };
	static const char *const bad[] = { "", "90", "s", "5x", "1h30", "-1s",
		"1s ", "1S" };
	int64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(text_parse_duration(good[i].s, &v));
		assert_int_equal(v, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_parse_duration(bad[i], &v));
}

static void
times_are_read_with_a_zone_or_as_local(void **state)
{
	static const char *const bad[] = { "", "2026", "2026-13-01",
		"2026-01-01T25:00", "2026-01-01T10", "yesterday",
		"2026-01-01T10:00:00X", "2026-01-01T10:00:00+99:00",
		"2026-01-01T10:00:00+99", "2026-01-01T10:00:00+1",
		"2026-01-01T10:00:00+01:", "2026-01-01T10:00:00 UTC+1" };
	int64_t utc, other;

	(void)state;
	assert_true(text_parse_time("2026-11-21T02:15:00Z", &utc));
	assert_int_equal(utc, 1795227300000);
	assert_true(text_parse_time("2026-11-21 03:15:00+01:00", &other));
	assert_int_equal(other, utc);
	assert_true(text_parse_time("2026-11-21T02:15:00.250Z", &other));
	assert_int_equal(other, utc + 250);
	assert_true(text_parse_time("2026-11-21 00:15:00-02", &other));
	assert_int_equal(other, utc);
	assert_true(text_parse_time("2026-11-21 02:15:00.25 UTC", &other));
	assert_int_equal(other, utc + 250);
	assert_true(text_parse_time("2026-11-21T02:15Z", &other));
	assert_int_equal(other, utc);
	assert_int_equal(setenv("TZ", "UTC-3", 1), 0);
	tzset();
	assert_true(text_parse_time("2026-11-21 05:15:00", &other));
	assert_int_equal(other, utc);
	assert_true(text_parse_time("2026-11-21", &other));
	assert_int_equal(other, 1795208400000);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_parse_time(bad[i], &other));
	assert_string_equal(text_utc(utc).s, "2026-11-21T02:15:00Z");
	assert_string_equal(text_utc_compact(utc).s, "20261121T021500Z");
}

static void
amounts_are_written_for_people(void **state)
{
	(void)state;
	assert_string_equal(text_size(0).s, "0 B");
	assert_string_equal(text_size(1023).s, "1023 B");
	assert_string_equal(text_size(10276045).s, "9.8 MiB");
	assert_string_equal(text_size(1ULL << 40).s, "1.0 TiB");
	assert_string_equal(text_duration(3140).s, "3.1s");
	assert_string_equal(text_duration(252000).s, "4m12s");
	assert_string_equal(text_duration(7260000).s, "2h01m");
	assert_string_equal(text_duration(259200000).s, "3d00h");
}

static void
the_nearest_name_is_suggested_only_when_near(void **state)
{
	static const char *const names[] = { "busy_timeout", "path", "method",
		NULL };

	(void)state;
	assert_string_equal(text_nearest("busy_timout", names), "busy_timeout");
	assert_string_equal(text_nearest("Path", names), "path");
	assert_string_equal(text_nearest("phat", names), "path");
	assert_null(text_nearest("compression", names));
}

static void
random_hex_differs(void **state)
{
	char a[33], b[33];

	(void)state;
	text_random_hex(16, a);
	text_random_hex(16, b);
	assert_int_equal(strlen(a), 32);
	assert_string_not_equal(a, b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_have_decimal_and_binary_units),
		cmocka_unit_test(durations_need_a_unit_and_add_up),
		cmocka_unit_test(times_are_read_with_a_zone_or_as_local),
		cmocka_unit_test(amounts_are_written_for_people),
		cmocka_unit_test(the_nearest_name_is_suggested_only_when_near),
		cmocka_unit_test(random_hex_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
