/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "flow/in.h"
#include "flow/out.h"
#include "plugin/host.h"
#include "plugin/store.h"
#include "repo/copy.h"
#include "repo/repo_private.h"

#define PIECE ((size_t)256 * 1024)

/* One object on its way. */
struct pump {
	struct flow *flow;
	const struct copy_object *c;
	struct copy_object_result *res;
	struct outflow *of;
	struct hf_out *out;
	struct hf_writer *w;
	uint64_t done;       /* as told to progress */
	struct hf_error why; /* what writing failed of */
	struct buf index;
};

/* The very same filters: then what is stored is what this sink wants. */
static bool
same_chain(const struct copy_object *c)
{
	if (c->object->nfilters != c->nfilters ||
	    strncmp(c->object->key, c->from_prefix, strlen(c->from_prefix)) !=
		0)
		return false;
	for (size_t i = 0; i < c->nfilters; i++)
		if (c->object->filters[i] != c->filters[i])
			return false;
	return true;
}

static const char *
rest(const struct copy_object *c, const char *key)
{
	return key + strlen(c->from_prefix);
}

/* Failures of the target are told apart from those of the source. */
static int
written(struct pump *p, int rc, struct hf_error *err)
{
	if (rc == HF_OK)
		return HF_OK;
	p->res->writing = true;
	if (err != NULL)
		*err = p->why;
	return rc;
}

static int
write_piece(struct pump *p, const void *data, size_t len, struct hf_error *err)
{
	return written(p, host_table.out_write(p->w, data, len, &p->why), err);
}

/* On the reader's thread; nobody else writes meanwhile. */
static int
on_stored(void *arg, const void *data, size_t len, struct hf_error *err)
{
	return write_piece(arg, data, len, err);
}

static void
on_progress(void *arg, uint64_t done)
{
	struct pump *p = arg;

	if (p->c->progress != NULL)
		p->c->progress(p->c->arg, done - p->done);
	p->done = done;
}

/* ---- reading ---- */

static int
drain(struct pump *p, struct hf_reader *r, struct hf_error *err)
{
	uint8_t *piece = malloc(PIECE);
	size_t n;
	int rc;

	if (piece == NULL)
		return repo_nomem(err);
	while ((rc = host_table.in_read(r, piece, PIECE, &n, err)) == HF_OK)
		if (!p->res->as_is &&
		    (rc = write_piece(p, piece, n, err)) != HF_OK)
			break;
	free(piece);
	return rc == HF_EOF ? HF_OK : rc;
}

/* From the first byte to the verdict. */
static int
read_all(struct pump *p, struct hf_error *err)
{
	struct in_options options = { .store = p->c->from,
		.objects = p->c->object,
		.nobjects = 1,
		.progress = on_progress,
		.stored = p->res->as_is ? on_stored : NULL,
		.arg = p };
	struct hf_reader *r;
	struct hf_in *in;
	int rc;

	if ((rc = in_new(p->flow, &options, &in, err)) != HF_OK)
		return rc;
	if ((rc = host_table.in_open(
		 in, p->c->object->name, 0, UINT64_MAX, &r, err)) == HF_OK) {
		rc = drain(p, r, err);
		/* Joins the thread that writes: then w is ours again. */
		host_table.in_close(r);
	}
	in_free(in);
	return rc;
}

/* Restoring goes on without it, but a copy shall be whole. */
static int
read_index(struct pump *p, struct hf_error *err)
{
	const struct flow_object *o = p->c->object;
	char hex[SHA256_HEX];
	int rc;

	if (o->index_key == NULL)
		return HF_OK;
	rc = store_get_all(
	    p->c->from, o->index_key, (size_t)o->index_size, &p->index, err);
	if (rc == HF_E_NOTFOUND)
		return error_fail(err, HF_E_CORRUPT,
		    "the frame index %s of the object %s is missing",
		    o->index_key, o->name);
	if (rc != HF_OK ||
	    (rc = sha256_of(p->index.data, p->index.len, hex, err)) != HF_OK)
		return rc;
	if (p->index.len != o->index_size || strcmp(hex, o->index_sha256) != 0)
		return error_fail(err, HF_E_CORRUPT,
		    "the frame index %s of the object %s is damaged",
		    o->index_key, o->name);
	return HF_OK;
}

/* ---- writing ---- */

static int
open_out(struct pump *p, struct hf_error *err)
{
	const struct copy_object *c = p->c;
	bool as_is = p->res->as_is;
	struct out_sink sink = {
		.name = c->to_name, .store = c->to, .stall_ms = c->stall_ms
	};
	struct out_options options = { .key_prefix = c->to_prefix,
		.filters = c->filters,
		.nfilters = as_is ? 0 : c->nfilters,
		.sinks = &sink,
		.nsinks = 1,
		.literal = as_is,
		.no_spool = true };
	const char *prefix = as_is ? "" : c->name_prefix;
	int rc;

	if ((rc = outflow_new(p->flow, &options, &p->of, &p->why)) != HF_OK) {
		p->of = NULL;
		return written(p, rc, err);
	}
	if ((rc = out_new(p->of, prefix, &p->out, &p->why)) != HF_OK)
		return written(p, rc, err);
	return HF_OK;
}

static int
begin(struct pump *p, const char *name, uint64_t size, struct hf_error *err)
{
	return written(
	    p, host_table.out_begin(p->out, name, size, &p->w, &p->why), err);
}

static int
commit(struct pump *p, struct hf_error *err)
{
	struct hf_writer *w = p->w;

	p->w = NULL;
	return written(p, host_table.out_commit(w, &p->why), err);
}

/* Behind the object: alone it would be of no use. */
static int
put_index(struct pump *p, struct hf_error *err)
{
	int rc;

	if (!p->res->as_is || p->c->object->index_key == NULL)
		return HF_OK;
	if ((rc = begin(p, rest(p->c, p->c->object->index_key), p->index.len,
		 err)) != HF_OK ||
	    (rc = write_piece(p, p->index.data, p->index.len, err)) != HF_OK)
		return rc;
	return commit(p, err);
}

/* ---- the result ---- */

static bool
keep_text(char **to, const char *from)
{
	*to = from == NULL ? NULL : strdup(from);
	return from == NULL || *to != NULL;
}

/* What was written has the hash of what was read: nothing changed between. */
static int
check_hashes(struct pump *p, const struct flow_object *got,
    const struct flow_object *index, struct hf_error *err)
{
	const struct flow_object *o = p->c->object;
	bool as_is = p->res->as_is;

	if (strcmp(got->raw_sha256, as_is ? o->stored_sha256 : o->raw_sha256) ==
		0 &&
	    (index == NULL || strcmp(index->raw_sha256, o->index_sha256) == 0))
		return HF_OK;
	p->res->writing = true;
	return error_fail(err, HF_E_IO,
	    "the object %s changed between reading and writing: suspect this "
	    "machine's memory",
	    o->name);
}

static int
take_result(struct pump *p, struct hf_error *err)
{
	const struct flow_object *o = p->c->object,
				 *got = out_object(p->out, 0, 0),
				 *index = out_object(p->out, 0, 1);
	struct flow_object *to = &p->res->object;
	bool as_is = p->res->as_is;
	int rc;

	if (got == NULL || (as_is && o->index_key != NULL && index == NULL))
		return error_fail(err, HF_E_BUG,
		    "the object %s was stored, but its sink does not say so",
		    o->name);
	if ((rc = check_hashes(p, got, index, err)) != HF_OK)
		return rc;
	*to = *got;
	to->name = to->key = to->index_key = NULL;
	to->filters = NULL;
	to->nfilters = 0;
	if (as_is) {
		memcpy(to->raw_sha256, o->raw_sha256, SHA256_HEX);
		memcpy(to->stored_sha256, o->stored_sha256, SHA256_HEX);
		memcpy(to->index_sha256, o->index_sha256, SHA256_HEX);
		to->raw_size = o->raw_size;
		to->stored_size = o->stored_size;
		to->frame_size = o->frame_size;
		to->index_size = o->index_size;
	}
	if (!keep_text(&to->key, got->key) ||
	    !keep_text(&to->index_key,
		as_is ? (index == NULL ? NULL : index->key)
		      : (got->index_size > 0 ? got->index_key : NULL)))
		return repo_nomem(err);
	return HF_OK;
}

static int
transfer(struct pump *p, struct hf_error *err)
{
	const struct flow_object *o = p->c->object;
	bool as_is = p->res->as_is;
	int rc;

	if ((rc = read_index(p, err)) != HF_OK ||
	    (rc = open_out(p, err)) != HF_OK ||
	    (rc = begin(p, as_is ? rest(p->c, o->key) : o->name,
		 as_is ? o->stored_size : o->raw_size, err)) != HF_OK ||
	    (rc = read_all(p, err)) != HF_OK ||
	    (rc = commit(p, err)) != HF_OK || (rc = put_index(p, err)) != HF_OK)
		return rc;
	return written(p, outflow_finish(p->of, &p->why), err);
}

int
copy_object(struct flow *flow, const struct copy_object *c,
    struct copy_object_result *res, struct hf_error *err)
{
	struct pump p = { .flow = flow, .c = c, .res = res };
	int rc;

	*res = (struct copy_object_result){ .as_is = same_chain(c) };
	rc = transfer(&p, err);
	if (p.w != NULL)
		host_table.out_abort(p.w);
	if (p.of != NULL) {
		outflow_close(p.of);
		res->stuck = outflow_sink_stuck(p.of, 0);
		if (rc == HF_OK)
			rc = take_result(&p, err);
		outflow_free(p.of);
	}
	buf_free(&p.index);
	return rc;
}
