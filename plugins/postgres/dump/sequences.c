/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "catalog.h"
#include "object.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 500 /* sequences in one question */

/* clang-format off */
static const char names_sql[] = CATALOG_WANTED
    "SELECT DISTINCT c.oid, " CATALOG_IDENT("n.nspname")
    " || '.' || " CATALOG_IDENT("c.relname")
    " FROM wanted w JOIN pg_catalog.pg_class c ON c.oid = w.oid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'S' ORDER BY c.oid";
/* clang-format on */

static int
add_batch(struct run *run, const PGresult *names, int first, int last,
    struct text *out, struct hf_error *err)
{
	struct text sql = { 0 };
	PGresult *res;
	int rc;

	for (int i = first; i < last; i++)
		text_addf(&sql, "%sSELECT %d, last_value, is_called FROM %s",
		    i == first ? "" : " UNION ALL ", i,
		    PQgetvalue(names, i, 1));
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_query(run->conn, &res, err, text_get(&sql));
	text_free(&sql);
	if (rc != HF_OK) {
		(void)H->fail_context(err, "reading sequences");
		if (rc == HF_E_DENIED)
			H->fail_note(err, "hint",
			    "GRANT SELECT ON SEQUENCE ... TO the role, or "
			    "GRANT pg_read_all_data TO it.");
		return rc;
	}
	for (int i = 0; i < PQntuples(res); i++) {
		int at = (int)strtol(PQgetvalue(res, i, 0), NULL, 10);

		text_add(out, "SELECT pg_catalog.setval(");
		text_add_literal(out, PQgetvalue(names, at, 1));
		text_addf(out, ", %s, %s);\n", PQgetvalue(res, i, 1),
		    strcmp(PQgetvalue(res, i, 2), "t") == 0 ? "true" : "false");
	}
	PQclear(res);
	return HF_OK;
}

static int
find(struct run *run, PGresult **names, struct hf_error *err)
{
	struct text oids = { 0 }, extensions = { 0 };
	int rc;

	if ((rc = tables_oids(
		 &run->toc, CATALOG_CLASS, "SEQUENCE", &oids, err)) == HF_OK &&
	    (rc = tables_oids(&run->toc, CATALOG_EXTENSION, "EXTENSION",
		 &extensions, err)) == HF_OK)
		rc = conn_queryf(run->conn, names, err, names_sql,
		    text_get(&oids), text_get(&extensions));
	text_free(&oids);
	text_free(&extensions);
	return rc;
}

int
sequences_store(struct run *run, struct hf_error *err)
{
	struct text t = { 0 };
	PGresult *names;
	int rc, n;

	if ((rc = find(run, &names, err)) != HF_OK)
		return rc;
	n = PQntuples(names);
	run->contents.sequences = (uint64_t)n;
	object_header(&t, run->contents.stored_encoding, "Values of sequences");
	for (int i = 0; i < n && rc == HF_OK; i += BATCH)
		rc = add_batch(
		    run, names, i, n - i < BATCH ? n : i + BATCH, &t, err);
	if (rc == HF_OK && (rc = text_ok(&t, err)) == HF_OK && n > 0)
		rc = object_store(
		    run->out, run->prefix, LAYOUT_SEQUENCES, t.s, t.len, err);
	PQclear(names);
	text_free(&t);
	return rc;
}
