/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of the process that a plugin has to leave as it found it. */
#ifndef HF_CONFORM_WORLD_H
#define HF_CONFORM_WORLD_H

#include <stdbool.h>
#include <stddef.h>

struct world;

/* Let the thread sanitizer start the thread of its own, which it does with the
 * first one of the process; else nothing. */
void world_settle(void);

/* Take a picture; never NULL (ends the process without memory). */
struct world *world_take(void);
void world_free(struct world *);

/* Is the process as it was?  Threads that are about to end get two seconds.
 * False, and what differs in text. */
bool world_same(const struct world *, char *text, size_t cap);

/* File descriptors opened since, without close-on-exec?  False, and which. */
bool world_cloexec(const struct world *, char *text, size_t cap);

/* Bytes that malloc has given out; 0 where it cannot tell (sanitizers, which
 * find leaks themselves). */
size_t world_heap(void);

#endif
