/* SPDX-License-Identifier: BSD-2-Clause */
#include "manifest.h"

#include "chain.h"
#include "crc32c.h"
#include "digest.h"
#include "folder.h"
#include "postgres.h"
#include "spaces.h"
#include "text.h"
#include "workers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER ((size_t)1 << 20)
#define WITHOUT_MTIME "1970-01-01 00:00:00 GMT"

struct sum {
	uint64_t size;
	uint32_t crc;
	bool gone;
};

struct job {
	const struct manifest *m;
	size_t *changed; /* numbers of the chain's files */
	size_t n;
	struct sum *sums;
};

/* What a restore writes anew, or removes. */
static bool
is_ours(const char *path)
{
	static const char *const ours[] = { "backup_label", "tablespace_map",
		"postgresql.auto.conf", "standby.signal" };

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strcmp(path, ours[i]) == 0)
			return true;
	return false;
}

static bool
must_read(const struct chain_file *f)
{
	return f->changed || !f->told.has_crc || is_ours(f->path);
}

/* ---- reading back ---- */

static const struct folder *
folder_of(const struct manifest *m, const char **path)
{
	for (size_t i = 0; i < m->spaces->n; i++) {
		const struct space *s = &m->spaces->all[i];
		size_t n = strlen(s->prefix);

		if (strncmp(*path, s->prefix, n) == 0) {
			*path += n;
			return &s->folder;
		}
	}
	return m->folder;
}

static int
sum_file(const struct manifest *m, const struct chain_file *f,
    unsigned char *buf, struct sum *sum, struct hf_error *err)
{
	const char *path =
	    strcmp(f->path, FOLDER_CONTROL) == 0 ? FOLDER_CONTROL_TMP : f->path;
	const struct folder *p = folder_of(m, &path);
	int fd = openat(p->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0 && errno == ENOENT && is_ours(f->path)) {
		sum->gone = true;
		return HF_OK;
	}
	if (fd < 0 && errno == ENOENT)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: it should have come out of the backup", f->path);
	while (fd >= 0 && n != 0 && !H->cancelled(m->ctx)) {
		if ((n = read(fd, buf, BUFFER)) < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sum->crc = crc32c(sum->crc, buf, (size_t)n);
		sum->size += (size_t)n;
	}
	if (fd < 0 || n < 0) {
		(void)H->fail_errno(err, errno, "reading %s", f->path);
		if (fd >= 0)
			(void)close(fd);
		return HF_E_IO;
	}
	(void)close(fd);
	return n == 0 ? HF_OK : H->fail(err, HF_E_CANCELLED, "cancelled");
}

static int
begin(void *arg, const atomic_bool *stop, void **state, struct hf_error *err)
{
	(void)arg;
	(void)stop;
	return (*state = malloc(BUFFER)) == NULL ? postgres_nomem(err) : HF_OK;
}

static void
end(void *arg, void *state)
{
	(void)arg;
	free(state);
}

static int
task(void *arg, void *state, size_t n, struct hf_error *err)
{
	struct job *j = arg;

	return sum_file(j->m, chain_get(j->m->chain, j->changed[n]), state,
	    &j->sums[j->changed[n]], err);
}

static int
read_back(struct job *j, struct hf_error *err)
{
	static const struct workers_ops ops = { begin, task, end };
	size_t n = chain_count(j->m->chain);

	j->changed = calloc(n + 1, sizeof *j->changed);
	j->sums = calloc(n + 1, sizeof *j->sums);
	if (j->changed == NULL || j->sums == NULL)
		return postgres_nomem(err);
	for (size_t i = 0; i < n; i++) {
		const struct chain_file *f = chain_get(j->m->chain, i);

		if (must_read(f))
			j->changed[j->n++] = i;
		else
			j->sums[i] = (struct sum){ .size = f->told.size,
				.crc = f->told.crc };
	}
	return workers_run(j->m->threads, j->n, &ops, j, err);
}

/* ---- writing ---- */

/* In hex where it is not plain ASCII: that is right in any encoding. */
static void
add_path(struct text *out, const char *path)
{
	bool plain = true;

	for (const char *s = path; *s != '\0'; s++)
		plain =
		    plain && *s >= ' ' && *s <= '~' && *s != '"' && *s != '\\';
	if (plain) {
		text_addf(out, "\"Path\": \"%s\"", path);
		return;
	}
	text_add(out, "\"Encoded-Path\": \"");
	for (; *path != '\0'; path++)
		text_addf(out, "%02x", (unsigned)(unsigned char)*path);
	text_add(out, "\"");
}

/* The checksum in the order of its bytes in memory, as inventory.c reads it. */
static void
add_file(
    struct text *out, bool first, const struct chain_file *f, struct sum sum)
{
	text_add(out, first ? "\n{ " : ",\n{ ");
	add_path(out, f->path);
	text_addf(out,
	    ", \"Size\": %" PRIu64 ", \"Last-Modified\": \"%s\", "
	    "\"Checksum-Algorithm\": \"CRC32C\", "
	    "\"Checksum\": \"%02x%02x%02x%02x\" }",
	    sum.size, f->told.mtime[0] != '\0' ? f->told.mtime : WITHOUT_MTIME,
	    sum.crc & 0xff, sum.crc >> 8 & 0xff, sum.crc >> 16 & 0xff,
	    sum.crc >> 24);
}

static int
add_checksum(struct text *out, struct hf_error *err)
{
	struct digest *d = digest_new();
	char hex[DIGEST_HEX];
	int rc;

	if ((rc = text_ok(out, err)) != HF_OK || d == NULL) {
		digest_free(d);
		return rc != HF_OK ? rc : postgres_nomem(err);
	}
	digest_add(d, text_get(out), out->len);
	if (digest_end(d, hex) != 0)
		return H->fail(err, HF_E_IO, "SHA-256 failed");
	text_addf(out, "\"Manifest-Checksum\": \"%s\"}\n", hex);
	return text_ok(out, err);
}

int
manifest_write(const struct manifest *m, struct text *out, struct hf_error *err)
{
	struct job j = { .m = m };
	int rc = read_back(&j, err);

	if (rc == HF_OK) {
		bool first = true;

		text_addf(out,
		    "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
		    "\"System-Identifier\": %s,\n\"Files\": [",
		    m->system);
		for (size_t i = 0; i < chain_count(m->chain); i++) {
			if (j.sums[i].gone)
				continue;
			add_file(out, first, chain_get(m->chain, i), j.sums[i]);
			first = false;
		}
		text_addf(
		    out, "\n],\n\"WAL-Ranges\": %s,\n", chain_wal(m->chain));
		rc = add_checksum(out, err);
	}
	free(j.changed);
	free(j.sums);
	if (rc != HF_OK)
		(void)H->fail_context(err, "making the backup_manifest");
	return rc;
}
