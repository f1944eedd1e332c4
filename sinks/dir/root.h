/* SPDX-License-Identifier: BSD-2-Clause */
/* The folder that everything is below.
 *
 * One that is missing may be a disk that is not mounted, and has what nobody
 * can see now.  So it is made when the first object is put there and at no
 * other time; who reads is told that it is not there. */
#ifndef HF_DIR_ROOT_H
#define HF_DIR_ROOT_H

#include <stdbool.h>

struct hf_error;
struct hf_store;

/* When the store is opened.  HF_OK also when only the last folder of the path
 * is missing: it is looked for again whenever it is needed. */
int root_open(struct hf_store *, struct hf_error *);
void root_close(struct hf_store *);

/* HF_OK: s->root is open, and stays so until close.  HF_E_NOTFOUND: it is
 * not there.  Any number of threads. */
int root_need(struct hf_store *, struct hf_error *);
/* The same, and made, durably, when it is missing. */
int root_make(struct hf_store *, struct hf_error *);

/* Open the folder above the one that is missing; the caller closes.  -1 and
 * errno. */
int root_above(const struct hf_store *);

#endif
