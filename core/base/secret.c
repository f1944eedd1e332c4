/* SPDX-License-Identifier: BSD-2-Clause */
#include "secret.h"

#include <pthread.h>
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
