/* SPDX-License-Identifier: BSD-2-Clause */
/* Restores: what they make, what they keep, what they refuse. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cancel.h"
#include "base/error.h"
#include "dump/dump.h"
#include "load/load.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "support/memout.h"
#include "support/pgkit.h"

#include <dirent.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pgkit pg;
static struct memout *shop; /* a backup that all tests share */
static char scratch[64];

static struct cancel cancel;
static struct hf_error err;
static char safety[256];
static struct {
	char key[128], value[1024];
} told[32];
static size_t ntold;
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static struct restore_conf conf;
static const char *user = "postgres";
static int64_t chunk_size;
static const char *const *databases;

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

/* ---- what the tests share ---- */

/* As whoever asked for a restore has it: the last value of a key. */
static void
on_result(void *arg, const char *key, const char *value)
{
	size_t i = 0;

	(void)arg;
	if (strcmp(key, "safety_copy") == 0)
		(void)snprintf(safety, sizeof safety, "%s", value);
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

/* "": nothing was told. */
static const char *
result(const char *key)
{
	for (size_t i = 0; i < ntold; i++)
		if (strcmp(told[i].key, key) == 0)
			return told[i].value;
	return "";
}

static void
result_has(const char *key, const char *part)
{
	if (strstr(result(key), part) == NULL)
		fail_msg("\"%s\" is not in %s: %s", part, key, result(key));
}

static struct hf_ctx ctx = { .who = "test",
	.cancel = &cancel,
	.scratch_dir = scratch,
	.result = on_result };

static struct memout *
backup(const char *dbname, const char *content)
{
	struct hf_engine e = { .ctx = &ctx,
		.conf = { .conninfo = pgkit_conninfo(&pg, dbname),
		    .mode = "logical",
		    .content = content,
		    .databases = databases,
		    .large_objects = true,
		    .role_passwords = true,
		    .chunk_size = chunk_size,
		    .lock_timeout = 10000,
		    .bin_dir = pg.bin } };
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.max_streams = 2 };
	struct memout *m = memout_new();

	if (dump_run(&e, &req, memout_out(m), &err) != HF_OK)
		fail_msg("%s", err.cause);
	return m;
}

/* target: a name on the server. */
static int
restore(struct memout *m, const char *target, uint32_t flags)
{
	char where[512];
	struct hf_engine e = { .ctx = &ctx,
		.conf = { .mode = "logical", .bin_dir = pg.bin } };
	struct hf_in *in = memout_in(m);
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.max_streams = 2,
		.flags = flags,
		.target = target,
		.restore_conf = &conf };

	(void)snprintf(where, sizeof where,
	    "host=%s port=%d user=%s dbname=shop", pg.dir, pg.port, user);
	e.conf.conninfo = where;
	error_clear(&err);
	safety[0] = '\0';
	ntold = 0;
	return load_run(&e, &req, &in, 1, &err);
}

static void
restore_ok(struct memout *m, const char *target, uint32_t flags)
{
	if (restore(m, target, flags) != HF_OK)
		fail_msg("%s", err.cause);
}

static void
error_has(const char *part)
{
	char line[2048];

	error_line(&err, line, sizeof line);
	if (strstr(line, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, line);
}

static int
by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that pg_dump says of a database, its lines sorted: rows that came in
 * parallel have no order. */
static char *
dumped(const char *dbname)
{
	char **lines = calloc(100000, sizeof *lines);
	size_t n = 0;
	char command[1024], line[4096];
	char *all = NULL;
	size_t len = 0;
	FILE *f, *out = open_memstream(&all, &len);

	(void)snprintf(command, sizeof command,
	    "%s/pg_dump -h %s -p %d -U postgres '%s'", pg.bin, pg.dir, pg.port,
	    dbname);
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

static void
same(const char *a, const char *b)
{
	char *x = dumped(a), *y = dumped(b);
	size_t i = 0;

	while (x[i] == y[i] && x[i] != '\0')
		i++;
	if (x[i] != y[i])
		fail_msg(
		    "%s and %s differ: <%.80s> <%.80s>", a, b, x + i, y + i);
	free(x);
	free(y);
}

static bool
exists(const char *dbname)
{
	char sql[512];

	(void)snprintf(sql, sizeof sql,
	    "SELECT count(*) FROM pg_database WHERE datname = '%s'", dbname);
	return pgkit_int(&pg, "postgres", sql) == 1;
}

static void
drop(const char *dbname)
{
	char sql[512];

	(void)snprintf(sql, sizeof sql,
	    "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", dbname);
	pgkit_sql(&pg, "postgres", sql);
}

/* Nothing under a temporary name, no file, nobody connected. */
static void
nothing_left(void)
{
	DIR *d = opendir(scratch);
	struct dirent *e;

	assert_int_equal(
	    pgkit_int(&pg, "postgres",
		"SELECT count(*) FROM pg_database WHERE datname LIKE "
		"'%.holdfast-%'"),
	    0);
	pgkit_until(&pg, "postgres",
	    "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid <> "
	    "pg_backend_pid() AND backend_type = 'client backend'");
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			fail_msg("%s is left", e->d_name);
	(void)closedir(d);
}

/* A copy with one object changed: every from in it becomes to. */
static struct memout *
spoiled(const char *object, const char *from, const char *to)
{
	struct memout *m = memout_new();
	bool done = false;

	for (size_t i = 0; i < memout_count(shop); i++) {
		size_t len, n = strlen(from);
		const char *bytes = memout_bytes(shop, i, &len), *at;
		const char *end = bytes + len;
		char *copy = NULL;
		FILE *f = open_memstream(&copy, &len);

		assert_non_null(f);
		while (strcmp(memout_name(shop, i), object) == 0 &&
		       (at = memmem(bytes, (size_t)(end - bytes), from, n)) !=
			   NULL) {
			(void)fwrite(bytes, 1, (size_t)(at - bytes), f);
			(void)fputs(to, f);
			bytes = at + n;
			done = true;
		}
		(void)fwrite(bytes, 1, (size_t)(end - bytes), f);
		assert_int_equal(fclose(f), 0);
		memout_add(m, memout_name(shop, i), copy, len);
		free(copy);
	}
	assert_true(done);
	return m;
}

/* Another process is connected, and stays until it is thrown out. */
static void
hold(const char *dbname)
{
	char sql[256];

	if (fork() == 0) {
		PGconn *c = PQconnectdb(pgkit_conninfo(&pg, dbname));

		PQclear(PQexec(
		    c, "SET application_name = 'holder'; SELECT pg_sleep(60)"));
		_exit(0);
	}
	(void)snprintf(sql, sizeof sql,
	    "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '%s' "
	    "AND application_name = 'holder'",
	    dbname);
	pgkit_until(&pg, "postgres", sql);
}

/* ---- whole databases ---- */

static void
a_database_comes_back_as_it_was(void **state)
{
	(void)state;
	restore_ok(shop, "new", 0);
	same("shop", "new");
	assert_int_equal(
	    pgkit_int(&pg, "new", "SELECT n FROM public.counted"), 3000);
	assert_int_equal(
	    pgkit_int(&pg, "new",
		"SELECT count(*) FROM pg_stat_all_tables WHERE relname IN "
		"('orders', 'items') AND n_live_tup = 3000"),
	    2);
	assert_int_equal(
	    pgkit_int(&pg, "postgres",
		"SELECT count(*) FROM pg_database d "
		"JOIN pg_db_role_setting s ON s.setdatabase = d.oid "
		"WHERE datname = 'new' AND "
		"'default_transaction_read_only=on' = ANY (setconfig) AND "
		"shobj_description(d.oid, 'pg_database') = 'the shop'"),
	    1);
	nothing_left();
	drop("new");
}

static void
a_table_in_parts_comes_back_whole(void **state)
{
	struct memout *m;

	(void)state;
	chunk_size = 128 * 1024;
	m = backup("shop", "all");
	assert_true(memout_count(m) > memout_count(shop) + 3);
	restore_ok(m, "new", 0);
	same("shop", "new");
	drop("new");
	memout_free(m);
	nothing_left();
}

static void
rows_of_a_new_table_are_frozen(void **state)
{
	char *s;

	(void)state;
	restore_ok(shop, "new", 0);
	pgkit_sql(&pg, "new",
	    "BEGIN READ WRITE; CREATE EXTENSION pg_visibility; COMMIT");
	/* Servers make a table longer by some pages at once (16 and later):
	 * only those that have rows count. */
	s = pgkit_psql(&pg, "new",
	    "SELECT all_frozen, count(*) > 100 FROM pg_visibility_map("
	    "'sales.orders') WHERE blkno IN (SELECT (ctid::text::point)[0] "
	    "FROM sales.orders) GROUP BY 1");
	assert_string_equal(s, "t|t");
	free(s);
	drop("new");
	nothing_left();
}

static void
a_name_of_63_bytes_is_no_trouble(void **state)
{
	static const char name[] =
	    "sixty-three bytes \xc3\xa4\xc3\xb6 are the longest name that "
	    "there may be!!";

	(void)state;
	assert_int_equal(strlen(name), 63);
	restore_ok(shop, name, 0);
	restore_ok(shop, name, HF_RESTORE_IN_PLACE);
	same("shop", name);
	assert_true(exists(safety));
	drop(safety);
	drop(name);
	nothing_left();
}

static void
what_is_there_is_not_replaced(void **state)
{
	char *before = dumped("shop"), *after;

	(void)state;
	assert_int_equal(restore(shop, "shop", 0), HF_E_EXISTS);
	error_has("not empty");
	assert_int_equal(restore(shop, NULL, 0), HF_E_EXISTS);
	after = dumped("shop");
	assert_string_equal(before, after);
	free(before);
	free(after);
	nothing_left();
}

static void
an_empty_database_keeps_its_owner_and_grants(void **state)
{
	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE e OWNER reader");
	pgkit_sql(&pg, "postgres", "GRANT CREATE ON DATABASE e TO shop_owner");
	restore_ok(shop, "e", 0);
	same("shop", "e");
	assert_int_equal(
	    pgkit_int(&pg, "e",
		"SELECT count(*) FROM pg_database WHERE datname = 'e' AND "
		"datdba = 'reader'::regrole AND "
		"has_database_privilege('shop_owner', 'e', 'CREATE')"),
	    1);
	drop("e");
	nothing_left();
}

static void
an_empty_database_is_empty_again_after_a_failure(void **state)
{
	struct memout *late =
	    spoiled("800-sequences.sql", "catalog.setval", "catalog.setvax");
	char *before, *after;

	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE e");
	pgkit_sql(&pg, "e",
	    "GRANT CREATE ON SCHEMA public TO reader; COMMENT ON SCHEMA public "
	    "IS 'prepared'");
	before = dumped("e");
	assert_int_not_equal(restore(late, "e", 0), HF_OK);
	after = dumped("e");
	assert_string_equal(before, after);
	/* Nothing that pg_dump does not show, either. */
	assert_int_equal(
	    pgkit_int(&pg, "e",
		"SELECT (SELECT count(*) FROM pg_largeobject_metadata) + "
		"(SELECT count(*) FROM pg_default_acl) + "
		"(SELECT count(*) FROM pg_class WHERE oid >= 16384)"),
	    0);
	restore_ok(shop, "e", 0);
	free(before);
	free(after);
	memout_free(late);
	drop("e");
	nothing_left();
}

static void
an_empty_database_that_somebody_uses_is_refused(void **state)
{
	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE e");
	hold("e");
	assert_int_equal(restore(shop, "e", 0), HF_E_TRANSIENT);
	error_has("in use by 1: holder (pid ");
	drop("e");
	(void)wait(NULL);
	nothing_left();
}

/* ---- failures ---- */

static void
a_count_that_differs_names_the_table(void **state)
{
	struct memout *m =
	    spoiled("contents.json", "\"rows\": 3000", "\"rows\": 3001");

	(void)state;
	assert_int_equal(restore(m, "bad", 0), HF_E_CORRUPT);
	error_has("got 3000 rows");
	assert_false(exists("bad"));
	nothing_left();
	memout_free(m);
}

static void
rows_that_break_a_constraint_are_named(void **state)
{
	struct memout *m =
	    spoiled("110-small.0001.sql", "\n17\t17\t17", "\n17\t17\t-7");

	(void)state;
	assert_true(restore(m, "bad", 0) < 0);
	error_has("items_qty_check");
	error_has("110-small.0001.sql");
	assert_non_null(strstr(error_get(&err, "where"), "line "));
	assert_false(exists("bad"));
	memout_free(m);
	m = spoiled("110-small.0001.sql", "\n17\t17\t17", "\n17\t99\t17");
	restore_ok(m, "good", 0);
	drop("good");
	memout_free(m);
	m = spoiled("110-small.0001.sql", "\n1700\t1700\t", "\n1700\t9999\t");
	assert_true(restore(m, "bad", 0) < 0);
	error_has("items_order_id_fkey");
	assert_false(exists("bad"));
	memout_free(m);
	nothing_left();
}

static void
every_failing_read_leaves_nothing(void **state)
{
	unsigned n = 1;
	int rc;

	(void)state;
	for (;; n++) {
		memout_fail(shop, MEMOUT_READ, n, HF_E_IO);
		rc = restore(shop, "never", 0);
		memout_fail(shop, MEMOUT_READ, 0, HF_OK);
		if (rc == HF_OK)
			break;
		assert_int_equal(rc, HF_E_IO);
		assert_false(exists("never"));
	}
	assert_true(n > 20);
	drop("never");
	nothing_left();
}

struct later {
	const char *sql; /* on the server, until true; then cancel */
	bool kill;
	pid_t pid;
};

static void *
cancel_later(void *arg)
{
	struct later *l = arg;

	pgkit_until(&pg, "postgres", l->sql);
	cancel_request(&cancel);
	return NULL;
}

static void
a_cancelled_restore_leaves_nothing(void **state)
{
	static const char *const moments[] = {
		"SELECT count(*) > 0 FROM pg_database WHERE datname LIKE "
		"'never.holdfast-%'",
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE datname LIKE "
		"'never.holdfast-%' AND query LIKE 'COPY%'",
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE datname LIKE "
		"'never.holdfast-%' AND application_name = 'pg_restore'",
	};

	(void)state;
	for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
		struct later l = { .sql = moments[i] };
		pthread_t t;
		int rc, tries = 0;

		/* It may be over before it is seen. */
		do {
			assert_int_equal(
			    pthread_create(&t, NULL, cancel_later, &l), 0);
			do {
				drop("never");
				rc = restore(shop, "never", 0);
			} while (rc == HF_OK && ++tries < 50);
			assert_int_equal(pthread_join(t, NULL), 0);
			atomic_store(&cancel.requested, 0);
		} while (rc == HF_OK && tries < 50);
		assert_int_equal(rc, HF_E_CANCELLED);
		assert_false(exists("never"));
		nothing_left();
	}
}

static void
a_killed_run_leaves_the_target_and_the_next_one_clears(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	if ((pid = fork()) == 0) {
		/* A worker's pause would do; this never ends by itself. */
		for (;;) {
			(void)restore(shop, "killed", HF_RESTORE_IN_PLACE);
			if (safety[0] != '\0')
				drop(safety);
		}
	}
	pgkit_until(&pg, "postgres",
	    "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname LIKE "
	    "'killed.holdfast-%' AND query LIKE 'COPY%'");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	pgkit_until(&pg, "postgres",
	    "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname LIKE "
	    "'killed%'");
	restore_ok(shop, "killed", HF_RESTORE_IN_PLACE);
	same("shop", "killed");
	if (safety[0] != '\0') {
		same("shop", safety);
		drop(safety);
	}
	drop("killed");
	pgkit_sql(&pg, "postgres",
	    "SELECT 1"); /* the folder's file is the kill's, not ours */
	(void)snprintf(safety, sizeof safety, "rm -f %s/schema.*", scratch);
	assert_int_equal(system(safety), 0);
	nothing_left();
}

static void
leftovers_of_others_and_of_living_runs_stay(void **state)
{
	(void)state;
	/* Not ours: no comment, and something in it. */
	pgkit_sql(&pg, "postgres", "CREATE DATABASE \"n.holdfast-0123abcd\"");
	pgkit_sql(&pg, "n.holdfast-0123abcd", "CREATE TABLE kept(x int)");
	/* Of a run that was killed before it made the comment. */
	pgkit_sql(&pg, "postgres", "CREATE DATABASE \"n.holdfast-cdefabcd\"");
	/* Of a run that lives: somebody is connected. */
	pgkit_sql(&pg, "postgres", "CREATE DATABASE \"n.holdfast-4567abcd\"");
	pgkit_sql(&pg, "postgres",
	    "COMMENT ON DATABASE \"n.holdfast-4567abcd\" IS "
	    "'holdfast: being restored as \"n\"'");
	/* Of a dead one. */
	pgkit_sql(&pg, "postgres", "CREATE DATABASE \"n.holdfast-89ababcd\"");
	pgkit_sql(&pg, "postgres",
	    "COMMENT ON DATABASE \"n.holdfast-89ababcd\" IS "
	    "'holdfast: being restored as \"n\"'");
	hold("n.holdfast-4567abcd");
	restore_ok(shop, "n", 0);
	assert_true(exists("n.holdfast-0123abcd"));
	assert_true(exists("n.holdfast-4567abcd"));
	assert_false(exists("n.holdfast-89ababcd"));
	assert_false(exists("n.holdfast-cdefabcd"));
	drop("n");
	drop("n.holdfast-0123abcd");
	drop("n.holdfast-4567abcd");
	(void)wait(NULL);
	nothing_left();
}

/* ---- in place ---- */

static void
in_place_keeps_the_former_one_under_another_name(void **state)
{
	(void)state;
	restore_ok(shop, "live", 0);
	pgkit_sql(&pg, "live",
	    "BEGIN READ WRITE; DROP TABLE public.items CASCADE; "
	    "CREATE TABLE public.later(x int); COMMIT");
	restore_ok(shop, "live", HF_RESTORE_IN_PLACE);
	same("shop", "live");
	assert_int_equal(
	    pgkit_int(&pg, safety, "SELECT count(*) FROM public.later"), 0);
	drop("live");
	drop(safety);
	nothing_left();
}

static void
run_undo(const char *undo)
{
	char command[1400];

	(void)snprintf(
	    command, sizeof command, "PATH='%s':$PATH %s -q", pg.bin, undo);
	assert_int_equal(system(command), 0);
}

static void
every_undo_that_was_told_can_be_done(void **state)
{
	char first[1024], second[1024];

	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE live");
	pgkit_sql(&pg, "live", "CREATE TABLE public.oldest(x int)");
	restore_ok(shop, "live", HF_RESTORE_IN_PLACE);
	(void)snprintf(first, sizeof first, "%s", result("undo"));
	restore_ok(shop, "live", HF_RESTORE_IN_PLACE);
	(void)snprintf(second, sizeof second, "%s", result("undo"));
	run_undo(second);
	same("shop", "live");
	run_undo(first);
	assert_int_equal(
	    pgkit_int(&pg, "live", "SELECT count(*) FROM public.oldest"), 0);
	assert_int_equal(pgkit_int(&pg, "postgres",
			     "SELECT count(*) FROM pg_database WHERE datname ~ "
			     "'^live.after-restore-[0-9]{8}T'"),
	    2);
	for (unsigned i = 0; i < 2; i++) {
		char *name = pgkit_psql(&pg, "postgres",
		    "SELECT min(datname) FROM pg_database WHERE datname LIKE "
		    "'live.after-restore-%'");

		drop(name);
		free(name);
	}
	drop("live");
	nothing_left();
}

static void
a_database_in_use_is_refused_before_any_work(void **state)
{
	unsigned reads;

	(void)state;
	restore_ok(shop, "live", 0);
	hold("live");
	reads = memout_calls(shop, MEMOUT_OPEN);
	assert_int_equal(
	    restore(shop, "live", HF_RESTORE_IN_PLACE), HF_E_TRANSIENT);
	error_has("in use by 1: holder (pid ");
	/* contents.json alone. */
	assert_int_equal(memout_calls(shop, MEMOUT_OPEN), reads + 1);
	restore_ok(shop, "live", HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE);
	(void)wait(NULL);
	same("live", safety);
	drop("live");
	drop(safety);
	nothing_left();
}

static atomic_bool clients_stop;
static atomic_uint clients_answers;

/* Connects again and again; always finds the one or the other. */
static void *
client(void *arg)
{
	(void)arg;
	while (!atomic_load(&clients_stop)) {
		PGconn *c = PQconnectdb(pgkit_conninfo(&pg, "live"));
		PGresult *r = PQexec(c,
		    "SELECT count(*) FROM sales.orders; SELECT pg_sleep(0.02)");

		if (PQresultStatus(r) == PGRES_TUPLES_OK)
			atomic_fetch_add(&clients_answers, 1);
		PQclear(r);
		PQfinish(c);
	}
	return NULL;
}

static void
clients_that_reconnect_cannot_hold_a_forced_swap_up(void **state)
{
	pthread_t t[4];

	(void)state;
	restore_ok(shop, "live", 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, client, NULL), 0);
	while (atomic_load(&clients_answers) < 10)
		(void)usleep(1000);
	for (unsigned i = 0; i < 3; i++) {
		restore_ok(
		    shop, "live", HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE);
		drop(safety);
	}
	atomic_store(&clients_stop, true);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	same("shop", "live");
	drop("live");
	nothing_left();
}

static void
a_prepared_transaction_holds_a_swap_up_and_is_named(void **state)
{
	(void)state;
	restore_ok(shop, "live", 0);
	pgkit_sql(&pg, "live",
	    "BEGIN READ WRITE; SELECT lo_create(1); PREPARE TRANSACTION "
	    "'half done'");
	assert_int_equal(
	    restore(shop, "live", HF_RESTORE_IN_PLACE), HF_E_TRANSIENT);
	error_has("prepared transaction half done");
	assert_true(
	    restore(shop, "live", HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE) < 0);
	error_has("half done");
	nothing_left();
	pgkit_sql(&pg, "live", "ROLLBACK PREPARED 'half done'");
	drop("live");
}

static void
one_that_cannot_be_used_gives_the_former_its_name_back(void **state)
{
	/* Found out only under its name: nobody can connect any more. */
	struct memout *m =
	    spoiled("970-database.sql", "\"work_mem\" TO ''8MB''",
		"session_preload_libraries TO ''nosuch''");

	(void)state;
	restore_ok(shop, "live", 0);
	assert_true(restore(m, "live", HF_RESTORE_IN_PLACE) < 0);
	error_has("in place again");
	same("shop", "live");
	assert_int_equal(
	    pgkit_int(&pg, "postgres",
		"SELECT count(*) FROM pg_database WHERE datname LIKE "
		"'live%'"),
	    1);
	memout_free(m);
	drop("live");
	nothing_left();
}

static void
all_databases_of_a_backup_go_under_their_own_names(void **state)
{
	struct memout *m;
	static const char *const both[] = { "shop", "other", NULL };

	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE other");
	pgkit_sql(&pg, "other",
	    "CREATE TABLE public.t(x int); INSERT INTO public.t VALUES (7)");
	databases = both;
	m = backup("shop", "all");
	databases = NULL;
	assert_int_equal(restore(m, "one", 0), HF_E_INVALID);
	conf.database = "other";
	restore_ok(m, "one", 0);
	assert_int_equal(pgkit_int(&pg, "one", "SELECT x FROM public.t"), 7);
	conf.database = "nosuch";
	assert_int_equal(restore(m, "two", 0), HF_E_NOTFOUND);
	conf.database = NULL;
	/* The first goes, and stays, whatever becomes of the second. */
	drop("other");
	assert_int_equal(restore(m, NULL, 0), HF_E_EXISTS);
	error_has("these are done: other");
	assert_int_equal(pgkit_int(&pg, "other", "SELECT x FROM public.t"), 7);
	drop("one");
	drop("other");
	memout_free(m);
	nothing_left();
}

static void
what_became_of_each_of_several_databases_is_told(void **state)
{
	static const char *const both[] = { "ant", "bee", NULL };
	struct memout *m;

	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE ant");
	pgkit_sql(&pg, "postgres", "CREATE DATABASE bee");
	pgkit_sql(&pg, "ant",
	    "CREATE TABLE public.t AS SELECT 1 FROM generate_series(1, 7)");
	pgkit_sql(&pg, "bee",
	    "CREATE TABLE public.t AS SELECT 1 FROM generate_series(1, 20)");
	databases = both;
	m = backup("ant", "all");
	databases = NULL;
	restore_ok(m, NULL, HF_RESTORE_IN_PLACE);
	assert_string_equal(result("databases"), "ant, bee");
	assert_string_equal(result("rows"), "27");
	assert_string_equal(result("ant.rows"), "7");
	assert_string_equal(result("bee.rows"), "20");
	result_has("server", pg.dir);
	result_has("ant.undo", result("ant.safety_copy"));
	assert_true(exists(result("ant.safety_copy")));
	drop(result("ant.safety_copy"));
	assert_true(exists(result("bee.safety_copy")));
	drop(result("bee.safety_copy"));
	drop("ant");
	drop("bee");
	memout_free(m);
	nothing_left();
}

/* ---- parts ---- */

static void
one_table_comes_with_all_that_belongs_to_it(void **state)
{
	static const char *const only[] = { "type mood", "table sales.orders",
		"parted", NULL };

	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE part");
	pgkit_sql(&pg, "part", "CREATE TABLE public.mine(x int)");
	conf.only = only;
	restore_ok(shop, "part", 0);
	assert_int_equal(restore(shop, "part", 0), HF_E_EXISTS);
	assert_int_equal(
	    restore(shop, "part", HF_RESTORE_IN_PLACE), HF_E_INVALID);
	assert_int_equal(restore(shop, NULL, 0), HF_E_INVALID);
	assert_int_equal(
	    pgkit_int(&pg, "part",
		"SELECT count(*) FROM sales.orders WHERE "
		"has_table_privilege('reader', 'sales.orders', 'SELECT') AND "
		"col_description('sales.orders'::regclass, 2) IS NOT NULL AND "
		"(SELECT last_value FROM sales.orders_id_seq) = 3000 AND "
		"(SELECT count(*) FROM pg_constraint WHERE conrelid = "
		"'sales.orders'::regclass) = 1"),
	    3000);
	assert_int_equal(
	    pgkit_int(&pg, "part",
		"SELECT count(*) FROM public.parted WHERE (SELECT count(*) "
		"FROM pg_inherits) = 6"),
	    200);
	assert_int_equal(
	    pgkit_int(&pg, "part",
		"SELECT count(*) FROM pg_class WHERE relname IN ('items', "
		"'counted', 'mine')"),
	    1);
	drop("part");
	nothing_left();
}

static void
single_objects_go_again_after_a_failure(void **state)
{
	static const char *const only[] = { "type mood", "schema sales",
		"parted", NULL };
	struct memout *m =
	    spoiled("contents.json", "\"rows\": 3000", "\"rows\": 3001");
	char *before, *after;

	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE part");
	pgkit_sql(&pg, "part", "CREATE TABLE public.mine(x int)");
	before = dumped("part");
	conf.only = only;
	assert_int_equal(restore(m, "part", 0), HF_E_CORRUPT);
	after = dumped("part");
	assert_string_equal(before, after);
	free(before);
	free(after);
	memout_free(m);
	drop("part");
	nothing_left();
}

static void
an_object_that_is_not_there_is_told(void **state)
{
	static const char *const none[] = { "table nosuch", NULL };
	static const char *const lacks[] = { "table sales.orders", NULL };

	(void)state;
	conf.only = none;
	assert_int_equal(restore(shop, "part", 0), HF_E_NOTFOUND);
	error_has("table nosuch");
	conf.only = lacks;
	assert_true(restore(shop, "part", 0) < 0);
	error_has("mood");
	assert_false(exists("part"));
	nothing_left();
}

static void
a_key_to_a_table_that_is_not_there_is_left_out(void **state)
{
	static const char *const only[] = { "items", NULL };

	(void)state;
	conf.only = only;
	restore_ok(shop, "part", 0);
	assert_int_equal(
	    pgkit_int(&pg, "part",
		"SELECT count(*) FROM pg_constraint WHERE conrelid = "
		"'public.items'::regclass AND contype <> 'f'"),
	    pgkit_int(&pg, "part",
		"SELECT count(*) FROM pg_constraint WHERE conrelid = "
		"'public.items'::regclass"));
	drop("part");
	nothing_left();
}

static const char triggers_sql[] =
    "CREATE SCHEMA f; CREATE FUNCTION f.stamp() RETURNS trigger LANGUAGE "
    "plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE FUNCTION f.\"Odd one\"() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN RETURN NEW; END';"
    "CREATE FUNCTION f.fold(text) RETURNS text LANGUAGE sql IMMUTABLE AS "
    "'SELECT $1';"
    "CREATE TABLE public.u(id int PRIMARY KEY);"
    "CREATE TABLE public.t(id int CONSTRAINT to_u REFERENCES public.u,"
    " \"on\" int);"
    "COMMENT ON CONSTRAINT to_u ON public.t IS 'a key';"
    "CREATE TRIGGER \"Odd\" AFTER UPDATE OF id, \"on\" ON public.t FOR EACH "
    "ROW WHEN (NEW.\"on\" > 0) EXECUTE FUNCTION f.\"Odd one\"('execute "
    "function x.y()');"
    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON public.t DEFERRABLE FOR "
    "EACH ROW EXECUTE FUNCTION f.stamp();"
    "COMMENT ON TRIGGER \"Odd\" ON public.t IS 'odd';"
    "COMMENT ON TRIGGER late ON public.t IS 'late';"
    "CREATE TRIGGER kept BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE "
    "FUNCTION suppress_redundant_updates_trigger();"
    "COMMENT ON TRIGGER kept ON public.t IS 'kept';"
    "CREATE TABLE public.p(k int) PARTITION BY LIST (k);"
    "CREATE TABLE public.p1 PARTITION OF public.p FOR VALUES IN (1);"
    "CREATE TRIGGER all_p AFTER INSERT ON public.p FOR EACH ROW EXECUTE "
    "FUNCTION f.stamp();"
    "ALTER TABLE public.p1 DISABLE TRIGGER all_p;"
    "CREATE TABLE public.folded(x text);"
    "CREATE INDEX folded_x ON public.folded(f.fold(x))";

static void
a_trigger_whose_function_is_not_there_is_left_out(void **state)
{
	static const char *const only[] = { "t", "p", NULL };
	static const char *const both[] = { "t", "p", "schema f", NULL };
	static const char names[] =
	    "SELECT string_agg(tgname || coalesce(obj_description(oid, "
	    "'pg_trigger'), ''), ',' ORDER BY tgrelid::regclass::text, tgname "
	    "COLLATE \"C\") FROM pg_trigger WHERE NOT tgisinternal";
	struct memout *m;
	char *s;

	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE trig");
	pgkit_sql(&pg, "trig", triggers_sql);
	m = backup("trig", "all");
	conf.only = only;
	restore_ok(m, "part", 0);
	s = pgkit_psql(&pg, "part", names);
	assert_string_equal(s, "keptkept");
	free(s);
	result_has("skipped", "trigger late of public.t: there is no function "
			      "f.stamp()");
	result_has("skipped", "trigger Odd of public.t: there is no function "
			      "f.Odd one()");
	result_has("skipped", "trigger all_p of public.p: ");
	result_has("skipped", "foreign key to_u of public.t: ");
	drop("part");
	/* Those that come with them, or are there, are used. */
	conf.only = both;
	restore_ok(m, "part", 0);
	s = pgkit_psql(&pg, "part", names);
	assert_string_equal(s, "all_p,all_p,Oddodd,keptkept,latelate");
	free(s);
	assert_null(strstr(result("skipped"), "trigger"));
	pgkit_sql(&pg, "part", "DROP TABLE public.t, public.p");
	conf.only = only;
	restore_ok(m, "part", 0);
	assert_null(strstr(result("skipped"), "trigger"));
	drop("part");
	drop("trig");
	memout_free(m);
	nothing_left();
}

static void
what_single_objects_lack_is_named_with_a_way_out(void **state)
{
	static const char *const type[] = { "table sales.orders", NULL };
	static const char *const index[] = { "folded", NULL };
	struct memout *m;

	(void)state;
	pgkit_sql(&pg, "postgres", "CREATE DATABASE trig");
	pgkit_sql(&pg, "trig", triggers_sql);
	m = backup("trig", "all");
	conf.only = index;
	assert_int_equal(restore(m, "part", 0), HF_E_NOTFOUND);
	error_has("schema \"f\" does not exist");
	assert_null(strstr(err.cause, "worker process"));
	assert_non_null(strstr(error_get(&err, "hint"), "--only"));
	assert_null(strstr(error_get(&err, "hint"), "Create it first"));
	conf.only = type;
	assert_int_equal(restore(shop, "part", 0), HF_E_NOTFOUND);
	error_has("public.mood");
	assert_non_null(strstr(error_get(&err, "hint"), "--only"));
	assert_null(strstr(error_get(&err, "hint"), "Create it first"));
	assert_false(exists("part"));
	drop("trig");
	memout_free(m);
	nothing_left();
}

static void
rows_alone_fill_tables_that_are_there(void **state)
{
	struct memout *schema = backup("shop", "schema");
	struct memout *data = backup("shop", "data");

	(void)state;
	restore_ok(schema, "two", 0);
	assert_int_equal(
	    pgkit_int(&pg, "two", "SELECT count(*) FROM public.items"), 0);
	assert_true(restore(data, "nosuch", 0) < 0);
	memout_fail(data, MEMOUT_READ, 5, HF_E_IO);
	assert_true(restore(data, "two", 0) < 0);
	memout_fail(data, MEMOUT_READ, 0, HF_OK);
	assert_int_equal(
	    pgkit_int(&pg, "two",
		"SELECT (SELECT count(*) FROM public.items) + (SELECT "
		"count(*) FROM sales.orders)"),
	    0);
	restore_ok(data, "two", 0);
	same("shop", "two");
	assert_int_equal(restore(data, "two", 0), HF_E_EXISTS);
	error_has("is not empty");
	drop("two");
	memout_free(schema);
	memout_free(data);
	nothing_left();
}

/* ---- roles ---- */

static void
a_role_that_may_not_create_roles_is_told_which_are_missing(void **state)
{
	struct memout *m;

	(void)state;
	pgkit_sql(&pg, "postgres",
	    "CREATE ROLE visitor LOGIN CREATEDB; CREATE ROLE passing PASSWORD "
	    "'opensesame'");
	m = backup("shop", "all");
	pgkit_sql(&pg, "postgres", "DROP ROLE passing");
	user = "visitor";
	assert_int_equal(restore(m, "theirs", 0), HF_E_DENIED);
	error_has("'passing'");
	assert_null(strstr(err.cause, "SCRAM"));
	assert_false(exists("theirs"));
	conf.no_owner = conf.no_privileges = true;
	restore_ok(m, "theirs", 0);
	assert_int_equal(
	    pgkit_int(&pg, "theirs",
		"SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid "
		"= relnamespace WHERE c.oid >= 16384 AND nspname IN ('public', "
		"'sales') AND relowner <> 'visitor'::regrole"),
	    0);
	user = "postgres";
	restore_ok(m, "mine", 0);
	assert_string_equal(result("roles"), "created passing");
	assert_int_equal(
	    pgkit_int(&pg, "postgres",
		"SELECT count(*) FROM pg_authid WHERE rolname = 'passing' AND "
		"rolpassword LIKE 'SCRAM%'"),
	    1);
	drop("mine");
	drop("theirs");
	pgkit_sql(&pg, "postgres", "DROP ROLE passing; DROP ROLE visitor");
	memout_free(m);
	nothing_left();
}

static void
a_tablespace_that_was_created_is_told(void **state)
{
	char sql[256];
	struct memout *m;

	(void)state;
	(void)snprintf(sql, sizeof sql,
	    "COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; mkdir %s/space'",
	    pg.dir);
	pgkit_sql(&pg, "postgres", sql);
	(void)snprintf(sql, sizeof sql,
	    "CREATE TABLESPACE \"Odd space\" LOCATION '%s/space'", pg.dir);
	pgkit_sql(&pg, "postgres", sql);
	m = backup("shop", "all");
	restore_ok(m, "new", 0);
	assert_string_equal(result("tablespaces"), "");
	assert_string_equal(result("roles"), "");
	drop("new");
	pgkit_sql(&pg, "postgres", "DROP TABLESPACE \"Odd space\"");
	restore_ok(m, "new", 0);
	assert_string_equal(result("tablespaces"), "created Odd space");
	drop("new");
	pgkit_sql(&pg, "postgres", "DROP TABLESPACE \"Odd space\"");
	memout_free(m);
	nothing_left();
}

static int
reset(void **state)
{
	(void)state;
	user = "postgres";
	chunk_size = (int64_t)128 << 20;
	conf = (struct restore_conf){ .globals = "missing",
		.tablespaces = true,
		.analyze = true,
		.check = "quick",
		.maintenance_work_mem = (int64_t)64 << 20 };
	return 0;
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, reset)
	const struct CMUnitTest tests[] = {
		TEST(a_database_comes_back_as_it_was),
		TEST(a_table_in_parts_comes_back_whole),
		TEST(rows_of_a_new_table_are_frozen),
		TEST(a_name_of_63_bytes_is_no_trouble),
		TEST(what_is_there_is_not_replaced),
		TEST(an_empty_database_keeps_its_owner_and_grants),
		TEST(an_empty_database_is_empty_again_after_a_failure),
		TEST(an_empty_database_that_somebody_uses_is_refused),
		TEST(a_count_that_differs_names_the_table),
		TEST(rows_that_break_a_constraint_are_named),
		TEST(every_failing_read_leaves_nothing),
		TEST(a_cancelled_restore_leaves_nothing),
		TEST(a_killed_run_leaves_the_target_and_the_next_one_clears),
		TEST(leftovers_of_others_and_of_living_runs_stay),
		TEST(in_place_keeps_the_former_one_under_another_name),
		TEST(every_undo_that_was_told_can_be_done),
		TEST(a_database_in_use_is_refused_before_any_work),
		TEST(clients_that_reconnect_cannot_hold_a_forced_swap_up),
		TEST(a_prepared_transaction_holds_a_swap_up_and_is_named),
		TEST(one_that_cannot_be_used_gives_the_former_its_name_back),
		TEST(all_databases_of_a_backup_go_under_their_own_names),
		TEST(what_became_of_each_of_several_databases_is_told),
		TEST(one_table_comes_with_all_that_belongs_to_it),
		TEST(single_objects_go_again_after_a_failure),
		TEST(an_object_that_is_not_there_is_told),
		TEST(a_key_to_a_table_that_is_not_there_is_left_out),
		TEST(a_trigger_whose_function_is_not_there_is_left_out),
		TEST(what_single_objects_lack_is_named_with_a_way_out),
		TEST(rows_alone_fill_tables_that_are_there),
		TEST(
		    a_role_that_may_not_create_roles_is_told_which_are_missing),
		TEST(a_tablespace_that_was_created_is_told),
	};
	int rc;

	H = &host_table;
	if ((rc = pgkit_start(&pg)) != 0)
		return rc;
	(void)snprintf(scratch, sizeof scratch, "/tmp/hf-load-XXXXXX");
	if (mkdtemp(scratch) == NULL)
		return 1;
	pgkit_sql(
	    &pg, "postgres", "ALTER SYSTEM SET max_prepared_transactions = 4");
	pgkit_halt(&pg, SIGINT);
	pgkit_resume(&pg);
	(void)reset(NULL);
	pgkit_sql(&pg, "postgres", "CREATE DATABASE shop");
	pgkit_sql(&pg, "shop", shop_sql);
	shop = backup("shop", "all");
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	memout_free(shop);
	pgkit_stop(&pg);
	(void)rmdir(scratch);
	return rc;
}
