/* SPDX-License-Identifier: BSD-2-Clause */
/* Backups that retention does not keep are removed, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "repo/lease.h"
#include "repo/prune.h"
#include "repo/repo_private.h"
#include "support/copykit.h"

#define KEEP(rules) ",\"retention\":{" rules "}"
#define LAST_ONE KEEP("\"last\":1")
#define TWO FROM(SMALL) TO_TWO GZ NO_VERIFY
#define DAY 86400L

static struct repofix *const x = &copykit_fix;
static struct prune_result res;

static int
teardown(void **state)
{
	prune_result_clear(&res);
	return copykit_teardown(state);
}

static int
prune(bool dry, struct hf_error *err)
{
	int rc;

	error_clear(err);
	prune_result_clear(&res);
	rc = repo_prune(x->repo, dry, &res, err);
	assert_int_equal(rc, err->status);
	return rc;
}

static void
prune_well(void)
{
	struct hf_error err = { 0 };

	copykit_must(prune(false, &err), &err);
	for (size_t i = 0; i < res.nsinks; i++)
		assert_int_equal(res.sinks[i].why.status, HF_OK);
}

static void
open_with(const char *pipeline)
{
	repofix_open(x, COPYKIT_SINKS, pipeline);
}

/* So many in each of both sinks, oldest first; then the rules. */
static void
backups(size_t n, char (*ids)[40], const char *pipeline)
{
	open_with(TWO);
	for (size_t i = 0; i < n; i++)
		repofix_backup(x, ids[i]);
	open_with(pipeline);
}

/* "KK-", oldest first. */
static void
expect(const char *kept)
{
	char got[64] = "";

	assert_true(res.nbackups < sizeof got);
	for (size_t i = 0; i < res.nbackups; i++)
		got[i] = res.backups[i].rule.keep ? 'K' : '-';
	assert_string_equal(got, kept);
}

/* As one text: every name below a folder, and its size. */
static char *
inventory(const char *sub)
{
	char **list = repofix_files(repofix_path(x, "%s", sub));
	struct buf text = BUF_INIT;

	for (char **p = list; *p != NULL; p++) {
		char line[1024];

		(void)snprintf(line, sizeof line, "%s %ld\n", *p,
		    repofix_size(repofix_path(x, "%s/%s", sub, *p)));
		assert_int_equal(buf_puts(&text, line, NULL), HF_OK);
	}
	assert_int_equal(buf_append(&text, "", 1, NULL), HF_OK);
	repofix_files_free(list);
	return (char *)text.data;
}

static void
same_inventory(char *before, const char *sub)
{
	char *now = inventory(sub);

	assert_string_equal(before, now);
	free(before);
	free(now);
}

/* As if everything below a folder had been there for so long. */
static void
age(const char *sub, long seconds)
{
	char **list = repofix_files(repofix_path(x, "%s", sub));

	for (char **p = list; *p != NULL; p++)
		repofix_age(repofix_path(x, "%s/%s", sub, *p), seconds);
	repofix_files_free(list);
}

static void
put(const char *sub)
{
	const char *path = repofix_path(x, "%s", sub);
	char *folder = strdup(path);
	struct hf_error err = { 0 };

	assert_non_null(folder);
	*strrchr(folder, '/') = '\0';
	copykit_must(file_mkdirs(folder, &err), &err);
	copykit_must(file_write(path, "x", 1, &err), &err);
	free(folder);
}

static void
copy_tree(const char *from, const char *to)
{
	char command[512];

	(void)snprintf(command, sizeof command, "cp -a %s/%s %s/%s", x->dir,
	    from, x->dir, to);
	assert_int_equal(system(command), 0);
}

static void
remove_tree(const char *sub)
{
	char command[512];

	(void)snprintf(command, sizeof command, "rm -rf %s/%s", x->dir, sub);
	assert_int_equal(system(command), 0);
}

/* Nothing of a backup is there but what tells of it. */
static void
is_gone(const char *sink, const char *id)
{
	char **list = repofix_files(repofix_path(x, "%s", sink));

	for (char **p = list; *p != NULL; p++)
		if (strstr(*p, id) != NULL && strstr(*p, "reports/") == NULL)
			fail_msg("%s/%s is still there", sink, *p);
	repofix_files_free(list);
}

/* ---- what goes ---- */

static void
what_no_rule_keeps_goes_from_every_sink(void **state)
{
	const char *report;
	struct buf text = BUF_INIT;
	struct hf_error err = { 0 };
	char ids[3][40], line[128];

	(void)state;
	backups(3, ids, FROM(SMALL) TO_TWO GZ KEEP("\"last\":2"));
	/* Checks of it go too. */
	assert_int_equal(copykit_all_whole("a"), 3);
	assert_non_null(repofix_find(x, "a/shop/checks", ids[0]));
	prune_well();
	expect("-KK");
	assert_string_equal(res.backups[0].id, ids[0]);
	assert_int_equal(res.backups[0].copies, 2);
	assert_int_equal(res.backups[0].removed, 2);
	assert_int_equal(res.backups[1].removed, 0);
	assert_string_equal(res.backups[2].rule.why, "last 1");
	is_gone("a", ids[0]);
	is_gone("b", ids[0]);
	assert_int_equal(copykit_all_whole("a"), 2);
	assert_int_equal(copykit_all_whole("b"), 2);
	/* Told in each sink. */
	assert_non_null(repofix_find(x, "b/shop/reports", "-prune-"));
	report = repofix_find(x, "a/shop/reports", "-prune-");
	assert_non_null(report);
	copykit_must(file_read(report, 1 << 20, &text, &err), &err);
	(void)snprintf(line, sizeof line, "\"id\": \"%s\"", ids[0]);
	assert_non_null(strstr((char *)text.data, line));
	assert_non_null(strstr((char *)text.data, "\"why\": \"last 2\""));
	assert_non_null(strstr((char *)text.data, "\"outcome\": \"done\""));
	buf_free(&text);
	/* Twice is as once. */
	prune_well();
	expect("KK");
	/* And nobody holds the lease. */
	repofix_backup(x, ids[0]);
}

static void
a_dry_run_changes_nothing_and_says_the_same(void **state)
{
	struct hf_error err = { 0 };
	char ids[3][40], *before;

	(void)state;
	backups(3, ids, TWO KEEP("\"last\":1,\"reports\":\"1h\""));
	age("a/shop/reports", DAY);
	before = inventory(".");
	copykit_must(prune(true, &err), &err);
	expect("--K");
	assert_int_equal(res.backups[1].removed, 2);
	assert_int_equal(res.sinks[0].reports, 2);
	assert_int_equal(res.sinks[1].reports, 0);
	same_inventory(before, ".");
	prune_well();
	expect("--K");
	assert_int_equal(res.backups[1].removed, 2);
	assert_int_equal(res.sinks[0].reports, 2);
}

static void
without_rules_nothing_goes(void **state)
{
	char ids[3][40];

	(void)state;
	backups(3, ids, TWO);
	prune_well();
	expect("KKK");
	assert_int_equal(copykit_all_whole("b"), 3);
}

/* ---- what stays ---- */

static void
what_strangers_keep_there_is_never_touched(void **state)
{
	static const char *const theirs[] = { "a/notes.txt", "a/shop.txt",
		"a/shop/notes.txt", "a/shop/catalog/notes.txt",
		"a/shop/catalog/sub/20200101T000000Z-00000001.txt",
		"a/shop/checks/notes.txt", "a/shop/data/notes.txt",
		"a/shop/data/theirs/notes.txt", "a/shop/reports/notes.txt",
		"a/shop/reports/20200101T000000Z-backup.json",
		"a/shop/reports/mine/20200101T000000.000Z-a-b.json",
		"a/shop/reports/20200101T000000.000Z-backup-x.txt" };
	const char *const others[] = { "a/shop2", "a/sho", "a/shop-b" };
	char ids[2][40], *before[3];

	(void)state;
	backups(2, ids, TWO KEEP("\"last\":1,\"reports\":\"1h\""));
	for (size_t i = 0; i < 3; i++) {
		copy_tree("a/shop", others[i]);
		age(others[i], 100 * DAY);
		before[i] = inventory(others[i]);
	}
	for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
		put(theirs[i]);
	age("a/shop", 100 * DAY);
	prune_well();
	expect("-K");
	/* Ours. */
	assert_int_equal(res.sinks[0].reports, 1);
	is_gone("a/shop", ids[0]);
	for (size_t i = 0; i < 3; i++)
		same_inventory(before[i], others[i]);
	for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
		if (!repofix_exists(repofix_path(x, "%s", theirs[i])))
			fail_msg("%s is gone", theirs[i]);
}

static void
a_copy_with_a_damaged_manifest_stays(void **state)
{
	char ids[3][40];

	(void)state;
	backups(3, ids, TWO LAST_ONE);
	/* One nobody can read, and one that only b can. */
	copykit_flip_middle(repofix_find(x, "a/shop/catalog", ids[0]));
	copykit_flip_middle(repofix_find(x, "b/shop/catalog", ids[0]));
	copykit_flip_middle(repofix_find(x, "a/shop/catalog", ids[1]));
	prune_well();
	expect("K-K");
	assert_string_equal(
	    res.backups[0].rule.why, "its manifest cannot be read");
	assert_int_equal(res.backups[1].copies, 2);
	assert_int_equal(res.backups[1].removed, 1);
	is_gone("b", ids[1]);
	copykit_state_of(ids[0], 1, REPO_COPY_DAMAGED);
	copykit_state_of(ids[1], 0, REPO_COPY_DAMAGED);
	assert_non_null(repofix_find(x, "a/shop/data", ids[0]));
	assert_non_null(repofix_find(x, "a/shop/data", ids[1]));
}

static void
what_a_kept_one_builds_on_stays(void **state)
{
	char ids[3][40];

	(void)state;
	backups(3, ids, TWO LAST_ONE);
	for (size_t sink = 0; sink < 2; sink++)
		copykit_edit_manifest(sink, ids[2], copykit_set_parent, ids[0]);
	prune_well();
	expect("K-K");
	assert_string_equal(res.backups[0].rule.why, "needed by a later one");
	assert_int_equal(copykit_all_whole("a"), 2);
}

/* The newest one turned out bad: it must not be all there is. */
static void
the_last_good_one_is_not_removed_for_a_damaged_one(void **state)
{
	struct repo_verify_result v;
	struct repo_catalog c;
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	backups(3, ids, FROM(SMALL) TO_ONE GZ LAST_ONE);
	copykit_flip_middle(repofix_find(x,
	    repofix_path(x, "a/shop/data/%s", ids[2]) + strlen(x->dir) + 1,
	    "part=201"));
	copykit_must(repo_list(x->repo, &c, &err), &err);
	for (size_t i = 1; i < 3; i++) {
		assert_int_equal(
		    repo_verify(x->repo, &c.entries[i], NULL, false, &v, &err),
		    i == 2 ? HF_E_CORRUPT : HF_OK);
		repo_verify_result_clear(&v);
	}
	repo_catalog_clear(&c);
	prune_well();
	expect("-KK");
	assert_string_equal(res.backups[1].rule.why, "last 1");
	assert_string_equal(res.backups[2].rule.why, "no newer one is proven");
	/* With one that is not checked yet it is the same. */
	open_with(FROM(SMALL) TO_ONE GZ NO_VERIFY);
	repofix_backup(x, ids[0]);
	open_with(FROM(SMALL) TO_ONE GZ LAST_ONE);
	prune_well();
	expect("KKK");
	assert_string_equal(
	    res.backups[0].rule.why, "the newest that is proven");
	/* And with a newer good one both may go. */
	copykit_must(repo_list(x->repo, &c, &err), &err);
	copykit_must(
	    repo_verify(x->repo, &c.entries[2], NULL, false, &v, &err), &err);
	repo_verify_result_clear(&v);
	repo_catalog_clear(&c);
	prune_well();
	expect("--K");
	assert_string_equal(res.backups[2].id, ids[0]);
}

/* By them a later run knows that a sink had a backup and lost it: it was
 * removed, and is not to be brought back. */
static void
reports_of_backups_that_are_there_stay(void **state)
{
	struct repo_backup_result done;
	struct hf_error err = { 0 };
	char ids[3][40];

	(void)state;
	backups(3, ids, TWO KEEP("\"last\":2,\"reports\":\"1h\""));
	assert_int_equal(unlink(repofix_find(x, "b/shop/catalog", ids[1])), 0);
	age("a/shop/reports", DAY);
	age("b/shop/reports", DAY);
	prune_well();
	expect("-KK");
	assert_int_equal(res.sinks[0].reports, 1);
	assert_null(repofix_find(x, "a/shop/reports", ids[0]));
	assert_non_null(repofix_find(x, "a/shop/reports", ids[1]));
	assert_non_null(repofix_find(x, "b/shop/reports", ids[2]));
	/* That of this run is young. */
	assert_non_null(repofix_find(x, "b/shop/reports", "-prune-"));
	copykit_must(
	    repo_backup(x->repo, REPO_BACKUP_CONFIGURED, &done, &err), &err);
	assert_int_equal(done.ncompleted, 0);
	repo_backup_result_clear(&done);
	copykit_state_of(ids[1], 1, REPO_COPY_ABSENT);
	/* It goes with its backup.  One of prune itself names none. */
	age("a/shop/reports", DAY);
	prune_well();
	expect("-KK");
	assert_null(repofix_find(x, "a/shop/reports", ids[1]));
	assert_int_equal(res.sinks[0].reports, 2);
	assert_int_equal(res.sinks[1].reports, 1);
}

/* ---- leftovers ---- */

static void
data_of_dead_runs_goes_when_it_is_a_day_old(void **state)
{
	char ids[1][40];

	(void)state;
	backups(1, ids, TWO LAST_ONE);
	put("a/shop/data/20200101T000000Z-00000001/part");
	put("a/shop/checks/20200101T000000Z-00000001/x.json");
	put("a/shop/data/20200101T000000Z-00000002/part");
	age("a/shop/data/20200101T000000Z-00000001", 2 * DAY);
	prune_well();
	is_gone("a", "20200101T000000Z-00000001");
	assert_true(repofix_exists(
	    repofix_path(x, "a/shop/data/20200101T000000Z-00000002/part")));
	assert_int_equal(copykit_all_whole("a"), 1);
}

static void
a_sink_that_was_never_used_stays_empty(void **state)
{
	char id[40], ids[2][40];

	(void)state;
	open_with(FROM(SMALL) TO_ONE GZ NO_VERIFY);
	repofix_backup(x, ids[0]);
	repofix_backup(x, id);
	open_with(TWO LAST_ONE);
	prune_well();
	expect("-K");
	assert_null(repofix_find(x, "b", ""));
}

/* ---- others at work, sinks that are away ---- */

static void
where_another_run_holds_the_lease_nothing_goes(void **state)
{
	struct lease *lease = NULL;
	struct hf_error err = { 0 };
	char ids[3][40], *before_a, *before_b;

	(void)state;
	backups(3, ids, TWO LAST_ONE);
	copykit_must(open_sink(x->repo, 1, &err), &err);
	copykit_must(lease_acquire(x->repo->sinks[1].store, "b", "shop",
			 "20261121T000000Z-00000001", "backup", &lease, &err),
	    &err);
	before_a = inventory("a/shop/data");
	before_b = inventory("b");
	assert_int_equal(prune(false, &err), HF_E_EXISTS);
	assert_non_null(strstr(err.cause, "locked"));
	same_inventory(before_a, "a/shop/data");
	same_inventory(before_b, "b");
	assert_int_equal(copykit_all_whole("a"), 3);
	/* Looking is free. */
	copykit_must(prune(true, &err), &err);
	expect("--K");
	lease_release(lease);
	prune_well();
	expect("--K");
}

#define B_DOWN                                                           \
	"{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\"},"             \
	"\"b\":{\"type\":\"teststore\",\"path\":\"%D/b\",\"down\":\"%D/" \
	"down\"}}"

static void
a_sink_that_cannot_be_listed_is_not_touched(void **state)
{
	struct hf_error err = { 0 };
	char ids[3][40], *before;

	(void)state;
	backups(3, ids, TWO);
	age("a/shop/reports", DAY);
	put("down");
	repofix_open(x, B_DOWN, TWO KEEP("\"last\":1,\"reports\":\"1h\""));
	before = inventory("b");
	assert_int_equal(prune(false, &err), HF_E_IO);
	expect("--K");
	assert_int_equal(res.sinks[0].why.status, HF_OK);
	assert_int_equal(res.sinks[1].why.status, HF_E_IO);
	assert_int_equal(res.logs_why.status, HF_E_IO);
	assert_int_equal(res.backups[0].removed, 1);
	/* What b has, and a's reports tell of, nobody knows. */
	assert_int_equal(res.sinks[0].reports, 0);
	assert_non_null(repofix_find(x, "a/shop/reports", "-prune-"));
	same_inventory(before, "b");
	assert_int_equal(unlink(repofix_path(x, "down")), 0);
	assert_int_equal(copykit_all_whole("a"), 1);
	assert_int_equal(copykit_all_whole("b"), 3);
	prune_well();
	expect("--K");
	assert_int_equal(res.backups[0].removed, 1);
	assert_int_equal(copykit_all_whole("b"), 1);
	/* A disk that is not mounted. */
	open_with(TWO LAST_ONE);
	repofix_backup(x, ids[0]);
	remove_tree("b/*");
	assert_int_equal(prune(false, &err), HF_E_NOTFOUND);
	assert_int_equal(res.sinks[1].why.status, HF_E_NOTFOUND);
	assert_null(repofix_find(x, "b", ""));
}

static void
where_no_sink_can_be_listed_it_fails(void **state)
{
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	open_with(FROM(SMALL) TO_ONE GZ NO_VERIFY);
	repofix_backup(x, id);
	remove_tree("a/*");
	open_with(FROM(SMALL) TO_ONE GZ NO_VERIFY LAST_ONE);
	assert_int_equal(prune(false, &err), HF_E_NOTFOUND);
	assert_int_equal(res.nbackups, 0);
}

/* ---- any call of a store fails ---- */

#define FAULTY                                                             \
	"{\"a\":{\"type\":\"teststore\",\"path\":\"%%D/a\",\"fail_at\":%d" \
	",\"after\":%s,\"dead\":%s}}"
#define ONE FROM(",\"size\":100,\"path\":\"%D/home\"") TO_ONE NO_VERIFY LAST_ONE

/* The n-th call fails; false when it had fewer. */
static bool
one_fault(int n, bool after, bool dead, char (*ids)[40])
{
	static const char *const yes[] = { "false", "true" };
	struct hf_error err = { 0 };
	char sinks[256];
	size_t listed;
	bool hit;

	remove_tree("a");
	copy_tree("template", "a");
	(void)snprintf(sinks, sizeof sinks, FAULTY, n, yes[after], yes[dead]);
	repofix_open(x, sinks, ONE);
	(void)prune(false, &err);
	hit = repofix_exists(repofix_path(x, "a.hit"));
	remove_tree("a.hit");
	/* Whatever is listed is whole, and the newest is. */
	repofix_open(
	    x, "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\"}}", ONE);
	listed = copykit_all_whole("a");
	assert_true(listed == 1 || listed == 2);
	copykit_state_of(ids[1], 0, REPO_COPY_PRESENT);
	/* A day later the next run leaves nothing of the others. */
	age("a/shop/data", 2 * DAY);
	prune_well();
	assert_int_equal(copykit_all_whole("a"), 1);
	is_gone("a", ids[0]);
	return hit;
}

/* Lost before it was done, lost behind it, and all that follow: a kill. */
static void
any_failing_call_leaves_whole_backups_and_is_made_up_for(void **state)
{
	char ids[2][40];

	(void)state;
	repofix_open(x, "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\"}}",
	    FROM(",\"size\":100,\"path\":\"%D/home\"") TO_ONE);
	for (size_t i = 0; i < 2; i++)
		repofix_backup(x, ids[i]);
	copy_tree("a", "template");
	for (int way = 0; way < 3; way++) {
		int n = 1;

		while (one_fault(n, way == 1, way == 2, ids))
			n++;
		assert_true(n > 25);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, copykit_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_no_rule_keeps_goes_from_every_sink),
		TEST(a_dry_run_changes_nothing_and_says_the_same),
		TEST(without_rules_nothing_goes),
		TEST(what_strangers_keep_there_is_never_touched),
		TEST(a_copy_with_a_damaged_manifest_stays),
		TEST(what_a_kept_one_builds_on_stays),
		TEST(the_last_good_one_is_not_removed_for_a_damaged_one),
		TEST(reports_of_backups_that_are_there_stay),
		TEST(data_of_dead_runs_goes_when_it_is_a_day_old),
		TEST(a_sink_that_was_never_used_stays_empty),
		TEST(where_another_run_holds_the_lease_nothing_goes),
		TEST(a_sink_that_cannot_be_listed_is_not_touched),
		TEST(where_no_sink_can_be_listed_it_fails),
		TEST(any_failing_call_leaves_whole_backups_and_is_made_up_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
