/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin whose header ended earlier: its tables are shorter than this
 * core's, and nothing of the rest may be read. */
#include <holdfast/plugin.h>

#include <stdlib.h>
#include <string.h>

static const struct hf_host *host;

struct hf_engine {
	int unused;
};

static struct hf_engine the_engine;

static int
older_open(const struct hf_ctx *ctx, const void *conf, struct hf_engine **e,
    struct hf_error *err)
{
	(void)ctx;
	(void)conf;
	(void)err;
	*e = &the_engine;
	return HF_OK;
}

static void
older_close(struct hf_engine *e)
{
	(void)e;
}

static int
older_backup(struct hf_engine *e, const struct hf_request *r,
    struct hf_out *out, struct hf_error *err)
{
	(void)e;
	(void)r;
	(void)out;
	return host->fail(err, HF_E_NOTFOUND, "nothing here");
}

static int
older_restore(struct hf_engine *e, const struct hf_request *r,
    struct hf_in *const *in, size_t n, struct hf_error *err)
{
	(void)e;
	(void)r;
	(void)in;
	(void)n;
	return host->fail(err, HF_E_NOTFOUND, "nothing here");
}

#define OPS_SIZE offsetof(struct hf_engine_ops, scratch)
#define DESC_SIZE offsetof(struct hf_plugin, filter)

HF_EXPORT const struct hf_plugin *hf_plugin_v1(const struct hf_host *h);

/* Exactly as long as they say, on the heap, so that a sanitizer sees each
 * byte that is read behind them. */
const struct hf_plugin *
hf_plugin_v1(const struct hf_host *h)
{
	static void *ops_memory, *desc_memory;
	const struct hf_engine_ops ops = {
		.struct_size = OPS_SIZE,
		.kinds = HF_KIND_FULL,
		.open = older_open,
		.close = older_close,
		.backup = older_backup,
		.restore = older_restore,
	};
	struct hf_plugin desc = {
		HF_PLUGIN_INIT,
		.name = "older",
		.version = "1",
		.summary = "an engine with shorter tables",
	};

	host = h;
	if (desc_memory == NULL &&
	    ((ops_memory = malloc(OPS_SIZE)) == NULL ||
		(desc_memory = malloc(DESC_SIZE)) == NULL))
		return NULL;
	desc.struct_size = DESC_SIZE;
	desc.engine = ops_memory;
	memcpy(ops_memory, &ops, OPS_SIZE);
	memcpy(desc_memory, &desc, DESC_SIZE);
	return desc_memory;
}
