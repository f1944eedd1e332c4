/* SPDX-License-Identifier: BSD-2-Clause */
/* Made with the header of version 1.1 and never changed again: an engine of
 * servers whose one object is a text.  Every later core must load it and work
 * with it. */
#include "plugin-1.1.h"

#include <string.h>

static const struct hf_host *host;

#define TEXT "select 1;\n"

static int
one_open(const struct hf_ctx *ctx, const void *conf, struct hf_engine **e,
    struct hf_error *err)
{
	(void)ctx;
	(void)conf;
	(void)err;
	*e = NULL;
	return HF_OK;
}

static void
one_close(struct hf_engine *e)
{
	(void)e;
}

static int
one_backup(struct hf_engine *e, const struct hf_request *r, struct hf_out *out,
    struct hf_error *err)
{
	struct hf_writer *w;
	int rc;

	(void)e;
	if (r->kind != HF_KIND_FULL || r->flags != 0)
		return host->fail(err, HF_E_UNSUPPORTED, "only full ones");
	if ((rc = host->out_begin(out, "1.sql", strlen(TEXT), &w, err)) !=
	    HF_OK)
		return rc;
	if ((rc = host->out_write(w, TEXT, strlen(TEXT), err)) != HF_OK) {
		host->out_abort(w);
		return rc;
	}
	return host->out_commit(w, err);
}

/* With an error slot of its own, as a thread would. */
static int
one_restore(struct hf_engine *e, const struct hf_request *r,
    struct hf_in *const *in, size_t n, struct hf_error *err)
{
	struct hf_error *own = host->fail_new();
	struct hf_reader *reader;
	char buf[64];
	size_t got;
	int rc;

	(void)e;
	(void)r;
	(void)n;
	rc = host->in_open(in[0], "1.sql", 0, UINT64_MAX, &reader, own);
	if (rc == HF_OK) {
		rc = host->in_read(reader, buf, sizeof buf, &got, own);
		if (rc == HF_OK &&
		    (got != strlen(TEXT) || memcmp(buf, TEXT, got) != 0))
			rc = host->fail(own, HF_E_CORRUPT, "another text");
		host->in_close(reader);
	}
	if (rc < HF_OK)
		rc = host->fail_move(err, own);
	host->fail_free(own);
	return rc;
}

static const struct hf_engine_ops engine = {
	.struct_size = sizeof engine,
	.kinds = HF_KIND_FULL,
	.open = one_open,
	.close = one_close,
	.backup = one_backup,
	.restore = one_restore,
	.flags = HF_ENGINE_SERVER,
	.by_hand = "psql -d NEW",
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.min_host_minor = 1,
	.threads = HF_THREADS_HANDLE,
	.name = "abi-1-1",
	.version = "1.1",
	.summary = "an engine made with the header of version 1.1",
	.engine = &engine,
};

HF_REGISTER(plugin, host);
