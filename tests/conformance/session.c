/* SPDX-License-Identifier: BSD-2-Clause */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "conform.h"
#include "data.h"

extern char **environ;

static void
see_result(void *arg, const char *key, const char *value)
{
	expect_no_secret(arg, key, "a result");
	expect_no_secret(arg, value, "a result");
}

static char *
lend_folder(const char *work, const char *name)
{
	size_t cap = strlen(work) + strlen(name) + 2;
	char *path = data_alloc(cap);

	(void)snprintf(path, cap, "%s/%s", work, name);
	(void)mkdir(path, 0700);
	return path;
}

void
session_load(struct session *s)
{
	int status = plugin_open_file(s->setup->file, &s->plugin, &s->err);

	expect(s, status, HF_OK, "loading %s", s->setup->file);
	s->ctx.who = "conform";
	s->ctx.cancel = &s->cancel;
	s->ctx.state_dir = lend_folder(s->setup->work, "state");
	s->ctx.scratch_dir = lend_folder(s->setup->work, "tmp");
	s->ctx.result = see_result;
	s->ctx.arg = s;
}

void
session_unload(struct session *s)
{
	plugin_close(s->plugin);
	s->plugin = NULL;
	free((char *)(uintptr_t)s->ctx.state_dir);
	free((char *)(uintptr_t)s->ctx.scratch_dir);
	s->ctx.state_dir = s->ctx.scratch_dir = NULL;
}

static int
open_kind(struct session *s, enum case_kind kind, const void *conf)
{
	const struct plugin *p = s->plugin;

	switch (kind) {
	case CASE_STORE:
		return p->store.open(&s->ctx, conf, &s->store, &s->err);
	case CASE_FILTER:
		return p->filter.open(&s->ctx, conf, &s->filter, &s->err);
	case CASE_ENGINE:
		return p->engine.open(&s->ctx, conf, &s->engine, &s->err);
	case CASE_PLUGIN:
		break;
	}
	return HF_OK;
}

int
session_open(struct session *s, enum case_kind kind, const json_t *object)
{
	const struct hf_plugin *desc = &s->plugin->desc;
	struct options_input in = {
		.table = desc->options,
		.stride = desc->option_size,
		.conf_size = desc->conf_size,
		.object = object == NULL ? s->setup->object : object,
		.base_dir = s->setup->work,
		.resolve = true,
		.allow_inline_secrets = true,
	};
	int status = options_parse(&in, &s->options, NULL, NULL, &s->err);

	/* What the core would blank out in texts is to be seen here. */
	secret_forget();
	if (status != HF_OK)
		return status;
	if (desc->validate != NULL)
		status = desc->validate(options_conf(s->options), &s->err);
	if (status == HF_OK)
		status = open_kind(s, kind, options_conf(s->options));
	if (status != HF_OK) {
		options_free(s->options);
		s->options = NULL;
	}
	return status;
}

void
session_close(struct session *s)
{
	if (s->store != NULL)
		s->plugin->store.close(s->store);
	if (s->filter != NULL)
		s->plugin->filter.close(s->filter);
	if (s->engine != NULL)
		s->plugin->engine.close(s->engine);
	s->store = NULL;
	s->filter = NULL;
	s->engine = NULL;
	options_free(s->options);
	s->options = NULL;
}

bool
session_parallel(const struct session *s)
{
	return s->plugin->desc.threads >= HF_THREADS_HANDLE;
}

long
again_start(struct session *s, const char *verb, const char *word)
{
	const struct setup *setup = s->setup;
	size_t nargs = 0;
	char **argv;
	pid_t pid;
	int rc;

	while (setup->args[nargs] != NULL)
		nargs++;
	argv = data_alloc((nargs + 11) * sizeof *argv);
	nargs = 0;
	argv[nargs++] = (char *)(uintptr_t)setup->program;
	argv[nargs++] = (char *)(uintptr_t)setup->file;
	for (size_t i = 0; setup->args[i] != NULL; i++)
		argv[nargs++] = setup->args[i];
	argv[nargs++] = (char *)(uintptr_t) "--as";
	argv[nargs++] = (char *)(uintptr_t)verb;
	argv[nargs++] = (char *)(uintptr_t) "--with";
	argv[nargs++] = (char *)(uintptr_t)word;
	argv[nargs++] = (char *)(uintptr_t) "--work";
	argv[nargs++] = (char *)(uintptr_t)setup->work;
	argv[nargs] = NULL;
	rc = posix_spawn(&pid, setup->program, NULL, NULL, argv, environ);
	free(argv);
	CHECK(
	    rc == 0, "cannot start %s again: %s", setup->program, strerror(rc));
	return pid;
}

int
again_wait(long pid)
{
	int status = 0;

	CHECK(waitpid((pid_t)pid, &status, 0) == pid,
	    "cannot wait for a process of the suite");
	CHECK(!WIFSIGNALED(status), "a second process died of signal %d",
	    WTERMSIG(status));
	return WEXITSTATUS(status);
}

bool
again_running(long pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
		   0 &&
	       info.si_pid == 0;
}

int
again_run(struct session *s, const char *verb, const char *word)
{
	return again_wait(again_start(s, verb, word));
}
