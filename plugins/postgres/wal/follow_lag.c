/* SPDX-License-Identifier: BSD-2-Clause */
#include "follow.h"

#include "conn.h"
#include "postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define EVERY 30000 /* ms */
#define CURRENT 5000
/* Nothing is wrong while no more than this waits and it moves. */
#define SEGMENTS 4

/* Where the server is: when nothing more is taken in, it cannot say so here. */
static void
ask_end(struct follow *f)
{
	PGresult *res = NULL;
	struct conn *c;
	lsn_t lsn;

	if (conn_open_replication(f->ctx, f->info, &c, NULL) != HF_OK)
		return;
	if (conn_send(c, NULL, "IDENTIFY_SYSTEM") == HF_OK &&
	    conn_result(c, &res, NULL) == HF_OK &&
	    PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) > 0 &&
	    lsn_parse(PQgetvalue(res, 0, 2), &lsn) && lsn > f->end)
		f->end = lsn;
	PQclear(res);
	conn_close(c);
}

static void
say(struct follow *f, uint64_t behind)
{
	time_t since = (time_t)f->lag.since;
	char text[40] = "";
	struct tm tm;

	if (gmtime_r(&since, &tm) != NULL)
		(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	H->log(f->ctx, HF_LOG_WARN, "wal.lag",
	    "%" PRIu64 " bytes of WAL are not in the log yet, since %s; the "
	    "server keeps them on its disk",
	    behind, text);
}

void
follow_current(struct follow *f, lsn_t end, int64_t now)
{
	time_t t = time(NULL) - 1; /* the answer was on its way */
	struct tm tm;
	char text[40];

	if (now < f->lag.tell || keeper_durable(f->keeper) < end ||
	    gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return;
	f->lag.tell = now + CURRENT;
	H->result(f->ctx, "log_current", text);
}

void
follow_lag(struct follow *f, int64_t now)
{
	lsn_t durable = keeper_durable(f->keeper);
	int64_t failing = keeper_failing(f->keeper);
	uint64_t behind, some = (uint64_t)SEGMENTS * f->segment_size;
	bool full, stalled, first;

	/* When nothing more can be taken in, the server's disk begins to fill:
	 * that is said at once. */
	full = failing != 0 && f->lag.since == 0 && !keeper_room(f->keeper);
	if (now < f->lag.look && !full)
		return;
	/* At first there is nothing to compare with. */
	first = f->lag.look == 0;
	f->lag.look = now + EVERY;
	if (first) {
		f->lag.durable = durable;
		return;
	}
	stalled = full || (durable == f->lag.durable && f->received > durable);
	f->lag.durable = durable;
	if (stalled || !keeper_room(f->keeper))
		ask_end(f);
	/* Before anything is durable: since the beginning. */
	if (durable < f->begin[0])
		durable = f->begin[0];
	behind = f->end > durable ? f->end - durable : 0;
	if (stalled || behind > some) {
		if (f->lag.since == 0)
			f->lag.since = failing != 0
					   ? failing
					   : (int64_t)time(NULL) - EVERY / 1000;
		say(f, behind);
	} else if (f->lag.since != 0) {
		f->lag.since = 0;
		H->log(f->ctx, HF_LOG_INFO, "wal.lag",
		    "the log has caught up: %" PRIu64 " bytes behind", behind);
	}
}
