/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HF_CLI_CMD_BACKUP_DRY_H
#define HF_CLI_CMD_BACKUP_DRY_H

#include <stddef.h>

#include "repo/repo.h"

struct cli;

/* backup -n: ask sources, filters and sinks, and say what a backup would do.
 * Stores nothing.  Returns the exit code. */
int backup_dry(struct cli *, enum repo_backup_kind,
    const struct config_pipeline **, size_t n);

#endif
