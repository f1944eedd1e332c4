/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of the store's table, by file; plugin.h says what they do. */
#ifndef HF_S3_OPS_H
#define HF_S3_OPS_H

#include "probe.h"
#include "s3.h"

/* upload.c */
int upload_begin(struct hf_store *, const char *key, const struct hf_put_opts *,
    struct hf_put **, struct hf_error *);
int upload_write(struct hf_put *, const void *, size_t, struct hf_error *);
int upload_commit(struct hf_put *, struct hf_object *, struct hf_error *);
void upload_abort(struct hf_put *);

/* download.c */
int download_begin(struct hf_store *, const char *key, uint64_t off,
    uint64_t len, struct hf_get **, struct hf_error *);
int download_read(
    struct hf_get *, void *, size_t cap, size_t *n, struct hf_error *);
void download_close(struct hf_get *);

/* objects.c */
int objects_stat(
    struct hf_store *, const char *key, struct hf_object *, struct hf_error *);
int objects_list(struct hf_store *, const char *prefix, hf_list_fn *, void *,
    struct hf_error *);
int objects_clock(struct hf_store *, int64_t *now, struct hf_error *);

/* remove.c */
int remove_one(struct hf_store *, const char *key, struct hf_error *);
int remove_many(
    struct hf_store *, const char *const *keys, size_t n, struct hf_error *);

/* sweep.c */
int sweep_uploads(struct hf_store *, const char *prefix, int64_t before,
    bool dry, hf_list_fn *, void *, struct hf_error *);

/* probe.c */
uint32_t probe_caps(struct hf_store *);

/* check.c */
int check_store(struct hf_store *, hf_finding_fn *, void *, struct hf_error *);

#endif
