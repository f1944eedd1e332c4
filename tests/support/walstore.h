/* SPDX-License-Identifier: BSD-2-Clause */
/* From walkit into memlog, with the documents that push and follow write.  A
 * header alone: it stands on the postgres engine, which only its tests have. */
#ifndef HF_TESTS_WALSTORE_H
#define HF_TESTS_WALSTORE_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/memlog.h"
#include "support/walkit.h"
#include "wal/archive.h"
#include "wal/segment.h"

#define WALSTORE_SYSTEM UINT64_C(7300000000000000001)

/* Any object, with the facts of `len` bytes of a segment (NULL: of none). */
static inline void
walstore_put(struct memout *log, const struct wal_name *n, uint32_t size,
    const void *data, size_t len, const void *segment, size_t segment_len)
{
	char name[WAL_LOG_MAX], first[32], last[32], end[LSN_TEXT_MAX], s[16];
	struct segment_facts f = { 0 };
	const char *facts[9] = { WAL_FACT_SEGMENT_SIZE, s };
	size_t k = 2;

	(void)snprintf(s, sizeof s, "%" PRIu32, size);
	if (segment != NULL)
		segment_facts(segment, segment_len, &f);
	(void)snprintf(first, sizeof first, "%" PRId64, f.first_commit_us);
	(void)snprintf(last, sizeof last, "%" PRId64, f.last_commit_us);
	if (f.last_commit_us != 0) {
		facts[k++] = WAL_FACT_FIRST_COMMIT;
		facts[k++] = first;
		facts[k++] = WAL_FACT_LAST_COMMIT;
		facts[k++] = last;
	}
	if (f.end != 0) {
		facts[k++] = WAL_FACT_END;
		facts[k++] = lsn_text(f.end, end);
	}
	facts[k] = NULL;
	wal_name_log(n, WALSTORE_SYSTEM, size, name);
	if (memlog_put(log, name, data, len, facts) != HF_OK)
		abort();
}

/* The n-th segment of k, as one of that timeline; segno: its number. */
static inline void
walstore_segment(struct memout *log, struct walkit *k, size_t n,
    uint32_t timeline, uint64_t segno)
{
	struct wal_name name = {
		.kind = WAL_SEGMENT, .timeline = timeline, .segno = segno
	};
	const uint8_t *p = walkit_segment(k, n);

	walstore_put(
	    log, &name, WALKIT_SEGMENT, p, WALKIT_SEGMENT, p, WALKIT_SEGMENT);
}

static inline void
walstore_piece(struct memout *log, struct walkit *k, size_t n,
    uint32_t timeline, uint64_t segno, uint32_t from, uint32_t to)
{
	struct wal_name name = { .kind = WAL_PIECE,
		.timeline = timeline,
		.segno = segno,
		.offset = from };
	const uint8_t *p = walkit_segment(k, n);

	walstore_put(log, &name, WALKIT_SEGMENT, p + from, to - from, p, to);
}

static inline void
walstore_history(struct memout *log, uint32_t timeline, const char *text)
{
	struct wal_name name = { .kind = WAL_HISTORY, .timeline = timeline };

	walstore_put(log, &name, WALKIT_SEGMENT, text, strlen(text), NULL, 0);
}

static inline void
walstore_remove(struct memout *log, uint32_t timeline, uint64_t segno)
{
	struct wal_name n = {
		.kind = WAL_SEGMENT, .timeline = timeline, .segno = segno
	};
	char name[WAL_LOG_MAX];

	wal_name_log(&n, WALSTORE_SYSTEM, WALKIT_SEGMENT, name);
	(void)memlog_remove(log, name);
}

/* A physical backup's facts; to be freed by memout_free. */
static inline struct memout *
walstore_backup(const char *id, uint32_t timeline, lsn_t start, lsn_t stop,
    int64_t stopped, bool included)
{
	struct memout *m = memout_new();
	char text[32];

	memout_set_fact(m, "backup", id);
	memout_set_fact(m, "mode", "physical");
	(void)snprintf(text, sizeof text, "%" PRIu64, WALSTORE_SYSTEM);
	memout_set_fact(m, "system_identifier", text);
	(void)snprintf(text, sizeof text, "%" PRIu32, WALKIT_SEGMENT);
	memout_set_fact(m, "wal_segment_size", text);
	(void)snprintf(text, sizeof text, "%" PRIu32, timeline);
	memout_set_fact(m, "timeline", text);
	memout_set_fact(m, "stop_timeline", text);
	memout_set_fact(m, "start_lsn", lsn_text(start, text));
	memout_set_fact(m, "stop_lsn", lsn_text(stop, text));
	(void)snprintf(text, sizeof text, "%" PRId64, stopped);
	memout_set_fact(m, "stop_time", text);
	memout_set_fact(m, "wal", included ? "included" : "log");
	return m;
}

#endif
