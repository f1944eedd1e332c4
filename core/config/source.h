/* SPDX-License-Identifier: BSD-2-Clause */
/* A pipeline's sources. */
#ifndef HF_CONFIG_SOURCE_H
#define HF_CONFIG_SOURCE_H

#include <jansson.h>

struct config;
struct config_pipeline;
struct hf_error;

/* Make "from" a list in the merged pipeline, and sources of its items, each
 * with a name of its own.  HF_E_NOMEM, else HF_OK. */
int source_build(struct config *, struct config_pipeline *, json_t *merged,
    struct hf_error *);

#endif
