/* SPDX-License-Identifier: BSD-2-Clause */
/* What is wrong with a file, as text: findings tell it, and an error slot cannot
 * be read. */
#ifndef HF_POSTGRES_WAL_WHY_H
#define HF_POSTGRES_WAL_WHY_H

#include <holdfast/plugin.h>

#define WHY_MAX 200

/* Returns status.  why may be NULL. */
int
why_say(char why[WHY_MAX], int status, const char *fmt, ...) HF_PRINTF(3, 4);

#endif
