/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a server is: what psql accepts, and a password that nobody sees. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/error.h"
#include "conninfo.h"
#include "plugin/host.h"
#include "postgres.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET "s3cr3t"

static struct conninfo *
source(const char *conninfo, const char *password)
{
	struct conf conf = { .conninfo = conninfo, .password = password };
	struct hf_error err = { 0 };
	struct conninfo *c;

	if (conninfo_source(&conf, &c, &err) != HF_OK)
		fail_msg("%s", err.cause);
	return c;
}

static struct conninfo *
target(const char *conninfo, const char *to)
{
	struct conf conf = { .conninfo = conninfo, .password = SECRET };
	struct hf_error err = { 0 };
	struct conninfo *c;

	if (conninfo_target(&conf, to, &c, &err) != HF_OK)
		fail_msg("%s", err.cause);
	return c;
}

static void
has(const struct conninfo *c, const char *keyword, const char *value)
{
	const char *v = conninfo_get(c, keyword);

	if (value == NULL)
		assert_null(v);
	else if (v == NULL)
		fail_msg("%s is not set", keyword);
	else
		assert_string_equal(v, value);
}

static void
keywords_and_uris_are_read(void **state)
{
	struct conninfo *c;

	(void)state;
	c = source("host=db port=5433 dbname='my shop'", NULL);
	has(c, "host", "db");
	has(c, "port", "5433");
	has(c, "dbname", "my shop");
	has(c, "user", NULL);
	conninfo_free(c);
	c = source(
	    "postgresql://me:p%40ss@[::1]:5434/shop?sslmode=require", NULL);
	has(c, "host", "::1");
	has(c, "password", "p@ss");
	has(c, "sslmode", "require");
	conninfo_free(c);
	c = source(NULL, SECRET);
	has(c, "host", NULL);
	has(c, "password", SECRET);
	conninfo_free(c);
}

static void
defaults_stand_where_the_user_says_nothing(void **state)
{
	struct conninfo *c = source("connect_timeout=7", NULL);

	(void)state;
	has(c, "connect_timeout", "7");
	has(c, "keepalives_idle", "30");
	has(c, "keepalives_interval", "10");
	has(c, "keepalives_count", "3");
	has(c, "tcp_user_timeout", "120000");
	has(c, "fallback_application_name", "holdfast");
	conninfo_free(c);
	assert_int_equal(setenv("PGCONNECT_TIMEOUT", "9", 1), 0);
	c = source(NULL, NULL);
	has(c, "connect_timeout", NULL);
	conninfo_free(c);
	(void)unsetenv("PGCONNECT_TIMEOUT");
	c = source(NULL, NULL);
	has(c, "connect_timeout", "30");
	conninfo_free(c);
}

static void
a_service_wins_over_defaults(void **state)
{
	char path[] = "/tmp/hf-service-XXXXXX";
	int fd = mkstemp(path);
	struct conninfo *c;

	(void)state;
	assert_true(fd != -1);
	assert_true(dprintf(fd, "[far]\nhost=db\nkeepalives_idle=99\n") > 0);
	(void)close(fd);
	assert_int_equal(setenv("PGSERVICEFILE", path, 1), 0);
	c = source("service=far", NULL);
	has(c, "keepalives_idle", NULL);
	has(c, "keepalives_count", "3");
	conninfo_free(c);
	(void)unsetenv("PGSERVICEFILE");
	(void)unlink(path);
}

static void
text_is_quoted_and_has_no_secret(void **state)
{
	struct conninfo *c = source("dbname=x password=" SECRET, NULL);
	struct conninfo *again;
	char *text;

	(void)state;
	assert_int_equal(conninfo_set(c, "sslpassword", SECRET, NULL), 0);
	/* Everything that needs a backslash. */
	assert_int_equal(conninfo_set(c, "dbname", "a 'b' \\c\n=d", NULL), 0);
	assert_non_null(text = conninfo_text(c, NULL));
	assert_null(strstr(text, SECRET));
	assert_null(strstr(text, "password"));
	again = source(text, NULL);
	has(again, "dbname", "a 'b' \\c\n=d");
	conninfo_free(again);
	free(text);
	conninfo_free(c);
}

static void
errors_name_the_keyword_and_no_value(void **state)
{
	static const char *const bad[] = {
		"password=" SECRET " hots=db",
		"host=db password=abc " SECRET,
		"host=db password=abc " SECRET "=1",
		"host=db password='" SECRET,
		SECRET,
		"postgresql://me:" SECRET "@db:x y/shop?a",
		"postgresql://me:" SECRET "@db/?password",
		"postgresql://me:%zz" SECRET "@db/",
		"postgresql://me:" SECRET "@[::1/",
	};
	struct hf_error err = { 0 };
	struct conninfo *c;
	size_t i;
	int k;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct conf conf = { .conninfo = bad[i] };

		assert_int_equal(
		    conninfo_source(&conf, &c, &err), HF_E_INVALID);
		assert_null(strstr(err.cause, SECRET));
		assert_null(strstr(err.cause, "s3cr"));
		for (k = 0; k < err.nnotes; k++)
			assert_null(strstr(err.notes[k].value, SECRET));
	}
	struct conf conf = { .conninfo = "hots=db password=" SECRET };
	assert_int_equal(conninfo_source(&conf, &c, &err), HF_E_INVALID);
	assert_non_null(strstr(err.cause, "\"hots\""));
	/* A word behind a password may be the rest of it. */
	conf.conninfo = "host=db password=correct horse=battery";
	assert_int_equal(conninfo_source(&conf, &c, &err), HF_E_INVALID);
	assert_null(strstr(err.cause, "horse"));
}

static void
a_secret_that_programs_cannot_get_is_refused(void **state)
{
	static const char text[] = "host=db password=x sslkey=/k sslpassword="
				   "'" SECRET "'";
	struct conf conf = { .conninfo = text }, plain = { .conninfo = "" };
	struct hf_error err = { 0 };
	struct conninfo *c;

	(void)state;
	assert_int_equal(conninfo_source(&conf, &c, &err), HF_E_INVALID);
	assert_null(c);
	assert_non_null(strstr(err.cause, "sslpassword"));
	assert_null(strstr(err.cause, SECRET));
	assert_non_null(strstr(error_get(&err, "hint"), "service="));
	assert_int_equal(conninfo_target(&plain, text, &c, &err), HF_E_INVALID);
	assert_null(c);
}

static void
a_target_is_laid_over_the_source(void **state)
{
	static const char from[] = "host=db port=5433 user=me dbname=shop "
				   "sslmode=require";
	struct conninfo *c;

	(void)state;
	c = target(from, NULL);
	has(c, "dbname", "shop");
	has(c, "password", SECRET);
	conninfo_free(c);
	c = target(from, "copy");
	has(c, "dbname", "copy");
	has(c, "host", "db");
	has(c, "password", SECRET);
	conninfo_free(c);
	c = target(from, "dbname=copy sslmode=prefer");
	has(c, "dbname", "copy");
	has(c, "port", "5433");
	has(c, "sslmode", "prefer");
	has(c, "password", SECRET);
	conninfo_free(c);
	c = target(from, "host=db port=5433");
	has(c, "dbname", NULL);
	has(c, "password", SECRET);
	conninfo_free(c);
}

static void
the_password_goes_to_no_other_server_or_user(void **state)
{
	static const char *const other[] = {
		"host=elsewhere",
		"port=5499",
		"user=you",
		"hostaddr=10.0.0.1",
		"service=far",
		"postgresql://elsewhere/x",
		"postgresql://you@db:5433/x",
		"host=db,elsewhere",
	};
	static const char from[] = "host=db port=5433 user=me";
	struct conninfo *c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof other / sizeof *other; i++) {
		c = target(from, other[i]);
		has(c, "password", NULL);
		conninfo_free(c);
	}
	c = target(from, "host=elsewhere password=own");
	has(c, "password", "own");
	conninfo_free(c);
}

static void
an_address_of_the_source_is_not_the_targets(void **state)
{
	struct conninfo *c =
	    target("host=db hostaddr=10.0.0.1", "host=elsewhere");

	(void)state;
	has(c, "host", "elsewhere");
	has(c, "hostaddr", NULL);
	conninfo_free(c);
}

static bool
in_env(char **env, const char *entry)
{
	for (; *env != NULL; env++)
		if (strcmp(*env, entry) == 0)
			return true;
	return false;
}

static void
children_get_the_password_and_plain_messages(void **state)
{
	struct conninfo *c = source("host=db", SECRET);
	char **env;

	(void)state;
	assert_int_equal(setenv("PGPASSWORD", "another", 1), 0);
	assert_int_equal(setenv("LC_ALL", "C.UTF-8", 1), 0);
	assert_non_null(env = conninfo_env(c, NULL));
	assert_true(in_env(env, "PGPASSWORD=" SECRET));
	assert_false(in_env(env, "PGPASSWORD=another"));
	assert_true(in_env(env, "LC_ALL=C"));
	assert_false(in_env(env, "LC_ALL=C.UTF-8"));
	free(env);
	assert_int_equal(conninfo_set(c, "password", NULL, NULL), 0);
	assert_non_null(env = conninfo_env(c, NULL));
	assert_true(in_env(env, "PGPASSWORD=another"));
	free(env);
	(void)unsetenv("PGPASSWORD");
	(void)unsetenv("LC_ALL");
	conninfo_free(c);
}

static void
names_and_literals_are_quoted(void **state)
{
	struct text t = { 0 };

	(void)state;
	assert_string_equal(text_get(&t), "");
	text_add_ident(&t, "a\"b");
	text_add(&t, " ");
	text_add_literal(&t, "it's");
	text_add(&t, " ");
	text_add_literal(&t, "c:\\'");
	text_addf(&t, " %d", 7);
	text_add_comment(&t, "\nx\ty");
	assert_int_equal(text_ok(&t, NULL), HF_OK);
	assert_string_equal(
	    text_get(&t), "\"a\"\"b\" 'it''s' E'c:\\\\''' 7 x y");
	text_reset(&t);
	assert_string_equal(text_get(&t), "");
	text_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keywords_and_uris_are_read),
		cmocka_unit_test(defaults_stand_where_the_user_says_nothing),
		cmocka_unit_test(a_service_wins_over_defaults),
		cmocka_unit_test(text_is_quoted_and_has_no_secret),
		cmocka_unit_test(errors_name_the_keyword_and_no_value),
		cmocka_unit_test(a_secret_that_programs_cannot_get_is_refused),
		cmocka_unit_test(a_target_is_laid_over_the_source),
		cmocka_unit_test(the_password_goes_to_no_other_server_or_user),
		cmocka_unit_test(an_address_of_the_source_is_not_the_targets),
		cmocka_unit_test(children_get_the_password_and_plain_messages),
		cmocka_unit_test(names_and_literals_are_quoted),
	};

	H = &host_table;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
