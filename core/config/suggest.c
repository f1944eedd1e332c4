/* SPDX-License-Identifier: BSD-2-Clause */
#include "suggest.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "keys.h"

#define LIST_MAX 400

char *
suggest_names(const char *typed, const char *const *names, const char *what)
{
	const char *near = text_nearest(typed, names);
	struct buf list = BUF_INIT;
	char *hint = NULL;

	for (size_t i = 0; names[i] != NULL; i++) {
		bool full = list.len + strlen(names[i]) > LIST_MAX;

		if (i > 0 && buf_puts(&list, ", ", NULL) != HF_OK)
			goto done;
		if (buf_puts(&list, full ? "..." : names[i], NULL) != HF_OK)
			goto done;
		if (full)
			break;
	}
	if (list.len == 0)
		goto done;
	if (near != NULL)
		hint = text_format("Did you mean \"%s\"? %s: %s.", near, what,
		    (char *)list.data);
	else
		hint = text_format("%s: %s.", what, (char *)list.data);
done:
	buf_free(&list);
	return hint;
}

char *
suggest_members(const char *typed, const json_t *object, const char *what)
{
	const char **names, *key;
	json_t *value;
	size_t n = 0;
	char *hint;

	names = calloc(json_object_size(object) + 1, sizeof *names);
	if (names == NULL)
		return NULL;
	json_object_foreach((json_t *)object, key,
	    value) if (!keys_everywhere(key)) names[n++] = key;
	hint = suggest_names(typed, names, what);
	free(names);
	return hint;
}
