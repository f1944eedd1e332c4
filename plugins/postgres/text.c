/* SPDX-License-Identifier: BSD-2-Clause */
#include "text.h"

#include "postgres.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for n more bytes and a NUL. */
static bool
reserve(struct text *t, size_t n)
{
	size_t cap = t->cap == 0 ? 128 : t->cap;
	char *s;

	if (t->failed)
		return false;
	if (n >= SIZE_MAX / 4 - t->len) {
		t->failed = true;
		return false;
	}
	if (t->cap > 0 && t->len + n < t->cap)
		return true;
	while (cap <= t->len + n)
		cap *= 2;
	if ((s = realloc(t->s, cap)) == NULL) {
		t->failed = true;
		return false;
	}
	t->s = s;
	t->cap = cap;
	return true;
}

void
text_add_n(struct text *t, const char *s, size_t n)
{
	if (!reserve(t, n))
		return;
	if (n > 0)
		memcpy(t->s + t->len, s, n);
	t->len += n;
	t->s[t->len] = '\0';
}

void
text_add(struct text *t, const char *s)
{
	text_add_n(t, s, strlen(s));
}

void
text_addf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		t->failed = true;
	if (n < 0 || !reserve(t, (size_t)n))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(t->s + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

/* s with every byte of those in twice doubled. */
static void
add_doubled(struct text *t, const char *s, const char *twice)
{
	size_t n;

	for (;;) {
		n = strcspn(s, twice);
		text_add_n(t, s, n);
		s += n;
		if (*s == '\0')
			return;
		text_add_n(t, s, 1);
		text_add_n(t, s++, 1);
	}
}

void
text_add_ident(struct text *t, const char *s)
{
	text_add(t, "\"");
	add_doubled(t, s, "\"");
	text_add(t, "\"");
}

void
text_add_literal(struct text *t, const char *s)
{
	text_add(t, strchr(s, '\\') != NULL ? "E'" : "'");
	add_doubled(t, s, "'\\");
	text_add(t, "'");
}

void
text_add_comment(struct text *t, const char *s)
{
	char c;

	for (; *s != '\0'; s++) {
		c = *s;
		if ((unsigned char)c < 0x20 || c == 0x7f)
			c = ' ';
		text_add_n(t, &c, 1);
	}
}

int
text_ok(const struct text *t, struct hf_error *err)
{
	return t->failed ? postgres_nomem(err) : HF_OK;
}

const char *
text_get(const struct text *t)
{
	return t->s == NULL ? "" : t->s;
}

void
text_reset(struct text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->s != NULL)
		t->s[0] = '\0';
}

void
text_free(struct text *t)
{
	free(t->s);
	memset(t, 0, sizeof *t);
}
