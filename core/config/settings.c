/* SPDX-License-Identifier: BSD-2-Clause */
#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "check.h"
#include "config.h"
#include "keys.h"
#include "raw.h"
#include "scalar.h"

int64_t
settings_number(const json_t *object, const struct key *key)
{
	const json_t *v = json_object_get(object, key->name);
	int64_t n;

	if ((key->type == KEY_SIZE && scalar_size(key, v, &n)) ||
	    (key->type == KEY_DURATION && scalar_duration(key, v, &n)) ||
	    (key->type == KEY_INT && scalar_int(key, v, &n)))
		return n;
	return scalar_default(key);
}

static int64_t
top_number(const struct config *c, const char *name)
{
	return settings_number(c->merged, keys_find(&keys_top, name));
}

/* A text of the file; one that cannot be had is a problem. */
static int
text_of(struct config *c, const json_t *v, const char *path, unsigned flags,
    char **out, struct hf_error *err)
{
	struct hf_error why = { 0 };
	const char *key;
	int rc;

	*out = NULL;
	/* A wrong shape was reported with the shapes. */
	if (v == NULL ||
	    (!json_is_string(v) && scalar_reference_problem(v, &key) != NULL))
		return HF_OK;
	rc = scalar_text(v, c->dir, out, &why);
	if (rc == HF_E_NOMEM)
		return error_fail(err, HF_E_NOMEM, "no memory");
	if (rc != HF_OK)
		problem_add(&c->raw->problems, flags, path,
		    error_get(&why, "hint"), "%s", why.cause);
	return HF_OK;
}

static int
build_text(struct config *c, const char *name, unsigned flags, char **out,
    struct hf_error *err)
{
	return text_of(
	    c, json_object_get(c->merged, name), name, flags, out, err);
}

static char *
default_state_dir(void)
{
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return strdup("/var/lib/holdfast");
	if (base != NULL && *base == '/')
		return text_format("%s/holdfast", base);
	if (home != NULL && *home == '/')
		return text_format("%s/.local/state/holdfast", home);
	return strdup("");
}

static int
build_dir(struct config *c, const char *name, char **out, struct hf_error *err)
{
	char *text;
	int rc;

	rc = build_text(c, name, 0, &text, err);
	if (rc != HF_OK || text == NULL)
		return rc;
	if (*text == '\0') {
		/* An empty text that was written was complained about. */
		if (!json_is_string(json_object_get(c->merged, name)))
			problem_add(&c->raw->problems, 0, name, NULL,
			    "is an empty path");
		free(text);
		return HF_OK;
	}
	*out = file_absolute(text, c->dir);
	free(text);
	return *out == NULL ? error_fail(err, HF_E_NOMEM, "no memory") : HF_OK;
}

static int
build_dirs(struct config *c, struct hf_error *err)
{
	int rc;

	if ((rc = build_dir(c, "state_dir", &c->state_dir, err)) != HF_OK)
		return rc;
	if (c->state_dir == NULL &&
	    (c->state_dir = default_state_dir()) == NULL)
		goto no_memory;
	if (*c->state_dir == '\0')
		problem_add(&c->raw->problems, 0, "",
		    "Say where state is to be kept: \"state_dir\": "
		    "\"/var/lib/holdfast\".",
		    "no \"state_dir\", and no home folder to put it in");
	if ((rc = build_dir(c, "scratch_dir", &c->scratch_dir, err)) != HF_OK)
		return rc;
	if (c->scratch_dir == NULL &&
	    (c->scratch_dir = text_format("%s/scratch", c->state_dir)) == NULL)
		goto no_memory;
	return HF_OK;
no_memory:
	return error_fail(err, HF_E_NOMEM, "no memory");
}

int
settings_build(struct config *c, struct hf_error *err)
{
	const struct keys *spool = keys_find(&keys_top, "spool")->sub;
	const json_t *v = json_object_get(c->merged, "spool");
	int rc;

	c->workers = (unsigned)top_number(c, "workers");
	c->frame_size = (size_t)top_number(c, "frame_size");
	c->spool_after_ms = settings_number(v, keys_find(spool, "after"));
	c->spool_max = settings_number(v, keys_find(spool, "max"));
	c->allow_inline_secrets =
	    json_is_true(json_object_get(c->merged, "allow_inline_secrets"));
	rc =
	    build_text(c, "environment", PROBLEM_WARNING, &c->environment, err);
	if (rc == HF_OK)
		rc = build_text(
		    c, "operator", PROBLEM_WARNING, &c->operator_name, err);
	return rc == HF_OK ? build_dirs(c, err) : rc;
}

int
settings_labels(struct config *c, struct config_pipeline *p,
    const json_t *labels, struct hf_error *err)
{
	struct path rest = PATH_INIT, at = PATH_INIT;
	const char *name;
	json_t *v;
	int rc = HF_OK;

	if (!json_is_object(labels))
		return HF_OK;
	if ((p->labels = json_object()) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory");
	(void)path_key(&rest, "labels");
	json_object_foreach((json_t *)labels, name, v)
	{
		size_t mark;
		char *text;

		if (keys_everywhere(name))
			continue;
		mark = path_key(&rest, name);
		check_origin(c->raw->doc, p->name, path_text(&rest), &at);
		path_cut(&rest, mark);
		rc = text_of(c, v, path_text(&at), PROBLEM_WARNING, &text, err);
		if (rc != HF_OK)
			break;
		/* What is not UTF-8 comes from outside: keep it out. */
		if (text != NULL &&
		    json_object_set_new(p->labels, name, json_string(text)))
			problem_add(&c->raw->problems, PROBLEM_WARNING,
			    path_text(&at), NULL, "is not UTF-8");
		free(text);
	}
	c->raw->problems.failed |= rest.failed || at.failed;
	path_free(&rest);
	path_free(&at);
	return rc;
}

/* Again as an error: it takes over the warning of the same words. */
static int
revalidate(
    struct config *c, const json_t *v, const char *path, struct hf_error *err)
{
	char *text;
	int rc;

	rc = text_of(c, v, path, 0, &text, err);
	free(text);
	return rc;
}

static int
revalidate_labels(struct config *c, const char *pipeline, const json_t *v,
    struct hf_error *err)
{
	struct path rest = PATH_INIT, at = PATH_INIT;
	const char *name;
	json_t *label;
	int rc = HF_OK;

	(void)path_key(&rest, "labels");
	json_object_foreach(json_object_get(v, "labels"), name, label)
	{
		size_t mark = path_key(&rest, name);

		check_origin(c->raw->doc, pipeline, path_text(&rest), &at);
		path_cut(&rest, mark);
		if (rc == HF_OK && !keys_everywhere(name))
			rc = revalidate(c, label, path_text(&at), err);
	}
	c->raw->problems.failed |= rest.failed || at.failed;
	path_free(&rest);
	path_free(&at);
	return rc;
}

int
settings_validate(struct config *c, struct hf_error *err)
{
	static const char *const names[] = { "environment", "operator" };
	const char *name;
	json_t *v;
	int rc = HF_OK;

	for (size_t i = 0; i < 2 && rc == HF_OK; i++)
		rc = revalidate(
		    c, json_object_get(c->merged, names[i]), names[i], err);
	json_object_foreach(json_object_get(c->merged, "pipelines"), name,
	    v) if (rc == HF_OK) rc = revalidate_labels(c, name, v, err);
	return rc;
}
