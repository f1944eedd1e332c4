/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed JSON documents: every JSON file of a repository.
 *
 * The last member of the object, on a line of its own, is "sha256": the hash
 * of the text as it would be without that member.  A flipped bit anywhere in a
 * manifest, a report or a lease is therefore found when it is read.  To check
 * one by hand, compare the two:
 *
 *   (head -n -2 FILE | sed '$ s/,$//'; echo '}') | sha256sum
 *   tail -n 2 FILE
 */
#ifndef HF_REPO_DOC_H
#define HF_REPO_DOC_H

#include <jansson.h>

struct buf;
struct hf_error;
struct store;

/* A manifest of 100,000 objects and facts has 60 MB. */
#define DOC_MAX (256u << 20)

/* Pretty-printed (indent 2, member order kept) and sealed, appended to buf. */
int doc_seal(const json_t *object, struct buf *, struct hf_error *);

/* Parse and check the seal; HF_E_CORRUPT says which of both failed.  what:
 * the document's name for the error.  The caller decrefs. */
int doc_open(const char *text, size_t len, const char *what, json_t **,
    struct hf_error *);

/* The same to and from a store.  flags: HF_PUT_IF_ABSENT. */
int doc_put(struct store *, const char *key, unsigned flags, const json_t *,
    struct hf_error *);
int doc_get(struct store *, const char *key, json_t **, struct hf_error *);

#endif
