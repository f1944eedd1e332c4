/* SPDX-License-Identifier: BSD-2-Clause */
/* What logs*.c share. */
#ifndef HF_REPO_LOGS_PRIVATE_H
#define HF_REPO_LOGS_PRIVATE_H

#include "repo/logs.h"
#include "repo/repo_private.h"

/* One call of the engine: the source and the log, open. */
struct logs_session {
	struct source source;
	struct repo_log *log;
};
/* hooks may be NULL. */
int logs_session_open(struct repo *, size_t source, const struct source_hooks *,
    struct logs_session *, struct hf_error *);
void logs_session_close(struct logs_session *);

/* The result by which an engine that follows tells a moment at which all of its
 * source was in the log, and the file of its state folder that keeps it.  To be
 * freed; NULL: there is no such folder. */
#define LOGS_CURRENT "log_current"
char *logs_current_path(const struct repo *, size_t source);

/* Backups as the engine wants them: facts alone. */
struct logs_facts {
	struct hf_in **ins;
	size_t n;
};
/* Nothing is added when the backup has not this source. */
int logs_facts_add(struct repo *, size_t source,
    const struct repo_backup_entry *, struct logs_facts *, struct hf_error *);
/* Of all that can be restored: with their links, if they are increments. */
int logs_facts_read(struct repo *, size_t source, const struct repo_catalog *,
    struct logs_facts *, struct hf_error *);
void logs_facts_free(struct logs_facts *);

/* Of any copy; NULL: there is none, or it has not this source. */
const struct manifest_source *logs_source_of(
    const struct repo *, const struct repo_backup_entry *, size_t source);

#endif
