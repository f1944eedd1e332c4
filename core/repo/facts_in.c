/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/host.h"
#include "repo/log.h"
#include "repo/repo_private.h"

struct facts_in {
	struct hf_in base;
	const struct manifest_source *source;
	char id[40], ended[24];
};

static int
list(struct hf_in *in, hf_list_fn *fn, void *arg, struct hf_error *err)
{
	(void)in;
	(void)fn;
	(void)arg;
	(void)err;
	return HF_OK;
}

static int
no_object(struct hf_in *in, const char *name, uint64_t off, uint64_t len,
    struct hf_reader **r, struct hf_error *err)
{
	const struct facts_in *f = (const struct facts_in *)(void *)in;

	(void)off;
	(void)len;
	(void)r;
	/* Not NOTFOUND: the backup may have it. */
	return error_fail(err, HF_E_UNSUPPORTED,
	    "of backup %s only the facts are open, not the object %s", f->id,
	    name);
}

static int
no_bytes(
    struct hf_reader *r, void *buf, size_t cap, size_t *n, struct hf_error *err)
{
	(void)r;
	(void)buf;
	(void)cap;
	(void)n;
	return error_fail(err, HF_E_UNSUPPORTED, "no object is open");
}

static void
nothing(struct hf_reader *r)
{
	(void)r;
}

static const char *
fact(struct hf_in *in, const char *key)
{
	const struct facts_in *f = (const struct facts_in *)(void *)in;
	char *const *pair = f->source->facts;

	if (strcmp(key, "backup") == 0)
		return f->id;
	if (strcmp(key, "backup_ended") == 0)
		return f->ended;
	for (; pair != NULL && pair[0] != NULL; pair += 2)
		if (strcmp(pair[0], key) == 0)
			return pair[1];
	return NULL;
}

static const struct in_ops facts_ops = {
	.list = list,
	.open = no_object,
	.read = no_bytes,
	.close = nothing,
	.fact = fact,
};

int
repo_facts_in(const struct manifest_source *s, const char *id, int64_t ended_ms,
    struct hf_in **out, struct hf_error *err)
{
	struct facts_in *f = calloc(1, sizeof *f);

	*out = NULL;
	if (f == NULL)
		return repo_nomem(err);
	f->base.ops = &facts_ops;
	f->source = s;
	(void)snprintf(f->id, sizeof f->id, "%s", id);
	(void)snprintf(f->ended, sizeof f->ended, "%" PRId64, ended_ms / 1000);
	*out = &f->base;
	return HF_OK;
}

void
repo_facts_in_free(struct hf_in *in)
{
	free(in);
}
