/* SPDX-License-Identifier: BSD-2-Clause */
/* Base backups of a real server. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/cancel.h"
#include "base/command.h"
#include "base/error.h"
#include "base/run.h"
#include "conn.h"
#include "conninfo.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/basekit.h"
#include "support/memlog.h"
#include "support/memout.h"
#include "support/pgkit.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pgkit kit;
static struct cancel cancel;
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;
static char spaces[2][96]; /* folders of tablespaces */

static struct conf
conf_of(const char *user)
{
	static char info[256];

	(void)snprintf(info, sizeof info, "host=%s port=%d user=%s", kit.dir,
	    kit.port, user);
	return (struct conf){ .conninfo = info,
		.mode = "physical",
		.checkpoint = "fast",
		.verify_checksums = true,
		.wal = { .slot = "holdfast", .wait = 1000, .flush = 1000 } };
}

static int
backup(const struct conf *conf, struct memout *m, struct hf_in *log)
{
	struct hf_engine e = { .ctx = &ctx, .conf = *conf };
	struct hf_request r = { .struct_size = sizeof r,
		.kind = HF_KIND_FULL,
		.max_streams = 4,
		.log = log };

	error_clear(&err);
	return base_backup(&e, &r, memout_out(m), &err);
}

static void
backup_ok(const struct conf *conf, struct memout *m)
{
	if (backup(conf, m, NULL) != HF_OK)
		fail_msg("backup: %s", err.cause);
	assert_int_equal(memout_open(m), 0);
}

static const char *
note(const char *key)
{
	for (int i = 0; i < err.nnotes; i++)
		if (strcmp(err.notes[i].key, key) == 0)
			return err.notes[i].value;
	fail_msg("no %s: %s", key, err.cause);
	return "";
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* ---- what was stored, as files ---- */

static char out_dir[] = "/tmp/hf-base-XXXXXX";

static void
assert_verified(struct memout *m, const char *options)
{
	basekit_extract(m, out_dir);
	basekit_run("%s/pg_verifybackup -q %s %s", kit.bin, options, out_dir);
}

/* ---- what it is ---- */

static void
a_backup_passes_pg_verifybackup(void **state)
{
	struct conf conf = conf_of("postgres");
	struct memout *m = memout_new();
	lsn_t start, stop;
	char key[64], *oid;

	(void)state;
	backup_ok(&conf, m);
	assert_int_equal(memout_count(m), 4);
	assert_verified(m, "");
	assert_string_equal(memout_fact(m, BASE_FACT_MODE), "physical");
	assert_string_equal(memout_fact(m, BASE_FACT_WAL), "included");
	assert_string_equal(memout_fact(m, BASE_FACT_CHECKSUMS), "on");
	assert_string_equal(memout_fact(m, BASE_FACT_TIMELINE), "1");
	assert_string_equal(memout_fact(m, BASE_FACT_STOP_TIMELINE), "1");
	assert_string_equal(memout_fact(m, BASE_FACT_SEGMENT_SIZE), "16777216");
	assert_true(lsn_parse(memout_fact(m, BASE_FACT_START), &start));
	assert_true(lsn_parse(memout_fact(m, BASE_FACT_STOP), &stop));
	assert_true(start < stop);
	oid = pgkit_psql(&kit, "postgres",
	    "SELECT oid FROM pg_tablespace WHERE spcname = 'one'");
	(void)snprintf(key, sizeof key, "%s%s", BASE_FACT_TABLESPACE, oid);
	assert_string_equal(memout_fact(m, key), spaces[0]);
	free(oid);
	oid = pgkit_psql(&kit, "postgres",
	    "SELECT system_identifier FROM pg_control_system()");
	assert_string_equal(memout_fact(m, BASE_FACT_SYSTEM), oid);
	free(oid);
	memout_free(m);
}

static void
a_role_that_only_replicates_is_enough(void **state)
{
	struct conf conf = conf_of("copier");
	struct memout *m = memout_new();

	(void)state;
	backup_ok(&conf, m);
	memout_free(m);
}

static void
a_role_without_replication_is_told_what_to_grant(void **state)
{
	struct conf conf = conf_of("nobody");
	struct memout *m = memout_new();

	(void)state;
	assert_int_equal(backup(&conf, m, NULL), HF_E_DENIED);
	assert_has(err.cause, "no right to replicate");
	assert_has(note("hint"), "ALTER ROLE ... REPLICATION");
	assert_int_equal(memout_count(m), 0);
	memout_free(m);
}

static void
a_missing_line_of_pg_hba_is_told(void **state)
{
	struct conf conf = conf_of("postgres");
	struct memout *m = memout_new();

	(void)state;
	pgkit_reload(&kit, "local all all trust\n");
	assert_int_equal(backup(&conf, m, NULL), HF_E_DENIED);
	assert_has(err.cause, "no line for replication");
	assert_has(note("hint"), "host replication");
	pgkit_reload(&kit, "local all all trust\nlocal replication all trust\n"
			   "host all all 127.0.0.1/32 trust\n");
	memout_free(m);
}

static void
each_version_has_its_words(void **state)
{
	struct conf conf = conf_of("postgres");
	struct text t = { 0 };

	(void)state;
	conf.max_rate = 1 << 20;
	conf.checkpoint = "spread";
	assert_int_equal(
	    command_text(&t, &conf, 130009, false, false, &err), HF_OK);
	assert_string_equal(text_get(&t),
	    "BASE_BACKUP LABEL 'holdfast' PROGRESS NOWAIT MAX_RATE 1024 "
	    "TABLESPACE_MAP MANIFEST 'yes'");
	text_reset(&t);
	conf.checkpoint = "fast";
	conf.verify_checksums = false;
	assert_int_equal(
	    command_text(&t, &conf, 140000, true, false, &err), HF_OK);
	assert_string_equal(text_get(&t),
	    "BASE_BACKUP LABEL 'holdfast' PROGRESS FAST WAL NOWAIT MAX_RATE "
	    "1024 TABLESPACE_MAP NOVERIFY_CHECKSUMS MANIFEST 'yes'");
	text_reset(&t);
	assert_int_equal(
	    command_text(&t, &conf, 170002, true, false, &err), HF_OK);
	assert_string_equal(text_get(&t),
	    "BASE_BACKUP (LABEL 'holdfast', PROGRESS, CHECKPOINT 'fast', WAL, "
	    "WAIT false, MAX_RATE 1024, TABLESPACE_MAP, VERIFY_CHECKSUMS "
	    "false, MANIFEST 'yes', TARGET 'client')");
	text_reset(&t);
	conf.max_rate = 0;
	conf.verify_checksums = true;
	assert_int_equal(
	    command_text(&t, &conf, 170002, false, true, &err), HF_OK);
	assert_string_equal(text_get(&t),
	    "BASE_BACKUP (LABEL 'holdfast', PROGRESS, CHECKPOINT 'fast', WAIT "
	    "false, TABLESPACE_MAP, MANIFEST 'yes', TARGET 'client', "
	    "INCREMENTAL)");
	text_free(&t);
}

static void
a_rate_too_low_for_the_server_is_refused(void **state)
{
	struct conf conf = conf_of("postgres");
	struct memout *m = memout_new();

	(void)state;
	conf.max_rate = 1000;
	assert_int_equal(backup(&conf, m, NULL), HF_E_INVALID);
	assert_has(err.cause, "32KiB");
	memout_free(m);
}

/* ---- what must not be taken for a backup ---- */

/* After so many writes, from the thread that writes. */
struct during {
	unsigned writes, at;
	const char *sql; /* NULL: cancel */
};

static void
interfere(void *arg)
{
	struct during *d = arg;

	if (++d->writes != d->at)
		return;
	if (d->sql == NULL)
		cancel_request(&cancel);
	else
		pgkit_sql(&kit, "postgres", d->sql);
}

static void
a_walsender_that_ends_is_never_a_short_backup(void **state)
{
	static const unsigned at[] = { 1, 20, 200, 700 };

	(void)state;
	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		struct conf conf = conf_of("postgres");
		struct memout *m = memout_new();
		struct during d = { .at = at[i],
			.sql = "SELECT pg_terminate_backend(pid, 5000) FROM "
			       "pg_stat_activity WHERE backend_type = "
			       "'walsender'" };

		/* Slow, so that it is in the middle. */
		conf.max_rate = 16 << 20;
		memout_on_write(m, interfere, &d);
		assert_int_equal(backup(&conf, m, NULL), HF_E_IO);
		assert_has(err.cause, "replication on");
		assert_true(d.writes >= d.at);
		assert_int_equal(memout_open(m), 0);
		assert_null(memout_fact(m, BASE_FACT_STOP));
		memout_free(m);
	}
}

static void
a_cancelled_backup_ends_at_once(void **state)
{
	struct conf conf = conf_of("postgres");
	struct memout *m = memout_new();
	struct during d = { .at = 2 };
	int64_t from = conn_now();

	(void)state;
	conf.max_rate = 32 << 10; /* would take a quarter of an hour */
	memout_on_write(m, interfere, &d);
	assert_int_equal(backup(&conf, m, NULL), HF_E_CANCELLED);
	assert_true(conn_now() - from < 5000);
	assert_int_equal(memout_open(m), 0);
	atomic_store(&cancel.requested, 0);
	pgkit_until(&kit, "postgres",
	    "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = "
	    "'walsender'");
	memout_free(m);
}

static void
a_sink_that_fails_ends_the_backup(void **state)
{
	static const enum memout_call calls[] = { MEMOUT_BEGIN, MEMOUT_WRITE,
		MEMOUT_COMMIT, MEMOUT_FACT };

	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct conf conf = conf_of("postgres");
		struct memout *m = memout_new();

		memout_fail(m, calls[i], 2, HF_E_NOSPACE);
		assert_int_equal(backup(&conf, m, NULL), HF_E_NOSPACE);
		assert_int_equal(memout_open(m), 0);
		memout_free(m);
	}
}

/* ---- damaged pages ---- */

static void
break_page(const char *file, long block)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof path, "%s/data/%s", kit.dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd != -1);
	assert_int_equal(pwrite(fd, "damaged", 7, block * 8192 + 4000), 7);
	assert_int_equal(close(fd), 0);
}

static void
pages_that_do_not_agree_are_named(void **state)
{
	struct conf conf = conf_of("postgres");
	struct memout *m = memout_new();
	char *file, page[128];

	(void)state;
	pgkit_sql(&kit, "postgres",
	    "CREATE TABLE damaged AS SELECT g, repeat('x', 400) FROM "
	    "generate_series(1, 2000) g; CHECKPOINT;");
	file = pgkit_psql(
	    &kit, "postgres", "SELECT pg_relation_filepath('damaged')");
	break_page(file, 3);
	break_page(file, 7);
	assert_int_equal(backup(&conf, m, NULL), HF_E_CORRUPT);
	(void)snprintf(
	    page, sizeof page, "%s block 3, %s", file, strstr(file, "base/"));
	assert_has(err.cause, page);
	(void)snprintf(page, sizeof page, "%s block 7", file);
	assert_has(err.cause, page);
	assert_has(note("hint"), "verify_checksums");
	assert_int_equal(memout_open(m), 0);
	memout_free(m);

	conf.verify_checksums = false;
	m = memout_new();
	backup_ok(&conf, m);
	assert_verified(m, "");
	memout_free(m);
	pgkit_sql(&kit, "postgres", "DROP TABLE damaged; CHECKPOINT;");
	free(file);
}

static void
warnings_in_other_languages_name_the_page_too(void **state)
{
	struct damage d = { .ctx = &ctx };

	(void)state;
	assert_true(damage_warning(&d,
	    "Pr\303\274fsummen\303\274berpr\303\274fung fehlgeschlagen in "
	    "Datei "
	    "\302\273./base/5/16384\302\253, Block 12: berechnet 4D2A, aber "
	    "erwartet 1F"));
	assert_true(damage_warning(
	    &d, "file \"./base/5/16384\" has a total of 9 checksum failures"));
	assert_true(
	    damage_warning(&d, "further checksum verification failures in file "
			       "\"./base/5/16384\" will not be reported"));
	assert_false(damage_warning(&d, "9 total checksum failures"));
	assert_string_equal(names_get(&d.pages),
	    "base/5/16384 block 12, base/5/16384 (9 in all)");
	assert_int_equal(d.seen, 3);
	damage_free(&d);
}

/* ---- the WAL that it needs ---- */

static void
without_archiving_nothing_is_copied(void **state)
{
	struct conf conf = conf_of("copier");
	struct memout *m = memout_new();
	struct memout *log = memlog_new();

	(void)state;
	conf.wal.push = true;
	assert_int_equal(backup(&conf, m, memout_in(log)), HF_E_INVALID);
	assert_has(err.cause, "archive_mode is off");
	assert_has(note("hint"), "ALTER SYSTEM SET archive_mode = on");

	conf.wal.stream = true;
	conf.wal.push = false;
	assert_int_equal(backup(&conf, m, memout_in(log)), HF_E_IO);
	assert_has(err.cause, "is missing after 1 s");
	assert_has(note("hint"), "no replication slot \"holdfast\"");

	pgkit_sql(&kit, "postgres",
	    "SELECT pg_create_physical_replication_slot('holdfast')");
	assert_int_equal(backup(&conf, m, memout_in(log)), HF_E_IO);
	assert_has(note("hint"), "Nobody follows");
	pgkit_sql(
	    &kit, "postgres", "SELECT pg_drop_replication_slot('holdfast')");
	assert_int_equal(memout_calls(m, MEMOUT_BEGIN), 0);
	memout_free(log);
	memout_free(m);
}

/* Of the server's timeline, from segment `from` behind the one it writes. */
static void
put_segments(struct memout *log, unsigned from, unsigned to)
{
	struct wal_name n = { .kind = WAL_SEGMENT, .timeline = 1 };
	char name[WAL_LOG_MAX];
	char *system = pgkit_psql(&kit, "postgres",
	    "SELECT system_identifier FROM pg_control_system()");
	uint64_t current = (uint64_t)pgkit_int(&kit, "postgres",
	    "SELECT ((pg_current_wal_insert_lsn() - '0/0') / 16777216)"
	    "::bigint");

	for (unsigned i = from; i < to; i++) {
		n.segno = current + i;
		wal_name_log(&n, strtoull(system, NULL, 10), 16 << 20, name);
		assert_int_equal(memlog_put(log, name, "", 0, NULL), HF_OK);
	}
	free(system);
}

static void
a_backup_waits_for_the_wal_that_it_needs(void **state)
{
	struct conf conf = conf_of("postgres");
	struct memout *m = memout_new();
	struct memout *log = memlog_new();

	(void)state;
	conf.wal.stream = true;
	/* A long log is not read again and again. */
	put_segments(log, 5000, 6000);
	/* One that came, as far as the beginning can tell, and no other. */
	put_segments(log, 50, 51);
	assert_int_equal(backup(&conf, m, memout_in(log)), HF_E_IO);
	assert_has(err.cause, "and the backup needs it");
	assert_true(memout_calls(m, MEMOUT_BEGIN) > 1);
	memout_free(m);

	m = memout_new();
	put_segments(log, 0, 10);
	if (backup(&conf, m, memout_in(log)) != HF_OK)
		fail_msg("%s", err.cause);
	assert_string_equal(memout_fact(m, BASE_FACT_WAL), "log");
	assert_true(memout_calls(log, MEMOUT_LIST) > 4);
	assert_true(memout_listed(log) < 1000);
	memout_free(log);
	memout_free(m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_passes_pg_verifybackup),
		cmocka_unit_test(a_role_that_only_replicates_is_enough),
		cmocka_unit_test(
		    a_role_without_replication_is_told_what_to_grant),
		cmocka_unit_test(a_missing_line_of_pg_hba_is_told),
		cmocka_unit_test(each_version_has_its_words),
		cmocka_unit_test(a_rate_too_low_for_the_server_is_refused),
		cmocka_unit_test(a_walsender_that_ends_is_never_a_short_backup),
		cmocka_unit_test(a_cancelled_backup_ends_at_once),
		cmocka_unit_test(a_sink_that_fails_ends_the_backup),
		cmocka_unit_test(pages_that_do_not_agree_are_named),
		cmocka_unit_test(warnings_in_other_languages_name_the_page_too),
		cmocka_unit_test(without_archiving_nothing_is_copied),
		cmocka_unit_test(a_backup_waits_for_the_wal_that_it_needs),
	};
	char sql[256];
	int rc;

	H = &host_table;
	if ((rc = pgkit_start_physical(&kit)) != 0)
		return rc;
	assert_non_null(mkdtemp(out_dir));
	for (int i = 0; i < 2; i++) {
		(void)snprintf(
		    spaces[i], sizeof spaces[i], "%s/space %d", kit.dir, i);
		basekit_run("install -d -m 700 -o $(stat -c %%u %s/data) '%s'",
		    kit.dir, spaces[i]);
		(void)snprintf(sql, sizeof sql,
		    "CREATE TABLESPACE %s LOCATION '%s'",
		    i == 0 ? "one" : "two", spaces[i]);
		pgkit_sql(&kit, "postgres", sql);
	}
	pgkit_sql(&kit, "postgres",
	    "CREATE TABLE a (i int, t text) TABLESPACE one;"
	    "CREATE UNLOGGED TABLE u (i int) TABLESPACE two;"
	    "INSERT INTO a SELECT g, repeat(md5(g::text), 20) "
	    "FROM generate_series(1, 10000) g;"
	    "INSERT INTO u SELECT 1; CREATE ROLE copier LOGIN REPLICATION;"
	    "CREATE ROLE nobody LOGIN;");
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	basekit_remove(out_dir);
	pgkit_stop(&kit);
	return rc;
}
