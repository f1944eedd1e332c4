/* SPDX-License-Identifier: BSD-2-Clause */
#include "rehearse.h"

#include "../wal/needs.h"
#include "cluster.h"
#include "postgres.h"
#include "program.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAID_MAX ((size_t)64 << 10)
#define TIME_LIMIT INT64_C(120000)
#define FETCHED "pg_wal/holdfast-rehearsal"
#define GOOD "fetched"

/* The segment with which recovery begins. */
static int
first_segment(struct hf_in *in, char file[WAL_FILE_MAX])
{
	struct wal_name name = { .kind = WAL_SEGMENT };
	struct needs needs;
	int rc = needs_read(in, &needs, NULL);

	if (rc != HF_OK)
		return rc;
	name.timeline = needs.start_timeline;
	name.segno = needs.start / needs.segment_size;
	wal_name_file(&name, needs.segment_size, file);
	return HF_OK;
}

/* A backup that has its own WAL needs none of the log's beginning: that it is
 * not there (10) is an answer too. */
static int
fetch(const struct cluster *c, char *file, char **said, struct hf_error *err)
{
	struct text script = { 0 };
	char shell[] = "sh", flag[] = "-c", fetched[] = FETCHED, *argv[6];
	struct child_options o = { .path = "/bin/sh",
		.argv = argv,
		.in = -1,
		.out = -1,
		.user = c->e->conf.run_as,
		.dir = c->dir,
		.time_limit = TIME_LIMIT };
	size_t len;
	int rc;

	text_addf(&script,
	    "%s \"$0\" \"$1\" 2>&1 || [ $? -eq 10 ] && rm -f \"$1\" && "
	    "echo " GOOD,
	    c->req->log_command);
	text_add(&script, " || true");
	if ((rc = text_ok(&script, err)) == HF_OK) {
		char *copy = strdup(text_get(&script));

		if (copy == NULL) {
			rc = postgres_nomem(err);
		} else {
			argv[0] = shell;
			argv[1] = flag;
			argv[2] = copy;
			argv[3] = file;
			argv[4] = fetched;
			argv[5] = NULL;
			rc = child_capture(c->e->ctx, &o, SAID_MAX, said, &len,
			    "fetching WAL", err);
		}
		free(copy);
	}
	text_free(&script);
	return rc;
}

/* Of what it said, the line of the error. */
static const char *
reason(char *said)
{
	static const char mark[] = "error: ";
	char *at = said;

	while (at != NULL && strncmp(at, mark, sizeof mark - 1) != 0)
		if ((at = strchr(at, '\n')) != NULL)
			at++;
	at = at == NULL ? said : at + sizeof mark - 1;
	at[strcspn(at, "\n")] = '\0';
	return at;
}

static void
warn(const struct cluster *c, const char *why)
{
	const char *user = c->e->conf.run_as;
	struct text t = { 0 };

	H->log(c->e->ctx, HF_LOG_WARN, "postgres.rehearsal",
	    "the server will run as %s, and as %s no WAL can be fetched: %s",
	    user, user, why);
	text_addf(&t,
	    "as %s no WAL can be fetched yet: let that user read the "
	    "configuration, its secrets and the sinks, or give "
	    "-o restore_command=...",
	    user);
	if (!t.failed)
		H->result(c->e->ctx, "wal", text_get(&t));
	text_free(&t);
}

void
rehearse_fetch(const struct cluster *c)
{
	const struct restore_conf *conf = c->req->restore_conf;
	char file[WAL_FILE_MAX], *said = NULL, *end;

	if (geteuid() != 0 || c->req->log_command == NULL ||
	    (conf != NULL && conf->restore_command != NULL) ||
	    first_segment(links_last(&c->links), file) != HF_OK)
		return;
	/* Why a shell could not be run is no matter of the user's rights. */
	if (fetch(c, file, &said, NULL) != HF_OK) {
		free(said);
		return;
	}
	end = strstr(said, GOOD "\n");
	if (end == NULL || end[sizeof GOOD] != '\0')
		warn(c, reason(said));
	free(said);
}
