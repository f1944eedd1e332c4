/* SPDX-License-Identifier: BSD-2-Clause */
/* One case, in a process of its own. */
#ifndef HF_CONFORM_RUN_H
#define HF_CONFORM_RUN_H

#include "conform.h"

enum run_verdict { RUN_PASSED, RUN_FAILED, RUN_SKIPPED };

struct run_outcome {
	enum run_verdict verdict;
	char message[2048]; /* why it failed or was skipped */
	char *notes;        /* lines, or NULL */
	char *trouble;      /* what it printed, when that says more */
};

/* Run it and say how it went.  n: its number, which names its keys and its
 * folder. */
void run_case(const struct setup *, enum case_kind, const struct conform_case *,
    size_t n, struct run_outcome *);
void run_outcome_clear(struct run_outcome *);

/* Load the plugin in a process of its own, parse the options, and tell which
 * kinds it has, as a bit for each enum case_kind, and its name.  False, and
 * why in message; kinds is 0 when it could not even be loaded. */
#define RUN_SECRETS 16
struct run_plugin {
	unsigned kinds;
	char name[64], version[64];
	char *secrets[RUN_SECRETS +
		      1]; /* values of secret options; to be freed */
	size_t nsecrets;
};
bool run_describe(
    const struct setup *, struct run_plugin *, char *message, size_t cap);

/* Remove what the store cases left under this run's prefix. */
void run_clean_store(const struct setup *, struct run_outcome *);

#endif
