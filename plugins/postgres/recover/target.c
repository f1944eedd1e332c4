/* SPDX-License-Identifier: BSD-2-Clause */
#include "recover.h"

#include "postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 63 /* of a restore point, in the server */
#define XID_FIRST 3     /* those below are the server's own */
#define SECOND 1000000  /* in microseconds */

/* ---- a time ---- */

static bool
digits(const char **s, unsigned n, int *value)
{
	*value = 0;
	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*value = *value * 10 + (**s - '0');
	}
	return true;
}

static bool
literal(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

/* Days since 1970-01-01, of the Gregorian calendar. */
static int64_t
days(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day -
	       719469;
}

static int
month_days(int year, int month)
{
	static const int of[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : of[month - 1];
}

/* What follows the seconds: ".123456", at most six digits that matter. */
static bool
fraction(const char **s, int *us)
{
	int unit = SECOND / 10;

	*us = 0;
	if (!literal(s, '.'))
		return true;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++, unit /= 10) {
		if (unit == 0 && **s != '0')
			return false;
		*us += (**s - '0') * unit;
	}
	return true;
}

/* RFC 3339 in UTC. */
static bool
parse_time(const char *s, struct recover_target *t)
{
	int y, mo, d, h, mi, sec, us;

	if (!digits(&s, 4, &y) || !literal(&s, '-') || !digits(&s, 2, &mo) ||
	    !literal(&s, '-') || !digits(&s, 2, &d) || !literal(&s, 'T') ||
	    !digits(&s, 2, &h) || !literal(&s, ':') || !digits(&s, 2, &mi) ||
	    !literal(&s, ':') || !digits(&s, 2, &sec) || !fraction(&s, &us) ||
	    strcmp(s, "Z") != 0)
		return false;
	if (y < 1 || mo < 1 || mo > 12 || d < 1 || d > month_days(y, mo) ||
	    h > 23 || mi > 59 || sec > 59)
		return false;
	t->time_us =
	    (((days(y, mo, d) * 24 + h) * 60 + mi) * 60 + sec) * SECOND + us;
	(void)snprintf(t->text, sizeof t->text,
	    "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", y, mo, d, h, mi, sec, us);
	return true;
}

/* ---- the others ---- */

/* Decimal, without a sign: the server would read "010" as octal. */
static bool
parse_number(const char *s, uint64_t max, uint64_t *value)
{
	*value = 0;
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		unsigned digit = (unsigned)(*s - '0');

		if (*s < '0' || *s > '9' || *value > (max - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	return true;
}

static int
read_lsn(const char *s, struct recover_target *t, struct hf_error *err)
{
	char text[LSN_TEXT_MAX];

	if (!lsn_parse(s, &t->lsn) || t->lsn == 0)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "It is written as the server writes it: 16/B374D848.",
		    "lsn: \"%s\" is no position in the WAL", s);
	(void)snprintf(t->text, sizeof t->text, "%s", lsn_text(t->lsn, text));
	return HF_OK;
}

static int
read_xid(const char *s, struct recover_target *t, struct hf_error *err)
{
	uint64_t xid;

	/* With its epoch (pg_current_xact_id) it has 64 bits; the WAL has the
	 * lower ones, and so does the server. */
	if (!parse_number(s, UINT64_MAX, &xid) || (uint32_t)xid < XID_FIRST)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "It is a number, as pg_current_xact_id() gives it.",
		    "xid: \"%s\" is no transaction", s);
	t->xid = (uint32_t)xid;
	(void)snprintf(t->text, sizeof t->text, "%" PRIu32, t->xid);
	return HF_OK;
}

static int
read_name(const char *s, struct recover_target *t, struct hf_error *err)
{
	if (*s == '\0' || strlen(s) > NAME_MAX_LEN)
		return H->fail(err, HF_E_INVALID,
		    "name: a restore point has a name of 1 to %d bytes",
		    NAME_MAX_LEN);
	(void)snprintf(t->text, sizeof t->text, "%s", s);
	return HF_OK;
}

static int
read_time(const char *s, struct recover_target *t, struct hf_error *err)
{
	if (!parse_time(s, t))
		return postgres_fail_hint(err, HF_E_INVALID,
		    "It is written 2026-11-21T02:15:00.123456Z.",
		    "\"%s\" is no time in UTC", s);
	return HF_OK;
}

static int
read_timeline(const char *s, struct recover_target *t, struct hf_error *err)
{
	uint64_t number;

	if (s == NULL)
		s = "latest";
	/* At the end of the backup its own timeline is the only one that is
	 * sure to lead there. */
	if (t->kind == RECOVER_IMMEDIATE && strcmp(s, "latest") == 0)
		s = "current";
	if (strcmp(s, "latest") == 0 || strcmp(s, "current") == 0) {
		(void)snprintf(t->timeline, sizeof t->timeline, "%s", s);
		return HF_OK;
	}
	if (!parse_number(s, UINT32_MAX, &number) || number == 0)
		return H->fail(err, HF_E_INVALID,
		    "timeline: \"%s\" is neither latest, current nor a number",
		    s);
	(void)snprintf(t->timeline, sizeof t->timeline, "%" PRIu64, number);
	return HF_OK;
}

/* One at most; none is all the WAL there is. */
static int
read_moment(const char *until, const struct restore_conf *conf,
    struct recover_target *t, struct hf_error *err)
{
	const struct {
		const char *said, *value;
		enum recover_kind kind;
		int (*read)(
		    const char *, struct recover_target *, struct hf_error *);
	} ways[] = {
		{ "a time", until, RECOVER_TIME, read_time },
		{ "lsn", conf->lsn, RECOVER_LSN, read_lsn },
		{ "xid", conf->xid, RECOVER_XID, read_xid },
		{ "name", conf->name, RECOVER_NAME, read_name },
		{ "target", conf->target, RECOVER_LATEST, NULL },
	};
	size_t found = 0;

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		if (ways[i].value == NULL)
			continue;
		if (found > 0)
			return postgres_fail_hint(err, HF_E_INVALID,
			    "Give one of them.",
			    "%s and %s: recovery ends at one moment",
			    ways[found - 1].said, ways[i].said);
		found = i + 1;
	}
	if (found == 0)
		return HF_OK;
	t->kind = ways[found - 1].kind;
	if (ways[found - 1].read != NULL)
		return ways[found - 1].read(ways[found - 1].value, t, err);
	if (strcmp(conf->target, "immediate") == 0)
		t->kind = RECOVER_IMMEDIATE;
	else if (strcmp(conf->target, "latest") != 0)
		return H->fail(err, HF_E_INVALID,
		    "target: \"%s\" is neither latest nor immediate",
		    conf->target);
	return HF_OK;
}

int
recover_target(const struct hf_request *req, struct recover_target *t,
    struct hf_error *err)
{
	static const struct restore_conf defaults = { .inclusive = true };
	const struct restore_conf *conf =
	    req->restore_conf != NULL ? req->restore_conf : &defaults;
	int rc;

	*t = (struct recover_target){ .kind = RECOVER_LATEST,
		.inclusive = conf->inclusive,
		.action = conf->action != NULL ? conf->action : "pause" };
	if ((rc = read_moment(req->until, conf, t, err)) != HF_OK)
		return rc;
	return read_timeline(conf->timeline, t, err);
}
