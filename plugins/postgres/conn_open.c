/* SPDX-License-Identifier: BSD-2-Clause */
#include "conn_private.h"

#include "conninfo.h"
#include "postgres.h"
#include "sqlstate.h"
#include "text.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLDEST 130000

/* "...failed: FATAL:  28P01: password ...": as PQERRORS_VERBOSE has it, and
 * there is no other way to learn the code.  The words may be in any language,
 * so that only the shape counts.  The last host's error is the last. */
static const char *
find_state(const char *message, char state[6])
{
	const char *p = message, *found = NULL;
	size_t n;

	state[0] = '\0';
	while ((p = strstr(p, ":  ")) != NULL) {
		p += 3;
		n = strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (n != 5 || p[5] != ':' || p[6] != ' ')
			continue;
		memcpy(state, p, 5);
		state[5] = '\0';
		found = p + 7;
	}
	return found;
}

/* What remains of libpq's text when the address, which the label has, is taken
 * away; its first line. */
static void
reason(char *out, size_t cap, const char *message, const char *said)
{
	static const char failed[] = "failed: ";
	const char *p, *q;
	char line[512];

	if ((p = said) == NULL) {
		p = message;
		while ((q = strstr(p, failed)) != NULL)
			p = q + sizeof failed - 1;
	}
	(void)snprintf(line, sizeof line, "%.*s", (int)strcspn(p, "\n"), p);
	conn_clean(out, cap, line);
}

static int
refused(struct conn *c, const char *message, struct hf_error *err)
{
	struct sqlstate_refusal why;
	char text[512];
	const char *said;
	int rc;

	said = find_state(message, c->sqlstate);
	reason(text, sizeof text, message, said);
	why = (c->replication ? sqlstate_refusal_replication
			      : sqlstate_refusal)(c->sqlstate, message);
	rc = H->fail(err, why.status, "%s: %s: %s", c->label, why.what, text);
	if (c->sqlstate[0] != '\0')
		H->fail_note(err, "sqlstate", c->sqlstate);
	if (why.hint != NULL)
		H->fail_note(err, "hint", why.hint);
	return rc;
}

static void
make_label(struct conn *c)
{
	const char *db = PQdb(c->pg), *host = PQhost(c->pg);
	const char *port = PQport(c->pg);
	char text[512];

	if (c->replication)
		(void)snprintf(text, sizeof text, "replication on %s:%s",
		    host == NULL ? "" : host, port == NULL ? "" : port);
	else
		(void)snprintf(text, sizeof text, "database %s on %s:%s",
		    db == NULL ? "" : db, host == NULL ? "" : host,
		    port == NULL ? "" : port);
	conn_clean(c->label, sizeof c->label, text);
}

/* libpq itself looks at connect_timeout only where it blocks; it is meant for
 * each host.  0: none. */
static int64_t
connect_deadline(PGconn *pg)
{
	PQconninfoOption *options = PQconninfo(pg), *o;
	int64_t seconds = 0, hosts = 1;
	const char *p;

	for (o = options; o != NULL && o->keyword != NULL; o++) {
		if (o->val == NULL)
			continue;
		if (strcmp(o->keyword, "connect_timeout") == 0)
			seconds = strtoll(o->val, NULL, 10);
		if (strcmp(o->keyword, "host") == 0)
			for (p = o->val; *p != '\0'; p++)
				hosts += *p == ',';
	}
	PQconninfoFree(options);
	if (seconds <= 0 || seconds > INT32_MAX)
		return 0;
	return conn_now() + (seconds < 2 ? 2 : seconds) * hosts * 1000;
}

static int
poll_connect(struct conn *c, struct hf_error *err)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	int64_t deadline = connect_deadline(c->pg);

	while (status != PGRES_POLLING_OK) {
		if (status == PGRES_POLLING_FAILED)
			return refused(c, PQerrorMessage(c->pg), err);
		if (conn_stopped(c))
			return H->fail(
			    err, HF_E_CANCELLED, "%s: cancelled", c->label);
		if (deadline != 0 && conn_now() >= deadline)
			return refused(c, "timeout expired", err);
		if (conn_wait(c,
			status == PGRES_POLLING_READING ? POLLIN : POLLOUT) !=
		    0) {
			status = PQconnectPoll(c->pg);
			make_label(c); /* the next host, maybe */
		}
	}
	return HF_OK;
}

/* A walsender knows no SET, so by options.  tcp_user_timeout: see
 * expect_silence; the rest of what we expect of a server is for a session that
 * can be idle. */
static int
set_replication(struct conninfo *info, struct hf_error *err)
{
	const char *theirs = conninfo_get(info, "options");
	struct text t = { 0 };
	int rc;

	if (theirs == NULL)
		theirs = getenv("PGOPTIONS");
	text_addf(&t, "%s%s-c tcp_user_timeout=0", theirs == NULL ? "" : theirs,
	    theirs == NULL ? "" : " ");
	if ((rc = text_ok(&t, err)) == HF_OK)
		rc = conninfo_set(info, "options", text_get(&t), err);
	text_free(&t);
	if (rc == HF_OK)
		rc = conninfo_set(info, "replication", "true", err);
	/* What .pgpass has for it; the server does not look at it. */
	if (rc == HF_OK)
		rc = conninfo_set(info, "dbname", "replication", err);
	if (rc == HF_OK)
		rc = conninfo_set(info, "client_encoding", "UTF8", err);
	return rc;
}

static int
start(struct conn *c, const struct conninfo *info, const char *dbname,
    struct hf_error *err)
{
	const char *const *keywords, *const *values;
	struct conninfo *copy;
	int rc;

	if ((rc = conninfo_copy(info, &copy, err)) != HF_OK)
		return rc;
	if (dbname != NULL)
		rc = conninfo_set(copy, "dbname", dbname, err);
	if (rc == HF_OK && c->replication)
		rc = set_replication(copy, err);
	if (rc == HF_OK) {
		conninfo_params(copy, &keywords, &values);
		c->pg = PQconnectStartParams(keywords, values, 0);
		if (c->pg == NULL)
			rc = postgres_nomem(err);
	}
	conninfo_free(copy);
	if (rc != HF_OK)
		return rc;
	(void)PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE);
	(void)PQsetNoticeReceiver(c->pg, conn_notice, c);
	make_label(c);
	if (PQstatus(c->pg) == CONNECTION_BAD)
		return refused(c, PQerrorMessage(c->pg), err);
	return poll_connect(c, err);
}

static int
set_encoding(struct conn *c, const char *encoding, struct hf_error *err)
{
	struct text sql = { 0 };
	const char *theirs = PQparameterStatus(c->pg, "server_encoding");
	int rc;

	if (encoding == NULL)
		encoding = "UTF8";
	else if (encoding[0] == '\0')
		encoding = theirs == NULL ? "SQL_ASCII" : theirs;
	text_add(&sql, "SET client_encoding = ");
	text_add_literal(&sql, encoding);
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_exec(c, err, text_get(&sql));
	text_free(&sql);
	if (rc == HF_OK || c->sqlstate[0] == '\0' ||
	    PQstatus(c->pg) == CONNECTION_BAD)
		return rc;
	return postgres_fail_hint(err, HF_E_INVALID,
	    "Leave the option \"encoding\" out for the database's own, or "
	    "name one that PostgreSQL can convert to, as UTF8 or LATIN1.",
	    "%s: the encoding %s cannot be had from one of %s", c->label,
	    encoding, theirs == NULL ? "?" : theirs);
}

/* The keepalives that the conninfo has for us, for the server too: where the
 * network is cut between two statements it would hold what they hold for hours
 * (locks, a database half restored), as nobody tells it. */
static void
add_keepalives(struct text *sql, PGconn *pg)
{
	static const char *const names[][2] = {
		{ "keepalives_idle", "tcp_keepalives_idle" },
		{ "keepalives_interval", "tcp_keepalives_interval" },
		{ "keepalives_count", "tcp_keepalives_count" },
	};
	PQconninfoOption *options = PQconninfo(pg), *o;
	struct text these = { 0 };
	bool wanted = true;

	for (o = options; o != NULL && o->keyword != NULL; o++) {
		long long n = o->val == NULL ? 0 : strtoll(o->val, NULL, 10);

		if (strcmp(o->keyword, "keepalives") == 0)
			wanted = o->val == NULL || n != 0;
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (strcmp(o->keyword, names[i][0]) == 0 && n > 0)
				text_addf(
				    &these, "SET %s = %lld;", names[i][1], n);
	}
	PQconninfoFree(options);
	if (wanted)
		text_add(sql, text_get(&these));
	sql->failed |= these.failed;
	text_free(&these);
}

/* What the server does when it hears nothing from us.  tcp_user_timeout must
 * not be one: Linux counts the time in which we cannot take more (a slow sink)
 * like one in which we are gone. */
static int
expect_silence(struct conn *c, struct hf_error *err)
{
	struct text sql = { 0 };
	int rc;

	text_add(&sql, "SET tcp_user_timeout = 0;");
	add_keepalives(&sql, c->pg);
	if (c->version >= 140000)
		text_add(&sql, "SET client_connection_check_interval = '10s'");
	/* Not every system can, nor do all allow it; then the server finds out
	 * later that nobody listens any more. */
	if ((rc = text_ok(&sql, err)) == HF_OK &&
	    conn_exec(c, NULL, text_get(&sql)) == HF_E_CANCELLED)
		rc = conn_cancelled(c, err);
	c->sqlstate[0] = '\0';
	text_free(&sql);
	return rc;
}

static int
make_predictable(struct conn *c, const char *encoding, struct hf_error *err)
{
	struct text sql = { 0 };
	int rc;

	text_add(&sql,
	    "SELECT pg_catalog.set_config('search_path', '', false);"
	    "SET statement_timeout = 0; SET lock_timeout = 0;"
	    "SET idle_in_transaction_session_timeout = 0;"
	    "SET datestyle = ISO; SET intervalstyle = postgres;"
	    "SET extra_float_digits = 3; SET xmloption = content;"
	    "SET row_security = off; SET synchronize_seqscans = off;"
	    "SET standard_conforming_strings = on; SET bytea_output = hex;"
	    "SET client_min_messages = warning; SET jit = off;");
	if (c->version >= 140000)
		text_add(&sql, "SET idle_session_timeout = 0;");
	if (c->version >= 170000)
		text_add(&sql, "SET transaction_timeout = 0;");
	if ((rc = text_ok(&sql, err)) == HF_OK)
		rc = conn_exec(c, err, text_get(&sql));
	text_free(&sql);
	if (rc == HF_OK)
		rc = set_encoding(c, encoding, err);
	return rc == HF_OK ? expect_silence(c, err) : rc;
}

/* Connected, and of a version that we know; the session is still as the server
 * has it. */
static int
open_raw(const struct hf_ctx *ctx, const struct conninfo *info,
    const char *dbname, bool replication, struct conn **out,
    struct hf_error *err)
{
	const char *super;
	struct conn *c;
	int rc;

	*out = NULL;
	if ((c = calloc(1, sizeof *c)) == NULL)
		return postgres_nomem(err);
	c->ctx = ctx;
	c->replication = replication;
	if ((rc = start(c, info, dbname, err)) != HF_OK)
		goto err0;
	c->version = PQserverVersion(c->pg);
	super = PQparameterStatus(c->pg, "is_superuser");
	c->superuser = super != NULL && strcmp(super, "on") == 0;
	(void)PQsetErrorVerbosity(c->pg, PQERRORS_DEFAULT);
	if (c->version < OLDEST) {
		rc = postgres_fail_hint(err, HF_E_UNSUPPORTED,
		    "Upgrade the server, or dump it with its own pg_dump.",
		    "%s: server version %d.%d is older than %d", c->label,
		    c->version / 10000, c->version % 10000, OLDEST / 10000);
		goto err0;
	}
	if (PQsetnonblocking(c->pg, 1) != 0) {
		rc = conn_fail(c, NULL, err, "%s", c->label);
		goto err0;
	}
	*out = c;
	return HF_OK;
err0:
	conn_close(c);
	return rc;
}

int
conn_open(const struct hf_ctx *ctx, const struct conninfo *info,
    const char *dbname, const char *encoding, struct conn **out,
    struct hf_error *err)
{
	struct conn *c;
	int rc;

	*out = NULL;
	if ((rc = open_raw(ctx, info, dbname, false, &c, err)) != HF_OK)
		return rc;
	if ((rc = make_predictable(c, encoding, err)) != HF_OK) {
		conn_close(c);
		return rc;
	}
	*out = c;
	return HF_OK;
}

int
conn_open_any(const struct hf_ctx *ctx, const struct conninfo *info,
    struct conn **out, struct hf_error *err)
{
	static const char *const others[] = { "postgres", "template1" };
	int rc = conn_open(ctx, info, NULL, NULL, out, err);

	for (size_t i = 0; rc == HF_E_NOTFOUND && i < 2; i++)
		rc = conn_open(ctx, info, others[i], NULL, out, err);
	return rc;
}

int
conn_open_replication(const struct hf_ctx *ctx, const struct conninfo *info,
    struct conn **out, struct hf_error *err)
{
	return open_raw(ctx, info, NULL, true, out, err);
}

void
conn_close(struct conn *c)
{
	if (c == NULL)
		return;
	if (c->pg != NULL && PQstatus(c->pg) == CONNECTION_OK)
		conn_cancel(c);
	PQfinish(c->pg);
	free(c);
}
