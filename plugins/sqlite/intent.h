/* SPDX-License-Identifier: BSD-2-Clause */
/* TARGET.holdfast-restore: the lock of a restore in place, and what it is
 * about to do, so that a later run can finish or undo what a killed one
 * began. */
#ifndef HF_SQLITE_INTENT_H
#define HF_SQLITE_INTENT_H

#include <holdfast/plugin.h>

#define INTENT_SUFFIX ".holdfast-restore"

struct intent {
	char *path;
	int fd;
	/* What a killed run wrote, or what is to be written: */
	bool pending;
	uint64_t old_dev, old_ino, new_dev, new_ino;
	bool was_wal;
	char safety[64]; /* suffix of the safety copy */
	char temp[64];   /* suffix of the built file */
};

/* Take the lock.  HF_E_TRANSIENT when a living run has it. */
int intent_lock(const char *target, struct intent *, struct hf_error *);

/* Write it down, durably. */
int intent_write(struct intent *, struct hf_error *);

/* Finish or undo what a killed run began, when pending is set. */
int intent_recover(const struct hf_engine *, const char *target,
    struct intent *, struct hf_error *);

/* The old database stands at target (again): return to it the sidecars that
 * have the safety copy's name, and drop that name. */
int
intent_give_back(const char *target, const struct intent *, struct hf_error *);

/* Remove the file and give the lock back. */
void intent_unlock(struct intent *);

#endif
