/* SPDX-License-Identifier: BSD-2-Clause */
/* How large the parts of an object are. */
#ifndef HF_S3_PARTS_H
#define HF_S3_PARTS_H

#include <stdint.h>

#define PARTS_MAX 10000 /* what every service allows */

/* The size of the part after `done` ones, when `size` bytes of an object came
 * of which `hint` (0: unknown) were announced; first: what is configured.
 *
 * Equal sizes while the announced holds, which some services insist on; else
 * five eighths more after every thousand, up to what the largest objects of
 * S3 need, so that parts of 5 MiB reach a terabyte. */
uint64_t
parts_size(uint64_t first, uint64_t hint, uint64_t size, unsigned done);

#endif
