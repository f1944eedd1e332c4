/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as the XML answer of an S3 service. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/host.h"
#include "s3.h"
#include "xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
on_element(void *arg, const char *path, const char *text)
{
	size_t *n = arg;

	if (*path == '\0' || strlen(path) > 4096 ||
	    strlen(text) > (size_t)1 << 16)
		abort();
	return ++*n == 1000 ? HF_E_CANCELLED : HF_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char value[16];
	size_t n = 0;
	int rc;

	H = &host_table;
	rc = xml_walk((const char *)data, size, on_element, &n, NULL);
	if (rc == HF_E_CANCELLED && n != 1000)
		abort();
	(void)xml_value(
	    (const char *)data, size, "Error/Code", value, sizeof value);
	if (memchr(value, '\0', sizeof value) == NULL)
		abort();
	return 0;
}
