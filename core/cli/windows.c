/* SPDX-License-Identifier: BSD-2-Clause */
#include "windows.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/render.h"
#include "config/config.h"
#include "repo/logs.h"

/* One source being looked at. */
struct look {
	struct windows *w;
	const char *pipeline, *source; /* source NULL: it is the only one */
	json_t *json;
	size_t n;
};

static void
add_line(struct windows *w, char *line)
{
	char **grown = realloc(w->lines, (w->n + 1) * sizeof *grown);

	if (grown == NULL || line == NULL) {
		free(line);
		w->lines = grown != NULL ? grown : w->lines;
		return;
	}
	w->lines = grown;
	grown[w->n++] = line;
}

static json_t *
time_json(int64_t s)
{
	return s == 0 ? json_null() : render_json_time(s * 1000);
}

static json_t *
text_json(const char *text)
{
	return text == NULL ? json_null() : render_string(text);
}

static int
on_span(void *arg, const struct hf_span *s)
{
	struct look *l = arg;
	const char *colon = l->source == NULL ? "" : "/",
		   *source = l->source == NULL ? "" : l->source;
	char *line;

	l->n++;
	if (s->to > s->from)
		line = text_format("%s%s%s: %s%s%sany time between %s and %s",
		    l->pipeline, colon, source, s->branch == NULL ? "" : "on ",
		    s->branch == NULL ? "" : s->branch,
		    s->branch == NULL ? "" : ", if it is asked for, ",
		    text_utc(s->from * 1000).s, text_utc(s->to * 1000).s);
	else
		line =
		    text_format("%s%s%s: the end of backup %s, %s", l->pipeline,
			colon, source, s->backup == NULL ? "?" : s->backup,
			text_utc(s->from * 1000).s);
	if (line != NULL && s->gap != NULL) {
		char *whole = text_format("%s; then a gap: %s", line, s->gap);

		free(line);
		line = whole;
	}
	add_line(l->w, line);
	(void)json_array_append_new(l->json,
	    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "source",
		text_json(l->source), "backup", text_json(s->backup), "from",
		time_json(s->from), "to", time_json(s->to), "first",
		text_json(s->first), "last", text_json(s->last), "gap",
		text_json(s->gap), "branch", text_json(s->branch)));
	return 0;
}

static void
unknown(struct look *l, const struct hf_error *err)
{
	char text[600];

	error_line(err, text, sizeof text);
	add_line(l->w, text_format("%s: what its log reaches is not known: %s",
			   l->pipeline, text));
	(void)json_array_append_new(
	    l->json, json_pack("{s:o, s:o}", "source", text_json(l->source),
			 "error", render_json_error(err)));
}

json_t *
windows_add(struct windows *w, const struct config_pipeline *p,
    struct repo *repo, const struct repo_catalog *catalog)
{
	struct look l = { .w = w, .pipeline = p->name };

	for (size_t i = 0; i < p->nsources; i++) {
		struct hf_error err = { 0 };
		uint32_t kinds;

		/* A secret that is not there concerns who backs up. */
		if (logs_kinds(repo, i, &kinds, &err) != HF_OK) {
			log_write(HF_LOG_DEBUG, "list.log", p->sources[i].name,
			    "cannot be asked for its log: %s", err.cause);
			continue;
		}
		if (kinds == 0)
			continue;
		if (l.json == NULL && (l.json = json_array()) == NULL)
			return NULL;
		l.source = p->nsources > 1 ? p->sources[i].name : NULL;
		l.n = 0;
		if (logs_spans(repo, i, catalog, on_span, &l, &err) != HF_OK)
			unknown(&l, &err);
		else if (l.n == 0)
			add_line(w, text_format("%s: nothing can be restored "
						"yet",
					p->name));
	}
	return l.json;
}

void
windows_print(const struct windows *w, FILE *f)
{
	for (size_t i = 0; i < w->n; i++) {
		if (i == 0)
			fputc('\n', f);
		render_word(f, RENDER_PLAIN, w->lines[i]);
		fputc('\n', f);
	}
}

void
windows_clear(struct windows *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->lines[i]);
	free(w->lines);
	*w = (struct windows){ 0 };
}
