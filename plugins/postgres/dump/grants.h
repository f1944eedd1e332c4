/* SPDX-License-Identifier: BSD-2-Clause */
/* GRANT and REVOKE: from the default privileges of an object to its own. */
#ifndef HF_POSTGRES_DUMP_GRANTS_H
#define HF_POSTGRES_DUMP_GRANTS_H

#include "catalog.h"

/* clang-format off */

/* A subquery: rank (revoked first), verb, way (" TO "), grantee,
 * privilege_type, grantable, grantor.  kind: of acldefault(); acl: not NULL;
 * owner: OID. */
#define GRANTS_ROWS(kind, acl, owner)                                        \
	"(SELECT 1 AS rank, 'REVOKE' AS verb, ' FROM ' AS way, gd.grantee,"  \
	" gd.privilege_type, false AS grantable, gd.grantor FROM "           \
	GRANTS_DEFAULT(kind, owner) " WHERE NOT EXISTS (SELECT FROM "        \
	GRANTS_OWN(acl) " WHERE gx.grantee = gd.grantee"                     \
	" AND gx.privilege_type = gd.privilege_type)"                        \
	" UNION ALL SELECT 2, 'GRANT', ' TO ', gx.grantee,"                  \
	" gx.privilege_type, gx.is_grantable, gx.grantor FROM "              \
	GRANTS_OWN(acl) " WHERE NOT EXISTS (SELECT FROM "                    \
	GRANTS_DEFAULT(kind, owner) " WHERE gd.grantee = gx.grantee"         \
	" AND gd.privilege_type = gx.privilege_type"                         \
	" AND gd.is_grantable = gx.is_grantable"                             \
	" AND gd.grantor = gx.grantor))"
#define GRANTS_OWN(acl) "pg_catalog.aclexplode(" acl ") gx"
#define GRANTS_DEFAULT(kind, owner)                                          \
	"pg_catalog.aclexplode(pg_catalog.acldefault('" kind "', " owner ")) gd"

/* Who gets it, and how, behind the object's name; g is the subquery. */
#define GRANTS_TAIL                                                          \
	"g.way || CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE "                 \
	CATALOG_IDENT("pg_catalog.pg_get_userbyid(g.grantee)")               \
	" END || CASE WHEN g.grantable THEN ' WITH GRANT OPTION' ELSE '' END"

/* clang-format on */

#endif
