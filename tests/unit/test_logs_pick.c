/* SPDX-License-Identifier: BSD-2-Clause */
/* Which backup is restored where a pipeline keeps a log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "repo/logs.h"
#include "support/repofix.h"

#define KEEPS_LOG                                               \
	"\"from\":{\"engine\":\"testengine\",\"needs\":\"s\"}," \
	"\"to\":[\"a\"]"
#define KEEPS_NONE "\"from\":{\"engine\":\"testengine\"},\"to\":[\"a\"]"

static struct repofix x;
static char ids[3][40];

static int
setup(void **state)
{
	(void)state;
	repofix_begin(&x);
	repofix_open(&x, REPOFIX_ONE, KEEPS_NONE);
	for (int i = 0; i < 3; i++)
		repofix_backup(&x, ids[i]);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	repofix_end(&x);
	return 0;
}

static int
pick(const char *pipeline, const char *selector, int64_t at_ms, char id[40],
    struct hf_error *err)
{
	struct repo_restore_options opts = { .target = "/nowhere" };
	const struct repo_backup_entry *e = NULL;
	struct repo_catalog c;
	int rc;

	error_clear(err);
	id[0] = '\0';
	repofix_open(&x, REPOFIX_ONE, pipeline);
	assert_int_equal(repo_list(x.repo, &c, err), HF_OK);
	rc = logs_pick(x.repo, &c, selector, at_ms, &opts, &e, err);
	if (rc == HF_OK)
		(void)snprintf(id, 40, "%s", e->id);
	repo_catalog_clear(&c);
	return rc;
}

static void
harm(const char *id)
{
	repofix_flip(repofix_path(&x, "a/shop/catalog/%s.json", id), 30, 1);
}

static void
named_backup_is_never_exchanged_for_another(void **state)
{
	static const char *const pipelines[] = { KEEPS_NONE, KEEPS_LOG };
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	harm(ids[0]);
	for (size_t i = 0; i < 2; i++) {
		/* Its manifest cannot be read: who restores it says so. */
		assert_int_equal(
		    pick(pipelines[i], ids[0], 0, id, &err), HF_OK);
		assert_string_equal(id, ids[0]);
		assert_int_equal(
		    pick(pipelines[i], ids[1], 0, id, &err), HF_OK);
		assert_string_equal(id, ids[1]);
		assert_int_equal(
		    pick(pipelines[i], "20200101", 0, id, &err), HF_E_NOTFOUND);
	}
	/* Nor with a moment to go to. */
	assert_int_equal(pick(KEEPS_LOG, ids[0], INT64_MAX, id, &err), HF_OK);
	assert_string_equal(id, ids[0]);
}

static void
newest_that_can_be_read_is_taken_when_none_is_named(void **state)
{
	struct hf_error err = { 0 };
	char id[40];

	(void)state;
	harm(ids[2]);
	assert_int_equal(pick(KEEPS_LOG, NULL, 0, id, &err), HF_OK);
	assert_string_equal(id, ids[1]);
	assert_int_equal(pick(KEEPS_LOG, "latest", 0, id, &err), HF_OK);
	assert_string_equal(id, ids[1]);
	harm(ids[0]);
	harm(ids[1]);
	assert_int_equal(pick(KEEPS_LOG, NULL, 0, id, &err), HF_E_NOTFOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(named_backup_is_never_exchanged_for_another),
		T(newest_that_can_be_read_is_taken_when_none_is_named),
	};

	return cmocka_run_group_tests_name("logs_pick", tests, NULL, NULL);
}
