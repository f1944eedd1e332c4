/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <string.h>

#include "base/error.h"

/* The object at "a.b" for "a.b.c", made on the way; NULL when something else
 * stands there. */
static json_t *
descend(json_t *object, const char **name, size_t *len)
{
	size_t part;

	while ((part = strcspn(*name, ".")) < *len) {
		char key[128];
		json_t *inner;

		if (part == 0 || part >= sizeof key)
			return NULL;
		memcpy(key, *name, part);
		key[part] = '\0';
		inner = json_object_get(object, key);
		if (inner == NULL) {
			inner = json_object();
			if (json_object_set_new(object, key, inner) != 0)
				return NULL;
		}
		if (!json_is_object(inner))
			return NULL;
		object = inner;
		*name += part + 1;
		*len -= part + 1;
	}
	return object;
}

/* {"env": ...} and {"file": ...} as in a configuration; all else is text. */
static json_t *
value_of(const char *text)
{
	json_t *j = text[0] == '{' ? json_loads(text, 0, NULL) : NULL;

	if (json_object_get(j, "env") != NULL ||
	    json_object_get(j, "file") != NULL)
		return j;
	json_decref(j);
	return json_string(text);
}

/* Takes value over. */
static int
add(json_t *object, const char *key, json_t *value)
{
	json_t *old = json_object_get(object, key);
	json_t *list;

	if (value == NULL)
		return -1;
	if (old == NULL)
		return json_object_set_new(object, key, value);
	if (json_is_array(old))
		return json_array_append_new(old, value);
	list = json_array();
	if (json_array_append(list, old) != 0 ||
	    json_array_append(list, value) != 0) {
		json_decref(list);
		json_decref(value);
		return -1;
	}
	json_decref(value);
	return json_object_set_new(object, key, list);
}

static int
add_arg(json_t *root, const char *arg, struct hf_error *err)
{
	const char *name = arg, *equals = strchr(arg, '=');
	size_t len = equals == NULL ? 0 : (size_t)(equals - arg);
	char key[128];
	json_t *object;

	if (len == 0) {
		(void)error_fail(err, HF_E_INVALID,
		    "expected name=value, found \"%.64s\"", arg);
		error_hint(err, "Write an option as in: -o level=6");
		return HF_E_INVALID;
	}
	object = descend(root, &name, &len);
	if (object == NULL || len == 0 || len >= sizeof key)
		return error_fail(err, HF_E_INVALID,
		    "the option name \"%.*s\" cannot be used",
		    (int)(equals - arg < 64 ? equals - arg : 64), arg);
	memcpy(key, name, len);
	key[len] = '\0';
	/* Only text that is not UTF-8 fails here, if not for memory. */
	if (add(object, key, value_of(equals + 1)) != 0)
		return error_fail(err, HF_E_INVALID,
		    "the value of the option \"%s\" is not UTF-8 text", key);
	return HF_OK;
}

int
options_from_args(const char *const *args, json_t **out, struct hf_error *err)
{
	json_t *root = json_object();
	int rc;

	*out = NULL;
	if (root == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory for options");
	for (; args != NULL && *args != NULL; args++)
		if ((rc = add_arg(root, *args, err)) != HF_OK) {
			json_decref(root);
			return rc;
		}
	*out = root;
	return HF_OK;
}
