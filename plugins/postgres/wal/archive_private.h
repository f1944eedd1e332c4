/* SPDX-License-Identifier: BSD-2-Clause */
/* What archive.c asks, and archive_load.c and archive_part.c fill. */
#ifndef HF_POSTGRES_WAL_ARCHIVE_PRIVATE_H
#define HF_POSTGRES_WAL_ARCHIVE_PRIVATE_H

#include "archive.h"

struct pieces {
	uint32_t timeline;
	uint64_t segno;
	lsn_t end;
};

struct archive {
	uint64_t system;
	uint32_t segment_size;
	size_t n, cap;
	struct wal_name *names; /* sorted by archive_compare */
	size_t nhistories;
	struct history *histories;
	size_t npieces; /* one per timeline at most: its end */
	struct pieces *pieces;
	char broken[WAL_LOG_MAX], broken_why[WHY_MAX];
	char stranger[WAL_LOG_MAX];
};

/* By timeline, position, kind and offset: struct wal_name. */
int archive_compare(const void *, const void *);
/* The first that is not before the key. */
size_t archive_find(const struct archive *, const struct wal_name *key);

/* More of the names, those that begin so; sorted again. */
int archive_list(
    struct hf_in *log, struct archive *, const char *prefix, struct hf_error *);
/* When all names are there, once each. */
int
archive_read_histories(struct hf_in *log, struct archive *, struct hf_error *);
int archive_read_pieces(struct hf_in *log, struct archive *, struct hf_error *);

#endif
