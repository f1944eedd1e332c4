/* SPDX-License-Identifier: BSD-2-Clause */
/* What every conformance case sees: the plugin under test and a verdict.
 *
 * Each case runs in a process of its own, so that one that crashes, hangs or
 * leaks is one failed case and not the end of the suite.  That is also why a
 * failed expectation may end the process on the spot, from any thread: there
 * is nothing to unwind, and what a store keeps is cleared by the parent.
 */
#ifndef HF_CONFORM_H
#define HF_CONFORM_H

#include <holdfast/plugin.h>

#include <jansson.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/error.h"
#include "plugin/ctx.h"
#include "plugin/loader.h"
#include "plugin/options.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* What cases give as a secret of their own. */
#define CONFORM_CANARY "canary-4f1d2c7a9b"

/* What the command line asked for; the same for all cases. */
struct setup {
	const char *program; /* how to start this program again */
	const char *file;    /* the .so */
	char *const *args;   /* key=value, {scratch} replaced; NULL ends */
	json_t *object;      /* the same as an options object */
	const char *work;    /* this run's own folder */
	const char *sample;  /* --filter-sample, or NULL */
	const char *query;   /* --query, or NULL */
	unsigned timeout;    /* seconds a case may take */
	char id[17];         /* random: keys of this run begin with it */
	char **secrets;      /* values of secret options, and the canary */
	size_t nsecrets;
};

/* One case's view of the plugin. */
struct session {
	const struct setup *setup;
	const char *dir; /* an empty folder of this case */
	char prefix[64]; /* keys of this case: "conform-ID/N/" */
	struct plugin *plugin;
	struct options *options;
	struct hf_ctx ctx;
	struct cancel cancel;
	struct hf_error err; /* for calls of the case's main thread */
	/* the instance that a case of that kind gets */
	struct hf_store *store;
	struct hf_filter *filter;
	struct hf_engine *engine;
};

enum case_kind {
	CASE_PLUGIN, /* every plugin; nothing is opened */
	CASE_STORE,
	CASE_FILTER,
	CASE_ENGINE
};

struct conform_case {
	const char *name; /* a sentence; NULL ends a table */
	void (*run)(struct session *);
};
extern const struct conform_case cases_plugin[], cases_store[],
    cases_store_names[], cases_store_race[], cases_filter[], cases_engine[],
    cases_engine_faults[];

/* ---- verdicts: the first one counts ---- */

_Noreturn void verdict_fail(const char *fmt, ...) HF_PRINTF(1, 2);
_Noreturn void verdict_skip(const char *fmt, ...) HF_PRINTF(1, 2);
void verdict_note(const char *fmt, ...) HF_PRINTF(1, 2);

#define CHECK(cond, ...)                           \
	do {                                       \
		if (!(cond))                       \
			verdict_fail(__VA_ARGS__); \
	} while (0)

/* Did a call return what the contract says?  A failure must have left a
 * message of that status in the slot, without a secret in it.  Clears the
 * slot for the next call. */
void expect(struct session *, int got, int want, const char *fmt, ...)
    HF_PRINTF(4, 5);

/* The same for a slot of the caller's own; want 1: any failure. */
#define EXPECT_FAILURE 1000
void expect_in(struct session *, struct hf_error *, int got, int want,
    const char *fmt, ...) HF_PRINTF(5, 6);

/* Fails when one of the secrets stands in text. */
void
expect_no_secret(const struct session *, const char *text, const char *where);

/* Do something over and over: the memory in use has to settle.  A cache fills
 * up and stays so, a leak goes on. */
void expect_settles(
    struct session *, void (*round)(struct session *, int i), const char *what);

/* ---- instances ---- */

/* Load the file; fills plugin and ctx.  The verdict on failure. */
void session_load(struct session *);
void session_unload(struct session *);

/* Parse an options object (NULL: that of the command line), validate and
 * open an instance of the kind.  Returns the plugin's status. */
int session_open(struct session *, enum case_kind, const json_t *object);
void session_close(struct session *);

/* May calls on one instance overlap? */
bool session_parallel(const struct session *);

/* Run this program again with `--as verb --with word` on the same plugin and
 * wait: its exit status.  start: without waiting, the process id. */
int again_run(struct session *, const char *verb, const char *word);
long again_start(struct session *, const char *verb, const char *word);
int again_wait(long pid);
bool again_running(long pid);

/* What such a process does; returns its exit status. */
int again_main(struct session *, const char *verb, const char *word);

#endif
