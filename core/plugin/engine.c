/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plugin/instance.h"
#include "plugin/lint.h"
#include "plugin/loader.h"
#include "plugin/options.h"

struct engine {
	struct instance base;
	const struct hf_engine_ops *ops;
	struct hf_engine *handle;
};

/* The plugin writes to a slot of its own, so that the caller's is touched
 * only by a failure. */
static int
done(struct engine *e, const char *call, int rc, struct hf_error *why,
    struct hf_error *err)
{
	rc = instance_status(&e->base, call, rc, false, why);
	if (rc != HF_OK && err != NULL)
		*err = *why;
	return rc;
}

int
engine_open(const struct plugin *p, const struct hf_ctx *ctx,
    struct options *options, struct engine **out, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct engine *e = calloc(1, sizeof *e);
	int rc;

	*out = NULL;
	if (e == NULL) {
		options_free(options);
		return error_fail(err, HF_E_NOMEM, "no memory for an engine");
	}
	if ((rc = instance_init(&e->base, p, ctx, options, err)) != HF_OK)
		goto err0;
	e->ops = p->desc.engine;
	if (e->ops == NULL) {
		rc = error_fail(err, HF_E_INVALID,
		    "the plugin \"%s\" is not an engine", p->desc.name);
		goto err1;
	}
	instance_lock(&e->base);
	rc = e->ops->open(
	    &e->base.ctx, options_conf(e->base.options), &e->handle, &why);
	instance_unlock(&e->base);
	if ((rc = done(e, "open", rc, &why, err)) != HF_OK)
		goto err1;
	*out = e;
	return HF_OK;

err1:
	instance_destroy(&e->base);
err0:
	free(e);
	return rc;
}

void
engine_close(struct engine *e)
{
	if (e == NULL)
		return;
	instance_lock(&e->base);
	e->ops->close(e->handle);
	instance_unlock(&e->base);
	instance_destroy(&e->base);
	free(e);
}

const struct plugin *
engine_plugin(const struct engine *e)
{
	return e->base.plugin;
}

static int
unsupported(struct engine *e, const char *what, struct hf_error *err)
{
	return error_fail(err, HF_E_UNSUPPORTED, "the engine %s cannot %s",
	    e->base.plugin->desc.name, what);
}

int
engine_check(
    struct engine *e, hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->check == NULL)
		return HF_OK;
	instance_lock(&e->base);
	rc = e->ops->check(e->handle, fn, arg, &why);
	instance_unlock(&e->base);
	return done(e, "check", rc, &why, err);
}

/* A copy at this core's size, so that struct_size is right whoever made the
 * request. */
static struct hf_request
request(const struct hf_request *given)
{
	struct hf_request r = *given;

	r.struct_size = sizeof r;
	if (r.max_streams == 0)
		r.max_streams = 1;
	return r;
}

int
engine_backup(struct engine *e, const struct hf_request *given,
    struct hf_out *out, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct hf_request r = request(given);
	int rc;

	if (r.kind != HF_KIND_FULL && r.kind != HF_KIND_INCR &&
	    r.kind != HF_KIND_LOG)
		return error_fail(
		    err, HF_E_BUG, "0x%x is not a kind of backup", r.kind);
	if ((r.kind & e->ops->kinds) == 0)
		return unsupported(e, "make a backup of this kind", err);
	if (r.kind == HF_KIND_INCR && r.parent == NULL)
		return error_fail(err, HF_E_BUG,
		    "an incremental backup was asked for without its parent");
	if (r.flags != 0)
		return error_fail(err, HF_E_UNSUPPORTED,
		    "unknown backup flags 0x%x", r.flags);
	instance_lock(&e->base);
	rc = e->ops->backup(e->handle, &r, out, &why);
	instance_unlock(&e->base);
	return done(e, "backup", rc, &why, err);
}

int
engine_restore(struct engine *e, const struct hf_request *given,
    struct hf_in *const *oldest_first, size_t n, struct hf_error *err)
{
	const uint32_t known = HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE;
	struct hf_error why = { .status = HF_OK };
	struct hf_request r = request(given);
	int rc;

	if ((r.flags & ~known) != 0)
		return error_fail(err, HF_E_UNSUPPORTED,
		    "unknown restore flags 0x%x", r.flags & ~known);
	if (n == 0)
		return error_fail(
		    err, HF_E_BUG, "a restore was asked for without a backup");
	instance_lock(&e->base);
	rc = e->ops->restore(e->handle, &r, oldest_first, n, &why);
	instance_unlock(&e->base);
	return done(e, "restore", rc, &why, err);
}

/* Text that a plugin wrote to the core's memory must end in it. */
static int
ended(struct engine *e, const char *call, const char *text, size_t cap,
    struct hf_error *err)
{
	if (memchr(text, '\0', cap) != NULL)
		return HF_OK;
	return error_fail(err, HF_E_BUG,
	    "the plugin %s gave a text without an end in %s()",
	    e->base.plugin->desc.name, call);
}

int
engine_scratch(struct engine *e, const char *dir, char *target, size_t cap,
    struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->scratch == NULL)
		return unsupported(e, "restore to a scratch place", err);
	if (cap == 0)
		return error_fail(err, HF_E_BUG, "no room for a target");
	target[0] = '\0';
	instance_lock(&e->base);
	rc = e->ops->scratch(e->handle, dir, target, cap, &why);
	instance_unlock(&e->base);
	if ((rc = done(e, "scratch", rc, &why, err)) != HF_OK)
		return rc;
	return ended(e, "scratch", target, cap, err);
}

int
engine_inspect(struct engine *e, const char *target, struct hf_in *in,
    hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->inspect == NULL)
		return unsupported(e, "look inside of a restored copy", err);
	instance_lock(&e->base);
	rc = e->ops->inspect(e->handle, target, in, fn, arg, &why);
	instance_unlock(&e->base);
	return done(e, "inspect", rc, &why, err);
}

int
engine_query(struct engine *e, const char *target, const char *sql, char *value,
    size_t cap, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->query == NULL)
		return unsupported(e, "answer SQL", err);
	if (cap == 0)
		return error_fail(err, HF_E_BUG, "no room for an answer");
	value[0] = '\0';
	instance_lock(&e->base);
	rc = e->ops->query(e->handle, target, sql, value, cap, &why);
	instance_unlock(&e->base);
	if ((rc = done(e, "query", rc, &why, err)) != HF_OK)
		return rc;
	return ended(e, "query", value, cap, err);
}

void
engine_discard(struct engine *e, const char *target)
{
	if (e->ops->discard == NULL)
		return;
	instance_lock(&e->base);
	e->ops->discard(e->handle, target);
	instance_unlock(&e->base);
}

/* ---- logs ---- */

uint32_t
engine_log_kinds(struct engine *e)
{
	uint32_t kinds;

	if (e->ops->log_kinds == NULL)
		return 0;
	instance_lock(&e->base);
	kinds = e->ops->log_kinds(e->handle);
	instance_unlock(&e->base);
	/* What this core does not know, it cannot use. */
	return kinds & (HF_LOG_FOLLOW | HF_LOG_PUSH);
}

int
engine_log_push(struct engine *e, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->log_push == NULL)
		return unsupported(e, "take files for a log", err);
	instance_lock(&e->base);
	rc = e->ops->log_push(e->handle, file, log, have, &why);
	instance_unlock(&e->base);
	return done(e, "log_push", rc, &why, err);
}

int
engine_log_get(struct engine *e, const char *name, const char *file,
    struct hf_in *log, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->log_get == NULL)
		return unsupported(e, "bring files from a log", err);
	instance_lock(&e->base);
	rc = e->ops->log_get(e->handle, name, file, log, &why);
	instance_unlock(&e->base);
	return done(e, "log_get", rc, &why, err);
}

int
engine_log_ahead(
    struct engine *e, const char *name, struct hf_in *log, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->log_ahead == NULL)
		return unsupported(e, "fetch a log ahead", err);
	instance_lock(&e->base);
	rc = e->ops->log_ahead(e->handle, name, log, &why);
	instance_unlock(&e->base);
	return done(e, "log_ahead", rc, &why, err);
}

int
engine_log_behind(struct engine *e, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->log_behind == NULL)
		return unsupported(e, "bring waiting files along", err);
	instance_lock(&e->base);
	rc = e->ops->log_behind(e->handle, file, log, have, &why);
	instance_unlock(&e->base);
	return done(e, "log_behind", rc, &why, err);
}

int
engine_log_reach(struct engine *e, const struct hf_request *given,
    struct hf_in *backup, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct hf_request r = request(given);
	int rc;

	if (e->ops->log_reach == NULL)
		return unsupported(e, "say what its log reaches", err);
	instance_lock(&e->base);
	rc = e->ops->log_reach(e->handle, &r, backup, &why);
	instance_unlock(&e->base);
	return done(e, "log_reach", rc, &why, err);
}

/* A plugin of another minor version has structs of another length.  What the
 * function answered is kept, because it is no status of the plugin's. */
struct pass {
	union {
		hf_span_fn *span;
		hf_finding_fn *finding;
		hf_list_fn *object;
	} fn;
	void *arg;
	int stopped;
};

static int
pass_span(void *arg, const struct hf_span *given)
{
	struct pass *p = arg;
	struct hf_span s;

	if (p->stopped != 0)
		return p->stopped;
	lint_copy(&s, sizeof s, given);
	s.struct_size = sizeof s;
	return p->stopped = p->fn.span(p->arg, &s);
}

static int
pass_finding(void *arg, const struct hf_finding *given)
{
	struct pass *p = arg;
	struct hf_finding f;

	if (p->stopped != 0)
		return p->stopped;
	lint_copy(&f, sizeof f, given);
	f.struct_size = sizeof f;
	return p->stopped = p->fn.finding(p->arg, &f);
}

static int
pass_object(void *arg, const struct hf_object *given)
{
	struct pass *p = arg;
	struct hf_object o;

	if (p->stopped != 0)
		return p->stopped;
	lint_copy(&o, sizeof o, given);
	o.struct_size = sizeof o;
	if (o.key == NULL)
		return 0;
	return p->stopped = p->fn.object(p->arg, &o);
}

int
engine_log_spans(struct engine *e, struct hf_in *log,
    struct hf_in *const *backups, size_t n, hf_span_fn *fn, void *arg,
    struct hf_error *err)
{
	struct pass p = { .fn.span = fn, .arg = arg };
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->log_spans == NULL)
		return unsupported(e, "say what its log spans", err);
	instance_lock(&e->base);
	rc = e->ops->log_spans(e->handle, log, backups, n, pass_span, &p, &why);
	instance_unlock(&e->base);
	return p.stopped != 0 ? p.stopped : done(e, "log_spans", rc, &why, err);
}

int
engine_log_verify(struct engine *e, struct hf_in *log,
    struct hf_in *const *backups, size_t n, hf_finding_fn *fn, void *arg,
    struct hf_error *err)
{
	struct pass p = { .fn.finding = fn, .arg = arg };
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->log_verify == NULL)
		return unsupported(e, "check its log", err);
	instance_lock(&e->base);
	rc = e->ops->log_verify(
	    e->handle, log, backups, n, pass_finding, &p, &why);
	instance_unlock(&e->base);
	return p.stopped != 0 ? p.stopped
			      : done(e, "log_verify", rc, &why, err);
}

int
engine_log_surplus(struct engine *e, struct hf_in *log,
    struct hf_in *const *kept, size_t n, size_t whole, hf_list_fn *fn,
    void *arg, struct hf_error *err)
{
	struct pass p = { .fn.object = fn, .arg = arg };
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (e->ops->log_surplus == NULL)
		return unsupported(e, "say what its log no longer needs", err);
	if (whole > n)
		return error_fail(err, HF_E_BUG,
		    "backup %zu of %zu cannot begin a promise", whole, n);
	instance_lock(&e->base);
	rc = e->ops->log_surplus(
	    e->handle, log, kept, n, whole, pass_object, &p, &why);
	instance_unlock(&e->base);
	return p.stopped != 0 ? p.stopped
			      : done(e, "log_surplus", rc, &why, err);
}
