/* SPDX-License-Identifier: BSD-2-Clause */
#include "secret.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct secret {
	struct secret *next;
	size_t len;
	char value[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct secret *secrets;

void
secret_add(const char *value)
{
	size_t len = value == NULL ? 0 : strlen(value);
	struct secret *s;

	if (len < 4)
		return;
	pthread_mutex_lock(&lock);
	for (s = secrets; s != NULL; s = s->next)
		if (s->len == len && memcmp(s->value, value, len) == 0)
			break;
	if (s == NULL && (s = malloc(sizeof *s + len + 1)) != NULL) {
		s->len = len;
		memcpy(s->value, value, len + 1);
		s->next = secrets;
		secrets = s;
	}
	pthread_mutex_unlock(&lock);
}

static void
add_piece(const char *from, size_t len)
{
	char *copy = strndup(from, len);

	secret_add(copy);
	if (copy != NULL)
		explicit_bzero(copy, len);
	free(copy);
}

/* A value as it is written, with its escapes: 'a b' or a. */
static size_t
value_length(const char *v, bool quoted)
{
	size_t n = 0;

	for (; v[n] != '\0'; n++) {
		if (quoted ? v[n] == '\'' : strchr(" \t\n&", v[n]) != NULL)
			break;
		if (v[n] == '\\' && v[n + 1] != '\0')
			n++;
	}
	return n;
}

void
secret_add_within(const char *place)
{
	static const char word[] = "password";
	const char *at = strstr(place, "://"), *p;

	if (at != NULL) {
		size_t len = strcspn(at + 3, "/?");
		const char *end = memrchr(at + 3, '@', len),
			   *colon = end == NULL ? NULL
						: memchr(at + 3, ':',
						      (size_t)(end - at) - 3);

		if (colon != NULL)
			add_piece(colon + 1, (size_t)(end - colon) - 1);
	}
	for (p = place; (p = strstr(p, word)) != NULL;) {
		p += sizeof word - 1;
		p += strspn(p, " \t\n");
		if (*p != '=')
			continue;
		p++;
		p += strspn(p, " \t\n");
		if (*p == '\'')
			add_piece(p + 1, value_length(p + 1, true));
		else
			add_piece(p, value_length(p, false));
	}
}

void
secret_scrub(char *text)
{
	pthread_mutex_lock(&lock);
	for (struct secret *s = secrets; s != NULL; s = s->next)
		for (char *p = text; (p = strstr(p, s->value)) != NULL;)
			memset(p, '*', s->len);
	pthread_mutex_unlock(&lock);
}

void
secret_forget(void)
{
	pthread_mutex_lock(&lock);
	while (secrets != NULL) {
		struct secret *s = secrets;
		secrets = s->next;
		explicit_bzero(s->value, s->len);
		free(s);
	}
	pthread_mutex_unlock(&lock);
}
