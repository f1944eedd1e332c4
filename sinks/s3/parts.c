/* SPDX-License-Identifier: BSD-2-Clause */
#include "parts.h"

#define MIB ((uint64_t)1 << 20)
#define GROW 1000             /* parts of one size, when the whole is unknown */
#define GROWN_MAX (640 * MIB) /* 10,000 of these are more than 5 TiB */

uint64_t
parts_size(uint64_t first, uint64_t hint, uint64_t size, unsigned done)
{
	uint64_t n = hint / (PARTS_MAX - GROW);

	if (n >= first)
		first = (n + MIB) / MIB * MIB;
	if (size < hint)
		return first;
	for (n = first; done >= GROW && n < GROWN_MAX; done -= GROW)
		n += n / 8 * 5;
	if (n > GROWN_MAX)
		n = GROWN_MAX;
	return n > first ? n : first;
}
