/* SPDX-License-Identifier: BSD-2-Clause */
/* A backup in memory: what engines write to and restore from in tests.
 *
 * One memout is both an hf_out and, later, an hf_in over the same objects.
 * Several writers may be open at once, from any thread. */
#ifndef HF_TESTS_MEMOUT_H
#define HF_TESTS_MEMOUT_H

#include <holdfast/plugin.h>

struct memout;

struct memout *memout_new(void); /* never NULL: it aborts */
void memout_free(struct memout *);

struct hf_out *memout_out(struct memout *);
struct hf_in *memout_in(struct memout *);

/* From now on it is a log: the same name again with the same bytes is good,
 * with others HF_E_EXISTS; its objects have facts and can be removed; it lists
 * in the order of names. */
void memout_log(struct memout *);

/* The n-th call of that kind from now on (1: the next) answers status; 0:
 * none. */
enum memout_call {
	MEMOUT_BEGIN,
	MEMOUT_WRITE,
	MEMOUT_COMMIT,
	MEMOUT_FACT,
	MEMOUT_OPEN,
	MEMOUT_READ,
	MEMOUT_LIST,
	MEMOUT_REMOVE, /* of logs, as the next */
	MEMOUT_FACTS,
	MEMOUT_CALLS
};
void memout_fail(struct memout *, enum memout_call, unsigned n, int status);

/* From now on this object cannot be reached: opening it, committing it, its
 * facts and removing it answer status.  NULL: none is lost. */
void memout_lose(struct memout *, const char *name, int status);

/* How often it was called. */
unsigned memout_calls(struct memout *, enum memout_call);
/* How many names the lists of a log have given in all. */
size_t memout_listed(struct memout *);

/* Called before each write or read, without a lock: to wait, or to look. */
void memout_on_write(struct memout *, void (*)(void *), void *);
void memout_on_read(struct memout *, void (*)(void *), void *);

/* Objects that are committed, and writers that were neither committed nor
 * aborted. */
size_t memout_count(struct memout *);
size_t memout_open(struct memout *);

/* The n-th committed object; borrowed. */
const char *memout_name(struct memout *, size_t n);
void *memout_bytes(struct memout *, size_t n, size_t *size);

/* Put an object there directly; data is copied. */
void memout_add(struct memout *, const char *name, const void *, size_t);

/* NULL when it was not told; set changes it (NULL: forgets it). */
const char *memout_fact(struct memout *, const char *key);
void memout_set_fact(struct memout *, const char *key, const char *value);

#endif
