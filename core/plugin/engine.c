/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plugin/instance.h"
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
