/* SPDX-License-Identifier: BSD-2-Clause */
#include "store_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"

struct store_put {
	struct store *store;
	struct hf_put *handle;
	char key[]; /* for errors */
};

int
store_put(struct store *s, const char *key, uint32_t flags, uint64_t size_hint,
    struct store_put **out, struct hf_error *err)
{
	struct hf_put_opts opts = {
		.struct_size = sizeof opts,
		.flags = flags,
		.size_hint = size_hint,
	};
	struct hf_error why = { .status = HF_OK };
	struct store_put *p;
	size_t len;
	int rc;

	*out = NULL;
	if ((rc = store_check_key(s, key, err)) != HF_OK)
		return rc;
	if ((flags & ~HF_PUT_IF_ABSENT) != 0)
		return error_fail(err, HF_E_UNSUPPORTED,
		    "unknown put flags 0x%x", flags & ~HF_PUT_IF_ABSENT);
	if ((flags & HF_PUT_IF_ABSENT) != 0 &&
	    (store_caps(s) & HF_CAP_IF_ABSENT) == 0)
		return error_fail(err, HF_E_UNSUPPORTED,
		    "the store %s cannot put an object only if there is none",
		    s->base.plugin->desc.name);
	len = strlen(key) + 1;
	if ((p = calloc(1, sizeof *p + len)) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for a put");
	p->store = s;
	memcpy(p->key, key, len);
	STORE_CALL(s, rc, s->ops->put(s->handle, key, &opts, &p->handle, &why));
	rc = instance_status(&s->base, "put", rc, false, &why);
	if (rc != HF_OK) {
		free(p);
		return store_failed(s, rc, "putting", key, &why, err);
	}
	*out = p;
	return HF_OK;
}

int
store_put_write(
    struct store_put *p, const void *data, size_t len, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct store *s = p->store;
	int rc;

	if (len == 0)
		return HF_OK;
	STORE_CALL(s, rc, s->ops->put_write(p->handle, data, len, &why));
	rc = instance_status(&s->base, "put_write", rc, false, &why);
	return rc == HF_OK ? HF_OK
			   : store_failed(s, rc, "putting", p->key, &why, err);
}

int
store_put_commit(
    struct store_put *p, struct hf_object *out, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct store *s = p->store;
	int rc;

	if (out != NULL)
		*out = (struct hf_object){ .struct_size = sizeof *out };
	STORE_CALL(s, rc, s->ops->put_commit(p->handle, out, &why));
	rc = instance_status(&s->base, "put_commit", rc, false, &why);
	if (out != NULL) {
		out->key = NULL;
		out->etag[sizeof out->etag - 1] = '\0';
	}
	if (rc != HF_OK)
		rc = store_failed(s, rc, "committing", p->key, &why, err);
	free(p);
	return rc;
}

void
store_put_abort(struct store_put *p)
{
	if (p == NULL)
		return;
	instance_lock(&p->store->base);
	p->store->ops->put_abort(p->handle);
	instance_unlock(&p->store->base);
	free(p);
}

static int
put_once(struct store *s, const char *key, uint32_t flags, const void *data,
    size_t len, struct hf_error *err)
{
	struct store_put *p;
	int rc;

	if ((rc = store_put(s, key, flags, len, &p, err)) != HF_OK)
		return rc;
	if ((rc = store_put_write(p, data, len, err)) != HF_OK) {
		store_put_abort(p);
		return rc;
	}
	return store_put_commit(p, NULL, err);
}

/* Is what stands there what an earlier try of ours wrote? */
static bool
is_ours(struct store *s, const char *key, const void *data, size_t len)
{
	struct buf b = BUF_INIT;
	bool same;

	same = store_get_all(s, key, len, &b, NULL) == HF_OK && b.len == len &&
	       (len == 0 || memcmp(b.data, data, len) == 0);
	buf_free(&b);
	return same;
}

int
store_put_all(struct store *s, const char *key, uint32_t flags,
    const void *data, size_t len, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	unsigned tries = 0;
	int rc;

	do {
		rc = put_once(s, key, flags, data, len, &why);
		/* The answer of the try before was lost, not its work. */
		if (rc == HF_E_EXISTS && tries > 0 &&
		    is_ours(s, key, data, len))
			return HF_OK;
	} while (store_again(s, &rc, &tries, "putting", key, &why));
	if (rc != HF_OK && err != NULL)
		*err = why;
	return rc;
}
