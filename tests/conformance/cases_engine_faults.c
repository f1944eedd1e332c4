/* SPDX-License-Identifier: BSD-2-Clause */
/* What an engine does when the backup that it writes or reads fails under it,
 * at every call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conform.h"
#include "data.h"
#include "engines.h"
#include "world.h"

#define OPS(s) (&(s)->plugin->engine)

#ifdef HF_SANITIZED
#define CANCEL_MS 15000
#else
#define CANCEL_MS 5000
#endif

/* Streams that were under way may each notice on their own. */
#define CALLS_AFTER 6

static const int statuses[] = { HF_E_IO, HF_E_NOSPACE, HF_E_DENIED,
	HF_E_TRANSIENT, HF_E_CORRUPT };

/* The calls to fail: all of the first, all of the last, and between them ever
 * wider steps, so that a large source takes no day. */
static size_t
next_call(size_t n, size_t total)
{
	size_t step = n < 24 ? 1 : n / 4;

	if (n + step < total && n + step > total - (total > 12 ? 12 : total))
		step = 1;
	if (n < total && n + step > total)
		step = total > 12 && n < total - 12 ? total - 12 - n : 1;
	return n + step;
}

static size_t
count_backup_calls(struct session *s)
{
	struct memio m;
	size_t calls;

	memio_init(&m);
	expect(s, engines_backup(s, &m, 2), HF_OK, "backup");
	calls = m.calls;
	memio_clear(&m);
	return calls;
}

static void
failed_backup(struct session *s, size_t n, int status, const struct world *w)
{
	char text[512];
	struct memio m;

	memio_init(&m);
	m.fail_at = n;
	m.fail_status = status;
	expect(s, engines_backup(s, &m, 2), status,
	    "backup whose call %zu failed", n);
	CHECK(m.open == 0,
	    "after call %zu failed %zu writers were neither committed nor "
	    "aborted",
	    n, m.open);
	CHECK(m.calls_after <= CALLS_AFTER,
	    "after call %zu failed it went on with %zu more calls", n,
	    m.calls_after);
	CHECK(world_same(w, text, sizeof text),
	    "after call %zu of the backup failed: %s", n, text);
	memio_clear(&m);
}

static void
out_fails(struct session *s)
{
	size_t total = count_backup_calls(s), runs = 0;
	struct world *w = world_take();
	struct memio m;

	for (size_t n = 1; n <= total; n = next_call(n, total))
		failed_backup(s, n,
		    statuses[runs++ % (sizeof statuses / sizeof statuses[0])],
		    w);
	verdict_note("%zu of %zu calls failed in turn", runs, total);
	engines_keep(s, &m); /* the source did not suffer */
	memio_clear(&m);
	world_free(w);
}

static void
backup_cancelled(struct session *s)
{
	size_t total = count_backup_calls(s);
	const size_t at[] = { 1, 2, total / 2 + 1, total };

	for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
		struct memio m;
		int64_t start;
		int status;

		if (at[i] > total)
			continue;
		memio_init(&m);
		m.fail_at = at[i];
		m.fail_status = HF_E_CANCELLED;
		m.cancel = &s->cancel;
		start = text_monotonic();
		status = engines_backup(s, &m, 2);
		expect(s, status, HF_E_CANCELLED,
		    "backup cancelled at call %zu", at[i]);
		CHECK(text_monotonic() - start < CANCEL_MS,
		    "a cancelled backup came back after %lld ms",
		    (long long)(text_monotonic() - start));
		engines_none_open(&m, "a cancelled backup");
		memio_clear(&m);
		atomic_store(&s->cancel.requested, 0);
	}
}

/* ---- restore ---- */

struct attempt {
	const char *target;
	char before[STATE_MAX];
	const char *dir;
	uint32_t flags;
};

static void
failed_restore(struct session *s, struct memio *m, const struct attempt *a,
    int status, const char *what)
{
	char after[STATE_MAX];

	expect(s, engines_restore(s, m, a->target, a->flags, 2), status,
	    "restore, %s", what);
	engines_none_open(m, what);
	/* While it is asked for, no question is answered. */
	atomic_store(&s->cancel.requested, 0);
	engines_state(s, a->dir, a->target, after);
	CHECK(strcmp(a->before, after) == 0,
	    "restore, %s: the target is not as it was", what);
	memio_reset(m);
}

static size_t
count_restore_calls(struct session *s, struct memio *m, uint64_t *bytes)
{
	char dir[TARGET_MAX], target[TARGET_MAX];
	size_t calls;

	engines_target(s, "count", dir, target);
	expect(s, engines_restore(s, m, target, 0, 2), HF_OK, "restore");
	calls = m->calls;
	*bytes = m->read;
	memio_reset(m);
	if (OPS(s)->discard != NULL)
		OPS(s)->discard(s->engine, target);
	data_remove(dir);
	return calls;
}

static void
fail_each_read(
    struct session *s, struct memio *m, const struct attempt *a, size_t calls)
{
	size_t runs = 0;
	char what[80];

	for (size_t n = 1; n <= calls; n = next_call(n, calls)) {
		m->fail_at = n;
		m->fail_status =
		    statuses[runs++ % (sizeof statuses / sizeof statuses[0])];
		(void)snprintf(
		    what, sizeof what, "call %zu of %zu failed", n, calls);
		failed_restore(s, m, a, m->fail_status, what);
	}
	verdict_note("%zu of %zu calls failed in turn", runs, calls);
}

static void
damage_each_place(
    struct session *s, struct memio *m, const struct attempt *a, uint64_t bytes)
{
	const uint64_t at[] = { 0, 1, 100, bytes / 3, bytes / 2, bytes - 1,
		bytes };
	char what[80];

	for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
		if (at[i] > bytes)
			continue;
		m->damage_at = at[i];
		(void)snprintf(what, sizeof what, "damage at byte %llu",
		    (unsigned long long)at[i]);
		failed_restore(s, m, a, HF_E_CORRUPT, what);
	}
}

static void
cancel_restore(
    struct session *s, struct memio *m, const struct attempt *a, size_t calls)
{
	const size_t at[] = { 1, calls / 2 + 1, calls };

	for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
		int64_t start = text_monotonic();

		m->fail_at = at[i] > calls ? calls : at[i];
		m->fail_status = HF_E_CANCELLED;
		m->cancel = &s->cancel;
		failed_restore(s, m, a, HF_E_CANCELLED, "cancelled");
		CHECK(text_monotonic() - start < CANCEL_MS,
		    "a cancelled restore came back after %lld ms",
		    (long long)(text_monotonic() - start));
	}
}

static void
in_fails(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX];
	struct attempt a = { .target = target, .dir = dir };
	struct memio m;
	uint64_t bytes;
	size_t calls;

	engines_keep(s, &m);
	calls = count_restore_calls(s, &m, &bytes);
	engines_target(s, "copy", dir, target);
	engines_state(s, dir, target, a.before);
	fail_each_read(s, &m, &a, calls);
	damage_each_place(s, &m, &a, bytes);
	cancel_restore(s, &m, &a, calls);
	expect(s, engines_restore(s, &m, target, 0, 2), HF_OK,
	    "restore after those that failed");
	engines_sound(s, target, &m);
	memio_clear(&m);
}

/* The same over something that is there and has to stay. */
static void
in_fails_in_place(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX];
	struct attempt a = {
		.target = target, .dir = dir, .flags = HF_RESTORE_IN_PLACE
	};
	struct memio m;
	uint64_t bytes;
	size_t calls;

	engines_keep(s, &m);
	calls = count_restore_calls(s, &m, &bytes);
	engines_target(s, "copy", dir, target);
	expect(s, engines_restore(s, &m, target, 0, 2), HF_OK, "restore");
	engines_state(s, dir, target, a.before);
	fail_each_read(s, &m, &a, calls);
	damage_each_place(s, &m, &a, bytes);
	cancel_restore(s, &m, &a, calls);
	engines_sound(s, target, &m);
	memio_clear(&m);
}

/* An object that the backup lacks is a broken backup, not an empty one. */
static void
missing_object(struct session *s)
{
	char dir[TARGET_MAX], target[TARGET_MAX];
	struct attempt a = { .target = target, .dir = dir };
	struct memio m, empty;

	engines_keep(s, &m);
	memio_init(&empty);
	engines_target(s, "copy", dir, target);
	engines_state(s, dir, target, a.before);
	failed_restore(
	    s, &empty, &a, EXPECT_FAILURE, "from a backup without objects");
	memio_clear(&empty);
	memio_clear(&m);
}

const struct conform_case cases_engine_faults[] = {
	{ "a failing sink at each call of a backup", out_fails },
	{ "a cancelled backup comes back soon", backup_cancelled },
	{ "a failing source at each call of a restore leaves no target",
	    in_fails },
	{ "a failing restore in place leaves the target as it was",
	    in_fails_in_place },
	{ "a backup without its objects is not restored", missing_object },
	{ NULL, NULL },
};
