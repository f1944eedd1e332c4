/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/postgres/loadkit.h"

#include <dirent.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dump/dump.h"
#include "load/load.h"
#include "plugin/host.h"

static struct {
	char key[128], value[1024];
} told[32];
static size_t ntold;
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;

static const char shop_sql[] =
    "CREATE ROLE shop_owner; CREATE ROLE reader;"
    "CREATE SCHEMA sales AUTHORIZATION shop_owner;"
    "CREATE TYPE public.mood AS ENUM ('sad', 'ok');"
    "CREATE TABLE sales.orders(id serial PRIMARY KEY, note text,"
    " m public.mood DEFAULT 'ok');"
    "ALTER TABLE sales.orders OWNER TO shop_owner;"
    "GRANT SELECT ON sales.orders TO reader;"
    "COMMENT ON COLUMN sales.orders.note IS 'what they said';"
    "CREATE TABLE public.items(id int GENERATED ALWAYS AS IDENTITY"
    " PRIMARY KEY, order_id int NOT NULL REFERENCES sales.orders,"
    " qty int CHECK (qty > 0));"
    "CREATE INDEX items_order ON public.items(order_id);"
    "INSERT INTO sales.orders(note) SELECT repeat(md5(i::text), 12) || "
    "E'\\t\\\\n\\\\.'"
    " FROM generate_series(1, 3000) i;"
    "INSERT INTO public.items(order_id, qty) SELECT i, i"
    " FROM generate_series(1, 3000) i;"
    "CREATE TABLE public.\"Odd \"\"name\"\" x\"(a int, b text);"
    "INSERT INTO public.\"Odd \"\"name\"\" x\" VALUES (1, 'x');"
    "CREATE TABLE public.parted(k int, v text) PARTITION BY RANGE (k);"
    "CREATE TABLE public.parted_1 PARTITION OF public.parted"
    " FOR VALUES FROM (0) TO (100);"
    "CREATE TABLE public.parted_2 PARTITION OF public.parted"
    " FOR VALUES FROM (100) TO (200);"
    "ALTER TABLE public.parted ADD PRIMARY KEY (k);"
    "CREATE INDEX ON public.parted(v);"
    "INSERT INTO public.parted SELECT i, i FROM generate_series(0, 199) i;"
    "CREATE VIEW public.totals AS SELECT sum(qty) FROM public.items;"
    "CREATE MATERIALIZED VIEW public.counted AS"
    " SELECT count(*) AS n FROM sales.orders;"
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader;"
    "COMMENT ON SCHEMA public IS 'ours';"
    "SELECT lo_create(4711); SELECT lo_put(4711, 0, 'hello');"
    "COMMENT ON DATABASE shop IS 'the shop';"
    "ALTER DATABASE shop SET work_mem = '8MB';"
    "ALTER DATABASE shop SET default_transaction_read_only = on";

/* As whoever asked for a restore has it: the last value of a key. */
static void
on_result(void *arg, const char *key, const char *value)
{
	size_t i = 0;

	(void)arg;
	if (strcmp(key, "safety_copy") == 0)
		(void)snprintf(
		    loadkit.safety, sizeof loadkit.safety, "%s", value);
	pthread_mutex_lock(&told_lock);
	while (i < ntold && strcmp(told[i].key, key) != 0)
		i++;
	if (i < sizeof told / sizeof told[0]) {
		(void)snprintf(told[i].key, sizeof told[i].key, "%s", key);
		(void)snprintf(
		    told[i].value, sizeof told[i].value, "%s", value);
		ntold = i == ntold ? i + 1 : ntold;
	}
	pthread_mutex_unlock(&told_lock);
}

struct loadkit loadkit = { .ctx = { .who = "test",
			       .cancel = &loadkit.cancel,
			       .scratch_dir = loadkit.scratch,
			       .result = on_result } };

const char *
loadkit_result(const char *key)
{
	for (size_t i = 0; i < ntold; i++)
		if (strcmp(told[i].key, key) == 0)
			return told[i].value;
	return "";
}

void
loadkit_result_has(const char *key, const char *part)
{
	if (strstr(loadkit_result(key), part) == NULL)
		fail_msg(
		    "\"%s\" is not in %s: %s", part, key, loadkit_result(key));
}

struct memout *
loadkit_backup(const char *dbname, const char *content)
{
	struct hf_engine e = { .ctx = &loadkit.ctx,
		.conf = { .conninfo = pgkit_conninfo(&loadkit.pg, dbname),
		    .mode = "logical",
		    .content = content,
		    .databases = loadkit.databases,
		    .large_objects = true,
		    .role_passwords = true,
		    .chunk_size = loadkit.chunk_size,
		    .lock_timeout = 10000,
		    .bin_dir = loadkit.pg.bin } };
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.max_streams = 2 };
	struct memout *m = memout_new();

	if (dump_run(&e, &req, memout_out(m), &loadkit.err) != HF_OK)
		fail_msg("%s", loadkit.err.cause);
	return m;
}

int
loadkit_restore(struct memout *m, const char *target, uint32_t flags)
{
	char where[512];
	struct hf_engine e = { .ctx = &loadkit.ctx,
		.conf = { .mode = "logical", .bin_dir = loadkit.pg.bin } };
	struct hf_in *in = memout_in(m);
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.max_streams = 2,
		.flags = flags,
		.target = target,
		.restore_conf = &loadkit.conf };

	(void)snprintf(where, sizeof where,
	    "host=%s port=%d user=%s dbname=shop", loadkit.pg.dir,
	    loadkit.pg.port, loadkit.user);
	e.conf.conninfo = where;
	error_clear(&loadkit.err);
	loadkit.safety[0] = '\0';
	ntold = 0;
	return load_run(&e, &req, &in, 1, &loadkit.err);
}

void
loadkit_restore_ok(struct memout *m, const char *target, uint32_t flags)
{
	if (loadkit_restore(m, target, flags) != HF_OK)
		fail_msg("%s", loadkit.err.cause);
}

void
loadkit_error_has(const char *part)
{
	char line[2048];

	error_line(&loadkit.err, line, sizeof line);
	if (strstr(line, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, line);
}

static int
by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *
loadkit_dumped(const char *dbname)
{
	char **lines = calloc(100000, sizeof *lines);
	size_t n = 0;
	char command[1024], line[4096];
	char *all = NULL;
	size_t len = 0;
	FILE *f, *out = open_memstream(&all, &len);

	(void)snprintf(command, sizeof command,
	    "%s/pg_dump -h %s -p %d -U postgres '%s'", loadkit.pg.bin,
	    loadkit.pg.dir, loadkit.pg.port, dbname);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(lines);
	/* A new secret in each run. */
	while (fgets(line, sizeof line, f) != NULL && n < 100000)
		if (strstr(line, "restrict ") == NULL)
			lines[n++] = strdup(line);
	assert_int_equal(pclose(f), 0);
	qsort(lines, n, sizeof *lines, by_line);
	for (size_t i = 0; i < n; i++) {
		(void)fputs(lines[i], out);
		free(lines[i]);
	}
	free(lines);
	(void)fclose(out);
	return all;
}

void
loadkit_same(const char *a, const char *b)
{
	char *x = loadkit_dumped(a), *y = loadkit_dumped(b);
	size_t i = 0;

	while (x[i] == y[i] && x[i] != '\0')
		i++;
	if (x[i] != y[i])
		fail_msg(
		    "%s and %s differ: <%.80s> <%.80s>", a, b, x + i, y + i);
	free(x);
	free(y);
}

bool
loadkit_exists(const char *dbname)
{
	char sql[512];

	(void)snprintf(sql, sizeof sql,
	    "SELECT count(*) FROM pg_database WHERE datname = '%s'", dbname);
	return pgkit_int(&loadkit.pg, "postgres", sql) == 1;
}

void
loadkit_drop(const char *dbname)
{
	char sql[512];

	(void)snprintf(sql, sizeof sql,
	    "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", dbname);
	pgkit_sql(&loadkit.pg, "postgres", sql);
}

void
loadkit_nothing_left(void)
{
	DIR *d = opendir(loadkit.scratch);
	struct dirent *e;

	assert_int_equal(
	    pgkit_int(&loadkit.pg, "postgres",
		"SELECT count(*) FROM pg_database WHERE datname LIKE "
		"'%.holdfast-%'"),
	    0);
	pgkit_until(&loadkit.pg, "postgres",
	    "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid <> "
	    "pg_backend_pid() AND backend_type = 'client backend'");
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			fail_msg("%s is left", e->d_name);
	(void)closedir(d);
}

struct memout *
loadkit_spoiled(const char *object, const char *from, const char *to)
{
	struct memout *m = memout_new();
	bool done = false;

	for (size_t i = 0; i < memout_count(loadkit.shop); i++) {
		size_t len, n = strlen(from);
		const char *bytes = memout_bytes(loadkit.shop, i, &len), *at;
		const char *end = bytes + len;
		char *copy = NULL;
		FILE *f = open_memstream(&copy, &len);

		assert_non_null(f);
		while (strcmp(memout_name(loadkit.shop, i), object) == 0 &&
		       (at = memmem(bytes, (size_t)(end - bytes), from, n)) !=
			   NULL) {
			(void)fwrite(bytes, 1, (size_t)(at - bytes), f);
			(void)fputs(to, f);
			bytes = at + n;
			done = true;
		}
		(void)fwrite(bytes, 1, (size_t)(end - bytes), f);
		assert_int_equal(fclose(f), 0);
		memout_add(m, memout_name(loadkit.shop, i), copy, len);
		free(copy);
	}
	assert_true(done);
	return m;
}

void
loadkit_hold(const char *dbname)
{
	char sql[256];

	if (fork() == 0) {
		PGconn *c = PQconnectdb(pgkit_conninfo(&loadkit.pg, dbname));

		PQclear(PQexec(
		    c, "SET application_name = 'holder'; SELECT pg_sleep(60)"));
		_exit(0);
	}
	(void)snprintf(sql, sizeof sql,
	    "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '%s' "
	    "AND application_name = 'holder'",
	    dbname);
	pgkit_until(&loadkit.pg, "postgres", sql);
}

int
loadkit_reset(void **state)
{
	(void)state;
	loadkit.user = "postgres";
	loadkit.chunk_size = (int64_t)128 << 20;
	loadkit.conf = (struct restore_conf){ .globals = "missing",
		.tablespaces = true,
		.analyze = true,
		.check = "quick",
		.maintenance_work_mem = (int64_t)64 << 20 };
	return 0;
}

int
loadkit_begin(void **state)
{
	int rc;

	(void)state;
	H = &host_table;
	if ((rc = pgkit_start(&loadkit.pg)) != 0)
		exit(rc);
	(void)snprintf(
	    loadkit.scratch, sizeof loadkit.scratch, "/tmp/hf-load-XXXXXX");
	if (mkdtemp(loadkit.scratch) == NULL)
		return -1;
	pgkit_sql(&loadkit.pg, "postgres",
	    "ALTER SYSTEM SET max_prepared_transactions = 4");
	pgkit_halt(&loadkit.pg, SIGINT);
	pgkit_resume(&loadkit.pg);
	(void)loadkit_reset(NULL);
	pgkit_sql(&loadkit.pg, "postgres", "CREATE DATABASE shop");
	pgkit_sql(&loadkit.pg, "shop", shop_sql);
	loadkit.shop = loadkit_backup("shop", "all");
	return 0;
}

int
loadkit_end(void **state)
{
	(void)state;
	memout_free(loadkit.shop);
	pgkit_stop(&loadkit.pg);
	return rmdir(loadkit.scratch);
}
