/* SPDX-License-Identifier: BSD-2-Clause */
/* What the suite prints: TAP version 13, or the same for people. */
#ifndef HF_CONFORM_REPORT_H
#define HF_CONFORM_REPORT_H

#include "run.h"

enum report_format { REPORT_TEXT, REPORT_TAP };

void report_begin(enum report_format, const char *plugin, size_t ncases);
void report_case(enum report_format, size_t n, enum case_kind,
    const struct conform_case *, const struct run_outcome *);
void
report_end(enum report_format, size_t passed, size_t failed, size_t skipped);

/* "store: invisible before commit", into buf. */
void report_title(
    enum case_kind, const struct conform_case *, char *buf, size_t cap);

#endif
