/* SPDX-License-Identifier: BSD-2-Clause */
#include "object.h"

#include "postgres.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK (256 * 1024)

int
object_begin(struct object *o, struct hf_out *out, const char *prefix,
    const char *name, uint64_t size_hint, struct hf_error *err)
{
	struct text path = { 0 };
	int rc;

	o->out = out;
	o->size = 0;
	o->used = 0;
	if (o->block == NULL && (o->block = malloc(BLOCK)) == NULL)
		return postgres_nomem(err);
	free(o->name);
	if ((o->name = strdup(name)) == NULL)
		return postgres_nomem(err);
	text_add(&path, prefix);
	text_add(&path, name);
	if ((rc = text_ok(&path, err)) == HF_OK)
		rc = H->out_begin(out, text_get(&path), size_hint, &o->w, err);
	text_free(&path);
	return rc;
}

static int
flush(struct object *o, struct hf_error *err)
{
	size_t n = o->used;

	o->used = 0;
	return n == 0 ? HF_OK : H->out_write(o->w, o->block, n, err);
}

int
object_write(
    struct object *o, const void *buf, size_t len, struct hf_error *err)
{
	int rc;

	if (len > BLOCK - o->used && (rc = flush(o, err)) != HF_OK)
		return rc;
	o->size += len;
	if (len > BLOCK)
		return H->out_write(o->w, buf, len, err);
	memcpy(o->block + o->used, buf, len);
	o->used += len;
	return HF_OK;
}

int
object_text(struct object *o, const struct text *t, struct hf_error *err)
{
	int rc;

	if ((rc = text_ok(t, err)) != HF_OK)
		return rc;
	return t->len == 0 ? HF_OK : object_write(o, t->s, t->len, err);
}

int
object_commit(struct object *o, struct hf_error *err)
{
	struct hf_writer *w = o->w;
	int rc;

	if ((rc = flush(o, err)) != HF_OK)
		return rc;
	o->w = NULL;
	return H->out_commit(w, err);
}

void
object_free(struct object *o)
{
	if (o->w != NULL)
		H->out_abort(o->w);
	free(o->name);
	free(o->block);
	memset(o, 0, sizeof *o);
}

int
object_store(struct hf_out *out, const char *prefix, const char *name,
    const void *buf, size_t len, struct hf_error *err)
{
	struct object o = { 0 };
	int rc;

	if ((rc = object_begin(&o, out, prefix, name, len, err)) == HF_OK &&
	    (rc = object_write(&o, buf, len, err)) == HF_OK)
		rc = object_commit(&o, err);
	object_free(&o);
	return rc;
}

void
object_header(struct text *t, const char *encoding, const char *about)
{
	text_add(t, "-- ");
	text_add_comment(t, about);
	text_add(t, "\n\\set ON_ERROR_STOP on\nSET client_encoding = ");
	text_add_literal(t, encoding);
	text_add(t, ";\n"
		    "SET standard_conforming_strings = on;\n"
		    "SET xmloption = content;\n"
		    "SET search_path = '';\n"
		    "SET row_security = off;\n"
		    "SET statement_timeout = 0;\n"
		    "SET lock_timeout = 0;\n"
		    "SET idle_in_transaction_session_timeout = 0;\n"
		    "SET client_min_messages = warning;\n"
		    "\n");
}
