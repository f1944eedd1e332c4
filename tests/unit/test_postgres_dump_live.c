/* SPDX-License-Identifier: BSD-2-Clause */
/* Dumps of a server on which others work at the same time. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cancel.h"
#include "base/error.h"
#include "conninfo.h"
#include "dump/dump.h"
#include "dump/run.h"
#include "layout.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/memout.h"
#include "support/pgkit.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pgkit kit;
static struct cancel cancel;
static char scratch[] = "/tmp/hf-dump-XXXXXX";
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;

static const char of_ours[] =
    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'";

static struct conf
conf_of(const char *dbname)
{
	return (struct conf){ .conninfo = pgkit_conninfo(&kit, dbname),
		.mode = "logical",
		.content = "all",
		.large_objects = true,
		.role_passwords = true,
		.jobs = 2,
		.chunk_size = 1 << 20,
		.lock_timeout = 10000 };
}

static int
dump(const struct conf *conf, struct memout *m)
{
	struct hf_engine e = { .ctx = &ctx, .conf = *conf };
	struct hf_request r = {
		.struct_size = sizeof r, .kind = HF_KIND_FULL, .max_streams = 4
	};

	error_clear(&err);
	return dump_run(&e, &r, memout_out(m), &err);
}

static void
dump_ok(const struct conf *conf, struct memout *m)
{
	if (dump(conf, m) != HF_OK)
		fail_msg("dump: %s", err.cause);
	assert_int_equal(memout_open(m), 0);
}

static const char *
hint(void)
{
	for (int i = 0; i < err.nnotes; i++)
		if (strcmp(err.notes[i].key, "hint") == 0)
			return err.notes[i].value;
	fail_msg("no hint: %s", err.cause);
	return "";
}

static char *
object(struct memout *m, const char *name)
{
	size_t size;

	for (size_t i = 0; i < memout_count(m); i++)
		if (strcmp(memout_name(m, i), name) == 0) {
			void *bytes = memout_bytes(m, i, &size);

			return strndup(bytes, size);
		}
	fail_msg("there is no object %s", name);
	return NULL;
}

/* What the contents say of a table, whose pieces are looked at too. */
static uint64_t
rows_of(struct memout *m, const char *name)
{
	char *json = object(m, LAYOUT_CONTENTS);
	struct contents c;
	uint64_t rows = UINT64_MAX, seen = 0;

	assert_int_equal(contents_read(json, strlen(json), &c, &err), HF_OK);
	free(json);
	for (size_t i = 0; i < c.ntables; i++) {
		const struct table *t = &c.tables[i];

		if (strcmp(t->name, name) != 0)
			continue;
		rows = t->rows;
		for (size_t k = 0; k < t->npieces; k++) {
			const struct piece *p = &t->pieces[k];
			char *sql = object(m, p->object), *end;

			assert_int_equal(
			    strncmp(sql + p->offset, "COPY \"", 6), 0);
			end = sql + p->offset + p->size;
			assert_int_equal(strncmp(end - 3, "\\.\n", 3), 0);
			for (char *s = sql + p->offset; s < end; s++)
				seen += *s == '\n';
			seen -= 2;
			free(sql);
		}
		assert_int_equal(seen, rows);
	}
	contents_clear(&c);
	return rows;
}

/* psql in a process of its own. */
static pid_t
in_background(const char *dbname, const char *sql)
{
	char psql[300];
	pid_t pid = fork();

	if (pid == 0) {
		(void)snprintf(psql, sizeof psql, "%s/psql", kit.bin);
		(void)execl(psql, "psql", "-qX", "-d",
		    pgkit_conninfo(&kit, dbname), "-c", sql, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static void
ended_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int
start(void **state)
{
	(void)state;
	H = &host_table;
	assert_non_null(mkdtemp(scratch));
	ctx.scratch_dir = scratch;
	pgkit_sql(&kit, "postgres", "CREATE ROLE reader LOGIN");
	pgkit_sql(&kit, "postgres", "CREATE DATABASE shop");
	pgkit_sql(&kit, "shop",
	    "CREATE TABLE big AS SELECT i, repeat(md5(i::text), 8) AS t"
	    " FROM generate_series(1, 30000) i");
	pgkit_sql(&kit, "shop",
	    "CREATE TABLE later AS SELECT i, md5(i::text) AS t"
	    " FROM generate_series(1, 10000) i");
	return 0;
}

static int
end(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -rf %s", scratch);
	return system(command);
}

/* ---- tests ---- */

static void
parts_have_all_rows_once(void **state)
{
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();

	(void)state;
	/* Holes, and rows at the ends of ranges. */
	pgkit_sql(&kit, "shop", "DELETE FROM big WHERE i % 7 = 0");
	dump_ok(&conf, m);
	assert_int_equal(rows_of(m, "big"),
	    pgkit_int(&kit, "shop", "SELECT count(*) FROM big"));
	free(object(m, "100-public.big.0004.sql"));
	assert_int_equal(rows_of(m, "later"), 10000);
	memout_free(m);
}

/* A pg_dump that does something to the database first, once. */
static void
make_slow_pg_dump(const char *folder, const char *sql)
{
	static const char *const others[] = { "pg_dumpall", "pg_restore" };
	char path[512], target[512];
	FILE *f;

	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", folder, others[i]);
		(void)snprintf(
		    target, sizeof target, "%s/%s", kit.bin, others[i]);
		assert_int_equal(symlink(target, path), 0);
	}
	(void)snprintf(path, sizeof path, "%s/pg_dump", folder);
	assert_non_null(f = fopen(path, "we"));
	(void)fprintf(f,
	    "#!/bin/sh\n"
	    "case \"$*\" in *--schema-only*)\n"
	    "	mkdir %s/once 2>/dev/null &&\n"
	    "	%s/psql -qX -d '%s' -c '%s' >/dev/null;;\n"
	    "esac\n"
	    "exec %s/pg_dump \"$@\"\n",
	    folder, kit.bin, pgkit_conninfo(&kit, "shop"), sql, kit.bin);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

static void
a_table_truncated_behind_the_snapshot_is_no_empty_table(void **state)
{
	static const char *const tables[] = { "later", NULL };
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();
	char folder[64];

	(void)state;
	(void)snprintf(folder, sizeof folder, "%s/bin", scratch);
	assert_int_equal(mkdir(folder, 0755), 0);
	make_slow_pg_dump(folder,
	    "BEGIN; CREATE TEMP TABLE x AS TABLE later; TRUNCATE later;"
	    " INSERT INTO later TABLE x; COMMIT");
	conf.tables = tables;
	conf.bin_dir = folder;
	dump_ok(&conf, m);
	assert_int_equal(rows_of(m, "later"), 10000);
	memout_free(m);
}

static struct {
	atomic_bool done;
	pid_t pid;
} alter;

/* While the large table is being written, before the other one's turn. */
static void
queue_alter(void *arg)
{
	(void)arg;
	if (pgkit_int(&kit, "shop",
		"SELECT count(*) FROM pg_stat_activity WHERE query LIKE"
		" 'COPY%big%' AND state = 'active'") == 0)
		return;
	if (atomic_exchange(&alter.done, true))
		return;
	alter.pid = in_background("shop", "ALTER TABLE later ADD COLUMN u int");
	pgkit_until(&kit, "shop",
	    "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted");
}

static void
a_waiting_alter_table_does_not_stop_the_dump(void **state)
{
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();

	(void)state;
	conf.jobs = 1;
	conf.chunk_size = 1 << 30;
	memout_on_write(m, queue_alter, NULL);
	dump_ok(&conf, m);
	assert_true(alter.done);
	ended_well(alter.pid);
	assert_int_equal(rows_of(m, "later"), 10000);
	memout_free(m);
}

static void
an_exclusive_lock_is_waited_for_and_its_holder_named(void **state)
{
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();
	char want[64];
	pid_t pid;

	(void)state;
	conf.lock_timeout = 300;
	pid = in_background("shop",
	    "BEGIN; LOCK TABLE later IN ACCESS EXCLUSIVE MODE;"
	    " SELECT pg_sleep(3); COMMIT");
	pgkit_until(&kit, "shop",
	    "SELECT count(*) > 0 FROM pg_locks"
	    " WHERE mode = 'AccessExclusiveLock'");
	assert_int_equal(dump(&conf, m), HF_E_TRANSIENT);
	assert_non_null(strstr(err.cause, "public.later"));
	(void)snprintf(want, sizeof want, "Held by process %lld",
	    pgkit_int(&kit, "shop",
		"SELECT pid FROM pg_locks WHERE mode ="
		" 'AccessExclusiveLock' AND granted"));
	assert_non_null(strstr(hint(), want));
	ended_well(pid);
	memout_free(m);
}

static void
a_table_that_may_not_be_read_is_named(void **state)
{
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();
	char reader[256];

	(void)state;
	pgkit_sql(&kit, "shop",
	    "GRANT SELECT ON big TO reader; REVOKE ALL ON later FROM reader");
	(void)snprintf(reader, sizeof reader, "%s user=reader",
	    pgkit_conninfo(&kit, "shop"));
	conf.conninfo = reader;
	assert_int_equal(dump(&conf, m), HF_E_DENIED);
	assert_non_null(strstr(err.cause, "public.later"));
	assert_string_equal(hint(), "GRANT SELECT ON public.later TO reader;");
	memout_free(m);
}

static void
a_failed_dump_leaves_no_connection(void **state)
{
	struct conf conf = conf_of("shop");

	(void)state;
	for (unsigned n = 1; n < 20; n += 3) {
		struct memout *m = memout_new();

		memout_fail(m, MEMOUT_WRITE, n, HF_E_NOSPACE);
		assert_int_equal(dump(&conf, m), HF_E_NOSPACE);
		assert_int_equal(memout_open(m), 0);
		memout_free(m);
		pgkit_until(&kit, "postgres",
		    "SELECT count(*) = 0 FROM pg_stat_activity"
		    " WHERE pid <> pg_backend_pid()"
		    " AND backend_type = 'client backend'");
	}
	assert_int_equal(pgkit_int(&kit, "postgres", of_ours), 0);
}

static void
only_full_backups_without_flags(void **state)
{
	struct conf conf = conf_of("shop");
	struct hf_engine e = { .ctx = &ctx, .conf = conf };
	struct hf_request incr = { .struct_size = sizeof incr,
		.kind = HF_KIND_INCR,
		.max_streams = 1 };
	struct hf_request flags = { .struct_size = sizeof flags,
		.kind = HF_KIND_FULL,
		.flags = 4,
		.max_streams = 1 };
	struct memout *m = memout_new();

	(void)state;
	error_clear(&err);
	assert_int_equal(
	    dump_run(&e, &incr, memout_out(m), &err), HF_E_UNSUPPORTED);
	assert_int_equal(
	    dump_run(&e, &flags, memout_out(m), &err), HF_E_UNSUPPORTED);
	assert_int_equal(memout_count(m), 0);
	memout_free(m);
}

static void
dates_of_roles_are_iso_whatever_the_database_has_set(void **state)
{
	struct conf conf = conf_of("german");
	struct memout *m = memout_new();
	char *sql;

	(void)state;
	pgkit_sql(&kit, "postgres", "CREATE DATABASE german");
	pgkit_sql(
	    &kit, "postgres", "ALTER DATABASE german SET DateStyle = 'German'");
	pgkit_sql(&kit, "postgres",
	    "CREATE ROLE guest VALID UNTIL '2099-11-12 00:00:00+00'");
	dump_ok(&conf, m);
	sql = object(m, LAYOUT_GLOBALS);
	assert_non_null(strstr(sql, "VALID UNTIL '2099-11-1"));
	free(sql);
	memout_free(m);
}

static void
a_pattern_that_matches_nothing_is_named(void **state)
{
	static const char *const tables[] = { "later", "no_such", NULL };
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();

	(void)state;
	conf.tables = tables;
	assert_int_equal(dump(&conf, m), HF_E_INVALID);
	assert_non_null(strstr(err.cause, "\"no_such\""));
	(void)hint();
	memout_free(m);
}

static void
chosen_tables_come_with_their_schemas(void **state)
{
	static const char *const tables[] = { "stock.p*", "later", NULL };
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();
	char *sql;

	(void)state;
	pgkit_sql(&kit, "shop",
	    "CREATE SCHEMA stock; CREATE TABLE stock.part(i int)");
	conf.tables = tables;
	dump_ok(&conf, m);
	sql = object(m, LAYOUT_PRE_DATA);
	assert_non_null(
	    strstr(sql, "\nCREATE SCHEMA IF NOT EXISTS \"stock\";\n"));
	assert_null(strstr(sql, "\"public\""));
	free(sql);
	memout_free(m);
}

static void
a_refresh_is_not_heard_by_event_triggers(void **state)
{
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();
	char *sql, *quiet;

	(void)state;
	pgkit_sql(&kit, "shop",
	    "CREATE MATERIALIZED VIEW total AS SELECT count(*) FROM later");
	dump_ok(&conf, m);
	sql = object(m, LAYOUT_REFRESH);
	quiet = strstr(sql, "SET session_replication_role = replica;");
	assert_non_null(quiet);
	assert_true(quiet < strstr(sql, "REFRESH MATERIALIZED VIEW"));
	free(sql);
	pgkit_sql(&kit, "shop", "DROP MATERIALIZED VIEW total");
	memout_free(m);
}

static void
too_few_connections_are_told_as_such(void **state)
{
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();
	char narrow[256];

	(void)state;
	pgkit_sql(
	    &kit, "postgres", "CREATE ROLE narrow LOGIN CONNECTION LIMIT 1");
	(void)snprintf(narrow, sizeof narrow, "%s user=narrow",
	    pgkit_conninfo(&kit, "shop"));
	conf.conninfo = narrow;
	assert_int_equal(dump(&conf, m), HF_E_TRANSIENT);
	assert_non_null(strstr(err.cause, "too many connections for role"));
	memout_free(m);
}

static atomic_bool ended;

/* As soon as rows of the large table come. */
static void
end_coordinator(void *arg)
{
	(void)arg;
	if (atomic_load(&ended) ||
	    pgkit_int(&kit, "shop",
		"SELECT count(*) FROM pg_stat_activity WHERE query LIKE"
		" 'COPY%big%' AND state = 'active'") == 0)
		return;
	if (!atomic_exchange(&ended, true))
		pgkit_sql(&kit, "shop",
		    "SELECT pg_terminate_backend(pid, 5000) FROM"
		    " pg_stat_activity WHERE state = 'idle in transaction'"
		    " AND pid <> pg_backend_pid() AND query NOT LIKE 'COPY%'");
}

static void
a_lost_coordinator_is_noticed_before_all_is_copied(void **state)
{
	struct conf conf = conf_of("shop");
	struct memout *m = memout_new();
	size_t parts = 0;

	(void)state;
	conf.jobs = 1;
	memout_on_write(m, end_coordinator, NULL);
	assert_int_equal(dump(&conf, m), HF_E_IO);
	assert_true(ended);
	assert_non_null(strstr(err.cause, "terminating connection"));
	for (size_t i = 0; i < memout_count(m); i++)
		parts += strncmp(memout_name(m, i), "100-public.big", 14) == 0;
	assert_in_range(parts, 1, 3);
	memout_free(m);
}

static void
a_snapshot_that_ended_with_its_coordinator_is_no_bad_request(void **state)
{
	struct conf conf = conf_of("shop");
	struct run run = { .conf = &conf, .ctx = &ctx };
	struct conn *c = NULL;
	char sql[96];

	(void)state;
	error_clear(&err);
	assert_int_equal(conninfo_source(&conf, &run.info, &err), HF_OK);
	assert_int_equal(snapshot_begin(&run, &err), HF_OK);
	(void)snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)",
	    PQbackendPID(run.conn->pg));
	pgkit_sql(&kit, "shop", sql);
	assert_int_equal(snapshot_join(&run, NULL, &c, &err), HF_E_IO);
	assert_non_null(strstr(err.cause, "was lost"));
	snapshot_drop(&run);
	contents_clear(&run.contents);
	conninfo_free(run.info);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_have_all_rows_once),
		cmocka_unit_test(
		    a_table_truncated_behind_the_snapshot_is_no_empty_table),
		cmocka_unit_test(a_waiting_alter_table_does_not_stop_the_dump),
		cmocka_unit_test(
		    an_exclusive_lock_is_waited_for_and_its_holder_named),
		cmocka_unit_test(a_table_that_may_not_be_read_is_named),
		cmocka_unit_test(a_failed_dump_leaves_no_connection),
		cmocka_unit_test(only_full_backups_without_flags),
		cmocka_unit_test(
		    dates_of_roles_are_iso_whatever_the_database_has_set),
		cmocka_unit_test(a_pattern_that_matches_nothing_is_named),
		cmocka_unit_test(chosen_tables_come_with_their_schemas),
		cmocka_unit_test(a_refresh_is_not_heard_by_event_triggers),
		cmocka_unit_test(too_few_connections_are_told_as_such),
		cmocka_unit_test(
		    a_lost_coordinator_is_noticed_before_all_is_copied),
		cmocka_unit_test(
		    a_snapshot_that_ended_with_its_coordinator_is_no_bad_request),
	};
	int rc;

	if (pgkit_start(&kit) == 77)
		return 77;
	rc = cmocka_run_group_tests(tests, start, end);
	pgkit_stop(&kit);
	return rc;
}
