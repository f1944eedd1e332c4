/* SPDX-License-Identifier: BSD-2-Clause */
/* The descriptor: options, and the engine's table. */
#include "sqlite.h"

#include "backup.h"
#include "inspect.h"
#include "restore.h"

#include <sqlite3.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* 3.34 is the first with sqlite3_txn_state. */
#define OLDEST 3034000

const struct hf_host *H;

int
sqlite_fail_hint(
    struct hf_error *err, int status, const char *hint, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	H->fail(err, status, "%s", text);
	if (hint != NULL)
		H->fail_note(err, "hint", hint);
	return status;
}

static int
engine_load(struct hf_error *err)
{
	int rc;

	if (sqlite3_libversion_number() < OLDEST)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "SQLite library %s is too old: 3.34 or later is needed",
		    sqlite3_libversion());
	if (sqlite3_threadsafe() == 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "SQLite library %s was built without thread safety",
		    sqlite3_libversion());
	if ((rc = sqlite3_initialize()) != SQLITE_OK)
		return H->fail(
		    err, HF_E_IO, "starting SQLite: %s", sqlite3_errstr(rc));
	return HF_OK;
}

static int
engine_open(const struct hf_ctx *ctx, const void *conf, struct hf_engine **out,
    struct hf_error *err)
{
	struct hf_engine *e;

	if ((e = calloc(1, sizeof *e)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory for an engine");
	e->ctx = ctx;
	e->conf = *(const struct conf *)conf;
	*out = e;
	return HF_OK;
}

static void
engine_close(struct hf_engine *e)
{
	free(e);
}

static int
engine_validate(const void *conf, struct hf_error *err)
{
	const struct conf *c = conf;

	if (c->path == NULL || c->path[0] == '\0')
		return H->fail(err, HF_E_INVALID, "path is empty");
	if (c->busy_timeout < 0 || c->stall_budget < 0 || c->wal_warn < 0)
		return H->fail(err, HF_E_INVALID,
		    "busy_timeout, stall_budget and wal_warn must not be "
		    "negative");
	return HF_OK;
}

static const struct hf_option options[] = {
	{ "path", HF_OPT_PATH, HF_OPT_REQUIRED, offsetof(struct conf, path),
	    NULL, NULL, "the database file" },
	{ "busy_timeout", HF_OPT_DURATION, 0,
	    offsetof(struct conf, busy_timeout), "30s", NULL,
	    "how long to wait for a lock that somebody else holds" },
	{ "stall_budget", HF_OPT_DURATION, 0,
	    offsetof(struct conf, stall_budget), "10s", NULL,
	    "rollback-journal mode: how long a backup may keep writers "
	    "waiting before it gives up" },
	{ "wal_warn", HF_OPT_SIZE, 0, offsetof(struct conf, wal_warn), "1GiB",
	    NULL,
	    "warn when the -wal grows by more than this during a "
	    "backup" },
	{ "method", HF_OPT_ENUM, 0, offsetof(struct conf, method), "auto",
	    "auto|direct|api",
	    "how pages are read: direct (SQLite's own file handles), api "
	    "(the online backup API, by way of a scratch file), or the one "
	    "that fits" },
	{ NULL, 0, 0, 0, NULL, NULL, NULL },
};

static const struct hf_option restore_options[] = {
	{ "check", HF_OPT_ENUM, 0, offsetof(struct restore_conf, check),
	    "quick", "none|quick|full",
	    "what proves the restored copy, besides its hash, before it takes "
	    "its place: quick_check, integrity_check (full) or nothing" },
	{ NULL, 0, 0, 0, NULL, NULL, NULL },
};

static const struct hf_engine_ops engine = {
	.struct_size = sizeof engine,
	.kinds = HF_KIND_FULL,
	.open = engine_open,
	.close = engine_close,
	.check = inspect_source,
	.backup = backup_run,
	.restore = restore_run,
	.scratch = inspect_scratch,
	.inspect = inspect_target,
	.query = inspect_query,
	.discard = inspect_discard,
	.restore_options = restore_options,
	.restore_conf_size = sizeof(struct restore_conf),
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "sqlite",
	.version = "0.1.0",
	.summary = "SQLite databases, while they are in use",
	.help = "Copies one consistent state of a live database, page for "
		"page, while others write. It never checkpoints and leaves "
		"nothing in the database. A database in WAL mode is read "
		"without holding anybody up; one with a rollback journal "
		"keeps writers waiting while it is read, for no longer than "
		"stall_budget.",
	.options = options,
	.conf_size = sizeof(struct conf),
	.validate = engine_validate,
	.load = engine_load,
	.engine = &engine,
};

HF_REGISTER(plugin, H);
