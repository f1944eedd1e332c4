/* SPDX-License-Identifier: BSD-2-Clause */
/* One restore: to a new path, or in place. */
#ifndef HF_SQLITE_RESTORE_H
#define HF_SQLITE_RESTORE_H

#include <holdfast/plugin.h>

int restore_run(struct hf_engine *, const struct hf_request *,
    struct hf_in *const *oldest_first, size_t n, struct hf_error *);

#endif
