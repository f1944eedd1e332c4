/* SPDX-License-Identifier: BSD-2-Clause */
/* What an open engine, filter and store have in common: the plugin, its
 * configuration, and the lock that keeps its thread level. */
#ifndef HF_PLUGIN_INSTANCE_H
#define HF_PLUGIN_INSTANCE_H

#include <holdfast/plugin.h>

#include <pthread.h>

#include "plugin/ctx.h"

struct options;
struct plugin;

struct instance {
	const struct plugin *plugin;
	struct hf_ctx ctx;
	struct options *options; /* owned */
	/* SERIAL: the plugin's, INSTANCE: own, HANDLE: NULL.  Innermost:
	 * nothing of the core's is locked while it is held, except what
	 * callbacks and host functions take for themselves. */
	pthread_mutex_t *mutex;
	pthread_mutex_t own;
};

/* Takes the options over, also on failure; NULL: the table's defaults.  Runs
 * the plugin's validate. */
int instance_init(struct instance *, const struct plugin *,
    const struct hf_ctx *, struct options *, struct hf_error *);
void instance_destroy(struct instance *);

void instance_lock(struct instance *);
void instance_unlock(struct instance *);

/* What the plugin answered, made to keep the contract: a status that does not
 * exist, or HF_EOF where there is none, becomes HF_E_BUG, and a failure
 * without a text gets one.  why: the slot that the plugin was given. */
int instance_status(const struct instance *, const char *call, int rc, bool eof,
    struct hf_error *why);

#endif
