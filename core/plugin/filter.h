/* SPDX-License-Identifier: BSD-2-Clause */
/* An open filter instance, and the one loop around its step function. */
#ifndef HF_PLUGIN_FILTER_H
#define HF_PLUGIN_FILTER_H

#include <holdfast/plugin.h>

struct buf;
struct filter;
struct hf_ctx;
struct options;
struct plugin;
struct xform;

/* name: what the configuration calls it, "gz".  ctx and options as in
 * engine_open. */
int filter_open(const struct plugin *, const char *name, const struct hf_ctx *,
    struct options *, struct filter **, struct hf_error *);
void filter_close(struct filter *);

const char *filter_name(const struct filter *);   /* "gz" */
const char *filter_type(const struct filter *);   /* "gzip" */
const char *filter_suffix(const struct filter *); /* ".gz", never NULL */
bool filter_frames(const struct filter *);
/* May its xforms run on several threads at once? */
bool filter_parallel(const struct filter *);

/* One stream being transformed.  Used by one thread at a time. */
int xform_begin(struct filter *, bool decode, const char *name, struct xform **,
    struct hf_error *);

/* Push src through and append what comes out to dst, which grows as needed.
 * last: nothing follows; the stream is finished after HF_OK.  A decoder that
 * ended before all of src was used: HF_E_CORRUPT.  HF_E_BUG when the plugin
 * makes no progress. */
int xform_push(struct xform *, const void *src, size_t len, bool last,
    struct buf *dst, struct hf_error *);

void xform_end(struct xform *);

#endif
