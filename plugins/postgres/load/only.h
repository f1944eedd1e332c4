/* SPDX-License-Identifier: BSD-2-Clause */
/* Single objects: "table public.orders", "schema sales", "view v". */
#ifndef HF_POSTGRES_LOAD_ONLY_H
#define HF_POSTGRES_LOAD_ONLY_H

#include <holdfast/plugin.h>

struct job;

/* Into job->name, which is made when there is none.  Nothing that is there is
 * replaced; on failure what was made is dropped. */
int only_run(struct job *, struct hf_error *);

#endif
