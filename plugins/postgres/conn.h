/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection: statements that end when the run is cancelled, or when
 * another thread of the same work failed; failures with SQLSTATE and hint.
 *
 * A connection belongs to one thread at a time.
 */
#ifndef HF_POSTGRES_CONN_H
#define HF_POSTGRES_CONN_H

#include <libpq-fe.h>
#include <stdatomic.h>

#include <holdfast/plugin.h>

struct conninfo;

struct conn {
	PGconn *pg;
	const struct hf_ctx *ctx;
	/* Set by others: stop soon, as if cancelled; may be NULL. */
	const atomic_bool *stop;
	int version; /* of the server: 150004 */
	bool superuser;
	bool replication; /* by conn_open_replication */
	/* Called for notices and warnings, with the next.  NULL, or its answer
	 * is false: they go into the debug log. */
	bool (*notice)(void *arg, const PGresult *);
	void *notice_arg;
	/* SQLSTATEs, or how they begin, by which a server that goes on refuses
	 * what it is asked now: HF_E_UNSUPPORTED.  NULL ends; NULL: none. */
	const char *const *refusals;
	char label[128]; /* for messages: "database shop on db:5432" */

	/* Of conn*.c alone. */
	char sqlstate[6]; /* of the last failure */
	bool copying;     /* conn_copy_begin worked, its end was not seen */
	unsigned reads;   /* rows since the beginning, for looking at stop */
	unsigned notices;
	int64_t heard; /* since when the server says what is no notice */
};

/* Connect, and make the session predictable: search_path empty, no timeouts
 * (statement, lock, idle in transaction, idle session, transaction), ISO
 * dates, IntervalStyle postgres, extra_float_digits 3, xmloption content,
 * row_security off, synchronize_seqscans off, standard_conforming_strings on,
 * bytea_output hex, client_min_messages warning, the keepalives of info for
 * the server's side too, no tcp_user_timeout there, and on 14 and later
 * client_connection_check_interval.  client_encoding is UTF8 unless encoding
 * names another; "" = the database's own.  dbname NULL: that of info.
 *
 * Servers older than 13 are refused.  Each of these is a message of its own
 * with a hint: no server there, unknown host, wrong password or no password,
 * no such role, pg_hba.conf has no entry, no such database, too many
 * connections, the server is starting up, TLS refused.  Network failures, too
 * many connections and a server that is starting are HF_E_TRANSIENT here;
 * later a lost connection is HF_E_IO.  Set stop when it is open. */
int
conn_open(const struct hf_ctx *, const struct conninfo *, const char *dbname,
    const char *encoding, struct conn **, struct hf_error *);
/* To the database that info names, or, for what concerns the whole server, to
 * one that is there nearly always. */
int conn_open_any(const struct hf_ctx *, const struct conninfo *,
    struct conn **, struct hf_error *);
/* Cancels what still runs, then disconnects. */
void conn_close(struct conn *);

/* Statements; several in one text are one transaction, as libpq has it.  On
 * failure the connection stays usable (unless it was lost).  Cancelling:
 * HF_E_CANCELLED after the server was told to stop. */
int conn_exec(struct conn *, struct hf_error *, const char *sql);
int conn_execf(struct conn *, struct hf_error *, const char *fmt, ...)
    HF_PRINTF(3, 4);
/* The rows of the last statement; PQclear it. */
int conn_query(struct conn *, PGresult **, struct hf_error *, const char *sql);
int conn_queryf(struct conn *, PGresult **, struct hf_error *, const char *fmt,
    ...) HF_PRINTF(4, 5);
/* $1, $2 as text (NULL is NULL). */
int conn_query_params(struct conn *, PGresult **, struct hf_error *,
    const char *sql, int n, const char *const *params);
/* The first column of the first row, to be freed; *value NULL: no row, or
 * NULL. */
int conn_value(struct conn *, char **value, struct hf_error *, const char *sql);

/* COPY.  begin: sql is COPY ... TO STDOUT or FROM STDIN. */
int conn_copy_begin(struct conn *, struct hf_error *, const char *sql);
/* One row with its line end; free it with PQfreemem.  HF_EOF after the last,
 * and then the server has confirmed the end: a connection lost before is a
 * failure, never a short copy.  rows (may be NULL) gets the server's count. */
int conn_copy_read(
    struct conn *, char **row, size_t *len, int64_t *rows, struct hf_error *);
int conn_copy_write(struct conn *, const char *, size_t len, struct hf_error *);
/* why NULL: end well; rows gets the server's count.  Otherwise make the COPY
 * fail, and HF_OK when it did. */
int
conn_copy_end(struct conn *, const char *why, int64_t *rows, struct hf_error *);

/* A connection that a walsender serves (physical replication): it knows no
 * SQL, so that the session is as the server has it, only that a silent peer is
 * noticed.  label: "replication on db:5432".  Failures as those of conn_open;
 * no right to replicate and no entry for "replication" in pg_hba.conf have
 * hints of their own.  Once something was cancelled on it, close it. */
int conn_open_replication(const struct hf_ctx *, const struct conninfo *,
    struct conn **, struct hf_error *);

/* Commands of that protocol, which have several results, and streams.
 *
 * conn_send, then conn_result until *res is NULL.  A result that begins a COPY
 * (PGRES_COPY_OUT, PGRES_COPY_BOTH) is followed by conn_stream_read to HF_EOF,
 * of a COPY_BOTH also by conn_stream_end, and then by the next conn_result. */
int conn_send(struct conn *, struct hf_error *, const char *command);
/* Failures of the server are returned as such.  PQclear it. */
int conn_result(struct conn *, PGresult **, struct hf_error *);
/* The next message of the COPY, to be freed with PQfreemem.  HF_OK with *data
 * NULL: none came within wait milliseconds (0: only look; < 0: no limit).
 * HF_EOF: the server ended the COPY; whether it went well says the next
 * conn_result.  A lost connection is a failure, never an end. */
int conn_stream_read(
    struct conn *, int64_t wait, char **data, size_t *len, struct hf_error *);
/* One message to the server, sent before this returns. */
int
conn_stream_write(struct conn *, const void *, size_t len, struct hf_error *);
/* We send no more.  What the server still sends is read until its end and
 * forgotten. */
int conn_stream_end(struct conn *, struct hf_error *);

/* Record a failure from a result (NULL: from the connection): status by
 * SQLSTATE, notes "sqlstate", "detail", "where", and a hint: the server's, or
 * ours for the ones that users meet.  Returns the status.  "fmt" comes first:
 * "locking table x: canceling statement due to lock timeout". */
int conn_fail(struct conn *, const PGresult *, struct hf_error *,
    const char *fmt, ...) HF_PRINTF(4, 5);
/* The SQLSTATE of the last failure of this connection, "" when it had none. */
const char *conn_sqlstate(const struct conn *);

/* Milliseconds, of a clock that never goes back. */
int64_t conn_now(void);

/* The one table of SQLSTATEs to statuses; see sqlstate.h. */
int conn_status(const char *sqlstate);

#endif
