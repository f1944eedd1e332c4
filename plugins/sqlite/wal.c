/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include "code.h"
#include "pagemap.h"
#include "sqlite.h"
#include "walindex.h"

#include <stdlib.h>
#include <string.h>

#define HEADER 32
#define FRAME_HEADER 24
#define MAGIC 0x377f0682u /* the lowest bit: big-endian checksum words */
#define CHUNK (128 * 1024)

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[1] << 8 | p[0];
}

static void
add_sum(const uint8_t *p, size_t n, bool big, uint32_t sum[2])
{
	uint32_t a = sum[0], b = sum[1];
	size_t i;

	if (big)
		for (i = 0; i < n; i += 8) {
			a += be32(p + i) + b;
			b += be32(p + i + 4) + a;
		}
	else
		for (i = 0; i < n; i += 8) {
			a += le32(p + i) + b;
			b += le32(p + i + 4) + a;
		}
	sum[0] = a;
	sum[1] = b;
}

int64_t
wal_offset(const struct walindex *x, uint32_t frame)
{
	return HEADER +
	       (int64_t)(frame - 1) * (int64_t)(x->page_size + FRAME_HEADER);
}

static int
read_header(sqlite3_file *w, const struct walindex *x, uint32_t sum[2],
    struct hf_error *err)
{
	uint8_t h[HEADER];
	int rc;

	rc = w->pMethods->xRead(w, h, HEADER, 0);
	if (rc != SQLITE_OK)
		return code_fail(NULL, rc, err, "reading the -wal's header");
	if ((be32(h) & ~1u) != MAGIC || (be32(h) & 1) != x->big_endian ||
	    be32(h + 8) != x->page_size || memcmp(h + 16, x->salt, 8) != 0)
		return H->fail(err, HF_E_CORRUPT,
		    "the -wal's header does not agree with its index");
	sum[0] = be32(h + 24);
	sum[1] = be32(h + 28);
	return HF_OK;
}

static int
check_frame(const struct walindex *x, const uint8_t *f, uint32_t frame,
    uint32_t sum[2], struct hf_error *err)
{
	if (memcmp(f + 8, x->salt, 8) != 0)
		return H->fail(err, HF_E_CORRUPT,
		    "frame %u of the -wal is of another generation", frame);
	add_sum(f, 8, x->big_endian, sum);
	add_sum(f + FRAME_HEADER, x->page_size, x->big_endian, sum);
	if (sum[0] != be32(f + 16) || sum[1] != be32(f + 20))
		return H->fail(err, HF_E_CORRUPT,
		    "checksum of frame %u of the -wal does not agree", frame);
	if (be32(f) == 0)
		return H->fail(err, HF_E_CORRUPT,
		    "frame %u of the -wal holds no page", frame);
	return HF_OK;
}

int
wal_scan(sqlite3_file *w, const struct hf_ctx *ctx, const struct walindex *x,
    struct pagemap *map, struct hf_error *err)
{
	uint32_t step = x->page_size + FRAME_HEADER, sum[2], i, n, k;
	uint32_t per = CHUNK / step > 0 ? CHUNK / step : 1;
	uint8_t *buf = NULL;
	int rc;

	if ((rc = read_header(w, x, sum, err)) != HF_OK)
		return rc;
	if ((buf = malloc((size_t)per * step)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory for the -wal");
	for (i = 1; i <= x->max_frame; i += n) {
		n = x->max_frame - i + 1 < per ? x->max_frame - i + 1 : per;
		if (H->cancelled(ctx)) {
			rc = H->fail(err, HF_E_CANCELLED, "cancelled");
			goto done;
		}
		rc = w->pMethods->xRead(
		    w, buf, (int)(n * step), wal_offset(x, i));
		if (rc != SQLITE_OK) {
			rc = code_fail(
			    NULL, rc, err, "reading frame %u of the -wal", i);
			goto done;
		}
		for (k = 0; k < n; k++) {
			uint8_t *f = buf + (size_t)k * step;

			if ((rc = check_frame(x, f, i + k, sum, err)) != HF_OK)
				goto done;
			if (!pagemap_add(map, be32(f), i + k)) {
				rc = H->fail(err, HF_E_NOMEM,
				    "no memory for the pages of the -wal");
				goto done;
			}
		}
	}
	rc = HF_OK;
	if (sum[0] != x->cksum[0] || sum[1] != x->cksum[1])
		rc = H->fail(err, HF_E_CORRUPT,
		    "the -wal's checksums do not lead to its index's");
done:
	free(buf);
	return rc;
}

int
wal_page(sqlite3_file *w, const struct walindex *x, uint32_t page,
    uint32_t frame, uint8_t *tmp, uint8_t *to, struct hf_error *err)
{
	int rc;

	rc = w->pMethods->xRead(
	    w, tmp, (int)(x->page_size + FRAME_HEADER), wal_offset(x, frame));
	if (rc != SQLITE_OK)
		return code_fail(
		    NULL, rc, err, "reading frame %u of the -wal", frame);
	if (be32(tmp) != page || memcmp(tmp + 8, x->salt, 8) != 0)
		return H->fail(err, HF_E_IO,
		    "frame %u of the -wal was overwritten while it was read",
		    frame);
	memcpy(to, tmp + FRAME_HEADER, x->page_size);
	return HF_OK;
}
