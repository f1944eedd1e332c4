/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "catalog.h"
#include "conninfo.h"
#include "object.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTING_MAX ((size_t)1 << 30)
#define CHUNK (64 * 1024)
#define QUEUE 3000 /* milliseconds */

static const char script_head[] = "\\set ON_ERROR_STOP on\n";

/* Nobody else ever sees it: it has no name. */
static int
scratch(struct run *run, struct hf_error *err)
{
	const char *dir = H->folder(run->ctx, HF_FOLDER_SCRATCH);
	struct text path = { 0 };
	int rc;

	if (dir == NULL)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Set \"state_dir\", or a scratch folder.",
		    "pg_dump's schema archive needs a scratch folder, and "
		    "there is none");
	text_add(&path, dir);
	text_add(&path, "/postgres-XXXXXX");
	if ((rc = text_ok(&path, err)) == HF_OK) {
		if ((run->archive = mkostemp(path.s, O_CLOEXEC)) == -1)
			rc = H->fail_errno(
			    err, errno, "making a file in %s", dir);
		else
			(void)unlink(path.s);
	}
	text_free(&path);
	return rc;
}

/* The arguments of pg_dump: fixed ones, then the selection. */
struct args {
	const char **v;
	size_t n, cap;
};

static void
add(struct args *a, const char *arg)
{
	if (a->n + 1 < a->cap)
		a->v[a->n++] = arg;
	a->v[a->n] = NULL;
}

static size_t
count(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

static void
add_list(struct args *a, const char *option, const char *const *list)
{
	for (; list != NULL && *list != NULL; list++) {
		add(a, option);
		add(a, *list);
	}
}

static int
start_pg_dump(struct run *run, const char *conninfo, char *const *env,
    struct child **child, struct hf_error *err)
{
	const struct conf *conf = run->conf;
	struct child_options o = { .path = run->pg_dump.path,
		.env = env,
		.in = -1,
		.out = run->archive,
		.death_signal = 15 };
	struct args a = { 0 };
	char timeout[64], snapshot[128];
	int64_t wait = conf->lock_timeout;
	int rc;

	/* What is locked already keeps it waiting only where somebody queues
	 * for an exclusive lock behind us: that ends when we let go and begin
	 * again, and not before. */
	if (run->whole && run->rows && (wait == 0 || wait > QUEUE))
		wait = QUEUE;

	a.cap = 16 + 2 * (count(conf->schemas) + count(conf->exclude_schemas) +
			     count(conf->tables) + count(conf->exclude_tables));
	if ((a.v = calloc(a.cap, sizeof *a.v)) == NULL)
		return postgres_nomem(err);
	(void)snprintf(
	    timeout, sizeof timeout, "--lock-wait-timeout=%" PRId64, wait);
	(void)snprintf(
	    snapshot, sizeof snapshot, "--snapshot=%s", run->snapshot);
	add(&a, run->pg_dump.path);
	add(&a, "-Fc");
	add(&a, "-Z0");
	add(&a, "--schema-only");
	add(&a, "-w");
	add(&a, "--strict-names");
	add(&a, snapshot);
	add(&a, timeout);
	add(&a, "-E");
	add(&a, run->contents.stored_encoding);
	add_list(&a, "-n", conf->schemas);
	add_list(&a, "-N", conf->exclude_schemas);
	add_list(&a, "-t", conf->tables);
	add_list(&a, "-T", conf->exclude_tables);
	add(&a, "-d");
	add(&a, conninfo);
	/* execv() takes it so, and changes nothing. */
	o.argv = (char *const *)(const void *)a.v;
	rc = child_start(run->ctx, &o, child, err);
	free(a.v);
	return rc;
}

/* pg_dump waits for locks by statement_timeout. */
static bool
lock_timeout(const char *said, char *table, size_t cap)
{
	static const char lock[] = "LOCK TABLE ";
	const char *s;

	if (said == NULL || strstr(said, "statement timeout") == NULL ||
	    (s = strstr(said, lock)) == NULL)
		return false;
	s += sizeof lock - 1;
	(void)snprintf(table, cap, "%.*s", (int)strcspn(s, " \n"), s);
	return true;
}

/* "no matching tables were found for pattern "x"" */
static bool
no_match(const char *said, char *line, size_t cap)
{
	const char *s = said == NULL ? NULL : strstr(said, "no matching ");

	if (s == NULL)
		return false;
	(void)snprintf(line, cap, "%.*s", (int)strcspn(s, "\n"), s);
	return true;
}

static int
wait_pg_dump(struct run *run, struct child *child, struct hf_error *err)
{
	char table[200], line[400], *said;
	bool locked, none;
	int rc;

	while (!child_ended(child) && H->sleep(run->ctx, 10))
		;
	said = child_stderr(child);
	locked = lock_timeout(said, table, sizeof table);
	none = no_match(said, line, sizeof line);
	free(said);
	if ((rc = child_wait(child, "pg_dump", err)) == HF_OK ||
	    rc == HF_E_CANCELLED)
		return rc;
	if (none)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Each pattern of \"tables\" and \"schemas\" has to match "
		    "something. A pattern is folded to lower case, but for "
		    "what stands in double quotes.",
		    "%s in %s", line, run->conn->label);
	if (!locked)
		return rc;
	return postgres_fail_hint(err, HF_E_TRANSIENT,
	    "Somebody holds it exclusively, or waits for that: pg_locks and "
	    "pg_stat_activity say who. Raise \"lock_timeout\" to wait "
	    "longer.",
	    "pg_dump: locking table %s of %s: lock timeout", table,
	    run->conn->label);
}

static int
run_pg_dump(struct run *run, struct hf_error *err)
{
	struct child *child;
	char *conninfo, **env;
	int rc = HF_E_NOMEM;

	if ((conninfo = conninfo_text(run->info, err)) == NULL)
		return HF_E_NOMEM;
	if ((env = conninfo_env(run->info, err)) == NULL)
		goto done;
	if ((rc = start_pg_dump(run, conninfo, env, &child, err)) == HF_OK)
		rc = wait_pg_dump(run, child, err);
	free(env);
done:
	free(conninfo);
	return rc;
}

static int
rewind_archive(struct run *run, struct hf_error *err)
{
	if (lseek(run->archive, 0, SEEK_SET) == (off_t)-1)
		return H->fail_errno(err, errno, "the schema archive");
	return HF_OK;
}

static int
list(struct run *run, struct hf_error *err)
{
	const char *argv[] = { run->pg_restore.path, "--list", NULL };
	struct child_options o = { .path = run->pg_restore.path,
		.argv = (char *const *)(const void *)argv,
		.in = run->archive,
		.out = -1,
		.death_signal = 15 };
	char *text;
	size_t len;
	int rc;

	if ((rc = rewind_archive(run, err)) != HF_OK ||
	    (rc = child_capture(run->ctx, &o, LISTING_MAX, &text, &len,
		 "pg_restore --list", err)) != HF_OK)
		return rc;
	rc = toc_read(text, len, &run->toc, err);
	free(text);
	return rc;
}

int
schema_dump(struct run *run, struct hf_error *err)
{
	int rc;

	if ((rc = program_find(run->conf, "pg_dump", run->conn->version,
		 &run->pg_dump, err)) != HF_OK ||
	    (rc = program_find(run->conf, "pg_restore", run->pg_dump.version,
		 &run->pg_restore, err)) != HF_OK ||
	    (rc = scratch(run, err)) != HF_OK ||
	    (rc = run_pg_dump(run, err)) != HF_OK)
		return rc;
	run->contents.pg_dump_version = run->pg_dump.version;
	return list(run, err);
}

static int
store_archive(struct run *run, struct hf_error *err)
{
	struct object o = { 0 };
	char *buf;
	ssize_t n;
	int rc;

	if ((buf = malloc(CHUNK)) == NULL)
		return postgres_nomem(err);
	if ((rc = rewind_archive(run, err)) == HF_OK)
		rc = object_begin(
		    &o, run->out, run->prefix, LAYOUT_SCHEMA, 0, err);
	while (rc == HF_OK) {
		n = read(run->archive, buf, CHUNK);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			rc = H->fail_errno(err, errno, "the schema archive");
		if (n <= 0)
			break;
		rc = object_write(&o, buf, (size_t)n, err);
	}
	if (rc == HF_OK)
		rc = object_commit(&o, err);
	object_free(&o);
	free(buf);
	return rc;
}

/* What a child prints, to its end. */
static int
drain(struct run *run, int fd, struct object *o, struct hf_error *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *buf;
	ssize_t n;
	int rc = HF_OK;

	if ((buf = malloc(CHUNK)) == NULL)
		return postgres_nomem(err);
	while (rc == HF_OK) {
		if (H->cancelled(run->ctx))
			rc = H->fail(err, HF_E_CANCELLED, "cancelled");
		else if (poll(&p, 1, 200) <= 0)
			continue;
		else if ((n = read(fd, buf, CHUNK)) > 0)
			rc = object_write(o, buf, (size_t)n, err);
		else if (n == 0)
			break;
		else if (errno != EINTR)
			rc = H->fail_errno(err, errno, "reading a pipe");
	}
	free(buf);
	return rc;
}

/* How to make the database again, for who restores with psql alone. */
static int
add_create(const struct run *run, struct object *o, struct hf_error *err)
{
	const struct contents *c = &run->contents;
	struct text sql = { 0 }, t = { 0 };
	bool icu = c->provider != NULL && c->provider[0] == 'i';
	bool builtin = c->provider != NULL && c->provider[0] == 'b';
	int rc;

	text_add(&sql, "CREATE DATABASE ");
	text_add_ident(&sql, c->database);
	text_add(&sql, " TEMPLATE template0 ENCODING ");
	text_add_literal(&sql, c->encoding);
	text_add(&sql, " LC_COLLATE ");
	text_add_literal(&sql, c->collate == NULL ? "C" : c->collate);
	text_add(&sql, " LC_CTYPE ");
	text_add_literal(&sql, c->ctype == NULL ? "C" : c->ctype);
	if (icu || builtin)
		text_add(&sql,
		    icu ? " LOCALE_PROVIDER icu" : " LOCALE_PROVIDER builtin");
	if ((icu || builtin) && c->locale != NULL) {
		text_add(&sql, icu ? " ICU_LOCALE " : " BUILTIN_LOCALE ");
		text_add_literal(&sql, c->locale);
	}
	if (icu && c->icu_rules != NULL) {
		text_add(&sql, " ICU_RULES ");
		text_add_literal(&sql, c->icu_rules);
	}
	text_add(&t, "-- ");
	text_add_comment(&t, text_get(&sql));
	text_add(&t, ";\n");
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = object_text(o, &t, err);
	text_free(&sql);
	text_free(&t);
	return rc;
}

/* pg_dump leaves out the schemas of tables that were chosen by name. */
/* clang-format off */
static const char schemas_sql[] =
    "SELECT DISTINCT " CATALOG_IDENT("n.nspname")
    " FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = ANY ('%s'::pg_catalog.oid[])"
    " AND n.nspname <> 'public' ORDER BY 1";
/* clang-format on */

static int
add_schemas(const struct run *run, struct object *o, struct hf_error *err)
{
	struct text t = { 0 };
	PGresult *res = NULL;
	int rc;

	if (run->conf->tables == NULL)
		return HF_OK;
	if ((rc = tables_oids(&run->toc, CATALOG_CLASS, NULL, &t, err)) !=
		HF_OK ||
	    (rc = conn_queryf(
		 run->conn, &res, err, schemas_sql, text_get(&t))) != HF_OK)
		goto done;
	text_reset(&t);
	for (int i = 0; i < PQntuples(res); i++)
		text_addf(&t, "CREATE SCHEMA IF NOT EXISTS %s;\n",
		    PQgetvalue(res, i, 0));
	if ((rc = text_ok(&t, err)) == HF_OK && t.len > 0)
		rc = object_text(o, &t, err);
done:
	PQclear(res);
	text_free(&t);
	return rc;
}

static int
run_section(
    struct run *run, const char *option, struct object *o, struct hf_error *err)
{
	const char *argv[] = { run->pg_restore.path, "-f", "-", option, NULL };
	struct child_options co = { .path = run->pg_restore.path,
		.argv = (char *const *)(const void *)argv,
		.in = run->archive,
		.death_signal = 15 };
	struct child *child;
	int fds[2], rc;

	if ((rc = rewind_archive(run, err)) != HF_OK)
		return rc;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return H->fail_errno(err, errno, "making a pipe");
	co.out = fds[1];
	rc = child_start(run->ctx, &co, &child, err);
	(void)close(fds[1]);
	if (rc == HF_OK) {
		if ((rc = drain(run, fds[0], o, err)) == HF_OK)
			rc = child_wait(child, "pg_restore", err);
		else
			child_stop(child, 15, 2000);
	}
	(void)close(fds[0]);
	return rc;
}

static int
store_section(
    struct run *run, const char *name, const char *option, struct hf_error *err)
{
	struct object o = { 0 };
	int rc;

	if ((rc = object_begin(&o, run->out, run->prefix, name, 0, err)) !=
		HF_OK ||
	    (rc = object_write(&o, script_head, sizeof script_head - 1, err)) !=
		HF_OK)
		goto done;
	if (strcmp(name, LAYOUT_PRE_DATA) == 0 &&
	    ((rc = add_create(run, &o, err)) != HF_OK ||
		(rc = add_schemas(run, &o, err)) != HF_OK))
		goto done;
	if ((rc = run_section(run, option, &o, err)) == HF_OK)
		rc = object_commit(&o, err);
done:
	object_free(&o);
	return rc;
}

int
schema_store(struct run *run, struct hf_error *err)
{
	int rc;

	if ((rc = store_archive(run, err)) != HF_OK ||
	    (rc = store_section(
		 run, LAYOUT_PRE_DATA, "--section=pre-data", err)) != HF_OK)
		return rc;
	return store_section(run, LAYOUT_POST_DATA, "--section=post-data", err);
}
