/* SPDX-License-Identifier: BSD-2-Clause */
/* The JSON file, checked and typed.
 *
 * Loading checks every shape and every plugin option but reads no secret and
 * no environment: those are resolved when an item is opened, so that `list` of
 * one pipeline does not need the keys of another.
 */
#ifndef HF_CONFIG_CONFIG_H
#define HF_CONFIG_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct config_raw;
struct hf_error;
struct options;
struct plugin;
struct plugins;

/* One thing that is wrong, or that the user should know. */
struct config_problem {
	int line, column; /* 1-based; 0 when the file could not be read */
	char *path;       /* "pipelines.shop.from.busy_timeout" */
	char *text;       /* "unknown key" */
	char *hint;       /* "did you mean \"busy_timeout\"?", or NULL */
	bool warning;     /* the configuration can be used all the same */
};

/* A named filter, a sink, or a source of a pipeline. */
struct config_item {
	char *name; /* a source's: "name", else the engine's name, with
			    * -2, -3, ... where several would be the same */
	const struct plugin *plugin; /* NULL: cannot be loaded, and then no
				      * pipeline uses the item */
	const json_t *json;          /* its object in the merged document */
	const char *json_path;       /* "sinks.nas" */
};

struct config_sink {
	struct config_item item;
	const struct config_item **through; /* its own, after the pipeline's */
	size_t nthrough;
	int64_t stall_ms; /* "stall_timeout", default 5m */
};

enum config_verify {
	CONFIG_VERIFY_NONE,
	CONFIG_VERIFY_READBACK,
	CONFIG_VERIFY_DEEP
};

/* Which backups prune keeps; each 0: that rule keeps none. */
struct config_retention {
	int64_t last, hourly, daily, weekly, monthly, yearly; /* backups */
	int64_t within_ms;
	int64_t wal_ms;     /* 0: as far back as backups are kept */
	int64_t reports_ms; /* 0: for ever */
	int64_t min_keep;   /* 1 at least */
};

/* Backups that hold what has changed since the one before. */
struct config_incremental {
	bool on;
	int64_t full_every_ms; /* a full one when the last is older */
	int64_t max_chain;     /* increments on one full backup; 1 at least */
};

struct config_pipeline {
	char *name;
	struct config_item *sources;
	size_t nsources;
	const struct config_item **through;
	size_t nthrough;
	const struct config_sink **to;
	size_t nto;
	size_t require; /* sinks that must have it: "all" is nto, "any" is 1 */
	enum config_verify verify; /* after each backup */
	int64_t rpo_ms, rto_ms;    /* 0: none */
	struct config_retention retention;
	struct config_incremental incremental;
	json_t *labels; /* object of strings, or NULL; borrowed */
};

struct config {
	char *path, *dir; /* the file, absolute, and its folder */
	char *state_dir, *scratch_dir, *environment, *operator_name;
	int64_t spool_after_ms; /* "spool": {"after": "30s", "max": "50GiB"} */
	int64_t spool_max;      /* bytes per sink; 0 = up to the disk */
	size_t frame_size;      /* "frame_size", default 1 MiB */
	unsigned workers;       /* "workers", 0 = one per core */
	bool allow_inline_secrets;
	struct config_item *filters;
	size_t nfilters;
	struct config_sink *sinks;
	size_t nsinks;
	struct config_pipeline *pipelines;
	size_t npipelines;
	json_t *merged;                  /* defaults applied to each pipeline */
	struct config_problem *problems; /* in the order of the file */
	size_t nproblems;
	struct config_raw *raw; /* what was written; for this folder alone */
};

/* Read, merge, check.  HF_E_INVALID when a problem is not a warning; *out is
 * set even then (for its problems) unless there was no memory; err holds the
 * first problem as "FILE:LINE: PATH: TEXT" with its hint.  HF_E_NOTFOUND,
 * HF_E_DENIED: the file itself. */
int config_load(
    const char *path, struct plugins *, struct config **, struct hf_error *);
void config_free(struct config *);

/* NULL when there is none of that name.  nearest (may be NULL) gets a
 * suggestion or NULL. */
const struct config_pipeline *
config_pipeline(const struct config *, const char *name, const char **nearest);
const struct config_item *
config_filter(const struct config *, const char *name);
const struct config_sink *config_sink(const struct config *, const char *name);

/* Read an item's options for use: environment and files too.  The error names
 * file, line and path.  The caller frees with options_free, or hands over to
 * an open function. */
int config_resolve(const struct config *, const struct config_item *,
    struct options **, struct hf_error *);

/* Resolve everything; further problems are added.  As config_load returns. */
int config_validate(struct config *, struct hf_error *);

/* The merged document, "from" always a list, secrets as "********"; a {"env"}
 * or {"file"} stays as it is written.  The caller decrefs; NULL: no memory. */
json_t *config_show(const struct config *);

/* JSON Schema (draft 2020-12) of the file, with the options of every plugin
 * that can be loaded.  The caller decrefs; NULL: no memory. */
json_t *config_schema(struct plugins *);

/* "FILE:LINE:COL: PATH: TEXT\n  hint: ...\n" for each. */
void config_print_problems(const struct config *, FILE *);

#endif
