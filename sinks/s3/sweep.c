/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"
#include "unfinished.h"

/* Uploads that are old enough, by key below the prefix and id. */
struct old {
	struct {
		char *key, *id;
		int64_t begun;
	} * list;
	size_t n, skip;
	int64_t before;
};

static int
on_upload(void *arg, const struct unfinished *u)
{
	struct old *o = arg;
	void *grown;

	if (u->begun == 0 || u->begun >= o->before || strlen(u->key) <= o->skip)
		return HF_OK;
	grown = realloc(o->list, (o->n + 1) * sizeof *o->list);
	if (grown == NULL)
		return HF_E_NOMEM;
	o->list = grown;
	o->list[o->n].key = strdup(u->key + o->skip);
	o->list[o->n].id = strdup(u->id);
	o->list[o->n].begun = u->begun;
	if (o->list[o->n].key == NULL || o->list[o->n].id == NULL) {
		free(o->list[o->n].key);
		free(o->list[o->n].id);
		return HF_E_NOMEM;
	}
	o->n++;
	return HF_OK;
}

int
sweep_uploads(struct hf_store *s, const char *prefix, int64_t before, bool dry,
    hf_list_fn *fn, void *arg, struct hf_error *err)
{
	const char *own = s->conf.prefix == NULL ? "" : s->conf.prefix;
	struct old old = { .before = before };
	char *whole;
	int rc;

	if (asprintf(&whole, "%s%s%s", own, *own == '\0' ? "" : "/", prefix) <
	    0)
		return H->fail(err, HF_E_NOMEM, "no memory");
	old.skip = strlen(whole) - strlen(prefix);
	/* First all of them: pages of a list that changes would be skipped. */
	rc = unfinished_list(s, whole, false, on_upload, &old, NULL, err);
	for (size_t i = 0; i < old.n && rc == HF_OK; i++) {
		struct hf_object o = { .struct_size = sizeof o,
			.key = old.list[i].key,
			.mtime = old.list[i].begun };

		if (!dry)
			rc = unfinished_abort(
			    s, old.list[i].key, old.list[i].id, err);
		if (rc == HF_OK && fn != NULL)
			rc = fn(arg, &o);
	}
	for (size_t i = 0; i < old.n; i++) {
		free(old.list[i].key);
		free(old.list[i].id);
	}
	free(old.list);
	free(whole);
	return rc;
}
