/* SPDX-License-Identifier: BSD-2-Clause */
/* Child programs: what they get, what they say, and that they end whatever
 * happens. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/host.h"
#include "postgres.h"
#include "program.h"
#include "support/skipped.h"

static struct hf_error err;
static struct cancel cancel;
static const struct hf_ctx ctx = { .who = "test", .cancel = &cancel };
static char folder[64];

static int
setup(void **state)
{
	(void)state;
	H = &host_table;
	error_clear(&err);
	atomic_store(&cancel.requested, 0);
	return 0;
}

static int
make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof folder, "/tmp/holdfast-child-XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static void
assert_has(const char *text, const char *part)
{
	if (text == NULL || strstr(text, part) == NULL)
		assert_string_equal(text == NULL ? "NULL" : text, part);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- children ---- */

static char *argv_of[4] = { "sh", "-c", NULL, NULL };

static struct child_options
shell(const char *script)
{
	argv_of[2] = (char *)(uintptr_t)script;
	return (struct child_options){
		.path = "/bin/sh", .argv = argv_of, .in = -1, .out = -1
	};
}

static struct child *
start(const struct child_options *o)
{
	struct child *c = NULL;

	if (child_start(&ctx, o, &c, &err) != HF_OK)
		error_render(&err, NULL, stderr);
	assert_non_null(c);
	return c;
}

/* Its failure, with what it said. */
static int
failing(const char *script)
{
	struct child_options o = shell(script);

	error_clear(&err);
	return child_wait(start(&o), "pg_dump", &err);
}

static void
captured(const char *script, const char *want)
{
	struct child_options o = shell(script);
	char *text = NULL;
	size_t len = 0;

	assert_int_equal(
	    child_capture(&ctx, &o, 1 << 20, &text, &len, "sh", &err), HF_OK);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	free(text);
}

static void
output_larger_than_a_pipe_is_captured_whole(void **state)
{
	struct child_options o = shell("head -c 3000000 /dev/zero | tr "
				       "'\\0' x; echo end");
	char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(
	    child_capture(&ctx, &o, 4 << 20, &text, &len, "sh", &err), HF_OK);
	assert_int_equal(len, 3000004);
	assert_int_equal(strspn(text, "x"), 3000000);
	assert_string_equal(text + 3000000, "end\n");
	free(text);
	captured("true", "");
}

static void
output_past_the_bound_is_refused_and_the_child_ended(void **state)
{
	struct child_options o = shell("exec yes");
	char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(
	    child_capture(&ctx, &o, 1 << 20, &text, &len, "yes", &err),
	    HF_E_IO);
	assert_string_equal(err.cause, "yes writes more than 1048576 bytes");
	assert_null(text);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void
a_grandchild_that_keeps_the_pipe_keeps_nobody_waiting(void **state)
{
	int64_t begin = now_ms();

	(void)state;
	captured("sleep 20 & echo $$ >/dev/null; echo here", "here\n");
	assert_true(now_ms() - begin < 5000);
}

static void
the_child_has_no_descriptors_of_ours_and_no_signals(void **state)
{
	/* Without close-on-exec on purpose. */
	int fd = open("/dev/null", O_RDONLY);
	int high = fcntl(fd, F_DUPFD, 57);
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	sigset_t set, mask;

	(void)state;
	assert_true(fd >= 0 && high >= 57);
	assert_int_equal(sigaction(SIGUSR1, &ignore, &before), 0);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)pthread_sigmask(SIG_BLOCK, &set, &mask);
	/* 3 is the folder that ls reads. */
	captured("exec ls /proc/self/fd", "0\n1\n2\n3\n");
	captured("exec grep -cE '^Sig(Blk|Ign):.0*$' /proc/self/status", "2\n");
	(void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
	(void)sigaction(SIGUSR1, &before, NULL);
	(void)close(fd);
	(void)close(high);
}

static void
input_output_folder_and_environment_are_those_given(void **state)
{
	char *env[] = { "WHO=holdfast", "PATH=/usr/bin:/bin", NULL };
	struct child_options o = shell("read line; echo \"$line $WHO $(pwd) "
				       "${HOME-none}\"");
	char *text = NULL;
	size_t len = 0;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "hello\n", 6), 6);
	(void)close(fds[1]);
	o.in = fds[0];
	o.env = env;
	o.dir = "/usr";
	assert_int_equal(
	    child_capture(&ctx, &o, 4096, &text, &len, "sh", &err), HF_OK);
	assert_string_equal(text, "hello holdfast /usr none\n");
	free(text);
	(void)close(fds[0]);
}

/* Descriptors where the child will have its own. */
static void
descriptors_below_three_may_be_swapped(void **state)
{
	struct child_options o = shell("cat; echo lost >&2");
	int fds[2], saved[2], status;
	char buf[32] = "";
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	if ((pid = fork()) == 0) {
		FILE *f = tmpfile();
		struct child *c = NULL;

		(void)fputs("swapped", f);
		(void)fflush(f);
		(void)lseek(fileno(f), 0, SEEK_SET);
		saved[0] = dup2(fileno(f), 1); /* its input */
		saved[1] = dup2(fds[1], 0);    /* its output */
		o.in = saved[0];
		o.out = saved[1];
		_exit(child_start(&ctx, &o, &c, NULL) != HF_OK ||
		      child_wait(c, "cat", NULL) != HF_OK);
	}
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], buf, sizeof buf - 1), 7);
	assert_string_equal(buf, "swapped");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(fds[0]);
}

static void
what_cannot_be_run_is_named(void **state)
{
	struct child_options o = shell("");
	struct child *c = NULL;

	(void)state;
	o.path = "/nowhere/pg_dump";
	assert_int_equal(child_start(&ctx, &o, &c, &err), HF_E_NOTFOUND);
	assert_string_equal(
	    err.cause, "running /nowhere/pg_dump: No such file or directory");
	o.path = "/etc/passwd";
	assert_int_equal(child_start(&ctx, &o, &c, &err), HF_E_DENIED);
	assert_has(err.cause, "/etc/passwd");
	o = shell("");
	o.dir = "/nowhere";
	assert_int_equal(child_start(&ctx, &o, &c, &err), HF_E_NOTFOUND);
	assert_has(err.cause, "in /nowhere");
	o.dir = NULL;
	o.user = "no-such-user";
	assert_int_equal(child_start(&ctx, &o, &c, &err), HF_E_NOTFOUND);
	assert_string_equal(err.cause, "there is no user no-such-user here");
	assert_null(c);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
cancelling_ends_a_child_that_waits(void **state)
{
	struct child_options o = shell("exec sleep 60");
	struct child *c = start(&o);
	int64_t begin = now_ms();
	pid_t pid = child_pid(c);

	(void)state;
	assert_false(child_ended(c));
	cancel_request(&cancel);
	assert_int_equal(child_wait(c, "sleep", &err), HF_E_CANCELLED);
	assert_true(now_ms() - begin < 3000);
	assert_int_equal(kill(pid, 0), -1);
}

static void *
set_soon(void *stop)
{
	(void)usleep(100000);
	atomic_store((atomic_bool *)stop, true);
	return NULL;
}

static void
another_thread_can_stop_it(void **state)
{
	struct child_options o = shell("exec sleep 60");
	atomic_bool stop = false;
	int64_t begin = now_ms();
	pthread_t thread;

	(void)state;
	o.stop = &stop;
	assert_int_equal(pthread_create(&thread, NULL, set_soon, &stop), 0);
	assert_int_equal(child_wait(start(&o), "sleep", &err), HF_E_CANCELLED);
	assert_true(now_ms() - begin < 3000);
	(void)pthread_join(thread, NULL);
}

static void
a_child_past_its_time_is_ended(void **state)
{
	struct child_options o = shell("exec sleep 60");

	(void)state;
	o.time_limit = 300;
	assert_int_equal(child_wait(start(&o), "sleep", &err), HF_E_IO);
	assert_string_equal(err.cause, "sh does not come to its end");
}

static void
a_child_that_ignores_term_is_killed_with_its_children(void **state)
{
	char script[512], path[96];
	struct child_options o;
	struct child *c;
	int64_t begin;
	long other = 0;
	FILE *f = NULL;

	(void)state;
	(void)snprintf(path, sizeof path, "%s/pid", folder);
	(void)snprintf(script, sizeof script,
	    "trap '' TERM; sleep 60 & echo $! >%s.new; mv %s.new %s; wait",
	    path, path, path);
	o = shell(script);
	c = start(&o);
	while ((f = fopen(path, "r")) == NULL)
		(void)usleep(10000);
	assert_int_equal(fscanf(f, "%ld", &other), 1);
	(void)fclose(f);
	begin = now_ms();
	child_stop(c, SIGTERM, 300);
	assert_true(now_ms() - begin >= 300);
	assert_true(now_ms() - begin < 3000);
	/* An orphan: somebody else reaps it, so only soon. */
	for (int i = 0; i < 300 && kill((pid_t)other, 0) == 0; i++) {
		char state_path[64], line[256] = "";
		FILE *s;

		(void)snprintf(
		    state_path, sizeof state_path, "/proc/%ld/stat", other);
		if ((s = fopen(state_path, "r")) != NULL) {
			if (fgets(line, sizeof line, s) == NULL)
				line[0] = '\0';
			(void)fclose(s);
		}
		if (strstr(line, ") Z ") != NULL)
			return;
		(void)usleep(10000);
	}
	assert_int_equal(kill((pid_t)other, 0), -1);
	child_stop(NULL, SIGTERM, 0);
}

static void
a_signal_that_killed_it_is_told(void **state)
{
	(void)state;
	assert_int_equal(failing("kill -9 $$"), HF_E_IO);
	assert_string_equal(err.cause, "pg_dump was killed by signal 9");
	assert_has(error_get(&err, "hint"), "memory");
	/* What it said is shown, and decides nothing. */
	assert_int_equal(
	    failing("echo 'sh: error: permission denied' >&2; kill -11 $$"),
	    HF_E_IO);
	assert_string_equal(err.cause,
	    "pg_dump was killed by signal 11; it said: permission denied");
	assert_null(error_get(&err, "hint"));
	assert_int_equal(
	    failing("echo 'Command was: hunter2' >&2; kill -11 $$"), HF_E_IO);
	assert_null(strstr(err.cause, "hunter2"));
	assert_int_equal(failing("exit 3"), HF_E_IO);
	assert_string_equal(err.cause, "pg_dump ended with status 3");
}

static void
a_flood_of_messages_keeps_only_its_end(void **state)
{
	struct child_options o = shell(
	    "head -c 10000000 /dev/zero | tr '\\0' x >&2; sleep 0.5; echo >&2; "
	    "echo 'pg_dump: error: it broke' >&2; sleep 0.5; exit 1");
	struct child *c = start(&o);
	bool small = false;
	char path[64];
	char *said;
	struct stat st;

	(void)state;
	/* Blocks of what was forgotten are given back. */
	while (!child_ended(c)) {
		for (int fd = 3; fd < 64; fd++) {
			char to[64] = "";

			(void)snprintf(
			    path, sizeof path, "/proc/self/fd/%d", fd);
			if (readlink(path, to, sizeof to - 1) > 0 &&
			    strstr(to, "memfd:stderr") != NULL &&
			    fstat(fd, &st) == 0 && st.st_size >= 10000000 &&
			    st.st_blocks * 512 < 1 << 20)
				small = true;
		}
		(void)usleep(20000);
	}
	assert_true(small);
	said = child_stderr(c);
	assert_non_null(said);
	assert_int_equal(strlen(said), 8192);
	free(said);
	assert_int_equal(child_wait(c, "pg_dump", &err), HF_E_IO);
	assert_string_equal(err.cause, "pg_dump: it broke");
}

/* A process that starts a child is killed: does the child end? */
static void
ends_with_its_starter(const char *user)
{
	struct child_options o = shell("echo up; exec sleep 60");
	struct pollfd p = { .events = POLLIN };
	int fds[2];
	char buf[8];
	pid_t pid;

	o.death_signal = SIGKILL;
	o.user = user;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	if ((pid = fork()) == 0) {
		struct child *c = NULL;

		o.out = fds[1];
		if (child_start(&ctx, &o, &c, NULL) != HF_OK)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], buf, 3), 3);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* The end of the pipe: nobody has it open any more. */
	p.fd = fds[0];
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(fds[0], buf, 1), 0);
	(void)close(fds[0]);
}

static void
the_death_of_who_started_it_ends_it(void **state)
{
	(void)state;
	ends_with_its_starter(NULL);
}

/* The change of the user must not have made it forget. */
static void
the_death_signal_outlives_a_change_of_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		SKIP();
	ends_with_its_starter("nobody");
}

static void
root_can_run_it_as_another_user(void **state)
{
	struct child_options o = shell("id -u; id -G");
	char *text = NULL;
	size_t len = 0;

	(void)state;
	if (geteuid() != 0)
		SKIP();
	o.user = "nobody";
	o.death_signal = SIGTERM;
	assert_int_equal(
	    child_capture(&ctx, &o, 4096, &text, &len, "id", &err), HF_OK);
	assert_string_equal(text, "65534\n65534\n");
	free(text);
}

static void
others_cannot_run_it_as_another_user(void **state)
{
	struct child_options o = shell("id -u");
	struct child *c = NULL;
	int status;
	pid_t pid;

	(void)state;
	o.user = "root";
	if ((pid = fork()) == 0) {
		if (geteuid() == 0 && setuid(65534) != 0)
			_exit(2);
		_exit(child_start(&ctx, &o, &c, &err) != HF_E_DENIED ||
		      strstr(err.cause, "only root") == NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- what they say ---- */

#define LINE(text) "echo '" text "' >&2; "

static void
failures_have_the_status_of_what_the_server_said(void **state)
{
	static const struct {
		const char *said;
		int status;
		const char *cause, *hint; /* parts of them */
	} cases[] = {
		{ LINE("pg_dump: error: query failed: ERROR:  permission "
		       "denied for table t")
			LINE("pg_dump: detail: Query was: LOCK TABLE public.t"),
		    HF_E_DENIED,
		    "pg_dump: query failed: ERROR:  permission denied for "
		    "table t; Query was: LOCK TABLE public.t",
		    NULL },
		{ LINE("pg_dump: error: connection to server at \"db\" (::1), "
		       "port 5432 failed: FATAL:  password authentication "
		       "failed for user \"x\""),
		    HF_E_DENIED, "password authentication failed", "password" },
		{ LINE("pg_dump: error: connection to server at \"db\" (::1), "
		       "port 5432 failed: fe_sendauth: no password supplied"),
		    HF_E_DENIED, "no password supplied", "PGPASSWORD" },
		{ LINE("pg_dump: error: connection to server on socket "
		       "\"/tmp/.s.PGSQL.5432\" failed: FATAL:  database "
		       "\"nix\" does not exist"),
		    HF_E_NOTFOUND, "\"nix\" does not exist", NULL },
		{ LINE("pg_dump: error: connection to server at \"db\" (::1), "
		       "port 5432 failed: FATAL:  role \"x\" does not exist"),
		    HF_E_DENIED, "role", NULL },
		{ LINE("pg_dump: error: connection to server at \"db\" (::1), "
		       "port 5432 failed: Connection refused")
			LINE("\tIs the "
			     "server running on that host and accepting TCP/IP "
			     "connections?"),
		    HF_E_IO, "refused; Is the server running", NULL },
		{ LINE("pg_dump: error: query failed: ERROR:  canceling "
		       "statement due to lock timeout"),
		    HF_E_TRANSIENT, "lock timeout", "lock_timeout" },
		{ LINE("pg_dump: error: query failed: ERROR:  canceling "
		       "statement due to statement timeout")
			LINE("pg_dump: "
			     "detail: Query was: LOCK TABLE public.t"),
		    HF_E_TRANSIENT, "LOCK TABLE public.t", "lock_timeout" },
		{ LINE("pg_dump: error: aborting because of server version "
		       "mismatch") LINE("pg_dump: detail: server version: "
					"16.1; pg_dump version: 15.20"),
		    HF_E_UNSUPPORTED, "16.1", "postgresql-client-16" },
		{ LINE("pg_restore: error: could not execute query: ERROR:  "
		       "extension \"postgis\" is not available")
			LINE("DETAIL:  Could not open extension control file "
			     "\"x\": "
			     "No such file or directory.")
			    LINE("HINT:  The extension "
				 "must be installed."),
		    HF_E_UNSUPPORTED, "postgis", "Install the package" },
		{ LINE("pg_restore: error: could not write: No space left on "
		       "device"),
		    HF_E_NOSPACE, "No space", "space" },
		{ LINE("pg_dump: error: query failed: server closed the "
		       "connection unexpectedly"),
		    HF_E_IO, "closed the connection", NULL },
		{ LINE("pg_restore: error: could not execute query: ERROR:  "
		       "boom") LINE("HINT:  Turn it off."),
		    HF_E_IO, "pg_dump: could not execute query: ERROR:  boom",
		    "Turn it off." },
		{ LINE("pg_restore: error: could not execute query: ERROR:  "
		       "must be member of role \"shop\""),
		    HF_E_DENIED, "member of role \"shop\"", "--no-owner" },
		/* Servers may speak another language: no cause is guessed. */
		{ LINE("pg_restore: error: could not execute query: FEHLER:  "
		       "Berechtigung nur für Eigentümer der Tabelle t")
			LINE("LINE 1: ALTER ROLE x PASSWORD hunter2"),
		    HF_E_IO,
		    "pg_dump: could not execute query: FEHLER:  Berechtigung "
		    "nur für Eigentümer der Tabelle t",
		    NULL },
		{ LINE("one") LINE("two") LINE("three") LINE("four"), HF_E_IO,
		    "pg_dump: two; three; four", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char script[1024];
		const char *hint;

		(void)snprintf(
		    script, sizeof script, "%sexit 1", cases[i].said);
		assert_int_equal(failing(script), cases[i].status);
		assert_has(err.cause, cases[i].cause);
		assert_null(strstr(err.cause, "hunter2"));
		hint = error_get(&err, "hint");
		if (cases[i].hint == NULL)
			assert_null(hint);
		else
			assert_has(hint, cases[i].hint);
	}
}

static void
a_failing_statement_names_its_entry_but_is_not_shown(void **state)
{
	(void)state;
	assert_int_equal(
	    failing(LINE("pg_restore: while PROCESSING TOC:") LINE(
		"pg_restore: from TOC entry 7; 1418 16401 USER MAPPING - x")
		    LINE("pg_restore: error: could not execute query: ERROR:  "
			 "option \"pass\" unknown")
			LINE("LINE 1: ... OPTIONS (password hunter2)")
			    LINE("                  ^") LINE(
				"Command was: CREATE USER MAPPING FOR x "
				"OPTIONS (") LINE("password hunter2);")
				LINE("pg_restore: warning: errors ignored on "
				     "restore: 1") "exit 1"),
	    HF_E_IO);
	assert_string_equal(err.cause,
	    "pg_dump: could not execute query: ERROR:  option \"pass\" "
	    "unknown");
	assert_string_equal(
	    error_get(&err, "entry"), "7; 1418 16401 USER MAPPING - x");
	/* So long that nothing but the statement is left. */
	assert_int_equal(
	    failing(LINE("pg_restore: error: could not execute query: ERROR")
		    LINE("Command was: x") "yes 'password hunter2' | head -c "
					   "200000 >&2; exit 1"),
	    HF_E_IO);
	assert_string_equal(err.cause, "pg_dump ended with status 1");
}

#define T(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(output_larger_than_a_pipe_is_captured_whole),
		T(output_past_the_bound_is_refused_and_the_child_ended),
		T(a_grandchild_that_keeps_the_pipe_keeps_nobody_waiting),
		T(the_child_has_no_descriptors_of_ours_and_no_signals),
		T(input_output_folder_and_environment_are_those_given),
		T(descriptors_below_three_may_be_swapped),
		T(what_cannot_be_run_is_named),
		T(cancelling_ends_a_child_that_waits),
		T(another_thread_can_stop_it),
		T(a_child_past_its_time_is_ended),
		T(a_child_that_ignores_term_is_killed_with_its_children),
		T(a_signal_that_killed_it_is_told),
		T(a_flood_of_messages_keeps_only_its_end),
		T(the_death_of_who_started_it_ends_it),
		T(root_can_run_it_as_another_user),
		T(others_cannot_run_it_as_another_user),
		T(the_death_signal_outlives_a_change_of_user),
		T(failures_have_the_status_of_what_the_server_said),
		T(a_failing_statement_names_its_entry_but_is_not_shown),
	};

	return skipped_exit(
	    cmocka_run_group_tests(tests, make_folder, remove_folder));
}
