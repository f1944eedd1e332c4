/* SPDX-License-Identifier: BSD-2-Clause */
/* Backup: every database of a source, each in one snapshot. */
#ifndef HF_POSTGRES_DUMP_H
#define HF_POSTGRES_DUMP_H

#include <holdfast/plugin.h>

int dump_run(struct hf_engine *, const struct hf_request *, struct hf_out *,
    struct hf_error *);

#endif
