/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection, against a real server: what fails is told as what it is, and
 * what is cancelled ends on the server too. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cancel.h"
#include "base/error.h"
#include "conn.h"
#include "conninfo.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "sqlstate.h"
#include "support/pgkit.h"
#include "text.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECRET "s3cr3t-word"

static struct pgkit kit;
static struct cancel cancel;
static struct hf_ctx ctx = { .who = "test", .cancel = &cancel };
static struct hf_error err;

static int
open_as(const char *conninfo, const char *password, const char *encoding,
    struct conn **c)
{
	struct conf conf = { .conninfo = conninfo, .password = password };
	struct conninfo *info;
	int rc;

	error_clear(&err);
	assert_int_equal(conninfo_source(&conf, &info, &err), HF_OK);
	rc = conn_open(&ctx, info, NULL, encoding, c, &err);
	conninfo_free(info);
	return rc;
}

static struct conn *
open_db(const char *dbname)
{
	struct conn *c;

	if (open_as(pgkit_conninfo(&kit, dbname), NULL, NULL, &c) != HF_OK)
		fail_msg("%s", err.cause);
	return c;
}

static void
ok(int rc)
{
	if (rc != HF_OK)
		fail_msg("%d: %s", rc, err.cause);
}

static void
error_has(const char *text)
{
	if (strstr(err.cause, text) == NULL)
		fail_msg("\"%s\" has no \"%s\"", err.cause, text);
}

static void
no_secret(void)
{
	int i;

	assert_null(strstr(err.cause, SECRET));
	for (i = 0; i < err.nnotes; i++)
		assert_null(strstr(err.notes[i].value, SECRET));
}

/* Connecting fails with this status, says this, and has a hint. */
static void
refused(
    const char *conninfo, const char *password, int status, const char *text)
{
	struct conn *c;
	int rc = open_as(conninfo, password, NULL, &c);

	if (rc != status)
		fail_msg("%d instead of %d: %s", rc, status, err.cause);
	assert_null(c);
	error_has(text);
	assert_non_null(error_get(&err, "hint"));
	no_secret();
}

static const char *
as(const char *rest)
{
	static char text[256];

	(void)snprintf(
	    text, sizeof text, "host=127.0.0.1 port=%d %s", kit.port, rest);
	return text;
}

static void
each_refusal_has_its_own_words(void **state)
{
	(void)state;
	pgkit_sql(&kit, "postgres", "CREATE ROLE locked LOGIN PASSWORD 'x'");
	pgkit_sql(&kit, "postgres", "CREATE ROLE group_only");
	pgkit_sql(&kit, "postgres", "CREATE DATABASE closed");
	pgkit_sql(
	    &kit, "postgres", "REVOKE CONNECT ON DATABASE closed FROM PUBLIC");
	pgkit_sql(
	    &kit, "postgres", "CREATE ROLE single LOGIN CONNECTION LIMIT 0");
	pgkit_reload(&kit, "local all postgres trust\n"
			   "host all locked all scram-sha-256\n"
			   "host all nobody_may all reject\n"
			   "host postgres,closed,none all all trust\n");
	refused(as("user=locked dbname=postgres"), SECRET, HF_E_DENIED,
	    "wrong password");
	assert_string_equal(error_get(&err, "sqlstate"), "28P01");
	refused(as("user=locked dbname=postgres"), NULL, HF_E_DENIED,
	    "asks for a password");
	refused(as("user=missing dbname=postgres"), SECRET, HF_E_DENIED,
	    "no such role");
	refused(as("user=group_only dbname=postgres"), SECRET, HF_E_DENIED,
	    "may not log in");
	refused(as("user=postgres dbname=template1"), SECRET, HF_E_DENIED,
	    "pg_hba.conf");
	refused(as("user=nobody_may dbname=postgres"), SECRET, HF_E_DENIED,
	    "pg_hba.conf");
	refused(as("user=postgres dbname=none"), SECRET, HF_E_NOTFOUND,
	    "no such database");
	refused(as("user=locked dbname=closed"), "x", HF_E_DENIED,
	    "may not connect to this database");
	refused(as("user=single dbname=postgres"), SECRET, HF_E_TRANSIENT,
	    "too many connections");
	refused(as("user=postgres dbname=postgres sslmode=require"), SECRET,
	    HF_E_UNSUPPORTED, "TLS");
	refused("host=127.0.0.1 port=1 user=a", SECRET, HF_E_TRANSIENT,
	    "no server there");
	refused(
	    "host=/nowhere user=a", SECRET, HF_E_TRANSIENT, "no server there");
	refused("service=none", SECRET, HF_E_NOTFOUND, "no such service");
	pgkit_reload(&kit, "local all all trust\nhost all all all trust\n");
}

/* Where there is no DNS, nobody can say that a name is unknown. */
static void
an_unknown_host_is_told_from_a_dns_that_is_away(void **state)
{
	static const char failed[] = "could not translate host name "
				     "\"db.invalid\" to address: ";
	struct sqlstate_refusal why;
	char text[256];
	struct conn *c;
	int rc;

	(void)state;
	(void)snprintf(
	    text, sizeof text, "%sName or service not known", failed);
	why = sqlstate_refusal("", text);
	assert_int_equal(why.status, HF_E_IO);
	assert_string_equal(why.what, "unknown host");
	(void)snprintf(text, sizeof text,
	    "%sTemporary failure in name resolution", failed);
	why = sqlstate_refusal("", text);
	assert_int_equal(why.status, HF_E_TRANSIENT);
	rc = open_as("host=db.invalid user=a", NULL, NULL, &c);
	if (rc == HF_E_IO)
		error_has("unknown host");
	else if (rc == HF_E_TRANSIENT)
		error_has("cannot be looked up");
	else
		fail_msg("%d: %s", rc, err.cause);
	assert_null(c);
}

static void
the_server_too_finds_that_the_network_is_dead(void **state)
{
	static const char query[] =
	    "SELECT concat_ws(' ', current_setting('tcp_keepalives_idle'),"
	    " current_setting('tcp_keepalives_interval'),"
	    " current_setting('tcp_keepalives_count'))";
	struct conn *c;
	char *s;

	(void)state;
	ok(open_as(as("user=postgres dbname=postgres keepalives_idle=41 "
		      "keepalives_interval=7"),
	    NULL, NULL, &c));
	ok(conn_value(c, &s, &err, query));
	assert_string_equal(s, "41 7 3");
	free(s);
	/* A slow sink is not a dead network. */
	ok(conn_value(c, &s, &err, "SHOW tcp_user_timeout"));
	assert_string_equal(s, "0");
	free(s);
	conn_close(c);
	ok(open_as(as("user=postgres dbname=postgres keepalives=0 "
		      "keepalives_idle=41"),
	    NULL, NULL, &c));
	ok(conn_value(c, &s, &err, query));
	assert_null(strstr(s, "41"));
	free(s);
	conn_close(c);
}

static void
the_session_is_predictable(void **state)
{
	struct conn *c;
	char *s;

	(void)state;
	pgkit_sql(&kit, "postgres",
	    "CREATE ROLE odd LOGIN SUPERUSER;"
	    "ALTER ROLE odd SET search_path = public;"
	    "ALTER ROLE odd SET statement_timeout = '200ms';"
	    "ALTER ROLE odd SET datestyle = 'SQL, DMY';"
	    "ALTER ROLE odd SET client_encoding = 'LATIN1'");
	ok(open_as(as("user=odd dbname=postgres"), NULL, NULL, &c));
	assert_true(c->superuser);
	assert_int_equal(c->version / 10000, kit.version);
	assert_non_null(strstr(c->label, "database postgres on 127.0.0.1:"));
	ok(conn_value(c, &s, &err,
	    "SELECT concat_ws('|', current_setting('search_path'),"
	    " current_setting('statement_timeout'),"
	    " current_setting('datestyle'), current_setting('client_encoding'),"
	    " current_setting('extra_float_digits'))"));
	assert_string_equal(s, "|0|ISO, DMY|UTF8|3");
	free(s);
	conn_close(c);
	ok(open_as(as("user=odd dbname=postgres"), NULL, "LATIN2", &c));
	ok(conn_value(c, &s, &err, "SHOW client_encoding"));
	assert_string_equal(s, "LATIN2");
	free(s);
	conn_close(c);
	assert_int_equal(
	    open_as(as("user=odd dbname=postgres"), NULL, "KLINGON", &c),
	    HF_E_INVALID);
	error_has("KLINGON");
}

static void
a_failed_statement_leaves_the_connection_usable(void **state)
{
	struct conn *c = open_db("postgres");
	PGresult *res;
	char *s;

	(void)state;
	assert_int_equal(
	    conn_exec(c, &err, "SELECT 1; SELECT * FROM nowhere.t; SELECT 2"),
	    HF_E_NOTFOUND);
	assert_string_equal(conn_sqlstate(c), "42P01");
	assert_string_equal(error_get(&err, "sqlstate"), "42P01");
	error_has(c->label);
	assert_int_equal(conn_queryf(c, &res, &err, "SELECT %d/0", 1), HF_E_IO);
	assert_null(res);
	assert_int_equal(
	    conn_exec(c, &err, "COPY (SELECT 1) TO STDOUT"), HF_E_BUG);
	assert_int_equal(conn_copy_begin(c, &err, "SELECT 1"), HF_E_BUG);
	ok(conn_value(c, &s, &err, "SELECT 3"));
	assert_string_equal(s, "3");
	free(s);
	ok(conn_value(c, &s, &err, "SELECT 3 WHERE false"));
	assert_null(s);
	conn_close(c);
}

static void
odd_names_come_back_as_they_are(void **state)
{
	static const char *const names[] = { "a\"b", "it's", "back\\slash",
		"two\nlines", "Ünïcode €", "a; DROP TABLE x; --", "\"", "'\\'",
		"$$", " ", "tab\t" };
	struct conn *c = open_db("postgres");
	struct text t = { 0 };
	const char *params[2];
	PGresult *res;
	size_t i;
	char *s;

	(void)state;
	ok(conn_exec(c, &err, "CREATE SCHEMA odd"));
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		text_reset(&t);
		text_add(&t, "CREATE TABLE odd.");
		text_add_ident(&t, names[i]);
		text_add(
		    &t, "(); SELECT relname FROM pg_class WHERE relname = ");
		text_add_literal(&t, names[i]);
		ok(conn_value(c, &s, &err, text_get(&t)));
		assert_non_null(s);
		assert_string_equal(s, names[i]);
		free(s);
		params[0] = names[i];
		params[1] = NULL;
		ok(conn_query_params(c, &res, &err,
		    "SELECT count(*), $2::text IS NULL FROM pg_class "
		    "WHERE relname = $1",
		    2, params));
		assert_string_equal(PQgetvalue(res, 0, 0), "1");
		assert_string_equal(PQgetvalue(res, 0, 1), "t");
		PQclear(res);
	}
	text_free(&t);
	conn_close(c);
}

/* ---- COPY ---- */

static void
rows_are_counted_by_the_server(void **state)
{
	struct conn *c = open_db("postgres");
	int64_t rows = -1, n = 0;
	size_t len;
	char *row;
	int rc;

	(void)state;
	ok(conn_copy_begin(c, &err,
	    "COPY (SELECT i, repeat('x', i % 3000) "
	    "FROM generate_series(1, 20000) i) TO STDOUT"));
	while ((rc = conn_copy_read(c, &row, &len, &rows, &err)) == HF_OK) {
		assert_int_equal(row[len - 1], '\n');
		PQfreemem(row);
		n++;
	}
	assert_int_equal(rc, HF_EOF);
	assert_int_equal(n, 20000);
	assert_int_equal(rows, 20000);
	/* None is not one that has ended. */
	assert_int_equal(conn_copy_read(c, &row, &len, &rows, &err), HF_E_IO);
	ok(conn_exec(c, &err, "CREATE TEMP TABLE t (i int, s text)"));
	ok(conn_copy_begin(c, &err, "COPY t FROM STDIN"));
	for (n = 0; n < 1000; n++)
		ok(conn_copy_write(c, "7\tseven\n8\teight\n", 16, &err));
	ok(conn_copy_end(c, NULL, &rows, &err));
	assert_int_equal(rows, 2000);
	ok(conn_copy_begin(c, &err, "COPY t FROM STDIN"));
	ok(conn_copy_write(c, "9\tnine\n", 7, &err));
	ok(conn_copy_end(c, "no more", &rows, &err));
	ok(conn_value(c, &row, &err, "SELECT count(*) FROM t"));
	assert_string_equal(row, "2000");
	free(row);
	conn_close(c);
}

static void
kill_backend(int pid)
{
	char sql[128];

	(void)snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d)", pid);
	pgkit_sql(&kit, "postgres", sql);
}

static void
lost_connection_is_never_a_short_copy(void **state)
{
	struct conn *c = open_db("postgres");
	int64_t rows = -1, n = 0;
	size_t len;
	char *row;
	int rc;

	(void)state;
	ok(conn_copy_begin(c, &err,
	    "COPY (SELECT i, repeat('x', 100) "
	    "FROM generate_series(1, 3000000) i) TO STDOUT"));
	while ((rc = conn_copy_read(c, &row, &len, &rows, &err)) == HF_OK) {
		PQfreemem(row);
		if (++n == 1000)
			kill_backend(PQbackendPID(c->pg));
	}
	assert_true(n >= 1000 && n < 3000000);
	assert_int_equal(rc, HF_E_IO);
	assert_int_equal(rows, -1);
	assert_true(conn_sqlstate(c)[0] != '\0');
	assert_int_equal(conn_exec(c, &err, "SELECT 1"), HF_E_IO);
	conn_close(c);
}

static void
an_error_in_mid_copy_in_is_found_early(void **state)
{
	struct conn *c = open_db("postgres");
	static char block[65536];
	struct timespec nap = { 0, 1000000 };
	int64_t rows = -1;
	int i, rc = HF_OK;
	char *s;

	(void)state;
	for (i = 0; i + 2 <= (int)sizeof block; i += 2)
		memcpy(block + i, "7\n", 2);
	ok(conn_exec(c, &err, "CREATE TEMP TABLE n (i int)"));
	ok(conn_copy_begin(c, &err, "COPY n FROM STDIN"));
	ok(conn_copy_write(c, "1\nseven\n", 8, &err));
	for (i = 0; i < 60000 && rc == HF_OK; i++) {
		rc = conn_copy_write(c, block, sizeof block, &err);
		(void)nanosleep(&nap, NULL);
	}
	assert_int_equal(rc, HF_E_IO);
	error_has("seven");
	assert_non_null(strstr(error_get(&err, "where"), "line 2"));
	assert_int_equal(conn_copy_end(c, "over", NULL, &err), HF_OK);
	/* And one that is seen only at the end. */
	ok(conn_copy_begin(c, &err, "COPY n FROM STDIN"));
	ok(conn_copy_write(c, "eight\n", 6, &err));
	assert_int_equal(conn_copy_end(c, NULL, &rows, &err), HF_E_IO);
	error_has("eight");
	assert_int_equal(rows, -1);
	ok(conn_value(c, &s, &err, "SELECT count(*) FROM n"));
	assert_string_equal(s, "0");
	free(s);
	conn_close(c);
}

static void
notices_do_not_end_a_copy_in(void **state)
{
	struct conn *c = open_db("postgres");
	const struct timespec nap = { 0, 50000000 };
	int64_t rows;
	int i;

	(void)state;
	ok(conn_exec(c, &err,
	    "CREATE FUNCTION pg_temp.loud(int) RETURNS bool LANGUAGE plpgsql "
	    "AS $$ BEGIN RAISE WARNING 'row %', $1; RETURN true; END $$;"
	    "CREATE TEMP TABLE loud (i int CHECK (pg_temp.loud(i)))"));
	ok(conn_copy_begin(c, &err, "COPY loud FROM STDIN"));
	for (i = 0; i < 60; i++) {
		ok(conn_copy_write(c, "1\n2\n3\n", 6, &err));
		(void)nanosleep(&nap, NULL);
	}
	ok(conn_copy_end(c, NULL, &rows, &err));
	assert_int_equal(rows, 180);
	conn_close(c);
}

static void
a_backend_that_ends_during_copy_in_is_a_failure(void **state)
{
	struct conn *c = open_db("postgres");
	static char block[65536];
	int i, rc = HF_OK;

	(void)state;
	memset(block, '\n', sizeof block);
	ok(conn_exec(c, &err, "CREATE TEMP TABLE n (s text)"));
	ok(conn_copy_begin(c, &err, "COPY n FROM STDIN"));
	ok(conn_copy_write(c, block, sizeof block, &err));
	kill_backend(PQbackendPID(c->pg));
	for (i = 0; i < 10000 && rc == HF_OK; i++)
		rc = conn_copy_write(c, block, sizeof block, &err);
	assert_int_equal(rc, HF_E_IO);
	conn_close(c);
}

/* ---- ending ---- */

static void *
cancel_soon(void *arg)
{
	const struct timespec nap = { 0, 300000000 };

	(void)nanosleep(&nap, NULL);
	if (arg == NULL)
		cancel_request(&cancel);
	else
		atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void
a_wait_ends_on_the_server_too(struct conn *c, atomic_bool *stop)
{
	struct conn *holder = open_db("postgres");
	pthread_t thread;
	time_t begun = time(NULL);

	c->stop = stop;
	ok(conn_exec(
	    c, &err, "CREATE TABLE IF NOT EXISTS public.held (i int)"));
	ok(conn_exec(holder, &err, "BEGIN; LOCK public.held"));
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, stop), 0);
	assert_int_equal(
	    conn_exec(c, &err, "SELECT * FROM public.held"), HF_E_CANCELLED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(time(NULL) - begun < 5);
	pgkit_until(&kit, "postgres",
	    "SELECT count(*) = 0 FROM pg_stat_activity "
	    "WHERE wait_event_type = 'Lock'");
	assert_int_equal(PQtransactionStatus(c->pg), PQTRANS_IDLE);
	cancel = (struct cancel){ 0 };
	conn_close(holder);
}

static void
a_cancelled_wait_ends_on_the_server_too(void **state)
{
	struct conn *c = open_db("postgres");
	atomic_bool stop = false;

	(void)state;
	a_wait_ends_on_the_server_too(c, NULL);
	ok(conn_exec(c, &err, "SELECT 1"));
	a_wait_ends_on_the_server_too(c, &stop);
	atomic_store(&stop, false);
	ok(conn_exec(c, &err, "SELECT 1"));
	conn_close(c);
}

static void
a_cancelled_copy_ends_on_the_server_too(void **state)
{
	struct conn *c = open_db("postgres");
	atomic_bool stop = false;
	size_t len;
	char *row;
	int rc, n = 0;

	(void)state;
	c->stop = &stop;
	ok(conn_copy_begin(c, &err,
	    "COPY (SELECT i FROM generate_series(1, 50000000) i) TO STDOUT"));
	while ((rc = conn_copy_read(c, &row, &len, NULL, &err)) == HF_OK) {
		PQfreemem(row);
		if (++n == 5)
			atomic_store(&stop, true);
	}
	assert_int_equal(rc, HF_E_CANCELLED);
	assert_true(n < 50000);
	atomic_store(&stop, false);
	ok(conn_exec(c, &err, "CREATE TEMP TABLE n (i int)"));
	ok(conn_copy_begin(c, &err, "COPY n FROM STDIN"));
	ok(conn_copy_write(c, "1\n", 2, &err));
	atomic_store(&stop, true);
	assert_int_equal(conn_copy_write(c, "1\n", 2, &err), HF_E_CANCELLED);
	atomic_store(&stop, false);
	ok(conn_exec(c, &err, "SELECT 1"));
	/* Closing ends what still runs. */
	ok(conn_copy_begin(c, &err,
	    "COPY (SELECT repeat('x', 9999), pg_sleep(0.01) "
	    "FROM generate_series(1, 100000)) TO STDOUT"));
	conn_close(c);
	pgkit_until(&kit, "postgres",
	    "SELECT count(*) = 0 FROM pg_stat_activity "
	    "WHERE query LIKE 'COPY (SELECT repeat%' AND state = 'active'");
}

static void
a_lock_timeout_is_told(void **state)
{
	struct conn *holder = open_db("postgres"), *c = open_db("postgres");

	(void)state;
	ok(conn_exec(holder, &err, "CREATE TABLE public.busy ()"));
	ok(conn_exec(holder, &err, "BEGIN; LOCK public.busy"));
	ok(conn_exec(c, &err, "SET lock_timeout = '200ms'"));
	assert_int_equal(
	    conn_exec(c, &err, "SELECT FROM public.busy"), HF_E_IO);
	assert_string_equal(conn_sqlstate(c), "55P03");
	error_has("lock timeout");
	assert_non_null(strstr(error_get(&err, "hint"), "lock_timeout"));
	conn_close(c);
	conn_close(holder);
}

static void
a_crash_of_the_server_is_a_failure(void **state)
{
	struct conn *c = open_db("postgres");
	size_t len;
	char *row;
	int rc;

	(void)state;
	ok(conn_copy_begin(c, &err,
	    "COPY (SELECT i FROM generate_series(1, 50000000) i) TO STDOUT"));
	ok(conn_copy_read(c, &row, &len, NULL, &err));
	PQfreemem(row);
	pgkit_halt(&kit, SIGQUIT);
	while ((rc = conn_copy_read(c, &row, &len, NULL, &err)) == HF_OK)
		PQfreemem(row);
	assert_int_equal(rc, HF_E_IO);
	conn_close(c);
	refused(pgkit_conninfo(&kit, "postgres"), SECRET, HF_E_TRANSIENT,
	    "no server there");
	pgkit_resume(&kit);
}

static void
statuses_follow_the_table(void **state)
{
	(void)state;
	assert_int_equal(conn_status("42501"), HF_E_DENIED);
	assert_int_equal(conn_status("28P01"), HF_E_DENIED);
	assert_int_equal(conn_status("3D000"), HF_E_NOTFOUND);
	assert_int_equal(conn_status("42P04"), HF_E_EXISTS);
	assert_int_equal(conn_status("53100"), HF_E_NOSPACE);
	assert_int_equal(conn_status("53200"), HF_E_IO);
	assert_int_equal(conn_status("53300"), HF_E_TRANSIENT);
	assert_int_equal(conn_status("55P03"), HF_E_IO);
	assert_int_equal(conn_status("57P01"), HF_E_IO);
	assert_int_equal(conn_status("08006"), HF_E_IO);
	assert_int_equal(conn_status("22P05"), HF_E_INVALID);
	assert_int_equal(conn_status("XX001"), HF_E_CORRUPT);
	assert_int_equal(conn_status(""), HF_E_IO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_refusal_has_its_own_words),
		cmocka_unit_test(
		    an_unknown_host_is_told_from_a_dns_that_is_away),
		cmocka_unit_test(the_server_too_finds_that_the_network_is_dead),
		cmocka_unit_test(the_session_is_predictable),
		cmocka_unit_test(
		    a_failed_statement_leaves_the_connection_usable),
		cmocka_unit_test(odd_names_come_back_as_they_are),
		cmocka_unit_test(rows_are_counted_by_the_server),
		cmocka_unit_test(lost_connection_is_never_a_short_copy),
		cmocka_unit_test(an_error_in_mid_copy_in_is_found_early),
		cmocka_unit_test(notices_do_not_end_a_copy_in),
		cmocka_unit_test(
		    a_backend_that_ends_during_copy_in_is_a_failure),
		cmocka_unit_test(a_cancelled_wait_ends_on_the_server_too),
		cmocka_unit_test(a_cancelled_copy_ends_on_the_server_too),
		cmocka_unit_test(a_lock_timeout_is_told),
		cmocka_unit_test(a_crash_of_the_server_is_a_failure),
		cmocka_unit_test(statuses_follow_the_table),
	};
	int rc;

	H = &host_table;
	if (pgkit_start(&kit) == 77)
		return 77;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	pgkit_stop(&kit);
	return rc;
}
