/* SPDX-License-Identifier: BSD-2-Clause */
/* Incremental base backups of a real server: of 17 and later all that they
 * are, of older ones that they are refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/cancel.h"
#include "base/error.h"
#include "conn.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/basekit.h"
#include "support/memout.h"
#include "support/pgkit.h"
#include "wal/name.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAIN 3

static struct pgkit kit;
static struct cancel cancel;
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;
static char out_dir[] = "/tmp/hf-incr-XXXXXX";

/* parent NULL: a full one.  By a role that can do nothing but replicate. */
static int
backup_of(struct pgkit *from, struct memout *parent, struct memout *m)
{
	char info[256];
	struct hf_engine e = { .ctx = &ctx,
		.conf = { .conninfo = info,
		    .mode = "physical",
		    .checkpoint = "fast",
		    .verify_checksums = true,
		    .wal = {
			.slot = "holdfast", .wait = 1000, .flush = 1000 } } };
	struct hf_request r = { .struct_size = sizeof r,
		.kind = parent == NULL ? HF_KIND_FULL : HF_KIND_INCR,
		.parent = parent == NULL ? NULL : memout_in(parent),
		.max_streams = 4 };
	int rc;

	(void)snprintf(info, sizeof info, "host=%s port=%d user=copier",
	    from->dir, from->port);
	error_clear(&err);
	rc = base_backup(&e, &r, memout_out(m), &err);
	assert_int_equal(memout_open(m), 0);
	return rc;
}

static struct memout *
backup_ok(struct pgkit *from, struct memout *parent)
{
	struct memout *m = memout_new();

	if (backup_of(from, parent, m) != HF_OK)
		fail_msg("backup: %s", err.cause);
	return m;
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* With that status, that reason and nothing begun or told. */
static void
assert_refused(struct memout *parent, int status, const char *why)
{
	struct memout *m = memout_new();
	int rc = backup_of(&kit, parent, m);

	if (rc != status)
		fail_msg("status %d: %s", rc, err.cause);
	assert_has(err.cause, why);
	assert_int_equal(memout_calls(m, MEMOUT_BEGIN), 0);
	assert_int_equal(memout_calls(m, MEMOUT_FACT), 0);
	memout_free(m);
}

static struct memout *
copy_of(struct memout *m)
{
	static const char *const facts[] = { BASE_FACT_MODE, BASE_FACT_SYSTEM,
		BASE_FACT_VERSION, BASE_FACT_TIMELINE, BASE_FACT_STOP_TIMELINE,
		BASE_FACT_START, BASE_FACT_STOP, BASE_FACT_SEGMENT_SIZE,
		BASE_FACT_WAL, BASE_FACT_STOPPED };
	struct memout *copy = memout_new();
	size_t len;

	for (size_t i = 0; i < memout_count(m); i++) {
		void *bytes = memout_bytes(m, i, &len);

		memout_add(copy, memout_name(m, i), bytes, len);
	}
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		memout_set_fact(copy, facts[i], memout_fact(m, facts[i]));
	return copy;
}

static void *
manifest_of(struct memout *m, size_t *len)
{
	for (size_t i = 0; i < memout_count(m); i++)
		if (strcmp(memout_name(m, i), BASE_MANIFEST) == 0)
			return memout_bytes(m, i, len);
	fail_msg("no manifest");
	return NULL;
}

static void
set(const char *sql)
{
	pgkit_sql(&kit, "postgres", sql);
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
}

static void
summarize(bool on)
{
	set(on ? "ALTER SYSTEM SET summarize_wal = on"
	       : "ALTER SYSTEM SET summarize_wal = off");
	pgkit_until(&kit, "postgres",
	    on ? "SELECT summarizer_pid > 0 FROM pg_get_wal_summarizer_state()"
	       : "SELECT summarizer_pid < 0 OR summarizer_pid IS NULL FROM "
		 "pg_get_wal_summarizer_state()");
}

/* ---- a chain, put together by the server's own programs ---- */

/* All that is in the server, as one text. */
static char *
contents(const struct pgkit *p)
{
	return pgkit_psql(p, "shop",
	    "SELECT (SELECT md5(string_agg(a::text, '' ORDER BY i)) FROM a), "
	    "(SELECT count(*) FROM b), (SELECT md5(string_agg(c::text, '' "
	    "ORDER BY i)) FROM c), to_regclass('gone'), "
	    "(SELECT count(*) FROM pg_database)");
}

/* The extracted chain to the data directory of another server, which starts;
 * as with tablespaces of its own it has no map of those of the source. */
static void
combine(struct memout *const *chain, size_t n, struct pgkit *other)
{
	char dirs[CHAIN * 64] = "", spaces[512] = "", oid[16], dir[64];
	size_t len;

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(dir, sizeof dir, "%s/%zu", out_dir, i);
		basekit_extract(chain[i], dir);
		len = strlen(dirs);
		(void)snprintf(dirs + len, sizeof dirs - len, " %s", dir);
	}
	pgkit_beside(&kit, other);
	for (size_t i = 0; i < memout_count(chain[n - 1]); i++) {
		const char *name = memout_name(chain[n - 1], i);

		len = strspn(name, "0123456789");
		(void)snprintf(oid, sizeof oid, "%.*s", (int)len, name);
		len = strlen(spaces);
		if (oid[0] != '\0')
			(void)snprintf(spaces + len, sizeof spaces - len,
			    " -T %s.%s=%s/%s", dir, oid, other->dir, oid);
	}
	basekit_run("%s/pg_combinebackup --no-sync%s -o %s/data%s", kit.bin,
	    spaces, other->dir, dirs);
	basekit_run("%s/pg_verifybackup -q %s/data", kit.bin, other->dir);
	basekit_run("rm -f %s/data/tablespace_map && "
		    "chown -R $(stat -c %%u:%%g %s/data) %s",
	    other->dir, kit.dir, other->dir);
	if (!pgkit_try(other))
		fail_msg("what was combined does not start");
}

static void
change(int step)
{
	char sql[512];

	(void)snprintf(sql, sizeof sql,
	    "UPDATE a SET t = t || '%d' WHERE i %% 997 = %d; TRUNCATE b; "
	    "INSERT INTO b SELECT generate_series(1, %d); "
	    "DELETE FROM c WHERE i > %d",
	    step, step, 100 * step, 9000 / step);
	pgkit_sql(&kit, "shop", sql);
	pgkit_sql(&kit, "shop", "VACUUM c"); /* cuts its end off */
}

static size_t
size_of(struct memout *m)
{
	size_t len, sum = 0;

	for (size_t i = 0; i < memout_count(m); i++) {
		(void)memout_bytes(m, i, &len);
		sum += len;
	}
	return sum;
}

static void
assert_builds_on(struct memout *m, struct memout *parent)
{
	assert_string_equal(
	    memout_fact(m, BASE_FACT_FROM), memout_fact(parent, "start_lsn"));
	assert_string_equal(memout_fact(m, BASE_FACT_FROM_TIMELINE),
	    memout_fact(parent, "timeline"));
}

static void
a_chain_is_combined_to_the_server_as_it_was(void **state)
{
	struct memout *chain[CHAIN];
	struct pgkit other;
	char *was, *is, sql[256];

	(void)state;
	chain[0] = backup_ok(&kit, NULL);
	assert_null(memout_fact(chain[0], BASE_FACT_FROM));
	change(1);
	pgkit_sql(&kit, "shop", "DROP TABLE gone");
	chain[1] = backup_ok(&kit, chain[0]);
	change(2);
	/* What is new: a tablespace, a table in it, a database. */
	(void)snprintf(
	    sql, sizeof sql, "CREATE TABLESPACE two LOCATION '%s/2'", kit.dir);
	pgkit_sql(&kit, "shop", sql);
	pgkit_sql(&kit, "shop", "CREATE DATABASE more");
	pgkit_sql(&kit, "shop", "ALTER TABLE b SET TABLESPACE two");
	chain[2] = backup_ok(&kit, chain[1]);
	was = contents(&kit);

	assert_builds_on(chain[1], chain[0]);
	assert_builds_on(chain[2], chain[1]);
	assert_true(size_of(chain[1]) < size_of(chain[0]) * 7 / 10);
	combine(chain, CHAIN, &other);
	is = contents(&other);
	assert_string_equal(is, was);
	pgkit_stop(&other);
	free(is);
	free(was);
	for (size_t i = 0; i < CHAIN; i++)
		memout_free(chain[i]);
}

/* ---- what cannot be done ---- */

static void
a_server_that_does_not_summarize_is_told_how_to(void **state)
{
	struct memout *full = backup_ok(&kit, NULL);

	(void)state;
	summarize(false);
	assert_refused(full, HF_E_UNSUPPORTED, "summarize_wal is off");
	assert_string_equal(err.notes[0].key, "hint");
	assert_has(err.notes[0].value, "SET summarize_wal = on");
	/* On again, the WAL in between is summarized where it is still there. */
	summarize(true);
	memout_free(backup_ok(&kit, full));
	memout_free(full);
}

static void
summaries_that_are_gone_are_no_backup(void **state)
{
	struct memout *full = backup_ok(&kit, NULL), *m;

	(void)state;
	change(3);
	/* One ends with a checkpoint: that of a backup. */
	m = backup_ok(&kit, full);
	basekit_run("rm -f %s/data/pg_wal/summaries/*", kit.dir);
	assert_refused(full, HF_E_UNSUPPORTED, "WAL summaries are required");
	memout_free(m);
	/* Then a full one, by the same configuration, and all goes on. */
	m = backup_ok(&kit, NULL);
	memout_free(backup_ok(&kit, m));
	memout_free(m);
	memout_free(full);
}

static void
a_summary_that_is_damaged_is_no_backup(void **state)
{
	struct memout *full = backup_ok(&kit, NULL), *m;

	(void)state;
	m = backup_ok(&kit, full);
	memout_free(m);
	basekit_run("for f in %s/data/pg_wal/summaries/*; do truncate -s 10 "
		    "$f; done",
	    kit.dir);
	assert_refused(full, HF_E_UNSUPPORTED, "pg_wal/summaries/");
	basekit_run("rm -f %s/data/pg_wal/summaries/*", kit.dir);
	memout_free(full);
}

static void
a_parent_of_another_server_is_refused(void **state)
{
	static const struct {
		const char *fact, *value, *why;
	} cases[] = {
		{ BASE_FACT_MODE, NULL, "not made in mode physical" },
		{ BASE_FACT_SYSTEM, "4711", "of the cluster 4711" },
		{ BASE_FACT_SEGMENT_SIZE, "1048576",
		    "wal_segment_size of 1048576" },
		{ BASE_FACT_START, NULL, "does not say" },
		{ BASE_FACT_STOP, "FF/28", "goes to FF/28 on timeline 1" },
		{ BASE_FACT_TIMELINE, "2", "is of timeline 2" },
		{ BASE_FACT_STOP_TIMELINE, "7", "is of timeline 7" },
	};
	struct memout *full = backup_ok(&kit, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct memout *parent = copy_of(full);

		memout_set_fact(parent, cases[i].fact, cases[i].value);
		assert_refused(parent, HF_E_UNSUPPORTED, cases[i].why);
		memout_free(parent);
	}
	memout_free(full);
}

/* Its facts are right: it is the server that finds out. */
static void
a_manifest_that_is_not_the_servers_is_refused(void **state)
{
	struct memout *full = backup_ok(&kit, NULL), *parent;
	char *manifest, *p, *cut;
	size_t len;

	(void)state;
	parent = copy_of(full);
	manifest = manifest_of(parent, &len);
	p = memmem(manifest, len, "\"System-Identifier\": 7", 22);
	assert_non_null(p);
	p[21] = '6';
	assert_refused(parent, HF_E_UNSUPPORTED, "system identifier");
	p[21] = '7';
	p = memmem(manifest, len, "\"Start-LSN\": \"0", 15);
	assert_non_null(p);
	p[14] = '1';
	assert_refused(parent, HF_E_UNSUPPORTED, "checksum mismatch");
	memout_free(parent);

	cut = malloc(len / 2);
	assert_non_null(cut);
	memcpy(cut, manifest_of(full, &len), len / 2);
	parent = memout_new();
	memout_add(parent, BASE_MANIFEST, cut, len / 2);
	free(cut);
	memout_set_fact(parent, BASE_FACT_MODE, "physical");
	for (const char *const *f =
		 (const char *const[]){ BASE_FACT_SYSTEM, BASE_FACT_TIMELINE,
		     BASE_FACT_STOP_TIMELINE, BASE_FACT_START, BASE_FACT_STOP,
		     BASE_FACT_SEGMENT_SIZE, BASE_FACT_STOPPED, NULL };
	     *f != NULL; f++)
		memout_set_fact(parent, *f, memout_fact(full, *f));
	assert_refused(parent, HF_E_UNSUPPORTED, "manifest");
	memout_free(parent);
	memout_free(full);
}

/* What the core finds out while it reads: said at the first byte, at the last
 * and in between. */
static void
a_parent_that_is_damaged_is_told_as_that(void **state)
{
	static const int status[] = { HF_E_CORRUPT, HF_E_TRANSIENT,
		HF_E_NOTFOUND };
	struct memout *full = backup_ok(&kit, NULL);
	unsigned reads;

	(void)state;
	reads = memout_calls(full, MEMOUT_READ);
	memout_free(backup_ok(&kit, full));
	reads = memout_calls(full, MEMOUT_READ) - reads;
	assert_true(reads >= 3);
	for (unsigned n = 1; n <= reads; n++) {
		memout_fail(full, MEMOUT_READ, n, status[n % 3]);
		assert_refused(full, status[n % 3], "");
	}
	memout_fail(full, MEMOUT_OPEN, 1, HF_E_CORRUPT);
	assert_refused(full, HF_E_CORRUPT, "");
	pgkit_until(&kit, "postgres",
	    "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = "
	    "'walsender'");
	memout_free(full);
}

/* ---- a summarizer that does not come along ---- */

static void *
cancel_soon(void *arg)
{
	(void)arg;
	(void)usleep(700 * 1000);
	cancel_request(&cancel);
	return NULL;
}

static void
waiting_for_summaries_can_be_cancelled(void **state)
{
	const char *all = getenv("HOLDFAST_TEST_LONG");
	struct memout *full = backup_ok(&kit, NULL);
	pthread_t thread;
	int64_t from;
	pid_t pid;

	(void)state;
	pid = (pid_t)pgkit_int(&kit, "postgres",
	    "SELECT summarizer_pid FROM pg_get_wal_summarizer_state()");
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	change(4);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
	from = conn_now();
	assert_refused(full, HF_E_CANCELLED, "cancelled");
	assert_true(conn_now() - from < 5000);
	assert_int_equal(pthread_join(thread, NULL), 0);
	atomic_store(&cancel.requested, 0);
	/* The server's own patience is a minute. */
	if (all != NULL && strcmp(all, "1") == 0)
		assert_refused(full, HF_E_UNSUPPORTED, "not progressing");
	assert_int_equal(kill(pid, SIGCONT), 0);
	memout_free(backup_ok(&kit, full));
	memout_free(full);
}

/* ---- standbys, and another timeline ---- */

static void
make_standby(struct pgkit *standby)
{
	pgkit_beside(&kit, standby);
	basekit_run("%s/pg_basebackup -h %s -p %d -U postgres -R -N -c fast -X "
		    "stream -D %s/data -T %s/1=%s/1 -T %s/2=%s/2 && chown -R "
		    "$(stat -c %%u:%%g %s/data) %s",
	    kit.bin, kit.dir, kit.port, standby->dir, kit.dir, standby->dir,
	    kit.dir, standby->dir, kit.dir, standby->dir);
	if (!pgkit_try(standby))
		fail_msg("the standby does not start");
}

/* The standby has replayed all that the primary wrote, and has made a restart
 * point there. */
static void
catch_up(struct pgkit *standby)
{
	char *at, sql[128];

	pgkit_sql(&kit, "postgres", "CHECKPOINT");
	at = pgkit_psql(&kit, "postgres", "SELECT pg_current_wal_lsn()");
	(void)snprintf(sql, sizeof sql,
	    "SELECT pg_last_wal_replay_lsn() >= '%s'::pg_lsn", at);
	pgkit_until(standby, "postgres", sql);
	pgkit_sql(standby, "postgres", "CHECKPOINT");
	free(at);
}

static void
a_standby_makes_them_too(void **state)
{
	struct memout *chain[2], *m = memout_new();
	struct pgkit standby, other;
	char *was, *is;

	(void)state;
	make_standby(&standby);
	catch_up(&standby);
	chain[0] = backup_ok(&standby, NULL);
	/* Nothing was written since: its restart point is still the same. */
	assert_int_equal(backup_of(&standby, chain[0], m), HF_E_UNSUPPORTED);
	assert_has(err.cause, "but this backup starts at");
	change(6);
	catch_up(&standby);
	was = contents(&kit);
	chain[1] = backup_ok(&standby, chain[0]);
	assert_builds_on(chain[1], chain[0]);
	pgkit_stop(&standby);
	combine(chain, 2, &other);
	is = contents(&other);
	assert_string_equal(is, was);
	pgkit_stop(&other);
	free(was);
	free(is);
	memout_free(chain[0]);
	memout_free(chain[1]);
	memout_free(m);
}

static void
behind_a_promotion_only_what_was_before_is_a_parent(void **state)
{
	struct memout *before, *after, *chain[2], *m = memout_new();
	struct pgkit standby, other;
	char *was, *is;

	(void)state;
	make_standby(&standby);
	before = backup_ok(&kit, NULL);
	change(5);
	catch_up(&standby);
	pgkit_sql(&standby, "postgres", "SELECT pg_promote(true, 60)");
	pgkit_sql(&standby, "shop", "UPDATE a SET t = 'x' WHERE i = 77");
	chain[0] = before;
	chain[1] = backup_ok(&standby, before);
	assert_builds_on(chain[1], before);
	assert_string_equal(memout_fact(chain[1], BASE_FACT_TIMELINE), "2");
	was = contents(&standby);
	combine(chain, 2, &other);
	is = contents(&other);
	assert_string_equal(is, was);
	pgkit_stop(&other);

	/* Each of the two on what the other did since. */
	assert_refused(chain[1], HF_E_UNSUPPORTED,
	    "of timeline 2, from which the server's timeline 1 does not come");
	pgkit_sql(&kit, "postgres", "SELECT pg_switch_wal()");
	after = backup_ok(&kit, NULL);
	assert_int_equal(backup_of(&standby, after, m), HF_E_UNSUPPORTED);
	assert_has(err.cause, "on timeline 1, and the server only to");
	pgkit_stop(&standby);
	free(was);
	free(is);
	memout_free(after);
	memout_free(before);
	memout_free(chain[1]);
	memout_free(m);
}

/* ---- an older server ---- */

static void
an_older_server_is_said_to_be_one(void **state)
{
	struct memout *full = backup_ok(&kit, NULL);

	(void)state;
	assert_refused(full, HF_E_UNSUPPORTED, "it needs server 17");
	memout_free(full);
}

static void
fill(void)
{
	char sql[256];

	pgkit_sql(&kit, "postgres", "CREATE ROLE copier LOGIN REPLICATION");
	pgkit_sql(&kit, "postgres", "CREATE DATABASE shop");
	for (int i = 1; i <= 2; i++)
		basekit_run("install -d -m 700 -o $(stat -c %%u %s/data) "
			    "'%s/%d'",
		    kit.dir, kit.dir, i);
	(void)snprintf(
	    sql, sizeof sql, "CREATE TABLESPACE one LOCATION '%s/1'", kit.dir);
	pgkit_sql(&kit, "shop", sql);
	pgkit_sql(&kit, "shop",
	    "CREATE TABLE a AS SELECT i, repeat(md5(i::text), 10) AS t FROM "
	    "generate_series(1, 20000) i; CREATE TABLE b (i int); "
	    "CREATE TABLE gone AS SELECT 1; CREATE TABLE c (i int PRIMARY KEY) "
	    "TABLESPACE one; INSERT INTO c SELECT generate_series(1, 10000);");
}

int
main(void)
{
	static const struct CMUnitTest old[] = {
		cmocka_unit_test(an_older_server_is_said_to_be_one),
	};
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_is_combined_to_the_server_as_it_was),
		cmocka_unit_test(
		    a_server_that_does_not_summarize_is_told_how_to),
		cmocka_unit_test(summaries_that_are_gone_are_no_backup),
		cmocka_unit_test(a_summary_that_is_damaged_is_no_backup),
		cmocka_unit_test(a_parent_of_another_server_is_refused),
		cmocka_unit_test(a_manifest_that_is_not_the_servers_is_refused),
		cmocka_unit_test(a_parent_that_is_damaged_is_told_as_that),
		cmocka_unit_test(waiting_for_summaries_can_be_cancelled),
		cmocka_unit_test(a_standby_makes_them_too),
		cmocka_unit_test(
		    behind_a_promotion_only_what_was_before_is_a_parent),
	};
	int rc;

	H = &host_table;
	if ((rc = pgkit_start_physical(&kit)) != 0)
		return rc;
	assert_non_null(mkdtemp(out_dir));
	fill();
	if (kit.version < 17) {
		rc = cmocka_run_group_tests(old, NULL, NULL);
	} else {
		summarize(true);
		rc = cmocka_run_group_tests(tests, NULL, NULL);
	}
	basekit_remove(out_dir);
	pgkit_stop(&kit);
	return rc;
}
