/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/loader.h"
#include "plugin/store.h"

/* ---- a store in memory that fails as the test says ---- */

enum call { PUT, WRITE, COMMIT, GET, READ, STAT, LIST, REMOVE, CLOCK, CALLS };

struct object {
	char key[64];
	char data[256];
	size_t len;
};

struct hf_put {
	struct object o;
	uint32_t flags;
};

struct hf_get {
	const struct object *o;
	size_t at, end;
};

static const struct hf_host *host;
static struct {
	struct object objects[8];
	int n;
	uint32_t caps;
	int calls[CALLS];
	int fails[CALLS]; /* how many of the next calls fail */
	int status;       /* with what */
	bool after_work;  /* the failing commit did its work all the same */
	size_t piece;     /* bytes a read gives at most */
	int break_at;     /* a read at this offset fails, once; -1: none */
	int gets_open, puts_open;
	const char *listed; /* an extra key */
	int break_list_after;
	bool bad_read;
} mem;

/* Calls under way, to see that they do not overlap. */
static atomic_int inside, overlaps;

static int
enter(enum call c, struct hf_error *err)
{
	mem.calls[c]++;
	if (mem.fails[c] > 0) {
		mem.fails[c]--;
		return host->fail(err, mem.status, "call %d failed", (int)c);
	}
	return HF_OK;
}

static struct object *
find(const char *key)
{
	for (int i = 0; i < mem.n; i++)
		if (strcmp(mem.objects[i].key, key) == 0)
			return &mem.objects[i];
	return NULL;
}

static int
mem_open(const struct hf_ctx *ctx, const void *conf, struct hf_store **s,
    struct hf_error *err)
{
	(void)ctx;
	(void)err;
	assert_non_null(conf);
	*s = NULL;
	return HF_OK;
}

static void
mem_close(struct hf_store *s)
{
	(void)s;
}

static uint32_t
mem_caps(struct hf_store *s)
{
	(void)s;
	return mem.caps;
}

static int
mem_clock(struct hf_store *s, int64_t *now, struct hf_error *err)
{
	int rc;

	(void)s;
	if ((rc = enter(CLOCK, err)) == HF_OK)
		*now = 1234;
	return rc;
}

static int
mem_put(struct hf_store *s, const char *key, const struct hf_put_opts *o,
    struct hf_put **out, struct hf_error *err)
{
	struct hf_put *p;
	int rc;

	(void)s;
	assert_int_equal(o->struct_size, sizeof *o);
	if ((rc = enter(PUT, err)) != HF_OK)
		return rc;
	p = calloc(1, sizeof *p);
	assert_non_null(p);
	(void)snprintf(p->o.key, sizeof p->o.key, "%s", key);
	p->flags = o->flags;
	mem.puts_open++;
	*out = p;
	return HF_OK;
}

static int
mem_put_write(
    struct hf_put *p, const void *buf, size_t len, struct hf_error *err)
{
	int rc;

	if ((rc = enter(WRITE, err)) != HF_OK)
		return rc;
	assert_true(p->o.len + len <= sizeof p->o.data);
	memcpy(p->o.data + p->o.len, buf, len);
	p->o.len += len;
	return HF_OK;
}

static void
mem_put_abort(struct hf_put *p)
{
	mem.puts_open--;
	free(p);
}

static int
mem_put_commit(struct hf_put *p, struct hf_object *out, struct hf_error *err)
{
	int rc = enter(COMMIT, err);
	struct object *o = find(p->o.key);

	if (rc == HF_OK || mem.after_work) {
		if (o != NULL && (p->flags & HF_PUT_IF_ABSENT) != 0)
			rc = host->fail(err, HF_E_EXISTS, "it is there");
		else
			*(o != NULL ? o : &mem.objects[mem.n++]) = p->o;
	}
	if (out != NULL) {
		assert_int_equal(out->struct_size, sizeof *out);
		out->size = p->o.len;
		memset(out->etag, 'e', sizeof out->etag);
	}
	mem_put_abort(p);
	return rc;
}

static int
mem_get(struct hf_store *s, const char *key, uint64_t off, uint64_t len,
    struct hf_get **out, struct hf_error *err)
{
	const struct object *o = find(key);
	struct hf_get *g;
	int rc;

	(void)s;
	if ((rc = enter(GET, err)) != HF_OK)
		return rc;
	if (o == NULL)
		return host->fail(err, HF_E_NOTFOUND, "no %s", key);
	if (off > o->len)
		return host->fail(err, HF_E_INVALID, "past the end");
	g = calloc(1, sizeof *g);
	assert_non_null(g);
	g->o = o;
	g->at = off;
	g->end = o->len - off < len ? o->len : off + len;
	mem.gets_open++;
	*out = g;
	return HF_OK;
}

static int
mem_get_read(
    struct hf_get *g, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	int rc;

	if ((rc = enter(READ, err)) != HF_OK)
		return rc;
	if ((int)g->at == mem.break_at) {
		mem.break_at = -1;
		return host->fail(err, HF_E_TRANSIENT, "line dropped");
	}
	if (mem.bad_read)
		return HF_OK;
	*n = g->end - g->at < cap ? g->end - g->at : cap;
	*n = *n < mem.piece ? *n : mem.piece;
	memcpy(buf, g->o->data + g->at, *n);
	g->at += *n;
	return *n == 0 ? HF_EOF : HF_OK;
}

static void
mem_get_close(struct hf_get *g)
{
	mem.gets_open--;
	free(g);
}

static int
mem_stat(struct hf_store *s, const char *key, struct hf_object *out,
    struct hf_error *err)
{
	const struct object *o = find(key);
	int rc;

	(void)s;
	if (atomic_fetch_add(&inside, 1) != 0)
		atomic_fetch_add(&overlaps, 1);
	(void)sched_yield();
	atomic_fetch_sub(&inside, 1);
	assert_int_equal(out->struct_size, sizeof *out);
	if ((rc = enter(STAT, err)) != HF_OK)
		return rc;
	if (o == NULL)
		return host->fail(err, HF_E_NOTFOUND, "no %s", key);
	out->size = o->len;
	return HF_OK;
}

static int
mem_list(struct hf_store *s, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	struct hf_object o = { .struct_size = sizeof o };
	int rc;

	(void)s;
	(void)prefix;
	if ((rc = enter(LIST, err)) != HF_OK)
		return rc;
	if (mem.listed != NULL) {
		o.key = mem.listed;
		/* It does not stop when it is told to. */
		(void)fn(arg, &o);
	}
	for (int i = mem.n - 1; i >= 0; i--) {
		if (mem.break_list_after >= 0 && mem.break_list_after-- == 0)
			return host->fail(err, HF_E_TRANSIENT, "cut");
		o.key = mem.objects[i].key;
		o.size = mem.objects[i].len;
		if (fn(arg, &o) != 0)
			return HF_OK;
	}
	return HF_OK;
}

static int
mem_remove(struct hf_store *s, const char *key, struct hf_error *err)
{
	struct object *o = find(key);
	int rc;

	(void)s;
	if ((rc = enter(REMOVE, err)) != HF_OK)
		return rc;
	if (o == NULL)
		return host->fail(err, HF_E_NOTFOUND, "no %s", key);
	*o = mem.objects[--mem.n];
	return HF_OK;
}

static const struct hf_store_ops ops = {
	.struct_size = sizeof ops,
	.open = mem_open,
	.close = mem_close,
	.caps = mem_caps,
	.clock = mem_clock,
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

static struct hf_plugin desc = {
	HF_PLUGIN_INIT,
	.name = "mem",
	.version = "1",
	.summary = "a store in memory",
	.store = &ops,
};

static const struct hf_plugin *
describe(const struct hf_host *h)
{
	host = h;
	return &desc;
}

/* ---- */

static struct plugin *plugin;
static struct store *store;
static struct cancel cancel;
static struct hf_error err;

static int
open_with(int32_t threads)
{
	struct hf_ctx ctx = { .who = "sink nas", .cancel = &cancel };

	memset(&mem, 0, sizeof mem);
	mem.caps = HF_CAP_RANGE | HF_CAP_IF_ABSENT | 0x80000000;
	mem.piece = 4;
	mem.break_at = mem.break_list_after = -1;
	mem.status = HF_E_TRANSIENT;
	atomic_store(&cancel.requested, 0);
	atomic_store(&overlaps, 0);
	error_clear(&err);
	desc.threads = threads;
	if (plugin_open_static(describe, &plugin, &err) != HF_OK)
		return -1;
	return store_open(plugin, &ctx, NULL, &store, &err);
}

static int
setup(void **state)
{
	(void)state;
	return open_with(HF_THREADS_INSTANCE);
}

static int
teardown(void **state)
{
	(void)state;
	store_close(store);
	plugin_close(plugin);
	return mem.gets_open == 0 && mem.puts_open == 0 ? 0 : -1;
}

static void
object_comes_back_as_it_was_put(void **state)
{
	struct buf b = BUF_INIT;
	struct hf_object o;
	struct store_put *p;
	int64_t now;

	(void)state;
	assert_int_equal(store_put(store, "a/b", 0, 0, &p, &err), HF_OK);
	assert_int_equal(store_put_write(p, "hel", 3, &err), HF_OK);
	assert_int_equal(store_put_write(p, "lo", 2, &err), HF_OK);
	assert_int_equal(store_put_write(p, NULL, 0, &err), HF_OK);
	assert_int_equal(store_put_commit(p, &o, &err), HF_OK);
	assert_int_equal(o.size, 5);
	assert_null(o.key);
	assert_int_equal(strlen(o.etag), sizeof o.etag - 1);
	assert_int_equal(store_get_all(store, "a/b", 5, &b, &err), HF_OK);
	assert_int_equal(b.len, 5);
	assert_string_equal((char *)b.data, "hello");
	assert_int_equal(
	    store_get_all(store, "a/b", 4, &b, &err), HF_E_CORRUPT);
	assert_int_equal(b.len, 5);
	assert_int_equal(store_stat(store, "a/b", &o, &err), HF_OK);
	assert_int_equal(o.size, 5);
	assert_int_equal(store_clock(store, &now, &err), HF_OK);
	assert_int_equal(now, 1234);
	/* Bits that this core does not know are not passed on. */
	assert_int_equal(store_caps(store), HF_CAP_RANGE | HF_CAP_IF_ABSENT);
	assert_int_equal(store_put(store, "a/c", 0, 0, &p, &err), HF_OK);
	store_put_abort(p);
	assert_int_equal(mem.n, 1);
	assert_int_equal(store_remove(store, "a/b", &err), HF_OK);
	assert_int_equal(store_remove(store, "a/b", &err), HF_OK);
	assert_int_equal(mem.n, 0);
	buf_free(&b);
}

static void
keys_that_are_not_valid_are_never_passed_on(void **state)
{
	static const char *const bad[] = { "", "/a", "a/", "a//b", "../a",
		"a/.b", "a b", "a\nb", "\xc3\xa4", NULL };
	struct store_put *p;
	struct store_get *g;
	struct hf_object o;

	(void)state;
	for (size_t i = 0; bad[i] != NULL; i++) {
		assert_int_equal(
		    store_put(store, bad[i], 0, 0, &p, &err), HF_E_INVALID);
		assert_int_equal(
		    store_get(store, bad[i], 0, 1, &g, &err), HF_E_INVALID);
		assert_int_equal(
		    store_stat(store, bad[i], &o, &err), HF_E_INVALID);
		assert_int_equal(
		    store_remove(store, bad[i], &err), HF_E_INVALID);
	}
	assert_int_equal(
	    store_list_all(store, "../", &(struct store_keys){ 0 }, &err),
	    HF_E_INVALID);
	for (int c = 0; c < CALLS; c++)
		assert_int_equal(mem.calls[c], 0);
}

static void
listed_keys_that_are_not_valid_are_corrupt(void **state)
{
	static const char *const bad[] = { "../../etc/passwd", "a/.hidden", "",
		"b/other", "a/x y", NULL };
	struct store_keys k;

	(void)state;
	for (size_t i = 0; bad[i] != NULL; i++) {
		mem.listed = bad[i];
		assert_int_equal(
		    store_list_all(store, "a/", &k, &err), HF_E_CORRUPT);
		assert_int_equal(k.n, 0);
		assert_non_null(strstr(err.cause, bad[i]));
	}
	mem.listed = "a/good";
	assert_int_equal(store_list_all(store, "a/", &k, &err), HF_OK);
	assert_int_equal(k.n, 1);
	store_keys_free(&k);
}

static void
unknown_flags_and_missing_conditions_are_refused(void **state)
{
	struct store_put *p;

	(void)state;
	assert_int_equal(
	    store_put(store, "a", 1u << 5, 0, &p, &err), HF_E_UNSUPPORTED);
	mem.caps = 0;
	assert_int_equal(store_put(store, "a", HF_PUT_IF_ABSENT, 0, &p, &err),
	    HF_E_UNSUPPORTED);
	assert_int_equal(mem.calls[PUT], 0);
}

static void
transient_failures_are_tried_again(void **state)
{
	struct store_keys k;
	struct store_get *g;
	struct hf_object o;
	int64_t now;

	(void)state;
	assert_int_equal(store_put_all(store, "a", 0, "hello", 5, &err), HF_OK);
	for (int c = 0; c < CALLS; c++) {
		mem.calls[c] = 0;
		mem.fails[c] = 2;
	}
	assert_int_equal(store_stat(store, "a", &o, &err), HF_OK);
	assert_int_equal(store_list_all(store, "", &k, &err), HF_OK);
	store_keys_free(&k);
	assert_int_equal(store_clock(store, &now, &err), HF_OK);
	assert_int_equal(store_get(store, "a", 0, 5, &g, &err), HF_OK);
	store_get_close(g);
	assert_int_equal(store_remove(store, "a", &err), HF_OK);
	assert_int_equal(mem.calls[STAT], 3);
	assert_int_equal(mem.calls[LIST], 3);
	assert_int_equal(mem.calls[CLOCK], 3);
	assert_int_equal(mem.calls[GET], 3);
	assert_int_equal(mem.calls[REMOVE], 3);
	/* Nothing is left of the failures that were overcome. */
	assert_int_equal(err.status, HF_OK);
}

static void
failure_says_what_was_being_done(void **state)
{
	struct hf_object o;
	char line[512];

	(void)state;
	mem.fails[STAT] = 1;
	mem.status = HF_E_IO;
	assert_int_equal(store_stat(store, "a/b", &o, &err), HF_E_IO);
	error_line(&err, line, sizeof line);
	assert_string_equal(line, "sink nas: looking at a/b: call 5 failed");
}

static void
other_failures_are_not_tried_again(void **state)
{
	static const int statuses[] = { HF_E_DENIED, HF_E_CORRUPT, HF_E_IO,
		HF_E_NOSPACE, HF_E_NOTFOUND };
	struct hf_object o;

	(void)state;
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		mem.calls[STAT] = 0;
		mem.fails[STAT] = 1;
		mem.status = statuses[i];
		assert_int_equal(store_stat(store, "a", &o, &err), statuses[i]);
		assert_int_equal(mem.calls[STAT], 1);
	}
}

static void
cancelling_ends_the_tries(void **state)
{
	struct hf_object o;

	(void)state;
	mem.fails[STAT] = 100;
	cancel_request(&cancel);
	assert_int_equal(store_stat(store, "a", &o, &err), HF_E_CANCELLED);
	assert_int_equal(mem.calls[STAT], 1);
}

/* Streams cannot be sent again from here. */
static void
put_of_a_stream_is_not_tried_again(void **state)
{
	struct store_put *p;

	(void)state;
	mem.fails[PUT] = 1;
	assert_int_equal(store_put(store, "a", 0, 0, &p, &err), HF_E_TRANSIENT);
	assert_int_equal(store_put(store, "a", 0, 0, &p, &err), HF_OK);
	mem.fails[WRITE] = 1;
	assert_int_equal(store_put_write(p, "x", 1, &err), HF_E_TRANSIENT);
	store_put_abort(p);
	assert_int_equal(store_put(store, "a", 0, 0, &p, &err), HF_OK);
	mem.fails[COMMIT] = 1;
	assert_int_equal(store_put_commit(p, NULL, &err), HF_E_TRANSIENT);
	assert_int_equal(mem.calls[PUT], 3);
	assert_int_equal(mem.calls[COMMIT], 1);
}

static void
small_put_is_tried_again_as_a_whole(void **state)
{
	(void)state;
	mem.fails[PUT] = mem.fails[WRITE] = mem.fails[COMMIT] = 1;
	assert_int_equal(store_put_all(store, "a", 0, "hello", 5, &err), HF_OK);
	assert_int_equal(mem.calls[PUT], 4);
	assert_int_equal(mem.objects[0].len, 5);
	mem.fails[COMMIT] = 1;
	mem.status = HF_E_NOSPACE;
	assert_int_equal(
	    store_put_all(store, "b", 0, "x", 1, &err), HF_E_NOSPACE);
	assert_int_equal(mem.n, 1);
}

static void
conditional_put_whose_answer_was_lost_has_won(void **state)
{
	(void)state;
	mem.fails[COMMIT] = 1;
	mem.after_work = true;
	assert_int_equal(
	    store_put_all(store, "a", HF_PUT_IF_ABSENT, "mine", 4, &err),
	    HF_OK);
	assert_int_equal(mem.calls[COMMIT], 2);
	assert_int_equal(mem.n, 1);
}

static void
conditional_put_does_not_win_over_somebody_else(void **state)
{
	(void)state;
	assert_int_equal(store_put_all(store, "a", 0, "their", 5, &err), HF_OK);
	assert_int_equal(
	    store_put_all(store, "a", HF_PUT_IF_ABSENT, "their", 5, &err),
	    HF_E_EXISTS);
	mem.fails[COMMIT] = 1;
	assert_int_equal(
	    store_put_all(store, "a", HF_PUT_IF_ABSENT, "mine", 4, &err),
	    HF_E_EXISTS);
	mem.fails[COMMIT] = 1;
	assert_int_equal(
	    store_put_all(store, "a", HF_PUT_IF_ABSENT, "other", 5, &err),
	    HF_E_EXISTS);
	assert_memory_equal(mem.objects[0].data, "their", 5);
}

static void
broken_read_goes_on_where_it_was(void **state)
{
	char got[16];
	struct store_get *g;
	size_t n, len;
	int rc;

	(void)state;
	assert_int_equal(
	    store_put_all(store, "a", 0, "0123456789", 10, &err), HF_OK);
	/* Each offset that a read begins at, whole and as a range. */
	for (int at = 0; at <= 10; at += 2)
		for (int range = 0; range < 2; range++) {
			mem.piece = 2;
			mem.break_at = at;
			len = 0;
			assert_int_equal(
			    store_get(store, "a", range != 0 ? 2 : 0,
				range != 0 ? 6 : UINT64_MAX, &g, &err),
			    HF_OK);
			while ((rc = store_get_read(g, got + len,
				    sizeof got - len, &n, &err)) == HF_OK)
				len += n;
			assert_int_equal(rc, HF_EOF);
			assert_int_equal(n, 0);
			assert_int_equal(len, range != 0 ? 6 : 10);
			assert_memory_equal(
			    got, range != 0 ? "234567" : "0123456789", len);
			store_get_close(g);
		}
}

static void
read_that_stays_broken_fails_without_a_leak(void **state)
{
	struct store_get *g;
	char c[4];
	size_t n;

	(void)state;
	assert_int_equal(
	    store_put_all(store, "a", 0, "0123456789", 10, &err), HF_OK);
	assert_int_equal(store_get(store, "a", 0, UINT64_MAX, &g, &err), HF_OK);
	mem.fails[READ] = 100;
	assert_int_equal(
	    store_get_read(g, c, sizeof c, &n, &err), HF_E_TRANSIENT);
	assert_int_equal(n, 0);
	assert_int_equal(mem.calls[READ], 5);
	store_get_close(g);
	mem.fails[READ] = 0;
	mem.bad_read = true;
	assert_int_equal(store_get(store, "a", 0, UINT64_MAX, &g, &err), HF_OK);
	assert_int_equal(store_get_read(g, c, sizeof c, &n, &err), HF_E_BUG);
	store_get_close(g);
}

static int
count_up(void *arg, const struct hf_object *o)
{
	assert_non_null(o->key);
	++*(int *)arg;
	return 0;
}

static int
stop_at_two(void *arg, const struct hf_object *o)
{
	(void)o;
	return ++*(int *)arg == 2 ? 42 : 0;
}

static void
put_four(void)
{
	static const char *const keys[] = { "c", "a/2", "b", "a/1" };

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
		    store_put_all(store, keys[i], 0, "x", 1, &err), HF_OK);
}

static void
listing_is_sorted_and_can_be_stopped(void **state)
{
	struct store_keys k;
	int n = 0;

	(void)state;
	put_four();
	assert_int_equal(store_list_all(store, "", &k, &err), HF_OK);
	assert_int_equal(k.n, 4);
	assert_string_equal(k.keys[0].key, "a/1");
	assert_string_equal(k.keys[1].key, "a/2");
	assert_string_equal(k.keys[3].key, "c");
	assert_int_equal(k.keys[3].size, 1);
	store_keys_free(&k);
	/* A key that comes twice is there once. */
	mem.listed = "b";
	assert_int_equal(store_list_all(store, "", &k, &err), HF_OK);
	assert_int_equal(k.n, 4);
	store_keys_free(&k);
	assert_int_equal(store_list(store, "", stop_at_two, &n, &err), 42);
	assert_int_equal(n, 2);
}

static void
broken_listing_is_begun_again_only_when_nothing_was_given(void **state)
{
	struct store_keys k;
	int n = 0;

	(void)state;
	put_four();
	mem.break_list_after = 0;
	assert_int_equal(store_list(store, "", count_up, &n, &err), HF_OK);
	assert_int_equal(n, 4);
	assert_int_equal(mem.calls[LIST], 2);
	n = 0;
	mem.break_list_after = 2;
	assert_int_equal(
	    store_list(store, "", count_up, &n, &err), HF_E_TRANSIENT);
	assert_int_equal(n, 2);
	/* Here the whole list is ours until it is complete. */
	mem.break_list_after = 2;
	assert_int_equal(store_list_all(store, "", &k, &err), HF_OK);
	assert_int_equal(k.n, 4);
	store_keys_free(&k);
}

static int
one_finding(void *arg, const struct hf_finding *f)
{
	assert_int_equal(f->verdict, HF_PASS);
	assert_non_null(f->check);
	assert_non_null(f->result);
	++*(int *)arg;
	return HF_OK;
}

static void
store_without_checks_gives_one_finding(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(store_check(store, one_finding, &n, &err), HF_OK);
	assert_int_equal(n, 1);
}

/* ---- thread levels ---- */

static void *
stat_often(void *arg)
{
	struct hf_object o;

	for (int i = 0; i < 300; i++)
		(void)store_stat(arg, "a", &o, NULL);
	return NULL;
}

static int
overlapping(struct store *a, struct store *b)
{
	pthread_t threads[4];

	atomic_store(&overlaps, 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stat_often,
				     i % 2 == 0 ? a : b),
		    0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	return atomic_load(&overlaps);
}

static int
setup_serial(void **state)
{
	(void)state;
	return open_with(HF_THREADS_SERIAL);
}

static void
serial_plugin_is_called_once_at_a_time(void **state)
{
	struct store *other;

	(void)state;
	assert_false(store_parallel(store));
	assert_int_equal(store_open(plugin, NULL, NULL, &other, &err), HF_OK);
	assert_int_equal(overlapping(store, other), 0);
	store_close(other);
}

static void
instance_is_called_once_at_a_time(void **state)
{
	(void)state;
	assert_false(store_parallel(store));
	assert_int_equal(overlapping(store, store), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(object_comes_back_as_it_was_put),
		T(keys_that_are_not_valid_are_never_passed_on),
		T(listed_keys_that_are_not_valid_are_corrupt),
		T(unknown_flags_and_missing_conditions_are_refused),
		T(transient_failures_are_tried_again),
		T(failure_says_what_was_being_done),
		T(other_failures_are_not_tried_again),
		T(cancelling_ends_the_tries),
		T(put_of_a_stream_is_not_tried_again),
		T(small_put_is_tried_again_as_a_whole),
		T(conditional_put_whose_answer_was_lost_has_won),
		T(conditional_put_does_not_win_over_somebody_else),
		T(broken_read_goes_on_where_it_was),
		T(read_that_stays_broken_fails_without_a_leak),
		T(listing_is_sorted_and_can_be_stopped),
		T(broken_listing_is_begun_again_only_when_nothing_was_given),
		T(store_without_checks_gives_one_finding),
		cmocka_unit_test_setup_teardown(
		    serial_plugin_is_called_once_at_a_time, setup_serial,
		    teardown),
		T(instance_is_called_once_at_a_time),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
