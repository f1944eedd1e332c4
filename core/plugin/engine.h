/* SPDX-License-Identifier: BSD-2-Clause */
/* An open engine instance; calls keep the plugin's thread level. */
#ifndef HF_PLUGIN_ENGINE_H
#define HF_PLUGIN_ENGINE_H

#include <holdfast/plugin.h>

struct engine;
struct hf_ctx;
struct options;
struct plugin;

/* ctx is copied, its strings are borrowed until close; options are taken
 * over, also on failure (may be NULL). */
int engine_open(const struct plugin *, const struct hf_ctx *, struct options *,
    struct engine **, struct hf_error *);
void engine_close(struct engine *);

const struct plugin *engine_plugin(const struct engine *);

/* As the table's functions.  A missing optional one is HF_OK for check and
 * discard, HF_E_UNSUPPORTED for the others. */
int engine_check(struct engine *, hf_finding_fn *, void *, struct hf_error *);
int engine_backup(struct engine *, const struct hf_request *, struct hf_out *,
    struct hf_error *);
int engine_restore(struct engine *, const struct hf_request *,
    struct hf_in *const *, size_t n, struct hf_error *);
int engine_scratch(struct engine *, const char *dir, char *target, size_t cap,
    struct hf_error *);
int engine_inspect(struct engine *, const char *target, struct hf_in *,
    hf_finding_fn *, void *, struct hf_error *);
int engine_query(struct engine *, const char *target, const char *sql,
    char *value, size_t cap, struct hf_error *);
void engine_discard(struct engine *, const char *target);

#endif
