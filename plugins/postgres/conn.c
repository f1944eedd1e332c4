/* SPDX-License-Identifier: BSD-2-Clause */
#include "conn_private.h"

#include "postgres.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
run(struct conn *c, PGresult **out, struct hf_error *err, const char *sql,
    int n, const char *const *params)
{
	int sent, rc;

	*out = NULL;
	if (conn_stopped(c))
		return H->fail(err, HF_E_CANCELLED, "%s: cancelled", c->label);
	sent = params == NULL ? PQsendQuery(c->pg, sql)
			      : PQsendQueryParams(
				    c->pg, sql, n, NULL, params, NULL, NULL, 0);
	if (!sent)
		return conn_fail(c, NULL, err, "%s", c->label);
	if ((rc = conn_collect(c, out, err)) != HF_OK)
		return rc;
	if (PQresultStatus(*out) != PGRES_COPY_IN &&
	    PQresultStatus(*out) != PGRES_COPY_OUT)
		return HF_OK;
	PQclear(*out);
	*out = NULL;
	conn_cancel(c);
	return H->fail(err, HF_E_BUG, "COPY by conn_exec");
}

int
conn_query(
    struct conn *c, PGresult **out, struct hf_error *err, const char *sql)
{
	return run(c, out, err, sql, 0, NULL);
}

int
conn_query_params(struct conn *c, PGresult **out, struct hf_error *err,
    const char *sql, int n, const char *const *params)
{
	static const char *const none[1] = { NULL };

	return run(c, out, err, sql, n, params == NULL ? none : params);
}

int
conn_exec(struct conn *c, struct hf_error *err, const char *sql)
{
	PGresult *res;
	int rc = conn_query(c, &res, err, sql);

	PQclear(res);
	return rc;
}

static char *
format(const char *fmt, va_list ap, struct hf_error *err)
{
	char *sql;

	if (vasprintf(&sql, fmt, ap) == -1) {
		(void)postgres_nomem(err);
		return NULL;
	}
	return sql;
}

int
conn_execf(struct conn *c, struct hf_error *err, const char *fmt, ...)
{
	char *sql;
	va_list ap;
	int rc = HF_E_NOMEM;

	va_start(ap, fmt);
	if ((sql = format(fmt, ap, err)) != NULL)
		rc = conn_exec(c, err, sql);
	va_end(ap);
	free(sql);
	return rc;
}

int
conn_queryf(
    struct conn *c, PGresult **out, struct hf_error *err, const char *fmt, ...)
{
	char *sql;
	va_list ap;
	int rc = HF_E_NOMEM;

	*out = NULL;
	va_start(ap, fmt);
	if ((sql = format(fmt, ap, err)) != NULL)
		rc = conn_query(c, out, err, sql);
	va_end(ap);
	free(sql);
	return rc;
}

int
conn_value(struct conn *c, char **value, struct hf_error *err, const char *sql)
{
	PGresult *res;
	int rc;

	*value = NULL;
	if ((rc = conn_query(c, &res, err, sql)) != HF_OK)
		return rc;
	if (PQntuples(res) > 0 && PQnfields(res) > 0 &&
	    !PQgetisnull(res, 0, 0) &&
	    (*value = strdup(PQgetvalue(res, 0, 0))) == NULL)
		rc = postgres_nomem(err);
	PQclear(res);
	return rc;
}
