/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that has an OID and belongs to a table, for all tables of the database:
 * one question, however many there are.  ROW SECURITY is written as catalog 0
 * by pg_dump.  %1$s: what contents.json lists, as OIDs. */
static const char belongs_sql[] =
    "WITH wanted AS (SELECT unnest('%s'::pg_catalog.oid[]) AS oid)"
    " SELECT x.relid, x.catalog, x.oid FROM wanted w JOIN ("
    "SELECT oid AS relid, 1259 AS catalog, oid FROM pg_catalog.pg_class"
    " UNION ALL SELECT oid, 0, oid FROM pg_catalog.pg_class"
    " WHERE relrowsecurity"
    " UNION ALL SELECT adrelid, 2604, oid FROM pg_catalog.pg_attrdef"
    " UNION ALL SELECT conrelid, 2606, oid FROM pg_catalog.pg_constraint"
    " WHERE conrelid <> 0"
    " UNION ALL SELECT indrelid, 1259, indexrelid FROM pg_catalog.pg_index"
    " UNION ALL SELECT tgrelid, 2620, oid FROM pg_catalog.pg_trigger"
    " WHERE NOT tgisinternal"
    " UNION ALL SELECT ev_class, 2618, oid FROM pg_catalog.pg_rewrite"
    " WHERE rulename <> '_RETURN'"
    " UNION ALL SELECT polrelid, 3256, oid FROM pg_catalog.pg_policy"
    " UNION ALL SELECT stxrelid, 3381, oid FROM pg_catalog.pg_statistic_ext"
    " UNION ALL SELECT d.refobjid, 1259, d.objid FROM pg_catalog.pg_depend d"
    " JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
    " WHERE d.classid = 1259 AND d.refclassid = 1259"
    " AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')"
    ") x ON x.relid = w.oid ORDER BY 1, 2, 3";

/* The rows from *at on that are of this table. */
static int
take(struct table *t, const PGresult *res, int *at, struct hf_error *err)
{
	int first = *at, n = PQntuples(res);
	char entry[48];

	while (*at < n && strtoul(PQgetvalue(res, *at, 0), NULL, 10) == t->oid)
		++*at;
	if ((t->toc = calloc((size_t)(*at - first) + 1, sizeof *t->toc)) ==
	    NULL)
		return postgres_nomem(err);
	for (int i = first; i < *at; i++) {
		(void)snprintf(entry, sizeof entry, "%s:%s",
		    PQgetvalue(res, i, 1), PQgetvalue(res, i, 2));
		if ((t->toc[i - first] = strdup(entry)) == NULL)
			return postgres_nomem(err);
	}
	return HF_OK;
}

int
belongs_find(struct run *run, struct hf_error *err)
{
	struct contents *c = &run->contents;
	struct text oids = { 0 };
	PGresult *res;
	int rc, at = 0;

	if (c->ntables == 0)
		return HF_OK;
	for (size_t i = 0; i < c->ntables; i++)
		text_addf(&oids, "%c%u", i == 0 ? '{' : ',', c->tables[i].oid);
	text_add(&oids, "}");
	if ((rc = text_ok(&oids, err)) == HF_OK)
		rc = conn_queryf(
		    run->conn, &res, err, belongs_sql, text_get(&oids));
	text_free(&oids);
	if (rc != HF_OK)
		return rc;
	for (size_t i = 0; i < c->ntables && rc == HF_OK; i++)
		rc = take(&c->tables[i], res, &at, err);
	PQclear(res);
	return rc;
}
