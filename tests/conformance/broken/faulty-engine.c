/* SPDX-License-Identifier: BSD-2-Clause */
/* An engine whose database is one file and that, when told so, breaks one
 * rule: see faulty-store.c. */
#include <holdfast/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct hf_host *H;

#define PIECE 1000

struct conf {
	const char *path, *fault;
};

struct hf_engine {
	const struct conf *conf;
	const struct hf_ctx *ctx;
};

static bool
has(const struct hf_engine *e, const char *fault)
{
	return strcmp(e->conf->fault, fault) == 0;
}

static int
engine_open(const struct hf_ctx *ctx, const void *conf, struct hf_engine **out,
    struct hf_error *err)
{
	struct hf_engine *e = calloc(1, sizeof *e);

	if (e == NULL)
		return H->fail(err, HF_E_NOMEM, "out of memory");
	e->conf = conf;
	e->ctx = ctx;
	if (access(e->conf->path, R_OK) != 0) {
		int status =
		    H->fail_errno(err, errno, "cannot read %s", e->conf->path);

		free(e);
		return status;
	}
	*out = e;
	return HF_OK;
}

static void
engine_close(struct hf_engine *e)
{
	free(e);
}

static int
copy_out(struct hf_engine *e, int fd, struct hf_writer *w, struct hf_error *err)
{
	char buf[PIECE];
	ssize_t n;
	int status = HF_OK;

	while (status == HF_OK && (n = read(fd, buf, sizeof buf)) != 0) {
		if (n < 0)
			return H->fail_errno(
			    err, errno, "cannot read %s", e->conf->path);
		status = H->out_write(w, buf, (size_t)n, err);
		if (status < HF_OK && has(e, "deaf"))
			status = HF_OK;
	}
	return status;
}

static int
refuse(struct hf_engine *e, const struct hf_request *req, struct hf_error *err)
{
	if (req->kind != HF_KIND_FULL ||
	    ((req->flags & ~(HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE)) != 0 &&
		!has(e, "flags")))
		return H->fail(err, HF_E_UNSUPPORTED, "only full backups");
	return HF_OK;
}

static int
engine_backup(struct hf_engine *e, const struct hf_request *req,
    struct hf_out *out, struct hf_error *err)
{
	struct hf_writer *w = NULL, *second = NULL;
	int fd, status = refuse(e, req, err);

	if (status != HF_OK)
		return status;
	fd = open(e->conf->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return H->fail_errno(
		    err, errno, "cannot read %s", e->conf->path);
	status = H->out_fact(out, "kind", "file", err);
	if (status == HF_OK)
		status = H->out_begin(out, "file", 0, &w, err);
	if (status != HF_OK)
		goto done;
	if (has(e, "streams") &&
	    H->out_begin(out, "second", 0, &second, err) != HF_OK)
		second = NULL;
	status = copy_out(e, fd, w, err);
	if (second != NULL)
		H->out_abort(second);
	if (status == HF_OK)
		status = H->out_commit(w, err);
	else if (!has(e, "writer"))
		H->out_abort(w);
done:
	if (status == HF_OK || !has(e, "fd"))
		(void)close(fd);
	if (status != HF_OK && has(e, "status"))
		status = H->fail(err, HF_E_IO, "something went wrong");
	return status;
}

static int
copy_in(struct hf_engine *e, struct hf_in *in, int fd, struct hf_error *err)
{
	struct hf_reader *r = NULL;
	char buf[PIECE];
	size_t n = 0;
	int status = H->in_open(in, "file", 0, UINT64_MAX, &r, err);

	if (status != HF_OK)
		return status;
	while ((status = H->in_read(r, buf, sizeof buf, &n, err)) == HF_OK)
		if (write(fd, buf, n) != (ssize_t)n) {
			status = H->fail_errno(err, errno, "cannot write");
			break;
		}
	if (!has(e, "reader"))
		H->in_close(r);
	if (status == HF_EOF || (status == HF_E_CORRUPT && has(e, "corrupt")))
		status = HF_OK;
	return status;
}

static int
engine_restore(struct hf_engine *e, const struct hf_request *req,
    struct hf_in *const *ins, size_t n, struct hf_error *err)
{
	const char *target = req->target == NULL ? e->conf->path : req->target;
	bool place =
	    (req->flags & HF_RESTORE_IN_PLACE) != 0 || has(e, "overwrite");
	char temp[4200];
	int fd, status = refuse(e, req, err);

	if (status != HF_OK)
		return status;
	if (!place && access(target, F_OK) == 0)
		return H->fail(err, HF_E_EXISTS, "%s is there", target);
	(void)snprintf(temp, sizeof temp, "%s.new", target);
	if (has(e, "in-the-open"))
		(void)snprintf(temp, sizeof temp, "%s", target);
	fd = open(temp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return H->fail_errno(err, errno, "cannot make %s", temp);
	status = copy_in(e, ins[n - 1], fd, err);
	(void)close(fd);
	if (status == HF_OK && rename(temp, target) != 0)
		status = H->fail_errno(err, errno, "cannot make %s", target);
	if (status != HF_OK && !has(e, "leftover"))
		(void)unlink(temp);
	return status;
}

static int
engine_scratch(struct hf_engine *e, const char *dir, char *target, size_t cap,
    struct hf_error *err)
{
	if (strlen(dir) + sizeof "/file" > cap && !has(e, "room"))
		return H->fail(err, HF_E_INVALID, "the path is too long");
	(void)snprintf(target, has(e, "room") ? cap + 3 : cap, "%s/file", dir);
	return HF_OK;
}

static int
engine_inspect(struct hf_engine *e, const char *target, struct hf_in *in,
    hf_finding_fn *cb, void *arg, struct hf_error *err)
{
	struct hf_finding f = {
		.struct_size = sizeof f, .check = "readable", .result = "ok"
	};
	struct stat st;

	(void)in;
	(void)err;
	if (stat(target, &st) != 0 && !has(e, "blind")) {
		f.verdict = HF_FAIL;
		f.result = "it is not there";
	}
	return cb(arg, &f);
}

static void
engine_discard(struct hf_engine *e, const char *target)
{
	if (!has(e, "discard"))
		(void)unlink(target);
}

static const struct hf_engine_ops engine_ops = {
	.struct_size = sizeof(struct hf_engine_ops),
	.kinds = HF_KIND_FULL,
	.open = engine_open,
	.close = engine_close,
	.backup = engine_backup,
	.restore = engine_restore,
	.scratch = engine_scratch,
	.inspect = engine_inspect,
	.discard = engine_discard,
};

static const struct hf_option options[] = {
	{ "path", HF_OPT_PATH, HF_OPT_REQUIRED, offsetof(struct conf, path),
	    NULL, NULL, "the file" },
	{ "fault", HF_OPT_STRING, 0, offsetof(struct conf, fault), "none", NULL,
	    "which rule to break" },
	{ .name = NULL },
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "faulty-engine",
	.version = "1",
	.summary = "a file that breaks a rule",
	.options = options,
	.conf_size = sizeof(struct conf),
	.engine = &engine_ops,
};

HF_REGISTER(plugin, H);
