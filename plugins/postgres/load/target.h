/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a restore goes: a new database, an empty one that is there, or the
 * place of one that is kept under another name. */
#ifndef HF_POSTGRES_LOAD_TARGET_H
#define HF_POSTGRES_LOAD_TARGET_H

#include <stdint.h>

#include <holdfast/plugin.h>

struct conn;
struct job;

enum target_kind {
	TARGET_NEW,   /* made under a temporary name, then renamed */
	TARGET_EMPTY, /* is there: filled, and cleared on failure */
	TARGET_SWAP   /* made beside, then renamed into the other's place */
};
struct target {
	struct job *job;
	enum target_kind kind;
	/* Held while work is built: others see that somebody lives. */
	struct conn *keeper;
	char *public_undo; /* TARGET_EMPTY: statements, see empty.h */
	char *comment;     /* that the database will have */
	char *safety;      /* TARGET_SWAP: the former one's name, once done */
	char stamp[48];    /* its end: the time of the swap */
	bool bare;         /* set by the caller: without the settings */
	bool begun, done;
};

/* Look at job->name, before any work: HF_E_EXISTS when there is something and
 * it is not to be replaced, HF_E_TRANSIENT when somebody is connected to what
 * has to be empty or replaced.  Connects, and clears leftovers. */
int target_open(struct target *, struct job *, struct hf_error *);
/* Make job->work. */
int target_begin(struct target *, struct hf_error *);
/* Everything is in and was checked: settings, then the name, durably. */
int target_finish(struct target *, struct hf_error *);
/* Give up what was begun and not finished; close. */
void target_close(struct target *);

#endif
