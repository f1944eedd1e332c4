/* SPDX-License-Identifier: BSD-2-Clause */
#include "waiting.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY ".ready"

static bool
is_history(const char *file)
{
	const char *dot = strchr(file, '.');

	return dot != NULL && strcmp(dot, ".history") == 0;
}

static int
by_turn(const void *a, const void *b)
{
	const char *x = a, *y = b;

	if (is_history(x) != is_history(y))
		return is_history(x) ? -1 : 1;
	return strcmp(x, y);
}

/* "F.ready" of a name that is one of WAL; the name into file. */
static bool
is_ready(const char *entry, char file[WAL_FILE_MAX])
{
	size_t len = strlen(entry), suffix = strlen(READY);

	if (len <= suffix || len - suffix >= WAL_FILE_MAX ||
	    strcmp(entry + len - suffix, READY) != 0 ||
	    strspn(entry, "0123456789ABCDEF") < 8)
		return false;
	(void)snprintf(file, WAL_FILE_MAX, "%.*s", (int)(len - suffix), entry);
	return true;
}

static bool
add(struct waiting *w, size_t *cap, const char *file)
{
	char(*more)[WAL_FILE_MAX];

	if (w->n == *cap) {
		*cap = *cap == 0 ? 64 : *cap * 2;
		more = realloc(w->files, *cap * sizeof *w->files);
		if (more == NULL)
			return false;
		w->files = more;
	}
	(void)snprintf(w->files[w->n++], WAL_FILE_MAX, "%s", file);
	return true;
}

/* All of them; thousands are no trouble, at 64 bytes each. */
static void
collect(struct waiting *w, DIR *dir, const char *not_this)
{
	char file[WAL_FILE_MAX];
	struct dirent *d;
	size_t cap = 0;

	while ((d = readdir(dir)) != NULL)
		if (is_ready(d->d_name, file) && strcmp(file, not_this) != 0 &&
		    !add(w, &cap, file))
			break;
}

bool
waiting_has(const char *folder, const char *file)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/archive_status/%s" READY, folder,
		   file) < (int)sizeof path &&
	       access(path, F_OK) == 0;
}

void
waiting_find(struct waiting *w, const char *folder, const char *file,
    size_t most, bool (*skip)(void *arg, const char *file), void *arg)
{
	char path[PATH_MAX];
	size_t kept = 0;
	DIR *dir;

	w->files = NULL;
	w->n = 0;
	if (snprintf(path, sizeof path, "%s/archive_status", folder) >=
		(int)sizeof path ||
	    (dir = opendir(path)) == NULL)
		return;
	collect(w, dir, file);
	(void)closedir(dir);
	if (w->n > 1)
		qsort(w->files, w->n, sizeof *w->files, by_turn);
	for (size_t i = 0; i < w->n && kept < most; i++)
		if (!skip(arg, w->files[i])) {
			memmove(w->files[kept], w->files[i], WAL_FILE_MAX);
			kept++;
		}
	w->n = kept;
}

const char *
waiting_file(const struct waiting *w, size_t n)
{
	return w->files[n];
}

void
waiting_free(struct waiting *w)
{
	free(w->files);
	w->files = NULL;
	w->n = 0;
}
