/* SPDX-License-Identifier: BSD-2-Clause */
/* Credentials that a container's or a machine's surroundings hand out: JSON
 * with AccessKeyId, SecretAccessKey, Token, Expiration.  Specified in: Amazon
 * EC2 User Guide, "Use IMDS"; Amazon ECS Developer Guide, "Task IAM role". */
#ifndef HF_S3_METADATA_H
#define HF_S3_METADATA_H

struct hf_ctx;

/* To be freed; NULL when there is none. */
char *metadata_container(const struct hf_ctx *);
char *metadata_instance(const struct hf_ctx *);

#endif
