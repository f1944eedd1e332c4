/* SPDX-License-Identifier: BSD-2-Clause */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conform.h"
#include "world.h"

static int fd = -1;

void
verdict_to(int to)
{
	fd = to;
}

/* One write of less than PIPE_BUF: lines of several threads do not mix, and
 * the parent sees all of it or nothing. */
static void
send_line(char kind, const char *fmt, va_list ap)
{
	char line[2048];
	size_t len;

	line[0] = kind;
	(void)vsnprintf(line + 1, sizeof line - 2, fmt, ap);
	for (char *p = line + 1; *p != '\0'; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	len = strlen(line);
	if (fd < 0) {
		log_write(HF_LOG_ERROR, "conform.again", NULL, "%s", line + 1);
		return;
	}
	line[len++] = '\n';
	if (write(fd, line, len) < 0)
		_exit(3);
}

void
verdict_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	send_line('F', fmt, ap);
	va_end(ap);
	_exit(1);
}

void
verdict_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	send_line('S', fmt, ap);
	va_end(ap);
	_exit(0);
}

void
verdict_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	send_line('N', fmt, ap);
	va_end(ap);
}

void
verdict_pass(void)
{
	if (fd >= 0 && write(fd, "P\n", 2) < 0)
		_exit(3);
}

static void
expect_status(struct session *s, struct hf_error *err, int got, int want,
    const char *what)
{
	char line[1200];

	error_line(err, line, sizeof line);
	if (want == EXPECT_FAILURE)
		CHECK(got < 0,
		    "%s: a failure was expected, it returned %d (%s)", what,
		    got, got == HF_EOF ? "EOF" : error_status_name(got));
	else
		CHECK(got == want,
		    "%s: %s was expected, it returned %d (%s)%s%s", what,
		    want == HF_EOF ? "EOF" : error_status_name(want), got,
		    got == HF_EOF ? "EOF" : error_status_name(got),
		    got < 0 ? ": " : "", got < 0 ? line : "");
	if (got < 0) {
		CHECK(err->status != HF_OK && err->cause[0] != '\0',
		    "%s: failed with %s and left no message", what,
		    error_status_name(got));
		CHECK(err->status == got,
		    "%s: returned %s, but the error slot says %s", what,
		    error_status_name(got), error_status_name(err->status));
		expect_no_secret(s, err->cause, "an error's text");
		for (int i = 0; i < err->nframes; i++)
			expect_no_secret(s, err->frames[i], "an error's text");
		for (int i = 0; i < err->nnotes; i++)
			expect_no_secret(
			    s, err->notes[i].value, "an error's note");
	}
	error_clear(err);
}

void
expect(struct session *s, int got, int want, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	expect_status(s, &s->err, got, want, what);
}

void
expect_in(struct session *s, struct hf_error *err, int got, int want,
    const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	expect_status(s, err, got, want, what);
}

void
expect_no_secret(const struct session *s, const char *text, const char *where)
{
	if (text == NULL)
		return;
	for (size_t i = 0; i < s->setup->nsecrets; i++)
		CHECK(strstr(text, s->setup->secrets[i]) == NULL,
		    "%s has the value of a secret option", where);
}

#define BATCHES 8
#define ROUNDS 100

void
expect_settles(
    struct session *s, void (*round)(struct session *, int i), const char *what)
{
	size_t grown = 0;

	for (int batch = 0; batch < BATCHES; batch++) {
		size_t before = world_heap(), after;

		for (int i = 0; i < ROUNDS; i++)
			round(s, i);
		after = world_heap();
		/* less than the smallest leak there is, in every round */
		if (after < before + ROUNDS * 8)
			return;
		grown = after - before;
	}
	verdict_fail("%s takes more memory each time: %d rounds more took "
		     "%zu bytes more",
	    what, ROUNDS, grown);
}
