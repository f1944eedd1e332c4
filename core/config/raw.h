/* SPDX-License-Identifier: BSD-2-Clause */
/* What the rest of the program does not see of a configuration: the text, the
 * document before the merge, the problems while they are collected. */
#ifndef HF_CONFIG_RAW_H
#define HF_CONFIG_RAW_H

#include <jansson.h>

#include "base/buf.h"
#include "problem.h"

struct config;

struct config_raw {
	char *shown; /* the file as it was named, for messages */
	struct buf text;
	json_t *doc; /* NULL: not JSON, or not an object */
	struct problems problems;
};

/* Sort the problems and show them in the config.  HF_E_INVALID when one is
 * not a warning: the first of them goes to err. */
int raw_publish(struct config *, struct hf_error *);

/* Say a problem in an error slot; returns HF_E_INVALID. */
int raw_fail(
    const struct config *, const struct config_problem *, struct hf_error *);

#endif
