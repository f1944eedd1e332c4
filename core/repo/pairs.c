/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "repo/repo_private.h"

int
pairs_append(
    struct text_pair **pairs, size_t *n, const char *key, const char *value)
{
	struct text_pair *grown = *pairs;

	/* A list of 2^k is full. */
	if ((*n & (*n - 1)) == 0) {
		grown =
		    reallocarray(*pairs, *n == 0 ? 1 : 2 * *n, sizeof *grown);
		if (grown == NULL)
			return HF_E_NOMEM;
		*pairs = grown;
	}
	grown[*n].key = strdup(key);
	grown[*n].value = strdup(value);
	if (grown[*n].key == NULL || grown[*n].value == NULL) {
		free(grown[*n].key);
		free(grown[*n].value);
		return HF_E_NOMEM;
	}
	(*n)++;
	return HF_OK;
}

int
pairs_add(
    struct text_pair **pairs, size_t *n, const char *key, const char *value)
{
	char *copy;

	for (size_t i = 0; i < *n; i++) {
		if (strcmp((*pairs)[i].key, key) != 0)
			continue;
		if ((copy = strdup(value)) == NULL)
			return HF_E_NOMEM;
		free((*pairs)[i].value);
		(*pairs)[i].value = copy;
		return HF_OK;
	}
	return pairs_append(pairs, n, key, value);
}

void
pairs_free(struct text_pair **pairs, size_t *n)
{
	for (size_t i = 0; i < *n; i++) {
		free((*pairs)[i].key);
		free((*pairs)[i].value);
	}
	free(*pairs);
	*pairs = NULL;
	*n = 0;
}
