/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "keys.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "scalar.h"

#define SIZE_PATTERN "^[0-9]+(\\.[0-9]+)? *([kKMGT]?B|[KMGT]iB)?$"
#define DURATION_PATTERN "^([0-9]+(\\.[0-9]+)? *(ms|s|m|h|d|w))+$"

struct schema {
	struct plugins *plugins;
	json_t *defs;
	bool failed; /* no memory at some point */
};

/* partial: what is missing may be inherited. */
static json_t *table_schema(struct schema *, const struct keys *, bool partial);

static void
set(struct schema *s, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		s->failed = true;
}

static void
append(struct schema *s, json_t *list, json_t *value)
{
	if (json_array_append_new(list, value) != 0)
		s->failed = true;
}

static json_t *
ref(const char *name)
{
	char *to = text_format("#/$defs/%s", name);
	json_t *v = to == NULL ? NULL : json_pack("{s:s}", "$ref", to);

	free(to);
	return v;
}

static json_t *
type(const char *name)
{
	return json_pack("{s:s}", "type", name);
}

/* Options refer to these by name. */
static void
add_forms(struct schema *s)
{
	set(s, s->defs, "env",
	    json_pack("{s:s, s:s, s:{s:{s:s, s:i}, s:{s:s}, s:{}}, s:[s], s:b}",
		"description", "The value of an environment variable", "type",
		"object", "properties", "env", "type", "string", "minLength", 1,
		"default", "description", "Where it is not set or empty",
		"$comment", "required", "env", "additionalProperties", 0));
	set(s, s->defs, "file",
	    json_pack("{s:s, s:s, s:{s:{s:s, s:i}, s:{}}, s:[s], s:b}",
		"description",
		"What a file holds; one newline at its end is cut", "type",
		"object", "properties", "file", "type", "string", "minLength",
		1, "$comment", "required", "file", "additionalProperties", 0));
	set(s, s->defs, "text",
	    json_pack("{s:[{s:s, s:i}, {s:s}, {s:s}]}", "oneOf", "type",
		"string", "minLength", 1, "$ref", "#/$defs/env", "$ref",
		"#/$defs/file"));
	set(s, s->defs, "size",
	    json_pack("{s:[s,s], s:s, s:i}", "type", "string", "integer",
		"pattern", SIZE_PATTERN, "minimum", 0));
	set(s, s->defs, "duration",
	    json_pack(
		"{s:s, s:s}", "type", "string", "pattern", DURATION_PATTERN));
	set(s, s->defs, "name",
	    json_pack(
		"{s:s, s:s}", "type", "string", "pattern", KEYS_NAME_PATTERN));
	set(s, s->defs, "names",
	    json_pack("{s:s, s:{s:s}, s:b}", "type", "array", "items", "$ref",
		"#/$defs/name", "uniqueItems", 1));
	set(s, s->defs, "cron",
	    json_pack("{s:s, s:s}", "type", "string", "pattern",
		"^ *(\\S+ +){4}\\S+ *$|^@(hourly|daily|weekly|monthly|yearly)"
		"$"));
	set(s, s->defs, "labels",
	    json_pack("{s:s, s:{s:{}}, s:{s:s}}", "type", "object",
		"properties", "$comment", "additionalProperties", "$ref",
		"#/$defs/text"));
}

static json_t *
enum_schema(struct schema *s, const char *choices)
{
	json_t *list = json_array();

	for (const char *c = choices; *c != '\0';) {
		size_t n = strcspn(c, "|");

		append(s, list, json_stringn(c, n));
		c += n;
		if (*c == '|')
			c++;
	}
	return json_pack("{s:o}", "enum", list);
}

static json_t *
int_schema(struct schema *s, const char *choices)
{
	const char *dots = strstr(choices, "..");
	json_t *v = type("integer");

	set(s, v, "minimum", json_integer(strtoll(choices, NULL, 10)));
	if (dots != NULL && dots[2] != '\0')
		set(s, v, "maximum", json_integer(strtoll(dots + 2, NULL, 10)));
	return v;
}

/* An object of named ones. */
static json_t *
map_schema(struct schema *s, const struct key *key)
{
	json_t *v = type("object"), *named = json_object();

	set(s, named, KEYS_NAME_PATTERN,
	    table_schema(s, key->sub, key->sub == &keys_pipeline));
	set(s, v, "properties",
	    json_pack("{s:{}, s:{}}", "$comment", "$schema"));
	set(s, v, "patternProperties", named);
	set(s, v, "additionalProperties", json_false());
	return v;
}

static json_t *
list_schema(struct schema *s, const struct key *key, json_t *items)
{
	json_t *v = type("array");

	set(s, v, "items", items);
	if ((key->flags & KEY_NONEMPTY) != 0)
		set(s, v, "minItems", json_integer(1));
	return v;
}

static json_t *
either_schema(struct schema *s, const struct key *key, bool partial)
{
	json_t *one = table_schema(s, key->sub, partial);
	json_t *many = list_schema(s, key, table_schema(s, key->sub, false));

	return json_pack("{s:[o,o]}", "anyOf", one, many);
}

static json_t *
simple_schema(struct schema *s, const struct key *key)
{
	switch (key->type) {
	case KEY_STRING:
		return strcmp(key->name, "name") == 0
			   ? ref("name")
			   : json_pack("{s:s, s:i}", "type", "string",
				 "minLength", 1);
	case KEY_TEXT:
	case KEY_PATH:
		return ref("text");
	case KEY_BOOL:
		return type("boolean");
	case KEY_INT:
		return int_schema(s, key->choices);
	case KEY_NUMBER:
		return type("number");
	case KEY_SCALAR:
		return json_pack(
		    "{s:[s,s,s]}", "type", "string", "number", "boolean");
	case KEY_SIZE:
		return ref("size");
	case KEY_DURATION:
		return ref("duration");
	case KEY_ENUM:
		return enum_schema(s, key->choices);
	case KEY_CRON:
		return ref("cron");
	case KEY_REQUIRE:
		return json_pack("{s:[{s:[s,s]}, {s:s, s:i}]}", "anyOf", "enum",
		    "all", "any", "type", "integer", "minimum", 1);
	case KEY_LABELS:
		return ref("labels");
	default:
		s->failed = true; /* a type that nobody described */
		return NULL;
	}
}

static json_t *
key_schema(struct schema *s, const struct key *key, bool partial)
{
	json_t *v;

	switch (key->type) {
	case KEY_NAMES:
		v = ref("names");
		if ((key->flags & KEY_NONEMPTY) != 0)
			set(s, v, "minItems", json_integer(1));
		break;
	case KEY_COMMAND:
		v = list_schema(s, key, type("string"));
		break;
	case KEY_OBJECT:
		v = table_schema(
		    s, key->sub, partial || key->sub == &keys_pipeline);
		break;
	case KEY_OBJECTS:
		v = list_schema(s, key, table_schema(s, key->sub, false));
		break;
	case KEY_EITHER:
		v = either_schema(s, key, partial);
		break;
	case KEY_MAP:
		v = map_schema(s, key);
		break;
	default:
		v = simple_schema(s, key);
		break;
	}
	set(s, v, "description", json_string(key->help));
	if (key->def != NULL)
		set(s, v, "default", scalar_default_json(key));
	return v;
}

/* Properties of the table, and what must be among them. */
static void
add_keys(
    struct schema *s, json_t *object, const struct keys *keys, bool partial)
{
	json_t *properties = json_object_get(object, "properties");
	json_t *required = json_object_get(object, "required");

	for (const struct key *k = keys->list; k->name != NULL; k++) {
		set(s, properties, k->name, key_schema(s, k, partial));
		if (partial || (k->flags & KEY_REQUIRED) == 0)
			continue;
		if (required == NULL) {
			required = json_array();
			set(s, object, "required", required);
		}
		append(s, required, json_string(k->name));
	}
	set(s, properties, "$comment", json_object());
	set(s, properties, "$schema", type("string"));
}

static json_t *
plain_table(struct schema *s, const struct keys *keys, bool partial)
{
	json_t *v = json_pack("{s:s, s:{}, s:b}", "type", "object",
	    "properties", "additionalProperties", 0);
	json_t *some = keys->some == NULL ? NULL : json_array();

	add_keys(s, v, keys, partial);
	if (keys->one != NULL)
		set(s, v, "not",
		    json_pack("{s:[s,s]}", "required", keys->one, keys->other));
	for (size_t i = 0; some != NULL && keys->some[i] != NULL; i++)
		append(
		    s, some, json_pack("{s:[s]}", "required", keys->some[i]));
	if (some != NULL)
		set(s, v, "anyOf", some);
	return v;
}

struct instances {
	struct schema *schema;
	const struct keys *keys;
	bool partial;
	json_t *names, *rules; /* of the plugins that there are */
};

static bool
has_kind(const struct plugin *plugin, const struct keys *keys)
{
	if (keys == &keys_filter)
		return plugin->desc.filter != NULL;
	if (keys == &keys_sink)
		return plugin->desc.store != NULL;
	return plugin->desc.engine != NULL;
}

static const char *
role(const struct keys *keys)
{
	return keys == &keys_filter ? "filter"
	       : keys == &keys_sink ? "sink"
				    : "engine";
}

static void
drop_required(json_t *v)
{
	const char *key;
	json_t *child;

	(void)json_object_del(v, "required");
	json_object_foreach(json_object_get(v, "properties"), key,
	    child) if (json_object_get(child, "properties") != NULL)
	    drop_required(child);
}

/* if it is of this type, then these are its options */
static int
add_plugin(void *arg, const char *path, const struct plugin *plugin,
    const struct hf_error *why)
{
	struct instances *in = arg;
	struct schema *s = in->schema;
	json_t *options;
	char *def;

	(void)path;
	(void)why;
	if (plugin == NULL || !has_kind(plugin, in->keys))
		return 0;
	def = text_format("%s.%s%s", role(in->keys), plugin->desc.name,
	    in->partial ? ".partial" : "");
	options =
	    options_schema(plugin->desc.options, plugin->desc.option_size);
	if (def == NULL || options == NULL) {
		s->failed = true;
		goto done;
	}
	if (in->partial)
		drop_required(options);
	add_keys(s, options, in->keys, in->partial);
	set(s, options, "title", json_string(plugin->desc.name));
	if (plugin->desc.summary != NULL)
		set(s, options, "description",
		    json_string(plugin->desc.summary));
	set(s, s->defs, def, json_incref(options));
	append(s, in->names, json_string(plugin->desc.name));
	append(s, in->rules,
	    json_pack("{s:{s:{s:{s:s}}, s:[s]}, s:o}", "if", "properties",
		in->keys->plugin, "const", plugin->desc.name, "required",
		in->keys->plugin, "then", ref(def)));
done:
	json_decref(options);
	free(def);
	return 0;
}

static json_t *
instance_table(struct schema *s, const struct keys *keys, bool partial)
{
	struct instances in = { s, keys, partial, json_array(), json_array() };
	json_t *v = type("object"), *named = NULL;

	(void)plugins_each(s->plugins, add_plugin, &in);
	if (json_array_size(in.names) > 0)
		named = json_pack(
		    "{s:{s:o}}", keys->plugin, "enum", json_incref(in.names));
	if (named != NULL)
		set(s, v, "properties", named);
	if (json_array_size(in.rules) > 0)
		set(s, v, "allOf", json_incref(in.rules));
	if (!partial)
		set(s, v, "required", json_pack("[s]", keys->plugin));
	json_decref(in.names);
	json_decref(in.rules);
	return v;
}

/* Each table stands once in $defs. */
static json_t *
table_schema(struct schema *s, const struct keys *keys, bool partial)
{
	char *def = text_format("%s%s",
	    keys == &keys_pipeline ? "pipeline"
	    : keys->plugin != NULL ? role(keys)
				   : keys->title,
	    keys->plugin != NULL && partial ? ".partial" : "");
	json_t *v = NULL;

	if (def == NULL)
		goto fail;
	if (json_object_get(s->defs, def) == NULL) {
		v = keys->plugin != NULL ? instance_table(s, keys, partial)
					 : plain_table(s, keys, partial);
		set(s, s->defs, def, v);
	}
	v = ref(def);
	free(def);
	return v;
fail:
	s->failed = true;
	return NULL;
}

json_t *
config_schema(struct plugins *plugins)
{
	struct schema s = { plugins, json_object(), false };
	json_t *root = json_object(), *top;

	set(&s, root, "$schema",
	    json_string("https://json-schema.org/draft/2020-12/schema"));
	set(&s, root, "title", json_string("Holdfast configuration"));
	add_forms(&s);
	top = plain_table(&s, &keys_top, false);
	if (json_object_update(root, top) != 0)
		s.failed = true;
	json_decref(top);
	set(&s, root, "$defs", s.defs);
	if (s.failed) {
		json_decref(root);
		return NULL;
	}
	return root;
}
