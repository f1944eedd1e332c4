/* SPDX-License-Identifier: BSD-2-Clause */
#include "facts.h"

#include "archive.h"
#include "postgres.h"
#include "segment.h"

#include <inttypes.h>
#include <stdio.h>

#define BLOCK ((size_t)256 << 10)

static int
tell_time(
    struct hf_writer *w, const char *key, int64_t us, struct hf_error *err)
{
	char text[32];

	if (us == 0)
		return HF_OK;
	(void)snprintf(text, sizeof text, "%" PRId64, us);
	return H->writer_fact(w, key, text, err);
}

int
facts_tell(struct hf_writer *w, uint32_t segment_size,
    const struct segment_facts *f, struct hf_error *err)
{
	char text[32], lsn[LSN_TEXT_MAX];
	int rc;

	(void)snprintf(text, sizeof text, "%" PRIu32, segment_size);
	rc = H->writer_fact(w, WAL_FACT_SEGMENT_SIZE, text, err);
	if (rc != HF_OK || f == NULL)
		return rc;
	rc = tell_time(w, WAL_FACT_FIRST_COMMIT, f->first_commit_us, err);
	if (rc == HF_OK)
		rc = tell_time(w, WAL_FACT_LAST_COMMIT, f->last_commit_us, err);
	if (rc == HF_OK && f->end != 0)
		rc =
		    H->writer_fact(w, WAL_FACT_END, lsn_text(f->end, lsn), err);
	return rc;
}

int
facts_put(struct hf_out *log, const char *name, const void *data, size_t len,
    uint32_t segment_size, struct hf_error *err)
{
	const uint8_t *p = data;
	struct hf_writer *w;
	size_t part;
	int rc;

	if ((rc = H->out_begin(log, name, len, &w, err)) != HF_OK)
		return rc;
	for (; rc == HF_OK && len > 0; p += part, len -= part) {
		part = len < BLOCK ? len : BLOCK;
		rc = H->out_write(w, p, part, err);
	}
	if (rc == HF_OK)
		rc = facts_tell(w, segment_size, NULL, err);
	if (rc == HF_OK)
		return H->out_commit(w, err);
	H->out_abort(w);
	return rc;
}
