/* SPDX-License-Identifier: BSD-2-Clause */
#include "manifest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "repo/repo_private.h"

char *
manifest_key(const char *pipeline, const char *id)
{
	return repo_key(pipeline, "catalog/%s.json", id);
}

char *
manifest_data_prefix(const char *pipeline, const char *id)
{
	return repo_key(pipeline, "data/%s/", id);
}

/* "20261121T021500Z" and eight hex digits behind a dash */
#define TIME_LEN 16
#define ID_LEN (TIME_LEN + 1 + 8)

void
manifest_new_id(int64_t started_ms, char id[32])
{
	char random[9];

	/* Milliseconds first, as what builds on a backup has to sort behind it:
	 * also in the same second. */
	text_random_hex(4, random);
	(void)snprintf(id, 32, "%.16s-%03x%.5s", text_utc_compact(started_ms).s,
	    (unsigned)(started_ms > 0 ? started_ms % 1000 : 0), random);
}

static bool
digits(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

static bool
hex_digits(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= '0' && s[i] <= '9') ||
			(s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

/* Not text_parse_time, which would need the dashes put back. */
static int64_t
id_time(const char *id)
{
	int y, mon, d, h, min, s;
	char text[32];
	int64_t ms;

	/* The digits were counted, so this cannot overflow. */
	if (sscanf(id, "%4d%2d%2dT%2d%2d%2dZ", &y, &mon, &d, &h, &min, &s) != 6)
		return -1;
	(void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ",
	    y % 10000, mon % 100, d % 100, h % 100, min % 100, s % 100);
	return text_parse_time(text, &ms) && ms >= 0 ? ms : -1;
}

bool
manifest_valid_id(const char *id)
{
	return strlen(id) == ID_LEN && digits(id, 8) && id[8] == 'T' &&
	       digits(id + 9, 6) && id[15] == 'Z' && id[16] == '-' &&
	       hex_digits(id + 17, 8) && id_time(id) >= 0;
}

int64_t
manifest_id_time(const char *id)
{
	return manifest_valid_id(id) ? id_time(id) : -1;
}

static void
free_texts(char **texts)
{
	for (char **p = texts; p != NULL && *p != NULL; p++)
		free(*p);
	free(texts);
}

void
manifest_object_clear(struct manifest_object *o)
{
	for (size_t i = 0; i < o->nfilters; i++) {
		free(o->filters[i].name);
		free(o->filters[i].type);
	}
	free(o->filters);
	free(o->name);
	free(o->key);
	free(o->index_key);
	*o = (struct manifest_object){ 0 };
}

static void
free_source(struct manifest_source *s)
{
	for (size_t i = 0; i < s->nobjects; i++)
		manifest_object_clear(&s->objects[i]);
	free(s->objects);
	free_texts(s->facts);
	free(s->name);
	free(s->engine);
	free(s->engine_version);
	free(s->prefix);
}

void
manifest_free(struct manifest *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->nsources; i++)
		free_source(&m->sources[i]);
	for (size_t i = 0; i < m->nchecks; i++) {
		free(m->checks[i].source);
		free(m->checks[i].check);
		free(m->checks[i].result);
	}
	free(m->sources);
	free(m->checks);
	free_texts(m->labels);
	free_texts(m->sinks);
	free(m->id);
	free(m->pipeline);
	free(m->kind);
	free(m->parent);
	free(m->host);
	free(m->environment);
	free(m->operator_name);
	free(m->program_version);
	free(m);
}

const struct manifest_source *
manifest_source(const struct manifest *m, const char *name)
{
	for (size_t i = 0; i < m->nsources; i++)
		if (strcmp(m->sources[i].name, name) == 0)
			return &m->sources[i];
	return NULL;
}

uint64_t
manifest_source_size(const struct manifest_source *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->nobjects; i++)
		n += s->objects[i].raw_size;
	return n;
}

static uint64_t
sum(const struct manifest *m, bool raw)
{
	uint64_t n = 0;

	for (size_t s = 0; s < m->nsources; s++)
		for (size_t i = 0; i < m->sources[s].nobjects; i++) {
			const struct manifest_object *o =
			    &m->sources[s].objects[i];

			n += raw ? o->raw_size : o->stored_size;
		}
	return n;
}

uint64_t
manifest_raw_size(const struct manifest *m)
{
	return sum(m, true);
}

uint64_t
manifest_stored_size(const struct manifest *m)
{
	return sum(m, false);
}
