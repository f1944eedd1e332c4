/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HF_S3_PROBE_H
#define HF_S3_PROBE_H

#include "s3.h"

/* Does the service keep "If-None-Match: *"?  *answer: 1 kept, 0 ignored or
 * refused.  What was found out once is remembered; a failure is none of the
 * two, and the next call tries again. */
int probe_answer(struct hf_store *, int *answer, struct hf_error *);
/* The same, but tried now. */
int probe_conditional(struct hf_store *, int *answer, struct hf_error *);

#endif
