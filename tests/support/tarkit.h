/* SPDX-License-Identifier: BSD-2-Clause */
/* A tar file in memory, entry by entry: also such as no program writes. */
#ifndef HF_TESTS_TARKIT_H
#define HF_TESTS_TARKIT_H

#include <stddef.h>

#define TARKIT_FILE '0'
#define TARKIT_HARD_LINK '1'
#define TARKIT_LINK '2'
#define TARKIT_FOLDER '5'
#define TARKIT_FIFO '6'

struct tarkit {
	char *bytes; /* free() */
	size_t len, cap;
};

/* link: of the two kinds of links, else NULL.  It aborts without memory. */
void tarkit_add(struct tarkit *, const char *path, char type, const char *link,
    const void *bytes, size_t len);
/* The two empty blocks. */
void tarkit_end(struct tarkit *);
/* Empty again. */
void tarkit_free(struct tarkit *);

#endif
