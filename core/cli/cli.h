/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands share: the parsed line, and what is opened when first
 * needed. */
#ifndef HF_CLI_CLI_H
#define HF_CLI_CLI_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "cli/args.h"
#include "cli/exit.h"
#include "repo/repo.h"

struct cancel;
struct config;
struct config_pipeline;
struct config_sink;
struct flow;
struct plugins;
struct progress_task;

enum cli_option {
	OPT_CONFIG = 1,
	OPT_PLUGIN_DIR,
	OPT_JSON,
	OPT_QUIET,
	OPT_VERBOSE,
	OPT_LOG_FORMAT,
	OPT_HELP,
	OPT_VERSION,
	OPT_ALL,
	OPT_DRY_RUN,
	OPT_JOBS,
	OPT_BACKUP,
	OPT_AT,
	OPT_TO,
	OPT_IN_PLACE,
	OPT_SOURCE,
	OPT_FROM,
	OPT_FORCE,
	OPT_OPTION,
	OPT_ONLY,
	OPT_DATABASE,
	OPT_NO_OWNER,
	OPT_ROLE,
	OPT_YES,
	OPT_DEEP,
	OPT_SINK,
	OPT_LATEST,
	OPT_LSN,
	OPT_XID,
	OPT_NAME,
	OPT_TARGET,
	OPT_TIMELINE,
	OPT_ACTION,
	OPT_TABLESPACE,
	OPT_FULL,
	OPT_INCREMENTAL,
	OPT_PIPELINE
};

struct cli {
	const struct arg_table *table;
	const struct args *args;
	const struct cancel *cancel;
	bool json, quiet;
	/* Opened by the functions below, closed by cli_close. */
	struct plugins *plugins;
	struct config *config;
	struct flow *flow;
	/* A thread hangs in a sink's plugin and will come back to it one day:
	 * the plugins stay loaded. */
	atomic_bool stuck;
	/* What main renders, when its status is not HF_OK. */
	struct hf_error err;
};

/* The table of verbs and options (verbs.c). */
extern const struct arg_table cli_table;

int cli_backup(struct cli *);
int cli_list(struct cli *);
int cli_show(struct cli *);
int cli_restore(struct cli *);
int cli_verify(struct cli *);
int cli_copy(struct cli *);
int cli_doctor(struct cli *);
int cli_config(struct cli *);
int cli_plugins(struct cli *);
int cli_status(struct cli *);
int cli_prune(struct cli *);
int cli_run(struct cli *);
int cli_wal(struct cli *);
int cli_version(struct cli *);
int cli_help(struct cli *);

/* Each returns HF_OK, or fills cli->err. */
int cli_load_plugins(struct cli *);
/* With plugins.  Warnings are logged, problems end up in cli->err. */
int cli_load_config(struct cli *);
/* With configuration. */
int cli_start_flow(struct cli *);
/* Only where an engine can keep a log, which is read by it. */
int cli_start_flow_for_logs(struct cli *);
void cli_close(struct cli *);

/* The configuration file's path: -c, HOLDFAST_CONFIG, ./holdfast.json,
 * /etc/holdfast/holdfast.json; NULL, with cli->err, when there is none. */
const char *cli_config_path(struct cli *);

/* A status, or that of cli->err, as an exit code. */
int cli_code(const struct cli *, int status);
int cli_failed(struct cli *);

/* The pipelines that the operands name (all, when there are none), in that
 * order, each once.  The caller frees *list. */
int cli_pick_pipelines(
    struct cli *, const struct config_pipeline ***list, size_t *n);
const struct config_pipeline *cli_pick_pipeline(struct cli *, const char *name);

/* One pipeline at work: its repository, its place in the progress display,
 * and what its events leave. */
struct cli_work {
	struct cli *cli;
	const struct config_pipeline *pipeline;
	struct repo *repo;
	struct progress_task *task;
	struct repo_events events;
	struct repo_env env;
	char *log_command;
};
/* Zero the struct, open.  cli_work_close in any case. */
int cli_work_open(struct cli_work *, struct cli *,
    const struct config_pipeline *, struct hf_error *);
/* The same with other sinks than the pipeline's. */
int cli_work_open_sinks(struct cli_work *, struct cli *,
    const struct config_pipeline *, const struct config_sink *const *, size_t n,
    struct hf_error *);
void cli_work_close(struct cli_work *);

/* Print an error of one pipeline of several where others go on; not in JSON,
 * where it stands in the document. */
void cli_report(struct cli *, const char *what, const struct hf_error *);

/* Counts what went wrong with several pipelines, and makes the last word. */
struct cli_tally {
	size_t total, failed;
	int code; /* exit_worst of all */
	struct hf_error first;
};
void cli_tally_add(struct cli_tally *, int code, const struct hf_error *);
/* Leaves in cli->err what main is to render; returns the exit code. */
int cli_tally_end(struct cli_tally *, struct cli *);

#endif
