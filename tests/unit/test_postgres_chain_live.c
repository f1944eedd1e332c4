/* SPDX-License-Identifier: BSD-2-Clause */
/* Incremental base backups of a real server, restored as one: to the same
 * bytes as the server's own program makes of them.  Older servers than 17 make
 * none: then two full ones are no chain. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "recover/recover.h"
#include "support/basekit.h"
#include "support/memout.h"
#include "support/pgkit.h"

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS 4

static struct pgkit kit;
static char results[2048];

static void
on_result(void *arg, const char *key, const char *value)
{
	size_t n = strlen(results);

	(void)arg;
	(void)snprintf(results + n, sizeof results - n, "%s=%s\n", key, value);
}

static struct cancel cancel;
static char scratch[96];
static struct hf_ctx ctx = { .who = "source test",
	.scratch_dir = scratch,
	.cancel = &cancel,
	.result = on_result };
static struct hf_error err;
static char info[256];
static struct memout *links[LINKS];
static struct hf_in *ins[LINKS];
static char *sums[LINKS]; /* of the table "steady", as each link has it */

static void
must(int rc)
{
	if (rc != HF_OK)
		fail_msg(
		    "%s: %s", err.nframes > 0 ? err.frames[0] : "", err.cause);
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, text);
}

static struct hf_engine
engine(void)
{
	return (struct hf_engine){ .ctx = &ctx,
		.conf = { .conninfo = info,
		    .mode = "physical",
		    .content = "all",
		    .large_objects = true,
		    .role_passwords = true,
		    .chunk_size = (int64_t)128 << 20,
		    .lock_timeout = 10000,
		    .checkpoint = "fast",
		    .verify_checksums = true,
		    .run_as = "postgres",
		    .bin_dir = kit.bin } };
}

static void
back_up(size_t k)
{
	struct hf_engine e = engine();
	struct hf_request r = { .struct_size = sizeof r,
		.kind =
		    k == 0 || kit.version < 17 ? HF_KIND_FULL : HF_KIND_INCR,
		.parent = k == 0 || kit.version < 17 ? NULL : ins[k - 1],
		.max_streams = 4 };

	links[k] = memout_new();
	ins[k] = memout_in(links[k]);
	error_clear(&err);
	must(base_backup(&e, &r, memout_out(links[k]), &err));
	free(sums[k]);
	sums[k] =
	    pgkit_psql(&kit, "shop", "SELECT count(*), sum(n) FROM steady");
}

/* ---- a source ---- */

/* Everything by which a server changes files, in between. */
static void
change(size_t k)
{
	char sql[1024];

	(void)snprintf(sql, sizeof sql,
	    "INSERT INTO steady SELECT %zu FROM generate_series(1, 1000); "
	    "UPDATE wide SET t = t || 'x' WHERE i %% 41 = %zu; "
	    "DELETE FROM tail WHERE i > %zu; "
	    "DELETE FROM placed WHERE i %% 5 = %zu; "
	    "TRUNCATE emptied; "
	    "INSERT INTO emptied SELECT generate_series(1, %zu); "
	    "CREATE TABLE new_%zu AS SELECT generate_series(1, 5000) AS i",
	    k, k, 60000 - 15000 * k, k, 3000 * k, k);
	pgkit_sql(&kit, "shop", sql);
	if (k > 2)
		pgkit_sql(&kit, "shop", "DROP TABLE new_1, new_2");
	pgkit_sql(&kit, "shop", "VACUUM tail"); /* cuts its end off */
	pgkit_sql(&kit, "shop",
	    k == 1 ? "INSERT INTO tail SELECT generate_series(70000, 90000)"
		   : "VACUUM FULL placed");
}

static void
tablespace(const char *name)
{
	const struct passwd *pw = getpwnam("postgres");
	char path[96], sql[256];

	(void)snprintf(path, sizeof path, "%s/%s", kit.dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(path, pw->pw_uid, pw->pw_gid), 0);
	(void)snprintf(
	    sql, sizeof sql, "CREATE TABLESPACE %s LOCATION '%s'", name, path);
	pgkit_sql(&kit, "postgres", sql);
}

static void
fill(void)
{
	tablespace("one");
	tablespace("two");
	pgkit_sql(&kit, "shop",
	    "CREATE TABLE wide AS SELECT i, repeat('w', 200) AS t FROM "
	    "generate_series(1, 30000) i; CREATE INDEX ON wide(i); "
	    "CREATE TABLE tail AS SELECT generate_series(1, 60000) AS i; "
	    "CREATE TABLE placed TABLESPACE one AS SELECT i, repeat('p', 50) "
	    "AS t FROM generate_series(1, 20000) i; "
	    "CREATE TABLE gone TABLESPACE two AS SELECT "
	    "generate_series(1, 5000) AS i; "
	    "CREATE TABLE emptied AS SELECT generate_series(1, 9000) AS i; "
	    "CREATE UNLOGGED TABLE loose AS SELECT 1 AS a");
	basekit_run("%s/pgbench -q -i -s 2 -h %s -p %d -U postgres shop "
		    ">%s/bench.log 2>&1",
	    kit.bin, kit.dir, kit.port, kit.dir);
}

/* While somebody works. */
static void
take_chain(void)
{
	basekit_run("%s/pgbench -n -c 3 -T 60 -h %s -p %d -U postgres shop "
		    ">%s/bench.log 2>&1 & echo $! >%s/bench.pid",
	    kit.bin, kit.dir, kit.port, kit.dir, kit.dir);
	for (size_t k = 0; k < LINKS; k++) {
		if (k > 0)
			change(k);
		if (k == 2) {
			pgkit_sql(&kit, "shop", "DROP TABLE gone");
			pgkit_sql(&kit, "postgres", "DROP TABLESPACE two");
			tablespace("three");
			pgkit_sql(&kit, "shop",
			    "ALTER TABLE emptied SET TABLESPACE three");
			pgkit_sql(&kit, "postgres", "CREATE DATABASE later");
		}
		back_up(k);
	}
	basekit_run("kill $(cat %s/bench.pid); while kill -0 $(cat "
		    "%s/bench.pid) 2>/dev/null; do sleep 0.1; done",
	    kit.dir, kit.dir);
}

static int
make_source(void **state)
{
	int rc = pgkit_start_physical(&kit);

	(void)state;
	if (rc != 0)
		return rc;
	(void)snprintf(info, sizeof info,
	    "host=%s port=%d user=postgres dbname=postgres", kit.dir, kit.port);
	(void)snprintf(scratch, sizeof scratch, "%s/scratch", kit.dir);
	assert_int_equal(mkdir(scratch, 0755), 0);
	pgkit_sql(&kit, "postgres", "CREATE DATABASE shop");
	pgkit_sql(&kit, "shop", "CREATE TABLE steady(n int)");
	if (kit.version < 17) {
		back_up(0);
		back_up(1);
		return 0;
	}
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET summarize_wal = on");
	pgkit_sql(&kit, "postgres", "SELECT pg_reload_conf()");
	fill();
	take_chain();
	return 0;
}

static int
drop_source(void **state)
{
	(void)state;
	for (size_t k = 0; k < LINKS; k++) {
		memout_free(links[k]);
		free(sums[k]);
	}
	pgkit_stop(&kit);
	return 0;
}

/* ---- restoring ---- */

static struct restore_conf
defaults(void)
{
	return (struct restore_conf){ .timeline = "latest",
		.inclusive = true,
		.globals = "missing",
		.tablespaces = true,
		.analyze = true,
		.check = "quick",
		.action = "pause" };
}

static int
restore_to(const char *target, struct restore_conf *conf, size_t n)
{
	struct hf_engine e = engine();
	struct hf_request r = { .struct_size = sizeof r,
		.kind = HF_KIND_FULL,
		.max_streams = 4,
		.target = target,
		.restore_conf = conf };

	error_clear(&err);
	results[0] = '\0';
	return recover_run(&e, &r, ins, n, &err);
}

#define MAPS 4

/* Tablespaces of a link, as options, "-T " or "" before each. */
static size_t
map_spaces(const struct memout *link, const char *old, const char *to,
    char maps[MAPS][192])
{
	struct memout *m = (struct memout *)(uintptr_t)link;
	size_t n = 0;

	for (size_t i = 0; i < memout_count(m); i++) {
		const char *name = memout_name(m, i);
		int digits = (int)strspn(name, "0123456789"), len;

		if (digits == 0)
			continue;
		assert_true(n < MAPS);
		len = snprintf(maps[n], sizeof maps[n], "%s%.*s=%s.%.*s", old,
		    digits, name, to, digits, name);
		assert_true(len > 0 && (size_t)len < sizeof maps[n]);
		n++;
	}
	return n;
}

static void
restore_beside(size_t n, struct pgkit *other)
{
	struct restore_conf conf = defaults();
	char data[96], maps[MAPS][192];
	const char *list[MAPS + 1] = { NULL };
	size_t spaces;

	pgkit_beside(&kit, other);
	(void)snprintf(data, sizeof data, "%s/data", other->dir);
	spaces = map_spaces(links[n - 1], "", data, maps);
	for (size_t i = 0; i < spaces; i++)
		list[i] = maps[i];
	conf.tablespace = list;
	must(restore_to(data, &conf, n));
}

/* As the server's own program does it, to DIR/combined. */
static void
combine(size_t n, const struct pgkit *other)
{
	char dirs[1024] = "", options[1024] = "", dir[96], old[128], to[128];
	char maps[MAPS][192];
	size_t spaces;

	for (size_t k = 0; k < n; k++) {
		(void)snprintf(dir, sizeof dir, "%s/link%zu", other->dir, k);
		basekit_extract(links[k], dir);
		(void)snprintf(dirs + strlen(dirs), sizeof dirs - strlen(dirs),
		    " %s", dir);
	}
	(void)snprintf(old, sizeof old, "%s.", dir);
	(void)snprintf(to, sizeof to, "%s/combined", other->dir);
	spaces = map_spaces(links[n - 1], old, to, maps);
	for (size_t i = 0; i < spaces; i++)
		(void)snprintf(options + strlen(options),
		    sizeof options - strlen(options), " -T %s", maps[i]);
	basekit_run(
	    "%s/pg_combinebackup%s -o %s%s", kit.bin, options, to, dirs);
	for (size_t k = 0; k < n; k++) {
		(void)snprintf(dir, sizeof dir, "%s/link%zu", other->dir, k);
		basekit_remove(dir);
	}
}

/* A tool of the server, as its user. */
static void
tool(const struct pgkit *p, const char *what, const char *args)
{
	basekit_run("%s%s/%s %s >%s/tool.log 2>&1 || { cat %s/tool.log >&2; "
		    "exit 1; }",
	    geteuid() == 0 ? "setpriv --reuid postgres --regid postgres "
			     "--init-groups "
			   : "",
	    p->bin, what, args, p->dir, p->dir);
}

static void
starts_and_is_whole(struct pgkit *p, size_t n)
{
	char args[256], *sum;

	basekit_run(
	    "echo 'archive_mode = off' >>%s/data/postgresql.auto.conf", p->dir);
	pgkit_resume(p);
	pgkit_until(p, "postgres", "SELECT NOT pg_is_in_recovery()");
	sum = pgkit_psql(p, "shop", "SELECT count(*), sum(n) FROM steady");
	assert_string_equal(sum, sums[n - 1]);
	free(sum);
	pgkit_until(p, "shop",
	    "SELECT (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT "
	    "sum(abalance) FROM pgbench_accounts) AND (SELECT sum(delta) FROM "
	    "pgbench_history) = (SELECT sum(tbalance) FROM pgbench_tellers) "
	    "AND (SELECT count(*) > 0 FROM pgbench_history)");
	(void)snprintf(args, sizeof args,
	    "-h %s -p %d -U postgres --install-missing --heapallindexed -a",
	    p->dir, p->port);
	tool(p, "pg_amcheck", args);
	pgkit_halt(p, SIGINT);
	(void)snprintf(args, sizeof args, "--check -D %s/data", p->dir);
	tool(p, "pg_checksums", args);
}

static void
every_file_is_as_the_servers_own_program_makes_it(void **state)
{
	(void)state;
	for (size_t n = kit.version < 17 ? LINKS + 1 : LINKS;
	     n >= 2 && n <= LINKS; n--) {
		struct pgkit other;
		char args[256];

		restore_beside(n, &other);
		(void)snprintf(args, sizeof args, "increments=%zu,", n - 1);
		assert_has(results, args);
		combine(n, &other);
		basekit_run("diff -r -x backup_manifest -x recovery.signal -x "
			    "postgresql.auto.conf -x tablespace_map "
			    "%s/combined %s/data",
		    other.dir, other.dir);
		basekit_run("test $(find -L %s/combined -type f | wc -l) -gt "
			    "900",
		    other.dir);
		basekit_run(
		    "test -z \"$(find -L %s/data -name 'INCR*')\"", other.dir);
		(void)snprintf(args, sizeof args, "-q %s/data", other.dir);
		tool(&other, "pg_verifybackup", args);
		starts_and_is_whole(&other, n);
		pgkit_stop(&other);
	}
}

static void
full_backups_of_an_older_server_are_no_chain(void **state)
{
	struct restore_conf conf = defaults();
	char data[96];

	(void)state;
	if (kit.version >= 17)
		return;
	(void)snprintf(data, sizeof data, "%s/fresh", kit.dir);
	assert_int_equal(restore_to(data, &conf, 2), HF_E_CORRUPT);
	assert_has(err.cause, "does not say on what it builds");
	memout_set_fact(
	    links[1], BASE_FACT_FROM, memout_fact(links[0], BASE_FACT_START));
	assert_int_equal(restore_to(data, &conf, 2), HF_E_CORRUPT);
	assert_has(err.cause, "makes no increments");
	assert_int_equal(access(data, F_OK), -1);
}

/* ---- private servers ---- */

struct told {
	char text[4096];
	unsigned failed;
};

static int
collect(void *arg, const struct hf_finding *f)
{
	struct told *t = arg;
	size_t n = strlen(t->text);

	t->failed += f->verdict == HF_FAIL;
	(void)snprintf(t->text + n, sizeof t->text - n, "%s=%d: %s\n", f->check,
	    (int)f->verdict, f->result);
	return HF_OK;
}

static void
a_private_copy_of_a_chain_is_looked_into(void **state)
{
	struct hf_engine e = engine();
	struct restore_conf conf = defaults();
	struct told told = { .failed = 0 };
	size_t n = kit.version < 17 ? 1 : 3;
	char target[512];
	struct hf_request r = { .struct_size = sizeof r,
		.kind = HF_KIND_FULL,
		.max_streams = 2,
		.target = target,
		.restore_conf = &conf };

	(void)state;
	error_clear(&err);
	must(recover_scratch(&e, "/var/tmp", target, sizeof target, &err));
	must(recover_run(&e, &r, ins, n, &err));
	must(recover_inspect(&e, target, ins[n - 1], collect, &told, &err));
	if (told.failed != 0)
		fail_msg("%s", told.text);
	assert_has(told.text, "amcheck=0");
	assert_has(told.text, "data checksums=0");
	recover_discard(&e, target);
	assert_int_equal(access(target, F_OK), -1);
}

static void
one_database_comes_out_of_a_chain(void **state)
{
	struct restore_conf conf = defaults();
	char target[320], *sum;

	(void)state;
	if (kit.version < 17)
		return;
	conf.database = "shop";
	(void)snprintf(target, sizeof target,
	    "host=%s port=%d user=postgres dbname=then", kit.dir, kit.port);
	must(restore_to(target, &conf, 3));
	sum = pgkit_psql(&kit, "then", "SELECT count(*), sum(n) FROM steady");
	assert_string_equal(sum, sums[2]);
	free(sum);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    every_file_is_as_the_servers_own_program_makes_it),
		cmocka_unit_test(full_backups_of_an_older_server_are_no_chain),
		cmocka_unit_test(a_private_copy_of_a_chain_is_looked_into),
		cmocka_unit_test(one_database_comes_out_of_a_chain),
	};
	H = &host_table;
	return cmocka_run_group_tests(tests, make_source, drop_source);
}
