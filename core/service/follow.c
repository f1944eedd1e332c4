/* SPDX-License-Identifier: BSD-2-Clause */
#include "follow.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "repo/logs.h"

#define PAUSE_MIN INT64_C(1000)
#define PAUSE_MAX INT64_C(60000)

struct follower {
	const struct follow_job *job;
	const struct cancel *cancel;
	pthread_t thread;
};

static void
tell(const struct follower *f, const struct hf_error *err, int64_t pause)
{
	char line[1024];

	error_line(err, line, sizeof line);
	log_write(HF_LOG_ERROR, "follow.failed", f->job->name,
	    "%s; again in %s", line, text_duration(pause).s);
}

static void *
run(void *arg)
{
	struct follower *f = arg;
	int64_t pause = PAUSE_MIN;

	while (!cancel_requested(f->cancel)) {
		int64_t began = text_monotonic();
		struct hf_error err = { 0 };
		int rc = logs_follow(f->job->repo, f->job->source, &err);

		if (cancel_requested(f->cancel))
			break;
		/* It had worked: what failed now is something new. */
		if (text_monotonic() - began > PAUSE_MAX)
			pause = PAUSE_MIN;
		if (rc == HF_OK)
			(void)error_fail(&err, HF_E_BUG,
			    "the engine stopped without a reason");
		tell(f, &err, pause);
		if (!cancel_sleep(f->cancel, pause))
			break;
		pause = pause * 2 < PAUSE_MAX ? pause * 2 : PAUSE_MAX;
	}
	return NULL;
}

int
follow_run(const struct follow_job *jobs, size_t n, const struct cancel *cancel,
    struct hf_error *err)
{
	struct follower *all = calloc(n + 1, sizeof *all);
	size_t started = 0;
	int rc = HF_OK, failed;

	if (all == NULL)
		return error_fail(err, HF_E_NOMEM, "no memory");
	for (; started < n && rc == HF_OK; started += rc == HF_OK) {
		struct follower *f = &all[started];

		*f = (struct follower){ &jobs[started], cancel, 0 };
		if ((failed = pthread_create(&f->thread, NULL, run, f)) != 0)
			rc = error_errno(err, failed,
			    "cannot start a thread to follow %s",
			    jobs[started].name);
	}
	/* Those that were started go on: a log that is followed is better
	 * than none, and the error is told at the end. */
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(all[i].thread, NULL);
	free(all);
	return rc;
}
