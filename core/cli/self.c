/* SPDX-License-Identifier: BSD-2-Clause */
#include "self.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/cli.h"
#include "config/config.h"

extern char **environ;

/* Words of a command line, each of its own memory; NULL ends. */
struct words {
	char **words;
	size_t n;
	bool failed; /* no memory: words are missing */
};

static void
add(struct words *w, char *word)
{
	char **grown = realloc(w->words, (w->n + 2) * sizeof *grown);

	if (grown == NULL || word == NULL) {
		if (grown != NULL)
			w->words = grown;
		free(word);
		w->failed = true;
		return;
	}
	w->words = grown;
	grown[w->n++] = word;
	grown[w->n] = NULL;
}

static void
add_copy(struct words *w, const char *word)
{
	add(w, strdup(word));
}

static void
words_free(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->words[i]);
	free(w->words);
}

static char *
program(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	if (n <= 0)
		return strdup("holdfast");
	path[n] = '\0';
	return strdup(path);
}

static void
begin(const struct cli *cli, struct words *w, const char *call,
    const char *pipeline)
{
	add(w, program());
	add_copy(w, "-c");
	add_copy(w, cli->config->path);
	for (unsigned i = 0; i < args_count(cli->args, OPT_PLUGIN_DIR); i++) {
		add_copy(w, "--plugin-dir");
		add(w, file_absolute(
			   args_value(cli->args, OPT_PLUGIN_DIR, i), NULL));
	}
	add_copy(w, "wal");
	add_copy(w, call);
	add_copy(w, "--pipeline");
	add_copy(w, pipeline);
}

char *
self_log_command(const struct cli *cli, const char *pipeline)
{
	struct buf line = BUF_INIT;
	struct words w = { 0 };
	int rc = HF_OK;

	begin(cli, &w, "get", pipeline);
	for (size_t i = 0; i < w.n && rc == HF_OK; i++) {
		char *quoted = text_quote(w.words[i]);

		rc = quoted == NULL ? HF_E_NOMEM : HF_OK;
		if (rc == HF_OK && i > 0)
			rc = buf_puts(&line, " ", NULL);
		if (rc == HF_OK)
			rc = buf_puts(&line, quoted, NULL);
		free(quoted);
	}
	if (rc != HF_OK || w.failed)
		buf_free(&line);
	words_free(&w);
	return (char *)line.data;
}

void
self_start(const struct cli *cli, const char *call, const char *pipeline,
    const char *source, const char *name)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	struct words w = { 0 };
	pid_t pid;

	begin(cli, &w, call, pipeline);
	if (source != NULL) {
		add_copy(&w, "--source");
		add_copy(&w, source);
	}
	add_copy(&w, "--");
	add_copy(&w, name);
	if (w.failed || posix_spawn_file_actions_init(&files) != 0)
		goto err0;
	if (posix_spawnattr_init(&attr) != 0)
		goto err1;
	/* The server waits for whoever has its pipes open, and signals the
	 * group of its command. */
	if (posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID) == 0 &&
	    posix_spawn_file_actions_addopen(
		&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
	    posix_spawn_file_actions_addopen(
		&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
	    posix_spawn_file_actions_addopen(
		&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0)
		(void)posix_spawn(
		    &pid, w.words[0], &files, &attr, w.words, environ);
	(void)posix_spawnattr_destroy(&attr);
err1:
	(void)posix_spawn_file_actions_destroy(&files);
err0:
	words_free(&w);
}
