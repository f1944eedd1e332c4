/* SPDX-License-Identifier: BSD-2-Clause */
/* One try of a request: signed, sent, its answer taken in.  And what a store's
 * requests share: idle connections, the bandwidth, the clock's correction. */
#ifndef HF_S3_TRANSFER_H
#define HF_S3_TRANSFER_H

#include "request.h"

struct failure;
struct identity;

struct transfer {
	struct hf_store *store;
	const struct request *request;
	const struct identity *who;
	const char *url;
	int64_t deadline; /* monotonic ms */
	int64_t stamp;    /* Unix seconds that it was signed with */
	unsigned sent;    /* so often, at most, in all tries */
};

/* true: the answer is good.  answer is cleared first. */
bool transfer_once(struct transfer *, struct answer *, struct failure *);

/* Has any answer come from the service yet? */
bool transfer_reached(struct hf_store *);
/* Sign with the service's clock from now on; false: it was so already when
 * stamp was made, so that another try would not differ. */
bool transfer_set_clock(struct hf_store *, int64_t theirs, int64_t stamp);

#endif
