/* SPDX-License-Identifier: BSD-2-Clause */
/* One S3 request: signed, sent on a reused connection, tried again while that
 * can help, always within a deadline.
 *
 * Tried again, with exponential backoff and full jitter: 408, 409 (of
 * conditional writes), 429, 5xx, SlowDown and RequestTimeout, resets, stalls,
 * connections that cannot be made, answers that end early, 200 with an error
 * in its body.  RequestTimeTooSkewed: once, with the clock of the answer's
 * Date.  ExpiredToken: once, with renewed credentials.  Other 4xx: never.
 *
 * A service that has not answered once, and cannot be found or connected to,
 * is given up after 30 s: most likely its name is misspelt.  When the time is
 * used up the status is HF_E_IO, not HF_E_TRANSIENT: nobody is to begin again.
 *
 * A service that has cost a request all of its time gets 10 s for each further
 * one, until one is answered.
 *
 * Cancelling ends what is under way; what begins later has 10 s, to clean up.
 */
#ifndef HF_S3_REQUEST_H
#define HF_S3_REQUEST_H

#include "s3.h"

#include <stdatomic.h>

struct buf_view {
	const void *data;
	size_t len;
};

struct request {
	const char *method; /* "GET", "PUT", "POST", "DELETE", "HEAD" */
	const char *key;    /* raw, below the prefix; NULL: the bucket */
	const char *query;  /* encoded, "uploads=", or NULL */
	const char *const *headers; /* "name: value", NULL ends; or NULL */
	struct buf_view body;
	bool checksum;    /* send x-amz-checksum-sha256 of the body as well */
	bool md5;         /* and Content-MD5, which some calls want */
	bool unstoppable; /* goes on when cancelled, for 10 s: to clean up */
	const atomic_bool *stop; /* nobody wants it any more; or NULL */
	/* Where the body of a 2xx answer goes; NULL: into answer.body.  cap
	 * bytes at most, else HF_E_CORRUPT. */
	void *into;
	size_t cap;
};

struct answer {
	long status; /* HTTP */
	char etag[72];
	uint64_t size; /* Content-Length, or the whole of Content-Range */
	int64_t mtime; /* Last-Modified, 0: none */
	int64_t date;  /* Date: the store's clock */
	char *body;    /* ends in NUL; small answers */
	size_t len;    /* of body, or written to into */
	char checksum_sha256[45]; /* as sent by the service, "" */
	char request_id[80];
	unsigned sent; /* how often it was, at most */
};

/* HF_OK for 2xx.  Else the status, with notes "http", "code", "request-id",
 * "host" and a hint; answer is filled as far as known (status 404, 412, ...).
 * what: for messages, "uploading part 3 of x".  answer: answer_clear it. */
int request_run(struct hf_store *, const struct request *, struct answer *,
    const char *what, struct hf_error *);
void answer_clear(struct answer *);

/* Idle connections, the clock's correction, the bandwidth of one store. */
int
connections_new(const struct conf *, struct connections **, struct hf_error *);
void connections_free(struct connections *);

/* Is it to end before its time? */
bool request_stopped(const struct hf_store *, const struct request *);

/* The URL's path of a key: prefix, key, percent-encoded as SigV4 wants it. */
char *request_path(const struct hf_store *, const char *key);
/* "https://host/bucket/key?query" or "https://bucket.host/key?query" */
char *request_url(const struct hf_store *, const struct request *);
/* s encoded for a query, '/' too. */
void request_encode(const char *s, char *to, size_t cap);
int64_t request_clock(void);             /* monotonic ms */
int64_t request_time(struct hf_store *); /* Unix seconds, as it sees them */

#endif
