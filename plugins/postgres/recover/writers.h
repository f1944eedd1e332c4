/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that write files while another one reads what is to be in them.
 *
 * A file is one thread's, so its bytes are hashed in their order; memory is
 * bounded by the chunks that exist. */
#ifndef HF_POSTGRES_RECOVER_WRITERS_H
#define HF_POSTGRES_RECOVER_WRITERS_H

#include <sys/types.h>

#include <holdfast/plugin.h>

#define WRITERS_CHUNK ((size_t)128 << 10)

struct inventory;
struct folder;
struct writers;

struct chunk {
	struct chunk *next;
	char *path;  /* a new file below the folder: malloc'ed; NULL: more of
		      * the same */
	mode_t mode; /* of a new file */
	bool last;   /* of its file */
	size_t len;
	unsigned char data[WRITERS_CHUNK];
};

/* n threads.  prefix: before paths, as the inventory (NULL: none) has them. */
int writers_new(unsigned n, const struct folder *, const char *prefix,
    struct inventory *, struct writers **, struct hf_error *);
/* An empty one, waiting until there is; NULL: a thread failed. */
struct chunk *writers_chunk(struct writers *);
/* Hand it over, filled: all of a file before the next. */
void writers_push(struct writers *, struct chunk *);
/* Everything is written, or a thread has failed; ends them and frees.  abandon:
 * stop at once.  NULL is a no-op. */
int writers_end(struct writers *, bool abandon, struct hf_error *);

#endif
