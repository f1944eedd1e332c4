/* SPDX-License-Identifier: BSD-2-Clause */
/* The five fields of a cron line. */
#ifndef HF_CONFIG_CRON_H
#define HF_CONFIG_CRON_H

#include <stdbool.h>

/* Is it minute, hour, day of month, month, day of week, each "*", numbers,
 * ranges, steps and lists of them, months and days also by their English
 * names; or "@hourly", "@daily", "@weekly", "@monthly", "@yearly"?  If not,
 * *why names the field. */
bool cron_check(const char *, const char **why);

#endif
