/* SPDX-License-Identifier: BSD-2-Clause */
/* What is stored in one sink, published in another.
 *
 *   copy_object.c  one object: read, check, write
 *   copy.c         one backup: lease, objects, SHA256SUMS, manifest last
 *   copy_plan.c    which ones: what "holdfast copy" was asked for
 *   complete.c     which ones: what earlier runs could not store
 */
#ifndef HF_REPO_COPY_H
#define HF_REPO_COPY_H

#include "flow/flow.h"
#include "repo/repo.h"

struct filter;
struct repo_backup_result;
struct store;

/* One object, wherever its key stands. */
struct copy_object {
	struct store *from;
	const struct flow_object *object; /* as it is there, with its filters */
	const char
	    *from_prefix;      /* its key begins so, and goes on in "to" ... */
	const char *to_prefix; /* ... behind this one */
	const char *to_name;   /* of the sink, for errors */
	struct store *to;
	int64_t stall_ms; /* of the sink: 0: wait for ever */
	/* The chain of "to".  Where it is the very one that the object went
	 * through, the stored bytes are kept. */
	struct filter *const *filters;
	size_t nfilters;
	/* Before the prefix of the name in a key that is made anew. */
	const char *name_prefix;
	/* So many raw bytes more; from any thread; may be NULL. */
	void (*progress)(void *arg, uint64_t more);
	void *arg;
};
struct copy_object_result {
	/* As it is in "to": its keys, stored sizes, hashes, frames; clear with
	 * flow_object_clear.  name is NULL. */
	struct flow_object object;
	bool as_is;
	/* What failed: writing, or else reading. */
	bool writing;
	/* A thread was left behind in the plugin of "to" (out.h). */
	bool stuck;
};
/* Reads the whole object and checks sizes and hashes of its stored bytes, its
 * index and its raw bytes, also where the stored ones are kept: a filter that
 * once went wrong has written a good hash of bytes that nobody can decode, and
 * a copy of those is none.  Decoding runs on all cores and is faster than most
 * stores.  Nothing appears in "to" unless all of it agrees.  May run on several
 * threads at once.  The result is to be cleared whatever it returns. */
int copy_object(struct flow *, const struct copy_object *,
    struct copy_object_result *, struct hf_error *);

/* One backup, by the numbers of the sinks: takes the lease of "to", publishes,
 * reads back as the pipeline's "verify" says (but not deep), reports.  A
 * failure leaves nothing behind in "to" and is in the result too, where
 * "fatal" (may be NULL) says that "to" cannot be used for others either. */
int copy_backup(struct repo *, size_t from, size_t to, const char *id,
    struct repo_copied *, bool *fatal, struct hf_error *);

/* Is it a copy that holds the lease of this sink?  It may take hours, and a
 * backup need not wait for it: the other sinks get theirs now, and this one by
 * the run after. */
bool copy_at_work(struct repo *, size_t sink);

/* After a run: backups of earlier ones that were meant for a sink and are not
 * in it are copied from one that has them.  usable: which sinks worked in
 * this run, one each.  What fails is a warning. */
void complete_earlier(
    struct repo *, const bool *usable, struct repo_backup_result *);

#endif
