/* SPDX-License-Identifier: BSD-2-Clause */
/* What a log has of one cluster: segments by timeline, histories, pieces.
 *
 * One listing and the histories are read, and the sizes of the pieces at the
 * end of a timeline; no other contents.
 */
#ifndef HF_POSTGRES_WAL_ARCHIVE_H
#define HF_POSTGRES_WAL_ARCHIVE_H

#include "history.h"
#include "name.h"

struct archive;

/* Facts of a segment's document, by writer_fact.  "commit" is every record
 * that a recovery can stop at by time: an abort has one too. */
#define WAL_FACT_FIRST_COMMIT "first_commit" /* Unix microseconds */
#define WAL_FACT_LAST_COMMIT "last_commit"
#define WAL_FACT_END "end"                       /* LSN */
#define WAL_FACT_SEGMENT_SIZE "wal_segment_size" /* of every document */

/* What a document says; 0: it does not. */
struct wal_facts {
	int64_t first_commit_us, last_commit_us;
	lsn_t end;
	uint64_t segment_size, raw_size;
};
int wal_facts(
    struct hf_in *log, const char *name, struct wal_facts *, struct hf_error *);

/* system 0: the only one there is (HF_E_NOTFOUND: none, HF_E_INVALID: several,
 * with a hint).  segment_size 0: as the first document says.  An empty log is
 * HF_OK when system is given.  A history that is damaged is no failure: see
 * archive_broken. */
int archive_load(struct hf_in *log, uint64_t system, uint32_t segment_size,
    struct archive **, struct hf_error *);
/* What a recovery on timeline, and on those it comes from, could ask for from
 * one segment to another, and a little more; the histories are its own and
 * those of the timelines after it.  Enough for archive_reach between the two,
 * and no more is asked of the log however long it is. */
int archive_load_part(struct hf_in *log, uint64_t system, uint32_t segment_size,
    uint32_t timeline, uint64_t first, uint64_t last, struct archive **,
    struct hf_error *);
void archive_free(struct archive *);
uint64_t archive_system(const struct archive *);
uint32_t archive_segment_size(const struct archive *);

/* The systems in a log: calls fn with each. */
int archive_systems(struct hf_in *log, int (*fn)(void *, uint64_t system),
    void *arg, struct hf_error *);

/* The whole segment, not pieces and not a .partial. */
bool archive_has(const struct archive *, uint32_t timeline, uint64_t segno);
/* Up to where the pieces of a segment are gapless from its beginning, when they
 * stand for it: it is not there whole, nor is a later one of the timeline, and
 * no other timeline has left this one before their end, unless its own segment
 * is there (which a recovery on the way to it gets).  0: they do not. */
lsn_t archive_pieces(const struct archive *, uint32_t timeline, uint64_t segno);
/* The newest timeline that descends from this one and left it at lsn or later
 * (itself, when none did). */
uint32_t archive_latest(const struct archive *, uint32_t timeline, lsn_t lsn);
/* The timeline on which lsn lies on the way from root to target, both
 * included; 0: target does not descend from root, or a history is missing. */
uint32_t archive_timeline_at(
    const struct archive *, uint32_t root, uint32_t target, lsn_t lsn);
/* Where the timeline ended, by the history of its child on the way to target;
 * UINT64_MAX: it is target. */
lsn_t
archive_switch(const struct archive *, uint32_t timeline, uint32_t target);

/* From `from` on timeline root, along the way to target: the first segment
 * that is missing.  Segments needed are those a recovery would ask for: at a
 * switch the child's segment is enough.  end gets the LSN up to which there
 * are no gaps (pieces count, see archive_pieces), and `last` (may be NULL) the
 * last segment or piece there is (timeline 0: none).  HF_OK: reaches `to` (or,
 * with to UINT64_MAX, nothing later is there); HF_E_NOTFOUND: a gap, or the end
 * before `to`; gap gets the file name of what is missing. */
int archive_reach(const struct archive *, uint32_t root, lsn_t from,
    uint32_t target, lsn_t to, lsn_t *end, struct wal_name *last,
    char gap[WAL_FILE_MAX]);
/* The timeline whose segment a recovery along that way asks for first; 0: as
 * archive_timeline_at. */
uint32_t archive_segment_timeline(
    const struct archive *, uint32_t root, uint32_t target, uint64_t segno);
/* The first whole segment on that way at segno or later; false: none. */
bool archive_next(const struct archive *, uint32_t root, uint32_t target,
    uint64_t segno, struct wal_name *);

/* In order of timeline and position. */
size_t archive_count(const struct archive *);
const struct wal_name *archive_at(const struct archive *, size_t n);

/* The histories that could be read, by timeline. */
size_t archive_histories(const struct archive *);
const struct history *archive_history(const struct archive *, size_t n);
/* The first history that could not be, and why; NULL: none.  reason: one
 * line. */
const char *archive_broken(const struct archive *, const char **reason);
/* The first name that is none of a WAL file, in any system's place; NULL:
 * none. */
const char *archive_stranger(const struct archive *);

#endif
