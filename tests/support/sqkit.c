/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/sqkit.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/sha256.h"
#include "plugin/loader.h"
#include "plugin/options.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS 8

static void
on_result(void *arg, const char *key, const char *value)
{
	struct sqkit *k = arg;

	if (strcmp(key, "safety_copy") == 0)
		(void)snprintf(k->safety, sizeof k->safety, "%s", value);
}

static int
setup_in(void **state, const char *dir)
{
	struct sqkit *k = calloc(1, sizeof *k);

	assert_non_null(k);
	(void)snprintf(k->dir, sizeof k->dir, "%s/hf-sqlite-XXXXXX", dir);
	assert_non_null(mkdtemp(k->dir));
	(void)mkdir(sqkit_path(k, "scratch"), 0700);
	(void)unsetenv("HOLDFAST_PLUGIN_PATH");
	if (plugins_new(&k->plugins, NULL, &k->err) != HF_OK ||
	    plugins_get(k->plugins, "sqlite", PLUGIN_ENGINE, &k->plugin,
		&k->err) != HF_OK)
		fail_msg("loading the plugin: %s", k->err.cause);
	*state = k;
	return 0;
}

int
sqkit_setup(void **state)
{
	return setup_in(state, "/tmp");
}

int
sqkit_setup_fast(void **state)
{
	static const char memory[] = "/dev/shm";
	struct statvfs vfs;

	if (statvfs(memory, &vfs) == 0 && access(memory, W_OK) == 0 &&
	    vfs.f_bavail >= (256u << 20) / vfs.f_frsize)
		return setup_in(state, memory);
	return setup_in(state, "/tmp");
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
sqkit_teardown(void **state)
{
	struct sqkit *k = *state;

	sqkit_close(k);
	plugins_free(k->plugins);
	(void)chmod(k->dir, 0700);
	(void)nftw(k->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(k);
	return 0;
}

const char *
sqkit_path(struct sqkit *k, const char *name)
{
	static char turn[TURNS][PATH_MAX];
	static unsigned at;
	char *s = turn[at++ % TURNS];

	(void)snprintf(s, PATH_MAX, "%s/%s", k->dir, name);
	return s;
}

void
sqkit_close(struct sqkit *k)
{
	if (k->engine != NULL)
		engine_close(k->engine);
	k->engine = NULL;
}

void
sqkit_open(struct sqkit *k, const char *name, const char *const *texts)
{
	static const char *const none[] = { NULL };
	static const char *const reserved[] = { NULL };
	struct options_input in = { 0 };
	struct options *options = NULL;
	static char scratch[128];
	json_t *object;

	sqkit_close(k);
	(void)snprintf(k->path, sizeof k->path, "%s/%s", k->dir, name);
	assert_int_equal(
	    options_from_args(texts != NULL ? texts : none, &object, &k->err),
	    HF_OK);
	assert_int_equal(json_object_set_new(object, "path",
			     json_stringn_nocheck(k->path, strlen(k->path))),
	    0);
	in.table = k->plugin->desc.options;
	in.stride = k->plugin->desc.option_size;
	in.conf_size = k->plugin->desc.conf_size;
	in.object = object;
	in.reserved = reserved;
	in.base_dir = "/";
	in.resolve = true;
	if (options_parse(&in, &options, NULL, NULL, &k->err) != HF_OK)
		fail_msg("options: %s", k->err.cause);
	json_decref(object);
	(void)snprintf(scratch, sizeof scratch, "%s/scratch", k->dir);
	memset(&k->cancel, 0, sizeof k->cancel);
	memset(&k->ctx, 0, sizeof k->ctx);
	k->ctx.who = "test";
	k->ctx.cancel = &k->cancel;
	k->ctx.scratch_dir = scratch;
	k->ctx.result = on_result;
	k->ctx.arg = k;
	if (engine_open(k->plugin, &k->ctx, options, &k->engine, &k->err) !=
	    HF_OK)
		fail_msg("opening the engine: %s", k->err.cause);
}

sqlite3 *
sqkit_db(const char *path)
{
	sqlite3 *db;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		fail_msg("%s: %s", path, sqlite3_errmsg(db));
	(void)sqlite3_busy_timeout(db, 20000);
	return db;
}

void
sqkit_sql(sqlite3 *db, const char *sql)
{
	char *msg = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &msg) != SQLITE_OK)
		fail_msg("%s: %s", sql, msg);
}

void
sqkit_run(const char *path, const char *sql)
{
	sqlite3 *db = sqkit_db(path);

	sqkit_sql(db, sql);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int64_t
sqkit_int(const char *path, const char *sql)
{
	sqlite3 *db = sqkit_db(path);
	sqlite3_stmt *st = NULL;
	int64_t value;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	value = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return value;
}

static void
hash_query(struct sha256 *sha, sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int i, type, n;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	while (sqlite3_step(st) == SQLITE_ROW)
		for (i = 0; i < sqlite3_column_count(st); i++) {
			type = sqlite3_column_type(st, i);
			n = sqlite3_column_bytes(st, i);
			sha256_update(sha, &type, sizeof type);
			sha256_update(sha, &n, sizeof n);
			if (n > 0)
				sha256_update(
				    sha, sqlite3_column_blob(st, i), (size_t)n);
		}
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
}

const char *
sqkit_hash(const char *path)
{
	static const char *const fixed[] = {
		"SELECT type, name, tbl_name, sql FROM sqlite_master"
		" ORDER BY rowid",
		"PRAGMA user_version", "PRAGMA application_id",
		"PRAGMA page_size", "PRAGMA page_count", "PRAGMA auto_vacuum",
		"PRAGMA encoding", NULL
	};
	static char turn[TURNS][SHA256_HEX];
	static unsigned at;
	char *hex = turn[at++ % TURNS], *sql;
	sqlite3 *db = sqkit_db(path);
	sqlite3_stmt *st = NULL;
	struct sha256 *sha;
	int i;

	assert_int_equal(sha256_new(&sha, NULL), HF_OK);
	for (i = 0; fixed[i] != NULL; i++)
		hash_query(sha, db, fixed[i]);
	/* Virtual tables are seen by the tables that carry them. */
	assert_int_equal(
	    sqlite3_prepare_v2(db,
		"SELECT name FROM sqlite_master WHERE type = 'table' AND "
		"sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
		-1, &st, NULL),
	    SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		sql = sqlite3_mprintf(
		    "SELECT * FROM \"%w\"", sqlite3_column_text(st, 0));
		hash_query(sha, db, sql);
		sqlite3_free(sql);
	}
	(void)sqlite3_finalize(st);
	sha256_final(sha, hex);
	sha256_free(sha);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return hex;
}

int
sqkit_backup(struct sqkit *k, struct memout *m)
{
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.max_streams = 1 };

	error_clear(&k->err);
	return engine_backup(k->engine, &req, memout_out(m), &k->err);
}

struct memout *
sqkit_backup_ok(struct sqkit *k)
{
	struct memout *m = memout_new();

	if (sqkit_backup(k, m) != HF_OK)
		fail_msg("backup: %s", k->err.cause);
	assert_int_equal(memout_count(m), 1);
	assert_int_equal(memout_open(m), 0);
	return m;
}

int
sqkit_restore(
    struct sqkit *k, struct memout *m, const char *target, uint32_t flags)
{
	struct hf_request req = { .struct_size = sizeof req,
		.kind = HF_KIND_FULL,
		.max_streams = 1,
		.flags = flags,
		.target = target };
	struct hf_in *in = memout_in(m);

	error_clear(&k->err);
	k->safety[0] = '\0';
	return engine_restore(k->engine, &req, &in, 1, &k->err);
}

static int
on_finding(void *arg, const struct hf_finding *f)
{
	(void)arg;
	if (f->verdict != HF_PASS)
		fail_msg("%s: %s", f->check, f->result);
	return HF_OK;
}

bool
sqkit_is_wal(const char *path)
{
	return sqkit_int(path,
		   "SELECT journal_mode = 'wal' FROM pragma_journal_mode") == 1;
}

const char *
sqkit_round_trip(struct sqkit *k, const char *source_hash)
{
	struct memout *m = sqkit_backup_ok(k);
	const char *copy = sqkit_path(k, "restored.db");

	(void)unlink(copy);
	if (sqkit_restore(k, m, copy, 0) != HF_OK)
		fail_msg("restore: %s", k->err.cause);
	if (engine_inspect(k->engine, copy, memout_in(m), on_finding, NULL,
		&k->err) != HF_OK)
		fail_msg("inspect: %s", k->err.cause);
	assert_string_equal(sqkit_hash(copy), source_hash);
	assert_int_equal(sqkit_is_wal(copy), sqkit_is_wal(k->path));
	assert_int_equal(sqkit_count(k, "restored.db.holdfast"), 0);
	memout_free(m);
	return copy;
}

void
sqkit_start(struct sqkit_process *p, const char *db, const char *verb,
    const char *arg, const char *arg2)
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 32);
	int in[2], out[2];

	assert_true(n > 0);
	program[n] = '\0';
	(void)snprintf(strrchr(program, '/'), 32, "/sqlite_writer");
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p->pid = fork();
	assert_int_not_equal(p->pid, -1);
	if (p->pid == 0) {
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)execl(program, "sqlite_writer", db, verb, arg,
		    arg != NULL ? arg2 : NULL, (char *)NULL);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	p->in = in[1];
	p->out = fdopen(out[0], "r");
	assert_non_null(p->out);
}

void
sqkit_hold(struct sqkit_process *p, const char *db, const char *sql)
{
	char line[16] = "";

	sqkit_start(p, db, "hold", sql, NULL);
	if (fgets(line, sizeof line, p->out) == NULL)
		fail_msg("holding %s: %s", db, sql);
	assert_string_equal(line, "ready\n");
}

int
sqkit_finish(struct sqkit_process *p)
{
	char line[256];
	int status;

	(void)close(p->in);
	while (fgets(line, sizeof line, p->out) != NULL)
		continue;
	(void)fclose(p->out);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
sqkit_program(
    const char *db, const char *verb, const char *arg, const char *arg2)
{
	struct sqkit_process p;

	sqkit_start(&p, db, verb, arg, arg2);
	return sqkit_finish(&p);
}

void
sqkit_error_has(struct sqkit *k, const char *text)
{
	if (strstr(k->err.cause, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, k->err.cause);
}

unsigned
sqkit_count(struct sqkit *k, const char *prefix)
{
	DIR *d = opendir(k->dir);
	struct dirent *de;
	unsigned n = 0;

	assert_non_null(d);
	while ((de = readdir(d)) != NULL)
		n += strncmp(de->d_name, prefix, strlen(prefix)) == 0;
	(void)closedir(d);
	return n;
}

void
sqkit_write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	(void)close(fd);
}

int64_t
sqkit_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}
