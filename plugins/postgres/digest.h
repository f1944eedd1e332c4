/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256, as manifests and the log's documents have it. */
#ifndef HF_POSTGRES_DIGEST_H
#define HF_POSTGRES_DIGEST_H

#include <stddef.h>

#define DIGEST_HEX 65 /* 64 digits and the NUL */

struct digest;

/* NULL: no memory. */
struct digest *digest_new(void);
/* A failure is remembered, and told by digest_end. */
void digest_add(struct digest *, const void *, size_t);
/* 0, or -1.  Frees it in any case. */
int digest_end(struct digest *, char hex[DIGEST_HEX]);
void digest_free(struct digest *);

#endif
