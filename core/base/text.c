/* SPDX-License-Identifier: BSD-2-Clause */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit size_units[] = { { "B", 1 }, { "", 1 }, { "kB", 1000 },
	{ "KB", 1000 }, { "MB", 1000 * 1000 }, { "GB", 1000 * 1000 * 1000 },
	{ "TB", 1000LL * 1000 * 1000 * 1000 }, { "KiB", 1LL << 10 },
	{ "MiB", 1LL << 20 }, { "GiB", 1LL << 30 }, { "TiB", 1LL << 40 } };

static const struct unit duration_units[] = { { "ms", 1 }, { "s", 1000 },
	{ "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 },
	{ "w", 7 * 24 * 3600 * 1000 } };

/* One "1.5GiB": a decimal number, its unit, and what follows. */
static bool
parse_quantity(const char *s, const struct unit *units, size_t nunits,
    int64_t *value, const char **rest)
{
	double number = 0, place = 1;
	size_t len;

	if (!isdigit((unsigned char)*s))
		return false;
	while (isdigit((unsigned char)*s))
		number = number * 10 + (*s++ - '0');
	if (*s == '.' && isdigit((unsigned char)s[1]))
		for (s++; isdigit((unsigned char)*s); s++)
			number += (*s - '0') * (place /= 10);
	while (*s == ' ')
		s++;
	for (len = 0; isalpha((unsigned char)s[len]);)
		len++;
	for (size_t i = 0; i < nunits; i++) {
		double v = number * (double)units[i].factor;

		if (strlen(units[i].name) != len ||
		    strncmp(units[i].name, s, len) != 0)
			continue;
		/* Above 2^53 a double no longer holds every byte. */
		if (v > 9007199254740992.0)
			return false;
		*value = (int64_t)llround(v);
		*rest = s + len;
		return true;
	}
	return false;
}

bool
text_parse_size(const char *s, int64_t *bytes)
{
	const char *rest;

	return parse_quantity(s, size_units,
		   sizeof size_units / sizeof *size_units, bytes, &rest) &&
	       *rest == '\0';
}

bool
text_parse_duration(const char *s, int64_t *ms)
{
	int64_t sum = 0, part;

	do {
		if (!parse_quantity(s, duration_units,
			sizeof duration_units / sizeof *duration_units, &part,
			&s))
			return false;
		sum += part;
	} while (*s != '\0');
	*ms = sum;
	return true;
}

/* Exactly n digits. */
static bool
digits(const char **s, int n, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++, (*s)++) {
		if (!isdigit((unsigned char)**s))
			return false;
		*value = *value * 10 + (**s - '0');
	}
	return true;
}

static bool
parse_zone(const char **s, bool *local, int *offset)
{
	int hours, minutes = 0, sign;
	bool more;

	*local = **s == '\0';
	*offset = 0;
	if (*local)
		return true;
	if (**s == 'Z' || **s == 'z') {
		(*s)++;
		return true;
	}
	if (strncmp(*s, "UTC", 3) == 0) {
		*s += 3;
		return true;
	}
	if (**s != '+' && **s != '-')
		return false;
	sign = *(*s)++ == '-' ? -1 : 1;
	if (!digits(s, 2, &hours))
		return false;
	/* PostgreSQL writes "+00". */
	more = **s != '\0';
	if (**s == ':')
		(*s)++;
	if (more && !digits(s, 2, &minutes))
		return false;
	if (hours > 14 || minutes > 59)
		return false;
	*offset = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool
parse_clock(const char **s, struct tm *tm, int *micros)
{
	int place = 100000;

	if (!digits(s, 2, &tm->tm_hour) || *(*s)++ != ':' ||
	    !digits(s, 2, &tm->tm_min))
		return false;
	if (**s == ':') {
		(*s)++;
		if (!digits(s, 2, &tm->tm_sec))
			return false;
		if (**s == '.')
			for ((*s)++; isdigit((unsigned char)**s); (*s)++) {
				*micros += (**s - '0') * place;
				place /= 10;
			}
	}
	while (**s == ' ')
		(*s)++;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

bool
text_parse_time_us(const char *s, int64_t *us)
{
	struct tm tm = { .tm_isdst = -1 };
	int year, month, micros = 0, offset = 0;
	bool local = true;
	time_t t;

	if (!digits(&s, 4, &year) || *s++ != '-' || !digits(&s, 2, &month) ||
	    *s++ != '-' || !digits(&s, 2, &tm.tm_mday) || month < 1 ||
	    month > 12 || tm.tm_mday < 1 || tm.tm_mday > 31)
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	if (*s == 'T' || *s == 't' || *s == ' ') {
		s++;
		if (!parse_clock(&s, &tm, &micros) ||
		    !parse_zone(&s, &local, &offset))
			return false;
	}
	if (*s != '\0')
		return false;
	t = local ? mktime(&tm) : timegm(&tm);
	*us = ((int64_t)t - offset) * 1000000 + micros;
	return true;
}

bool
text_parse_time(const char *s, int64_t *ms)
{
	int64_t us;

	if (!text_parse_time_us(s, &us))
		return false;
	/* Down, also before 1970. */
	*ms = us / 1000 - (us % 1000 < 0);
	return true;
}

struct text_small
text_size(uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB",
		"PiB", "EiB" };
	double v = (double)bytes;
	struct text_small t;
	size_t u = 0;

	while (v >= 1023.95 && u + 1 < sizeof units / sizeof *units) {
		v /= 1024;
		u++;
	}
	(void)snprintf(t.s, sizeof t.s, "%.*f %s", u == 0 ? 0 : 1, v, units[u]);
	return t;
}

struct text_small
text_duration(int64_t ms)
{
	int64_t s = ms / 1000;
	struct text_small t;

	if (ms < 60000)
		(void)snprintf(t.s, sizeof t.s, "%.1fs", (double)ms / 1000);
	else if (s < 3600)
		(void)snprintf(t.s, sizeof t.s, "%" PRId64 "m%02" PRId64 "s",
		    s / 60, s % 60);
	else if (s < 48 * 3600)
		(void)snprintf(t.s, sizeof t.s, "%" PRId64 "h%02" PRId64 "m",
		    s / 3600, s / 60 % 60);
	else
		(void)snprintf(t.s, sizeof t.s, "%" PRId64 "d%02" PRId64 "h",
		    s / 86400, s / 3600 % 24);
	return t;
}

static struct text_small
utc(int64_t ms, const char *format)
{
	time_t seconds = (time_t)(ms / 1000);
	struct text_small t = { "" };
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(t.s, sizeof t.s, format, &tm);
	return t;
}

struct text_small
text_utc(int64_t ms)
{
	return utc(ms, "%Y-%m-%dT%H:%M:%SZ");
}

struct text_small
text_utc_us(int64_t us)
{
	int64_t rest = (us % 1000000 + 1000000) % 1000000;
	struct text_small t = utc((us - rest) / 1000, "%Y-%m-%dT%H:%M:%S"), z;

	(void)snprintf(z.s, sizeof z.s, "%.30s.%06dZ", t.s, (int)rest);
	return z;
}

struct text_small
text_utc_compact(int64_t ms)
{
	return utc(ms, "%Y%m%dT%H%M%SZ");
}

static int64_t
clock_ms(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
text_now(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int64_t
text_monotonic(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

void
text_hex(const void *data, size_t n, char *out)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++) {
		*out++ = hex[p[i] >> 4];
		*out++ = hex[p[i] & 15];
	}
	*out = '\0';
}

void
text_random_hex(size_t n, char *out)
{
	unsigned char bytes[64];

	while (n > 0) {
		size_t step = n < sizeof bytes ? n : sizeof bytes;
		/* Up to 256 bytes never come short; only a signal interrupts,
		 * before the pool is ready. */
		while (getrandom(bytes, step, 0) != (ssize_t)step &&
		       errno == EINTR)
			;
		text_hex(bytes, step, out);
		out += 2 * step;
		n -= step;
	}
}

/* Optimal string alignment: an exchange of neighbours is one mistake. */
static size_t
distance(const char *a, const char *b)
{
	enum { MAX = 48 };
	size_t n = strlen(a), m = strlen(b), d[3][MAX + 1];

	if (n > MAX || m > MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = d[i % 3], *prev = d[(i + 2) % 3];

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t cost = tolower((unsigned char)a[i - 1]) !=
				      tolower((unsigned char)b[j - 1]);
			size_t best = prev[j - 1] + cost;

			if (prev[j] + 1 < best)
				best = prev[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] &&
			    d[(i + 1) % 3][j - 2] + 1 < best)
				best = d[(i + 1) % 3][j - 2] + 1;
			now[j] = best;
		}
	}
	return d[n % 3][m];
}

const char *
text_nearest(const char *typed, const char *const *candidates)
{
	size_t best = strlen(typed) / 3 + 1; /* farther is no suggestion */
	const char *nearest = NULL;

	for (; *candidates != NULL; candidates++) {
		size_t d = distance(typed, *candidates);

		if (d < best || (d == best && nearest == NULL)) {
			best = d;
			nearest = *candidates;
		}
	}
	return nearest;
}

char *
text_format(const char *fmt, ...)
{
	char *s;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

char *
text_quote(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_@%+=:,./-";
	char *quoted, *q;

	if (*text != '\0' && text[strspn(text, plain)] == '\0')
		return strdup(text);
	quoted = q = malloc(strlen(text) * 4 + 3);
	if (quoted == NULL)
		return NULL;
	*q++ = '\'';
	for (; *text != '\0'; text++) {
		if (*text == '\'') {
			memcpy(q, "'\\''", 4);
			q += 4;
		} else {
			*q++ = *text;
		}
	}
	*q++ = '\'';
	*q = '\0';
	return quoted;
}
