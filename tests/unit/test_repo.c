/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"
#include "plugin/store.h"
#include "repo/doc.h"
#include "repo/lease_private.h"
#include "repo/repo_private.h"
#include "support/repofix.h"

#define FROM(options) "\"from\":{\"engine\":\"testengine\"" options "}"
#define TO_ONE ",\"to\":[\"a\"]"
#define TO_TWO ",\"to\":[\"a\",\"b\"]"
#define GZ ",\"through\":[\"gz\"]"
#define NO_VERIFY ",\"verify\":\"none\""
/* Three objects of some frames each. */
#define THREE ",\"objects\":3,\"size\":150000,\"path\":\"%D/home\""
#define SMALL ",\"objects\":2,\"size\":3000,\"path\":\"%D/home\""

static struct repofix x;

static int
setup(void **state)
{
	(void)state;
	repofix_begin(&x);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	repofix_end(&x);
	return 0;
}

static void
must(int rc, const struct hf_error *err)
{
	if (rc == HF_OK)
		return;
	error_render(err, NULL, stderr);
	fail_msg("status %d", rc);
}

static void
list(struct repo_catalog *c)
{
	struct hf_error err = { 0 };

	must(repo_list(x.repo, c, &err), &err);
}

static size_t
count(void)
{
	struct repo_catalog c;
	size_t n;

	list(&c);
	n = c.n;
	repo_catalog_clear(&c);
	return n;
}

static const struct repo_backup_entry *
pick(const struct repo_catalog *c, const char *selector)
{
	const struct repo_backup_entry *e = NULL;
	struct hf_error err = { 0 };

	must(repo_pick(c, selector, 0, &e, &err), &err);
	return e;
}

static int
verify(const char *selector, bool deep, struct hf_error *err)
{
	struct repo_verify_result res;
	struct repo_catalog c;
	int rc;

	error_clear(err);
	list(&c);
	rc = repo_verify(x.repo, pick(&c, selector), NULL, deep, &res, err);
	assert_int_equal(res.passed, rc == HF_OK);
	repo_verify_result_clear(&res);
	repo_catalog_clear(&c);
	return rc;
}

static int
restore_with(const char *selector, struct repo_restore_options *opts,
    struct repo_restore_result *res, struct hf_error *err)
{
	struct repo_catalog c;
	int rc;

	error_clear(err);
	list(&c);
	rc = repo_restore(x.repo, pick(&c, selector), opts, res, err);
	repo_catalog_clear(&c);
	return rc;
}

static int
restore(
    const char *target, struct repo_restore_result *res, struct hf_error *err)
{
	struct repo_restore_options opts = { .target = target };

	return restore_with("latest", &opts, res, err);
}

/* ---- the way there and back ---- */

static void
what_was_backed_up_comes_back_from_each_sink(void **state)
{
	struct repo_restore_options opts = { 0 };
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ);
	repofix_backup(&x, id);
	opts.target = repofix_path(&x, "one");
	opts.sink = "a";
	must(restore_with(id, &opts, &res, &err), &err);
	assert_string_equal(res.sink, "a");
	assert_int_equal(res.raw, 450000);
	assert_int_equal(res.nfallbacks, 0);
	repo_restore_result_clear(&res);
	opts.target = repofix_path(&x, "two");
	opts.sink = "b";
	must(restore_with(id, &opts, &res, &err), &err);
	assert_string_equal(res.sink, "b");
	repo_restore_result_clear(&res);
	assert_true(
	    repofix_same(repofix_path(&x, "one"), repofix_path(&x, "two")));
	/* The engine itself knows what it wrote. */
	must(verify(id, true, &err), &err);
	assert_non_null(strstr(x.findings, "source testengine|0|contents"));
}

static void
what_is_stored_agrees_with_common_tools(void **state)
{
	char id[40], command[512];

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(THREE) TO_ONE GZ);
	repofix_backup(&x, id);
	(void)snprintf(command, sizeof command,
	    "cd %s/a/shop/data/%s && sha256sum --status -c SHA256SUMS && "
	    "test $(wc -l < SHA256SUMS) = $(ls | grep -vc SUMS) && "
	    "gunzip -c 'part=200.bin.gz' | wc -c | grep -q '^150000$'",
	    x.dir, id);
	assert_int_equal(system(command), 0);
	(void)snprintf(command, sizeof command,
	    "cd %s/a && head -n -1 README.txt | sha256sum | cut -c1-64 | "
	    "grep -qf - README.txt",
	    x.dir);
	assert_int_equal(system(command), 0);
}

static void
the_manifest_tells_what_the_engine_told(void **state)
{
	struct repo_catalog c;
	const struct manifest *m;
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_ONE,
	    FROM(THREE ",\"seed\":77") TO_ONE GZ
	    ",\"labels\":{\"app\":\"4.2\"}");
	repofix_backup(&x, id);
	list(&c);
	m = pick(&c, "latest")->copies[0].manifest;
	assert_string_equal(m->id, id);
	assert_string_equal(m->sources[0].facts[0], "seed");
	assert_string_equal(m->sources[0].facts[1], "77");
	assert_string_equal(m->labels[1], "4.2");
	assert_string_equal(m->environment, "test");
	assert_int_equal(m->sources[0].nobjects, 3);
	assert_string_equal(m->sources[0].objects[0].name, "part 0.bin");
	assert_string_equal(m->sources[0].objects[0].filters[0].name, "gz");
	assert_non_null(m->sources[0].objects[0].index_key);
	assert_int_equal(m->nchecks, 1);
	/* It was read back after it was published. */
	assert_string_equal(pick(&c, "latest")->copies[0].check.kind, "verify");
	assert_true(pick(&c, "latest")->copies[0].check.passed);
	repo_catalog_clear(&c);
}

static void
several_sources_stand_side_by_side(void **state)
{
	struct repo_restore_options opts = { .source = "second" };
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_ONE,
	    "\"from\":[{\"name\":\"first\",\"engine\":\"testengine\","
	    "\"seed\":1},{\"name\":\"second\",\"engine\":\"testengine\","
	    "\"seed\":2}]" TO_ONE GZ);
	repofix_backup(&x, id);
	must(restore(repofix_path(&x, "all"), &res, &err), &err);
	assert_true(repofix_exists(repofix_path(&x, "all/first/part 0.bin")));
	assert_false(repofix_same(
	    repofix_path(&x, "all/first"), repofix_path(&x, "all/second")));
	assert_int_equal(res.nresults, 2);
	assert_string_equal(res.results[0].key, "first.target");
	repo_restore_result_clear(&res);
	opts.target = repofix_path(&x, "one");
	must(restore_with("latest", &opts, &res, &err), &err);
	assert_true(repofix_same(
	    repofix_path(&x, "one"), repofix_path(&x, "all/second")));
	repo_restore_result_clear(&res);
	opts.source = "third";
	assert_int_equal(
	    restore_with("latest", &opts, &res, &err), HF_E_NOTFOUND);
	repo_restore_result_clear(&res);
	must(verify(id, true, &err), &err);
}

static void
restore_options_reach_the_engine(void **state)
{
	const char *good[] = { "tell=hello", NULL },
		   *bad[] = { "shout=hello", NULL };
	struct repo_restore_options opts = { .args = good };
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, id);
	opts.target = repofix_path(&x, "t");
	must(restore_with(id, &opts, &res, &err), &err);
	assert_int_equal(res.nresults, 2);
	assert_string_equal(res.results[1].key, "told");
	assert_string_equal(res.results[1].value, "hello");
	assert_non_null(strstr(x.results, "told=hello"));
	repo_restore_result_clear(&res);
	opts.args = bad;
	opts.target = repofix_path(&x, "t2");
	assert_int_equal(restore_with(id, &opts, &res, &err), HF_E_INVALID);
	repo_restore_result_clear(&res);
	assert_false(repofix_exists(opts.target));
}

static void
a_dry_run_changes_nothing(void **state)
{
	struct repo_restore_options opts = { .dry_run = true };
	struct repo_restore_result res;
	struct hf_error err = { 0 };
	char id[40], **before, **after;
	size_t i;

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, id);
	before = repofix_files(x.dir);
	opts.target = repofix_path(&x, "t");
	must(restore_with(id, &opts, &res, &err), &err);
	repo_restore_result_clear(&res);
	after = repofix_files(x.dir);
	for (i = 0; before[i] != NULL && after[i] != NULL; i++)
		assert_string_equal(before[i], after[i]);
	assert_true(before[i] == NULL && after[i] == NULL);
	repofix_files_free(before);
	repofix_files_free(after);
	repofix_truncate(repofix_find(&x, "a/shop/data", "part=201"), 10);
	assert_int_equal(restore_with(id, &opts, &res, &err), HF_E_CORRUPT);
	repo_restore_result_clear(&res);
}

/* ---- what must never be listed ---- */

static void
a_failed_engine_publishes_and_leaves_nothing(void **state)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };

	(void)state;
	repofix_open(&x, REPOFIX_TWO, FROM(THREE ",\"fail_at\":3") TO_TWO GZ);
	assert_int_equal(
	    repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, &err), HF_E_IO);
	assert_false(res.published);
	assert_non_null(strstr(err.cause, "failed as asked"));
	repo_backup_result_clear(&res);
	assert_int_equal(count(), 0);
	assert_null(repofix_find(&x, "a/shop", "data/"));
	assert_null(repofix_find(&x, "b/shop", "data/"));
	/* But it is on record. */
	assert_non_null(repofix_find(&x, "a/shop/reports", "-backup-"));
	assert_non_null(repofix_find(&x, "b/shop/reports", "-backup-"));
}

/* Run in a process that ends in the middle of object 3. */
static void
killed_run(const char *sinks, const char *pipeline)
{
	struct repo_backup_result res;
	int status;
	pid_t pid;

	repofix_close(&x);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		repofix_open(&x, sinks, pipeline);
		(void)repo_backup(x.repo, REPO_BACKUP_CONFIGURED, &res, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 9);
}

static void
what_a_killed_run_left_is_never_listed_and_cleared_by_the_next(void **state)
{
	struct hf_error err = { 0 };
	char first[40], second[40], *left;

	(void)state;
	repofix_open(&x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ);
	repofix_backup(&x, first);
	killed_run(REPOFIX_TWO, FROM(THREE ",\"exit_at\":3") TO_TWO GZ);
	repofix_open(&x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ);
	assert_int_equal(count(), 1);
	/* Something did stay behind, in a folder of its own. */
	repofix_close(&x);
	left = NULL;
	{
		char **files = repofix_files(repofix_path(&x, "a/shop/data"));

		for (char **p = files; *p != NULL; p++)
			if (strncmp(*p, first, strlen(first)) != 0 &&
			    left == NULL)
				left = strdup(*p);
		repofix_files_free(files);
	}
	assert_non_null(left);
	repofix_open(&x, REPOFIX_TWO, FROM(THREE) TO_TWO GZ);
	repofix_backup(&x, second);
	assert_false(repofix_exists(repofix_path(&x, "a/shop/data/%s", left)));
	free(left);
	assert_int_equal(count(), 2);
	must(verify(first, true, &err), &err);
	must(verify(second, true, &err), &err);
	/* One lease file is left: the last run's. */
	{
		char **files = repofix_files(repofix_path(&x, "a/shop/lease"));

		assert_non_null(files[0]);
		assert_null(files[1]);
		repofix_files_free(files);
	}
}

/* Killed between making a folder and giving a file its name in it. */
static void
empty_folders_of_a_killed_run_go_too(void **state)
{
	char id[40], dead[40] = "";
	const char *file;

	(void)state;
	killed_run(REPOFIX_ONE, FROM(THREE ",\"exit_at\":2") TO_ONE GZ);
	file = strstr(repofix_find(&x, "a/shop/data", ".gz"), "/data/");
	memcpy(dead, file + 6, 25);
	assert_int_equal(unlink(repofix_find(&x, "a/shop/data", ".gz")), 0);
	assert_int_equal(
	    mkdir(repofix_path(&x, "a/shop/data/%s/main", dead), 0700), 0);
	assert_int_equal(
	    mkdir(repofix_path(&x, "a/shop/data/%s/main/deep", dead), 0700), 0);
	repofix_open(&x, REPOFIX_ONE, FROM(THREE) TO_ONE GZ);
	repofix_backup(&x, id);
	assert_false(repofix_exists(repofix_path(&x, "a/shop/data/%s", dead)));
	assert_true(repofix_exists(repofix_path(&x, "a/shop/data/%s", id)));
}

/* A run on a machine we know nothing of may only sleep. */
static void
what_a_run_elsewhere_left_stays_for_a_day(void **state)
{
	const char *data, *lease;
	struct hf_error err = { 0 };
	json_t *doc = NULL;
	char id[40], *key;

	(void)state;
	killed_run(REPOFIX_ONE, FROM(THREE ",\"exit_at\":3") TO_ONE GZ);
	data = strdup(repofix_find(&x, "a/shop/data", ".gz"));
	lease = strdup(repofix_find(&x, "a/shop/lease", "1.json"));
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE GZ);
	must(open_sink(x.repo, 0, &err), &err);
	key = lease_key("shop", 1);
	must(doc_get(x.repo->sinks[0].store, key, &doc, &err), &err);
	json_object_set_new(doc, "host", json_string("elsewhere"));
	must(doc_put(x.repo->sinks[0].store, key, 0, doc, &err), &err);
	json_decref(doc);
	free(key);
	repofix_age(lease, 3600);
	repofix_age(data, 3 * 86400);
	repofix_backup(&x, id);
	assert_true(repofix_exists(data));
	assert_true(repofix_exists(lease));
	repofix_age(lease, 86400 + 60);
	repofix_backup(&x, id);
	assert_false(repofix_exists(data));
	assert_false(repofix_exists(lease));
	free((void *)(uintptr_t)data);
	free((void *)(uintptr_t)lease);
}

static void
data_of_nobody_goes_after_a_day_and_what_is_listed_never(void **state)
{
	static const char orphan[] = "20200101T000000Z-00000001";
	char id[40], *path;

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, id);
	assert_int_equal(
	    mkdir(repofix_path(&x, "a/shop/data/%s", orphan), 0700), 0);
	path = strdup(repofix_path(&x, "a/shop/data/%s/x.gz", orphan));
	must(file_write(path, "x", 1, NULL), NULL);
	repofix_backup(&x, id);
	assert_true(repofix_exists(path));
	repofix_age(path, 86400 + 60);
	/* All of the backups too, which must not matter. */
	{
		char **files = repofix_files(repofix_path(&x, "a/shop"));

		for (char **p = files; *p != NULL; p++)
			repofix_age(
			    repofix_path(&x, "a/shop/%s", *p), 30 * 86400);
		repofix_files_free(files);
	}
	repofix_backup(&x, id);
	assert_false(repofix_exists(path));
	free(path);
	{
		struct repo_catalog c;
		struct hf_error err = { 0 };

		list(&c);
		assert_int_equal(c.n, 3);
		for (size_t i = 0; i < c.n; i++)
			must(verify(c.entries[i].id, false, &err), &err);
		repo_catalog_clear(&c);
	}
}

static void
a_damaged_manifest_protects_its_data(void **state)
{
	struct repo_catalog c;
	char first[40], second[40], *data;

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, first);
	repofix_flip(repofix_find(&x, "a/shop/catalog", first), 30, 3);
	data = strdup(repofix_find(&x, "a/shop/data", "part=200"));
	repofix_age(data, 30 * 86400);
	repofix_backup(&x, second);
	assert_true(repofix_exists(data));
	free(data);
	list(&c);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.entries[0].copies[0].state, REPO_COPY_DAMAGED);
	assert_int_equal(c.entries[0].ended_ms, 0);
	assert_string_equal(pick(&c, "latest")->id, second);
	repo_catalog_clear(&c);
}

static void
a_damaged_manifest_is_never_the_latest(void **state)
{
	const struct repo_backup_entry *e;
	struct repo_catalog c;
	struct hf_error err = { 0 };
	char first[40], second[40];

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, first);
	(void)usleep(1100000);
	repofix_backup(&x, second);
	repofix_flip(repofix_find(&x, "a/shop/catalog", second), 30, 3);
	list(&c);
	assert_int_equal(c.n, 2);
	assert_string_equal(pick(&c, "latest")->id, first);
	must(repo_pick(&c, "latest", text_now() + 1000, &e, &err), &err);
	assert_string_equal(e->id, first);
	/* By its name it can be had, to be looked at. */
	assert_string_equal(pick(&c, second)->id, second);
	repo_catalog_clear(&c);
}

/* ---- choosing ---- */

static void
a_moment_chooses_what_had_ended_by_then(void **state)
{
	const struct repo_backup_entry *e;
	struct repo_catalog c;
	struct hf_error err = { 0 };
	char first[40], second[40];

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, first);
	(void)usleep(1100000);
	repofix_backup(&x, second);
	list(&c);
	must(repo_pick(&c, NULL, c.entries[1].ended_ms, &e, &err), &err);
	assert_string_equal(e->id, second);
	must(repo_pick(&c, NULL, c.entries[1].ended_ms - 1, &e, &err), &err);
	assert_string_equal(e->id, first);
	assert_int_equal(
	    repo_pick(&c, NULL, c.entries[0].ended_ms - 1, &e, &err),
	    HF_E_NOTFOUND);
	must(repo_pick(&c, "", 0, &e, &err), &err);
	assert_string_equal(e->id, second);
	/* A beginning that fits both says so. */
	assert_int_equal(repo_pick(&c, "20", 0, &e, &err), HF_E_INVALID);
	first[strlen(first) - 1] = '\0';
	must(repo_pick(&c, first, 0, &e, &err), &err);
	assert_int_equal(strncmp(e->id, first, strlen(first)), 0);
	assert_int_equal(repo_pick(&c, "1999", 0, &e, &err), HF_E_NOTFOUND);
	repo_catalog_clear(&c);
}

static void
an_empty_repository_has_nothing_to_choose(void **state)
{
	const struct repo_backup_entry *e;
	struct repo_catalog c;
	struct repo_status st;
	struct hf_error err = { 0 };

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	/* Not "no backups": its folder may be a disk's. */
	assert_int_equal(repo_list(x.repo, &c, &err), HF_E_NOTFOUND);
	assert_non_null(strstr(error_get(&err, "hint"), "mounted"));
	assert_int_equal(mkdir(repofix_path(&x, "a"), 0700), 0);
	list(&c);
	assert_int_equal(c.n, 0);
	assert_int_equal(repo_pick(&c, "latest", 0, &e, &err), HF_E_NOTFOUND);
	repo_catalog_clear(&c);
	must(repo_status(x.repo, &st, &err), &err);
	assert_int_equal(st.nbackups, 0);
	assert_true(st.stale);
	assert_false(st.running);
}

/* ---- damage ---- */

/* Which bytes of a file to try: the ends, and some between. */
#define SAMPLES 7

static long
sample(long size, int n)
{
	return (size - 1) * n / (SAMPLES - 1);
}

/* Something is wrong with this file of backup id; is it seen and named? */
static void
found(const char *id, const char *file, const char *what)
{
	const char *base = strrchr(file, '/');
	struct hf_error err = { 0 };
	char line[4096];
	int rc;

	base = base == NULL ? file : base + 1;
	rc = verify(id, false, &err);
	error_line(&err, line, sizeof line);
	if (rc != HF_E_CORRUPT || strstr(line, base) == NULL)
		print_error("%s: %s: status %d: %s\n", file, what, rc, line);
	assert_int_equal(rc, HF_E_CORRUPT);
	assert_non_null(strstr(line, base));
}

/* The check that tells of it must not stay, or it would be the next file. */
static void
forget_checks(char **before)
{
	char **after = repofix_files(repofix_path(&x, "a"));

	for (char **p = after, **old = before; *p != NULL; p++) {
		if (*old != NULL && strcmp(*p, *old) == 0)
			old++;
		else
			assert_int_equal(
			    unlink(repofix_path(&x, "a/%s", *p)), 0);
	}
	repofix_files_free(after);
}

static void
one_flipped_bit_or_lost_byte_in_any_file_is_found(void **state)
{
	struct hf_error err = { 0 };
	char id[40], **files, what[64];

	(void)state;
	/* Frames, so that there is an index; checks and reports lie there. */
	repofix_open(
	    &x, REPOFIX_ONE, FROM(",\"objects\":2,\"size\":70000") TO_ONE GZ);
	repofix_backup(&x, id);
	must(verify(id, false, &err), &err);
	files = repofix_files(repofix_path(&x, "a"));
	assert_non_null(repofix_find(&x, "a", ".frames"));
	for (char **p = files; *p != NULL; p++) {
		const char *path = repofix_path(&x, "a/%s", *p);
		char *name = strdup(path);
		struct buf text = BUF_INIT;
		long size = repofix_size(name);

		must(file_read(name, 1u << 24, &text, &err), &err);
		for (int n = 0; n < SAMPLES; n++) {
			repofix_flip(name, sample(size, n), n);
			(void)snprintf(what, sizeof what, "bit %d of byte %ld",
			    n, sample(size, n));
			found(id, *p, what);
			repofix_flip(name, sample(size, n), n);
			forget_checks(files);
		}
		repofix_truncate(name, size - 1);
		found(id, *p, "the last byte is gone");
		must(file_write(name, text.data, text.len, &err), &err);
		forget_checks(files);
		buf_free(&text);
		free(name);
	}
	repofix_files_free(files);
	must(verify(id, false, &err), &err);
}

static void
a_missing_file_is_found_and_a_strange_one_reported(void **state)
{
	struct hf_error err = { 0 };
	char id[40], line[4096];
	const char *path;

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, id);
	path = repofix_path(&x, "a/shop/data/%s/notes.txt", id);
	must(file_write(path, "mine", 4, &err), &err);
	must(verify(id, false, &err), &err);
	assert_non_null(strstr(x.findings, "sink a|1|unexpected file|"));
	assert_int_equal(
	    unlink(repofix_find(&x, "a/shop/data", "part=201")), 0);
	assert_int_equal(verify(id, false, &err), HF_E_CORRUPT);
	error_line(&err, line, sizeof line);
	assert_non_null(strstr(line, "part=201"));
	assert_non_null(strstr(line, "part 1.bin"));
	assert_non_null(strstr(line, "missing"));
}

static void
a_deep_verify_believes_the_engine(void **state)
{
	struct repo_catalog c;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, id);
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL ",\"sick\":true") TO_ONE);
	assert_int_equal(verify(id, true, &err), HF_E_CORRUPT);
	assert_non_null(strstr(err.cause, "something else"));
	assert_non_null(strstr(x.findings, "source testengine|2|contents"));
	/* Nothing of it stays in the scratch folder. */
	assert_null(repofix_find(&x, "scratch", ""));
	list(&c);
	assert_string_equal(c.entries[0].copies[0].check.kind, "deep");
	assert_false(c.entries[0].copies[0].check.passed);
	assert_non_null(
	    strstr(c.entries[0].copies[0].check.detail, "something else"));
	repo_catalog_clear(&c);
	must(verify(id, false, &err), &err);
}

static void
an_absent_copy_is_told_and_no_failure(void **state)
{
	struct repo_verify_result res;
	struct repo_catalog c;
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	repofix_open(&x, REPOFIX_ONE, FROM(SMALL) TO_ONE);
	repofix_backup(&x, id);
	repofix_open(&x, REPOFIX_TWO, FROM(SMALL) TO_TWO);
	list(&c);
	assert_int_equal(c.entries[0].copies[1].state, REPO_COPY_UNREACHABLE);
	repo_catalog_clear(&c);
	assert_false(repofix_exists(repofix_path(&x, "b")));
	assert_int_equal(mkdir(repofix_path(&x, "b"), 0700), 0);
	list(&c);
	assert_int_equal(c.entries[0].copies[1].state, REPO_COPY_ABSENT);
	must(repo_verify(x.repo, pick(&c, id), NULL, false, &res, &err), &err);
	assert_int_equal(res.nsinks, 2);
	assert_true(res.sinks[0].checked && res.sinks[0].passed);
	assert_false(res.sinks[1].checked);
	assert_int_equal(res.sinks[1].why.status, HF_E_NOTFOUND);
	repo_verify_result_clear(&res);
	/* Asked for that one alone there is nothing to be proud of. */
	assert_int_equal(
	    repo_verify(x.repo, pick(&c, id), "b", false, &res, &err),
	    HF_E_NOTFOUND);
	repo_verify_result_clear(&res);
	repo_catalog_clear(&c);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_was_backed_up_comes_back_from_each_sink),
		T(what_is_stored_agrees_with_common_tools),
		T(the_manifest_tells_what_the_engine_told),
		T(several_sources_stand_side_by_side),
		T(restore_options_reach_the_engine),
		T(a_dry_run_changes_nothing),
		T(a_failed_engine_publishes_and_leaves_nothing),
		T(empty_folders_of_a_killed_run_go_too),
		T(what_a_killed_run_left_is_never_listed_and_cleared_by_the_next),
		T(what_a_run_elsewhere_left_stays_for_a_day),
		T(data_of_nobody_goes_after_a_day_and_what_is_listed_never),
		T(a_damaged_manifest_protects_its_data),
		T(a_damaged_manifest_is_never_the_latest),
		T(a_moment_chooses_what_had_ended_by_then),
		T(an_empty_repository_has_nothing_to_choose),
		T(one_flipped_bit_or_lost_byte_in_any_file_is_found),
		T(a_missing_file_is_found_and_a_strange_one_reported),
		T(a_deep_verify_believes_the_engine),
		T(an_absent_copy_is_told_and_no_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
