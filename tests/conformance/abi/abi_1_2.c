/* SPDX-License-Identifier: BSD-2-Clause */
/* Made with the header of version 1.2 and never changed again: an engine that
 * keeps a log of files.  Every later core must load it and work with it. */
#include "plugin-1.2.h"

#include <stdio.h>
#include <string.h>

static const struct hf_host *host;

static int
log_open(const struct hf_ctx *ctx, const void *conf, struct hf_engine **e,
    struct hf_error *err)
{
	(void)ctx;
	(void)conf;
	(void)err;
	*e = NULL;
	return HF_OK;
}

static void
log_close(struct hf_engine *e)
{
	(void)e;
}

static int
log_backup(struct hf_engine *e, const struct hf_request *r, struct hf_out *out,
    struct hf_error *err)
{
	struct hf_writer *w;
	int rc;

	(void)e;
	if (r->log == NULL || r->log_command == NULL)
		return host->fail(err, HF_E_INVALID, "no log");
	if ((rc = host->out_begin(out, "command", 0, &w, err)) != HF_OK)
		return rc;
	rc = host->out_write(w, r->log_command, strlen(r->log_command), err);
	if (rc != HF_OK) {
		host->out_abort(w);
		return rc;
	}
	return host->out_commit(w, err);
}

static int
log_restore(struct hf_engine *e, const struct hf_request *r,
    struct hf_in *const *in, size_t n, struct hf_error *err)
{
	(void)e;
	(void)r;
	(void)in;
	(void)n;
	return host->fail(err, HF_E_UNSUPPORTED, "a log alone");
}

static uint32_t
log_kinds(struct hf_engine *e)
{
	(void)e;
	return HF_LOG_PUSH;
}

/* One line of the file, under the file's name. */
static int
log_push(struct hf_engine *e, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *err)
{
	const char *name = strrchr(file, '/');
	FILE *f = fopen(file, "r");
	struct hf_writer *w;
	char line[64] = "";
	int rc;

	(void)e;
	(void)have;
	if (f == NULL)
		return host->fail(err, HF_E_NOTFOUND, "no %s", file);
	if (fgets(line, sizeof line, f) == NULL)
		line[0] = '\0';
	(void)fclose(f);
	name = name == NULL ? file : name + 1;
	if ((rc = host->out_begin(log, name, 0, &w, err)) != HF_OK)
		return rc;
	if ((rc = host->writer_fact(w, "from", "a line", err)) != HF_OK ||
	    (rc = host->out_write(w, line, strlen(line), err)) != HF_OK) {
		host->out_abort(w);
		return rc;
	}
	return host->out_commit(w, err);
}

static int
is_line(void *arg, const char *key, const char *value)
{
	if (strcmp(key, "from") == 0 && strcmp(value, "a line") == 0)
		*(int *)arg = 1;
	return 0;
}

static int
log_get(struct hf_engine *e, const char *name, const char *file,
    struct hf_in *log, struct hf_error *err)
{
	struct hf_reader *r;
	char line[64];
	size_t n = 0;
	int rc, ours = 0;
	FILE *f;

	(void)e;
	if ((rc = host->log_facts(log, name, is_line, &ours, err)) != HF_OK ||
	    (rc = host->in_open(log, name, 0, UINT64_MAX, &r, err)) != HF_OK)
		return rc;
	rc = host->in_read(r, line, sizeof line, &n, err);
	host->in_close(r);
	if (rc < 0)
		return rc;
	if (!ours || (f = fopen(file, "w")) == NULL)
		return host->fail(err, HF_E_IO, "%s", file);
	(void)fwrite(line, 1, n, f);
	return fclose(f) == 0 ? HF_OK : host->fail(err, HF_E_IO, "%s", file);
}

static const struct hf_engine_ops engine = {
	.struct_size = sizeof engine,
	.kinds = HF_KIND_FULL,
	.open = log_open,
	.close = log_close,
	.backup = log_backup,
	.restore = log_restore,
	.log_kinds = log_kinds,
	.log_push = log_push,
	.log_get = log_get,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.min_host_minor = 2,
	.threads = HF_THREADS_HANDLE,
	.name = "abi-1-2",
	.version = "1.2",
	.summary = "an engine with a log, made with the header of version 1.2",
	.engine = &engine,
};

HF_REGISTER(plugin, host);
