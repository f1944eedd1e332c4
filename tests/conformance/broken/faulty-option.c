/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin whose options are wrong: one has no help. */
#include <holdfast/plugin.h>

#include <stdlib.h>

static const struct hf_host *H;

struct conf {
	int64_t level;
};

struct hf_filter {
	int level;
};

static int
filter_open(const struct hf_ctx *ctx, const void *conf, struct hf_filter **out,
    struct hf_error *err)
{
	(void)ctx;
	(void)conf;
	*out = calloc(1, sizeof **out);
	return *out == NULL ? H->fail(err, HF_E_NOMEM, "out of memory") : HF_OK;
}

static void
filter_close(struct hf_filter *f)
{
	free(f);
}

static int
filter_begin(struct hf_filter *f, bool decode, const char *name,
    struct hf_xform **out, struct hf_error *err)
{
	(void)f;
	(void)decode;
	(void)name;
	(void)out;
	return H->fail(err, HF_E_UNSUPPORTED, "no streams here");
}

static int
filter_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	(void)x;
	(void)s;
	return H->fail(err, HF_E_BUG, "there are no streams");
}

static void
filter_end(struct hf_xform *x)
{
	(void)x;
}

static const struct hf_filter_ops filter_ops = {
	.struct_size = sizeof(struct hf_filter_ops),
	.open = filter_open,
	.close = filter_close,
	.begin = filter_begin,
	.step = filter_step,
	.end = filter_end,
};

static const struct hf_option options[] = {
	{ "level", HF_OPT_INT, 0, offsetof(struct conf, level), "3", "1..9",
	    NULL },
	{ .name = NULL },
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "faulty-option",
	.version = "1",
	.summary = "an option without help",
	.options = options,
	.conf_size = sizeof(struct conf),
	.filter = &filter_ops,
};

HF_REGISTER(plugin, H);
