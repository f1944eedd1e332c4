/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of a store: what is listed, what is removed, what is swept away. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conform.h"
#include "data.h"
#include "storage.h"

#define OPS(s) (&(s)->plugin->store)

struct keys {
	const char *prefix;
	uint8_t *seen;
	size_t n, other;
};

static int
see_numbered(void *arg, const struct hf_object *o)
{
	struct keys *k = arg;
	size_t len = strlen(k->prefix);
	const char *digits = strrchr(o->key, '-');
	long i;

	CHECK(strncmp(o->key, k->prefix, len) == 0, "list of \"%s\" gave %s",
	    k->prefix, o->key);
	i = digits == NULL ? -1 : strtol(digits + 1, NULL, 10);
	if (i < 0 || i >= (long)k->n) {
		k->other++;
		return 0;
	}
	CHECK(k->seen[i] == 0, "list gave %s twice", o->key);
	k->seen[i] = 1;
	return 0;
}

static void
many_keys(struct session *s)
{
	struct keys k = { .n = 2500 };
	char name[64];

	k.prefix = s->prefix;
	k.seen = data_alloc(k.n);
	memset(k.seen, 0, k.n);
	for (size_t i = 0; i < k.n; i++) {
		(void)snprintf(name, sizeof name, "many/%zu/key-%zu", i % 7, i);
		storage_keep(s, storage_key(s, name), name, strlen(name));
	}
	expect(s, OPS(s)->list(s->store, s->prefix, see_numbered, &k, &s->err),
	    HF_OK, "list");
	for (size_t i = 0; i < k.n; i++)
		CHECK(
		    k.seen[i] != 0, "list did not give key %zu of %zu", i, k.n);
	CHECK(k.other == 0, "list gave %zu keys that nobody put", k.other);
	free(k.seen);
}

static int
count_all(void *arg, const struct hf_object *o)
{
	(void)o;
	++*(size_t *)arg;
	return 0;
}

static void
listed(struct session *s, const char *prefix, size_t want)
{
	size_t n = 0;

	expect(s, OPS(s)->list(s->store, prefix, count_all, &n, &s->err), HF_OK,
	    "list \"%s\"", prefix);
	CHECK(n == want, "list of \"%s\" gave %zu keys, not %zu", prefix, n,
	    want);
}

static void
prefix_is_a_string(struct session *s)
{
	static const char *const names[] = { "p/alpha", "p/alphabet",
		"p/alpha.d/one", "p/alpha.d/two", "p/beta", "q" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		storage_keep(s, storage_key(s, names[i]), "x", 1);
	listed(s, storage_key(s, ""), 6);
	listed(s, storage_key(s, "p"), 5);
	listed(s, storage_key(s, "p/"), 5);
	listed(s, storage_key(s, "p/al"), 4);
	listed(s, storage_key(s, "p/alpha"), 4);
	listed(s, storage_key(s, "p/alpha."), 2);
	listed(s, storage_key(s, "p/alpha.d"), 2);
	listed(s, storage_key(s, "p/alpha.d/"), 2);
	listed(s, storage_key(s, "p/alpha.d/o"), 1);
	listed(s, storage_key(s, "p/beta"), 1);
	listed(s, storage_key(s, "p/beta/"), 0);
	listed(s, storage_key(s, "p/gamma"), 0);
	listed(s, storage_key(s, "z/"), 0);
}

static int
stop_at_two(void *arg, const struct hf_object *o)
{
	(void)o;
	return ++*(size_t *)arg == 2 ? 42 : 0;
}

static int
stop_with_an_error(void *arg, const struct hf_object *o)
{
	(void)o;
	++*(size_t *)arg;
	return -4242;
}

static void
stopping_a_listing(struct session *s)
{
	size_t n = 0;
	int got;

	for (int i = 0; i < 5; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "stop/%d/%d", i, i);
		storage_keep(s, storage_key(s, name), "x", 1);
	}
	got = OPS(s)->list(s->store, s->prefix, stop_at_two, &n, &s->err);
	CHECK(got == 42, "list stopped by 42 returned %d", got);
	CHECK(n == 2, "list went on after the callback had stopped it");
	n = 0;
	got =
	    OPS(s)->list(s->store, s->prefix, stop_with_an_error, &n, &s->err);
	CHECK(got == -4242, "list stopped by -4242 returned %d", got);
	CHECK(n == 1, "list went on after the callback had stopped it");
}

static int
remove_each(void *arg, const struct hf_object *o)
{
	struct session *s = arg;

	expect(s, OPS(s)->remove(s->store, o->key, &s->err), HF_OK,
	    "remove %s while it is listed", o->key);
	return 0;
}

/* A callback that calls the store is a plain user of it, where the thread
 * level allows a call inside another: a lock kept while listing would hang. */
static void
removing_while_listing(struct session *s)
{
	struct hf_error err = { .status = HF_OK };

	if (!session_parallel(s))
		verdict_skip("its thread level forbids a call inside another");
	for (int i = 0; i < 20; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "walk/%d/%d", i % 3, i);
		storage_keep(s, storage_key(s, name), "x", 1);
	}
	expect_in(s, &err,
	    OPS(s)->list(s->store, s->prefix, remove_each, s, &err), HF_OK,
	    "list that removes");
	listed(s, s->prefix, 0);
}

static void
round_key(struct session *s, const char *name)
{
	const char *key = storage_key(s, name);

	storage_keep(s, key, name, strlen(name));
	storage_has(s, key, name, strlen(name));
	CHECK(storage_listed(s, s->prefix, key, (int64_t)strlen(name)) == 1,
	    "list does not give %s once", key);
	expect(
	    s, OPS(s)->remove(s->store, key, &s->err), HF_OK, "remove %s", key);
	storage_lacks(s, key);
}

static void
keys_of_all_kinds(struct session *s)
{
	char name[NAME_MAX_KEY];
	size_t room = 512 - strlen(s->prefix), at = 0;

	round_key(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	round_key(s, "abcdefghijklmnopqrstuvwxyz");
	round_key(s, "0123456789._=-");
	round_key(s, "-leading/_leading/=leading/trailing./trailing-");
	round_key(s, "a..b/c...");
	round_key(s, "x=2F=3D.gz");
	round_key(s, "tmp/x.tmp");
	round_key(s, "one/two/three/four/five/six/seven/eight/nine/ten");
	memset(name, 'c', 200);
	name[200] = '\0';
	round_key(s, name);
	while (at < room) {
		size_t part = room - at > 201 ? 200 : room - at;

		memset(name + at, 'k', part);
		at += part;
		if (at < room)
			name[at++] = '/';
		if (at == room && name[at - 1] == '/')
			name[at - 1] = 'k';
	}
	name[room] = '\0';
	round_key(s, name);
	/* letters of two cases are two keys */
	storage_keep(s, storage_key(s, "case"), "lower", 5);
	storage_keep(s, storage_key(s, "CASE"), "UPPER", 5);
	storage_has(s, storage_key(s, "case"), "lower", 5);
	storage_has(s, storage_key(s, "CASE"), "UPPER", 5);
}

static void
removing(struct session *s)
{
	const char *key = storage_key(s, "dir/to-remove");
	const char *other = storage_key(s, "dir/to-remove-not");

	storage_keep(s, key, "x", 1);
	storage_keep(s, other, "y", 1);
	for (int i = 0; i < 3; i++) {
		expect(s, OPS(s)->remove(s->store, key, &s->err), HF_OK,
		    "remove, the %d. time", i + 1);
		storage_lacks(s, key);
	}
	storage_has(s, other, "y", 1);
	expect(s, OPS(s)->remove(s->store, other, &s->err), HF_OK, "remove");
	expect(s,
	    OPS(s)->remove(s->store, storage_key(s, "no/such/one"), &s->err),
	    HF_OK, "remove of what never was there");
	/* the place of removed keys can be used again */
	storage_keep(s, key, "z", 1);
	storage_has(s, key, "z", 1);
}

/* More than one request of any service holds. */
static void
removing_many(struct session *s)
{
	enum { N = 1203 };
	const char *kept = storage_key(s, "many/kept"), **keys;
	char name[32];

	if (OPS(s)->remove_many == NULL)
		verdict_skip("it has no remove_many");
	keys = data_alloc(N * sizeof(const char *));
	storage_keep(s, kept, "x", 1);
	for (size_t i = 0; i < N; i++) {
		(void)snprintf(name, sizeof name, "many/%zu", i);
		keys[i] = storage_key(s, name);
		/* the last ones were never there */
		if (i < N - 3)
			storage_keep(s, keys[i], name, strlen(name));
	}
	expect(s, OPS(s)->remove_many(s->store, keys, 0, &s->err), HF_OK,
	    "remove_many of nothing");
	for (int i = 0; i < 2; i++) {
		expect(s, OPS(s)->remove_many(s->store, keys, N, &s->err),
		    HF_OK, "remove_many, the %d. time", i + 1);
		listed(s, storage_key(s, "many/"), 1);
	}
	storage_has(s, kept, "x", 1);
	storage_lacks(s, keys[0]);
	storage_lacks(s, keys[N - 4]);
	free(keys);
}

struct swept {
	const char *prefix;
	size_t n;
};

static int
see_left(void *arg, const struct hf_object *o)
{
	struct swept *w = arg;

	CHECK(o->key != NULL &&
		  strncmp(o->key, w->prefix, strlen(w->prefix)) == 0,
	    "sweep below \"%s\" told of %s", w->prefix,
	    o->key == NULL ? "nothing" : o->key);
	w->n++;
	return 0;
}

static size_t
sweep(struct session *s, const char *prefix, int64_t before, bool dry)
{
	struct swept w = { .prefix = prefix };

	expect(s,
	    OPS(s)->sweep(s->store, prefix, before, dry, see_left, &w, &s->err),
	    HF_OK, "sweep%s", dry ? ", dry" : "");
	return w.n;
}

static void
sweeping(struct session *s)
{
	const char *kept = storage_key(s, "kept");
	const char *dead = storage_key(s, "dead/");
	int64_t now = (int64_t)time(NULL);
	size_t n;

	if (OPS(s)->sweep == NULL)
		verdict_skip("it has no sweep");
	if (OPS(s)->clock != NULL)
		expect(
		    s, OPS(s)->clock(s->store, &now, &s->err), HF_OK, "clock");
	storage_keep(s, kept, "x", 1);
	CHECK(again_run(s, "die", storage_key(s, "dead/victim")) == 77,
	    "the process that was to die in a put did not");
	CHECK(sweep(s, dead, now - 86400, false) == 0,
	    "sweep told of what was begun later than it was asked for");
	n = sweep(s, dead, now + 3600, true);
	CHECK(sweep(s, storage_key(s, "elsewhere/"), now + 3600, false) == 0,
	    "sweep told of what is not there");
	CHECK(sweep(s, dead, now + 3600, true) == n,
	    "a dry sweep removed something, or a narrow one too much");
	CHECK(sweep(s, dead, now + 3600, false) == n,
	    "sweep does not tell the same as when it was dry");
	CHECK(sweep(s, dead, now + 3600, true) == 0,
	    "sweep told of what it did not remove");
	storage_has(s, kept, "x", 1);
	listed(s, s->prefix, 1);
	verdict_note("a process killed in two puts left %zu to sweep", n);
}

static int
stop_left(void *arg, const struct hf_object *o)
{
	(void)o;
	++*(size_t *)arg;
	return 42;
}

static void
stopping_a_sweep(struct session *s)
{
	int64_t far = (int64_t)time(NULL) + 3600;
	size_t n = 0;
	int got;

	if (OPS(s)->sweep == NULL)
		verdict_skip("it has no sweep");
	CHECK(again_run(s, "die", storage_key(s, "dead/victim")) == 77,
	    "the process that was to die in a put did not");
	got = OPS(s)->sweep(
	    s->store, s->prefix, far, true, stop_left, &n, &s->err);
	CHECK(got == (n == 0 ? HF_OK : 42) && n <= 1,
	    "sweep stopped by 42 returned %d after %zu calls", got, n);
	(void)sweep(s, s->prefix, far, false);
}

const struct conform_case cases_store_names[] = {
	{ "2,500 keys are listed once each", many_keys },
	{ "a prefix is a string, not a folder", prefix_is_a_string },
	{ "the callback stops a listing", stopping_a_listing },
	{ "objects may be removed while they are listed",
	    removing_while_listing },
	{ "keys with every allowed character and of full length",
	    keys_of_all_kinds },
	{ "removing is idempotent", removing },
	{ "removing many at once removes just those", removing_many },
	{ "a sweep finds what dead writers left and nothing else", sweeping },
	{ "the callback stops a sweep", stopping_a_sweep },
	{ NULL, NULL },
};
