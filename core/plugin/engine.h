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

/* Of engines that keep a log.  HF_LOG_*; 0 when it keeps none. */
uint32_t engine_log_kinds(struct engine *);
/* As the table's functions; a missing one is HF_E_UNSUPPORTED.  Those with a
 * function return what it returned when that was not 0. */
int engine_log_push(struct engine *, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *);
int engine_log_get(struct engine *, const char *name, const char *file,
    struct hf_in *log, struct hf_error *);
int engine_log_ahead(
    struct engine *, const char *name, struct hf_in *log, struct hf_error *);
int engine_log_behind(struct engine *, const char *file, struct hf_out *log,
    struct hf_in *have, struct hf_error *);
int engine_log_reach(struct engine *, const struct hf_request *,
    struct hf_in *backup, struct hf_error *);
int engine_log_spans(struct engine *, struct hf_in *log,
    struct hf_in *const *backups, size_t n, hf_span_fn *, void *,
    struct hf_error *);
int engine_log_verify(struct engine *, struct hf_in *log,
    struct hf_in *const *backups, size_t n, hf_finding_fn *, void *,
    struct hf_error *);
int engine_log_surplus(struct engine *, struct hf_in *log,
    struct hf_in *const *kept, size_t n, size_t whole, hf_list_fn *, void *,
    struct hf_error *);

#endif
