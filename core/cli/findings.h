/* SPDX-License-Identifier: BSD-2-Clause */
/* What doctor and a dry run found, as a list, a table or JSON. */
#ifndef HF_CLI_FINDINGS_H
#define HF_CLI_FINDINGS_H

#include <holdfast/plugin.h>

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct cli;
struct config_pipeline;
struct hf_error;

struct finding {
	char *subject, *check, *result, *hint; /* hint may be NULL */
	int verdict;
};

struct findings {
	pthread_mutex_t lock;
	struct finding *list;
	size_t n, cap;
	int worst;
	bool failed; /* no memory for one of them */
};

void findings_init(struct findings *);
void findings_free(struct findings *);

/* Copies.  Any thread. */
void findings_add(struct findings *, const char *subject, int verdict,
    const char *check, const char *result, const char *hint);
void findings_add_error(struct findings *, const char *subject,
    const char *check, const struct hf_error *);

/* Ask a pipeline's engines, filters and sinks; subjects get its name. */
void findings_of_pipeline(
    struct findings *, struct cli *, const struct config_pipeline *);

/* From the first-th on. */
void findings_print(const struct findings *, size_t first);
json_t *findings_json(const struct findings *, size_t first);

const char *findings_verdict(int verdict); /* "ok", "warn", "FAIL" */

#endif
