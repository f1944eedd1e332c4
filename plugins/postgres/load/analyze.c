/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze.h"

#include "job.h"
#include "workers.h"

#include <stdlib.h>
#include <string.h>

struct analyze {
	struct job *job;
	char **names; /* quoted */
	size_t n;
};

/* ANALYZE of a parent takes its children along, so partitions are left out.
 * It connects to the servers of foreign ones, too: no restore may do that, so
 * parents of such are left out instead, and their other partitions are not. */
static const char query[] =
    "WITH RECURSIVE far(oid) AS (SELECT i.inhparent"
    " FROM pg_catalog.pg_inherits i"
    " JOIN pg_catalog.pg_class f ON f.oid = i.inhrelid AND f.relkind = 'f'"
    " UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i"
    " JOIN far ON far.oid = i.inhrelid)"
    " SELECT n.nspname, c.relname FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'm')"
    " AND c.oid NOT IN (SELECT oid FROM far)"
    " AND (NOT c.relispartition OR EXISTS ("
    "SELECT FROM pg_catalog.pg_inherits i JOIN far ON far.oid = i.inhparent"
    " WHERE i.inhrelid = c.oid))"
    " AND c.oid >= 16384 AND n.nspname NOT LIKE 'pg\\_%'"
    " ORDER BY (SELECT pg_catalog.sum(pg_catalog.pg_relation_size(t.oid))"
    " FROM (SELECT c.oid UNION SELECT inhrelid FROM pg_catalog.pg_inherits"
    " WHERE inhparent = c.oid) t) DESC";

static bool
is_wanted(const struct job *j, const bool *wanted, const char *schema,
    const char *name)
{
	size_t i;

	if (wanted == NULL)
		return true;
	for (i = 0; i < j->c->ntables; i++)
		if (wanted[i] && strcmp(j->c->tables[i].name, name) == 0 &&
		    strcmp(j->c->tables[i].schema, schema) == 0)
			return true;
	return false;
}

/* Where the database has no encoding, names are what bytes they are. */
static int
open_plain(struct job *j, struct conn **out, struct hf_error *err)
{
	const char *encoding;
	struct conn *c;
	int rc;

	if ((rc = job_open(j, NULL, &c, err)) != HF_OK)
		return rc;
	encoding = PQparameterStatus(c->pg, "server_encoding");
	if (encoding != NULL && strcmp(encoding, "SQL_ASCII") == 0)
		rc = conn_exec(c, err, "SET client_encoding = 'SQL_ASCII'");
	if (rc == HF_OK)
		*out = c;
	else
		conn_close(c);
	return rc;
}

static int
list(struct analyze *a, const bool *wanted, struct hf_error *err)
{
	struct conn *c;
	PGresult *res;
	int rc, i, n;

	if ((rc = open_plain(a->job, &c, err)) != HF_OK)
		return rc;
	rc = conn_query(c, &res, err, query);
	conn_close(c);
	if (rc != HF_OK)
		return rc;
	n = PQntuples(res);
	if ((a->names = calloc((size_t)n + 1, sizeof *a->names)) == NULL)
		rc = postgres_nomem(err);
	for (i = 0; rc == HF_OK && i < n; i++) {
		struct text t = { 0 };

		if (!is_wanted(a->job, wanted, PQgetvalue(res, i, 0),
			PQgetvalue(res, i, 1)))
			continue;
		job_add_name(&t, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1));
		if ((rc = text_ok(&t, err)) == HF_OK)
			a->names[a->n++] = t.s;
		else
			text_free(&t);
	}
	PQclear(res);
	return rc;
}

static int
begin(void *arg, const atomic_bool *stop, void **state, struct hf_error *err)
{
	struct analyze *a = arg;
	struct conn *c;
	int rc;

	if ((rc = open_plain(a->job, &c, err)) != HF_OK)
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
	const struct analyze *a = arg;
	struct conn *c = state;
	int rc = conn_execf(c, err, "ANALYZE %s", a->names[i]);

	/* Without it queries are slower, not wrong: functions of an index can
	 * fail here. */
	if (rc == HF_OK || rc == HF_E_CANCELLED ||
	    PQstatus(c->pg) != CONNECTION_OK)
		return rc;
	H->log(a->job->ctx, HF_LOG_WARN, "postgres.analyze", "ANALYZE %s: %s",
	    a->names[i], PQerrorMessage(c->pg));
	return HF_OK;
}

static void
end(void *arg, void *state)
{
	(void)arg;
	conn_close(state);
}

int
analyze_run(struct job *j, const bool *wanted, struct hf_error *err)
{
	static const struct workers_ops ops = { begin, task, end };
	struct analyze a = { .job = j };
	int rc;

	if ((rc = list(&a, wanted, err)) == HF_OK)
		rc = workers_run(j->jobs, a.n, &ops, &a, err);
	while (a.n > 0)
		free(a.names[--a.n]);
	free(a.names);
	return rc;
}
