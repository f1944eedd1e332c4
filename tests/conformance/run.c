/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "data.h"
#include "interrupt.h"
#include "verdict.h"
#include "world.h"

#define PRINTED_MAX (64 * KIB)

/* A child under way: its verdict lines and what it prints. */
struct child {
	pid_t pid;
	int lines, out, err;
	struct buf text;
	int status;
	bool late, interrupted;
};

static int
capture_file(const struct setup *setup, const char *name)
{
	char path[4200];

	(void)snprintf(path, sizeof path, "%s/%s", setup->work, name);
	return open(
	    path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0600);
}

/* In the child: become the process that runs one case. */
static void
child_setup(const struct child *c, int lines)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	interrupt_reset();
	if (null < 0 || dup2(null, 0) < 0 || dup2(c->out, 1) < 0 ||
	    dup2(c->err, 2) < 0)
		_exit(3);
	(void)close(null);
	(void)close(c->out);
	(void)close(c->err);
	verdict_to(lines);
	log_setup(HF_LOG_DEBUG, true);
	secret_forget();
}

/* Returns 0 in the child, 1 in the parent, -1 on failure. */
static int
child_start(const struct setup *setup, struct child *c)
{
	int pipe_fds[2];

	*c = (struct child){ .pid = -1, .text = BUF_INIT };
	c->out = capture_file(setup, "stdout");
	c->err = capture_file(setup, "stderr");
	if (c->out < 0 || c->err < 0 || pipe2(pipe_fds, O_CLOEXEC) != 0)
		return -1;
	(void)fflush(NULL);
	c->pid = fork();
	if (c->pid < 0)
		return -1;
	if (c->pid == 0) {
		(void)close(pipe_fds[0]);
		child_setup(c, pipe_fds[1]);
		return 0;
	}
	(void)setpgid(c->pid, c->pid);
	(void)close(pipe_fds[1]);
	c->lines = pipe_fds[0];
	return 1;
}

static bool
drain(struct child *c, int wait_ms)
{
	struct pollfd p = { .fd = c->lines, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	if (poll(&p, 1, wait_ms) <= 0)
		return true;
	n = read(c->lines, buf, sizeof buf);
	if (n <= 0)
		return false;
	(void)buf_append(&c->text, buf, (size_t)n, NULL);
	return true;
}

/* Until the child ended.  The pipe alone does not tell: something that the
 * plugin started may hold it open. */
static void
child_wait(const struct setup *setup, struct child *c)
{
	int64_t end = text_monotonic() + (int64_t)setup->timeout * 1000;
	bool open = true;

	while (waitpid(c->pid, &c->status, WNOHANG) == 0) {
		if (open)
			open = drain(c, 20);
		else
			(void)poll(NULL, 0, 2);
		c->interrupted = interrupt_seen();
		if (!c->interrupted && text_monotonic() < end)
			continue;
		c->late = !c->interrupted;
		(void)kill(-c->pid, SIGKILL);
		(void)waitpid(c->pid, &c->status, 0);
		break;
	}
	while (open) {
		size_t before = c->text.len;

		open = drain(c, 0) && c->text.len > before;
	}
	(void)buf_append(&c->text, "", 1, NULL);
	(void)kill(-c->pid, SIGKILL); /* what it may have left behind */
	(void)close(c->lines);
}

static char *
printed(int fd)
{
	char *text = data_alloc(PRINTED_MAX + 1);
	ssize_t n = pread(fd, text, PRINTED_MAX, 0);

	text[n < 0 ? 0 : n] = '\0';
	(void)close(fd);
	return text;
}

/* The first line on stderr that the log did not write, or NULL. */
static char *
foreign_line(char *text)
{
	for (char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, "{\"time\":", 8) != 0 && len > 0) {
			line[len] = '\0';
			return line;
		}
		line += len + (line[len] == '\n');
	}
	return NULL;
}

static void
set_failed(struct run_outcome *o, const char *fmt, ...) HF_PRINTF(2, 3);
static void
set_failed(struct run_outcome *o, const char *fmt, ...)
{
	va_list ap;

	o->verdict = RUN_FAILED;
	va_start(ap, fmt);
	(void)vsnprintf(o->message, sizeof o->message, fmt, ap);
	va_end(ap);
}

static void
read_lines(struct run_outcome *o, char *text, bool *decided)
{
	struct buf notes = BUF_INIT;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		if (line[0] == '\0')
			continue;
		if (line[0] == 'N') {
			(void)buf_puts(&notes, line + 1, NULL);
			(void)buf_puts(&notes, "\n", NULL);
			continue;
		}
		if (*decided)
			continue;
		*decided = true;
		o->verdict = line[0] == 'P'   ? RUN_PASSED
			     : line[0] == 'S' ? RUN_SKIPPED
					      : RUN_FAILED;
		(void)snprintf(o->message, sizeof o->message, "%s", line + 1);
	}
	o->notes = (char *)notes.data;
}

/* What the case said counts first, then how its process ended, then what it
 * printed where a plugin must not print. */
static void
judge(const struct setup *setup, struct child *c, struct run_outcome *o)
{
	char *out = printed(c->out), *err = printed(c->err), *line;
	bool decided = false;

	o->trouble = NULL;
	read_lines(o, (char *)c->text.data, &decided);
	if (c->interrupted) {
		set_failed(o, "interrupted");
	} else if (c->late) {
		set_failed(
		    o, "did not come back within %u seconds", setup->timeout);
	} else if (WIFSIGNALED(c->status)) {
		set_failed(o, "crashed: signal %d (%s)", WTERMSIG(c->status),
		    strsignal(WTERMSIG(c->status)));
		o->trouble = strdup(err);
	} else if (!decided ||
		   (o->verdict == RUN_PASSED && WEXITSTATUS(c->status) != 0)) {
		set_failed(o, "the process ended with status %d%s",
		    WEXITSTATUS(c->status),
		    decided ? " after the case had passed: a leak or another "
			      "report of a sanitizer"
			    : "");
		o->trouble = strdup(err);
	} else if (o->verdict != RUN_FAILED && out[0] != '\0') {
		set_failed(o, "the plugin wrote to stdout: %.200s", out);
	} else if (o->verdict != RUN_FAILED &&
		   (line = foreign_line(err)) != NULL) {
		set_failed(o, "the plugin wrote to stderr: %.200s", line);
	}
	for (size_t i = 0; i < setup->nsecrets; i++)
		if (strstr(err, setup->secrets[i]) != NULL ||
		    strstr(out, setup->secrets[i]) != NULL)
			set_failed(o, "the log has the value of a secret "
				      "option");
	secret_scrub(o->message);
	if (o->notes != NULL)
		secret_scrub(o->notes);
	if (o->trouble != NULL)
		secret_scrub(o->trouble);
	free(out);
	free(err);
	buf_free(&c->text);
}

static void
finish(const struct setup *setup, struct child *c, struct run_outcome *o)
{
	child_wait(setup, c);
	judge(setup, c, o);
}

static void
case_child(const struct setup *setup, enum case_kind kind,
    const struct conform_case *test, size_t n)
{
	struct session s = { .setup = setup };
	struct world *before;
	char dir[4200], text[512];

	(void)snprintf(dir, sizeof dir, "%s/case-%zu", setup->work, n);
	(void)snprintf(
	    s.prefix, sizeof s.prefix, "conform-%s/%zu/", setup->id, n);
	CHECK(mkdir(dir, 0700) == 0, "cannot make the folder %s", dir);
	s.dir = dir;
	world_settle();
	before = world_take();
	session_load(&s);
	if (kind != CASE_PLUGIN)
		expect(&s, session_open(&s, kind, NULL), HF_OK, "open");
	test->run(&s);
	session_close(&s);
	session_unload(&s);
	CHECK(world_same(before, text, sizeof text), "%s", text);
	world_free(before);
	data_remove(dir);
	verdict_pass();
	exit(0); /* and not _exit: a leak checker looks now */
}

void
run_case(const struct setup *setup, enum case_kind kind,
    const struct conform_case *test, size_t n, struct run_outcome *o)
{
	struct child c;

	*o = (struct run_outcome){ .verdict = RUN_FAILED };
	switch (child_start(setup, &c)) {
	case 0:
		case_child(setup, kind, test, n);
		_exit(3);
	case 1:
		finish(setup, &c, o);
		break;
	default:
		set_failed(o, "the suite cannot start a process");
	}
}

void
run_outcome_clear(struct run_outcome *o)
{
	free(o->notes);
	free(o->trouble);
	*o = (struct run_outcome){ .verdict = RUN_FAILED };
}

static char *
from_hex(const char *hex)
{
	size_t n = strlen(hex) / 2;
	char *text = data_alloc(n + 1);

	for (size_t i = 0; i < n; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		text[i] = (char)strtoul(two, NULL, 16);
	}
	text[n] = '\0';
	return text;
}

static void
describe_secrets(struct session *s)
{
	const struct hf_plugin *desc = &s->plugin->desc;
	const char *conf = options_conf(s->options);
	const struct hf_option *o;

	for (size_t i = 0;
	     (o = options_at(desc->options, desc->option_size, i)) != NULL;
	     i++) {
		const char *value = NULL;
		char hex[1600];

		if ((o->flags & HF_OPT_SECRET) == 0 ||
		    (o->flags & HF_OPT_LIST) != 0 || o->type > HF_OPT_ENUM)
			continue;
		memcpy(&value, conf + o->offset, sizeof value);
		if (value == NULL || strlen(value) < 4 || strlen(value) > 750)
			continue;
		text_hex(value, strlen(value), hex);
		verdict_note("secret=%s", hex);
	}
}

static void
describe_child(const struct setup *setup)
{
	struct session s = { .setup = setup };
	const struct hf_plugin *desc;

	session_load(&s);
	desc = &s.plugin->desc;
	verdict_note("kinds=%u",
	    1u << CASE_PLUGIN | (desc->store != NULL ? 1u << CASE_STORE : 0) |
		(desc->filter != NULL ? 1u << CASE_FILTER : 0) |
		(desc->engine != NULL ? 1u << CASE_ENGINE : 0));
	verdict_note("name=%s", desc->name);
	verdict_note("version=%s", desc->version);
	expect(&s, session_open(&s, CASE_PLUGIN, NULL), HF_OK, "options");
	if (desc->options != NULL)
		describe_secrets(&s);
	session_close(&s);
	session_unload(&s);
	verdict_pass();
	_exit(0);
}

bool
run_describe(
    const struct setup *setup, struct run_plugin *p, char *message, size_t cap)
{
	struct run_outcome o = { .verdict = RUN_FAILED };
	struct child c;
	char *rest, *line;
	bool good;

	*p = (struct run_plugin){ .kinds = 0 };
	switch (child_start(setup, &c)) {
	case 0:
		describe_child(setup);
		_exit(3);
	case 1:
		finish(setup, &c, &o);
		break;
	default:
		set_failed(&o, "the suite cannot start a process");
	}
	rest = o.notes;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (strncmp(line, "kinds=", 6) == 0)
			p->kinds = (unsigned)strtoul(line + 6, NULL, 10);
		else if (strncmp(line, "name=", 5) == 0)
			(void)snprintf(p->name, sizeof p->name, "%s", line + 5);
		else if (strncmp(line, "version=", 8) == 0)
			(void)snprintf(
			    p->version, sizeof p->version, "%s", line + 8);
		else if (strncmp(line, "secret=", 7) == 0 &&
			 p->nsecrets < RUN_SECRETS)
			p->secrets[p->nsecrets++] = from_hex(line + 7);
	}
	good = o.verdict == RUN_PASSED;
	(void)snprintf(message, cap, "%s", o.message);
	run_outcome_clear(&o);
	return good;
}

struct key_list {
	char **keys;
	size_t n;
};

static int
keep_key(void *arg, const struct hf_object *o)
{
	struct key_list *l = arg;

	l->keys = data_grow(l->keys, (l->n + 1) * sizeof *l->keys);
	l->keys[l->n] = strdup(o->key);
	return l->keys[l->n++] == NULL ? HF_E_NOMEM : 0;
}

static void
clean_child(const struct setup *setup)
{
	struct session s = { .setup = setup };
	struct key_list l = { NULL, 0 };
	char prefix[64];

	session_load(&s);
	expect(&s, session_open(&s, CASE_STORE, NULL), HF_OK, "open");
	(void)snprintf(prefix, sizeof prefix, "conform-%s/", setup->id);
	expect(&s, s.plugin->store.list(s.store, prefix, keep_key, &l, &s.err),
	    HF_OK, "list");
	for (size_t i = 0; i < l.n; i++)
		expect(&s, s.plugin->store.remove(s.store, l.keys[i], &s.err),
		    HF_OK, "remove %s", l.keys[i]);
	verdict_pass();
	_exit(0);
}

void
run_clean_store(const struct setup *setup, struct run_outcome *o)
{
	struct child c;

	*o = (struct run_outcome){ .verdict = RUN_FAILED };
	switch (child_start(setup, &c)) {
	case 0:
		clean_child(setup);
		_exit(3);
	case 1:
		finish(setup, &c, o);
		break;
	default:
		set_failed(o, "the suite cannot start a process");
	}
}
