/* SPDX-License-Identifier: BSD-2-Clause */
#include "lease.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "plugin/store.h"
#include "repo/doc.h"
#include "repo/lease_private.h"
#include "repo/owner.h"
#include "repo/repo_private.h"

/* One a second for thirty thousand years: a file with a higher number is not
 * ours, and must not use up the numbers. */
#define EPOCH_MAX UINT64_C(1000000000000)
#define TRIES 8 /* lost races until it counts as held by somebody */

/* Lock order: the renewing thread takes `lock` for its own fields only and
 * never holds it in a call of the store. */
struct lease {
	struct lease *next; /* in the list of this process's leases */
	struct store *store;
	char *who, *pipeline, *key;
	char run_id[40], verb[16];
	struct owner owner;
	uint64_t epoch;
	int64_t ttl_ms;
	bool running; /* the thread was started */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop, abandoned;
	bool lost;          /* somebody has a higher epoch */
	int64_t renewed_at; /* monotonic */
};

/* The leases that this process holds.  A run of a long-lived process whose
 * release did not reach the store must not lock out the next one. */
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lease *live;

static void
enter(struct lease *l)
{
	pthread_mutex_lock(&live_lock);
	l->next = live;
	live = l;
	pthread_mutex_unlock(&live_lock);
}

static void
leave(const struct lease *l)
{
	pthread_mutex_lock(&live_lock);
	for (struct lease **p = &live; *p != NULL; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	pthread_mutex_unlock(&live_lock);
}

/* The id alone does not say it: a backup is copied under the same one again. */
static bool
is_live(const char *run_id, uint64_t epoch)
{
	bool found = false;

	pthread_mutex_lock(&live_lock);
	for (struct lease *l = live; l != NULL && !found; l = l->next)
		found = l->epoch == epoch && strcmp(l->run_id, run_id) == 0;
	pthread_mutex_unlock(&live_lock);
	return found;
}

char *
lease_key(const char *pipeline, uint64_t epoch)
{
	return repo_key(
	    pipeline, "lease/%020llu.json", (unsigned long long)epoch);
}

static json_t *
lease_json(const struct lease *l, bool released)
{
	json_t *json = json_pack("{s:i, s:I, s:s, s:s, s:s}", "format", 1,
	    "epoch", (json_int_t)l->epoch, "run", l->run_id, "verb", l->verb,
	    "renewed", repo_time(text_now()).s);

	if (json == NULL || owner_to_json(&l->owner, json) != 0 ||
	    json_object_set_new(json, "ttl_ms", json_integer(l->ttl_ms)) != 0 ||
	    json_object_set_new(json, "released", json_boolean(released)) !=
		0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static int
put(struct lease *l, unsigned flags, bool released, struct hf_error *err)
{
	json_t *json = lease_json(l, released);
	int rc;

	if (json == NULL)
		return repo_nomem(err);
	rc = doc_put(l->store, l->key, flags, json, err);
	json_decref(json);
	return rc;
}

/* "<pipeline>/lease/<20 digits>.json"; false for what else lies there. */
static bool
key_epoch(const char *key, uint64_t *epoch)
{
	const char *name = strrchr(key, '/');
	uint64_t n = 0;

	if (name == NULL || strlen(++name) != 25 ||
	    strcmp(name + 20, ".json") != 0)
		return false;
	for (int i = 0; i < 20; i++) {
		uint64_t digit = (uint64_t)(name[i] - '0');

		if (name[i] < '0' || name[i] > '9' || n > EPOCH_MAX)
			return false;
		n = n * 10 + digit;
	}
	*epoch = n;
	return n <= EPOCH_MAX;
}

static int
highest(struct store *store, const char *pipeline, uint64_t *out,
    struct hf_error *err)
{
	struct store_keys keys = { 0 };
	char *prefix = repo_key(pipeline, "lease/");
	uint64_t epoch;
	int rc;

	*out = 0;
	if (prefix == NULL)
		return repo_nomem(err);
	if ((rc = store_list_all(store, prefix, &keys, err)) == HF_OK)
		for (size_t i = 0; i < keys.n; i++)
			if (key_epoch(keys.keys[i].key, &epoch) && epoch > *out)
				*out = epoch;
	store_keys_free(&keys);
	free(prefix);
	return rc;
}

static void
copy_text(char *to, size_t cap, const json_t *doc, const char *member)
{
	const char *s = json_string_value(json_object_get(doc, member));

	(void)snprintf(to, cap, "%s", s == NULL ? "" : s);
}

/* HF_EOF: it is not there any more. */
static int
load_info(struct store *store, const struct store_key *key, int64_t now_s,
    struct lease_info *info, struct hf_error *err)
{
	json_t *doc = NULL;
	struct owner owner;
	int rc = doc_get(store, key->key, &doc, err);

	if (rc == HF_E_NOTFOUND)
		return HF_EOF;
	if (rc != HF_OK && rc != HF_E_CORRUPT)
		return rc;
	info->renewed_s = key->mtime;
	info->ttl_ms = LEASE_TTL_MS;
	/* A damaged one still stands for somebody, until it expires. */
	if (doc != NULL) {
		const json_t *ttl = json_object_get(doc, "ttl_ms");

		copy_text(info->run_id, sizeof info->run_id, doc, "run");
		copy_text(info->verb, sizeof info->verb, doc, "verb");
		if (json_is_integer(ttl) && json_integer_value(ttl) > 0)
			info->ttl_ms = json_integer_value(ttl);
		info->released = json_is_true(json_object_get(doc, "released"));
		owner_from_json(doc, &owner);
		owner_text(&owner, info->owner, sizeof info->owner);
		(void)snprintf(info->host, sizeof info->host, "%s", owner.host);
		info->dead = owner_is_dead(&owner) ||
			     (owner_is_self(&owner) &&
				 !is_live(info->run_id, info->epoch));
	}
	/* Compared in seconds, as the store counts: later rather than
	 * sooner. */
	info->expired = now_s > info->renewed_s &&
			now_s - info->renewed_s > info->ttl_ms / 1000;
	json_decref(doc);
	error_clear(err);
	return HF_OK;
}

int
lease_list(struct store *store, const char *pipeline, struct lease_info **infos,
    unsigned *n, struct hf_error *err)
{
	struct store_keys keys = { 0 };
	char *prefix = repo_key(pipeline, "lease/");
	struct lease_info *list = NULL;
	int64_t now;
	int rc;

	*n = 0;
	if (prefix == NULL)
		return repo_nomem(err);
	if ((rc = store_list_all(store, prefix, &keys, err)) != HF_OK ||
	    (rc = store_clock(store, &now, err)) != HF_OK)
		goto out;
	if ((list = calloc(keys.n + 1, sizeof *list)) == NULL) {
		rc = repo_nomem(err);
		goto out;
	}
	/* Keys are sorted, and so are numbers of 20 digits. */
	for (size_t i = 0; i < keys.n; i++) {
		struct lease_info *info = &list[*n];

		if (!key_epoch(keys.keys[i].key, &info->epoch))
			continue;
		rc = load_info(store, &keys.keys[i], now, info, err);
		if (rc < 0)
			goto out;
		if (rc == HF_OK)
			(*n)++;
		else
			memset(info, 0, sizeof *info);
		rc = HF_OK;
	}
	*infos = list;
	list = NULL;
out:
	free(list);
	store_keys_free(&keys);
	free(prefix);
	return rc;
}

static bool
lost(struct lease *l)
{
	bool yes;

	pthread_mutex_lock(&l->lock);
	yes = l->lost || text_monotonic() - l->renewed_at > l->ttl_ms;
	pthread_mutex_unlock(&l->lock);
	return yes;
}

/* One renewal: the file's new mtime is what counts.  Looking for a higher
 * epoch first keeps a holder that slept too long from writing again. */
static void
renew(struct lease *l)
{
	struct hf_error err = { 0 };
	int64_t begun = text_monotonic();
	uint64_t top;
	int rc;

	if ((rc = highest(l->store, l->pipeline, &top, &err)) == HF_OK) {
		if (top > l->epoch) {
			pthread_mutex_lock(&l->lock);
			l->lost = true;
			pthread_mutex_unlock(&l->lock);
			log_write(HF_LOG_WARN, "lease.lost", l->who,
			    "pipeline %s: another run took over the lease",
			    l->pipeline);
			return;
		}
		rc = put(l, 0, false, &err);
	}
	if (rc != HF_OK) {
		char line[512];

		error_line(&err, line, sizeof line);
		log_write(HF_LOG_WARN, "lease.renew", l->who,
		    "pipeline %s: the lease could not be renewed: %s",
		    l->pipeline, line);
		return;
	}
	pthread_mutex_lock(&l->lock);
	l->renewed_at = begun;
	pthread_mutex_unlock(&l->lock);
}

static void
destroy(struct lease *l)
{
	leave(l);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l->who);
	free(l->pipeline);
	free(l->key);
	free(l);
}

static void *
renewing(void *arg)
{
	struct lease *l = arg;
	bool abandoned;

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		int64_t ms = l->ttl_ms / 3;
		struct timespec until;
		int rc = 0;

		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += (time_t)(ms / 1000);
		until.tv_nsec += (long)(ms % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		while (!l->stop && rc != ETIMEDOUT)
			rc = pthread_cond_timedwait(&l->wake, &l->lock, &until);
		if (l->stop || l->lost)
			continue;
		pthread_mutex_unlock(&l->lock);
		renew(l);
		pthread_mutex_lock(&l->lock);
	}
	abandoned = l->abandoned;
	pthread_mutex_unlock(&l->lock);
	if (abandoned)
		destroy(l);
	return NULL;
}

static int
start_thread(struct lease *l, struct hf_error *err)
{
	sigset_t all, before;
	int rc;

	/* Signals are the main thread's business. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&l->thread, NULL, renewing, l);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return error_errno(err, rc, "cannot start a thread");
	l->running = true;
	return HF_OK;
}

static int
new_lease(struct store *store, const char *sink, const char *pipeline,
    const char *run_id, const char *verb, int64_t ttl_ms, struct lease **out,
    struct hf_error *err)
{
	struct lease *l = calloc(1, sizeof *l);
	pthread_condattr_t attr;

	if (l == NULL)
		return repo_nomem(err);
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&l->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	l->store = store;
	l->ttl_ms = ttl_ms;
	(void)snprintf(l->run_id, sizeof l->run_id, "%s", run_id);
	(void)snprintf(l->verb, sizeof l->verb, "%s", verb);
	owner_self(&l->owner);
	enter(l);
	if ((l->who = text_format("sink %s", sink)) == NULL ||
	    (l->pipeline = strdup(pipeline)) == NULL) {
		destroy(l);
		return repo_nomem(err);
	}
	*out = l;
	return HF_OK;
}

static int
held(struct lease *l, const struct lease_info *info, struct hf_error *err)
{
	int64_t renewed = info->renewed_s * 1000;

	(void)error_fail(err, HF_E_EXISTS,
	    "pipeline %s is locked in %s: run %s (%s) by %s on %s, renewed "
	    "%s, until %s unless renewed",
	    l->pipeline, l->who, info->run_id[0] != '\0' ? info->run_id : "?",
	    info->verb[0] != '\0' ? info->verb : "?",
	    info->owner[0] != '\0' ? info->owner : "an unknown owner",
	    info->host[0] != '\0' ? info->host : "an unknown host",
	    text_utc(renewed).s, text_utc(renewed + info->ttl_ms).s);
	error_hint(err,
	    "Wait for that run to end.  If its process is gone, the lease "
	    "is taken over once it has expired.");
	return HF_E_EXISTS;
}

/* Is what stands at our key ours?  A put whose answer was lost is repeated
 * below us and then finds its own first try. */
static bool
is_ours(struct lease *l)
{
	json_t *doc = NULL;
	struct owner owner;
	char run[40];
	bool ours = false;

	if (doc_get(l->store, l->key, &doc, NULL) == HF_OK) {
		copy_text(run, sizeof run, doc, "run");
		owner_from_json(doc, &owner);
		ours = strcmp(run, l->run_id) == 0 &&
		       owner_same(&owner, &l->owner);
	}
	json_decref(doc);
	return ours;
}

/* Create the epoch after the highest.  HF_EOF: somebody was faster. */
static int
create(struct lease *l, uint64_t top, struct hf_error *err)
{
	int rc;

	free(l->key);
	pthread_mutex_lock(&live_lock);
	l->epoch = top + 1;
	pthread_mutex_unlock(&live_lock);
	if ((l->key = lease_key(l->pipeline, l->epoch)) == NULL)
		return repo_nomem(err);
	/* Counted from before the put: never longer than others see it. */
	l->renewed_at = text_monotonic();
	rc = put(l, HF_PUT_IF_ABSENT, false, err);
	if (rc == HF_E_EXISTS) {
		error_clear(err);
		rc = is_ours(l) ? HF_OK : HF_EOF;
	}
	if (rc != HF_OK)
		return rc;
	/* Our listing may be older than a takeover whose winner has already
	 * cleared the epoch we just made. */
	if ((rc = highest(l->store, l->pipeline, &top, err)) == HF_OK &&
	    top <= l->epoch)
		return HF_OK;
	(void)store_remove(l->store, l->key, NULL);
	return rc == HF_OK ? HF_EOF : rc;
}

static int
try_acquire(struct lease *l, struct hf_error *err)
{
	struct lease_info *infos = NULL, *top;
	unsigned n;
	int rc;

	if ((rc = lease_list(l->store, l->pipeline, &infos, &n, err)) != HF_OK)
		return rc;
	top = n > 0 ? &infos[n - 1] : NULL;
	if (top != NULL && !top->released && !top->dead && !top->expired)
		rc = held(l, top, err);
	else
		rc = create(l, top == NULL ? 0 : top->epoch, err);
	if (rc == HF_OK && top != NULL && !top->released)
		log_write(HF_LOG_INFO, "lease.takeover", l->who,
		    "pipeline %s: took over the lease of run %s, whose "
		    "process %s",
		    l->pipeline, top->run_id[0] != '\0' ? top->run_id : "?",
		    top->dead ? "is gone" : "does not renew it any more");
	free(infos);
	return rc;
}

int
lease_acquire_ttl(struct store *store, const char *sink, const char *pipeline,
    const char *run_id, const char *verb, int64_t ttl_ms, struct lease **out,
    struct hf_error *err)
{
	struct lease *l = NULL;
	int rc;

	if ((rc = repo_sink_shareable(store, sink, err)) != HF_OK ||
	    (rc = new_lease(store, sink, pipeline, run_id, verb, ttl_ms, &l,
		 err)) != HF_OK)
		return rc;
	for (int i = 0; (rc = try_acquire(l, err)) == HF_EOF && i < TRIES; i++)
		;
	if (rc == HF_EOF)
		rc = error_fail(err, HF_E_EXISTS,
		    "pipeline %s is locked in %s: other runs took the lease "
		    "first",
		    pipeline, l->who);
	if (rc != HF_OK) {
		destroy(l);
		return rc;
	}
	if ((rc = start_thread(l, err)) != HF_OK) {
		lease_release(l);
		return rc;
	}
	*out = l;
	return HF_OK;
}

int
lease_acquire(struct store *store, const char *sink, const char *pipeline,
    const char *run_id, const char *verb, struct lease **out,
    struct hf_error *err)
{
	return lease_acquire_ttl(
	    store, sink, pipeline, run_id, verb, LEASE_TTL_MS, out, err);
}

int
lease_check(struct lease *l, struct hf_error *err)
{
	uint64_t top;
	int rc;

	if (lost(l))
		goto lost;
	if ((rc = highest(l->store, l->pipeline, &top, err)) != HF_OK) {
		(void)error_context(
		    err, "looking whether the lease is still ours");
		return rc;
	}
	/* Our own file missing: somebody held us for dead. */
	if (top == l->epoch)
		return HF_OK;
	pthread_mutex_lock(&l->lock);
	l->lost = true;
	pthread_mutex_unlock(&l->lock);
lost:
	return error_fail(err, HF_E_CANCELLED,
	    "pipeline %s: the lease in %s was lost: it was not renewed in "
	    "time, and another run may have taken over",
	    l->pipeline, l->who);
}

uint64_t
lease_epoch(const struct lease *l)
{
	return l->epoch;
}

static void
stop_thread(struct lease *l, bool abandon)
{
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	l->abandoned = abandon;
	/* Under the lock: afterwards the thread may free what l is. */
	if (abandon)
		(void)pthread_detach(l->thread);
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	if (!abandon)
		(void)pthread_join(l->thread, NULL);
}

void
lease_release(struct lease *l)
{
	struct hf_error err = { 0 };
	char line[512];

	if (l == NULL)
		return;
	if (l->running)
		stop_thread(l, false);
	if (put(l, 0, true, &err) != HF_OK) {
		error_line(&err, line, sizeof line);
		log_write(HF_LOG_WARN, "lease.release", l->who,
		    "pipeline %s: the lease could not be released: %s",
		    l->pipeline, line);
	}
	destroy(l);
}

void
lease_abandon(struct lease *l)
{
	if (l == NULL)
		return;
	/* The thread frees it, whenever its call comes back. */
	leave(l);
	if (l->running)
		stop_thread(l, true);
	else
		destroy(l);
}
