/* SPDX-License-Identifier: BSD-2-Clause */
#include "fetch.h"

#include "archive.h"
#include "control.h"
#include "place.h"
#include "postgres.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK ((size_t)256 << 10)
#define HEADER 40

int
fetch_identify(struct fetch *f, const char *name, const char *file,
    struct archive **a, struct hf_error *err)
{
	struct control c;
	int rc;

	if (place_control(file, &c, NULL) == HF_OK) {
		f->system = c.system_identifier;
		f->segment_size = c.wal_segment_size;
	} else {
		if ((rc = archive_load(f->log, 0, 0, a, err)) != HF_OK)
			return rc;
		f->system = archive_system(*a);
		f->segment_size = archive_segment_size(*a);
	}
	if (!wal_name_parse(name, f->segment_size, &f->name))
		return H->fail(err, HF_E_INVALID,
		    "%s: this is not the name of a WAL file", name);
	return HF_OK;
}

int
fetch_each(struct hf_in *log, const char *name, fetch_fn *fn, void *arg,
    struct hf_error *err)
{
	struct hf_reader *r;
	uint64_t at = 0;
	uint8_t *buf;
	size_t n;
	int rc;

	if ((buf = malloc(BLOCK)) == NULL)
		return postgres_nomem(err);
	if ((rc = H->in_open(log, name, 0, UINT64_MAX, &r, err)) != HF_OK)
		goto err0;
	while ((rc = H->in_read(r, buf, BLOCK, &n, err)) == HF_OK) {
		if ((rc = fn(arg, at, buf, n, err)) != HF_OK)
			break;
		at += n;
	}
	H->in_close(r);
	if (rc == HF_EOF)
		rc = HF_OK;
err0:
	free(buf);
	return rc;
}

/* ---- a file that is being written ---- */

/* A folder that is missing here says nothing of the log: HF_E_NOTFOUND would
 * end a recovery. */
static int
file_fail(struct hf_error *err, int errnum, const char *doing, const char *path)
{
	int rc = H->fail_errno(err, errnum, "%s %s", doing, path);

	return rc != HF_E_NOTFOUND ? rc
				   : H->fail(err, HF_E_IO, "%s %s: %s", doing,
					 path, strerror(errnum));
}

struct file {
	const char *path;
	char tmp[PATH_MAX];
	int fd;
	uint64_t base, size; /* where the object begins in it; what came */
	uint64_t most;       /* it cannot be longer; 0: any */
	struct digest *digest;
};

static int
file_begin(struct file *f, const char *path, struct hf_error *err)
{
	memset(f, 0, sizeof *f);
	f->path = path;
	if (snprintf(f->tmp, sizeof f->tmp, "%s.XXXXXX", path) >=
	    (int)sizeof f->tmp)
		return H->fail(err, HF_E_INVALID, "%s: too long", path);
	if ((f->fd = mkostemp(f->tmp, O_CLOEXEC)) == -1)
		return file_fail(err, errno, "making", f->tmp);
	if ((f->digest = digest_new()) == NULL) {
		(void)close(f->fd);
		(void)unlink(f->tmp);
		return postgres_nomem(err);
	}
	return HF_OK;
}

static int
file_write(
    void *arg, uint64_t at, const void *buf, size_t len, struct hf_error *err)
{
	struct file *f = arg;
	const char *p = buf;
	uint64_t to = f->base + at;
	ssize_t n;

	if (f->most != 0 && to + len > f->most)
		return H->fail(err, HF_E_CORRUPT,
		    "it has more than %llu bytes in the log, which a segment "
		    "of this server has",
		    (unsigned long long)f->most);
	digest_add(f->digest, buf, len);
	f->size = to + len > f->size ? to + len : f->size;
	for (; len > 0; p += n, len -= (size_t)n, to += (uint64_t)n) {
		n = pwrite(f->fd, p, len, (off_t)to);
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n == -1)
			return H->fail_errno(err, errno, "writing %s", f->tmp);
	}
	return HF_OK;
}

static int
sync_folder(const char *path, struct hf_error *err)
{
	char folder[PATH_MAX];
	int fd, rc = HF_OK;

	if (!place_folder(path, folder, sizeof folder))
		return H->fail(err, HF_E_INVALID, "%s: too long", path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fsync(fd) == -1)
		rc = file_fail(err, errno, "syncing", folder);
	if (fd != -1)
		(void)close(fd);
	return rc;
}

/* Whole and durable under its name, or not there. */
static int
file_end(struct file *f, int rc, struct mark *m, struct hf_error *err)
{
	char hex[DIGEST_HEX];

	if (digest_end(f->digest, hex) != 0 && rc == HF_OK)
		rc = H->fail(err, HF_E_IO, "%s: no SHA-256", f->path);
	if (rc == HF_OK && fsync(f->fd) == -1)
		rc = H->fail_errno(err, errno, "syncing %s", f->tmp);
	if (close(f->fd) == -1 && rc == HF_OK)
		rc = H->fail_errno(err, errno, "closing %s", f->tmp);
	if (rc == HF_OK && rename(f->tmp, f->path) == -1)
		rc = file_fail(err, errno, "renaming to", f->path);
	if (rc != HF_OK) {
		(void)unlink(f->tmp);
		return rc;
	}
	if (m != NULL) {
		m->size = f->size;
		memcpy(m->sha256, hex, sizeof m->sha256);
	}
	return sync_folder(f->path, err);
}

/* ---- objects ---- */

static int
check_segment(const struct fetch *f, const struct file *file, const char *name,
    struct hf_error *err)
{
	struct segment_header h;
	uint8_t head[HEADER];
	char why[WHY_MAX];
	ssize_t n;
	int rc;

	if ((n = pread(file->fd, head, sizeof head, 0)) == -1)
		return H->fail_errno(err, errno, "reading %s", file->tmp);
	rc = segment_header(head, (size_t)n, name, &h, err);
	if (rc != HF_OK)
		return rc;
	if (h.segment_size != f->segment_size || file->size != h.segment_size)
		return H->fail(err, HF_E_CORRUPT,
		    "%s has %llu bytes in the log, and should have %lu", name,
		    (unsigned long long)file->size,
		    (unsigned long)f->segment_size);
	rc = segment_header_fits(&h, f->system, &f->name, why);
	return rc == HF_OK ? HF_OK : H->fail(err, rc, "%s %s", name, why);
}

int
fetch_object(const struct fetch *f, const char *path, struct mark *m,
    struct hf_error *err)
{
	char name[WAL_LOG_MAX];
	struct file file;
	int rc;

	if ((rc = file_begin(&file, path, err)) != HF_OK)
		return rc;
	wal_name_log(&f->name, f->system, f->segment_size, name);
	if (f->name.kind == WAL_SEGMENT)
		file.most = f->segment_size;
	rc = fetch_each(f->log, name, file_write, &file, err);
	if (rc == HF_OK && f->name.kind == WAL_SEGMENT)
		rc = check_segment(f, &file, name, err);
	return file_end(&file, rc, m, err);
}

/* Each piece to its place; `end` is where they stop being gapless. */
static int
join(const struct fetch *f, const struct archive *a, struct file *file,
    uint64_t end, struct hf_error *err)
{
	const struct wal_name *n;
	char name[WAL_LOG_MAX];
	int rc = HF_OK;

	for (size_t i = 0; rc == HF_OK && i < archive_count(a); i++) {
		n = archive_at(a, i);
		if (n->kind != WAL_PIECE || n->segno != f->name.segno ||
		    n->timeline != f->name.timeline || n->offset >= end)
			continue;
		wal_name_log(n, f->system, f->segment_size, name);
		file->base = n->offset;
		rc = fetch_each(f->log, name, file_write, file, err);
	}
	if (rc == HF_OK && file->size < end)
		rc = H->fail(err, HF_E_CORRUPT,
		    "the pieces of a segment end at %llu and not at %llu",
		    (unsigned long long)file->size, (unsigned long long)end);
	if (rc == HF_OK && ftruncate(file->fd, (off_t)f->segment_size) == -1)
		rc = H->fail_errno(err, errno, "writing %s", file->tmp);
	file->size = f->segment_size;
	return rc;
}

int
fetch_pieces(const struct fetch *f, const struct archive *a, const char *path,
    struct hf_error *err)
{
	char name[WAL_LOG_MAX];
	struct file file;
	lsn_t end;
	int rc;

	wal_name_log(&f->name, f->system, f->segment_size, name);
	end = archive_pieces(a, f->name.timeline, f->name.segno);
	if (end <= f->name.segno * f->segment_size)
		return H->fail(err, HF_E_NOTFOUND, "the log has no %s", name);
	if ((rc = file_begin(&file, path, err)) != HF_OK)
		return rc;
	file.most = f->segment_size;
	rc = join(f, a, &file, end - f->name.segno * f->segment_size, err);
	if (rc == HF_OK)
		rc = check_segment(f, &file, name, err);
	return file_end(&file, rc, NULL, err);
}

/* ---- files fetched before ---- */

static int
copy(int fd, struct file *to, struct hf_error *err)
{
	uint8_t *buf = malloc(BLOCK);
	uint64_t at = 0;
	ssize_t n = 0;
	int rc = HF_OK;

	if (buf == NULL)
		return postgres_nomem(err);
	while (rc == HF_OK && (n = pread(fd, buf, BLOCK, (off_t)at)) > 0) {
		rc = file_write(to, at, buf, (size_t)n, err);
		at += (uint64_t)n;
	}
	if (rc == HF_OK && n == -1)
		rc = H->fail_errno(err, errno, "copying to %s", to->path);
	free(buf);
	return rc;
}

/* It is on another file system. */
static int
move_across(
    int fd, const struct mark *m, const char *path, struct hf_error *err)
{
	struct file to;
	struct mark made;
	int rc;

	if ((rc = file_begin(&to, path, err)) != HF_OK)
		return rc;
	rc = file_end(&to, copy(fd, &to, err), &made, err);
	if (rc == HF_OK && strcmp(made.sha256, m->sha256) != 0)
		rc = H->fail(
		    err, HF_E_IO, "%s changed while it was copied", path);
	return rc;
}

int
fetch_move(const char *from, const struct mark *m, const char *path,
    struct hf_error *err)
{
	int fd, rc;

	fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1 || !mark_fits(m, fd)) {
		rc = H->fail(err, HF_E_NOTFOUND, "%s is not there", from);
		goto done;
	}
	if (fsync(fd) == 0 && rename(from, path) == 0)
		rc = sync_folder(path, err);
	else if (errno == EXDEV)
		rc = move_across(fd, m, path, err);
	else
		rc = H->fail_errno(err, errno, "renaming %s to %s", from, path);
done:
	if (fd != -1)
		(void)close(fd);
	return rc;
}
