/* SPDX-License-Identifier: BSD-2-Clause */
#include "users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMED 5

/* Does the process have the inode open?  Descriptors are looked at with
 * stat() alone, so nothing is opened or closed. */
static bool
has_open(const char *pid, const struct stat *want)
{
	char dirname[64], name[96];
	struct dirent *de;
	struct stat st;
	bool found = false;
	DIR *dir;

	(void)snprintf(dirname, sizeof dirname, "/proc/%.16s/fd", pid);
	if ((dir = opendir(dirname)) == NULL)
		return false;
	while (!found && (de = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)de->d_name[0]))
			continue;
		(void)snprintf(
		    name, sizeof name, "%s/%.16s", dirname, de->d_name);
		found = stat(name, &st) == 0 && st.st_dev == want->st_dev &&
			st.st_ino == want->st_ino;
	}
	(void)closedir(dir);
	return found;
}

static void
command_of(const char *pid, char *buf, size_t cap)
{
	char name[64];
	ssize_t n = -1;
	int fd;

	(void)snprintf(name, sizeof name, "/proc/%.16s/comm", pid);
	if ((fd = open(name, O_RDONLY | O_CLOEXEC)) != -1) {
		n = read(fd, buf, cap - 1);
		(void)close(fd);
	}
	if (n <= 0) {
		(void)snprintf(buf, cap, "a process");
		return;
	}
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

unsigned
users_of(const char *path, char *buf, size_t cap)
{
	char self[24], command[64];
	struct dirent *de;
	struct stat want;
	unsigned n = 0;
	size_t used = 0;
	DIR *proc;
	int w;

	buf[0] = '\0';
	if (stat(path, &want) != 0 || (proc = opendir("/proc")) == NULL)
		return 0;
	(void)snprintf(self, sizeof self, "%ld", (long)getpid());
	while ((de = readdir(proc)) != NULL) {
		if (!isdigit((unsigned char)de->d_name[0]) ||
		    strcmp(de->d_name, self) == 0 ||
		    !has_open(de->d_name, &want))
			continue;
		if (n++ >= NAMED || used >= cap)
			continue;
		command_of(de->d_name, command, sizeof command);
		w = snprintf(buf + used, cap - used, "%s%s (pid %.16s)",
		    n > 1 ? ", " : "", command, de->d_name);
		used += w > 0 ? (size_t)w : 0;
	}
	(void)closedir(proc);
	if (n > NAMED && used < cap)
		(void)snprintf(
		    buf + used, cap - used, " and %u more", n - NAMED);
	return n;
}
