/* SPDX-License-Identifier: BSD-2-Clause */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "repo/repo_private.h"

/* A small file of /proc, without its last newline.  Returns -errno. */
static int
read_proc(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	do
		n = read(fd, buf, cap - 1);
	while (n < 0 && errno == EINTR);
	saved = errno;
	(void)close(fd);
	if (n < 0)
		return -saved;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return 0;
}

/* State and start time.  The name in parentheses may hold anything, so what
 * follows its last parenthesis is read.  -errno; -EPROTO: not as expected. */
static int
process_stat(int64_t pid, char *state, uint64_t *start)
{
	char path[64], text[1024];
	const char *p;
	int rc;

	(void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
	if ((rc = read_proc(path, text, sizeof text)) != 0)
		return rc;
	/* state ppid pgrp session tty tpgid flags minflt cminflt majflt
	 * cmajflt utime stime cutime cstime priority nice threads itrealvalue
	 * starttime */
	if ((p = strrchr(text, ')')) == NULL ||
	    sscanf(p + 1,
		" %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
		"%*d %*d %*d %*d %*d %" SCNu64,
		state, start) != 2)
		return -EPROTO;
	return 0;
}

static void
user_name(char *buf, size_t cap)
{
	struct passwd pw, *found = NULL;
	char room[4096];

	if (getpwuid_r(geteuid(), &pw, room, sizeof room, &found) == 0 &&
	    found != NULL)
		(void)snprintf(buf, cap, "%s", pw.pw_name);
	else
		(void)snprintf(buf, cap, "uid %u", (unsigned)geteuid());
}

void
owner_self(struct owner *o)
{
	struct stat st;
	char state;

	memset(o, 0, sizeof *o);
	user_name(o->user, sizeof o->user);
	repo_host(o->host, sizeof o->host);
	(void)read_proc(
	    "/proc/sys/kernel/random/boot_id", o->boot_id, sizeof o->boot_id);
	if (stat("/proc/self/ns/pid", &st) == 0)
		o->pid_ns = (uint64_t)st.st_ino;
	o->pid = (int64_t)getpid();
	/* Unknown: then nobody will ever call it dead. */
	if (process_stat(o->pid, &state, &o->pid_start) != 0)
		o->pid_start = 0;
}

static int
put(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value);
}

int
owner_to_json(const struct owner *o, json_t *object)
{
	if (put(object, "user", repo_text(o->user)) != 0 ||
	    put(object, "host", repo_text(o->host)) != 0 ||
	    put(object, "boot_id", repo_text(o->boot_id)) != 0 ||
	    put(object, "pid_ns", json_integer((json_int_t)o->pid_ns)) != 0 ||
	    put(object, "pid", json_integer(o->pid)) != 0 ||
	    put(object, "pid_start", json_integer((json_int_t)o->pid_start)) !=
		0)
		return -1;
	return 0;
}

static void
get_text(const json_t *doc, const char *name, char *buf, size_t cap)
{
	const char *s = json_string_value(json_object_get(doc, name));

	(void)snprintf(buf, cap, "%s", s == NULL ? "" : s);
}

static int64_t
get_number(const json_t *doc, const char *name)
{
	return json_integer_value(json_object_get(doc, name));
}

void
owner_from_json(const json_t *doc, struct owner *o)
{
	memset(o, 0, sizeof *o);
	get_text(doc, "user", o->user, sizeof o->user);
	get_text(doc, "host", o->host, sizeof o->host);
	get_text(doc, "boot_id", o->boot_id, sizeof o->boot_id);
	o->pid_ns = (uint64_t)get_number(doc, "pid_ns");
	o->pid = get_number(doc, "pid");
	o->pid_start = (uint64_t)get_number(doc, "pid_start");
}

void
owner_text(const struct owner *o, char *buf, size_t cap)
{
	(void)snprintf(buf, cap, "%s, process %" PRId64,
	    o->user[0] == '\0' ? "?" : o->user, o->pid);
}

bool
owner_same(const struct owner *a, const struct owner *b)
{
	return a->pid == b->pid && a->pid_start == b->pid_start &&
	       a->pid_ns == b->pid_ns && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->boot_id, b->boot_id) == 0;
}

/* Process 1 of two containers could be anybody, but for these. */
static bool
known(const struct owner *o)
{
	return o->boot_id[0] != '\0' && o->pid_ns != 0 && o->pid > 0 &&
	       o->pid_start != 0;
}

bool
owner_is_self(const struct owner *o)
{
	struct owner self;

	owner_self(&self);
	return known(&self) && owner_same(o, &self);
}

bool
owner_is_dead(const struct owner *o)
{
	struct owner self;
	uint64_t start;
	char state;
	int rc;

	owner_self(&self);
	if (!known(&self) || !known(o) || strcmp(self.host, o->host) != 0 ||
	    strcmp(self.boot_id, o->boot_id) != 0 || self.pid_ns != o->pid_ns)
		return false;
	rc = process_stat(o->pid, &state, &start);
	/* Our own entry could be read, so /proc works.  A hidden process
	 * (hidepid) gives ENOENT too, hence the second question. */
	if (rc == -ENOENT || rc == -ESRCH)
		return kill((pid_t)o->pid, 0) != 0 && errno == ESRCH;
	if (rc != 0)
		return false;
	/* Z, X: killed, its parent has not asked yet. */
	return start != o->pid_start || state == 'Z' || state == 'X';
}
