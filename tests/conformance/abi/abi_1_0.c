/* SPDX-License-Identifier: BSD-2-Clause */
/* Made with the header of version 1.0 and never changed again: a store in
 * memory and a filter that changes nothing.  Every later core must load it
 * and work with it. */
#include "plugin-1.0.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct hf_host *host;

struct item {
	struct item *next;
	char *key;
	uint8_t *data;
	size_t len;
	int64_t mtime;
};

struct hf_store {
	struct item *items;
	int64_t limit;
	const char *label;
};

struct hf_put {
	struct hf_store *store;
	struct item *item;
	uint32_t flags;
};

struct hf_get {
	const uint8_t *data;
	size_t left;
};

struct conf {
	int64_t limit;
	const char *label;
};

static const struct hf_option options[] = {
	{ "limit", HF_OPT_SIZE, 0, offsetof(struct conf, limit), "1MiB", NULL,
	    "how large an object may be" },
	{ "label.text", HF_OPT_STRING, 0, offsetof(struct conf, label),
	    "memory", NULL, "what the checks call this store" },
	{ NULL, 0, 0, 0, NULL, NULL, NULL },
};

static struct item *
find(struct hf_store *s, const char *key)
{
	struct item *i;

	for (i = s->items; i != NULL; i = i->next)
		if (strcmp(i->key, key) == 0)
			break;
	return i;
}

static void
item_free(struct item *i)
{
	if (i == NULL)
		return;
	free(i->key);
	free(i->data);
	free(i);
}

static void
take_out(struct hf_store *s, const char *key)
{
	for (struct item **at = &s->items; *at != NULL; at = &(*at)->next)
		if (strcmp((*at)->key, key) == 0) {
			struct item *gone = *at;

			*at = gone->next;
			item_free(gone);
			return;
		}
}

static int
mem_open(const struct hf_ctx *ctx, const void *conf, struct hf_store **out,
    struct hf_error *err)
{
	const struct conf *c = conf;
	struct hf_store *s = calloc(1, sizeof *s);

	if (s == NULL)
		return host->fail(err, HF_E_NOMEM, "no memory for a store");
	s->limit = c->limit;
	s->label = c->label;
	host->log(ctx, HF_LOG_DEBUG, "abi.open", "opened %s", s->label);
	*out = s;
	return HF_OK;
}

static void
mem_close(struct hf_store *s)
{
	while (s->items != NULL) {
		struct item *i = s->items;

		s->items = i->next;
		item_free(i);
	}
	free(s);
}

static int
mem_check(
    struct hf_store *s, hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct hf_finding f = { sizeof f, HF_PASS, "memory", s->label, NULL };

	(void)err;
	return fn(arg, &f);
}

static uint32_t
mem_caps(struct hf_store *s)
{
	(void)s;
	return HF_CAP_RANGE | HF_CAP_IF_ABSENT;
}

static int
mem_put(struct hf_store *s, const char *key, const struct hf_put_opts *o,
    struct hf_put **out, struct hf_error *err)
{
	struct hf_put *p;

	if ((o->flags & ~HF_PUT_IF_ABSENT) != 0 || o->if_match != NULL)
		return host->fail(err, HF_E_UNSUPPORTED, "unknown flags");
	if ((p = calloc(1, sizeof *p)) == NULL ||
	    (p->item = calloc(1, sizeof *p->item)) == NULL ||
	    (p->item->key = strdup(key)) == NULL) {
		if (p != NULL)
			item_free(p->item);
		free(p);
		return host->fail(err, HF_E_NOMEM, "no memory for a put");
	}
	p->store = s;
	p->flags = o->flags;
	*out = p;
	return HF_OK;
}

static int
mem_put_write(
    struct hf_put *p, const void *buf, size_t len, struct hf_error *err)
{
	struct item *i = p->item;
	uint8_t *data;

	if (i->len + len > (size_t)p->store->limit) {
		(void)host->fail(err, HF_E_NOSPACE, "%s is full", i->key);
		host->fail_note(err, "hint", "Raise the option limit.");
		return HF_E_NOSPACE;
	}
	if ((data = realloc(i->data, i->len + len + 1)) == NULL)
		return host->fail(err, HF_E_NOMEM, "no memory for bytes");
	memcpy(data + i->len, buf, len);
	i->data = data;
	i->len += len;
	return HF_OK;
}

static void
describe(const struct item *i, struct hf_object *o)
{
	o->size = i->len;
	o->mtime = i->mtime;
	o->etag[0] = '\0';
}

static void
mem_put_abort(struct hf_put *p)
{
	item_free(p->item);
	free(p);
}

static int
mem_put_commit(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	struct hf_store *s = p->store;
	struct item *i = p->item;

	if ((p->flags & HF_PUT_IF_ABSENT) != 0 && find(s, i->key) != NULL) {
		(void)host->fail(err, HF_E_EXISTS, "%s is there", i->key);
		mem_put_abort(p);
		return HF_E_EXISTS;
	}
	take_out(s, i->key);
	i->mtime = (int64_t)time(NULL);
	i->next = s->items;
	s->items = i;
	if (out != NULL)
		describe(i, out);
	free(p);
	return HF_OK;
}

static int
mem_get(struct hf_store *s, const char *key, uint64_t off, uint64_t len,
    struct hf_get **out, struct hf_error *err)
{
	const struct item *i = find(s, key);
	struct hf_get *g;

	if (i == NULL)
		return host->fail(err, HF_E_NOTFOUND, "%s is not there", key);
	if (off > i->len)
		return host->fail(err, HF_E_INVALID, "past the end of %s", key);
	if ((g = calloc(1, sizeof *g)) == NULL)
		return host->fail(err, HF_E_NOMEM, "no memory for a get");
	g->data = i->data + off;
	g->left = i->len - off < len ? i->len - (size_t)off : (size_t)len;
	*out = g;
	return HF_OK;
}

static int
mem_get_read(
    struct hf_get *g, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	(void)err;
	*n = g->left < cap ? g->left : cap;
	if (*n == 0)
		return HF_EOF;
	memcpy(buf, g->data, *n);
	g->data += *n;
	g->left -= *n;
	return HF_OK;
}

static void
mem_get_close(struct hf_get *g)
{
	free(g);
}

static int
mem_stat(struct hf_store *s, const char *key, struct hf_object *out,
    struct hf_error *err)
{
	const struct item *i = find(s, key);

	if (i == NULL)
		return host->fail(err, HF_E_NOTFOUND, "%s is not there", key);
	describe(i, out);
	return HF_OK;
}

static int
mem_list(struct hf_store *s, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	(void)err;
	for (const struct item *i = s->items; i != NULL; i = i->next) {
		struct hf_object o = { .struct_size = sizeof o };

		if (strncmp(i->key, prefix, strlen(prefix)) != 0)
			continue;
		o.key = i->key;
		describe(i, &o);
		if (fn(arg, &o) != 0)
			break;
	}
	return HF_OK;
}

static int
mem_remove(struct hf_store *s, const char *key, struct hf_error *err)
{
	(void)err;
	take_out(s, key);
	return HF_OK;
}

static const struct hf_store_ops store = {
	.struct_size = sizeof store,
	.open = mem_open,
	.close = mem_close,
	.check = mem_check,
	.caps = mem_caps,
	.put = mem_put,
	.put_write = mem_put_write,
	.put_commit = mem_put_commit,
	.put_abort = mem_put_abort,
	.get = mem_get,
	.get_read = mem_get_read,
	.get_close = mem_get_close,
	.stat = mem_stat,
	.list = mem_list,
	.remove = mem_remove,
};

static int
same_open(const struct hf_ctx *ctx, const void *conf, struct hf_filter **f,
    struct hf_error *err)
{
	(void)ctx;
	(void)conf;
	(void)err;
	*f = NULL;
	return HF_OK;
}

static void
same_close(struct hf_filter *f)
{
	(void)f;
}

static int
same_begin(struct hf_filter *f, bool decode, const char *name,
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
same_step(struct hf_xform *x, struct hf_step *s, struct hf_error *err)
{
	size_t n = s->src_len < s->dst_cap ? s->src_len : s->dst_cap;

	(void)x;
	(void)err;
	if (n > 0)
		memcpy(s->dst, s->src, n);
	s->src_used = s->dst_len = n;
	return s->last && n == s->src_len ? HF_EOF : HF_OK;
}

static void
same_end(struct hf_xform *x)
{
	(void)x;
}

static const struct hf_filter_ops filter = {
	.struct_size = sizeof filter,
	.suffix = ".same",
	.open = same_open,
	.close = same_close,
	.begin = same_begin,
	.step = same_step,
	.end = same_end,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_INSTANCE,
	.name = "abi-1-0",
	.version = "1.0",
	.summary = "a store and a filter made with the header of version 1.0",
	.options = options,
	.conf_size = sizeof(struct conf),
	.filter = &filter,
	.store = &store,
};

HF_REGISTER(plugin, host);
