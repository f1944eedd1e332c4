/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes of parts, URLs, tags, the limit of bytes a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <stdlib.h>
#include <string.h>

#include "attributes.h"
#include "base/error.h"
#include "parts.h"
#include "plugin/host.h"
#include "rate.h"
#include "request.h"

#define MIB ((uint64_t)1 << 20)

/* All that fits into the parts, when nothing is announced. */
static uint64_t
reach(uint64_t first, uint64_t *largest)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < PARTS_MAX; i++) {
		*largest = parts_size(first, 0, all, i);
		all += *largest;
	}
	return all;
}

static void
ten_thousand_parts_reach_a_terabyte(void **state)
{
	uint64_t largest;

	(void)state;
	assert_true(reach(5 * MIB, &largest) >= 1000000000000u);
	assert_true(largest <= 640 * MIB);
	assert_true(reach(8 * MIB, &largest) >= 1500000000000u);
	/* A part is memory: it does not grow without end. */
	assert_true(reach(64 * MIB, &largest) >= (uint64_t)4 << 40);
	assert_true(largest <= 640 * MIB);
	/* The largest object of S3. */
	assert_true(reach(1024 * MIB, &largest) >= (uint64_t)5 << 40);
	assert_true(largest == 1024 * MIB);
}

static void
an_announced_size_gives_equal_parts_that_fit(void **state)
{
	const uint64_t sizes[] = { 1, 5 * MIB, 100 << 20, (uint64_t)1 << 40,
		(uint64_t)5 << 40 };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint64_t part = parts_size(5 * MIB, sizes[i], 0, 0);

		assert_true(part >= 5 * MIB);
		assert_true(sizes[i] / part < PARTS_MAX);
		assert_int_equal(
		    parts_size(5 * MIB, sizes[i], sizes[i] - 1, 9000), part);
		/* More comes than was said. */
		assert_true(
		    parts_size(5 * MIB, sizes[i], sizes[i], 9000) >= part);
	}
}

static void
parts_never_shrink(void **state)
{
	uint64_t before = 0;

	(void)state;
	for (unsigned i = 0; i < PARTS_MAX; i++) {
		uint64_t now = parts_size(5 * MIB, 0, 0, i);

		assert_true(now >= before);
		before = now;
	}
}

static void
expect_url(const char *style, const char *prefix, const char *key,
    const char *query, const char *want)
{
	struct hf_store s = {
		.conf = { .bucket = "shop", .style = style, .prefix = prefix },
		.endpoint = "http://host:7480"
	};
	struct request r = { .key = key, .query = query };
	char *url = request_url(&s, &r);

	assert_string_equal(url, want);
	free(url);
}

static void
urls_of_both_styles(void **state)
{
	(void)state;
	expect_url(
	    "path", NULL, "a/b.gz", NULL, "http://host:7480/shop/a/b.gz");
	expect_url(
	    "path", NULL, NULL, "uploads=", "http://host:7480/shop?uploads=");
	expect_url(
	    "virtual", NULL, "a/b.gz", NULL, "http://shop.host:7480/a/b.gz");
	expect_url("virtual", NULL, NULL,
	    "uploads=", "http://shop.host:7480/?uploads=");
	expect_url("path", "a b+c%/\xc3\xa9~'(", "k", "x=1",
	    "http://host:7480/shop/a%20b%2Bc%25/%C3%A9~%27%28/k?x=1");
}

static void
a_query_encodes_all_but_the_unreserved(void **state)
{
	char text[64];

	(void)state;
	request_encode("aZ09-._~/ +&=%\xff", text, sizeof text);
	assert_string_equal(text, "aZ09-._~%2F%20%2B%26%3D%25%FF");
	/* Cut nowhere: nothing rather than half. */
	request_encode("////", text, 12);
	assert_string_equal(text, "");
}

static void
tags_are_encoded_and_bounded(void **state)
{
	const char *const good[] = { "team=my shop", "cost=a&b=c", NULL };
	const char *const nameless[] = { "=x", NULL };
	const char *const plain[] = { "x", NULL };
	const char *const many[] = { "a=", "b=", "c=", "d=", "e=", "f=", "g=",
		"h=", "i=", "j=", "k=", NULL };
	char text[TAGS_MAX], small[16];
	struct hf_error err = { 0 };

	(void)state;
	assert_int_equal(attributes_tags(good, text, sizeof text, &err), HF_OK);
	assert_string_equal(text, "team=my%20shop&cost=a%26b%3Dc");
	assert_int_equal(
	    attributes_tags(nameless, text, sizeof text, &err), HF_E_INVALID);
	assert_int_equal(
	    attributes_tags(plain, text, sizeof text, &err), HF_E_INVALID);
	assert_int_equal(
	    attributes_tags(many, text, sizeof text, &err), HF_E_INVALID);
	assert_int_equal(
	    attributes_tags(good, small, sizeof small, &err), HF_E_INVALID);
	assert_int_equal(attributes_tags(NULL, text, sizeof text, &err), HF_OK);
	assert_string_equal(text, "");
	error_clear(&err);
}

static void
a_limit_is_kept(void **state)
{
	struct rate rate;
	size_t done = 0;
	int64_t begun = request_clock(), took;

	(void)state;
	rate_init(&rate, 1000000);
	while (done < 500000) {
		size_t n = rate_take(&rate, 500000 - done);

		/* So that no wait looks like a stall. */
		assert_in_range(n, 1, 100000);
		done += n;
	}
	took = request_clock() - begun;
	rate_destroy(&rate);
	/* The first block goes at once. */
	assert_in_range(took, 380, 2000);
}

static void
no_limit_waits_for_nothing(void **state)
{
	struct rate rate;

	(void)state;
	rate_init(&rate, 0);
	assert_int_equal(rate_take(&rate, 1 << 30), 1 << 30);
	rate_wait(&rate, 1 << 30);
	rate_destroy(&rate);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_parts_reach_a_terabyte),
		cmocka_unit_test(an_announced_size_gives_equal_parts_that_fit),
		cmocka_unit_test(parts_never_shrink),
		cmocka_unit_test(urls_of_both_styles),
		cmocka_unit_test(a_query_encodes_all_but_the_unreserved),
		cmocka_unit_test(tags_are_encoded_and_bounded),
		cmocka_unit_test(a_limit_is_kept),
		cmocka_unit_test(no_limit_waits_for_nothing),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
