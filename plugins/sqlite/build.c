/* SPDX-License-Identifier: BSD-2-Clause */
#include "build.h"

#include "code.h"
#include "database.h"
#include "path.h"
#include "sqlite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
#define FLUSH (8 * 1024 * 1024) /* start writing to the disk this often */
#define TEMPLATE ".holdfast-XXXXXX.tmp"
#define TEMPLATE_END ".tmp"

/* The one object of a backup. */
struct found {
	char *name;
	uint64_t size;
	unsigned n;
	bool nomem;
};

static int
on_object(void *arg, const struct hf_object *o)
{
	struct found *f = arg;

	if (f->n++ > 0)
		return 0;
	f->size = o->size;
	if ((f->name = strdup(o->key)) == NULL)
		f->nomem = true;
	return 0;
}

static int
find_object(struct hf_in *in, struct found *f, struct hf_error *err)
{
	int rc;

	memset(f, 0, sizeof *f);
	if ((rc = H->in_list(in, on_object, f, err)) < 0)
		return rc;
	if (f->nomem)
		return H->fail(err, HF_E_NOMEM, "no memory for a name");
	if (f->n != 1) {
		free(f->name);
		f->name = NULL;
		return H->fail(err, HF_E_CORRUPT,
		    "a backup of a SQLite database is one object, this one "
		    "has %u",
		    f->n);
	}
	return HF_OK;
}

static int
check_space(const char *target, uint64_t need, struct hf_error *err)
{
	struct statvfs vfs;
	char *dir;
	int rc = HF_OK;

	if ((dir = path_folder(target, err)) == NULL)
		return HF_E_NOMEM;
	if (statvfs(dir, &vfs) == 0 &&
	    need / vfs.f_frsize >= (uint64_t)vfs.f_bavail)
		rc = sqlite_fail_hint(err, HF_E_NOSPACE,
		    "The copy is built beside the target before it takes its "
		    "place.",
		    "%" PRIu64 " bytes are needed in %s, %" PRIu64 " are free",
		    need, dir, (uint64_t)vfs.f_bavail * vfs.f_frsize);
	free(dir);
	return rc;
}

/* Made and locked; somebody clearing up may take it away in between. */
static int
make_temp(const char *target, struct build *b, struct hf_error *err)
{
	struct stat st;
	int e, tries;

	for (tries = 0; tries < 10; tries++) {
		if ((b->path = path_with(target, TEMPLATE, err)) == NULL)
			return HF_E_NOMEM;
		b->fd =
		    mkostemps(b->path, (int)strlen(TEMPLATE_END), O_CLOEXEC);
		if (b->fd == -1) {
			e = errno;
			free(b->path);
			b->path = NULL;
			return H->fail_errno(
			    err, e, "making a file beside %s", target);
		}
		if (flock(b->fd, LOCK_EX) == 0 && fstat(b->fd, &st) == 0 &&
		    st.st_nlink > 0)
			return HF_OK;
		build_end(b, false);
	}
	return H->fail(
	    err, HF_E_IO, "files beside %s vanish as they are made", target);
}

static int
write_all(
    const struct build *b, const uint8_t *buf, size_t n, struct hf_error *err)
{
	ssize_t w;

	while (n > 0) {
		w = write(b->fd, buf, n);
		if (w == -1 && errno == EINTR)
			continue;
		if (w <= 0)
			return H->fail_errno(
			    err, w == 0 ? EIO : errno, "writing %s", b->path);
		buf += w;
		n -= (size_t)w;
	}
	return HF_OK;
}

/* Let the disk work while the rest still arrives; how well that goes is seen
 * by the fsync at the end. */
static void
start_writeback(const struct build *b, uint64_t from, uint64_t to)
{
	(void)sync_file_range(
	    b->fd, (off_t)from, (off_t)(to - from), SYNC_FILE_RANGE_WRITE);
}

static int
fill(const struct hf_engine *e, struct hf_in *in, const struct found *f,
    const struct build *b, uint64_t *size, struct hf_error *err)
{
	struct hf_reader *r = NULL;
	uint64_t flushed = 0;
	uint8_t *buf;
	size_t n;
	int rc;

	*size = 0;
	if ((buf = malloc(CHUNK)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory for pages");
	if ((rc = H->in_open(in, f->name, 0, UINT64_MAX, &r, err)) != HF_OK)
		goto done;
	while ((rc = H->in_read(r, buf, CHUNK, &n, err)) == HF_OK) {
		if (H->cancelled(e->ctx)) {
			rc = H->fail(err, HF_E_CANCELLED, "cancelled");
			break;
		}
		if ((rc = write_all(b, buf, n, err)) != HF_OK)
			break;
		*size += n;
		if (*size - flushed >= FLUSH) {
			start_writeback(b, flushed, *size);
			flushed = *size;
			H->progress(e->ctx, *size, f->size);
		}
	}
	H->in_close(r);
	if (rc == HF_EOF) {
		start_writeback(b, flushed, *size);
		H->progress(e->ctx, *size, f->size);
		rc = HF_OK;
	}
done:
	free(buf);
	return rc;
}

static bool
fact_number(struct hf_in *in, const char *key, uint64_t *value)
{
	const char *text = in == NULL ? NULL : H->in_fact(in, key);
	char *end;

	if (text == NULL || text[0] == '\0')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static int
check_shape(struct hf_in *in, const struct found *f, const struct build *b,
    uint64_t size, struct hf_error *err)
{
	static const char magic[16] = "SQLite format 3";
	uint64_t page_size, pages;
	char head[16];

	if (size != f->size)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: %" PRIu64 " bytes came, %" PRIu64 " were announced",
		    f->name, size, f->size);
	if (fact_number(in, "page_size", &page_size) &&
	    fact_number(in, "page_count", &pages) &&
	    (page_size > 65536 || pages > UINT32_MAX ||
		page_size * pages != size))
		return H->fail(err, HF_E_CORRUPT,
		    "%s: %" PRIu64 " bytes are not %" PRIu64
		    " pages of %" PRIu64,
		    f->name, size, pages, page_size);
	if (size == 0)
		return HF_OK;
	if (pread(b->fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
	    memcmp(head, magic, sizeof head) != 0)
		return H->fail(err, HF_E_CORRUPT,
		    "%s does not begin as a SQLite database does", f->name);
	return HF_OK;
}

int
build_check(const struct hf_engine *e, struct hf_in *in, const struct build *b,
    void *sqlite3_db, const char *path, struct hf_error *err)
{
	enum database_verdict verdict;
	const char *readable;
	char first[256];
	int rc;

	if (b->pragma == NULL)
		return HF_OK;
	rc = database_check(sqlite3_db, b->pragma, &verdict, first,
	    sizeof first, NULL, NULL, err);
	if (rc != HF_OK || verdict == DATABASE_SOUND)
		return rc;
	readable = H->in_fact(in, "schema_readable");
	if (verdict == DATABASE_UNCHECKED ||
	    (readable != NULL && strcmp(readable, "no") == 0)) {
		H->log(e->ctx, HF_LOG_WARN, "sqlite.unchecked",
		    "%s could not be checked: %s", path, first);
		return HF_OK;
	}
	return sqlite_fail_hint(err, HF_E_CORRUPT,
	    "The backup is what the source was then; choose an earlier one, "
	    "or unpack the object by hand and salvage it with "
	    "\"sqlite3 FILE .recover\".",
	    "the restored copy fails %s: %s", b->pragma, first);
}

static int
check_content(const struct hf_engine *e, struct hf_in *in,
    const struct build *b, struct hf_error *err)
{
	struct database_wait wait;
	sqlite3 *db;
	int rc;

	if ((rc = database_open_immutable(b->path, &db, NULL, err)) != HF_OK)
		return rc;
	database_wait(db, &wait, e->ctx, 0);
	rc = build_check(e, in, b, db, b->path, err);
	database_close(db);
	return rc;
}

int
build_file(const struct hf_engine *e, struct hf_in *in, const char *target,
    const char *pragma, struct build *b, struct hf_error *err)
{
	struct found f;
	uint64_t size;
	int rc;

	b->path = NULL;
	b->fd = -1;
	b->pragma = pragma;
	if ((rc = find_object(in, &f, err)) != HF_OK)
		return rc;
	if ((rc = check_space(target, f.size, err)) != HF_OK ||
	    (rc = make_temp(target, b, err)) != HF_OK)
		goto done;
	if ((rc = fill(e, in, &f, b, &size, err)) != HF_OK ||
	    (rc = check_shape(in, &f, b, size, err)) != HF_OK ||
	    (rc = check_content(e, in, b, err)) != HF_OK)
		goto done;
	if (fsync(b->fd) != 0)
		rc = H->fail_errno(err, errno, "syncing %s", b->path);
done:
	if (rc != HF_OK)
		build_end(b, false);
	free(f.name);
	return rc;
}

void
build_end(struct build *b, bool renamed)
{
	if (b->path != NULL && !renamed)
		(void)unlink(b->path);
	if (b->fd != -1)
		(void)close(b->fd);
	free(b->path);
	b->path = NULL;
	b->fd = -1;
}

/* BASE.holdfast-??????.tmp */
static bool
is_temp_of(const char *name, const char *base)
{
	static const char template[] = TEMPLATE;
	size_t n = strlen(base), dash = strlen(".holdfast-");

	return strlen(name) == n + sizeof template - 1 &&
	       strncmp(name, base, n) == 0 &&
	       strncmp(name + n, template, dash) == 0 &&
	       strcmp(name + n + dash + 6, TEMPLATE_END) == 0;
}

void
build_clear(const struct hf_engine *e, const char *target)
{
	const char *base = path_base(target);
	struct dirent *de;
	char *dir;
	DIR *d;
	int fd;

	if ((dir = path_folder(target, NULL)) == NULL)
		return;
	d = opendir(dir);
	while (d != NULL && (de = readdir(d)) != NULL) {
		if (!is_temp_of(de->d_name, base))
			continue;
		fd = openat(dirfd(d), de->d_name,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd == -1)
			continue;
		/* A live run holds the lock. */
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 &&
		    unlinkat(dirfd(d), de->d_name, 0) == 0)
			H->log(e->ctx, HF_LOG_INFO, "sqlite.cleared",
			    "removed %s, left by an interrupted restore",
			    de->d_name);
		(void)close(fd);
	}
	if (d != NULL)
		(void)closedir(d);
	free(dir);
}
