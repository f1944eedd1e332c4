/* SPDX-License-Identifier: BSD-2-Clause */
/* From a name to a checked plugin: search path, dlopen, lint, min-copy.
 *
 * A plugin named NAME is the file NAME.so in a folder of the search path:
 * first --plugin-dir, then HOLDFAST_PLUGIN_PATH (':' between folders), then
 * the installed folder, found relative to the running program, so that a
 * build tree works as it is.  Files are loaded when first asked for, with
 * RTLD_NOW | RTLD_LOCAL, and stay loaded until plugins_free.
 */
#ifndef HF_PLUGIN_LOADER_H
#define HF_PLUGIN_LOADER_H

#include <holdfast/plugin.h>

#include <pthread.h>

/* A loaded plugin.  Its tables are copies at full size, zero where the
 * plugin's own header did not have a field yet. */
struct plugin {
	char *path; /* NULL: linked in (tests) */
	struct hf_plugin desc;
	struct hf_engine_ops engine; /* valid when desc.engine != NULL */
	struct hf_filter_ops filter; /* ... desc.filter */
	struct hf_store_ops store;   /* ... desc.store */
	pthread_mutex_t serial;      /* held in calls of HF_THREADS_SERIAL */
	void *dl;
};

enum plugin_kind { PLUGIN_ENGINE, PLUGIN_FILTER, PLUGIN_STORE };

struct plugins;

/* dirs: --plugin-dir, in order; NULL ends, may itself be NULL. */
int plugins_new(struct plugins **, const char *const *dirs, struct hf_error *);

/* The plugin of that name, loaded now if need be; lives as long as the set.
 * HF_E_NOTFOUND lists the names that are there and the nearest; HF_E_INVALID
 * for what the lint, the version or the file's mode refuse, for a name that
 * two different files of the search path take, and for a kind that it is not.
 * Thread-safe. */
int plugins_get(struct plugins *, const char *name, enum plugin_kind,
    const struct plugin **, struct hf_error *);

/* The same without asking for a kind. */
int plugins_find(struct plugins *, const char *name, const struct plugin **,
    struct hf_error *);

/* Load every file of the search path, by name; cb gets the plugin, or NULL
 * and why it was refused.  Stops when cb returns != 0, and returns that. */
int plugins_each(struct plugins *,
    int (*cb)(void *arg, const char *path, const struct plugin *,
	const struct hf_error *why),
    void *arg);

/* The folders of the search path, NULL ends; valid as long as the set. */
const char *const *plugins_path(const struct plugins *);

void plugins_free(struct plugins *);

/* One file, whatever its folder: for holdfast-conform.  Free with
 * plugin_close. */
int plugin_open_file(const char *path, struct plugin **, struct hf_error *);

/* A descriptor that is linked in: for tests.  Lints and loads it too. */
int plugin_open_static(hf_plugin_fn *, struct plugin **, struct hf_error *);

void plugin_close(struct plugin *);

/* Does the descriptor keep the contract?  name: what the file is called, or
 * NULL.  The error names the field. */
int plugin_lint(const struct hf_plugin *, const char *name, struct hf_error *);

#endif
