/* SPDX-License-Identifier: BSD-2-Clause */
#include "path.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static void
put(struct path *p, const char *s)
{
	if (buf_puts(&p->text, s, NULL) != HF_OK)
		p->failed = true;
}

static bool
plain_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '$' ||
	       (unsigned char)c >= 0x80;
}

static bool
plain_key(const char *key)
{
	if (*key == '\0')
		return false;
	for (; *key != '\0'; key++)
		if (!plain_char(*key))
			return false;
	return true;
}

size_t
path_key(struct path *p, const char *key)
{
	size_t mark = p->text.len;
	char one[3] = "\\";

	if (plain_key(key)) {
		if (mark > 0)
			put(p, ".");
		put(p, key);
		return mark;
	}
	put(p, "[\"");
	for (; *key != '\0'; key++) {
		bool escape = *key == '"' || *key == '\\';

		one[1] = *key;
		put(p, escape ? one : one + 1);
	}
	put(p, "\"]");
	return mark;
}

size_t
path_index(struct path *p, size_t index)
{
	size_t mark = p->text.len;
	char text[32];

	(void)snprintf(text, sizeof text, "[%zu]", index);
	put(p, text);
	return mark;
}

size_t
path_join(struct path *p, const char *rest)
{
	size_t mark = p->text.len;

	if (mark > 0 && *rest != '\0' && *rest != '[')
		put(p, ".");
	put(p, rest);
	return mark;
}

void
path_cut(struct path *p, size_t mark)
{
	if (mark < p->text.len) {
		p->text.len = mark;
		p->text.data[mark] = '\0';
	}
}

const char *
path_text(const struct path *p)
{
	return p->text.len == 0 ? "" : (const char *)p->text.data;
}

void
path_free(struct path *p)
{
	buf_free(&p->text);
}

/* After "[": a number or a quoted key, then "]". */
static bool
bracket(const char **cursor, struct path_step *step)
{
	const char *s = *cursor;

	if (*s == '"') {
		step->quoted = true;
		step->key = ++s;
		while (*s != '"') {
			if (*s == '\\')
				s++;
			if (*s == '\0')
				return false;
			s++;
		}
		step->len = (size_t)(s - step->key);
		s++;
	} else {
		step->is_index = true;
		if (*s < '0' || *s > '9')
			return false;
		for (; *s >= '0' && *s <= '9'; s++) {
			if (step->index > 100000000)
				return false;
			step->index = step->index * 10 + (size_t)(*s - '0');
		}
	}
	if (*s != ']')
		return false;
	*cursor = s + 1;
	return true;
}

bool
path_next(const char **cursor, struct path_step *step)
{
	const char *s = *cursor;

	*step = (struct path_step){ 0 };
	if (*s == '[') {
		s++;
		if (!bracket(&s, step))
			return false;
		*cursor = s;
		return true;
	}
	if (*s == '.')
		s++;
	step->key = s;
	while (plain_char(*s))
		s++;
	step->len = (size_t)(s - step->key);
	*cursor = s;
	return step->len > 0;
}

bool
path_step_is(const struct path_step *step, const char *key, size_t len)
{
	size_t at = 0;

	if (step->is_index)
		return false;
	for (size_t i = 0; i < step->len; i++) {
		if (step->quoted && step->key[i] == '\\')
			i++;
		if (at == len || key[at++] != step->key[i])
			return false;
	}
	return at == len;
}

static const json_t *
member(const json_t *object, const struct path_step *step)
{
	const char *key;
	char plain[64];
	json_t *value;

	/* The usual case by hash: fleets have thousands of pipelines. */
	if (!step->quoted && step->len < sizeof plain) {
		memcpy(plain, step->key, step->len);
		plain[step->len] = '\0';
		return json_object_get(object, plain);
	}
	/* jansson takes the object without const, but only reads. */
	json_object_foreach((json_t *)object, key,
	    value) if (path_step_is(step, key, strlen(key))) return value;
	return NULL;
}

const json_t *
path_find(const json_t *json, const char *path)
{
	struct path_step step;

	while (json != NULL && *path != '\0') {
		if (!path_next(&path, &step))
			return NULL;
		json = step.is_index ? json_array_get(json, step.index)
				     : member(json, &step);
	}
	return json;
}
