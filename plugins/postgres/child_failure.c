/* SPDX-License-Identifier: BSD-2-Clause */
#include "child.h"

#include "postgres.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is shown of it; the error slot has room for a little more. */
#define SHOWN_MAX 600
#define WARNINGS_MAX 20

/* ---- what is known ---- */

#define INSTALL_EXTENSION                                                     \
	"Install the package of that extension on the target server, in the " \
	"version of the server."

#define LOCKED                                                               \
	"Somebody holds a lock on it, such as a long ALTER TABLE or VACUUM " \
	"FULL: let that end, or set a longer lock_timeout."

#define NOT_ALL_RIGHTS                                                        \
	"A dump holds things of several owners. A superuser, or a member of " \
	"their roles, can restore all of it; with --no-owner everything "     \
	"belongs to the role that restores."

/* The first that is found decides.  Servers may speak other languages: then
 * nothing is found, and the message alone has to do. */
static const struct {
	const char *phrase;
	int status;
	const char *hint;
} known[] = {
	{ "canceling statement due to lock timeout", HF_E_TRANSIENT, LOCKED },
	/* What --lock-wait-timeout of pg_dump comes to. */
	{ "canceling statement due to statement timeout", HF_E_TRANSIENT,
	    LOCKED },
	{ "No space left on device", HF_E_NOSPACE,
	    "Free some space there, or choose another place." },
	{ "could not extend file", HF_E_NOSPACE,
	    "Free some space on the server's disk." },
	{ "could not open extension control file", HF_E_UNSUPPORTED,
	    INSTALL_EXTENSION },
	{ "is not available", HF_E_UNSUPPORTED, INSTALL_EXTENSION },
	{ "password authentication failed", HF_E_DENIED,
	    "Check user and password." },
	{ "no password supplied", HF_E_DENIED,
	    "Set the option password, PGPASSWORD or a line in .pgpass." },
	{ "no pg_hba.conf entry", HF_E_DENIED,
	    "Let this user connect: pg_hba.conf on the server." },
	{ "authentication failed", HF_E_DENIED, NULL },
	{ "permission denied", HF_E_DENIED, NULL },
	{ "must be superuser", HF_E_DENIED, NOT_ALL_RIGHTS },
	{ "must be owner", HF_E_DENIED, NOT_ALL_RIGHTS },
	{ "must be member of role", HF_E_DENIED, NOT_ALL_RIGHTS },
	{ "must be able to SET ROLE", HF_E_DENIED, NOT_ALL_RIGHTS },
	{ "too many clients", HF_E_TRANSIENT, NULL },
	{ "remaining connection slots", HF_E_TRANSIENT, NULL },
	{ "the database system is starting up", HF_E_TRANSIENT, NULL },
	{ "deadlock detected", HF_E_TRANSIENT, NULL },
	{ "server closed the connection", HF_E_IO, NULL },
	{ "terminating connection", HF_E_IO, NULL },
	{ "no connection to the server", HF_E_IO, NULL },
	{ "Is the server running", HF_E_IO, NULL },
	{ "could not translate host name", HF_E_IO, NULL },
	{ "already exists", HF_E_EXISTS, NULL },
	{ "does not exist", HF_E_NOTFOUND, NULL },
	{ "could not connect", HF_E_IO, NULL },
	{ "connection to server", HF_E_IO, NULL },
	{ "connection to database", HF_E_IO, NULL },
};

/* ---- reading it ---- */

struct heard {
	struct text cause;
	char hint[480], entry[240];
	bool error;     /* from here on it is about the failure */
	bool statement; /* there is one */
};

/* Behind "pg_dump: " there is what it is. */
static const char *
own_prefix(const char *line)
{
	size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");

	return n > 0 && strncmp(line + n, ": ", 2) == 0 ? line + n + 2 : NULL;
}

/* s behind word and the blanks that follow, or NULL. */
static const char *
behind(const char *s, const char *word)
{
	size_t n = strlen(word);

	if (s == NULL || strncmp(s, word, n) != 0)
		return NULL;
	return s + n + strspn(s + n, " ");
}

static void
keep(char *to, size_t cap, const char *s)
{
	if (to[0] == '\0')
		(void)snprintf(to, cap, "%s", s);
}

static void
add_cause(struct heard *h, const char *s)
{
	s += strspn(s, " \t");
	if (*s == '\0' || h->cause.len > SHOWN_MAX)
		return;
	if (h->cause.len > 0)
		text_add(&h->cause, "; ");
	text_add_comment(&h->cause, s);
}

/* Lines that repeat a statement, which can have a password, and the caret
 * that points into one. */
static bool
is_statement(const char *line)
{
	return behind(line, "Command was:") != NULL ||
	       behind(line, "STATEMENT:") != NULL ||
	       behind(line, "QUERY:") != NULL || behind(line, "LINE ") != NULL;
}

/* quiet: inside of a statement, until the program itself speaks again. */
static void
hear_line(struct heard *h, const char *line, bool *quiet)
{
	const char *own = own_prefix(line), *s;

	if ((s = behind(own, "from TOC entry ")) != NULL) {
		*quiet = false;
		if (!h->error)
			(void)snprintf(h->entry, sizeof h->entry, "%s", s);
	} else if ((s = behind(own, "error: ")) != NULL ||
		   (s = behind(own, "fatal: ")) != NULL) {
		*quiet = false;
		h->error = true;
		/* The worker said why, just before. */
		if (h->cause.len == 0 ||
		    behind(s, "a worker process died unexpectedly") == NULL)
			add_cause(h, s);
	} else if (own != NULL && behind(own, "warning: ") != NULL) {
		*quiet = false;
	} else if ((s = behind(own, "hint: ")) != NULL ||
		   (s = behind(line, "HINT: ")) != NULL) {
		*quiet = false;
		if (h->error)
			keep(h->hint, sizeof h->hint, s);
	} else if ((s = behind(own, "detail: ")) != NULL ||
		   (s = behind(line, "DETAIL: ")) != NULL) {
		*quiet = false;
		if (h->error)
			add_cause(h, s);
	} else if (is_statement(line)) {
		*quiet = h->statement = true;
	} else if (h->error && !*quiet) {
		add_cause(h, line);
	}
}

/* The first error and what belongs to it: later ones follow from it. */
static void
hear(struct heard *h, char *said)
{
	bool quiet = false;

	for (char *line = said, *eol; line != NULL; line = eol) {
		if ((eol = strchr(line, '\n')) != NULL)
			*eol++ = '\0';
		hear_line(h, line, &quiet);
	}
}

/* Nothing that it calls an error: its last lines, as they are. */
static void
hear_last(struct heard *h, const char *said)
{
	size_t end = strlen(said), begin;
	unsigned lines = 0;

	while (end > 0 && said[end - 1] == '\n')
		end--;
	for (begin = end; begin > 0; begin--)
		if (said[begin - 1] == '\n' && ++lines == 3)
			break;
	if (end - begin > SHOWN_MAX)
		begin = end - SHOWN_MAX;
	while (begin < end) {
		const char *eol = memchr(said + begin, '\n', end - begin);
		size_t stop = eol == NULL ? end : (size_t)(eol - said);
		char line[SHOWN_MAX + 1];

		(void)snprintf(line, sizeof line, "%.*s", (int)(stop - begin),
		    said + begin);
		add_cause(h, line);
		begin = stop + 1;
	}
}

/* ---- telling it ---- */

/* "server version: 16.1; pg_dump version: 15.20" */
static int
version_mismatch(const char *what, const char *cause, struct hf_error *err)
{
	const char *s = strstr(cause, "server version: ");
	long major = s == NULL ? 0 : strtol(s + 16, NULL, 10);
	char hint[160] = "Install the programs of the server's version.";

	if (major > 0)
		(void)snprintf(hint, sizeof hint,
		    "Install postgresql-client-%ld, or set bin_dir to the "
		    "folder of programs that are not older than the server.",
		    major);
	return postgres_fail_hint(
	    err, HF_E_UNSUPPORTED, hint, "%s: %s", what, cause);
}

static int
judge(const struct heard *h, const char *what, const char *ending,
    struct hf_error *err)
{
	const char *cause = text_get(&h->cause);
	const char *hint = h->hint[0] == '\0' ? NULL : h->hint;
	int status = HF_E_IO;

	if (strstr(cause, "server version mismatch") != NULL)
		return version_mismatch(what, cause, err);
	if (strstr(cause, "FATAL:  role ") != NULL)
		status = HF_E_DENIED;
	for (size_t i = 0;
	     status == HF_E_IO && i < sizeof known / sizeof *known; i++)
		if (strstr(cause, known[i].phrase) != NULL) {
			status = known[i].status;
			/* The server knows nothing of our options. */
			if (known[i].hint != NULL)
				hint = known[i].hint;
			break;
		}
	if (cause[0] == '\0')
		return postgres_fail_hint(
		    err, status, hint, "%s %s", what, ending);
	return postgres_fail_hint(err, status, hint, "%s: %s", what, cause);
}

/* The signal is the cause, whatever it said before: that is only shown. */
static int
judge_killed(const struct heard *h, const char *what, const char *ending,
    struct hf_error *err)
{
	const char *hint = NULL;

	if (strstr(ending, "signal 9") != NULL)
		hint = "Somebody killed it, or the kernel when memory ran "
		       "out: look at its log.";
	return postgres_fail_hint(err, HF_E_IO, hint, "%s %s%s%s", what, ending,
	    h->cause.len > 0 ? "; it said: " : "", text_get(&h->cause));
}

int
child_failure(const char *what, const char *said, bool cut, const char *ending,
    struct hf_error *err)
{
	bool killed = strstr(ending, "killed by signal") != NULL;
	struct heard h = { 0 };
	char *copy = strdup(said);
	int rc;

	if (copy == NULL)
		return postgres_nomem(err);
	hear(&h, copy);
	/* A statement, or the rest of a long one, is not for anybody. */
	if (!h.error && !h.statement && !cut)
		hear_last(&h, said);
	rc = killed ? judge_killed(&h, what, ending, err)
		    : judge(&h, what, ending, err);
	if (h.entry[0] != '\0')
		H->fail_note(err, "entry", h.entry);
	text_free(&h.cause);
	free(copy);
	return rc;
}

void
child_warnings(const struct hf_ctx *ctx, const char *what, const char *said)
{
	unsigned n = 0;

	while (*said != '\0' && n < WARNINGS_MAX) {
		size_t len = strcspn(said, "\n");
		const char *own = own_prefix(said);

		if (own != NULL && own < said + len &&
		    behind(own, "warning: ") != NULL) {
			own = behind(own, "warning: ");
			H->log(ctx, HF_LOG_WARN, "postgres.program", "%s: %.*s",
			    what, (int)(said + len - own), own);
			n++;
		}
		said += len;
		said += *said == '\n';
	}
}
