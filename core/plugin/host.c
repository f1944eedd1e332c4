/* SPDX-License-Identifier: BSD-2-Clause */
#include "host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/key.h"
#include "base/log.h"
#include "plugin/ctx.h"
#include "plugin/spool.h"

static void
host_log(const struct hf_ctx *ctx, int level, const char *event,
    const char *fmt, ...)
{
	va_list ap;

	if (fmt == NULL)
		return;
	if (level < HF_LOG_ERROR || level > HF_LOG_DEBUG)
		level = HF_LOG_WARN;
	va_start(ap, fmt);
	log_vwrite((enum hf_level)level, event == NULL ? "plugin" : event,
	    ctx == NULL ? NULL : ctx->who, fmt, ap);
	va_end(ap);
}

static bool
host_cancelled(const struct hf_ctx *ctx)
{
	return ctx != NULL && cancel_requested(ctx->cancel);
}

static bool
host_sleep(const struct hf_ctx *ctx, int64_t ms)
{
	return cancel_sleep(ctx == NULL ? NULL : ctx->cancel, ms);
}

static void
host_progress(const struct hf_ctx *ctx, uint64_t done, uint64_t total)
{
	if (ctx != NULL && ctx->progress != NULL)
		ctx->progress(ctx->arg, done, total);
}

static void
host_result(const struct hf_ctx *ctx, const char *key, const char *value)
{
	if (ctx != NULL && ctx->result != NULL && key != NULL && value != NULL)
		ctx->result(ctx->arg, key, value);
}

static const char *
host_folder(const struct hf_ctx *ctx, int which)
{
	struct hf_error err = { .status = HF_OK };
	const char *dir = NULL;
	char line[512];

	if (ctx != NULL && which == HF_FOLDER_STATE)
		dir = ctx->state_dir;
	else if (ctx != NULL && which == HF_FOLDER_SCRATCH)
		dir = ctx->scratch_dir;
	/* The contract says that the folder exists. */
	if (dir == NULL || file_mkdirs(dir, &err) == HF_OK)
		return dir;
	error_line(&err, line, sizeof line);
	log_write(HF_LOG_WARN, "host.folder", ctx->who, "%s", line);
	return NULL;
}

/* A plugin that fails with "success" would be taken at its word. */
static int
failing(int status)
{
	return status < HF_OK && status >= HF_E_BUG ? status : HF_E_BUG;
}

static int
host_fail(struct hf_error *err, int status, const char *fmt, ...)
{
	char text[sizeof err->cause];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return error_fail(err, failing(status), "%s", text);
}

static int
host_fail_errno(struct hf_error *err, int errnum, const char *fmt, ...)
{
	char text[sizeof err->cause];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return error_errno(err, errnum, "%s", text);
}

static int
host_fail_context(struct hf_error *err, const char *fmt, ...)
{
	char text[sizeof err->frames[0]];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return failing(error_context(err, "%s", text));
}

static void
host_fail_note(struct hf_error *err, const char *key, const char *value)
{
	if (key != NULL && value != NULL)
		error_note(err, key, value);
}

static struct hf_error *
host_fail_new(void)
{
	return calloc(1, sizeof(struct hf_error));
}

static void
host_fail_free(struct hf_error *err)
{
	free(err);
}

static int
host_fail_move(struct hf_error *to, struct hf_error *from)
{
	int status = from == NULL ? HF_OK : from->status;

	if (to != NULL && from != NULL)
		*to = *from;
	error_clear(from);
	return status;
}

static int
bug(struct hf_error *err, const char *call, const char *what)
{
	return error_fail(err, HF_E_BUG,
	    "the plugin called %s() with %s; this is a defect of the plugin",
	    call, what);
}

static int
host_out_begin(struct hf_out *out, const char *name, uint64_t size_hint,
    struct hf_writer **w, struct hf_error *err)
{
	if (w == NULL)
		return bug(err, "out_begin", "no place for the writer");
	*w = NULL;
	if (out == NULL || out->ops == NULL)
		return bug(err, "out_begin", "no backup");
	if (name == NULL || *name == '\0')
		return bug(err, "out_begin", "no name");
	return out->ops->begin(out, name, size_hint, w, err);
}

static int
host_out_write(
    struct hf_writer *w, const void *buf, size_t len, struct hf_error *err)
{
	if (w == NULL || w->ops == NULL)
		return bug(err, "out_write", "no writer");
	if (buf == NULL && len > 0)
		return bug(err, "out_write", "no bytes");
	return len == 0 ? HF_OK : w->ops->write(w, buf, len, err);
}

static int
host_out_commit(struct hf_writer *w, struct hf_error *err)
{
	if (w == NULL || w->ops == NULL)
		return bug(err, "out_commit", "no writer");
	return w->ops->commit(w, err);
}

static void
host_out_abort(struct hf_writer *w)
{
	if (w != NULL && w->ops != NULL)
		w->ops->abort(w);
}

static int
host_out_fact(struct hf_out *out, const char *key, const char *value,
    struct hf_error *err)
{
	if (out == NULL || out->ops == NULL)
		return bug(err, "out_fact", "no backup");
	if (key == NULL || *key == '\0' || value == NULL)
		return bug(err, "out_fact", "no key or no value");
	return out->ops->fact(out, key, value, err);
}

static int
host_in_list(struct hf_in *in, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	if (in == NULL || in->ops == NULL)
		return bug(err, "in_list", "no backup");
	if (fn == NULL)
		return bug(err, "in_list", "no function");
	return in->ops->list(in, fn, arg, err);
}

static int
host_in_open(struct hf_in *in, const char *name, uint64_t off, uint64_t len,
    struct hf_reader **r, struct hf_error *err)
{
	if (r == NULL)
		return bug(err, "in_open", "no place for the reader");
	*r = NULL;
	if (in == NULL || in->ops == NULL)
		return bug(err, "in_open", "no backup");
	if (name == NULL || *name == '\0')
		return bug(err, "in_open", "no name");
	return in->ops->open(in, name, off, len, r, err);
}

static int
host_in_read(
    struct hf_reader *r, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	if (n == NULL)
		return bug(err, "in_read", "no place for the count");
	*n = 0;
	if (r == NULL || r->ops == NULL)
		return bug(err, "in_read", "no reader");
	if (buf == NULL || cap == 0)
		return bug(err, "in_read", "no room");
	return r->ops->read(r, buf, cap, n, err);
}

static void
host_in_close(struct hf_reader *r)
{
	if (r != NULL && r->ops != NULL)
		r->ops->close(r);
}

static const char *
host_in_fact(struct hf_in *in, const char *key)
{
	if (in == NULL || in->ops == NULL || key == NULL)
		return NULL;
	return in->ops->fact(in, key);
}

static int
no_log(struct hf_error *err)
{
	return error_fail(err, HF_E_UNSUPPORTED, "this is not a log");
}

static int
host_writer_fact(struct hf_writer *w, const char *key, const char *value,
    struct hf_error *err)
{
	if (w == NULL || w->ops == NULL)
		return bug(err, "writer_fact", "no writer");
	if (key == NULL || *key == '\0' || value == NULL)
		return bug(err, "writer_fact", "no key or no value");
	if (w->ops->writer_fact == NULL)
		return no_log(err);
	return w->ops->writer_fact(w, key, value, err);
}

static int
host_log_remove(struct hf_out *log, const char *name, struct hf_error *err)
{
	if (log == NULL || log->ops == NULL)
		return bug(err, "log_remove", "no log");
	if (name == NULL || *name == '\0')
		return bug(err, "log_remove", "no name");
	if (log->ops->remove == NULL)
		return no_log(err);
	return log->ops->remove(log, name, err);
}

static int
host_log_facts(struct hf_in *log, const char *name, host_fact_fn *fn, void *arg,
    struct hf_error *err)
{
	if (log == NULL || log->ops == NULL)
		return bug(err, "log_facts", "no log");
	if (name == NULL || *name == '\0')
		return bug(err, "log_facts", "no name");
	if (fn == NULL)
		return bug(err, "log_facts", "no function");
	if (log->ops->facts == NULL)
		return no_log(err);
	return log->ops->facts(log, name, fn, arg, err);
}

struct below {
	const char *prefix;
	hf_list_fn *fn;
	void *arg;
};

static int
pass_below(void *arg, const struct hf_object *o)
{
	const struct below *b = arg;

	if (strncmp(o->key, b->prefix, strlen(b->prefix)) != 0)
		return 0;
	return b->fn(b->arg, o);
}

static int
host_log_list(struct hf_in *log, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	struct below below = { prefix, fn, arg };

	if (log == NULL || log->ops == NULL)
		return bug(err, "log_list", "no log");
	if (prefix == NULL || fn == NULL)
		return bug(err, "log_list", "no prefix or no function");
	if (!key_valid_prefix(prefix))
		return bug(err, "log_list", "no name begins so");
	if (log->ops->list_below == NULL)
		return log->ops->list(log, pass_below, &below, err);
	return log->ops->list_below(log, prefix, fn, arg, err);
}

const struct hf_host host_table = {
	.struct_size = sizeof(struct hf_host),
	.abi_major = HF_ABI_MAJOR,
	.abi_minor = HF_ABI_MINOR,
	.version = HF_VERSION,
	.log = host_log,
	.cancelled = host_cancelled,
	.sleep = host_sleep,
	.progress = host_progress,
	.result = host_result,
	.folder = host_folder,
	.fail = host_fail,
	.fail_errno = host_fail_errno,
	.fail_context = host_fail_context,
	.fail_note = host_fail_note,
	.out_begin = host_out_begin,
	.out_write = host_out_write,
	.out_commit = host_out_commit,
	.out_abort = host_out_abort,
	.out_fact = host_out_fact,
	.in_list = host_in_list,
	.in_open = host_in_open,
	.in_read = host_in_read,
	.in_close = host_in_close,
	.in_fact = host_in_fact,
	.fail_new = host_fail_new,
	.fail_free = host_fail_free,
	.fail_move = host_fail_move,
	.writer_fact = host_writer_fact,
	.log_remove = host_log_remove,
	.log_facts = host_log_facts,
	.spool_open = spool_open,
	.spool_close = spool_close,
	.log_list = host_log_list,
};
