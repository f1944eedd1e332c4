/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program that failed wants to say: for child.c alone. */
#ifndef HF_POSTGRES_CHILD_H
#define HF_POSTGRES_CHILD_H

#include <holdfast/plugin.h>

/* Record "what: ..." with the status and the hint that the text allows.  said:
 * the end of its stderr, cut when there was more.  ending: "ended with status
 * 1", told when it said nothing, or "was killed by signal 9", told always. */
int child_failure(const char *what, const char *said, bool cut,
    const char *ending, struct hf_error *);

/* Log the warnings in what one that ended well said. */
void child_warnings(const struct hf_ctx *, const char *what, const char *said);

#endif
