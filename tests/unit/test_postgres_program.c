/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs of the server, found by version. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "plugin/host.h"
#include "postgres.h"
#include "program.h"

static struct hf_error err;
static char folder[64];

static int
setup(void **state)
{
	(void)state;
	H = &host_table;
	error_clear(&err);
	return 0;
}

static int
make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof folder, "/tmp/holdfast-program-XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static void
assert_has(const char *text, const char *part)
{
	if (text == NULL || strstr(text, part) == NULL)
		assert_string_equal(text == NULL ? "NULL" : text, part);
}

/* ---- finding them ---- */

static void
put_program(const char *below, const char *name, const char *says)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", folder, below);
	(void)mkdir(path, 0755);
	(void)snprintf(path, sizeof path, "%s/%s/%s", folder, below, name);
	assert_non_null(f = fopen(path, "w"));
	(void)fprintf(f, "#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, says);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

/* The version of the one found in folder/below. */
static int
found(const char *below, int at_least)
{
	char dir[256];
	struct conf conf = { .bin_dir = dir };
	struct program p;
	int rc;

	(void)snprintf(dir, sizeof dir, "%s/%s", folder, below);
	error_clear(&err);
	rc = program_find(&conf, "pg_dump", at_least, &p, &err);
	if (rc != HF_OK)
		return rc;
	assert_has(p.path, below);
	return p.version;
}

static void
versions_of_every_form_are_read(void **state)
{
	(void)state;
	put_program("v", "pg_dump", "15.20 (Debian 15.20-0+deb12u1)");
	assert_int_equal(found("v", 0), 150020);
	assert_int_equal(found("v", 150000), 150020);
	assert_int_equal(found("v", 150099), 150020);
	assert_int_equal(found("v", 130001), 150020);
	put_program("v", "pg_dump", "17beta1");
	assert_int_equal(found("v", 170002), 170000);
	put_program("v", "pg_dump", "18devel");
	assert_int_equal(found("v", 0), 180000);
	put_program("v", "pg_dump", "9.6.24");
	assert_int_equal(found("v", 0), 90624);
}

static void
only_older_ones_are_refused_with_the_package(void **state)
{
	(void)state;
	put_program("old", "pg_dump", "14.11");
	assert_int_equal(found("old", 160002), HF_E_UNSUPPORTED);
	assert_has(err.cause, "the server has version 16");
	assert_has(err.cause, "version 14");
	assert_has(err.cause, "old/pg_dump");
	assert_has(error_get(&err, "hint"), "postgresql-client-16");
}

static void
none_at_all_and_one_that_cannot_be_run_are_told(void **state)
{
	char path[256];

	(void)state;
	assert_int_equal(found("nowhere", 150000), HF_E_NOTFOUND);
	assert_has(err.cause, "there is no pg_dump in bin_dir");
	assert_has(error_get(&err, "hint"), "postgresql-client-15");
	put_program("bad", "pg_dump", "no number");
	assert_int_equal(found("bad", 150000), HF_E_NOTFOUND);
	assert_has(err.cause, "bad/pg_dump");
	(void)snprintf(path, sizeof path, "%s/bad/pg_dump", folder);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(found("bad", 150000), HF_E_NOTFOUND);
}

static void
the_oldest_that_is_new_enough_is_taken_from_the_path(void **state)
{
	const char *before = getenv("PATH");
	char *saved = strdup(before == NULL ? "" : before), path[512];
	struct conf conf = { 0 };
	struct program p;

	(void)state;
	put_program("a", "pg_thing", "19.4");
	put_program("b", "pg_thing", "17.2");
	put_program("c", "pg_thing", "13.9");
	put_program("d", "pg_thing", "17.5");
	(void)snprintf(path, sizeof path, ".::%s/a:%s/b:%s/c:%s/d:%s", folder,
	    folder, folder, folder, saved);
	(void)setenv("PATH", path, 1);
	assert_int_equal(
	    program_find(&conf, "pg_thing", 150003, &p, &err), HF_OK);
	assert_int_equal(p.version, 170005);
	assert_int_equal(
	    program_find(&conf, "pg_thing", 130001, &p, &err), HF_OK);
	assert_int_equal(p.version, 130009);
	assert_int_equal(program_find(&conf, "pg_thing", 0, &p, &err), HF_OK);
	assert_int_equal(p.version, 190004);
	assert_int_equal(program_find(&conf, "pg_thing", 200000, &p, &err),
	    HF_E_UNSUPPORTED);
	assert_has(err.cause, "a/pg_thing");
	assert_has(error_get(&err, "hint"), "postgresql-20");
	assert_int_equal(
	    program_find(&conf, "pg_none", 150000, &p, &err), HF_E_NOTFOUND);
	assert_has(err.cause, "PATH");
	(void)setenv("PATH", saved, 1);
	free(saved);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(versions_of_every_form_are_read),
		T(only_older_ones_are_refused_with_the_package),
		T(none_at_all_and_one_that_cannot_be_run_are_told),
		T(the_oldest_that_is_new_enough_is_taken_from_the_path),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
