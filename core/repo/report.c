/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "plugin/host.h"
#include "plugin/store.h"
#include "repo/doc.h"
#include "repo/prune.h"
#include "repo/repo_private.h"

#define FORMAT 1
#define TRIES 20 /* documents of one kind in one millisecond */

static json_t *
text_or_null(const char *s)
{
	return s == NULL ? NULL : repo_text(s);
}

/* A report that lacks a member for want of memory is still a report; what is
 * NULL is left out. */
static void
set(json_t *object, const char *name, json_t *value)
{
	if (value != NULL)
		(void)json_object_set_new(object, name, value);
}

json_t *
report_head(struct repo *r, const char *kind, const char *id,
    int64_t started_ms, int64_t ended_ms)
{
	json_t *doc = json_object(), *program = json_object();
	char host[64];

	repo_host(host, sizeof host);
	set(doc, "format", json_integer(FORMAT));
	set(doc, "kind", json_string(kind));
	set(doc, "pipeline", repo_text(r->pipeline->name));
	set(doc, "id", json_string(id));
	set(doc, "started", json_string(repo_time(started_ms).s));
	set(doc, "ended", json_string(repo_time(ended_ms).s));
	set(doc, "host", repo_text(host));
	set(doc, "environment", text_or_null(r->env.config->environment));
	set(doc, "operator", text_or_null(r->env.config->operator_name));
	set(program, "name", json_string(PROGRAM_NAME));
	set(program, "version", repo_text(host_table.version));
	set(doc, "program", program);
	return doc;
}

json_t *
report_error(const struct hf_error *err)
{
	json_t *json;
	const char *hint;
	char line[2048];

	if (err == NULL || err->status == HF_OK)
		return NULL;
	json = json_object();
	hint = error_get(err, "hint");
	error_line(err, line, sizeof line);
	set(json, "status", json_string(error_status_name(err->status)));
	set(json, "text", repo_text(line));
	set(json, "hint", text_or_null(hint));
	return json;
}

/* Two of one kind may end in the same millisecond; the later one waits for
 * the next. */
static int
put_new(struct store *store, const char *pipeline, const char *kind,
    const char *id, bool check, int64_t at_ms, const json_t *doc,
    struct hf_error *err)
{
	bool exclusive = (store_caps(store) & HF_CAP_IF_ABSENT) != 0;
	int rc = HF_E_EXISTS;

	for (int i = 0; i < TRIES && rc == HF_E_EXISTS; i++) {
		struct text_small at = repo_stamp(at_ms + i);
		char *key = check ? repo_key(pipeline, "checks/%s/%s-%s.json",
					id, at.s, kind)
				  : repo_key(pipeline, "reports/%s-%s-%s.json",
					at.s, kind, id);

		if (key == NULL)
			return repo_nomem(err);
		rc = doc_put(
		    store, key, exclusive ? HF_PUT_IF_ABSENT : 0, doc, err);
		free(key);
	}
	return rc;
}

void
report_write_to(struct repo *r, size_t sink, const char *kind, const char *id,
    int64_t at_ms, const json_t *doc)
{
	struct repo_sink *s = &r->sinks[sink];
	struct hf_error err = { 0 };
	char line[512];

	if (s->store == NULL || s->stuck)
		return;
	/* The folder below a disk that is not mounted stays empty: with one
	 * file in it, the next run would take it for the disk. */
	if (known_there(r, s, &err) == HF_E_NOTFOUND)
		return;
	error_clear(&err);
	if (put_new(s->store, r->pipeline->name, kind, id, false, at_ms, doc,
		&err) == HF_OK)
		return;
	error_line(&err, line, sizeof line);
	log_write(HF_LOG_WARN, "report.lost", s->who,
	    "pipeline %s: the report of this %s could not be kept: %s",
	    r->pipeline->name, kind, line);
}

void
report_write(struct repo *r, const char *kind, const char *id, int64_t at_ms,
    const json_t *doc)
{
	for (size_t i = 0; i < r->nsinks; i++)
		report_write_to(r, i, kind, id, at_ms, doc);
}

int
report_check(struct repo *r, size_t sink, const char *id, const char *kind,
    int64_t at_ms, const json_t *doc, struct hf_error *err)
{
	return put_new(r->sinks[sink].store, r->pipeline->name, kind, id, true,
	    at_ms, doc, err);
}

static json_t *
pairs_json(const struct text_pair *pairs, size_t n)
{
	json_t *object = json_object();

	for (size_t i = 0; i < n; i++)
		set(object, pairs[i].key, repo_text(pairs[i].value));
	return object;
}

static json_t *
sinks_json(const struct repo_sink_result *sinks, size_t n)
{
	json_t *list = json_array(), *s;

	for (size_t i = 0; i < n; i++) {
		s = json_object();
		set(s, "name", repo_text(sinks[i].name));
		set(s, "ok", json_boolean(sinks[i].ok));
		set(s, "stored_size",
		    json_integer((json_int_t)sinks[i].stored));
		set(s, "error", report_error(&sinks[i].why));
		(void)json_array_append_new(list, s);
	}
	return list;
}

/* What this run made up for. */
static json_t *
completed_json(const struct repo_backup_result *res)
{
	json_t *list = json_array(), *c;

	for (size_t i = 0; i < res->ncompleted; i++) {
		const struct repo_copied *done = &res->completed[i];

		c = json_object();
		set(c, "id", json_string(done->id));
		set(c, "from", repo_text(done->from));
		set(c, "to", repo_text(done->to));
		set(c, "ok", json_boolean(done->how != REPO_COPIED_FAILED));
		set(c, "error", report_error(&done->why));
		(void)json_array_append_new(list, c);
	}
	return list;
}

void
report_backup(struct repo *r, const struct repo_backup_result *res,
    const struct hf_error *err)
{
	json_t *doc =
	    report_head(r, "backup", res->id, res->started_ms, res->ended_ms);

	set(doc, "outcome",
	    json_string(!res->published      ? "failed"
			: res->verify_failed ? "verify failed"
			: res->partial       ? "partial"
					     : "done"));
	set(doc, "error", report_error(err));
	set(doc, "backup_kind",
	    json_string(
		res->parent[0] == '\0' ? MANIFEST_FULL : MANIFEST_INCREMENTAL));
	if (res->parent[0] != '\0')
		set(doc, "parent", json_string(res->parent));
	if (res->full_because[0] != '\0')
		set(doc, "full_because", repo_text(res->full_because));
	set(doc, "raw_size", json_integer((json_int_t)res->raw));
	set(doc, "objects", json_integer((json_int_t)res->nobjects));
	set(doc, "sinks", sinks_json(res->sinks, res->nsinks));
	set(doc, "facts", pairs_json(res->facts, res->nfacts));
	set(doc, "verified", json_boolean(res->verified));
	if (res->ncompleted > 0)
		set(doc, "completed", completed_json(res));
	if (res->nincomplete > 0)
		set(doc, "incomplete",
		    json_integer((json_int_t)res->nincomplete));
	report_write(r, "backup", res->id, res->ended_ms, doc);
	json_decref(doc);
}

void
report_copy(struct repo *r, const struct repo_copied *c)
{
	json_t *doc = report_head(r, "copy", c->id, c->started_ms, c->ended_ms);

	set(doc, "outcome",
	    json_string(c->how == REPO_COPIED_FAILED ? "failed" : "done"));
	set(doc, "error", report_error(&c->why));
	set(doc, "from", repo_text(c->from));
	set(doc, "to", repo_text(c->to));
	set(doc, "raw_size", json_integer((json_int_t)c->raw));
	set(doc, "stored_size", json_integer((json_int_t)c->stored));
	set(doc, "objects", json_integer((json_int_t)c->nobjects));
	set(doc, "as_is", json_integer((json_int_t)c->as_is));
	report_write(r, "copy", c->id, c->ended_ms, doc);
	json_decref(doc);
}

/* Copies that were tried and left. */
static json_t *
fallbacks_json(const struct repo_restore_result *res)
{
	json_t *list = json_array(), *f;

	for (size_t i = 0; i < res->nfallbacks; i++) {
		f = json_object();
		set(f, "name", repo_text(res->fallbacks[i].sink));
		set(f, "id", repo_text(res->fallbacks[i].id));
		set(f, "error", report_error(&res->fallbacks[i].why));
		(void)json_array_append_new(list, f);
	}
	return list;
}

void
report_restore(struct repo *r, const struct repo_backup_entry *e,
    const struct repo_restore_options *opts,
    const struct repo_restore_result *res, const struct hf_error *err)
{
	bool failed = err != NULL && err->status != HF_OK;
	json_t *doc =
	    report_head(r, "restore", e->id, res->started_ms, res->ended_ms);

	set(doc, "outcome", json_string(failed ? "failed" : "done"));
	set(doc, "error", report_error(err));
	set(doc, "target", text_or_null(opts->target));
	set(doc, "in_place", json_boolean(opts->in_place));
	set(doc, "forced", json_boolean(opts->force));
	set(doc, "source", text_or_null(opts->source));
	set(doc, "sink", repo_text(res->sink));
	set(doc, "raw_size", json_integer((json_int_t)res->raw));
	set(doc, "results", pairs_json(res->results, res->nresults));
	set(doc, "fallbacks", fallbacks_json(res));
	report_write(r, "restore", e->id, res->ended_ms, doc);
	json_decref(doc);
}

void
report_verify(struct repo *r, const struct repo_verify_result *res, bool deep)
{
	json_t *doc = report_head(r, deep ? "deep" : "verify", res->id,
		   res->started_ms, res->ended_ms),
	       *list = json_array(), *s;

	set(doc, "outcome", json_string(res->passed ? "done" : "failed"));
	for (size_t i = 0; i < res->nsinks; i++) {
		const struct repo_verify_sink *v = &res->sinks[i];

		s = json_object();
		set(s, "name", repo_text(v->name));
		set(s, "checked", json_boolean(v->checked));
		set(s, "passed", json_boolean(v->passed));
		set(s, "objects", json_integer((json_int_t)v->nobjects));
		set(s, "stored_size", json_integer((json_int_t)v->bytes));
		set(s, "failures", json_integer((json_int_t)v->nfailures));
		set(s, "error", report_error(&v->why));
		(void)json_array_append_new(list, s);
	}
	set(doc, "sinks", list);
	report_write(r, deep ? "deep" : "verify", res->id, res->ended_ms, doc);
	json_decref(doc);
}

static json_t *
pruned_json(const struct prune_result *res)
{
	json_t *list = json_array(), *o;

	for (size_t i = 0; i < res->nbackups; i++) {
		const struct prune_backup *b = &res->backups[i];

		o = json_object();
		set(o, "id", json_string(b->id));
		set(o, "keep", json_boolean(b->rule.keep));
		if (b->rule.keep)
			set(o, "why", json_string(b->rule.why));
		set(o, "copies", json_integer((json_int_t)b->copies));
		set(o, "removed", json_integer((json_int_t)b->removed));
		set(o, "stored_size", json_integer((json_int_t)b->stored));
		(void)json_array_append_new(list, o);
	}
	return list;
}

void
report_prune(struct repo *r, size_t sink, const struct prune_result *res,
    const struct hf_error *err)
{
	json_t *doc = report_head(
		   r, "prune", res->id, res->started_ms, res->ended_ms),
	       *list = json_array(), *s;
	size_t failed = 0;

	for (size_t i = 0; i < res->nsinks; i++) {
		const struct prune_sink *p = &res->sinks[i];

		s = json_object();
		failed += p->why.status != HF_OK;
		set(s, "name", repo_text(p->name));
		set(s, "ok", json_boolean(p->why.status == HF_OK));
		set(s, "uploads", json_integer((json_int_t)p->uploads));
		set(s, "garbage", json_integer((json_int_t)p->garbage));
		set(s, "reports", json_integer((json_int_t)p->reports));
		set(s, "error", report_error(&p->why));
		(void)json_array_append_new(list, s);
	}
	set(doc, "outcome",
	    json_string(err == NULL || err->status == HF_OK ? "done"
			: failed < res->nsinks              ? "partial"
							    : "failed"));
	set(doc, "error", report_error(err));
	set(doc, "backups", pruned_json(res));
	set(doc, "log_objects", json_integer((json_int_t)res->logs));
	set(doc, "sinks", list);
	report_write_to(r, sink, "prune", res->id, res->ended_ms, doc);
	json_decref(doc);
}
