/* SPDX-License-Identifier: BSD-2-Clause */
/* Uploads that were begun and neither completed nor aborted: invisible, and
 * paid for. */
#ifndef HF_S3_UNFINISHED_H
#define HF_S3_UNFINISHED_H

#include "s3.h"

struct unfinished {
	const char *key; /* with the prefix */
	const char *id;
	int64_t begun; /* Unix seconds, the store's clock */
};
/* Returns HF_OK, or < 0 to stop. */
typedef int unfinished_fn(void *arg, const struct unfinished *);

/* Those whose key begins with this; it has the store's prefix in front.
 * unstoppable: as in struct request.  now: the store's clock; or NULL. */
int unfinished_list(struct hf_store *, const char *prefix, bool unstoppable,
    unfinished_fn *, void *arg, int64_t *now, struct hf_error *);

/* Abort one; that it is not there any more is HF_OK. */
int unfinished_abort(
    struct hf_store *, const char *key, const char *id, struct hf_error *);

/* Abort all of exactly this key: when the answer to a begin was lost, nobody
 * knows the name of what it began. */
int unfinished_abort_all(struct hf_store *, const char *key, struct hf_error *);

#endif
