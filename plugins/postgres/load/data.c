/* SPDX-License-Identifier: BSD-2-Clause */
#include "data.h"

#include "job.h"
#include "rows.h"
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* There, and without a row. */
static int
look_at_table(struct conn *c, const struct table *t, struct hf_error *err)
{
	struct text sql = { 0 };
	PGresult *res;
	int rc, n;

	text_add(&sql, "SELECT 1 FROM ");
	job_add_name(&sql, t->schema, t->name);
	text_add(&sql, " LIMIT 1");
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_query(c, &res, err, text_get(&sql));
	text_free(&sql);
	if (rc != HF_OK) {
		if (strcmp(conn_sqlstate(c), "42P01") == 0)
			H->fail_note(err, "hint",
			    "The backup has rows alone (content=data): create "
			    "the tables first.");
		return rc;
	}
	n = PQntuples(res);
	PQclear(res);
	if (n > 0)
		return postgres_fail_hint(err, HF_E_EXISTS,
		    "Empty it first, or choose tables with -o only=...",
		    "table %s.%s is not empty", t->schema, t->name);
	return HF_OK;
}

static int
look(struct job *j, struct conn *c, struct hf_error *err)
{
	size_t i;
	int rc = HF_OK;

	for (i = 0; rc == HF_OK && i < j->c->ntables; i++)
		if (j->c->tables[i].npieces > 0)
			rc = look_at_table(c, &j->c->tables[i], err);
	return rc;
}

/* All in one statement: foreign keys among them do not matter then. */
static void
empty_again(struct job *j)
{
	struct conn *c = job_undo_open(j, j->work);
	struct text sql = { 0 };
	size_t i;
	bool some = false;

	text_add(&sql, "TRUNCATE ONLY ");
	for (i = 0; i < j->c->ntables; i++) {
		if (j->c->tables[i].npieces == 0)
			continue;
		text_add(&sql, some ? ", ONLY " : "");
		job_add_name(
		    &sql, j->c->tables[i].schema, j->c->tables[i].name);
		some = true;
	}
	if (c == NULL || !some || text_ok(&sql, NULL) != HF_OK ||
	    conn_exec(c, NULL, text_get(&sql)) != HF_OK)
		H->log(j->ctx, HF_LOG_WARN, "postgres.leftover",
		    "the tables of database %s, which were empty, could not be "
		    "emptied again: %s",
		    j->work, text_get(&sql));
	conn_close(c);
	text_free(&sql);
}

static int
load(struct job *j, struct hf_error *err)
{
	const struct rows_options opts = { .replica = true };
	int rc;

	if ((rc = rows_load(j, &opts, &j->rows, err)) != HF_OK)
		return rc;
	job_tell_rows(j);
	if (j->c->sequences > 0 &&
	    (rc = script_run_alone(j, LAYOUT_SEQUENCES, err)) != HF_OK)
		return rc;
	if ((rc = script_large_objects(j, err)) != HF_OK)
		return rc;
	return j->c->refresh > 0 ? script_run_alone(j, LAYOUT_REFRESH, err)
				 : HF_OK;
}

int
data_run(struct job *j, struct hf_error *err)
{
	struct conn *c;
	int rc;

	if ((j->work = strdup(j->name)) == NULL)
		return postgres_nomem(err);
	if ((rc = job_open(j, NULL, &c, err)) != HF_OK)
		return rc;
	if ((rc = look(j, c, err)) == HF_OK && (rc = load(j, err)) != HF_OK)
		empty_again(j);
	conn_close(c);
	return rc;
}
