/* SPDX-License-Identifier: BSD-2-Clause */
#include "follow.h"

#include "conn.h"
#include "postgres.h"
#include "text.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* At most so long between two messages to the server, ms. */
#define STATUS 10000
#define NAP 200
/* It asks again as soon as it is answered while it waits for us to end. */
#define PINGS 3
#define PING_PAUSE 100
#define PING_GAP 2000
#define PING_LIMIT 10000
/* A server that says nothing for so long, asked after half of it, is gone, or
 * as good as gone; ms. */
#define SILENCE 60000
/* To say farewell, ms. */
#define FAREWELL 1000
/* Attempts to store what is here when the stream ends. */
#define TRIES_LOST 3
#define TRIES_CANCELLED 1

#define HEAD_WAL 25
#define HEAD_KEEPALIVE 18
#define EPOCH INT64_C(946684800) /* 2000-01-01, where their clock begins */

struct stream {
	struct follow *f;
	uint32_t timeline;
	lsn_t lsn; /* where it began */
	lsn_t confirmed;
	int64_t status_at; /* when the next one is due at the latest */
	int64_t heard;     /* when it last said something, or was not heard */
	int64_t silence;   /* how long it may say nothing */
	bool reply;        /* it asks for one */
	unsigned pings;    /* in a row, see PINGS */
	int64_t first_ping, last_ping;
};

static uint64_t
get8(const char *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static void
put8(unsigned char *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (unsigned char)v;
}

/* ---- to the server ---- */

/* Never more than is in every sink that is required, and never less than was
 * said before: the slot would go back. */
static lsn_t
durable(const struct follow *f)
{
	lsn_t lsn = keeper_durable(f->keeper);

	if (lsn > f->received)
		lsn = f->received;
	return lsn > f->restart ? lsn : f->restart;
}

static int
send_status(struct stream *s, struct hf_error *err)
{
	lsn_t flush = durable(s->f), write = s->f->received;
	unsigned char m[34] = { 'r' };
	struct timeval tv;
	int64_t every = STATUS;

	(void)gettimeofday(&tv, NULL);
	put8(m + 1, write > flush ? write : flush);
	put8(m + 9, flush);
	put8(m + 17, 0);
	put8(m + 25, (uint64_t)((tv.tv_sec - EPOCH) * 1000000 + tv.tv_usec));
	/* Asked, a server that is idle says where it is. */
	m[33] = conn_now() >= s->f->lag.tell ||
		conn_now() - s->heard >= s->silence / 2;
	s->confirmed = flush;
	if (flush > s->f->restart)
		s->f->restart = flush;
	s->reply = false;
	if (s->f->timeout > 0 && s->f->timeout / 3 < every)
		every = s->f->timeout / 3;
	s->status_at = conn_now() + every;
	H->progress(s->f->ctx, flush > s->lsn ? flush - s->lsn : 0,
	    s->f->end > s->lsn ? s->f->end - s->lsn : 0);
	return conn_stream_write(s->f->c, m, sizeof m, err);
}

/* A server that is shutting down waits until we have stored all, and asks and
 * asks.  If the log takes nothing it must not wait for us: what it has is on its
 * disk, and comes when it is up again. */
static int
ping(struct stream *s, int64_t now, struct hf_error *err)
{
	s->reply = true;
	if (now - s->last_ping > PING_GAP)
		s->pings = 0;
	s->last_ping = now;
	if (s->pings++ == 0) {
		s->first_ping = now;
		keeper_hurry(s->f->keeper);
	}
	if (s->pings <= PINGS || now - s->first_ping < PING_LIMIT)
		return HF_OK;
	return H->fail(err, HF_E_TRANSIENT,
	    "%s: the server is stopping, and the log does not take what is "
	    "left: it is streamed when the server is up again",
	    s->f->c->label);
}

/* A connection can be fine and nobody behind it. */
static int
still_there(struct stream *s, int64_t now, struct hf_error *err)
{
	/* What is not read waits. */
	if (!keeper_room(s->f->keeper))
		s->heard = now;
	if (now - s->heard < s->silence)
		return HF_OK;
	return H->fail(err, HF_E_TRANSIENT,
	    "%s: the server has said nothing for %lld s", s->f->c->label,
	    (long long)(s->silence / 1000));
}

static int
say(struct stream *s, int64_t now, struct hf_error *err)
{
	bool due = now >= s->status_at || durable(s->f) > s->confirmed;

	if (s->reply && (s->pings <= PINGS || now - s->last_ping >= PING_PAUSE))
		due = true;
	return due ? send_status(s, err) : HF_OK;
}

/* ---- from the server ---- */

static int
take_wal(struct stream *s, const char *m, size_t len, struct hf_error *err)
{
	struct follow *f = s->f;
	lsn_t start = get8(m + 1), end = get8(m + 9);
	char a[LSN_TEXT_MAX], b[LSN_TEXT_MAX];
	int rc;

	if (start != f->received)
		return H->fail(err, HF_E_IO,
		    "%s: the server sent WAL from %s on, and %s was next",
		    f->c->label, lsn_text(start, a), lsn_text(f->received, b));
	s->pings = 0;
	rc = keeper_add(
	    f->keeper, s->timeline, start, m + HEAD_WAL, len - HEAD_WAL, err);
	if (rc != HF_OK)
		return rc;
	f->received += len - HEAD_WAL;
	if (end > f->end)
		f->end = end;
	if (f->received > f->end)
		f->end = f->received;
	return HF_OK;
}

static int
take(struct stream *s, const char *m, size_t len, struct hf_error *err)
{
	lsn_t end;

	if (len > HEAD_WAL && m[0] == 'w')
		return take_wal(s, m, len, err);
	if (len < HEAD_KEEPALIVE || m[0] != 'k')
		return H->fail(err, HF_E_IO,
		    "%s: a message that is not understood", s->f->c->label);
	end = get8(m + 1);
	if (end > s->f->end)
		s->f->end = end;
	follow_current(s->f, end, conn_now());
	return m[17] != 0 ? ping(s, conn_now(), err) : HF_OK;
}

/* All messages that are there and that there is room for.  *some: there may be
 * more. */
static int
take_all(struct stream *s, bool *some, struct hf_error *err)
{
	char *m;
	size_t len;
	int rc;

	*some = false;
	for (int i = 0; i < 64; i++) {
		if (!keeper_room(s->f->keeper))
			return HF_OK;
		rc = conn_stream_read(s->f->c, 0, &m, &len, err);
		if (rc != HF_OK || m == NULL)
			return rc;
		s->heard = conn_now();
		rc = take(s, m, len, err);
		PQfreemem(m);
		if (rc != HF_OK)
			return rc;
	}
	*some = true;
	return HF_OK;
}

/* Until the server says something (if there is room for it), or something
 * became durable, or a moment has passed. */
static void
wait_a_moment(struct stream *s)
{
	bool room = keeper_room(s->f->keeper);
	struct pollfd p[2] = {
		{ .fd = keeper_event(s->f->keeper), .events = POLLIN },
		{ .fd = room ? PQsocket(s->f->c->pg) : -1, .events = POLLIN },
	};
	uint64_t n;
	ssize_t got;

	if (poll(p, 2, s->reply ? PING_PAUSE : NAP) > 0 &&
	    (p[0].revents & POLLIN) != 0) {
		got = read(p[0].fd, &n, sizeof n);
		(void)got;
	}
}

/* ---- a stream's life ---- */

static int
begin(struct stream *s, PGresult **res, struct hf_error *err)
{
	struct follow *f = s->f;
	char lsn[LSN_TEXT_MAX];
	struct text t = { 0 };
	int rc;

	text_add(&t, "START_REPLICATION ");
	if (f->slot) {
		text_add(&t, "SLOT ");
		text_add_ident(&t, f->e->conf.wal.slot);
		text_add(&t, " ");
	}
	text_addf(&t, "PHYSICAL %s TIMELINE %" PRIu32, lsn_text(s->lsn, lsn),
	    s->timeline);
	if ((rc = text_ok(&t, err)) == HF_OK)
		rc = conn_send(f->c, err, text_get(&t));
	text_free(&t);
	if (rc == HF_OK)
		rc = conn_result(f->c, res, err);
	if (rc != HF_OK && strcmp(conn_sqlstate(f->c), "55006") == 0)
		return postgres_fail_hint(err, HF_E_TRANSIENT,
		    "A Holdfast that was killed holds it until the server "
		    "notices. Otherwise another one follows it: SELECT "
		    "active_pid FROM pg_replication_slots. Each pipeline needs "
		    "a slot of its own: wal.slot.",
		    "%s: the replication slot %s is in use by another process",
		    f->c->label, f->e->conf.wal.slot);
	return rc;
}

/* What the server says when it has ended: the next timeline, or nothing. */
static int
read_end(struct stream *s, PGresult *res, uint32_t *next, lsn_t *at,
    struct hf_error *err)
{
	struct conn *c = s->f->c;
	int rc = HF_OK;

	*next = 0;
	for (;;) {
		if (res == NULL && (rc = conn_result(c, &res, err)) != HF_OK)
			break;
		if (res == NULL)
			break;
		if (PQresultStatus(res) == PGRES_TUPLES_OK &&
		    PQntuples(res) > 0 && PQnfields(res) >= 2) {
			*next =
			    (uint32_t)strtoul(PQgetvalue(res, 0, 0), NULL, 10);
			if (!lsn_parse(PQgetvalue(res, 0, 1), at))
				*next = 0;
		}
		PQclear(res);
		res = NULL;
	}
	/* After a failure the server is ready for the next command. */
	while (rc != HF_OK && rc != HF_E_CANCELLED &&
	       PQstatus(c->pg) == CONNECTION_OK &&
	       conn_result(c, &res, NULL) == HF_OK && res != NULL)
		PQclear(res);
	if (rc == HF_OK && *next != 0)
		return HF_EOF;
	if (rc == HF_E_CANCELLED)
		return rc;
	if (rc != HF_OK && strcmp(conn_sqlstate(c), "58P01") == 0)
		return HF_E_NOTFOUND; /* err has it */
	return H->fail(
	    err, HF_E_TRANSIENT, "%s: the server ended the stream", c->label);
}

/* Confirm what became durable at last, and let the slot go before we do: who
 * begins next must not find it in use. */
static void
farewell(struct stream *s)
{
	int64_t until = conn_now() + FAREWELL;
	PGconn *pg = s->f->c->pg;
	struct pollfd p = { .fd = PQsocket(pg), .events = POLLIN };
	char *m;
	int n;

	if (send_status(s, NULL) != HF_OK || PQputCopyEnd(pg, NULL) != 1 ||
	    PQflush(pg) != 0)
		return;
	while (conn_now() < until && PQconsumeInput(pg)) {
		while ((n = PQgetCopyData(pg, &m, 1)) > 0)
			PQfreemem(m);
		if (n < 0)
			break;
		(void)poll(&p, 1, NAP);
	}
	PQclear(PQgetResult(pg));
}

static int
run(struct stream *s, struct hf_error *err)
{
	struct follow *f = s->f;
	int64_t now;
	bool some;
	int rc;

	for (;;) {
		now = conn_now();
		if (H->cancelled(f->ctx))
			return HF_E_CANCELLED;
		if ((rc = keeper_status(f->keeper, err)) != HF_OK ||
		    (rc = say(s, now, err)) != HF_OK ||
		    (rc = take_all(s, &some, err)) != HF_OK ||
		    (rc = still_there(s, now, err)) != HF_OK)
			return rc;
		follow_lag(f, now);
		if (!some)
			wait_a_moment(s);
	}
}

/* A connection that ends is what happens when servers are restarted. */
static int
lost(struct follow *f, int rc)
{
	return PQstatus(f->c->pg) != CONNECTION_OK && rc == HF_E_IO
		   ? HF_E_TRANSIENT
		   : rc;
}

static int
finish(
    struct stream *s, int rc, uint32_t *next, lsn_t *at, struct hf_error *err)
{
	struct follow *f = s->f;

	if (rc == HF_EOF) {
		if ((rc = conn_stream_end(f->c, err)) == HF_OK)
			rc = read_end(s, NULL, next, at, err);
		/* What was received of it is stored while the next one
		 * begins. */
		if (rc == HF_EOF)
			keeper_leave(f->keeper, *at);
		if (rc == HF_EOF ||
		    (rc == HF_E_NOTFOUND && f->received == s->lsn))
			return rc;
		rc = rc == HF_E_NOTFOUND ? HF_E_TRANSIENT : lost(f, rc);
		keeper_finish(f->keeper, TRIES_LOST);
		return rc;
	}
	if (rc == HF_E_CANCELLED || H->cancelled(f->ctx)) {
		keeper_finish(f->keeper, TRIES_CANCELLED);
		if (PQstatus(f->c->pg) == CONNECTION_OK)
			farewell(s);
		return HF_E_CANCELLED;
	}
	keeper_finish(f->keeper, TRIES_LOST);
	if (PQstatus(f->c->pg) == CONNECTION_OK)
		farewell(s);
	return lost(f, rc);
}

int
follow_stream(struct follow *f, uint32_t timeline, lsn_t lsn, uint32_t *next,
    lsn_t *at, struct hf_error *err)
{
	struct stream s = { .f = f, .timeline = timeline, .lsn = lsn };
	char text[LSN_TEXT_MAX];
	PGresult *res = NULL;
	int rc;

	if ((rc = begin(&s, &res, err)) != HF_OK) {
		if (rc == HF_E_CANCELLED)
			return rc;
		if (strcmp(conn_sqlstate(f->c), "58P01") != 0)
			return lost(f, rc);
		/* Told as the end of a stream is. */
		return read_end(&s, NULL, next, at, NULL) == HF_E_CANCELLED
			   ? HF_E_CANCELLED
			   : HF_E_NOTFOUND;
	}
	/* A timeline that ends where we would begin has no stream. */
	if (PQresultStatus(res) != PGRES_COPY_BOTH)
		return read_end(&s, res, next, at, err);
	PQclear(res);
	f->received = lsn;
	s.heard = conn_now();
	s.silence =
	    f->timeout > 0 && f->timeout < SILENCE ? f->timeout : SILENCE;
	H->log(f->ctx, HF_LOG_INFO, "wal.follow",
	    "%s: streaming timeline %" PRIu32 " from %s", f->c->label, timeline,
	    lsn_text(lsn, text));
	return finish(&s, run(&s, err), next, at, err);
}
