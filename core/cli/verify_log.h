/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of "verify" that reads the logs of a pipeline. */
#ifndef HF_CLI_VERIFY_LOG_H
#define HF_CLI_VERIFY_LOG_H

#include <jansson.h>

struct cli_work;
struct hf_error;
struct repo_catalog;

/* Every source that keeps a log: prints its findings, or appends an object to
 * json.  The worst is the exit code, and its error in err. */
int verify_log(struct cli_work *, const struct repo_catalog *, json_t *json,
    struct hf_error *err);

#endif
