/* SPDX-License-Identifier: BSD-2-Clause */
/* A store in memory that does what a test wants of it.
 *
 * A bucket is found by its name and shared by everybody who opens it; it lives
 * until memstore_reset.  Every function here may be called while the store is
 * in use.
 */
#ifndef HF_TESTS_MEMSTORE_H
#define HF_TESTS_MEMSTORE_H

#include <holdfast/plugin.h>

struct plugin;
struct store;

enum memstore_op {
	MEMSTORE_ANY, /* counts all of the following */
	MEMSTORE_PUT,
	MEMSTORE_WRITE,
	MEMSTORE_COMMIT,
	MEMSTORE_GET,
	MEMSTORE_READ,
	MEMSTORE_STAT,
	MEMSTORE_LIST,
	MEMSTORE_REMOVE,
	MEMSTORE_OPS
};

/* For plugin_open_static: the same store at two thread levels,
 * HF_THREADS_HANDLE and, without remove_many and sweep, HF_THREADS_SERIAL.
 * Option: "bucket". */
const struct hf_plugin *memstore_plugin(const struct hf_host *);
const struct hf_plugin *memstore_plugin_serial(const struct hf_host *);

/* The whole way: plugin and store of one bucket.  Fails the test when it
 * cannot. */
struct memstore {
	struct plugin *plugin;
	struct store *store;
};
void memstore_open(struct memstore *, const char *bucket, bool serial);
void memstore_close(struct memstore *);

/* Forget all buckets.  No store may be open. */
void memstore_reset(void);

/* From now on the n-th call (1 = the next) of op answers status, and so do the
 * count - 1 after it.  n 0: none. */
void memstore_fail(const char *bucket, enum memstore_op, unsigned long n,
    unsigned long count, int status);
/* Did that happen? */
bool memstore_failed(const char *bucket);
/* Each write takes so long. */
void memstore_delay(const char *bucket, unsigned ms);
/* Calls of op block, whatever is cancelled, until op is released. */
void memstore_stall(const char *bucket, enum memstore_op, bool on);
/* Calls that are blocked now. */
unsigned memstore_stalled(const char *bucket);
/* Written bytes are counted and thrown away. */
void memstore_discard(const char *bucket, bool on);

unsigned long memstore_calls(const char *bucket, enum memstore_op);
/* Puts and gets that were opened and not closed. */
unsigned memstore_handles(const char *bucket);
/* Most puts that were open at one time. */
unsigned memstore_most_handles(const char *bucket);
/* Calls that ran at the same time, at most. */
unsigned memstore_most_calls(const char *bucket);
size_t memstore_count(const char *bucket); /* keys */

/* The bytes under a key; NULL when there is none.  Valid until it changes. */
const uint8_t *memstore_peek(const char *bucket, const char *key, size_t *len);
/* Flip bits of one byte. */
bool
memstore_flip(const char *bucket, const char *key, size_t at, uint8_t bits);
/* Make it shorter, or longer by zeroes. */
bool memstore_resize(const char *bucket, const char *key, size_t len);
bool memstore_remove(const char *bucket, const char *key);
/* What a writer that died then left: only sweep finds it. */
void memstore_leave(const char *bucket, const char *key, int64_t mtime);
/* Give a key this time. */
bool memstore_age(const char *bucket, const char *key, int64_t mtime);

#endif
