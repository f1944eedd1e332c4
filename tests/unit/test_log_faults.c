/* SPDX-License-Identifier: BSD-2-Clause */
/* A pipeline's log whose sinks fail, lie, come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "plugin/host.h"
#include "support/logfix.h"

#define H (&host_table)

static struct logfix l;

static int
setup(void **state)
{
	(void)state;
	logfix_begin(&l);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	logfix_end(&l);
	return 0;
}

/* ---- sinks that come and go ---- */

static void
required_sink_that_is_down_is_no_success_and_a_retry_fills_it(void **state)
{
	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_E_IO);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_E_IO);
	assert_int_equal(logfix_files(&l, "a", "s2"), 2);
	assert_int_equal(logfix_files(&l, "b", "s2"), 0);
	logfix_mark(&l, "b.down", false);
	/* what the one sink has decides, whatever the other one lacks */
	assert_int_equal(logfix_push_text(&l, "s2", "twO"), HF_E_EXISTS);
	assert_int_equal(logfix_files(&l, "b", "s2"), 0);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_OK);
	assert_int_equal(logfix_files(&l, "a", "s2"), 2);
	assert_int_equal(logfix_files(&l, "b", "s2"), 2);
	logfix_mark(&l, "a.down", true);
	assert_int_equal(logfix_get_text(&l, "s2", "two"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "s3", "three"), HF_E_IO);
}

static void
sinks_that_are_all_down_take_nothing(void **state)
{
	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_ANY);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	logfix_mark(&l, "a.down", true);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_E_IO);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_E_IO);
	logfix_mark(&l, "a.down", false);
	logfix_mark(&l, "b.down", false);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_OK);
	assert_string_equal(logfix_names(&l), "s1 s2 ");
}

static void
optional_sink_that_is_dead_is_left_alone_and_filled_later(void **state)
{
	size_t filled = 99;

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ LOGFIX_ANY);
	assert_int_equal(logfix_push_text(&l, "s0", "zero"), HF_OK);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "s3", "three"), HF_OK);
	logfix_mark(&l, "b.down", false);
	/* it failed three times and is not asked for a while */
	assert_int_equal(logfix_push_text(&l, "s4", "four"), HF_OK);
	assert_int_equal(logfix_files(&l, "b", ".json"), 1);
	assert_int_equal(logfix_files(&l, "a", ".json"), 5);
	/* but it is when nobody else is left */
	logfix_mark(&l, "a.down", true);
	assert_int_equal(logfix_push_text(&l, "s5", "five"), HF_OK);
	assert_int_equal(logfix_files(&l, "b", ".json"), 2);
	logfix_mark(&l, "a.down", false);

	assert_int_equal(repo_log_fill(l.log, &filled, &l.err), HF_OK);
	assert_int_equal(filled, 5);
	assert_int_equal(logfix_files(&l, "a", ".json"), 6);
	assert_int_equal(logfix_files(&l, "b", ".json"), 6);
	assert_int_equal(repo_log_fill(l.log, &filled, &l.err), HF_OK);
	assert_int_equal(filled, 0);
	logfix_mark(&l, "a.down", true);
	assert_int_equal(logfix_get_text(&l, "s2", "two"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "s4", "four"), HF_OK);
}

static int
note_lsn(void *arg, const char *key, const char *value)
{
	if (strcmp(key, "lsn") == 0)
		(void)snprintf(arg, 16, "%s", value);
	return 0;
}

static void
filling_keeps_facts_and_spreads_no_damage(void **state)
{
	size_t filled = 99;
	char lsn[16] = "";

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ LOGFIX_ANY);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(logfix_push_text(&l, "s2", "two"), HF_OK);
	logfix_mark(&l, "b.down", false);
	repofix_flip(logfix_file(&l, "a", "s1-"), 20, 1);
	assert_int_equal(repo_log_fill(l.log, &filled, &l.err), HF_E_CORRUPT);
	assert_int_equal(filled, 1);
	assert_int_equal(logfix_files(&l, "b", "s1"), 0);
	logfix_mark(&l, "a.down", true);
	assert_int_equal(
	    H->log_facts(repo_log_in(l.log), "s2", note_lsn, lsn, &l.err),
	    HF_OK);
	assert_string_equal(lsn, "0/1");
}

static void
sink_without_put_if_absent_is_refused(void **state)
{
	(void)state;
	logfix_open(&l,
	    "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/"
	    "a\",\"shared\":true}}",
	    LOGFIX_ONE);
	assert_int_equal(logfix_push_text(&l, "s", "x"), HF_E_INVALID);
	assert_non_null(strstr(l.err.cause, "only if it is absent"));
	assert_false(repofix_exists(repofix_path(&l.x, "a/shop")));
}

static void
nothing_is_opened_before_it_is_needed(void **state)
{
	(void)state;
	logfix_open(
	    &l, "{\"a\":{\"type\":\"dir\",\"path\":\"%D/no/a\"}}", LOGFIX_ONE);
	assert_non_null(repo_log_in(l.log));
	assert_non_null(repo_log_out(l.log));
	assert_false(repofix_exists(repofix_path(&l.x, "no")));
}

/* Its thread never comes back; the stream waits for it once. */
static void
optional_sink_that_hangs_is_waited_for_once(void **state)
{
	int64_t before;

	(void)state;
	l.x.stuck = true;
	logfix_open(&l,
	    "{\"a\":{\"type\":\"dir\",\"path\":\"%D/a\"},\"b\":{\"type\":"
	    "\"teststore\",\"path\":\"%D/b\",\"hang\":true,"
	    "\"stall_timeout\":\"1s\"}}",
	    LOGFIX_TWO LOGFIX_GZ LOGFIX_ANY);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	before = text_monotonic();
	for (int i = 0; i < 5; i++) {
		char name[8];

		(void)snprintf(name, sizeof name, "t%d", i);
		assert_int_equal(logfix_push_text(&l, name, "x"), HF_OK);
	}
	assert_true(text_monotonic() - before < 4000);
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_OK);
	/* it may have more, nobody knows */
	assert_int_equal(logfix_get_text(&l, "s9", ""), HF_E_IO);
}

/* ---- "not there" ends a recovery ---- */

static void
unreachable_is_never_not_found(void **state)
{
	static const char *const down[] = { "a.down", "b.down" };

	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "s9", ""), HF_E_NOTFOUND);
	for (size_t i = 0; i < 2; i++) {
		logfix_mark(&l, down[i], true);
		assert_int_equal(logfix_get_text(&l, "s9", ""), HF_E_IO);
		assert_int_equal(H->log_facts(repo_log_in(l.log), "s9",
				     note_lsn, NULL, &l.err),
		    HF_E_IO);
		assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_OK);
		logfix_mark(&l, down[i], false);
	}
	logfix_mark(&l, down[0], true);
	logfix_mark(&l, down[1], true);
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_E_IO);
	assert_int_equal(logfix_get_text(&l, "s9", ""), HF_E_IO);
	assert_int_equal(
	    H->in_list(repo_log_in(l.log),
		(hf_list_fn *)(void (*)(void))note_lsn, NULL, &l.err),
	    HF_E_IO);
}

static void
disk_that_is_not_mounted_is_never_not_found(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE);
	/* no repository, and none known of: who can say that it is empty? */
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_E_IO);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "s2", ""), HF_E_NOTFOUND);
	logfix_close(&l);
	assert_int_equal(
	    rename(repofix_path(&l.x, "a"), repofix_path(&l.x, "elsewhere")),
	    0);
	for (int there = 0; there < 2; there++) {
		if (there == 1)
			(void)mkdir(repofix_path(&l.x, "a"), 0700);
		logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE);
		assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_E_IO);
		assert_int_equal(logfix_get_text(&l, "s2", ""), HF_E_IO);
		assert_int_not_equal(
		    logfix_push_text(&l, "s3", "three"), HF_OK);
		assert_int_not_equal(l.err.status, HF_E_NOTFOUND);
		assert_int_not_equal(
		    H->log_remove(repo_log_out(l.log), "s1", &l.err), HF_OK);
	}
}

static void
new_sink_that_lacks_everything_can_say_so(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(mkdir(repofix_path(&l.x, "b"), 0700), 0);
	logfix_open(&l, REPOFIX_TWO, "\"to\":[\"b\",\"a\"]");
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "s2", ""), HF_E_NOTFOUND);
}

/* A host that has never seen the sinks, on which one is not mounted: reading
 * must neither believe its empty folder nor make one. */
static void
unmounted_sink_that_alone_may_have_it_is_never_not_found(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_ANY);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(unlink(logfix_file(&l, "a", "s1.json")), 0);
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_OK);
	logfix_close(&l);
	assert_int_equal(rename(repofix_path(&l.x, "state"),
			     repofix_path(&l.x, "another host's")),
	    0);
	assert_int_equal(
	    rename(repofix_path(&l.x, "b"), repofix_path(&l.x, "disk")), 0);
	for (int there = 0; there < 2; there++) {
		if (there == 1)
			assert_int_equal(
			    mkdir(repofix_path(&l.x, "b"), 0700), 0);
		logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_ANY);
		assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_E_IO);
		assert_int_equal(H->log_facts(repo_log_in(l.log), "s1",
				     note_lsn, NULL, &l.err),
		    HF_E_IO);
		assert_non_null(strstr(error_get(&l.err, "hint"), "mounted"));
		assert_int_equal(
		    repofix_exists(repofix_path(&l.x, "b")), there);
		logfix_close(&l);
	}
	assert_int_equal(rmdir(repofix_path(&l.x, "b")), 0);
	assert_int_equal(
	    rename(repofix_path(&l.x, "disk"), repofix_path(&l.x, "b")), 0);
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_ANY);
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "s2", ""), HF_E_NOTFOUND);
}

/* The first "run" of a pipeline that was never backed up lists its log before
 * it writes to it. */
static void
new_sink_is_prepared_for_who_lists_and_writes(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	repo_log_prepare(l.log);
	assert_string_equal(logfix_names(&l), "");
	assert_true(repofix_exists(repofix_path(&l.x, "b/repo.json")));
	/* But not one that is away. */
	logfix_close(&l);
	assert_int_equal(
	    rename(repofix_path(&l.x, "b"), repofix_path(&l.x, "disk")), 0);
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	repo_log_prepare(l.log);
	assert_false(repofix_exists(repofix_path(&l.x, "b")));
}

/* Mounted while it is open: what was missing is found. */
static void
disk_that_is_mounted_later_is_read(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	logfix_close(&l);
	assert_int_equal(
	    rename(repofix_path(&l.x, "a"), repofix_path(&l.x, "disk")), 0);
	logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE);
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_E_IO);
	assert_int_equal(
	    rename(repofix_path(&l.x, "disk"), repofix_path(&l.x, "a")), 0);
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_OK);
}

static void
missing_filter_is_never_not_found(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s1", "one"), HF_OK);
	l.x.no_filters = l.x.no_plugins = true;
	logfix_open(&l, REPOFIX_ONE, LOGFIX_ONE);
	assert_int_equal(logfix_get_text(&l, "s1", "one"), HF_E_IO);
}

/* ---- damage ---- */

static void
damaged_copy_is_read_from_the_other_sink(void **state)
{
	static const char *const files[] = { "s-", "s.json" };
	char *data = calloc(1, 300000);

	(void)state;
	assert_non_null(data);
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push(&l, "s", data, 300000, &l.err), HF_OK);
	for (size_t i = 0; i < 2; i++) {
		const char *a = repofix_find(&l.x, "a/shop/wal", files[i]);
		long size = repofix_size(a);

		for (long at = 0; at < size; at += size / 9 + 1) {
			repofix_flip(a, at, 3);
			assert_int_equal(
			    logfix_get(&l, "s", data, 300000, &l.err), HF_OK);
			repofix_flip(a, at, 3);
		}
	}
	repofix_truncate(repofix_find(&l.x, "a/shop/wal", ".gz"), 100);
	assert_int_equal(logfix_get(&l, "s", data, 300000, &l.err), HF_OK);
	free(data);
}

static void
damage_in_all_sinks_is_named(void **state)
{
	(void)state;
	logfix_open(&l, REPOFIX_TWO, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_OK);
	repofix_flip(logfix_file(&l, "a", "s-"), 20, 1);
	assert_int_equal(unlink(logfix_file(&l, "b", "s-")), 0);
	assert_int_equal(logfix_get_text(&l, "s", "bytes"), HF_E_CORRUPT);
	assert_non_null(strstr(l.err.frames[0], "shop/wal/s-"));
	assert_non_null(strstr(l.err.frames[0], "sink a"));
	/* and so is a document of data that are not there, when it is alone */
	logfix_open(&l, "{\"b\":{\"type\":\"dir\",\"path\":\"%D/b\"}}",
	    "\"to\":[\"b\"]" LOGFIX_GZ);
	assert_int_equal(logfix_get_text(&l, "s", "bytes"), HF_E_CORRUPT);
	assert_non_null(strstr(l.err.cause, "sink b"));
	assert_non_null(strstr(l.err.cause, "shop/wal/s-"));
	/* no success for a push either, as the log does not have it */
	assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_E_CORRUPT);
	assert_int_equal(unlink(logfix_file(&l, "b", "s.json")), 0);
	assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_OK);
	assert_int_equal(logfix_get_text(&l, "s", "bytes"), HF_OK);
}

static void
damage_here_and_unreachable_there_is_worth_another_try(void **state)
{
	(void)state;
	logfix_open(&l, LOGFIX_DOWN, LOGFIX_TWO LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_OK);
	repofix_flip(logfix_file(&l, "a", "s-"), 20, 1);
	logfix_mark(&l, "b.down", true);
	assert_int_equal(logfix_get_text(&l, "s", "bytes"), HF_E_IO);
	logfix_mark(&l, "b.down", false);
	assert_int_equal(logfix_get_text(&l, "s", "bytes"), HF_OK);
}

/* ---- the n-th call fails ---- */

#define FAULTY                                                           \
	"{\"a\":{\"type\":\"teststore\",\"path\":\"%%D/a\",\"fail_at\":" \
	"%d%s}}"
#define HEALTHY "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\"}}"

static void
open_faulty(int n, const char *how)
{
	char sinks[256];

	logfix_mark(&l, "a.hit", false);
	(void)snprintf(sinks, sizeof sinks, FAULTY, n, how);
	logfix_open(&l, sinks, LOGFIX_ONE LOGFIX_GZ);
}

static bool
hit(void)
{
	return repofix_exists(repofix_path(&l.x, "a.hit"));
}

static const char *const faults[] = { "", ",\"after\":true",
	",\"transient\":true,\"after\":true", ",\"dead\":true",
	",\"exists\":true,\"after\":true" };

static void
failing_call_of_a_push_leaves_nothing_false_and_a_retry_succeeds(void **state)
{
	uint8_t data[70000] = { 1 };
	char name[32];
	int n, rc;

	(void)state;
	for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
		for (n = 1; n < 200; n++) {
			bool listed;

			(void)snprintf(name, sizeof name, "f%zu-%d", f, n);
			open_faulty(n, faults[f]);
			rc = logfix_push(&l, name, data, sizeof data, &l.err);
			if (!hit())
				break;
			assert_int_not_equal(rc, HF_E_NOTFOUND);
			logfix_open(&l, HEALTHY, LOGFIX_ONE LOGFIX_GZ);
			listed = strstr(logfix_names(&l), name) != NULL;
			if (rc == HF_OK)
				assert_true(listed);
			assert_int_equal(
			    logfix_get(&l, name, data, sizeof data, &l.err),
			    listed ? HF_OK
			    : repofix_exists(repofix_path(&l.x, "a/repo.json"))
				? HF_E_NOTFOUND
				: HF_E_IO);
			assert_int_equal(
			    logfix_push(&l, name, data, sizeof data, &l.err),
			    HF_OK);
			assert_int_equal(
			    logfix_get(&l, name, data, sizeof data, &l.err),
			    HF_OK);
			assert_int_equal(
			    H->log_remove(repo_log_out(l.log), name, &l.err),
			    HF_OK);
		}
		assert_int_equal(rc, HF_OK);
		assert_true(n > 8);
		logfix_open(&l, HEALTHY, LOGFIX_ONE LOGFIX_GZ);
		assert_int_equal(
		    H->log_remove(repo_log_out(l.log), name, &l.err), HF_OK);
	}
}

static void
failing_call_of_a_read_is_never_not_found_or_other_bytes(void **state)
{
	uint8_t data[70000] = { 1 };
	int n, rc;

	(void)state;
	logfix_open(&l, HEALTHY, LOGFIX_ONE LOGFIX_GZ);
	assert_int_equal(
	    logfix_push(&l, "s", data, sizeof data, &l.err), HF_OK);
	for (int missing = 0; missing < 2; missing++) {
		const char *name = missing == 1 ? "none" : "s";

		for (n = 1; n < 100; n++) {
			open_faulty(n, "");
			rc = logfix_get(&l, name, data, sizeof data, &l.err);
			if (!hit())
				break;
			/* An index is not needed to read a whole object. */
			assert_true(
			    rc == HF_E_IO || (rc == HF_OK && missing == 0));
		}
		assert_int_equal(rc, missing == 1 ? HF_E_NOTFOUND : HF_OK);
		assert_true(n > 1);
	}
}

static void
failing_call_of_a_removal_leaves_a_whole_object_or_none(void **state)
{
	int n, rc;

	(void)state;
	for (n = 1; n < 100; n++) {
		logfix_open(&l, HEALTHY, LOGFIX_ONE LOGFIX_GZ);
		assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_OK);
		open_faulty(n, "");
		rc = H->log_remove(repo_log_out(l.log), "s", &l.err);
		if (!hit())
			break;
		assert_int_not_equal(rc, HF_OK);
		logfix_open(&l, HEALTHY, LOGFIX_ONE LOGFIX_GZ);
		assert_int_equal(logfix_get_text(&l, "s", "bytes"),
		    logfix_files(&l, "a", "s.json") == 1 ? HF_OK
							 : HF_E_NOTFOUND);
		assert_int_equal(
		    H->log_remove(repo_log_out(l.log), "s", &l.err), HF_OK);
	}
	assert_int_equal(rc, HF_OK);
	assert_true(n > 3);
}

/* The answer to the document is lost, and the next one says "there is one". */
static void
document_of_ours_is_no_conflict_and_keeps_its_data(void **state)
{
	(void)state;
	logfix_open(&l,
	    "{\"a\":{\"type\":\"teststore\",\"path\":\"%D/a\",\"fail_key\":"
	    "\"s.json\",\"exists\":true,\"after\":true}}",
	    LOGFIX_ONE LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_OK);
	assert_int_equal(logfix_files(&l, "a", "s-"), 1);
	assert_int_equal(logfix_get_text(&l, "s", "bytes"), HF_OK);
}

/* ---- garbage ---- */

static int
note_key(void *arg, const struct hf_object *o)
{
	char *text = arg;
	size_t len = strlen(text);

	(void)snprintf(text + len, 1024 - len, "%.24s ", o->key);
	return 0;
}

static int
stop_key(void *arg, const struct hf_object *o)
{
	(void)o;
	++*(int *)arg;
	return 42;
}

static const char *
garbage(void)
{
	static char text[1024];

	text[0] = '\0';
	assert_int_equal(
	    repo_log_garbage(l.log, 0, note_key, text, &l.err), HF_OK);
	return text;
}

/* Killed between data and document: the same as a document that fails. */
static void
push_without_document(const char *name)
{
	char sinks[256];

	(void)snprintf(sinks, sizeof sinks,
	    "{\"a\":{\"type\":\"teststore\",\"path\":\"%%D/a\",\"fail_key\":"
	    "\"%s.json\"}}",
	    name);
	logfix_open(&l, sinks, LOGFIX_ONE LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, name, "bytes"), HF_E_IO);
	logfix_open(&l, HEALTHY, LOGFIX_ONE LOGFIX_GZ);
}

static void
data_without_document_is_no_object_and_garbage_after_a_day(void **state)
{
	uint8_t data[200000] = { 1 };
	int n = 0;

	(void)state;
	push_without_document("s1");
	assert_string_equal(logfix_names(&l), "");
	assert_int_equal(logfix_get_text(&l, "s1", "bytes"), HF_E_NOTFOUND);
	assert_string_equal(garbage(), "");
	repofix_age(logfix_file(&l, "a", "s1-"), 23 * 3600);
	assert_string_equal(garbage(), "");
	repofix_age(logfix_file(&l, "a", "s1-"), 25 * 3600);
	assert_non_null(strstr(garbage(), "shop/wal/s1-"));
	assert_int_equal(repo_log_garbage(l.log, 0, stop_key, &n, &l.err), 42);
	assert_int_equal(n, 1);

	/* pushed again, the old data stay garbage and the new ones never are */
	assert_int_equal(logfix_push_text(&l, "s1", "bytes"), HF_OK);
	assert_int_equal(
	    logfix_push(&l, "s2", data, sizeof data, &l.err), HF_OK);
	for (int i = 0; i < 2; i++) {
		char **list = repofix_files(repofix_path(&l.x, "a/shop/wal"));

		for (char **p = list; *p != NULL; p++)
			repofix_age(
			    repofix_path(&l.x, "a/shop/wal/%s", *p), 90000);
		repofix_files_free(list);
		n = 0;
		for (const char *p = garbage(); *p != '\0'; p++)
			n += *p == ' ';
		assert_int_equal(n, 1);
		assert_non_null(strstr(garbage(), "s1-"));
	}
}

static void
garbage_is_never_guessed(void **state)
{
	(void)state;
	logfix_open(&l, HEALTHY, LOGFIX_ONE LOGFIX_GZ);
	assert_int_equal(logfix_push_text(&l, "s", "bytes"), HF_OK);
	push_without_document("s9");
	repofix_age(logfix_file(&l, "a", "s9-"), 90000);
	repofix_age(logfix_file(&l, "a", "s-"), 90000);
	/* nobody knows what a damaged document named */
	assert_int_equal(link(logfix_file(&l, "a", "s-"),
			     repofix_path(&l.x, "a/shop/wal/s-0a0a0a0a.gz")),
	    0);
	assert_string_not_equal(garbage(), "");
	assert_non_null(strstr(garbage(), "s-0a0a0a0a"));
	repofix_flip(logfix_file(&l, "a", "s.json"), 30, 1);
	assert_null(strstr(garbage(), "/s-"));
	assert_non_null(strstr(garbage(), "/s9-"));
	/* what has another shape is not ours */
	logfix_mark(&l, "a/shop/wal/strange", true);
	repofix_age(repofix_path(&l.x, "a/shop/wal/strange"), 90000);
	assert_null(strstr(garbage(), "strange"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(required_sink_that_is_down_is_no_success_and_a_retry_fills_it),
		T(sinks_that_are_all_down_take_nothing),
		T(optional_sink_that_is_dead_is_left_alone_and_filled_later),
		T(filling_keeps_facts_and_spreads_no_damage),
		T(sink_without_put_if_absent_is_refused),
		T(nothing_is_opened_before_it_is_needed),
		T(optional_sink_that_hangs_is_waited_for_once),
		T(unreachable_is_never_not_found),
		T(disk_that_is_not_mounted_is_never_not_found),
		T(new_sink_that_lacks_everything_can_say_so),
		T(unmounted_sink_that_alone_may_have_it_is_never_not_found),
		T(new_sink_is_prepared_for_who_lists_and_writes),
		T(disk_that_is_mounted_later_is_read),
		T(missing_filter_is_never_not_found),
		T(damaged_copy_is_read_from_the_other_sink),
		T(damage_in_all_sinks_is_named),
		T(damage_here_and_unreachable_there_is_worth_another_try),
		T(failing_call_of_a_push_leaves_nothing_false_and_a_retry_succeeds),
		T(failing_call_of_a_read_is_never_not_found_or_other_bytes),
		T(failing_call_of_a_removal_leaves_a_whole_object_or_none),
		T(document_of_ours_is_no_conflict_and_keeps_its_data),
		T(data_without_document_is_no_object_and_garbage_after_a_day),
		T(garbage_is_never_guessed),
	};

	return cmocka_run_group_tests_name("log_faults", tests, NULL, NULL);
}
