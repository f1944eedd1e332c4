/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share, and nobody else sees. */
#ifndef HF_REPO_REPO_PRIVATE_H
#define HF_REPO_REPO_PRIVATE_H

#include <jansson.h>
#include <pthread.h>

#include "repo/repo.h"
#include "repo/manifest.h"
#include "base/text.h"

struct config_item;
struct config_sink;
struct engine;
struct filter;
struct flow_object;
struct lease;
struct options;
struct plugin;
struct store;
struct store_keys;

#define PROGRAM_NAME "holdfast"

struct repo_sink {
	const struct config_sink *config;
	const char *name;
	char *who;           /* "sink nas" */
	struct store *store; /* NULL: not open */
	/* A thread still hangs in its plugin: no call is made any more, and
	 * it is never closed. */
	bool stuck;
};

/* A filter, opened once whatever number of chains it is in. */
struct repo_filter {
	const struct config_item *item; /* NULL: by its type, with defaults */
	const struct plugin *plugin;
	char *name, *who;
	struct filter *filter;
	bool stuck; /* in use by a stuck sink's thread */
};

struct repo {
	struct repo_env env;
	const struct config_pipeline *pipeline;
	struct repo_sink *sinks;
	size_t nsinks;
	struct repo_filter *filters;
	size_t nfilters;
};

/* ---- repo.c ---- */
/* "<pipeline>/" and the rest, the pipeline's name escaped as a key; the
 * caller frees.  NULL: no memory, or it does not fit. */
char *repo_key(const char *pipeline, const char *fmt, ...) HF_PRINTF(2, 3);
int repo_nomem(struct hf_error *);
/* Writers or readers that an engine may have open at once. */
uint32_t repo_streams(const struct repo *);
/* A thread was left behind in this sink's plugin; own: its filters, NULL where
 * that thread had none. */
void repo_sink_stuck(struct repo *, size_t sink, struct filter *const *own);
void
repo_progress(struct repo *, const char *phase, uint64_t done, uint64_t total);
void repo_told(struct repo *, const char *key, const char *value);
void repo_found(struct repo *, const char *subject, const struct hf_finding *);
/* The same from its parts. */
void repo_found_text(struct repo *, const char *subject, int verdict,
    const char *check, const char *result, const char *hint);
/* "20261121T021500.123Z", sorts by time. */
struct text_small repo_stamp(int64_t ms);
/* "2026-11-21T02:15:00.123Z" */
struct text_small repo_time(int64_t ms);
/* A JSON string of any text: secrets scrubbed, what is not UTF-8 replaced.
 * NULL: no memory. */
json_t *repo_text(const char *);
/* "2026...": milliseconds, or -1. */
int64_t repo_get_time(const json_t *object, const char *member);
void repo_host(char *buf, size_t cap);
/* May others write to this store too?  Only where of two that create the same
 * key one is told: HF_E_INVALID elsewhere.  A store whose only writer says so
 * ("exclusive") can look first, and then has HF_CAP_IF_ABSENT as well.  Whoever
 * shares a store asks this first: the lease, the log. */
int repo_sink_shareable(struct store *, const char *sink, struct hf_error *);
/* In a sorted list; NULL: not there. */
struct store_key;
const struct store_key *
repo_find_key(const struct store_keys *, const char *key);

/* ---- open.c ---- */
/* Does nothing when it is open already. */
int open_sink(struct repo *, size_t sink, struct hf_error *);

/* The instances of a chain; the array is the caller's to free, the filters
 * live as long as the repo. */
int open_filters(struct repo *, const struct config_item *const *, size_t n,
    struct filter ***, struct hf_error *);
/* For reading: the configured one of that name when it is of that type, else
 * any of that type, else that type with its defaults. */
int open_filters_of(struct repo *, const struct manifest_filter *, size_t n,
    struct filter ***, struct hf_error *);

struct source_hooks {
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void (*result)(void *arg, const char *key, const char *value);
	void *arg;
};
struct source {
	struct engine *engine;
	char *who; /* "source shop/main" */
	char *state_dir;
};
/* The caller frees; NULL: there is none. */
char *source_state_dir(const struct repo *, const struct config_item *);
/* hooks may be NULL. */
int source_open(struct repo *, const struct config_item *,
    const struct source_hooks *, struct source *, struct hf_error *);
void source_close(struct source *);
/* The configured source for one of a manifest: of its name, or the only one,
 * and of its engine. */
int source_find(struct repo *, const struct manifest_source *,
    const struct manifest *, const struct config_item **, struct hf_error *);

/* What `restore -o` gave for an engine, with the defaults of its table; NULL
 * when it takes nothing. */
int source_restore_options(struct repo *, const struct plugin *,
    const char *const *args, struct options **, struct hf_error *);

/* ---- layout.c ---- */
/* For writing: repo.json and README.txt are put there unless they are.  A
 * damaged one is a warning in the log, a newer format an error, and so is a
 * sink that has lost its repository (known.c). */
int
layout_ready(const struct repo *, const struct repo_sink *, struct hf_error *);
/* For reading: refuses a newer format and nothing else. */
int layout_readable(struct store *, struct hf_error *);
/* Both are there and whole; the error names the key. */
int layout_verify_repo(struct store *, struct hf_error *);
int layout_verify_readme(struct store *, struct hf_error *);

#define REPO_KEY "repo.json"

/* ---- known.c ---- */
/* HF_E_NOTFOUND when this sink has held a repository before, and has nothing of
 * one now.
 * Called where repo.json or every backup is missing. */
int
known_refuse(const struct repo *, const struct repo_sink *, struct hf_error *);
/* The same for those who only read, and must not take a disk that is not
 * mounted for an empty one: also where the sink's place itself is missing.  An
 * empty one that was never known is HF_OK. */
int
known_there(const struct repo *, const struct repo_sink *, struct hf_error *);
/* Is the place itself missing, so that the first object put there makes it? */
bool known_no_place(const struct repo_sink *);
/* Best effort. */
void known_remember(const struct repo *, const struct repo_sink *);

/* ---- fleets.c ---- */
/* Does another fleet keep a pipeline of this name in the sink (which is open)?
 * Their backups would stand in one list.  text says by what it is known. */
#define FLEETS_HINT \
	"Give one of them another pipeline name, or a sink of its own."
bool fleets_share(struct repo *, size_t sink, char *text, size_t cap);

/* ---- clean.c ---- */
/* Remove what runs before this lease's left in one sink. */
int clean_leftovers(struct store *, const char *who, const char *pipeline,
    uint64_t epoch, struct hf_error *);
/* Remove data/<id>/: only after its manifest is known not to be there. */
int clean_data(struct store *, const char *pipeline, const char *id,
    size_t *removed, struct hf_error *);
/* And checks/<id>/: before the data, by which leftovers are found. */
int clean_checks(
    struct store *, const char *pipeline, const char *id, struct hf_error *);

/* ---- sums.c ---- */
struct buf;
/* The text of SHA256SUMS, appended. */
int sums_text(const struct manifest *, struct buf *, struct hf_error *);
char *sums_key(const char *pipeline, const char *id);

/* ---- catalog.c ---- */
/* The id between the last '/' and ".json"; false for anything else. */
bool catalog_key_id(const char *key, char id[40]);
/* One copy: PRESENT, ABSENT or DAMAGED with its check; what is not about the
 * manifest itself is returned. */
int catalog_copy(struct repo *, size_t sink, const char *id, struct repo_copy *,
    struct hf_error *why);
/* The same without its checks. */
int catalog_manifest(struct repo *, size_t sink, const char *id,
    struct repo_copy *, struct hf_error *why);
void catalog_copy_clear(struct repo_copy *);
/* Did its last check, or the last that restored it, find damage?  A later plain
 * check says nothing of a restore that failed. */
bool catalog_copy_failed(const struct repo_copy *);
/* As repo_list, for who only tends what is there: a sink whose place is missing
 * and that was never known is an empty one, and no failure. */
int catalog_list(struct repo *, struct repo_catalog *, struct hf_error *);
/* All copies of one id, as repo_list would have them. */
int catalog_entry(struct repo *, const char *id, struct repo_backup_entry *,
    struct hf_error *);
/* That of one sink alone. */
int catalog_entry_in(struct repo *, const char *id, size_t sink,
    struct repo_backup_entry *, struct hf_error *);
void catalog_entry_clear(struct repo_backup_entry *, size_t nsinks);

/* ---- reading.c ---- */
/* What the flow needs to know of an object; its texts stay the manifest's. */
struct flow_object
reading_object(const struct manifest_object *, struct filter *const *);
/* One source of one copy, open for reading. */
struct reading {
	struct flow_object *objects;
	struct filter ***filters; /* one chain an object */
	size_t n;
	struct hf_in *in;
};
int reading_open(struct repo *, size_t sink, const struct manifest_source *,
    void (*progress)(void *, uint64_t done), void *arg, struct reading *,
    struct hf_error *);
void reading_close(struct reading *);
/* Another copy may be better where the world or the bytes are at fault; what
 * we lack ourselves it lacks too. */
bool reading_at_fault(int status);

/* ---- build.c ---- */
struct hf_out;
struct build {
	const char *id;
	int64_t started_ms, ended_ms;
	struct hf_out *const *outs; /* one a source of the pipeline */
	const char *const *prefixes;
	const char *parent;      /* id; NULL: full */
	const bool *incremental; /* one a source; with a parent */
	struct filter *const *common, *const *own;
	size_t ncommon, nown;
	size_t lane; /* the sink, as the outflow counts them */
};
/* One object of it; of the build only the filters are looked at.  False:
 * no memory, and the object is to be cleared all the same. */
bool build_object(
    const struct build *, const struct flow_object *, struct manifest_object *);
/* The manifest of what one sink got. */
int build_manifest(
    struct repo *, const struct build *, struct manifest **, struct hf_error *);

/* ---- publish.c ---- */
/* One more of the manifest's checks, that has passed. */
int publish_check(struct manifest *, const char *check, const char *result,
    struct hf_error *);
/* Has the sink what an incremental backup builds on?  HF_E_NOTFOUND when not:
 * the increment would be worth nothing there. */
int publish_parent(
    const struct repo_sink *, const struct manifest *, struct hf_error *);
/* SHA256SUMS, a look at every object (added to the manifest's checks) and at
 * the parent, the lease, and last the manifest.  published tells whether the
 * manifest may be there now, which a failure does not exclude. */
int publish_copy(const struct repo_sink *, struct manifest *, struct lease *,
    bool *published, struct hf_error *);

/* ---- report.c ---- */
/* The members every document begins with. */
json_t *report_head(struct repo *, const char *kind, const char *id,
    int64_t started_ms, int64_t ended_ms);
/* Into reports/ of each sink that is open and works; what fails is logged. */
void report_write(struct repo *, const char *kind, const char *id,
    int64_t at_ms, const json_t *);
/* Into that of one. */
void report_write_to(struct repo *, size_t sink, const char *kind,
    const char *id, int64_t at_ms, const json_t *);
/* Into checks/<id>/ of one sink. */
int report_check(struct repo *, size_t sink, const char *id, const char *kind,
    int64_t at_ms, const json_t *, struct hf_error *);
/* {"status", "text", "hint"} of an error. */
json_t *report_error(const struct hf_error *);
void report_backup(
    struct repo *, const struct repo_backup_result *, const struct hf_error *);
void report_copy(struct repo *, const struct repo_copied *);
void report_restore(struct repo *, const struct repo_backup_entry *,
    const struct repo_restore_options *, const struct repo_restore_result *,
    const struct hf_error *);
void report_verify(struct repo *, const struct repo_verify_result *, bool deep);
struct prune_result;
void report_prune(struct repo *, size_t sink, const struct prune_result *,
    const struct hf_error *);

/* ---- pairs.c ---- */
/* A growing list of text_pair.  pairs_add replaces the value of a key that is
 * there, and looks at all of them for that; pairs_append does not. */
int
pairs_add(struct text_pair **, size_t *n, const char *key, const char *value);
int pairs_append(
    struct text_pair **, size_t *n, const char *key, const char *value);
void pairs_free(struct text_pair **, size_t *n);

/* ---- verify.c ---- */
/* repo_verify without its report. */
int
verify_entry(struct repo *, const struct repo_backup_entry *, const char *sink,
    bool deep, struct repo_verify_result *, struct hf_error *);

/* ---- scratch.c ---- */
/* A new folder of this run below scratch_dir, held by a lock; those whose
 * holder is gone are removed on the way. */
struct scratch {
	char *path;
	int fd;
};
int scratch_new(const char *dir, struct scratch *, struct hf_error *);
void scratch_free(struct scratch *);

/* ---- check.c ---- */
/* One copy being checked: what is wrong with it is collected, and does not
 * end the check. */
struct check {
	struct repo *r;
	size_t sink;
	const struct manifest *m;
	struct repo_verify_sink *out;
	json_t *findings;
	char detail[160]; /* the first thing that was wrong */
	/* Bytes of the whole verification, for its progress. */
	uint64_t *done, total;
};
/* A failure: counted, the first one kept, told, written down.  Returns
 * HF_OK, or the status of what ends the whole check (cancelled, no memory). */
int check_failed(struct check *, const char *what, const struct hf_error *);
/* Something that was looked at. */
void
check_finding(struct check *, const char *source, const struct hf_finding *);
/* What lies in data/<id>/ against the manifest; have gets the keys. */
int check_listing(struct check *, struct store_keys *have);
/* What it builds on: is it in this sink too, with all its objects?  Their bytes
 * are the business of their own checks. */
int check_parents(struct check *);
/* SHA256SUMS, repo.json, README.txt, this backup's checks and reports, the
 * pipeline's leases. */
int check_sums(struct check *);
int check_documents(struct check *, const char *id);

/* ---- deep.c ---- */
/* Restore each source of the copy to scratch and look inside. */
int deep_check(struct check *);

#endif
