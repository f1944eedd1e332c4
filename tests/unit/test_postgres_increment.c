/* SPDX-License-Identifier: BSD-2-Clause */
/* Increments of relations: applied as the server means them, in pieces of any
 * size, and refused when they are none. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/error.h"
#include "plugin/host.h"
#include "postgres.h"
#include "recover/increment.h"
#include "label.h"
#include "support/chainkit.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK CHAINKIT_BLOCK
#define SEGMENT CHAINKIT_SEGMENT

static const struct geometry geometry = { BLOCK, SEGMENT };
static struct hf_error err;

/* Blocks of one byte each, 0: zeros. */
struct file {
	uint32_t n;
	unsigned char blocks[SEGMENT];
};

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, text);
}

static int
file_new(const struct file *f)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	unsigned char block[BLOCK];

	assert_true(fd >= 0);
	for (uint32_t i = 0; i < f->n; i++) {
		memset(block, f->blocks[i], sizeof block);
		assert_int_equal(
		    pwrite(fd, block, sizeof block, (off_t)i * BLOCK), BLOCK);
	}
	return fd;
}

static void
file_is(int fd, const struct file *f)
{
	unsigned char block[BLOCK], expected[BLOCK];
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, (off_t)f->n * BLOCK);
	for (uint32_t i = 0; i < f->n; i++) {
		memset(expected, f->blocks[i], sizeof expected);
		assert_int_equal(
		    pread(fd, block, sizeof block, (off_t)i * BLOCK), BLOCK);
		assert_memory_equal(block, expected, sizeof block);
	}
}

/* In pieces of 1 to most bytes. */
static int
apply(int fd, const unsigned char *bytes, size_t len, size_t most)
{
	struct increment i;
	int rc = HF_OK;

	error_clear(&err);
	increment_init(&i, &geometry, "INCREMENTAL.1");
	for (size_t at = 0; at < len && rc == HF_OK;) {
		size_t n = 1 + (size_t)rand() % most;

		n = n < len - at ? n : len - at;
		rc = increment_feed(&i, fd, bytes + at, n, &err);
		at += n;
	}
	if (rc == HF_OK)
		rc = increment_end(&i, fd, &err);
	increment_clear(&i);
	return rc;
}

static size_t
encode(unsigned char *out, uint32_t keep, uint32_t n, const uint32_t *numbers,
    const unsigned char *values)
{
	unsigned char blocks[SEGMENT * BLOCK] = { 0 };

	for (uint32_t i = 0; i < n; i++)
		memset(blocks + i * BLOCK, values[i], BLOCK);
	return chainkit_encode(out, keep, n, numbers, blocks);
}

static void
blocks_come_from_the_increment_or_stay_below_its_length(void **state)
{
	static const struct {
		struct file before;
		uint32_t keep, n, numbers[SEGMENT];
		unsigned char values[SEGMENT];
		struct file after;
	} cases[] = {
		/* Overwritten. */
		{ { 3, { 1, 2, 3 } }, 3, 1, { 1 }, { 9 }, { 3, { 1, 9, 3 } } },
		/* Extended. */
		{ { 2, { 1, 2 } }, 4, 2, { 2, 3 }, { 8, 9 },
		    { 4, { 1, 2, 8, 9 } } },
		/* Longer than its length says. */
		{ { 2, { 1, 2 } }, 2, 1, { 4 }, { 9 },
		    { 5, { 1, 2, 0, 0, 9 } } },
		/* Truncated, and extended again: what was there is gone. */
		{ { 5, { 1, 2, 3, 4, 5 } }, 2, 1, { 4 }, { 9 },
		    { 5, { 1, 2, 0, 0, 9 } } },
		/* Truncated alone; nothing at all. */
		{ { 4, { 1, 2, 3, 4 } }, 2, 0, { 0 }, { 0 }, { 2, { 1, 2 } } },
		{ { 2, { 1, 2 } }, 2, 0, { 0 }, { 0 }, { 2, { 1, 2 } } },
		{ { 2, { 1, 2 } }, 0, 0, { 0 }, { 0 }, { 0, { 0 } } },
		/* Extended by zeros that no WAL tells of. */
		{ { 2, { 1, 2 } }, 4, 0, { 0 }, { 0 }, { 4, { 1, 2, 0, 0 } } },
		/* In no order; the whole file. */
		{ { 3, { 1, 2, 3 } }, 3, 3, { 2, 0, 1 }, { 7, 8, 9 },
		    { 3, { 8, 9, 7 } } },
		/* As some releases write it for a file that is full. */
		{ { 8, { 1, 2, 3, 4, 5, 6, 7, 8 } }, 20, 1, { 7 }, { 9 },
		    { 8, { 1, 2, 3, 4, 5, 6, 7, 9 } } },
	};
	unsigned char bytes[CHAINKIT_ENCODED];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = encode(bytes, cases[i].keep, cases[i].n,
		    cases[i].numbers, cases[i].values);

		for (size_t most = 1; most < 9000; most = most * 3 + 1) {
			int fd = file_new(&cases[i].before);

			if (apply(fd, bytes, len, most) != HF_OK)
				fail_msg("case %zu: %s", i, err.cause);
			file_is(fd, &cases[i].after);
			(void)close(fd);
		}
	}
}

/* Half a block at the end of a whole file is no block. */
static void
a_part_of_a_block_is_not_kept(void **state)
{
	const struct file before = { 2, { 1, 2 } }, after = { 3, { 1, 0, 0 } };
	unsigned char bytes[CHAINKIT_ENCODED];
	size_t len = encode(bytes, 3, 0, NULL, NULL);
	int fd = file_new(&before);

	(void)state;
	assert_int_equal(ftruncate(fd, BLOCK + BLOCK / 2), 0);
	assert_int_equal(apply(fd, bytes, len, 100), HF_OK);
	file_is(fd, &after);
	(void)close(fd);
}

/* What the format means, said once more: without files, as arrays. */
static void
model(struct file *f, uint32_t keep, uint32_t n, const uint32_t *numbers,
    const unsigned char *values)
{
	struct file out = { .n = keep };

	for (uint32_t b = 0; b < keep && b < f->n; b++)
		out.blocks[b] = f->blocks[b];
	for (uint32_t i = 0; i < n; i++) {
		out.blocks[numbers[i]] = values[i];
		if (numbers[i] + 1 > out.n)
			out.n = numbers[i] + 1;
	}
	*f = out;
}

static void
shuffle(uint32_t numbers[SEGMENT])
{
	for (uint32_t i = 0; i < SEGMENT; i++)
		numbers[i] = i;
	for (uint32_t i = SEGMENT - 1; i > 0; i--) {
		uint32_t k = (uint32_t)rand() % (i + 1), t = numbers[i];

		numbers[i] = numbers[k];
		numbers[k] = t;
	}
}

static void
random_histories_end_as_the_model_says(void **state)
{
	unsigned rounds = getenv("HOLDFAST_TEST_LONG") != NULL &&
				  strcmp(getenv("HOLDFAST_TEST_LONG"), "1") == 0
			      ? 100000
			      : 3000;

	(void)state;
	srand(17);
	for (unsigned r = 0; r < rounds; r++) {
		struct file f = { .n = (uint32_t)rand() % (SEGMENT + 1) };
		int fd;

		for (uint32_t b = 0; b < f.n; b++)
			f.blocks[b] = (unsigned char)rand();
		fd = file_new(&f);
		for (int k = 0; k < 4; k++) {
			uint32_t keep = (uint32_t)rand() % (SEGMENT + 1);
			uint32_t n = (uint32_t)rand() % (SEGMENT + 1);
			uint32_t numbers[SEGMENT];
			unsigned char values[SEGMENT];
			unsigned char bytes[CHAINKIT_ENCODED];
			size_t len;

			shuffle(numbers);
			for (uint32_t b = 0; b < SEGMENT; b++)
				values[b] = (unsigned char)rand();
			len = encode(bytes, keep, n, numbers, values);
			assert_int_equal(apply(fd, bytes, len, 3000), HF_OK);
			model(&f, keep, n, numbers, values);
			file_is(fd, &f);
		}
		(void)close(fd);
	}
}

static void
a_header_that_is_none_is_refused(void **state)
{
	static const struct {
		uint32_t magic, n, keep, numbers[3];
		size_t len;
		const char *says;
	} bad[] = {
		{ 0xd3ae1f0e, 1, 1, { 0 }, 2048, "does not begin" },
		{ 0x0d1faed3, 0, 1, { 0 }, 12, "does not begin" },
		{ 0xd3ae1f0d, 9, 1, { 0 }, 2048, "at most 8" },
		{ 0xd3ae1f0d, UINT32_MAX, 1, { 0 }, 2048, "at most 8" },
		{ 0xd3ae1f0d, 1, 1, { 8 }, 2048, "has block 8" },
		{ 0xd3ae1f0d, 1, 1, { UINT32_MAX }, 2048, "has block 42949" },
		{ 0xd3ae1f0d, 3, 1, { 2, 5, 2 }, 4096, "block 2 twice" },
		{ 0xd3ae1f0d, 0, 0, { 0 }, 0, "header is cut" },
		{ 0xd3ae1f0d, 0, 0, { 0 }, 11, "header is cut" },
		{ 0xd3ae1f0d, 3, 3, { 0, 1, 2 }, 20, "header is cut" },
		{ 0xd3ae1f0d, 1, 1, { 0 }, 1000, "it is cut" },
		{ 0xd3ae1f0d, 1, 1, { 0 }, 1024, "it is cut" },
		{ 0xd3ae1f0d, 2, 1, { 0, 1 }, 3071, "it is cut" },
		{ 0xd3ae1f0d, 0, 1, { 0 }, 13, "more than" },
		{ 0xd3ae1f0d, 1, 1, { 0 }, 2049, "more than" },
	};
	const struct file before = { 2, { 1, 2 } };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		unsigned char bytes[8192] = { 0 };

		memcpy(bytes, &bad[i].magic, 4);
		memcpy(bytes + 4, &bad[i].n, 4);
		memcpy(bytes + 8, &bad[i].keep, 4);
		memcpy(bytes + 12, bad[i].numbers, sizeof bad[i].numbers);
		for (size_t most = 1; most < 9000; most = most * 90) {
			int fd = file_new(&before);

			if (apply(fd, bytes, bad[i].len, most) != HF_E_CORRUPT)
				fail_msg("case %zu is taken", i);
			assert_has(err.cause, "INCREMENTAL.1");
			assert_has(err.cause, bad[i].says);
			(void)close(fd);
		}
	}
}

static void
a_geometry_that_no_server_has_is_refused(void **state)
{
	static const struct geometry good[] = { { 8192, 131072 }, { 1024, 1 },
		{ 32768, 1 << 24 } };
	static const struct geometry bad[] = { { 0, 131072 }, { 512, 131072 },
		{ 8191, 131072 }, { 65536, 131072 }, { 8192, 0 },
		{ 8192, UINT32_MAX } };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(geometry_check(&good[i], &err), HF_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(
		    geometry_check(&bad[i], &err), HF_E_UNSUPPORTED);
}

static void
names_lose_and_get_their_mark(void **state)
{
	static const struct {
		const char *path, *plain;
	} names[] = { { "base/5/INCREMENTAL.16384", "base/5/16384" },
		{ "INCREMENTAL.1_fsm", "1_fsm" },
		{ "base/5/INCREMENTAL.INCREMENTAL.1",
		    "base/5/INCREMENTAL.1" } };
	static const char *const not [] = { "base/5/16384",
		"INCREMENTAL.x/16384", "base/INCREMENTAL.", "INCREMENTAL", "" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *path = strdup(names[i].path);
		struct text back = { 0 };

		assert_true(increment_is(path));
		increment_strip(path);
		assert_string_equal(path, names[i].plain);
		increment_name(&back, path);
		assert_string_equal(text_get(&back), names[i].path);
		text_free(&back);
		free(path);
	}
	for (size_t i = 0; i < sizeof not / sizeof *not ; i++) {
		char *path = strdup(not [i]);

		assert_false(increment_is(path));
		increment_strip(path);
		assert_string_equal(path, not [i]);
		free(path);
	}
}

static void
a_label_is_read_and_loses_the_lines_of_an_increment(void **state)
{
	static const char whole[] =
	    "START WAL LOCATION: 0/4000028 (file 000000010000000000000004)\n"
	    "BACKUP FROM: primary\n"
	    "LABEL: of INCREMENTAL FROM LSN: 0/1\n"
	    "START TIMELINE: 3\n"
	    "INCREMENTAL FROM LSN: A/2000028\n"
	    "INCREMENTAL FROM TLI: 2\n";
	static const char *const bad[] = { "",
		"START WAL LOCATION: 0/4000028 (file 0)\n",
		"START TIMELINE: 3\n",
		"START WAL LOCATION: x (file 0)\nSTART TIMELINE: 3\n",
		"START WAL LOCATION: 0/4000028\nSTART TIMELINE: 0\n",
		"START WAL LOCATION: 0/4000028\nSTART TIMELINE: 4294967296\n",
		"START WAL LOCATION: 0/4000028\nSTART TIMELINE: 1\n"
		"INCREMENTAL FROM LSN: 0/2000028\n",
		"START WAL LOCATION: 0/4000028\nSTART TIMELINE: 1\n"
		"INCREMENTAL FROM TLI: 1\n" };
	struct text plain = { 0 };
	struct label l;

	(void)state;
	assert_int_equal(label_parse(whole, &l, &err), HF_OK);
	assert_true(l.start == 0x4000028 && l.timeline == 3);
	assert_true(l.from == (UINT64_C(0xA) << 32 | 0x2000028));
	assert_int_equal(l.from_timeline, 2);
	label_plain(whole, &plain);
	assert_int_equal(label_parse(text_get(&plain), &l, &err), HF_OK);
	assert_true(l.start == 0x4000028 && l.from == 0);
	assert_has(text_get(&plain), "LABEL: of INCREMENTAL FROM LSN: 0/1\n");
	assert_int_equal(
	    plain.len, strstr(whole, "INCREMENTAL FROM LSN: A") - whole);
	text_free(&plain);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (label_parse(bad[i], &l, &err) != HF_E_CORRUPT)
			fail_msg("label %zu is taken", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    blocks_come_from_the_increment_or_stay_below_its_length),
		cmocka_unit_test(a_part_of_a_block_is_not_kept),
		cmocka_unit_test(random_histories_end_as_the_model_says),
		cmocka_unit_test(a_header_that_is_none_is_refused),
		cmocka_unit_test(a_geometry_that_no_server_has_is_refused),
		cmocka_unit_test(names_lose_and_get_their_mark),
		cmocka_unit_test(
		    a_label_is_read_and_loses_the_lines_of_an_increment),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
