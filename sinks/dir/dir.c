/* SPDX-License-Identifier: BSD-2-Clause */
#include "dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "path.h"
#include "root.h"
#include "temp.h"

const struct hf_host *dir_host;

/* ---- what the other files share ---- */

void
dir_describe(const struct stat *st, struct hf_object *out)
{
	out->size = (uint64_t)st->st_size;
	out->mtime = (int64_t)st->st_mtime;
	(void)snprintf(out->etag, sizeof out->etag,
	    "%" PRIxMAX "-%" PRIxMAX ".%lx-%" PRIxMAX, (uintmax_t)st->st_ino,
	    (uintmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
	    (uintmax_t)st->st_size);
}

const char *
dir_size_text(uint64_t bytes, char text[DIR_SIZE_TEXT])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB",
		"PiB" };
	double v = (double)bytes / 1024;
	size_t unit = 0;

	while (v >= 1024 && unit + 1 < sizeof units / sizeof *units) {
		v /= 1024;
		unit++;
	}
	(void)snprintf(text, DIR_SIZE_TEXT, "%.1f %s", v, units[unit]);
	return text;
}

int
dir_check_type(struct hf_store *s, const char *key, const struct stat *st,
    struct hf_error *err)
{
	if (S_ISREG(st->st_mode))
		return HF_OK;
	if (S_ISLNK(st->st_mode)) {
		dir_host->fail(
		    err, HF_E_DENIED, "%s/%s is a symbolic link", s->path, key);
		dir_host->fail_note(err, "hint",
		    "Links below a sink's folder are not followed; move what "
		    "they point at here.");
		return HF_E_DENIED;
	}
	return dir_host->fail(err, HF_E_CORRUPT, "%s/%s is %s, not a file",
	    s->path, key, S_ISDIR(st->st_mode) ? "a folder" : "a special file");
}

int
dir_publish_failed(
    struct hf_store *s, const char *key, int errnum, struct hf_error *err)
{
	int rc;

	if (errnum == EEXIST)
		return dir_host->fail(
		    err, HF_E_EXISTS, "%s/%s exists", s->path, key);
	rc = dir_host->fail_errno(err, errnum, "naming %s/%s", s->path, key);
	if (errnum == EXDEV)
		dir_host->fail_note(err, "hint",
		    "A sink's folder must be on one file system; mount the "
		    "disk at the sink's path, not below it.");
	if (errnum == EMLINK || errnum == EPERM)
		dir_host->fail_note(err, "hint",
		    "The file system must have hard links, or a rename that "
		    "does not replace.");
	return rc;
}

/* ---- instances ---- */

static int
dir_open(const struct hf_ctx *ctx, const void *config, struct hf_store **out,
    struct hf_error *err)
{
	const struct conf *conf = config;
	struct hf_store *s;
	unsigned left;
	int rc;

	if ((s = calloc(1, sizeof *s)) == NULL)
		return dir_host->fail(err, HF_E_NOMEM, "out of memory");
	if ((rc = synced_init(&s->synced)) != 0) {
		free(s);
		return dir_host->fail_errno(err, rc, "setting up a lock");
	}
	s->ctx = ctx;
	s->path = conf->path;
	s->min_free = (uint64_t)conf->min_free;
	s->root = -1;
	if ((rc = root_open(s, err)) != HF_OK) {
		synced_clear(&s->synced);
		free(s);
		return rc;
	}
	if (s->root >= 0 && (left = temp_clean(s)) > 0)
		dir_host->log(ctx, HF_LOG_INFO, "dir.cleaned",
		    "removed %u unfinished files that earlier runs left in %s",
		    left, s->path);
	*out = s;
	return HF_OK;
}

static void
dir_close(struct hf_store *s)
{
	if (s == NULL)
		return;
	root_close(s);
	synced_clear(&s->synced);
	free(s);
}

static uint32_t
dir_caps(struct hf_store *s)
{
	(void)s;
	return HF_CAP_RANGE | HF_CAP_IF_ABSENT;
}

/* A new file gets its time from the file server. */
static int
dir_clock(struct hf_store *s, int64_t *now, struct hf_error *err)
{
	struct temp t;
	struct stat st;
	int errnum, rc;

	if ((rc = root_need(s, err)) != HF_OK)
		return rc;
	errnum = temp_open(s, &t);
	/* Where nothing can be written, no time will be given either. */
	if (errnum == EROFS || errnum == EACCES || errnum == EPERM) {
		*now = (int64_t)time(NULL);
		return HF_OK;
	}
	if (errnum == 0) {
		errnum = fstat(t.fd, &st) == 0 ? 0 : errno;
		temp_close(s, &t);
	}
	if (errnum != 0)
		return dir_host->fail_errno(
		    err, errnum, "asking %s for the time", s->path);
	*now = (int64_t)st.st_mtime;
	return HF_OK;
}

static int
remove_file(struct hf_store *s, const char *key, int folder, const char *name,
    struct hf_error *err)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT) {
			path_sweep(folder);
			return HF_OK;
		}
	} else if (S_ISDIR(st.st_mode)) {
		return HF_OK; /* the folder of other keys, not this object */
	} else if (!S_ISREG(st.st_mode)) {
		return dir_check_type(s, key, &st, err);
	} else if (unlinkat(folder, name, 0) == 0 || errno == ENOENT) {
		/* A manifest must be gone for good before its data go. */
		if (path_fsync(folder, true) == 0)
			return HF_OK;
	}
	return dir_host->fail_errno(err, errno, "removing %s/%s", s->path, key);
}

static int
dir_remove(struct hf_store *s, const char *key, struct hf_error *err)
{
	const char *name;
	int folder, rc;

	rc = path_parent(s, key, false, &folder, &name, err);
	if (rc == HF_E_NOTFOUND)
		return HF_OK;
	if (rc != HF_OK)
		return rc;
	rc = remove_file(s, key, folder, name, err);
	(void)close(folder);
	if (rc == HF_OK)
		path_prune(s, key);
	return rc;
}

/* ---- descriptor ---- */

static int
dir_validate(const void *config, struct hf_error *err)
{
	const struct conf *conf = config;

	if (conf->path == NULL || conf->path[0] != '/')
		return dir_host->fail(
		    err, HF_E_INVALID, "path: not an absolute path");
	if (conf->min_free < 0)
		return dir_host->fail(
		    err, HF_E_INVALID, "min_free: less than nothing");
	return HF_OK;
}

static const struct hf_option options[] = {
	{ .name = "path",
	    .type = HF_OPT_PATH,
	    .flags = HF_OPT_REQUIRED,
	    .offset = offsetof(struct conf, path),
	    .help = "the folder; its last part is made with the first backup" },
	{ .name = "min_free",
	    .type = HF_OPT_SIZE,
	    .offset = offsetof(struct conf, min_free),
	    .def = "64MiB",
	    .help = "space of the disk to leave free; objects under 64 KiB "
		    "may use it, so that a full disk can be pruned" },
	{ .name = NULL },
};

static const struct hf_store_ops store_ops = {
	.struct_size = sizeof(struct hf_store_ops),
	.open = dir_open,
	.close = dir_close,
	.check = check_store,
	.caps = dir_caps,
	.clock = dir_clock,
	.put = put_begin,
	.put_write = put_write,
	.put_commit = put_commit,
	.put_abort = put_abort,
	.get = get_open,
	.get_read = get_read,
	.get_close = get_close,
	.stat = get_stat,
	.list = list_keys,
	.remove = dir_remove,
};

static const struct hf_plugin plugin = {
	HF_PLUGIN_INIT,
	.threads = HF_THREADS_HANDLE,
	.name = "dir",
	.version = HF_PLUGIN_VERSION,
	.summary = "keeps backups in a folder",
	.help =
	    "Any local or network file system that has hard links, or a "
	    "rename that does not replace.\n"
	    "An object appears under its name when all of it is on the disk. "
	    "Symbolic links below the folder are not followed; the path of "
	    "the folder itself may go through links.\n"
	    "Files are made with mode 0600, folders with 0700.",
	.options = options,
	.conf_size = sizeof(struct conf),
	.validate = dir_validate,
	.store = &store_ops,
};

HF_REGISTER(plugin, dir_host);
