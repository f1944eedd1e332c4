/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of the flow share: filters, a pattern of bytes, a backup in one
 * call, a restore in one call. */
#ifndef HF_TESTS_FLOW_KIT_H
#define HF_TESTS_FLOW_KIT_H

#include <holdfast/plugin.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "flow/flow.h"
#include "flow/in.h"
#include "flow/out.h"
#include "memstore.h"

/* ".x": framed, parallel: a header with size and sum, bytes exclusive-ored.
 * ".r": framed, serial: the same with run lengths, so sizes change a lot.
 * ".s": not framed: bytes depend on their position, a sum at the end. */
enum kit_filter { KIT_XOR, KIT_RLE, KIT_STREAM, KIT_FILTERS };

/* A plugin that KIT_XOR fails in when it is to encode such a name. */
#define KIT_BAD_NAME "filter-fails"

struct kit {
	struct flow *flow;
	struct cancel cancel;
	struct plugin *plugins[KIT_FILTERS];
	struct filter *filters[KIT_FILTERS];
	struct memstore stores[3]; /* buckets "a", "b", "c" */
};

#define KIT_FRAME 64

/* options: NULL for frames of KIT_FRAME bytes and two workers.  serial: bit i
 * makes stores[i] a serial one. */
void
kit_open(struct kit *, const struct flow_options *options, unsigned serial);
/* Checks that nothing is left open in the stores. */
void kit_close(struct kit *);

/* The n-th byte of a pattern. */
uint8_t kit_byte(uint64_t n);
void kit_fill(void *, size_t, uint64_t from);

/* An out_options for the first nsinks stores, named as their buckets. */
struct kit_backup {
	struct out_options opts;
	struct out_sink sinks[3];
	struct filter *filters[KIT_FILTERS]; /* common */
	struct filter *own[3][KIT_FILTERS];
	struct outflow *outflow;
	struct hf_out *out;
};
/* chain: "xr" and so on, common filters. */
void
kit_backup(struct kit *, struct kit_backup *, size_t nsinks, const char *chain);
/* Own filters of a sink; before kit_start. */
void kit_own(struct kit *, struct kit_backup *, size_t sink, const char *chain);
void kit_start(struct kit *, struct kit_backup *);
/* One object of the pattern, written in pieces of that size. */
int kit_write(struct kit_backup *, const char *name, size_t size, size_t piece,
    struct hf_error *);

/* The object of a sink, with its filters, for reading. */
struct flow_object kit_object(struct kit_backup *, size_t sink, size_t n);

/* Read and compare with the pattern; HF_OK when all came. */
int kit_read(struct hf_in *, const char *name, uint64_t off, uint64_t len,
    uint64_t expect, size_t piece, struct hf_error *);

/* A reader of one object in one store. */
struct hf_in *kit_in(struct kit *, size_t store, const struct flow_object *);

#endif
