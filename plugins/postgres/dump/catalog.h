/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces of questions to the catalogs. */
#ifndef HF_POSTGRES_DUMP_CATALOG_H
#define HF_POSTGRES_DUMP_CATALOG_H

/* They never change their OIDs. */
#define CATALOG_CLASS 1259
#define CATALOG_EXTENSION 3079

/* name as an identifier, always quoted: quote_ident() knows the keywords of
 * this server only, not of the one it will be restored to. */
#define CATALOG_IDENT(name) \
	"'\"' || pg_catalog.replace(" name "::text, '\"', '\"\"') || '\"'"

/* %s: OIDs of the archive's entries, OIDs of its extensions, whose
 * configuration tables and sequences are dumped as far as filter says. */
#define CATALOG_WANTED                                                       \
	"WITH wanted AS (SELECT unnest('%s'::pg_catalog.oid[]) AS oid,"      \
	" NULL::text AS filter UNION ALL SELECT u.oid, NULLIF(u.filter, '')" \
	" FROM pg_catalog.pg_extension e"                                    \
	" CROSS JOIN LATERAL unnest(e.extconfig, e.extcondition)"            \
	" AS u(oid, filter)"                                                 \
	" WHERE e.oid = ANY ('%s'::pg_catalog.oid[])) "

#endif
