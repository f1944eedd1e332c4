/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows: COPY FROM STDIN on several connections, each object read once and to
 * its end, which proves its hash. */
#ifndef HF_POSTGRES_LOAD_ROWS_H
#define HF_POSTGRES_LOAD_ROWS_H

#include <holdfast/plugin.h>

struct job;

struct rows_options {
	/* One for each table of the contents: load it?  NULL: all. */
	const bool *wanted;
	/* The tables may have triggers and foreign keys: keep them still. */
	bool replica;
	/* The tables were made by this restore. */
	bool fresh;
};
/* rows (may be NULL): how many were loaded, by the server's count.  A count
 * that is not what the backup says is HF_E_CORRUPT. */
int rows_load(struct job *, const struct rows_options *, uint64_t *rows,
    struct hf_error *);

#endif
