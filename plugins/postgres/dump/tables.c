/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "catalog.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FROM_WANTED                                                  \
	" FROM wanted w JOIN pg_catalog.pg_class c ON c.oid = w.oid" \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"  \
	" WHERE c.relkind = 'r' ORDER BY c.oid, w.filter NULLS FIRST"

/* Partitions by hash of a type that may hash otherwise in the copy (an enum
 * hashes its OID) are loaded by way of their root, which finds the right one
 * again. */
/* clang-format off */
static const char describe_sql[] = CATALOG_WANTED
    "SELECT DISTINCT ON (c.oid) c.oid, n.nspname, c.relname, w.filter,"
    " (SELECT pg_catalog.string_agg(" CATALOG_IDENT("a.attname")
    ", ', ' ORDER BY a.attnum)"
    " FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid"
    " AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),"
    " (SELECT " CATALOG_IDENT("rn.nspname") " || '.' || "
    CATALOG_IDENT("r.relname")
    " FROM pg_catalog.pg_class r"
    " JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace"
    " WHERE c.relispartition AND r.oid = pg_catalog.pg_partition_root(c.oid)"
    " AND r.oid IN (SELECT oid FROM wanted) AND EXISTS ("
    "SELECT FROM pg_catalog.pg_partition_ancestors(c.oid) AS a(relid)"
    " JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = a.relid"
    " WHERE p.partstrat = 'h' AND (p.partexprs IS NOT NULL OR EXISTS ("
    "SELECT FROM unnest(p.partattrs::pg_catalog.int2[]) AS k(n)"
    " JOIN pg_catalog.pg_attribute x"
    " ON x.attrelid = p.partrelid AND x.attnum = k.n"
    " WHERE x.atttypid >= 16384)))),"
    " c.relam = 2,"
    " c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()" FROM_WANTED;
/* clang-format on */

static const char names_sql[] =
    CATALOG_WANTED "SELECT DISTINCT ON (c.oid) c.oid, n.nspname, c.relname,"
		   " w.filter" FROM_WANTED;

/* %s: OIDs. */
static const char measure_sql[] =
    "SELECT w.oid, pg_catalog.pg_table_size(w.oid::pg_catalog.regclass),"
    " pg_catalog.pg_relation_size(w.oid::pg_catalog.regclass)"
    " FROM (SELECT unnest('%s'::pg_catalog.oid[]) AS oid) w ORDER BY w.oid";

int
tables_oids(const struct toc *toc, uint32_t catalog, const char *kind,
    struct text *t, struct hf_error *err)
{
	bool any = false;

	text_add(t, "{");
	for (size_t i = 0; i < toc->n; i++) {
		const struct toc_entry *e = &toc->entries[i];

		if (e->catalog != catalog ||
		    (kind != NULL && strcmp(e->kind, kind) != 0))
			continue;
		text_addf(t, "%s%u", any ? "," : "", e->oid);
		any = true;
	}
	text_add(t, "}");
	return text_ok(t, err);
}

const char *
tables_label(const struct source *s, char *buf, size_t cap)
{
	(void)snprintf(buf, cap, "table %s.%s", s->schema, s->name);
	return buf;
}

static char *
or_null(const PGresult *res, int row, int column)
{
	return PQgetisnull(res, row, column) ? NULL
					     : PQgetvalue(res, row, column);
}

static int
fill(struct source *s, const PGresult *res, const PGresult *names, int i,
    struct hf_error *err)
{
	const char *columns = or_null(res, i, 4), *root = or_null(res, i, 5);
	const char *filter = or_null(res, i, 3);
	struct text sql = { 0 }, cols = { 0 };

	s->oid = (uint32_t)strtoul(PQgetvalue(res, i, 0), NULL, 10);
	text_add_ident(&sql, PQgetvalue(res, i, 1));
	text_add(&sql, ".");
	text_add_ident(&sql, PQgetvalue(res, i, 2));
	if (columns != NULL) {
		text_add(&cols, "(");
		text_add(&cols, columns);
		text_add(&cols, ")");
	}
	s->sql = strdup(text_get(&sql));
	s->into = strdup(root == NULL ? text_get(&sql) : root);
	s->columns = strdup(text_get(&cols));
	s->filter = filter == NULL ? NULL : strdup(filter);
	s->schema = utf8_copy(PQgetvalue(names, i, 1));
	s->name = utf8_copy(PQgetvalue(names, i, 2));
	s->heap = strcmp(PQgetvalue(res, i, 6), "t") == 0;
	s->absent = strcmp(PQgetvalue(res, i, 7), "t") == 0;
	s->parts = 1;
	s->table = (size_t)i;
	if (sql.failed || cols.failed || s->sql == NULL || s->into == NULL ||
	    s->columns == NULL || (filter != NULL && s->filter == NULL) ||
	    s->schema == NULL || s->name == NULL) {
		text_free(&sql);
		text_free(&cols);
		return postgres_nomem(err);
	}
	text_free(&sql);
	text_free(&cols);
	return HF_OK;
}

static void
warn_absent(const struct run *run)
{
	size_t n = 0;

	for (size_t i = 0; i < run->nsources; i++)
		n += run->sources[i].absent;
	if (n > 0 && run->rows)
		H->log(run->ctx, HF_LOG_WARN, "postgres.unlogged",
		    "%s is a standby: the rows of %zu unlogged tables are not "
		    "there, and not backed up",
		    run->conn->label, n);
}

static int
fill_all(struct run *run, const PGresult *res, const PGresult *names,
    struct hf_error *err)
{
	struct contents *c = &run->contents;
	size_t n = (size_t)PQntuples(res);
	int rc;

	if (n == 0)
		return HF_OK;
	if (PQntuples(names) != PQntuples(res))
		return H->fail(err, HF_E_BUG, "one table with two names");
	run->sources = calloc(n, sizeof *run->sources);
	c->tables = calloc(n, sizeof *c->tables);
	if (run->sources == NULL || c->tables == NULL)
		return postgres_nomem(err);
	c->ntables = run->nsources = n;
	for (size_t i = 0; i < n; i++) {
		struct source *s = &run->sources[i];
		struct table *t = &c->tables[i];

		if ((rc = fill(s, res, names, (int)i, err)) != HF_OK)
			return rc;
		t->oid = s->oid;
		if ((t->schema = strdup(s->schema)) == NULL ||
		    (t->name = strdup(s->name)) == NULL)
			return postgres_nomem(err);
	}
	warn_absent(run);
	return HF_OK;
}

int
tables_find(struct run *run, struct hf_error *err)
{
	struct text tables = { 0 }, extensions = { 0 }, sql = { 0 };
	PGresult *res = NULL, *names = NULL;
	int rc;

	if ((rc = tables_oids(
		 &run->toc, CATALOG_CLASS, "TABLE", &tables, err)) != HF_OK ||
	    (rc = tables_oids(&run->toc, CATALOG_EXTENSION, "EXTENSION",
		 &extensions, err)) != HF_OK)
		goto done;
	if ((rc = conn_queryf(run->conn, &res, err, describe_sql,
		 text_get(&tables), text_get(&extensions))) != HF_OK)
		goto done;
	text_addf(&sql, names_sql, text_get(&tables), text_get(&extensions));
	if ((rc = text_ok(&sql, err)) == HF_OK &&
	    (rc = utf8_query(run, &names, err, text_get(&sql))) == HF_OK)
		rc = fill_all(run, res, names, err);
done:
	PQclear(res);
	PQclear(names);
	text_free(&tables);
	text_free(&extensions);
	text_free(&sql);
	return rc;
}

int
tables_measure(struct run *run, struct hf_error *err)
{
	struct text oids = { 0 };
	PGresult *res;
	int rc;

	if (run->nsources == 0)
		return HF_OK;
	for (size_t i = 0; i < run->nsources; i++)
		text_addf(
		    &oids, "%c%u", i == 0 ? '{' : ',', run->sources[i].oid);
	text_add(&oids, "}");
	if ((rc = text_ok(&oids, err)) == HF_OK)
		rc = conn_queryf(
		    run->conn, &res, err, measure_sql, text_get(&oids));
	text_free(&oids);
	if (rc != HF_OK)
		return rc;
	for (size_t i = 0; i < run->nsources; i++) {
		struct source *s = &run->sources[i];
		int row = (int)i;

		if (row >= PQntuples(res))
			break;
		s->size = strtoull(PQgetvalue(res, row, 1), NULL, 10);
		s->blocks = strtoull(PQgetvalue(res, row, 2), NULL, 10) /
			    (uint64_t)run->block_size;
		run->estimate += s->size;
	}
	PQclear(res);
	return HF_OK;
}

void
tables_clear(struct run *run)
{
	for (size_t i = 0; i < run->nsources; i++) {
		struct source *s = &run->sources[i];

		free(s->schema);
		free(s->name);
		free(s->sql);
		free(s->columns);
		free(s->into);
		free(s->filter);
	}
	free(run->sources);
	run->sources = NULL;
	run->nsources = 0;
	run->estimate = 0;
}
