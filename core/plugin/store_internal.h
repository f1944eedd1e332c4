/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by store.c (instance, names), store_put.c, store_get.c and
 * store_remove.c. */
#ifndef HF_PLUGIN_STORE_INTERNAL_H
#define HF_PLUGIN_STORE_INTERNAL_H

#include "plugin/instance.h"
#include "plugin/loader.h"
#include "plugin/store.h"

struct store {
	struct instance base;
	const struct hf_store_ops *ops;
	struct hf_store *handle;
};

/* One call of the plugin, with the lock around it; leaves the raw status in
 * rc.  The plugin's handle is s->handle. */
#define STORE_CALL(s, rc, call)              \
	do {                                 \
		instance_lock(&(s)->base);   \
		(rc) = (call);               \
		instance_unlock(&(s)->base); \
	} while (0)

/* HF_E_INVALID, and a text that names the key. */
int store_check_key(const struct store *, const char *key, struct hf_error *);

/* Give *why to err and add what was being done: "getting a.b from sink nas".
 * Returns rc. */
int store_failed(const struct store *, int rc, const char *doing,
    const char *key, const struct hf_error *why, struct hf_error *err);

/* After a failure: sleep and say true when the call is to be repeated.
 * *tries counts from 0.  When it was cancelled meanwhile, *rc and *why say
 * so. */
bool store_again(const struct store *, int *rc, unsigned *tries,
    const char *doing, const char *key, struct hf_error *why);

#endif
