/* SPDX-License-Identifier: BSD-2-Clause */
/* What a new backup builds on, when it is to hold changes alone. */
#ifndef HF_REPO_PARENT_H
#define HF_REPO_PARENT_H

#include "repo/repo.h"

struct config_item;
struct manifest;
struct manifest_source;

struct parent {
	char id[40]; /* "": nothing */
	/* One a sink: as that one has it; NULL where it was not asked. */
	struct manifest **manifests;
	/* Why there is none although one was wanted; "": it was not. */
	char because[512];
	bool due; /* because a full backup is due: nothing is wrong */
};

/* The newest backup before id that each of the live sinks (one flag a sink)
 * has with all that it builds on, none of it found damaged by its last checks,
 * so that what builds on it can be restored from any one of them.  Only what
 * kind and configuration want is looked for.  HF_OK also when there is none;
 * a sink that cannot be read is a reason like others. */
int parent_find(struct repo *, const char *id, enum repo_backup_kind,
    const bool *live, struct parent *, struct hf_error *);
void parent_clear(struct parent *, size_t nsinks);

/* What a source builds on, as this sink has it; NULL: nothing, also where its
 * engine makes no increments or another one made that backup. */
const struct manifest_source *
parent_source(const struct parent *, size_t sink, const struct config_item *);

#endif
