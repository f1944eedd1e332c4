/* SPDX-License-Identifier: BSD-2-Clause */
/* Who we are to the service, found as other AWS programs find it:
 *
 *   1. the options access_key, secret_key, session_token
 *   2. unless the option profile is set: AWS_ACCESS_KEY_ID,
 *      AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   3. the profile (option, AWS_PROFILE, "default") of the shared credentials
 *      file (AWS_SHARED_CREDENTIALS_FILE, ~/.aws/credentials), then of the
 *      config file (AWS_CONFIG_FILE, ~/.aws/config)
 *   4. a container's endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or
 *      _FULL_URI with AWS_CONTAINER_AUTHORIZATION_TOKEN or _TOKEN_FILE)
 *   5. the instance's metadata, version 2 with a token; not when
 *      AWS_EC2_METADATA_DISABLED is true
 *
 * 4 and 5 end at some time: they are asked again five minutes before.
 */
#ifndef HF_S3_CREDENTIALS_H
#define HF_S3_CREDENTIALS_H

#include "s3.h"

/* A copy: another thread may renew. */
struct identity {
	char access_key[256], secret_key[256];
	char session_token[4096]; /* "" when there is none */
};

int credentials_new(const struct hf_ctx *, const struct conf *,
    struct credentials **, struct hf_error *);
void credentials_free(struct credentials *);

/* HF_E_DENIED with every place that was looked at when there are none.  renew:
 * those of before were refused as expired. */
int credentials_get(
    struct credentials *, bool renew, struct identity *, struct hf_error *);
/* Where they came from, for people: "the options", "profile x of FILE". */
void credentials_source(struct credentials *, char *text, size_t cap);

/* The region of AWS_REGION, AWS_DEFAULT_REGION, or the profile; false: none. */
bool credentials_region(const struct conf *, char *region, size_t cap);

#endif
