/* SPDX-License-Identifier: BSD-2-Clause */
/* What each version of the plugin interface fixed for ever: names and numbers.
 * layout.c makes one table with each frozen header and one with the present. */
#ifndef HF_ABI_LAYOUT_H
#define HF_ABI_LAYOUT_H

#include <stddef.h>

enum layout_kind { LAYOUT_STRUCT, LAYOUT_FIELD, LAYOUT_NUMBER };

struct layout {
	enum layout_kind kind;
	const char *name; /* "hf_step", its field "src_len", "HF_E_IO" */
	long long value;  /* struct: size, field: offset, number: itself */
	size_t size;      /* of a field */
};                        /* name NULL ends; the fields of a struct follow it */

extern const struct layout layout_1_0[], layout_1_1[], layout_1_2[],
    layout_now[];
extern const char *const symbol_1_0, *const symbol_1_1, *const symbol_1_2,
							    *const symbol_now;

#endif
