/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a connection share, and nobody else sees:
 *
 *   conn_open.c  connecting, the session, closing
 *   conn.c       statements
 *   conn_copy.c  COPY
 *   conn_stream.c  commands of a walsender, and their streams
 *   conn_wire.c  sending and receiving; a connection never blocks
 *   conn_fail.c  what is said when something failed
 */
#ifndef HF_POSTGRES_CONN_PRIVATE_H
#define HF_POSTGRES_CONN_PRIVATE_H

#include "conn.h"

bool conn_stopped(const struct conn *);
/* Wait a moment at most, after which to look at conn_stopped again.  What
 * came; 0: nothing, which is no failure. */
short conn_wait(const struct conn *, short events);
/* The same, for ms at most (which is no longer than that moment). */
short conn_wait_for(const struct conn *, short events, int64_t ms);
/* Take in what came.  false: the connection was lost. */
bool conn_receive(const struct conn *);
/* The same during COPY FROM STDIN, in which a server says nothing but notices,
 * or an error, after which it throws away what still comes.  libpq shows that
 * error only when the COPY is ended.  So: c->heard is set when there is input
 * that brought no notice; when that stays so for a while it is an error. */
bool conn_hear(struct conn *);
/* Send what waits to be sent.  HF_OK; HF_E_CANCELLED (nothing recorded); or
 * HF_E_IO: lost, and what libpq has to say will be in the next result. */
int conn_flush(struct conn *);
/* The next result, NULL after the last; HF_E_CANCELLED (nothing recorded). */
int conn_next(struct conn *, PGresult **);
/* What came of sending: all results to the last, which is kept.  A COPY is
 * left where it begins. */
int conn_collect(struct conn *, PGresult **, struct hf_error *);
/* End whatever runs, on the server too, and read what it still sends. */
void conn_cancel(struct conn *);
/* That, and record it. */
int conn_cancelled(struct conn *, struct hf_error *);

/* s in one line, as UTF-8: a message of the server is in client_encoding, and
 * libpq's has line ends. */
void conn_clean(char *out, size_t cap, const char *s);
/* A PQnoticeReceiver; arg is the connection. */
void conn_notice(void *arg, const PGresult *);

#endif
