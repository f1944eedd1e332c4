/* SPDX-License-Identifier: BSD-2-Clause */
/* What is wrong with a file, collected while it is looked at. */
#ifndef HF_CONFIG_PROBLEM_H
#define HF_CONFIG_PROBLEM_H

#include <holdfast/plugin.h>

#include <stddef.h>

struct config_problem;

/* More than these are counted only: a file that is wrong all over is not
 * understood better after the first hundred. */
#define PROBLEM_MAX 100

#define PROBLEM_WARNING (1u << 0)
#define PROBLEM_KEY (1u << 1) /* point at the key, not at its value */

struct problems {
	const char *text; /* the file's, NUL at its end; NULL: no positions */
	struct config_problem *list;
	size_t n, errors, left_out;
	bool failed; /* no memory at some point; stays set */
};

/* The same path with the same text is kept once.  hint may be NULL. */
void problem_add(struct problems *, unsigned flags, const char *path,
    const char *hint, const char *fmt, ...) HF_PRINTF(5, 6);

/* For what has a position but no path: the parser's own complaints. */
void problem_add_at(struct problems *, int line, int column, const char *hint,
    const char *fmt, ...) HF_PRINTF(5, 6);

/* By place in the file.  Also says how many were left out. */
void problem_sort(struct problems *);

void problem_free(struct problems *);

#endif
