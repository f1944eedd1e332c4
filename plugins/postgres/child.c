/* SPDX-License-Identifier: BSD-2-Clause */
#include "program.h"

#include "child.h"
#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 200
#define STOP_MS 5000
/* Of its stderr: shown, looked at for a cause, kept in memory. */
#define SAID_MAX ((off_t)8 << 10)
#define HEARD_MAX ((off_t)64 << 10)
#define KEPT_MAX ((off_t)256 << 10)
#define GROUPS_MAX 256

extern char **environ;

struct child {
	const struct hf_ctx *ctx;
	const atomic_bool *stop;
	int64_t deadline; /* 0: none */
	pid_t pid;
	int pidfd; /* -1: this kernel has none */
	int said;  /* its stderr, in memory */
	off_t forgotten;
	char name[64];
};

/* ---- the side of the child: only what is safe after a fork ---- */

/* All that it needs, made before the fork. */
struct launch {
	const struct child_options *o;
	char *const *env;
	int fds[3];
	int report; /* close-on-exec: how it failed */
	pid_t parent;
	long open_max;
	bool switch_user;
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	int ngroups;
};
/* What is written to report. */
struct trouble {
	int step, errnum;
};
enum { STEP_FILES, STEP_USER, STEP_FOLDER, STEP_SIGNAL, STEP_EXEC };

static _Noreturn void
give_up(const struct launch *l, int step)
{
	struct trouble t = { step, errno };

	while (write(l->report, &t, sizeof t) < 0 && errno == EINTR)
		;
	_exit(127);
}

static void
close_from(int from, long open_max)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, (unsigned)from, UINT_MAX, 0u) == 0)
		return;
#endif
	for (long fd = from; fd < open_max; fd++)
		(void)close((int)fd);
}

/* 0..2 and report at 3, whatever numbers they have now. */
static void
place_files(struct launch *l)
{
	int high[3];

	for (int i = 0; i < 3; i++)
		if ((high[i] = fcntl(l->fds[i], F_DUPFD, 10)) < 0)
			give_up(l, STEP_FILES);
	if (l->report != 3) {
		if (dup2(l->report, 3) < 0)
			give_up(l, STEP_FILES);
		l->report = 3;
	}
	if (fcntl(3, F_SETFD, FD_CLOEXEC) < 0)
		give_up(l, STEP_FILES);
	for (int i = 0; i < 3; i++)
		if (dup2(high[i], i) < 0)
			give_up(l, STEP_FILES);
	close_from(4, l->open_max);
}

static void
reset_signals(void)
{
	struct sigaction act;
	sigset_t none;

	memset(&act, 0, sizeof act);
	act.sa_handler = SIG_DFL;
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &act, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void
run_child(struct launch *l)
{
	const struct child_options *o = l->o;

	(void)setpgid(0, 0);
	place_files(l);
	if (l->switch_user && (setgroups((size_t)l->ngroups, l->groups) != 0 ||
				  setgid(l->gid) != 0 || setuid(l->uid) != 0))
		give_up(l, STEP_USER);
	if (o->dir != NULL && chdir(o->dir) != 0)
		give_up(l, STEP_FOLDER);
	reset_signals();
	/* After the change of the user, which would forget it. */
	if (o->death_signal != 0) {
		if (prctl(PR_SET_PDEATHSIG, (unsigned long)o->death_signal) !=
		    0)
			give_up(l, STEP_SIGNAL);
		if (getppid() != l->parent)
			_exit(127); /* it died before it was asked for */
	}
	(void)execve(o->path, o->argv, l->env);
	give_up(l, STEP_EXEC);
}

/* ---- starting ---- */

static int
find_user(struct launch *l, struct hf_error *err)
{
	const char *user = l->o->user;
	struct passwd pw, *found = NULL;
	char *buf;
	int rc;

	if (user == NULL)
		return HF_OK;
	if ((buf = malloc(1 << 16)) == NULL)
		return postgres_nomem(err);
	rc = getpwnam_r(user, &pw, buf, 1 << 16, &found);
	if (found == NULL) {
		free(buf);
		if (rc != 0)
			return H->fail_errno(
			    err, rc, "looking for the user %s", user);
		return H->fail(
		    err, HF_E_NOTFOUND, "there is no user %s here", user);
	}
	l->uid = pw.pw_uid;
	l->gid = pw.pw_gid;
	l->switch_user = pw.pw_uid != geteuid();
	/* One in more groups than that loses some, and needs none of them. */
	l->ngroups = GROUPS_MAX;
	if (getgrouplist(user, pw.pw_gid, l->groups, &l->ngroups) < 0)
		l->ngroups = GROUPS_MAX;
	free(buf);
	if (l->switch_user && geteuid() != 0)
		return H->fail(err, HF_E_DENIED,
		    "only root can run %s as the user %s", l->o->path, user);
	return HF_OK;
}

/* Blocked around the fork, so that no handler of ours runs in the child. */
static pid_t
fork_child(struct launch *l)
{
	sigset_t all, before;
	pid_t pid;
	int errnum;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		run_child(l);
	errnum = errno;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = errnum;
	return pid;
}

/* HF_OK: the program runs. */
static int
hear(int report, const struct launch *l, struct hf_error *err)
{
	const struct child_options *o = l->o;
	struct trouble t;
	ssize_t n;

	do
		n = read(report, &t, sizeof t);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof t)
		return HF_OK;
	switch (t.step) {
	case STEP_EXEC:
		return H->fail_errno(err, t.errnum, "running %s", o->path);
	case STEP_USER:
		return H->fail_errno(err, t.errnum, "running %s as the user %s",
		    o->path, o->user);
	case STEP_FOLDER:
		return H->fail_errno(
		    err, t.errnum, "running %s in %s", o->path, o->dir);
	default:
		return H->fail_errno(err, t.errnum, "starting %s", o->path);
	}
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct child *
new_child(const struct hf_ctx *ctx, const struct child_options *o)
{
	const char *slash = strrchr(o->path, '/');
	struct child *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->ctx = ctx;
	c->stop = o->stop;
	if (o->time_limit > 0)
		c->deadline = now_ms() + o->time_limit;
	c->pidfd = c->said = -1;
	(void)snprintf(
	    c->name, sizeof c->name, "%s", slash == NULL ? o->path : slash + 1);
	return c;
}

static void
free_child(struct child *c)
{
	if (c->pidfd >= 0)
		(void)close(c->pidfd);
	if (c->said >= 0)
		(void)close(c->said);
	free(c);
}

/* c->said, l and pipe are ready. */
static int
launch(struct child *c, struct launch *l, int pipe_fds[2], struct hf_error *err)
{
	int rc;

	l->report = pipe_fds[1];
	if ((c->pid = fork_child(l)) < 0)
		return H->fail_errno(err, errno, "starting %s", l->o->path);
	(void)close(pipe_fds[1]);
	pipe_fds[1] = -1;
	if ((rc = hear(pipe_fds[0], l, err)) != HF_OK) {
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
		return rc;
	}
#ifdef SYS_pidfd_open
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0u);
#endif
	return HF_OK;
}

int
child_start(const struct hf_ctx *ctx, const struct child_options *o,
    struct child **out, struct hf_error *err)
{
	struct launch l = { .o = o, .parent = getpid() };
	int pipe_fds[2] = { -1, -1 }, null = -1, rc;
	struct child *c;

	*out = NULL;
	if ((c = new_child(ctx, o)) == NULL)
		return postgres_nomem(err);
	l.env = o->env != NULL ? o->env : environ;
	l.open_max = sysconf(_SC_OPEN_MAX);
	if (l.open_max < 0 || l.open_max > 1 << 20)
		l.open_max = 1 << 20;
	if ((rc = find_user(&l, err)) != HF_OK)
		goto end;
	c->said = memfd_create("stderr", MFD_CLOEXEC);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (c->said < 0 || null < 0 || pipe2(pipe_fds, O_CLOEXEC) != 0) {
		rc = H->fail_errno(err, errno, "starting %s", o->path);
		goto end;
	}
	l.fds[0] = o->in >= 0 ? o->in : null;
	l.fds[1] = o->out >= 0 ? o->out : null;
	l.fds[2] = c->said;
	rc = launch(c, &l, pipe_fds, err);
end:
	if (null >= 0)
		(void)close(null);
	for (int i = 0; i < 2; i++)
		if (pipe_fds[i] >= 0)
			(void)close(pipe_fds[i]);
	if (rc == HF_OK)
		*out = c;
	else
		free_child(c);
	return rc;
}

pid_t
child_pid(const struct child *c)
{
	return c->pid;
}

/* ---- what it says ---- */

static off_t
said_size(const struct child *c)
{
	struct stat st;

	return fstat(c->said, &st) == 0 ? st.st_size : 0;
}

/* It may write without end: only the last of it keeps its memory. */
static void
forget(struct child *c)
{
	off_t size = said_size(c);
	off_t until = (size - KEPT_MAX) & ~(off_t)0xffff;

	if (until <= c->forgotten)
		return;
	if (fallocate(c->said, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		c->forgotten, until - c->forgotten) == 0)
		c->forgotten = until;
}

/* At most the last max bytes; *cut: there were more. */
static char *
said_last(const struct child *c, off_t max, bool *cut)
{
	off_t size = said_size(c);
	char *text = malloc((size_t)max + 1);
	ssize_t n;

	if (text == NULL)
		return NULL;
	*cut = size > max;
	n = pread(c->said, text, (size_t)max, *cut ? size - max : 0);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

char *
child_stderr(struct child *c)
{
	bool cut;

	return said_last(c, SAID_MAX, &cut);
}

/* ---- waiting ---- */

/* HF_OK: it may go on. */
static int
may_go_on(const struct child *c, struct hf_error *err)
{
	if (H->cancelled(c->ctx) || (c->stop != NULL && atomic_load(c->stop)))
		return H->fail(err, HF_E_CANCELLED, "cancelled");
	if (c->deadline != 0 && now_ms() > c->deadline)
		return H->fail(
		    err, HF_E_IO, "%s does not come to its end", c->name);
	return HF_OK;
}

bool
child_ended(struct child *c)
{
	siginfo_t info;

	forget(c);
	info.si_pid = 0;
	return waitid(P_PID, (id_t)c->pid, &info,
		   WEXITED | WNOHANG | WNOWAIT) != 0 ||
	       info.si_pid != 0;
}

/* Sleep, but wake at its end.  Cancelling does not end this. */
static void
nap(const struct child *c, int ms)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	if (c->pidfd >= 0)
		(void)poll(&p, 1, ms);
	else
		(void)poll(NULL, 0, ms < 20 ? ms : 20);
}

/* Its status as waitpid has it, -1 when it is lost. */
static int
reap(struct child *c)
{
	int status = 0;

	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

void
child_stop(struct child *c, int signal, int64_t ms)
{
	int64_t end = now_ms() + ms, left;

	if (c == NULL)
		return;
	if (!child_ended(c))
		(void)kill(c->pid, signal);
	while (!child_ended(c) && (left = end - now_ms()) > 0)
		nap(c, left < POLL_MS ? (int)left : POLL_MS);
	/* Its own children too; not reaped yet, so the number is its own. */
	(void)kill(-c->pid, SIGKILL);
	(void)kill(c->pid, SIGKILL);
	(void)reap(c);
	free_child(c);
}

static int
tell(struct child *c, int status, const char *what, struct hf_error *err)
{
	bool cut = false;
	char *said = said_last(c, HEARD_MAX, &cut);
	char ending[64];
	int rc = HF_OK;

	if (said == NULL)
		return postgres_nomem(err);
	if (what == NULL)
		what = c->name;
	if (status == -1)
		(void)snprintf(
		    ending, sizeof ending, "ended, and how cannot be told");
	else if (WIFSIGNALED(status))
		(void)snprintf(ending, sizeof ending, "was killed by signal %d",
		    WTERMSIG(status));
	else
		(void)snprintf(ending, sizeof ending, "ended with status %d",
		    WEXITSTATUS(status));
	if (status == 0)
		child_warnings(c->ctx, what, said);
	else
		rc = child_failure(what, said, cut, ending, err);
	free(said);
	return rc;
}

int
child_wait(struct child *c, const char *what, struct hf_error *err)
{
	int status, rc;

	while (!child_ended(c)) {
		if ((rc = may_go_on(c, err)) != HF_OK) {
			child_stop(c, SIGTERM, STOP_MS);
			return rc;
		}
		nap(c, POLL_MS);
	}
	status = reap(c);
	/* What told us to stop may have told it too. */
	if (status == 0 || (rc = may_go_on(c, err)) == HF_OK)
		rc = tell(c, status, what, err);
	free_child(c);
	return rc;
}

/* ---- listings ---- */

struct capture {
	char *text;
	size_t len, cap, max;
	int fd;
};

/* HF_OK: there may be more; HF_EOF. */
static int
capture_some(struct capture *c, const char *what, struct hf_error *err)
{
	ssize_t n;

	if (c->cap - c->len < 2) {
		size_t cap = c->cap == 0 ? 1 << 14 : c->cap * 2;
		char *more = realloc(c->text, cap);

		if (more == NULL)
			return postgres_nomem(err);
		c->text = more;
		c->cap = cap;
	}
	n = read(c->fd, c->text + c->len, c->cap - c->len - 1);
	if (n < 0 && errno == EINTR)
		return HF_OK;
	if (n < 0)
		return H->fail_errno(err, errno, "reading from %s", what);
	if ((size_t)n > c->max - c->len)
		return H->fail(err, HF_E_IO, "%s writes more than %zu bytes",
		    what, c->max);
	c->len += (size_t)n;
	c->text[c->len] = '\0';
	return n == 0 ? HF_EOF : HF_OK;
}

/* Until its end: of the pipe, or of the program, which others may outlive
 * with the pipe in their hands. */
static int
capture_all(struct capture *c, struct child *child, const char *what,
    struct hf_error *err)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	bool ended;
	int rc = HF_OK;

	while (rc == HF_OK) {
		if ((rc = may_go_on(child, err)) != HF_OK)
			break;
		ended = child_ended(child);
		if (poll(&p, 1, ended ? 0 : POLL_MS) > 0)
			rc = capture_some(c, what, err);
		else if (ended)
			rc = HF_EOF;
	}
	return rc == HF_EOF ? HF_OK : rc;
}

int
child_capture(const struct hf_ctx *ctx, const struct child_options *options,
    size_t max, char **text, size_t *len, const char *what,
    struct hf_error *err)
{
	struct child_options o = *options;
	struct capture c = { .max = max };
	struct child *child = NULL;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return H->fail_errno(err, errno, "starting %s", o.path);
	o.out = fds[1];
	c.fd = fds[0];
	rc = child_start(ctx, &o, &child, err);
	(void)close(fds[1]);
	if (rc == HF_OK) {
		if (what == NULL)
			what = o.path;
		if ((rc = capture_all(&c, child, what, err)) == HF_OK)
			rc = child_wait(child, what, err);
		else
			child_stop(child, SIGTERM, STOP_MS);
	}
	(void)close(fds[0]);
	if (rc == HF_OK && c.text == NULL && (c.text = calloc(1, 1)) == NULL)
		rc = postgres_nomem(err);
	if (rc != HF_OK) {
		free(c.text);
		return rc;
	}
	*text = c.text;
	*len = c.len;
	return HF_OK;
}
