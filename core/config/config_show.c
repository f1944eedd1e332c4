/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <string.h>

#include "item.h"
#include "keys.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "scalar.h"

#define REDACTED "********"

static bool
set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

/* Text itself, or the default beside an {"env"}; where a value stands is no
 * secret, and a {"file"} is all place. */
static bool
redact_list(json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *v = json_array_get(list, i);

		if (scalar_is_reference(v)) {
			if (json_object_get(v, "default") != NULL &&
			    !set(v, "default", json_string(REDACTED)))
				return false;
		} else if (json_array_set_new(list, i, json_string(REDACTED)) !=
			   0) {
			return false;
		}
	}
	return true;
}

static bool
redact(json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);

	if (v == NULL)
		return true;
	if (json_is_array(v))
		return redact_list(v);
	if (scalar_is_reference(v))
		return json_object_get(v, "default") == NULL ||
		       set(v, "default", json_string(REDACTED));
	return set(object, key, json_string(REDACTED));
}

/* name: "wal.slot" stands in an object of its own. */
static bool
redact_option(json_t *object, const char *name)
{
	char part[128];
	const char *dot;

	while ((dot = strchr(name, '.')) != NULL) {
		size_t n = (size_t)(dot - name);

		if (n >= sizeof part)
			return false;
		memcpy(part, name, n);
		part[n] = '\0';
		object = json_object_get(object, part);
		name = dot + 1;
	}
	return redact(object, name);
}

static bool
redact_item(const struct config_item *item, json_t *object)
{
	const struct keys *keys = item_keys(item);
	const struct hf_option *option;
	const char *key;
	json_t *v;
	void *next;

	if (item->plugin != NULL) {
		const struct hf_plugin *desc = &item->plugin->desc;

		for (size_t i = 0; (option = options_at(desc->options,
					desc->option_size, i)) != NULL;
		     i++)
			if ((option->flags & HF_OPT_SECRET) != 0 &&
			    !redact_option(object, option->name))
				return false;
		return true;
	}
	/* Nobody can tell which of its options are secret. */
	json_object_foreach_safe(object, next, key,
	    v) if (keys_find(keys, key) == NULL && !keys_everywhere(key) &&
		   !redact(object, key)) return false;
	return true;
}

/* jansson's arrays and objects nest at most 2048 deep. */
static void
drop_comments(json_t *v)
{
	const char *key;
	json_t *child;
	size_t i;

	(void)json_object_del(v, "$comment");
	(void)json_object_del(v, "$schema");
	json_object_foreach(v, key, child) drop_comments(child);
	json_array_foreach(v, i, child) drop_comments(child);
}

/* What holds although nobody wrote it. */
static bool
add_defaults(json_t *object, const struct keys *keys)
{
	for (const struct key *k = keys->list; k->name != NULL; k++)
		if (k->def != NULL &&
		    json_object_get(object, k->name) == NULL &&
		    !set(object, k->name, scalar_default_json(k)))
			return false;
	return true;
}

static bool
add_top_defaults(const struct config *c, json_t *shown)
{
	const struct keys *spool = keys_find(&keys_top, "spool")->sub;

	if (json_object_get(shown, "state_dir") == NULL &&
	    !set(shown, "state_dir", json_string(c->state_dir)))
		return false;
	if (json_object_get(shown, "scratch_dir") == NULL &&
	    !set(shown, "scratch_dir", json_string(c->scratch_dir)))
		return false;
	if (json_object_get(shown, "spool") == NULL &&
	    !set(shown, "spool", json_object()))
		return false;
	return add_defaults(json_object_get(shown, "spool"), spool) &&
	       add_defaults(shown, &keys_top);
}

static bool
show_pipeline(const struct config_pipeline *p, json_t *shown)
{
	json_t *list = json_object_get(shown, "from");
	size_t at = 0;

	/* Sources are the list's objects in its order. */
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *v = json_array_get(list, i);

		if (at >= p->nsources ||
		    !json_equal(v, (json_t *)p->sources[at].json))
			continue;
		if (!redact_item(&p->sources[at], v) ||
		    !set(v, "name", json_string(p->sources[at].name)))
			return false;
		at++;
	}
	return add_defaults(shown, &keys_pipeline);
}

static bool
show(const struct config *c, json_t *shown)
{
	json_t *map = json_object_get(shown, "filters");

	for (size_t i = 0; i < c->nfilters; i++)
		if (!redact_item(&c->filters[i],
			json_object_get(map, c->filters[i].name)))
			return false;
	map = json_object_get(shown, "sinks");
	for (size_t i = 0; i < c->nsinks; i++) {
		json_t *v = json_object_get(map, c->sinks[i].item.name);

		if (!redact_item(&c->sinks[i].item, v) ||
		    !add_defaults(v, &keys_sink))
			return false;
	}
	map = json_object_get(shown, "pipelines");
	for (size_t i = 0; i < c->npipelines; i++)
		if (!show_pipeline(&c->pipelines[i],
			json_object_get(map, c->pipelines[i].name)))
			return false;
	drop_comments(shown);
	return add_top_defaults(c, shown);
}

json_t *
config_show(const struct config *c)
{
	json_t *shown;

	if (c->merged == NULL)
		return json_object();
	if ((shown = json_deep_copy(c->merged)) == NULL)
		return NULL;
	if (!show(c, shown)) {
		json_decref(shown);
		return NULL;
	}
	return shown;
}
