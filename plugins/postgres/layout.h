/* SPDX-License-Identifier: BSD-2-Clause */
/* What a logical backup is made of, and how its objects are named.
 *
 *   000-globals.sql                 roles, memberships, tablespaces
 *   010-pre-data.sql                DDL that stands before rows
 *   100-SCHEMA.TABLE.NNNN.sql       rows of one table, part NNNN
 *   110-small.NNNN.sql              rows of many small tables
 *   700-large-objects.NNNN.sql      lo_create, lo_put, owner, grants
 *   800-sequences.sql               setval
 *   900-post-data.sql               indexes, constraints, triggers, ...
 *   950-refresh.sql                 REFRESH MATERIALIZED VIEW, in order
 *   970-database.sql                settings, grants, comment of the database
 *   schema.dump                     the same DDL, for pg_restore -j
 *   contents.json                   what is where, see below
 *
 * In the order of their names the *.sql files are one script for psql:
 * each stands for itself (it begins with "\set ON_ERROR_STOP on" and the
 * settings it needs), so one table can be loaded alone.  Only the first that
 * there is need be read for "all of them": 000-globals.sql changes no role
 * and no tablespace that exists.
 *
 * A backup of several databases has these below "DATABASE/", escaped as
 * layout_escape does, and 000-globals.sql once, above.
 *
 * Object names are UTF-8: a name in another encoding is converted; bytes that
 * cannot be, and the separators "." and "/" inside a name, control bytes and
 * '%' are written %XX.
 *
 * contents.json (UTF-8):
 * { "format": 1,
 *   "server_version": 150020, "pg_dump_version": 150020,
 *   "database": { "name", "encoding" (PostgreSQL's name, of the database),
 *      "stored_encoding" (client_encoding of the .sql objects),
 *      "owner", "collate", "ctype", "provider" ("c", "i", "b"),
 *      "locale" (of icu or builtin, else absent), "icu_rules"?,
 *      "tablespace", "connection_limit" },
 *   "content": "all" | "schema" | "data",
 *   "tables": [ { "oid": 16385, "schema", "name", "rows": 7, "bytes": raw,
 *      "pieces": [ { "object": "100-public.orders.0001.sql",
 *                    "offset": 312, "size": 4711, "rows": 7 } ],
 *      "toc": [ "1259:16385", "2606:16391", "1259:16392", ... ] } ],
 *   "large_objects": { "count": 0, "objects": [ "700-..." ] },
 *   "sequences": 3, "refresh": 1 }
 *
 * A name that is no UTF-8 (in a database of SQL_ASCII) is not a string but
 * { "hex": "636166e9" }, its bytes; in the structs below it is as it was.
 *
 * A piece is "COPY ... FROM stdin;\n", rows, "\.\n", and nothing else; pieces
 * of one object stand in the order of their offsets.  toc names, as
 * CATALOG-OID:OBJECT-OID, what belongs to a table: itself, its defaults,
 * constraints, indexes, triggers, rules, policies, statistics, owned
 * sequences, its row type is not.  (COMMENT, ACL and others without an OID of
 * their own are found by their tags.)
 */
#ifndef HF_POSTGRES_LAYOUT_H
#define HF_POSTGRES_LAYOUT_H

#include <holdfast/plugin.h>

#define LAYOUT_GLOBALS "000-globals.sql"
#define LAYOUT_PRE_DATA "010-pre-data.sql"
#define LAYOUT_SEQUENCES "800-sequences.sql"
#define LAYOUT_POST_DATA "900-post-data.sql"
#define LAYOUT_REFRESH "950-refresh.sql"
#define LAYOUT_DATABASE "970-database.sql"
#define LAYOUT_SCHEMA "schema.dump"
#define LAYOUT_CONTENTS "contents.json"
#define LAYOUT_FORMAT 1

struct text;

/* name escaped, to the end of out. */
void layout_escape(struct text *out, const char *name);
/* "DATABASE/" or "": before object names.  database NULL: "". */
void layout_prefix(struct text *out, const char *database);
/* "100-public.orders.0001.sql" */
void layout_table(
    struct text *out, const char *schema, const char *table, unsigned part);
void layout_small(struct text *out, unsigned part);
void layout_large_objects(struct text *out, unsigned part);

struct piece {
	char *object; /* without prefix */
	uint64_t offset, size, rows;
};
struct table {
	uint32_t oid;
	char *schema, *name; /* UTF-8 */
	uint64_t rows, bytes;
	struct piece *pieces;
	size_t npieces;
	char **toc; /* NULL ends */
};
struct contents {
	int server_version, pg_dump_version;
	char *database, *encoding, *stored_encoding, *owner, *collate, *ctype,
	    *provider, *locale, *icu_rules, *tablespace; /* NULL: absent */
	int connection_limit;
	char *content;
	struct table *tables;
	size_t ntables;
	uint64_t large_objects; /* how many */
	char **large_object_objects;
	size_t nlarge_object_objects;
	uint64_t sequences, refresh;
};

/* Every string is malloc'ed.  contents_read: HF_E_CORRUPT says what is wrong;
 * HF_E_UNSUPPORTED for a newer format. */
int contents_write(
    const struct contents *, char **json, size_t *len, struct hf_error *);
int contents_read(
    const char *json, size_t len, struct contents *, struct hf_error *);
void contents_clear(struct contents *);

#endif
