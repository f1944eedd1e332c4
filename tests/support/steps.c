/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static const long changing[] = {
#ifdef SYS_rename
	SYS_rename,
#endif
#ifdef SYS_link
	SYS_link,
#endif
#ifdef SYS_unlink
	SYS_unlink,
#endif
#ifdef SYS_renameat
	SYS_renameat,
#endif
	SYS_renameat2, SYS_linkat, SYS_unlinkat, SYS_write, SYS_pwrite64,
	SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_fchmod,
	SYS_fchown, SYS_fsetxattr, 0
};

static bool
is_step(const struct __ptrace_syscall_info *i)
{
	long nr = (long)i->entry.nr;
	int k;

	if (nr == SYS_openat)
		return (i->entry.args[2] & O_CREAT) != 0;
#ifdef SYS_open
	if (nr == SYS_open)
		return (i->entry.args[1] & O_CREAT) != 0;
#endif
	/* What it says on stderr changes nothing. */
	if (nr == SYS_write && i->entry.args[0] <= 2)
		return false;
	for (k = 0; changing[k] != 0; k++)
		if (changing[k] == nr)
			return true;
	return false;
}

static int
follow(struct steps *s, pid_t pid)
{
	struct __ptrace_syscall_info info;
	int status, sig = 0;
	long nr = -1;

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)sig) !=
		    0)
			return -2;
		if (waitpid(pid, &status, 0) != pid)
			return -2;
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (!WIFSTOPPED(status))
			return -2;
		sig = WSTOPSIG(status);
		if (sig != (SIGTRAP | 0x80))
			continue; /* hand it on */
		sig = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info,
			&info) <= 0)
			return -2;
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			nr = (long)info.entry.nr;
			if (!is_step(&info))
				continue;
			if (++s->n == s->kill_at)
				return -1;
		} else if (info.op == PTRACE_SYSCALL_INFO_EXIT &&
			   s->after != NULL && nr != -1) {
			s->after(s->arg, nr);
			nr = -1;
		}
	}
}

int
steps_run(struct steps *s)
{
	int status, rc;
	pid_t pid;

	s->n = 0;
	if ((pid = fork()) == -1)
		return -2;
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(77);
		(void)raise(SIGSTOP);
		_exit(s->work(s->arg));
	}
	if (waitpid(pid, &status, 0) != pid)
		return -2;
	if (WIFEXITED(status))
		return WEXITSTATUS(status) == 77 ? -3 : -2;
	if (ptrace(PTRACE_SETOPTIONS, pid, NULL,
		(void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) != 0)
		rc = -3;
	else
		rc = follow(s, pid);
	if (rc < 0) {
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
			continue;
	}
	return rc;
}
