/* SPDX-License-Identifier: BSD-2-Clause */
#include "key.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "sha256.h"

static bool
plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/* Components apart by single '/', the last one possibly cut. */
static bool
valid(const char *key, bool prefix)
{
	size_t len = strlen(key);
	char before = '/';

	if (len > KEY_MAX || (len == 0 && !prefix))
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = key[i];

		if (!plain(c) && c != '=' && c != '/')
			return false;
		if (before == '/' && (c == '/' || c == '.'))
			return false;
		before = c;
	}
	return prefix || before != '/';
}

bool
key_valid(const char *key)
{
	return valid(key, false);
}

bool
key_valid_prefix(const char *prefix)
{
	return valid(prefix, true);
}

/* One component, without '/'.  Returns the length written, 0: no room. */
static size_t
escape_component(const char *name, size_t len, char *out, size_t cap)
{
	static const char hex[] = "0123456789ABCDEF";
	char digest[SHA256_HEX];
	size_t n = 0, cut = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];
		bool keep = plain((char)c) && !(c == '.' && i == 0);
		size_t need = keep ? 1 : 3;

		if (n <= 160 && n + need > 160)
			cut = n;
		if (n + need > KEY_COMPONENT_MAX) {
			/* The cut may not part an =XX. */
			if (cut + 34 >= cap ||
			    sha256_of(name, len, digest, NULL) != HF_OK)
				return 0;
			(void)snprintf(out + cut, cap - cut, "=.%.32s", digest);
			return cut + 34;
		}
		if (n + need >= cap)
			return 0;
		if (keep) {
			out[n++] = (char)c;
		} else {
			out[n++] = '=';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	return n;
}

bool
key_escape(const char *name, char *out, size_t cap)
{
	size_t n = 0;

	for (;;) {
		size_t len = strcspn(name, "/"), written;

		if (len == 0 || n >= cap)
			return false;
		written = escape_component(name, len, out + n, cap - n);
		if (written == 0)
			return false;
		n += written;
		name += len;
		if (*name == '\0')
			break;
		if (n + 1 >= cap)
			return false;
		out[n++] = *name++;
	}
	out[n] = '\0';
	return n <= KEY_MAX;
}
