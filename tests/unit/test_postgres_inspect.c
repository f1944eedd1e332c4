/* SPDX-License-Identifier: BSD-2-Clause */
/* What is found out about a source and about a restored copy, and the private
 * server that copies are restored to.  That server is the one under test
 * too: nothing else has to run. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "check.h"
#include "conninfo.h"
#include "inspect/home.h"
#include "inspect/inspect.h"
#include "inspect/server.h"
#include "postgres.h"
#include "program.h"

#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "support/memout.h"
#include "support/skipped.h"

#include <dirent.h>
#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct cancel cancel;
static struct hf_ctx ctx = { .who = "source test", .cancel = &cancel };
static struct hf_error err;
static char dir[] = "/tmp/hf-inspect-XXXXXX";
static struct server *server;
static struct conf conf = { .run_as = "postgres",
	.mode = "logical",
	.content = "all",
	.large_objects = true,
	.role_passwords = true };

/* All findings of one look: "check=verdict: result [hint];" each. */
struct told {
	char text[8192];
	unsigned n, stop_at;
};

static int
collect(void *arg, const struct hf_finding *f)
{
	static const char *const words[] = { "pass", "warn", "fail" };
	struct told *all = arg;
	size_t n = strlen(all->text);

	assert_non_null(f->result);
	(void)snprintf(all->text + n, sizeof all->text - n, "%s=%s: %s [%s];\n",
	    f->check, words[f->verdict], f->result,
	    f->hint == NULL ? "" : f->hint);
	return ++all->n == all->stop_at ? HF_E_CANCELLED : HF_OK;
}

static void
has(const struct told *all, const char *one)
{
	if (strstr(all->text, one) == NULL)
		fail_msg("\"%s\" is not in\n%s", one, all->text);
}

static void
has_not(const struct told *all, const char *one)
{
	if (strstr(all->text, one) != NULL)
		fail_msg("\"%s\" is in\n%s", one, all->text);
}

static void
must(int rc)
{
	if (rc != HF_OK)
		fail_msg("%s (%s)", err.cause,
		    error_get(&err, "hint") == NULL ? ""
						    : error_get(&err, "hint"));
}

/* ---- the server, looked at with libpq alone ---- */

static PGconn *
connect_to(const char *dbname)
{
	char info[512];
	PGconn *pg;

	(void)snprintf(info, sizeof info, "%s dbname=%s client_encoding=UTF8",
	    server_conninfo(server), dbname);
	pg = PQconnectdb(info);
	if (PQstatus(pg) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(pg));
	return pg;
}

/* The first value, of at most 255 bytes. */
static const char *
ask(const char *dbname, const char *sql)
{
	static char value[256];
	PGconn *pg = connect_to(dbname);
	PGresult *res = PQexec(pg, sql);

	if (PQresultStatus(res) != PGRES_COMMAND_OK &&
	    PQresultStatus(res) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQresultErrorMessage(res));
	(void)snprintf(value, sizeof value, "%s",
	    PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
	PQfinish(pg);
	return value;
}

static const char schema[] =
    "CREATE TABLE t(a int PRIMARY KEY, b text);"
    "INSERT INTO t SELECT g, 'x' || g FROM generate_series(1, 1000) g;"
    "CREATE TABLE \"odd.\"\"name\"(a int);"
    "CREATE TABLE part(a int, b int) PARTITION BY HASH (a);"
    "CREATE TABLE part0 PARTITION OF part"
    " FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE part1 PARTITION OF part"
    " FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
    "INSERT INTO part SELECT g, g FROM generate_series(1, 100) g;";

static int
make_database(void **state)
{
	(void)state;
	error_clear(&err);
	atomic_store(&cancel.requested, 0);
	(void)ask("postgres", "DROP DATABASE IF EXISTS shop WITH (FORCE)");
	(void)ask("postgres", "CREATE DATABASE shop");
	(void)ask("shop", schema);
	return 0;
}

/* ---- what a backup of it says ---- */

static struct table tables[4];
static struct contents contents;

static void
expect_table(size_t i, const char *name, uint64_t rows)
{
	tables[i] = (struct table){ .oid = 16384 + (uint32_t)i,
		.schema = (char *)(uintptr_t) "public",
		.name = (char *)(uintptr_t)name,
		.rows = rows };
}

static void
make_contents(void)
{
	expect_table(0, "t", 1000);
	expect_table(1, "odd.\"name", 0);
	expect_table(2, "part0",
	    strtoull(ask("shop", "SELECT count(*) FROM part0"), NULL, 10));
	expect_table(3, "part1", 100 - tables[2].rows);
	contents = (struct contents){ .tables = tables,
		.ntables = COUNT(tables),
		.server_version = 150000,
		.pg_dump_version = 150000,
		.database = (char *)(uintptr_t) "shop",
		.encoding = (char *)(uintptr_t) "UTF8",
		.stored_encoding = (char *)(uintptr_t) "UTF8",
		.owner = (char *)(uintptr_t) "postgres",
		.collate = (char *)(uintptr_t) "C",
		.ctype = (char *)(uintptr_t) "C",
		.provider = (char *)(uintptr_t) "c",
		.tablespace = (char *)(uintptr_t) "pg_default",
		.connection_limit = -1,
		.content = (char *)(uintptr_t) "all" };
}

static struct conninfo *
info_of(const char *user)
{
	struct conf mine = conf;
	struct conninfo *info;
	char text[512];

	(void)snprintf(
	    text, sizeof text, "%s user=%s", server_conninfo(server), user);
	mine.conninfo = text;
	must(conninfo_source(&mine, &info, &err));
	return info;
}

static unsigned
check_as(const char *user, enum check_level level, struct told *all)
{
	struct conninfo *info = info_of(user);
	unsigned failed = 99;

	*all = (struct told){ 0 };
	must(check_database(&ctx, info, "shop", &contents, level, 2, collect,
	    all, &failed, &err));
	conninfo_free(info);
	return failed;
}

/* ---- check_database ---- */

static void
a_whole_database_passes_and_is_left_as_it_was(void **state)
{
	struct told all;

	(void)state;
	make_contents();
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 0);
	has(&all, "tables=pass: all 4 are there");
	has(&all, "row counts=pass: 1100 rows in 4 tables");
	has(&all, "indexes=pass");
	has(&all, "constraints=pass");
	has(&all, "amcheck=pass");
	has_not(&all, "=warn");
	assert_string_equal(
	    ask("shop", "SELECT count(*) FROM pg_extension"), "1");
	assert_string_equal(ask("shop", "SELECT count(*) FROM pg_namespace "
					"WHERE nspname LIKE 'holdfast%'"),
	    "0");
}

static void
rows_that_are_missing_are_named_with_both_numbers(void **state)
{
	struct told all;

	(void)state;
	make_contents();
	(void)ask("shop", "DELETE FROM t WHERE a = 7");
	assert_int_equal(check_as("postgres", CHECK_QUICK, &all), 0);
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 1);
	has(&all, "row counts=fail: public.t has 999 of 1000 rows");
	(void)ask("shop", "INSERT INTO t VALUES (7), (1001)");
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 1);
	has(&all, "public.t has 1001 of 1000 rows");
}

static void
a_table_that_is_missing_is_named(void **state)
{
	struct told all;

	(void)state;
	make_contents();
	(void)ask("shop", "DROP TABLE \"odd.\"\"name\"");
	assert_int_equal(check_as("postgres", CHECK_QUICK, &all), 1);
	has(&all, "tables=fail: missing: public.odd.\"name [");
}

static void
rows_may_move_between_partitions_but_not_get_lost(void **state)
{
	struct told all;

	(void)state;
	make_contents();
	tables[2].rows += 3;
	tables[3].rows -= 3;
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 0);
	has(&all, "row counts=pass");
	tables[3].rows -= 1;
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 1);
	has(&all, "row counts=fail: public.part0 has ");
}

static void
an_extension_may_have_rows_of_its_own(void **state)
{
	struct told all;

	(void)state;
	make_contents();
	tables[0].rows = 10;
	(void)ask("shop",
	    "UPDATE pg_extension SET extconfig = ARRAY['t'::regclass::oid], "
	    "extcondition = '{\"\"}'");
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 0);
	tables[0].rows = 1001;
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 1);
	has(&all, "public.t has 1000 of 1001 rows");
}

static void
an_invalid_index_fails_and_an_unvalidated_constraint_warns(void **state)
{
	struct told all;

	(void)state;
	make_contents();
	(void)ask(
	    "shop", "ALTER TABLE t ADD CONSTRAINT nv CHECK (a > 5) NOT VALID");
	(void)ask("shop", "CREATE INDEX half ON ONLY part(b)");
	assert_int_equal(check_as("postgres", CHECK_QUICK, &all), 0);
	has(&all, "constraints=warn: NOT VALID: nv of public.t");
	has(&all, "indexes=warn: of partitioned tables, not complete: "
		  "public.half");
	(void)ask("shop", "UPDATE pg_index SET indisvalid = false "
			  "WHERE indexrelid = 't_pkey'::regclass");
	assert_int_equal(check_as("postgres", CHECK_QUICK, &all), 1);
	has(&all, "indexes=fail: invalid: public.t_pkey");
}

static void
what_a_role_may_not_count_is_a_warning(void **state)
{
	struct told all;

	(void)state;
	make_contents();
	(void)ask(
	    "shop", "GRANT SELECT ON part0, part1, \"odd.\"\"name\" TO reader");
	assert_int_equal(check_as("reader", CHECK_FULL, &all), 0);
	has(&all, "row counts=pass: 100 rows in 3 tables");
	has(&all, "row counts=warn: not counted: public.t (permission denied");
	has(&all, "amcheck=warn: not run");
}

/* An order that an index was not built with is what a damaged page is. */
static void
amcheck_finds_a_wrong_index_and_a_wrong_table(void **state)
{
	struct told all;

	(void)state;
	make_contents();
	(void)ask("shop",
	    "CREATE FUNCTION cmp(a int, b int) RETURNS int LANGUAGE sql "
	    "IMMUTABLE AS 'SELECT pg_catalog.btint4cmp(a, b)';"
	    "CREATE OPERATOR CLASS odd FOR TYPE int USING btree AS "
	    "OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, "
	    "OPERATOR 5 >, FUNCTION 1 cmp(int, int);"
	    "CREATE INDEX bad ON t USING btree (a odd);");
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 0);
	(void)ask("shop",
	    "CREATE OR REPLACE FUNCTION cmp(a int, b int) RETURNS int "
	    "LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.btint4cmp(b, a)'");
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 1);
	has(&all, "amcheck=fail: public.bad: item order invariant violated");
	(void)ask("shop", "DROP INDEX bad");
	(void)ask("shop",
	    "UPDATE pg_class SET relfrozenxid = "
	    "pg_current_xact_id()::text::xid WHERE relname = 't'");
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 1);
	has(&all, "amcheck=fail: public.t: block 0: xmin ");
}

static void
names_without_an_encoding_are_told_in_utf8(void **state)
{
	struct told all;
	PGconn *pg;

	(void)state;
	(void)ask("postgres", "DROP DATABASE shop WITH (FORCE)");
	(void)ask("postgres",
	    "CREATE DATABASE shop TEMPLATE template0 ENCODING 'SQL_ASCII'");
	pg = connect_to("shop");
	assert_int_equal(PQsetClientEncoding(pg, "SQL_ASCII"), 0);
	PQclear(PQexec(pg, "CREATE TABLE b\xe4r(a int)"));
	PQfinish(pg);
	expect_table(0, "b%E4r", 3);
	contents = (struct contents){ .tables = tables,
		.ntables = 1,
		.content = (char *)(uintptr_t) "all" };
	assert_int_equal(check_as("postgres", CHECK_FULL, &all), 1);
	has(&all, "tables=pass");
	has(&all, "public.b%E4r has 0 of 3 rows");
}

static void
a_finding_can_stop_the_checks(void **state)
{
	struct conninfo *info = info_of("postgres");
	struct told all = { .stop_at = 2 };

	(void)state;
	make_contents();
	assert_int_equal(check_database(&ctx, info, "shop", &contents,
			     CHECK_FULL, 2, collect, &all, NULL, &err),
	    HF_E_CANCELLED);
	assert_int_equal(all.n, 2);
	conninfo_free(info);
}

/* Somebody holds a lock; when the check waits for it, act. */
static void *
when_it_waits(void *arg)
{
	void (*act)(PGconn *) = *(void (**)(PGconn *))arg;
	PGconn *pg = PQconnectdb(server_conninfo(server));
	PGresult *res;
	bool waits = false;

	for (int i = 0; i < 200 && !waits; i++) {
		res = PQexec(pg, "SELECT FROM pg_locks WHERE NOT granted");
		waits = PQntuples(res) > 0;
		PQclear(res);
		(void)usleep(50000);
	}
	act(pg);
	PQfinish(pg);
	return NULL;
}

static void
terminate(PGconn *pg)
{
	PQclear(PQexec(pg, "SELECT pg_terminate_backend(pid) FROM pg_locks "
			   "WHERE NOT granted"));
}

static void
interrupt(PGconn *pg)
{
	(void)pg;
	cancel_request(&cancel);
}

static int
check_while_locked(void (*act)(PGconn *), struct told *all)
{
	struct conninfo *info = info_of("postgres");
	PGconn *pg = connect_to("shop");
	pthread_t thread;
	int rc;

	*all = (struct told){ 0 };
	make_contents();
	PQclear(PQexec(pg, "BEGIN; LOCK TABLE t"));
	assert_int_equal(pthread_create(&thread, NULL, when_it_waits, &act), 0);
	rc = check_database(&ctx, info, "shop", &contents, CHECK_FULL, 2,
	    collect, all, NULL, &err);
	assert_int_equal(pthread_join(thread, NULL), 0);
	PQfinish(pg);
	conninfo_free(info);
	return rc;
}

static void
a_lost_connection_is_a_failure_and_no_finding(void **state)
{
	struct told all;

	(void)state;
	assert_true(check_while_locked(terminate, &all) < 0);
	assert_non_null(strstr(err.cause, "counting the rows of public.t"));
	has_not(&all, "row counts");
}

static void
a_cancelled_check_ends_at_once(void **state)
{
	struct told all;

	(void)state;
	assert_int_equal(check_while_locked(interrupt, &all), HF_E_CANCELLED);
	has_not(&all, "row counts");
	assert_string_equal(
	    ask("postgres", "SELECT count(*) FROM pg_stat_activity WHERE "
			    "datname = 'shop' AND state = 'active'"),
	    "0");
}

/* ---- doctor ---- */

static int
look_as(const char *user, struct conf *mine, struct told *all)
{
	struct hf_engine e = { .ctx = &ctx };
	char text[512];

	*all = (struct told){ 0 };
	(void)snprintf(text, sizeof text, "%s user=%s dbname=shop",
	    server_conninfo(server), user);
	mine->conninfo = text;
	e.conf = *mine;
	return inspect_source(&e, collect, all, &err);
}

static void
doctor_passes_a_superuser(void **state)
{
	struct conf mine = conf;
	struct told all;

	(void)state;
	must(look_as("postgres", &mine, &all));
	has(&all, "connection=pass: postgres at server ");
	has(&all, "pg_dump=pass");
	has(&all, "pg_restore=pass");
	has(&all, "role passwords=pass");
	has(&all, "connections=pass");
	has(&all, "databases=pass: shop");
	has(&all, "tables=pass");
	has_not(&all, "=warn");
	has_not(&all, "=fail");
}

static void
doctor_names_what_a_role_may_not_read_and_its_sql_helps(void **state)
{
	struct conf mine = conf;
	struct told all;

	(void)state;
	(void)ask("shop", "CREATE SCHEMA hidden; CREATE TABLE hidden.u(a int);"
			  "ALTER TABLE hidden.u ENABLE ROW LEVEL SECURITY;"
			  "SELECT lo_create(0), lo_create(7), lo_create(8);"
			  "GRANT SELECT ON LARGE OBJECT 7 TO PUBLIC;"
			  "GRANT SELECT ON LARGE OBJECT 8 TO postgres;"
			  "CREATE SEQUENCE s");
	must(look_as("reader", &mine, &all));
	has(&all, "schemas=fail: cannot be used: hidden");
	has(&all, "tables=fail: cannot be read: hidden.u, public.odd.\"name, "
		  "public.part, public.part0, public.part1 and 2 more");
	has(&all, "row-level security=fail: hides rows of hidden.u");
	has(&all, "large objects=fail: 2 cannot be read");
	has(&all, "role passwords=warn");
	has(&all, "ALTER ROLE \"reader\" SET lo_compat_privileges = on;");
	has(&all, "ALTER ROLE \"reader\" BYPASSRLS;");
	has(&all, "GRANT pg_read_all_data TO \"reader\";");
	(void)ask("shop",
	    "GRANT pg_read_all_data TO reader; ALTER ROLE reader BYPASSRLS;"
	    "ALTER ROLE reader SET lo_compat_privileges = on");
	must(look_as("reader", &mine, &all));
	has_not(&all, "=fail");
	has_not(&all, "=warn");
	(void)ask("shop",
	    "REVOKE pg_read_all_data FROM reader; ALTER ROLE reader "
	    "NOBYPASSRLS; ALTER ROLE reader RESET lo_compat_privileges");
}

static void
doctor_only_warns_of_what_a_selection_may_leave_out(void **state)
{
	static const char *const some[] = { "part*", NULL };
	struct conf mine = conf;
	struct told all;

	(void)state;
	mine.tables = some;
	must(look_as("reader", &mine, &all));
	has(&all, "tables=warn: cannot be read:");
	has_not(&all, "=fail");
}

static void
doctor_names_locks_and_foreign_tables_and_every_database(void **state)
{
	static const char *const every[] = { "*", NULL };
	struct conf mine = conf;
	struct told all;
	PGconn *pg;

	(void)state;
	(void)ask("shop",
	    "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA "
	    "WRAPPER w; CREATE FOREIGN TABLE far(a int) SERVER s");
	pg = connect_to("shop");
	PQclear(PQexec(pg, "BEGIN; LOCK TABLE t"));
	mine.databases = every;
	must(look_as("postgres", &mine, &all));
	PQfinish(pg);
	has(&all, "databases=pass: postgres, shop");
	has(&all,
	    "locks=warn: shop: exclusively locked now: public.t (process ");
	has(&all, "foreign tables=pass: shop: ");
	has(&all, "public.far");
}

static void
doctor_counts_the_connections_that_are_left(void **state)
{
	struct conf mine = conf;
	struct told all;

	(void)state;
	(void)ask("shop", "ALTER ROLE reader CONNECTION LIMIT 4");
	mine.jobs = 3;
	must(look_as("reader", &mine, &all));
	has(&all, "connections=warn: a backup takes up to 5, 4 are free now");
	mine.jobs = 2;
	must(look_as("reader", &mine, &all));
	has(&all, "connections=pass: 4 are free, a backup takes up to 4");
	(void)ask("shop", "ALTER ROLE reader CONNECTION LIMIT -1");
}

/* ---- the private server ---- */

static void
a_private_server_has_no_port_and_a_closed_folder(void **state)
{
	char folder[512];
	struct stat st;

	(void)state;
	assert_string_equal(ask("postgres", "SHOW listen_addresses"), "");
	(void)snprintf(folder, sizeof folder, "%s",
	    ask("postgres", "SHOW data_directory"));
	*strrchr(folder, '/') = '\0';
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_string_equal(ask("postgres", "SHOW server_encoding"), "UTF8");
	assert_string_equal(ask("postgres", "SHOW fsync"), "off");
}

/* Where the path is too long for a socket, that one is elsewhere; nothing
 * stays behind of either. */
static void
a_deep_folder_still_has_a_server_and_none_when_it_stopped(void **state)
{
	char deep[512], socket_dir[512], data[512], pid_file[600];
	struct server *deep_server;
	struct stat st;
	PGconn *pg;
	PGresult *res;
	size_t n;

	(void)state;
	(void)snprintf(deep, sizeof deep, "%s/%0100d", dir, 0);
	n = strlen(deep);
	assert_int_equal(mkdir(deep, 0755), 0);
	must(server_start(&ctx, &conf, deep, 0, &deep_server, &err));
	pg = PQconnectdb(server_conninfo(deep_server));
	assert_int_equal(PQstatus(pg), CONNECTION_OK);
	res = PQexec(pg, "SELECT current_setting('unix_socket_directories'), "
			 "current_setting('data_directory')");
	(void)snprintf(
	    socket_dir, sizeof socket_dir, "%s", PQgetvalue(res, 0, 0) + 1);
	socket_dir[strlen(socket_dir) - 1] = '\0'; /* its quotes */
	(void)snprintf(data, sizeof data, "%s", PQgetvalue(res, 0, 1));
	PQclear(res);
	PQfinish(pg);
	assert_int_equal(strncmp(data, deep, n), 0);
	assert_int_equal(strncmp(socket_dir, "/var/tmp/", 9), 0);
	(void)snprintf(pid_file, sizeof pid_file, "%s/postmaster.pid", data);
	assert_int_equal(stat(pid_file, &st), 0);
	server_stop(deep_server);
	assert_int_equal(stat(socket_dir, &st), -1);
	assert_int_equal(rmdir(deep), 0);
}

static void
a_start_that_is_cancelled_leaves_nothing(void **state)
{
	struct server *other = NULL;
	char empty[512];

	(void)state;
	(void)snprintf(empty, sizeof empty, "%s/empty", dir);
	assert_int_equal(mkdir(empty, 0755), 0);
	cancel_request(&cancel);
	assert_int_equal(
	    server_start(&ctx, &conf, empty, 0, &other, &err), HF_E_CANCELLED);
	assert_null(other);
	assert_int_equal(rmdir(empty), 0);
}

static void
a_user_that_is_missing_is_named(void **state)
{
	struct conf mine = conf;
	struct server *other = NULL;

	(void)state;
	if (geteuid() != 0)
		SKIP(); /* run_as is for root */
	mine.run_as = "no_such_user";
	assert_int_equal(
	    server_start(&ctx, &mine, dir, 0, &other, &err), HF_E_NOTFOUND);
	assert_non_null(strstr(err.cause, "no_such_user"));
	assert_non_null(strstr(error_get(&err, "hint"), "run_as"));
	mine.run_as = "root";
	assert_int_equal(
	    server_start(&ctx, &mine, dir, 0, &other, &err), HF_E_INVALID);
}

static bool
gone_within(pid_t pid, int ms)
{
	for (; ms > 0; ms -= 50) {
		if (kill(pid, 0) != 0 && errno == ESRCH)
			return true;
		(void)usleep(50000);
	}
	return false;
}

/* What a child says that is then killed: the server's process id and folder,
 * below /var/tmp as for root. */
static void
start_and_tell(int fd)
{
	struct server *s;
	PGresult *res;
	PGconn *pg;

	if (server_start(&ctx, &conf, "/var/tmp", 0, &s, &err) != HF_OK)
		_exit(1);
	pg = PQconnectdb(server_conninfo(s));
	res =
	    PQexec(pg, "SELECT pg_read_file('postmaster.pid', 0, 8) || ' ' || "
		       "current_setting('data_directory')");
	if (write(fd, PQgetvalue(res, 0, 0),
		strlen(PQgetvalue(res, 0, 0)) + 1) < 0)
		_exit(1);
	(void)pause();
}

static void
a_server_ends_with_a_killed_holder_and_the_next_start_clears_up(void **state)
{
	char said[600] = "", *folder;
	struct stat st;
	pid_t child, postmaster;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	if ((child = fork()) == 0) {
		start_and_tell(fds[1]);
		_exit(1);
	}
	(void)close(fds[1]);
	assert_true(read(fds[0], said, sizeof said - 1) > 0);
	(void)close(fds[0]);
	postmaster = (pid_t)strtol(said, &folder, 10);
	folder = strstr(folder, "/var/tmp/");
	assert_non_null(folder);
	*strrchr(folder, '/') = '\0';
	assert_int_equal(stat(folder, &st), 0);

	home_sweep("/var/tmp", conf.run_as);
	assert_int_equal(stat(folder, &st), 0); /* it is in use */
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(gone_within(postmaster, 10000));
	assert_int_equal(stat(folder, &st), 0);
	home_sweep("/var/tmp", conf.run_as);
	assert_int_equal(stat(folder, &st), -1);
}

/* ---- scratch, inspect, query, discard ---- */

static void
a_scratch_place_is_a_server_that_goes_when_it_is_discarded(void **state)
{
	struct hf_engine e = { .ctx = &ctx, .conf = conf };
	char target[1024], value[64], *json;
	struct memout *m = memout_new();
	struct told all = { 0 };
	struct server *main_server = server;
	size_t len;

	(void)state;
	make_contents();
	e.conf.conninfo = "host=/nowhere hostaddr='' dbname=shop "
			  "sslmode=verify-full options='-c geqo=off'";
	must(inspect_scratch(&e, dir, target, sizeof target, &err));
	server = e.server;
	(void)ask("postgres", "CREATE DATABASE shop");
	(void)ask("shop", schema);
	server = main_server;

	must(contents_write(&contents, &json, &len, &err));
	memout_add(m, "contents.json", json, len);
	free(json);
	must(inspect_target(&e, target, memout_in(m), collect, &all, &err));
	has(&all, "row counts=pass: 1100 rows in 4 tables");
	must(inspect_target(&e, target, NULL, collect, &all, &err));
	has(&all, "amcheck=pass: shop: ");

	must(inspect_query(
	    &e, target, "SELECT count(*) FROM t", value, sizeof value, &err));
	assert_string_equal(value, "1000");
	assert_int_equal(
	    inspect_query(&e, target, "SELECT 1 FROM t WHERE false", value,
		sizeof value, &err),
	    HF_E_NOTFOUND);
	assert_true(inspect_query(&e, target, "DELETE FROM t RETURNING a",
			value, sizeof value, &err) < 0);
	assert_true(inspect_query(&e, target, "COMMIT; DROP TABLE t", value,
			sizeof value, &err) < 0);
	must(inspect_query(
	    &e, target, "SELECT count(*) FROM t", value, sizeof value, &err));
	assert_string_equal(value, "1000");

	inspect_discard(&e, target);
	assert_null(e.server);
	assert_int_equal(inspect_query(&e, target, "SELECT 1", value,
			     sizeof value, &err) < 0,
	    1);
	memout_free(m);
}

static void
a_throw_away_database_is_dropped_and_no_other(void **state)
{
	static const char *const two[] = { "a", "b", NULL };
	struct hf_engine e = { .ctx = &ctx, .conf = conf };
	char text[512], target[1024], other[600], *name, sql[200];

	(void)state;
	(void)snprintf(text, sizeof text, "%s", server_conninfo(server));
	e.conf.conninfo = "host=/nowhere user=nobody";
	e.conf.scratch = text;
	must(inspect_scratch(&e, dir, target, sizeof target, &err));
	assert_null(e.server);
	name = strstr(target, "holdfast_scratch_");
	assert_non_null(name);
	(void)snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
	(void)ask("postgres", sql);

	(void)snprintf(other, sizeof other, "%s dbname=shop", text);
	inspect_discard(&e, other);
	inspect_discard(&e, target);
	assert_string_equal(
	    ask("postgres", "SELECT string_agg(datname, ',' ORDER BY 1) "
			    "FROM pg_database WHERE NOT datistemplate"),
	    "postgres,shop");

	e.conf.databases = two;
	assert_int_equal(inspect_scratch(&e, dir, target, sizeof target, &err),
	    HF_E_INVALID);
}

static int
start(void **state)
{
	struct program program;

	(void)state;
	H = &host_table;
	if (program_find(&conf, "postgres", 0, &program, &err) != HF_OK) {
		(void)fprintf(
		    stderr, "no PostgreSQL server here: %s\n", err.cause);
		exit(77);
	}
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	must(server_start(&ctx, &conf, dir, 0, &server, &err));
	(void)ask("postgres", "CREATE ROLE reader LOGIN");
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	server_stop(server);
	assert_int_equal(rmdir(dir), 0); /* nothing is left in it */
	return 0;
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, make_database)
	const struct CMUnitTest tests[] = {
		TEST(a_whole_database_passes_and_is_left_as_it_was),
		TEST(rows_that_are_missing_are_named_with_both_numbers),
		TEST(a_table_that_is_missing_is_named),
		TEST(rows_may_move_between_partitions_but_not_get_lost),
		TEST(an_extension_may_have_rows_of_its_own),
		TEST(
		    an_invalid_index_fails_and_an_unvalidated_constraint_warns),
		TEST(what_a_role_may_not_count_is_a_warning),
		TEST(amcheck_finds_a_wrong_index_and_a_wrong_table),
		TEST(names_without_an_encoding_are_told_in_utf8),
		TEST(a_finding_can_stop_the_checks),
		TEST(a_lost_connection_is_a_failure_and_no_finding),
		TEST(a_cancelled_check_ends_at_once),
		TEST(doctor_passes_a_superuser),
		TEST(doctor_names_what_a_role_may_not_read_and_its_sql_helps),
		TEST(doctor_only_warns_of_what_a_selection_may_leave_out),
		TEST(doctor_names_locks_and_foreign_tables_and_every_database),
		TEST(doctor_counts_the_connections_that_are_left),
		TEST(a_private_server_has_no_port_and_a_closed_folder),
		TEST(a_deep_folder_still_has_a_server_and_none_when_it_stopped),
		TEST(a_start_that_is_cancelled_leaves_nothing),
		TEST(a_user_that_is_missing_is_named),
		TEST(
		    a_server_ends_with_a_killed_holder_and_the_next_start_clears_up),
		TEST(
		    a_scratch_place_is_a_server_that_goes_when_it_is_discarded),
		TEST(a_throw_away_database_is_dropped_and_no_other),
	};

	return skipped_exit(cmocka_run_group_tests(tests, start, stop));
}
