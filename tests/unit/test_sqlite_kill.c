/* SPDX-License-Identifier: BSD-2-Clause */
/* A restore in place that is killed before each of its steps: whoever opens
 * the database then sees all of the old or all of the new one, and the next
 * restore works. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/sqkit.h"
#include "support/steps.h"
#include "support/skipped.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DAMAGED_SIZE 20000
#define DAMAGED_WAL 100

struct scene {
	struct sqkit *k;
	struct memout *m;
	char old[65], new[65];
	bool damaged; /* the old one cannot be opened */
	bool poked;
	int refused; /* exit code of a writer while we held the lock */
	struct sqkit_process waiting;
};

static int
restore_in_child(void *arg)
{
	struct scene *s = arg;
	int rc = sqkit_restore(s->k, s->m, NULL, HF_RESTORE_IN_PLACE);

	return rc == HF_OK ? 0 : rc == HF_E_CORRUPT ? 2 : 1;
}

/* No connection of this process is open here, so files may be. */
static void
copy_file(const char *from, const char *to)
{
	char buf[65536];
	ssize_t n;
	int a = open(from, O_RDONLY | O_CLOEXEC), b;

	if (a == -1)
		return;
	b = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_not_equal(b, -1);
	while ((n = read(a, buf, sizeof buf)) > 0)
		assert_int_equal(write(b, buf, (size_t)n), n);
	(void)close(a);
	(void)close(b);
}

static void
remove_all(struct sqkit *k, const char *prefix)
{
	DIR *d = opendir(k->dir);
	struct dirent *de;

	assert_non_null(d);
	while ((de = readdir(d)) != NULL)
		if (strncmp(de->d_name, prefix, strlen(prefix)) == 0)
			(void)unlinkat(dirfd(d), de->d_name, 0);
	(void)closedir(d);
}

/* The state before: a database and what was left beside it. */
static void
reset(struct scene *s)
{
	struct sqkit *k = s->k;

	remove_all(k, "app.db");
	copy_file(sqkit_path(k, "saved.db"), k->path);
	copy_file(sqkit_path(k, "saved.db-wal"), sqkit_path(k, "app.db-wal"));
}

/* Back up a first content, then write a second one; without_close: leave its
 * frames in the -wal, as after a crash. */
static void
set_scene(struct scene *s, struct sqkit *k, bool without_close)
{
	struct sqkit_process p;

	s->k = k;
	sqkit_open(k, "app.db", NULL);
	sqkit_run(k->path, "PRAGMA journal_mode=WAL; CREATE TABLE t(x);"
			   "INSERT INTO t VALUES('first'), (randomblob(9000))");
	(void)snprintf(s->new, sizeof s->new, "%s", sqkit_hash(k->path));
	s->m = sqkit_backup_ok(k);
	sqkit_hold(&p, k->path,
	    without_close
		? "PRAGMA wal_autocheckpoint=0; CREATE TABLE u(y); INSERT "
		  "INTO u VALUES('second'), (randomblob(20000))"
		: "PRAGMA journal_mode=DELETE; CREATE TABLE u(y); INSERT "
		  "INTO u VALUES('second')");
	assert_int_equal(sqkit_finish(&p), 0);
	copy_file(k->path, sqkit_path(k, "saved.db"));
	copy_file(sqkit_path(k, "app.db-wal"), sqkit_path(k, "saved.db-wal"));
	(void)snprintf(s->old, sizeof s->old, "%s", sqkit_hash(k->path));
}

/* What an application sees that starts now.  It looks at a copy, so that the
 * next run finds what the killed one left. */
static void
look(struct scene *s, unsigned n, bool touch)
{
	static const char *const parts[] = { "", "-wal", "-journal" };
	struct sqkit *k = s->k;
	char from[64], to[64];
	const char *seen, *path;
	size_t i;

	if (s->damaged)
		return;
	path = k->path;
	if (!touch) {
		remove_all(k, "look.db");
		for (i = 0; i < 3; i++) {
			(void)snprintf(from, sizeof from, "app.db%s", parts[i]);
			(void)snprintf(to, sizeof to, "look.db%s", parts[i]);
			copy_file(sqkit_path(k, from), sqkit_path(k, to));
		}
		path = sqkit_path(k, "look.db");
	}
	seen = sqkit_hash(path);
	if (strcmp(seen, s->old) != 0 && strcmp(seen, s->new) != 0)
		fail_msg("killed before step %u: neither old nor new", n);
}

/* Every safety copy is whole, the old database is among them, and there are
 * as many as there were swaps: what was undone has left none. */
static void
check_safety_copies(struct scene *s, unsigned n, unsigned swaps)
{
	DIR *d = opendir(s->k->dir);
	unsigned olds = 0, copies = 0, wals = 0;
	const char *dash, *path;
	struct dirent *de;

	assert_non_null(d);
	while ((de = readdir(d)) != NULL) {
		if (strncmp(de->d_name, "app.db.before-restore-", 22) != 0)
			continue;
		dash = strrchr(de->d_name, '-');
		path = sqkit_path(s->k, de->d_name);
		if (strcmp(dash, "-wal") == 0) {
			assert_int_equal(sqkit_size(path), DAMAGED_WAL);
			wals++;
			continue;
		}
		if (strcmp(dash, "-shm") == 0)
			continue;
		copies++;
		if (s->damaged && sqkit_size(path) == DAMAGED_SIZE)
			olds++;
		else if (strcmp(sqkit_hash(path), s->old) == 0)
			olds++;
		else if (strcmp(sqkit_hash(path), s->new) != 0)
			fail_msg("killed before step %u: a safety copy is "
				 "neither old nor new",
			    n);
	}
	(void)closedir(d);
	if (olds != 1 || copies != swaps || wals != (s->damaged ? 1 : 0))
		fail_msg("killed before step %u: %u of %u safety copies are "
			 "of the old database, %u have a -wal",
		    n, olds, copies, wals);
}

static ino_t
inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* Kill before step 1, 2, 3... until there are no more. */
static void
kill_everywhere(struct scene *s, bool touch)
{
	struct steps steps = { .work = restore_in_child, .arg = s };
	bool swapped;
	unsigned n;
	ino_t old;
	int rc;

	for (n = 1;; n++) {
		reset(s);
		old = inode_of(s->k->path);
		steps.kill_at = n;
		rc = steps_run(&steps);
		if (rc == -3)
			SKIP();
		if (rc != -1)
			break;
		swapped = inode_of(s->k->path) != old;
		look(s, n, touch);
		if (sqkit_restore(s->k, s->m, NULL, HF_RESTORE_IN_PLACE) !=
		    HF_OK)
			fail_msg("killed before step %u, then: %s", n,
			    s->k->err.cause);
		assert_string_equal(sqkit_hash(s->k->path), s->new);
		assert_int_equal(sqkit_count(s->k, "app.db.holdfast"), 0);
		check_safety_copies(s, n, swapped ? 2 : 1);
	}
	assert_int_equal(rc, 0);
	/* It did something that can be interrupted. */
	assert_true(n > 15);
	assert_string_equal(sqkit_hash(s->k->path), s->new);
	memout_free(s->m);
}

static void
killed_anywhere_with_frames_in_the_wal(void **state)
{
	struct scene s = { 0 };

	set_scene(&s, *state, true);
	kill_everywhere(&s, false);
}

static void
killed_anywhere_and_the_application_starts_before_the_next_run(void **state)
{
	struct scene s = { 0 };

	set_scene(&s, *state, true);
	kill_everywhere(&s, true);
}

static void
killed_anywhere_in_rollback_mode(void **state)
{
	struct scene s = { 0 };

	set_scene(&s, *state, false);
	kill_everywhere(&s, false);
}

static void
killed_anywhere_over_a_damaged_database(void **state)
{
	struct sqkit *k = *state;
	struct scene s = { .damaged = true };
	uint8_t noise[DAMAGED_SIZE];

	set_scene(&s, k, true);
	memset(noise, 0x5a, sizeof noise);
	sqkit_write_file(sqkit_path(k, "saved.db"), noise, sizeof noise);
	sqkit_write_file(sqkit_path(k, "saved.db-wal"), noise, DAMAGED_WAL);
	kill_everywhere(&s, false);
}

/* Right after the swap somebody damages the new file. */
static void
damage_after_rename(void *arg, long nr)
{
	struct scene *s = arg;
	uint8_t noise[4096];
	int fd;

	if (nr != SYS_rename || s->poked)
		return;
	s->poked = true;
	memset(noise, 0x5a, sizeof noise);
	fd = open(s->k->path, O_WRONLY | O_CLOEXEC);
	(void)!pwrite(fd, noise, sizeof noise, 4096);
	(void)close(fd);
}

static void
the_former_database_is_put_back_when_the_new_one_fails_its_check(void **state)
{
	struct scene s = { 0 };
	struct steps steps = { .work = restore_in_child,
		.arg = &s,
		.after = damage_after_rename };
	int rc, mode;

	for (mode = 0; mode < 2; mode++) {
		remove_all(*state, "app.db");
		remove_all(*state, "saved.db");
		set_scene(&s, *state, mode == 0);
		s.poked = false;
		reset(&s);
		rc = steps_run(&steps);
		if (rc == -3)
			SKIP();
		assert_true(s.poked);
		assert_int_equal(rc, 2);
		assert_int_equal(sqkit_is_wal(s.k->path), mode == 0);
		assert_string_equal(sqkit_hash(s.k->path), s.old);
		assert_int_equal(sqkit_count(s.k, "app.db"), 1);
		memout_free(s.m);
	}
}

/* Between the safety copy and the swap: one process tries to write at once,
 * another has opened the old file and waits. */
static void
write_after_link(void *arg, long nr)
{
	struct scene *s = arg;

	if (nr != SYS_link || s->poked)
		return;
	s->poked = true;
	s->refused =
	    sqkit_program(s->k->path, "sql", "CREATE TABLE now(x)", "0");
	sqkit_start(
	    &s->waiting, s->k->path, "sql", "CREATE TABLE later(x)", "20000");
	(void)usleep(200000);
}

static void
nobody_writes_while_the_swap_is_under_way(void **state)
{
	struct scene s = { 0 };
	struct steps steps = {
		.work = restore_in_child, .arg = &s, .after = write_after_link
	};
	int rc, mode;

	for (mode = 0; mode < 2; mode++) {
		remove_all(*state, "app.db");
		remove_all(*state, "saved.db");
		set_scene(&s, *state, mode == 0);
		s.poked = false;
		reset(&s);
		rc = steps_run(&steps);
		if (rc == -3)
			SKIP();
		assert_int_equal(rc, 0);
		assert_true(s.poked);
		assert_int_equal(s.refused, 1);
		/* Its file has moved, and SQLite tells it so. */
		assert_int_equal(sqkit_finish(&s.waiting), 1);
		assert_int_equal(sqkit_count(s.k, "app.db-"), 0);
		assert_string_equal(sqkit_hash(s.k->path), s.new);
		memout_free(s.m);
	}
}

static void
a_killed_restore_to_a_new_path_leaves_nothing_or_all(void **state)
{
	struct scene s = { 0 };
	struct steps steps = { .work = restore_in_child, .arg = &s };
	struct sqkit *k = *state;
	unsigned n;
	int rc;

	set_scene(&s, k, true);
	for (n = 1;; n++) {
		remove_all(k, "app.db");
		steps.kill_at = n;
		rc = steps_run(&steps);
		if (rc == -3)
			SKIP();
		if (rc != -1)
			break;
		if (sqkit_size(k->path) != -1)
			assert_string_equal(sqkit_hash(k->path), s.new);
		(void)unlink(k->path);
		assert_int_equal(sqkit_restore(k, s.m, NULL, 0), HF_OK);
		assert_int_equal(sqkit_count(k, "app.db"), 1);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 5);
	memout_free(s.m);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, sqkit_setup_fast, sqkit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(killed_anywhere_with_frames_in_the_wal),
		TEST(
		    killed_anywhere_and_the_application_starts_before_the_next_run),
		TEST(killed_anywhere_in_rollback_mode),
		TEST(killed_anywhere_over_a_damaged_database),
		TEST(
		    the_former_database_is_put_back_when_the_new_one_fails_its_check),
		TEST(nobody_writes_while_the_swap_is_under_way),
		TEST(a_killed_restore_to_a_new_path_leaves_nothing_or_all),
	};

	return skipped_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
