/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <stdint.h>
#include <string.h>

#include "plugin/value.h"

#define SIZE_PATTERN "^[0-9]+(\\.[0-9]+)? *([kKMGT]?B|[KMGT]iB)?$"
#define DURATION_PATTERN "^([0-9]+(\\.[0-9]+)? *(ms|s|m|h|d|w))+$"

static json_t *
choices_schema(const char *choices)
{
	json_t *list = json_array();
	const char *part;
	size_t len;

	for (size_t n = 0; value_part(choices, n, &part, &len); n++)
		if (json_array_append_new(list, json_stringn(part, len)) != 0) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *
int_schema(const char *choices)
{
	json_t *s = json_pack("{s:s}", "type", "integer");
	int64_t min, max;

	if (!value_range(choices, &min, &max))
		return s;
	if (min != INT64_MIN &&
	    json_object_set_new(s, "minimum", json_integer(min)) != 0)
		goto err0;
	if (max != INT64_MAX &&
	    json_object_set_new(s, "maximum", json_integer(max)) != 0)
		goto err0;
	return s;

err0:
	json_decref(s);
	return NULL;
}

/* What is written out, without the indirect forms. */
static json_t *
literal_schema(const struct hf_option *o)
{
	switch (o->type) {
	case HF_OPT_ENUM:
		return choices_schema(o->choices);
	case HF_OPT_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case HF_OPT_INT:
		return int_schema(o->choices);
	case HF_OPT_SIZE:
		return json_pack("{s:[s,s], s:s, s:i}", "type", "string",
		    "integer", "pattern", SIZE_PATTERN, "minimum", 0);
	case HF_OPT_DURATION:
		return json_pack("{s:s, s:s}", "type", "string", "pattern",
		    DURATION_PATTERN);
	case HF_OPT_PATH:
		return json_pack(
		    "{s:s, s:i}", "type", "string", "minLength", 1);
	default:
		return json_pack("{s:s}", "type", "string");
	}
}

static json_t *
item_schema(const struct hf_option *o)
{
	json_t *forms = json_pack(
	    "[{s:s}, {s:s}]", "$ref", "#/$defs/env", "$ref", "#/$defs/file");

	/* A secret is not to be written out. */
	if ((o->flags & HF_OPT_SECRET) == 0 &&
	    json_array_insert_new(forms, 0, literal_schema(o)) != 0) {
		json_decref(forms);
		return NULL;
	}
	return json_pack("{s:o}", "oneOf", forms);
}

static json_t *
typed(const struct hf_option *o, const char *text)
{
	struct value_problem why;
	struct value v;

	if (!value_from_text(o, text, &v, &why))
		return NULL;
	switch (o->type) {
	case HF_OPT_BOOL:
		return json_boolean(v.b);
	case HF_OPT_INT:
		return json_integer(v.i);
	default: /* as people write it */
		return json_string(text);
	}
}

static json_t *
default_value(const struct hf_option *o)
{
	const char *part;
	json_t *list;
	size_t len;

	if ((o->flags & HF_OPT_LIST) == 0)
		return typed(o, o->def);
	list = json_array();
	for (size_t n = 0; value_part(o->def, n, &part, &len); n++)
		if (json_array_append_new(list, json_stringn(part, len)) != 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *
option_schema(const struct hf_option *o)
{
	json_t *s = item_schema(o);

	if ((o->flags & HF_OPT_LIST) != 0) {
		json_t *item = s;

		s = json_pack("{s:[O, {s:s, s:O}]}", "anyOf", item, "type",
		    "array", "items", item);
		json_decref(item);
	}
	if (s == NULL ||
	    json_object_set_new(s, "description", json_string(o->help)) != 0)
		goto err0;
	if (o->def != NULL &&
	    json_object_set_new(s, "default", default_value(o)) != 0)
		goto err0;
	return s;

err0:
	json_decref(s);
	return NULL;
}

static json_t *
object_schema(void)
{
	return json_pack("{s:s, s:{s:{}}, s:b}", "type", "object", "properties",
	    "$comment", "additionalProperties", 0);
}

/* Has the schema's object "required" this name already? */
static bool
is_required(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), name) ==
		    0)
			return true;
	return false;
}

static int
require(json_t *object, const char *name)
{
	json_t *list = json_object_get(object, "required");

	if (list == NULL) {
		list = json_array();
		if (json_object_set_new(object, "required", list) != 0)
			return -1;
	}
	return is_required(list, name)
		   ? 0
		   : json_array_append_new(list, json_string(name));
}

/* Go down "a.b.c", making the objects on the way. */
static int
place(json_t *object, const struct hf_option *o)
{
	const char *name = o->name, *dot;

	while ((dot = strchr(name, '.')) != NULL) {
		char part[128];
		json_t *properties = json_object_get(object, "properties");
		json_t *inner;

		if ((size_t)(dot - name) >= sizeof part)
			return -1;
		memcpy(part, name, (size_t)(dot - name));
		part[dot - name] = '\0';
		inner = json_object_get(properties, part);
		if (inner == NULL) {
			inner = object_schema();
			if (json_object_set_new(properties, part, inner) != 0)
				return -1;
		}
		if ((o->flags & HF_OPT_REQUIRED) != 0 &&
		    require(object, part) != 0)
			return -1;
		object = inner;
		name = dot + 1;
	}
	if ((o->flags & HF_OPT_REQUIRED) != 0 && require(object, name) != 0)
		return -1;
	return json_object_set_new(
	    json_object_get(object, "properties"), name, option_schema(o));
}

json_t *
options_schema(const struct hf_option *table, size_t stride)
{
	json_t *root = object_schema();
	const struct hf_option *o;

	for (size_t n = 0; (o = options_at(table, stride, n)) != NULL; n++)
		if (place(root, o) != 0) {
			json_decref(root);
			return NULL;
		}
	return root;
}
