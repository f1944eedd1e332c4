/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "repo/repo_private.h"

int
pairs_add(
    struct text_pair **pairs, size_t *n, const char *key, const char *value)
{
	struct text_pair *grown, *p = NULL;
	char *copy;

	for (size_t i = 0; i < *n && p == NULL; i++)
		if (strcmp((*pairs)[i].key, key) == 0)
			p = &(*pairs)[i];
	if ((copy = strdup(value)) == NULL)
		return HF_E_NOMEM;
	if (p != NULL) {
		free(p->value);
		p->value = copy;
		return HF_OK;
	}
	if ((grown = realloc(*pairs, (*n + 1) * sizeof *grown)) == NULL)
		goto err;
	*pairs = grown;
	if ((grown[*n].key = strdup(key)) == NULL)
		goto err;
	grown[(*n)++].value = copy;
	return HF_OK;
err:
	free(copy);
	return HF_E_NOMEM;
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
