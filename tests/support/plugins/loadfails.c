/* SPDX-License-Identifier: BSD-2-Clause */
/* Plugins that are refused after their symbol was found, one by its load(),
 * one for its name. */
#include <holdfast/plugin.h>

#ifndef PLUGIN_NAME
#define PLUGIN_NAME "loadfails"
#endif

static const struct hf_host *host;

static int
load(struct hf_error *err)
{
	return host->fail(err, HF_E_UNSUPPORTED, "the library is too old");
}

static uint32_t
caps(struct hf_store *s)
{
	(void)s;
	return 0;
}

static int
store_open(const struct hf_ctx *ctx, const void *conf, struct hf_store **s,
    struct hf_error *err)
{
	(void)ctx;
	(void)conf;
	(void)s;
	return host->fail(err, HF_E_BUG, "opened all the same");
}

static void
close_store(struct hf_store *s)
{
	(void)s;
}

static int
put(struct hf_store *s, const char *key, const struct hf_put_opts *o,
    struct hf_put **p, struct hf_error *err)
{
	(void)s;
	(void)key;
	(void)o;
	(void)p;
	return host->fail(err, HF_E_BUG, "used all the same");
}

static int
put_write(struct hf_put *p, const void *b, size_t n, struct hf_error *err)
{
	(void)p;
	(void)b;
	(void)n;
	return host->fail(err, HF_E_BUG, "used all the same");
}

static int
put_commit(struct hf_put *p, struct hf_object *o, struct hf_error *err)
{
	(void)p;
	(void)o;
	return host->fail(err, HF_E_BUG, "used all the same");
}

static void
put_abort(struct hf_put *p)
{
	(void)p;
}

static int
get(struct hf_store *s, const char *key, uint64_t off, uint64_t len,
    struct hf_get **g, struct hf_error *err)
{
	(void)s;
	(void)key;
	(void)off;
	(void)len;
	(void)g;
	return host->fail(err, HF_E_BUG, "used all the same");
}

static int
get_read(struct hf_get *g, void *b, size_t cap, size_t *n, struct hf_error *err)
{
	(void)g;
	(void)b;
	(void)cap;
	(void)n;
	return host->fail(err, HF_E_BUG, "used all the same");
}

static void
get_close(struct hf_get *g)
{
	(void)g;
}

static int
stat_key(struct hf_store *s, const char *key, struct hf_object *o,
    struct hf_error *err)
{
	(void)s;
	(void)key;
	(void)o;
	return host->fail(err, HF_E_BUG, "used all the same");
}

static int
list(struct hf_store *s, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	(void)s;
	(void)prefix;
	(void)fn;
	(void)arg;
	return host->fail(err, HF_E_BUG, "used all the same");
}

static int
remove_key(struct hf_store *s, const char *key, struct hf_error *err)
{
	(void)s;
	(void)key;
	return host->fail(err, HF_E_BUG, "used all the same");
}

static const struct hf_store_ops ops = {
	.struct_size = sizeof ops,
	.open = store_open,
	.close = close_store,
	.caps = caps,
	.put = put,
	.put_write = put_write,
	.put_commit = put_commit,
	.put_abort = put_abort,
	.get = get,
	.get_read = get_read,
	.get_close = get_close,
	.stat = stat_key,
	.list = list,
	.remove = remove_key,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.name = PLUGIN_NAME,
	.version = "1",
	.summary = "a store that is refused",
	.load = load,
	.store = &ops,
};

HF_REGISTER(plugin, host);
