/* SPDX-License-Identifier: BSD-2-Clause */
/* What people write and read: sizes, durations, moments, names. */
#ifndef HF_BASE_TEXT_H
#define HF_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "16MiB", "1.5GiB", "4096", "10kB": B, kB, MB, GB, TB (1000), KiB, MiB, GiB,
 * TiB (1024).  False when it is not such a text or does not fit. */
bool text_parse_size(const char *, int64_t *bytes);

/* "90s", "10m", "26h", "7d", "2w", "250ms", and sums: "1h30m".  A number
 * without a unit is refused. */
bool text_parse_duration(const char *, int64_t *ms);

/* A point in time: "2026-11-21T02:15:00Z", "... 02:15:00+01:00", "+01" or
 * " UTC" as PostgreSQL writes it, with or without seconds and fractions;
 * without a zone it is local time; a date alone is its first moment.  Unix
 * milliseconds. */
bool text_parse_time(const char *, int64_t *ms);
bool text_parse_time_us(const char *, int64_t *us); /* microseconds */

/* Fixed room for the texts below. */
struct text_small {
	char s[40];
};
struct text_small text_size(uint64_t bytes);    /* "9.8 MiB" */
struct text_small text_duration(int64_t ms);    /* "3.1s", "4m12s" */
struct text_small text_utc(int64_t ms);         /* "2026-11-21T02:15:00Z" */
struct text_small text_utc_compact(int64_t ms); /* "20261121T021500Z" */
struct text_small text_utc_us(int64_t us);      /* "2026-...:00.123456Z" */

/* Wall clock and monotonic clock, milliseconds. */
int64_t text_now(void);
int64_t text_monotonic(void);

/* Lower-case hex of n bytes; out has room for 2n + 1. */
void text_hex(const void *, size_t n, char *out);

/* n random bytes as hex (getrandom). */
void text_random_hex(size_t n, char *out);

/* The candidate nearest to what was typed, or NULL when none is near
 * enough to suggest.  NULL ends the candidates. */
const char *text_nearest(const char *typed, const char *const *candidates);

/* printf into new memory; NULL without memory.  The caller frees. */
char *text_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A word for a shell, quoted when it has to be; the caller frees, NULL: no
 * memory. */
char *text_quote(const char *);

#endif
