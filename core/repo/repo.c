/* SPDX-License-Identifier: BSD-2-Clause */
#include "repo.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/key.h"
#include "base/secret.h"
#include "config/config.h"
#include "flow/flow.h"
#include "plugin/filter.h"
#include "plugin/loader.h"
#include "plugin/store.h"
#include "repo/repo_private.h"

int
repo_nomem(struct hf_error *err)
{
	return error_fail(err, HF_E_NOMEM, "no memory");
}

/* Two at least, so that one can wait for the database while the other one's
 * bytes are worked on. */
uint32_t
repo_streams(const struct repo *r)
{
	unsigned n = flow_workers(r->env.flow);

	return n > 2 ? n : 2;
}

char *
repo_key(const char *pipeline, const char *fmt, ...)
{
	char escaped[KEY_MAX + 1], rest[KEY_MAX + 1], *key;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(rest, sizeof rest, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof rest ||
	    !key_escape(pipeline, escaped, sizeof escaped))
		return NULL;
	if ((key = text_format("%s/%s", escaped, rest)) == NULL ||
	    strlen(key) > KEY_MAX) {
		free(key);
		return NULL;
	}
	return key;
}

/* The names that a pipeline would share with the repository itself. */
static int
check_name(const char *name, struct hf_error *err)
{
	char escaped[KEY_MAX + 1];

	if (strchr(name, '/') != NULL || strcmp(name, "repo.json") == 0 ||
	    strcmp(name, "README.txt") == 0 ||
	    !key_escape(name, escaped, sizeof escaped))
		return error_fail(err, HF_E_INVALID,
		    "pipeline \"%s\": this cannot be the name of a folder in "
		    "a repository",
		    name);
	return HF_OK;
}

int
repo_open(const struct repo_env *env, const struct config_pipeline *p,
    struct repo **out, struct hf_error *err)
{
	const struct config_sink *const *to =
	    env->sinks != NULL ? env->sinks
			       : (const struct config_sink *const *)p->to;
	size_t n = env->sinks != NULL ? env->nsinks : p->nto;
	struct repo *r;
	int rc;

	if ((rc = check_name(p->name, err)) != HF_OK)
		return rc;
	if ((r = calloc(1, sizeof *r)) == NULL)
		return repo_nomem(err);
	r->env = *env;
	r->pipeline = p;
	r->nsinks = n;
	if ((r->sinks = calloc(n + 1, sizeof *r->sinks)) == NULL)
		goto nomem;
	for (size_t i = 0; i < n; i++) {
		struct repo_sink *s = &r->sinks[i];

		s->config = to[i];
		s->name = to[i]->item.name;
		if ((s->who = text_format("sink %s", s->name)) == NULL)
			goto nomem;
	}
	*out = r;
	return HF_OK;
nomem:
	repo_close(r);
	return repo_nomem(err);
}

void
repo_close(struct repo *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->nsinks && r->sinks != NULL; i++) {
		/* What a stuck thread still uses has to stay. */
		if (r->sinks[i].stuck)
			continue;
		store_close(r->sinks[i].store);
		free(r->sinks[i].who);
	}
	for (size_t i = 0; i < r->nfilters; i++) {
		if (r->filters[i].stuck)
			continue;
		filter_close(r->filters[i].filter);
		free(r->filters[i].name);
		free(r->filters[i].who);
	}
	free(r->filters);
	free(r->sinks);
	free(r);
}

void
repo_sink_stuck(struct repo *r, size_t sink, struct filter *const *own)
{
	r->sinks[sink].stuck = true;
	for (size_t i = 0; i < r->sinks[sink].config->nthrough; i++)
		for (size_t n = 0; n < r->nfilters; n++)
			if (own != NULL && r->filters[n].filter == own[i])
				r->filters[n].stuck = true;
}

bool
repo_stuck(const struct repo *r)
{
	for (size_t i = 0; i < r->nsinks; i++)
		if (r->sinks[i].stuck)
			return true;
	return false;
}

size_t
repo_sinks(const struct repo *r)
{
	return r->nsinks;
}

const char *
repo_sink_name(const struct repo *r, size_t sink)
{
	return r->sinks[sink].name;
}

void
repo_progress(struct repo *r, const char *phase, uint64_t done, uint64_t total)
{
	const struct repo_events *e = r->env.events;

	if (e != NULL && e->progress != NULL)
		e->progress(e->arg, r->pipeline->name, phase, done, total);
}

void
repo_told(struct repo *r, const char *key, const char *value)
{
	const struct repo_events *e = r->env.events;

	if (e != NULL && e->result != NULL)
		e->result(e->arg, key, value);
}

void
repo_found(struct repo *r, const char *subject, const struct hf_finding *f)
{
	const struct repo_events *e = r->env.events;

	if (e != NULL && e->finding != NULL)
		e->finding(e->arg, subject, f);
}

void
repo_found_text(struct repo *r, const char *subject, int verdict,
    const char *check, const char *result, const char *hint)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.verdict = verdict,
		.check = check,
		.result = result,
		.hint = hint };

	repo_found(r, subject, &f);
}

static struct text_small
stamp(int64_t ms, const char *fmt)
{
	struct text_small t = { "" };
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	char date[24];

	if (ms < 0 || gmtime_r(&s, &tm) == NULL ||
	    strftime(date, sizeof date, fmt, &tm) == 0)
		return t;
	(void)snprintf(t.s, sizeof t.s, "%s.%03dZ", date, (int)(ms % 1000));
	return t;
}

struct text_small
repo_stamp(int64_t ms)
{
	return stamp(ms, "%Y%m%dT%H%M%S");
}

struct text_small
repo_time(int64_t ms)
{
	return stamp(ms, "%Y-%m-%dT%H:%M:%S");
}

/* The length of the UTF-8 sequence at p, 0 when it is none. */
static size_t
utf8_length(const unsigned char *p)
{
	json_t *probe;
	size_t n = *p < 0x80                 ? 1
		   : *p >= 0xc2 && *p < 0xe0 ? 2
		   : *p >= 0xe0 && *p < 0xf0 ? 3
		   : *p >= 0xf0 && *p < 0xf5 ? 4
					     : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (n < 2)
		return n;
	/* Overlong forms and surrogates: jansson knows them all. */
	if ((probe = json_stringn((const char *)p, n)) == NULL)
		return 0;
	json_decref(probe);
	return n;
}

json_t *
repo_text(const char *s)
{
	size_t len = strlen(s);
	char *clean = malloc(len + 1);
	json_t *json;

	if (clean == NULL)
		return NULL;
	memcpy(clean, s, len + 1);
	secret_scrub(clean);
	for (size_t i = 0; i < len;) {
		size_t n = utf8_length((const unsigned char *)clean + i);

		if (n == 0)
			clean[i++] = '?';
		else
			i += n;
	}
	json = json_string(clean);
	free(clean);
	return json;
}

int64_t
repo_get_time(const json_t *object, const char *member)
{
	const char *s = json_string_value(json_object_get(object, member));
	size_t len = s == NULL ? 0 : strlen(s);
	int64_t ms;

	/* Stored times are UTC: without a zone it would be the reader's. */
	if (len == 0 || s[len - 1] != 'Z' || !text_parse_time(s, &ms) || ms < 0)
		return -1;
	return ms;
}

void
repo_host(char *buf, size_t cap)
{
	if (gethostname(buf, cap) != 0)
		buf[0] = '\0';
	buf[cap - 1] = '\0';
}

static bool
has_option(const struct plugin *p, const char *name)
{
	const char *o = (const char *)p->desc.options;

	for (; o != NULL; o += p->desc.option_size) {
		const struct hf_option *option = (const struct hf_option *)o;

		if (option->name == NULL)
			break;
		if (strcmp(option->name, name) == 0)
			return true;
	}
	return false;
}

int
repo_sink_shareable(struct store *store, const char *sink, struct hf_error *err)
{
	if ((store_caps(store) & HF_CAP_IF_ABSENT) != 0)
		return HF_OK;
	(void)error_fail(err, HF_E_INVALID,
	    "sink %s cannot create an object only if it is absent: of two runs "
	    "that write there at once, neither would see the other",
	    sink);
	if (has_option(store_plugin(store), "exclusive"))
		error_hint(err,
		    "If this machine alone writes there, say so: "
		    "\"exclusive\": true in sinks.%s.  \"holdfast doctor\" "
		    "asks the service again.",
		    sink);
	else
		error_hint(err, "Choose another kind of store.");
	return HF_E_INVALID;
}

const struct store_key *
repo_find_key(const struct store_keys *keys, const char *key)
{
	size_t from = 0, to = keys->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int order = strcmp(keys->keys[mid].key, key);

		if (order == 0)
			return &keys->keys[mid];
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}
