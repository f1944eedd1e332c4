/* SPDX-License-Identifier: BSD-2-Clause */
#include "archive_private.h"
#include "postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names that differ in the last two digits alone are listed in one go: of
 * segments of 16 MiB that is 4 GiB of WAL. */
#define GROUP_DIGITS 2

struct part {
	struct hf_in *log;
	struct archive *a;
	uint64_t first, last;
};

/* The timeline's own, and those of the timelines after it while there are any:
 * as a server looks for the newest. */
static int
list_histories(struct part *p, uint32_t timeline, struct hf_error *err)
{
	struct wal_name n = { .kind = WAL_HISTORY, .timeline = timeline };
	char name[WAL_LOG_MAX];
	size_t before;
	int rc;

	do {
		before = p->a->n;
		wal_name_log(&n, p->a->system, p->a->segment_size, name);
		if ((rc = archive_list(p->log, p->a, name, err)) != HF_OK)
			return rc;
	} while ((p->a->n > before || n.timeline == timeline) &&
		 n.timeline++ < UINT32_MAX);
	return archive_read_histories(p->log, p->a, err);
}

static int
list_segments(struct part *p, uint32_t timeline, struct hf_error *err)
{
	struct wal_name n = { .kind = WAL_SEGMENT, .timeline = timeline };
	char prefix[WAL_LOG_MAX], done[WAL_LOG_MAX] = "";
	int rc;

	for (n.segno = p->first; n.segno <= p->last; n.segno++) {
		wal_name_log(&n, p->a->system, p->a->segment_size, prefix);
		prefix[strlen(prefix) - GROUP_DIGITS] = '\0';
		if (strcmp(prefix, done) == 0)
			continue;
		if ((rc = archive_list(p->log, p->a, prefix, err)) != HF_OK)
			return rc;
		memcpy(done, prefix, sizeof done);
	}
	return HF_OK;
}

/* Those it comes from have no more than what lies before they ended. */
static int
list_way(struct part *p, uint32_t timeline, struct hf_error *err)
{
	int rc = list_segments(p, timeline, err);

	for (size_t i = 0; i < p->a->nhistories && rc == HF_OK; i++) {
		const struct history *h = &p->a->histories[i];

		for (size_t e = 0;
		     h->timeline == timeline && e < h->n && rc == HF_OK; e++)
			if (h->entries[e].end / p->a->segment_size >= p->first)
				rc = list_segments(
				    p, h->entries[e].timeline, err);
	}
	return rc;
}

int
archive_load_part(struct hf_in *log, uint64_t system, uint32_t segment_size,
    uint32_t timeline, uint64_t first, uint64_t last, struct archive **out,
    struct hf_error *err)
{
	struct archive *a = calloc(1, sizeof *a);
	/* Pieces stand for a segment only where no later one is there. */
	struct part p = {
		.log = log, .a = a, .first = first, .last = last + 1
	};
	int rc;

	*out = NULL;
	if (a == NULL)
		return postgres_nomem(err);
	a->system = system;
	a->segment_size = segment_size;
	if ((rc = list_histories(&p, timeline, err)) != HF_OK ||
	    (rc = list_way(&p, timeline, err)) != HF_OK ||
	    (rc = archive_read_pieces(log, a, err)) != HF_OK) {
		archive_free(a);
		return rc;
	}
	*out = a;
	return HF_OK;
}
