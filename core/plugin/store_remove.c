/* SPDX-License-Identifier: BSD-2-Clause */
/* A store's objects go: one, many, and what dead writers left. */
#include <string.h>

#include "base/error.h"
#include "base/key.h"
#include "plugin/lint.h"
#include "store_internal.h"

int
store_remove(struct store *s, const char *key, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	unsigned tries = 0;
	int rc;

	if ((rc = store_check_key(s, key, err)) != HF_OK)
		return rc;
	do {
		STORE_CALL(s, rc, s->ops->remove(s->handle, key, &why));
		rc = instance_status(&s->base, "remove", rc, false, &why);
	} while (store_again(s, &rc, &tries, "removing", key, &why));
	/* Gone is gone, also after a try whose answer was lost. */
	if (rc == HF_E_NOTFOUND)
		rc = HF_OK;
	return rc == HF_OK ? HF_OK
			   : store_failed(s, rc, "removing", key, &why, err);
}

static int
remove_each(
    struct store *s, const char *const *keys, size_t n, struct hf_error *err)
{
	int rc = HF_OK;

	for (size_t i = 0; rc == HF_OK && i < n; i++)
		rc = store_remove(s, keys[i], err);
	return rc;
}

int
store_remove_many(
    struct store *s, const char *const *keys, size_t n, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	unsigned tries = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		if ((rc = store_check_key(s, keys[i], err)) != HF_OK)
			return rc;
	if (n < 2 || s->ops->remove_many == NULL)
		return remove_each(s, keys, n, err);
	do {
		STORE_CALL(
		    s, rc, s->ops->remove_many(s->handle, keys, n, &why));
		rc = instance_status(&s->base, "remove_many", rc, false, &why);
	} while (store_again(s, &rc, &tries, "removing", keys[0], &why));
	if (rc == HF_E_NOTFOUND)
		rc = HF_OK;
	return rc == HF_OK ? HF_OK
			   : store_failed(s, rc, "removing several objects of",
				 NULL, &why, err);
}

struct sweep {
	const char *prefix;
	hf_list_fn *fn; /* or NULL */
	void *arg;
	int stopped; /* what fn, or this layer's own check, answered */
	bool told;
	struct hf_error why;
};

static int
pass_left(void *arg, const struct hf_object *given)
{
	struct sweep *w = arg;
	struct hf_object o;

	if (w->stopped != 0)
		return w->stopped;
	lint_copy(&o, sizeof o, given);
	o.struct_size = sizeof o;
	o.etag[sizeof o.etag - 1] = '\0';
	/* A temporary file's name need not be a key, but it names one place
	 * below the prefix. */
	if (o.key == NULL || strncmp(o.key, w->prefix, strlen(w->prefix)) != 0)
		return w->stopped = error_fail(&w->why, HF_E_BUG,
			   "the store tells of \"%.200s\", which is not below "
			   "\"%s\"",
			   o.key == NULL ? "" : o.key, w->prefix);
	w->told = true;
	return w->stopped = w->fn == NULL ? 0 : w->fn(w->arg, &o);
}

int
store_sweep(struct store *s, const char *prefix, int64_t before, bool dry,
    hf_list_fn *fn, void *arg, struct hf_error *err)
{
	struct sweep w = { .prefix = prefix, .fn = fn, .arg = arg };
	struct hf_error why = { .status = HF_OK };
	unsigned tries = 0;
	int rc;

	if (prefix == NULL || !key_valid_prefix(prefix))
		return error_fail(err, HF_E_INVALID,
		    "\"%.100s\" is not a valid prefix of keys",
		    prefix == NULL ? "" : prefix);
	if (s->ops->sweep == NULL)
		return HF_OK;
	do {
		STORE_CALL(s, rc,
		    s->ops->sweep(
			s->handle, prefix, before, dry, pass_left, &w, &why));
		if (w.stopped != 0)
			break;
		rc = instance_status(&s->base, "sweep", rc, false, &why);
		/* What was told cannot be taken back. */
	} while (
	    !w.told && store_again(s, &rc, &tries, "sweeping", prefix, &why));
	if (w.why.status != HF_OK)
		return store_failed(
		    s, w.why.status, "sweeping", prefix, &w.why, err);
	if (w.stopped != 0)
		return w.stopped;
	return rc == HF_OK ? HF_OK
			   : store_failed(s, rc, "sweeping", prefix, &why, err);
}
