/* SPDX-License-Identifier: BSD-2-Clause */
/* Room for one segment: in memory, or, when they are large, in a file without a
 * name in the scratch folder, so that a server with segments of 1 GiB does not
 * need gigabytes of memory here. */
#ifndef HF_POSTGRES_WAL_FOLLOW_BUFFER_H
#define HF_POSTGRES_WAL_FOLLOW_BUFFER_H

#include <holdfast/plugin.h>

int buffer_new(const struct hf_ctx *, size_t, uint8_t **, struct hf_error *);
/* These bytes are not looked at for a while: the memory of a file can be used for
 * something else until they are.  They stay; whole pages only. */
void buffer_rest(
    const struct hf_ctx *, uint8_t *, size_t size, size_t from, size_t len);
/* NULL is a no-op. */
void buffer_free(uint8_t *, size_t);

#endif
