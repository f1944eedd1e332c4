/* SPDX-License-Identifier: BSD-2-Clause */
/* holdfast-conform: does a plugin keep the contract of holdfast/plugin.h? */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "data.h"
#include "interrupt.h"
#include "report.h"
#include "run.h"
#include "verdict.h"

enum { EXIT_PASSED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTR = 130 };

static const char usage[] =
    "usage: holdfast-conform FILE.so [KEY=VALUE...] [option...]\n"
    "\n"
    "Loads a plugin and checks that it keeps the contract of "
    "holdfast/plugin.h.\n"
    "KEY=VALUE are the options of its table, as a configuration would have "
    "them;\n"
    "a key given twice makes a list, and a value may be {\"env\": \"NAME\"} "
    "or\n"
    "{\"file\": \"PATH\"}.  {scratch} in a value becomes a new folder of "
    "this run.\n"
    "\n"
    "  --scratch DIR         make that folder in DIR (default: $TMPDIR or "
    "/tmp)\n"
    "  --only PATTERN        the cases whose title matches, \"store: *\"; or "
    "a word\n"
    "                        in the title; may be given several times\n"
    "  --list                print the titles and stop\n"
    "  --format text|tap     what to print (default: text); tap: TAP version "
    "13\n"
    "  --filter-sample FILE  a filter also has to bring back this file\n"
    "  --query SQL           an engine answers this on a restored copy\n"
    "  --timeout SECONDS     how long a case may take (default: 300)\n"
    "  --strict              a skipped case is a failed one\n"
    "  --version, --help\n"
    "\n"
    "A store needs a place that the suite may write to: it makes keys under\n"
    "\"conform-<random>/\" and removes them.  An engine needs a real source, "
    "which\n"
    "is only read.\n"
    "\n"
    "Exit status: 0 all passed, 1 a case failed, 2 usage or bad options, 130\n"
    "interrupted.\n"
    "\n"
    "  holdfast-conform ./dir.so path='{scratch}/repo'\n"
    "  holdfast-conform ./gzip.so level=9 --format tap\n"
    "  holdfast-conform ./sqlite.so path=app.db --query 'SELECT 1'\n";

#define ONLY_MAX 32

struct arguments {
	const char *scratch, *as, *with;
	const char *only[ONLY_MAX];
	size_t nonly;
	bool list, strict;
	enum report_format format;
	char **values;
	int nvalues;
};

static int
bad_usage(const char *what)
{
	fprintf(stderr,
	    "holdfast-conform: %s\nTry 'holdfast-conform --help'.\n", what);
	return EXIT_USAGE;
}

/* Returns -1 to go on, or an exit status. */
static int
parse_arguments(int argc, char **argv, struct setup *setup, struct arguments *a)
{
	static const struct option table[] = {
		{ "scratch", required_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'o' },
		{ "list", no_argument, NULL, 'l' },
		{ "format", required_argument, NULL, 'f' },
		{ "filter-sample", required_argument, NULL, 'S' },
		{ "query", required_argument, NULL, 'q' },
		{ "timeout", required_argument, NULL, 't' },
		{ "strict", no_argument, NULL, 'x' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		/* how the suite starts itself, not for people */
		{ "as", required_argument, NULL, 'A' },
		{ "with", required_argument, NULL, 'W' },
		{ "work", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	int64_t seconds;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "hV", table, NULL)) != -1) {
		switch (c) {
		case 's':
			a->scratch = optarg;
			break;
		case 'o':
			if (a->nonly == ONLY_MAX)
				return bad_usage("too many --only");
			a->only[a->nonly++] = optarg;
			break;
		case 'l':
			a->list = true;
			break;
		case 'f':
			if (strcmp(optarg, "tap") == 0)
				a->format = REPORT_TAP;
			else if (strcmp(optarg, "text") == 0)
				a->format = REPORT_TEXT;
			else
				return bad_usage("--format is text or tap");
			break;
		case 'S':
			setup->sample = optarg;
			break;
		case 'q':
			setup->query = optarg;
			break;
		case 't':
			seconds = strtoll(optarg, &end, 10);
			if (*optarg == '\0' || *end != '\0' || seconds < 1 ||
			    seconds > 86400)
				return bad_usage(
				    "--timeout is a number of seconds");
			setup->timeout = (unsigned)seconds;
			break;
		case 'x':
			a->strict = true;
			break;
		case 'A':
			a->as = optarg;
			break;
		case 'W':
			a->with = optarg;
			break;
		case 'w':
			setup->work = optarg;
			break;
		case 'V':
			printf("holdfast-conform %s\n", HF_VERSION);
			return EXIT_PASSED;
		case 'h':
			(void)fputs(usage, stdout);
			return EXIT_PASSED;
		default:
			return bad_usage("that option is not known");
		}
	}
	if (optind >= argc)
		return bad_usage("no plugin was given");
	setup->file = argv[optind];
	a->values = argv + optind + 1;
	a->nvalues = argc - optind - 1;
	return -1;
}

/* value with each {scratch} replaced; new memory. */
static char *
substitute(const char *value, const char *work)
{
	static const char mark[] = "{scratch}";
	size_t cap = strlen(value) + 1, at = 0;
	char *out;

	for (const char *p = value; (p = strstr(p, mark)) != NULL; p++)
		cap += strlen(work);
	out = data_alloc(cap);
	while (*value != '\0') {
		if (strncmp(value, mark, strlen(mark)) == 0) {
			memcpy(out + at, work, strlen(work));
			at += strlen(work);
			value += strlen(mark);
		} else {
			out[at++] = *value++;
		}
	}
	out[at] = '\0';
	return out;
}

/* {"env": "NAME"} and the like were given as texts. */
static void
unfold_objects(json_t *value)
{
	const char *key;
	json_t *child;
	void *safe;

	json_object_foreach_safe(value, safe, key, child)
	{
		const char *text = json_string_value(child);
		json_t *object;

		if (json_is_object(child)) {
			unfold_objects(child);
			continue;
		}
		if (text == NULL || text[0] != '{')
			continue;
		object = json_loads(text, 0, NULL);
		if (json_is_object(object))
			(void)json_object_set(value, key, object);
		json_decref(object);
	}
}

static int
take_values(struct setup *setup, const struct arguments *a, char ***args)
{
	struct hf_error err = { .status = HF_OK };

	*args = data_alloc(((size_t)a->nvalues + 1) * sizeof **args);
	for (int i = 0; i < a->nvalues; i++)
		(*args)[i] = substitute(a->values[i], setup->work);
	(*args)[a->nvalues] = NULL;
	setup->args = *args;
	if (options_from_args(
		(const char *const *)*args, &setup->object, &err) != HF_OK) {
		error_render(&err, "holdfast-conform", stderr);
		return EXIT_USAGE;
	}
	unfold_objects(setup->object);
	return -1;
}

static char *
make_work_folder(const char *scratch)
{
	char *base, *path;

	if (scratch == NULL)
		scratch = getenv("TMPDIR");
	if (scratch == NULL || scratch[0] == '\0')
		scratch = "/tmp";
	base = realpath(scratch, NULL);
	path = base == NULL ? NULL : text_format("%s/conform-XXXXXX", base);
	free(base);
	if (path == NULL || mkdtemp(path) == NULL) {
		fprintf(stderr,
		    "holdfast-conform: cannot make a folder in %s: %s\n",
		    scratch, strerror(errno));
		free(path);
		return NULL;
	}
	return path;
}

static const struct {
	enum case_kind kind;
	const struct conform_case *table;
} tables[] = {
	{ CASE_PLUGIN, cases_plugin },
	{ CASE_STORE, cases_store },
	{ CASE_STORE, cases_store_names },
	{ CASE_STORE, cases_store_race },
	{ CASE_FILTER, cases_filter },
	{ CASE_ENGINE, cases_engine },
	{ CASE_ENGINE, cases_engine_faults },
};

struct tally {
	size_t n, passed, failed, skipped;
};

static bool
wanted(const struct arguments *a, const char *title)
{
	for (size_t i = 0; i < a->nonly; i++)
		if (fnmatch(a->only[i], title, 0) == 0 ||
		    strstr(title, a->only[i]) != NULL)
			return true;
	return a->nonly == 0;
}

/* Call for each case that is wanted. */
static void
each_case(const struct run_plugin *plugin, const struct arguments *a,
    void (*call)(void *arg, enum case_kind, const struct conform_case *),
    void *arg)
{
	for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
		for (const struct conform_case *c = tables[t].table;
		     c->name != NULL; c++) {
			char title[256];

			if ((plugin->kinds & 1u << tables[t].kind) == 0)
				continue;
			report_title(tables[t].kind, c, title, sizeof title);
			if (wanted(a, title))
				call(arg, tables[t].kind, c);
		}
}

static void
count_case(void *arg, enum case_kind kind, const struct conform_case *c)
{
	(void)kind;
	(void)c;
	++*(size_t *)arg;
}

static void
list_case(void *arg, enum case_kind kind, const struct conform_case *c)
{
	char title[256];

	(void)arg;
	report_title(kind, c, title, sizeof title);
	printf("%s\n", title);
}

struct running {
	const struct setup *setup;
	const struct arguments *a;
	struct tally tally;
};

static void
do_case(void *arg, enum case_kind kind, const struct conform_case *c)
{
	struct running *r = arg;
	struct run_outcome o;

	if (interrupt_seen())
		return;
	run_case(r->setup, kind, c, ++r->tally.n, &o);
	if (o.verdict == RUN_SKIPPED && r->a->strict)
		o.verdict = RUN_FAILED;
	report_case(r->a->format, r->tally.n, kind, c, &o);
	r->tally.passed += o.verdict == RUN_PASSED;
	r->tally.failed += o.verdict == RUN_FAILED;
	r->tally.skipped += o.verdict == RUN_SKIPPED;
	run_outcome_clear(&o);
}

/* The keys of this run: the cases leave them to be cleared here, so that one
 * that crashes is cleared as well. */
static bool
clean(const struct setup *setup)
{
	struct run_outcome o;
	bool good;

	run_clean_store(setup, &o);
	good = o.verdict == RUN_PASSED;
	if (!good)
		fprintf(stderr,
		    "holdfast-conform: cannot clear the keys conform-%s/*: "
		    "%s\n",
		    setup->id, o.message);
	run_outcome_clear(&o);
	return good;
}

/* What the loader refuses is one failed case: there is nothing to go on. */
static int
report_unloadable(
    const struct setup *setup, const struct arguments *a, const char *message)
{
	static const struct conform_case loads = {
		"loads, and its descriptor is sound", NULL
	};
	struct run_outcome o = { .verdict = RUN_FAILED };

	(void)snprintf(o.message, sizeof o.message, "%s", message);
	report_begin(a->format, setup->file, 1);
	report_case(a->format, 1, CASE_PLUGIN, &loads, &o);
	report_end(a->format, 0, 1, 0);
	return EXIT_FAILED;
}

static int
run_all(struct setup *setup, const struct arguments *a)
{
	struct running r = { .setup = setup, .a = a };
	struct run_plugin plugin;
	char message[2048];
	size_t n = 0;
	bool interrupted = false;

	if (!run_describe(setup, &plugin, message, sizeof message)) {
		if (plugin.kinds == 0)
			return report_unloadable(setup, a, message);
		fprintf(stderr, "holdfast-conform: %s\n", message);
		return EXIT_USAGE;
	}
	plugin.secrets[plugin.nsecrets] = strdup(CONFORM_CANARY);
	if (plugin.secrets[plugin.nsecrets] != NULL)
		plugin.nsecrets++;
	setup->secrets = plugin.secrets;
	setup->nsecrets = plugin.nsecrets;
	for (size_t i = 0; i < plugin.nsecrets; i++)
		secret_add(plugin.secrets[i]);
	each_case(&plugin, a, count_case, &n);
	if (a->list) {
		each_case(&plugin, a, list_case, NULL);
	} else if (n == 0) {
		fprintf(stderr, "holdfast-conform: no case matches \"%s\"\n",
		    a->nonly > 0 ? a->only[0] : "");
	} else {
		(void)snprintf(message, sizeof message, "%s %s (%s)",
		    plugin.name, plugin.version, setup->file);
		report_begin(a->format, message, n);
		each_case(&plugin, a, do_case, &r);
		interrupted = interrupt_seen();
		interrupt_forget();
		if ((plugin.kinds & 1u << CASE_STORE) != 0 && !clean(setup))
			r.tally.failed++;
		report_end(
		    a->format, r.tally.passed, r.tally.failed, r.tally.skipped);
	}
	for (size_t i = 0; i < plugin.nsecrets; i++)
		free(plugin.secrets[i]);
	secret_forget();
	if (n == 0)
		return EXIT_USAGE;
	if (interrupted)
		return EXIT_INTR;
	return r.tally.failed > 0 ? EXIT_FAILED : EXIT_PASSED;
}

/* This process is a second one beside a case. */
static int
run_again(struct setup *setup, const struct arguments *a)
{
	struct session s = { .setup = setup };
	int status;

	verdict_to(-1);
	log_setup(HF_LOG_DEBUG, true);
	session_load(&s);
	status = again_main(&s, a->as, a->with);
	session_close(&s);
	session_unload(&s);
	return status;
}

int
main(int argc, char **argv)
{
	struct setup setup = { .timeout = 300, .program = "/proc/self/exe" };
	struct arguments a = { .format = REPORT_TEXT };
	char *made = NULL, *program = NULL, **args = NULL;
	int status = parse_arguments(argc, argv, &setup, &a);

	if (status >= 0)
		return status;
	program = realpath("/proc/self/exe", NULL);
	if (program != NULL)
		setup.program = program;
	if (a.as == NULL) {
		setup.work = made = make_work_folder(a.scratch);
		if (made == NULL) {
			free(program);
			return EXIT_USAGE;
		}
		text_random_hex(8, setup.id);
		interrupt_watch();
	}
	status = take_values(&setup, &a, &args);
	if (status < 0 && a.as != NULL)
		status = run_again(&setup, &a);
	else if (status < 0)
		status = run_all(&setup, &a);
	for (size_t i = 0; args != NULL && args[i] != NULL; i++)
		free(args[i]);
	free(args);
	json_decref(setup.object);
	if (made != NULL)
		data_remove(made);
	free(made);
	free(program);
	return status;
}
