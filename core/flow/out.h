/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing: one engine's objects to many sinks.
 *
 * An outflow is one backup: its sinks, each with a queue and threads of its
 * own.  An hf_out is one source of it, what the engine sees.  A sink that
 * fails, or takes nothing for its stall time, is dropped from the backup and
 * reported; the others go on.  When none is left, writing fails with the first
 * sink's error.
 */
#ifndef HF_FLOW_OUT_H
#define HF_FLOW_OUT_H

#include "flow/flow.h"

struct outflow;
struct store;

struct out_sink {
	const char *name;
	struct store *store;
	struct filter *const *filters; /* its own, after the common ones */
	size_t nfilters;
	int64_t stall_ms; /* 0: wait for ever */
};

struct out_options {
	const char *key_prefix; /* "shop/data/<id>/": objects go below */
	struct filter *const *filters;
	size_t nfilters;
	const struct out_sink *sinks; /* copied; what it points to is not */
	size_t nsinks;
	/* Object names are keys already: put below key_prefix as they are. */
	bool literal;
	/* The writers wait for a slow sink, as no source is in a hurry. */
	bool no_spool;
	/* A sink was dropped, is spooling, ...: called once each, from any
	 * thread; may be NULL. */
	void (*notice)(void *arg, size_t sink, const char *event,
	    const struct hf_error *why);
	void *arg;
};

int outflow_new(struct flow *, const struct out_options *, struct outflow **,
    struct hf_error *);

/* A source.  prefix: put before object names, "main/" or "". */
int out_new(
    struct outflow *, const char *prefix, struct hf_out **, struct hf_error *);

/* Has the engine begun an object of it? */
bool out_begun(const struct hf_out *);

/* The facts an engine told: the n-th, or false. */
bool out_fact_at(
    const struct hf_out *, size_t n, const char **key, const char **value);

/* Wait until nothing is under way.  To be called after the engine returned,
 * before the results are read.  Objects that were neither committed nor
 * aborted are HF_E_BUG.  HF_OK when one sink at least has every object. */
int outflow_finish(struct outflow *, struct hf_error *);

/* Did this sink stay?  why (may be NULL) gets its error if not. */
bool outflow_sink_ok(const struct outflow *, size_t sink, struct hf_error *why);

/* The objects of a source as stored in one sink, in the order of commit:
 * the n-th, or NULL.  Valid until outflow_free. */
const struct flow_object *
out_object(const struct hf_out *, size_t sink, size_t n);

uint64_t outflow_raw_bytes(const struct outflow *);
/* Bytes stored so far in one sink. */
uint64_t outflow_stored_bytes(const struct outflow *, size_t sink);

/* Aborts what is open and joins the threads; results stay.  A thread that is
 * stuck in a stalled plugin is left behind, and a cancelled one after 10 s. */
void outflow_close(struct outflow *);

/* Was a thread of this sink left behind?  It comes back one day, so its store
 * and its own filters must never be closed, nor their plugins unloaded.
 * Certain after outflow_close. */
bool outflow_sink_stuck(const struct outflow *, size_t sink);

/* outflow_close, and frees the sources too. */
void outflow_free(struct outflow *);

#endif
