/* SPDX-License-Identifier: BSD-2-Clause */
#include "schema.h"

#include "job.h"
#include "script.h"
#include "sql.h"
#include "toc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_MAX ((size_t)512 << 20)
#define ARGS 24

struct args {
	char *v[ARGS];
	size_t n;
	bool failed;
};

HF_PRINTF(2, 3)
static void
add(struct args *a, const char *fmt, ...)
{
	struct text t = { 0 };
	char buf[256];
	va_list ap;

	if (a->n + 1 >= ARGS) {
		a->failed = true;
		return;
	}
	va_start(ap, fmt);
	if (strcmp(fmt, "%s") == 0)
		text_add(&t, va_arg(ap, const char *));
	else if (vsnprintf(buf, sizeof buf, fmt, ap) >= 0)
		text_add(&t, buf);
	va_end(ap);
	a->failed = a->failed || t.failed || t.s == NULL;
	a->v[a->n++] = t.s;
}

static void
args_free(struct args *a)
{
	while (a->n > 0)
		free(a->v[--a->n]);
}

int
schema_open(struct job *j, struct hf_error *err)
{
	const char *dir = H->folder(j->ctx, HF_FOLDER_SCRATCH);
	char path[sizeof j->schema];
	int fd, rc, n;

	rc = program_find(&j->e->conf, "pg_restore", j->c->pg_dump_version,
	    &j->pg_restore, err);
	if (rc != HF_OK)
		return rc;
	n = snprintf(
	    path, sizeof path, "%s/schema.XXXXXX", dir != NULL ? dir : "/tmp");
	if (n < 0 || (size_t)n >= sizeof path)
		return H->fail(err, HF_E_INVALID,
		    "the path of the scratch folder is too "
		    "long");
	if ((fd = mkostemp(path, O_CLOEXEC)) < 0)
		return H->fail_errno(err, errno, "%s", path);
	memcpy(j->schema, path, sizeof path);
	rc = stored_copy(j->in, j->prefix, LAYOUT_SCHEMA, fd, err);
	if (close(fd) != 0 && rc == HF_OK)
		rc = H->fail_errno(err, errno, "%s", path);
	if (rc != HF_OK)
		schema_close(j);
	return rc;
}

void
schema_close(struct job *j)
{
	if (j->schema[0] != '\0')
		(void)unlink(j->schema);
	j->schema[0] = '\0';
}

int
schema_list(struct job *j, struct toc *toc, struct hf_error *err)
{
	struct args a = { 0 };
	struct child_options o = { .path = j->pg_restore.path,
		.in = -1,
		.out = -1,
		.death_signal = SIGKILL };
	char *text = NULL;
	size_t len;
	int rc;

	add(&a, "%s", "pg_restore");
	add(&a, "%s", "--list");
	add(&a, "%s", j->schema);
	o.argv = a.v;
	rc = a.failed ? postgres_nomem(err)
		      : child_capture(j->ctx, &o, LIST_MAX, &text, &len,
			    "listing the stored definitions", err);
	if (rc == HF_OK)
		rc = toc_read(text, len, toc, err);
	free(text);
	args_free(&a);
	return rc;
}

/* What every session of pg_restore has: as the user has it, and ours. */
static int
session_options(
    const struct job *j, struct conninfo *info, struct hf_error *err)
{
	const char *old = conninfo_get(info, "options");
	struct text t = { 0 };
	int rc;

	if (old == NULL)
		old = getenv("PGOPTIONS");
	if (old != NULL)
		text_addf(&t, "%s ", old);
	text_add(&t, "-c synchronous_commit=off"
		     " -c default_transaction_read_only=off");
	if (j->conf.maintenance_work_mem > 0)
		text_addf(&t, " -c maintenance_work_mem=%lldkB",
		    (long long)(j->conf.maintenance_work_mem / 1024));
	if ((rc = text_ok(&t, err)) == HF_OK)
		rc = conninfo_set(info, "options", text_get(&t), err);
	text_free(&t);
	return rc;
}

/* "-d CONNINFO", and the environment with the password. */
static int
where_to(const struct job *j, struct args *a, char ***env, struct hf_error *err)
{
	struct conninfo *info = NULL;
	char *text = NULL;
	int rc;

	*env = NULL;
	if ((rc = conninfo_copy(j->info, &info, err)) != HF_OK)
		return rc;
	if ((rc = conninfo_set(info, "dbname", j->work, err)) != HF_OK ||
	    (rc = session_options(j, info, err)) != HF_OK)
		goto done;
	text = conninfo_text(info, err);
	*env = text != NULL ? conninfo_env(info, err) : NULL;
	if (*env == NULL) {
		rc = HF_E_NOMEM;
		goto done;
	}
	add(a, "%s", "-d");
	add(a, "%s", text);
done:
	free(text);
	conninfo_free(info);
	return rc;
}

/* Something is not there.  What we made and drop again is nothing that anybody
 * could create it in. */
static const char *
way_out(const struct job *j)
{
	if (j->conf.only != NULL && j->conf.only[0] != NULL)
		return "Restore it too (--only type ..., --only function ..., "
		       "--only extension ...), or restore into a database that "
		       "has it. Where it is a role: -o no_owner=true -o "
		       "no_privileges=true; a tablespace: -o "
		       "tablespaces=false.";
	if (j->made)
		return "Where it is a role: create it, or -o no_owner=true -o "
		       "no_privileges=true; a tablespace: -o "
		       "tablespaces=false. What the backup itself lacks: "
		       "restore the rest with --only.";
	return "Create it first. Where it is a role: -o no_owner=true "
	       "-o no_privileges=true; a tablespace: -o tablespaces=false.";
}

static int
run(struct job *j, const char *section, const char *list, struct hf_error *err)
{
	struct args a = { 0 };
	struct child_options o = { .path = j->pg_restore.path,
		.in = -1,
		.out = -1,
		.death_signal = SIGTERM };
	struct child *child;
	char **env = NULL, what[64];
	int rc;

	add(&a, "%s", "pg_restore");
	add(&a, "%s", "--exit-on-error");
	add(&a, "%s", "--no-password");
	add(&a, "--section=%s", section);
	if (j->atomic && strcmp(section, "pre-data") == 0)
		add(&a, "%s", "--single-transaction");
	if (strcmp(section, "post-data") == 0)
		add(&a, "--jobs=%u", j->jobs);
	if (j->conf.no_owner)
		add(&a, "%s", "--no-owner");
	if (j->conf.no_privileges)
		add(&a, "%s", "--no-privileges");
	if (!j->conf.tablespaces)
		add(&a, "%s", "--no-tablespaces");
	if (j->conf.role != NULL) {
		add(&a, "%s", "--role");
		add(&a, "%s", j->conf.role);
	}
	if (list != NULL) {
		add(&a, "%s", "--use-list");
		add(&a, "%s", list);
	}
	if ((rc = where_to(j, &a, &env, err)) != HF_OK)
		goto done;
	add(&a, "%s", j->schema);
	if (a.failed) {
		rc = postgres_nomem(err);
		goto done;
	}
	o.argv = a.v;
	o.env = env;
	(void)snprintf(
	    what, sizeof what, "restoring %s with pg_restore", section);
	if ((rc = child_start(j->ctx, &o, &child, err)) == HF_OK)
		rc = child_wait(child, what, err);
	if (rc == HF_E_UNSUPPORTED && j->e->server != NULL)
		H->fail_note(err, "hint",
		    "The private server runs the programs of this machine: "
		    "install the package of that extension here, or let the "
		    "option \"scratch\" name a server that has it.");
	if (rc == HF_E_NOTFOUND)
		H->fail_note(err, "hint", way_out(j));
done:
	free(env);
	args_free(&a);
	return rc;
}

/* Things that every database has, and that a role without further rights may
 * not touch: what they were given in the source is told, not done. */
static bool
of_every_database(const struct toc_entry *e, bool own_public)
{
	if (strcmp(e->kind, "COMMENT") == 0 &&
	    strncmp(e->rest, "- EXTENSION plpgsql", 19) == 0)
		return true;
	if (own_public)
		return false;
	if (strcmp(e->kind, "SCHEMA") == 0)
		return strncmp(e->rest, "- public ", 9) == 0;
	if (strcmp(e->kind, "COMMENT") == 0 || strcmp(e->kind, "ACL") == 0)
		return strncmp(e->rest, "- SCHEMA public ", 16) == 0;
	return false;
}

static int
may_own_public(struct job *j, bool *super, bool *own, struct hf_error *err)
{
	struct conn *c;
	int rc;

	if ((rc = job_open(j, NULL, &c, err)) != HF_OK)
		return rc;
	rc = job_ask(c, super, err,
	    "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = "
	    "current_user");
	if (rc == HF_OK)
		rc = job_ask(c, own, err,
		    "SELECT pg_catalog.pg_has_role(nspowner, 'USAGE') FROM "
		    "pg_catalog.pg_namespace WHERE nspname = 'public'");
	conn_close(c);
	return rc;
}

/* The lines of a --use-list file; *left_out counts what was wanted. */
static void
make_list(struct job *j, const struct toc *toc, schema_pick_fn *pick, void *arg,
    bool super, bool own, struct text *out)
{
	size_t i;

	for (i = 0; i < toc->n; i++) {
		const struct toc_entry *e = &toc->entries[i];

		if (pick != NULL && !pick(arg, i))
			continue;
		if (!super && of_every_database(e, own)) {
			job_tell(j, "skipped",
			    "%s %s: needs more than our role", e->kind,
			    e->rest);
			continue;
		}
		text_add(out, e->line);
		text_add(out, "\n");
	}
}

static int
write_list(const char *path, const struct text *list, struct hf_error *err)
{
	const char *s = text_get(list);
	size_t done = 0;
	int fd, rc = HF_OK;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return H->fail_errno(err, errno, "%s", path);
	while (rc == HF_OK && done < list->len) {
		ssize_t n = write(fd, s + done, list->len - done);

		if (n < 0 && errno != EINTR)
			rc = H->fail_errno(err, errno, "writing %s", path);
		done += n > 0 ? (size_t)n : 0;
	}
	if (close(fd) != 0 && rc == HF_OK)
		rc = H->fail_errno(err, errno, "writing %s", path);
	return rc;
}

/* They stand at the beginning of the script. */
static int
on_schema(
    void *arg, struct conn *c, char *sql, size_t len, struct hf_error *err)
{
	bool *over = arg;

	if (*over || !sql_begins(sql, len, "create schema if not exists")) {
		*over = true;
		return HF_OK;
	}
	return conn_exec(c, err, sql);
}

/* The archive of chosen tables has no schemas; the script has them. */
static int
make_schemas(struct job *j, const struct toc *toc, struct hf_error *err)
{
	struct conn *c;
	bool over = false;
	int rc;

	for (size_t i = 0; i < toc->n; i++)
		if (strcmp(toc->entries[i].kind, "SCHEMA") == 0)
			return HF_OK;
	if ((rc = job_open(j, NULL, &c, err)) != HF_OK)
		return rc;
	rc =
	    script_run(j, c, j->prefix, LAYOUT_PRE_DATA, on_schema, &over, err);
	conn_close(c);
	return rc;
}

int
schema_restore(struct job *j, const char *section, const struct toc *toc,
    schema_pick_fn *pick, void *arg, struct hf_error *err)
{
	bool super = true, own = true;
	char path[sizeof j->schema + 8];
	struct text list = { 0 };
	int rc;

	if (strcmp(section, "pre-data") == 0 &&
	    (rc = may_own_public(j, &super, &own, err)) != HF_OK)
		return rc;
	if (strcmp(section, "pre-data") == 0 && pick == NULL &&
	    (rc = make_schemas(j, toc, err)) != HF_OK)
		return rc;
	if (super && pick == NULL)
		return run(j, section, NULL, err);
	make_list(j, toc, pick, arg, super, own, &list);
	if ((rc = text_ok(&list, err)) != HF_OK || list.len == 0)
		goto err0;
	(void)snprintf(path, sizeof path, "%s.list", j->schema);
	if ((rc = write_list(path, &list, err)) == HF_OK)
		rc = run(j, section, path, err);
	(void)unlink(path);
err0:
	text_free(&list);
	return rc;
}

/* DROP ..., or ALTER ... DROP ... */
static bool
is_drop(const char *sql, size_t len)
{
	char word[16];
	bool quoted;
	size_t n;

	if (sql_begins(sql, len, "drop"))
		return true;
	if (!sql_begins(sql, len, "alter"))
		return false;
	for (n = 1; sql_token(sql, len, n, word, sizeof word, &quoted); n++)
		if (!quoted && strcmp(word, "drop") == 0)
			return true;
	return false;
}

static void
run_drops(struct job *j, char *sql, size_t len)
{
	struct conn *c = job_undo_open(j, j->work);
	size_t start, n;
	unsigned failed = 0;
	char after;

	while (c != NULL && (n = sql_statement(sql, len, &start)) > 0) {
		after = sql[start + n];
		sql[start + n] = '\0';
		if (is_drop(sql + start, n) &&
		    conn_exec(c, NULL, sql + start) != HF_OK)
			failed++;
		sql[start + n] = after;
		sql += start + n;
		len -= start + n;
	}
	if (c == NULL || failed > 0)
		H->log(j->ctx, HF_LOG_WARN, "postgres.leftover",
		    "not all of what was restored could be dropped again from "
		    "database %s",
		    j->work);
	conn_close(c);
}

void
schema_drop(
    struct job *j, const struct toc *toc, schema_pick_fn *pick, void *arg)
{
	struct args a = { 0 };
	struct child_options o = { .path = j->pg_restore.path,
		.in = -1,
		.out = -1,
		.death_signal = SIGKILL };
	char path[sizeof j->schema + 8], *sql = NULL;
	struct text list = { 0 };
	size_t len;

	make_list(j, toc, pick, arg, true, true, &list);
	(void)snprintf(path, sizeof path, "%s.drop", j->schema);
	add(&a, "%s", "pg_restore");
	add(&a, "%s", "--clean");
	add(&a, "%s", "--if-exists");
	add(&a, "%s", "--section=pre-data");
	add(&a, "%s", "--use-list");
	add(&a, "%s", path);
	add(&a, "%s", "--file=-");
	add(&a, "%s", j->schema);
	o.argv = a.v;
	if (!a.failed && !list.failed &&
	    write_list(path, &list, NULL) == HF_OK &&
	    child_capture(NULL, &o, LIST_MAX, &sql, &len,
		"listing what was restored", NULL) == HF_OK)
		run_drops(j, sql, len);
	(void)unlink(path);
	free(sql);
	text_free(&list);
	args_free(&a);
}
