/* SPDX-License-Identifier: BSD-2-Clause */
/* The s3 store: what its files share.
 *
 *   s3.c           options, the store's table
 *   credentials.c  who we are: options, AWS_*, files, container, instance
 *   request.c      one request with retries, all within the timeout
 *   transfer.c     one try of it: signed, sent, its answer taken in
 *   url.c          where it goes, encoded
 *   sign.c         its signature
 *   answer.c       XML answers, errors to statuses and hints
 *   pool.c         threads that send parts and fetch blocks
 *   upload.c       put: one PUT when small, else parts in parallel
 *   download.c     get: ranges read ahead in parallel
 *   objects.c      stat, list, remove
 *   probe.c        what the service can do, found out once
 *   check.c        doctor
 *
 * Specified in: Amazon S3 API Reference (2006-03-01), "Authenticating Requests
 * (AWS Signature Version 4)".
 */
#ifndef HF_S3_S3_H
#define HF_S3_S3_H

#include <holdfast/plugin.h>

#include <pthread.h>
#include <stdatomic.h>

extern const struct hf_host *H;

struct conf {
	const char *endpoint; /* "https://host[:port]"; NULL: AWS's of region */
	const char *region;   /* NULL: AWS_REGION, the profile's, us-east-1 */
	const char *bucket, *prefix; /* prefix: NULL, or without outer '/' */
	const char *style;           /* "auto", "path", "virtual" */
	const char *access_key, *secret_key, *session_token;
	const char *profile;
	const char *ca_file, *proxy;
	bool insecure; /* no TLS verification; warned about */
	const char *storage_class;
	const char *sse; /* "none", "AES256", "aws:kms" */
	const char *kms_key;
	const char *const *tags; /* "key=value" */
	int64_t lock;            /* ms of Object Lock retention; 0: none */
	const char *lock_mode;   /* "GOVERNANCE", "COMPLIANCE" */
	int64_t part_size;       /* of the first 1,000 parts; they grow */
	int64_t parallel;        /* requests of one upload or download */
	int64_t timeout;         /* ms for one operation, retries included */
	int64_t low_speed_time;  /* ms below 1 KiB/s: a stall */
	int64_t bandwidth;       /* bytes a second, of all requests; 0: none */
	bool exclusive; /* nobody else writes here: no conditional put needed */
};

struct credentials;
struct connections;
struct pool;

struct hf_store {
	const struct hf_ctx *ctx;
	struct conf conf;
	struct credentials *credentials;
	struct connections *connections; /* transfer.c: idle handles, rates */
	struct pool *pool;               /* conf.parallel threads */
	char region[64], endpoint[512];  /* conf's, or found */
	atomic_bool down; /* request.c: the last one had all of its time */
	pthread_mutex_t lock;
	/* probe.c, under lock. */
	int conditional;      /* -1 unknown, 0 no, 1 yes */
	int unknown;          /* why a probe that nobody was told of failed */
	struct hf_error *why; /* the same */
};

#endif
