/* SPDX-License-Identifier: BSD-2-Clause */
/* The growth rule and the lint of one option table, for plugin.c. */
#ifndef HF_PLUGIN_LINT_H
#define HF_PLUGIN_LINT_H

#include <holdfast/plugin.h>

/* Copy a struct that begins with its struct_size: min(size, struct_size)
 * bytes over zeroed memory.  The copy's struct_size is what was copied. */
void lint_copy(void *dst, size_t size, const void *src);

/* table: "options" or "restore_options", for the error. */
int lint_options(const struct hf_option *, size_t stride, size_t conf_size,
    const char *table, struct hf_error *);

/* [a-z][a-z0-9-]*, at most 64 bytes. */
bool lint_name(const char *);

#endif
