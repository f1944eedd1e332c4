/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin made with a later minor version: its tables have more fields than
 * this core knows, its options are wider. */
#include <holdfast/plugin.h>

static const struct hf_host *host;

struct newer_conf {
	int64_t level;
	const char *mode;
};

struct newer_option {
	struct hf_option option;
	const char *unit, *since;
};

static const struct newer_option options[] = {
	{ { .name = "level",
	      .type = HF_OPT_INT,
	      .def = "3",
	      .choices = "1..9",
	      .offset = offsetof(struct newer_conf, level),
	      .help = "a level" },
	    "steps", "1.7" },
	{ { .name = "mode",
	      .type = HF_OPT_ENUM,
	      .choices = "slow|fast",
	      .def = "fast",
	      .offset = offsetof(struct newer_conf, mode),
	      .help = "a mode" },
	    NULL, "1.7" },
	{ { .name = NULL }, NULL, NULL },
};

static int
newer_open(const struct hf_ctx *ctx, const void *conf, struct hf_filter **f,
    struct hf_error *err)
{
	const struct newer_conf *c = conf;

	(void)ctx;
	*f = NULL;
	if (c->level != 3 || c->mode == NULL || c->mode[0] != 'f')
		return host->fail(err, HF_E_BUG, "not my defaults");
	return HF_OK;
}

static void
newer_close(struct hf_filter *f)
{
	(void)f;
}

static int
newer_begin(struct hf_filter *f, bool decode, const char *name,
    struct hf_xform **x, struct hf_error *err)
{
	(void)f;
	(void)decode;
	(void)name;
	(void)err;
	*x = NULL;
	return HF_OK;
}

static int
newer_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	(void)x;
	(void)err;
	while (s->src_used < s->src_len && s->dst_len < s->dst_cap)
		s->dst[s->dst_len++] = s->src[s->src_used++] ^ 0x5a;
	return s->last && s->src_used == s->src_len ? HF_EOF : HF_OK;
}

static void
newer_end(struct hf_xform *x)
{
	(void)x;
}

static const struct {
	struct hf_filter_ops ops;
	int (*reset)(struct hf_xform *);
} ops = {
	.ops = { .struct_size = sizeof ops,
	    .suffix = ".x",
	    .open = newer_open,
	    .close = newer_close,
	    .begin = newer_begin,
	    .step = newer_step,
	    .end = newer_end },
};

static const struct {
	struct hf_plugin desc;
	const char *license, *homepage;
} plugin = {
	.desc = { .struct_size = sizeof plugin,
	    .abi_major = HF_ABI_MAJOR,
	    .abi_minor = HF_ABI_MINOR + 7,
	    .option_size = sizeof(struct newer_option),
	    .name = "newer",
	    .version = "1",
	    .summary = "a filter with longer tables",
	    .options = &options[0].option,
	    .conf_size = sizeof(struct newer_conf),
	    .filter = &ops.ops },
	.license = "BSD-2-Clause",
};

HF_REGISTER(plugin.desc, host);
