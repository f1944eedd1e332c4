/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include "ahead.h"
#include "archive.h"
#include "fetch.h"
#include "postgres.h"

/* So often a listing is made again when what it showed was gone. */
#define TRIES 3

/* Pieces are removed when the whole segment is there: what was listed can be
 * gone, and then that is there. */
static int
get(struct fetch *f, struct archive **a, const char *file, struct hf_error *err)
{
	bool fresh = false;
	int rc;

	for (int i = 0; i < TRIES; i++) {
		rc = fetch_object(f, file, NULL, err);
		if (rc != HF_E_NOTFOUND || f->name.kind != WAL_SEGMENT)
			return rc;
		if (fresh || *a == NULL) {
			archive_free(*a);
			*a = NULL;
			rc = archive_load(
			    f->log, f->system, f->segment_size, a, err);
			if (rc != HF_OK)
				return rc;
		}
		fresh = true;
		if (archive_pieces(*a, f->name.timeline, f->name.segno) == 0)
			return H->fail(err, HF_E_NOTFOUND,
			    "the log has neither this segment nor pieces of "
			    "its beginning that stand for it");
		rc = fetch_pieces(f, *a, file, err);
		if (rc != HF_E_NOTFOUND)
			return rc;
	}
	/* Not HF_E_NOTFOUND: there is something. */
	return H->fail(err, HF_E_TRANSIENT,
	    "its pieces went away while they were read, %d times", TRIES);
}

int
wal_get(struct hf_engine *e, const char *name, const char *file,
    struct hf_in *log, struct hf_error *err)
{
	struct fetch f = { .log = log };
	struct archive *a = NULL;
	int rc;

	rc = fetch_identify(&f, name, file, &a, err);
	if (rc == HF_OK && ahead_take(e, &f, file) != HF_OK &&
	    (rc = get(&f, &a, file, err)) != HF_OK)
		(void)H->fail_context(err, "fetching %s", name);
	archive_free(a);
	return rc;
}
