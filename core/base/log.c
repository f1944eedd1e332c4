/* SPDX-License-Identifier: BSD-2-Clause */
#include "log.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "secret.h"
#include "text.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum hf_level max_level = HF_LOG_WARN;
static bool as_json;
static void (*before_line)(void), (*after_line)(void);

static const char *const names[] = { "error", "warn", "info", "debug" };

void
log_setup(enum hf_level max, bool json)
{
	max_level = max;
	as_json = json;
}

void
log_around(void (*before)(void), void (*after)(void))
{
	pthread_mutex_lock(&lock);
	before_line = before;
	after_line = after;
	pthread_mutex_unlock(&lock);
}

bool
log_wants(enum hf_level level)
{
	return level <= max_level;
}

static void
write_json(
    enum hf_level level, const char *event, const char *who, const char *text)
{
	struct text_small now = text_utc(text_now());
	json_t *line = json_pack("{s:s, s:s, s:s, s:s*, s:s}", "time", now.s,
	    "level", names[level], "event", event, "who", who, "message", text);

	if (line == NULL) /* text that is not UTF-8 */
		line = json_pack("{s:s, s:s, s:s}", "time", now.s, "level",
		    names[level], "event", event);
	if (line != NULL && json_dumpf(line, stderr, JSON_COMPACT) == 0)
		(void)fputc('\n', stderr);
	json_decref(line);
}

void
log_vwrite(enum hf_level level, const char *event, const char *who,
    const char *fmt, va_list ap)
{
	char text[2048];

	if (!log_wants(level))
		return;
	(void)vsnprintf(text, sizeof text, fmt, ap);
	secret_scrub(text);
	pthread_mutex_lock(&lock);
	if (before_line != NULL)
		before_line();
	if (as_json)
		write_json(level, event, who, text);
	else
		(void)fprintf(stderr, "%s: %s%s%s\n", names[level],
		    who == NULL ? "" : who, who == NULL ? "" : ": ", text);
	if (after_line != NULL)
		after_line();
	pthread_mutex_unlock(&lock);
}

void
log_write(enum hf_level level, const char *event, const char *who,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(level, event, who, fmt, ap);
	va_end(ap);
}
