/* SPDX-License-Identifier: BSD-2-Clause */
#include "cloexec.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool
is_pair(int fd)
{
	struct sockaddr_un name = { 0 };
	socklen_t len = sizeof name;

	return getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
	       name.sun_family == AF_UNIX && len <= sizeof name.sun_family;
}

void
cloexec_sockets(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		int fd = (int)strtol(e->d_name, NULL, 10), flags;

		if (fd > 2 && is_pair(fd) && (flags = fcntl(fd, F_GETFD)) >= 0)
			(void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	}
	if (dir != NULL)
		(void)closedir(dir);
}
