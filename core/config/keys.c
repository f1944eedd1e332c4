/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys.h"

#include <string.h>

static const struct key spool_list[] = {
	{ "after", KEY_DURATION, 0, NULL, "30s", NULL,
	    "How long a slow sink may hold up a backup, in all, before its "
	    "data goes to a temporary file in the scratch folder" },
	{ "max", KEY_SIZE, 0, NULL, "0", NULL,
	    "The most that is spooled for one sink; 0: until 5 % of the disk, "
	    "and 1 GiB at least, are left" },
	{ 0 },
};
static const struct keys keys_spool = { .title = "spool", .list = spool_list };

static const struct key schedule_list[] = {
	{ "cron", KEY_CRON, 0, NULL, NULL, NULL,
	    "When to run: minute, hour, day of month, month, day of week, in "
	    "local time" },
	{ "every", KEY_DURATION, 0, "1s..", NULL, NULL,
	    "How long after the last success to run again; instead of cron" },
	{ "jitter", KEY_DURATION, 0, NULL, "0s", NULL,
	    "Start up to this much later, so that not all start at once" },
	{ "missed", KEY_ENUM, 0, "once|skip", "once", NULL,
	    "What to do about runs that were missed while the machine was "
	    "down: run once, or wait for the next" },
	{ "overlap", KEY_ENUM, 0, "skip|wait", "skip", NULL,
	    "What to do when the run before has not ended" },
	{ "timeout", KEY_DURATION, 0, "1s..", NULL, NULL,
	    "Stop a run that takes longer" },
	{ "retries", KEY_INT, 0, "0..100", "0", NULL,
	    "How often to run again after a failure" },
	{ 0 },
};
static const struct keys keys_schedule = { .title = "schedule",
	.list = schedule_list,
	.one = "cron",
	.other = "every",
	.one_needed = true };

static const struct key retention_list[] = {
	{ "last", KEY_INT, 0, "0..", NULL, NULL, "Keep the newest backups" },
	{ "hourly", KEY_INT, 0, "0..", NULL, NULL,
	    "Keep the last backup of so many hours" },
	{ "daily", KEY_INT, 0, "0..", NULL, NULL,
	    "Keep the last backup of so many days" },
	{ "weekly", KEY_INT, 0, "0..", NULL, NULL,
	    "Keep the last backup of so many weeks" },
	{ "monthly", KEY_INT, 0, "0..", NULL, NULL,
	    "Keep the last backup of so many months" },
	{ "yearly", KEY_INT, 0, "0..", NULL, NULL,
	    "Keep the last backup of so many years" },
	{ "within", KEY_DURATION, 0, NULL, NULL, NULL,
	    "Keep every backup that is younger" },
	{ "wal", KEY_DURATION, 0, NULL, NULL, NULL,
	    "Keep the log for so long, so that any moment of it can be "
	    "restored" },
	{ "reports", KEY_DURATION, 0, NULL, NULL, NULL,
	    "Keep reports for so long" },
	{ "min_keep", KEY_INT, 0, "1..", "1", NULL,
	    "Never go below so many proven backups" },
	{ 0 },
};
static const struct keys keys_retention = { .title = "retention",
	.list = retention_list };

static const struct key incremental_list[] = {
	{ "full_every", KEY_DURATION, 0, "1s..", "7d", NULL,
	    "Make a full backup when the last one is older" },
	{ "max_chain", KEY_INT, 0, "1..1000", "30", NULL,
	    "The most increments on one full backup: a restore reads all of "
	    "them" },
	{ 0 },
};
static const struct keys keys_incremental = { .title = "incremental",
	.list = incremental_list };

static const char *const expectations[] = { "min", "max", "equals",
	"newer_than", NULL };

static const struct key assert_list[] = {
	{ "sql", KEY_STRING, KEY_REQUIRED, NULL, NULL, NULL,
	    "A query; its first value is looked at" },
	{ "min", KEY_NUMBER, 0, NULL, NULL, NULL, "The least it may be" },
	{ "max", KEY_NUMBER, 0, NULL, NULL, NULL, "The most it may be" },
	{ "equals", KEY_SCALAR, 0, NULL, NULL, NULL, "What it must be" },
	{ "newer_than", KEY_DURATION, 0, "1s..", NULL, NULL,
	    "How old the point in time that it names may be" },
	{ 0 },
};
static const struct keys keys_assert = {
	.title = "assert", .list = assert_list, .some = expectations
};

static const struct key drill_list[] = {
	{ "cron", KEY_CRON, 0, NULL, NULL, NULL,
	    "When to run, as in schedule" },
	{ "every", KEY_DURATION, 0, "1s..", NULL, NULL,
	    "How long after the last drill to run again; instead of cron" },
	{ "assert", KEY_OBJECTS, 0, NULL, NULL, &keys_assert,
	    "What must be true of the restored database" },
	{ 0 },
};
static const struct keys keys_drill = {
	.title = "drill", .list = drill_list, .one = "cron", .other = "every"
};

static const struct key hook_list[] = {
	{ "run", KEY_COMMAND, KEY_REQUIRED | KEY_NONEMPTY, NULL, NULL, NULL,
	    "A program and its arguments; no shell is involved" },
	{ "timeout", KEY_DURATION, 0, "1s..", "60s", NULL,
	    "Stop it when it takes longer" },
	{ "on_error", KEY_ENUM, 0, "abort|warn", "abort", NULL,
	    "What its failure means for the backup" },
	{ "when", KEY_ENUM, 0, "always|success|failure", "always", NULL,
	    "After which outcome it runs" },
	{ 0 },
};
static const struct keys keys_hook = { .title = "hook", .list = hook_list };

static const struct key hooks_list[] = {
	{ "before", KEY_OBJECT, 0, NULL, NULL, &keys_hook,
	    "What to run before a backup" },
	{ "after", KEY_OBJECT, 0, NULL, NULL, &keys_hook,
	    "What to run after it" },
	{ 0 },
};
static const struct keys keys_hooks = { .title = "hooks", .list = hooks_list };

static const struct key source_list[] = {
	{ "engine", KEY_STRING, KEY_REQUIRED, NULL, NULL, NULL,
	    "The plugin that reads the database: sqlite, ..." },
	{ "name", KEY_STRING, 0, NULL, NULL, NULL,
	    "What to call it where a pipeline has several; the engine's name "
	    "when absent" },
	{ 0 },
};
const struct keys keys_source = {
	.title = "from", .list = source_list, .plugin = "engine"
};

static const struct key filter_list[] = {
	{ "type", KEY_STRING, KEY_REQUIRED, NULL, NULL, NULL,
	    "The plugin that transforms the bytes: gzip, zstd, ..." },
	{ 0 },
};
const struct keys keys_filter = {
	.title = "filters", .list = filter_list, .plugin = "type"
};

static const struct key sink_list[] = {
	{ "type", KEY_STRING, KEY_REQUIRED, NULL, NULL, NULL,
	    "The plugin that keeps the objects: dir, ..." },
	{ "through", KEY_NAMES, 0, "filters", "[]", NULL,
	    "Filters of this sink alone, after those of the pipeline" },
	{ "stall_timeout", KEY_DURATION, 0, NULL, "5m", NULL,
	    "A sink that takes nothing for so long is dropped from the "
	    "backup; 0s: never" },
	{ 0 },
};
const struct keys keys_sink = {
	.title = "sinks", .list = sink_list, .plugin = "type"
};

static const struct key pipeline_list[] = {
	{ "from", KEY_EITHER, KEY_REQUIRED | KEY_NONEMPTY, NULL, NULL,
	    &keys_source, "The database, or a list of them" },
	{ "through", KEY_NAMES, 0, "filters", "[]", NULL,
	    "Filters that the data goes through on its way, in this order" },
	{ "to", KEY_NAMES, KEY_REQUIRED | KEY_NONEMPTY, "sinks", NULL, NULL,
	    "Sinks that keep the backup, each a whole copy" },
	{ "require", KEY_REQUIRE, 0, NULL, "all", NULL,
	    "How many sinks must have the backup: all, any, or a number" },
	{ "schedule", KEY_OBJECT, KEY_LATER, NULL, NULL, &keys_schedule,
	    "When to back up" },
	{ "retention", KEY_OBJECT, 0, NULL, NULL, &keys_retention,
	    "Which backups \"holdfast prune\" keeps" },
	{ "incremental", KEY_OBJECT, 0, NULL, NULL, &keys_incremental,
	    "Back up what has changed since the last backup, where the engine "
	    "can; absent: full backups alone" },
	{ "verify", KEY_ENUM, 0, "none|readback|deep", "readback", NULL,
	    "How a backup is proved before it counts as done: not at all, by "
	    "reading every stored byte back, or by a restore as well" },
	{ "rpo", KEY_DURATION, 0, "1s..", NULL, NULL,
	    "How old the newest backup may become" },
	{ "rto", KEY_DURATION, 0, "1s..", NULL, NULL,
	    "How long a restore may take" },
	{ "drill", KEY_OBJECT, KEY_LATER, NULL, NULL, &keys_drill,
	    "When to prove that a restore works, and what to look at" },
	{ "labels", KEY_LABELS, 0, NULL, NULL, NULL,
	    "Texts of your own that go into every manifest, such as the "
	    "version of the application" },
	{ "hooks", KEY_OBJECT, KEY_LATER, NULL, NULL, &keys_hooks,
	    "Programs to run around a backup" },
	{ 0 },
};
const struct keys keys_pipeline = { .title = "pipelines",
	.list = pipeline_list };

static const struct key top_list[] = {
	{ "version", KEY_INT, KEY_REQUIRED, "1..1", NULL, NULL,
	    "The version of this format, 1" },
	{ "state_dir", KEY_PATH, 0, NULL, NULL, NULL,
	    "Where state is kept between runs" },
	{ "scratch_dir", KEY_PATH, 0, NULL, NULL, NULL,
	    "Where large temporary files go" },
	{ "environment", KEY_TEXT, 0, NULL, NULL, NULL,
	    "What this fleet is, for manifests and reports: production" },
	{ "operator", KEY_TEXT, 0, NULL, NULL, NULL,
	    "Who answers for it, for manifests and reports" },
	{ "workers", KEY_INT, 0, "0..1024", "0", NULL,
	    "Threads that run filters; 0: one for each core" },
	{ "frame_size", KEY_SIZE, 0, "64KiB..16MiB", "1MiB", NULL,
	    "Objects are cut into pieces of this size for the filters" },
	{ "spool", KEY_OBJECT, 0, NULL, NULL, &keys_spool,
	    "What happens when a sink is slower than the database" },
	{ "allow_inline_secrets", KEY_BOOL, 0, NULL, "false", NULL,
	    "Take secrets that stand in this file itself" },
	{ "filters", KEY_MAP, 0, NULL, NULL, &keys_filter, "Filters by name" },
	{ "sinks", KEY_MAP, 0, NULL, NULL, &keys_sink, "Sinks by name" },
	{ "defaults", KEY_OBJECT, 0, NULL, NULL, &keys_pipeline,
	    "What pipelines have in common" },
	{ "pipelines", KEY_MAP, KEY_REQUIRED, NULL, NULL, &keys_pipeline,
	    "Pipelines by name" },
	{ 0 },
};
const struct keys keys_top = { .title = "Top level", .list = top_list };

const struct keys *const keys_all[] = { &keys_top, &keys_spool, &keys_filter,
	&keys_sink, &keys_pipeline, &keys_source, &keys_schedule,
	&keys_retention, &keys_incremental, &keys_drill, &keys_assert,
	&keys_hooks, &keys_hook, NULL };

static const char *const everywhere_names[] = { "$comment", "$schema", NULL };

bool
keys_everywhere(const char *name)
{
	for (size_t i = 0; everywhere_names[i] != NULL; i++)
		if (strcmp(everywhere_names[i], name) == 0)
			return true;
	return false;
}

const struct key *
keys_find(const struct keys *keys, const char *name)
{
	for (const struct key *k = keys->list; k->name != NULL; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

void
keys_names(
    const struct keys *keys, bool everywhere, const char *names[KEYS_MAX])
{
	size_t n = 0;

	for (const struct key *k = keys->list; k->name != NULL; k++)
		if (n < KEYS_MAX - 3)
			names[n++] = k->name;
	for (size_t i = 0; everywhere && everywhere_names[i] != NULL; i++)
		names[n++] = everywhere_names[i];
	names[n] = NULL;
}

bool
keys_name_valid(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return n >= 1 && n <= 63 && s[n] == '\0' && *s != '_' && *s != '-';
}
