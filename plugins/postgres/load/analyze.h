/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics for the planner, on several connections. */
#ifndef HF_POSTGRES_LOAD_ANALYZE_H
#define HF_POSTGRES_LOAD_ANALYZE_H

#include <holdfast/plugin.h>

struct job;

/* The tables and materialized views of job->work, the largest first.  wanted
 * (may be NULL): only those of the contents' tables. */
int analyze_run(struct job *, const bool *wanted, struct hf_error *);

#endif
