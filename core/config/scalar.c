/* SPDX-License-Identifier: BSD-2-Clause */
#include "scalar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "keys.h"

#define VALUE_FILE_MAX (64u << 10)

bool
scalar_is_reference(const json_t *v)
{
	return json_is_object(v) && (json_object_get(v, "env") != NULL ||
					json_object_get(v, "file") != NULL);
}

const char *
scalar_reference_problem(const json_t *v, const char **key)
{
	const char *name;
	json_t *member;

	*key = NULL;
	if (!scalar_is_reference(v))
		return "expected a string, {\"env\": NAME} or "
		       "{\"file\": PATH}";
	json_object_foreach((json_t *)v, name, member)
	{
		*key = name;
		if (keys_everywhere(name))
			continue;
		if (strcmp(name, "env") != 0 && strcmp(name, "file") != 0 &&
		    strcmp(name, "default") != 0)
			return "unknown key";
		if (!json_is_string(member))
			return "expected a string";
		if (strcmp(name, "default") != 0 &&
		    json_string_length(member) == 0)
			return "is empty";
	}
	*key = NULL;
	if (json_object_get(v, "env") != NULL &&
	    json_object_get(v, "file") != NULL)
		return "\"env\" and \"file\" exclude each other";
	if (json_object_get(v, "file") != NULL &&
	    json_object_get(v, "default") != NULL)
		return "\"default\" belongs to \"env\"";
	return NULL;
}

static int
copy(const char *s, char **out, struct hf_error *err)
{
	if ((*out = strdup(s)) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory");
	return HF_OK;
}

static int
from_env(const json_t *v, const char *name, char **out, struct hf_error *err)
{
	const char *value = getenv(name);

	bool empty = value != NULL && *value == '\0';

	/* Compose files pass on what is not set as an empty text. */
	if (value == NULL || empty)
		value = json_string_value(json_object_get(v, "default"));
	if (value != NULL)
		return copy(value, out, err);
	(void)error_fail(err, HF_E_INVALID, "the environment variable %s is %s",
	    name, empty ? "empty" : "not set");
	error_hint(err,
	    "Set it where this program is started, or write {\"env\": ..., "
	    "\"default\": ...}.");
	return HF_E_INVALID;
}

static int
from_file(const char *name, const char *dir, char **out, struct hf_error *err)
{
	struct buf text = BUF_INIT;
	char *path;
	int rc;

	if ((path = file_absolute(name, dir)) == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory");
	if ((rc = file_read(path, VALUE_FILE_MAX, &text, err)) != HF_OK)
		goto done;
	if (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	if (text.len > 0 && memchr(text.data, 0, text.len) != NULL)
		rc = error_fail(err, HF_E_INVALID, "%s is not a text", path);
	else
		rc = copy(text.len == 0 ? "" : (char *)text.data, out, err);
done:
	buf_free(&text);
	free(path);
	return rc;
}

int
scalar_text(const json_t *v, const char *dir, char **out, struct hf_error *err)
{
	const char *why, *key, *name;

	*out = NULL;
	if (json_is_string(v))
		return copy(json_string_value(v), out, err);
	if ((why = scalar_reference_problem(v, &key)) != NULL)
		return error_fail(err, HF_E_INVALID, "%s", why);
	name = json_string_value(json_object_get(v, "env"));
	if (name != NULL)
		return from_env(v, name, out, err);
	name = json_string_value(json_object_get(v, "file"));
	return from_file(name, dir, out, err);
}

static bool
parse(enum key_type type, const char *s, int64_t *out)
{
	char *end;

	if (type == KEY_SIZE)
		return text_parse_size(s, out);
	if (type == KEY_DURATION)
		return text_parse_duration(s, out);
	*out = strtoll(s, &end, 10);
	return end != s && *end == '\0';
}

/* "LOW..HIGH", HIGH may be missing. */
static bool
in_range(const struct key *key, int64_t v)
{
	char low[32];
	const char *dots;
	int64_t limit;
	int n;

	if (v < 0)
		return false;
	if (key->choices == NULL || (dots = strstr(key->choices, "..")) == NULL)
		return true;
	n = snprintf(
	    low, sizeof low, "%.*s", (int)(dots - key->choices), key->choices);
	if (n < 0 || !parse(key->type, low, &limit) || v < limit)
		return false;
	return dots[2] == '\0' ||
	       (parse(key->type, dots + 2, &limit) && v <= limit);
}

bool
scalar_size(const struct key *key, const json_t *v, int64_t *out)
{
	if (json_is_integer(v))
		*out = json_integer_value(v);
	else if (!json_is_string(v) ||
		 !text_parse_size(json_string_value(v), out))
		return false;
	return in_range(key, *out);
}

bool
scalar_duration(const struct key *key, const json_t *v, int64_t *out)
{
	return json_is_string(v) &&
	       text_parse_duration(json_string_value(v), out) &&
	       in_range(key, *out);
}

bool
scalar_int(const struct key *key, const json_t *v, int64_t *out)
{
	if (!json_is_integer(v))
		return false;
	*out = json_integer_value(v);
	return in_range(key, *out);
}

int64_t
scalar_default(const struct key *key)
{
	int64_t v;

	return key->def != NULL && parse(key->type, key->def, &v) ? v : 0;
}

bool
scalar_choice(const char *choices, const char *s)
{
	size_t len = strlen(s);

	for (const char *c = choices; *c != '\0';) {
		size_t n = strcspn(c, "|");

		if (n == len && memcmp(c, s, n) == 0)
			return true;
		c += n;
		if (*c == '|')
			c++;
	}
	return false;
}

/* At most 40 bytes, and no half of a character. */
static struct scalar_seen
quoted(const char *s)
{
	struct scalar_seen seen;
	size_t n = strlen(s);
	bool cut = n > 40;

	if (cut)
		for (n = 40; n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80;)
			n--;
	(void)snprintf(
	    seen.s, sizeof seen.s, "\"%.*s%s\"", (int)n, s, cut ? "..." : "");
	return seen;
}

struct scalar_seen
scalar_seen(const json_t *v)
{
	struct scalar_seen seen = { "" };
	size_t cap = sizeof seen.s;

	switch (v == NULL ? JSON_NULL : json_typeof(v)) {
	case JSON_OBJECT:
		(void)snprintf(seen.s, cap, "an object");
		break;
	case JSON_ARRAY:
		(void)snprintf(seen.s, cap, "%s",
		    json_array_size(v) == 0 ? "an empty list" : "a list");
		break;
	case JSON_STRING:
		return quoted(json_string_value(v));
	case JSON_INTEGER:
		(void)snprintf(seen.s, cap, "the number %" JSON_INTEGER_FORMAT,
		    json_integer_value(v));
		break;
	case JSON_REAL:
		(void)snprintf(
		    seen.s, cap, "the number %g", json_real_value(v));
		break;
	case JSON_TRUE:
		(void)snprintf(seen.s, cap, "true");
		break;
	case JSON_FALSE:
		(void)snprintf(seen.s, cap, "false");
		break;
	default:
		(void)snprintf(seen.s, cap, "null");
		break;
	}
	return seen;
}

json_t *
scalar_default_json(const struct key *key)
{
	if (strcmp(key->def, "[]") == 0)
		return json_array();
	if (key->type == KEY_BOOL)
		return json_boolean(strcmp(key->def, "true") == 0);
	if (key->type == KEY_INT || strcmp(key->def, "0") == 0)
		return json_integer(scalar_default(key));
	return json_string(key->def);
}
