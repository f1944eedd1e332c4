/* SPDX-License-Identifier: BSD-2-Clause */
/* alltime FILE COMMAND...: GNU time's "%e %U %S %M" into FILE, but with the
 * processes that COMMAND leaves in the background: they are waited for, and
 * their time and memory count.  The wall clock stops when COMMAND itself ends,
 * whose exit code this is. */
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

int
main(int argc, char **argv)
{
	double began = now(), wall = 0;
	struct rusage all;
	int status, code = 1;
	pid_t pid, ended;
	FILE *f;

	if (argc < 3 || (f = fopen(argv[1], "we")) == NULL ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1) {
		perror("alltime FILE COMMAND...");
		return 2;
	}
	if ((pid = fork()) == 0) {
		(void)execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	while ((ended = wait(&status)) != -1 || errno == EINTR) {
		if (ended == -1 || ended != pid)
			continue;
		wall = now() - began;
		code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	if (getrusage(RUSAGE_CHILDREN, &all) == -1 ||
	    fprintf(f, "%.2f %.2f %.2f %ld\n", wall, seconds(&all.ru_utime),
		seconds(&all.ru_stime), all.ru_maxrss) < 0 ||
	    fclose(f) != 0) {
		perror(argv[1]);
		return 2;
	}
	return code;
}
