/* SPDX-License-Identifier: BSD-2-Clause */
/* Every command and every option. */
#include "cli.h"

#define END             \
	{               \
		.id = 0 \
	}

static const struct arg_option program_options[] = {
	{ OPT_CONFIG, 'c', "config", "FILE", NULL, false,
	    "the configuration (default: $HOLDFAST_CONFIG, then "
	    "./holdfast.json, then /etc/holdfast/holdfast.json)" },
	{ OPT_PLUGIN_DIR, 0, "plugin-dir", "DIR", NULL, true,
	    "look for plugins here first; may be given several times" },
	{ OPT_JSON, 0, "json", NULL, NULL, false,
	    "print one JSON document instead of text" },
	{ OPT_QUIET, 'q', "quiet", NULL, NULL, false,
	    "no progress, and only errors in the log" },
	{ OPT_VERBOSE, 'v', "verbose", NULL, NULL, true,
	    "say more in the log; twice: say all" },
	{ OPT_LOG_FORMAT, 0, "log-format", "FORMAT", "text|json", false,
	    "how log lines look: text or json" },
	{ OPT_HELP, 'h', "help", NULL, NULL, false, "show this help" },
	{ OPT_VERSION, 'V', "version", NULL, NULL, false, "show the version" },
	END,
};

static const struct arg_option backup_options[] = {
	{ OPT_ALL, 'a', "all", NULL, NULL, false,
	    "every pipeline of the file" },
	{ OPT_DRY_RUN, 'n', "dry-run", NULL, NULL, false,
	    "check sources and sinks, say what would be done, store nothing" },
	{ OPT_JOBS, 'j', "jobs", "N", NULL, false,
	    "so many pipelines at once (default: 1)" },
	{ OPT_FULL, 0, "full", NULL, NULL, false,
	    "a full backup, whatever \"incremental\" says" },
	{ OPT_INCREMENTAL, 0, "incremental", NULL, NULL, false,
	    "what has changed since the last backup; a full one where that "
	    "cannot be done" },
	END,
};

static const struct arg_option restore_options[] = {
	{ OPT_BACKUP, 'b', "backup", "ID", NULL, false,
	    "which backup: an id, the beginning of one, or \"latest\" (the "
	    "default)" },
	{ OPT_AT, 0, "at", "TIME", NULL, false,
	    "this moment: 2026-11-21T02:15:00Z, or without a zone for local "
	    "time; without a log the newest backup that was complete by then" },
	{ OPT_TO, 't', "to", "PLACE", NULL, false,
	    "restore to a new place, which must not exist: a path, or for a "
	    "database of a server its name or a conninfo" },
	{ OPT_IN_PLACE, 0, "in-place", NULL, NULL, false,
	    "replace the source itself, after a safety copy of it" },
	{ OPT_SOURCE, 0, "source", "NAME", NULL, false,
	    "only this one, where a pipeline has several sources" },
	{ OPT_FROM, 0, "from", "SINK", NULL, false,
	    "only from this sink (default: any that has a good copy)" },
	{ OPT_FORCE, 'f', "force", NULL, NULL, false,
	    "even while other programs have the target open" },
	{ OPT_ONLY, 0, "only", "KIND NAME", NULL, true,
	    "only this object, such as \"table public.orders\"; short for "
	    "-o \"only=KIND NAME\"" },
	{ OPT_DATABASE, 0, "database", "NAME", NULL, false,
	    "only this one, of a backup that holds several; short for "
	    "-o database=NAME" },
	{ OPT_NO_OWNER, 0, "no-owner", NULL, NULL, false,
	    "all belongs to who restores; short for -o no_owner=true" },
	{ OPT_ROLE, 0, "role", "NAME", NULL, false,
	    "all is created by this role; short for -o role=NAME" },
	{ OPT_LSN, 0, "lsn", "LSN", NULL, false,
	    "recover to this position of the WAL; short for -o lsn=LSN" },
	{ OPT_XID, 0, "xid", "XID", NULL, false,
	    "recover to this transaction; short for -o xid=XID" },
	{ OPT_NAME, 0, "name", "NAME", NULL, false,
	    "recover to this restore point; short for -o name=NAME" },
	{ OPT_TARGET, 0, "target", "TARGET", "latest|immediate", false,
	    "recover all that there is, or to the end of the backup; short for "
	    "-o target=TARGET" },
	{ OPT_TIMELINE, 0, "timeline", "TIMELINE", NULL, false,
	    "latest, current or a number; short for -o timeline=TIMELINE" },
	{ OPT_ACTION, 0, "action", "ACTION", "pause|promote|shutdown", false,
	    "what the server does there; short for -o action=ACTION" },
	{ OPT_TABLESPACE, 0, "tablespace", "OLD=NEW", NULL, true,
	    "another folder for a tablespace; short for -o "
	    "tablespace=OLD=NEW" },
	{ OPT_OPTION, 'o', "option", "KEY=VALUE", NULL, true,
	    "an option of the engine; \"holdfast plugins NAME\" lists them" },
	{ OPT_DRY_RUN, 'n', "dry-run", NULL, NULL, false,
	    "look whether the backup is there, say what would be done, "
	    "write nothing" },
	{ OPT_YES, 'y', "yes", NULL, NULL, false,
	    "do not ask before replacing" },
	END,
};

static const struct arg_option verify_options[] = {
	{ OPT_BACKUP, 'b', "backup", "ID", NULL, false,
	    "which backup: an id, the beginning of one, \"latest\" (the "
	    "default) or \"all\"" },
	{ OPT_DEEP, 0, "deep", NULL, NULL, false,
	    "also restore to a scratch folder and look inside" },
	{ OPT_SINK, 0, "sink", "NAME", NULL, false, "only in this sink" },
	END,
};

static const struct arg_option copy_options[] = {
	{ OPT_FROM, 0, "from", "SINK", NULL, false, "where to copy from" },
	{ OPT_TO, 't', "to", "SINK", NULL, false,
	    "where to; it need not be one of the pipeline's" },
	{ OPT_LATEST, 0, "latest", NULL, NULL, false,
	    "only the newest that --from has" },
	{ OPT_DRY_RUN, 'n', "dry-run", NULL, NULL, false,
	    "say what would be copied, write nothing" },
	END,
};

static const struct arg_option prune_options[] = {
	{ OPT_DRY_RUN, 'n', "dry-run", NULL, NULL, false,
	    "say what would be kept and why, remove nothing" },
	END,
};

static const struct arg_option wal_options[] = {
	{ OPT_PIPELINE, 'p', "pipeline", "NAME", NULL, false,
	    "whose log (default: the only pipeline that keeps one)" },
	{ OPT_SOURCE, 0, "source", "NAME", NULL, false,
	    "which of its sources, where several keep a log" },
	END,
};

static const struct arg_option no_options[] = { END };

static const char backup_text[] =
    "Backs up the named pipelines one after the other.  A pipeline that fails\n"
    "does not stop the others.  A backup exists when its manifest does, which\n"
    "is written last; whatever goes wrong before leaves earlier backups as\n"
    "they were.  A pipeline with \"incremental\" stores what has changed "
    "since\n"
    "the last backup, and now and then a full one.\n";

static const char list_text[] =
    "Lists the backups of the named pipelines, or of all, the newest last.\n"
    "SINKS names every sink that should have a copy; CHECKED is the newest\n"
    "result of \"holdfast verify\".\n";

static const char show_text[] =
    "Shows a backup's manifest, and how to restore it without Holdfast.\n"
    "BACKUP is an id, the beginning of one, or \"latest\" (the default).\n";

static const char restore_text[] =
    "Restores to a new place (--to) or over the source (--in-place).  The "
    "copy\n"
    "is built and checked beside its target and takes its place in one step;\n"
    "in place, what was there is kept as a safety copy.  A damaged copy is\n"
    "left for that of another sink.  What an engine takes beyond that is\n"
    "given with -o, or by its short forms; \"holdfast plugins NAME\" lists\n"
    "it.\n";

static const char verify_text[] =
    "Reads every stored byte back and compares sizes and hashes with the\n"
    "manifest.  What is found is recorded beside the backup and shown by\n"
    "\"holdfast list\".  Exit code 4: a copy is damaged; 3: one that\n"
    "\"require\" asks for is missing.\n";

static const char copy_text[] =
    "Copies backups from one sink to another, the newest first: those that\n"
    "--to lacks, or those whose IDs (or beginnings of them) are given.  Every\n"
    "byte is read, checked and written through the filters of --to; the\n"
    "manifest comes last.  A damaged backup is not copied (exit code 4), the\n"
    "others are.  The database is not touched.  A sink that failed in a\n"
    "backup needs no copy: the next \"holdfast backup\" completes it.\n";

static const char doctor_text[] =
    "Checks the configuration, the plugins, and for the named pipelines (or\n"
    "all) every source, filter and sink; stores no backup.  Exit code 1:\n"
    "something would fail.\n";

static const char prune_text[] =
    "Removes the backups of the named pipelines, or of all, that no rule of\n"
    "\"retention\" keeps, and says why each other one is kept.  Also what\n"
    "nobody needs: WAL that no kept backup and no promised moment needs, data\n"
    "of dead runs, unfinished uploads, old reports.  A pipeline without rules\n"
    "keeps every backup.  Exit code 3: a sink could not be pruned, the others\n"
    "were; 11: another run is at work, and nothing was removed.\n";

static const char run_text[] =
    "Stays, and follows the logs of the named pipelines, or of all: "
    "PostgreSQL\n"
    "sources with \"wal\": { \"stream\": true }.  What fails is begun again.\n"
    "SIGTERM and Ctrl-C end it in good order.\n";

static const char wal_text[] =
    "  push FILE       archive_command = 'holdfast wal push %p': 0 only when\n"
    "                  every sink that the pipeline requires has the file\n"
    "  behind FILE     what \"push\" starts, to bring along files that wait\n"
    "  get NAME FILE   restore_command = 'holdfast wal get \"%f\" \"%p\"'\n"
    "  ahead NAME      what \"get\" starts, to fetch the next ones\n"
    "Exit codes of \"get\": 10 when the log has no such file, 126 when that "
    "is\n"
    "not known or it cannot be read, so that the server stops and does not\n"
    "take it for the end of the log.\n";

static const char config_text[] =
    "  validate   check the whole file, environment and secret files included\n"
    "  show       the file with its defaults applied, secrets hidden\n"
    "  schema     a JSON Schema with the options of the plugins, for editors\n";

static const char plugins_text[] =
    "Without a name: every plugin of the search path.  With one: what it is\n"
    "and every option it takes.\n";

static const char status_text[] =
    "The last backup of the named pipelines, or of all, against its rpo.\n"
    "Exit code 5: one is older than its rpo allows, or has no backup; 4: the\n"
    "last one failed its last check.\n";

static const char program_text[] =
    "\"holdfast COMMAND --help\" explains a command.\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 partial (a\n"
    "sink is missing), 4 verification failed, 5 stale, 10 not found,\n"
    "11 locked by another run, 12 denied, 130 interrupted.\n";

static const struct arg_verb verbs[] = {
	{ "backup", "[PIPELINE...]", 0, ARGS_MANY, NULL, "Back up pipelines",
	    backup_text, backup_options, cli_backup },
	{ "list", "[PIPELINE...]", 0, ARGS_MANY, NULL, "List backups",
	    list_text, no_options, cli_list },
	{ "show", "PIPELINE [BACKUP]", 1, 2, NULL, "Show one backup", show_text,
	    no_options, cli_show },
	{ "restore", "PIPELINE", 1, 1, NULL, "Restore a backup", restore_text,
	    restore_options, cli_restore },
	{ "verify", "[PIPELINE...]", 0, ARGS_MANY, NULL, "Check what is stored",
	    verify_text, verify_options, cli_verify },
	{ "copy", "PIPELINE [ID...]", 1, ARGS_MANY, NULL,
	    "Copy backups from sink to sink", copy_text, copy_options,
	    cli_copy },
	{ "doctor", "[PIPELINE...]", 0, ARGS_MANY, NULL,
	    "Check that backups could be made", doctor_text, no_options,
	    cli_doctor },
	{ "status", "[PIPELINE...]", 0, ARGS_MANY, NULL,
	    "Show how old the last backups are", status_text, no_options,
	    cli_status },
	{ "prune", "[PIPELINE...]", 0, ARGS_MANY, NULL,
	    "Remove backups by their retention", prune_text, prune_options,
	    cli_prune },
	{ "run", "[PIPELINE...]", 0, ARGS_MANY, NULL,
	    "Follow the logs of pipelines", run_text, no_options, cli_run },
	{ "wal", "push FILE|get NAME FILE", 2, 3, "push|behind|get|ahead",
	    "Archive and fetch WAL files", wal_text, wal_options, cli_wal },
	{ "config", "validate|show|schema", 1, 1, "validate|show|schema",
	    "Check or show the configuration", config_text, no_options,
	    cli_config },
	{ "plugins", "[NAME]", 0, 1, NULL, "Explain the plugins", plugins_text,
	    no_options, cli_plugins },
	{ "version", "", 0, 0, NULL, "Show the version", NULL, no_options,
	    cli_version },
	{ "help", "[COMMAND]", 0, 1, NULL, "Explain a command", NULL,
	    no_options, cli_help },
	{ .name = NULL },
};

const struct arg_table cli_table = {
	.program = "holdfast",
	.summary = "Back up databases, restore them, and prove that it works",
	.text = program_text,
	.verbs = verbs,
	.options = program_options,
	.help = OPT_HELP,
	.bare = OPT_VERSION,
};
