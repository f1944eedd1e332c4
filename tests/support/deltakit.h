/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of incremental backups: a file that changes, whose every state is
 * known.  Beside copykit, whose folder and pipeline it uses. */
#ifndef HF_TESTS_SUPPORT_DELTAKIT_H
#define HF_TESTS_SUPPORT_DELTAKIT_H

#include "support/copykit.h"

#define DELTA(options) \
	"\"from\":{\"engine\":\"testdelta\",\"path\":\"%D/home\"" options "}"
#define INCREMENTAL ",\"incremental\":{}"
#define DELTA_TWO DELTA("") TO_TWO GZ NO_VERIFY INCREMENTAL

/* Bring the file to its n-th state.  Each one changes a block that the one
 * before changed too, and the length. */
void deltakit_write(unsigned n);
bool deltakit_is(const char *path, unsigned n);

/* A backup of this kind that must work, in all sinks. */
void deltakit_backup(enum repo_backup_kind, struct repo_backup_result *);
/* n states, a backup of each by the configuration: a full one, then increments.
 */
void deltakit_chain(size_t n, char (*ids)[40]);

/* To "out" in the folder, which is removed before. */
int deltakit_restore(const char *id, const char *sink,
    struct repo_restore_result *, struct hf_error *);
/* It must work, and be that state. */
void deltakit_restores(const char *id, const char *sink, unsigned n);

/* A file of a backup in a sink: "a", id, "map" */
const char *deltakit_object(const char *sink, const char *id, const char *name);
/* Its manifest is taken away. */
void deltakit_lose(const char *sink, const char *id);
/* As if it had been made so many days ago: in its manifest alone. */
void deltakit_age(size_t sink, const char *id, const char *days);

#endif
