/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/pgkit.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVERS "/usr/lib/postgresql"
#define TURNS 8

static void
nap(void)
{
	const struct timespec ts = { 0, 50 * 1000 * 1000 };

	(void)nanosleep(&ts, NULL);
}

static bool
has_server(const char *bin)
{
	char path[320];

	(void)snprintf(path, sizeof path, "%s/initdb", bin);
	return access(path, X_OK) == 0;
}

static bool
find_server(struct pgkit *p)
{
	const char *told = getenv("HOLDFAST_TEST_PG_BIN");
	struct dirent *e;
	char bin[256];
	DIR *d;
	int n;

	p->version = 0;
	if (told != NULL && told[0] != '\0') {
		(void)snprintf(p->bin, sizeof p->bin, "%s", told);
		return has_server(p->bin);
	}
	if ((d = opendir(SERVERS)) == NULL)
		return false;
	while ((e = readdir(d)) != NULL) {
		n = (int)strtol(e->d_name, NULL, 10);
		(void)snprintf(
		    bin, sizeof bin, SERVERS "/%.16s/bin", e->d_name);
		if (n > p->version && has_server(bin)) {
			p->version = n;
			(void)snprintf(p->bin, sizeof p->bin, "%s", bin);
		}
	}
	(void)closedir(d);
	return p->version > 0;
}

/* Servers refuse to run as root. */
static const struct passwd *
server_user(void)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return NULL;
	pw = getpwnam("postgres");
	if (pw == NULL)
		fail_msg("root needs a user postgres to run a server");
	return pw;
}

/* In a child: never returns. */
static void
become(const struct pgkit *p, const struct passwd *pw, pid_t parent, int out,
    char **argv)
{
	char path[320];
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (pw != NULL && (setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 ||
			      setuid(pw->pw_uid) != 0))
		_exit(126);
	/* Behind setuid, which forgets it.  SIGQUIT: the server ends at once,
	 * and its children with it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (getppid() != parent)
		_exit(125);
	(void)dup2(out, 1);
	if (strcmp(argv[0], "psql") != 0)
		(void)dup2(out, 2);
	/* The whole path: they look for others of theirs beside themselves. */
	(void)snprintf(path, sizeof path, "%s/%s", p->bin, argv[0]);
	argv[0] = path;
	(void)execv(path, argv);
	_exit(127);
}

static pid_t
start(const struct pgkit *p, bool as_server, int out, char **argv)
{
	const struct passwd *pw = as_server ? server_user() : NULL;
	pid_t parent = getpid(), pid = fork();

	assert_true(pid != -1);
	if (pid == 0)
		become(p, pw, parent, out, argv);
	return pid;
}

static int
finish(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
open_log(const struct pgkit *p)
{
	char path[96];
	int fd;

	(void)snprintf(path, sizeof path, "%s/log", p->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	assert_true(fd != -1);
	return fd;
}

static void
show_log(const struct pgkit *p)
{
	char path[96], line[512];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/log", p->dir);
	if ((f = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof line, f) != NULL)
		(void)fputs(line, stderr);
	(void)fclose(f);
}

static int
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

static bool
answers(const struct pgkit *p)
{
	char port[16];
	char *argv[] = { "pg_isready", "-q", "-h", NULL, "-p", port, NULL };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), rc;

	argv[3] = (char *)(uintptr_t)p->dir;
	(void)snprintf(port, sizeof port, "%d", p->port);
	rc = finish(start(p, false, null, argv));
	(void)close(null);
	return rc == 0;
}

static bool
serve(struct pgkit *p)
{
	char data[96], port[16];
	char *argv[] = { "postgres", "-D", data, "-p", port, "-k", p->dir,
		NULL };
	int log, tries, status;

	(void)snprintf(data, sizeof data, "%s/data", p->dir);
	(void)snprintf(port, sizeof port, "%d", p->port);
	log = open_log(p);
	p->pid = start(p, true, log, argv);
	(void)close(log);
	for (tries = 0; tries < 600; tries++) {
		if (answers(p))
			return true;
		if (waitpid(p->pid, &status, WNOHANG) == p->pid)
			break;
		nap();
	}
	p->pid = 0;
	return false;
}

static void
make_data(struct pgkit *p, bool physical)
{
	static const char settings[] =
	    "fsync = off\nlisten_addresses = '127.0.0.1'\n"
	    "max_connections = 50\nshared_buffers = 32MB\n"
	    "log_min_messages = fatal\n";
	char data[96], path[128];
	char *argv[] = { "initdb", "-D", data, "-A", "trust", "-U", "postgres",
		"-E", "UTF8", "--locale=C.UTF-8", "-N",
		physical ? "--data-checksums" : NULL, NULL };
	int log = open_log(p);
	FILE *f;

	(void)snprintf(data, sizeof data, "%s/data", p->dir);
	if (finish(start(p, true, log, argv)) != 0) {
		show_log(p);
		fail_msg("initdb failed");
	}
	(void)close(log);
	(void)snprintf(p->hba, sizeof p->hba, "%s/pg_hba.conf", data);
	(void)snprintf(path, sizeof path, "%s/postgresql.conf", data);
	assert_non_null(f = fopen(path, "ae"));
	(void)fputs(settings, f);
	(void)fputs(physical ? "max_wal_senders = 8\nwal_level = replica\n"
			     : "max_wal_senders = 0\nwal_level = minimal\n",
	    f);
	assert_int_equal(fclose(f), 0);
}

static void
make_folder(struct pgkit *p)
{
	const struct passwd *pw;

	(void)snprintf(p->dir, sizeof p->dir, "/tmp/hf-pg-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	assert_int_equal(chmod(p->dir, 0755), 0);
	if ((pw = server_user()) != NULL)
		assert_int_equal(chown(p->dir, pw->pw_uid, pw->pw_gid), 0);
}

static int
start_server(struct pgkit *p, bool physical)
{
	int tries;

	memset(p, 0, sizeof *p);
	if (!find_server(p))
		return 77;
	make_folder(p);
	make_data(p, physical);
	for (tries = 0; tries < 3; tries++) {
		p->port = free_port();
		if (serve(p))
			break;
	}
	if (p->pid == 0) {
		show_log(p);
		fail_msg("the server does not start");
	}
	if (p->version == 0)
		p->version =
		    (int)(pgkit_int(p, "postgres", "SHOW server_version_num") /
			  10000);
	return 0;
}

void
pgkit_beside(const struct pgkit *p, struct pgkit *other)
{
	*other = *p;
	other->pid = 0;
	make_folder(other);
	other->port = free_port();
	(void)snprintf(
	    other->hba, sizeof other->hba, "%s/data/pg_hba.conf", other->dir);
}

bool
pgkit_try(struct pgkit *p)
{
	return serve(p);
}

int
pgkit_start(struct pgkit *p)
{
	return start_server(p, false);
}

int
pgkit_start_physical(struct pgkit *p)
{
	return start_server(p, true);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
pgkit_halt(struct pgkit *p, int signal)
{
	if (p->pid == 0)
		return;
	(void)kill(p->pid, signal);
	(void)finish(p->pid);
	p->pid = 0;
}

void
pgkit_resume(struct pgkit *p)
{
	if (!serve(p)) {
		show_log(p);
		fail_msg("the server does not start again");
	}
}

void
pgkit_stop(struct pgkit *p)
{
	pgkit_halt(p, SIGQUIT);
	if (p->dir[0] != '\0')
		(void)nftw(p->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	p->dir[0] = '\0';
}

const char *
pgkit_conninfo(const struct pgkit *p, const char *dbname)
{
	static _Thread_local char turn[TURNS][512];
	static _Thread_local unsigned at;
	char *s = turn[at++ % TURNS];

	(void)snprintf(s, sizeof turn[0],
	    "host=%s port=%d user=postgres dbname='%s'", p->dir, p->port,
	    dbname);
	return s;
}

static char *
read_all(int fd)
{
	size_t cap = 4096, len = 0;
	char *s = malloc(cap);
	ssize_t n;

	assert_non_null(s);
	while ((n = read(fd, s + len, cap - len - 1)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		assert_true(n > 0);
		len += (size_t)n;
		if (cap - len < 1024)
			assert_non_null(s = realloc(s, cap *= 2));
	}
	if (len > 0 && s[len - 1] == '\n')
		len--;
	s[len] = '\0';
	return s;
}

char *
pgkit_psql(const struct pgkit *p, const char *dbname, const char *sql)
{
	char *argv[] = { "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", NULL,
		"-c", NULL, NULL };
	int fds[2];
	pid_t pid;
	char *s;

	argv[5] = (char *)(uintptr_t)pgkit_conninfo(p, dbname);
	argv[7] = (char *)(uintptr_t)sql;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = start(p, false, fds[1], argv);
	(void)close(fds[1]);
	s = read_all(fds[0]);
	(void)close(fds[0]);
	if (finish(pid) != 0)
		fail_msg("psql -d %s -c \"%s\" failed", dbname, sql);
	return s;
}

void
pgkit_sql(const struct pgkit *p, const char *dbname, const char *sql)
{
	free(pgkit_psql(p, dbname, sql));
}

long long
pgkit_int(const struct pgkit *p, const char *dbname, const char *sql)
{
	char *s = pgkit_psql(p, dbname, sql), *end;
	long long n = strtoll(s, &end, 10);

	if (end == s || *end != '\0')
		fail_msg("%s: \"%s\" is no number", sql, s);
	free(s);
	return n;
}

void
pgkit_until(const struct pgkit *p, const char *dbname, const char *sql)
{
	bool yes = false;
	char *s;
	int i;

	for (i = 0; i < 200 && !yes; i++) {
		s = pgkit_psql(p, dbname, sql);
		yes = strcmp(s, "t") == 0;
		free(s);
		if (!yes)
			nap();
	}
	if (!yes)
		fail_msg("never true: %s", sql);
}

void
pgkit_reload(const struct pgkit *p, const char *hba)
{
	FILE *f = fopen(p->hba, "we");

	assert_non_null(f);
	(void)fputs(hba, f);
	assert_int_equal(fclose(f), 0);
	pgkit_sql(p, "postgres", "SELECT pg_reload_conf()");
	/* The postmaster reads it soon after; who connects next sees it. */
	for (int i = 0; i < 10; i++)
		nap();
}
