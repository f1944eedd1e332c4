/* SPDX-License-Identifier: BSD-2-Clause */
/* What new objects are to have, as header lines. */
#ifndef HF_S3_ATTRIBUTES_H
#define HF_S3_ATTRIBUTES_H

#include "s3.h"

#define TAGS_MAX 2048 /* bytes, encoded */

struct attributes {
	char lines[10][TAGS_MAX + 32];
	const char *list[11]; /* of lines; NULL ends */
	size_t n;
};

/* Storage class, encryption, tags; locked: Object Lock's as well. */
void attributes_fill(struct hf_store *, bool locked, struct attributes *);
/* One more, "Name: %s"; a value of NULL or "" is none. */
void attributes_add(struct attributes *, const char *fmt, const char *value)
    __attribute__((format(printf, 2, 0)));

/* "team=shop", "cost=a&b" to "team=shop&cost=a%26b"; HF_E_INVALID for more
 * than ten, for one without a name, and for more than TAGS_MAX. */
int attributes_tags(
    const char *const *tags, char *text, size_t cap, struct hf_error *);

#endif
