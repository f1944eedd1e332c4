/* SPDX-License-Identifier: BSD-2-Clause */
#include "source.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "check.h"
#include "config.h"
#include "keys.h"
#include "raw.h"

static const char *
given_name(const json_t *v)
{
	const char *name = json_string_value(json_object_get(v, "name"));

	return name != NULL && keys_name_valid(name) ? name : NULL;
}

static bool
usable(const json_t *v)
{
	return json_string_length(json_object_get(v, "engine")) > 0;
}

static bool
taken(const struct config_pipeline *p, const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *other = given_name(json_array_get(list, i));

		if (other != NULL && strcmp(other, name) == 0)
			return true;
	}
	for (size_t i = 0; i < p->nsources; i++)
		if (p->sources[i].name != NULL &&
		    strcmp(p->sources[i].name, name) == 0)
			return true;
	return false;
}

/* The engine's name, or with a number behind it the first that is free. */
static char *
make_name(const struct config_pipeline *p, const json_t *list, const json_t *v)
{
	const char *engine = json_string_value(json_object_get(v, "engine"));
	char *name = strdup(engine);

	for (size_t n = 2; name != NULL && taken(p, list, name); n++) {
		free(name);
		name = text_format("%s-%zu", engine, n);
	}
	return name;
}

static void
same_name(struct config *c, const struct config_item *item)
{
	struct path path = PATH_INIT;

	(void)path_join(&path, item->json_path);
	(void)path_key(&path, "name");
	problem_add(&c->raw->problems, 0, path_text(&path), NULL,
	    "another source of the pipeline is named \"%s\" already",
	    item->name);
	c->raw->problems.failed |= path.failed;
	path_free(&path);
}

static int
build_one(struct config *c, struct config_pipeline *p, const json_t *list,
    size_t i, const struct path *at)
{
	struct config_item *item = &p->sources[p->nsources];
	const json_t *v = json_array_get(list, i);
	const char *name = given_name(v);
	bool clash = false;

	for (size_t j = 0; name != NULL && j < p->nsources; j++)
		clash = clash || strcmp(p->sources[j].name, name) == 0;
	item->json = v;
	item->name = name != NULL ? strdup(name) : make_name(p, list, v);
	item->json_path = strdup(path_text(at));
	p->nsources++;
	if (item->name == NULL || item->json_path == NULL)
		return HF_E_NOMEM;
	if (clash)
		same_name(c, item);
	return HF_OK;
}

int
source_build(struct config *c, struct config_pipeline *p, json_t *merged,
    struct hf_error *err)
{
	json_t *list = json_object_get(merged, "from"), *one;
	struct path at = PATH_INIT;
	bool single = json_is_object(list);
	int rc = HF_OK;

	if (single) {
		one = json_incref(list);
		list = json_array();
		if (json_array_append_new(list, one) != 0 ||
		    json_object_set_new(merged, "from", list) != 0)
			return error_fail(err, HF_E_NOMEM, "no memory");
	}
	if (!json_is_array(list))
		return HF_OK;
	p->sources = calloc(json_array_size(list) + 1, sizeof *p->sources);
	if (p->sources == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory");
	check_origin(c->raw->doc, p->name, "from", &at);
	for (size_t i = 0; i < json_array_size(list) && rc == HF_OK; i++) {
		size_t mark = single ? at.text.len : path_index(&at, i);

		if (usable(json_array_get(list, i)))
			rc = build_one(c, p, list, i, &at);
		path_cut(&at, mark);
	}
	if (rc != HF_OK || at.failed)
		rc = error_fail(err, HF_E_NOMEM, "no memory");
	path_free(&at);
	return rc;
}
