/* SPDX-License-Identifier: BSD-2-Clause */
/* The stretches of time that backups and logs make up: "any time between A and
 * B". */
#ifndef HF_CLI_WINDOWS_H
#define HF_CLI_WINDOWS_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

struct config_pipeline;
struct repo;
struct repo_catalog;

/* Zeroed: none yet. */
struct windows {
	char **lines;
	size_t n;
};

/* Of the sources of one pipeline that keep a log.  Returns the same as JSON,
 * for the caller to decref; NULL: none keeps one.  What cannot be looked at is
 * a line of its own. */
json_t *windows_add(struct windows *, const struct config_pipeline *,
    struct repo *, const struct repo_catalog *);
void windows_print(const struct windows *, FILE *);
void windows_clear(struct windows *);

#endif
