/* SPDX-License-Identifier: BSD-2-Clause */
#include "retention.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config/config.h"

static void
keep(struct retention_item *item, const char *why)
{
	size_t len = strlen(item->why);

	item->keep = true;
	(void)snprintf(item->why + len, sizeof item->why - len, "%s%s",
	    len == 0 ? "" : ", ", why);
}

/* A period as a text, so that two backups of one have the same: %G and %V are
 * the year and the week of ISO 8601. */
struct rule {
	const char *name, *format;
	int64_t count;
};

static bool
period(const struct rule *rule, int64_t at_ms, char *buf, size_t cap)
{
	time_t s = (time_t)(at_ms / 1000);
	struct tm tm;

	return localtime_r(&s, &tm) != NULL &&
	       strftime(buf, cap, rule->format, &tm) > 0;
}

static void
apply_rule(const struct rule *rule, struct retention_item *items, size_t n)
{
	char last[32] = "", now[32], why[64];
	int64_t left = rule->count;

	for (size_t i = n; i > 0 && left > 0; i--) {
		struct retention_item *item = &items[i - 1];

		if (item->failed || item->unknown ||
		    !period(rule, item->at_ms, now, sizeof now) ||
		    strcmp(now, last) == 0)
			continue;
		(void)snprintf(last, sizeof last, "%s", now);
		(void)snprintf(why, sizeof why, "%s %s", rule->name, now);
		keep(item, why);
		left--;
	}
}

static void
apply_last(int64_t count, struct retention_item *items, size_t n)
{
	char why[32];
	int64_t kept = 0;

	for (size_t i = n; i > 0 && kept < count; i--) {
		if (items[i - 1].failed || items[i - 1].unknown)
			continue;
		(void)snprintf(why, sizeof why, "last %lld", (long long)++kept);
		keep(&items[i - 1], why);
	}
}

/* A damaged one may still be the best there is of its time: it stays for as
 * long as nothing newer is known to be good. */
static void
apply_damaged(struct retention_item *items, size_t n)
{
	for (size_t i = n; i > 0 && !items[i - 1].proven; i--)
		if (items[i - 1].failed)
			keep(&items[i - 1], "no newer one is proven");
	for (size_t i = 0; i < n; i++)
		if (items[i].unknown)
			keep(&items[i], "its manifest cannot be read");
}

/* What rules keep instead may not be checked yet, and turn out bad. */
static void
apply_newest(struct retention_item *items, size_t n)
{
	while (n > 0 && !items[n - 1].proven)
		n--;
	if (n > 0 && !items[n - 1].keep)
		keep(&items[n - 1], "the newest that is proven");
}

static size_t
count_proven(const struct retention_item *items, size_t n, bool kept)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += items[i].proven && (!kept || items[i].keep);
	return found;
}

static void
apply_min(int64_t min, struct retention_item *items, size_t n)
{
	size_t wanted = (size_t)min, have;
	char why[64];

	(void)snprintf(why, sizeof why, "min_keep %zu", wanted);
	if (count_proven(items, n, false) < wanted) {
		for (size_t i = 0; i < n; i++)
			if (!items[i].keep)
				keep(&items[i], "fewer than min_keep are "
						"proven");
		return;
	}
	have = count_proven(items, n, true);
	for (size_t i = n; i > 0 && have < wanted; i--)
		if (items[i - 1].proven && !items[i - 1].keep) {
			keep(&items[i - 1], why);
			have++;
		}
}

/* Children are newer than their parents, so one pass from the newest on is
 * enough, but for two of one second, which stand in any order. */
static void
apply_parents(struct retention_item *items, size_t n)
{
	for (bool more = true; more;) {
		more = false;
		for (size_t i = n; i > 0; i--) {
			ptrdiff_t parent = items[i - 1].parent;

			if (!items[i - 1].keep || parent < 0 ||
			    (size_t)parent >= n || items[parent].keep)
				continue;
			keep(&items[parent], "needed by a later one");
			more = true;
		}
	}
}

size_t
retention_apply(const struct config_retention *r, struct retention_item *items,
    size_t n, int64_t now_ms)
{
	const struct rule rules[] = {
		{ "hourly", "%Y-%m-%dT%H", r->hourly },
		{ "daily", "%Y-%m-%d", r->daily },
		{ "weekly", "%G-W%V", r->weekly },
		{ "monthly", "%Y-%m", r->monthly },
		{ "yearly", "%Y", r->yearly },
	};
	bool any = r->last > 0 || r->within_ms > 0;
	size_t removed = 0;

	for (size_t i = 0; i < n; i++) {
		items[i].keep = false;
		items[i].why[0] = '\0';
	}
	apply_last(r->last, items, n);
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		any = any || rules[i].count > 0;
		apply_rule(&rules[i], items, n);
	}
	for (size_t i = 0; i < n && r->within_ms > 0; i++)
		if (now_ms - items[i].at_ms <= r->within_ms)
			keep(&items[i], "within");
	for (size_t i = 0; i < n && !any; i++)
		keep(&items[i], "no rule");
	apply_damaged(items, n);
	apply_newest(items, n);
	apply_min(r->min_keep, items, n);
	apply_parents(items, n);
	for (size_t i = 0; i < n; i++)
		removed += !items[i].keep;
	return removed;
}

size_t
retention_whole(const struct config_retention *r,
    const struct retention_item *items, const int64_t *ended_ms, size_t n,
    int64_t now_ms)
{
	size_t kept = 0, whole = 0;

	for (size_t i = 0; i < n; i++) {
		if (!items[i].keep)
			continue;
		if (r->wal_ms > 0 && !items[i].failed && !items[i].unknown &&
		    ended_ms[i] <= now_ms - r->wal_ms)
			whole = kept;
		kept++;
	}
	return whole;
}
