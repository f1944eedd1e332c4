/* SPDX-License-Identifier: BSD-2-Clause */
/* Shapes: is every key known, and every value what its key takes?  Looks at
 * the document as it was written; what pipelines inherit is checked once,
 * where it was written, and completeness after the merge. */
#ifndef HF_CONFIG_CHECK_H
#define HF_CONFIG_CHECK_H

#include <jansson.h>

#include "path.h"

struct key;
struct problems;

#define CHECK_LATER_MAX 8

struct check {
	struct problems *problems;
	const json_t *doc;
	struct path path;
	/* Keys that were used but are not acted on yet (KEY_LATER). */
	const struct key *later[CHECK_LATER_MAX];
	size_t nlater;
	bool failed; /* no memory at some point */
};

/* The whole document, which must be an object. */
void check_document(struct check *);

/* What a merged pipeline lacks. */
void check_complete(struct check *, const char *pipeline, const json_t *merged);

void check_free(struct check *);

/* Where a value of a merged pipeline was written: in the pipeline itself,
 * else in the defaults.  rest: "from.path". */
void check_origin(const json_t *doc, const char *pipeline, const char *rest,
    struct path *out);

#endif
