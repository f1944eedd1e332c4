/* SPDX-License-Identifier: BSD-2-Clause */
#include "render.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define WIDTH 79

struct cell {
	char *text;
	enum render_style style;
};

struct render_table {
	const char *const *heads;
	struct cell *cells;
	size_t ncols, ncells, cap;
	bool failed;
};

bool
render_colour(void)
{
	static int colour = -1;
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (colour < 0)
		colour = isatty(STDOUT_FILENO) == 1 &&
			 (no == NULL || *no == '\0') && term != NULL &&
			 strcmp(term, "dumb") != 0;
	return colour == 1;
}

/* Names come from databases and file systems: no control character of theirs
 * may reach a terminal. */
static void
put_text(FILE *f, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		unsigned char next = (unsigned char)text[1];

		if (c == 0xc2 && next >= 0x80 && next < 0xa0) { /* C1 */
			text++;
			c = '?';
		}
		(void)fputc(c < 0x20 || c == 0x7f ? '?' : c, f);
	}
}

void
render_word(FILE *f, enum render_style style, const char *text)
{
	static const char *const codes[] = { "", "\033[32m", "\033[33m",
		"\033[1;31m" };
	bool colour = style != RENDER_PLAIN && f == stdout && render_colour();

	if (colour)
		(void)fputs(codes[style], f);
	put_text(f, text);
	if (colour)
		(void)fputs("\033[0m", f);
}

void
render_wrap(FILE *f, int column, const char *text)
{
	size_t at = (size_t)column;

	for (bool first = true; *text != '\0'; first = false) {
		size_t len = strcspn(text, " \n");

		if (!first && at + 1 + len > WIDTH) {
			fprintf(f, "\n%*s", column, "");
			at = (size_t)column;
		} else if (!first && at > (size_t)column) {
			(void)fputc(' ', f);
			at++;
		}
		fprintf(f, "%.*s", (int)len, text);
		at += len;
		text += len + strspn(text + len, " ");
		for (; *text == '\n'; text++) {
			fprintf(f, "\n%*s", text[1] == '\n' ? 0 : column, "");
			at = (size_t)column;
		}
	}
	(void)fputc('\n', f);
}

struct render_table *
render_table_new(const char *const *heads)
{
	struct render_table *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->heads = heads;
	while (heads[t->ncols] != NULL)
		t->ncols++;
	return t;
}

void
render_cell(
    struct render_table *t, enum render_style style, const char *fmt, ...)
{
	struct cell *cell;
	va_list ap;

	if (t == NULL || t->failed)
		return;
	if (t->ncells == t->cap) {
		size_t cap = t->cap == 0 ? 64 : t->cap * 2;
		struct cell *cells = realloc(t->cells, cap * sizeof *cells);

		if (cells == NULL) {
			t->failed = true;
			return;
		}
		t->cells = cells;
		t->cap = cap;
	}
	cell = &t->cells[t->ncells];
	cell->style = style;
	va_start(ap, fmt);
	if (vasprintf(&cell->text, fmt, ap) < 0)
		t->failed = true;
	else
		t->ncells++;
	va_end(ap);
}

/* Characters, not bytes: near enough to columns for names. */
static size_t
columns(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void
put_cell(const struct render_table *t, size_t col, enum render_style style,
    const char *text, size_t wide, FILE *f)
{
	int pad = (int)(wide - columns(text));
	bool right = t->heads[col][0] == '>', last = col + 1 == t->ncols;

	if (right)
		fprintf(f, "%*s", pad, "");
	render_word(f, style, text);
	if (!right && !last)
		fprintf(f, "%*s", pad, "");
	(void)fputs(last ? "\n" : "  ", f);
}

static const char *
head(const struct render_table *t, size_t col)
{
	return t->heads[col] + (t->heads[col][0] == '>');
}

static void
print_cells(const struct render_table *t, size_t *wide, FILE *f)
{
	for (size_t c = 0; c < t->ncols; c++)
		wide[c] = columns(head(t, c));
	for (size_t i = 0; i < t->ncells; i++) {
		size_t n = columns(t->cells[i].text);

		if (n > wide[i % t->ncols])
			wide[i % t->ncols] = n;
	}
	for (size_t c = 0; c < t->ncols; c++)
		put_cell(t, c, RENDER_PLAIN, head(t, c), wide[c], f);
	for (size_t i = 0; i < t->ncells; i++)
		put_cell(t, i % t->ncols, t->cells[i].style, t->cells[i].text,
		    wide[i % t->ncols], f);
}

int
render_table_print(struct render_table *t, FILE *f, struct hf_error *err)
{
	size_t *wide = NULL;
	int status = HF_OK;

	if (t != NULL && !t->failed)
		wide = calloc(t->ncols, sizeof *wide);
	if (wide == NULL)
		status = error_fail(err, HF_E_NOMEM, "no memory for a table");
	else
		print_cells(t, wide, f);
	free(wide);
	render_table_free(t);
	return status;
}

void
render_table_free(struct render_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->ncells; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}

struct text_small
render_time(int64_t ms)
{
	struct text_small t = { "never" };
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (ms != 0 && localtime_r(&seconds, &tm) != NULL)
		(void)strftime(t.s, sizeof t.s, "%Y-%m-%d %H:%M:%S %z", &tm);
	return t;
}

struct text_small
render_age(int64_t since_ms)
{
	int64_t s = (text_now() - since_ms) / 1000;
	struct text_small t;

	if (s < 0)
		s = 0;
	if (s < 60)
		(void)snprintf(t.s, sizeof t.s, "%llds", (long long)s);
	else if (s < 3600)
		(void)snprintf(t.s, sizeof t.s, "%lldm", (long long)(s / 60));
	else if (s < 48 * 3600)
		(void)snprintf(t.s, sizeof t.s, "%lldh", (long long)(s / 3600));
	else
		(void)snprintf(
		    t.s, sizeof t.s, "%lldd", (long long)(s / 86400));
	return t;
}

json_t *
render_string(const char *text)
{
	json_t *string;
	char *copy;

	if (text == NULL)
		return json_null();
	string = json_string(text);
	if (string != NULL)
		return string;
	copy = strdup(text);
	if (copy == NULL)
		return NULL;
	for (char *c = copy; *c != '\0'; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

json_t *
render_json_time(int64_t ms)
{
	return ms == 0 ? json_null() : json_string(text_utc(ms).s);
}

json_t *
render_json_error(const struct hf_error *err)
{
	const char *hint = error_get(err, "hint");
	json_t *frames = json_array(), *notes = NULL;

	for (int i = err->nframes - 1; i >= 0; i--)
		(void)json_array_append_new(
		    frames, render_string(err->frames[i]));
	for (int i = 0; i < err->nnotes; i++) {
		if (strcmp(err->notes[i].key, "hint") == 0)
			continue;
		if (notes == NULL)
			notes = json_object();
		(void)json_object_set_new(notes, err->notes[i].key,
		    render_string(err->notes[i].value));
	}
	if (json_array_size(frames) == 0) {
		json_decref(frames);
		frames = NULL;
	}
	return json_pack("{s:s, s:o, s:o*, s:o*, s:o*}", "status",
	    error_status_name(err->status), "message",
	    render_string(err->cause), "while", frames, "hint",
	    hint == NULL ? NULL : render_string(hint), "notes", notes);
}

int
render_json(json_t *doc, FILE *f, struct hf_error *err)
{
	if (doc == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for the result");
	(void)json_dumpf(doc, f, JSON_INDENT(2));
	(void)fputc('\n', f);
	json_decref(doc);
	return HF_OK;
}
