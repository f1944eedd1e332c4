/* SPDX-License-Identifier: BSD-2-Clause */
/* Defaults under each pipeline. */
#ifndef HF_CONFIG_MERGE_H
#define HF_CONFIG_MERGE_H

#include <jansson.h>

/* The document with the defaults merged into each pipeline and left out
 * themselves.  Objects merge key by key; lists, texts, numbers, {"env"} and
 * {"file"} replace; of two keys that exclude each other the pipeline's own
 * takes the place of the inherited one; a "from" with another engine than the
 * default's replaces it whole.  The caller decrefs; NULL: no memory. */
json_t *merge_document(const json_t *doc);

#endif
