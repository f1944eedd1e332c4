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
#include <sys/mman.h>
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

static int
copy(struct walfile *s, struct hf_writer *w, struct digest *d,
    struct hf_error *err)
{
	uint8_t *buf = malloc(BLOCK);
	uint64_t at = 0;
	ssize_t n = 0;
	int rc = HF_OK;

	if (buf == NULL)
		return postgres_nomem(err);
	while (rc == HF_OK && (n = pread(s->fd, buf, BLOCK, (off_t)at)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			rc = H->fail_errno(err, errno, "reading %s", s->path);
			break;
		}
		digest_add(d, buf, (size_t)n);
		at += (uint64_t)n;
		rc = H->out_write(w, buf, (size_t)n, err);
	}
	free(buf);
	if (rc == HF_OK && at != s->size)
		rc = H->fail(err, HF_E_IO,
		    "%s changed its length while it was read", s->path);
	return rc;
}

/* It has just been read whole, so that its pages are in memory and a disk that
 * cannot read them has been noticed, which would be a signal here. */
static int
tell(struct walfile *s, struct hf_writer *w, struct hf_error *err)
{
	void *map;
	int rc;

	if (s->name.kind != WAL_SEGMENT && s->name.kind != WAL_PARTIAL)
		return facts_tell(w, s->segment_size, NULL, 0, err);
	map = mmap(NULL, s->size, PROT_READ, MAP_SHARED, s->fd, 0);
	if (map == MAP_FAILED)
		return H->fail_errno(err, errno, "%s", s->path);
	rc = facts_tell(w, s->segment_size, map, s->size, err);
	(void)munmap(map, s->size);
	return rc;
}

static int
take_hash(void *arg, const char *key, const char *value)
{
	if (strcmp(key, "raw_sha256") == 0)
		(void)snprintf((char *)arg, DIGEST_HEX, "%s", value);
	return 0;
}

static int
other_bytes(const struct walfile *s, struct hf_in *have, const char *ours,
    struct hf_error *err)
{
	char theirs[DIGEST_HEX] = "unknown";

	if (have != NULL)
		(void)H->log_facts(have, s->log_name, take_hash, theirs, NULL);
	return postgres_fail_hint(err, HF_E_EXISTS,
	    "Two servers of one system write into this log: an old primary "
	    "that still runs, or a copy that was started with archiving on. "
	    "Find the one that should not archive and turn archive_mode off "
	    "there, or give it a pipeline of its own. The stored file is kept "
	    "as it is.",
	    "the log has %s with other bytes: stored SHA-256 %s, this file %s",
	    s->log_name, theirs, ours);
}

int
walfile_put(struct walfile *s, struct hf_out *log, struct hf_in *have,
    struct mark *m, struct hf_error *err)
{
	struct hf_writer *w = NULL;
	struct digest *d;
	int rc;

	m->size = s->size;
	if ((d = digest_new()) == NULL)
		return postgres_nomem(err);
	rc = H->out_begin(log, s->log_name, s->size, &w, err);
	if (rc != HF_OK)
		goto err0;
	if ((rc = copy(s, w, d, err)) != HF_OK ||
	    (rc = tell(s, w, err)) != HF_OK)
		goto err1;
	if (digest_end(d, m->sha256) != 0) {
		d = NULL;
		rc = H->fail(err, HF_E_IO, "%s: no SHA-256", s->path);
		goto err1;
	}
	rc = H->out_commit(w, err);
	return rc == HF_E_EXISTS ? other_bytes(s, have, m->sha256, err) : rc;
err1:
	H->out_abort(w);
err0:
	digest_free(d);
	return rc;
}
