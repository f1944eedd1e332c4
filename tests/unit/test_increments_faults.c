/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever fails, no increment is listed whose parent is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "repo/prune.h"
#include "repo/repo_private.h"
#include "support/deltakit.h"

#define ONE_SINK DELTA("") TO_ONE NO_VERIFY INCREMENTAL
#define PRUNED ONE_SINK ",\"retention\":{\"last\":1}"
#define HEALTHY "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\"}}"
#define FAULTY                                                             \
	"{\"a\":{\"type\":\"teststore\",\"path\":\"%%D/a\",\"fail_at\":%d" \
	",\"after\":%s,\"dead\":%s}}"

static struct repofix *const x = &copykit_fix;

/* Every call only where there is time for it. */
static int
step(void)
{
	const char *wanted = getenv("HOLDFAST_TEST_LONG");

	return wanted != NULL && strcmp(wanted, "1") == 0 ? 1 : 5;
}

static void
shell(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

/* Open the template again with a sink whose n-th call fails. */
static void
begin(int n, bool after, bool dead, const char *pipeline)
{
	static const char *const yes[] = { "false", "true" };
	char sinks[256];

	shell("rm -rf %s/a %s/a.hit && cp -a %s/template %s/a", x->dir, x->dir,
	    x->dir, x->dir);
	(void)snprintf(sinks, sizeof sinks, FAULTY, n, yes[after], yes[dead]);
	repofix_open(x, sinks, pipeline);
}

/* What is listed can be restored; how much that is. */
static size_t
all_have_their_parents(void)
{
	struct repo_catalog c;
	struct hf_error err = { 0 };
	size_t n;

	copykit_must(repo_list(x->repo, &c, &err), &err);
	n = c.n;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(
		    c.entries[i].copies[0].state, REPO_COPY_PRESENT);
		assert_string_equal(c.entries[i].copies[0].lacks, "");
	}
	repo_catalog_clear(&c);
	return n;
}

/* False when the run had fewer calls. */
static bool
one_backup(int n, bool after, bool dead, const char *parent)
{
	struct repo_backup_result res;
	struct hf_error err = { 0 };
	size_t listed;
	bool hit, published;
	char id[40];

	begin(n, after, dead, ONE_SINK);
	(void)repo_backup(x->repo, REPO_BACKUP_CONFIGURED, &res, &err);
	published = res.published;
	memcpy(id, res.id, sizeof id);
	repo_backup_result_clear(&res);
	hit = repofix_exists(repofix_path(x, "a.hit"));
	repofix_open(x, HEALTHY, ONE_SINK);
	listed = all_have_their_parents();
	assert_int_equal(copykit_all_whole("a"), listed);
	assert_true(listed == 3 || (listed == 2 && !published));
	if (listed == 3)
		deltakit_restores(id, NULL, 2);
	/* The next run is an increment again. */
	deltakit_backup(REPO_BACKUP_CONFIGURED, &res);
	assert_string_equal(res.parent, listed == 3 ? id : parent);
	deltakit_restores(res.id, NULL, 2);
	repo_backup_result_clear(&res);
	return hit;
}

/* Lost before it was done, lost behind it, and all that follow: a kill. */
static void
an_increment_is_there_as_a_whole_or_not_at_all(void **state)
{
	char ids[2][40];

	(void)state;
	repofix_open(x, HEALTHY, ONE_SINK);
	deltakit_chain(2, ids);
	deltakit_write(2);
	shell("cp -a %s/a %s/template", x->dir, x->dir);
	for (int way = 0; way < 3; way++) {
		int n = 1 + way;

		while (one_backup(n, way == 1, way == 2, ids[1]))
			n += step();
		assert_true(n > 40);
	}
}

static bool
one_prune(int n, bool after, bool dead)
{
	struct prune_result res;
	struct hf_error err = { 0 };
	bool hit;

	begin(n, after, dead, PRUNED);
	(void)repo_prune(x->repo, false, &res, &err);
	prune_result_clear(&res);
	hit = repofix_exists(repofix_path(x, "a.hit"));
	repofix_open(x, HEALTHY, PRUNED);
	assert_true(all_have_their_parents() >= 2);
	copykit_must(repo_prune(x->repo, false, &res, &err), &err);
	prune_result_clear(&res);
	assert_int_equal(all_have_their_parents(), 2);
	return hit;
}

static void
children_go_before_their_parents(void **state)
{
	struct repo_backup_result res;
	char ids[3][40];

	(void)state;
	repofix_open(x, HEALTHY, ONE_SINK);
	deltakit_chain(3, ids);
	deltakit_backup(REPO_BACKUP_FULL, &res);
	repo_backup_result_clear(&res);
	deltakit_backup(REPO_BACKUP_INCREMENTAL, &res);
	repo_backup_result_clear(&res);
	shell("cp -a %s/a %s/template", x->dir, x->dir);
	for (int way = 0; way < 3; way++) {
		int n = 1 + way;

		while (one_prune(n, way == 1, way == 2))
			n += step();
		assert_true(n > 40);
	}
}

/* Where a sink lacks the parent, or all of them do. */
static void
a_child_whose_parent_is_gone_is_no_reason_to_stop(void **state)
{
	struct prune_result res;
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	repofix_open(x, COPYKIT_SINKS, DELTA_TWO);
	deltakit_chain(3, ids);
	deltakit_lose("b", ids[0]);
	repofix_open(x, COPYKIT_SINKS, DELTA_TWO ",\"retention\":{\"last\":1}");
	copykit_must(repo_prune(x->repo, false, &res, &err), &err);
	assert_int_equal(res.nbackups, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(res.backups[i].rule.keep);
	assert_non_null(strstr(res.backups[0].rule.why, "needed"));
	prune_result_clear(&res);
	deltakit_restores(ids[2], "a", 2);
	/* Nothing can be made of them any more: they do not count as good, and
	 * stay until something does. */
	deltakit_lose("a", ids[0]);
	copykit_must(repo_prune(x->repo, false, &res, &err), &err);
	assert_int_equal(res.nbackups, 2);
	assert_true(res.backups[0].rule.failed && res.backups[1].rule.failed);
	assert_true(res.backups[1].rule.keep);
	prune_result_clear(&res);
	{
		struct repo_backup_result made;

		deltakit_backup(REPO_BACKUP_FULL, &made);
		repo_backup_result_clear(&made);
	}
	copykit_must(repo_prune(x->repo, false, &res, &err), &err);
	assert_int_equal(res.nbackups, 3);
	assert_false(res.backups[0].rule.keep || res.backups[1].rule.keep);
	assert_int_equal(res.backups[1].removed, 2);
	prune_result_clear(&res);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, copykit_setup, copykit_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_increment_is_there_as_a_whole_or_not_at_all),
		TEST(children_go_before_their_parents),
		TEST(a_child_whose_parent_is_gone_is_no_reason_to_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
