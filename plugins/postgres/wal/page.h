/* SPDX-License-Identifier: BSD-2-Clause */
/* The layout of WAL pages, for the files that read them. */
#ifndef HF_POSTGRES_WAL_PAGE_H
#define HF_POSTGRES_WAL_PAGE_H

#include <stdbool.h>
#include <stdint.h>

/* magic 2, info 2, timeline 4, address 8, what remains of a record 4, gap 4 */
#define PAGE_SHORT_HEADER 24
/* and system 8, segment size 4, block size 4 */
#define PAGE_LONG_HEADER 40

#define PAGE_CONTINUES (1u << 0) /* begins with the rest of a record */
#define PAGE_LONG (1u << 1)
#define PAGE_OVERWRITES (1u << 3) /* a record before it was never finished */
#define PAGE_KNOWN 0x0Fu          /* all of them, in 13 to 18 */

bool page_magic_known(uint16_t);
/* Bits that no server of that magic sets. */
bool page_odd(uint16_t magic, uint16_t info);
bool page_block_size_valid(uint32_t);

static inline uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t
get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static inline uint64_t
get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

#endif
