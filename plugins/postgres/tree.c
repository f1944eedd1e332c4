/* SPDX-License-Identifier: BSD-2-Clause */
#include "tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 16

int
tree_open(int dir, const char *name)
{
	return openat(
	    dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Closes fd. */
static bool
remove_below(int fd, unsigned depth)
{
	struct dirent *entry;
	bool all = true;
	DIR *d;

	if (depth > DEPTH_MAX || (d = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return false;
	}
	rewinddir(d);
	while ((entry = readdir(d)) != NULL) {
		const char *name = entry->d_name;
		int below;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (unlinkat(fd, name, 0) == 0)
			continue;
		if ((below = tree_open(fd, name)) >= 0)
			(void)remove_below(below, depth + 1);
		if (unlinkat(fd, name, AT_REMOVEDIR) != 0)
			all = false;
	}
	(void)closedir(d);
	return all;
}

bool
tree_empty(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy >= 0 && remove_below(copy, 0);
}

void
tree_remove(int dir, const char *name)
{
	int fd = tree_open(dir, name);

	if (fd < 0)
		return;
	(void)remove_below(fd, 0);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
}
