/* SPDX-License-Identifier: BSD-2-Clause */
/* A growable run of bytes. */
#ifndef HF_BASE_BUF_H
#define HF_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct hf_error;

struct buf {
	uint8_t *data; /* NULL while cap is 0 */
	size_t len, cap;
};

#define BUF_INIT           \
	{                  \
		NULL, 0, 0 \
	}

/* Room for cap bytes in all.  HF_E_NOMEM leaves the buffer as it was. */
int buf_reserve(struct buf *, size_t cap, struct hf_error *);

int buf_append(struct buf *, const void *, size_t, struct hf_error *);

/* Append and keep a NUL behind the end that len does not count. */
int buf_puts(struct buf *, const char *, struct hf_error *);

void buf_free(struct buf *);

#endif
