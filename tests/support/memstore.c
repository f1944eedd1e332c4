/* SPDX-License-Identifier: BSD-2-Clause */
#include "memstore.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#undef fail /* the host table has one too */

#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "plugin/store.h"

struct entry {
	struct entry *next;
	char *key;
	uint8_t *data;
	size_t len;
	int64_t mtime;
	unsigned long version;
};

struct bucket {
	struct bucket *next;
	char *name;
	struct entry *entries;
	struct entry *left; /* what sweep finds */
	unsigned long calls[MEMSTORE_OPS];
	enum memstore_op fail_op;
	unsigned long fail_from, fail_to; /* numbers of calls of fail_op */
	int fail_status;
	bool failed, discard;
	bool stall[MEMSTORE_OPS];
	unsigned stalled, delay_ms;
	unsigned handles, puts, most_puts, running, most_running;
	unsigned long versions;
};

struct hf_store {
	struct bucket *bucket;
};

struct hf_put {
	struct bucket *bucket;
	char *key;
	uint8_t *data;
	size_t len, cap;
	uint32_t flags;
	char if_match[72];
};

struct hf_get {
	struct bucket *bucket;
	uint8_t *data; /* a copy: what was opened stays as it was */
	size_t len, off;
};

struct conf {
	const char *bucket;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static struct bucket *buckets;
static const struct hf_host *host;

/* ---- buckets; lock held ---- */

static struct bucket *
bucket_of(const char *name)
{
	struct bucket *b;

	for (b = buckets; b != NULL; b = b->next)
		if (strcmp(b->name, name) == 0)
			return b;
	b = calloc(1, sizeof *b);
	if (b == NULL || (b->name = strdup(name)) == NULL)
		abort();
	b->next = buckets;
	return buckets = b;
}

static void
entry_free(struct entry *e)
{
	free(e->key);
	free(e->data);
	free(e);
}

static struct entry *
entry_of(struct bucket *b, const char *key)
{
	struct entry *e = b->entries;

	while (e != NULL && strcmp(e->key, key) != 0)
		e = e->next;
	return e;
}

static bool
entry_drop(struct bucket *b, const char *key)
{
	for (struct entry **at = &b->entries; *at != NULL; at = &(*at)->next) {
		struct entry *e = *at;

		if (strcmp(e->key, key) != 0)
			continue;
		*at = e->next;
		entry_free(e);
		return true;
	}
	return false;
}

/* A call begins: count it, hold it up, and say how it ends. */
static int
enter(struct bucket *b, enum memstore_op op)
{
	int status = HF_OK;

	b->calls[MEMSTORE_ANY]++;
	b->calls[op]++;
	if (++b->running > b->most_running)
		b->most_running = b->running;
	if (b->fail_from != 0 &&
	    (b->fail_op == MEMSTORE_ANY || b->fail_op == op) &&
	    b->calls[b->fail_op] >= b->fail_from &&
	    b->calls[b->fail_op] <= b->fail_to) {
		status = b->fail_status;
		b->failed = true;
	}
	while (b->stall[op] || b->stall[MEMSTORE_ANY]) {
		b->stalled++;
		(void)pthread_cond_wait(&released, &lock);
		b->stalled--;
	}
	return status;
}

static int
begin(struct bucket *b, enum memstore_op op, struct hf_error *err)
{
	int status;

	(void)pthread_mutex_lock(&lock);
	if ((status = enter(b, op)) != HF_OK) {
		b->running--;
		(void)pthread_mutex_unlock(&lock);
		return host->fail(err, status, "memstore was told to fail");
	}
	return HF_OK;
}

static void
end(struct bucket *b)
{
	b->running--;
	(void)pthread_mutex_unlock(&lock);
}

/* ---- the store ---- */

static int
store_open_(const struct hf_ctx *ctx, const void *conf, struct hf_store **out,
    struct hf_error *err)
{
	const struct conf *c = conf;
	struct hf_store *s = calloc(1, sizeof *s);

	(void)ctx;
	if (s == NULL)
		return host->fail(err, HF_E_NOMEM, "no memory");
	(void)pthread_mutex_lock(&lock);
	s->bucket = bucket_of(c->bucket);
	(void)pthread_mutex_unlock(&lock);
	*out = s;
	return HF_OK;
}

static void
store_close_(struct hf_store *s)
{
	free(s);
}

static uint32_t
store_caps_(struct hf_store *s)
{
	(void)s;
	return HF_CAP_RANGE | HF_CAP_IF_ABSENT;
}

static int
store_put_(struct hf_store *s, const char *key, const struct hf_put_opts *opts,
    struct hf_put **out, struct hf_error *err)
{
	struct bucket *b = s->bucket;
	struct hf_put *p;
	int rc;

	if ((opts->flags & ~HF_PUT_IF_ABSENT) != 0 || opts->if_match != NULL)
		return host->fail(err, HF_E_UNSUPPORTED, "unknown flag");
	if ((rc = begin(b, MEMSTORE_PUT, err)) != HF_OK)
		return rc;
	p = calloc(1, sizeof *p);
	if (p == NULL || (p->key = strdup(key)) == NULL)
		abort();
	p->bucket = b;
	p->flags = opts->flags;
	b->handles++;
	if (++b->puts > b->most_puts)
		b->most_puts = b->puts;
	end(b);
	*out = p;
	return HF_OK;
}

static int
put_write_(struct hf_put *p, const void *buf, size_t len, struct hf_error *err)
{
	struct bucket *b = p->bucket;
	struct timespec ts = { 0 };
	bool discard;
	int rc;

	if ((rc = begin(b, MEMSTORE_WRITE, err)) != HF_OK)
		return rc;
	ts.tv_sec = b->delay_ms / 1000;
	ts.tv_nsec = (long)(b->delay_ms % 1000) * 1000000;
	discard = b->discard;
	(void)pthread_mutex_unlock(&lock);
	if (ts.tv_sec + ts.tv_nsec > 0)
		(void)nanosleep(&ts, NULL);
	if (!discard) {
		if (p->len + len > p->cap) {
			p->cap = 2 * (p->len + len);
			if ((p->data = realloc(p->data, p->cap)) == NULL)
				abort();
		}
		memcpy(p->data + p->len, buf, len);
		p->len += len;
	}
	(void)pthread_mutex_lock(&lock);
	end(b);
	return HF_OK;
}

/* Lock held: the handle's end. */
static void
put_free(struct hf_put *p)
{
	p->bucket->handles--;
	p->bucket->puts--;
	free(p->key);
	free(p->data);
	free(p);
}

static int
put_commit_(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	struct bucket *b = p->bucket;
	struct entry *e;
	int status;

	(void)pthread_mutex_lock(&lock);
	if ((status = enter(b, MEMSTORE_COMMIT)) != HF_OK) {
		put_free(p);
		end(b);
		return host->fail(err, status, "memstore was told to fail");
	}
	e = entry_of(b, p->key);
	if (e != NULL && (p->flags & HF_PUT_IF_ABSENT) != 0) {
		status =
		    host->fail(err, HF_E_EXISTS, "the key %s exists", p->key);
		put_free(p);
		end(b);
		return status;
	}
	if (e == NULL) {
		e = calloc(1, sizeof *e);
		if (e == NULL || (e->key = strdup(p->key)) == NULL)
			abort();
		e->next = b->entries;
		b->entries = e;
	}
	free(e->data);
	e->data = p->data;
	e->len = p->len;
	e->mtime = (int64_t)time(NULL);
	e->version = ++b->versions;
	p->data = NULL;
	if (out != NULL) {
		out->size = e->len;
		out->mtime = e->mtime;
	}
	put_free(p);
	end(b);
	return HF_OK;
}

static void
put_abort_(struct hf_put *p)
{
	(void)pthread_mutex_lock(&lock);
	put_free(p);
	(void)pthread_mutex_unlock(&lock);
}

static int
store_get_(struct hf_store *s, const char *key, uint64_t off, uint64_t len,
    struct hf_get **out, struct hf_error *err)
{
	struct bucket *b = s->bucket;
	struct hf_get *g;
	struct entry *e;
	int rc;

	if ((rc = begin(b, MEMSTORE_GET, err)) != HF_OK)
		return rc;
	if ((e = entry_of(b, key)) == NULL)
		rc = host->fail(err, HF_E_NOTFOUND, "no key %s", key);
	else if (off > e->len)
		rc = host->fail(
		    err, HF_E_INVALID, "%s ends before the range", key);
	if (rc != HF_OK) {
		end(b);
		return rc;
	}
	if (len > e->len - off)
		len = e->len - off;
	g = calloc(1, sizeof *g);
	if (g == NULL || (g->data = malloc((size_t)len + 1)) == NULL)
		abort();
	if (len > 0)
		memcpy(g->data, e->data + off, (size_t)len);
	g->len = (size_t)len;
	g->bucket = b;
	b->handles++;
	end(b);
	*out = g;
	return HF_OK;
}

static int
get_read_(
    struct hf_get *g, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	int rc = begin(g->bucket, MEMSTORE_READ, err);

	*n = 0;
	if (rc != HF_OK)
		return rc;
	end(g->bucket);
	*n = g->len - g->off < cap ? g->len - g->off : cap;
	if (*n == 0)
		return HF_EOF;
	memcpy(buf, g->data + g->off, *n);
	g->off += *n;
	return HF_OK;
}

static void
get_close_(struct hf_get *g)
{
	(void)pthread_mutex_lock(&lock);
	g->bucket->handles--;
	(void)pthread_mutex_unlock(&lock);
	free(g->data);
	free(g);
}

static int
store_stat_(struct hf_store *s, const char *key, struct hf_object *out,
    struct hf_error *err)
{
	struct bucket *b = s->bucket;
	struct entry *e;
	int rc;

	if ((rc = begin(b, MEMSTORE_STAT, err)) != HF_OK)
		return rc;
	if ((e = entry_of(b, key)) == NULL) {
		rc = host->fail(err, HF_E_NOTFOUND, "no key %s", key);
	} else {
		out->size = e->len;
		out->mtime = e->mtime;
	}
	end(b);
	return rc;
}

static int
store_list_(struct hf_store *s, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	struct bucket *b = s->bucket;
	struct hf_object *found;
	size_t n = 0, count = 0;
	int rc;

	if ((rc = begin(b, MEMSTORE_LIST, err)) != HF_OK)
		return rc;
	for (struct entry *e = b->entries; e != NULL; e = e->next)
		count++;
	if ((found = calloc(count + 1, sizeof *found)) == NULL)
		abort();
	for (struct entry *e = b->entries; e != NULL; e = e->next) {
		if (strncmp(e->key, prefix, strlen(prefix)) != 0)
			continue;
		found[n] = (struct hf_object){ .struct_size = sizeof *found,
			.size = e->len,
			.mtime = e->mtime };
		if ((found[n++].key = strdup(e->key)) == NULL)
			abort();
	}
	end(b);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = fn(arg, &found[i]);
		free((void *)(uintptr_t)found[i].key);
	}
	free(found);
	return rc;
}

static int
store_remove_(struct hf_store *s, const char *key, struct hf_error *err)
{
	int rc = begin(s->bucket, MEMSTORE_REMOVE, err);

	if (rc != HF_OK)
		return rc;
	(void)entry_drop(s->bucket, key);
	end(s->bucket);
	return HF_OK;
}

static int
store_remove_many_(
    struct hf_store *s, const char *const *keys, size_t n, struct hf_error *err)
{
	int rc = begin(s->bucket, MEMSTORE_REMOVE, err);

	if (rc != HF_OK)
		return rc;
	for (size_t i = 0; i < n; i++)
		(void)entry_drop(s->bucket, keys[i]);
	end(s->bucket);
	return HF_OK;
}

static int
store_sweep_(struct hf_store *s, const char *prefix, int64_t before, bool dry,
    hf_list_fn *fn, void *arg, struct hf_error *err)
{
	struct bucket *b = s->bucket;
	int rc = begin(b, MEMSTORE_LIST, err);

	if (rc != HF_OK)
		return rc;
	for (struct entry **at = &b->left; rc == 0 && *at != NULL;) {
		struct entry *e = *at;
		struct hf_object o = { .struct_size = sizeof o,
			.key = e->key,
			.mtime = e->mtime };

		if (strncmp(e->key, prefix, strlen(prefix)) != 0 ||
		    e->mtime >= before) {
			at = &e->next;
			continue;
		}
		rc = fn(arg, &o);
		if (dry) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		entry_free(e);
	}
	end(b);
	return rc;
}

static const struct hf_store_ops store_ops = {
	.struct_size = sizeof store_ops,
	.open = store_open_,
	.close = store_close_,
	.caps = store_caps_,
	.put = store_put_,
	.put_write = put_write_,
	.put_commit = put_commit_,
	.put_abort = put_abort_,
	.get = store_get_,
	.get_read = get_read_,
	.get_close = get_close_,
	.stat = store_stat_,
	.list = store_list_,
	.remove = store_remove_,
	.remove_many = store_remove_many_,
	.sweep = store_sweep_,
};

/* As a store of 1.1. */
static const struct hf_store_ops plain_ops = {
	.struct_size = offsetof(struct hf_store_ops, remove_many),
	.open = store_open_,
	.close = store_close_,
	.caps = store_caps_,
	.put = store_put_,
	.put_write = put_write_,
	.put_commit = put_commit_,
	.put_abort = put_abort_,
	.get = store_get_,
	.get_read = get_read_,
	.get_close = get_close_,
	.stat = store_stat_,
	.list = store_list_,
	.remove = store_remove_,
};

static const struct hf_option options[] = {
	{ .name = "bucket",
	    .type = HF_OPT_STRING,
	    .offset = offsetof(struct conf, bucket),
	    .def = "bucket",
	    .help = "Which one." },
	{ .name = NULL },
};

static const struct hf_plugin parallel = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "memstore",
	.version = "1",
	.summary = "keeps objects in memory",
	.help = "For tests.",
	.options = options,
	.conf_size = sizeof(struct conf),
	.store = &store_ops,
};

static const struct hf_plugin serial_plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_SERIAL,
	.name = "memstore-serial",
	.version = "1",
	.summary = "keeps objects in memory, one call at a time",
	.help = "For tests.",
	.options = options,
	.conf_size = sizeof(struct conf),
	.store = &plain_ops,
};

const struct hf_plugin *
memstore_plugin(const struct hf_host *h)
{
	host = h;
	return &parallel;
}

const struct hf_plugin *
memstore_plugin_serial(const struct hf_host *h)
{
	host = h;
	return &serial_plugin;
}

/* ---- what tests do with it ---- */

void
memstore_open(struct memstore *m, const char *bucket, bool serial)
{
	struct hf_ctx ctx = { .who = bucket };
	struct hf_error err = { .status = HF_OK };
	struct options *o = NULL;
	json_t *object = json_pack("{s:s}", "bucket", bucket);
	struct options_input in = {
		.table = options,
		.stride = sizeof *options,
		.conf_size = sizeof(struct conf),
		.object = object,
		.resolve = true,
	};

	assert_non_null(object);
	assert_int_equal(plugin_open_static(
			     serial ? memstore_plugin_serial : memstore_plugin,
			     &m->plugin, &err),
	    HF_OK);
	assert_int_equal(options_parse(&in, &o, NULL, NULL, &err), HF_OK);
	json_decref(object);
	assert_int_equal(
	    store_open(m->plugin, &ctx, o, &m->store, &err), HF_OK);
}

void
memstore_close(struct memstore *m)
{
	store_close(m->store);
	plugin_close(m->plugin);
	*m = (struct memstore){ 0 };
}

void
memstore_reset(void)
{
	(void)pthread_mutex_lock(&lock);
	while (buckets != NULL) {
		struct bucket *b = buckets;

		buckets = b->next;
		while (b->entries != NULL)
			(void)entry_drop(b, b->entries->key);
		while (b->left != NULL) {
			struct entry *e = b->left;

			b->left = e->next;
			entry_free(e);
		}
		free(b->name);
		free(b);
	}
	(void)pthread_mutex_unlock(&lock);
}

static struct bucket *
hold(const char *name)
{
	(void)pthread_mutex_lock(&lock);
	return bucket_of(name);
}

static void
let_go(void)
{
	(void)pthread_mutex_unlock(&lock);
}

void
memstore_fail(const char *bucket, enum memstore_op op, unsigned long n,
    unsigned long count, int status)
{
	struct bucket *b = hold(bucket);

	b->fail_op = op;
	b->fail_from = n == 0 ? 0 : b->calls[op] + n;
	b->fail_to = b->fail_from + count - 1;
	if (b->fail_to < b->fail_from)
		b->fail_to = ~0UL;
	b->fail_status = status;
	b->failed = false;
	let_go();
}

bool
memstore_failed(const char *bucket)
{
	bool failed = hold(bucket)->failed;

	let_go();
	return failed;
}

void
memstore_delay(const char *bucket, unsigned ms)
{
	hold(bucket)->delay_ms = ms;
	let_go();
}

void
memstore_stall(const char *bucket, enum memstore_op op, bool on)
{
	hold(bucket)->stall[op] = on;
	(void)pthread_cond_broadcast(&released);
	let_go();
}

unsigned
memstore_stalled(const char *bucket)
{
	unsigned n = hold(bucket)->stalled;

	let_go();
	return n;
}

void
memstore_discard(const char *bucket, bool on)
{
	hold(bucket)->discard = on;
	let_go();
}

unsigned long
memstore_calls(const char *bucket, enum memstore_op op)
{
	unsigned long n = hold(bucket)->calls[op];

	let_go();
	return n;
}

unsigned
memstore_handles(const char *bucket)
{
	unsigned n = hold(bucket)->handles;

	let_go();
	return n;
}

unsigned
memstore_most_handles(const char *bucket)
{
	unsigned n = hold(bucket)->most_puts;

	let_go();
	return n;
}

unsigned
memstore_most_calls(const char *bucket)
{
	unsigned n = hold(bucket)->most_running;

	let_go();
	return n;
}

size_t
memstore_count(const char *bucket)
{
	size_t n = 0;

	for (struct entry *e = hold(bucket)->entries; e != NULL; e = e->next)
		n++;
	let_go();
	return n;
}

const uint8_t *
memstore_peek(const char *bucket, const char *key, size_t *len)
{
	struct entry *e = entry_of(hold(bucket), key);
	const uint8_t *data = NULL;

	if (e != NULL) {
		/* An empty object has no memory of its own. */
		data = e->data != NULL ? e->data : (const uint8_t *)"";
		*len = e->len;
	}
	let_go();
	return data;
}

bool
memstore_flip(const char *bucket, const char *key, size_t at, uint8_t bits)
{
	struct entry *e = entry_of(hold(bucket), key);
	bool done = e != NULL && at < e->len;

	if (done)
		e->data[at] ^= bits;
	let_go();
	return done;
}

bool
memstore_resize(const char *bucket, const char *key, size_t len)
{
	struct entry *e = entry_of(hold(bucket), key);

	if (e != NULL) {
		uint8_t *data = realloc(e->data, len + 1);

		if (data == NULL)
			abort();
		e->data = data;
		if (len > e->len)
			memset(e->data + e->len, 0, len - e->len);
		e->len = len;
	}
	let_go();
	return e != NULL;
}

bool
memstore_remove(const char *bucket, const char *key)
{
	bool done = entry_drop(hold(bucket), key);

	let_go();
	return done;
}

void
memstore_leave(const char *bucket, const char *key, int64_t mtime)
{
	struct bucket *b = hold(bucket);
	struct entry *e = calloc(1, sizeof *e);

	if (e == NULL || (e->key = strdup(key)) == NULL)
		abort();
	e->mtime = mtime;
	e->next = b->left;
	b->left = e;
	let_go();
}

bool
memstore_age(const char *bucket, const char *key, int64_t mtime)
{
	struct entry *e = entry_of(hold(bucket), key);

	if (e != NULL)
		e->mtime = mtime;
	let_go();
	return e != NULL;
}
