/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files log*.c share. */
#ifndef HF_REPO_LOG_PRIVATE_H
#define HF_REPO_LOG_PRIVATE_H

#include <pthread.h>

#include "plugin/host.h"
#include "repo/log.h"
#include "repo/repo_private.h"

/* Data that nobody names is garbage after this time, and nobody names data
 * that he wrote longer ago than half of it: so a writer that was asleep never
 * names what was cleared away meanwhile. */
#define LOG_GARBAGE_S ((int64_t)24 * 60 * 60)

/* Lock order: a sink's, then the log's.  Neither is held while bytes move. */
struct log_sink {
	pthread_mutex_t lock; /* opening; all of this struct, and the sink's
			       * store and stuck in the repo */
	bool writable;        /* layout_ready() was content */
	bool held_repo;       /* it is known to hold a repository */
	struct filter **own;  /* opened with writable */
	unsigned failures;    /* in a row, when writing */
	int64_t paused_until; /* text_monotonic(); 0: not paused */
	struct hf_error why;  /* the last of these failures */
	/* Since the last failure the store was not opened again, which it is
	 * when this time has come. */
	bool stale;
	int64_t again_at, again_pause;
	/* Former ones, that others may still be using. */
	struct store **aside;
	size_t naside;
};

struct log_out {
	struct hf_out base;
	struct repo_log *log;
};

struct log_in {
	struct hf_in base;
	struct repo_log *log;
};

/* A name that the safe view did not show, for the sake of this sink. */
struct log_held {
	bool is;
	size_t sink;
	char name[512]; /* "": the sink could not be asked at all */
	char why[300];
};

struct repo_log {
	struct log_out out;
	struct log_in in, safe;
	bool (*counts)(void *arg, size_t sink); /* of safe; NULL: all do */
	void *counts_arg;
	struct repo *r;
	char *prefix; /* "shop/wal/" */
	struct log_held held;
	pthread_mutex_t lock;   /* the repo's filters, common and held */
	struct filter **common; /* NULL: not open */
	struct log_sink *sinks; /* one a sink of the repo */
};

/* ---- log.c ---- */
/* The store of a sink, opened and, to write to it, looked at.  Never
 * HF_E_NOTFOUND. */
int log_sink_read(
    struct repo_log *, size_t sink, struct store **, struct hf_error *);
int log_sink_write(
    struct repo_log *, size_t sink, struct store **, struct hf_error *);
/* HF_OK: this sink lacks what it said not to have.  Otherwise its repository is
 * gone as a whole (a disk that is not mounted), and it knows nothing. */
int log_sink_proved(struct repo_log *, size_t sink, struct hf_error *);
bool log_sink_has_repo(struct repo_log *, size_t sink);
/* Is it left alone at the moment, because it failed again and again and others
 * suffice?  why: its last failure. */
bool log_sink_paused(struct repo_log *, size_t sink, struct hf_error *why);
/* What writing to it came to; HF_OK ends a pause. */
void log_sink_wrote(struct repo_log *, size_t sink, const struct hf_error *why);
void log_sink_stuck(struct repo_log *, size_t sink);
/* The filters of all sinks. */
int log_common(struct repo_log *, struct filter ***, struct hf_error *);
/* Sinks that must have an object. */
size_t log_required(const struct repo_log *);
/* A failure that is not "the log has no such object", whatever it was. */
int log_not_missing(struct hf_error *, int status);
/* HF_E_CANCELLED and HF_E_NOMEM end everything; others are of one sink. */
bool log_ends_all(int status);

/* ---- log_doc.c ---- */
struct log_doc {
	char *name;
	int64_t written_ms;
	json_t *facts; /* an object of texts */
	struct manifest_object object;
};
bool log_valid_name(const char *name);
int log_check_name(const char *name, struct hf_error *);
/* The caller frees; NULL: no memory, or it does not fit. */
char *log_doc_key(const struct repo_log *, const char *name);
/* "00000001" of ".../00000001.json"; false: not a document's key. */
bool log_doc_name(
    const struct repo_log *, const char *key, const char **name, size_t *len);
/* HF_E_NOTFOUND: this sink does not have it. */
int log_doc_get(struct repo_log *, size_t sink, struct store *,
    const char *name, struct log_doc **, struct hf_error *);
/* If absent. */
int log_doc_put(struct repo_log *, struct store *, const struct log_doc *,
    struct hf_error *);
void log_doc_free(struct log_doc *);
bool log_doc_same(const struct log_doc *, uint64_t raw_size, const char *sha);
/* The data of a document that is gone, or was never written. */
int log_doc_remove_data(
    struct store *, const struct manifest_object *, struct hf_error *);

/* ---- log_write.c ---- */
extern const struct out_ops log_out_ops;
/* As out_begin; want: sinks that must have it. */
int log_write_begin(struct repo_log *, const char *name, uint64_t size_hint,
    size_t want, struct hf_writer **, struct hf_error *);

/* ---- log_read.c ---- */
extern const struct in_ops log_in_ops;
int log_read_open(struct hf_in *, const char *name, uint64_t off, uint64_t len,
    struct hf_reader **, struct hf_error *);
const char *log_read_no_fact(struct hf_in *, const char *key);
int log_tell_facts(const struct log_doc *, host_fact_fn *, void *arg);

/* ---- log_safe.c ---- */
extern const struct in_ops log_safe_ops;

/* ---- log_keep.c ---- */
int log_keep_remove(struct hf_out *, const char *name, struct hf_error *);
/* The names of one sink that begin with the prefix, as repo_log_list. */
int log_keep_list(struct repo_log *, size_t sink, const char *prefix,
    struct store_keys *, struct hf_error *);

#endif
