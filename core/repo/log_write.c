/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "flow/out.h"
#include "plugin/store.h"
#include "repo/log_private.h"

enum target_state {
	TARGET_OUT,   /* cannot be used for this object; why says it */
	TARGET_HAS,   /* its document is there */
	TARGET_LACKS, /* gets data, and then its document */
};

/* One sink, as this object finds it. */
struct target {
	enum target_state state;
	bool paused; /* not asked */
	struct store *store;
	struct log_doc *doc; /* HAS: what was there before */
	size_t lane;         /* LACKS: in the outflow */
	struct hf_error why;
};

struct writer {
	struct hf_writer base;
	struct repo_log *log;
	char *name;
	json_t *facts;
	int64_t began_ms;
	size_t want; /* sinks that must have it */
	struct target *targets;
	/* The data on its way to the sinks that lack it; NULL: none does. */
	struct outflow *flow;
	struct hf_out *out;
	struct hf_writer *inner;
	struct filter **common;
	/* Only when a sink has the object: what is written here has to be the
	 * same, whatever becomes of the flow. */
	struct sha256 *sha;
	uint64_t raw_size;
	char raw_sha256[SHA256_HEX];
};

static struct writer *
writer_of(struct hf_writer *w)
{
	return (struct writer *)(void *)w;
}

static size_t
count(const struct writer *w, enum target_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < w->log->r->nsinks; i++)
		n += w->targets[i].state == state;
	return n;
}

/* Which sinks of the flow came through, and which ones must not be touched any
 * more.  The flow is closed, its results stay. */
static void
settle(struct writer *w)
{
	for (size_t i = 0; i < w->log->r->nsinks; i++) {
		struct target *t = &w->targets[i];

		if (t->state != TARGET_LACKS)
			continue;
		if (outflow_sink_stuck(w->flow, t->lane))
			log_sink_stuck(w->log, i);
		if (outflow_sink_ok(w->flow, t->lane, &t->why))
			continue;
		t->state = TARGET_OUT;
		/* Of data, which nobody puts conditionally. */
		if (t->why.status == HF_E_EXISTS ||
		    t->why.status == HF_E_NOTFOUND)
			t->why.status = HF_E_IO;
		log_sink_wrote(w->log, i, &t->why);
	}
}

static void
end_inner(struct writer *w)
{
	if (w->inner != NULL)
		w->inner->ops->abort(w->inner);
	w->inner = NULL;
	outflow_close(w->flow);
	settle(w);
}

static void
writer_free(struct writer *w)
{
	if (w->flow != NULL) {
		end_inner(w);
		outflow_free(w->flow);
	}
	for (size_t i = 0; i < w->log->r->nsinks && w->targets != NULL; i++)
		log_doc_free(w->targets[i].doc);
	sha256_free(w->sha);
	json_decref(w->facts);
	free(w->targets);
	free(w->name);
	free(w);
}

/* ---- beginning: who has it, who lacks it ---- */

/* The document is there; is its data? */
static int
check_data(struct writer *w, size_t i, struct hf_error *err)
{
	struct hf_object object = { .struct_size = sizeof object };
	const struct manifest_object *o = &w->targets[i].doc->object;
	int rc = store_stat(w->targets[i].store, o->key, &object, err);

	if (rc == HF_OK && object.size == o->stored_size)
		return HF_OK;
	if (rc != HF_OK && rc != HF_E_NOTFOUND)
		return rc;
	(void)error_fail(err, HF_E_CORRUPT,
	    "%s: the log has %s, but its data %s is %s",
	    w->log->r->sinks[i].who, w->name, o->key,
	    rc == HF_OK ? "of another size" : "not there");
	error_hint(err,
	    "Remove the file %s%s.json there: the next push writes it again.",
	    w->log->prefix, w->name);
	return HF_E_CORRUPT;
}

static int
find_state(struct writer *w, size_t i)
{
	struct target *t = &w->targets[i];
	int rc;

	error_clear(&t->why);
	if ((rc = log_sink_write(w->log, i, &t->store, &t->why)) != HF_OK)
		return rc;
	rc = log_doc_get(w->log, i, t->store, w->name, &t->doc, &t->why);
	if (rc == HF_E_NOTFOUND) {
		error_clear(&t->why);
		t->state = TARGET_LACKS;
		return HF_OK;
	}
	if (rc == HF_OK && (rc = check_data(w, i, &t->why)) == HF_OK)
		t->state = TARGET_HAS;
	return rc;
}

/* Fails with what ends everything alone. */
static int
look(struct writer *w, size_t i, struct hf_error *err)
{
	const struct hf_error *why = &w->targets[i].why;
	int rc = find_state(w, i);

	if (rc == HF_OK)
		return HF_OK;
	if (log_ends_all(rc)) {
		if (err != NULL)
			*err = *why;
		return rc;
	}
	log_sink_wrote(w->log, i, why);
	return HF_OK;
}

static int
look_everywhere(struct writer *w, struct hf_error *err)
{
	size_t n = w->log->r->nsinks;
	int rc;

	for (size_t i = 0; i < n; i++) {
		struct target *t = &w->targets[i];

		t->paused = log_sink_paused(w->log, i, &t->why);
		if (!t->paused && (rc = look(w, i, err)) != HF_OK)
			return rc;
	}
	/* Those that are left alone come into play when the others do not
	 * suffice. */
	for (size_t i = 0; i < n; i++)
		if (w->targets[i].paused &&
		    n - count(w, TARGET_OUT) < w->want &&
		    (rc = look(w, i, err)) != HF_OK)
			return rc;
	return HF_OK;
}

static int
open_flow(struct writer *w, uint64_t size_hint, struct hf_error *err)
{
	struct repo *r = w->log->r;
	struct out_sink *sinks = calloc(r->nsinks + 1, sizeof *sinks);
	struct out_options options = { .key_prefix = w->log->prefix,
		.nfilters = r->pipeline->nthrough,
		.sinks = sinks,
		.literal = true,
		.no_spool = true };
	char random[9], *name = NULL;
	int rc;

	text_random_hex(4, random);
	name = text_format("%s-%s", w->name, random);
	if (sinks == NULL || name == NULL) {
		rc = repo_nomem(err);
		goto out;
	}
	if ((rc = log_common(w->log, &w->common, err)) != HF_OK)
		goto out;
	options.filters = w->common;
	for (size_t i = 0; i < r->nsinks; i++) {
		struct target *t = &w->targets[i];

		if (t->state != TARGET_LACKS)
			continue;
		t->lane = options.nsinks;
		sinks[options.nsinks++] =
		    (struct out_sink){ .name = r->sinks[i].name,
			    .store = t->store,
			    .filters = w->log->sinks[i].own,
			    .nfilters = r->sinks[i].config->nthrough,
			    .stall_ms = r->sinks[i].config->stall_ms };
	}
	if ((rc = outflow_new(r->env.flow, &options, &w->flow, err)) != HF_OK) {
		w->flow = NULL;
		goto out;
	}
	if ((rc = out_new(w->flow, "", &w->out, err)) == HF_OK)
		rc =
		    w->out->ops->begin(w->out, name, size_hint, &w->inner, err);
	if (rc != HF_OK)
		w->inner = NULL;
out:
	free(sinks);
	free(name);
	return rc;
}

/* Nobody can be asked, so that nobody could keep it. */
static int
none_left(const struct writer *w, struct hf_error *err)
{
	if (count(w, TARGET_OUT) < w->log->r->nsinks)
		return HF_OK;
	if (w->log->r->nsinks == 0)
		return error_fail(err, HF_E_INVALID, "pipeline %s has no sink",
		    w->log->r->pipeline->name);
	if (err != NULL)
		*err = w->targets[0].why;
	return w->targets[0].why.status;
}

int
log_write_begin(struct repo_log *log, const char *name, uint64_t size_hint,
    size_t want, struct hf_writer **res, struct hf_error *err)
{
	struct writer *w;
	int rc;

	if ((rc = log_check_name(name, err)) != HF_OK)
		return rc;
	if ((w = calloc(1, sizeof *w)) == NULL)
		return repo_nomem(err);
	w->base.ops = &log_out_ops;
	w->log = log;
	w->want = want;
	w->began_ms = text_now();
	w->targets = calloc(log->r->nsinks + 1, sizeof *w->targets);
	w->name = strdup(name);
	w->facts = json_object();
	if (w->targets == NULL || w->name == NULL || w->facts == NULL) {
		rc = repo_nomem(err);
		goto err0;
	}
	if ((rc = look_everywhere(w, err)) != HF_OK ||
	    (rc = none_left(w, err)) != HF_OK)
		goto err0;
	if (count(w, TARGET_HAS) > 0 &&
	    (rc = sha256_new(&w->sha, err)) != HF_OK)
		goto err0;
	if (count(w, TARGET_LACKS) > 0 &&
	    (rc = open_flow(w, size_hint, err)) != HF_OK)
		goto err0;
	*res = &w->base;
	return HF_OK;

err0:
	writer_free(w);
	return rc;
}

static int
log_begin(struct hf_out *out, const char *name, uint64_t size_hint,
    struct hf_writer **w, struct hf_error *err)
{
	struct repo_log *log = ((struct log_out *)(void *)out)->log;

	return log_write_begin(log, name, size_hint, log_required(log), w, err);
}

/* ---- the bytes ---- */

/* The flow came to nothing.  HF_OK when that is a matter of its sinks alone,
 * and others have the object. */
static int
flow_failed(struct writer *w, int rc)
{
	end_inner(w);
	if (log_ends_all(rc) || count(w, TARGET_LACKS) > 0 || w->sha == NULL)
		return rc;
	return HF_OK;
}

static int
log_write_bytes(
    struct hf_writer *h, const void *p, size_t len, struct hf_error *err)
{
	struct writer *w = writer_of(h);
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (w->sha != NULL)
		sha256_update(w->sha, p, len);
	w->raw_size += len;
	if (w->inner == NULL)
		return w->sha != NULL
			   ? HF_OK
			   : error_fail(err, HF_E_BUG,
				 "%s is written on after a failure", w->name);
	rc = w->inner->ops->write(w->inner, p, len, &why);
	if (rc != HF_OK && (rc = flow_failed(w, rc)) != HF_OK && err != NULL)
		*err = why;
	return rc;
}

static int
log_fact(struct hf_writer *h, const char *key, const char *value,
    struct hf_error *err)
{
	struct writer *w = writer_of(h);

	if (json_object_set_new(w->facts, key, repo_text(value)) == 0)
		return HF_OK;
	return error_fail(err, HF_E_INVALID,
	    "the fact %.60s of %s is not UTF-8, or there is no memory", key,
	    w->name);
}

static void
log_abort(struct hf_writer *h)
{
	writer_free(writer_of(h));
}

static int
no_fact(struct hf_out *out, const char *key, const char *value,
    struct hf_error *err)
{
	(void)out;
	(void)value;
	return error_fail(err, HF_E_UNSUPPORTED,
	    "a log has no facts, its objects do: %.60s", key);
}

/* ---- the end ---- */

/* The data are in the sinks that are still LACKS. */
static int
end_flow(struct writer *w, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct hf_writer *inner = w->inner;
	const struct flow_object *f;
	int rc;

	w->inner = NULL;
	rc = inner->ops->commit(inner, &why);
	if (rc != HF_OK) {
		if ((rc = flow_failed(w, rc)) != HF_OK && err != NULL)
			*err = why;
		return rc;
	}
	outflow_close(w->flow);
	settle(w);
	for (size_t i = 0; i < w->log->r->nsinks; i++) {
		struct target *t = &w->targets[i];

		if (t->state != TARGET_LACKS)
			continue;
		f = out_object(w->out, t->lane, 0);
		if (f == NULL)
			return error_fail(err, HF_E_BUG,
			    "%s: %s was stored and is not known",
			    w->log->r->sinks[i].who, w->name);
		w->raw_size = f->raw_size;
		memcpy(w->raw_sha256, f->raw_sha256, SHA256_HEX);
	}
	return HF_OK;
}

static int
conflict(const struct writer *w, size_t i, const struct log_doc *d,
    struct hf_error *err)
{
	(void)error_fail(err, HF_E_EXISTS,
	    "the log has %s already with other bytes: in %s %" PRIu64
	    " bytes with the SHA-256 %s, given were %" PRIu64
	    " bytes with the SHA-256 %s",
	    w->name, w->log->r->sinks[i].who, d->object.raw_size,
	    d->object.raw_sha256, w->raw_size, w->raw_sha256);
	error_hint(err,
	    "Do two databases write to the log of pipeline %s?  Each needs a "
	    "pipeline of its own.",
	    w->log->r->pipeline->name);
	return HF_E_EXISTS;
}

/* Data that no document of ours will name. */
static void
remove_own(struct writer *w, size_t i, const struct manifest_object *o)
{
	struct hf_error why = { .status = HF_OK };
	char line[512];

	if (log_doc_remove_data(w->targets[i].store, o, &why) == HF_OK)
		return;
	error_line(&why, line, sizeof line);
	log_write(HF_LOG_INFO, "log.leftover", w->log->r->sinks[i].who,
	    "%s is not needed and is still there, prune clears it: %s", o->key,
	    line);
}

/* Was the request refused for certain?  Else it may be carried out yet, and
 * the document then needs its data. */
static bool
refused(int status)
{
	return status == HF_E_INVALID || status == HF_E_DENIED ||
	       status == HF_E_NOSPACE || status == HF_E_UNSUPPORTED;
}

/* The document could not be put: because it is there, or nobody knows. */
static int
after_put(struct writer *w, size_t i, const struct log_doc *own, int rc,
    struct hf_error *err)
{
	struct target *t = &w->targets[i];
	struct hf_error why = { .status = HF_OK };
	struct log_doc *d = NULL;
	int got = log_doc_get(w->log, i, t->store, w->name, &d, &why);

	if (got == HF_OK && strcmp(d->object.key, own->object.key) == 0) {
		rc = HF_OK; /* only the answer was lost */
	} else if (got == HF_OK) {
		remove_own(w, i, &own->object);
		rc = log_doc_same(d, w->raw_size, w->raw_sha256)
			 ? HF_OK
			 : conflict(w, i, d, err);
	} else if (rc == HF_E_EXISTS) {
		/* Somebody's is there, but it cannot be read. */
		if (err != NULL)
			*err = why;
		rc = got == HF_E_NOTFOUND ? log_not_missing(err, got) : got;
	} else if (got == HF_E_NOTFOUND && refused(rc)) {
		remove_own(w, i, &own->object);
	}
	log_doc_free(d);
	return rc;
}

static int
publish(struct writer *w, size_t i, struct hf_error *err)
{
	struct repo *r = w->log->r;
	struct target *t = &w->targets[i];
	struct build build = { .common = w->common,
		.ncommon = r->pipeline->nthrough,
		.own = w->log->sinks[i].own,
		.nown = r->sinks[i].config->nthrough };
	struct log_doc own = {
		.name = w->name, .written_ms = text_now(), .facts = w->facts
	};
	int rc;

	if (!build_object(&build, out_object(w->out, t->lane, 0), &own.object))
		rc = repo_nomem(err);
	else if (own.written_ms - w->began_ms > LOG_GARBAGE_S * 1000 / 2)
		rc = error_fail(err, HF_E_TRANSIENT,
		    "%s took so long that its data may have been cleared away",
		    w->name);
	else if ((rc = log_doc_put(w->log, t->store, &own, err)) != HF_OK &&
		 !log_ends_all(rc))
		rc = after_put(w, i, &own, rc, err);
	manifest_object_clear(&own.object);
	return rc;
}

/* The flow's data in the sinks from i on, after a conflict. */
static void
remove_rest(struct writer *w, size_t i)
{
	for (; i < w->log->r->nsinks; i++) {
		const struct flow_object *f;
		struct manifest_object o = { 0 };

		if (w->targets[i].state != TARGET_LACKS ||
		    (f = out_object(w->out, w->targets[i].lane, 0)) == NULL)
			continue;
		o.key = f->key;
		o.index_key = f->index_size > 0 ? f->index_key : NULL;
		remove_own(w, i, &o);
	}
}

/* In the order of the sinks, see log.h. */
static int
publish_all(struct writer *w, struct hf_error *err)
{
	for (size_t i = 0; i < w->log->r->nsinks; i++) {
		struct target *t = &w->targets[i];
		int rc;

		if (t->state != TARGET_LACKS)
			continue;
		error_clear(&t->why);
		rc = log_not_missing(&t->why, publish(w, i, &t->why));
		if (rc == HF_E_EXISTS || log_ends_all(rc)) {
			if (rc == HF_E_EXISTS)
				remove_rest(w, i + 1);
			if (err != NULL)
				*err = t->why;
			return rc;
		}
		t->state = rc == HF_OK ? TARGET_HAS : TARGET_OUT;
		log_sink_wrote(w->log, i, rc == HF_OK ? NULL : &t->why);
	}
	return HF_OK;
}

/* What was given against what was there before. */
static int
compare(struct writer *w, struct hf_error *err)
{
	int rc;

	for (size_t i = 0; i < w->log->r->nsinks; i++) {
		const struct log_doc *d = w->targets[i].doc;

		if (w->targets[i].state != TARGET_HAS ||
		    log_doc_same(d, w->raw_size, w->raw_sha256))
			continue;
		rc = conflict(w, i, d, err);
		if (w->flow != NULL)
			remove_rest(w, 0);
		return rc;
	}
	return HF_OK;
}

static int
enough(const struct writer *w, struct hf_error *err)
{
	size_t have = count(w, TARGET_HAS), want = w->want;

	for (size_t i = 0; i < w->log->r->nsinks && have < want; i++) {
		const struct target *t = &w->targets[i];

		if (t->state != TARGET_OUT)
			continue;
		if (err != NULL)
			*err = t->why;
		(void)error_context(err,
		    "keeping %s, which %zu of the %zu sinks that must have it "
		    "have",
		    w->name, have, want);
		return t->why.status;
	}
	return HF_OK;
}

static int
log_commit(struct hf_writer *h, struct hf_error *err)
{
	struct writer *w = writer_of(h);
	int rc = HF_OK;

	if (w->inner == NULL && w->sha == NULL)
		rc = error_fail(
		    err, HF_E_BUG, "%s is committed after a failure", w->name);
	if (w->sha != NULL)
		sha256_final(w->sha, w->raw_sha256);
	if (rc == HF_OK && w->inner != NULL)
		rc = end_flow(w, err);
	if (rc == HF_OK && (rc = compare(w, err)) == HF_OK &&
	    (rc = publish_all(w, err)) == HF_OK)
		rc = enough(w, err);
	writer_free(w);
	return rc;
}

const struct out_ops log_out_ops = {
	.begin = log_begin,
	.write = log_write_bytes,
	.commit = log_commit,
	.abort = log_abort,
	.fact = no_fact,
	.writer_fact = log_fact,
	.remove = log_keep_remove,
};
