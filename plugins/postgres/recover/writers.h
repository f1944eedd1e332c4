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

struct geometry;
struct inventory;
struct folder;
struct writers;

/* What becomes of a file. */
enum writers_job {
	WRITERS_MAKE,  /* it is not there yet */
	WRITERS_APPLY, /* an increment, to the file that is there */
	WRITERS_CHECK  /* it is held against the inventory alone */
};

struct chunk {
	struct chunk *next;
	char *path; /* of a file, below the folder, as its tar has it:
		     * malloc'ed; NULL: more of the same */
	enum writers_job job;
	mode_t mode; /* of a new file */
	bool last;   /* of its file */
	size_t len;
	unsigned char data[WRITERS_CHUNK];
};

struct writers_place {
	const struct folder *folder; /* where to; pg_control is made under its
				      * temporary name */
	const char *prefix; /* before paths, as the inventory has them */
	struct inventory *inventory;     /* may be NULL */
	const struct geometry *geometry; /* for increments; may be NULL */
};

/* n threads. */
int writers_new(unsigned n, const struct writers_place *, struct writers **,
    struct hf_error *);
/* An empty one, waiting until there is; NULL: a thread failed. */
struct chunk *writers_chunk(struct writers *);
/* Hand it over, filled: all of a file before the next. */
void writers_push(struct writers *, struct chunk *);
/* Everything is written, or a thread has failed; ends them and frees.  abandon:
 * stop at once.  NULL is a no-op. */
int writers_end(struct writers *, bool abandon, struct hf_error *);

#endif
