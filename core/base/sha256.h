/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 (FIPS 180-4) by OpenSSL's libcrypto. */
#ifndef HF_BASE_SHA256_H
#define HF_BASE_SHA256_H

#include <stddef.h>

#define SHA256_HEX 65 /* 64 digits and the NUL */

struct hf_error;
struct sha256;

int sha256_new(struct sha256 **, struct hf_error *);
void sha256_update(struct sha256 *, const void *, size_t);
/* Lower-case hex.  The state may only be freed afterwards. */
void sha256_final(struct sha256 *, char hex[SHA256_HEX]);
void sha256_free(struct sha256 *);

/* All at once.  HF_E_NOMEM, or HF_OK. */
int sha256_of(const void *, size_t, char hex[SHA256_HEX], struct hf_error *);

#endif
