/* SPDX-License-Identifier: BSD-2-Clause */
#include "users.h"

#include "conn.h"
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMED 5
/* A session is seen for a moment after its client has left. */
#define LEAVING_MS 2000
#define LOOK_MS 50

/* Connections, replication included; then prepared transactions, which hold a
 * database as a connection does. */
static const char query[] =
    "SELECT coalesce(nullif(application_name, ''), backend_type, 'somebody')"
    " || ' (pid ' || pid || coalesce(', ' || usename, '') || ')'"
    " FROM pg_catalog.pg_stat_activity WHERE datname = $1"
    " AND pid <> pg_catalog.pg_backend_pid() AND pid <> $2::int"
    " AND coalesce(backend_type, '') NOT LIKE 'autovacuum%'"
    " UNION ALL SELECT 'prepared transaction ' || gid"
    " FROM pg_catalog.pg_prepared_xacts WHERE database = $1";

int
users_of(struct conn *c, const char *dbname, int except, char *buf, size_t cap,
    unsigned *n, struct hf_error *err)
{
	const char *params[2];
	char pid[16];
	PGresult *res;
	size_t len = 0;
	int rc, i, rows, w;

	(void)snprintf(pid, sizeof pid, "%d", except);
	params[0] = dbname;
	params[1] = pid;
	*n = 0;
	buf[0] = '\0';
	if ((rc = conn_query_params(c, &res, err, query, 2, params)) != HF_OK)
		return rc;
	rows = PQntuples(res);
	for (i = 0; i < rows && i < NAMED && len < cap; i++) {
		w = snprintf(buf + len, cap - len, "%s%s", i == 0 ? "" : ", ",
		    PQgetvalue(res, i, 0));
		len += w < 0 ? 0 : (size_t)w;
	}
	if (rows > NAMED && len < cap)
		(void)snprintf(
		    buf + len, cap - len, " and %d more", rows - NAMED);
	*n = (unsigned)rows;
	PQclear(res);
	return HF_OK;
}

int
users_refuse(struct conn *c, const char *dbname, int except, bool force_helps,
    struct hf_error *err)
{
	char who[512];
	unsigned n;
	int rc;

	for (int waited = 0;; waited += LOOK_MS) {
		rc = users_of(c, dbname, except, who, sizeof who, &n, err);
		if (rc != HF_OK || n == 0)
			return rc;
		if (waited >= LEAVING_MS || !H->sleep(c->ctx, LOOK_MS))
			break;
	}
	return postgres_fail_hint(err, HF_E_TRANSIENT,
	    force_helps ? "Stop them, or use --force, which ends their "
			  "connections. Prepared transactions have to be "
			  "committed or rolled back."
			: "Stop them, or restore to another name.",
	    "database %s is in use by %u: %s", dbname, n, who);
}
