/* SPDX-License-Identifier: BSD-2-Clause */
/* One pipeline's backups, in all its sinks.
 *
 *   backup.c   engine -> flow -> manifests, published last (backup_run.c);
 *              parent.c: what it builds on, when it holds changes alone
 *   restore.c  choose a backup and a sink with a good copy -> flow -> engine
 *   links.c    a backup with all that it builds on
 *   verify.c   read back, hash, and with deep restore and inspect
 *   catalog.c  what is there: listing and choosing
 *   clean.c    what killed runs left
 *   copy.c     one backup from a sink to another; which: copy_plan.c
 *   complete.c what failed in a sink, made up for by the next run
 *   prune.c    what retention.c does not keep, removed
 */
#ifndef HF_REPO_REPO_H
#define HF_REPO_REPO_H

#include <holdfast/plugin.h>

#include "base/error.h"

struct cancel;
struct config;
struct config_pipeline;
struct config_sink;
struct flow;
struct manifest;
struct plugins;
struct repo;

/* What the caller wants to hear while it runs; any may be NULL.  Called from
 * any thread. */
struct repo_events {
	void (*progress)(void *arg, const char *pipeline, const char *phase,
	    uint64_t done, uint64_t total);
	void (*result)(void *arg, const char *key, const char *value);
	void (*finding)(
	    void *arg, const char *subject, const struct hf_finding *);
	void *arg;
};

struct repo_env {
	const struct config *config;
	struct flow *flow;
	const struct cancel *cancel;
	const struct repo_events *events; /* may be NULL */
	/* For reading what went through a filter that the configuration does
	 * not name any more; NULL: that cannot be read then. */
	struct plugins *plugins;
	/* To look at instead of the pipeline's own; NULL: at those. */
	const struct config_sink *const *sinks;
	size_t nsinks;
	/* The shell command that fetches an object of this pipeline's log,
	 * see hf_request.log_command; may be NULL. */
	const char *log_command;
};

/* Opens nothing yet: sinks are opened when first used. */
int repo_open(const struct repo_env *, const struct config_pipeline *,
    struct repo **, struct hf_error *);
void repo_close(struct repo *);
size_t repo_sinks(const struct repo *);
const char *repo_sink_name(const struct repo *, size_t sink);
/* Was a thread left behind in a sink that hangs?  It comes back one day, so
 * that the plugins must then not be unloaded (plugins_free). */
bool repo_stuck(const struct repo *);

/* ---- copy ---- */
enum repo_copied_how {
	REPO_COPIED_DONE,
	REPO_COPIED_THERE,  /* it was there already */
	REPO_COPIED_WOULD,  /* dry run */
	REPO_COPIED_FAILED, /* why says how; nothing of it was published,
			     * unless it was read back and found bad */
};
struct repo_copied {
	char id[40];
	const char *from, *to; /* sinks */
	enum repo_copied_how how;
	struct hf_error why;
	bool damaged; /* the copy that was read, or the one read back */
	size_t nobjects, as_is; /* as_is: their stored bytes were kept */
	uint64_t raw, stored;   /* stored: in "to" */
	int64_t started_ms, ended_ms;
};
struct repo_copy_request {
	const char *from, *to;
	const char *const *ids; /* as repo_pick has them; of nids */
	size_t nids;
	bool latest; /* the newest that "from" has; else, and without ids, all
		      * that "to" lacks */
	bool dry_run;
	/* Each one, as soon as it is done; may be NULL. */
	void (*told)(void *arg, const struct repo_copied *);
	void *arg;
};
struct repo_copy_result {
	size_t ncopied, nfailed;
	size_t nleft; /* not begun, because "to" cannot be used */
	uint64_t raw, stored;
};
/* Publishes whole backups of one sink in another, under their ids, the newest
 * first, but a parent before its children.  Every byte is read, checked on both
 * sides of its filters, and goes through those of the target.  HF_OK: all that
 * was asked for is there.  HF_E_NOTFOUND: there is no such backup.
 * HF_E_CORRUPT: one is damaged; the others were copied.  HF_E_EXISTS: another
 * run holds the lease of "to". */
int repo_copy(struct repo *, const struct repo_copy_request *,
    struct repo_copy_result *, struct hf_error *);

/* ---- backup ---- */
enum repo_backup_kind {
	REPO_BACKUP_CONFIGURED, /* by the pipeline's "incremental" */
	REPO_BACKUP_FULL,
	REPO_BACKUP_INCREMENTAL, /* full where that cannot be done */
};
struct repo_sink_result {
	const char *name; /* of the sink */
	bool ok;
	struct hf_error why; /* when not ok */
	uint64_t stored;
};
struct repo_backup_result {
	char id[40];
	char parent[40]; /* of an incremental one; "": it is full */
	/* Why it is full although an incremental one was wanted; "": it was
	 * not. */
	char full_because[512];
	int64_t started_ms, ended_ms;
	uint64_t raw;
	size_t nobjects, nsinks;
	struct repo_sink_result *sinks;
	bool published; /* in one sink at least */
	bool partial;   /* fewer than "require" */
	bool verified, verify_failed;
	struct text_pair {
		char *key, *value;
	} * facts; /* of all sources, "name" or "source.name" */
	size_t nfacts;
	/* Earlier backups that a sink of theirs lacked: what became of them,
	 * and how many are left for later runs. */
	struct repo_copied *completed;
	size_t ncompleted, nincomplete;
};
/* One run: lease, clear leftovers, engine, publish, verify as configured,
 * complete what earlier runs could not store, report.  HF_OK when published in
 * one sink at least: whether that is all that "require" wants, and what the
 * verification found, stands in the result.  HF_E_EXISTS when another run holds
 * the lease; result is valid whatever it returns. */
int repo_backup(struct repo *, enum repo_backup_kind,
    struct repo_backup_result *, struct hf_error *);
/* What the next one would build on, as result.parent and .full_because; the
 * engine, which may see it differently, is not asked. */
int repo_backup_would(struct repo *, enum repo_backup_kind, char parent[40],
    char because[512], struct hf_error *);
void repo_backup_result_clear(struct repo_backup_result *);

/* ---- catalogue ---- */
enum repo_copy_state {
	REPO_COPY_ABSENT,
	REPO_COPY_PRESENT,
	REPO_COPY_DAMAGED,    /* the manifest cannot be read */
	REPO_COPY_UNREACHABLE /* the sink cannot */
};
struct repo_check {
	char kind[16]; /* "verify", "deep", "drill" */
	int64_t at_ms;
	bool passed;
	char detail[160]; /* the first thing that was wrong */
};
struct repo_copy {
	enum repo_copy_state state;
	struct manifest *manifest; /* when present */
	struct repo_check check;   /* the newest; at_ms 0: none yet */
	struct repo_check proved;  /* the newest that restored it, when that is
				    * not check */
	/* Of one that is present, by repo_list alone: what it builds on and
	 * this sink has not, or only damaged; "": all is there. */
	char lacks[40];
	bool lacks_damaged; /* it is there; its last check found damage */
};
struct repo_backup_entry {
	char id[40];
	int64_t started_ms, ended_ms; /* ended 0: no manifest was readable */
	struct repo_copy *copies;     /* one a sink, in the order of repo */
};
struct repo_catalog {
	struct repo_backup_entry *entries; /* oldest first */
	size_t n, nsinks;
	struct hf_error *sink_errors; /* one a sink; HF_OK: was listed */
};
/* HF_OK when one sink at least could be listed. */
int repo_list(struct repo *, struct repo_catalog *, struct hf_error *);
void repo_catalog_clear(struct repo_catalog *);

/* "latest", an id, or the beginning of one that fits one only.  at_ms != 0:
 * the newest that had ended by then.  What a backup holds is the source at
 * some moment between its start and its end, so only one that had ended holds
 * for certain nothing newer than that.  A backup with no readable manifest
 * is never chosen so.  HF_E_NOTFOUND says what there is. */
int repo_pick(const struct repo_catalog *, const char *selector, int64_t at_ms,
    const struct repo_backup_entry **, struct hf_error *);

/* ---- restore ---- */
struct repo_restore_options {
	const char *target; /* NULL: where it came from (in place) */
	const char *source; /* of several; NULL: the only one, or all */
	const char *sink;   /* only from this one; NULL: any good copy */
	const char *until;
	const char *const *args; /* "key=value" for the engine, NULL ends */
	bool in_place, force, dry_run;
};
/* A copy that turned out bad, of the backup or of one that it builds on. */
struct repo_fallback {
	const char *sink;
	char id[40];
	struct hf_error why;
};
struct repo_restore_result {
	char sink[64]; /* which copy was used */
	int64_t started_ms, ended_ms;
	uint64_t raw;
	size_t nresults;
	struct text_pair *results; /* what engines told: "safety_copy", ... */
	size_t nfallbacks;
	struct repo_fallback *fallbacks;
};
int repo_restore(struct repo *, const struct repo_backup_entry *,
    const struct repo_restore_options *, struct repo_restore_result *,
    struct hf_error *);
void repo_restore_result_clear(struct repo_restore_result *);

/* ---- verify ---- */
struct repo_verify_sink {
	const char *name;
	bool checked, passed;
	uint64_t bytes; /* stored bytes read */
	size_t nobjects;
	struct hf_error why; /* the first failure; names object and key */
	size_t nfailures;
};
struct repo_verify_result {
	char id[40];
	int64_t started_ms, ended_ms;
	bool passed;
	size_t nsinks;
	struct repo_verify_sink *sinks;
};
/* Each copy: manifest seal, key set, sizes, stored and raw hashes, indexes,
 * SHA256SUMS; deep: restore each source to scratch and inspect.  sink: only
 * that one, or NULL.  Recorded under checks/.  HF_E_CORRUPT when a copy
 * failed. */
int
repo_verify(struct repo *, const struct repo_backup_entry *, const char *sink,
    bool deep, struct repo_verify_result *, struct hf_error *);
void repo_verify_result_clear(struct repo_verify_result *);

/* ---- doctor, status ---- */
/* Engine, filters and sinks are asked; findings go to events.  HF_OK when it
 * could ask, whatever was found; *worst gets the worst verdict. */
int repo_doctor(struct repo *, int *worst, struct hf_error *);

struct repo_status {
	int64_t last_success_ms; /* start of the newest backup; 0: none */
	char last_id[40];
	size_t nbackups;
	/* What was committed up to this moment can be restored, by the log;
	 * 0: it reaches no further. */
	int64_t log_until_ms;
	bool stale;   /* older than the rpo, or none at all */
	bool running; /* somebody holds the lease */
	char running_host[64], running_verb[16];
	int64_t verified_ms;   /* newest check that passed */
	size_t copies_missing; /* required sinks that lack the newest */
	/* Of the newest: whose last check failed, or that lack what they build
	 * on; and of those, the latter. */
	size_t copies_failed, copies_broken;
};
int repo_status(struct repo *, struct repo_status *, struct hf_error *);

#endif
