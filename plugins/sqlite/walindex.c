/* SPDX-License-Identifier: BSD-2-Clause */
#include "walindex.h"

#include "code.h"
#include "sqlite.h"

#include <string.h>

#define VERSION 3007000u
#define REGION 32768 /* bytes of one mapping of the index */
#define TRIES 2000   /* readings between which somebody committed */

/* Word positions: two copies of the header, then the checkpoint info. */
#define WORDS 12
#define AT_BACKFILL 24

static void
read_words(const volatile uint32_t *from, uint32_t to[WORDS])
{
	int i;

	for (i = 0; i < WORDS; i++)
		to[i] = from[i];
}

/* SQLite's checksum over the first ten words, in the machine's order. */
static bool
sum_agrees(const uint32_t w[WORDS])
{
	uint32_t a = 0, b = 0;
	int i;

	for (i = 0; i < 10; i += 2) {
		a += w[i] + b;
		b += w[i + 1] + a;
	}
	return a == w[10] && b == w[11];
}

static void
decode(const uint32_t w[WORDS], struct walindex *x)
{
	uint8_t bytes[4];
	uint16_t size;

	/* Word 3: isInit, bigEndCksum, and the page size in 16 bits. */
	memcpy(bytes, &w[3], 4);
	memcpy(&size, bytes + 2, 2);
	x->big_endian = bytes[1] != 0;
	x->page_size = (uint32_t)(size & 0xfe00) + ((uint32_t)(size & 1) << 16);
	x->max_frame = w[4];
	x->pages = w[5];
	x->cksum[0] = w[6];
	x->cksum[1] = w[7];
	memcpy(x->salt, &w[8], 8);
	memcpy(x->raw, w, sizeof x->raw);
}

enum walindex_state
walindex_read(sqlite3_file *f, struct walindex *x)
{
	uint32_t second[WORDS], first[WORDS];
	const volatile uint32_t *shm;
	volatile void *map = NULL;
	uint8_t init;
	int rc;

	if (f->pMethods == NULL || f->pMethods->iVersion < 2 ||
	    f->pMethods->xShmMap == NULL || f->pMethods->xShmBarrier == NULL)
		return WALINDEX_UNKNOWN;
	rc = f->pMethods->xShmMap(f, 0, REGION, 0, &map);
	if ((rc != SQLITE_OK && rc != SQLITE_READONLY) || map == NULL)
		return WALINDEX_UNKNOWN;
	shm = map;
	/* A restart of the WAL writes the header first and sets the
	 * backfill to 0 second.  Reading them the other way round, a header
	 * that has not changed means a backfill that belongs to it. */
	x->backfilled = shm[AT_BACKFILL];
	f->pMethods->xShmBarrier(f);
	/* Writers write the second copy first. */
	read_words(shm, first);
	f->pMethods->xShmBarrier(f);
	read_words(shm + WORDS, second);
	if (memcmp(first, second, sizeof first) != 0)
		return WALINDEX_TORN;
	memcpy(&init, &first[3], 1);
	if (init == 0 || !sum_agrees(first))
		return WALINDEX_TORN;
	if (first[0] != VERSION)
		return WALINDEX_UNKNOWN;
	decode(first, x);
	return WALINDEX_OK;
}

int
walindex_begin(
    struct source *s, sqlite3_file *f, struct walindex *x, struct hf_error *err)
{
	enum walindex_state state;
	struct walindex before;
	int rc, tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (H->cancelled(s->engine->ctx))
			return H->fail(err, HF_E_CANCELLED, "cancelled");
		if ((state = walindex_read(f, &before)) == WALINDEX_UNKNOWN)
			return HF_E_UNSUPPORTED;
		if (state == WALINDEX_TORN) {
			(void)H->sleep(s->engine->ctx, 1);
			continue;
		}
		if ((rc = source_begin_quick(s)) != SQLITE_OK)
			return code_fail(s->db, rc, err, "reading %s", s->path);
		state = walindex_read(f, x);
		/* No header ever comes twice (it counts changes), so one
		 * that is the same before and after is the transaction's. */
		if (state == WALINDEX_OK &&
		    memcmp(before.raw, x->raw, sizeof x->raw) == 0)
			return HF_OK;
		source_end(s);
	}
	return HF_E_UNSUPPORTED;
}

bool
walindex_held(sqlite3_file *f, const struct walindex *snap)
{
	struct walindex now;
	enum walindex_state state;
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		if ((state = walindex_read(f, &now)) == WALINDEX_OK)
			break;
		if (state == WALINDEX_UNKNOWN)
			return false;
	}
	if (state != WALINDEX_OK)
		return true; /* busy writers, nothing known against it */
	if (memcmp(now.salt, snap->salt, sizeof now.salt) == 0)
		return now.max_frame >= snap->max_frame &&
		       now.backfilled <= snap->max_frame;
	/* The WAL was started anew.  While we hold the lock this can happen
	 * only when all of it was in the file already, and nothing newer can
	 * follow it there. */
	return snap->backfilled == snap->max_frame && now.backfilled == 0;
}
