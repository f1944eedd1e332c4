/* SPDX-License-Identifier: BSD-2-Clause */
#include "conn_private.h"

#include "postgres.h"
#include "sqlstate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length of the character at p, 0 when it is none. */
static size_t
utf8_length(const unsigned char *p)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (n == 1)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, a surrogate, past the last. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

void
conn_clean(char *out, size_t cap, const char *s)
{
	size_t at = 0, n;

	for (; *s != '\0' && at + 5 < cap; s += n) {
		n = utf8_length((const unsigned char *)s);
		if (n == 0) {
			out[at++] = '?';
			n = 1;
		} else if ((unsigned char)*s < 0x20) {
			if (at > 0 && out[at - 1] != ' ')
				out[at++] = ' ';
		} else {
			memcpy(out + at, s, n);
			at += n;
		}
	}
	while (at > 0 && out[at - 1] == ' ')
		at--;
	out[at] = '\0';
}

static void
note(struct hf_error *err, const char *key, const PGresult *res, int field)
{
	const char *s = res == NULL ? NULL : PQresultErrorField(res, field);
	char buf[480];

	if (s == NULL)
		return;
	conn_clean(buf, sizeof buf, s);
	H->fail_note(err, key, buf);
}

int
conn_status(const char *sqlstate)
{
	return sqlstate_status(sqlstate);
}

const char *
conn_sqlstate(const struct conn *c)
{
	return c->sqlstate;
}

/* An error after which the session goes on, and one of those. */
static bool
refused(const struct conn *c, const PGresult *res)
{
	const char *severity = res == NULL ? NULL
					   : PQresultErrorField(res,
						 PG_DIAG_SEVERITY_NONLOCALIZED);

	if (c->refusals == NULL || severity == NULL ||
	    strcmp(severity, "ERROR") != 0)
		return false;
	for (const char *const *p = c->refusals; *p != NULL; p++)
		if (strncmp(c->sqlstate, *p, strlen(*p)) == 0)
			return true;
	return false;
}

int
conn_fail(struct conn *c, const PGresult *res, struct hf_error *err,
    const char *fmt, ...)
{
	const char *state, *message, *hint, *theirs = NULL;
	char what[512], text[512];
	bool lost = PQstatus(c->pg) == CONNECTION_BAD, no;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	state = res == NULL ? NULL : PQresultErrorField(res, PG_DIAG_SQLSTATE);
	message = res == NULL
		      ? NULL
		      : PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	if (message == NULL && res != NULL)
		message = PQresultErrorMessage(res);
	if (message == NULL || message[0] == '\0')
		message = PQerrorMessage(c->pg);
	conn_clean(text, sizeof text, message);
	if (state == NULL && lost)
		state = "08006";
	(void)snprintf(
	    c->sqlstate, sizeof c->sqlstate, "%s", state == NULL ? "" : state);
	if (text[0] == '\0')
		(void)snprintf(text, sizeof text, "%s",
		    lost ? "the connection was lost" : "no reason was given");
	no = !lost && refused(c, res);
	rc = H->fail(err, no ? HF_E_UNSUPPORTED : sqlstate_status(c->sqlstate),
	    "%s: %s", what, text);
	if (c->sqlstate[0] != '\0')
		H->fail_note(err, "sqlstate", c->sqlstate);
	note(err, "detail", res, PG_DIAG_MESSAGE_DETAIL);
	note(err, "where", res, PG_DIAG_CONTEXT);
	if (res != NULL)
		theirs = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
	hint = no ? NULL : sqlstate_hint(c->sqlstate, text);
	if (theirs != NULL)
		note(err, "hint", res, PG_DIAG_MESSAGE_HINT);
	else if (hint != NULL)
		H->fail_note(err, "hint", hint);
	return rc;
}

void
conn_notice(void *arg, const PGresult *res)
{
	struct conn *c = arg;
	char text[512];

	c->notices++;
	if (c->notice != NULL && c->notice(c->notice_arg, res))
		return;
	conn_clean(text, sizeof text, PQresultErrorMessage(res));
	H->log(
	    c->ctx, HF_LOG_DEBUG, "postgres.notice", "%s: %s", c->label, text);
}
