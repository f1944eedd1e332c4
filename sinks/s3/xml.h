/* SPDX-License-Identifier: BSD-2-Clause */
/* Walking over an XML answer. */
#ifndef HF_S3_XML_H
#define HF_S3_XML_H

#include <holdfast/plugin.h>

/* Called at the end of each element: its path from the root,
 * "ListBucketResult/Contents/Key", and its own text.  Returns HF_OK, or < 0 to
 * stop. */
typedef int xml_fn(void *arg, const char *path, const char *text);

/* HF_E_CORRUPT when it is not well-formed; entities of its own are refused. */
int
xml_walk(const char *xml, size_t len, xml_fn *, void *arg, struct hf_error *);

/* The text of the first element of this path, cut to cap; false: none. */
bool xml_value(
    const char *xml, size_t len, const char *path, char *value, size_t cap);

#endif
