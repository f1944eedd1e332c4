/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "plugin/host.h"
#include "plugin/store.h"
#include "repo/doc.h"
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
report_write(struct repo *r, const char *kind, const char *id, int64_t at_ms,
    const json_t *doc)
{
	for (size_t i = 0; i < r->nsinks; i++) {
		struct repo_sink *s = &r->sinks[i];
		struct hf_error err = { 0 };
		char line[512];

		if (s->store == NULL || s->stuck)
			continue;
		/* The folder below a disk that is not mounted stays empty: with
		 * one file in it, the next run would take it for the disk. */
		if (known_refuse(r, s, &err) == HF_E_NOTFOUND)
			continue;
		error_clear(&err);
		if (put_new(s->store, r->pipeline->name, kind, id, false, at_ms,
			doc, &err) == HF_OK)
			continue;
		error_line(&err, line, sizeof line);
		log_write(HF_LOG_WARN, "report.lost", s->who,
		    "pipeline %s: the report of this %s could not be kept: %s",
		    r->pipeline->name, kind, line);
	}
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
sinks_json(const struct repo_sink_result *sinks, size_t n, bool stored)
{
	json_t *list = json_array(), *s;

	for (size_t i = 0; i < n; i++) {
		s = json_object();
		set(s, "name", repo_text(sinks[i].name));
		set(s, "ok", json_boolean(sinks[i].ok));
		if (stored)
			set(s, "stored_size",
			    json_integer((json_int_t)sinks[i].stored));
		set(s, "error", report_error(&sinks[i].why));
		(void)json_array_append_new(list, s);
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
	set(doc, "raw_size", json_integer((json_int_t)res->raw));
	set(doc, "objects", json_integer((json_int_t)res->nobjects));
	set(doc, "sinks", sinks_json(res->sinks, res->nsinks, true));
	set(doc, "facts", pairs_json(res->facts, res->nfacts));
	set(doc, "verified", json_boolean(res->verified));
	report_write(r, "backup", res->id, res->ended_ms, doc);
	json_decref(doc);
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
	set(doc, "fallbacks",
	    sinks_json(res->fallbacks, res->nfallbacks, false));
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
