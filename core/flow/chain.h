/* SPDX-License-Identifier: BSD-2-Clause */
/* Several filters as one.  Internal to flow. */
#ifndef HF_FLOW_CHAIN_H
#define HF_FLOW_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct chain;
struct filter;
struct hf_error;

/* Are they all such that frames can be transformed apart? */
bool chain_frames(struct filter *const *, size_t n);

/* How many of the first are. */
size_t chain_leading(struct filter *const *, size_t n);

/* Transform one frame: data is replaced, scratch holds leftovers.  filters
 * stand in the order of writing; decode goes backwards.  A frame that decodes
 * to more than limit bytes: HF_E_CORRUPT. */
int chain_frame(struct filter *const *, size_t n, bool decode, const char *name,
    size_t limit, struct buf *data, struct buf *scratch, struct hf_error *);

/* A stream through all of them. */
int chain_open(struct filter *const *, size_t n, bool decode, const char *name,
    struct chain **, struct hf_error *);
/* What comes out is appended to dst. */
int chain_push(struct chain *, const void *, size_t, bool last, struct buf *dst,
    struct hf_error *);
void chain_close(struct chain *);

#endif
