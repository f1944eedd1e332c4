/* SPDX-License-Identifier: BSD-2-Clause */
#include "needs.h"

#include "base/base.h"
#include "postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool
needs_any(struct hf_in *backup)
{
	const char *mode = H->in_fact(backup, BASE_FACT_MODE);

	return mode != NULL && strcmp(mode, "physical") == 0;
}

static bool
number(struct hf_in *in, const char *fact, uint64_t max, uint64_t *value)
{
	const char *s = H->in_fact(in, fact);
	uint64_t digit;

	*value = 0;
	if (s == NULL || *s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		digit = (uint64_t)(*s - '0');
		if (*s < '0' || *s > '9' || *value > (max - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	return true;
}

static bool
position(struct hf_in *in, const char *fact, lsn_t *lsn)
{
	const char *s = H->in_fact(in, fact);

	return s != NULL && lsn_parse(s, lsn) && *lsn != 0;
}

int
needs_read(struct hf_in *in, struct needs *n, struct hf_error *err)
{
	const char *wal = H->in_fact(in, BASE_FACT_WAL);
	uint64_t size, start_timeline, timeline, stopped;
	const char *missing = NULL;

	*n = (struct needs){ .backup = in };
	if (!number(in, BASE_FACT_SYSTEM, UINT64_MAX, &n->system) ||
	    n->system == 0)
		missing = BASE_FACT_SYSTEM;
	else if (!number(in, BASE_FACT_SEGMENT_SIZE, UINT32_MAX, &size) ||
		 !wal_segment_size_valid(size))
		missing = BASE_FACT_SEGMENT_SIZE;
	else if (!number(in, BASE_FACT_TIMELINE, UINT32_MAX, &start_timeline) ||
		 start_timeline == 0)
		missing = BASE_FACT_TIMELINE;
	else if (!position(in, BASE_FACT_START, &n->start))
		missing = BASE_FACT_START;
	else if (!position(in, BASE_FACT_STOP, &n->stop) || n->stop < n->start)
		missing = BASE_FACT_STOP;
	else if (!number(
		     in, BASE_FACT_STOPPED, INT32_MAX * UINT64_C(4), &stopped))
		missing = BASE_FACT_STOPPED;
	if (missing != NULL)
		return H->fail(err, HF_E_CORRUPT,
		    "the backup does not say its %s", missing);
	if (!number(in, BASE_FACT_STOP_TIMELINE, UINT32_MAX, &timeline) ||
	    timeline == 0)
		timeline = start_timeline;
	n->segment_size = (uint32_t)size;
	n->start_timeline = (uint32_t)start_timeline;
	n->timeline = (uint32_t)timeline;
	n->stop_time = (int64_t)stopped;
	n->included = wal != NULL && strcmp(wal, "included") == 0;
	return HF_OK;
}

int
needs_read_all(struct hf_in *const *backups, size_t count, struct needs **out,
    size_t *n, struct hf_error *err)
{
	struct needs *all;
	int rc;

	*out = NULL;
	*n = 0;
	if ((all = calloc(count + 1, sizeof *all)) == NULL)
		return postgres_nomem(err);
	for (size_t i = 0; i < count; i++) {
		if (!needs_any(backups[i]))
			continue;
		if ((rc = needs_read(backups[i], &all[*n], err)) != HF_OK) {
			free(all);
			return rc;
		}
		(*n)++;
	}
	*out = all;
	return HF_OK;
}

int
archives_get(struct archives *s, const struct needs *n, struct archive **out,
    struct hf_error *err)
{
	struct archive **more;
	int rc;

	for (size_t i = 0; i < s->n; i++)
		if (archive_system(s->list[i]) == n->system) {
			*out = s->list[i];
			return HF_OK;
		}
	if ((more = realloc(s->list, (s->n + 1) * sizeof *more)) == NULL)
		return postgres_nomem(err);
	s->list = more;
	rc = archive_load(s->log, n->system, n->segment_size, out, err);
	if (rc == HF_OK)
		s->list[s->n++] = *out;
	return rc;
}

void
archives_clear(struct archives *s)
{
	for (size_t i = 0; i < s->n; i++)
		archive_free(s->list[i]);
	free(s->list);
	s->list = NULL;
	s->n = 0;
}

const char *
needs_time(int64_t us, char out[NEEDS_TIME_MAX])
{
	int64_t rest = us % 1000000;
	time_t t = (time_t)(us / 1000000);
	struct tm tm;
	size_t n;

	if (rest < 0) {
		rest += 1000000;
		t--;
	}
	if (gmtime_r(&t, &tm) == NULL || (n = strftime(out, NEEDS_TIME_MAX - 8,
					      "%Y-%m-%dT%H:%M:%S", &tm)) == 0) {
		(void)snprintf(out, NEEDS_TIME_MAX, "?");
		return out;
	}
	if (rest != 0)
		(void)snprintf(
		    out + n, NEEDS_TIME_MAX - n, ".%06dZ", (int)rest);
	else
		(void)snprintf(out + n, NEEDS_TIME_MAX - n, "Z");
	return out;
}
