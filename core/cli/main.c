/* SPDX-License-Identifier: BSD-2-Clause */
/* holdfast: signals, what every command gets, and the last word. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/log.h"
#include "base/secret.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/render.h"

static struct cancel cancelled;

/* The first one stops in good order, the second one at once: nothing that was
 * published is harmed by either. */
static void
on_signal(int number)
{
	(void)number;
	if (cancel_requested(&cancelled))
		_exit(EXIT_INTERRUPTED);
	cancel_request(&cancelled);
}

static void
set_signals(void)
{
	struct sigaction act;

	memset(&act, 0, sizeof act);
	sigemptyset(&act.sa_mask);
	act.sa_handler = on_signal;
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	act.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &act, NULL);
	/* A limit of the file size is an error of that write, no death. */
	(void)sigaction(SIGXFSZ, &act, NULL);
}

/* With one of 0, 1, 2 closed, the next open() would get that number, and a
 * message could be written into a database. */
static int
hold_standard_files(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		int got;

		if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
			continue;
		got = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
		if (got != fd)
			return -1;
	}
	return 0;
}

/* Frames of about a mebibyte come and go on all threads.  They shall neither
 * fault in fresh pages each time nor spread over one heap a thread. */
static void
set_memory(void)
{
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

/* Also when the line cannot be parsed, its error is wanted in JSON. */
static bool
wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

/* Whatever is wrong, a server that asks for a file of its log must not hear
 * that there is none: see cmd_wal.c. */
static bool
is_wal_get(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "wal") == 0 &&
		    strcmp(argv[i + 1], "get") == 0)
			return true;
	return false;
}

static void
render_failure(const struct hf_error *err, bool json, int code)
{
	struct hf_error ignored;
	json_t *object;

	if (!json) {
		error_render(err, NULL, stderr);
		return;
	}
	object = render_json_error(err);
	(void)json_object_set_new(object, "exit", json_integer(code));
	error_clear(&ignored);
	if (render_json(
		json_pack("{s:o}", "error", object), stderr, &ignored) != HF_OK)
		error_render(err, NULL, stderr);
}

/* Of a line that was written long before the end, nobody knows the errno. */
static bool
reader_left(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&out, 1, 0) == 1 &&
	       (out.revents & (POLLERR | POLLHUP)) != 0;
}

/* A result that did not arrive is a failure; a reader that had enough
 * ("| head") is not. */
static int
flush_results(int code, struct hf_error *err)
{
	errno = 0;
	if ((fflush(stdout) == 0 && !ferror(stdout)) || errno == EPIPE ||
	    (errno == 0 && reader_left()))
		return code;
	if (err->status == HF_OK)
		error_errno(err, errno == 0 ? EIO : errno,
		    "cannot write to the standard output");
	return code == EXIT_DONE ? EXIT_FAILED : code;
}

static void
setup_log(const struct cli *cli)
{
	const char *format = args_value(cli->args, OPT_LOG_FORMAT, 0);
	unsigned verbose = args_count(cli->args, OPT_VERBOSE);
	enum hf_level level = HF_LOG_WARN;

	if (cli->quiet)
		level = HF_LOG_ERROR;
	else if (verbose > 0)
		level = verbose == 1 ? HF_LOG_INFO : HF_LOG_DEBUG;
	log_setup(level, format != NULL && strcmp(format, "json") == 0);
}

static int
run(struct cli *cli)
{
	const struct arg_verb *verb = args_verb(cli->args);

	if (args_count(cli->args, OPT_HELP) != 0) {
		if (cli->json)
			return exit_from_status(
			    render_json(args_help_json(cli->table, verb),
				stdout, &cli->err));
		args_help(cli->table, verb, stdout);
		return EXIT_DONE;
	}
	if (args_count(cli->args, OPT_VERSION) != 0)
		return cli_version(cli);
	return verb->run(cli);
}

int
main(int argc, char **argv)
{
	struct args *args = NULL;
	struct cli cli;
	int code;

	memset(&cli, 0, sizeof cli);
	if (hold_standard_files() != 0)
		return EXIT_UNABLE;
	(void)umask(077);
	set_signals();
	set_memory();
	cli.table = &cli_table;
	cli.cancel = &cancelled;
	cli.json = wants_json(argc, argv);
	if (args_parse(&cli_table, argc, argv, &args, &cli.err) != HF_OK) {
		code = is_wal_get(argc, argv)
			   ? EXIT_UNABLE
			   : exit_from_status(cli.err.status);
	} else {
		cli.args = args;
		cli.quiet = args_count(args, OPT_QUIET) != 0;
		setup_log(&cli);
		code = run(&cli);
	}
	progress_stop();
	if (code != EXIT_DONE && cancel_requested(&cancelled))
		code = EXIT_INTERRUPTED;
	code = flush_results(code, &cli.err);
	if (cli.err.status != HF_OK)
		render_failure(&cli.err, cli.json, code);
	cli_close(&cli);
	args_free(args);
	secret_forget();
	return code;
}
