/* SPDX-License-Identifier: BSD-2-Clause */
/* What a failed request says: status, whether to try again, and a hint. */
#ifndef HF_S3_ANSWER_H
#define HF_S3_ANSWER_H

#include "request.h"

struct failure {
	int status;   /* enum hf_status */
	bool again;   /* worth another try */
	bool network; /* the service was not found, or not spoken with */
	char code[80], message[400], region[64];
};

/* From HTTP status and error XML (or none, as for HEAD). */
void answer_judge(const struct answer *, const char *method, struct failure *);
/* From curl's result. */
void answer_judge_curl(int curlcode, const char *text, struct failure *);

/* Record it: "WHAT: message", the notes, the hint for codes that users meet. */
int answer_fail(const struct hf_store *, const struct answer *,
    const struct failure *, const char *what, struct hf_error *);

#endif
