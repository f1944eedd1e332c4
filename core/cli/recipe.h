/* SPDX-License-Identifier: BSD-2-Clause */
/* How to restore a backup by hand, with its real names. */
#ifndef HF_CLI_RECIPE_H
#define HF_CLI_RECIPE_H

#include <stdio.h>

struct config;
struct config_sink;
struct hf_error;
struct manifest;

/* into: the folder that its objects are unpacked to; one below /tmp is made. */
int recipe_print(const struct config *, const struct config_sink *,
    const struct manifest *, const char *into, FILE *, struct hf_error *);

#endif
