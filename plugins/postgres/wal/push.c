/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include "behind.h"
#include "place.h"
#include "postgres.h"
#include "waiting.h"

#include <limits.h>

int
wal_push(struct hf_engine *e, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *err)
{
	char folder[PATH_MAX], marks[PATH_MAX];
	struct walfile own;
	bool others;
	int rc;

	if ((rc = walfile_open(&own, file, err)) != HF_OK)
		return rc;
	/* Of a file that does not wait there it is not the server who calls,
	 * and nothing will ask for the others.  Without a place for marks they
	 * would be brought there twice. */
	others = place_folder(file, folder, sizeof folder) &&
		 waiting_has(folder, own.file) &&
		 behind_marks(e, &own, marks, sizeof marks);
	if (!others || !behind_has(e, marks, &own)) {
		rc = walfile_put(&own, log, have, NULL, err);
		if (rc == HF_OK && others && behind_wanted(marks, folder, &own))
			H->result(e->ctx, HF_LOG_WAITING, own.file);
	}
	walfile_close(&own);
	return rc;
}
