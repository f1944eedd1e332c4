/* SPDX-License-Identifier: BSD-2-Clause */
#include "wal.h"

#include "archive.h"
#include "postgres.h"
#include "segment.h"

#include <stdlib.h>
#include <string.h>

/* Most segments have this size, and all else is small. */
#define FIRST_GUESS ((size_t)16 << 20)
#define SMALL ((size_t)64 << 10)

/* The name without its folders, when it is that of a whole segment. */
static const char *
segment_file(const char *name)
{
	const char *file = strrchr(name, '/');

	file = file == NULL ? name : file + 1;
	return strspn(file, "0123456789ABCDEF") == 24 && file[24] == '\0'
		   ? file
		   : NULL;
}

/* All of it; the end proves the hash. */
static int
read_all(struct hf_reader *r, size_t guess, void **data, size_t *len,
    struct hf_error *err)
{
	size_t cap = guess, n;
	uint8_t *buf, *more;
	int rc;

	*len = 0;
	/* One byte more, so that the end is seen without growing. */
	if ((buf = malloc(cap + 1)) == NULL)
		return postgres_nomem(err);
	while ((rc = H->in_read(r, buf + *len, cap + 1 - *len, &n, err)) ==
	       HF_OK) {
		*len += n;
		if (*len <= cap)
			continue;
		if (cap > SIZE_MAX / 4 ||
		    (more = realloc(buf, 2 * cap + 1)) == NULL) {
			rc = postgres_nomem(err);
			break;
		}
		buf = more;
		cap *= 2;
	}
	if (rc != HF_EOF) {
		free(buf);
		return rc;
	}
	*data = buf;
	return HF_OK;
}

int
wal_read_check(const char *name, const void *data, size_t len,
    struct segment_header *h, char why[WHY_MAX])
{
	struct wal_name n;
	uint64_t system;
	int rc;

	if ((rc = segment_header_why(data, len, h, why)) != HF_OK)
		return rc;
	if (len != h->segment_size)
		return why_say(why, HF_E_CORRUPT,
		    "it has %zu bytes, and should have %lu", len,
		    (unsigned long)h->segment_size);
	if (!wal_name_of_log(name, h->segment_size, &system, &n))
		return why_say(why, HF_E_CORRUPT,
		    "no segment of %lu bytes has this name",
		    (unsigned long)h->segment_size);
	return segment_header_fits(h, system, &n, why);
}

int
wal_read(struct hf_in *log, const char *name, void **data, size_t *len,
    struct hf_error *err)
{
	const char *file = segment_file(name);
	struct segment_header h;
	struct hf_reader *r;
	char why[WHY_MAX];
	int rc;

	*data = NULL;
	*len = 0;
	if ((rc = H->in_open(log, name, 0, UINT64_MAX, &r, err)) != HF_OK)
		return rc;
	rc = read_all(r, file != NULL ? FIRST_GUESS : SMALL, data, len, err);
	H->in_close(r);
	if (rc == HF_OK && file != NULL &&
	    (rc = wal_read_check(name, *data, *len, &h, why)) != HF_OK)
		rc = H->fail(err, rc, "%s: %s", file, why);
	if (rc != HF_OK) {
		free(*data);
		*data = NULL;
		*len = 0;
	}
	return rc;
}

/* One piece to its place; it may overlap what is there. */
static int
read_piece(struct hf_in *log, const struct archive *a, const struct wal_name *n,
    uint8_t *data, size_t end, struct hf_error *err)
{
	char name[WAL_LOG_MAX];
	void *piece;
	size_t len;
	int rc;

	wal_name_log(n, archive_system(a), archive_segment_size(a), name);
	if ((rc = wal_read(log, name, &piece, &len, err)) != HF_OK)
		return rc;
	if (n->offset < end) {
		len = len < end - n->offset ? len : end - n->offset;
		memcpy(data + n->offset, piece, len);
	}
	free(piece);
	return HF_OK;
}

int
wal_read_any(struct hf_in *log, const struct archive *a, uint32_t timeline,
    uint64_t segno, void **data, size_t *len, struct hf_error *err)
{
	struct wal_name n = {
		.kind = WAL_SEGMENT, .timeline = timeline, .segno = segno
	};
	lsn_t end = archive_pieces(a, timeline, segno);
	char name[WAL_LOG_MAX];
	int rc = HF_OK;

	*data = NULL;
	*len = 0;
	wal_name_log(&n, archive_system(a), archive_segment_size(a), name);
	if (end == 0 || archive_has(a, timeline, segno))
		return wal_read(log, name, data, len, err);
	*len = (size_t)(end - segno * archive_segment_size(a));
	if ((*data = calloc(1, *len)) == NULL)
		return postgres_nomem(err);
	for (size_t i = 0; i < archive_count(a) && rc == HF_OK; i++) {
		const struct wal_name *p = archive_at(a, i);

		if (p->kind == WAL_PIECE && p->timeline == timeline &&
		    p->segno == segno)
			rc = read_piece(log, a, p, *data, *len, err);
	}
	if (rc != HF_OK) {
		free(*data);
		*data = NULL;
	}
	return rc;
}
