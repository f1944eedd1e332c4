/* SPDX-License-Identifier: BSD-2-Clause */
/* A pipeline's log through its engine: pushed, followed, fetched, looked at.
 *
 * log.h keeps the objects; what they are called and what belongs together only
 * the engine knows.
 */
#ifndef HF_REPO_LOGS_H
#define HF_REPO_LOGS_H

#include "repo/repo.h"

struct repo_log;

/* How a source keeps its log; the n-th of the pipeline.  0: it keeps none. */
int
logs_kinds(struct repo *, size_t source, uint32_t *kinds, struct hf_error *);

/* The source whose log it is: by its name, or (NULL) the only one that keeps
 * one.  HF_E_INVALID: none, or several. */
int
logs_source(struct repo *, const char *name, size_t *source, struct hf_error *);

/* For a backup or a restore: what the engine needs of the log of its source in
 * the request.  Without one nothing is set. */
struct engine;
struct logs_attached {
	struct repo *of, *repo; /* a log has its sinks to itself */
	struct repo_log *log;
	char *command;
};
int logs_attach(struct repo *, const char *source, struct engine *,
    struct hf_request *, struct logs_attached *, struct hf_error *);
void logs_detach(struct logs_attached *);
/* For a backup, behind logs_attach: of the log it is shown what the sinks that
 * take part in it (counts, from any thread) have as the pipeline requires it,
 * see repo_log_safe; and to its failure comes which sink lacks what. */
void logs_safe(const struct logs_attached *, struct hf_request *,
    bool (*counts)(void *arg, size_t sink), void *arg);
void logs_failed(const struct logs_attached *, struct hf_error *);

/* As the engine's table has them. */
int logs_push(struct repo *, size_t source, const char *file, bool *waiting,
    struct hf_error *);
int
logs_behind(struct repo *, size_t source, const char *file, struct hf_error *);
int logs_get(struct repo *, size_t source, const char *name, const char *file,
    struct hf_error *);
int
logs_ahead(struct repo *, size_t source, const char *name, struct hf_error *);
/* Until cancelled: then HF_OK. */
int logs_follow(struct repo *, size_t source, struct hf_error *);

/* When all of the source was in the log, as far as this host knows: Unix
 * milliseconds; 0: it does not know. */
int64_t logs_current(const struct repo *, size_t source);

/* What can be restored, told oldest first. */
int logs_spans(struct repo *, size_t source, const struct repo_catalog *,
    hf_span_fn *, void *arg, struct hf_error *);

/* Reads all of it; findings go to the events of the repo, *worst gets the
 * worst verdict.  Recorded in reports/. */
int logs_verify(struct repo *, size_t source, const struct repo_catalog *,
    int *worst, struct hf_error *);

/* Removes what neither the kept backups (oldest first) nor the moments since
 * the end of kept[whole] need; removed counts on.  A source without a log:
 * HF_OK. */
struct logs_prune {
	const struct repo_backup_entry *const *kept;
	size_t nkept, whole;
	bool dry_run;
	size_t removed;
};
int logs_prune(
    struct repo *, size_t source, struct logs_prune *, struct hf_error *);

/* The newest backup that can be brought to what the options ask for, of those
 * that the selector allows (see repo_pick); pipelines without a log: as
 * repo_pick.  The error is that of the newest that is old enough. */
int logs_pick(struct repo *, const struct repo_catalog *, const char *selector,
    int64_t at_ms, const struct repo_restore_options *,
    const struct repo_backup_entry **, struct hf_error *);

#endif
