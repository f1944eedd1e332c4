/* SPDX-License-Identifier: BSD-2-Clause */
/* One backup: one object that has the pages of one snapshot, and its facts. */
#ifndef HF_SQLITE_BACKUP_H
#define HF_SQLITE_BACKUP_H

#include <holdfast/plugin.h>

int backup_run(struct hf_engine *, const struct hf_request *, struct hf_out *,
    struct hf_error *);

#endif
