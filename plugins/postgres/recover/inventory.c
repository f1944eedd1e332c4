/* SPDX-License-Identifier: BSD-2-Clause */
#include "inventory.h"

#include "finding.h"
#include "postgres.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct file {
	struct inventory_file told;
	char *path;
	atomic_bool seen;
};
struct inventory {
	struct file *files; /* by path */
	size_t n;
	char *wal;
};

static int
damaged(struct hf_error *err, const char *why)
{
	return H->fail(
	    err, HF_E_CORRUPT, "backup_manifest cannot be read: %s", why);
}

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Two hex digits a byte; -1: it is none.  out has room for half of it. */
static int
unhex(const char *hex, unsigned char *out, size_t cap)
{
	size_t n = strlen(hex) / 2;

	if (strlen(hex) % 2 != 0 || n > cap)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return (int)n;
}

/* A name that is no UTF-8 is given in hex. */
static char *
path_of(const json_t *entry)
{
	const char *plain = json_string_value(json_object_get(entry, "Path"));
	const char *hex =
	    json_string_value(json_object_get(entry, "Encoded-Path"));
	char *path;
	int n;

	if (plain != NULL)
		return strdup(plain);
	if (hex == NULL || (path = calloc(1, strlen(hex) / 2 + 1)) == NULL)
		return NULL;
	n = unhex(hex, (unsigned char *)path, strlen(hex) / 2);
	if (n <= 0) {
		free(path);
		return NULL;
	}
	return path;
}

static bool
read_file(const json_t *entry, struct file *f)
{
	json_t *size = json_object_get(entry, "Size");
	const char *mtime =
	    json_string_value(json_object_get(entry, "Last-Modified"));
	const char *algorithm =
	    json_string_value(json_object_get(entry, "Checksum-Algorithm"));
	const char *sum = json_string_value(json_object_get(entry, "Checksum"));
	unsigned char crc[4];

	if (!json_is_integer(size) || json_integer_value(size) < 0 ||
	    (f->path = path_of(entry)) == NULL)
		return false;
	f->told.path = f->path;
	f->told.size = (uint64_t)json_integer_value(size);
	if (mtime != NULL && strlen(mtime) < sizeof f->told.mtime &&
	    mtime[strspn(mtime, "0123456789-: ABCDEFGHIJKLMNOPQRSTUVWXYZ")] ==
		'\0')
		memcpy(f->told.mtime, mtime, strlen(mtime));
	atomic_init(&f->seen, false);
	if (algorithm == NULL || strcmp(algorithm, "CRC32C") != 0)
		return true;
	if (sum == NULL || unhex(sum, crc, sizeof crc) != (int)sizeof crc)
		return false;
	/* In the order of its bytes in a server's memory: little-endian ones
	 * are all that is sold. */
	f->told.crc = (uint32_t)crc[0] | (uint32_t)crc[1] << 8 |
		      (uint32_t)crc[2] << 16 | (uint32_t)crc[3] << 24;
	f->told.has_crc = true;
	return true;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(
	    ((const struct file *)a)->path, ((const struct file *)b)->path);
}

static int
read_files(struct inventory *m, const json_t *files, struct hf_error *err)
{
	size_t n = json_array_size(files);

	if ((m->files = calloc(n > 0 ? n : 1, sizeof *m->files)) == NULL)
		return postgres_nomem(err);
	for (size_t i = 0; i < n; i++) {
		struct file *f = &m->files[m->n++];

		if (!read_file(json_array_get(files, i), f))
			return damaged(err, "an entry without path, size or "
					    "checksum");
	}
	qsort(m->files, m->n, sizeof *m->files, by_path);
	for (size_t i = 1; i < m->n; i++)
		if (strcmp(m->files[i - 1].path, m->files[i].path) == 0)
			return damaged(err, "it has a path twice");
	return HF_OK;
}

static int
read_wal(struct inventory *m, const json_t *ranges, struct hf_error *err)
{
	m->wal = json_is_array(ranges) ? json_dumps(ranges, JSON_COMPACT)
				       : strdup("[]");
	return m->wal == NULL ? postgres_nomem(err) : HF_OK;
}

int
inventory_parse(
    const char *text, size_t len, struct inventory **out, struct hf_error *err)
{
	struct inventory *m = NULL;
	json_error_t why;
	json_t *root, *files;
	int rc;

	*out = NULL;
	if ((root = json_loadb(text, len, 0, &why)) == NULL)
		return damaged(err, why.text);
	files = json_object_get(root, "Files");
	if (!json_is_array(files))
		rc = damaged(err, "it has no list of files");
	else if ((m = calloc(1, sizeof *m)) == NULL)
		rc = postgres_nomem(err);
	else if ((rc = read_files(m, files, err)) == HF_OK)
		rc = read_wal(m, json_object_get(root, "WAL-Ranges"), err);
	json_decref(root);
	if (rc == HF_OK)
		*out = m;
	else
		inventory_free(m);
	return rc;
}

void
inventory_free(struct inventory *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++)
		free(m->files[i].path);
	free(m->files);
	free(m->wal);
	free(m);
}

static struct file *
find(const struct inventory *m, const char *path)
{
	const struct file key = { .path = (char *)(uintptr_t)path };

	return bsearch(&key, m->files, m->n, sizeof *m->files, by_path);
}

int
inventory_seen(struct inventory *m, const char *path, uint64_t size,
    uint32_t crc, struct hf_error *err)
{
	struct file *f = find(m, path);

	/* WAL is not in it, and neither is itself. */
	if (f == NULL)
		return HF_OK;
	if (f->told.size != size)
		return H->fail(err, HF_E_CORRUPT,
		    "%s has %" PRIu64 " bytes, and by the backup_manifest "
		    "%" PRIu64,
		    path, size, f->told.size);
	if (f->told.has_crc && f->told.crc != crc)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: its checksum is not that of the backup_manifest",
		    path);
	if (atomic_exchange(&f->seen, true))
		return H->fail(
		    err, HF_E_CORRUPT, "%s is in the backup twice", path);
	return HF_OK;
}

void
inventory_leave(struct inventory *m, const char *prefix)
{
	for (size_t i = 0; i < m->n; i++)
		if (strncmp(m->files[i].path, prefix, strlen(prefix)) == 0)
			atomic_store(&m->files[i].seen, true);
}

int
inventory_complete(const struct inventory *m, struct hf_error *err)
{
	struct names missing = { 0 };
	int rc = HF_OK;

	for (size_t i = 0; i < m->n; i++)
		if (!atomic_load(&m->files[i].seen))
			names_add(&missing, "%s", m->files[i].path);
	if (missing.n > 0)
		rc = H->fail(err, HF_E_CORRUPT,
		    "files of the backup_manifest are not in the backup: %s",
		    names_get(&missing));
	names_free(&missing);
	return rc;
}

size_t
inventory_count(const struct inventory *m)
{
	return m->n;
}

const struct inventory_file *
inventory_get(const struct inventory *m, size_t n)
{
	return &m->files[n].told;
}

const struct inventory_file *
inventory_find(const struct inventory *m, const char *path)
{
	const struct file *f = find(m, path);

	return f == NULL ? NULL : &f->told;
}

const char *
inventory_wal(const struct inventory *m)
{
	return m->wal;
}
