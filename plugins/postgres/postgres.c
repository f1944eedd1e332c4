/* SPDX-License-Identifier: BSD-2-Clause */
/* The descriptor: options, and the engine's table. */
#include "postgres.h"

#include "base/base.h"
#include "dump/dump.h"
#include "inspect/inspect.h"
#include "inspect/server.h"
#include "load/load.h"
#include "recover/recover.h"
#include "wal/wal.h"

#include <stdlib.h>
#include <string.h>

static int
engine_open(const struct hf_ctx *ctx, const void *conf, struct hf_engine **out,
    struct hf_error *err)
{
	struct hf_engine *e;

	if ((e = calloc(1, sizeof *e)) == NULL)
		return postgres_nomem(err);
	e->ctx = ctx;
	e->conf = *(const struct conf *)conf;
	*out = e;
	return HF_OK;
}

static void
engine_close(struct hf_engine *e)
{
	server_stop(e->server);
	free(e);
}

/* ---- which mode ---- */

static bool
physical(const struct hf_engine *e)
{
	return strcmp(e->conf.mode, "physical") == 0;
}

static int
engine_check(
    struct hf_engine *e, hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	return (physical(e) ? base_check : inspect_source)(e, fn, arg, err);
}

static int
engine_backup(struct hf_engine *e, const struct hf_request *req,
    struct hf_out *out, struct hf_error *err)
{
	if (req->kind == HF_KIND_LOG)
		return wal_follow(e, req, out, err);
	if (req->kind == HF_KIND_INCR && !physical(e))
		return H->fail(err, HF_E_UNSUPPORTED,
		    "mode logical has no incremental backups");
	return (physical(e) ? base_backup : dump_run)(e, req, out, err);
}

/* What is restored decides, and not how the next backup is to be made. */
static bool
was_physical(struct hf_in *in)
{
	const char *mode = in == NULL ? NULL : H->in_fact(in, BASE_FACT_MODE);

	return mode != NULL && strcmp(mode, "physical") == 0;
}

static int
engine_restore(struct hf_engine *e, const struct hf_request *req,
    struct hf_in *const *in, size_t n, struct hf_error *err)
{
	if (n > 0 && was_physical(in[0]))
		return recover_run(e, req, in, n, err);
	return load_run(e, req, in, n, err);
}

static int
engine_scratch(struct hf_engine *e, const char *dir, char *target, size_t cap,
    struct hf_error *err)
{
	return (physical(e) ? recover_scratch : inspect_scratch)(
	    e, dir, target, cap, err);
}

static int
engine_inspect(struct hf_engine *e, const char *target, struct hf_in *in,
    hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	return (physical(e) ? recover_inspect : inspect_target)(
	    e, target, in, fn, arg, err);
}

static int
engine_query(struct hf_engine *e, const char *target, const char *sql,
    char *value, size_t cap, struct hf_error *err)
{
	return (physical(e) ? recover_query : inspect_query)(
	    e, target, sql, value, cap, err);
}

static void
engine_discard(struct hf_engine *e, const char *target)
{
	(physical(e) ? recover_discard : inspect_discard)(e, target);
}

#define CONF(field) offsetof(struct conf, field)
static const struct hf_option options[] = {
	{ "conninfo", HF_OPT_STRING, 0, CONF(conninfo), NULL, NULL,
	    "the server and database, as psql takes it: \"host=db user=backup "
	    "dbname=shop\" or a URI; what it leaves out comes from PG* "
	    "variables, service files and .pgpass" },
	{ "password", HF_OPT_STRING, HF_OPT_SECRET, CONF(password), NULL, NULL,
	    "the password, where .pgpass or PGPASSWORD is not used" },
	{ "mode", HF_OPT_ENUM, 0, CONF(mode), "logical", "logical|physical",
	    "logical: one consistent dump of each database as SQL; physical: "
	    "the whole server's files, and with wal.* any moment since" },
	{ "databases", HF_OPT_STRING, HF_OPT_LIST, CONF(databases), NULL, NULL,
	    "the databases, or \"*\" for all that are no templates; default: "
	    "the one that conninfo names" },
	{ "schemas", HF_OPT_STRING, HF_OPT_LIST, CONF(schemas), NULL, NULL,
	    "only these schemas; patterns as those of pg_dump -n" },
	{ "exclude_schemas", HF_OPT_STRING, HF_OPT_LIST, CONF(exclude_schemas),
	    NULL, NULL, "not these schemas; patterns as those of pg_dump -N" },
	{ "tables", HF_OPT_STRING, HF_OPT_LIST, CONF(tables), NULL, NULL,
	    "only these tables; patterns as those of pg_dump -t" },
	{ "exclude_tables", HF_OPT_STRING, HF_OPT_LIST, CONF(exclude_tables),
	    NULL, NULL, "not these tables; patterns as those of pg_dump -T" },
	{ "content", HF_OPT_ENUM, 0, CONF(content), "all", "all|schema|data",
	    "definitions and rows, definitions alone, or rows alone" },
	{ "large_objects", HF_OPT_BOOL, 0, CONF(large_objects), "true", NULL,
	    "large objects too, unless tables or schemas are chosen" },
	{ "role_passwords", HF_OPT_BOOL, 0, CONF(role_passwords), "true", NULL,
	    "the password hashes of roles, where they can be read" },
	{ "jobs", HF_OPT_INT, 0, CONF(jobs), "0", "0..64",
	    "connections that copy rows at once; 0: one per core, two at "
	    "least" },
	{ "chunk_size", HF_OPT_SIZE, 0, CONF(chunk_size), "128MiB", NULL,
	    "a table larger than this is cut into parts that are copied at "
	    "once (server 14 and later)" },
	{ "lock_timeout", HF_OPT_DURATION, 0, CONF(lock_timeout), "1m", NULL,
	    "how long to wait for a table that somebody has locked "
	    "exclusively" },
	{ "encoding", HF_OPT_STRING, 0, CONF(encoding), NULL, NULL,
	    "the character encoding of the dump; default: that of each "
	    "database, which holds everything" },
	{ "bin_dir", HF_OPT_PATH, 0, CONF(bin_dir), NULL, NULL,
	    "the folder of pg_dump, pg_dumpall and pg_restore; default: "
	    "search for the server's version" },
	{ "scratch", HF_OPT_STRING, 0, CONF(scratch), NULL, NULL,
	    "verify --deep restores to this server (conninfo) instead of a "
	    "private one that it starts" },
	{ "run_as", HF_OPT_STRING, 0, CONF(run_as), "postgres", NULL,
	    "the user of a private server when Holdfast runs as root" },
	{ "wal.stream", HF_OPT_BOOL, 0, CONF(wal.stream), "false", NULL,
	    "mode physical: \"holdfast run\" follows a replication slot" },
	{ "wal.push", HF_OPT_BOOL, 0, CONF(wal.push), "false", NULL,
	    "mode physical: archive_command is \"holdfast wal push\"" },
	{ "wal.slot", HF_OPT_STRING, 0, CONF(wal.slot), "holdfast", NULL,
	    "the replication slot, created when it is not there" },
	{ "wal.flush", HF_OPT_DURATION, 0, CONF(wal.flush), "5s", NULL,
	    "how often the part of a segment that has arrived is stored" },
	{ "wal.jobs", HF_OPT_INT, 0, CONF(wal.jobs), "4", "1..64",
	    "segments that are pushed or fetched at once" },
	{ "wal.wait", HF_OPT_DURATION, 0, CONF(wal.wait), "1m", NULL,
	    "how long a backup waits for the WAL it needs to be archived" },
	{ "checkpoint", HF_OPT_ENUM, 0, CONF(checkpoint), "fast", "fast|spread",
	    "mode physical: how the checkpoint before the backup is made" },
	{ "max_rate", HF_OPT_SIZE, 0, CONF(max_rate), NULL, NULL,
	    "mode physical: bytes a second that the server sends at most" },
	{ "verify_checksums", HF_OPT_BOOL, 0, CONF(verify_checksums), "true",
	    NULL, "mode physical: the server checks its page checksums" },
	{ NULL, 0, 0, 0, NULL, NULL, NULL },
};

#define RESTORE(field) offsetof(struct restore_conf, field)
static const struct hf_option restore_options[] = {
	{ "only", HF_OPT_STRING, HF_OPT_LIST, RESTORE(only), NULL, NULL,
	    "single objects: \"table public.orders\", \"schema sales\", "
	    "\"view public.totals\", ..." },
	{ "database", HF_OPT_STRING, 0, RESTORE(database), NULL, NULL,
	    "this one, of a backup that has several" },
	{ "no_owner", HF_OPT_BOOL, 0, RESTORE(no_owner), "false", NULL,
	    "all objects belong to who restores" },
	{ "role", HF_OPT_STRING, 0, RESTORE(role), NULL, NULL,
	    "become this role (SET ROLE) before anything is created" },
	{ "no_privileges", HF_OPT_BOOL, 0, RESTORE(no_privileges), "false",
	    NULL, "no GRANT and no REVOKE" },
	{ "globals", HF_OPT_ENUM, 0, RESTORE(globals), "missing",
	    "missing|none",
	    "create the roles and tablespaces that are missing; those that "
	    "exist are never changed" },
	{ "tablespaces", HF_OPT_BOOL, 0, RESTORE(tablespaces), "true", NULL,
	    "false: everything into the default tablespace" },
	{ "analyze", HF_OPT_BOOL, 0, RESTORE(analyze), "true", NULL,
	    "ANALYZE at the end" },
	{ "check", HF_OPT_ENUM, 0, RESTORE(check), "quick", "none|quick|full",
	    "what proves the restored database before it takes its name: "
	    "quick: tables, loaded rows and valid indexes; full: also counts "
	    "every table and runs amcheck" },
	{ "jobs", HF_OPT_INT, 0, RESTORE(jobs), "0", "0..64",
	    "connections that load rows and build indexes; 0: one per core, "
	    "two at least" },
	{ "maintenance_work_mem", HF_OPT_SIZE, 0, RESTORE(maintenance_work_mem),
	    "256MiB", NULL,
	    "memory for building each index; 0: what the server has set" },
	{ "lsn", HF_OPT_STRING, 0, RESTORE(lsn), NULL, NULL,
	    "mode physical: recover to this position, 16/B374D848" },
	{ "xid", HF_OPT_STRING, 0, RESTORE(xid), NULL, NULL,
	    "mode physical: recover to this transaction" },
	{ "name", HF_OPT_STRING, 0, RESTORE(name), NULL, NULL,
	    "mode physical: recover to this restore point" },
	{ "target", HF_OPT_ENUM, 0, RESTORE(target), NULL, "latest|immediate",
	    "mode physical: all the WAL there is (default), or the end of the "
	    "backup" },
	{ "timeline", HF_OPT_STRING, 0, RESTORE(timeline), "latest", NULL,
	    "mode physical: latest, current or a number" },
	{ "inclusive", HF_OPT_BOOL, 0, RESTORE(inclusive), "true", NULL,
	    "mode physical: false: stop before what the target names" },
	{ "action", HF_OPT_ENUM, 0, RESTORE(action), "pause",
	    "pause|promote|shutdown",
	    "mode physical: what the server does at the target" },
	{ "tablespace", HF_OPT_STRING, HF_OPT_LIST, RESTORE(tablespace), NULL,
	    NULL, "mode physical: \"OLD=NEW\", another folder for one" },
	{ "restore_command", HF_OPT_STRING, 0, RESTORE(restore_command), NULL,
	    NULL, "mode physical: instead of \"holdfast wal get\"" },
	{ "archive_mode", HF_OPT_ENUM, 0, RESTORE(archive_mode), "keep",
	    "keep|off",
	    "mode physical: off: what the restored server writes is not "
	    "archived, for a copy to look at" },
	{ NULL, 0, 0, 0, NULL, NULL, NULL },
};

/* PostgreSQL's own rule. */
static bool
slot_name(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t n = strspn(s, allowed);

	return n > 0 && n < 64 && s[n] == '\0';
}

/* What chooses a part of a server. */
static const char *
chosen(const struct conf *c)
{
	if (c->databases != NULL)
		return "databases";
	if (c->schemas != NULL || c->exclude_schemas != NULL)
		return "schemas";
	if (c->tables != NULL || c->exclude_tables != NULL)
		return "tables";
	return strcmp(c->content, "all") != 0 ? "content" : NULL;
}

static int
validate(const void *conf, struct hf_error *err)
{
	const struct conf *c = conf;
	const char *part = chosen(c);
	bool files = strcmp(c->mode, "physical") == 0;

	if (!files && (c->wal.stream || c->wal.push))
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Set mode to \"physical\": WAL belongs to a copy of the "
		    "server's files, and a dump cannot use it.",
		    "wal.%s needs mode physical",
		    c->wal.stream ? "stream" : "push");
	if (files && part != NULL)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Leave it out; one database can be taken out of the "
		    "backup when it is restored: -o database=NAME. Or use mode "
		    "logical.",
		    "%s cannot be chosen in mode physical, which copies the "
		    "whole server",
		    part);
	if (c->wal.slot != NULL && !slot_name(c->wal.slot))
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Lower-case letters, digits and _, 63 at most.",
		    "wal.slot: \"%s\" cannot be the name of a slot",
		    c->wal.slot);
	if (c->wal.flush < 100)
		return H->fail(err, HF_E_INVALID, "wal.flush: at least 100ms");
	return HF_OK;
}

static const struct hf_engine_ops engine = {
	.struct_size = sizeof engine,
	.kinds = HF_KIND_FULL | HF_KIND_INCR | HF_KIND_LOG,
	.open = engine_open,
	.close = engine_close,
	.check = engine_check,
	.backup = engine_backup,
	.restore = engine_restore,
	.scratch = engine_scratch,
	.inspect = engine_inspect,
	.query = engine_query,
	.discard = engine_discard,
	.restore_options = restore_options,
	.restore_conf_size = sizeof(struct restore_conf),
	.flags = HF_ENGINE_SERVER,
	.by_hand = "psql -d NEW",
	.log_kinds = wal_kinds,
	.log_push = wal_push,
	.log_get = wal_get,
	.log_ahead = wal_ahead,
	.log_reach = wal_reach,
	.log_spans = wal_spans,
	.log_verify = wal_verify,
	.log_surplus = wal_surplus,
	.log_behind = wal_behind,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.min_host_minor = 3,
	.threads = HF_THREADS_HANDLE,
	.name = "postgres",
	.version = "0.1.0",
	.summary = "PostgreSQL: databases as SQL, or servers with their WAL",
	.help = "Mode logical dumps one or all databases of a server in one "
		"snapshot each, without stopping anybody: definitions by "
		"pg_dump, rows by COPY on several connections, large tables in "
		"parts. What is stored can be restored with psql alone. Mode "
		"physical takes the server's files over a replication "
		"connection and archives its WAL, and restores any moment "
		"since.",
	.options = options,
	.conf_size = sizeof(struct conf),
	.validate = validate,
	.engine = &engine,
};

HF_REGISTER(plugin, H);
