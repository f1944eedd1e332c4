/* SPDX-License-Identifier: BSD-2-Clause */
/* One backup run: what backup.c and backup_run.c share. */
#ifndef HF_REPO_BACKUP_PRIVATE_H
#define HF_REPO_BACKUP_PRIVATE_H

#include "repo/parent.h"
#include "repo/repo_private.h"

struct outflow;

/* What one run has of a sink. */
struct part {
	bool live; /* still in the backup */
	struct lease *lease;
	struct filter **own;
	size_t lane;  /* among the outflow's sinks */
	bool written; /* data of this run may lie there */
	bool keep;    /* a manifest may be there: the data stays */
};

struct run {
	struct repo *r;
	struct repo_backup_result *res;
	struct part *parts; /* one a sink of the repo */
	struct filter **common;
	struct outflow *flow;
	size_t *lanes; /* lane to sink */
	size_t nlanes;
	enum repo_backup_kind kind;
	struct parent parent;
	struct hf_out **outs; /* one a source */
	bool *incremental;    /* one a source: it builds on the parent */
	char **prefixes;
	char *key_prefix;
	/* Progress of the source under way; only its engine's threads
	 * write, between two sources nobody does. */
	uint64_t base, done, total;
	pthread_mutex_t lock; /* the three above */
};

/* ---- backup_run.c ---- */
/* A sink takes no further part. */
void
backup_run_tell_dropped(struct run *, size_t sink, const struct hf_error *why);
void backup_run_drop(struct run *, size_t sink, const struct hf_error *why);
/* HF_OK while a sink is left, else what the first one failed of. */
int backup_run_left(const struct run *, struct hf_error *);
/* Each engine's objects, to every sink that is left.  Afterwards the run has a
 * parent only when a source builds on it. */
int backup_run_sources(struct run *, struct hf_error *);

#endif
