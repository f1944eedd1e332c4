/* SPDX-License-Identifier: BSD-2-Clause */
#include "logs.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "plugin/engine.h"
#include "plugin/host.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "repo/links.h"
#include "repo/log.h"
#include "repo/logs_private.h"
#include "repo/repo_private.h"

int
logs_kinds(struct repo *r, size_t i, uint32_t *kinds, struct hf_error *err)
{
	const struct config_item *item = &r->pipeline->sources[i];
	struct source source;
	int rc;

	*kinds = 0;
	if (item->plugin->engine.log_kinds == NULL)
		return HF_OK;
	if ((rc = source_open(r, item, NULL, &source, err)) != HF_OK)
		return rc;
	*kinds = engine_log_kinds(source.engine);
	source_close(&source);
	return HF_OK;
}

static int
several(
    const struct repo *r, const char *a, const char *b, struct hf_error *err)
{
	(void)error_fail(err, HF_E_INVALID,
	    "pipeline %s has several sources that keep a log: %s, %s",
	    r->pipeline->name, a, b);
	error_hint(err, "Name one: --source %s", a);
	return HF_E_INVALID;
}

int
logs_source(
    struct repo *r, const char *name, size_t *source, struct hf_error *err)
{
	const struct config_pipeline *p = r->pipeline;
	size_t found = SIZE_MAX;
	uint32_t kinds;
	int rc;

	for (size_t i = 0; i < p->nsources; i++) {
		if (name != NULL && strcmp(name, p->sources[i].name) != 0)
			continue;
		if ((rc = logs_kinds(r, i, &kinds, err)) != HF_OK)
			return rc;
		if (kinds == 0)
			continue;
		if (found != SIZE_MAX)
			return several(
			    r, p->sources[found].name, p->sources[i].name, err);
		found = i;
	}
	*source = found;
	if (found != SIZE_MAX)
		return HF_OK;
	(void)error_fail(err, HF_E_INVALID,
	    name == NULL ? "pipeline %s keeps no log"
			 : "pipeline %s has no source \"%s\" that keeps a log",
	    p->name, name);
	error_hint(err,
	    "Of engine postgres: \"mode\": \"physical\" and \"wal\": "
	    "{ \"stream\": true } or { \"push\": true }.");
	return HF_E_INVALID;
}

/* ---- one call of the engine ---- */

void
logs_session_close(struct logs_session *s)
{
	repo_log_close(s->log);
	source_close(&s->source);
}

int
logs_session_open(struct repo *r, size_t i, const struct source_hooks *hooks,
    struct logs_session *s, struct hf_error *err)
{
	int rc;

	*s = (struct logs_session){ 0 };
	if ((rc = source_open(
		 r, &r->pipeline->sources[i], hooks, &s->source, err)) != HF_OK)
		return rc;
	if ((rc = repo_log_open(r, &s->log, err)) != HF_OK) {
		s->log = NULL;
		logs_session_close(s);
	}
	return rc;
}

static char *
log_command(const struct repo *r, const char *source)
{
	char *quoted, *command;

	if (r->env.log_command == NULL)
		return NULL;
	if (r->pipeline->nsources == 1)
		return strdup(r->env.log_command);
	if ((quoted = text_quote(source)) == NULL)
		return NULL;
	command = text_format("%s --source %s", r->env.log_command, quoted);
	free(quoted);
	return command;
}

int
logs_attach(struct repo *r, const char *source, struct engine *engine,
    struct hf_request *request, struct logs_attached *a, struct hf_error *err)
{
	int rc;

	*a = (struct logs_attached){ .of = r };
	if (engine_log_kinds(engine) == 0)
		return HF_OK;
	if ((rc = repo_open(&r->env, r->pipeline, &a->repo, err)) != HF_OK)
		return rc;
	if ((rc = repo_log_open(a->repo, &a->log, err)) != HF_OK) {
		a->log = NULL;
		logs_detach(a);
		return rc;
	}
	a->command = log_command(r, source);
	request->log = repo_log_in(a->log);
	request->log_command = a->command;
	return HF_OK;
}

void
logs_safe(const struct logs_attached *a, struct hf_request *request,
    bool (*counts)(void *arg, size_t sink), void *arg)
{
	if (a->log != NULL)
		request->log = repo_log_safe(a->log, counts, arg);
}

void
logs_failed(const struct logs_attached *a, struct hf_error *err)
{
	if (a->log != NULL)
		repo_log_held_back(a->log, err);
}

void
logs_detach(struct logs_attached *a)
{
	repo_log_close(a->log);
	for (size_t i = 0; a->repo != NULL && i < a->repo->nsinks; i++)
		a->of->sinks[i].stuck |= a->repo->sinks[i].stuck;
	repo_close(a->repo);
	free(a->command);
	*a = (struct logs_attached){ 0 };
}

static void
take_waiting(void *arg, const char *key, const char *value)
{
	(void)value;
	if (strcmp(key, HF_LOG_WAITING) == 0)
		*(bool *)arg = true;
}

int
logs_push(struct repo *r, size_t i, const char *file, bool *waiting,
    struct hf_error *err)
{
	struct source_hooks hooks = { .result = take_waiting, .arg = waiting };
	struct logs_session s;
	int rc;

	*waiting = false;
	if ((rc = logs_session_open(r, i, &hooks, &s, err)) != HF_OK)
		return rc;
	rc = engine_log_push(s.source.engine, file, repo_log_out(s.log),
	    repo_log_in(s.log), err);
	logs_session_close(&s);
	return rc;
}

int
logs_behind(struct repo *r, size_t i, const char *file, struct hf_error *err)
{
	struct logs_session s;
	int rc;

	if ((rc = logs_session_open(r, i, NULL, &s, err)) != HF_OK)
		return rc;
	rc = engine_log_behind(s.source.engine, file, repo_log_out(s.log),
	    repo_log_in(s.log), err);
	logs_session_close(&s);
	return rc;
}

int
logs_get(struct repo *r, size_t i, const char *name, const char *file,
    struct hf_error *err)
{
	struct logs_session s;
	int rc;

	if ((rc = logs_session_open(r, i, NULL, &s, err)) != HF_OK)
		return rc;
	rc = engine_log_get(
	    s.source.engine, name, file, repo_log_in(s.log), err);
	logs_session_close(&s);
	return rc;
}

int
logs_ahead(struct repo *r, size_t i, const char *name, struct hf_error *err)
{
	struct logs_session s;
	int rc;

	if ((rc = logs_session_open(r, i, NULL, &s, err)) != HF_OK)
		return rc;
	rc = engine_log_ahead(s.source.engine, name, repo_log_in(s.log), err);
	logs_session_close(&s);
	return rc;
}

struct following {
	struct repo *r;
	size_t source;
};

static void
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct following *f = arg;

	repo_progress(f->r, "follow", done, total);
}

/* For status on this host: a server that is idle makes no newer commits. */
static void
on_result(void *arg, const char *key, const char *value)
{
	struct following *f = arg;
	char *path;

	repo_told(f->r, key, value);
	if (strcmp(key, LOGS_CURRENT) != 0 ||
	    (path = logs_current_path(f->r, f->source)) == NULL)
		return;
	/* Best effort: without it status goes by the commits. */
	(void)file_write(path, value, strlen(value), NULL);
	free(path);
}

char *
logs_current_path(const struct repo *r, size_t i)
{
	char *dir = source_state_dir(r, &r->pipeline->sources[i]), *path;

	if (dir == NULL || file_mkdirs(dir, NULL) != HF_OK) {
		free(dir);
		return NULL;
	}
	path = text_format("%s/" LOGS_CURRENT, dir);
	free(dir);
	return path;
}

int64_t
logs_current(const struct repo *r, size_t i)
{
	char *path = logs_current_path(r, i);
	struct buf text = BUF_INIT;
	int64_t ms = 0;

	if (path == NULL || file_read(path, 100, &text, NULL) != HF_OK ||
	    !text_parse_time((const char *)text.data, &ms))
		ms = 0;
	buf_free(&text);
	free(path);
	return ms;
}

/* What a sink lacks because the last run ended between two of them. */
static void
fill(struct repo *r, struct repo_log *log)
{
	struct hf_error why = { 0 };
	size_t filled = 0;
	char line[512];

	if (r->nsinks < 2)
		return;
	if (repo_log_fill(log, &filled, &why) != HF_OK) {
		error_line(&why, line, sizeof line);
		log_write(HF_LOG_WARN, "log.fill", NULL,
		    "pipeline %s: a sink still lacks objects of its log that "
		    "others have: %s",
		    r->pipeline->name, line);
	}
	if (filled > 0)
		log_write(HF_LOG_INFO, "log.fill", NULL,
		    "pipeline %s: brought %zu objects of its log to sinks that "
		    "lacked them",
		    r->pipeline->name, filled);
}

int
logs_follow(struct repo *r, size_t i, struct hf_error *err)
{
	struct following following = { r, i };
	struct source_hooks hooks = { on_progress, on_result, &following };
	struct hf_request request = { .struct_size = sizeof request,
		.kind = HF_KIND_LOG,
		.max_streams = repo_streams(r) };
	struct logs_session s;
	int rc;

	if ((rc = logs_session_open(r, i, &hooks, &s, err)) != HF_OK)
		return rc;
	repo_log_prepare(s.log);
	fill(r, s.log);
	request.log = repo_log_in(s.log);
	rc = engine_backup(s.source.engine, &request, repo_log_out(s.log), err);
	logs_session_close(&s);
	if (rc != HF_OK && cancel_requested(r->env.cancel))
		rc = HF_OK;
	if (rc != HF_OK)
		(void)error_context(err, "following source %s of pipeline %s",
		    r->pipeline->sources[i].name, r->pipeline->name);
	return rc;
}

/* ---- backups as the engine wants them: facts alone ---- */

void
logs_facts_free(struct logs_facts *f)
{
	for (size_t i = 0; i < f->n; i++)
		repo_facts_in_free(f->ins[i]);
	free(f->ins);
	*f = (struct logs_facts){ 0 };
}

const struct manifest_source *
logs_source_of(
    const struct repo *r, const struct repo_backup_entry *e, size_t i)
{
	const char *name = r->pipeline->sources[i].name;

	for (size_t s = 0; s < r->nsinks; s++) {
		const struct manifest *m = e->copies[s].manifest;

		for (size_t n = 0; m != NULL && n < m->nsources; n++)
			if (strcmp(m->sources[n].name, name) == 0 ||
			    (m->nsources == 1 && r->pipeline->nsources == 1))
				return &m->sources[n];
	}
	return NULL;
}

int
logs_facts_add(struct repo *r, size_t i, const struct repo_backup_entry *e,
    struct logs_facts *f, struct hf_error *err)
{
	const struct manifest_source *s = logs_source_of(r, e, i);
	struct hf_in **grown;
	int rc;

	if (s == NULL)
		return HF_OK;
	grown = realloc(f->ins, (f->n + 1) * sizeof(struct hf_in *));
	if (grown == NULL)
		return repo_nomem(err);
	f->ins = grown;
	rc = repo_facts_in(s, e->id, e->ended_ms, &f->ins[f->n], err);
	f->n += rc == HF_OK;
	return rc;
}

int
logs_facts_read(struct repo *r, size_t i, const struct repo_catalog *c,
    struct logs_facts *out, struct hf_error *err)
{
	int rc = HF_OK;

	*out = (struct logs_facts){ 0 };
	/* From one that is damaged, or lacks what it builds on, no moment can
	 * be reached. */
	for (size_t e = 0; e < c->n && rc == HF_OK; e++)
		if (links_good(r, c, &c->entries[e]))
			rc = logs_facts_add(r, i, &c->entries[e], out, err);
	if (rc != HF_OK)
		logs_facts_free(out);
	return rc;
}

int
logs_spans(struct repo *r, size_t i, const struct repo_catalog *c,
    hf_span_fn *fn, void *arg, struct hf_error *err)
{
	struct logs_facts facts;
	struct logs_session s;
	int rc;

	if ((rc = logs_facts_read(r, i, c, &facts, err)) != HF_OK)
		return rc;
	if ((rc = logs_session_open(r, i, NULL, &s, err)) == HF_OK) {
		rc = engine_log_spans(s.source.engine, repo_log_in(s.log),
		    facts.ins, facts.n, fn, arg, err);
		logs_session_close(&s);
	}
	logs_facts_free(&facts);
	return rc;
}
