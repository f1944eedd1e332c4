/* SPDX-License-Identifier: BSD-2-Clause */
#include "dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "path.h"
#include "root.h"
#include "temp.h"

/* A clock that is further away than this makes leases and ages doubtful. */
#define CLOCK_SECONDS 60

struct checker {
	struct hf_store *store;
	hf_finding_fn *fn;
	void *arg;
	struct temp a, b; /* two files that want one name */
};

static int report(struct checker *, int32_t verdict, const char *check,
    const char *hint, const char *fmt, ...) HF_PRINTF(5, 6);

static int
report(struct checker *c, int32_t verdict, const char *check, const char *hint,
    const char *fmt, ...)
{
	char result[512];
	struct hf_finding f = { .struct_size = sizeof f,
		.verdict = verdict,
		.check = check,
		.result = result,
		.hint = hint };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(result, sizeof result, fmt, ap);
	va_end(ap);
	return c->fn(c->arg, &f);
}

static int
report_errno(struct checker *c, const char *check, const char *hint, int errnum)
{
	char text[128];

	return report(c, HF_FAIL, check, hint, "%s",
	    strerror_r(errnum, text, sizeof text));
}

static int
check_folder(struct checker *c)
{
	struct stat st;

	if (fstat(c->store->root, &st) != 0)
		return report_errno(c, "folder", NULL, errno);
	if ((st.st_mode & 0022) != 0)
		return report(c, HF_WARN, "folder",
		    "Others may remove or replace backups; use chmod go-w.",
		    "%s has mode %03o", c->store->path, st.st_mode & 0777);
	return report(c, HF_PASS, "folder", NULL, "%s", c->store->path);
}

static int
check_space(struct checker *c)
{
	char have[DIR_SIZE_TEXT], keep[DIR_SIZE_TEXT];
	struct statvfs v;
	uint64_t avail;
	bool enough;

	if (fstatvfs(c->store->root, &v) != 0)
		return report_errno(c, "free_space", NULL, errno);
	avail = (uint64_t)v.f_bavail * v.f_frsize;
	enough = avail > c->store->min_free;
	return report(c, enough ? HF_PASS : HF_FAIL, "free_space",
	    enough ? NULL
		   : "Free some space, keep fewer backups, or lower the "
		     "sink's \"min_free\".",
	    "%s free, %s kept", dir_size_text(avail, have),
	    dir_size_text(c->store->min_free, keep));
}

/* Make both files, write to the first, make it durable. */
static int
check_write(struct checker *c, bool *works)
{
	static const char text[] = "holdfast\n";
	int errnum;
	ssize_t n = 0;

	*works = false;
	if ((errnum = temp_open(c->store, &c->a)) == 0 &&
	    (errnum = temp_open(c->store, &c->b)) == 0) {
		n = write(c->a.fd, text, sizeof text - 1);
		errnum = n < 0 ? errno : n == sizeof text - 1 ? 0 : ENOSPC;
	}
	if (errnum != 0)
		return report_errno(c, "writable",
		    "Backups cannot be written here as this user.", errnum);
	*works = true;
	return report(c, HF_PASS, "writable", NULL, "yes");
}

static int
check_sync(struct checker *c)
{
	if (path_fsync(c->a.fd, false) != 0 ||
	    path_fsync(c->store->root, true) != 0)
		return report_errno(c, "fsync",
		    "A power failure could take a finished backup away.",
		    errno);
	return report(c, HF_PASS, "fsync", NULL, "works");
}

/* 0, or errno; EPROTO: the second one won too. */
static int
try_publish(struct checker *c)
{
	char name[TEMP_NAME_MAX];
	struct hf_store *s = c->store;
	int errnum;

	if ((errnum = temp_name(name)) != 0)
		return errnum;
	if ((errnum = temp_publish(s, &c->a, s->root, name, false)) != 0)
		return errnum;
	errnum = temp_publish(s, &c->b, s->root, name, false);
	if (errnum == EEXIST)
		errnum = temp_publish(s, &c->b, s->root, name, true);
	else if (errnum == 0)
		errnum = EPROTO;
	(void)unlinkat(s->root, name, 0);
	return errnum;
}

static int
check_publish(struct checker *c)
{
	int errnum = try_publish(c);

	if (errnum == EPROTO)
		return report(c, HF_FAIL, "put_if_absent",
		    "Two runs could both believe to be the only one; use "
		    "another file system.",
		    "a second file took the name of the first");
	if (errnum != 0)
		return report_errno(c, "put_if_absent",
		    "The file system must have hard links, or a rename that "
		    "does not replace.",
		    errnum);
	return report(c, HF_PASS, "put_if_absent", NULL, "works");
}

static int
check_clock(struct checker *c)
{
	struct stat st;
	long long off;

	if (fstat(c->a.fd, &st) != 0)
		return report_errno(c, "clock", NULL, errno);
	off = (long long)(st.st_mtime - time(NULL));
	if (llabs(off) > CLOCK_SECONDS)
		return report(c, HF_WARN, "clock",
		    "Set the clocks of this machine and of the file server.",
		    "the file server is %lld seconds %s", llabs(off),
		    off > 0 ? "ahead" : "behind");
	return report(c, HF_PASS, "clock", NULL, "agrees");
}

static int
check_root(struct hf_store *s, hf_finding_fn *fn, void *arg)
{
	struct checker c = { .store = s,
		.fn = fn,
		.arg = arg,
		.a = { .fd = -1 },
		.b = { .fd = -1 } };
	bool works = false;
	int rc;

	if ((rc = check_space(&c)) == HF_OK)
		rc = check_write(&c, &works);
	if (rc == HF_OK && works)
		rc = check_sync(&c);
	if (rc == HF_OK && works)
		rc = check_publish(&c);
	if (rc == HF_OK && works)
		rc = check_clock(&c);
	temp_close(s, &c.a);
	temp_close(s, &c.b);
	return rc;
}

/* The folder is still to be made: what holds for it shows in the one above. */
static int
check_new(struct hf_store *s, hf_finding_fn *fn, void *arg)
{
	struct hf_store above = {
		.ctx = s->ctx, .path = s->path, .min_free = s->min_free
	};
	struct checker c = { .store = s, .fn = fn, .arg = arg };
	int rc, root;

	if ((root = root_above(s)) < 0)
		return report_errno(&c, "folder", NULL, errno);
	above.root = root;
	rc = report(&c, HF_WARN, "folder",
	    "Is the disk mounted?  If the sink is new, its first backup makes "
	    "the folder.",
	    "%s is not there", s->path);
	if (rc == HF_OK)
		rc = check_root(&above, fn, arg);
	(void)close(root);
	return rc;
}

int
check_store(
    struct hf_store *s, hf_finding_fn *fn, void *arg, struct hf_error *err)
{
	struct checker c = { .store = s, .fn = fn, .arg = arg };
	int rc;

	if (root_need(s, NULL) == HF_E_NOTFOUND)
		return check_new(s, fn, arg);
	if ((rc = root_need(s, err)) != HF_OK)
		return rc;
	(void)temp_clean(s);
	if ((rc = check_folder(&c)) == HF_OK)
		rc = check_root(s, fn, arg);
	return rc;
}
