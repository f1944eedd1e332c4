/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of an object of the log that is being written; the names are in
 * archive.h. */
#ifndef HF_POSTGRES_WAL_FACTS_H
#define HF_POSTGRES_WAL_FACTS_H

#include <holdfast/plugin.h>

struct segment_facts;

/* NULL: it is no segment. */
int facts_tell(struct hf_writer *, uint32_t segment_size,
    const struct segment_facts *, struct hf_error *);

/* A whole object out of memory that is no segment. */
int facts_put(struct hf_out *, const char *name, const void *data, size_t len,
    uint32_t segment_size, struct hf_error *);

#endif
