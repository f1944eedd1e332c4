/* SPDX-License-Identifier: BSD-2-Clause */
/* What the store cases do over and over, each step with its verdict. */
#ifndef HF_CONFORM_STORAGE_H
#define HF_CONFORM_STORAGE_H

#include "conform.h"

#define NAME_MAX_KEY 600

/* The case's prefix and name: a key, valid to the end.  For one thread. */
const char *storage_key(const struct session *, const char *name);

/* put, write in pieces of chunk bytes (0: at once) and commit.  Returns the
 * first status that is not HF_OK; out and err may be NULL. */
int storage_put(struct session *, struct hf_store *, const char *key,
    uint32_t flags, const void *, size_t len, size_t chunk,
    struct hf_object *out, struct hf_error *);

/* The same, and it has to be HF_OK. */
void storage_keep(struct session *, const char *key, const void *, size_t len);

/* get and read to the end with a buffer of cap bytes (0: 64 KiB).  *data is
 * new memory.  Returns the first status that is neither HF_OK nor HF_EOF. */
int
storage_get(struct session *, struct hf_store *, const char *key, uint64_t off,
    uint64_t len, size_t cap, uint8_t **data, size_t *n, struct hf_error *);

/* The object is there and has this content. */
void storage_has(struct session *, const char *key, const void *, size_t len);

/* stat, get and list agree that there is no such object. */
void storage_lacks(struct session *, const char *key);

/* How often does list with prefix give key?  sizes: must it say len? */
size_t storage_listed(
    struct session *, const char *prefix, const char *key, int64_t len);

#endif
