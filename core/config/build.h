/* SPDX-License-Identifier: BSD-2-Clause */
/* From the merged document to typed filters, sinks and pipelines. */
#ifndef HF_CONFIG_BUILD_H
#define HF_CONFIG_BUILD_H

struct check;
struct config;
struct hf_error;
struct plugins;

/* Fill everything of c from c->merged.  What check_document has complained
 * about is passed over; what only shows now is added to the problems.
 * HF_E_NOMEM, else HF_OK. */
int build_config(
    struct config *, struct check *, struct plugins *, struct hf_error *);

/* Free what build_config made. */
void build_free(struct config *);

#endif
