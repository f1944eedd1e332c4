/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking: at a source before a backup, inside a restored copy after one. */
#ifndef HF_SQLITE_INSPECT_H
#define HF_SQLITE_INSPECT_H

#include <holdfast/plugin.h>

int inspect_source(
    struct hf_engine *, hf_finding_fn *, void *arg, struct hf_error *);
int inspect_scratch(struct hf_engine *, const char *dir, char *target,
    size_t cap, struct hf_error *);
int inspect_target(struct hf_engine *, const char *target, struct hf_in *,
    hf_finding_fn *, void *arg, struct hf_error *);
int inspect_query(struct hf_engine *, const char *target, const char *sql,
    char *value, size_t cap, struct hf_error *);
void inspect_discard(struct hf_engine *, const char *target);

#endif
