/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "config/config.h"
#include "plugin/engine.h"
#include "plugin/filter.h"
#include "plugin/store.h"
#include "repo/repo_private.h"

#define PROBE (96 * 1024) /* half of it text, half of it noise */

struct doctor {
	struct repo *r;
	char subject[160]; /* "sink nas" */
	int worst;
};

static int
on_finding(void *arg, const struct hf_finding *f)
{
	struct doctor *d = arg;

	if (f->verdict > d->worst)
		d->worst = f->verdict > HF_FAIL ? HF_FAIL : f->verdict;
	repo_found(d->r, d->subject, f);
	return HF_OK;
}

static void
found(struct doctor *d, int verdict, const char *check, const char *result,
    const char *hint)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.verdict = verdict,
		.check = check,
		.result = result,
		.hint = hint };

	(void)on_finding(d, &f);
}

/* A question that could not be asked is an answer too.  Only what ends the
 * whole doctor is returned. */
static int
failed(struct doctor *d, const char *check, const struct hf_error *err)
{
	char line[1024];

	if (err->status == HF_E_CANCELLED || err->status == HF_E_NOMEM)
		return err->status;
	error_line(err, line, sizeof line);
	found(d, HF_FAIL, check, line, error_get(err, "hint"));
	return HF_OK;
}

static void
about(struct doctor *d, const char *what, const char *name)
{
	(void)snprintf(d->subject, sizeof d->subject, "%s %s", what, name);
}

static int
ask_source(
    struct doctor *d, const struct config_item *item, struct hf_error *err)
{
	struct source source;
	int rc;

	about(d, "source", item->name);
	if ((rc = source_open(d->r, item, NULL, &source, err)) != HF_OK)
		return failed(d, "open", err);
	rc = engine_check(source.engine, on_finding, d, err);
	source_close(&source);
	return rc == HF_OK ? HF_OK : failed(d, "check", err);
}

static int
ask_layout(struct doctor *d, const struct repo_sink *s, struct hf_error *err)
{
	struct store *store = s->store;
	int rc = layout_verify_repo(store, err);

	if (rc == HF_E_NOTFOUND) {
		error_clear(err);
		if (known_refuse(d->r, s, err) != HF_OK)
			return failed(d, "repository", err);
		found(d, HF_PASS, "repository",
		    "not there yet; the first backup makes it", NULL);
		return HF_OK;
	}
	if (rc != HF_OK)
		return failed(d, "repository", err);
	found(d, HF_PASS, "repository", "repo.json is whole", NULL);
	if (layout_verify_readme(store, err) != HF_OK)
		return failed(d, "repository", err);
	return HF_OK;
}

static int
ask_sink(struct doctor *d, size_t i, struct hf_error *err)
{
	struct repo_sink *s = &d->r->sinks[i];
	char text[400];
	int rc;

	about(d, "sink", s->name);
	if (open_sink(d->r, i, err) != HF_OK)
		return failed(d, "open", err);
	if (store_check(s->store, on_finding, d, err) != HF_OK)
		return failed(d, "check", err);
	if (repo_sink_shareable(s->store, s->name, err) != HF_OK &&
	    (rc = failed(d, "shareable", err)) != HF_OK)
		return rc;
	error_clear(err);
	if (fleets_share(d->r, i, text, sizeof text))
		found(d, HF_WARN, "one fleet", text, FLEETS_HINT);
	return ask_layout(d, s, err);
}

static int
push(struct filter *f, bool decode, const struct buf *src, struct buf *dst,
    struct hf_error *err)
{
	struct xform *x;
	int rc;

	if ((rc = xform_begin(f, decode, "doctor", &x, err)) != HF_OK)
		return rc;
	rc = xform_push(x, src->data, src->len, true, dst, err);
	xform_end(x);
	return rc;
}

/* There and back again through one filter. */
static int
round_trip(struct filter *f, const struct buf *in, struct hf_error *err)
{
	struct buf coded = BUF_INIT, out = BUF_INIT;
	int rc;

	if ((rc = push(f, false, in, &coded, err)) == HF_OK &&
	    (rc = push(f, true, &coded, &out, err)) == HF_OK &&
	    (out.len != in->len || memcmp(out.data, in->data, in->len) != 0))
		rc = error_fail(
		    err, HF_E_CORRUPT, "what went in did not come out again");
	buf_free(&coded);
	buf_free(&out);
	return rc;
}

static int
probe(struct buf *b, struct hf_error *err)
{
	static const char line[] = "2026-11-21 02:15:00|order|42|paid\n";
	uint64_t x = 88172645463325252u;
	int rc;

	if ((rc = buf_reserve(b, PROBE, err)) != HF_OK)
		return rc;
	while (b->len < PROBE / 2)
		if ((rc = buf_append(b, line, sizeof line - 1, err)) != HF_OK)
			return rc;
	while (b->len < PROBE) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if ((rc = buf_append(b, &x, sizeof x, err)) != HF_OK)
			return rc;
	}
	return HF_OK;
}

static int
ask_filter(struct doctor *d, const struct config_item *item,
    const struct buf *data, struct hf_error *err)
{
	struct filter **chain;
	int rc;

	about(d, "filter", item->name);
	if (open_filters(d->r, &item, 1, &chain, err) != HF_OK)
		return failed(d, "open", err);
	rc = round_trip(chain[0], data, err);
	free(chain);
	if (rc != HF_OK)
		return failed(d, "round trip", err);
	found(d, HF_PASS, "round trip", "what went in came out again", NULL);
	return HF_OK;
}

/* Each filter once, whatever number of chains it is in. */
static int
ask_filters(struct doctor *d, struct hf_error *err)
{
	const struct config *config = d->r->env.config;
	const struct config_pipeline *p = d->r->pipeline;
	struct buf data = BUF_INIT;
	int rc = probe(&data, err);

	for (size_t i = 0; i < config->nfilters && rc == HF_OK; i++) {
		const struct config_item *item = &config->filters[i];
		bool used = false;

		for (size_t n = 0; n < p->nthrough; n++)
			used = used || p->through[n] == item;
		for (size_t s = 0; s < p->nto; s++)
			for (size_t n = 0; n < p->to[s]->nthrough; n++)
				used = used || p->to[s]->through[n] == item;
		error_clear(err);
		if (used)
			rc = ask_filter(d, item, &data, err);
	}
	buf_free(&data);
	return rc;
}

int
repo_doctor(struct repo *r, int *worst, struct hf_error *err)
{
	struct doctor d = { .r = r, .worst = HF_PASS };
	struct hf_error own = { 0 };
	int rc = HF_OK;

	if (err == NULL)
		err = &own;
	for (size_t i = 0; i < r->pipeline->nsources && rc == HF_OK; i++) {
		error_clear(err);
		rc = ask_source(&d, &r->pipeline->sources[i], err);
	}
	if (rc == HF_OK)
		rc = ask_filters(&d, err);
	for (size_t i = 0; i < r->nsinks && rc == HF_OK; i++) {
		error_clear(err);
		rc = ask_sink(&d, i, err);
	}
	if (rc == HF_OK)
		error_clear(err);
	*worst = d.worst;
	return rc;
}
