/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "plugin/store.h"
#include "repo/repo_private.h"

/* A disk that is not mounted is an empty folder on another disk.  Which sinks
 * have held a repository is therefore remembered in the state folder, by the
 * hash of what the configuration says of them: a sink that was given another
 * place is a new one. */

static char *
marker_path(const struct repo *r, const struct repo_sink *s)
{
	const char *state = r->env.config->state_dir;
	char hex[SHA256_HEX], *text, *path = NULL;

	text = json_dumps(s->config->item.json, JSON_COMPACT | JSON_SORT_KEYS);
	if (text != NULL && sha256_of(text, strlen(text), hex, NULL) == HF_OK)
		path = text_format("%s/sinks/%s-%.16s", state, s->name, hex);
	free(text);
	return path;
}

static int
stop(void *arg, const struct hf_object *object)
{
	(void)arg;
	(void)object;
	return 1;
}

/* Is anything of ours left?  What strangers keep there says nothing: the
 * folder below a mount point may have files of its own. */
static int
look(const struct repo *r, const struct repo_sink *s, struct hf_error *err)
{
	const struct config *c = r->env.config;
	int rc = store_list(s->store, REPO_KEY, stop, NULL, err);

	for (size_t i = 0; i < c->npipelines && rc == HF_OK; i++) {
		char *prefix = repo_key(c->pipelines[i].name, "%s", "");

		if (prefix == NULL)
			return repo_nomem(err);
		rc = store_list(s->store, prefix, stop, NULL, err);
		free(prefix);
	}
	return rc;
}

int
known_refuse(
    const struct repo *r, const struct repo_sink *s, struct hf_error *err)
{
	char *path = marker_path(r, s);
	struct buf seen = BUF_INIT;
	int rc = HF_OK;

	if (path == NULL)
		return repo_nomem(err);
	if (file_read(path, 4096, &seen, NULL) != HF_OK)
		goto out;
	/* Where anything is left, it is the right place. */
	rc = look(r, s, err);
	if (rc > 0) {
		rc = HF_OK;
	} else if (rc == HF_OK || rc == HF_E_NOTFOUND) {
		error_clear(err);
		rc = error_fail(err, HF_E_NOTFOUND,
		    "%s has held a repository, and has none now", s->who);
		error_hint(err,
		    "If it is a disk or a share, mount it.  If it is to begin "
		    "anew, remove %s.",
		    path);
	}
out:
	buf_free(&seen);
	free(path);
	return rc;
}

/* That its folder is missing, only a list tells for sure. */
static int
look_for_place(const struct repo_sink *s, struct hf_error *err)
{
	return store_list(s->store, REPO_KEY, stop, NULL, err);
}

bool
known_no_place(const struct repo_sink *s)
{
	return look_for_place(s, NULL) == HF_E_NOTFOUND;
}

int
known_there(
    const struct repo *r, const struct repo_sink *s, struct hf_error *err)
{
	struct hf_error lost = { 0 };
	int rc = look_for_place(s, err), rc_lost;

	if (rc > 0)
		return HF_OK;
	if ((rc != HF_OK && rc != HF_E_NOTFOUND) ||
	    (rc_lost = known_refuse(r, s, &lost)) == HF_OK)
		return rc;
	/* That it was there says more. */
	if (err != NULL)
		*err = lost;
	return rc_lost;
}

void
known_remember(const struct repo *r, const struct repo_sink *s)
{
	char *path = marker_path(r, s), *folder;
	struct buf seen = BUF_INIT;
	struct hf_error err = { 0 };
	char line[512];
	int rc = HF_OK;

	folder = text_format("%s/sinks", r->env.config->state_dir);
	if (path == NULL || folder == NULL)
		goto out;
	if (file_read(path, 4096, &seen, NULL) == HF_OK)
		goto out;
	if ((rc = file_mkdirs(folder, &err)) == HF_OK)
		rc = file_write(path, s->name, strlen(s->name), &err);
	if (rc != HF_OK) {
		/* It guards against one mistake, no more. */
		error_line(&err, line, sizeof line);
		log_write(HF_LOG_INFO, "sink.known", s->who,
		    "cannot remember that it holds a repository: %s", line);
	}
out:
	buf_free(&seen);
	free(folder);
	free(path);
}
