/* SPDX-License-Identifier: BSD-2-Clause */
/* A walsender that follows a script: what it says, message by message, and a
 * server that says it.  Every failure is a failed cmocka assertion. */
#ifndef HF_TESTS_PGWIRE_H
#define HF_TESTS_PGWIRE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- messages of the server ---- */

#define PGWIRE_MESSAGES 64

struct pgwire {
	uint8_t b[1 << 16];
	size_t n;
	size_t message[PGWIRE_MESSAGES]; /* where they begin */
	size_t messages, open;
};

void pgwire_bytes(struct pgwire *, const void *, size_t);
/* A number of 1, 2 or 4 bytes. */
void pgwire_num(struct pgwire *, uint32_t, size_t size);
/* Around a message of that type. */
void pgwire_begin(struct pgwire *, char type);
void pgwire_finish(struct pgwire *);
/* One that is a string, or nothing (NULL). */
void pgwire_simple(struct pgwire *, char type, const char *text);
/* Authentication is done, and these are the parameters; up to ready. */
void pgwire_greeting(struct pgwire *, const char *version);
void pgwire_ready(struct pgwire *);
/* severity: "ERROR", "FATAL" */
void pgwire_failure(
    struct pgwire *, const char *severity, const char *state, const char *text);
/* Rows of that many columns, ended by NULL; "" is no value. */
void pgwire_rows(struct pgwire *, unsigned columns, const char *const *values);
#define PGWIRE_ROWS(s, columns, ...) \
	pgwire_rows(s, columns, (const char *const[]){ __VA_ARGS__, NULL })
/* A COPY begins, to us ('H') or from us ('G'). */
void pgwire_copy_begin(struct pgwire *, char type);
/* Its data, in messages as a server makes them; kind (but '\0') begins each. */
void pgwire_data(struct pgwire *, char kind, const void *, size_t);

/* global/pg_control, with WAL segments of 16 MiB. */
struct tarkit;
void pgwire_control(struct tarkit *, uint64_t system, uint32_t version,
    uint32_t catalog, uint64_t checkpoint);

/* ---- the server ---- */

/* What is said to a command that begins so; "CopyDone" and "CopyFail" are the
 * ends of a COPY from us, and "CopyData" is its first data, to which nothing
 * need be said.  cut: it goes away after so many bytes of it, all
 * of them at most; PGWIRE_WHOLE: it stays.  say NULL: nothing is said. */
struct pgwire_answer {
	const char *command;
	const struct pgwire *say;
	size_t cut;
};
#define PGWIRE_WHOLE SIZE_MAX

/* Serves one connection for replication after the other; the others are sent
 * away at once. */
struct pgwire_server {
	const struct pgwire *greeting;
	const struct pgwire_answer *answers; /* the first that fits */
	size_t nanswers;

	int listener, port;
	pthread_t thread;
	char command[512]; /* the last that it was asked */
	uint8_t *received; /* by COPY, to be freed */
	size_t nreceived;
	bool odd; /* it was asked what it does not know */
};

void pgwire_serve(struct pgwire_server *);
/* Stops it; it was asked nothing that it does not know. */
void pgwire_stop(struct pgwire_server *);

#endif
