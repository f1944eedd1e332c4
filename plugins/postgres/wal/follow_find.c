/* SPDX-License-Identifier: BSD-2-Clause */
#include "follow.h"

#include "archive.h"
#include "conn.h"
#include "conninfo.h"
#include "facts.h"
#include "fetch.h"
#include "postgres.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row of a command; the results behind it are taken in. */
static int
ask(struct conn *c, const char *command, PGresult **row, struct hf_error *err)
{
	PGresult *res = NULL;
	int rc;

	*row = NULL;
	if ((rc = conn_send(c, err, command)) != HF_OK)
		return rc;
	while ((rc = conn_result(c, &res, err)) == HF_OK && res != NULL) {
		if (PQresultStatus(res) == PGRES_TUPLES_OK && *row == NULL)
			*row = res;
		else
			PQclear(res);
	}
	/* After a failure the server is ready for the next command. */
	while (rc != HF_OK && rc != HF_E_CANCELLED &&
	       PQstatus(c->pg) == CONNECTION_OK &&
	       conn_result(c, &res, NULL) == HF_OK && res != NULL)
		PQclear(res);
	if (rc == HF_OK && (*row == NULL || PQntuples(*row) < 1))
		rc = H->fail(
		    err, HF_E_IO, "%s: no answer to %s", c->label, command);
	if (rc != HF_OK) {
		PQclear(*row);
		*row = NULL;
	}
	return rc;
}

static int
show(struct conn *c, const char *what, char *out, size_t cap,
    struct hf_error *err)
{
	char command[64];
	PGresult *res;
	int rc;

	(void)snprintf(command, sizeof command, "SHOW %s", what);
	if ((rc = ask(c, command, &res, err)) == HF_OK)
		(void)snprintf(out, cap, "%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	return rc;
}

/* "16MB", "1GB" */
static bool
parse_size(const char *s, uint32_t *size)
{
	char *end;
	unsigned long long n = strtoull(s, &end, 10);

	if (n > 1024)
		return false;
	if (strcmp(end, "GB") == 0)
		n <<= 30;
	else if (strcmp(end, "MB") == 0)
		n <<= 20;
	*size = n <= UINT32_C(1) << 30 ? (uint32_t)n : 0;
	return wal_segment_size_valid(*size);
}

/* "1min", "60s", "500ms", "0" */
static int64_t
parse_time(const char *s)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "min", 60000 },
		{ "h", 3600000 }, { "d", 86400000 } };
	char *end;
	long long n = strtoll(s, &end, 10);

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(end, units[i].unit) == 0)
			return n * units[i].ms;
	return n;
}

static int
find_server(struct follow *f, struct hf_error *err)
{
	char text[64];
	PGresult *res;
	int rc;

	if ((rc = ask(f->c, "IDENTIFY_SYSTEM", &res, err)) != HF_OK)
		return rc;
	f->system = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	f->timeline = (uint32_t)strtoul(PQgetvalue(res, 0, 1), NULL, 10);
	if (f->system == 0 || f->timeline == 0 ||
	    !lsn_parse(PQgetvalue(res, 0, 2), &f->end))
		rc = H->fail(err, HF_E_IO,
		    "%s: IDENTIFY_SYSTEM cannot be understood", f->c->label);
	PQclear(res);
	if (rc == HF_OK)
		rc = show(f->c, "wal_segment_size", text, sizeof text, err);
	if (rc == HF_OK && !parse_size(text, &f->segment_size))
		rc = H->fail(err, HF_E_UNSUPPORTED,
		    "%s: segments of %s are not known", f->c->label, text);
	if (rc == HF_OK)
		rc = show(f->c, "wal_sender_timeout", text, sizeof text, err);
	if (rc == HF_OK)
		f->timeout = parse_time(text);
	return rc;
}

/* ---- the slot ---- */

enum slot_state { SLOT_MISSING, SLOT_THERE, SLOT_LOST };

static int
no_physical_slot(const struct follow *f, struct hf_error *err)
{
	return postgres_fail_hint(err, HF_E_INVALID,
	    "Name another one in wal.slot; it is made when it is not there.",
	    "%s: the replication slot %s is a logical one", f->c->label,
	    f->e->conf.wal.slot);
}

/* By SQL: what the replication protocol does not say. */
static int
slot_by_sql(struct follow *f, enum slot_state *state, struct hf_error *err)
{
	const char *params[1] = { f->e->conf.wal.slot };
	PGresult *res = NULL;
	struct conn *c;
	int rc;

	if ((rc = conn_open(f->ctx, f->info, NULL, NULL, &c, err)) != HF_OK)
		return rc;
	rc = conn_query_params(c, &res, err,
	    "SELECT slot_type, coalesce(restart_lsn::text, ''),"
	    " coalesce(wal_status, '') FROM pg_catalog.pg_replication_slots"
	    " WHERE slot_name = $1",
	    1, params);
	if (rc == HF_OK && PQntuples(res) > 0) {
		*state = strcmp(PQgetvalue(res, 0, 2), "lost") == 0
			     ? SLOT_LOST
			     : SLOT_THERE;
		if (!lsn_parse(PQgetvalue(res, 0, 1), &f->restart))
			f->restart = 0;
		if (strcmp(PQgetvalue(res, 0, 0), "physical") != 0)
			rc = no_physical_slot(f, err);
	} else if (rc == HF_OK) {
		*state = SLOT_MISSING;
	}
	PQclear(res);
	conn_close(c);
	return rc;
}

static int
slot_by_protocol(struct follow *f, enum slot_state *state, struct hf_error *err)
{
	struct text t = { 0 };
	PGresult *res = NULL;
	int rc;

	text_add(&t, "READ_REPLICATION_SLOT ");
	text_add_ident(&t, f->e->conf.wal.slot);
	if ((rc = text_ok(&t, err)) == HF_OK)
		rc = ask(f->c, text_get(&t), &res, err);
	text_free(&t);
	if (rc != HF_OK) {
		/* It says so of a logical one. */
		if (strcmp(conn_sqlstate(f->c), "0A000") == 0)
			rc = no_physical_slot(f, err);
		return rc;
	}
	*state = PQgetisnull(res, 0, 0) ? SLOT_MISSING : SLOT_THERE;
	if (PQgetisnull(res, 0, 1) ||
	    !lsn_parse(PQgetvalue(res, 0, 1), &f->restart))
		f->restart = 0;
	PQclear(res);
	/* It was never used, or it is lost: who may ask learns it. */
	if (*state == SLOT_THERE && f->restart == 0)
		(void)slot_by_sql(f, state, NULL);
	return HF_OK;
}

static int
slot_read(struct follow *f, enum slot_state *state, struct hf_error *err)
{
	return (f->c->version >= 150000 ? slot_by_protocol : slot_by_sql)(
	    f, state, err);
}

static int
slot_make(struct follow *f, struct hf_error *err)
{
	struct text t = { 0 };
	PGresult *res = NULL;
	int rc;

	text_add(&t, "CREATE_REPLICATION_SLOT ");
	text_add_ident(&t, f->e->conf.wal.slot);
	text_add(&t, " PHYSICAL RESERVE_WAL");
	if ((rc = text_ok(&t, err)) == HF_OK)
		rc = ask(f->c, text_get(&t), &res, err);
	text_free(&t);
	PQclear(res);
	if (rc == HF_OK)
		H->log(f->ctx, HF_LOG_INFO, "wal.slot",
		    "%s: made the replication slot %s; as long as it is there "
		    "the server keeps WAL for it",
		    f->c->label, f->e->conf.wal.slot);
	else if (strcmp(conn_sqlstate(f->c), "53400") == 0)
		H->fail_note(err, "hint",
		    "ALTER SYSTEM SET max_replication_slots, and restart the "
		    "server; or drop a slot that nobody uses: SELECT "
		    "slot_name, active FROM pg_replication_slots.");
	return rc;
}

static int
find_slot(struct follow *f, struct hf_error *err)
{
	enum slot_state state = SLOT_MISSING;
	int rc;

	if ((rc = slot_read(f, &state, err)) != HF_OK)
		return rc;
	if (state == SLOT_MISSING) {
		if ((rc = slot_make(f, err)) != HF_OK ||
		    (rc = slot_read(f, &state, err)) != HF_OK)
			return rc;
	}
	f->slot = state != SLOT_LOST;
	if (state == SLOT_LOST)
		H->log(f->ctx, HF_LOG_ERROR, "wal.slot",
		    "%s: the server gave up the replication slot %s "
		    "(max_slot_wal_keep_size): it keeps no WAL for us any "
		    "more. Following goes on without it. SELECT "
		    "pg_drop_replication_slot('%s'); then it is made again at "
		    "the next start",
		    f->c->label, f->e->conf.wal.slot, f->e->conf.wal.slot);
	return HF_OK;
}

/* ---- timelines ---- */

uint32_t
follow_timeline(const struct follow *f, uint64_t segno)
{
	const struct history *h = &f->history;

	for (size_t i = h->n; i-- > 0;)
		if (h->entries[i].end / f->segment_size <= segno)
			return i + 1 < h->n ? h->entries[i + 1].timeline
					    : h->timeline;
	return h->n > 0 ? h->entries[0].timeline : f->timeline;
}

const char *
follow_file(const struct follow *f, lsn_t lsn, char file[WAL_FILE_MAX])
{
	struct wal_name n = { .kind = WAL_SEGMENT };

	n.segno = lsn / f->segment_size;
	n.timeline = follow_timeline(f, n.segno);
	wal_name_file(&n, f->segment_size, file);
	return file;
}

static int
put_history(struct follow *f, uint32_t timeline, const void *data, size_t len,
    struct hf_error *err)
{
	struct wal_name n = { .kind = WAL_HISTORY, .timeline = timeline };
	char name[WAL_LOG_MAX];
	int rc;

	wal_name_log(&n, f->system, f->segment_size, name);
	rc = facts_put(f->log, name, data, len, f->segment_size, err);
	if (rc == HF_E_EXISTS)
		return postgres_fail_hint(err, HF_E_EXISTS,
		    "Two servers of one system became timeline of that number "
		    "at different moments. Find out which one the pipeline is "
		    "to follow, and give the other one a pipeline of its own.",
		    "the log has %s with other bytes than this server", name);
	return rc;
}

static int
read_history(
    struct follow *f, uint32_t timeline, PGresult **res, struct hf_error *err)
{
	char command[48];
	int rc;

	(void)snprintf(
	    command, sizeof command, "TIMELINE_HISTORY %" PRIu32, timeline);
	if ((rc = ask(f->c, command, res, err)) != HF_OK)
		return rc;
	if (PQnfields(*res) >= 2)
		return HF_OK;
	PQclear(*res);
	*res = NULL;
	return H->fail(
	    err, HF_E_IO, "%s: no answer to %s", f->c->label, command);
}

int
follow_history(struct follow *f, uint32_t timeline, struct hf_error *err)
{
	char why[WHY_MAX];
	PGresult *res;
	size_t len;
	int rc;

	if ((rc = read_history(f, timeline, &res, err)) != HF_OK)
		return rc;
	len = (size_t)PQgetlength(res, 0, 1);
	history_clear(&f->history);
	rc = history_parse(
	    PQgetvalue(res, 0, 1), len, timeline, &f->history, why);
	if (rc != HF_OK)
		rc = H->fail(err, rc,
		    "%s: the history of timeline %" PRIu32 ": %s", f->c->label,
		    timeline, why);
	else
		rc = put_history(f, timeline, PQgetvalue(res, 0, 1), len, err);
	PQclear(res);
	if (rc == HF_OK)
		f->timeline = timeline;
	return rc;
}

/* Those of the ancestors, where the server has them still: a newer one says
 * what they say. */
static void
add_histories(struct follow *f, const struct archive *a)
{
	uint32_t timeline;
	PGresult *res;
	size_t i, k;

	for (i = 1; i < f->history.n; i++) {
		timeline = f->history.entries[i].timeline;
		for (k = 0; k < archive_histories(a); k++)
			if (archive_history(a, k)->timeline == timeline)
				break;
		if (k < archive_histories(a) ||
		    read_history(f, timeline, &res, NULL) != HF_OK)
			continue;
		(void)put_history(f, timeline, PQgetvalue(res, 0, 1),
		    (size_t)PQgetlength(res, 0, 1), NULL);
		PQclear(res);
	}
}

/* ---- where to begin ---- */

static bool
has(const struct follow *f, const struct archive *a, uint64_t segno)
{
	return archive_has(a, follow_timeline(f, segno), segno);
}

/* The first segment behind all that the log has of this server's way; 0: it
 * has nothing. */
static uint64_t
behind_log(const struct follow *f, const struct archive *a)
{
	const struct wal_name *n;
	uint64_t next = 0;

	for (size_t i = 0; i < archive_count(a); i++) {
		n = archive_at(a, i);
		if (n->kind == WAL_SEGMENT && n->segno >= next &&
		    n->timeline == follow_timeline(f, n->segno))
			next = n->segno + 1;
	}
	return next;
}

static void
may_begin(struct follow *f, uint64_t segno)
{
	lsn_t lsn = segno * f->segment_size;

	if (f->nbegin == 0 || lsn > f->begin[f->nbegin - 1])
		f->begin[f->nbegin++] = lsn;
}

/* What the slot holds and the log lacks comes first: a hole in the middle can
 * be filled only now. */
static void
choose(struct follow *f, const struct archive *a)
{
	uint64_t next = behind_log(f, a), current = f->end / f->segment_size;
	uint64_t held = f->restart / f->segment_size;

	f->nbegin = 0;
	if (f->restart != 0 && (next == 0 || held <= next)) {
		while (held < next && has(f, a, held))
			held++;
		may_begin(f, held);
	} else {
		if (next != 0)
			may_begin(f, next);
		if (f->restart != 0)
			may_begin(f, held);
	}
	may_begin(f, current);
}

static int
check_order(struct follow *f, struct hf_error *err)
{
	char a[LSN_TEXT_MAX], b[LSN_TEXT_MAX];

	if (f->begin[0] <= f->end)
		return HF_OK;
	return postgres_fail_hint(err, HF_E_TRANSIENT,
	    "A standby that is behind will come there. A server that was "
	    "restored to an earlier moment must be on a timeline of its own: "
	    "promote it.",
	    "%s: the server is at %s, and the log has its WAL to %s already",
	    f->c->label, lsn_text(f->end, a), lsn_text(f->begin[0], b));
}

/* ---- pieces ---- */

struct joined {
	struct follow *f;
	const struct wal_name *piece;
	struct hf_error *err;
};

static int
add_piece(
    void *arg, uint64_t at, const void *data, size_t len, struct hf_error *err)
{
	const struct joined *j = arg;
	const struct wal_name *n = j->piece;

	/* Read in parts: each goes where the one before it ended. */
	if (n->offset + at + len > j->f->segment_size)
		return H->fail(err, HF_E_CORRUPT, "a piece is too long");
	return keeper_known(j->f->keeper, n->timeline, n->segno,
	    n->offset + (uint32_t)at, data, len, err);
}

/* Of an ancestor's segment: do all its pieces, the first of which has that
 * number, end before the timeline was left?  The last one says it, unless they
 * overlap. */
static bool
is_copied(struct follow *f, const struct archive *a, size_t first)
{
	const struct wal_name *n = archive_at(a, first), *p;
	lsn_t left = history_end(&f->history, n->timeline);
	size_t i = first;
	char name[WAL_LOG_MAX];
	struct wal_facts facts;

	if (left == 0)
		return false;
	while (i < archive_count(a) && archive_at(a, i)->kind == WAL_PIECE &&
	       archive_at(a, i)->timeline == n->timeline &&
	       archive_at(a, i)->segno == n->segno)
		i++;
	while (i-- > first) {
		p = archive_at(a, i);
		wal_name_log(p, f->system, f->segment_size, name);
		if (wal_facts(f->have, name, &facts, NULL) != HF_OK ||
		    p->segno * f->segment_size + p->offset + facts.raw_size >
			left)
			return false;
	}
	return true;
}

static enum keeper_piece
use_of(struct follow *f, const struct archive *a, size_t first)
{
	const struct wal_name *n = archive_at(a, first);

	if (archive_has(a, n->timeline, n->segno))
		return KEEPER_PIECE_SURPLUS;
	if (n->timeline == follow_timeline(f, n->segno) ||
	    !is_copied(f, a, first))
		return KEEPER_PIECE;
	return has(f, a, n->segno) ? KEEPER_PIECE_SURPLUS : KEEPER_PIECE_COPIED;
}

/* What the log has of the segment that is to be streamed again, and what is
 * left of those that are whole. */
static int
take_pieces(struct follow *f, const struct archive *a, struct hf_error *err)
{
	uint64_t segno = f->begin[0] / f->segment_size;
	uint32_t timeline = follow_timeline(f, segno);
	lsn_t end = archive_pieces(a, timeline, segno);
	struct joined j = { .f = f };
	enum keeper_piece use = KEEPER_PIECE;
	const struct wal_name *n, *before = NULL;
	char name[WAL_LOG_MAX];
	int rc = HF_OK;

	for (size_t i = 0; rc == HF_OK && i < archive_count(a); i++) {
		n = archive_at(a, i);
		if (n->kind != WAL_PIECE)
			continue;
		if (before == NULL || before->timeline != n->timeline ||
		    before->segno != n->segno)
			use = use_of(f, a, i);
		before = n;
		if (use == KEEPER_PIECE_SURPLUS) {
			keeper_piece(f->keeper, n, use);
			continue;
		}
		if (n->segno != segno)
			continue;
		if (n->timeline == timeline && f->begin[0] + n->offset < end) {
			j.piece = n;
			wal_name_log(n, f->system, f->segment_size, name);
			rc = fetch_each(f->have, name, add_piece, &j, err);
		}
		if (rc == HF_OK &&
		    (n->timeline == timeline ||
			history_end(&f->history, n->timeline) != 0))
			keeper_piece(f->keeper, n, use);
	}
	return rc;
}

static int
make_keeper(struct follow *f, struct hf_error *err)
{
	const struct keeper_conf conf = { .ctx = f->ctx,
		.log = f->log,
		.system = f->system,
		.segment_size = f->segment_size,
		.flush = f->e->conf.wal.flush };

	return keeper_new(&conf, &f->keeper, err);
}

int
follow_find(struct follow *f, struct hf_error *err)
{
	struct archive *a = NULL;
	int rc;

	if ((rc = find_server(f, err)) != HF_OK ||
	    (rc = find_slot(f, err)) != HF_OK)
		return rc;
	if (f->timeline > 1 &&
	    (rc = follow_history(f, f->timeline, err)) != HF_OK)
		return rc;
	rc = archive_load(f->have, f->system, f->segment_size, &a, err);
	if (rc != HF_OK)
		return rc;
	add_histories(f, a);
	choose(f, a);
	if ((rc = check_order(f, err)) == HF_OK &&
	    (rc = make_keeper(f, err)) == HF_OK)
		rc = take_pieces(f, a, err);
	archive_free(a);
	return rc;
}
