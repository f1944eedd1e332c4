/* SPDX-License-Identifier: BSD-2-Clause */
/* Base backups of a real server, restored, started and recovered. */
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
#include "support/memlog.h"
#include "support/memout.h"
#include "support/pgkit.h"
#include "wal/wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 12 /* of the writer, each a transaction */

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
static struct memout *included;   /* a backup with its WAL */
static struct memout *base, *wal; /* one without, and the log */
static char archive[96], spaces[96];
static char info[256];

/* What the writer knows of its rows. */
static struct {
	char xid[24], lsn[24], before[40], after[40];
} rows[ROWS + 1];

static void run_ok(const char *fmt, ...) HF_PRINTF(1, 2);

static void
run_ok(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void
as_server(const char *path)
{
	const struct passwd *pw = getpwnam("postgres");

	if (geteuid() == 0)
		assert_int_equal(chown(path, pw->pw_uid, pw->pw_gid), 0);
}

static const char *
note(const char *key)
{
	for (int i = 0; i < err.nnotes; i++)
		if (strcmp(err.notes[i].key, key) == 0)
			return err.notes[i].value;
	return "";
}

static void
refused(int rc, int status)
{
	if (rc != status)
		fail_msg("%d, not %d: %s", rc, status, err.cause);
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* ---- a source ---- */

static struct conf
conf_of(void)
{
	return (struct conf){ .conninfo = info,
		.mode = "physical",
		.content = "all",
		.large_objects = true,
		.role_passwords = true,
		.chunk_size = (int64_t)128 << 20,
		.lock_timeout = 10000,
		.checkpoint = "fast",
		.verify_checksums = true,
		.run_as = "postgres",
		.bin_dir = kit.bin,
		.wal = { .slot = "holdfast", .wait = 10000, .flush = 1000 } };
}

static struct memout *
back_up(void)
{
	struct hf_engine e = { .ctx = &ctx, .conf = conf_of() };
	struct hf_request r = {
		.struct_size = sizeof r, .kind = HF_KIND_FULL, .max_streams = 4
	};
	struct memout *m = memout_new();

	error_clear(&err);
	if (base_backup(&e, &r, memout_out(m), &err) != HF_OK)
		fail_msg("backup: %s", err.cause);
	return m;
}

static void
copy_value(char *to, size_t cap, const char *sql)
{
	char *value = pgkit_psql(&kit, "postgres", sql);

	(void)snprintf(to, cap, "%s", value);
	free(value);
}

#define NOW                                                     \
	"SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', " \
	"'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

static void
write_rows(int from, int to)
{
	for (int i = from; i <= to; i++) {
		char sql[128];

		copy_value(rows[i].before, sizeof rows[i].before, NOW);
		(void)snprintf(sql, sizeof sql,
		    "INSERT INTO numbered VALUES (%d) RETURNING "
		    "pg_current_xact_id()",
		    i);
		copy_value(rows[i].xid, sizeof rows[i].xid, sql);
		copy_value(rows[i].lsn, sizeof rows[i].lsn,
		    "SELECT pg_current_wal_insert_lsn()");
		copy_value(rows[i].after, sizeof rows[i].after, NOW);
	}
}

/* The archive's files into the log, as archive_command would. */
static void
fill_log(void)
{
	struct hf_engine e = { .ctx = &ctx, .conf = conf_of() };
	struct dirent *entry;
	DIR *d = opendir(archive);

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		char path[512];

		/* Segments are enough: recovery asks for no others here. */
		if (strchr(entry->d_name, '.') != NULL)
			continue;
		(void)snprintf(
		    path, sizeof path, "%s/%s", archive, entry->d_name);
		error_clear(&err);
		if (wal_push(&e, path, memout_out(wal), memout_in(wal), &err) !=
		    HF_OK)
			fail_msg("push of %s: %s", path, err.cause);
	}
	(void)closedir(d);
}

static void
archiving_on(void)
{
	char sql[256];

	(void)snprintf(archive, sizeof archive, "%s/archive", kit.dir);
	(void)snprintf(spaces, sizeof spaces, "%s/space", kit.dir);
	assert_int_equal(mkdir(archive, 0755), 0);
	assert_int_equal(mkdir(spaces, 0700), 0);
	as_server(archive);
	as_server(spaces);
	pgkit_sql(&kit, "postgres", "ALTER SYSTEM SET archive_mode = 'on'");
	(void)snprintf(sql, sizeof sql,
	    "ALTER SYSTEM SET archive_command = 'cp %%p %s/%%f'", archive);
	pgkit_sql(&kit, "postgres", sql);
	pgkit_halt(&kit, SIGINT);
	pgkit_resume(&kit);
}

static int
make_source(void **state)
{
	char sql[256];
	int rc = pgkit_start_physical(&kit);

	(void)state;
	if (rc != 0)
		return rc;
	(void)snprintf(info, sizeof info,
	    "host=%s port=%d user=postgres "
	    "dbname=postgres",
	    kit.dir, kit.port);
	archiving_on();
	(void)snprintf(scratch, sizeof scratch, "%s/scratch", kit.dir);
	assert_int_equal(mkdir(scratch, 0755), 0);
	(void)snprintf(
	    sql, sizeof sql, "CREATE TABLESPACE fast LOCATION '%s'", spaces);
	pgkit_sql(&kit, "postgres", sql);
	pgkit_sql(&kit, "postgres",
	    "CREATE TABLE numbered(n int PRIMARY KEY); "
	    "CREATE TABLE placed TABLESPACE fast AS "
	    "SELECT g, repeat('x', 500) AS t FROM generate_series(1, 3000) g; "
	    "CREATE UNLOGGED TABLE loose AS SELECT 1 AS a");
	included = back_up();
	base = back_up();
	memout_set_fact(base, BASE_FACT_WAL, "log");
	wal = memlog_new();
	write_rows(1, ROWS / 2);
	pgkit_sql(&kit, "postgres", "SELECT pg_create_restore_point('half')");
	pgkit_sql(&kit, "postgres", "SELECT pg_switch_wal()");
	write_rows(ROWS / 2 + 1, ROWS);
	pgkit_sql(&kit, "postgres", "SELECT pg_switch_wal()");
	pgkit_until(&kit, "postgres",
	    "SELECT last_archived_wal = pg_walfile_name("
	    "pg_current_wal_insert_lsn() - 16777216) OR "
	    "last_archived_wal >= pg_walfile_name("
	    "pg_current_wal_insert_lsn() - 1) FROM pg_stat_archiver");
	fill_log();
	return 0;
}

static int
drop_source(void **state)
{
	(void)state;
	memout_free(included);
	memout_free(base);
	memout_free(wal);
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
restore_to(struct memout *m, const char *target, struct restore_conf *conf,
    const char *until, struct hf_in *log)
{
	struct hf_engine e = { .ctx = &ctx, .conf = conf_of() };
	struct hf_in *in = memout_in(m);
	struct hf_request r = { .struct_size = sizeof r,
		.kind = HF_KIND_FULL,
		.max_streams = 4,
		.target = target,
		.until = until,
		.restore_conf = conf,
		.log = log };

	error_clear(&err);
	results[0] = '\0';
	return recover_run(&e, &r, &in, 1, &err);
}

/* Into the data folder of another kit, tablespaces beside. */
static int
restore_beside(struct memout *m, struct pgkit *other, struct restore_conf *conf,
    const char *until)
{
	char data[96], map[256], command[256];
	const char *maps[] = { map, NULL };

	pgkit_beside(&kit, other);
	(void)snprintf(data, sizeof data, "%s/data", other->dir);
	(void)snprintf(map, sizeof map, "%s=%s/moved", spaces, other->dir);
	(void)snprintf(command, sizeof command, "cp %s/%%f \"%%p\"", archive);
	conf->tablespace = maps;
	if (m == base && conf->restore_command == NULL)
		conf->restore_command = command;
	return restore_to(m, data, conf, until, NULL);
}

static void
must(int rc)
{
	if (rc != HF_OK)
		fail_msg("%s: %s (%s)", err.nframes > 0 ? err.frames[0] : "",
		    err.cause, note("hint"));
}

/* A copy that archives to the source's archive would lead the next one to its
 * own timeline. */
static void
start_copy(struct pgkit *p)
{
	run_ok(
	    "echo 'archive_mode = off' >>%s/data/postgresql.auto.conf", p->dir);
	pgkit_resume(p);
}

/* ---- what is in a restored one ---- */

/* A tool of the server, as its user. */
static void
tool(const struct pgkit *p, const char *what)
{
	run_ok("%s%s/%s >/tmp/hf-recover.log 2>&1 || "
	       "{ cat /tmp/hf-recover.log >&2; exit 1; }",
	    geteuid() == 0 ? "setpriv --reuid postgres --regid postgres "
			     "--init-groups "
			   : "",
	    p->bin, what);
}

static void
a_restored_cluster_is_whole_and_starts(void **state)
{
	struct restore_conf conf = defaults();
	struct pgkit other;
	char command[512];
	struct stat st;

	(void)state;
	must(restore_beside(included, &other, &conf, NULL));
	assert_has(results, "data_directory=");
	assert_has(results, "start=pg_ctl -D '");
	(void)snprintf(command, sizeof command, "%s/data", other.dir);
	assert_int_equal(stat(command, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	(void)snprintf(command, sizeof command,
	    "pg_verifybackup -i tablespace_map %s/data", other.dir);
	tool(&other, command);
	start_copy(&other);
	pgkit_until(&other, "postgres", "SELECT NOT pg_is_in_recovery()");
	assert_int_equal(
	    pgkit_int(&other, "postgres", "SELECT count(*) FROM placed"), 3000);
	assert_int_equal(
	    pgkit_int(&other, "postgres", "SELECT count(*) FROM loose"), 0);
	assert_int_equal(pgkit_int(&other, "postgres",
			     "SELECT count(*) FROM pg_tablespace WHERE "
			     "pg_tablespace_location(oid) LIKE '%/moved'"),
	    1);
	assert_int_equal(pgkit_int(&other, "postgres",
			     "SELECT timeline_id FROM pg_control_checkpoint()"
			     " WHERE pg_switch_wal() IS NOT NULL"),
	    2);
	(void)snprintf(command, sizeof command,
	    "pg_amcheck -h %s -p %d -U postgres --install-missing -a",
	    other.dir, other.port);
	tool(&other, command);
	pgkit_halt(&other, SIGINT);
	(void)snprintf(command, sizeof command,
	    "pg_checksums --check -D %s/data", other.dir);
	tool(&other, command);
	pgkit_stop(&other);
}

/* Rows 1..n are there, and no others. */
static void
has_rows(struct pgkit *p, int n)
{
	char sql[160];

	(void)snprintf(sql, sizeof sql,
	    "SELECT count(*) = %d AND coalesce(max(n), 0) = %d FROM numbered",
	    n, n);
	pgkit_until(p, "postgres", sql);
}

static void
recovers(struct restore_conf conf, const char *until, int n)
{
	struct pgkit other;

	must(restore_beside(base, &other, &conf, until));
	start_copy(&other);
	if (strcmp(conf.action, "promote") == 0 ||
	    (conf.target != NULL && strcmp(conf.target, "latest") == 0))
		pgkit_until(
		    &other, "postgres", "SELECT NOT pg_is_in_recovery()");
	else
		pgkit_until(&other, "postgres",
		    "SELECT pg_get_wal_replay_pause_state() = 'paused'");
	has_rows(&other, n);
	pgkit_stop(&other);
}

static void
recovery_ends_at_the_time(void **state)
{
	struct restore_conf conf = defaults();

	(void)state;
	recovers(conf, rows[4].after, 4);
	conf.action = "promote";
	recovers(conf, rows[9].before, 8);
}

static void
recovery_ends_at_the_lsn(void **state)
{
	struct restore_conf conf = defaults();

	(void)state;
	conf.lsn = rows[7].lsn;
	recovers(conf, NULL, 7);
}

static void
recovery_ends_with_or_before_the_transaction(void **state)
{
	struct restore_conf conf = defaults();

	(void)state;
	conf.xid = rows[5].xid;
	recovers(conf, NULL, 5);
	conf.inclusive = false;
	recovers(conf, NULL, 4);
}

static void
recovery_ends_at_the_name_and_at_both_ends(void **state)
{
	struct restore_conf conf = defaults();

	(void)state;
	conf.name = "half";
	recovers(conf, NULL, ROWS / 2);
	conf.name = NULL;
	conf.target = "immediate";
	recovers(conf, NULL, 0);
	conf.target = "latest";
	recovers(conf, NULL, ROWS);
}

/* ---- what is refused ---- */

static bool
is_empty(const char *path)
{
	return rmdir(path) == 0 && mkdir(path, 0755) == 0;
}

static void
a_taken_folder_is_refused(void **state)
{
	struct restore_conf conf = defaults();
	char data[128];

	(void)state;
	(void)snprintf(data, sizeof data, "%s/data", kit.dir);
	refused(restore_to(included, data, &conf, NULL, NULL), HF_E_EXISTS);
	assert_has(err.cause, "a server runs");
	(void)snprintf(data, sizeof data, "%s/archive", kit.dir);
	refused(restore_to(included, data, &conf, NULL, NULL), HF_E_EXISTS);
	assert_has(err.cause, "is not empty");
	/* And so is a tablespace's. */
	(void)snprintf(data, sizeof data, "%s/fresh", kit.dir);
	refused(restore_to(included, data, &conf, NULL, NULL), HF_E_EXISTS);
	assert_has(err.cause, spaces);
	assert_int_equal(access(data, F_OK), -1);
}

static void
a_failure_leaves_an_empty_folder_as_it_was(void **state)
{
	struct restore_conf conf = defaults();
	struct stat before, after;
	struct pgkit other;
	char data[96], map[256];
	const char *maps[] = { map, NULL };

	(void)state;
	pgkit_beside(&kit, &other);
	(void)snprintf(data, sizeof data, "%s/data", other.dir);
	(void)snprintf(map, sizeof map, "%s=%s/moved", spaces, other.dir);
	conf.tablespace = maps;
	assert_int_equal(mkdir(data, 0755), 0);
	assert_int_equal(stat(data, &before), 0);
	for (unsigned n = 3; n < 10; n += 3) {
		memout_fail(included, MEMOUT_READ, n, HF_E_IO);
		refused(restore_to(included, data, &conf, NULL, NULL), HF_E_IO);
		memout_fail(included, MEMOUT_READ, 0, 0);
		assert_int_equal(stat(data, &after), 0);
		assert_int_equal(before.st_mode, after.st_mode);
		assert_int_equal(before.st_uid, after.st_uid);
		assert_true(is_empty(data));
	}
	/* Nothing is beside it. */
	run_ok("test \"$(ls -A %s)\" = data", other.dir);
	must(restore_to(included, data, &conf, NULL, NULL));
	run_ok("test -z \"$(find %s -name '*holdfast*')\"", other.dir);
	start_copy(&other);
	pgkit_stop(&other);
}

static void
what_a_killed_restore_left_is_removed(void **state)
{
	struct restore_conf conf = defaults();
	struct pgkit other;
	char path[160], data[96], map[256];
	const char *maps[] = { map, NULL };

	(void)state;
	/* As a kill leaves them: beside, and in an empty folder. */
	pgkit_beside(&kit, &other);
	(void)snprintf(
	    path, sizeof path, "%s/.data.holdfast-0123456789abcdef", other.dir);
	run_ok("mkdir -p %s/base; touch %s/base/1", path, path);
	run_ok("mkdir -p %s/moved/PG_15; touch %s/moved/.holdfast-restore",
	    other.dir, other.dir);
	(void)snprintf(data, sizeof data, "%s/data", other.dir);
	(void)snprintf(map, sizeof map, "%s=%s/moved", spaces, other.dir);
	conf.tablespace = maps;
	must(restore_to(included, data, &conf, NULL, NULL));
	assert_int_equal(access(path, F_OK), -1);
	run_ok("test ! -e %s/moved/PG_15", other.dir);
	pgkit_stop(&other);
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
a_private_copy_is_recovered_and_looked_into(void **state)
{
	struct hf_engine e = { .ctx = &ctx, .conf = conf_of() };
	struct restore_conf conf = defaults();
	struct hf_in *in = memout_in(base);
	char target[512], value[64];
	struct told told = { .failed = 0 };
	struct hf_request r = { .struct_size = sizeof r,
		.kind = HF_KIND_FULL,
		.max_streams = 2,
		.target = target,
		.restore_conf = &conf,
		.log = memout_in(wal) };

	(void)state;
	error_clear(&err);
	must(recover_scratch(&e, "/var/tmp", target, sizeof target, &err));
	must(recover_run(&e, &r, &in, 1, &err));
	must(recover_inspect(&e, target, in, collect, &told, &err));
	assert_int_equal(told.failed, 0);
	assert_has(told.text, "amcheck=0");
	assert_has(told.text, "data checksums=0");
	must(recover_query(&e, target, "SELECT count(*) FROM placed", value,
	    sizeof value, &err));
	assert_string_equal(value, "3000");
	recover_discard(&e, target);
	assert_int_equal(access(target, F_OK), -1);
}

static void
one_database_comes_out_of_a_moment(void **state)
{
	struct restore_conf conf = defaults();
	char target[320];

	(void)state;
	(void)snprintf(target, sizeof target,
	    "host=%s port=%d user=postgres dbname=then", kit.dir, kit.port);
	must(restore_to(base, target, &conf, rows[5].after, memout_in(wal)));
	assert_has(results, "recovery=time ");
	assert_int_equal(
	    pgkit_int(&kit, "then", "SELECT count(*) FROM numbered"), 5);
	assert_int_equal(
	    pgkit_int(&kit, "then", "SELECT count(*) FROM placed"), 3000);
	pgkit_sql(&kit, "postgres", "DROP DATABASE \"then\"");
	run_ok("test -z \"$(ls -d /var/tmp/holdfast-postgres-* 2>/dev/null)\"");
}

static void
a_missing_segment_is_an_end_and_a_damaged_one_a_failure(void **state)
{
	struct restore_conf conf = defaults();
	char target[320], name[WAL_LOG_MAX] = "";

	(void)state;
	(void)snprintf(target, sizeof target,
	    "host=%s port=%d user=postgres dbname=then", kit.dir, kit.port);
	/* The segment that has the later rows. */
	for (size_t i = 0; i < memout_count(wal); i++)
		if (strcmp(memout_name(wal, i), name) > 0 &&
		    strchr(strrchr(memout_name(wal, i), '/'), '.') == NULL)
			(void)snprintf(
			    name, sizeof name, "%s", memout_name(wal, i));
	memout_lose(wal, name, HF_E_NOTFOUND);
	refused(
	    restore_to(base, target, &conf, rows[ROWS].after, memout_in(wal)),
	    HF_E_NOTFOUND);
	assert_has(err.cause, "the WAL ends before");
	memout_lose(wal, name, HF_E_CORRUPT);
	refused(
	    restore_to(base, target, &conf, rows[ROWS].after, memout_in(wal)),
	    HF_E_CORRUPT);
	refused(restore_to(base, target, &conf, NULL, memout_in(wal)),
	    HF_E_CORRUPT);
	memout_lose(wal, NULL, 0);
	assert_int_equal(
	    pgkit_int(&kit, "postgres",
		"SELECT count(*) FROM pg_database WHERE datname LIKE '%then%'"),
	    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restored_cluster_is_whole_and_starts),
		cmocka_unit_test(recovery_ends_at_the_time),
		cmocka_unit_test(recovery_ends_at_the_lsn),
		cmocka_unit_test(recovery_ends_with_or_before_the_transaction),
		cmocka_unit_test(recovery_ends_at_the_name_and_at_both_ends),
		cmocka_unit_test(a_taken_folder_is_refused),
		cmocka_unit_test(a_failure_leaves_an_empty_folder_as_it_was),
		cmocka_unit_test(what_a_killed_restore_left_is_removed),
		cmocka_unit_test(a_private_copy_is_recovered_and_looked_into),
		cmocka_unit_test(one_database_comes_out_of_a_moment),
		cmocka_unit_test(
		    a_missing_segment_is_an_end_and_a_damaged_one_a_failure),
	};
	H = &host_table;
	return cmocka_run_group_tests(tests, make_source, drop_source);
}
