/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "flow/in.h"
#include "repo/repo_private.h"

struct flow_object
reading_object(const struct manifest_object *o, struct filter *const *filters)
{
	struct flow_object f = { .name = o->name,
		.key = o->key,
		.raw_size = o->raw_size,
		.stored_size = o->stored_size,
		.filters = filters,
		.nfilters = o->nfilters,
		.frame_size = o->frame_size,
		.index_key = o->index_key,
		.index_size = o->index_size };

	memcpy(f.raw_sha256, o->raw_sha256, SHA256_HEX);
	memcpy(f.stored_sha256, o->stored_sha256, SHA256_HEX);
	memcpy(f.index_sha256, o->index_sha256, SHA256_HEX);
	return f;
}

bool
reading_at_fault(int status)
{
	return status == HF_E_CORRUPT || status == HF_E_NOTFOUND ||
	       status == HF_E_IO || status == HF_E_DENIED ||
	       status == HF_E_TRANSIENT;
}

int
reading_open(struct repo *r, size_t sink, const struct manifest_source *s,
    void (*progress)(void *, uint64_t), void *arg, struct reading *out,
    struct hf_error *err)
{
	struct in_options options = { .nobjects = s->nobjects,
		.facts = (const char *const *)s->facts,
		.progress = progress,
		.arg = arg };
	int rc;

	*out = (struct reading){ .n = s->nobjects };
	if ((rc = open_sink(r, sink, err)) != HF_OK)
		return rc;
	out->objects = calloc(out->n + 1, sizeof *out->objects);
	out->filters = calloc(out->n + 1, sizeof *out->filters);
	if (out->objects == NULL || out->filters == NULL) {
		rc = repo_nomem(err);
		goto err;
	}
	for (size_t i = 0; i < out->n; i++) {
		const struct manifest_object *o = &s->objects[i];

		if ((rc = open_filters_of(r, o->filters, o->nfilters,
			 &out->filters[i], err)) != HF_OK)
			goto err;
		out->objects[i] = reading_object(o, out->filters[i]);
	}
	options.store = r->sinks[sink].store;
	options.objects = out->objects;
	if ((rc = in_new(r->env.flow, &options, &out->in, err)) != HF_OK) {
		out->in = NULL;
		goto err;
	}
	return HF_OK;
err:
	reading_close(out);
	return rc;
}

void
reading_close(struct reading *in)
{
	if (in->in != NULL)
		in_free(in->in);
	for (size_t i = 0; i < in->n && in->filters != NULL; i++)
		free(in->filters[i]);
	free(in->filters);
	free(in->objects);
	*in = (struct reading){ 0 };
}
