/* SPDX-License-Identifier: BSD-2-Clause */
/* The top level's own values, and those of pipelines that are texts. */
#ifndef HF_CONFIG_SETTINGS_H
#define HF_CONFIG_SETTINGS_H

#include <jansson.h>
#include <stdint.h>

struct config;
struct config_pipeline;
struct hf_error;
struct key;

/* The value of a SIZE, DURATION or INT key of that object, or its default
 * when it is absent or was complained about. */
int64_t settings_number(const json_t *object, const struct key *);

/* HF_E_NOMEM, else HF_OK. */
int settings_build(struct config *, struct hf_error *);
int settings_labels(struct config *, struct config_pipeline *,
    const json_t *labels, struct hf_error *);

/* Texts that could not be resolved are only warned of when loading, since
 * most verbs can do without; this makes them errors. */
int settings_validate(struct config *, struct hf_error *);

#endif
