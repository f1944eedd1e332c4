/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: lines on stderr, text or JSON, secrets scrubbed. */
#ifndef HF_BASE_LOG_H
#define HF_BASE_LOG_H

#include <holdfast/plugin.h>

#include <stdarg.h>

/* Lines above this level are dropped; default HF_LOG_WARN.  json: one JSON
 * object a line.  Call before threads start. */
void log_setup(enum hf_level max, bool json);

/* Called around each line, under the log's lock, so that a progress bar can
 * clear itself and come back.  NULL: none. */
void log_around(void (*before)(void), void (*after)(void));

/* event: a stable id, "sink.spooling".  who: "sink nas", or NULL. */
void log_write(enum hf_level, const char *event, const char *who,
    const char *fmt, ...) HF_PRINTF(4, 5);
void log_vwrite(enum hf_level, const char *event, const char *who,
    const char *fmt, va_list);

bool log_wants(enum hf_level);

#endif
