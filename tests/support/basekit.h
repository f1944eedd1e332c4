/* SPDX-License-Identifier: BSD-2-Clause */
/* Base backups that were taken into memory, as folders that PostgreSQL's own
 * programs can judge.  Every failure is a failed cmocka assertion. */
#ifndef HF_TESTS_BASEKIT_H
#define HF_TESTS_BASEKIT_H

#include <holdfast/plugin.h>

struct memout;

/* A command of the shell. */
void basekit_run(const char *fmt, ...) HF_PRINTF(1, 2);
/* The backup into dir, which is made anew; a tablespace into DIR.OID, with a
 * link to it in DIR/pg_tblspc. */
void basekit_extract(struct memout *, const char *dir);
/* Removes both. */
void basekit_remove(const char *dir);

#endif
