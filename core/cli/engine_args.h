/* SPDX-License-Identifier: BSD-2-Clause */
/* What a restore tells the engine: -o KEY=VALUE, and switches that are short
 * for one, whatever the engine. */
#ifndef HF_CLI_ENGINE_ARGS_H
#define HF_CLI_ENGINE_ARGS_H

#include <stdbool.h>

struct cli;
struct config_pipeline;

/* "key=value", in the order that -o takes; NULL ends.  Free with
 * engine_args_free, also after a failure. */
int engine_args_read(struct cli *, char ***args);
void engine_args_free(char **args);

/* Does the engine of every source that is restored (source: of that one) have
 * the option that a switch is short for? */
int engine_args_check(
    struct cli *, const struct config_pipeline *, const char *source);

/* Is this argument the value of an option that some engine of the pipeline
 * keeps secret? */
bool engine_args_secret(const struct config_pipeline *, const char *arg);

#endif
