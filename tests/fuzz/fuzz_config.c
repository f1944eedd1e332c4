/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a configuration file: loading must answer, and what it shows
 * of a file that it took must be a file that it takes again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "config/config.h"
#include "plugin/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct plugins *plugins;
static FILE *nowhere;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "fuzz_config: %s\n", what);
	abort();
}

/* A file in memory, with a name that config_load can open. */
static struct config *
load(const void *data, size_t size, int *rc, struct hf_error *err)
{
	int fd = memfd_create("fleet.json", MFD_CLOEXEC);
	struct config *c = NULL;
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		die("no file in memory");
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*rc = config_load(path, plugins, &c, err);
	(void)close(fd);
	return c;
}

static void
look_at_problems(const struct config *c, int rc, const struct hf_error *err)
{
	size_t errors = 0;

	for (size_t i = 0; i < c->nproblems; i++) {
		errors += c->problems[i].warning ? 0 : 1;
		if (c->problems[i].line < 1 || c->problems[i].column < 1)
			die("a problem without a place");
	}
	if ((rc == HF_OK) != (errors == 0))
		die("the status and the problems disagree");
	if (rc != HF_OK && err->status != rc)
		die("the error slot was not filled");
	config_print_problems(c, nowhere);
}

static void
load_what_is_shown(const struct config *c)
{
	json_t *shown = config_show(c);
	struct hf_error err = { 0 };
	struct config *again;
	char *text = NULL;
	int rc;

	if (shown == NULL || (text = json_dumps(shown, 0)) == NULL)
		die("nothing to show");
	again = load(text, strlen(text), &rc, &err);
	/* An inline secret was blanked out; it is one no less for that. */
	if (rc != HF_OK) {
		error_render(&err, text, stderr);
		die("what is shown is refused");
	}
	if (again->npipelines != c->npipelines || again->nsinks != c->nsinks)
		die("what is shown is another file");
	config_free(again);
	free(text);
	json_decref(shown);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_error err = { 0 };
	struct config *c;
	int rc;

	if (plugins == NULL && (plugins_new(&plugins, NULL, NULL) != HF_OK ||
				   (nowhere = fopen("/dev/null", "w")) == NULL))
		die("no plugins");
	c = load(data, size, &rc, &err);
	if (c == NULL)
		return 0; /* no memory */
	look_at_problems(c, rc, &err);
	if (rc == HF_OK)
		load_what_is_shown(c);
	config_free(c);
	return 0;
}
