/* SPDX-License-Identifier: BSD-2-Clause */
/* What a physical backup needs of the log, and how far the log carries it. */
#ifndef HF_POSTGRES_WAL_NEEDS_H
#define HF_POSTGRES_WAL_NEEDS_H

#include "archive.h"
#include "segment.h"

struct needs {
	struct hf_in *backup;
	uint64_t system;
	uint32_t segment_size;
	uint32_t start_timeline, timeline; /* of start, of stop */
	lsn_t start, stop;
	int64_t stop_time; /* Unix seconds */
	bool included;     /* it has its own WAL, from start to stop */
};

/* Is it a physical one?  The others need nothing. */
bool needs_any(struct hf_in *backup);
/* HF_E_CORRUPT: facts are missing. */
int needs_read(struct hf_in *backup, struct needs *, struct hf_error *);
/* Those of the physical ones, in their order; *n of them, to be freed. */
int needs_read_all(struct hf_in *const *backups, size_t count, struct needs **,
    size_t *n, struct hf_error *);

/* The archives of the systems that were asked for. */
struct archives {
	struct hf_in *log;
	size_t n;
	struct archive **list;
};
int archives_get(struct archives *, const struct needs *, struct archive **,
    struct hf_error *);
void archives_clear(struct archives *);

/* From a backup along the way to a timeline. */
struct stretch {
	const struct archive *a;
	const struct needs *n;
	uint32_t target;
	bool alive;             /* it can be restored at all */
	lsn_t end;              /* up to which there are no gaps */
	struct wal_name last;   /* as archive_reach has it */
	char gap[WAL_FILE_MAX]; /* what is missing there; "": nothing later */
};
/* target 0: the newest timeline that it can reach. */
void stretch_find(const struct archive *, const struct needs *, uint32_t target,
    struct stretch *);
/* The newest commit or abort in it, by the documents where they say it; 0:
 * there is none. */
int stretch_newest(
    struct hf_in *log, const struct stretch *, int64_t *us, struct hf_error *);
/* Walk its records from a segment on.  fn as of segment_walk_new, but that > 0
 * is HF_OK here; *last (may be NULL) gets where the last record begins. */
int stretch_walk(struct hf_engine *, struct hf_in *log, const struct stretch *,
    uint64_t segno, segment_event_fn *, void *arg, lsn_t *last,
    struct hf_error *);

#define NEEDS_TIME_MAX 40
/* "2026-11-21T02:15:00Z"; with a fraction where there is one. */
const char *needs_time(int64_t us, char out[NEEDS_TIME_MAX]);

#endif
