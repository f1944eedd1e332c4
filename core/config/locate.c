/* SPDX-License-Identifier: BSD-2-Clause */
#include "locate.h"

#include <stddef.h>
#include <stdint.h>

#include "path.h"

static const char *
skip_space(const char *s)
{
	while (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r')
		s++;
	return s;
}

/* s stands on the opening quote; the result behind the closing one. */
static const char *
skip_string(const char *s)
{
	for (s++; *s != '\0' && *s != '"'; s++)
		if (*s == '\\' && s[1] != '\0')
			s++;
	return *s == '"' ? s + 1 : s;
}

/* Counts brackets instead of recursing: depth is the text's to choose. */
static const char *
skip_value(const char *s)
{
	size_t depth = 0;

	for (; *s != '\0'; s++) {
		if (*s == '"') {
			s = skip_string(s) - 1;
		} else if (*s == '{' || *s == '[') {
			depth++;
		} else if (*s == '}' || *s == ']') {
			if (depth == 0)
				return s;
			depth--;
		} else if (*s == ',' && depth == 0) {
			return s;
		}
	}
	return s;
}

static unsigned
hex4(const char *s)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++) {
		char c = s[i];

		if (c >= '0' && c <= '9')
			v = v * 16 + (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (unsigned)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v * 16 + (unsigned)(c - 'A' + 10);
		else
			return 0;
	}
	return v;
}

static size_t
utf8(unsigned cp, char out[4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

/* One character of a string in the text: its bytes, and what it took. */
static const char *
character(const char *s, char out[4], size_t *n)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	unsigned cp;

	*n = 1;
	out[0] = *s++;
	if (out[0] != '\\')
		return s;
	out[0] = *s;
	for (size_t i = 0; from[i] != '\0'; i++)
		if (*s == from[i])
			out[0] = to[i];
	if (*s != 'u')
		return *s == '\0' ? s : s + 1;
	cp = hex4(++s);
	for (int i = 0; i < 4 && *s != '\0' && *s != '"'; i++)
		s++;
	if (cp >= 0xd800 && cp < 0xdc00 && s[0] == '\\' && s[1] == 'u') {
		unsigned low = hex4(s + 2);

		if (low >= 0xdc00 && low < 0xe000) {
			cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
			s += 6;
		}
	}
	*n = utf8(cp, out);
	return s;
}

/* s stands on the opening quote of a key. */
static bool
key_is(const char *s, const struct path_step *step)
{
	size_t at = 0, n;
	char bytes[4];

	if (step->is_index)
		return false;
	for (s++; *s != '\0' && *s != '"';) {
		s = character(s, bytes, &n);
		for (size_t i = 0; i < n; i++) {
			if (at < step->len && step->quoted &&
			    step->key[at] == '\\')
				at++;
			if (at >= step->len || step->key[at++] != bytes[i])
				return false;
		}
	}
	return at == step->len;
}

/* One step down from the value at s: the child's value, and for a member
 * its key; NULL when it is not there. */
static const char *
step_down(const char *s, const struct path_step *step, const char **key)
{
	const char open = step->is_index ? '[' : '{';
	size_t index = 0;

	if (*s != open)
		return NULL;
	for (s = skip_space(s + 1); *s != '\0' && *s != '}' && *s != ']';) {
		bool found;

		if (step->is_index) {
			*key = s;
			found = index++ == step->index;
		} else {
			if (*s != '"')
				return NULL;
			*key = s;
			found = key_is(s, step);
			s = skip_space(skip_string(s));
			if (*s != ':')
				return NULL;
			s = skip_space(s + 1);
		}
		if (found)
			return s;
		s = skip_value(s);
		if (*s == ',')
			s = skip_space(s + 1);
	}
	return NULL;
}

bool
locate_path(
    const char *json, const char *path, bool key, int *line, int *column)
{
	const char *value = skip_space(json), *name = value, *at;
	struct path_step step;
	bool found = true;

	while (*path != '\0') {
		const char *child, *child_key = NULL;

		if (!path_next(&path, &step) ||
		    (child = step_down(value, &step, &child_key)) == NULL) {
			found = false;
			break;
		}
		value = child;
		name = child_key;
	}
	at = key ? name : value;
	*line = *column = 1;
	for (; json < at; json++) {
		if (*json == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)*json & 0xc0) != 0x80) {
			++*column; /* characters, not bytes */
		}
	}
	return found;
}
