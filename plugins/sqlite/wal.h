/* SPDX-License-Identifier: BSD-2-Clause */
/* The frames of a WAL up to a snapshot, read through SQLite's own handle. */
#ifndef HF_SQLITE_WAL_H
#define HF_SQLITE_WAL_H

#include <holdfast/plugin.h>

#include <sqlite3.h>

struct hf_ctx;
struct pagemap;
struct walindex;

/* Read frames 1 to x->max_frame, check salts and the chain of checksums to its
 * end, and note which page each one holds.  HF_E_CORRUPT when anything does
 * not agree. */
int wal_scan(sqlite3_file *, const struct hf_ctx *, const struct walindex *,
    struct pagemap *, struct hf_error *);

/* One page out of a frame; tmp has room for page_size + 24 bytes. */
int wal_page(sqlite3_file *, const struct walindex *, uint32_t page,
    uint32_t frame, uint8_t *tmp, uint8_t *to, struct hf_error *);

/* Offset of a frame; frames count from 1. */
int64_t wal_offset(const struct walindex *, uint32_t frame);

#endif
