/* SPDX-License-Identifier: BSD-2-Clause */
#include "place.h"

#include "control.h"
#include "postgres.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

const char *
place_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

bool
place_folder(const char *path, char *out, size_t cap)
{
	const char *base = place_base(path);
	size_t len = (size_t)(base - path);
	int n;

	while (len > 1 && path[len - 1] == '/')
		len--;
	n = len == 0 ? snprintf(out, cap, ".")
		     : snprintf(out, cap, "%.*s", (int)len, path);
	return n >= 0 && (size_t)n < cap;
}

int
place_control(const char *file, struct control *c, struct hf_error *err)
{
	char folder[PATH_MAX], data[PATH_MAX];

	if (!place_folder(file, folder, sizeof folder) ||
	    !place_folder(folder, data, sizeof data))
		return H->fail(err, HF_E_INVALID, "%s: too long", file);
	if (strcmp(folder, ".") == 0)
		(void)snprintf(data, sizeof data, "..");
	if (control_read(data, c, NULL) == HF_OK)
		return HF_OK;
	return control_read(".", c, err);
}
