/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of WAL files, LSNs, and what they are called in the log.
 *
 * In the log: "<system identifier>/<timeline>/<file>", the first in decimal,
 * the second as eight hex digits.  So clusters never mix, and what is pushed
 * by several servers of one cluster goes to one place.  A piece is a part of a
 * segment that is being written: "<segment>.from-<offset>", the offset of its
 * first byte as eight hex digits; its size tells where it ends.
 */
#ifndef HF_POSTGRES_WAL_NAME_H
#define HF_POSTGRES_WAL_NAME_H

#include <holdfast/plugin.h>

typedef uint64_t lsn_t;

enum wal_kind {
	WAL_SEGMENT, /* 000000010000000000000003 */
	WAL_PARTIAL, /* ....partial: the last of a timeline, by a promotion */
	WAL_HISTORY, /* 00000002.history */
	WAL_BACKUP,  /* 000000010000000000000003.00000028.backup */
	WAL_PIECE    /* 000000010000000000000003.from-00010000: ours */
};

struct wal_name {
	enum wal_kind kind;
	uint32_t timeline;
	uint64_t segno;  /* but of a history: LSN / segment size */
	uint32_t offset; /* of a backup file, of a piece */
};

#define WAL_FILE_MAX 64 /* a file name, with its NUL */
#define WAL_LOG_MAX 96  /* a name in the log */
#define LSN_TEXT_MAX 24

/* A power of two, 1 MiB to 1 GiB. */
bool wal_segment_size_valid(uint64_t size);

/* Of a file name (no folders), upper-case hex as the server writes it.  False:
 * it is none; nor is it, but for a history, with a segment size that none is
 * of. */
bool wal_name_parse(const char *file, uint32_t segment_size, struct wal_name *);
void wal_name_file(
    const struct wal_name *, uint32_t segment_size, char out[WAL_FILE_MAX]);
/* In the log, and back. */
void wal_name_log(const struct wal_name *, uint64_t system,
    uint32_t segment_size, char out[WAL_LOG_MAX]);
bool wal_name_of_log(const char *name, uint32_t segment_size, uint64_t *system,
    struct wal_name *);

/* "16/B374D848" */
bool lsn_parse(const char *, lsn_t *);
const char *lsn_text(lsn_t, char out[LSN_TEXT_MAX]);

#endif
