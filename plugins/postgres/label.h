/* SPDX-License-Identifier: BSD-2-Clause */
/* backup_label: where recovery of a base backup begins, and on which backup an
 * incremental one builds. */
#ifndef HF_POSTGRES_LABEL_H
#define HF_POSTGRES_LABEL_H

#include "wal/name.h"

struct text;

struct label {
	lsn_t start, from; /* from 0: of a full backup */
	uint32_t timeline, from_timeline;
};

/* HF_E_CORRUPT: a line that should be in it is missing or cannot be read. */
int label_parse(const char *text, struct label *, struct hf_error *);
/* Without the lines of an increment: a server refuses to start from one. */
void label_plain(const char *text, struct text *out);

#endif
