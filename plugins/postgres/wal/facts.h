/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of an object of the log that is being written; the names are in
 * archive.h. */
#ifndef HF_POSTGRES_WAL_FACTS_H
#define HF_POSTGRES_WAL_FACTS_H

#include <holdfast/plugin.h>

/* data: a segment from its beginning, all of it or as much as there is; NULL
 * for what is none. */
int facts_tell(struct hf_writer *, uint32_t segment_size, const void *data,
    size_t len, struct hf_error *);

/* A whole object out of memory, with its facts. */
int facts_put(struct hf_out *, const char *name, const void *data, size_t len,
    uint32_t segment_size, const void *segment, size_t segment_len,
    struct hf_error *);

#endif
