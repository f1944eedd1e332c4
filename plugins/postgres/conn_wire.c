/* SPDX-License-Identifier: BSD-2-Clause */
#include "conn_private.h"

#include "postgres.h"

#include <poll.h>
#include <time.h>

#define TICK 200    /* ms between two looks at stop */
#define DRAIN 10000 /* ms in which the server ends what it was told to */

int64_t
conn_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool
conn_stopped(const struct conn *c)
{
	return (c->stop != NULL && atomic_load(c->stop)) ||
	       H->cancelled(c->ctx);
}

short
conn_wait_for(const struct conn *c, short events, int64_t ms)
{
	struct pollfd p = { .fd = PQsocket(c->pg), .events = events };

	if (ms < 0 || ms > TICK)
		ms = TICK;
	return poll(&p, 1, (int)ms) > 0 ? p.revents : 0;
}

short
conn_wait(const struct conn *c, short events)
{
	return conn_wait_for(c, events, TICK);
}

/* A TLS record can hold more than libpq takes at once, and poll() knows nothing
 * of what TLS has already. */
bool
conn_receive(const struct conn *c)
{
	int times = PQsslInUse(c->pg) ? 3 : 1;

	while (times-- > 0)
		if (!PQconsumeInput(c->pg))
			return false;
	return true;
}

bool
conn_hear(struct conn *c)
{
	unsigned before = c->notices;

	if (!conn_receive(c))
		return false;
	(void)PQisBusy(c->pg); /* takes notices out */
	if (c->notices != before)
		c->heard = 0;
	else if (c->heard == 0)
		c->heard = conn_now();
	return true;
}

int
conn_flush(struct conn *c)
{
	int left;

	while ((left = PQflush(c->pg)) > 0) {
		if (conn_stopped(c))
			return HF_E_CANCELLED;
		if ((conn_wait(c, POLLIN | POLLOUT) & ~POLLOUT) != 0 &&
		    !conn_hear(c))
			return HF_E_IO;
	}
	return left == 0 ? HF_OK : HF_E_IO;
}

int
conn_next(struct conn *c, PGresult **res)
{
	*res = NULL;
	while (PQisBusy(c->pg)) {
		if (conn_stopped(c))
			return HF_E_CANCELLED;
		/* A lost connection makes a result. */
		if (conn_wait(c, POLLIN) != 0 && !conn_receive(c))
			break;
	}
	*res = PQgetResult(c->pg);
	return HF_OK;
}

/* Read and forget until the server is ready again. */
static void
drain(struct conn *c)
{
	int64_t end = conn_now() + DRAIN;
	PGresult *res;
	char *row;

	while (conn_now() < end && PQstatus(c->pg) == CONNECTION_OK) {
		(void)PQflush(c->pg);
		while (PQgetCopyData(c->pg, &row, 1) > 0)
			PQfreemem(row);
		if (PQtransactionStatus(c->pg) != PQTRANS_ACTIVE)
			break;
		if (PQisBusy(c->pg)) {
			if (conn_wait(c, POLLIN) != 0)
				(void)conn_receive(c);
			continue;
		}
		if ((res = PQgetResult(c->pg)) == NULL)
			break;
		if (PQresultStatus(res) == PGRES_COPY_IN) {
			if (PQputCopyEnd(c->pg, "cancelled") == 0)
				(void)conn_wait(c, POLLOUT);
		} else if (PQresultStatus(res) == PGRES_COPY_OUT &&
			   conn_wait(c, POLLIN) != 0)
			(void)conn_receive(c);
		PQclear(res);
	}
	c->copying = false;
}

void
conn_cancel(struct conn *c)
{
	PGcancel *request;
	char why[256];

	if (PQtransactionStatus(c->pg) != PQTRANS_ACTIVE)
		return;
	if ((request = PQgetCancel(c->pg)) != NULL &&
	    !PQcancel(request, why, sizeof why))
		H->log(c->ctx, HF_LOG_DEBUG, "postgres.cancel",
		    "%s: cannot cancel: %s", c->label, why);
	PQfreeCancel(request);
	/* A walsender may have gigabytes to send before it looks. */
	if (!c->replication)
		drain(c);
	c->copying = false;
}

int
conn_cancelled(struct conn *c, struct hf_error *err)
{
	conn_cancel(c);
	return H->fail(err, HF_E_CANCELLED, "%s: cancelled", c->label);
}

int
conn_collect(struct conn *c, PGresult **out, struct hf_error *err)
{
	PGresult *res, *kept = NULL;
	ExecStatusType status;
	int rc;

	if ((rc = conn_flush(c)) == HF_E_CANCELLED)
		return conn_cancelled(c, err);
	for (;;) {
		if ((rc = conn_next(c, &res)) != HF_OK) {
			PQclear(kept);
			return conn_cancelled(c, err);
		}
		if (res == NULL)
			break;
		status = PQresultStatus(res);
		if (kept != NULL && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
			PQclear(res); /* the first says it best */
			continue;
		}
		PQclear(kept);
		kept = res;
		if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT)
			break;
	}
	*out = kept;
	if (kept != NULL && PQresultStatus(kept) != PGRES_FATAL_ERROR)
		return HF_OK;
	rc = conn_fail(c, kept, err, "%s", c->label);
	PQclear(kept);
	*out = NULL;
	return rc;
}
