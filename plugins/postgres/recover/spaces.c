/* SPDX-License-Identifier: BSD-2-Clause */
#include "spaces.h"

#include "../base/base.h"
#include "postgres.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".tar"
#define MAP_FILE "tablespace_map"

struct listing {
	struct spaces *spaces;
	struct hf_in *in;
	int rc;
	struct hf_error *err;
};

bool
spaces_oid(const char *object, char oid[16])
{
	size_t digits = strspn(object, "0123456789");

	if (digits == 0 || digits > 10 || strcmp(object + digits, SUFFIX) != 0)
		return false;
	(void)snprintf(oid, 16, "%.*s", (int)digits, object);
	return true;
}

static int
on_object(void *arg, const struct hf_object *o)
{
	struct listing *l = arg;
	struct spaces *s = l->spaces;
	char key[64], oid[16];
	const char *from;
	struct space *grown;

	if (!spaces_oid(o->key, oid))
		return 0;
	if ((grown = realloc(s->all, (s->n + 1) * sizeof *grown)) == NULL)
		goto nomem;
	s->all = grown;
	grown += s->n++;
	*grown = (struct space){ .size = o->size,
		.folder = { .parent = -1, .fd = -1 } };
	(void)snprintf(grown->oid, sizeof grown->oid, "%s", oid);
	(void)snprintf(
	    grown->object, sizeof grown->object, "%.15s" SUFFIX, grown->oid);
	(void)snprintf(
	    grown->prefix, sizeof grown->prefix, "pg_tblspc/%s/", grown->oid);
	(void)snprintf(key, sizeof key, BASE_FACT_TABLESPACE "%s", grown->oid);
	from = H->in_fact(l->in, key);
	if (from != NULL && (grown->from = strdup(from)) == NULL)
		goto nomem;
	return 0;
nomem:
	l->rc = postgres_nomem(l->err);
	return 1;
}

/* ---- where they go ---- */

/* The '=' between the two paths: the first that has an absolute path behind
 * it. */
static const char *
split(const char *pair)
{
	const char *at = strstr(pair, "=/");

	return at != NULL && at > pair ? at : NULL;
}

static bool
same_path(const char *a, size_t n, const char *b)
{
	size_t m = strlen(b);

	while (n > 1 && a[n - 1] == '/')
		n--;
	while (m > 1 && b[m - 1] == '/')
		m--;
	return n == m && strncmp(a, b, n) == 0;
}

static int
map_one(struct spaces *s, const char *pair, struct hf_error *err)
{
	const char *at = split(pair);
	struct text all = { 0 };
	size_t n;

	if (at == NULL)
		return postgres_fail_hint(err, HF_E_INVALID,
		    "It is written OLD=NEW, OLD the former folder or the OID, "
		    "NEW an absolute path.",
		    "tablespace: \"%s\" maps nothing", pair);
	n = (size_t)(at - pair);
	for (size_t i = 0; i < s->n; i++) {
		struct space *one = &s->all[i];

		if (!same_path(pair, n, one->oid) &&
		    (one->from == NULL || !same_path(pair, n, one->from)))
			continue;
		free(one->to);
		if ((one->to = strdup(at + 1)) == NULL)
			return postgres_nomem(err);
		return HF_OK;
	}
	for (size_t i = 0; i < s->n; i++)
		text_addf(&all, "%s%s (%s)", i == 0 ? "" : ", ", s->all[i].oid,
		    s->all[i].from == NULL ? "" : s->all[i].from);
	(void)H->fail(err, HF_E_INVALID,
	    "tablespace: the backup has none \"%.*s\"; it has %s", (int)n, pair,
	    s->n == 0 ? "no tablespaces" : text_get(&all));
	text_free(&all);
	return HF_E_INVALID;
}

static int
below_folder(struct space *one, const char *below, struct hf_error *err)
{
	struct text path = { 0 };
	int rc;

	text_addf(&path, "%s/%s", below, one->oid);
	rc = text_ok(&path, err);
	one->to = path.s;
	return rc;
}

static int
default_places(struct spaces *s, const char *below, struct hf_error *err)
{
	for (size_t i = 0; i < s->n; i++) {
		struct space *one = &s->all[i];
		int rc;

		if (one->to != NULL)
			continue;
		if (below != NULL) {
			if ((rc = below_folder(one, below, err)) != HF_OK)
				return rc;
			continue;
		}
		if (one->from == NULL || one->from[0] != '/')
			return postgres_fail_hint(err, HF_E_INVALID,
			    "Give it a folder with -o tablespace=OID=FOLDER.",
			    "the backup does not tell where tablespace %s was",
			    one->oid);
		if ((one->to = strdup(one->from)) == NULL)
			return postgres_nomem(err);
	}
	return HF_OK;
}

/* The server reads one line a tablespace. */
static int
check_places(const struct spaces *s, const char *datadir, struct hf_error *err)
{
	size_t n = strlen(datadir);

	for (size_t i = 0; i < s->n; i++) {
		const char *to = s->all[i].to;

		if (strpbrk(to, "\n\r\\") != NULL)
			return H->fail(err, HF_E_INVALID,
			    "tablespace %s: a path with a line end or a "
			    "backslash",
			    s->all[i].oid);
		if (strncmp(to, datadir, n) == 0 &&
		    (to[n] == '/' || to[n] == '\0'))
			return postgres_fail_hint(err, HF_E_INVALID,
			    "Give it another folder with "
			    "-o tablespace=OLD=NEW.",
			    "tablespace %s would be inside of the data "
			    "directory: %s",
			    s->all[i].oid, to);
		for (size_t k = 0; k < i; k++)
			if (same_path(to, strlen(to), s->all[k].to))
				return H->fail(err, HF_E_INVALID,
				    "tablespaces %s and %s would both be in "
				    "%s",
				    s->all[k].oid, s->all[i].oid, to);
	}
	return HF_OK;
}

int
spaces_list(struct hf_in *in, const char *const *map, const char *below,
    const char *datadir, struct spaces *s, struct hf_error *err)
{
	struct listing l = { .spaces = s, .in = in, .rc = HF_OK, .err = err };
	int rc;

	*s = (struct spaces){ 0 };
	rc = H->in_list(in, on_object, &l, err);
	if (l.rc != HF_OK)
		return l.rc;
	if (rc < 0)
		return rc;
	for (; map != NULL && *map != NULL; map++)
		if ((rc = map_one(s, *map, err)) != HF_OK)
			return rc;
	if ((rc = default_places(s, below, err)) != HF_OK)
		return rc;
	return check_places(s, datadir, err);
}

/* ---- on the disk ---- */

int
spaces_open(struct spaces *s, const struct hf_ctx *ctx,
    const struct owner *owner, struct hf_error *err)
{
	for (size_t i = 0; i < s->n; i++) {
		struct space *one = &s->all[i];
		int rc = folder_open(
		    ctx, one->to, "the tablespace", owner, &one->folder, err);

		if (rc != HF_OK) {
			H->fail_note(err, "hint",
			    "-o tablespace=OLD=NEW gives a tablespace another "
			    "folder.");
			return H->fail_context(
			    err, "restoring tablespace %s", one->oid);
		}
	}
	return HF_OK;
}

int
spaces_link(
    const struct spaces *s, const struct folder *p, struct hf_error *err)
{
	struct text map = { 0 };
	bool moved = false;
	char link[64];
	int rc;

	for (size_t i = 0; i < s->n; i++) {
		const struct space *one = &s->all[i];

		(void)snprintf(link, sizeof link, "pg_tblspc/%s", one->oid);
		if (symlinkat(one->folder.path, p->fd, link) != 0)
			return H->fail_errno(
			    err, errno, "making %s/%s", p->path, link);
		if (p->owner.change &&
		    fchownat(p->fd, link, p->owner.uid, p->owner.gid,
			AT_SYMLINK_NOFOLLOW) != 0)
			return H->fail_errno(
			    err, errno, "giving %s/%s", p->path, link);
		text_addf(&map, "%s %s\n", one->oid, one->folder.path);
		moved = moved || one->from == NULL ||
			strcmp(one->from, one->folder.path) != 0;
	}
	/* As long as it says the same, it stays the file that the server's
	 * manifest knows. */
	rc = text_ok(&map, err);
	if (rc == HF_OK && moved)
		rc = folder_put(p, MAP_FILE, text_get(&map), 0600, err);
	text_free(&map);
	return rc;
}

void
spaces_close(struct spaces *s, bool done)
{
	for (size_t i = 0; i < s->n; i++) {
		s->all[i].folder.done = done;
		folder_close(&s->all[i].folder);
		free(s->all[i].from);
		free(s->all[i].to);
	}
	free(s->all);
	*s = (struct spaces){ 0 };
}
