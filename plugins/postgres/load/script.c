/* SPDX-License-Identifier: BSD-2-Clause */
#include "script.h"

#include "job.h"
#include "sql.h"
#include "workers.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK ((size_t)256 * 1024)

struct search {
	const char *name;
	bool found;
};

static int
on_object(void *arg, const struct hf_object *o)
{
	struct search *s = arg;

	if (strcmp(o->key, s->name) != 0)
		return 0;
	s->found = true;
	return 1;
}

static int
full_name(struct text *out, const char *prefix, const char *name,
    struct hf_error *err)
{
	text_add(out, prefix);
	text_add(out, name);
	return text_ok(out, err);
}

int
script_exists(
    struct job *j, const char *prefix, const char *name, struct hf_error *err)
{
	struct text full = { 0 };
	struct search s = { NULL, false };
	int rc;

	if ((rc = full_name(&full, prefix, name, err)) == HF_OK) {
		s.name = text_get(&full);
		rc = H->in_list(j->in, on_object, &s, err);
	}
	text_free(&full);
	if (rc < 0)
		return rc;
	return s.found ? HF_OK : HF_E_NOTFOUND;
}

struct source {
	struct hf_reader *r;
	char *buf;
	size_t at, len, cap;
	bool eof;
};

/* More of the object behind what is there, and always room for a NUL. */
static int
fill(struct source *s, struct hf_error *err)
{
	char *grown;
	size_t n, cap;
	int rc;

	if (s->at > 0) {
		memmove(s->buf, s->buf + s->at, s->len - s->at);
		s->len -= s->at;
		s->at = 0;
	}
	/* Twice as much each time that a statement does not fit, so that it
	 * is not scanned too often. */
	if (s->cap < s->len + BLOCK) {
		cap = s->cap * 2 > s->len + BLOCK ? s->cap * 2 : s->len + BLOCK;
		if ((grown = realloc(s->buf, cap + 1)) == NULL)
			return postgres_nomem(err);
		s->buf = grown;
		s->cap = cap;
	}
	while (!s->eof && s->len < s->cap) {
		rc =
		    H->in_read(s->r, s->buf + s->len, s->cap - s->len, &n, err);
		if (rc < 0)
			return rc;
		s->eof = rc == HF_EOF;
		s->len += n;
	}
	return HF_OK;
}

/* HF_EOF: no more. */
static int
next(struct source *s, const char *name, char **sql, size_t *len,
    struct hf_error *err)
{
	size_t start;
	int rc;

	for (;;) {
		*len = s->buf == NULL ? 0
				      : sql_statement(s->buf + s->at,
					    s->len - s->at, &start);
		if (*len > 0) {
			*sql = s->buf + s->at + start;
			s->at += start + *len;
			return HF_OK;
		}
		if (s->eof)
			break;
		if ((rc = fill(s, err)) != HF_OK)
			return rc;
	}
	if (s->buf != NULL && start < s->len - s->at)
		return H->fail(
		    err, HF_E_CORRUPT, "%s ends inside of a statement", name);
	return HF_EOF;
}

static int
run_one(struct conn *c, const char *name, script_fn *fn, void *arg, char *sql,
    size_t len, struct hf_error *err)
{
	char after = sql[len];
	int rc;

	sql[len] = '\0';
	rc = fn(arg, c, sql, len, err);
	sql[len] = after;
	return rc == HF_OK ? rc : H->fail_context(err, "running %s", name);
}

/* Owners and grants only where they were asked for. */
static bool
is_wanted(const struct job *j, const char *sql, size_t len)
{
	if (j->conf.no_owner && sql_begins(sql, len, "alter large object"))
		return false;
	if (!j->conf.no_privileges)
		return true;
	/* Those of the database are made by name inside of a block. */
	if (sql_begins(sql, len, "do") &&
	    (strstr(sql, "format('GRANT ") != NULL ||
		strstr(sql, "format('REVOKE ") != NULL ||
		strstr(sql, "format(E'GRANT ") != NULL ||
		strstr(sql, "format(E'REVOKE ") != NULL))
		return false;
	return !sql_begins(sql, len, "grant") &&
	       !sql_begins(sql, len, "revoke") &&
	       !sql_begins(sql, len, "set session") &&
	       !sql_begins(sql, len, "reset session");
}

static int
on_statement(
    void *arg, struct conn *c, char *sql, size_t len, struct hf_error *err)
{
	return is_wanted(arg, sql, len) ? conn_exec(c, err, sql) : HF_OK;
}

int
script_run(struct job *j, struct conn *c, const char *prefix, const char *name,
    script_fn *fn, void *arg, struct hf_error *err)
{
	struct text full = { 0 };
	struct source s = { 0 };
	size_t len = 0;
	char *sql = NULL;
	int rc;

	if (fn == NULL) {
		fn = on_statement;
		arg = j;
	}
	if ((rc = full_name(&full, prefix, name, err)) != HF_OK)
		goto err0;
	rc = H->in_open(j->in, text_get(&full), 0, UINT64_MAX, &s.r, err);
	if (rc != HF_OK)
		goto err0;
	while ((rc = next(&s, name, &sql, &len, err)) == HF_OK)
		if ((rc = run_one(c, name, fn, arg, sql, len, err)) != HF_OK)
			break;
	H->in_close(s.r);
	free(s.buf);
err0:
	text_free(&full);
	return rc == HF_EOF ? HF_OK : rc;
}

int
script_run_alone(struct job *j, const char *name, struct hf_error *err)
{
	struct conn *c;
	int rc;

	if ((rc = job_open(j, NULL, &c, err)) != HF_OK)
		return rc;
	if ((rc = conn_exec(c, err, "SET synchronous_commit = off")) == HF_OK)
		rc = script_run(j, c, j->prefix, name, NULL, NULL, err);
	conn_close(c);
	return rc;
}

static int
begin(void *arg, const atomic_bool *stop, void **state, struct hf_error *err)
{
	struct job *j = arg;
	struct conn *c;
	int rc;

	if ((rc = job_open(j, NULL, &c, err)) != HF_OK)
		return rc;
	c->stop = stop;
	if ((rc = conn_exec(c, err, "SET synchronous_commit = off")) == HF_OK)
		*state = c;
	else
		conn_close(c);
	return rc;
}

static int
task(void *arg, void *state, size_t i, struct hf_error *err)
{
	struct job *j = arg;
	const char *name = j->c->large_object_objects[i];

	return script_run(j, state, j->prefix, name, NULL, NULL, err);
}

static void
end(void *arg, void *state)
{
	(void)arg;
	conn_close(state);
}

int
script_large_objects(struct job *j, struct hf_error *err)
{
	static const struct workers_ops ops = { begin, task, end };
	unsigned n = j->jobs < j->streams ? j->jobs : j->streams;

	return workers_run(n, j->c->nlarge_object_objects, &ops, j, err);
}

/* One statement of the database's own.  A role that is not there, or a right
 * that ours lacks, is no reason to throw all of it away. */
static int
on_setting(
    void *arg, struct conn *c, char *sql, size_t len, struct hf_error *err)
{
	const struct job *j = arg;
	int rc;

	if (!is_wanted(j, sql, len))
		return HF_OK;
	if ((rc = conn_exec(c, err, "SAVEPOINT holdfast")) != HF_OK)
		return rc;
	if ((rc = conn_exec(c, err, sql)) == HF_OK)
		return conn_exec(c, err, "RELEASE holdfast");
	if (strcmp(conn_sqlstate(c), "42704") != 0 &&
	    strcmp(conn_sqlstate(c), "42501") != 0)
		return rc;
	H->log(j->ctx, HF_LOG_WARN, "postgres.skipped",
	    "a setting of database %s was not made: %s", j->name,
	    PQerrorMessage(c->pg));
	job_result(j, "skipped", "settings of the database");
	return conn_exec(c, err, "ROLLBACK TO holdfast; RELEASE holdfast");
}

static int
remark(struct conn *c, const char *marker, struct hf_error *err)
{
	struct text sql = { 0 };
	int rc;

	text_add(&sql, "COMMENT ON DATABASE ");
	text_add_ident(&sql, PQdb(c->pg));
	text_add(&sql, " IS ");
	text_add_literal(&sql, marker);
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_exec(c, err, text_get(&sql));
	text_free(&sql);
	return rc;
}

int
script_database(
    struct job *j, const char *marker, char **comment, struct hf_error *err)
{
	struct conn *c;
	int rc;

	*comment = NULL;
	rc = script_exists(j, j->prefix, LAYOUT_DATABASE, err);
	if (rc == HF_E_NOTFOUND)
		return HF_OK;
	if (rc != HF_OK)
		return rc;
	/* Not as the role that was asked for: the database may be ours. */
	rc = conn_open(j->ctx, j->info, j->work, NULL, &c, err);
	if (rc != HF_OK)
		return rc;
	rc = conn_exec(c, err, "SET default_transaction_read_only = off");
	if (rc == HF_OK)
		rc = conn_exec(c, err, "BEGIN");
	/* What it would say of the comment must not be ours. */
	if (rc == HF_OK && marker != NULL)
		rc = remark(c, "", err);
	if (rc == HF_OK)
		rc = script_run(
		    j, c, j->prefix, LAYOUT_DATABASE, on_setting, j, err);
	if (rc == HF_OK)
		rc = conn_value(c, comment, err,
		    "SELECT pg_catalog.shobj_description(oid, 'pg_database') "
		    "FROM pg_catalog.pg_database WHERE datname = "
		    "pg_catalog.current_database()");
	if (rc == HF_OK && marker != NULL)
		rc = remark(c, marker, err);
	if (rc == HF_OK)
		rc = conn_exec(c, err, "COMMIT");
	conn_close(c);
	return rc;
}
