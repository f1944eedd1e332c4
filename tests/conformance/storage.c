/* SPDX-License-Identifier: BSD-2-Clause */
#include "storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/key.h"
#include "data.h"

/* Keys stay where they are until the case's process ends. */
struct kept_key {
	struct kept_key *next;
	char key[];
};

const char *
storage_key(const struct session *s, const char *name)
{
	static struct kept_key *keys;
	char key[NAME_MAX_KEY];
	struct kept_key *k;

	(void)snprintf(key, sizeof key, "%s%s", s->prefix, name);
	for (k = keys; k != NULL; k = k->next)
		if (strcmp(k->key, key) == 0)
			return k->key;
	k = data_alloc(sizeof *k + strlen(key) + 1);
	memcpy(k->key, key, strlen(key) + 1);
	k->next = keys;
	keys = k;
	return k->key;
}

int
storage_put(struct session *s, struct hf_store *store, const char *key,
    uint32_t flags, const void *data, size_t len, size_t chunk,
    struct hf_object *out, struct hf_error *err)
{
	const struct hf_store_ops *ops = &s->plugin->store;
	struct hf_put_opts opts = {
		.struct_size = sizeof opts, .flags = flags, .size_hint = len
	};
	struct hf_put *put = NULL;
	const uint8_t *p = data;
	size_t at = 0;
	int status = ops->put(store, key, &opts, &put, err);

	if (status != HF_OK)
		return status;
	while (at < len) {
		size_t n = chunk == 0 || chunk > len - at ? len - at : chunk;

		status = ops->put_write(put, p + at, n, err);
		if (status != HF_OK) {
			ops->put_abort(put);
			return status;
		}
		at += n;
	}
	return ops->put_commit(put, out, err);
}

void
storage_keep(struct session *s, const char *key, const void *data, size_t len)
{
	expect(s, storage_put(s, s->store, key, 0, data, len, 0, NULL, &s->err),
	    HF_OK, "put %s, %zu bytes", key, len);
}

int
storage_get(struct session *s, struct hf_store *store, const char *key,
    uint64_t off, uint64_t len, size_t cap, uint8_t **data, size_t *n,
    struct hf_error *err)
{
	const struct hf_store_ops *ops = &s->plugin->store;
	uint8_t *buf = NULL;
	struct hf_get *get = NULL;
	size_t room = 0, at = 0, got;
	int status = ops->get(store, key, off, len, &get, err);

	*data = NULL;
	*n = 0;
	if (status != HF_OK)
		return status;
	if (cap == 0)
		cap = 64 * KIB;
	for (;;) {
		if (room - at < cap)
			buf = data_grow(buf, room = (at + cap) * 2);
		got = 0;
		status = ops->get_read(get, buf + at, cap, &got, err);
		if (status != HF_OK)
			break;
		CHECK(got > 0 && got <= cap,
		    "get_read of %s said OK with %zu bytes for %zu", key, got,
		    cap);
		at += got;
	}
	CHECK(status != HF_EOF || got == 0,
	    "get_read of %s said EOF with %zu bytes", key, got);
	ops->get_close(get);
	if (status == HF_EOF) {
		*data = buf;
		*n = at;
		return HF_OK;
	}
	free(buf);
	return status;
}

void
storage_has(struct session *s, const char *key, const void *data, size_t len)
{
	struct hf_object o = { .struct_size = sizeof o };
	uint8_t *got;
	size_t n;

	expect(s,
	    storage_get(s, s->store, key, 0, UINT64_MAX, 0, &got, &n, &s->err),
	    HF_OK, "get %s", key);
	CHECK(n == len, "%s has %zu bytes, %zu were put", key, n, len);
	CHECK(len == 0 || memcmp(got, data, len) == 0,
	    "%s has other bytes than were put", key);
	free(got);
	expect(s, s->plugin->store.stat(s->store, key, &o, &s->err), HF_OK,
	    "stat %s", key);
	CHECK(o.size == len, "stat says %s has %llu bytes, not %zu", key,
	    (unsigned long long)o.size, len);
	CHECK(o.struct_size == sizeof o,
	    "stat changed the struct_size, which is the caller's");
}

struct listing {
	const char *prefix, *key;
	int64_t len;
	size_t n;
};

static int
count_key(void *arg, const struct hf_object *o)
{
	struct listing *l = arg;

	CHECK(o->struct_size >= offsetof(struct hf_object, etag),
	    "list gave a struct_size of %zu", o->struct_size);
	CHECK(o->key != NULL && key_valid(o->key),
	    "list gave the key \"%s\", which is not a valid one",
	    o->key == NULL ? "(null)" : o->key);
	CHECK(strncmp(o->key, l->prefix, strlen(l->prefix)) == 0,
	    "list of \"%s\" gave %s", l->prefix, o->key);
	if (strcmp(o->key, l->key) != 0)
		return 0;
	CHECK(l->len < 0 || o->size == (uint64_t)l->len,
	    "list says %s has %llu bytes, not %lld", o->key,
	    (unsigned long long)o->size, (long long)l->len);
	l->n++;
	return 0;
}

size_t
storage_listed(
    struct session *s, const char *prefix, const char *key, int64_t len)
{
	struct listing l = { .prefix = prefix, .key = key, .len = len };

	expect(s,
	    s->plugin->store.list(s->store, prefix, count_key, &l, &s->err),
	    HF_OK, "list \"%s\"", prefix);
	return l.n;
}

void
storage_lacks(struct session *s, const char *key)
{
	const struct hf_store_ops *ops = &s->plugin->store;
	struct hf_object o = { .struct_size = sizeof o };
	struct hf_get *get = NULL;

	expect(s, ops->stat(s->store, key, &o, &s->err), HF_E_NOTFOUND,
	    "stat of %s, which is not there", key);
	expect(s, ops->get(s->store, key, 0, UINT64_MAX, &get, &s->err),
	    HF_E_NOTFOUND, "get of %s, which is not there", key);
	CHECK(storage_listed(s, s->prefix, key, -1) == 0,
	    "list gives %s, which is not there", key);
}
