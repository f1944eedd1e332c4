/* SPDX-License-Identifier: BSD-2-Clause */
/* Roles and tablespaces that the target server lacks. */
#ifndef HF_POSTGRES_LOAD_GLOBALS_H
#define HF_POSTGRES_LOAD_GLOBALS_H

#include <holdfast/plugin.h>

struct job;

/* Nothing that exists is changed.  HF_E_DENIED names what is missing when our
 * role may not create it. */
int globals_run(struct job *, struct hf_error *);

#endif
