/* SPDX-License-Identifier: BSD-2-Clause */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amcheck.h"
#include "conn.h"
#include "finding.h"
#include "postgres.h"
#include "workers.h"

/* A table of the database. */
struct relation {
	char *schema, *name;    /* as a backup has them: UTF-8 */
	const char *sql_schema; /* and as the server has, borrowed */
	const char *sql_name;
	uint32_t root; /* the topmost of its partition tree, or itself */
	bool parent;   /* has no rows of its own: 'p' */
	bool at_least; /* an extension's: only some rows are in a backup */
};

enum outcome { NOT_COUNTED, COUNTED, UNREADABLE, BROKEN };

/* A table of the backup, and what became of it. */
struct subject {
	const struct table *want;
	const struct relation *is; /* NULL: not there */
	enum outcome outcome;
	uint64_t rows;
	char reason[192];
};

struct check_run {
	const struct hf_ctx *ctx;
	const struct conninfo *info;
	const char *dbname;
	const char *encoding; /* of the connections: as conn_open has it */
	bool ascii;           /* the server knows of none */
	const struct contents *contents;
	struct relation *relations;
	size_t nrelations;
	PGresult *rows; /* what relations borrow from; NULL */
	struct subject *subjects;
	struct findings to;
};

static int
by_name(const void *va, const void *vb)
{
	const struct relation *a = va, *b = vb;
	int order = strcmp(a->schema, b->schema);

	return order != 0 ? order : strcmp(a->name, b->name);
}

static const char relations_sql[] =
    "SELECT n.nspname, c.relname, CASE WHEN c.relispartition "
    "THEN pg_partition_root(c.oid)::oid ELSE c.oid END, c.relkind, "
    "EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'";

static char *
utf8_name(const char *s)
{
	struct text text = { 0 };

	finding_utf8(&text, s);
	if (text.s == NULL && !text.failed)
		return strdup("");
	if (!text.failed)
		return text.s;
	text_free(&text);
	return NULL;
}

static int
check_relations(struct check_run *k, struct hf_error *err)
{
	k->nrelations = (size_t)PQntuples(k->rows);
	k->relations = calloc(k->nrelations + 1, sizeof *k->relations);
	if (k->relations == NULL)
		return postgres_nomem(err);
	for (int i = 0; i < PQntuples(k->rows); i++) {
		struct relation *r = &k->relations[i];

		r->sql_schema = PQgetvalue(k->rows, i, 0);
		r->sql_name = PQgetvalue(k->rows, i, 1);
		r->schema = utf8_name(r->sql_schema);
		r->name = utf8_name(r->sql_name);
		r->root =
		    (uint32_t)strtoul(PQgetvalue(k->rows, i, 2), NULL, 10);
		r->parent = PQgetvalue(k->rows, i, 3)[0] == 'p';
		r->at_least = PQgetvalue(k->rows, i, 4)[0] == 't';
		if (r->schema == NULL || r->name == NULL)
			return postgres_nomem(err);
	}
	qsort(k->relations, k->nrelations, sizeof *k->relations, by_name);
	return HF_OK;
}

/* Every table of the backup must be there. */
static void
check_tables(struct check_run *k)
{
	struct names missing = { 0 };

	for (size_t i = 0; i < k->contents->ntables; i++) {
		const struct table *want = &k->contents->tables[i];
		struct relation key = { .schema = want->schema,
			.name = want->name };

		k->subjects[i].want = want;
		k->subjects[i].is = bsearch(
		    &key, k->relations, k->nrelations, sizeof key, by_name);
		if (k->subjects[i].is == NULL)
			names_add(&missing, "%s.%s", want->schema, want->name);
	}
	if (missing.n == 0)
		finding_tell(&k->to, HF_PASS, "tables", NULL,
		    "all %zu are there", k->contents->ntables);
	else if (k->encoding != NULL && !k->ascii)
		/* Not converted here, but perhaps when it was backed up. */
		finding_tell(&k->to, HF_WARN, "tables",
		    "The database has names that UTF-8 cannot hold.",
		    "%zu were not found by their names: %s", missing.n,
		    names_get(&missing));
	else
		finding_tell(&k->to, HF_FAIL, "tables", NULL, "missing: %s",
		    names_get(&missing));
	names_free(&missing);
}

static int
count_begin(
    void *arg, const atomic_bool *stop, void **state, struct hf_error *err)
{
	struct check_run *k = arg;
	struct conn *c;
	int rc = conn_open(k->ctx, k->info, k->dbname, k->encoding, &c, err);

	if (rc != HF_OK)
		return rc;
	c->stop = stop;
	*state = c;
	return HF_OK;
}

static void
count_end(void *arg, void *state)
{
	(void)arg;
	conn_close(state);
}

static int
count_task(void *arg, void *state, size_t task, struct hf_error *err)
{
	struct check_run *k = arg;
	struct subject *s = &k->subjects[task];
	struct conn *c = state;
	struct text sql = { 0 };
	char *value = NULL;
	int rc;

	if (s->is == NULL)
		return HF_OK;
	text_add(&sql, "SELECT count(*) FROM ");
	if (!s->is->parent)
		text_add(&sql, "ONLY ");
	text_add_ident(&sql, s->is->sql_schema);
	text_add(&sql, ".");
	text_add_ident(&sql, s->is->sql_name);
	if ((rc = text_ok(&sql, err)) != HF_OK)
		goto out;
	rc = conn_value(c, &value, NULL, text_get(&sql));
	if (rc == HF_OK) {
		s->outcome = COUNTED;
		s->rows = value == NULL ? 0 : strtoull(value, NULL, 10);
		goto out;
	}
	finding_reason(c, s->reason, sizeof s->reason);
	if (!finding_goes_on(c, rc)) {
		H->fail(err, rc, "counting the rows of %s.%s: %s",
		    s->want->schema, s->want->name, s->reason);
		goto out;
	}
	s->outcome = rc == HF_E_DENIED ? UNREADABLE : BROKEN;
	rc = HF_OK;
out:
	free(value);
	text_free(&sql);
	return rc;
}

/* Rows that were loaded by way of a partitioned table may have gone to other
 * partitions than before: then the whole tree has to have the same number. */
static bool
tree_agrees(const struct check_run *k, const struct subject *one)
{
	uint64_t want = 0, is = 0;

	for (size_t i = 0; i < k->contents->ntables; i++) {
		const struct subject *s = &k->subjects[i];

		if (s->is == NULL || s->is->root != one->is->root)
			continue;
		if (s->outcome != COUNTED)
			return false;
		want += s->want->rows;
		is += s->rows;
	}
	return want == is;
}

static bool
count_agrees(const struct check_run *k, const struct subject *s)
{
	if (s->rows == s->want->rows)
		return true;
	/* Rows without definitions go into tables that may have others. */
	if (s->is->at_least || (k->contents->content != NULL &&
				   strcmp(k->contents->content, "data") == 0))
		return s->rows >= s->want->rows;
	return tree_agrees(k, s);
}

static void
tell_counts(struct check_run *k)
{
	struct names differ = { 0 }, denied = { 0 };
	uint64_t rows = 0;
	size_t n = 0;

	for (size_t i = 0; i < k->contents->ntables; i++) {
		const struct subject *s = &k->subjects[i];
		const char *schema = s->want->schema, *name = s->want->name;

		if (s->outcome == UNREADABLE)
			names_add(
			    &denied, "%s.%s (%s)", schema, name, s->reason);
		else if (s->outcome == BROKEN)
			names_add(&differ, "%s.%s cannot be read (%s)", schema,
			    name, s->reason);
		else if (s->outcome == COUNTED && !count_agrees(k, s))
			names_add(&differ,
			    "%s.%s has %" PRIu64 " of %" PRIu64 " rows", schema,
			    name, s->rows, s->want->rows);
		if (s->outcome == COUNTED) {
			rows += s->rows;
			n++;
		}
	}
	if (differ.n > 0)
		finding_tell(&k->to, HF_FAIL, "row counts", NULL, "%s",
		    names_get(&differ));
	else if (n > 0 || k->contents->ntables == 0)
		finding_tell(&k->to, HF_PASS, "row counts", NULL,
		    "%" PRIu64 " rows in %zu tables, as in the backup", rows,
		    n);
	if (denied.n > 0)
		finding_tell(&k->to, HF_WARN, "row counts",
		    "A role with pg_read_all_data, or a superuser where there "
		    "is row-level security, can count them.",
		    "not counted: %s", names_get(&denied));
	names_free(&differ);
	names_free(&denied);
}

static int
check_counts(struct check_run *k, unsigned jobs, struct hf_error *err)
{
	static const struct workers_ops ops = { count_begin, count_task,
		count_end };
	int rc = workers_run(
	    jobs == 0 ? 1 : jobs, k->contents->ntables, &ops, k, err);

	if (rc == HF_OK)
		tell_counts(k);
	return rc;
}

/* An index on a partitioned table is invalid by right while a partition has
 * none attached: pg_dump keeps it so. */
static const char invalid_sql[] =
    "SELECT n.nspname, c.relname, c.relkind FROM pg_index i "
    "JOIN pg_class c ON c.oid = i.indexrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) "
    "AND c.relpersistence <> 't' ORDER BY c.relkind DESC, 1, 2";

static int
check_indexes(struct conn *c, struct findings *to, struct hf_error *err)
{
	struct names invalid = { 0 }, parents = { 0 };
	PGresult *rows;
	int rc = conn_query(c, &rows, err, invalid_sql);

	if (rc != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(rows); i++)
		names_add(
		    PQgetvalue(rows, i, 2)[0] == 'I' ? &parents : &invalid,
		    "%s.%s", PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
	PQclear(rows);
	if (invalid.n > 0)
		finding_tell(to, HF_FAIL, "indexes",
		    "REINDEX INDEX, or DROP INDEX, for each of them.",
		    "invalid: %s", names_get(&invalid));
	else if (parents.n == 0)
		finding_tell(to, HF_PASS, "indexes", NULL, "all valid");
	if (parents.n > 0)
		finding_tell(to, HF_WARN, "indexes",
		    "ALTER INDEX ... ATTACH PARTITION completes them, unless "
		    "the source has them so.",
		    "of partitioned tables, not complete: %s",
		    names_get(&parents));
	names_free(&invalid);
	names_free(&parents);
	return HF_OK;
}

static int
check_constraints(struct conn *c, struct findings *to, struct hf_error *err)
{
	struct names names = { 0 };
	PGresult *rows;
	int rc = conn_query(c, &rows, err,
	    "SELECT n.nspname, COALESCE(t.relname, d.typname), k.conname "
	    "FROM pg_constraint k "
	    "JOIN pg_namespace n ON n.oid = k.connamespace "
	    "LEFT JOIN pg_class t ON t.oid = k.conrelid "
	    "LEFT JOIN pg_type d ON d.oid = k.contypid "
	    "WHERE NOT k.convalidated ORDER BY 1, 2, 3");

	if (rc != HF_OK)
		return rc;
	for (int i = 0; i < PQntuples(rows); i++)
		names_add(&names, "%s of %s.%s", PQgetvalue(rows, i, 2),
		    PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
	PQclear(rows);
	if (names.n == 0)
		finding_tell(to, HF_PASS, "constraints", NULL, "all validated");
	else
		finding_tell(to, HF_WARN, "constraints",
		    "A backup keeps them as they are in the source; ALTER "
		    "TABLE ... VALIDATE CONSTRAINT checks the old rows.",
		    "NOT VALID: %s", names_get(&names));
	names_free(&names);
	return HF_OK;
}

int
check_pages(struct conn *c, hf_finding_fn *cb, void *arg, unsigned *failed,
    struct hf_error *err)
{
	struct findings to = { .cb = cb, .arg = arg };
	int rc;

	if ((rc = check_indexes(c, &to, err)) == HF_OK &&
	    (rc = to.rc) == HF_OK && (rc = amcheck_run(c, &to, err)) == HF_OK)
		rc = to.rc;
	if (failed != NULL)
		*failed = to.failed;
	return rc;
}

/* Connect and list the tables, in UTF-8.  Where names cannot be converted they
 * are taken as the bytes that they are, as a backup does. */
static int
check_open(struct check_run *k, struct conn **c, struct hf_error *err)
{
	const char *encoding;
	int rc = conn_open(k->ctx, k->info, k->dbname, NULL, c, err);

	if (rc != HF_OK)
		return rc;
	encoding = PQparameterStatus((*c)->pg, "server_encoding");
	k->ascii = encoding != NULL && strcmp(encoding, "SQL_ASCII") == 0;
	if (!k->ascii)
		rc = conn_query(*c, &k->rows, err, relations_sql);
	if (!k->ascii &&
	    (rc == HF_OK || strncmp(conn_sqlstate(*c), "22", 2) != 0))
		return rc;
	conn_close(*c);
	*c = NULL;
	k->rows = NULL;
	k->encoding = "";
	rc = conn_open(k->ctx, k->info, k->dbname, k->encoding, c, err);
	if (rc == HF_OK)
		rc = conn_query(*c, &k->rows, err, relations_sql);
	return rc;
}

static int
check_look(struct check_run *k, struct conn *c, enum check_level level,
    unsigned jobs, struct hf_error *err)
{
	int rc;

	if ((rc = check_relations(k, err)) != HF_OK)
		return rc;
	check_tables(k);
	if ((rc = check_indexes(c, &k->to, err)) != HF_OK ||
	    (rc = check_constraints(c, &k->to, err)) != HF_OK ||
	    level < CHECK_FULL)
		return rc;
	if (k->to.rc != HF_OK)
		return k->to.rc;
	if ((rc = check_counts(k, jobs, err)) != HF_OK ||
	    (rc = k->to.rc) != HF_OK)
		return rc;
	return amcheck_run(c, &k->to, err);
}

int
check_database(const struct hf_ctx *ctx, const struct conninfo *info,
    const char *dbname, const struct contents *contents, enum check_level level,
    unsigned jobs, hf_finding_fn *cb, void *arg, unsigned *failed,
    struct hf_error *err)
{
	struct check_run k = { .ctx = ctx,
		.info = info,
		.dbname = dbname,
		.contents = contents,
		.to = { .cb = cb, .arg = arg } };
	struct conn *c = NULL;
	int rc;

	if (failed != NULL)
		*failed = 0;
	if (level == CHECK_NONE)
		return HF_OK;
	if ((rc = check_open(&k, &c, err)) != HF_OK)
		goto out;
	k.subjects = calloc(contents->ntables + 1, sizeof *k.subjects);
	if (k.subjects == NULL)
		rc = postgres_nomem(err);
	else
		rc = check_look(&k, c, level, jobs, err);
	if (rc == HF_OK)
		rc = k.to.rc;
	if (failed != NULL)
		*failed = k.to.failed;
out:
	for (size_t i = 0; i < k.nrelations && k.relations != NULL; i++) {
		free(k.relations[i].schema);
		free(k.relations[i].name);
	}
	free(k.subjects);
	free(k.relations);
	PQclear(k.rows);
	conn_close(c);
	return rc;
}
