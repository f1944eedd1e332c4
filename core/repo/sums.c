/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "repo/repo_private.h"

static int
line(struct buf *out, const char *hex, const char *key, size_t skip,
    struct hf_error *err)
{
	int rc;

	/* Keys hold no character that sha256sum would escape. */
	if ((rc = buf_puts(out, hex, err)) == HF_OK &&
	    (rc = buf_puts(out, "  ", err)) == HF_OK &&
	    (rc = buf_puts(out, key + skip, err)) == HF_OK)
		rc = buf_puts(out, "\n", err);
	return rc;
}

int
sums_text(const struct manifest *m, struct buf *out, struct hf_error *err)
{
	char *prefix = manifest_data_prefix(m->pipeline, m->id);
	size_t skip;
	int rc = HF_OK;

	if (prefix == NULL)
		return repo_nomem(err);
	skip = strlen(prefix);
	free(prefix);
	for (size_t s = 0; s < m->nsources; s++)
		for (size_t i = 0; i < m->sources[s].nobjects; i++) {
			const struct manifest_object *o =
			    &m->sources[s].objects[i];

			rc = line(out, o->stored_sha256, o->key, skip, err);
			if (rc == HF_OK && o->index_key != NULL)
				rc = line(out, o->index_sha256, o->index_key,
				    skip, err);
			if (rc != HF_OK)
				return rc;
		}
	return rc;
}

char *
sums_key(const char *pipeline, const char *id)
{
	return repo_key(pipeline, "data/%s/SHA256SUMS", id);
}
