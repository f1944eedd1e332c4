/* SPDX-License-Identifier: BSD-2-Clause */
/* restore_command: files out of the log. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/memlog.h"
#include "support/walkit.h"
#include "wal/wal.h"

#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM UINT64_C(7301234567890123456)
#define SEG WALKIT_SEGMENT

static struct cancel cancel;
static char dir[] = "/tmp/hf-get-XXXXXX";
static char state[64], target[64];
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_engine engine = { .ctx = &ctx,
	.conf = { .mode = "physical", .wal = { .jobs = 3 } } };
static struct hf_error err;
static struct memout *mem;
static uint8_t *bytes[64];

static const char *
file_of(uint32_t timeline, unsigned segno)
{
	static char name[4][40];
	static unsigned at;
	char *s = name[at++ % 4];

	(void)snprintf(s, 40, "%08X%08X%08X", timeline, 0u, segno);
	return s;
}

static const char *
log_name(const char *file)
{
	static char name[WAL_LOG_MAX];

	(void)snprintf(name, sizeof name, "%llu/%.8s/%s",
	    (unsigned long long)SYSTEM, file, file);
	return name;
}

static void
put(const char *file, const void *data, size_t len)
{
	const char *const facts[] = { "wal_segment_size", "1048576", NULL };

	assert_int_equal(
	    memlog_put(mem, log_name(file), data, len, facts), HF_OK);
}

static void
put_piece(uint32_t timeline, unsigned segno, uint32_t from, uint32_t to)
{
	char file[64];

	(void)snprintf(
	    file, sizeof file, "%s.from-%08X", file_of(timeline, segno), from);
	put(file, bytes[segno] + from, to - from);
}

/* Segments [from, to) of timeline 1 into bytes. */
static void
make(unsigned from, unsigned to)
{
	struct walkit *w = walkit_new(SYSTEM, 1, SEG, (uint64_t)from * SEG);

	for (unsigned i = from; i < to; i++) {
		(void)walkit_commit(w, 700 + i, 1000 + i);
		walkit_fill_segment(w);
		bytes[i] = malloc(SEG);
		assert_non_null(bytes[i]);
		memcpy(bytes[i], walkit_segment(w, i - from), SEG);
	}
	walkit_free(w);
}

static void
put_whole(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		put(file_of(1, i), bytes[i], SEG);
}

static int
get(const char *file)
{
	error_clear(&err);
	(void)unlink(target);
	return wal_get(&engine, file, target, memout_in(mem), &err);
}

static void
has_bytes(const void *want, size_t len)
{
	uint8_t *got = malloc(len + 1);
	FILE *f = fopen(target, "re");

	assert_non_null(got);
	assert_non_null(f);
	assert_int_equal(fread(got, 1, len + 1, f), len);
	(void)fclose(f);
	assert_memory_equal(got, want, len);
	free(got);
}

static void
get_ok(const char *file)
{
	if (get(file) != HF_OK)
		fail_msg("%s: %s", file, err.cause);
}

/* Nothing stands in the folder of FILE but FILE itself. */
static void
no_strays(bool with_file)
{
	char pattern[96];
	glob_t g;

	(void)snprintf(pattern, sizeof pattern, "%s*", target);
	(void)glob(pattern, 0, NULL, &g);
	assert_int_equal(g.gl_pathc, with_file ? 1 : 0);
	globfree(&g);
}

static int
ahead(const char *file)
{
	error_clear(&err);
	return wal_ahead(&engine, file, memout_in(mem), &err);
}

/* ---- */

static int
set_up(void **s)
{
	(void)s;
	(void)snprintf(target, sizeof target, "%s/RECOVERYXLOG", dir);
	(void)snprintf(state, sizeof state, "%s/state", dir);
	assert_int_equal(mkdir(state, 0700), 0);
	ctx.state_dir = state;
	mem = memlog_new();
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return strcmp(path, dir) == 0 ? 0 : remove(path);
}

static int
tear_down(void **s)
{
	(void)s;
	for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
		free(bytes[i]);
		bytes[i] = NULL;
	}
	memout_free(mem);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
what_was_stored_comes_back(void **s)
{
	static const char history[] = "1\t0/300000\tno reason\n";
	static const char label[] = "000000010000000000000003.000D0028.backup";

	(void)s;
	make(3, 5);
	put_whole(3, 5);
	put("00000002.history", history, strlen(history));
	put(label, history, strlen(history));
	get_ok(file_of(1, 3));
	has_bytes(bytes[3], SEG);
	get_ok("00000002.history");
	has_bytes(history, strlen(history));
	get_ok(label);
	no_strays(true);
}

static void
only_what_the_log_lacks_is_not_found(void **s)
{
	(void)s;
	make(3, 5);
	put_whole(3, 5);
	assert_int_equal(get(file_of(1, 5)), HF_E_NOTFOUND);
	assert_int_equal(get(file_of(2, 3)), HF_E_NOTFOUND);
	assert_int_equal(get("00000002.history"), HF_E_NOTFOUND);
	assert_int_equal(get("nonsense"), HF_E_INVALID);
	/* A folder that is missing here says nothing of the log. */
	assert_int_equal(wal_get(&engine, file_of(1, 4), "/nonexistent/file",
			     memout_in(mem), &err),
	    HF_E_IO);
	memout_lose(mem, log_name(file_of(1, 4)), HF_E_TRANSIENT);
	assert_int_equal(get(file_of(1, 4)), HF_E_TRANSIENT);
	memout_lose(mem, NULL, HF_OK);
	/* Whether there is one cannot be known. */
	memout_fail(mem, MEMOUT_LIST, 1, HF_E_IO);
	assert_int_equal(get(file_of(1, 5)), HF_E_IO);
	memout_fail(mem, MEMOUT_READ, 2, HF_E_CORRUPT);
	assert_int_equal(get(file_of(1, 4)), HF_E_CORRUPT);
	no_strays(false);
}

static void
a_segment_that_is_not_what_its_name_says_is_never_given(void **s)
{
	uint8_t *stored;
	size_t size;

	(void)s;
	make(3, 6);
	put(file_of(1, 3), bytes[4], SEG);        /* another one */
	put(file_of(1, 4), bytes[4], SEG - 8192); /* short */
	put(file_of(1, 5), bytes[5], SEG);
	stored = memlog_get(mem, log_name(file_of(1, 5)), &size);
	stored[24] ^= 1; /* another system */
	for (unsigned i = 3; i < 6; i++)
		assert_int_equal(get(file_of(1, i)), HF_E_CORRUPT);
	no_strays(false);
}

/* ---- pieces ---- */

static void
pieces_are_joined_and_padded(void **s)
{
	uint8_t *want = calloc(1, SEG);

	(void)s;
	assert_non_null(want);
	make(3, 5);
	put_whole(3, 4);
	put_piece(1, 4, 0, 100000);
	put_piece(1, 4, 100000, 300001);
	put_piece(1, 4, 300001, 500000);
	memcpy(want, bytes[4], 500000);
	get_ok(file_of(1, 4));
	has_bytes(want, SEG);
	/* Behind a gap there is nothing to be had. */
	put_piece(1, 4, 600000, 700000);
	get_ok(file_of(1, 4));
	has_bytes(want, SEG);
	/* The whole one is better. */
	put_whole(4, 5);
	get_ok(file_of(1, 4));
	has_bytes(bytes[4], SEG);
	no_strays(true);
	free(want);
}

static void
pieces_without_a_beginning_are_nothing(void **s)
{
	(void)s;
	make(3, 5);
	put_whole(3, 4);
	put_piece(1, 4, 100000, 300001);
	assert_int_equal(get(file_of(1, 4)), HF_E_NOTFOUND);
}

static void
pieces_before_a_later_segment_are_nothing(void **s)
{
	(void)s;
	make(3, 6);
	put_piece(1, 4, 0, 100000);
	get_ok(file_of(1, 4));
	put_whole(5, 6);
	assert_int_equal(get(file_of(1, 4)), HF_E_NOTFOUND);
}

static void
pieces_of_a_timeline_that_was_left_are_nothing(void **s)
{
	static const char history[] = "1\t0/410000\tno reason\n";

	(void)s;
	make(3, 5);
	put_whole(3, 4);
	put_piece(1, 4, 0, 100000);
	get_ok(file_of(1, 4));
	put("00000002.history", history, strlen(history));
	assert_int_equal(get(file_of(1, 4)), HF_E_NOTFOUND);
}

/* Who goes to the new timeline has got its segment; this one is asked for by
 * who wants what the old primary wrote after the promotion. */
static void
pieces_beside_the_new_timelines_segment_are_given(void **s)
{
	static const char history[] = "1\t0/410000\tno reason\n";
	static uint8_t want[SEG];

	(void)s;
	make(3, 5);
	put_whole(3, 4);
	put_piece(1, 4, 0, 100000);
	put("00000002.history", history, strlen(history));
	put_piece(2, 4, 0, 100000);
	assert_int_equal(get(file_of(1, 4)), HF_E_NOTFOUND);
	put(file_of(2, 4), bytes[4], SEG);
	get_ok(file_of(1, 4));
	memcpy(want, bytes[4], 100000);
	has_bytes(want, SEG);
}

static void
a_partial_is_never_given_for_its_segment(void **s)
{
	char partial[64];

	(void)s;
	make(3, 5);
	put_whole(3, 4);
	(void)snprintf(partial, sizeof partial, "%s.partial", file_of(1, 4));
	put(partial, bytes[4], SEG);
	assert_int_equal(get(file_of(1, 4)), HF_E_NOTFOUND);
	get_ok(partial);
	has_bytes(bytes[4], SEG);
}

/* ---- ahead ---- */

static void
what_was_fetched_ahead_is_taken(void **s)
{
	unsigned opened;

	(void)s;
	make(3, 30);
	put_whole(3, 30);
	assert_int_equal(ahead(file_of(1, 3)), HF_OK);
	/* The first object of a log is looked at for the size of its
	 * segments. */
	opened = memout_calls(mem, MEMOUT_OPEN);
	for (unsigned i = 4; i < 20; i++) {
		get_ok(file_of(1, i));
		has_bytes(bytes[i], SEG);
	}
	assert_int_equal(memout_calls(mem, MEMOUT_OPEN), opened);
	get_ok(file_of(1, 20));
	assert_true(memout_calls(mem, MEMOUT_OPEN) > opened);
	no_strays(true);
}

static void
the_end_of_the_log_ends_fetching_ahead(void **s)
{
	(void)s;
	make(3, 6);
	put_whole(3, 6);
	put("00000002.history", "1\t0/700000\tx\n", 13);
	assert_int_equal(ahead(file_of(1, 3)), HF_OK);
	assert_int_equal(ahead("00000002.history"), HF_OK);
	get_ok(file_of(1, 5));
	has_bytes(bytes[5], SEG);
	assert_int_equal(get(file_of(1, 6)), HF_E_NOTFOUND);
	memout_fail(mem, MEMOUT_OPEN, 1, HF_E_TRANSIENT);
	assert_true(ahead(file_of(1, 4)) != HF_OK);
}

/* Of which a byte was lost on the disk, that is older than it is believed, or
 * that is not whole. */
static void
what_was_fetched_ahead_is_proved_before_it_is_taken(void **s)
{
	char cmd[512];
	unsigned opened;

	(void)s;
	make(3, 9);
	put_whole(3, 9);
	assert_int_equal(ahead(file_of(1, 3)), HF_OK);
	(void)snprintf(cmd, sizeof cmd,
	    "cd %s/wal-ahead/*/ && printf X | dd of=%s bs=1 seek=70000 "
	    "conv=notrunc status=none && truncate -s -8192 %s && "
	    "touch -d '1 hour ago' %s.ok && rm %s.ok",
	    state, file_of(1, 4), file_of(1, 5), file_of(1, 6), file_of(1, 7));
	assert_int_equal(system(cmd), 0);
	opened = memout_calls(mem, MEMOUT_OPEN);
	for (unsigned i = 4; i < 8; i++) {
		get_ok(file_of(1, i));
		has_bytes(bytes[i], SEG);
	}
	assert_true(memout_calls(mem, MEMOUT_OPEN) >= opened + 4);
}

static void
what_is_left_behind_is_swept(void **s)
{
	char pattern[128];
	glob_t g;

	(void)s;
	make(3, 40);
	put_whole(3, 40);
	assert_int_equal(ahead(file_of(1, 3)), HF_OK);
	assert_int_equal(ahead(file_of(1, 30)), HF_OK);
	(void)snprintf(pattern, sizeof pattern, "%s/wal-ahead/*/0*", state);
	(void)glob(pattern, 0, NULL, &g);
	/* 31 to 39, and their marks. */
	assert_int_equal(g.gl_pathc, 18);
	globfree(&g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_stored_comes_back),
		TEST(only_what_the_log_lacks_is_not_found),
		TEST(a_segment_that_is_not_what_its_name_says_is_never_given),
		TEST(pieces_are_joined_and_padded),
		TEST(pieces_without_a_beginning_are_nothing),
		TEST(pieces_before_a_later_segment_are_nothing),
		TEST(pieces_of_a_timeline_that_was_left_are_nothing),
		TEST(pieces_beside_the_new_timelines_segment_are_given),
		TEST(a_partial_is_never_given_for_its_segment),
		TEST(what_was_fetched_ahead_is_taken),
		TEST(the_end_of_the_log_ends_fetching_ahead),
		TEST(what_was_fetched_ahead_is_proved_before_it_is_taken),
		TEST(what_is_left_behind_is_swept),
	};
	int rc;

	H = &host_table;
	if (mkdtemp(dir) == NULL)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(dir);
	return rc;
}
