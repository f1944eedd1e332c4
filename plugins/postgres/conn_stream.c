/* SPDX-License-Identifier: BSD-2-Clause */
#include "conn_private.h"

#include "postgres.h"

#include <limits.h>
#include <poll.h>

#define MESSAGES_PER_LOOK 64

int
conn_send(struct conn *c, struct hf_error *err, const char *command)
{
	if (conn_stopped(c))
		return H->fail(err, HF_E_CANCELLED, "%s: cancelled", c->label);
	if (!PQsendQuery(c->pg, command))
		return conn_fail(c, NULL, err, "%s", c->label);
	if (conn_flush(c) == HF_E_CANCELLED)
		return conn_cancelled(c, err);
	return HF_OK; /* what was not sent is in the result */
}

int
conn_result(struct conn *c, PGresult **out, struct hf_error *err)
{
	int rc;

	*out = NULL;
	if (conn_next(c, out) != HF_OK)
		return conn_cancelled(c, err);
	switch (PQresultStatus(*out)) {
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		c->copying = true;
		c->reads = 0;
		c->heard = 0;
		return HF_OK;
	case PGRES_FATAL_ERROR:
		if (*out == NULL) {
			/* Results end early where a connection does. */
			if (PQstatus(c->pg) == CONNECTION_OK)
				return HF_OK;
			return conn_fail(c, NULL, err, "%s", c->label);
		}
		rc = conn_fail(c, *out, err, "%s", c->label);
		PQclear(*out);
		*out = NULL;
		return rc;
	default:
		return HF_OK;
	}
}

int
conn_stream_read(struct conn *c, int64_t wait, char **data, size_t *len,
    struct hf_error *err)
{
	int64_t end = wait < 0 ? INT64_MAX : conn_now() + wait, left = wait;
	int n;

	*len = 0;
	while ((n = PQgetCopyData(c->pg, data, 1)) == 0) {
		*data = NULL;
		if (conn_stopped(c))
			return conn_cancelled(c, err);
		/* A lost connection ends the COPY, and its result says so. */
		if (conn_wait_for(c, POLLIN, left) != 0) {
			if (!conn_receive(c))
				break;
			continue;
		}
		if (wait >= 0 && (left = end - conn_now()) <= 0)
			return HF_OK;
	}
	if (n > 0) {
		*len = (size_t)n;
		if (++c->reads % MESSAGES_PER_LOOK != 0 || !conn_stopped(c))
			return HF_OK;
		PQfreemem(*data);
		*data = NULL;
		return conn_cancelled(c, err);
	}
	*data = NULL;
	c->copying = false;
	if (n == -1 && PQstatus(c->pg) == CONNECTION_OK)
		return HF_EOF;
	return conn_fail(c, NULL, err, "%s", c->label);
}

int
conn_stream_write(
    struct conn *c, const void *buf, size_t len, struct hf_error *err)
{
	int n, rc;

	if (len > INT_MAX)
		return H->fail(err, HF_E_BUG, "a message of %zu bytes", len);
	while ((n = PQputCopyData(c->pg, buf, (int)len)) == 0) {
		if (conn_stopped(c))
			return conn_cancelled(c, err);
		if ((conn_wait(c, POLLIN | POLLOUT) & ~POLLOUT) != 0 &&
		    !conn_receive(c))
			break;
	}
	if (n == 1 && (rc = conn_flush(c)) == HF_OK)
		return HF_OK;
	if (n == 1 && rc == HF_E_CANCELLED)
		return conn_cancelled(c, err);
	return conn_fail(c, NULL, err, "%s", c->label);
}

int
conn_stream_end(struct conn *c, struct hf_error *err)
{
	char *data;
	size_t len;
	int n, rc;

	while ((n = PQputCopyEnd(c->pg, NULL)) == 0) {
		if (conn_stopped(c))
			return conn_cancelled(c, err);
		if (conn_wait(c, POLLIN | POLLOUT) != 0 && !conn_receive(c))
			break;
	}
	/* The server ended it with an error, which the next result is. */
	if (n < 0 && !c->copying && PQstatus(c->pg) == CONNECTION_OK)
		return HF_OK;
	if (n < 0)
		return conn_fail(c, NULL, err, "%s", c->label);
	if (conn_flush(c) == HF_E_CANCELLED)
		return conn_cancelled(c, err);
	while (c->copying &&
	       (rc = conn_stream_read(c, -1, &data, &len, err)) != HF_EOF) {
		if (rc != HF_OK)
			return rc;
		PQfreemem(data);
	}
	return HF_OK;
}
