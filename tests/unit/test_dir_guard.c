/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

/* What the dir store must refuse, and what it must survive. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "plugin/store.h"
#include "support/dir_kit.h"
#include "support/skipped.h"

/* ---- links ---- */

static void
expect_link_refused(int rc, const struct hf_error *err)
{
	assert_int_equal(rc, HF_E_DENIED);
	assert_non_null(strstr(err->cause, "symbolic link"));
	assert_non_null(error_get(err, "hint"));
}

static void
expect_all_refused(struct store *s, const char *key)
{
	struct hf_object o = { .struct_size = sizeof o };
	struct hf_error err = { 0 };
	struct store_get *g = NULL;

	expect_link_refused(store_stat(s, key, &o, &err), &err);
	expect_link_refused(store_get(s, key, 0, UINT64_MAX, &g, &err), &err);
	expect_link_refused(store_put_all(s, key, 0, "x", 1, &err), &err);
	expect_link_refused(
	    store_put_all(s, key, HF_PUT_IF_ABSENT, "x", 1, &err), &err);
	expect_link_refused(store_remove(s, key, &err), &err);
}

static void
links_out_of_the_root_are_refused(void **state)
{
	struct store *s = open_store();
	struct hf_error err = { 0 };
	struct store_keys keys = { 0 };
	char outside[128], file[160];
	struct buf b = BUF_INIT;

	(void)state;
	(void)snprintf(outside, sizeof outside, "%s/outside", scratch);
	(void)snprintf(file, sizeof file, "%s/secret", outside);
	assert_int_equal(mkdir(outside, 0700), 0);
	must(file_write(file, "precious", 8, &err), &err);
	put(s, "a/real", "here");
	assert_int_equal(symlink(file, at("a/file")), 0);
	assert_int_equal(symlink(outside, at("a/folder")), 0);
	assert_int_equal(symlink("/nowhere/at/all", at("a/dangling")), 0);

	expect_all_refused(s, "a/file");
	expect_all_refused(s, "a/dangling");
	expect_all_refused(s, "a/folder");
	expect_all_refused(s, "a/folder/secret");
	expect_all_refused(s, "a/folder/new");
	assert_lists(s, "", "a/real");
	assert_lists(s, "a/f", "");
	expect_link_refused(store_list_all(s, "a/folder/", &keys, &err), &err);
	store_keys_free(&keys);

	assert_int_equal(count_names(outside), 1);
	must(file_read(file, 100, &b, &err), &err);
	assert_string_equal((const char *)b.data, "precious");
	buf_free(&b);
	store_close(s);
}

static void
the_root_itself_may_be_a_link(void **state)
{
	char link[128];
	struct store *s;

	(void)state;
	(void)snprintf(link, sizeof link, "%s/link", scratch);
	assert_int_equal(mkdir(root, 0700), 0);
	assert_int_equal(symlink("sink", link), 0);
	s = open_at(link);
	put(s, "a", "text");
	store_close(s);
	s = open_store();
	assert_holds(s, "a", "text");
	store_close(s);
}

static void
what_is_no_file_is_no_object(void **state)
{
	struct hf_object o = { .struct_size = sizeof o };
	struct store *s = open_store();
	struct hf_error err = { 0 };
	struct store_get *g = NULL;

	(void)state;
	put(s, "a/b", "text");
	assert_int_equal(mkfifo(at("a/fifo"), 0600), 0);
	assert_missing(s, "a");
	assert_int_equal(
	    store_get(s, "a", 0, UINT64_MAX, &g, &err), HF_E_NOTFOUND);
	assert_int_equal(
	    store_get(s, "a/b/c", 0, UINT64_MAX, &g, &err), HF_E_NOTFOUND);
	assert_int_equal(
	    store_get(s, "a/fifo", 0, UINT64_MAX, &g, &err), HF_E_CORRUPT);
	assert_int_equal(store_stat(s, "a/fifo", &o, &err), HF_E_CORRUPT);
	/* A file where a folder is needed, a folder where a file is. */
	assert_int_equal(
	    store_put_all(s, "a/b/c", 0, "x", 1, &err), HF_E_INVALID);
	assert_non_null(strstr(err.cause, "a/b is a file"));
	assert_int_equal(store_put_all(s, "a", 0, "x", 1, &err), HF_E_CORRUPT);
	must(store_remove(s, "a", &err), &err);
	assert_holds(s, "a/b", "text");
	assert_lists(s, "", "a/b");
	store_close(s);
}

/* ---- space and rights ---- */

static void
min_free_is_kept_but_small_objects_may_use_it(void **state)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;
	struct store_put *p = NULL;
	char data[65537] = { 0 };

	(void)state;
	must(try_open(root, "8000TiB", &s, &err), &err);
	must(store_put_all(s, "small", 0, data, 65536, &err), &err);
	assert_int_equal(store_put_all(s, "large", 0, data, sizeof data, &err),
	    HF_E_NOSPACE);
	assert_non_null(strstr(err.cause, "left, and"));
	assert_non_null(strstr(err.cause, "(min_free)"));
	assert_non_null(error_get(&err, "hint"));
	assert_int_equal(
	    store_put(s, "hinted", 0, MIB, &p, &err), HF_E_NOSPACE);
	/* A commit after the refusal does not make half an object. */
	must(store_put(s, "half", 0, 0, &p, &err), &err);
	assert_int_equal(
	    store_put_write(p, data, sizeof data, &err), HF_E_NOSPACE);
	assert_int_equal(store_put_commit(p, NULL, &err), HF_E_NOSPACE);
	assert_lists(s, "", "small");
	assert_int_equal(count_names(root), 1);
	store_close(s);
}

static bool
mount_small_disk(void)
{
	assert_int_equal(mkdir(root, 0700), 0);
	if (mount("none", root, "tmpfs", 0, "size=1m,mode=700") == 0)
		return true;
	print_message("mounting is not permitted here\n");
	return false;
}

static void
a_full_disk_is_a_clear_error_and_harms_nothing(void **state)
{
	struct hf_error err = { 0 };
	char *data = calloc(1, 2 * MIB);
	struct store *s;

	(void)state;
	assert_non_null(data);
	if (!mount_small_disk()) {
		free(data);
		SKIP();
	}
	s = open_store();
	put(s, "a/b", "earlier");
	assert_int_equal(
	    store_put_all(s, "a/b", 0, data, 2 * MIB, &err), HF_E_NOSPACE);
	assert_non_null(strstr(err.cause, "a/b"));
	assert_non_null(strstr(err.cause, "No space left"));
	assert_non_null(error_get(&err, "hint"));
	assert_holds(s, "a/b", "earlier");
	assert_int_equal(count_names(root), 1);
	/* The space of the failed one is free again. */
	must(store_put_all(s, "c", 0, data, MIB / 2, &err), &err);
	store_close(s);
	/* And the reserve is seen on a real disk, too. */
	must(try_open(root, "600KiB", &s, &err), &err);
	assert_int_equal(
	    store_put_all(s, "d", 0, data, MIB / 4, &err), HF_E_NOSPACE);
	assert_non_null(strstr(err.cause, "min_free"));
	store_close(s);
	free(data);
}

struct findings {
	int n, fail, warn;
	char failed[256];
};

static int
note_finding(void *arg, const struct hf_finding *f)
{
	struct findings *all = arg;
	size_t len = strlen(all->failed);

	assert_non_null(f->check);
	assert_non_null(f->result);
	all->n++;
	all->warn += f->verdict == HF_WARN;
	all->fail += f->verdict == HF_FAIL;
	if (f->verdict == HF_FAIL)
		(void)snprintf(all->failed + len, sizeof all->failed - len,
		    "%s ", f->check);
	return HF_OK;
}

static void
a_read_only_disk_can_be_read(void **state)
{
	struct hf_error err = { 0 };
	struct findings all = { 0 };
	struct store *s;
	int64_t now = 0;

	(void)state;
	if (!mount_small_disk())
		SKIP();
	s = open_store();
	put(s, "a/b", "text");
	store_close(s);
	assert_int_equal(
	    mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	s = open_store();
	assert_holds(s, "a/b", "text");
	assert_lists(s, "", "a/b");
	must(store_clock(s, &now, &err), &err);
	assert_true(now > 0);
	assert_int_equal(store_put_all(s, "c", 0, "x", 1, &err), HF_E_DENIED);
	assert_non_null(strstr(err.cause, "Read-only"));
	assert_non_null(error_get(&err, "hint"));
	assert_int_equal(store_remove(s, "a/b", &err), HF_E_DENIED);
	must(store_check(s, note_finding, &all, &err), &err);
	assert_string_equal(all.failed, "writable ");
	store_close(s);
}

/* ---- opening ---- */

/* Nothing can be said of it, and nobody made it. */
static void
expect_no_place(struct store *s)
{
	struct hf_object o = { .struct_size = sizeof o };
	struct store_keys keys = { 0 };
	struct store_get *g = NULL;
	struct hf_error err = { 0 };
	int64_t now;

	assert_int_equal(store_list_all(s, "", &keys, &err), HF_E_NOTFOUND);
	assert_non_null(strstr(err.cause, "is not there"));
	assert_non_null(strstr(error_get(&err, "hint"), "mounted"));
	assert_int_equal(store_list_all(s, "a/", &keys, &err), HF_E_NOTFOUND);
	assert_int_equal(
	    store_get(s, "a", 0, UINT64_MAX, &g, &err), HF_E_NOTFOUND);
	assert_int_equal(store_stat(s, "a", &o, &err), HF_E_NOTFOUND);
	must(store_remove(s, "a", &err), &err);
	assert_int_equal(store_clock(s, &now, &err), HF_E_NOTFOUND);
	assert_non_null(strstr(err.cause, "is not there"));
}

static void
only_the_last_folder_of_the_path_is_made(void **state)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;
	char path[160];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/not-mounted/sink", scratch);
	assert_int_equal(try_open(path, "0", &s, &err), HF_E_NOTFOUND);
	assert_non_null(strstr(err.cause, path));
	assert_non_null(strstr(error_get(&err, "hint"), "mounted"));
	(void)snprintf(path, sizeof path, "%s/not-mounted", scratch);
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(path, sizeof path, "%s/file", scratch);
	must(file_write(path, "x", 1, &err), &err);
	assert_int_equal(try_open(path, "0", &s, &err), HF_E_INVALID);
	(void)snprintf(path, sizeof path, "%s/dangling", scratch);
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	s = open_at(path);
	expect_no_place(s);
	assert_int_equal(store_put_all(s, "a", 0, "x", 1, &err), HF_E_NOTFOUND);
	store_close(s);
}

static void
missing_folder_is_made_by_the_first_put_and_never_looks_empty(void **state)
{
	struct findings all = { 0 };
	struct hf_error err = { 0 };
	struct store *s = open_at(root), *other = open_at(root);

	(void)state;
	expect_no_place(s);
	must(store_check(s, note_finding, &all, &err), &err);
	assert_string_equal(all.failed, "");
	assert_int_equal(all.warn, 1);
	assert_int_equal(all.n, 6);
	assert_int_equal(count_names(scratch), 0);
	put(s, "a/b", "text");
	/* whoever opened it before finds it as well */
	assert_holds(other, "a/b", "text");
	assert_lists(other, "", "a/b");
	store_close(other);
	store_close(s);
	assert_int_equal(count_names(scratch), 1);
}

static void
leftovers_of_the_dead_are_removed_and_the_living_are_not(void **state)
{
	struct store *s = open_store();
	struct hf_error err = { 0 };
	int fd;

	(void)state;
	put(s, "a", "text");
	store_close(s);
	must(file_write(at(".tmp-1-00112233"), "dead", 4, &err), &err);
	must(file_write(at(".tmp-2-00112233"), "alive", 5, &err), &err);
	must(file_write(at(".tmpfile"), "a stranger's", 12, &err), &err);
	assert_int_equal(mkdir(at(".tmp-folder"), 0700), 0);
	assert_int_equal(symlink(at("a"), at(".tmp-link")), 0);
	fd = open(at(".tmp-2-00112233"), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);

	s = open_store();
	assert_int_equal(access(at(".tmp-1-00112233"), F_OK), -1);
	assert_int_equal(access(at(".tmp-2-00112233"), F_OK), 0);
	assert_int_equal(access(at(".tmpfile"), F_OK), 0);
	assert_int_equal(access(at(".tmp-folder"), F_OK), 0);
	assert_holds(s, "a", "text");
	assert_lists(s, "", "a");
	store_close(s);
	(void)close(fd);
	s = open_store();
	assert_int_equal(access(at(".tmp-2-00112233"), F_OK), -1);
	store_close(s);
}

static void
the_check_passes_and_leaves_nothing(void **state)
{
	struct hf_error err = { 0 };
	struct findings all = { 0 };
	struct store *s = open_store();
	struct hf_object o = { .struct_size = sizeof o };
	int64_t now = 0;

	(void)state;
	must(store_check(s, note_finding, &all, &err), &err);
	assert_int_equal(all.n, 6);
	assert_int_equal(all.fail, 0);
	assert_int_equal(count_names(root), 0);
	put(s, "a", "text");
	must(store_stat(s, "a", &o, &err), &err);
	must(store_clock(s, &now, &err), &err);
	assert_true(now >= o.mtime);
	assert_int_equal(count_names(root), 1);
	store_close(s);

	/* A folder that others may write to, and a disk that is too full. */
	assert_int_equal(chmod(root, 0777), 0);
	memset(&all, 0, sizeof all);
	must(try_open(root, "8000TiB", &s, &err), &err);
	must(store_check(s, note_finding, &all, &err), &err);
	assert_int_equal(all.warn, 1);
	assert_string_equal(all.failed, "free_space ");
	store_close(s);
}

/* ---- */

static int
load(void **state)
{
	(void)state;
	return dir_kit_load(PLUGIN_FILE);
}

#define CASE(f) \
	cmocka_unit_test_setup_teardown(f, dir_kit_setup, dir_kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(links_out_of_the_root_are_refused),
		CASE(the_root_itself_may_be_a_link),
		CASE(what_is_no_file_is_no_object),
		CASE(min_free_is_kept_but_small_objects_may_use_it),
		CASE(a_full_disk_is_a_clear_error_and_harms_nothing),
		CASE(a_read_only_disk_can_be_read),
		CASE(only_the_last_folder_of_the_path_is_made),
		CASE(
		    missing_folder_is_made_by_the_first_put_and_never_looks_empty),
		CASE(leftovers_of_the_dead_are_removed_and_the_living_are_not),
		CASE(the_check_passes_and_leaves_nothing),
	};

	return skipped_exit(
	    cmocka_run_group_tests(tests, load, dir_kit_unload));
}
