/* SPDX-License-Identifier: BSD-2-Clause */
/* This program as others are to start it: with the same configuration and
 * plugins, from any folder. */
#ifndef HF_CLI_SELF_H
#define HF_CLI_SELF_H

struct cli;

/* "/usr/bin/holdfast -c /etc/holdfast.json wal get --pipeline shop", as shell
 * words; the caller frees, NULL: no memory. */
char *self_log_command(const struct cli *, const char *pipeline);

/* "wal CALL NAME" in the background.  Best effort: without it the next calls
 * take longer.  source may be NULL. */
void self_start(const struct cli *, const char *call, const char *pipeline,
    const char *source, const char *name);

#endif
