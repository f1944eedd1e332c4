/* SPDX-License-Identifier: BSD-2-Clause */
#include "only.h"

#include "analyze.h"
#include "database.h"
#include "job.h"
#include "pick.h"
#include "rows.h"
#include "schema.h"
#include "script.h"
#include "sql.h"
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SELECT pg_catalog.setval('schema.name', ...), when that one is picked. */
static int
on_sequence(
    void *arg, struct conn *c, char *sql, size_t len, struct hf_error *err)
{
	const struct pick *p = arg;
	char lit[1100], query[1400];
	PGresult *res;
	bool quoted, wanted;
	int rc;

	if (!sql_begins(sql, len, "select pg_catalog . setval"))
		return sql_begins(sql, len, "set") ? conn_exec(c, err, sql)
						   : HF_OK;
	if (!sql_token(sql, len, 5, lit, sizeof lit, &quoted))
		return HF_OK;
	(void)snprintf(query, sizeof query,
	    "SELECT n.nspname, s.relname FROM pg_catalog.pg_class s "
	    "JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace "
	    "WHERE s.oid = pg_catalog.to_regclass(%s)",
	    lit);
	if ((rc = conn_query(c, &res, err, query)) != HF_OK)
		return rc;
	wanted =
	    PQntuples(res) > 0 && pick_has(p, "SEQUENCE", PQgetvalue(res, 0, 0),
				      PQgetvalue(res, 0, 1));
	PQclear(res);
	return wanted ? conn_exec(c, err, sql) : HF_OK;
}

/* REFRESH MATERIALIZED VIEW schema.name, when that one is picked. */
static int
on_refresh(
    void *arg, struct conn *c, char *sql, size_t len, struct hf_error *err)
{
	const struct pick *p = arg;
	char schema[256], name[256];
	bool quoted;

	if (sql_begins(sql, len, "refresh") &&
	    (!sql_token(sql, len, 3, schema, sizeof schema, &quoted) ||
		!sql_token(sql, len, 5, name, sizeof name, &quoted) ||
		!pick_has(p, "MATERIALIZED VIEW", schema, name)))
		return HF_OK;
	return conn_exec(c, err, sql);
}

static int
script(struct pick *p, const char *name, script_fn *fn, struct hf_error *err)
{
	struct job *j = p->job;
	struct conn *c;
	int rc;

	if ((rc = job_open(j, NULL, &c, err)) != HF_OK)
		return rc;
	rc = script_run(j, c, j->prefix, name, fn, p, err);
	conn_close(c);
	return rc;
}

/* After its definitions: rows, values, indexes. */
static int
fill(struct pick *p, struct hf_error *err)
{
	struct job *j = p->job;
	const struct rows_options opts = { .wanted = p->tables, .fresh = true };
	bool rows = strcmp(j->c->content, "schema") != 0;
	int rc;

	if (rows) {
		if ((rc = rows_load(j, &opts, &j->rows, err)) != HF_OK)
			return rc;
		job_tell_rows(j);
		if (j->c->sequences > 0 && (rc = script(p, LAYOUT_SEQUENCES,
						on_sequence, err)) != HF_OK)
			return rc;
	}
	rc = schema_restore(j, "post-data", &p->toc, pick_entry, p, err);
	if (rc == HF_OK && rows && j->c->refresh > 0)
		rc = script(p, LAYOUT_REFRESH, on_refresh, err);
	if (rc == HF_OK && rows && j->conf.analyze)
		rc = analyze_run(j, p->tables, err);
	return rc;
}

/* Now that the functions which come with them are there. */
static int
fit_triggers(struct pick *p, struct hf_error *err)
{
	struct conn *c;
	int rc;

	if ((rc = job_open(p->job, NULL, &c, err)) != HF_OK)
		return rc;
	rc = pick_fit_triggers(p, c, err);
	conn_close(c);
	return rc;
}

static int
build(struct pick *p, struct hf_error *err)
{
	struct job *j = p->job;
	struct conn *c;
	int rc;

	if ((rc = job_open(j, NULL, &c, err)) != HF_OK)
		return rc;
	rc = pick_fit(p, c, err);
	conn_close(c);
	if (rc != HF_OK)
		return rc;
	j->atomic = true;
	rc = schema_restore(j, "pre-data", &p->toc, pick_entry, p, err);
	if (rc != HF_OK)
		return rc;
	if (((rc = fit_triggers(p, err)) != HF_OK ||
		(rc = fill(p, err)) != HF_OK) &&
	    !j->made)
		schema_drop(j, &p->toc, pick_entry, p);
	return rc;
}

/* A database that is there keeps all that it has. */
static int
into_existing(struct pick *p, struct hf_error *err)
{
	struct job *j = p->job;

	if ((j->work = strdup(j->name)) == NULL)
		return postgres_nomem(err);
	return build(p, err);
}

static int
into_new(struct pick *p, struct target *t, struct hf_error *err)
{
	int rc;

	t->bare = true;
	if ((rc = target_begin(t, err)) == HF_OK &&
	    (rc = build(p, err)) == HF_OK)
		rc = target_finish(t, err);
	return rc;
}

static int
run(struct pick *p, struct hf_error *err)
{
	struct job *j = p->job;
	struct target t;
	uint32_t oid;
	int rc;

	if ((rc = job_connect(j, NULL, err)) != HF_OK ||
	    (rc = database_find(j->maint, j->name, &oid, err)) != HF_OK ||
	    oid != 0) {
		if (rc == HF_OK)
			rc = into_existing(p, err);
		conn_close(j->maint);
		j->maint = NULL;
		return rc;
	}
	conn_close(j->maint);
	j->maint = NULL;
	if ((rc = target_open(&t, j, err)) == HF_OK)
		rc = into_new(p, &t, err);
	target_close(&t);
	return rc;
}

int
only_run(struct job *j, struct hf_error *err)
{
	struct pick p = { 0 };
	int rc;

	if ((j->flags & HF_RESTORE_IN_PLACE) != 0)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "Rename or drop the old one, or restore to another "
		    "database (--to) and copy from there.",
		    "single objects never replace what is there");
	if (strcmp(j->c->content, "data") == 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "the backup has rows alone, no definitions of single "
		    "objects");
	if ((rc = schema_open(j, err)) == HF_OK &&
	    (rc = pick_open(&p, j, err)) == HF_OK)
		rc = run(&p, err);
	pick_close(&p);
	schema_close(j);
	return rc;
}
