/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/log.h"
#include "config/config.h"
#include "flow/in.h"
#include "plugin/store.h"
#include "repo/repo_private.h"

static void
on_progress(void *arg, uint64_t done)
{
	const struct check *c = arg;

	repo_progress(c->r, "verify", *c->done + done, c->total);
}

/* Presence and size by the listing: said plainer than reading would. */
static int
check_size(const struct store_keys *have, const char *key, uint64_t size,
    struct hf_error *err)
{
	const struct store_key *k = repo_find_key(have, key);

	if (k == NULL)
		return error_fail(err, HF_E_NOTFOUND, "it is missing");
	if (k->size != size)
		return error_fail(err, HF_E_CORRUPT,
		    "damaged: it has %llu bytes instead of %llu",
		    (unsigned long long)k->size, (unsigned long long)size);
	return HF_OK;
}

static int
check_object(struct check *c, const struct store_keys *have, struct hf_in *in,
    const struct manifest_object *o)
{
	struct hf_error err = { 0 };
	const char *key = o->key;
	int rc;

	rc = check_size(have, key, o->stored_size, &err);
	if (rc == HF_OK && o->index_key != NULL &&
	    (rc = check_size(have, o->index_key, o->index_size, &err)) != HF_OK)
		key = o->index_key;
	if (rc == HF_OK)
		rc = in_verify(in, o->name, &err);
	if (rc == HF_OK) {
		c->out->nobjects++;
		c->out->bytes += o->stored_size + o->index_size;
		return HF_OK;
	}
	(void)error_context(&err, "checking %s (%s)", o->name, key);
	return check_failed(c, "object", &err);
}

static int
check_source(struct check *c, const struct store_keys *have,
    const struct manifest_source *s)
{
	struct hf_error err = { 0 };
	struct reading reading;
	int rc = HF_OK;

	if (reading_open(c->r, c->sink, s, on_progress, c, &reading, &err) !=
	    HF_OK) {
		(void)error_context(&err, "checking source %s", s->name);
		return check_failed(c, "source", &err);
	}
	for (size_t i = 0; i < s->nobjects && rc == HF_OK; i++)
		rc = check_object(c, have, reading.in, &s->objects[i]);
	reading_close(&reading);
	for (size_t i = 0; i < s->nobjects; i++)
		*c->done += s->objects[i].raw_size;
	return rc;
}

/* What the manifest says is there, to the last byte. */
static int
check_contents(struct check *c, bool deep)
{
	struct store_keys have = { 0 };
	int rc = check_listing(c, &have);

	for (size_t i = 0; i < c->m->nsources && rc == HF_OK; i++)
		rc = check_source(c, &have, &c->m->sources[i]);
	store_keys_free(&have);
	if (rc == HF_OK)
		rc = check_sums(c);
	if (rc == HF_OK)
		rc = check_parents(c);
	/* What cannot be read need not be restored to know it. */
	if (rc == HF_OK && deep && c->out->nfailures == 0)
		rc = deep_check(c);
	return rc;
}

static void
record(struct check *c, const char *id, bool deep, int64_t started_ms)
{
	const char *kind = deep ? "deep" : "verify";
	int64_t now = text_now();
	json_t *doc = report_head(c->r, kind, id, started_ms, now);
	struct hf_error err = { 0 };
	char line[512];

	if (doc == NULL)
		return;
	(void)json_object_set_new(
	    doc, "sink", repo_text(c->r->sinks[c->sink].name));
	(void)json_object_set_new(doc, "passed", json_boolean(c->out->passed));
	if (c->detail[0] != '\0')
		(void)json_object_set_new(doc, "detail", repo_text(c->detail));
	(void)json_object_set_new(
	    doc, "objects", json_integer((json_int_t)c->out->nobjects));
	(void)json_object_set_new(
	    doc, "stored_size", json_integer((json_int_t)c->out->bytes));
	(void)json_object_set_new(
	    doc, "failures", json_integer((json_int_t)c->out->nfailures));
	(void)json_object_set(doc, "findings", c->findings);
	if (report_check(c->r, c->sink, id, kind, now, doc, &err) != HF_OK) {
		error_line(&err, line, sizeof line);
		log_write(HF_LOG_WARN, "check.lost", c->r->sinks[c->sink].who,
		    "pipeline %s: the result of this check of %s could not be "
		    "kept: %s",
		    c->r->pipeline->name, id, line);
	}
	json_decref(doc);
}

/* The copy as it is now, whatever the listing said before. */
static int
load(struct check *c, const char *id, struct repo_copy *copy)
{
	struct hf_error err = { 0 };
	int rc = catalog_copy(c->r, c->sink, id, copy, &err);

	switch (copy->state) {
	case REPO_COPY_PRESENT:
		c->m = copy->manifest;
		return HF_OK;
	case REPO_COPY_ABSENT:
		rc = error_fail(&c->out->why, HF_E_NOTFOUND,
		    "%s has no copy of %s", c->r->sinks[c->sink].who, id);
		return rc;
	case REPO_COPY_DAMAGED:
		c->out->checked = true;
		return check_failed(c, "manifest", &err);
	case REPO_COPY_UNREACHABLE:
	default:
		c->out->why = err;
		c->out->nfailures = 1;
		return rc == HF_E_CANCELLED || rc == HF_E_NOMEM ? rc : HF_E_IO;
	}
}

/* Returns only what ends the whole verification. */
static int
verify_copy(struct repo *r, size_t sink, const char *id, bool deep,
    struct repo_verify_sink *out, uint64_t *done, uint64_t total)
{
	struct check c = { .r = r,
		.sink = sink,
		.out = out,
		.findings = json_array(),
		.done = done,
		.total = total };
	int64_t started = text_now();
	struct repo_copy copy = { 0 };
	int rc;

	if (c.findings == NULL)
		return repo_nomem(&out->why);
	if ((rc = load(&c, id, &copy)) != HF_OK) {
		if (rc != HF_E_CANCELLED && rc != HF_E_NOMEM)
			rc = HF_OK;
		goto out;
	}
	out->checked = true;
	if (c.m != NULL)
		rc = check_contents(&c, deep);
	if (rc == HF_OK)
		rc = check_documents(&c, id);
	if (rc == HF_OK && cancel_requested(r->env.cancel))
		rc = error_fail(&out->why, HF_E_CANCELLED, "interrupted");
	if (rc == HF_OK) {
		out->passed = out->nfailures == 0;
		record(&c, id, deep, started);
	}
out:
	json_decref(c.findings);
	catalog_copy_clear(&copy);
	return rc;
}

/* What the whole comes to. */
static int
judge(struct repo_verify_result *res, struct hf_error *err)
{
	const struct repo_verify_sink *bad = NULL;
	size_t checked = 0, failed = 0;
	char line[600];

	for (size_t i = 0; i < res->nsinks; i++) {
		const struct repo_verify_sink *v = &res->sinks[i];

		checked += v->checked;
		if (v->nfailures == 0)
			continue;
		failed++;
		if (bad == NULL || (!bad->checked && v->checked))
			bad = v;
	}
	res->passed = failed == 0 && checked > 0;
	if (res->passed)
		return HF_OK;
	if (bad == NULL)
		return error_fail(err, HF_E_NOTFOUND,
		    "no sink that was asked has a copy of %s", res->id);
	if (!bad->checked) {
		if (err != NULL)
			*err = bad->why;
		(void)error_context(
		    err, "verifying %s in sink %s", res->id, bad->name);
		return bad->why.status;
	}
	error_line(&bad->why, line, sizeof line);
	(void)error_fail(err, HF_E_CORRUPT, "%s", line);
	if (error_get(&bad->why, "hint") != NULL)
		error_note(err, "hint", error_get(&bad->why, "hint"));
	(void)error_context(err, "verifying %s in sink %s", res->id, bad->name);
	return HF_E_CORRUPT;
}

static int
begin(struct repo *r, const struct repo_backup_entry *e, const char *sink,
    struct repo_verify_result *res, struct hf_error *err)
{
	*res = (struct repo_verify_result){ .started_ms = text_now() };
	memcpy(res->id, e->id, sizeof res->id);
	res->sinks = calloc(r->nsinks + 1, sizeof *res->sinks);
	if (res->sinks == NULL)
		return repo_nomem(err);
	for (size_t i = 0; i < r->nsinks; i++)
		if (sink == NULL || strcmp(sink, r->sinks[i].name) == 0)
			res->sinks[res->nsinks++].name = r->sinks[i].name;
	if (res->nsinks > 0)
		return HF_OK;
	return error_fail(err, HF_E_NOTFOUND, "pipeline %s has no sink \"%s\"",
	    r->pipeline->name, sink == NULL ? "" : sink);
}

static uint64_t
total_bytes(
    const struct repo *r, const struct repo_backup_entry *e, const char *sink)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->nsinks; i++)
		if ((sink == NULL || strcmp(sink, r->sinks[i].name) == 0) &&
		    e->copies[i].manifest != NULL)
			n += manifest_raw_size(e->copies[i].manifest);
	return n;
}

int
verify_entry(struct repo *r, const struct repo_backup_entry *e,
    const char *sink, bool deep, struct repo_verify_result *res,
    struct hf_error *err)
{
	uint64_t done = 0, total = total_bytes(r, e, sink);
	size_t n = 0;
	int rc;

	if ((rc = begin(r, e, sink, res, err)) != HF_OK)
		return rc;
	for (size_t i = 0; i < r->nsinks && n < res->nsinks; i++) {
		struct repo_verify_sink *v = &res->sinks[n];

		if (strcmp(v->name, r->sinks[i].name) != 0)
			continue;
		n++;
		if (e->copies[i].state == REPO_COPY_ABSENT) {
			(void)error_fail(&v->why, HF_E_NOTFOUND,
			    "sink %s has no copy of %s", v->name, e->id);
			continue;
		}
		if ((rc = verify_copy(r, i, e->id, deep, v, &done, total)) !=
		    HF_OK) {
			res->ended_ms = text_now();
			if (err != NULL)
				*err = v->why;
			return rc;
		}
	}
	res->ended_ms = text_now();
	return judge(res, err);
}

int
repo_verify(struct repo *r, const struct repo_backup_entry *e, const char *sink,
    bool deep, struct repo_verify_result *res, struct hf_error *err)
{
	int rc = verify_entry(r, e, sink, deep, res, err);

	if (rc != HF_E_CANCELLED && rc != HF_E_NOMEM && res->nsinks > 0)
		report_verify(r, res, deep);
	return rc;
}

void
repo_verify_result_clear(struct repo_verify_result *res)
{
	free(res->sinks);
	*res = (struct repo_verify_result){ 0 };
}
