/* SPDX-License-Identifier: BSD-2-Clause */
#include "direct.h"

#include "code.h"
#include "sqlite.h"
#include "wal.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Measured: larger reads are slower, the kernel moves more memory. */
#define CHUNK (128 * 1024)
#define PROGRESS (4u * 1024 * 1024)
#define COUNTER_AT 24

static bool
vfs_is_ours(sqlite3 *db)
{
	char *name = NULL;
	bool ours;

	if (sqlite3_file_control(
		db, "main", SQLITE_FCNTL_VFSNAME, (void *)&name) != SQLITE_OK)
		return false;
	ours = name != NULL && strcmp(name, "unix") == 0;
	sqlite3_free(name);
	return ours;
}

static int
unsupported(char *why, size_t cap, const char *text)
{
	(void)snprintf(why, cap, "%s", text);
	return HF_E_UNSUPPORTED;
}

/* In a transaction that is known to see the snapshot in the index. */
static int
begin_wal(struct direct *d, char *why, size_t cap, struct hf_error *err)
{
	struct source *s = d->source;
	int rc;

	/* End the one that told the mode, begin one whose snapshot is
	 * known. */
	source_end(s);
	rc = walindex_begin(s, d->db, &d->index, err);
	if (rc == HF_E_UNSUPPORTED)
		return unsupported(
		    why, cap, "the WAL index is not one this program knows");
	if (rc != HF_OK)
		return rc;
	if ((rc = source_measure(s, err)) != HF_OK)
		return rc;
	(void)sqlite3_file_control(
	    s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &d->wal);
	if (!s->wal || d->wal == NULL || d->wal->pMethods == NULL)
		return unsupported(why, cap, "SQLite lends no WAL handle");
	d->use_wal = d->index.backfilled != d->index.max_frame;
	if (d->use_wal && ((int64_t)d->index.pages != s->page_count ||
			      (int64_t)d->index.page_size != s->page_size))
		return H->fail(err, HF_E_CORRUPT,
		    "%s: the WAL index has %u pages of %u bytes, SQLite "
		    "sees %lld of %lld",
		    s->path, d->index.pages, d->index.page_size,
		    (long long)s->page_count, (long long)s->page_size);
	if (!d->use_wal)
		return HF_OK;
	rc = wal_scan(d->wal, s->engine->ctx, &d->index, &d->map, err);
	if (rc == HF_OK)
		pagemap_finish(&d->map, d->index.pages);
	return rc;
}

/* Pages that only the file can give must be in it. */
static int
check_size(struct direct *d, struct hf_error *err)
{
	const struct source *s = d->source;
	sqlite3_int64 size = 0;
	int rc;

	if ((rc = d->db->pMethods->xFileSize(d->db, &size)) != SQLITE_OK)
		return code_fail(
		    NULL, rc, err, "looking at the size of %s", s->path);
	d->least = s->page_count * s->page_size;
	if (d->least > size && d->use_wal)
		d->least = size;
	if (size < d->least)
		return H->fail(err, HF_E_CORRUPT,
		    "%s has %lld bytes, but should have %lld pages of %lld",
		    s->path, (long long)size, (long long)s->page_count,
		    (long long)s->page_size);
	return HF_OK;
}

int
direct_begin(struct source *s, struct direct *d, char *why, size_t cap,
    struct hf_error *err)
{
	int rc;

	memset(d, 0, sizeof *d);
	d->source = s;
	if (!vfs_is_ours(s->db))
		return unsupported(
		    why, cap, "the VFS is not SQLite's own for Unix");
	(void)sqlite3_file_control(
	    s->db, "main", SQLITE_FCNTL_FILE_POINTER, &d->db);
	if (d->db == NULL || d->db->pMethods == NULL)
		return unsupported(why, cap, "SQLite lends no file handle");
	if ((rc = source_begin(s, err)) != HF_OK)
		return rc;
	if (s->wal)
		rc = begin_wal(d, why, cap, err);
	if (rc == HF_OK)
		rc = check_size(d, err);
	if (rc != HF_OK) {
		source_end(s);
		direct_end(d);
	}
	return rc;
}

/* Neither a writer nor a checkpoint does that beside our lock. */
static int
shrunk(const struct direct *d, struct hf_error *err)
{
	return H->fail(err, HF_E_TRANSIENT,
	    "%s became shorter while it was read", d->source->path);
}

/* n pages from the file, and over them those of the WAL.  *next walks through
 * the map, which is sorted as the pages are. */
static int
read_pages(struct direct *d, uint32_t page, uint32_t n, size_t *next,
    uint8_t *tmp, uint8_t *buf, struct hf_error *err)
{
	uint32_t size = (uint32_t)d->source->page_size, at;
	int rc;

	rc = d->db->pMethods->xRead(
	    d->db, buf, (int)(n * size), (sqlite3_int64)(page - 1) * size);
	/* Before a checkpoint the file may end earlier; SQLite gives zeros
	 * then, and so do pages that were never written. */
	if (rc == SQLITE_IOERR_SHORT_READ &&
	    (sqlite3_int64)(page - 1 + n) * size <= d->least)
		return shrunk(d, err);
	if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
		return code_fail(NULL, rc, err, "reading page %u of %s", page,
		    d->source->path);
	for (; *next < d->map.n; (*next)++) {
		at = (uint32_t)(d->map.at[*next] >> 32);
		if (at >= page + n)
			break;
		rc = wal_page(d->wal, &d->index, at, (uint32_t)d->map.at[*next],
		    tmp, buf + (size_t)(at - page) * size, err);
		if (rc != HF_OK)
			return rc;
	}
	return HF_OK;
}

/* The last look: has what we read been what we locked? */
static int
check_still(struct direct *d, struct hf_error *err)
{
	const struct source *s = d->source;
	sqlite3_int64 size = 0;
	uint8_t c[4] = { 0 };
	uint32_t counter;

	if (s->wal && !walindex_held(d->db, &d->index))
		return H->fail(err, HF_E_TRANSIENT,
		    "the read lock on %s was lost while it was read", s->path);
	if (s->page_count == 0)
		return HF_OK;
	if (d->db->pMethods->xFileSize(d->db, &size) != SQLITE_OK)
		return H->fail(err, HF_E_IO, "reading %s again", s->path);
	if (size < d->least)
		return shrunk(d, err);
	/* Checkpoints may put page 1 of the WAL into the file. */
	if (d->use_wal)
		return HF_OK;
	if (d->db->pMethods->xRead(d->db, c, 4, COUNTER_AT) != SQLITE_OK)
		return H->fail(err, HF_E_IO, "reading %s again", s->path);
	counter = (uint32_t)c[0] << 24 | (uint32_t)c[1] << 16 |
		  (uint32_t)c[2] << 8 | c[3];
	if (counter != d->change_counter)
		return H->fail(err, HF_E_TRANSIENT,
		    "%s was changed while it was locked for reading", s->path);
	return HF_OK;
}

static void
take_counter(struct direct *d, const uint8_t *page1)
{
	const uint8_t *c = page1 + COUNTER_AT;

	d->change_counter = (uint32_t)c[0] << 24 | (uint32_t)c[1] << 16 |
			    (uint32_t)c[2] << 8 | c[3];
}

int
direct_copy(struct direct *d, struct watch *watch, struct hf_writer *w,
    struct hf_error *err)
{
	const struct hf_ctx *ctx = d->source->engine->ctx;
	uint32_t size = (uint32_t)d->source->page_size, page, n;
	uint32_t count = (uint32_t)d->source->page_count;
	uint32_t per = CHUNK / size > 0 ? CHUNK / size : 1;
	uint64_t done = 0, told = 0, total = (uint64_t)count * size;
	uint8_t *buf = NULL, *tmp = NULL;
	size_t next = 0;
	int rc;

	buf = malloc((size_t)per * size);
	tmp = malloc((size_t)size + 24);
	if (buf == NULL || tmp == NULL) {
		rc = H->fail(err, HF_E_NOMEM, "no memory for pages");
		goto done;
	}
	for (page = 1; page <= count; page += n) {
		n = count - page + 1 < per ? count - page + 1 : per;
		if (H->cancelled(ctx)) {
			rc = H->fail(err, HF_E_CANCELLED, "cancelled");
			goto done;
		}
		rc = read_pages(d, page, n, &next, tmp, buf, err);
		if (rc != HF_OK)
			goto done;
		if (page == 1)
			take_counter(d, buf);
		rc = H->out_write(w, buf, (size_t)n * size, err);
		if (rc != HF_OK || (rc = watch_verdict(watch, err)) != HF_OK)
			goto done;
		done += (uint64_t)n * size;
		if (done - told >= PROGRESS || done == total)
			H->progress(ctx, told = done, total);
	}
	rc = check_still(d, err);
done:
	free(tmp);
	free(buf);
	return rc;
}

void
direct_end(struct direct *d)
{
	pagemap_free(&d->map);
}
