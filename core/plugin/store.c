/* SPDX-License-Identifier: BSD-2-Clause */
#include "store_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/key.h"
#include "base/log.h"
#include "plugin/lint.h"
#include "plugin/options.h"

int
store_open(const struct plugin *p, const struct hf_ctx *ctx,
    struct options *options, struct store **out, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	struct store *s = calloc(1, sizeof *s);
	int rc;

	*out = NULL;
	if (s == NULL) {
		options_free(options);
		return error_fail(err, HF_E_NOMEM, "no memory for a store");
	}
	if ((rc = instance_init(&s->base, p, ctx, options, err)) != HF_OK)
		goto err0;
	s->ops = p->desc.store;
	if (s->ops == NULL) {
		rc = error_fail(err, HF_E_INVALID,
		    "the plugin \"%s\" is not a store", p->desc.name);
		goto err1;
	}
	STORE_CALL(s, rc,
	    s->ops->open(
		&s->base.ctx, options_conf(s->base.options), &s->handle, &why));
	rc = instance_status(&s->base, "open", rc, false, &why);
	if (rc != HF_OK) {
		(void)store_failed(s, rc, "opening", NULL, &why, err);
		goto err1;
	}
	*out = s;
	return HF_OK;

err1:
	instance_destroy(&s->base);
err0:
	free(s);
	return rc;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	instance_lock(&s->base);
	s->ops->close(s->handle);
	instance_unlock(&s->base);
	instance_destroy(&s->base);
	free(s);
}

const struct plugin *
store_plugin(const struct store *s)
{
	return s->base.plugin;
}

uint32_t
store_caps(struct store *s)
{
	uint32_t caps;

	STORE_CALL(s, caps, s->ops->caps(s->handle));
	/* What this core does not know, it cannot use. */
	return caps & (HF_CAP_RANGE | HF_CAP_IF_ABSENT | HF_CAP_IF_MATCH);
}

bool
store_parallel(const struct store *s)
{
	return s->base.plugin->desc.threads == HF_THREADS_HANDLE;
}

int
store_check_key(const struct store *s, const char *key, struct hf_error *err)
{
	(void)s;
	if (key != NULL && key_valid(key))
		return HF_OK;
	return error_fail(err, HF_E_INVALID, "\"%.100s\" is not a valid key",
	    key == NULL ? "" : key);
}

int
store_failed(const struct store *s, int rc, const char *doing, const char *key,
    const struct hf_error *why, struct hf_error *err)
{
	const char *who = s->base.ctx.who;

	if (err == NULL)
		return rc;
	*err = *why;
	if (who == NULL)
		who = s->base.plugin->desc.name;
	if (key == NULL || *key == '\0')
		(void)error_context(err, "%s %s", doing, who);
	else
		(void)error_context(err, "%s: %s %s", who, doing, key);
	return rc;
}

/* Pauses before the 2nd, 3rd, ... try. */
static const int64_t pauses[] = { 50, 200, 800, 2500 };

bool
store_again(const struct store *s, int *rc, unsigned *tries, const char *doing,
    const char *key, struct hf_error *why)
{
	const struct cancel *cancel = s->base.ctx.cancel;
	char line[512];

	if (*rc != HF_E_TRANSIENT || *tries >= sizeof pauses / sizeof *pauses)
		return false;
	error_line(why, line, sizeof line);
	log_write(HF_LOG_INFO, "store.retry", s->base.ctx.who,
	    "%s %s failed, trying again in %" PRId64 " ms: %s", doing,
	    key == NULL ? "" : key, pauses[*tries], line);
	if (!cancel_sleep(cancel, pauses[(*tries)++])) {
		*rc = error_fail(why, HF_E_CANCELLED, "cancelled");
		return false;
	}
	error_clear(why);
	return true;
}

/* ---- checks ---- */

struct findings {
	hf_finding_fn *fn;
	void *arg;
};

/* An older plugin's finding is shorter than this core's. */
static int
pass_finding(void *arg, const struct hf_finding *given)
{
	struct findings *f = arg;
	struct hf_finding finding;

	lint_copy(&finding, sizeof finding, given);
	finding.struct_size = sizeof finding;
	return f->fn(f->arg, &finding);
}

int
store_check(struct store *s, hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct findings f = { fn, arg };
	struct hf_error why = { .status = HF_OK };
	struct hf_finding opened = {
		.struct_size = sizeof opened,
		.verdict = HF_PASS,
		.check = "open",
		.result = "opened; the plugin has no checks of its own",
	};
	int rc;

	if (s->ops->check == NULL)
		return fn(arg, &opened);
	STORE_CALL(s, rc, s->ops->check(s->handle, pass_finding, &f, &why));
	rc = instance_status(&s->base, "check", rc, false, &why);
	return rc == HF_OK ? HF_OK
			   : store_failed(s, rc, "checking", NULL, &why, err);
}

int
store_clock(struct store *s, int64_t *now, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	unsigned tries = 0;
	int rc;

	*now = (int64_t)time(NULL);
	if (s->ops->clock == NULL)
		return HF_OK;
	do {
		STORE_CALL(s, rc, s->ops->clock(s->handle, now, &why));
		rc = instance_status(&s->base, "clock", rc, false, &why);
	} while (store_again(s, &rc, &tries, "asking the time", NULL, &why));
	return rc == HF_OK
		   ? HF_OK
		   : store_failed(s, rc, "asking the time of", NULL, &why, err);
}

/* ---- names ---- */

int
store_stat(struct store *s, const char *key, struct hf_object *out,
    struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	unsigned tries = 0;
	int rc;

	if ((rc = store_check_key(s, key, err)) != HF_OK)
		return rc;
	do {
		*out = (struct hf_object){ .struct_size = sizeof *out };
		STORE_CALL(s, rc, s->ops->stat(s->handle, key, out, &why));
		rc = instance_status(&s->base, "stat", rc, false, &why);
	} while (store_again(s, &rc, &tries, "looking at", key, &why));
	out->key = NULL;
	out->etag[sizeof out->etag - 1] = '\0';
	return rc == HF_OK ? HF_OK
			   : store_failed(s, rc, "looking at", key, &why, err);
}

struct listing {
	const struct store *s;
	const char *prefix;
	hf_list_fn *fn;
	void *arg;
	int stopped; /* what fn, or this layer's own check, answered */
	bool delivered;
	struct hf_error why;
};

static int
pass_object(void *arg, const struct hf_object *given)
{
	struct listing *l = arg;
	struct hf_object o;

	/* It was told to stop. */
	if (l->stopped != 0)
		return l->stopped;
	lint_copy(&o, sizeof o, given);
	o.struct_size = sizeof o;
	o.etag[sizeof o.etag - 1] = '\0';
	if (o.key == NULL || !key_valid(o.key) ||
	    strncmp(o.key, l->prefix, strlen(l->prefix)) != 0) {
		l->stopped = error_fail(&l->why, HF_E_CORRUPT,
		    "the store lists the key \"%.200s\", which is not valid "
		    "here",
		    o.key == NULL ? "" : o.key);
		error_hint(&l->why,
		    "Something else than Holdfast wrote into this place; give "
		    "it a folder or prefix of its own.");
		return l->stopped;
	}
	l->delivered = true;
	return l->stopped = l->fn(l->arg, &o);
}

int
store_list(struct store *s, const char *prefix, hf_list_fn *fn, void *arg,
    struct hf_error *err)
{
	struct listing l = { .s = s, .prefix = prefix, .fn = fn, .arg = arg };
	struct hf_error why = { .status = HF_OK };
	unsigned tries = 0;
	int rc;

	if (prefix == NULL || !key_valid_prefix(prefix))
		return error_fail(err, HF_E_INVALID,
		    "\"%.100s\" is not a valid prefix of keys",
		    prefix == NULL ? "" : prefix);
	do {
		STORE_CALL(s, rc,
		    s->ops->list(s->handle, prefix, pass_object, &l, &why));
		if (l.stopped != 0)
			break;
		rc = instance_status(&s->base, "list", rc, false, &why);
		/* What was delivered cannot be taken back. */
	} while (!l.delivered &&
		 store_again(s, &rc, &tries, "listing", prefix, &why));
	if (l.why.status != HF_OK)
		return store_failed(
		    s, l.why.status, "listing", prefix, &l.why, err);
	if (l.stopped != 0)
		return l.stopped;
	return rc == HF_OK ? HF_OK
			   : store_failed(s, rc, "listing", prefix, &why, err);
}

static int
collect(void *arg, const struct hf_object *o)
{
	struct store_keys *k = arg;
	struct store_key *keys;

	if (k->n == k->cap) {
		size_t cap = k->cap == 0 ? 64 : k->cap * 2;

		if ((keys = realloc(k->keys, cap * sizeof *keys)) == NULL)
			return HF_E_NOMEM;
		k->keys = keys;
		k->cap = cap;
	}
	keys = &k->keys[k->n];
	if ((keys->key = strdup(o->key)) == NULL)
		return HF_E_NOMEM;
	keys->size = o->size;
	keys->mtime = o->mtime;
	k->n++;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct store_key *ka = a, *kb = b;

	return strcmp(ka->key, kb->key);
}

/* A listing in pages can meet a key twice while others write. */
static void
drop_repeated(struct store_keys *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++)
		if (n > 0 && strcmp(k->keys[n - 1].key, k->keys[i].key) == 0)
			free(k->keys[i].key);
		else
			k->keys[n++] = k->keys[i];
	k->n = n;
}

int
store_list_all(struct store *s, const char *prefix, struct store_keys *k,
    struct hf_error *err)
{
	unsigned tries = 0;
	int rc;

	*k = (struct store_keys){ 0 };
	/* Here nobody has seen the first keys yet, so that the whole listing
	 * can be started again. */
	for (;;) {
		struct hf_error why = { .status = HF_OK };

		rc = store_list(s, prefix, collect, k, &why);
		if (rc == HF_OK)
			break;
		if (why.status == HF_OK)
			(void)error_fail(
			    &why, rc, "no memory for the list of keys");
		/* store_list() has tried again by itself. */
		if (k->n == 0 ||
		    !store_again(s, &rc, &tries, "listing", prefix, &why)) {
			if (err != NULL)
				*err = why;
			store_keys_free(k);
			return rc;
		}
		store_keys_free(k);
	}
	if (k->n > 1)
		qsort(k->keys, k->n, sizeof *k->keys, compare);
	drop_repeated(k);
	return HF_OK;
}

void
store_keys_free(struct store_keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		free(k->keys[i].key);
	free(k->keys);
	*k = (struct store_keys){ 0 };
}
