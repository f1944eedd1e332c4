/* SPDX-License-Identifier: BSD-2-Clause */
#include "filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "plugin/instance.h"
#include "plugin/loader.h"
#include "plugin/options.h"

/* What dst grows by at least.  A step that has this much room and input, or
 * the end of it, and neither uses nor gives anything, never will. */
#define ROOM ((size_t)64 * 1024)

struct filter {
	struct instance base;
	const struct hf_filter_ops *ops;
	struct hf_filter *handle;
	char *name;
};

struct xform {
	struct filter *filter;
	struct hf_xform *handle; /* what the plugin likes, also NULL */
	char *name;
	bool decode;
	bool begun; /* false between two frames, and at the end */
	bool fed;   /* some input was used */
	bool over;  /* last was pushed, or it failed */
};

int
filter_open(const struct plugin *p, const char *name, const struct hf_ctx *ctx,
    struct options *options, struct filter **out, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct filter *f = calloc(1, sizeof *f);
	int rc;

	*out = NULL;
	if (f == NULL || (f->name = strdup(name)) == NULL) {
		options_free(options);
		rc = error_fail(err, HF_E_NOMEM, "no memory for a filter");
		goto err0;
	}
	if ((rc = instance_init(&f->base, p, ctx, options, err)) != HF_OK)
		goto err0;
	f->ops = p->desc.filter;
	if (f->ops == NULL) {
		rc = error_fail(err, HF_E_INVALID,
		    "the plugin \"%s\" is not a filter", p->desc.name);
		goto err1;
	}
	instance_lock(&f->base);
	rc = f->ops->open(
	    &f->base.ctx, options_conf(f->base.options), &f->handle, &why);
	instance_unlock(&f->base);
	rc = instance_status(&f->base, "open", rc, false, &why);
	if (rc != HF_OK) {
		if (err != NULL)
			*err = why;
		goto err1;
	}
	*out = f;
	return HF_OK;

err1:
	instance_destroy(&f->base);
err0:
	if (f != NULL)
		free(f->name);
	free(f);
	return rc;
}

void
filter_close(struct filter *f)
{
	if (f == NULL)
		return;
	instance_lock(&f->base);
	f->ops->close(f->handle);
	instance_unlock(&f->base);
	instance_destroy(&f->base);
	free(f->name);
	free(f);
}

const char *
filter_name(const struct filter *f)
{
	return f->name;
}

const char *
filter_type(const struct filter *f)
{
	return f->base.plugin->desc.name;
}

const char *
filter_suffix(const struct filter *f)
{
	return f->ops->suffix == NULL ? "" : f->ops->suffix;
}

bool
filter_frames(const struct filter *f)
{
	return (f->ops->flags & HF_FILTER_FRAMES) != 0;
}

bool
filter_parallel(const struct filter *f)
{
	return f->base.plugin->desc.threads == HF_THREADS_HANDLE;
}

/* ---- streams ---- */

static int
begin(struct xform *x, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct filter *f = x->filter;
	int rc;

	instance_lock(&f->base);
	rc = f->ops->begin(f->handle, x->decode, x->name, &x->handle, &why);
	instance_unlock(&f->base);
	rc = instance_status(&f->base, "begin", rc, false, &why);
	x->begun = rc == HF_OK;
	if (rc != HF_OK && err != NULL)
		*err = why;
	return rc;
}

static void
end(struct xform *x)
{
	if (!x->begun)
		return;
	instance_lock(&x->filter->base);
	x->filter->ops->end(x->handle);
	instance_unlock(&x->filter->base);
	x->handle = NULL;
	x->begun = false;
}

int
xform_begin(struct filter *f, bool decode, const char *name, struct xform **out,
    struct hf_error *err)
{
	struct xform *x = calloc(1, sizeof *x);
	int rc;

	*out = NULL;
	if (x == NULL || (x->name = strdup(name)) == NULL) {
		free(x);
		return error_fail(err, HF_E_NOMEM, "no memory for a filter");
	}
	x->filter = f;
	x->decode = decode;
	if ((rc = begin(x, err)) != HF_OK) {
		free(x->name);
		free(x);
		return rc;
	}
	*out = x;
	return HF_OK;
}

void
xform_end(struct xform *x)
{
	if (x == NULL)
		return;
	end(x);
	free(x->name);
	free(x);
}

static int
bug(const struct xform *x, const char *what, struct hf_error *err)
{
	return error_fail(
	    err, HF_E_BUG, "the filter %s %s", filter_type(x->filter), what);
}

static int
corrupt(const struct xform *x, const char *what, struct hf_error *err)
{
	return error_fail(err, HF_E_CORRUPT, "the %s data of %s %s",
	    filter_type(x->filter), x->name, what);
}

static int
grow(struct buf *dst, struct hf_error *err)
{
	size_t more = dst->cap / 2 > ROOM ? dst->cap / 2 : ROOM;

	if (more > SIZE_MAX / 2 - dst->cap)
		return error_fail(err, HF_E_NOMEM, "buffer too large");
	return buf_reserve(dst, dst->cap + more, err);
}

/* One call of the plugin's step: HF_OK, HF_EOF or a failure. */
static int
step(struct xform *x, struct hf_step *s, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct filter *f = x->filter;
	int rc;

	s->struct_size = sizeof *s;
	s->src_used = s->dst_len = 0;
	instance_lock(&f->base);
	rc = f->ops->step(x->handle, s, &why);
	instance_unlock(&f->base);
	rc = instance_status(&f->base, "step", rc, true, &why);
	if (rc < HF_OK) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (s->src_used > s->src_len || s->dst_len > s->dst_cap)
		return bug(x, "counted more bytes than there are", err);
	return rc;
}

/* Only a decoder knows by itself where its input ends. */
static int
after_eof(struct xform *x, size_t left, bool last, struct hf_error *err)
{
	end(x);
	if (!x->decode && (left > 0 || !last))
		return bug(x, "finished before its input did", err);
	return HF_OK;
}

/* Run steps until all of src is used and nothing more comes out. */
static int
drain(struct xform *x, const uint8_t *src, size_t len, bool last,
    struct buf *dst, struct hf_error *err)
{
	struct hf_step s = { 0 };
	int rc;

	for (;;) {
		if (!x->begun) {
			/* A frame has ended: done, or the next one. */
			if (len == 0)
				return HF_OK;
			if (!filter_frames(x->filter))
				return corrupt(
				    x, "goes on behind its end", err);
			if ((rc = begin(x, err)) != HF_OK)
				return rc;
		}
		if (dst->len == dst->cap && (rc = grow(dst, err)) != HF_OK)
			return rc;
		s.src = src;
		s.src_len = len;
		s.dst = dst->data + dst->len;
		s.dst_cap = dst->cap - dst->len;
		s.last = last;
		if ((rc = step(x, &s, err)) < HF_OK)
			return rc;
		x->fed = x->fed || s.src_used > 0;
		src += s.src_used;
		len -= s.src_used;
		dst->len += s.dst_len;
		if (rc == HF_EOF) {
			if (x->decode && s.src_used == 0 && len > 0 &&
			    s.dst_len == 0)
				return corrupt(
				    x, "goes on behind its end", err);
			if ((rc = after_eof(x, len, last, err)) != HF_OK)
				return rc;
			continue;
		}
		if (len == 0 && !last && dst->len < dst->cap)
			return HF_OK;
		if (s.src_used > 0 || s.dst_len > 0)
			continue;
		if (s.dst_cap >= ROOM && x->decode && last && len == 0)
			return corrupt(x, "ends in the middle", err);
		if (s.dst_cap >= ROOM)
			return bug(x, "makes no progress", err);
		if ((rc = grow(dst, err)) != HF_OK)
			return rc;
	}
}

int
xform_push(struct xform *x, const void *src, size_t len, bool last,
    struct buf *dst, struct hf_error *err)
{
	static const uint8_t nothing[1];
	int rc;

	if (x->over)
		return error_fail(err, HF_E_BUG,
		    "bytes were pushed to the finished filter %s",
		    filter_type(x->filter));
	if (len == 0)
		src = nothing;
	/* Frames of nothing do not exist: what is empty was cut off. */
	if (last && len == 0 && !x->fed && x->decode &&
	    filter_frames(x->filter))
		rc = corrupt(x, "is empty", err);
	else if (len == 0 && !last)
		return HF_OK;
	else
		rc = drain(x, src, len, last, dst, err);
	x->over = last || rc != HF_OK;
	if (rc == HF_OK && last && x->begun)
		rc = bug(x, "did not finish", err);
	return rc;
}
