/* SPDX-License-Identifier: BSD-2-Clause */
/* The descriptor: options, and the engine's table. */
#include "postgres.h"

#include "dump/dump.h"
#include "inspect/inspect.h"
#include "inspect/server.h"
#include "load/load.h"

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

#define CONF(field) offsetof(struct conf, field)
static const struct hf_option options[] = {
	{ "conninfo", HF_OPT_STRING, 0, CONF(conninfo), NULL, NULL,
	    "the server and database, as psql takes it: \"host=db user=backup "
	    "dbname=shop\" or a URI; what it leaves out comes from PG* "
	    "variables, service files and .pgpass" },
	{ "password", HF_OPT_STRING, HF_OPT_SECRET, CONF(password), NULL, NULL,
	    "the password, where .pgpass or PGPASSWORD is not used" },
	{ "mode", HF_OPT_ENUM, 0, CONF(mode), "logical", "logical",
	    "logical: one consistent dump of each database as SQL" },
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
	{ NULL, 0, 0, 0, NULL, NULL, NULL },
};

static const struct hf_engine_ops engine = {
	.struct_size = sizeof engine,
	.kinds = HF_KIND_FULL,
	.open = engine_open,
	.close = engine_close,
	.check = inspect_source,
	.backup = dump_run,
	.restore = load_run,
	.scratch = inspect_scratch,
	.inspect = inspect_target,
	.query = inspect_query,
	.discard = inspect_discard,
	.restore_options = restore_options,
	.restore_conf_size = sizeof(struct restore_conf),
	.flags = HF_ENGINE_SERVER,
	.by_hand = "psql -d NEW",
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.min_host_minor = 1,
	.threads = HF_THREADS_HANDLE,
	.name = "postgres",
	.version = "0.1.0",
	.summary = "PostgreSQL databases, as SQL, with parallel COPY",
	.help = "Dumps one or all databases of a server in one snapshot each, "
		"without stopping anybody: definitions by pg_dump, rows by "
		"COPY on several connections, large tables in parts. What is "
		"stored can be restored with psql alone.",
	.options = options,
	.conf_size = sizeof(struct conf),
	.engine = &engine,
};

HF_REGISTER(plugin, H);
