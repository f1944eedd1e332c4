/* SPDX-License-Identifier: BSD-2-Clause */
/* The log of one pipeline, in all its sinks: objects that arrive one by one
 * between the backups (WAL segments), each whole and durable on its own.  The
 * contract of the engine's side is in holdfast/plugin.h.
 *
 *   <pipeline>/wal/<name>-<8 random hex><suffixes>   the bytes, written first
 *   <pipeline>/wal/<name>.json                       last, only if absent: the
 *                                                    object exists from now on
 *
 * So two writers of one name never meet in the data, and exactly one document
 * wins in each sink.  Sinks are gone through in one order, so that whoever
 * loses the first one changes nothing in the others.
 *
 *   log.c        life, and which sinks can be used at the moment
 *   log_doc.c    the document
 *   log_write.c  one object into the sinks that lack it
 *   log_read.c   one object out of the first sink that has a good copy
 *   log_safe.c   what all sinks have that must
 *   log_keep.c   removing, filling, garbage: for those who tend it
 */
#ifndef HF_REPO_LOG_H
#define HF_REPO_LOG_H

#include <holdfast/plugin.h>

struct manifest_source;
struct repo;
struct repo_log;
struct store_keys;

/* Opens no sink: each is opened when it is first needed.  The repo is the
 * log's alone until it is closed: no backup, no other log at the same time. */
int repo_log_open(struct repo *, struct repo_log **, struct hf_error *);
void repo_log_close(struct repo_log *);

/* Before it is written for long, by one who lists it first: of a sink whose
 * place is not there it could not be told what it has, so that is made as the
 * first object would make it.  Best effort: writing says what fails. */
void repo_log_prepare(struct repo_log *);

/* Valid until close; any number of threads may use both at once. */
struct hf_in *repo_log_in(struct repo_log *);
struct hf_out *repo_log_out(struct repo_log *);

/* The same as repo_log_in shows, but only what has arrived for good: in as many
 * of the sinks that count as the pipeline requires (in all that count, where
 * fewer do).  For a backup that must not be published before its log: counts
 * tells which sinks are still in it, from any thread; NULL: all.  A sink that
 * cannot be asked has nothing. */
struct hf_in *repo_log_safe(
    struct repo_log *, bool (*counts)(void *arg, size_t sink), void *arg);
/* Why a name was not shown last, if that is still so, as context of the
 * error. */
void repo_log_held_back(struct repo_log *, struct hf_error *);

/* The names that one sink has, sorted, in the place of keys; size and mtime are
 * those of the documents.  Free with store_keys_free. */
int repo_log_list(
    struct repo_log *, size_t sink, struct store_keys *, struct hf_error *);

/* Bring to each sink what it lacks and another one has: read and proved there,
 * then written as any object is.  filled counts the objects.  What fails is
 * logged and left, and the first failure returned when all was tried. */
int repo_log_fill(struct repo_log *, size_t *filled, struct hf_error *);

/* The data of one sink that no document names and that is older than a day, by
 * the store's clock: what writers that died left.  fn gets the keys, to be
 * removed with store_remove_many or not; what it returned when that was not
 * 0. */
int repo_log_garbage(
    struct repo_log *, size_t sink, hf_list_fn *, void *, struct hf_error *);

/* A backup that has a manifest's facts and no objects, for the functions of an
 * engine that look at many backups (log_spans, ...).  To its facts come
 * "backup", the id, and "backup_ended", Unix seconds.  The source is borrowed
 * until it is freed. */
int repo_facts_in(const struct manifest_source *, const char *id,
    int64_t ended_ms, struct hf_in **, struct hf_error *);
void repo_facts_in_free(struct hf_in *);

#endif
