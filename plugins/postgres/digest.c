/* SPDX-License-Identifier: BSD-2-Clause */
#include "digest.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct digest {
	EVP_MD_CTX *md;
	bool failed;
};

struct digest *
digest_new(void)
{
	struct digest *d;

	if ((d = calloc(1, sizeof *d)) == NULL)
		return NULL;
	if ((d->md = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) != 1) {
		digest_free(d);
		return NULL;
	}
	return d;
}

void
digest_add(struct digest *d, const void *data, size_t len)
{
	if (EVP_DigestUpdate(d->md, data, len) != 1)
		d->failed = true;
}

int
digest_end(struct digest *d, char hex[DIGEST_HEX])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int rc = -1;

	hex[0] = '\0';
	if (!d->failed && EVP_DigestFinal_ex(d->md, sum, &n) == 1 &&
	    n == (DIGEST_HEX - 1) / 2) {
		for (unsigned i = 0; i < n; i++)
			(void)snprintf(hex + (size_t)i * 2, 3, "%02x", sum[i]);
		rc = 0;
	}
	digest_free(d);
	return rc;
}

void
digest_free(struct digest *d)
{
	if (d == NULL)
		return;
	EVP_MD_CTX_free(d->md);
	free(d);
}
