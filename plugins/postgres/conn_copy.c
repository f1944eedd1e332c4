/* SPDX-License-Identifier: BSD-2-Clause */
#include "conn_private.h"

#include "postgres.h"

#include <poll.h>
#include <stdlib.h>

#define ROWS_PER_LOOK 4096
#define HEARD 2000 /* see conn_hear */

int
conn_copy_begin(struct conn *c, struct hf_error *err, const char *sql)
{
	PGresult *res;
	ExecStatusType status;
	int rc;

	if (conn_stopped(c))
		return H->fail(err, HF_E_CANCELLED, "%s: cancelled", c->label);
	if (!PQsendQuery(c->pg, sql))
		return conn_fail(c, NULL, err, "%s", c->label);
	if ((rc = conn_collect(c, &res, err)) != HF_OK)
		return rc;
	status = PQresultStatus(res);
	PQclear(res);
	if (status != PGRES_COPY_IN && status != PGRES_COPY_OUT)
		return H->fail(err, HF_E_BUG, "conn_copy_begin without COPY");
	c->copying = true;
	c->reads = 0;
	c->heard = 0;
	return HF_OK;
}

/* The server's last word on a COPY. */
static int
copy_result(struct conn *c, int64_t *rows, struct hf_error *err)
{
	PGresult *res;
	int rc;

	c->copying = false;
	if ((rc = conn_collect(c, &res, err)) != HF_OK)
		return rc;
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		rc = H->fail(
		    err, HF_E_IO, "%s: COPY was not confirmed", c->label);
	else if (rows != NULL)
		*rows = strtoll(PQcmdTuples(res), NULL, 10);
	PQclear(res);
	return rc;
}

int
conn_copy_read(struct conn *c, char **row, size_t *len, int64_t *rows,
    struct hf_error *err)
{
	int n;

	for (;;) {
		n = PQgetCopyData(c->pg, row, 1);
		if (n > 0) {
			*len = (size_t)n;
			if (++c->reads % ROWS_PER_LOOK != 0 || !conn_stopped(c))
				return HF_OK;
			PQfreemem(*row);
			*row = NULL;
			return conn_cancelled(c, err);
		}
		*row = NULL;
		*len = 0;
		if (n < 0)
			break;
		if (conn_stopped(c))
			return conn_cancelled(c, err);
		/* A lost connection ends the COPY, and its result says so. */
		if (conn_wait(c, POLLIN) != 0 && !conn_receive(c))
			break;
	}
	if (n == -2)
		return conn_fail(c, NULL, err, "%s", c->label);
	n = copy_result(c, rows, err);
	return n == HF_OK ? HF_EOF : n;
}

static int
put_end(struct conn *c, const char *why)
{
	int n;

	while ((n = PQputCopyEnd(c->pg, why)) == 0) {
		if (conn_stopped(c))
			return HF_E_CANCELLED;
		if ((conn_wait(c, POLLIN | POLLOUT) & ~POLLOUT) != 0 &&
		    !conn_hear(c))
			break;
	}
	return HF_OK;
}

/* Has the server nothing to object? */
static bool
watch_copy(struct conn *c)
{
	struct pollfd p = { .fd = PQsocket(c->pg), .events = POLLIN };

	if (poll(&p, 1, 0) > 0 && !conn_hear(c))
		return false;
	return c->heard == 0 || conn_now() - c->heard < HEARD;
}

/* The COPY failed on the server: end it to hear why. */
static int
copy_failed(struct conn *c, struct hf_error *err)
{
	int rc;

	(void)put_end(c, "the COPY has failed");
	rc = copy_result(c, NULL, err);
	return rc != HF_OK ? rc
			   : H->fail(err, HF_E_IO, "%s: COPY ended too early",
				 c->label);
}

int
conn_copy_write(
    struct conn *c, const char *buf, size_t len, struct hf_error *err)
{
	size_t part;
	int n, rc;

	while (len > 0) {
		if (conn_stopped(c))
			return conn_cancelled(c, err);
		if (!watch_copy(c))
			return copy_failed(c, err);
		part = len < (1u << 20) ? len : (1u << 20);
		n = PQputCopyData(c->pg, buf, (int)part);
		if (n < 0)
			return copy_failed(c, err);
		if (n > 0) {
			buf += part;
			len -= part;
		}
		if ((rc = conn_flush(c)) == HF_E_CANCELLED)
			return conn_cancelled(c, err);
		if (rc != HF_OK)
			return copy_failed(c, err);
	}
	return HF_OK;
}

int
conn_copy_end(
    struct conn *c, const char *why, int64_t *rows, struct hf_error *err)
{
	int rc;

	if (!c->copying)
		return why != NULL ? HF_OK
				   : H->fail(err, HF_E_BUG, "no COPY to end");
	if (put_end(c, why) != HF_OK)
		return conn_cancelled(c, err);
	rc =
	    copy_result(c, why == NULL ? rows : NULL, why == NULL ? err : NULL);
	if (why == NULL)
		return rc;
	if (PQstatus(c->pg) == CONNECTION_BAD || rc == HF_E_CANCELLED)
		return conn_fail(c, NULL, err, "%s", c->label);
	return rc != HF_OK ? HF_OK
			   : H->fail(err, HF_E_IO,
				 "%s: a COPY told to fail did not", c->label);
}
