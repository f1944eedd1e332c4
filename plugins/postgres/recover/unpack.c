/* SPDX-License-Identifier: BSD-2-Clause */
#include "unpack.h"

#include "chain.h"
#include "folder.h"
#include "postgres.h"
#include "text.h"
#include "writers.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER ((size_t)1 << 20)
#define WAL_SEGMENT_NAME 24
#define KEPT_MAX ((size_t)64 << 10)
#define LABEL "backup_label"

struct source {
	struct unpack *u;
	struct hf_reader *reader;
	struct archive *tar;
	struct writers *writers;
	unsigned char *buf;
	/* Of the reader, whose failure libarchive only knows as one. */
	int rc;
	struct hf_error *err;
};

static la_ssize_t
on_read(struct archive *tar, void *arg, const void **buf)
{
	struct source *s = arg;
	size_t n = 0;

	*buf = s->buf;
	if (s->rc != HF_OK)
		return s->rc == HF_EOF ? 0 : -1;
	s->rc = H->in_read(s->reader, s->buf, BUFFER, &n, s->err);
	if (s->rc < 0) {
		archive_set_error(tar, EIO, "reading");
		return -1;
	}
	return s->rc == HF_EOF ? 0 : (la_ssize_t)n;
}

/* A failure of libarchive: the reader's own, if it had one. */
static int
tar_failed(struct source *s, const char *what)
{
	const char *why = archive_error_string(s->tar);

	if (s->rc < 0)
		return s->rc;
	return H->fail(s->err, HF_E_CORRUPT, "%s: %s: %s", s->u->object, what,
	    why == NULL ? "not known why" : why);
}

/* ---- names ---- */

/* "a/b" out of "./a/b/"; NULL: it leads out, or is none. */
static char *
clean_path(const char *given)
{
	char *path, *part, *end;

	if (given == NULL || given[0] == '/')
		return NULL;
	while (strncmp(given, "./", 2) == 0)
		given += 2;
	if ((path = strdup(strcmp(given, ".") == 0 ? "" : given)) == NULL)
		return NULL;
	end = path + strlen(path);
	if (end > path && end[-1] == '/')
		*--end = '\0';
	for (part = path; *part != '\0';) {
		size_t n = strcspn(part, "/");

		if (n == 0 || (n == 1 && part[0] == '.') ||
		    (n == 2 && part[0] == '.' && part[1] == '.')) {
			free(path);
			return NULL;
		}
		part += n;
		if (*part == '/' && *++part == '\0') {
			free(path);
			return NULL;
		}
	}
	return path;
}

static bool
is_segment(const char *path)
{
	static const char folder[] = "pg_wal/";
	size_t n = sizeof folder - 1;

	return strncmp(path, folder, n) == 0 &&
	       strspn(path + n, "0123456789ABCDEF") == WAL_SEGMENT_NAME &&
	       path[n + WAL_SEGMENT_NAME] == '\0';
}

/* The owner may do all, the group may read where it could, others nothing. */
static mode_t
file_mode(struct archive_entry *e)
{
	return (mode_t)(0600 | (archive_entry_perm(e) & 0040));
}

static mode_t
folder_mode(struct archive_entry *e)
{
	return (mode_t)(0700 | (archive_entry_perm(e) & 0050));
}

/* ---- entries ---- */

/* As mkdirat. */
static int
make_one(struct source *s, const char *path, mode_t mode)
{
	const struct folder *p = s->u->folder;

	if (mkdirat(p->fd, path, 0700) != 0)
		return -1;
	if (p->owner.change && fchownat(p->fd, path, p->owner.uid, p->owner.gid,
				   AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	return mode == 0700 ? 0 : fchmodat(p->fd, path, mode, 0);
}

/* One that a file of an older link needed is there already. */
static bool
made_before(struct source *s, const char *path, mode_t mode)
{
	const struct folder *p = s->u->folder;
	struct stat st;

	return s->u->chain != NULL &&
	       fstatat(p->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode) && fchmodat(p->fd, path, mode, 0) == 0;
}

static int
make_folder(struct source *s, const char *path, mode_t mode)
{
	if (path[0] == '\0' || (s->u->chain != NULL && !s->u->last))
		return HF_OK;
	if (make_one(s, path, mode) == 0)
		return HF_OK;
	if (errno == EEXIST && made_before(s, path, mode))
		return HF_OK;
	if (errno == EEXIST || errno == ENOENT)
		return H->fail(s->err, HF_E_CORRUPT,
		    errno == EEXIST ? "%s: it has %s twice"
				    : "%s: it has no folder for %s",
		    s->u->object, path);
	return H->fail_errno(
	    s->err, errno, "making %s/%s", s->u->folder->path, path);
}

/* Above a file of an older link; the last one sets their modes. */
static int
make_parents(struct source *s, char *path)
{
	for (char *at = strchr(path, '/'); at != NULL;
	     at = strchr(at + 1, '/')) {
		int rc;

		*at = '\0';
		rc = make_one(s, path, 0700);
		if (rc != 0 && errno != EEXIST)
			rc = H->fail_errno(s->err, errno, "making %s/%s",
			    s->u->folder->path, path);
		else
			rc = HF_OK;
		*at = '/';
		if (rc != HF_OK)
			return rc;
	}
	return HF_OK;
}

static int
keep(struct source *s, struct unpack_kept *k, const void *block, size_t len)
{
	char *grown;

	if (k->len + len > KEPT_MAX)
		return H->fail(s->err, HF_E_CORRUPT,
		    "%s: " LABEL " or " FOLDER_CONTROL " is too large",
		    s->u->object);
	if ((grown = realloc(k->bytes, k->len + len + 1)) == NULL)
		return postgres_nomem(s->err);
	k->bytes = grown;
	memcpy(grown + k->len, block, len);
	k->len += len;
	grown[k->len] = '\0';
	return HF_OK;
}

/* Chunks of at most a chunk's size out of what libarchive lends. */
static int
push_block(
    struct source *s, struct chunk **c, const unsigned char *block, size_t len)
{
	while (len > 0) {
		size_t room = sizeof(*c)->data - (*c)->len;

		if (room == 0) {
			writers_push(s->writers, *c);
			if ((*c = writers_chunk(s->writers)) == NULL)
				return HF_EOF;
			continue;
		}
		if (room > len)
			room = len;
		memcpy((*c)->data + (*c)->len, block, room);
		(*c)->len += room;
		block += room;
		len -= room;
	}
	return HF_OK;
}

/* HF_EOF: a writer has failed, and says why.  Takes path. */
static int
write_file(struct source *s, struct archive_entry *e, char *path,
    enum writers_job job, struct unpack_kept *kept)
{
	struct chunk *c = writers_chunk(s->writers);
	int64_t size = archive_entry_size(e), at = 0;
	const void *block;
	la_int64_t off;
	size_t len;
	int rc, got;

	if (c == NULL) {
		free(path);
		return HF_EOF;
	}
	c->path = path;
	c->job = job;
	c->mode = file_mode(e);
	while ((got = archive_read_data_block(s->tar, &block, &len, &off)) ==
	       ARCHIVE_OK) {
		/* Holes are no part of a ustar file. */
		if (off != at) {
			rc = H->fail(s->err, HF_E_CORRUPT,
			    "%s: a file with holes", s->u->object);
			goto fail;
		}
		at += (int64_t)len;
		if (kept != NULL && (rc = keep(s, kept, block, len)) != HF_OK)
			goto fail;
		rc = push_block(s, &c, block, len);
		if (rc != HF_OK)
			return rc;
	}
	if (got != ARCHIVE_EOF) {
		rc = tar_failed(s, "a file in it");
		goto fail;
	}
	if (at != size) {
		rc = H->fail(
		    s->err, HF_E_CORRUPT, "%s: a file is cut", s->u->object);
		goto fail;
	}
	c->last = true;
	writers_push(s->writers, c);
	s->u->files += job == WRITERS_MAKE;
	s->u->bytes += job == WRITERS_CHECK ? 0 : (uint64_t)size;
	return HF_OK;
fail:
	/* The writers are abandoned: it only has to be freed. */
	c->last = true;
	writers_push(s->writers, c);
	return rc;
}

/* What becomes of a file of a chain's link. */
static int
job_of(struct source *s, char *path, enum writers_job *job)
{
	const struct unpack *u = s->u;
	struct text full = { 0 };
	int rc;

	*job = WRITERS_MAKE;
	if (u->chain == NULL)
		return HF_OK;
	text_addf(&full, "%s%s", u->prefix, path);
	if ((rc = text_ok(&full, s->err)) == HF_OK)
		rc = chain_job(u->chain, u->link, text_get(&full), job, s->err);
	/* That of the result is another one. */
	if (strcmp(text_get(&full), LABEL) == 0)
		*job = WRITERS_CHECK;
	text_free(&full);
	if (rc == HF_OK && *job == WRITERS_MAKE && !u->last)
		rc = make_parents(s, path);
	return rc;
}

/* Takes path. */
static int
plain_file(struct source *s, struct archive_entry *e, char *path)
{
	struct unpack *u = s->u;
	struct unpack_kept *kept = NULL;
	enum writers_job job;
	int rc;

	if ((rc = job_of(s, path, &job)) != HF_OK) {
		free(path);
		return rc;
	}
	if (u->prefix[0] == '\0') {
		if (strcmp(path, "PG_VERSION") == 0)
			u->group = (archive_entry_perm(e) & 0040) != 0;
		if (is_segment(path))
			u->wal = true;
		if (strcmp(path, LABEL) == 0)
			kept = &u->label;
		else if (strcmp(path, FOLDER_CONTROL) == 0)
			kept = &u->control;
	}
	return write_file(s, e, path, job, kept);
}

static int
one_entry(struct source *s, struct archive_entry *e)
{
	const char *given = archive_entry_pathname(e);
	char *path = clean_path(given);
	int rc;

	if (path == NULL)
		return H->fail(s->err, HF_E_CORRUPT,
		    "%s: a path leads out of it: \"%s\"", s->u->object,
		    given == NULL ? "" : given);
	/* A hard link has no kind of its own. */
	if (archive_entry_hardlink(e) != NULL)
		rc = H->fail(s->err, HF_E_CORRUPT, "%s: %s is a hard link",
		    s->u->object, path);
	else if (archive_entry_filetype(e) == AE_IFREG && path[0] != '\0')
		return plain_file(s, e, path);
	else if (archive_entry_filetype(e) == AE_IFDIR)
		rc = make_folder(s, path, folder_mode(e));
	else if (archive_entry_filetype(e) == AE_IFLNK &&
		 strncmp(path, "pg_tblspc/", 10) == 0)
		rc = HF_OK;
	else
		rc = H->fail(s->err, HF_E_CORRUPT,
		    "%s: %s is neither a file nor a folder", s->u->object,
		    path);
	free(path);
	return rc;
}

static int
all_entries(struct source *s)
{
	struct archive_entry *e;
	int got, rc;

	while ((got = archive_read_next_header(s->tar, &e)) == ARCHIVE_OK ||
	       got == ARCHIVE_WARN) {
		if ((rc = one_entry(s, e)) != HF_OK)
			return rc;
		if (H->cancelled(s->u->ctx))
			return H->fail(s->err, HF_E_CANCELLED, "cancelled");
	}
	if (got != ARCHIVE_EOF)
		return tar_failed(s, "it is no tar file that can be read");
	return HF_OK;
}

/* What stands behind the end: the hash is proved at the very end alone. */
static int
drain(struct source *s)
{
	size_t n;

	while (s->rc == HF_OK)
		s->rc = H->in_read(s->reader, s->buf, BUFFER, &n, s->err);
	return s->rc == HF_EOF ? HF_OK : s->rc;
}

static int
open_tar(struct source *s)
{
	struct unpack *u = s->u;
	int rc =
	    H->in_open(u->in, u->object, 0, UINT64_MAX, &s->reader, s->err);

	if (rc != HF_OK)
		return rc;
	if ((s->buf = malloc(BUFFER)) == NULL ||
	    (s->tar = archive_read_new()) == NULL)
		return postgres_nomem(s->err);
	rc = writers_new(u->threads,
	    &(struct writers_place){
		.folder = u->folder,
		.prefix = u->prefix,
		.inventory = u->inventory,
		.geometry = u->geometry,
	    },
	    &s->writers, s->err);
	if (rc != HF_OK)
		return rc;
	if (archive_read_support_format_tar(s->tar) != ARCHIVE_OK ||
	    archive_read_support_format_empty(s->tar) != ARCHIVE_OK ||
	    archive_read_open(s->tar, s, NULL, on_read, NULL) != ARCHIVE_OK)
		return tar_failed(s, "it is no tar file that can be read");
	return HF_OK;
}

int
unpack_run(struct unpack *u, struct hf_error *err)
{
	struct source s = { .u = u, .err = err };
	int rc, written;

	/* A tablespace without a file is a tar file of nothing. */
	rc = open_tar(&s);
	if (rc == HF_OK)
		rc = all_entries(&s);
	if (rc == HF_OK)
		rc = drain(&s);
	/* EOF: the writers have the reason. */
	written = writers_end(
	    s.writers, rc != HF_OK, rc == HF_EOF || rc == HF_OK ? err : NULL);
	if (rc == HF_OK || rc == HF_EOF)
		rc = written;
	if (s.tar != NULL)
		(void)archive_read_free(s.tar);
	H->in_close(s.reader);
	free(s.buf);
	if (rc != HF_OK)
		(void)H->fail_context(err, "unpacking %s", u->object);
	return rc;
}
