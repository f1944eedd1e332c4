/* SPDX-License-Identifier: BSD-2-Clause */
/* Every system call of the dir store fails once, from the first to the last,
 * and then the process is killed at each, before and after.  Runs under
 * preload.so. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <dirent.h>
#include <dlfcn.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "faults/preload.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "plugin/store.h"

/* More calls than any of the acts below makes. */
#define CALLS_MAX 500

#define KIB ((size_t)1 << 10)

static struct plugin *dir;
static char scratch[64], root[128];

static void (*arm)(const char *, long, const char *, const char *);
static void (*without)(const char *);
static long (*seen)(void);

/* There when the sanitizer is: leaks of a child that does not end by exit(). */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* ---- stores ---- */

static int
open_store(struct store **out, struct hf_error *err)
{
	struct options_input in = { .table = dir->desc.options,
		.stride = dir->desc.option_size,
		.conf_size = dir->desc.conf_size,
		.resolve = true };
	struct options *options = NULL;
	json_t *json = json_pack("{s:s,s:s}", "path", root, "min_free", "1KiB");
	int rc;

	in.object = json;
	rc = options_parse(&in, &options, NULL, NULL, err);
	json_decref(json);
	return rc == HF_OK ? store_open(dir, NULL, options, out, err) : rc;
}

static int
put(struct store *s, const char *key, uint32_t flags, const char *text,
    struct hf_error *err)
{
	return store_put_all(s, key, flags, text, strlen(text), err);
}

/* An object of several writes, large enough that space is looked at. */
static int
put_large(struct store *s, const char *key, char fill, struct hf_error *err)
{
	static char block[64 * KIB];
	struct store_put *p = NULL;
	int rc;

	memset(block, fill, sizeof block);
	if ((rc = store_put(s, key, 0, 0, &p, err)) != HF_OK)
		return rc;
	for (int i = 0; i < 3; i++)
		if ((rc = store_put_write(p, block, sizeof block, err)) !=
		    HF_OK) {
			store_put_abort(p);
			return rc;
		}
	return store_put_commit(p, NULL, err);
}

/* ---- acts: what is done while calls fail ---- */

static int
act_put(struct store *s, struct hf_error *err)
{
	return put_large(s, "new/deep/key", 'n', err);
}

static int
act_put_absent(struct store *s, struct hf_error *err)
{
	return put(s, "old/x", HF_PUT_IF_ABSENT, "absent", err);
}

static int
act_overwrite(struct store *s, struct hf_error *err)
{
	return put_large(s, "old/object", 'N', err);
}

static int
act_remove(struct store *s, struct hf_error *err)
{
	return store_remove(s, "lone/one", err);
}

static int
act_read(struct store *s, struct hf_error *err)
{
	struct buf b = BUF_INIT;
	int rc = store_get_all(s, "old/object", 1024 * KIB, &b, err);

	if (rc == HF_OK && b.len != 192 * KIB)
		rc = HF_E_BUG;
	for (size_t i = 0; i < b.len && rc == HF_OK; i++)
		if (b.data[i] != 'o')
			rc = HF_E_BUG;
	buf_free(&b);
	return rc;
}

static int
act_list(struct store *s, struct hf_error *err)
{
	struct store_keys keys = { 0 };
	int rc = store_list_all(s, "", &keys, err);

	if (rc == HF_OK && keys.n != 2)
		rc = HF_E_BUG;
	store_keys_free(&keys);
	return rc;
}

static int
pass(void *arg, const struct hf_finding *f)
{
	(void)f;
	++*(int *)arg;
	return HF_OK;
}

/* Findings say what fails; the check as such succeeds. */
static int
act_check(struct store *s, struct hf_error *err)
{
	int n = 0;

	return store_check(s, pass, &n, err) == HF_OK && n >= 3 ? HF_OK
								: HF_E_BUG;
}

struct act {
	const char *name;
	int (*run)(struct store *, struct hf_error *);
	bool writes;
};

static const struct act acts[] = { { "put", act_put, true },
	{ "put if absent", act_put_absent, true },
	{ "overwrite", act_overwrite, true }, { "remove", act_remove, true },
	{ "check", act_check, true }, { "read", act_read, false },
	{ "list", act_list, false } };

/* ---- one case ---- */

static unsigned
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

/* What a child's exit code says. */
enum { DONE, FAILED, NOT_REACHED, NO_TEXT, LEAK, LIE };

static int
child(const struct act *act, long n, const char *error)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;
	unsigned before;
	long calls;
	int rc;

	before = open_files();
	if (open_store(&s, &err) != HF_OK)
		return LIE;
	arm("all", n, error, scratch);
	rc = act->run(s, &err);
	calls = seen();
	arm(NULL, 0, NULL, NULL);
	store_close(s);
	if (open_files() != before)
		return LEAK;
	if (__lsan_do_recoverable_leak_check != NULL && n % 4 == 0 &&
	    __lsan_do_recoverable_leak_check() != 0)
		return LEAK;
	if (rc == HF_E_BUG)
		return LIE;
	if (rc != HF_OK && (err.status != rc || err.cause[0] == '\0'))
		return NO_TEXT;
	if (calls < n)
		return NOT_REACHED;
	return rc == HF_OK ? DONE : FAILED;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
start_anew(void)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;

	if (access(root, F_OK) == 0)
		assert_int_equal(
		    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(open_store(&s, &err), HF_OK);
	assert_int_equal(put_large(s, "old/object", 'o', &err), HF_OK);
	assert_int_equal(put(s, "lone/one", 0, "one", &err), HF_OK);
	store_close(s);
}

/* 0: absent; else the byte that all of it consists of.  Never a part. */
static int
content(struct store *s, const char *key)
{
	struct hf_error err = { 0 };
	struct buf b = BUF_INIT;
	int rc = store_get_all(s, key, 1024 * KIB, &b, &err), first = 0;

	if (rc == HF_OK) {
		assert_int_equal(b.len, 192 * KIB);
		first = b.data[0];
		for (size_t i = 0; i < b.len; i++)
			assert_int_equal(b.data[i], first);
	} else {
		assert_int_equal(rc, HF_E_NOTFOUND);
	}
	buf_free(&b);
	return first;
}

/* 0: absent; 1: there and whole. */
static int
small(struct store *s, const char *key, const char *text)
{
	struct buf b = BUF_INIT;
	int rc = store_get_all(s, key, 1024, &b, NULL);

	if (rc == HF_OK) {
		assert_int_equal(b.len, strlen(text));
		assert_memory_equal(b.data, text, b.len);
	} else {
		assert_int_equal(rc, HF_E_NOTFOUND);
	}
	buf_free(&b);
	return rc == HF_OK;
}

static void
no_temporary_name(void)
{
	DIR *d = opendir(root);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0) {
			print_error("left: %s\n", e->d_name);
			assert_true(false);
		}
	(void)closedir(d);
}

enum outcome { SUCCEEDED, REPORTED, MAYBE };

/* What is there afterwards must fit what was said. */
static void
verify(const struct act *act, enum outcome outcome)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;
	int is;

	assert_int_equal(open_store(&s, &err), HF_OK);
	no_temporary_name();
	is = content(s, "old/object");
	if (act->run != act_overwrite)
		assert_int_equal(is, 'o');
	else if (outcome == SUCCEEDED)
		assert_int_equal(is, 'N');
	else
		assert_true(is == 'o' || is == 'N');

	is = content(s, "new/deep/key");
	assert_true(is == 0 || is == 'n');
	if (act->run == act_put && outcome != MAYBE)
		assert_int_equal(is, outcome == SUCCEEDED ? 'n' : 0);

	is = small(s, "old/x", "absent");
	if (act->run == act_put_absent && outcome != MAYBE)
		assert_int_equal(is, outcome == SUCCEEDED);

	is = small(s, "lone/one", "one");
	if (act->run != act_remove)
		assert_true(is);
	else if (outcome == SUCCEEDED)
		assert_false(is);

	/* And the store works again. */
	assert_int_equal(act_put(s, &err), HF_OK);
	assert_int_equal(content(s, "new/deep/key"), 'n');
	store_close(s);
}

/* Run the act in a child with the n-th call failing.  True when there was an
 * n-th call. */
static bool
one_case(const struct act *act, long n, const char *error)
{
	bool kills = strcmp(error, "kill") == 0 || strcmp(error, "after") == 0;
	bool dead = strchr(error, '+') != NULL;
	int status, code;
	pid_t pid;

	start_anew();
	(void)fflush(NULL);
	if ((pid = fork()) == 0)
		_exit(child(act, n, error));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (kills && WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		verify(act, MAYBE);
		return true;
	}
	assert_true(WIFEXITED(status));
	code = WEXITSTATUS(status);
	if (code > NOT_REACHED)
		print_error(
		    "%s, call %ld, %s: code %d\n", act->name, n, error, code);
	assert_true(code <= NOT_REACHED);
	/* A disk that answers nothing any more cannot be tidied either. */
	verify(act, code == FAILED ? dead ? MAYBE : REPORTED : SUCCEEDED);
	return code != NOT_REACHED;
}

static void
every_call(const char *error, bool reads_too)
{
	long n;

	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		if (!acts[i].writes && !reads_too)
			continue;
		for (n = 1; n < CALLS_MAX; n++)
			if (!one_case(&acts[i], n, error))
				break;
		/* The act makes calls, and they are seen. */
		assert_true(n > 3 && n < CALLS_MAX);
	}
}

/* ---- tests: with, and without what some file systems lack ---- */

static const char *const lacks[] = { NULL, "tmpfile", "tmpfile,renameat2" };
#define LACKS (sizeof lacks / sizeof *lacks)

static void
a_call_that_fails_is_a_clean_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < LACKS; i++) {
		without(lacks[i]);
		every_call("EIO", i == 0);
	}
}

static void
a_disk_that_dies_is_a_clean_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < LACKS; i++) {
		without(lacks[i]);
		every_call("EIO+", i == 0);
	}
}

static void
a_disk_that_is_full_from_some_call_on_is_a_clean_error(void **state)
{
	(void)state;
	without(NULL);
	every_call("ENOSPC+", false);
}

static void
a_kill_before_any_call_leaves_old_or_new(void **state)
{
	(void)state;
	for (size_t i = 0; i < LACKS; i++) {
		without(lacks[i]);
		every_call("kill", false);
	}
}

static void
a_kill_after_any_call_leaves_old_or_new(void **state)
{
	(void)state;
	for (size_t i = 0; i < LACKS; i++) {
		without(lacks[i]);
		every_call("after", false);
	}
}

/* Nothing is said to be safe before the file, its folder and every new folder
 * above it have been synced: each sync that fails is told. */
static void
no_sync_is_left_out(void **state)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;

	(void)state;
	for (size_t i = 0; i < LACKS; i++) {
		without(lacks[i]);
		/* The file; new, new/deep made; then new/deep, new, root. */
		for (long n = 1; n <= 6; n++) {
			start_anew();
			assert_int_equal(open_store(&s, &err), HF_OK);
			arm("fsync", n, "EIO", scratch);
			assert_int_equal(act_put(s, &err), HF_E_IO);
			arm(NULL, 0, NULL, NULL);
			assert_int_equal(content(s, "new/deep/key"), 0);
			store_close(s);
		}
		/* Removal: the folder that held it. */
		assert_int_equal(open_store(&s, &err), HF_OK);
		arm("fsync", 1, "EIO", scratch);
		assert_int_equal(act_remove(s, &err), HF_E_IO);
		arm(NULL, 0, NULL, NULL);
		store_close(s);
	}
}

/* The folders above are synced once; those that somebody removed and that were
 * made again are others. */
static void
folders_are_proved_once_and_new_ones_again(void **state)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;

	(void)state;
	without(NULL);
	start_anew();
	assert_int_equal(open_store(&s, &err), HF_OK);
	assert_int_equal(act_put(s, &err), HF_OK);
	/* The file and its folder, and no third sync. */
	arm("fsync", 3, "EIO", scratch);
	assert_int_equal(put(s, "new/deep/other", 0, "x", &err), HF_OK);
	assert_int_equal(seen(), 2);
	arm(NULL, 0, NULL, NULL);
	assert_int_equal(store_remove(s, "new/deep/key", &err), HF_OK);
	assert_int_equal(store_remove(s, "new/deep/other", &err), HF_OK);
	for (long n = 1; n <= 6; n++) {
		arm("fsync", n, "EIO", scratch);
		assert_int_equal(act_put(s, &err), HF_E_IO);
		arm(NULL, 0, NULL, NULL);
		error_clear(&err);
		assert_int_equal(content(s, "new/deep/key"), 0);
	}
	store_close(s);
}

#define CROWD 16

/* Exit code: 0 won, 1 lost, 2 failed. */
static int
compete(int round)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;
	char key[32];
	int rc;

	if (open_store(&s, &err) != HF_OK)
		return 2;
	(void)snprintf(key, sizeof key, "lease/%d", round);
	rc = put(s, key, HF_PUT_IF_ABSENT, "mine", &err);
	store_close(s);
	return rc == HF_OK ? 0 : rc == HF_E_EXISTS ? 1 : 2;
}

static void
one_process_wins_whatever_the_file_system_lacks(void **state)
{
	pid_t pids[CROWD];
	int status, won, gate[2];
	char c;

	(void)state;
	for (int round = 0; round < 12; round++) {
		without(lacks[(size_t)round % LACKS]);
		assert_int_equal(pipe(gate), 0);
		for (int i = 0; i < CROWD; i++) {
			if ((pids[i] = fork()) == 0) {
				(void)close(gate[1]);
				/* All start when the pipe closes. */
				_exit(read(gate[0], &c, 1) == 0 ? compete(round)
								: 2);
			}
			assert_true(pids[i] > 0);
		}
		(void)close(gate[0]);
		(void)close(gate[1]);
		won = 0;
		for (int i = 0; i < CROWD; i++) {
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_true(
			    WIFEXITED(status) && WEXITSTATUS(status) <= 1);
			won += WEXITSTATUS(status) == 0;
		}
		assert_int_equal(won, 1);
		no_temporary_name();
	}
}

/* These are no failures at all. */
static void
interruptions_and_short_writes_are_gone_over(void **state)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;

	(void)state;
	for (size_t i = 0; i < LACKS; i++) {
		without(lacks[i]);
		for (long n = 1; n <= 12; n++) {
			start_anew();
			assert_int_equal(open_store(&s, &err), HF_OK);
			arm("write,fsync,read,flock", n, "EINTR", scratch);
			assert_int_equal(act_put(s, &err), HF_OK);
			assert_int_equal(act_read(s, &err), HF_OK);
			assert_int_equal(act_overwrite(s, &err), HF_OK);
			assert_true(seen() >= n);
			arm("write", n < 5 ? n : 1, n < 5 ? "short" : "short+",
			    scratch);
			assert_int_equal(
			    put_large(s, "old/object", 'o', &err), HF_OK);
			arm(NULL, 0, NULL, NULL);
			assert_int_equal(content(s, "new/deep/key"), 'n');
			assert_int_equal(content(s, "old/object"), 'o');
			store_close(s);
		}
	}
}

/* ---- */

static int
setup(void **state)
{
	struct hf_error err = { 0 };
	void *symbols[3];

	(void)state;
	symbols[0] = dlsym(RTLD_DEFAULT, "fault_arm");
	symbols[1] = dlsym(RTLD_DEFAULT, "fault_without");
	symbols[2] = dlsym(RTLD_DEFAULT, "fault_seen");
	if (symbols[0] == NULL || symbols[1] == NULL || symbols[2] == NULL) {
		print_error("needs LD_PRELOAD=preload.so\n");
		return -1;
	}
	memcpy(&arm, &symbols[0], sizeof arm);
	memcpy(&without, &symbols[1], sizeof without);
	memcpy(&seen, &symbols[2], sizeof seen);
	/* In memory, where there is: a thousand syncs of a disk take long. */
	(void)snprintf(scratch, sizeof scratch, "%s/hf-dirf-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(scratch) == NULL ||
	    plugin_open_file(PLUGIN_FILE, &dir, &err) != HF_OK) {
		print_error("%s\n", err.cause);
		return -1;
	}
	(void)snprintf(root, sizeof root, "%s/sink", scratch);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	without(NULL);
	plugin_close(dir);
	return nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_fails_is_a_clean_error),
		cmocka_unit_test(a_disk_that_dies_is_a_clean_error),
		cmocka_unit_test(
		    a_disk_that_is_full_from_some_call_on_is_a_clean_error),
		cmocka_unit_test(a_kill_before_any_call_leaves_old_or_new),
		cmocka_unit_test(a_kill_after_any_call_leaves_old_or_new),
		cmocka_unit_test(no_sync_is_left_out),
		cmocka_unit_test(folders_are_proved_once_and_new_ones_again),
		cmocka_unit_test(
		    one_process_wins_whatever_the_file_system_lacks),
		cmocka_unit_test(interruptions_and_short_writes_are_gone_over),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
