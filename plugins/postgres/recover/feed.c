/* SPDX-License-Identifier: BSD-2-Clause */
#include "feed.h"

#include "../wal/archive.h"
#include "../wal/fetch.h"
#include "postgres.h"
#include "text.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "feed"
#define SCRIPT "get"
#define ASK "ask"
#define ANSWER "answer"
#define WANTED "wanted" /* the file that was asked for */
#define AHEAD "ahead"
#define POLL 100 /* milliseconds */
/* PostgreSQL reads "there is no more" below 126, and stops above. */
#define ABSENT "1\n"
#define FAILED "200\n"
#define HERE "0\n"

struct feed {
	const struct hf_ctx *ctx;
	struct feed_source source;
	int dir, ask, answer;
	struct text command;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	size_t segments;
	char ahead[WAL_FILE_MAX]; /* what AHEAD is; "": nothing */
	struct hf_error *err;
	int status;
};

/* Only names that the server makes get this far: see serve(). */
static const char script[] =
    "printf '%s\\n' \"$1\" >\"$3/" ASK "\" || exit 200\n"
    "read -r code <\"$3/" ANSWER "\" || exit 200\n"
    "[ \"$code\" -eq 0 ] || exit \"$code\"\n"
    "cp \"$3/" WANTED "\" \"$2\" || exit 200\n";

/* ---- fetching ---- */

/* HF_E_NOTFOUND: the log has neither it nor pieces that stand for it. */
static int
fetch(struct feed *f, const char *file, const char *as, struct hf_error *err)
{
	struct fetch what = { .log = f->source.log,
		.system = f->source.system,
		.segment_size = f->source.segment_size };
	struct archive *a = NULL;
	char path[64];
	int rc;

	if (f->source.log == NULL ||
	    !wal_name_parse(file, what.segment_size, &what.name))
		return HF_E_NOTFOUND;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d/%s", f->dir, as);
	rc = fetch_object(&what, path, NULL, err);
	if (rc == HF_E_NOTFOUND && what.name.kind == WAL_SEGMENT) {
		rc = archive_load(
		    what.log, what.system, what.segment_size, &a, err);
		if (rc == HF_OK)
			rc = archive_pieces(
				 a, what.name.timeline, what.name.segno) == 0
				 ? HF_E_NOTFOUND
				 : fetch_pieces(&what, a, path, err);
		archive_free(a);
	}
	if (rc == HF_OK && fchmodat(f->dir, as, 0644, 0) != 0)
		rc = H->fail_errno(err, errno, "giving %s", file);
	return rc;
}

static void
fetch_ahead(struct feed *f, const char *after)
{
	struct wal_name name;

	f->ahead[0] = '\0';
	if (!wal_name_parse(after, f->source.segment_size, &name) ||
	    name.kind != WAL_SEGMENT)
		return;
	name.segno++;
	wal_name_file(&name, f->source.segment_size, f->ahead);
	/* What fails now is tried again when it is asked for. */
	if (fetch(f, f->ahead, AHEAD, NULL) != HF_OK)
		f->ahead[0] = '\0';
}

static int
bring(struct feed *f, const char *file, struct hf_error *err)
{
	if (strcmp(file, f->ahead) == 0 &&
	    renameat(f->dir, AHEAD, f->dir, WANTED) == 0) {
		f->ahead[0] = '\0';
		return HF_OK;
	}
	return fetch(f, file, WANTED, err);
}

static void
serve(struct feed *f, const char *file)
{
	struct hf_error *err = H->fail_new();
	const char *answer;
	int rc = bring(f, file, err);

	answer = rc == HF_OK ? HERE : rc == HF_E_NOTFOUND ? ABSENT : FAILED;
	if (rc != HF_OK && rc != HF_E_NOTFOUND && f->status == HF_OK) {
		(void)H->fail_context(err, "fetching %s", file);
		f->status = rc;
		f->err = err;
		err = NULL;
	}
	H->fail_free(err);
	(void)!write(f->answer, answer, strlen(answer));
	if (rc == HF_OK) {
		f->segments += strlen(file) == 24;
		fetch_ahead(f, file);
	}
}

/* ---- the thread ---- */

static void *
feed_main(void *arg)
{
	struct feed *f = arg;
	struct pollfd poll_ask = { .fd = f->ask, .events = POLLIN };
	char line[256];
	size_t len = 0;

	while (!atomic_load(&f->stop)) {
		char *end;
		ssize_t n;

		if (poll(&poll_ask, 1, POLL) <= 0)
			continue;
		n = read(f->ask, line + len, sizeof line - 1 - len);
		if (n <= 0)
			continue;
		len += (size_t)n;
		line[len] = '\0';
		while ((end = strchr(line, '\n')) != NULL) {
			*end = '\0';
			serve(f, line);
			len -= (size_t)(end + 1 - line);
			memmove(line, end + 1, len + 1);
		}
		/* No name is as long. */
		if (len == sizeof line - 1)
			len = 0;
	}
	return NULL;
}

/* The folder is ours, and theirs to read. */
static int
make_files(struct feed *f, const char *folder, struct hf_error *err)
{
	int above = tree_open(AT_FDCWD, folder), fd = -1, rc = HF_OK;
	struct stat st;

	if (above < 0 || mkdirat(above, FOLDER, 0700) != 0 ||
	    (f->dir = tree_open(above, FOLDER)) < 0 ||
	    fstat(f->dir, &st) != 0 || st.st_uid != geteuid() ||
	    mkfifoat(f->dir, ASK, 0600) != 0 ||
	    fchmodat(f->dir, ASK, 0666, 0) != 0 ||
	    mkfifoat(f->dir, ANSWER, 0600) != 0 ||
	    fchmodat(f->dir, ANSWER, 0644, 0) != 0 ||
	    (fd = openat(f->dir, SCRIPT,
		 O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0 ||
	    write(fd, script, sizeof script - 1) != sizeof script - 1 ||
	    fchmod(fd, 0644) != 0 ||
	    /* For both ends, so that neither opening waits. */
	    (f->ask = openat(f->dir, ASK, O_RDWR | O_NONBLOCK | O_CLOEXEC)) <
		0 ||
	    (f->answer = openat(
		 f->dir, ANSWER, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0 ||
	    fchmod(f->dir, 0755) != 0)
		rc = H->fail_errno(err, errno, "making %s/" FOLDER, folder);
	if (fd >= 0)
		(void)close(fd);
	if (above >= 0)
		(void)close(above);
	return rc;
}

/* Quoted for the shell, and '%' doubled for the server. */
static void
add_word(struct text *out, const char *word)
{
	text_add(out, "'");
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			text_add(out, "'\\'");
		if (*word == '%')
			text_add(out, "%");
		text_add_n(out, word, 1);
	}
	text_add(out, "'");
}

static int
start(struct feed *f, struct hf_error *err)
{
	sigset_t all, before;
	int e;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	e = pthread_create(&f->thread, NULL, feed_main, f);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	f->running = e == 0;
	return e == 0 ? HF_OK : H->fail_errno(err, e, "starting a thread");
}

int
feed_start(const struct hf_ctx *ctx, const struct feed_source *source,
    const char *folder, struct feed **out, struct hf_error *err)
{
	struct text path = { 0 };
	struct feed *f;
	int rc;

	*out = NULL;
	if ((f = calloc(1, sizeof *f)) == NULL)
		return postgres_nomem(err);
	*f = (struct feed){ .ctx = ctx,
		.source = *source,
		.dir = -1,
		.ask = -1,
		.answer = -1 };
	atomic_init(&f->stop, false);
	text_addf(&path, "%s/" FOLDER "/" SCRIPT, folder);
	text_add(&f->command, "sh ");
	add_word(&f->command, text_get(&path));
	text_add(&f->command, " \"%f\" \"%p\" ");
	text_reset(&path);
	text_addf(&path, "%s/" FOLDER, folder);
	add_word(&f->command, text_get(&path));
	rc = text_ok(&path, err);
	text_free(&path);
	if (rc == HF_OK && (rc = text_ok(&f->command, err)) == HF_OK &&
	    (rc = make_files(f, folder, err)) == HF_OK)
		rc = start(f, err);
	if (rc == HF_OK)
		*out = f;
	else
		(void)feed_stop(f, NULL, NULL);
	return rc;
}

const char *
feed_command(const struct feed *f)
{
	return text_get(&f->command);
}

int
feed_stop(struct feed *f, size_t *segments, struct hf_error *err)
{
	int rc;

	if (f == NULL)
		return HF_OK;
	atomic_store(&f->stop, true);
	if (f->running)
		(void)pthread_join(f->thread, NULL);
	if (segments != NULL)
		*segments = f->segments;
	if ((rc = f->status) != HF_OK)
		(void)H->fail_move(err, f->err);
	H->fail_free(f->err);
	if (f->ask >= 0)
		(void)close(f->ask);
	if (f->answer >= 0)
		(void)close(f->answer);
	if (f->dir >= 0) {
		(void)tree_empty(f->dir);
		(void)close(f->dir);
	}
	text_free(&f->command);
	free(f);
	return rc;
}
