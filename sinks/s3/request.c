/* SPDX-License-Identifier: BSD-2-Clause */
#include "request.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "answer.h"
#include "credentials.h"
#include "transfer.h"

#define BACKOFF_FIRST 200 /* ms */
#define BACKOFF_MOST 20000
#define CLEANUP_MS 10000
#define FIRST_MS 30000
/* A try that has less time than this tells only that it had none, and hides
 * what the one before it said. */
#define LEAST_MS 500
#define STEP_MS 500

const struct hf_host *H;

int64_t
request_clock(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Between 0 and the doubled pause: clients that failed together do not come
 * back together. */
static int64_t
backoff(unsigned tries)
{
	int64_t most = BACKOFF_FIRST;
	uint32_t random = 0;

	while (tries-- > 0 && most < BACKOFF_MOST)
		most *= 2;
	if (most > BACKOFF_MOST)
		most = BACKOFF_MOST;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		random = UINT32_MAX / 2;
	return (int64_t)((uint64_t)most * random / UINT32_MAX);
}

bool
request_stopped(const struct hf_store *s, const struct request *r)
{
	return (r->stop != NULL && atomic_load(r->stop)) ||
	       (!r->unstoppable && H->cancelled(s->ctx));
}

/* false: there is a reason not to go on. */
static bool
pause_for(struct hf_store *s, const struct request *r, int64_t ms)
{
	struct timespec t;

	for (int64_t left = ms, step; left > 0; left -= step) {
		step = left < STEP_MS ? left : STEP_MS;
		if (request_stopped(s, r))
			return false;
		if (!r->unstoppable) {
			(void)H->sleep(s->ctx, step);
			continue;
		}
		t = (struct timespec){ .tv_nsec = (long)step * 1000000 };
		(void)nanosleep(&t, NULL);
	}
	return !request_stopped(s, r);
}

/* What was tried so far to cure. */
struct cures {
	bool clock, renewed, renew;
};

/* Some refusals are cured by one more try that differs.  Answers to HEAD do
 * not say which they are: then what may be is tried. */
static bool
cure(const struct transfer *t, const struct answer *a, const struct failure *f,
    struct cures *c)
{
	bool blind = strcmp(t->request->method, "HEAD") == 0 &&
		     (a->status == 403 || a->status == 400);

	c->renew = false;
	if (!c->clock && a->date != 0 &&
	    (blind || strcmp(f->code, "RequestTimeTooSkewed") == 0) &&
	    transfer_set_clock(t->store, a->date, t->stamp))
		return c->clock = true;
	if (!c->renewed && ((blind && t->who->session_token[0] != '\0') ||
			       strcmp(f->code, "ExpiredToken") == 0))
		return c->renewed = c->renew = true;
	return false;
}

/* A name that is misspelt must not look like a network that is down for a
 * while: before the first answer, patience is short. */
static int64_t
patience(struct hf_store *s, const struct failure *f, int64_t begun,
    int64_t deadline)
{
	if (f->network && deadline > begun + FIRST_MS && !transfer_reached(s))
		return begun + FIRST_MS;
	return deadline;
}

/* The last try's failure.  All the time there was is used up: to the caller
 * that is final. */
static int
give_up(struct hf_store *s, const struct request *r, const struct answer *a,
    struct failure *f, const char *what, struct hf_error *err)
{
	if (request_stopped(s, r))
		return H->fail(err, HF_E_CANCELLED, "%s: interrupted", what);
	if (f->status == HF_E_TRANSIENT)
		f->status = HF_E_IO;
	return answer_fail(s, a, f, what, err);
}

static int
try_all(struct transfer *t, struct answer *answer, const char *what,
    struct hf_error *err)
{
	const struct request *r = t->request;
	struct hf_store *s = t->store;
	int64_t begun = request_clock(), pause;
	bool late = false;
	struct failure f = { .status = HF_OK };
	struct cures cures = { false, false, false };
	struct identity who;
	int rc = HF_OK;
	bool good = false;

	t->who = &who;
	for (unsigned tries = 0; !request_stopped(s, r); tries++) {
		if ((rc = credentials_get(
			 s->credentials, cures.renew, &who, err)) != HF_OK)
			break;
		good = transfer_once(t, answer, &f);
		answer->sent = t->sent;
		if (good)
			break;
		if (cure(t, answer, &f, &cures))
			continue;
		pause = backoff(tries);
		late = f.again && request_clock() + pause + LEAST_MS >=
				      patience(s, &f, begun, t->deadline);
		if (!f.again || late || !pause_for(s, r, pause))
			break;
	}
	if (late || answer->status != 0)
		atomic_store(&s->down, late);
	OPENSSL_cleanse(&who, sizeof who);
	if (rc != HF_OK)
		return rc;
	return good ? HF_OK : give_up(s, r, answer, &f, what, err);
}

int
request_run(struct hf_store *s, const struct request *r, struct answer *answer,
    const char *what, struct hf_error *err)
{
	struct request own = *r;
	struct transfer t = { .store = s, .request = &own };
	char *url = request_url(s, r);
	bool brief;
	int rc;

	if (url == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	/* What begins after the wish to stop is there to clean up: a lease is
	 * given back, an unfinished backup removed. */
	own.unstoppable = own.unstoppable || H->cancelled(s->ctx);
	/* So is most of what follows when all the time was used up: that is
	 * not to be waited out by each of them. */
	brief = own.unstoppable || atomic_load(&s->down);
	t.url = url;
	t.deadline = request_clock() + (brief && s->conf.timeout > CLEANUP_MS
					       ? CLEANUP_MS
					       : s->conf.timeout);
	rc = try_all(&t, answer, what, err);
	free(url);
	return rc;
}

void
answer_clear(struct answer *a)
{
	free(a->body);
	*a = (struct answer){ 0 };
}
