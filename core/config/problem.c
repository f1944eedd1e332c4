/* SPDX-License-Identifier: BSD-2-Clause */
#include "problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "config.h"
#include "locate.h"

static void
clear(struct config_problem *p)
{
	free(p->path);
	free(p->text);
	free(p->hint);
}

/* Said already?  An error takes over the warning of the same words. */
static bool
known(struct problems *ps, const struct config_problem *at, const char *text)
{
	for (size_t i = 0; i < ps->n; i++) {
		struct config_problem *p = &ps->list[i];

		if (strcmp(p->path, at->path) != 0 ||
		    strcmp(p->text, text) != 0)
			continue;
		if (p->warning && !at->warning) {
			p->warning = false;
			ps->errors++;
		}
		return true;
	}
	return false;
}

/* A free place, or NULL.  When all are taken an error takes the last
 * warning's, so that warnings never hide what has to be mended. */
static struct config_problem *
place(struct problems *ps, bool warning)
{
	struct config_problem *list;

	if (ps->n < PROBLEM_MAX) {
		list = realloc(ps->list, (ps->n + 1) * sizeof *list);
		if (list == NULL) {
			ps->failed = true;
			return NULL;
		}
		ps->list = list;
		return &list[ps->n++];
	}
	ps->left_out++;
	for (size_t i = ps->n; !warning && i-- > 0;)
		if (ps->list[i].warning) {
			clear(&ps->list[i]);
			memmove(&ps->list[i], &ps->list[i + 1],
			    (ps->n - i - 1) * sizeof *ps->list);
			return &ps->list[ps->n - 1];
		}
	return NULL;
}

static void
add(struct problems *ps, const struct config_problem *at, const char *hint,
    const char *fmt, va_list ap)
{
	struct config_problem *p, new = *at;
	char text[1024];

	(void)vsnprintf(text, sizeof text, fmt, ap);
	secret_scrub(text);
	if (known(ps, at, text))
		return;
	if (!at->warning)
		ps->errors++;
	new.path = strdup(at->path);
	new.text = strdup(text);
	new.hint = hint == NULL ? NULL : strdup(hint);
	if (new.path == NULL || new.text == NULL ||
	    (hint != NULL && new.hint == NULL)) {
		ps->failed = true;
		clear(&new);
		return;
	}
	if (new.hint != NULL)
		secret_scrub(new.hint);
	if ((p = place(ps, at->warning)) == NULL)
		clear(&new);
	else
		*p = new;
}

void
problem_add(struct problems *ps, unsigned flags, const char *path,
    const char *hint, const char *fmt, ...)
{
	struct config_problem at = { 0 };
	va_list ap;

	at.path = (char *)path; /* only read, and copied */
	at.warning = (flags & PROBLEM_WARNING) != 0;
	if (ps->text != NULL)
		(void)locate_path(ps->text, path, (flags & PROBLEM_KEY) != 0,
		    &at.line, &at.column);
	va_start(ap, fmt);
	add(ps, &at, hint, fmt, ap);
	va_end(ap);
}

void
problem_add_at(struct problems *ps, int line, int column, const char *hint,
    const char *fmt, ...)
{
	struct config_problem at = { 0 };
	char none[] = "";
	va_list ap;

	at.path = none;
	at.line = line;
	at.column = column;
	va_start(ap, fmt);
	add(ps, &at, hint, fmt, ap);
	va_end(ap);
}

static int
by_place(const void *a, const void *b)
{
	const struct config_problem *p = a, *q = b;

	if (p->line != q->line)
		return p->line < q->line ? -1 : 1;
	if (p->column != q->column)
		return p->column < q->column ? -1 : 1;
	return strcmp(p->text, q->text);
}

void
problem_sort(struct problems *ps)
{
	struct config_problem *last;
	char *text;

	if (ps->n > 1)
		qsort(ps->list, ps->n, sizeof *ps->list, by_place);
	if (ps->left_out == 0 || ps->n == 0)
		return;
	last = &ps->list[ps->n - 1];
	text =
	    text_format("%s (and %zu more problems)", last->text, ps->left_out);
	if (text == NULL) {
		ps->failed = true;
		return;
	}
	free(last->text);
	last->text = text;
	ps->left_out = 0;
}

void
problem_free(struct problems *ps)
{
	for (size_t i = 0; i < ps->n; i++)
		clear(&ps->list[i]);
	free(ps->list);
	*ps = (struct problems){ 0 };
}
