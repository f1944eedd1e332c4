/* SPDX-License-Identifier: BSD-2-Clause */
/* archive_command: files of a server into the log. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cancel.h"
#include "base/error.h"
#include "crc32c.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/logfix.h"
#include "support/memlog.h"
#include "support/walkit.h"
#include "wal/archive.h"
#include "wal/mark.h"
#include "wal/wal.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM UINT64_C(7301234567890123456)
#define SEG WALKIT_SEGMENT
#define JOBS 2
#define BATCH (JOBS * 8)

static unsigned waiting; /* how often the host was told that others wait */

static void
take_result(void *arg, const char *key, const char *value)
{
	(void)arg;
	(void)value;
	assert_string_equal(key, HF_LOG_WAITING);
	waiting++;
}

static struct cancel cancel;
static char dir[] = "/tmp/hf-push-XXXXXX";
static char state[64], data[64], wal[80];
static struct hf_ctx ctx = {
	.who = "source test", .cancel = &cancel, .result = take_result
};
static struct hf_engine engine = { .ctx = &ctx,
	.conf = { .mode = "physical", .wal = { .push = true, .jobs = JOBS } } };
static struct hf_error err;
static struct memout *mem;

static void
write_file(const char *path, const void *bytes, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static const char *
path_of(const char *file)
{
	static char path[4][256];
	static unsigned at;
	char *s = path[at++ % 4];

	(void)snprintf(s, sizeof path[0], "%s/%s", wal, file);
	return s;
}

static const char *
segment_name(unsigned segno)
{
	static char name[4][40];
	static unsigned at;
	char *s = name[at++ % 4];

	(void)snprintf(s, sizeof name[0], "00000001%08X%08X", 0u, segno);
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
ready(const char *file, bool yes)
{
	char path[256];

	(void)snprintf(
	    path, sizeof path, "%s/archive_status/%s.ready", wal, file);
	if (yes)
		write_file(path, "", 0);
	else
		(void)unlink(path);
}

/* Segments [from, to) of the timeline, each with two commits. */
static void
make_segments(unsigned from, unsigned to, int64_t time_us)
{
	struct walkit *w = walkit_new(SYSTEM, 1, SEG, (uint64_t)from * SEG);

	for (unsigned i = from; i < to; i++) {
		(void)walkit_commit(w, 700 + i, time_us + i);
		(void)walkit_commit(w, 701 + i, time_us + i + 1);
		walkit_fill_segment(w);
		write_file(
		    path_of(segment_name(i)), walkit_segment(w, i - from), SEG);
		ready(segment_name(i), true);
	}
	walkit_free(w);
}

static void
make_control(void)
{
	unsigned char c[8192] = { 0 };
	uint64_t system = SYSTEM;
	uint32_t n;
	char path[128];

	memcpy(c, &system, 8);
	memcpy(c + 8, &(uint32_t){ 1300 }, 4);
	memcpy(c + 204, &(uint32_t){ 8 }, 4);
	memcpy(c + 228, &(uint32_t){ SEG }, 4);
	n = crc32c(0, c, 288);
	memcpy(c + 288, &n, 4);
	(void)snprintf(path, sizeof path, "%s/global", data);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/global/pg_control", data);
	write_file(path, c, sizeof c);
}

static int
push(const char *file)
{
	error_clear(&err);
	return wal_push(
	    &engine, path_of(file), memout_out(mem), memout_in(mem), &err);
}

static void
push_ok(const char *file)
{
	if (push(file) != HF_OK)
		fail_msg("%s: %s", file, err.cause);
	ready(file, false);
}

/* What the host starts when it was told that others wait. */
static int
behind(const char *file)
{
	error_clear(&err);
	return wal_behind(
	    &engine, path_of(file), memout_out(mem), memout_in(mem), &err);
}

/* As the server and the host do it. */
static void
push_and_behind(const char *file)
{
	unsigned before = waiting;

	push_ok(file);
	assert_int_equal(waiting, before + 1);
	assert_int_equal(behind(file), HF_OK);
}

static const char *
hint(void)
{
	for (int i = 0; i < err.nnotes; i++)
		if (strcmp(err.notes[i].key, "hint") == 0)
			return err.notes[i].value;
	fail_msg("no hint: %s", err.cause);
	return "";
}

/* ---- */

static int
set_up(void **s)
{
	char path[128];

	(void)s;
	(void)snprintf(data, sizeof data, "%s/data", dir);
	(void)snprintf(wal, sizeof wal, "%s/pg_wal", data);
	(void)snprintf(state, sizeof state, "%s/state", dir);
	(void)snprintf(path, sizeof path, "%s/archive_status", wal);
	assert_int_equal(mkdir(data, 0700) + mkdir(wal, 0700) +
			     mkdir(path, 0700) + mkdir(state, 0700),
	    0);
	ctx.state_dir = state;
	waiting = 0;
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
	assert_int_equal(memout_open(mem), 0);
	memout_free(mem);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the file itself ---- */

static void
a_segment_is_stored_with_its_facts(void **s)
{
	char value[64];
	size_t size;

	(void)s;
	make_segments(3, 4, 1000);
	push_ok(segment_name(3));
	assert_int_equal(memout_count(mem), 1);
	assert_non_null(memlog_get(mem, log_name(segment_name(3)), &size));
	assert_int_equal(size, SEG);
	assert_string_equal(memlog_fact(mem, log_name(segment_name(3)),
				WAL_FACT_SEGMENT_SIZE, value, sizeof value),
	    "1048576");
	assert_string_equal(memlog_fact(mem, log_name(segment_name(3)),
				WAL_FACT_FIRST_COMMIT, value, sizeof value),
	    "1003");
	assert_string_equal(memlog_fact(mem, log_name(segment_name(3)),
				WAL_FACT_LAST_COMMIT, value, sizeof value),
	    "1004");
}

static void
the_same_bytes_again_are_success(void **s)
{
	(void)s;
	make_segments(3, 4, 1000);
	push_ok(segment_name(3));
	push_ok(segment_name(3));
	assert_int_equal(memout_count(mem), 1);
}

static void
other_bytes_are_refused_with_both_hashes(void **s)
{
	char theirs[80];

	(void)s;
	make_segments(3, 4, 1000);
	push_ok(segment_name(3));
	make_segments(3, 4, 2000);
	assert_int_equal(push(segment_name(3)), HF_E_EXISTS);
	(void)memlog_fact(mem, log_name(segment_name(3)), "raw_sha256", theirs,
	    sizeof theirs);
	assert_non_null(strstr(err.cause, theirs));
	assert_non_null(strstr(err.cause, "this file "));
	assert_null(strstr(strstr(err.cause, "this file "), theirs));
	assert_non_null(strstr(hint(), "archive_mode"));
	assert_int_equal(memout_count(mem), 1);
}

static void
what_is_not_what_its_name_says_is_refused(void **s)
{
	char bytes[64] = "no WAL";

	(void)s;
	make_segments(3, 5, 1000);
	assert_int_equal(rename(path_of(segment_name(3)), path_of("other")), 0);
	assert_int_equal(push("other"), HF_E_INVALID);
	assert_int_equal(
	    rename((path_of("other")), path_of(segment_name(9))), 0);
	assert_int_equal(push(segment_name(9)), HF_E_CORRUPT);
	assert_int_equal(truncate(path_of(segment_name(4)), SEG - 8192), 0);
	assert_int_equal(push(segment_name(4)), HF_E_CORRUPT);
	assert_non_null(strstr(err.cause, "1040384 bytes"));
	write_file(path_of(segment_name(5)), bytes, sizeof bytes);
	assert_int_equal(push(segment_name(5)), HF_E_CORRUPT);
	assert_int_equal(push(segment_name(77)), HF_E_NOTFOUND);
	assert_int_equal(memout_count(mem), 0);
}

static void
histories_and_labels_are_of_the_server_beside_them(void **s)
{
	static const char label[] = "000000010000000000000003.000D0028.backup";
	static const char partial[] = "000000010000000000000003.partial";

	(void)s;
	write_file(path_of("00000002.history"), "1\t0/300000\tno reason\n", 21);
	write_file(path_of(label), "START WAL LOCATION\n", 19);
	assert_int_equal(push("00000002.history"), HF_E_NOTFOUND);
	assert_non_null(strstr(err.cause, "pg_control"));
	make_control();
	push_ok("00000002.history");
	push_ok(label);
	make_segments(3, 4, 1000);
	assert_int_equal(
	    rename((path_of(segment_name(3))), path_of(partial)), 0);
	push_ok(partial);
	assert_true(memlog_has(mem, log_name("00000002.history")));
	assert_true(memlog_has(mem, log_name(label)));
	assert_true(memlog_has(mem, log_name(partial)));
}

static void
a_log_that_takes_nothing_is_a_failure(void **s)
{
	(void)s;
	make_segments(3, 4, 1000);
	for (int i = 0; i < 3; i++) {
		memout_fail(mem,
		    i == 0   ? MEMOUT_BEGIN
		    : i == 1 ? MEMOUT_WRITE
			     : MEMOUT_COMMIT,
		    1, HF_E_TRANSIENT);
		assert_int_equal(push(segment_name(3)), HF_E_TRANSIENT);
		assert_int_equal(memout_count(mem), 0);
	}
	push_ok(segment_name(3));
}

/* ---- the others ---- */

static void
files_that_wait_come_along_and_are_then_answered_at_once(void **s)
{
	unsigned begun;

	(void)s;
	make_segments(1, 3 + 2 * BATCH, 1000);
	push_ok(segment_name(1));
	assert_int_equal(memout_count(mem), 1);
	assert_int_equal(waiting, 1);
	assert_int_equal(behind(segment_name(1)), HF_OK);
	assert_int_equal(memout_count(mem), 2 + 2 * BATCH);
	begun = memout_calls(mem, MEMOUT_BEGIN);
	for (unsigned i = 2; i < 3 + 2 * BATCH; i++)
		push_ok(segment_name(i));
	assert_int_equal(memout_calls(mem, MEMOUT_BEGIN), begun);
	/* Nothing waits any more. */
	assert_int_equal(waiting, 1);
	/* Each mark served once. */
	ready(segment_name(2), true);
	push_ok(segment_name(2));
	assert_int_equal(memout_calls(mem, MEMOUT_BEGIN), begun + 1);
}

static unsigned
marks(const char *of)
{
	char cmd[256];

	(void)snprintf(cmd, sizeof cmd,
	    "test \"$(grep -rlE '^[0-9]+ %s' %s --include '*.ok' | wc -l)\" = "
	    "3",
	    of, state);
	return system(cmd) == 0 ? 3 : 0;
}

static const char *
mark_of(const char *file, char folder[160])
{
	static char path[256];

	(void)snprintf(folder, 160, "%s/wal-pushed/%llu", state,
	    (unsigned long long)SYSTEM);
	(void)snprintf(path, sizeof path, "%s/%s.ok", folder, file);
	return path;
}

static void
drop_mark(const char *file)
{
	char folder[160];

	assert_int_equal(unlink(mark_of(file, folder)), 0);
}

/* A process that has the lock, and no mark of file (may be NULL) until it ends
 * a while later. */
static pid_t
with_lock(const char *file, const struct timespec *a_while)
{
	char folder[160], aside[200], byte;
	const char *path = mark_of(file != NULL ? file : "", folder);
	int ends[2];
	pid_t pid;

	(void)snprintf(aside, sizeof aside, "%s/aside", folder);
	assert_int_equal(pipe(ends), 0);
	if ((pid = fork()) == 0) {
		if (mark_lock(folder) == -1 ||
		    (file != NULL && rename(path, aside) != 0) ||
		    write(ends[1], "", 1) != 1)
			_exit(1);
		(void)nanosleep(a_while, NULL);
		if (file != NULL)
			(void)rename(aside, path);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return pid;
}

/* Their times say it; that takes as long as times may lie together. */
static void
a_file_that_rests_is_known_without_reading_it(void **s)
{
	struct timespec old = { .tv_sec = MARK_SETTLED + 2 };
	unsigned begun;

	(void)s;
	make_segments(1, 5, 1000);
	(void)nanosleep(&old, NULL);
	push_and_behind(segment_name(1));
	assert_int_equal(marks("@"), 3);
	begun = memout_calls(mem, MEMOUT_BEGIN);
	push_ok(segment_name(2));
	assert_int_equal(memout_calls(mem, MEMOUT_BEGIN), begun);
	/* Another file, and one that was written again. */
	assert_int_equal(rename(path_of(segment_name(3)), path_of("aside")), 0);
	make_segments(3, 5, 2000);
	assert_int_equal(push(segment_name(3)), HF_E_EXISTS);
	assert_int_equal(push(segment_name(4)), HF_E_EXISTS);
}

static void
a_file_that_was_just_written_is_known_by_its_hash(void **s)
{
	struct timespec soon[2] = { { .tv_sec = time(NULL) + 600 },
		{ .tv_sec = time(NULL) + 600 } };

	(void)s;
	make_segments(1, 5, 1000);
	/* However long the test takes. */
	for (unsigned i = 2; i < 5; i++)
		assert_int_equal(
		    utimensat(AT_FDCWD, path_of(segment_name(i)), soon, 0), 0);
	push_and_behind(segment_name(1));
	assert_int_equal(marks("[0-9a-f]{64}$"), 3);
}

/* The server's call does not do again what another process is doing. */
static void
a_call_waits_for_a_file_that_is_on_its_way(void **s)
{
	struct timespec while_ = { .tv_nsec = 300000000 };
	unsigned begun;
	pid_t pid;

	(void)s;
	make_segments(1, 4, 1000);
	push_and_behind(segment_name(1));
	begun = memout_calls(mem, MEMOUT_BEGIN);
	pid = with_lock(segment_name(2), &while_);
	push_ok(segment_name(2));
	assert_int_equal(memout_calls(mem, MEMOUT_BEGIN), begun);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* Who is at work fails: then the call does it. */
	pid = with_lock(NULL, &while_);
	drop_mark(segment_name(3));
	push_ok(segment_name(3));
	assert_int_equal(memout_calls(mem, MEMOUT_BEGIN), begun + 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
histories_come_first(void **s)
{
	(void)s;
	make_control();
	make_segments(1, 4, 1000);
	write_file(path_of("00000002.history"), "1\t0/300000\tno reason\n", 21);
	ready("00000002.history", true);
	engine.conf.wal.jobs = 1;
	memout_fail(mem, MEMOUT_COMMIT, 3, HF_E_IO);
	push_and_behind(segment_name(1));
	engine.conf.wal.jobs = JOBS;
	assert_int_equal(memout_count(mem), 2);
	assert_true(memlog_has(mem, log_name("00000002.history")));
}

static void
another_file_that_fails_is_not_this_ones_failure(void **s)
{
	(void)s;
	engine.conf.wal.jobs = 1;
	make_segments(1, 6, 1000);
	memout_fail(mem, MEMOUT_COMMIT, 3, HF_E_IO);
	push_and_behind(segment_name(1));
	assert_int_equal(memout_count(mem), 2);
	/* And that one is told when its turn comes. */
	push_ok(segment_name(2));
	memout_fail(mem, MEMOUT_COMMIT, 1, HF_E_IO);
	assert_int_equal(push(segment_name(3)), HF_E_IO);
	push_ok(segment_name(3));
	engine.conf.wal.jobs = JOBS;
}

static void
a_mark_of_other_bytes_is_not_believed(void **s)
{
	(void)s;
	make_segments(1, 4, 1000);
	push_and_behind(segment_name(1));
	assert_int_equal(memout_count(mem), 3);
	make_segments(1, 4, 2000);
	assert_int_equal(push(segment_name(2)), HF_E_EXISTS);
}

static void
an_old_mark_is_not_believed(void **s)
{
	char cmd[256];
	unsigned begun;

	(void)s;
	make_segments(1, 4, 1000);
	push_and_behind(segment_name(1));
	begun = memout_calls(mem, MEMOUT_BEGIN);
	(void)snprintf(cmd, sizeof cmd,
	    "find %s -name '*.ok' -exec touch -d '1 hour ago' {} +", state);
	assert_int_equal(system(cmd), 0);
	push_and_behind(segment_name(2));
	assert_true(memout_calls(mem, MEMOUT_BEGIN) > begun);
	/* The other old one was swept. */
	(void)snprintf(cmd, sizeof cmd,
	    "test -z \"$(find %s -name '*.ok' -mmin +30)\"", state);
	assert_int_equal(system(cmd), 0);
}

static void
without_a_folder_each_file_goes_alone(void **s)
{
	(void)s;
	make_segments(1, 4, 1000);
	ctx.state_dir = NULL;
	push_ok(segment_name(1));
	assert_int_equal(behind(segment_name(1)), HF_OK);
	assert_int_equal(memout_count(mem), 1);
	ctx.state_dir = "/proc/nowhere";
	push_ok(segment_name(2));
	assert_int_equal(behind(segment_name(2)), HF_OK);
	assert_int_equal(memout_count(mem), 2);
	assert_int_equal(waiting, 0);
}

/* A person calls, not the server: then nothing waits for its next call. */
static void
a_file_that_is_not_ready_goes_alone(void **s)
{
	(void)s;
	make_segments(1, 4, 1000);
	ready(segment_name(2), false);
	push_ok(segment_name(2));
	assert_int_equal(memout_count(mem), 1);
	assert_int_equal(waiting, 0);
}

/* ---- several at once, into the core's log ---- */

static pid_t
push_all(struct logfix *x, const char *own, unsigned n, bool back)
{
	pid_t pid = fork();
	unsigned i, k;
	int rc = HF_OK;

	assert_true(pid != -1);
	if (pid != 0)
		return pid;
	ctx.state_dir = own;
	logfix_open(x, REPOFIX_TWO, LOGFIX_TWO);
	for (i = 0; i < n && rc == HF_OK; i++) {
		k = back ? n - i : i + 1;
		rc = wal_push(&engine, path_of(segment_name(k)),
		    repo_log_out(x->log), repo_log_in(x->log), NULL);
		if (rc == HF_OK)
			rc = wal_behind(&engine, path_of(segment_name(k)),
			    repo_log_out(x->log), repo_log_in(x->log), NULL);
	}
	logfix_close(x);
	_exit(rc == HF_OK ? 0 : 1);
}

static void
two_servers_that_push_at_once_do_no_harm(void **s)
{
	struct logfix *x = calloc(1, sizeof *x);
	unsigned char *bytes = malloc(SEG);
	char other[80];
	int status;
	FILE *f;

	(void)s;
	assert_non_null(x);
	assert_non_null(bytes);
	logfix_begin(x);
	(void)snprintf(other, sizeof other, "%s/other", dir);
	assert_int_equal(mkdir(other, 0700), 0);
	make_segments(1, 13, 1000);
	for (int pids = 0; pids < 3; pids++)
		assert_true(
		    push_all(x, pids < 2 ? state : other, 12, pids == 1) > 0);
	for (int pids = 0; pids < 3; pids++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	logfix_open(x, REPOFIX_TWO, LOGFIX_TWO);
	for (unsigned i = 1; i < 13; i++) {
		assert_non_null(f = fopen(path_of(segment_name(i)), "re"));
		assert_int_equal(fread(bytes, 1, SEG, f), SEG);
		(void)fclose(f);
		assert_int_equal(
		    logfix_get(x, log_name(segment_name(i)), bytes, SEG, NULL),
		    HF_OK);
	}
	logfix_close(x);
	logfix_end(x);
	free(bytes);
	free(x);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_segment_is_stored_with_its_facts),
		TEST(the_same_bytes_again_are_success),
		TEST(other_bytes_are_refused_with_both_hashes),
		TEST(what_is_not_what_its_name_says_is_refused),
		TEST(histories_and_labels_are_of_the_server_beside_them),
		TEST(a_log_that_takes_nothing_is_a_failure),
		TEST(files_that_wait_come_along_and_are_then_answered_at_once),
		TEST(a_file_that_rests_is_known_without_reading_it),
		TEST(a_file_that_was_just_written_is_known_by_its_hash),
		TEST(a_call_waits_for_a_file_that_is_on_its_way),
		TEST(histories_come_first),
		TEST(another_file_that_fails_is_not_this_ones_failure),
		TEST(a_mark_of_other_bytes_is_not_believed),
		TEST(an_old_mark_is_not_believed),
		TEST(without_a_folder_each_file_goes_alone),
		TEST(a_file_that_is_not_ready_goes_alone),
		TEST(two_servers_that_push_at_once_do_no_harm),
	};
	int rc;

	H = &host_table;
	if (mkdtemp(dir) == NULL)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(dir);
	return rc;
}
