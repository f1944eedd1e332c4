/* SPDX-License-Identifier: BSD-2-Clause */
#include "check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cron.h"
#include "keys.h"
#include "problem.h"
#include "suggest.h"
#include "scalar.h"

static void
check_value(struct check *, const json_t *, const struct key *, bool partial);
static void
check_table(struct check *, const json_t *, const struct keys *, bool partial);

static const char *const name_hint =
    "Names are letters, digits, '-' and '_', start with a letter or digit "
    "and have at most 63 characters.";

/* "expected X, found Y" */
static void
expected(struct check *c, const json_t *v, const char *what, const char *hint)
{
	problem_add(c->problems, 0, path_text(&c->path), hint,
	    "expected %s, found %s", what, scalar_seen(v).s);
}

static void
unknown_key(struct check *c, const struct keys *keys, const char *name)
{
	const char *names[KEYS_MAX];
	char *hint;

	keys_names(keys, false, names);
	hint = suggest_names(name, names, "Valid keys");
	problem_add(
	    c->problems, PROBLEM_KEY, path_text(&c->path), hint, "unknown key");
	free(hint);
}

static void
missing(struct check *c, const char *path, const struct keys *keys,
    const struct key *key)
{
	char *hint;

	if (key == NULL) {
		problem_add(c->problems, PROBLEM_KEY, path, NULL,
		    "missing key \"%s\" or \"%s\"", keys->one, keys->other);
		return;
	}
	hint = text_format("\"%s\": %s.", key->name, key->help);
	problem_add(c->problems, PROBLEM_KEY, path, hint, "missing key \"%s\"",
	    key->name);
	free(hint);
}

static void
check_number(struct check *c, const json_t *v, const struct key *key)
{
	const char *dots = strstr(key->choices, "..");
	char *what;
	int64_t n;

	if (scalar_int(key, v, &n))
		return;
	if (dots[2] == '\0')
		what = text_format("a whole number from %.*s",
		    (int)(dots - key->choices), key->choices);
	else if (strncmp(key->choices, dots + 2, strlen(dots + 2)) == 0)
		what = text_format("%s", dots + 2);
	else
		what = text_format("a whole number from %.*s to %s",
		    (int)(dots - key->choices), key->choices, dots + 2);
	expected(c, v, what == NULL ? "another number" : what, NULL);
	free(what);
}

static void
check_measure(struct check *c, const json_t *v, const struct key *key)
{
	bool size = key->type == KEY_SIZE;
	const char *dots;
	char *what = NULL;
	int64_t n;

	if (size ? scalar_size(key, v, &n) : scalar_duration(key, v, &n))
		return;
	dots = key->choices == NULL ? NULL : strstr(key->choices, "..");
	if (dots != NULL)
		what = text_format("a %s from %.*s%s%s",
		    size ? "size" : "duration", (int)(dots - key->choices),
		    key->choices, dots[2] == '\0' ? "" : " to ", dots + 2);
	expected(c, v,
	    what != NULL ? what
	    : size       ? "a size"
			 : "a duration",
	    size ? "Sizes are written as \"16MiB\", \"10GB\" or a number of "
		   "bytes."
		 : "Durations are written as \"90s\", \"10m\", \"26h\", "
		   "\"7d\".");
	free(what);
}

static void
check_enum(struct check *c, const json_t *v, const struct key *key)
{
	char *what, *to;

	if (json_is_string(v) &&
	    scalar_choice(key->choices, json_string_value(v)))
		return;
	/* "a|b" reads as "a", "b" */
	if ((what = malloc(4 * strlen(key->choices) + 16)) == NULL) {
		c->failed = true;
		return;
	}
	to = what;
	memcpy(to, "one of \"", 8);
	to += 8;
	for (const char *s = key->choices; *s != '\0'; s++) {
		if (*s == '|') {
			memcpy(to, "\", \"", 4);
			to += 4;
		} else {
			*to++ = *s;
		}
	}
	memcpy(to, "\"", 2);
	expected(c, v, what, NULL);
	free(what);
}

static void
check_cron(struct check *c, const json_t *v)
{
	const char *why;

	if (!json_is_string(v))
		expected(c, v, "five cron fields such as \"30 2 * * *\"", NULL);
	else if (!cron_check(json_string_value(v), &why))
		expected(c, v, "five cron fields such as \"30 2 * * *\"", why);
}

static void
check_text(struct check *c, const json_t *v)
{
	const char *why, *key;
	size_t mark;

	if (json_is_string(v)) {
		if (json_string_length(v) == 0)
			expected(c, v, "a text", NULL);
		return;
	}
	if ((why = scalar_reference_problem(v, &key)) == NULL)
		return;
	if (key == NULL && !scalar_is_reference(v)) {
		expected(c, v, why + strlen("expected "), NULL);
		return;
	}
	mark = c->path.text.len;
	if (key != NULL)
		(void)path_key(&c->path, key);
	problem_add(c->problems, 0, path_text(&c->path), NULL, "%s", why);
	path_cut(&c->path, mark);
}

static void
check_labels(struct check *c, const json_t *v)
{
	const char *name;
	json_t *value;

	if (!json_is_object(v)) {
		expected(c, v, "an object of texts", NULL);
		return;
	}
	json_object_foreach((json_t *)v, name, value)
	{
		size_t mark;

		if (keys_everywhere(name))
			continue;
		mark = path_key(&c->path, name);
		check_text(c, value);
		path_cut(&c->path, mark);
	}
}

static bool
seen_before(const json_t *list, size_t i)
{
	const json_t *v = json_array_get(list, i);

	for (size_t j = 0; j < i; j++)
		if (json_equal(json_array_get(list, j), v))
			return true;
	return false;
}

static void
check_name(struct check *c, const json_t *list, size_t i, const char *map)
{
	const json_t *v = json_array_get(list, i), *names;
	const char *path = path_text(&c->path), *name = json_string_value(v);
	char *hint, what[32];

	if (name == NULL) {
		expected(c, v, "a name", NULL);
		return;
	}
	names = json_object_get(c->doc, map);
	if (!json_is_object(json_object_get(names, name))) {
		(void)snprintf(what, sizeof what, "The %s of this file", map);
		hint = suggest_members(name, names, what);
		problem_add(c->problems, 0, path,
		    hint != NULL ? hint : "This file defines none.",
		    "no %.*s named \"%s\"", (int)strlen(map) - 1, map, name);
		free(hint);
	} else if (seen_before(list, i)) {
		problem_add(c->problems, 0, path, NULL,
		    "\"%s\" is in this list already", name);
	}
}

static void
check_list(struct check *c, const json_t *v, const struct key *key)
{
	static const char *const what[] = { [KEY_NAMES] = "a list of names",
		[KEY_COMMAND] = "a list of strings",
		[KEY_OBJECTS] = "a list of objects",
		[KEY_EITHER] = "an object or a list of objects" };
	bool objects = key->type == KEY_OBJECTS || key->type == KEY_EITHER;

	if (!json_is_array(v) ||
	    (json_array_size(v) == 0 && (key->flags & KEY_NONEMPTY) != 0)) {
		expected(c, v, what[key->type], NULL);
		return;
	}
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *item = json_array_get(v, i);
		size_t mark = path_index(&c->path, i);

		if (key->type == KEY_NAMES)
			check_name(c, v, i, key->choices);
		else if (objects)
			check_table(c, item, key->sub, false);
		else if (!json_is_string(item))
			expected(c, item, "a string", NULL);
		path_cut(&c->path, mark);
	}
}

/* The name that differs from this one in case alone, or NULL.  seen: those
 * before it, by their small letters; valid names have no others. */
static const char *
same_but_case(struct check *c, json_t *seen, const char *name)
{
	char small[64];
	size_t n = 0;
	const json_t *other;

	for (; name[n] != '\0' && n < sizeof small - 1; n++)
		small[n] = (char)(name[n] >= 'A' && name[n] <= 'Z'
				      ? name[n] - 'A' + 'a'
				      : name[n]);
	small[n] = '\0';
	if ((other = json_object_get(seen, small)) != NULL)
		return json_string_value(other);
	if (json_object_set_new(seen, small, json_string(name)) != 0)
		c->failed = true;
	return NULL;
}

static void
check_map(struct check *c, const json_t *v, const struct key *key)
{
	const char *name, *other;
	json_t *value, *seen;

	if (!json_is_object(v)) {
		expected(c, v, "an object of named ones", NULL);
		return;
	}
	seen = json_object();
	json_object_foreach((json_t *)v, name, value)
	{
		size_t mark;

		if (keys_everywhere(name))
			continue;
		mark = path_key(&c->path, name);
		if (!keys_name_valid(name))
			problem_add(c->problems, PROBLEM_KEY,
			    path_text(&c->path), name_hint, "not a valid name");
		else if ((other = same_but_case(c, seen, name)) != NULL)
			problem_add(c->problems, PROBLEM_KEY,
			    path_text(&c->path),
			    "Some file systems take both for the same name.",
			    "differs from \"%s\" in case alone", other);
		check_table(c, value, key->sub, key->sub == &keys_pipeline);
		path_cut(&c->path, mark);
	}
	json_decref(seen);
}

static void
check_require(struct check *c, const json_t *v)
{
	const char *s = json_string_value(v);

	if (s != NULL && scalar_choice("all|any", s))
		return;
	if (!json_is_integer(v) || json_integer_value(v) < 1)
		expected(c, v, "\"all\", \"any\" or a number of sinks", NULL);
}

static void
check_string(struct check *c, const json_t *v, const char *key)
{
	if (json_string_length(v) == 0)
		expected(c, v, "a string", NULL);
	else if (strcmp(key, "name") == 0 &&
		 !keys_name_valid(json_string_value(v)))
		expected(c, v, "a name", name_hint);
}

static void
check_simple(struct check *c, const json_t *v, const struct key *key)
{
	switch (key->type) {
	case KEY_STRING:
		check_string(c, v, key->name);
		break;
	case KEY_TEXT:
	case KEY_PATH:
		check_text(c, v);
		break;
	case KEY_BOOL:
		if (!json_is_boolean(v))
			expected(c, v, "true or false", NULL);
		break;
	case KEY_INT:
		check_number(c, v, key);
		break;
	case KEY_NUMBER:
		if (!json_is_number(v))
			expected(c, v, "a number", NULL);
		break;
	case KEY_SCALAR:
		if (!json_is_number(v) && !json_is_string(v) &&
		    !json_is_boolean(v))
			expected(c, v, "a string, number or boolean", NULL);
		break;
	case KEY_SIZE:
	case KEY_DURATION:
		check_measure(c, v, key);
		break;
	case KEY_ENUM:
		check_enum(c, v, key);
		break;
	case KEY_CRON:
		check_cron(c, v);
		break;
	case KEY_REQUIRE:
		check_require(c, v);
		break;
	default:
		break;
	}
}

static void
check_value(
    struct check *c, const json_t *v, const struct key *key, bool partial)
{
	switch (key->type) {
	case KEY_LABELS:
		check_labels(c, v);
		break;
	case KEY_NAMES:
	case KEY_COMMAND:
	case KEY_OBJECTS:
		check_list(c, v, key);
		break;
	case KEY_EITHER:
		if (json_is_object(v))
			check_table(c, v, key->sub, partial);
		else
			check_list(c, v, key);
		break;
	case KEY_OBJECT:
		check_table(
		    c, v, key->sub, partial || key->sub == &keys_pipeline);
		break;
	case KEY_MAP:
		check_map(c, v, key);
		break;
	default:
		check_simple(c, v, key);
		break;
	}
}

static void
note_later(struct check *c, const struct key *key)
{
	if ((key->flags & KEY_LATER) == 0)
		return;
	for (size_t i = 0; i < c->nlater; i++)
		if (c->later[i] == key)
			return;
	if (c->nlater < CHECK_LATER_MAX)
		c->later[c->nlater++] = key;
}

/* Rules about several keys of one object. */
static void
check_together(struct check *c, const json_t *v, const struct keys *keys)
{
	size_t mark, i;

	if (keys->one != NULL && json_object_get(v, keys->one) != NULL &&
	    json_object_get(v, keys->other) != NULL) {
		mark = path_key(&c->path, keys->other);
		problem_add(c->problems, PROBLEM_KEY, path_text(&c->path), NULL,
		    "\"%s\" and \"%s\" exclude each other", keys->one,
		    keys->other);
		path_cut(&c->path, mark);
	}
	if (keys->some == NULL)
		return;
	for (i = 0; keys->some[i] != NULL; i++)
		if (json_object_get(v, keys->some[i]) != NULL)
			return;
	problem_add(c->problems, 0, path_text(&c->path),
	    "One of \"min\", \"max\", \"equals\", \"newer_than\" says what "
	    "the value must be.",
	    "expects nothing of the value");
}

static void
check_table(
    struct check *c, const json_t *v, const struct keys *keys, bool partial)
{
	const struct key *key;
	const char *name;
	json_t *value;

	if (!json_is_object(v)) {
		expected(c, v, "an object", NULL);
		return;
	}
	json_object_foreach((json_t *)v, name, value)
	{
		size_t mark;

		if (keys_everywhere(name))
			continue;
		key = keys_find(keys, name);
		if (key == NULL && keys->plugin != NULL)
			continue; /* an option: the plugin's own table */
		mark = path_key(&c->path, name);
		if (key == NULL) {
			unknown_key(c, keys, name);
		} else {
			note_later(c, key);
			check_value(c, value, key, partial);
		}
		path_cut(&c->path, mark);
	}
	check_together(c, v, keys);
	for (key = keys->list; !partial && key->name != NULL; key++)
		if ((key->flags & KEY_REQUIRED) != 0 &&
		    json_object_get(v, key->name) == NULL)
			missing(c, path_text(&c->path), keys, key);
}

static const char *const later_hint =
    "Start holdfast from cron or a timer, and look after what the other keys "
    "promise yourself, until a version that acts on them.";

static void
warn_later(struct check *c)
{
	struct buf names = BUF_INIT;
	const char *path = "";
	const json_t *pipelines, *p;
	const char *name;
	json_t *value;

	if (c->nlater == 0)
		return;
	for (size_t i = 0; i < c->nlater; i++)
		if (buf_puts(&names, i == 0 ? "" : ", ", NULL) != 0 ||
		    buf_puts(&names, c->later[i]->name, NULL) != 0)
			c->failed = true;
	/* Point at the first of them. */
	p = json_object_get(
	    json_object_get(c->doc, "defaults"), c->later[0]->name);
	if (p != NULL) {
		(void)path_key(&c->path, "defaults");
		(void)path_key(&c->path, c->later[0]->name);
	}
	pipelines = json_object_get(c->doc, "pipelines");
	json_object_foreach((json_t *)pipelines, name, value)
	{
		if (p != NULL)
			break;
		p = json_object_get(value, c->later[0]->name);
		if (p != NULL) {
			(void)path_key(&c->path, "pipelines");
			(void)path_key(&c->path, name);
			(void)path_key(&c->path, c->later[0]->name);
		}
	}
	path = path_text(&c->path);
	problem_add(c->problems, PROBLEM_WARNING | PROBLEM_KEY, path,
	    later_hint,
	    "this version reads and checks %s, but does not act on %s",
	    names.len == 0 ? "them" : (char *)names.data,
	    c->nlater == 1 ? "it" : "them");
	path_cut(&c->path, 0);
	buf_free(&names);
}

void
check_document(struct check *c)
{
	check_table(c, c->doc, &keys_top, false);
	warn_later(c);
}

void
check_origin(
    const json_t *doc, const char *pipeline, const char *rest, struct path *out)
{
	path_cut(out, 0);
	(void)path_key(out, "pipelines");
	(void)path_key(out, pipeline);
	(void)path_join(out, rest);
	if (path_find(doc, path_text(out)) != NULL)
		return;
	path_cut(out, 0);
	(void)path_key(out, "defaults");
	(void)path_join(out, rest);
	if (path_find(doc, path_text(out)) != NULL)
		return;
	path_cut(out, 0);
	(void)path_key(out, "pipelines");
	(void)path_key(out, pipeline);
	(void)path_join(out, rest);
}

static void
complete(struct check *c, const char *pipeline, const json_t *v,
    const struct keys *keys, struct path *rest)
{
	struct path origin = PATH_INIT;

	check_origin(c->doc, pipeline, path_text(rest), &origin);
	for (const struct key *k = keys->list; k->name != NULL; k++) {
		const json_t *value = json_object_get(v, k->name);
		size_t mark;

		if (value == NULL && (k->flags & KEY_REQUIRED) != 0)
			missing(c, path_text(&origin), keys, k);
		if ((k->type != KEY_OBJECT && k->type != KEY_EITHER) ||
		    !json_is_object(value))
			continue;
		mark = path_key(rest, k->name);
		complete(c, pipeline, value, k->sub, rest);
		path_cut(rest, mark);
	}
	if (keys->one_needed && json_object_get(v, keys->one) == NULL &&
	    json_object_get(v, keys->other) == NULL)
		missing(c, path_text(&origin), keys, NULL);
	c->failed = c->failed || origin.failed;
	path_free(&origin);
}

void
check_complete(struct check *c, const char *pipeline, const json_t *merged)
{
	struct path rest = PATH_INIT;

	complete(c, pipeline, merged, &keys_pipeline, &rest);
	c->failed = c->failed || rest.failed;
	path_free(&rest);
}

void
check_free(struct check *c)
{
	path_free(&c->path);
}
