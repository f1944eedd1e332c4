/* SPDX-License-Identifier: BSD-2-Clause */
#include "restore.h"

#include "build.h"
#include "intent.h"
#include "path.h"
#include "sqlite.h"
#include "swap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_FLAGS (HF_RESTORE_IN_PLACE | HF_RESTORE_FORCE)

static int
check_request(const struct hf_request *req, size_t n, struct hf_error *err)
{
	if ((req->flags & ~KNOWN_FLAGS) != 0)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "unknown restore flags 0x%x", req->flags);
	if (req->until != NULL)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "a SQLite backup is one point in time: choose the "
		    "backup instead");
	if (n != 1)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "a SQLite database is restored from one full backup, "
		    "not %zu",
		    n);
	return HF_OK;
}

/* Finish or undo what a killed run began; in place, keep the lock. */
static int
lock_target(const struct hf_engine *e, const char *target, bool in_place,
    struct intent *it, struct hf_error *err)
{
	int rc;

	it->fd = -1;
	it->path = NULL;
	it->pending = false;
	if (!in_place && !path_exists(target, INTENT_SUFFIX))
		return HF_OK;
	if ((rc = intent_lock(target, it, err)) != HF_OK)
		return rc;
	if ((rc = intent_recover(e, target, it, err)) != HF_OK)
		intent_unlock(it);
	return rc;
}

/* Would SQLite read these as part of the restored database?  It would. */
static int
refuse_sidecars(const char *target, struct hf_error *err)
{
	int i;

	for (i = 0; path_sidecars[i] != NULL; i++)
		if (path_exists(target, path_sidecars[i]))
			return sqlite_fail_hint(err, HF_E_EXISTS,
			    "Move it away, or restore in place, which keeps "
			    "it under another name.",
			    "%s%s stands there and would be taken for a part "
			    "of the restored database",
			    target, path_sidecars[i]);
	return HF_OK;
}

/* What proves the restored copy, besides the hash of the object. */
static const char *
check_pragma(const struct hf_request *req)
{
	const struct restore_conf *conf = req->restore_conf;

	if (conf == NULL || strcmp(conf->check, "quick") == 0)
		return "quick_check";
	return strcmp(conf->check, "full") == 0 ? "integrity_check" : NULL;
}

static int
restore_new(const struct hf_engine *e, const char *target, struct hf_in *in,
    const struct hf_request *req, struct hf_error *err)
{
	bool in_place = (req->flags & HF_RESTORE_IN_PLACE) != 0;
	char suffix[64];
	struct build b;
	bool renamed = false;
	int rc;

	if (!in_place && (rc = refuse_sidecars(target, err)) != HF_OK)
		return rc;
	if ((rc = build_file(e, in, target, check_pragma(req), &b, err)) !=
	    HF_OK)
		return rc;
	if (in_place && refuse_sidecars(target, NULL) != HF_OK) {
		rc = swap_safety_suffix(target, suffix, sizeof suffix, err);
		if (rc == HF_OK)
			rc = swap_sidecars_aside(target, suffix, err);
	} else {
		rc = refuse_sidecars(target, err);
	}
	if (rc == HF_OK && (rc = swap_in_new(target, &b, err)) == HF_OK)
		renamed = true;
	build_end(&b, renamed);
	return rc;
}

/* What puts the former database back, the application being stopped: nothing
 * of the restored one may stand beside it.  Paths that would need more than
 * quotes are left to the operator. */
static void
tell_undo(const struct hf_engine *e, const char *target, const char *safety)
{
	char text[4096];
	size_t len;
	int i, n;

	if (strchr(target, '\'') != NULL || strchr(safety, '\'') != NULL)
		return;
	n = snprintf(text, sizeof text,
	    "rm -f '%s-wal' '%s-shm' '%s-journal' && mv '%s' '%s'", target,
	    target, target, safety, target);
	for (i = 0; path_sidecars[i] != NULL; i++) {
		if (n < 0 || (size_t)n >= sizeof text)
			return;
		if (!path_exists(safety, path_sidecars[i]))
			continue;
		len = strlen(text);
		n = snprintf(text + len, sizeof text - len,
		    " && mv '%s%s' '%s%s'", safety, path_sidecars[i], target,
		    path_sidecars[i]);
		n = n < 0 ? n : n + (int)len;
	}
	if (n > 0 && (size_t)n < sizeof text)
		H->result(e->ctx, "undo", text);
}

static int
restore_over(const struct hf_engine *e, const char *target, struct hf_in *in,
    const struct hf_request *req, struct intent *it, struct hf_error *err)
{
	bool force = (req->flags & HF_RESTORE_FORCE) != 0;
	struct build b;
	char *safety;
	int rc;

	if ((rc = build_file(e, in, target, check_pragma(req), &b, err)) !=
	    HF_OK)
		return rc;
	rc = swap_in_place(e, target, &b, in, force, it, &safety, err);
	/* On failure the name is gone already if it had been renamed. */
	build_end(&b, rc == HF_OK);
	if (rc == HF_OK && safety != NULL) {
		H->result(e->ctx, "safety_copy", safety);
		tell_undo(e, target, safety);
		H->log(e->ctx, HF_LOG_INFO, "sqlite.safety_copy",
		    "the former database is %s", safety);
	}
	if (rc == HF_OK)
		free(safety);
	return rc;
}

/* What stands there? */
static int
look_at_target(
    const char *target, bool in_place, bool *there, struct hf_error *err)
{
	struct stat st;

	*there = false;
	if (stat(target, &st) != 0) {
		if (errno == ENOENT)
			return HF_OK;
		return H->fail_errno(err, errno, "%s", target);
	}
	*there = true;
	if (S_ISDIR(st.st_mode))
		return sqlite_fail_hint(err, HF_E_EXISTS,
		    "Name the file that is to be made, not its folder.",
		    "%s is a folder", target);
	if (!S_ISREG(st.st_mode))
		return H->fail(
		    err, HF_E_EXISTS, "%s is not a regular file", target);
	if (!in_place && st.st_size > 0)
		return sqlite_fail_hint(err, HF_E_EXISTS,
		    "Restore in place to replace it; a safety copy is kept.",
		    "%s exists", target);
	return HF_OK;
}

int
restore_run(struct hf_engine *e, const struct hf_request *req,
    struct hf_in *const *oldest_first, size_t n, struct hf_error *err)
{
	bool in_place = (req->flags & HF_RESTORE_IN_PLACE) != 0, there;
	struct intent it = { .fd = -1 };
	char *target = NULL;
	int rc;

	if ((rc = check_request(req, n, err)) != HF_OK)
		return rc;
	rc = path_resolve(
	    req->target != NULL ? req->target : e->conf.path, &target, err);
	if (rc != HF_OK)
		return rc;
	if ((rc = look_at_target(target, in_place, &there, err)) != HF_OK)
		goto done;
	/* An empty file is replaced with the same care as a full one. */
	rc = lock_target(e, target, in_place || there, &it, err);
	if (rc != HF_OK)
		goto done;
	build_clear(e, target);
	if (there)
		rc = restore_over(e, target, oldest_first[0], req, &it, err);
	else
		rc = restore_new(e, target, oldest_first[0], req, err);
	intent_unlock(&it);
	if (rc == HF_OK)
		H->result(e->ctx, "target", target);
done:
	free(target);
	return rc;
}
