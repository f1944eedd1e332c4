/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC-32C (Castagnoli), as the server has it in pg_control and in WAL. */
#ifndef HF_POSTGRES_CRC32C_H
#define HF_POSTGRES_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Over a number of pieces: crc is 0 for the first, then what was returned. */
uint32_t crc32c(uint32_t crc, const void *, size_t len);

#endif
