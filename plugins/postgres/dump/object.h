/* SPDX-License-Identifier: BSD-2-Clause */
/* One object being written: SQL text in blocks. */
#ifndef HF_POSTGRES_DUMP_OBJECT_H
#define HF_POSTGRES_DUMP_OBJECT_H

#include <holdfast/plugin.h>

struct text;

struct object {
	struct hf_out *out;
	struct hf_writer *w;
	char *name;    /* without prefix */
	uint64_t size; /* written so far */
	char *block;
	size_t used;
};

/* block is allocated once and kept by object_end for the next object of the
 * same struct, which begins as zeros. */
int object_begin(struct object *, struct hf_out *, const char *prefix,
    const char *name, uint64_t size_hint, struct hf_error *);
int object_write(struct object *, const void *, size_t, struct hf_error *);
int object_text(struct object *, const struct text *, struct hf_error *);
/* Durable when it returns HF_OK.  The object is closed even on failure. */
int object_commit(struct object *, struct hf_error *);
/* Gives up what is open, and all memory. */
void object_free(struct object *);
/* A whole one at once. */
int object_store(struct hf_out *, const char *prefix, const char *name,
    const void *, size_t, struct hf_error *);

/* How every script begins.  about: "rows of table public.orders". */
void object_header(struct text *, const char *encoding, const char *about);

#endif
