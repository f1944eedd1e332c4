/* SPDX-License-Identifier: BSD-2-Clause */
/* Test data, always the same, and folders. */
#ifndef HF_CONFORM_DATA_H
#define HF_CONFORM_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"

enum data_kind { DATA_ZEROS, DATA_TEXT, DATA_RANDOM, DATA_KINDS };

const char *data_kind_name(enum data_kind);

/* Fill with bytes of the kind; seed chooses which. */
void data_fill(enum data_kind, uint64_t seed, void *, size_t);

/* New memory of that size, filled.  Never NULL; free it. */
uint8_t *data_new(enum data_kind, uint64_t seed, size_t);

/* malloc and realloc that end the case when there is no memory. */
void *data_alloc(size_t);
void *data_grow(void *, size_t);

/* One hash over the names, kinds and contents below a folder. */
void data_tree(const char *dir, char hex[SHA256_HEX]);

/* Remove a folder and all below it. */
void data_remove(const char *dir);

#endif
