/* SPDX-License-Identifier: BSD-2-Clause */
#include "walfile.h"

#include "control.h"
#include "facts.h"
#include "place.h"
#include "postgres.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK ((size_t)256 << 10)
#define SEGMENT_DIGITS 24
#define HEADER 40

/* A segment, whole or the last of a timeline: it says itself whose it is. */
static bool
has_header(const char *file)
{
	return strspn(file, "0123456789ABCDEF") == SEGMENT_DIGITS &&
	       (file[SEGMENT_DIGITS] == '\0' ||
		   strcmp(file + SEGMENT_DIGITS, ".partial") == 0);
}

static int
no_wal_file(const struct walfile *s, struct hf_error *err)
{
	return postgres_fail_hint(err, HF_E_INVALID,
	    "archive_command hands them over: holdfast ... wal push \"%p\".",
	    "%s: this is not the name of a WAL file", s->path);
}

static int
look_inside(struct walfile *s, struct hf_error *err)
{
	struct segment_header h;
	uint8_t head[HEADER];
	char why[WHY_MAX];
	ssize_t n;
	int rc;

	if ((n = pread(s->fd, head, sizeof head, 0)) == -1)
		return H->fail_errno(err, errno, "reading %s", s->path);
	rc = segment_header(head, (size_t)n, s->path, &h, err);
	if (rc != HF_OK)
		return rc;
	if (s->size != h.segment_size)
		return H->fail(err, HF_E_CORRUPT,
		    "%s has %llu bytes, and a segment of its server has %lu",
		    s->path, (unsigned long long)s->size,
		    (unsigned long)h.segment_size);
	s->segment_size = h.segment_size;
	s->system = h.system_identifier;
	if (!wal_name_parse(s->file, s->segment_size, &s->name))
		return no_wal_file(s, err);
	rc = segment_header_fits(&h, 0, &s->name, why);
	return rc == HF_OK ? HF_OK : H->fail(err, rc, "%s %s", s->path, why);
}

/* Histories and the labels of backups do not say whose they are. */
static int
look_around(struct walfile *s, struct hf_error *err)
{
	const char *dot = strchr(s->file, '.');
	struct control c;
	int rc;

	if (strspn(s->file, "0123456789ABCDEF") < 8 || dot == NULL)
		return no_wal_file(s, err);
	if ((rc = place_control(s->path, &c, err)) != HF_OK) {
		(void)H->fail_context(
		    err, "finding out which server %s is of", s->path);
		return rc;
	}
	s->system = c.system_identifier;
	s->segment_size = c.wal_segment_size;
	if (!wal_name_parse(s->file, s->segment_size, &s->name) ||
	    (s->name.kind != WAL_HISTORY && s->name.kind != WAL_BACKUP))
		return no_wal_file(s, err);
	return HF_OK;
}

int
walfile_open(struct walfile *s, const char *path, struct hf_error *err)
{
	struct stat st;
	int rc;

	memset(s, 0, sizeof *s);
	s->path = path;
	s->file = place_base(path);
	s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s->fd == -1)
		return H->fail_errno(err, errno, "%s", path);
	if (fstat(s->fd, &st) == -1)
		rc = H->fail_errno(err, errno, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = H->fail(err, HF_E_INVALID, "%s is no file", path);
	else {
		s->size = (uint64_t)st.st_size;
		rc = has_header(s->file) ? look_inside(s, err)
					 : look_around(s, err);
	}
	if (rc != HF_OK) {
		walfile_close(s);
		return rc;
	}
	wal_name_log(&s->name, s->system, s->segment_size, s->log_name);
	return HF_OK;
}

void
walfile_close(struct walfile *s)
{
	if (s->fd != -1)
		(void)close(s->fd);
	s->fd = -1;
}

/* A block, but for the last: whole pages.  Its length, or -1. */
static ssize_t
read_block(int fd, uint8_t *buf, uint64_t at)
{
	size_t len = 0;
	ssize_t n;

	while (len < BLOCK) {
		n = pread(fd, buf + len, BLOCK - len, (off_t)(at + len));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

struct copying {
	struct walfile *s;
	struct hf_writer *w;
	struct segment_walk *walk; /* may be NULL */
	struct digest *digest;     /* may be NULL */
};

static int
copy(struct copying *c, struct hf_error *err)
{
	const struct walfile *s = c->s;
	uint8_t *buf = malloc(BLOCK);
	uint64_t at = 0;
	ssize_t n = 0;
	int rc = HF_OK;

	if (buf == NULL)
		return postgres_nomem(err);
	while (rc == HF_OK && (n = read_block(s->fd, buf, at)) > 0) {
		if (c->digest != NULL)
			digest_add(c->digest, buf, (size_t)n);
		if (c->walk != NULL)
			(void)segment_walk_feed(
			    c->walk, buf, (size_t)n, s->path, NULL);
		at += (uint64_t)n;
		rc = H->out_write(c->w, buf, (size_t)n, err);
	}
	if (n == -1)
		rc = H->fail_errno(err, errno, "reading %s", s->path);
	free(buf);
	if (rc == HF_OK && at != s->size)
		rc = H->fail(err, HF_E_IO,
		    "%s changed its length while it was read", s->path);
	return rc;
}

/* The bytes, and what is told of them. */
static int
put_bytes(struct copying *c, struct hf_error *err)
{
	const struct walfile *s = c->s;
	struct segment_facts f;
	bool is_segment =
	    s->name.kind == WAL_SEGMENT || s->name.kind == WAL_PARTIAL;
	int rc;

	if (is_segment)
		c->walk = segment_facts_begin(&f);
	rc = copy(c, err);
	if (is_segment)
		segment_facts_end(c->walk, &f);
	c->walk = NULL;
	return rc == HF_OK ? facts_tell(c->w, s->segment_size,
				 is_segment ? &f : NULL, err)
			   : rc;
}

static int
take_hash(void *arg, const char *key, const char *value)
{
	if (strcmp(key, "raw_sha256") == 0)
		(void)snprintf((char *)arg, DIGEST_HEX, "%s", value);
	return 0;
}

static int
other_bytes(const struct walfile *s, struct hf_in *have, struct hf_error *err)
{
	char theirs[DIGEST_HEX] = "unknown", ours[DIGEST_HEX] = "unknown";
	uint64_t size;

	if (have != NULL)
		(void)H->log_facts(have, s->log_name, take_hash, theirs, NULL);
	(void)mark_hash(s->fd, &size, ours);
	return postgres_fail_hint(err, HF_E_EXISTS,
	    "Two servers of one system write into this log: an old primary "
	    "that still runs, or a copy that was started with archiving on. "
	    "Find the one that should not archive and turn archive_mode off "
	    "there, or give it a pipeline of its own. The stored file is kept "
	    "as it is.",
	    "the log has %s with other bytes: stored SHA-256 %s, this file %s",
	    s->log_name, theirs, ours);
}

/* As it was when it was begun to be read? */
static int
make_mark(struct copying *c, struct mark *m, struct hf_error *err)
{
	struct mark_stamp now = { 0 };
	struct digest *d = c->digest;

	m->size = c->s->size;
	c->digest = NULL;
	if (d != NULL)
		return digest_end(d, m->sha256) == 0
			   ? HF_OK
			   : H->fail(
				 err, HF_E_IO, "%s: no SHA-256", c->s->path);
	(void)mark_stamp_of(c->s->fd, &now);
	if (mark_stamp_same(&now, &m->stamp))
		return HF_OK;
	return H->fail(
	    err, HF_E_IO, "%s changed while it was read", c->s->path);
}

int
walfile_put(struct walfile *s, struct hf_out *log, struct hf_in *have,
    struct mark *m, struct hf_error *err)
{
	struct copying c = { .s = s };
	int rc;

	if (m != NULL) {
		*m = (struct mark){ 0 };
		if (!mark_stamp_of(s->fd, &m->stamp) &&
		    (c.digest = digest_new()) == NULL)
			return postgres_nomem(err);
	}
	if ((rc = H->out_begin(log, s->log_name, s->size, &c.w, err)) != HF_OK)
		goto err0;
	if ((rc = put_bytes(&c, err)) != HF_OK ||
	    (m != NULL && (rc = make_mark(&c, m, err)) != HF_OK))
		goto err1;
	rc = H->out_commit(c.w, err);
	return rc == HF_E_EXISTS ? other_bytes(s, have, err) : rc;
err1:
	H->out_abort(c.w);
err0:
	digest_free(c.digest);
	return rc;
}
