/* SPDX-License-Identifier: BSD-2-Clause */
#include "merge.h"

#include <stdbool.h>
#include <string.h>

#include "keys.h"
#include "scalar.h"

static bool merge_into(json_t *base, const json_t *over, const struct keys *);

static bool
both_merge(const json_t *base, const json_t *over)
{
	return json_is_object(base) && json_is_object(over) &&
	       !scalar_is_reference(base) && !scalar_is_reference(over);
}

static bool
other_engine(const json_t *base, const json_t *over, const char *plugin)
{
	const json_t *a = json_object_get(base, plugin);
	const json_t *b = json_object_get(over, plugin);

	return a != NULL && b != NULL && !json_equal(a, b);
}

/* Should over, of that key, be merged into base rather than replace it? */
static bool
merges(const json_t *base, const json_t *over, const struct key *key)
{
	if (key == NULL)
		return both_merge(base, over);
	/* Labels may be called "env" or "file". */
	if (key->type == KEY_LABELS || key->type == KEY_OBJECT)
		return json_is_object(base) && json_is_object(over);
	return key->type == KEY_EITHER && json_is_object(base) &&
	       json_is_object(over) &&
	       !other_engine(base, over, key->sub->plugin);
}

static bool
merge_labels(json_t *base, const json_t *over)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)over, name,
	    value) if (json_object_set_new(base, name, json_deep_copy(value)) !=
		       0) return false;
	return true;
}

/* keys: NULL inside a plugin's options. */
static bool
merge_into(json_t *base, const json_t *over, const struct keys *keys)
{
	const char *name;
	json_t *value;

	if (keys != NULL && keys->one != NULL) {
		if (json_object_get(over, keys->one) != NULL)
			(void)json_object_del(base, keys->other);
		if (json_object_get(over, keys->other) != NULL)
			(void)json_object_del(base, keys->one);
	}
	json_object_foreach((json_t *)over, name, value)
	{
		json_t *mine = json_object_get(base, name);
		const struct key *key =
		    keys == NULL ? NULL : keys_find(keys, name);
		bool ok;

		if (!merges(mine, value, key))
			ok = json_object_set_new(
				 base, name, json_deep_copy(value)) == 0;
		else if (key != NULL && key->type == KEY_LABELS)
			ok = merge_labels(mine, value);
		else
			ok = merge_into(
			    mine, value, key == NULL ? NULL : key->sub);
		if (!ok)
			return false;
	}
	return true;
}

static json_t *
merge_pipeline(const json_t *defaults, const json_t *own)
{
	json_t *merged;

	if (!json_is_object(own) || !json_is_object(defaults))
		return json_deep_copy(own);
	if ((merged = json_deep_copy(defaults)) == NULL)
		return NULL;
	if (!merge_into(merged, own, &keys_pipeline)) {
		json_decref(merged);
		return NULL;
	}
	return merged;
}

json_t *
merge_document(const json_t *doc)
{
	const json_t *defaults = json_object_get(doc, "defaults");
	json_t *merged = json_object(), *pipelines, *value;
	const char *name;

	if (merged == NULL)
		return NULL;
	json_object_foreach((json_t *)doc, name,
	    value) if (strcmp(name, "defaults") != 0 &&
		       strcmp(name, "pipelines") != 0 &&
		       json_object_set_new(
			   merged, name, json_deep_copy(value))) goto fail;
	pipelines = json_object();
	if (json_object_set_new(merged, "pipelines", pipelines) != 0)
		goto fail;
	json_object_foreach(json_object_get(doc, "pipelines"), name,
	    value) if (!keys_everywhere(name) &&
		       json_object_set_new(pipelines, name,
			   merge_pipeline(defaults, value)) != 0) goto fail;
	return merged;
fail:
	json_decref(merged);
	return NULL;
}
