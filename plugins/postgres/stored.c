/* SPDX-License-Identifier: BSD-2-Clause */
#include "stored.h"

#include "postgres.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((size_t)256 << 10)

/* What is read whole is DDL and lists; a larger one is no work of ours. */
#define WHOLE_MAX ((size_t)1 << 30)

/* ---- objects ---- */

static int
object_open(struct hf_in *in, const char *prefix, const char *name,
    struct hf_reader **r, struct hf_error *err)
{
	struct text full = { 0 };
	int rc;

	text_add(&full, prefix);
	text_add(&full, name);
	if ((rc = text_ok(&full, err)) == HF_OK)
		rc = H->in_open(in, text_get(&full), 0, UINT64_MAX, r, err);
	text_free(&full);
	return rc;
}

static int
read_whole(struct hf_reader *r, const char *name, char **text, size_t *len,
    struct hf_error *err)
{
	size_t cap = 1 << 14, used = 0, n;
	char *buf = malloc(cap), *more;
	int rc = HF_OK;

	if (buf == NULL)
		return postgres_nomem(err);
	while (rc == HF_OK) {
		if (cap - used < 2) {
			if (cap >= WHOLE_MAX) {
				rc = H->fail(err, HF_E_UNSUPPORTED,
				    "%s is larger than 1 GiB", name);
				break;
			}
			if ((more = realloc(buf, cap * 2)) == NULL) {
				rc = postgres_nomem(err);
				break;
			}
			buf = more;
			cap *= 2;
		}
		n = 0;
		rc = H->in_read(r, buf + used, cap - used - 1, &n, err);
		used += n;
	}
	if (rc != HF_EOF) {
		free(buf);
		return rc;
	}
	buf[used] = '\0';
	*text = buf;
	*len = used;
	return HF_OK;
}

int
stored_read(struct hf_in *in, const char *prefix, const char *name, char **text,
    size_t *len, struct hf_error *err)
{
	struct hf_reader *r = NULL;
	int rc;

	if ((rc = object_open(in, prefix, name, &r, err)) != HF_OK)
		return rc;
	rc = read_whole(r, name, text, len, err);
	H->in_close(r);
	return rc;
}

static int
write_all(
    int fd, const char *p, size_t len, const char *name, struct hf_error *err)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return H->fail_errno(
			    err, errno, "writing a copy of %s", name);
		p += n;
		len -= (size_t)n;
	}
	return HF_OK;
}

int
stored_copy(struct hf_in *in, const char *prefix, const char *name, int fd,
    struct hf_error *err)
{
	struct hf_reader *r = NULL;
	char *buf = NULL;
	size_t n;
	int rc;

	/* A pipe has no end to go to. */
	if (lseek(fd, 0, SEEK_END) < 0 && errno != ESPIPE)
		return H->fail_errno(err, errno, "writing a copy of %s", name);
	if ((rc = object_open(in, prefix, name, &r, err)) != HF_OK)
		return rc;
	if ((buf = malloc(BLOCK)) == NULL)
		rc = postgres_nomem(err);
	while (rc == HF_OK) {
		n = 0;
		rc = H->in_read(r, buf, BLOCK, &n, err);
		if (n > 0 && rc >= HF_OK) {
			int wrote = write_all(fd, buf, n, name, err);

			if (wrote != HF_OK)
				rc = wrote;
		}
	}
	free(buf);
	H->in_close(r);
	return rc == HF_EOF ? HF_OK : rc;
}

/* ---- databases ---- */

struct looking {
	struct stored *stored;
	size_t cap;
	bool failed;
};

/* The prefix of a contents.json, or nothing of ours. */
static int
look(void *arg, const struct hf_object *o)
{
	struct looking *l = arg;
	struct stored *s = l->stored;
	const char *slash = strchr(o->key, '/');
	const char *name = slash == NULL ? o->key : slash + 1;
	struct stored_database *more;

	if (strcmp(o->key, LAYOUT_GLOBALS) == 0)
		s->globals = true;
	if (strcmp(name, LAYOUT_CONTENTS) != 0)
		return 0;
	if (s->n == l->cap) {
		l->cap = l->cap == 0 ? 8 : l->cap * 2;
		more = realloc(s->databases, l->cap * sizeof *more);
		if (more == NULL) {
			l->failed = true;
			return 1;
		}
		s->databases = more;
	}
	memset(&s->databases[s->n], 0, sizeof *s->databases);
	s->databases[s->n].prefix = strndup(o->key, (size_t)(name - o->key));
	if (s->databases[s->n].prefix == NULL) {
		l->failed = true;
		return 1;
	}
	s->n++;
	return 0;
}

static int
by_prefix(const void *a, const void *b)
{
	const struct stored_database *x = a, *y = b;

	return strcmp(x->prefix, y->prefix);
}

static int
read_contents(struct hf_in *in, struct stored_database *d, struct hf_error *err)
{
	char *text = NULL;
	size_t len = 0;
	int rc;

	rc = stored_read(in, d->prefix, LAYOUT_CONTENTS, &text, &len, err);
	if (rc == HF_OK)
		rc = contents_read(text, len, &d->contents, err);
	free(text);
	if (rc != HF_OK && d->prefix[0] != '\0')
		(void)H->fail_context(
		    err, "reading %s" LAYOUT_CONTENTS, d->prefix);
	return rc;
}

int
stored_open(struct hf_in *in, struct stored *s, struct hf_error *err)
{
	struct looking l = { .stored = s };
	int rc;

	memset(s, 0, sizeof *s);
	rc = H->in_list(in, look, &l, err);
	if (l.failed)
		rc = postgres_nomem(err);
	if (rc != HF_OK)
		goto fail;
	if (s->n == 0) {
		rc = H->fail(err, HF_E_CORRUPT,
		    "the backup has no " LAYOUT_CONTENTS
		    ": it is none of a PostgreSQL database, or not whole");
		goto fail;
	}
	qsort(s->databases, s->n, sizeof *s->databases, by_prefix);
	for (size_t i = 0; i < s->n; i++)
		if ((rc = read_contents(in, &s->databases[i], err)) != HF_OK)
			goto fail;
	return HF_OK;
fail:
	stored_close(s);
	return rc;
}

void
stored_close(struct stored *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->databases[i].prefix);
		contents_clear(&s->databases[i].contents);
	}
	free(s->databases);
	memset(s, 0, sizeof *s);
}
