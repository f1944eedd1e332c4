/* SPDX-License-Identifier: BSD-2-Clause */
/* What a person sees while it runs, on stderr.
 *
 * On a terminal one line, redrawn five times a second at most; elsewhere a
 * plain line every 30 seconds; nothing when quiet.  There is one stderr, so
 * there is one progress display in a process, and it is not handed around.
 *
 * Lock order: the log's lock, then this file's.  Nothing here logs.
 */
#ifndef HF_CLI_PROGRESS_H
#define HF_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress_task;

/* Start the display; tasks: how many there will be, 0 for unknown.  Without
 * this call, and after progress_stop, everything below does nothing. */
void progress_start(bool quiet, size_t tasks);

/* Clear the line for good. */
void progress_stop(void);

/* One pipeline at work.  NULL (no memory) can be handed on. */
struct progress_task *progress_begin(const char *name);
void progress_update(
    struct progress_task *, const char *phase, uint64_t done, uint64_t total);
void progress_end(struct progress_task *);

/* Around anything else that is written to the terminal. */
void progress_pause(void);
void progress_resume(void);

/* The line's text, for tests and for both displays: "shop backup  1.2 GiB of
 * 2.6 GiB  46%  210.0 MiB/s  7s left". */
void progress_text(char *, size_t cap, const char *name, const char *phase,
    uint64_t done, uint64_t total, uint64_t per_second);

#endif
