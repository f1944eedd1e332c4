/* SPDX-License-Identifier: BSD-2-Clause */
#include "job.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int
try_connect(struct job *j, const char *dbname, const char *avoid, bool *done,
    struct hf_error *err)
{
	int rc;

	if (*done || dbname == NULL ||
	    (avoid != NULL && strcmp(dbname, avoid) == 0))
		return HF_OK;
	rc = conn_open(j->ctx, j->info, dbname, NULL, &j->maint, err);
	if (rc == HF_OK) {
		(void)snprintf(
		    j->maintenance, sizeof j->maintenance, "%s", dbname);
		*done = true;
	}
	/* It may be another database's trouble, or the server's. */
	return rc == HF_E_NOTFOUND || rc == HF_E_DENIED ? HF_OK : rc;
}

int
job_connect(struct job *j, const char *avoid, struct hf_error *err)
{
	const char *const names[] = { "postgres", "template1",
		conninfo_get(j->info, "dbname"), j->c->database };
	bool done = false;
	size_t i;
	int rc;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		rc = try_connect(j, names[i], avoid, &done, err);
		if (rc != HF_OK)
			return rc;
	}
	if (!done)
		/* err has what the last one said. */
		return H->fail_context(
		    err, "looking for a database to connect to");
	return conn_exec(j->maint, err,
	    "SET default_transaction_read_only = off; "
	    "SET synchronous_commit = on");
}

int
job_open(const struct job *j, const char *encoding, struct conn **out,
    struct hf_error *err)
{
	struct text sql = { 0 };
	struct conn *c;
	int rc;

	rc = conn_open(j->ctx, j->info, j->work, encoding, &c, err);
	if (rc != HF_OK)
		return rc;
	text_add(&sql, "SET default_transaction_read_only = off");
	if (j->conf.role != NULL) {
		text_add(&sql, "; SET ROLE ");
		text_add_ident(&sql, j->conf.role);
	}
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_exec(c, err, text_get(&sql));
	text_free(&sql);
	if (rc == HF_OK)
		*out = c;
	else
		conn_close(c);
	return rc;
}

struct conn *
job_undo(struct job *j)
{
	struct conn *c;

	if (j->maint != NULL && PQstatus(j->maint->pg) == CONNECTION_OK) {
		/* It may stand in a transaction that failed. */
		j->maint->ctx = NULL;
		if (PQtransactionStatus(j->maint->pg) == PQTRANS_IDLE ||
		    conn_exec(j->maint, NULL, "ROLLBACK") == HF_OK)
			return j->maint;
	}
	if ((c = job_undo_open(j, j->maintenance)) == NULL)
		return NULL;
	conn_close(j->maint);
	return j->maint = c;
}

struct conn *
job_undo_open(const struct job *j, const char *dbname)
{
	struct conn *c;

	/* Without a context nobody can cancel it. */
	if (conn_open(NULL, j->info, dbname, NULL, &c, NULL) != HF_OK)
		return NULL;
	if (conn_exec(c, NULL,
		"SET default_transaction_read_only = off; "
		"SET statement_timeout = '10min'") == HF_OK)
		return c;
	conn_close(c);
	return NULL;
}

int
job_ask(struct conn *c, bool *yes, struct hf_error *err, const char *fmt, ...)
{
	char sql[2048];
	PGresult *res;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vsnprintf(sql, sizeof sql, fmt, ap);
	va_end(ap);
	*yes = false;
	if (rc < 0 || (size_t)rc >= sizeof sql)
		return H->fail(err, HF_E_BUG, "a question is too long");
	if ((rc = conn_query(c, &res, err, sql)) != HF_OK)
		return rc;
	*yes = PQntuples(res) > 0 && strcmp(PQgetvalue(res, 0, 0), "t") == 0;
	PQclear(res);
	return HF_OK;
}

/* A later value of a key takes the place of the one before. */
static const char *
add_skipped(struct text *all, const char *value)
{
	if (all->s == NULL || strstr(all->s, value) == NULL)
		text_addf(all, "%s%s", all->len == 0 ? "" : "; ", value);
	return all->failed ? value : text_get(all);
}

void
job_result(const struct job *j, const char *key, const char *value)
{
	struct text name = { 0 };

	if (j->skipped != NULL && strcmp(key, "skipped") == 0)
		value = add_skipped(j->skipped, value);
	if (j->several)
		text_addf(&name, "%s.", j->name);
	text_add(&name, key);
	H->result(j->ctx, name.failed ? key : text_get(&name), value);
	text_free(&name);
}

void
job_tell_rows(const struct job *j)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%" PRIu64, j->rows);
	job_result(j, "rows", text);
}

void
job_tell(const struct job *j, const char *key, const char *fmt, ...)
{
	char value[1024], event[64];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(value, sizeof value, fmt, ap);
	va_end(ap);
	(void)snprintf(event, sizeof event, "postgres.%s", key);
	H->log(j->ctx, HF_LOG_INFO, event, "%s", value);
	job_result(j, key, value);
}

void
job_add_name(struct text *t, const char *schema, const char *name)
{
	text_add_ident(t, schema);
	text_add(t, ".");
	text_add_ident(t, name);
}

int
job_finding(void *arg, const struct hf_finding *f)
{
	struct job *j = arg;

	if (f->verdict == HF_FAIL)
		H->log(j->ctx, HF_LOG_ERROR, "postgres.check", "%s: %s",
		    f->check, f->result);
	if (f->verdict != HF_PASS)
		job_result(j, f->check, f->result);
	return HF_OK;
}
