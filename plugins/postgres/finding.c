/* SPDX-License-Identifier: BSD-2-Clause */
#include "finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"

#define NAMES_MAX 5

/* The length of the character at s, or 0 when it is no UTF-8. */
static size_t
utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80   ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void
finding_utf8(struct text *out, const char *s)
{
	while (*s != '\0') {
		size_t n = utf8_length((const unsigned char *)s);

		if (n == 0)
			text_addf(out, "%%%02X", (unsigned)(unsigned char)*s);
		else
			text_add_n(out, s, n);
		s += n == 0 ? 1 : n;
	}
}

void
finding_tell(struct findings *to, enum hf_verdict verdict, const char *check,
    const char *hint, const char *fmt, ...)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.verdict = (int32_t)verdict,
		.check = check };
	struct text result = { 0 }, what_to_do = { 0 };
	char *raw = NULL;
	va_list ap;

	if (to->rc != HF_OK)
		return;
	if (verdict == HF_FAIL)
		to->failed++;
	va_start(ap, fmt);
	if (vasprintf(&raw, fmt, ap) < 0)
		raw = NULL;
	va_end(ap);
	finding_utf8(&result, raw == NULL ? "no memory" : raw);
	f.result = text_get(&result);
	if (hint != NULL) {
		finding_utf8(&what_to_do, hint);
		f.hint = text_get(&what_to_do);
	}
	to->rc = to->cb(to->arg, &f);
	text_free(&result);
	text_free(&what_to_do);
	free(raw);
}

void
names_add(struct names *names, const char *fmt, ...)
{
	char *raw = NULL;
	va_list ap;

	if (names->n++ >= NAMES_MAX)
		return;
	va_start(ap, fmt);
	if (vasprintf(&raw, fmt, ap) < 0)
		raw = NULL;
	va_end(ap);
	if (names->n > 1)
		text_add(&names->text, ", ");
	text_add(&names->text, raw == NULL ? "?" : raw);
	free(raw);
}

const char *
names_get(struct names *names)
{
	if (names->n > NAMES_MAX)
		text_addf(&names->text, " and %zu more", names->n - NAMES_MAX);
	return text_get(&names->text);
}

void
names_free(struct names *names)
{
	text_free(&names->text);
	names->n = 0;
}

const char *
finding_reason(const struct conn *c, char *buf, size_t cap)
{
	const char *s = PQerrorMessage(c->pg);
	const char *colon = strstr(s, ":  ");

	if (colon != NULL && strcspn(s, "\n") > (size_t)(colon - s))
		s = colon + 3; /* "ERROR:  " */
	(void)snprintf(buf, cap, "%.*s", (int)strcspn(s, "\n"), s);
	if (buf[0] == '\0')
		(void)snprintf(
		    buf, cap, "failed (SQLSTATE %s)", conn_sqlstate(c));
	return buf;
}

bool
finding_goes_on(const struct conn *c, int rc)
{
	return rc != HF_E_CANCELLED && rc != HF_E_NOMEM &&
	       PQstatus(c->pg) == CONNECTION_OK;
}
