/* SPDX-License-Identifier: BSD-2-Clause */
/* A catalogue's entries as list, show and restore look at them. */
#ifndef HF_CLI_CATALOG_VIEW_H
#define HF_CLI_CATALOG_VIEW_H

#include <jansson.h>
#include <stddef.h>

#include "repo/repo.h"

struct manifest;

/* The manifest of the first sink that has a readable one, and which (sink may
 * be NULL); NULL when none has. */
const struct manifest *catalog_view_manifest(
    const struct repo_backup_entry *, size_t nsinks, size_t *sink);

/* The newest check of all copies; NULL when none was made. */
const struct repo_check *
catalog_view_check(const struct repo_backup_entry *, size_t nsinks);

/* The newest that restored a copy and stands behind a check that did not;
 * NULL when there is none. */
const struct repo_check *
catalog_view_proved(const struct repo_backup_entry *, size_t nsinks);

const char *catalog_view_state(enum repo_copy_state); /* "ok", "missing", ... */

/* The same of a copy that is not as it should be, also for want of what it
 * builds on: "parent MISSING"; NULL: nothing is wrong. */
const char *catalog_view_trouble(const struct repo_copy *);

/* One backup as "list --json" shows it. */
json_t *catalog_view_json(
    const struct repo *, const struct repo_backup_entry *, size_t nsinks);

/* [{"sink", "error"}] of the sinks that could not be listed, or NULL. */
json_t *catalog_view_errors(const struct repo *, const struct repo_catalog *);

#endif
