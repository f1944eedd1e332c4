/* SPDX-License-Identifier: BSD-2-Clause */
/* One configured instance of a plugin, as the host table sees it. */
#ifndef HF_PLUGIN_CTX_H
#define HF_PLUGIN_CTX_H

#include <stdint.h>

struct cancel;

struct hf_ctx {
	const char *who; /* "sink nas", "pipeline shop": the log's subject */
	const struct cancel *cancel; /* may be NULL */
	const char *state_dir;       /* may be NULL */
	const char *scratch_dir;     /* may be NULL */
	/* Called from any thread; may be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void (*result)(void *arg, const char *key, const char *value);
	void *arg;
};

#endif
