/* SPDX-License-Identifier: BSD-2-Clause */
/* An engine of one file that makes increments: each holds the blocks that have
 * changed since its parent, so that a missing link or a wrong order gives other
 * bytes.  It checks nothing of that itself. */
#include <holdfast/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct hf_host *H;

#define BLOCK 512
#define SIZE_MAX_FILE (8u << 20)

struct conf {
	const char *path; /* the file */
	const char *wait; /* "X.waiting" is made, then X is waited for */
	bool refuse;      /* increments: not on that parent */
	bool late;        /* refuse, but after an object was begun */
	bool blind;       /* read nothing of the parent before that */
};
struct hf_engine {
	const struct hf_ctx *ctx;
	struct conf c;
};

struct bytes {
	uint8_t *data;
	size_t len;
};

static int
eng_open(const struct hf_ctx *ctx, const void *conf, struct hf_engine **out,
    struct hf_error *err)
{
	struct hf_engine *e = calloc(1, sizeof *e);

	if (e == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	e->ctx = ctx;
	e->c = *(const struct conf *)conf;
	*out = e;
	return HF_OK;
}

static void
eng_close(struct hf_engine *e)
{
	free(e);
}

static int
read_file(const char *path, struct bytes *b, struct hf_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	*b = (struct bytes){ malloc(SIZE_MAX_FILE), 0 };
	if (fd < 0 || b->data == NULL) {
		int rc = H->fail_errno(err, errno, "%s", path);

		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	while ((n = read(fd, b->data + b->len, SIZE_MAX_FILE - b->len)) > 0)
		b->len += (size_t)n;
	(void)close(fd);
	return n == 0 ? HF_OK : H->fail_errno(err, errno, "%s", path);
}

static int
write_file(const char *path, const struct bytes *b, struct hf_error *err)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	bool ok;

	if (fd < 0)
		return H->fail_errno(err, errno, "%s", path);
	ok = write(fd, b->data, b->len) == (ssize_t)b->len;
	(void)close(fd);
	return ok ? HF_OK : H->fail(err, HF_E_IO, "%s: short", path);
}

static int
read_object(
    struct hf_in *in, const char *name, struct bytes *b, struct hf_error *err)
{
	struct hf_reader *r;
	size_t n;
	int rc;

	*b = (struct bytes){ malloc(2 * SIZE_MAX_FILE), 0 };
	if (b->data == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	if ((rc = H->in_open(in, name, 0, UINT64_MAX, &r, err)) != HF_OK)
		return rc;
	while ((rc = H->in_read(r, b->data + b->len, 2 * SIZE_MAX_FILE - b->len,
		    &n, err)) == HF_OK)
		b->len += n;
	H->in_close(r);
	return rc == HF_EOF ? HF_OK : rc;
}

static int
put_object(struct hf_out *out, const char *name, const void *data, size_t len,
    struct hf_error *err)
{
	struct hf_writer *w;
	int rc = H->out_begin(out, name, len, &w, err);

	if (rc != HF_OK)
		return rc;
	if ((rc = H->out_write(w, data, len, err)) != HF_OK) {
		H->out_abort(w);
		return rc;
	}
	return H->out_commit(w, err);
}

static uint64_t
hash(const uint8_t *p, size_t n)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 1099511628211u;
	return h;
}

static size_t
blocks(const struct bytes *b)
{
	return (b->len + BLOCK - 1) / BLOCK;
}

static size_t
block_len(const struct bytes *b, size_t i)
{
	size_t left = b->len - i * BLOCK;

	return left < BLOCK ? left : BLOCK;
}

/* "map": the hash of each block, by which the next increment knows what has
 * changed. */
static int
put_map(struct hf_out *out, const struct bytes *b, struct hf_error *err)
{
	size_t n = blocks(b);
	uint64_t *map = calloc(n + 1, sizeof *map);
	int rc;

	if (map == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	for (size_t i = 0; i < n; i++)
		map[i] = hash(b->data + i * BLOCK, block_len(b, i));
	rc = put_object(out, "map", map, n * sizeof *map, err);
	free(map);
	return rc;
}

/* The new length, then number and bytes of each changed block. */
static int
put_delta(struct hf_out *out, const struct bytes *b, const struct bytes *old,
    struct hf_error *err)
{
	uint8_t *delta = malloc(2 * SIZE_MAX_FILE), *p = delta;
	uint64_t n = b->len;
	int rc;

	if (delta == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	memcpy(p, &n, sizeof n);
	p += sizeof n;
	for (size_t i = 0; i < blocks(b); i++) {
		uint64_t was = 0, is;

		is = hash(b->data + i * BLOCK, block_len(b, i));
		if ((i + 1) * sizeof was <= old->len)
			memcpy(&was, old->data + i * sizeof was, sizeof was);
		if (was == is)
			continue;
		n = i;
		memcpy(p, &n, sizeof n);
		memcpy(p + sizeof n, b->data + i * BLOCK, block_len(b, i));
		p += sizeof n + block_len(b, i);
	}
	rc = put_object(out, "delta", delta, (size_t)(p - delta), err);
	free(delta);
	return rc;
}

static int
wait_for(struct hf_engine *e, struct hf_error *err)
{
	char mark[1024];
	int fd;

	(void)snprintf(mark, sizeof mark, "%s.waiting", e->c.wait);
	fd = open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return H->fail_errno(err, errno, "%s", mark);
	(void)close(fd);
	while (access(e->c.wait, F_OK) != 0)
		if (!H->sleep(e->ctx, 5))
			return H->fail(err, HF_E_CANCELLED, "cancelled");
	return HF_OK;
}

static int
refuse(struct hf_engine *e, struct hf_out *out, struct hf_error *err)
{
	struct hf_writer *w;
	int rc = H->out_fact(out, "refused", "yes", err);

	if (rc == HF_OK && e->c.late &&
	    (rc = H->out_begin(out, "begun", 0, &w, err)) == HF_OK)
		H->out_abort(w);
	if (rc != HF_OK)
		return rc;
	(void)H->fail(err, HF_E_UNSUPPORTED, "the summaries are gone");
	H->fail_note(err, "hint", "Keep them longer.");
	return HF_E_UNSUPPORTED;
}

static int
increment(struct hf_engine *e, const struct hf_request *rq, struct hf_out *out,
    const struct bytes *now, struct hf_error *err)
{
	struct bytes old = { NULL, 0 };
	const char *from = H->in_fact(rq->parent, "hash");
	struct hf_writer *w;
	int rc;

	if (e->c.refuse)
		return refuse(e, out, err);
	if (e->c.blind) {
		if ((rc = H->out_begin(out, "early", 0, &w, err)) != HF_OK ||
		    (rc = H->out_commit(w, err)) != HF_OK)
			return rc;
	}
	if ((rc = read_object(rq->parent, "map", &old, err)) == HF_OK &&
	    (rc = H->out_fact(out, "from", from == NULL ? "?" : from, err)) ==
		HF_OK)
		rc = put_delta(out, now, &old, err);
	free(old.data);
	return rc;
}

static int
eng_backup(struct hf_engine *e, const struct hf_request *rq, struct hf_out *out,
    struct hf_error *err)
{
	struct bytes now;
	char text[32];
	int rc = read_file(e->c.path, &now, err);

	if (rc != HF_OK)
		goto out;
	if (rq->kind == HF_KIND_INCR)
		rc = increment(e, rq, out, &now, err);
	else
		rc = put_object(out, "data", now.data, now.len, err);
	if (rc != HF_OK)
		goto out;
	(void)snprintf(text, sizeof text, "%016llx",
	    (unsigned long long)hash(now.data, now.len));
	if ((rc = put_map(out, &now, err)) == HF_OK &&
	    (rc = H->out_fact(out, "hash", text, err)) == HF_OK &&
	    e->c.wait != NULL)
		rc = wait_for(e, err);
out:
	free(now.data);
	return rc;
}

static int
apply(struct hf_in *in, struct bytes *file, struct hf_error *err)
{
	struct bytes delta;
	uint64_t len, at;
	int rc = read_object(in, "delta", &delta, err);
	const uint8_t *p = delta.data;

	if (rc != HF_OK)
		goto out;
	memcpy(&len, p, sizeof len);
	if (len > SIZE_MAX_FILE) {
		rc = H->fail(err, HF_E_CORRUPT, "too long");
		goto out;
	}
	if (len > file->len)
		memset(file->data + file->len, 0, (size_t)len - file->len);
	file->len = (size_t)len;
	for (p += sizeof len; p + sizeof at <= delta.data + delta.len;) {
		memcpy(&at, p, sizeof at);
		p += sizeof at;
		if (at >= blocks(file))
			break;
		memcpy(file->data + at * BLOCK, p, block_len(file, (size_t)at));
		p += block_len(file, (size_t)at);
	}
out:
	free(delta.data);
	return rc;
}

static int
eng_restore(struct hf_engine *e, const struct hf_request *rq,
    struct hf_in *const *in, size_t n, struct hf_error *err)
{
	const char *target = rq->target != NULL ? rq->target : e->c.path;
	struct bytes file;
	char text[32];
	int rc = read_object(in[0], "data", &file, err);

	for (size_t i = 1; i < n && rc == HF_OK; i++)
		rc = apply(in[i], &file, err);
	if (rc != HF_OK) {
		/* As engines do: in words of their own. */
		rc = H->fail(err, HF_E_IO, "the file could not be made");
		goto out;
	}
	if ((rq->flags & HF_RESTORE_IN_PLACE) != 0)
		(void)unlink(target);
	if ((rc = write_file(target, &file, err)) == HF_OK) {
		(void)snprintf(text, sizeof text, "%zu", n);
		H->result(e->ctx, "links", text);
	}
out:
	free(file.data);
	return rc;
}

static int
eng_scratch(struct hf_engine *e, const char *dir, char *target, size_t cap,
    struct hf_error *err)
{
	(void)e;
	if (snprintf(target, cap, "%s/copy", dir) >= (int)cap)
		return H->fail(err, HF_E_INVALID, "too long");
	return HF_OK;
}

static int
eng_inspect(struct hf_engine *e, const char *target, struct hf_in *in,
    hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	struct hf_finding f = { .struct_size = sizeof f,
		.check = "contents",
		.result = "as backed up" };
	const char *want = in == NULL ? NULL : H->in_fact(in, "hash");
	struct bytes b;
	char text[32];
	int rc = read_file(target, &b, err);

	(void)e;
	if (rc == HF_OK) {
		(void)snprintf(text, sizeof text, "%016llx",
		    (unsigned long long)hash(b.data, b.len));
		if (want == NULL || strcmp(text, want) != 0) {
			f.verdict = HF_FAIL;
			f.result = "something else";
		}
		rc = cb(arg, &f);
	}
	free(b.data);
	return rc;
}

static void
eng_discard(struct hf_engine *e, const char *target)
{
	(void)e;
	(void)unlink(target);
}

static const struct hf_option options[] = {
	{ "path", HF_OPT_PATH, HF_OPT_REQUIRED, offsetof(struct conf, path),
	    NULL, NULL, "the file" },
	{ "wait", HF_OPT_PATH, 0, offsetof(struct conf, wait), NULL, NULL,
	    "a file to wait for" },
	{ "refuse", HF_OPT_BOOL, 0, offsetof(struct conf, refuse), "false",
	    NULL, "make no increment" },
	{ "late", HF_OPT_BOOL, 0, offsetof(struct conf, late), "false", NULL,
	    "but say so after an object was begun" },
	{ "blind", HF_OPT_BOOL, 0, offsetof(struct conf, blind), "false", NULL,
	    "write before the parent is read" },
	{ 0 },
};

static const struct hf_engine_ops engine = {
	.struct_size = sizeof engine,
	.kinds = HF_KIND_FULL | HF_KIND_INCR,
	.open = eng_open,
	.close = eng_close,
	.backup = eng_backup,
	.restore = eng_restore,
	.scratch = eng_scratch,
	.inspect = eng_inspect,
	.discard = eng_discard,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "testdelta",
	.version = "1",
	.summary = "increments of one file, for tests",
	.options = options,
	.conf_size = sizeof(struct conf),
	.engine = &engine,
};

HF_REGISTER(plugin, H);
