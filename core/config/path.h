/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a value stands in a JSON document: pipelines.shop.to[1].  A key that
 * is not plain is written ["a.b"]. */
#ifndef HF_CONFIG_PATH_H
#define HF_CONFIG_PATH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* A path that grows while walking down.  Start with PATH_INIT. */
struct path {
	struct buf text;
	bool failed; /* no memory at some point; stays set */
};

#define PATH_INIT               \
	{                       \
		BUF_INIT, false \
	}

/* Go down one step; the result takes path_cut back to where it was. */
size_t path_key(struct path *, const char *key);
size_t path_index(struct path *, size_t);
/* Go down along another path; "" stays here. */
size_t path_join(struct path *, const char *rest);
void path_cut(struct path *, size_t mark);

/* "" at the root; valid until the next change. */
const char *path_text(const struct path *);
void path_free(struct path *);

/* One step of a path being read. */
struct path_step {
	bool is_index;
	size_t index;
	const char *key; /* raw, with backslashes when quoted */
	size_t len;
	bool quoted;
};

/* The next step, or false at the end and at what is not a path. */
bool path_next(const char **cursor, struct path_step *);

/* Is this step the member of that name? */
bool path_step_is(const struct path_step *, const char *key, size_t len);

/* What stands there, borrowed, or NULL. */
const json_t *path_find(const json_t *, const char *path);

#endif
