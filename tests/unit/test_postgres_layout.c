/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of objects, contents.json, and backups that are read back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "layout.h"
#include "plugin/host.h"
#include "postgres.h"
#include "stored.h"
#include "support/memout.h"
#include "text.h"

static struct hf_error err;

static int
setup(void **state)
{
	(void)state;
	H = &host_table;
	error_clear(&err);
	return 0;
}

/* ---- names ---- */

static void
escaped(const char *name, const char *want)
{
	struct text t = { 0 };

	layout_escape(&t, name);
	assert_string_equal(text_get(&t), want);
	text_free(&t);
}

static void
names_keep_their_letters_and_lose_their_separators(void **state)
{
	(void)state;
	escaped("orders", "orders");
	escaped("Bestellungen \xc3\xa4 \xf0\x9f\x8d\xa6",
	    "Bestellungen \xc3\xa4 \xf0\x9f\x8d\xa6");
	escaped("a.b/c%d", "a%2Eb%2Fc%25d");
	escaped("a\nb\tc\x7f", "a%0Ab%09c%7F");
	escaped("caf\xe9", "caf%E9");
	/* Half a character, one too long, a surrogate, one past the end. */
	escaped("\xc3", "%C3");
	escaped("\xc0\xaf", "%C0%AF");
	escaped("\xed\xa0\x80", "%ED%A0%80");
	escaped("\xf4\x90\x80\x80", "%F4%90%80%80");
	escaped("\xf0\x9f\x8d", "%F0%9F%8D");
	escaped("", "");
}

static void
objects_have_the_names_of_the_layout(void **state)
{
	struct text t = { 0 };

	(void)state;
	layout_prefix(&t, NULL);
	assert_string_equal(text_get(&t), "");
	layout_prefix(&t, "my.shop");
	layout_table(&t, "public", "orders", 1);
	assert_string_equal(
	    text_get(&t), "my%2Eshop/100-public.orders.0001.sql");
	text_reset(&t);
	layout_small(&t, 12);
	text_add(&t, " ");
	layout_large_objects(&t, 12345);
	assert_string_equal(
	    text_get(&t), "110-small.0012.sql 700-large-objects.12345.sql");
	text_free(&t);
}

static void
two_tables_never_share_a_name(void **state)
{
	static const char *const parts[] = { "a", "a.b", "a.b.c", "b", "b.c",
		"c", ".", "..", "%", "%2E", "a%2Eb", "a/b", "/", "a.0001",
		"0001.sql", "\xff", "%FF", "\xc3\xbf", "\xc3", "\xbf", "A", " ",
		"\n", "%0A" };
	enum { N = sizeof parts / sizeof *parts };
	static char names[N * N * 2][96];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < N; k++)
			for (unsigned part = 1; part <= 2; part++) {
				struct text t = { 0 };

				layout_table(&t, parts[i], parts[k], part);
				(void)snprintf(names[n++], sizeof *names, "%s",
				    text_get(&t));
				text_free(&t);
			}
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(names[i], names[k]);
}

/* ---- contents.json ---- */

static char *
copy(const char *s)
{
	char *c = strdup(s);

	assert_non_null(c);
	return c;
}

static void
make(struct contents *c, size_t ntables, size_t ntoc)
{
	char name[64];

	memset(c, 0, sizeof *c);
	c->server_version = 150020;
	c->pg_dump_version = 170011;
	c->database = copy("shop");
	c->encoding = copy("UTF8");
	c->stored_encoding = copy("UTF8");
	c->owner = copy("Owner \"x\"");
	c->collate = copy("C");
	c->provider = copy("i");
	c->locale = copy("de");
	c->connection_limit = -1;
	c->content = copy("all");
	c->ntables = ntables;
	c->tables = calloc(ntables + 1, sizeof *c->tables);
	for (size_t i = 0; i < ntables; i++) {
		struct table *t = &c->tables[i];

		t->oid = (uint32_t)(4294967295u - i);
		(void)snprintf(name, sizeof name, "table %zu", i);
		t->schema = copy("public");
		t->name = copy(name);
		t->rows = i;
		t->bytes = 9007199254740993u; /* no double has it */
		t->npieces = 1;
		t->pieces = calloc(1, sizeof *t->pieces);
		t->pieces[0] = (struct piece){ copy("110-small.0001.sql"),
			i * 100, 100, i };
		t->toc = calloc(ntoc + 1, sizeof *t->toc);
		for (size_t k = 0; k < ntoc; k++)
			t->toc[k] = copy("1259:16385");
	}
	c->large_objects = 3;
	c->nlarge_object_objects = 1;
	c->large_object_objects = calloc(1, sizeof(char *));
	c->large_object_objects[0] = copy("700-large-objects.0001.sql");
	c->sequences = 2;
	c->refresh = 1;
}

static char *
written(const struct contents *c)
{
	char *json = NULL;
	size_t len = 0;

	assert_int_equal(contents_write(c, &json, &len, &err), HF_OK);
	assert_int_equal(len, strlen(json));
	return json;
}

static void
contents_come_back_as_they_were(void **state)
{
	struct contents c, back;
	char *json, *again;

	(void)state;
	make(&c, 2, 3);
	free(c.tables[1].name);
	c.tables[1].name = copy("caf\xe9\x01");
	json = written(&c);
	assert_non_null(strstr(json, "\"hex\": \"636166e901\""));
	assert_int_equal(contents_read(json, strlen(json), &back, &err), HF_OK);
	assert_string_equal(back.tables[1].name, "caf\xe9\x01");
	assert_string_equal(back.owner, "Owner \"x\"");
	assert_null(back.icu_rules);
	assert_null(back.tablespace);
	assert_int_equal(back.connection_limit, -1);
	assert_true(back.tables[0].bytes == 9007199254740993u);
	assert_int_equal(back.tables[0].oid, 4294967295u);
	assert_string_equal(back.tables[1].toc[2], "1259:16385");
	assert_null(back.tables[1].toc[3]);
	again = written(&back);
	assert_string_equal(json, again);
	free(json);
	free(again);
	contents_clear(&back);
	contents_clear(&c);
	contents_clear(&c);
}

/* Replace the first from by to in good contents, and read that. */
static int
read_with(const char *from, const char *to)
{
	struct contents c;
	struct text t = { 0 };
	size_t len, before;
	char *json;
	int rc;

	make(&c, 1, 1);
	assert_int_equal(contents_write(&c, &json, &len, &err), HF_OK);
	contents_clear(&c);
	if (strstr(json, from) == NULL)
		assert_string_equal(json, from);
	before = (size_t)(strstr(json, from) - json);
	text_add_n(&t, json, before);
	text_add(&t, to);
	text_add(&t, json + before + strlen(from));
	error_clear(&err);
	rc = contents_read(text_get(&t), t.len, &c, &err);
	contents_clear(&c);
	text_free(&t);
	free(json);
	return rc;
}

static void
wrong_contents_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *from, *to, *cause;
	} bad[] = {
		{ "{", "", "is no JSON" },
		{ "\"format\": 1", "\"format\": 0", "format is out of range" },
		{ "\"format\": 1", "\"format\": \"1\"",
		    "format is no whole number" },
		{ "\"format\": 1,", "", "format is missing" },
		{ "\"format\": 1", "\"format\": 1, \"format\": 1",
		    "is no JSON" },
		{ "\"content\": \"all\"", "\"content\": \"some\"",
		    "content is none that is known" },
		{ "\"name\": \"shop\"", "\"name\": \"\"",
		    "database.name is empty" },
		{ "\"name\": \"shop\"", "\"name\": { \"hex\": \"00\" }",
		    "database.name has bad bytes" },
		{ "\"name\": \"shop\"", "\"name\": { \"hex\": \"4\" }",
		    "database.name is no text" },
		{ "\"name\": \"shop\"", "\"name\": \"a\\u0000b\"",
		    "is no JSON" },
		{ "\"provider\": \"i\"", "\"provider\": \"x\"",
		    "database.provider" },
		{ "\"connection_limit\": -1",
		    "\"connection_limit\": 2147483648",
		    "database.connection_limit is out of range" },
		{ "\"oid\": 4294967295", "\"oid\": 4294967296",
		    "tables[0].oid is out of range" },
		{ "\"oid\": 4294967295", "\"oid\": 0",
		    "tables[0].oid is out of range" },
		{ "\"rows\": 0", "\"rows\": -1",
		    "tables[0].rows is out of range" },
		{ "\"rows\": 0", "\"rows\": 1.5",
		    "tables[0].rows is no whole number" },
		{ "\"size\": 100", "\"size\": 9223372036854775808",
		    "is no JSON" },
		{ "\"offset\": 0", "\"offset\": 9223372036854775800",
		    "tables[0].pieces[0].size is out of range" },
		{ "\"object\": \"110-", "\"object\": \"../110-",
		    "tables[0].pieces[0].object is no name" },
		{ "\"1259:16385\"", "\"1259\"", "tables[0].toc" },
		{ "\"1259:16385\"", "7", "tables[0].toc" },
		{ "\"pieces\": [", "\"pieces\": [ 7, ",
		    "tables[0].pieces[0].it is no object" },
		{ "\"count\": 3", "\"count\": true", "large_objects.count" },
		{ "\"700-large", "\"\", \"700-large", "large_objects.objects" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(
		    read_with(bad[i].from, bad[i].to), HF_E_CORRUPT);
		if (strstr(err.cause, bad[i].cause) == NULL)
			assert_string_equal(err.cause, bad[i].cause);
	}
	assert_int_equal(
	    read_with("\"format\": 1", "\"format\": 2"), HF_E_UNSUPPORTED);
	assert_non_null(error_get(&err, "hint"));
	/* Keys that a later program adds are none of our business. */
	assert_int_equal(
	    read_with("\"rows\": 0", "\"later\": [ {} ], \"rows\": 0"), HF_OK);
}

static void
twenty_thousand_tables_take_no_time(void **state)
{
	struct timespec begin, end;
	struct contents c, back;
	char *json;

	(void)state;
	make(&c, 20000, 8);
	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	json = written(&c);
	assert_int_equal(contents_read(json, strlen(json), &back, &err), HF_OK);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(back.ntables, 20000);
	assert_true(end.tv_sec - begin.tv_sec < 20);
	free(json);
	contents_clear(&back);
	contents_clear(&c);
}

/* ---- stored ---- */

static void
add_contents(struct memout *m, const char *name, const char *database)
{
	struct contents c;
	char *json;

	make(&c, 1, 1);
	free(c.database);
	c.database = copy(database);
	json = written(&c);
	memout_add(m, name, json, strlen(json));
	free(json);
	contents_clear(&c);
}

static void
every_database_of_a_backup_is_found(void **state)
{
	struct memout *m = memout_new();
	struct stored s;

	(void)state;
	memout_add(m, "000-globals.sql", "x", 1);
	add_contents(m, "shop/contents.json", "shop");
	add_contents(m, "my%2Eshop/contents.json", "my.shop");
	memout_add(m, "shop/xcontents.json", "x", 1);
	memout_add(m, "a/b/contents.json", "x", 1);
	assert_int_equal(stored_open(memout_in(m), &s, &err), HF_OK);
	assert_true(s.globals);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.databases[0].prefix, "my%2Eshop/");
	assert_string_equal(s.databases[0].contents.database, "my.shop");
	assert_string_equal(s.databases[1].prefix, "shop/");
	stored_close(&s);
	stored_close(&s);
	memout_free(m);

	m = memout_new();
	add_contents(m, "contents.json", "shop");
	assert_int_equal(stored_open(memout_in(m), &s, &err), HF_OK);
	assert_false(s.globals);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.databases[0].prefix, "");
	stored_close(&s);
	memout_free(m);
}

static void
a_backup_of_something_else_or_a_damaged_one_is_corrupt(void **state)
{
	struct memout *m = memout_new();
	struct stored s;

	(void)state;
	memout_add(m, "app.db", "x", 1);
	assert_int_equal(stored_open(memout_in(m), &s, &err), HF_E_CORRUPT);
	add_contents(m, "a/contents.json", "a");
	memout_add(m, "b/contents.json", "{", 1);
	assert_int_equal(stored_open(memout_in(m), &s, &err), HF_E_CORRUPT);
	assert_string_equal(err.frames[0], "reading b/contents.json");
	memout_fail(m, MEMOUT_READ, 1, HF_E_IO);
	assert_int_equal(stored_open(memout_in(m), &s, &err), HF_E_IO);
	memout_free(m);
}

static void
objects_are_read_whole_and_end_in_nul(void **state)
{
	const size_t size = 300000;
	struct memout *m = memout_new();
	char *big = malloc(size), *text = NULL;
	size_t len = 0;

	(void)state;
	assert_non_null(big);
	memset(big, 'x', size);
	memout_add(m, "a/big", big, size);
	memout_add(m, "a/none", "", 0);
	assert_int_equal(
	    stored_read(memout_in(m), "a/", "big", &text, &len, &err), HF_OK);
	assert_int_equal(len, size);
	assert_memory_equal(text, big, size);
	assert_int_equal(text[len], 0);
	free(text);
	assert_int_equal(
	    stored_read(memout_in(m), "a/", "none", &text, &len, &err), HF_OK);
	assert_int_equal(len, 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(
	    stored_read(memout_in(m), "", "big", &text, &len, &err),
	    HF_E_NOTFOUND);
	memout_fail(m, MEMOUT_READ, 2, HF_E_CORRUPT);
	assert_int_equal(
	    stored_read(memout_in(m), "a/", "big", &text, &len, &err),
	    HF_E_CORRUPT);
	free(big);
	memout_free(m);
}

static void
a_copy_goes_to_the_end_or_fails(void **state)
{
	struct memout *m = memout_new();
	char path[] = "/tmp/holdfast-layout-XXXXXX", buf[32] = "";
	int fd = mkstemp(path), full = open("/dev/full", O_WRONLY);

	(void)state;
	assert_true(fd >= 0 && full >= 0);
	assert_int_equal(unlink(path), 0);
	memout_add(m, "one", "hello ", 6);
	memout_add(m, "two", "world", 5);
	assert_int_equal(stored_copy(memout_in(m), "", "one", fd, &err), HF_OK);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(stored_copy(memout_in(m), "", "two", fd, &err), HF_OK);
	assert_int_equal(pread(fd, buf, sizeof buf, 0), 11);
	assert_string_equal(buf, "hello world");
	assert_int_equal(
	    stored_copy(memout_in(m), "", "one", full, &err), HF_E_NOSPACE);
	assert_non_null(strstr(err.cause, "writing a copy of one"));
	assert_int_equal(
	    stored_copy(memout_in(m), "", "three", fd, &err), HF_E_NOTFOUND);
	memout_fail(m, MEMOUT_READ, 2, HF_E_CORRUPT);
	assert_int_equal(
	    stored_copy(memout_in(m), "", "one", fd, &err), HF_E_CORRUPT);
	(void)close(fd);
	(void)close(full);
	memout_free(m);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(names_keep_their_letters_and_lose_their_separators),
		T(objects_have_the_names_of_the_layout),
		T(two_tables_never_share_a_name),
		T(contents_come_back_as_they_were),
		T(wrong_contents_are_refused_with_their_place),
		T(twenty_thousand_tables_take_no_time),
		T(every_database_of_a_backup_is_found),
		T(a_backup_of_something_else_or_a_damaged_one_is_corrupt),
		T(objects_are_read_whole_and_end_in_nul),
		T(a_copy_goes_to_the_end_or_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
