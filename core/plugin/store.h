/* SPDX-License-Identifier: BSD-2-Clause */
/* An open store instance.  Keys are checked both ways, the plugin's thread
 * level is kept, and calls that can be repeated safely are retried while they
 * answer HF_E_TRANSIENT (four times, with growing pauses, until cancelled). */
#ifndef HF_PLUGIN_STORE_H
#define HF_PLUGIN_STORE_H

#include <holdfast/plugin.h>

struct buf;
struct hf_ctx;
struct options;
struct plugin;
struct store;
struct store_get;
struct store_put;

/* ctx and options as in engine_open. */
int store_open(const struct plugin *, const struct hf_ctx *, struct options *,
    struct store **, struct hf_error *);
void store_close(struct store *);

const struct plugin *store_plugin(const struct store *);
uint32_t store_caps(struct store *);
/* May several handles be used at once? */
bool store_parallel(const struct store *);

int store_check(struct store *, hf_finding_fn *, void *, struct hf_error *);
/* Unix seconds; the local clock when the store has none. */
int store_clock(struct store *, int64_t *now, struct hf_error *);

/* flags: HF_PUT_IF_ABSENT.  commit (even failed) and abort consume it. */
int store_put(struct store *, const char *key, uint32_t flags,
    uint64_t size_hint, struct store_put **, struct hf_error *);
int
store_put_write(struct store_put *, const void *, size_t, struct hf_error *);
int
store_put_commit(struct store_put *, struct hf_object *out, struct hf_error *);
void store_put_abort(struct store_put *);

/* Put a small object whole. */
int store_put_all(struct store *, const char *key, uint32_t flags, const void *,
    size_t, struct hf_error *);

int store_get(struct store *, const char *key, uint64_t off, uint64_t len,
    struct store_get **, struct hf_error *);
int store_get_read(
    struct store_get *, void *, size_t cap, size_t *n, struct hf_error *);
void store_get_close(struct store_get *);

/* Get a small object whole, appended to buf with a NUL that len does not
 * count.  HF_E_CORRUPT when it is larger than max. */
int store_get_all(struct store *, const char *key, size_t max, struct buf *,
    struct hf_error *);

int store_stat(
    struct store *, const char *key, struct hf_object *, struct hf_error *);

/* Returns what cb returned when that was not 0.  Keys that are not valid are
 * an error (HF_E_CORRUPT) that names the key.  cb may not use the store: its
 * lock may be held. */
int store_list(struct store *, const char *prefix, hf_list_fn *, void *,
    struct hf_error *);

/* Sorted keys of a prefix, copied. */
struct store_key {
	char *key;
	uint64_t size;
	int64_t mtime;
};
struct store_keys {
	struct store_key *keys;
	size_t n, cap;
};
int store_list_all(
    struct store *, const char *prefix, struct store_keys *, struct hf_error *);
void store_keys_free(struct store_keys *);

int store_remove(struct store *, const char *key, struct hf_error *);
/* All of them, in as few requests as the store can; missing ones are no
 * error.  After a failure some may be gone. */
int store_remove_many(
    struct store *, const char *const *keys, size_t n, struct hf_error *);
/* What writers that died left and no list shows, begun before this moment of
 * the store's clock, told to cb (may be NULL) and removed unless dry.  Returns
 * what cb returned when that was not 0.  A store that leaves nothing: HF_OK. */
int store_sweep(struct store *, const char *prefix, int64_t before, bool dry,
    hf_list_fn *, void *, struct hf_error *);

#endif
