/* SPDX-License-Identifier: BSD-2-Clause */
/* What the target has, and what is left out for what it lacks. */
#include "job.h"
#include "pick.h"

#include <stdio.h>
#include <string.h>

static bool
is_relation(const struct toc_entry *e)
{
	return e->catalog == 1259 &&
	       (strcmp(e->kind, "TABLE") == 0 ||
		   strcmp(e->kind, "FOREIGN TABLE") == 0 ||
		   strcmp(e->kind, "VIEW") == 0 ||
		   strcmp(e->kind, "MATERIALIZED VIEW") == 0 ||
		   strcmp(e->kind, "SEQUENCE") == 0);
}

static int
refuse_there(struct pick *p, const PGresult *res, struct hf_error *err)
{
	size_t i;
	int k;

	for (i = 0; i < p->toc.n; i++) {
		const struct toc_entry *e = &p->toc.entries[i];

		if (!p->entries[i] || !is_relation(e))
			continue;
		for (k = 0; k < PQntuples(res); k++) {
			const char *schema = PQgetvalue(res, k, 0);
			const char *name = PQgetvalue(res, k, 1);

			if (pick_begins(e->rest, schema, name, ' '))
				return postgres_fail_hint(err, HF_E_EXISTS,
				    "Rename or drop it first, or restore to "
				    "another database (--to) and copy from "
				    "there.",
				    "database %s has %s.%s already",
				    p->job->name, schema, name);
		}
	}
	return HF_OK;
}

static bool
has(const PGresult *res, const char *schema, const char *name)
{
	int k;

	for (k = 0; k < PQntuples(res); k++)
		if (strcmp(PQgetvalue(res, k, 0), schema) == 0 &&
		    strcmp(PQgetvalue(res, k, 1), name) == 0)
			return true;
	return false;
}

/* "COMMENT schema TRIGGER g ON t owner"; the names are in quotes where SQL
 * needs them. */
static bool
is_comment_on(
    const struct toc_entry *e, const char *kind, const struct refer_link *l)
{
	struct text tag = { 0 };
	bool found = false;
	unsigned i;

	if (strcmp(e->kind, "COMMENT") != 0)
		return false;
	for (i = 0; i < 4 && !found; i++) {
		text_reset(&tag);
		text_addf(&tag, "%s ", kind);
		if ((i & 1) != 0)
			text_add_ident(&tag, l->object.name);
		else
			text_add(&tag, l->object.name);
		text_add(&tag, " ON ");
		if ((i & 2) != 0)
			text_add_ident(&tag, l->table.name);
		else
			text_add(&tag, l->table.name);
		found =
		    pick_begins(e->rest, l->table.schema, text_get(&tag), ' ');
	}
	text_free(&tag);
	return found;
}

/* A part of a table, with what is said about it; false: it was not picked. */
static bool
leave_out(struct pick *p, const char *kind, const char *word,
    const struct refer_link *l)
{
	char tag[600];
	bool was = false;
	size_t i;

	(void)snprintf(tag, sizeof tag, "%s %s", l->table.name, l->object.name);
	for (i = 0; i < p->toc.n; i++) {
		const struct toc_entry *e = &p->toc.entries[i];

		if (!p->entries[i])
			continue;
		if (strcmp(e->kind, kind) == 0 &&
		    pick_begins(e->rest, l->table.schema, tag, ' '))
			was = true;
		else if (!is_comment_on(e, word, l))
			continue;
		p->entries[i] = false;
	}
	return was;
}

/* Keys to what is nowhere are left out. */
static void
fit_keys(struct pick *p, const PGresult *res)
{
	size_t i;

	for (i = 0; i < p->refer.n; i++) {
		const struct refer_link *l = &p->refer.links[i];

		if (l->kind != REFER_FK || has(res, l->to.schema, l->to.name) ||
		    pick_has(p, "TABLE", l->to.schema, l->to.name))
			continue;
		if (leave_out(p, "FK CONSTRAINT", "CONSTRAINT", l))
			job_tell(p->job, "skipped",
			    "foreign key %s of %s.%s: there is no table %s.%s",
			    l->object.name, l->table.schema, l->table.name,
			    l->to.schema, l->to.name);
	}
}

/* A partition says whether its copy of the trigger is enabled. */
static void
leave_out_copies(struct pick *p, const struct refer_link *trigger)
{
	struct refer_link copy = *trigger;
	size_t i;

	for (i = 0; i < p->refer.n; i++) {
		const struct refer_link *l = &p->refer.links[i];

		if (l->kind != REFER_PARTITION ||
		    !refer_same(
			&l->table, trigger->table.schema, trigger->table.name))
			continue;
		copy.table = l->object;
		(void)leave_out(p, "TRIGGER", "TRIGGER", &copy);
		leave_out_copies(p, &copy);
	}
}

int
pick_fit_triggers(struct pick *p, struct conn *c, struct hf_error *err)
{
	PGresult *res;
	size_t i;
	int rc;

	rc = conn_query(c, &res, err,
	    "SELECT n.nspname, f.proname FROM pg_catalog.pg_proc f "
	    "JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace "
	    "WHERE f.pronargs = 0 "
	    "AND f.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype");
	if (rc != HF_OK)
		return rc;
	for (i = 0; i < p->refer.n; i++) {
		const struct refer_link *l = &p->refer.links[i];

		if (l->kind != REFER_TRIGGER ||
		    has(res, l->to.schema, l->to.name) ||
		    !leave_out(p, "TRIGGER", "TRIGGER", l))
			continue;
		leave_out_copies(p, l);
		job_tell(p->job, "skipped",
		    "trigger %s of %s.%s: there is no function %s.%s()",
		    l->object.name, l->table.schema, l->table.name,
		    l->to.schema, l->to.name);
	}
	PQclear(res);
	return HF_OK;
}

static int
fit_schemas(struct pick *p, struct conn *c, struct hf_error *err)
{
	PGresult *res;
	size_t i, k;
	int rc;

	for (i = 0; i < p->nschemas; i++) {
		const char *name = p->schemas[i];

		rc = conn_query_params(c, &res, err,
		    "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1",
		    1, &name);
		if (rc != HF_OK)
			return rc;
		if (PQntuples(res) == 0) {
			for (k = 0; k < p->toc.n; k++)
				if (strcmp(p->toc.entries[k].kind, "SCHEMA") ==
					0 &&
				    pick_begins(
					p->toc.entries[k].rest, "-", name, ' '))
					p->entries[k] = true;
			pick_about(p, "SCHEMA", "-", name);
		}
		PQclear(res);
	}
	return HF_OK;
}

int
pick_fit(struct pick *p, struct conn *c, struct hf_error *err)
{
	PGresult *res;
	int rc;

	rc = conn_query(c, &res, err,
	    "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c "
	    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') "
	    "AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'");
	if (rc != HF_OK)
		return rc;
	if ((rc = refuse_there(p, res, err)) == HF_OK) {
		fit_keys(p, res);
		rc = fit_schemas(p, c, err);
	}
	PQclear(res);
	return rc;
}
