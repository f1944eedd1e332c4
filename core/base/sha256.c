/* SPDX-License-Identifier: BSD-2-Clause */
#include "sha256.h"

#include <openssl/evp.h>

#include "error.h"
#include "text.h"

/* struct sha256 is OpenSSL's own context under our name. */

int
sha256_new(struct sha256 **out, struct hf_error *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(ctx);
		return error_fail(err, HF_E_NOMEM, "cannot set up SHA-256");
	}
	*out = (struct sha256 *)ctx;
	return HF_OK;
}

void
sha256_update(struct sha256 *s, const void *p, size_t n)
{
	/* Cannot fail for an initialised software digest. */
	(void)EVP_DigestUpdate((EVP_MD_CTX *)s, p, n);
}

void
sha256_final(struct sha256 *s, char hex[SHA256_HEX])
{
	unsigned char md[EVP_MAX_MD_SIZE] = { 0 };

	(void)EVP_DigestFinal_ex((EVP_MD_CTX *)s, md, NULL);
	text_hex(md, 32, hex);
}

void
sha256_free(struct sha256 *s)
{
	EVP_MD_CTX_free((EVP_MD_CTX *)s);
}

int
sha256_of(const void *p, size_t n, char hex[SHA256_HEX], struct hf_error *err)
{
	struct sha256 *s = NULL;
	int rc = sha256_new(&s, err);

	if (rc != HF_OK)
		return rc;
	sha256_update(s, p, n);
	sha256_final(s, hex);
	sha256_free(s);
	return HF_OK;
}
