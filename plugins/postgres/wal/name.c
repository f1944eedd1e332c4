/* SPDX-License-Identifier: BSD-2-Clause */
#include "name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_SUFFIX ".history"
#define PARTIAL_SUFFIX ".partial"
#define BACKUP_SUFFIX ".backup"
#define PIECE_INFIX ".from-"

/* A segment's name is its timeline and the two halves of its LSN's number. */
#define SEGMENT_DIGITS 24

bool
wal_segment_size_valid(uint64_t size)
{
	return size >= 1u << 20 && size <= 1u << 30 && (size & (size - 1)) == 0;
}

static uint64_t
per_xlogid(uint32_t segment_size)
{
	return (UINT64_C(1) << 32) / segment_size;
}

/* Exactly eight digits, upper case as the server writes them. */
static bool
hex8(const char *s, uint32_t *value)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *d;
	uint32_t v = 0;

	for (int i = 0; i < 8; i++) {
		if (s[i] == '\0' || (d = strchr(digits, s[i])) == NULL)
			return false;
		v = v << 4 | (uint32_t)(d - digits);
	}
	*value = v;
	return true;
}

/* What stands behind a segment's digits. */
static bool
parse_suffix(const char *s, uint32_t segment_size, struct wal_name *out)
{
	size_t infix = strlen(PIECE_INFIX);

	if (*s == '\0') {
		out->kind = WAL_SEGMENT;
	} else if (strcmp(s, PARTIAL_SUFFIX) == 0) {
		out->kind = WAL_PARTIAL;
	} else if (strncmp(s, PIECE_INFIX, infix) == 0) {
		out->kind = WAL_PIECE;
		return hex8(s + infix, &out->offset) && s[infix + 8] == '\0' &&
		       out->offset < segment_size;
	} else if (*s == '.' && hex8(s + 1, &out->offset)) {
		out->kind = WAL_BACKUP;
		return strcmp(s + 9, BACKUP_SUFFIX) == 0 &&
		       out->offset < segment_size;
	} else {
		return false;
	}
	return true;
}

bool
wal_name_parse(const char *file, uint32_t segment_size, struct wal_name *out)
{
	uint32_t high, low;

	memset(out, 0, sizeof *out);
	if (!hex8(file, &out->timeline) || out->timeline == 0)
		return false;
	if (strcmp(file + 8, HISTORY_SUFFIX) == 0) {
		out->kind = WAL_HISTORY;
		return true;
	}
	if (!wal_segment_size_valid(segment_size) || !hex8(file + 8, &high) ||
	    !hex8(file + 16, &low) || low >= per_xlogid(segment_size))
		return false;
	out->segno = high * per_xlogid(segment_size) + low;
	return parse_suffix(file + SEGMENT_DIGITS, segment_size, out);
}

void
wal_name_file(
    const struct wal_name *n, uint32_t segment_size, char out[WAL_FILE_MAX])
{
	char segment[SEGMENT_DIGITS + 1];
	uint32_t high = 0, low = 0;

	if (wal_segment_size_valid(segment_size)) {
		high = (uint32_t)(n->segno / per_xlogid(segment_size));
		low = (uint32_t)(n->segno % per_xlogid(segment_size));
	}
	(void)snprintf(segment, sizeof segment,
	    "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, n->timeline, high, low);
	switch (n->kind) {
	case WAL_SEGMENT:
		(void)snprintf(out, WAL_FILE_MAX, "%s", segment);
		break;
	case WAL_PARTIAL:
		(void)snprintf(out, WAL_FILE_MAX, "%s" PARTIAL_SUFFIX, segment);
		break;
	case WAL_HISTORY:
		(void)snprintf(out, WAL_FILE_MAX, "%08" PRIX32 HISTORY_SUFFIX,
		    n->timeline);
		break;
	case WAL_BACKUP:
		(void)snprintf(out, WAL_FILE_MAX, "%s.%08" PRIX32 BACKUP_SUFFIX,
		    segment, n->offset);
		break;
	case WAL_PIECE:
		(void)snprintf(out, WAL_FILE_MAX, "%s" PIECE_INFIX "%08" PRIX32,
		    segment, n->offset);
		break;
	}
}

void
wal_name_log(const struct wal_name *n, uint64_t system, uint32_t segment_size,
    char out[WAL_LOG_MAX])
{
	char file[WAL_FILE_MAX];

	wal_name_file(n, segment_size, file);
	(void)snprintf(out, WAL_LOG_MAX, "%" PRIu64 "/%08" PRIX32 "/%s", system,
	    n->timeline, file);
}

/* Decimal without leading zeros; what stands behind it, or NULL. */
static const char *
parse_system(const char *s, uint64_t *system)
{
	uint64_t v = 0, digit;

	if (*s < '1' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		digit = (uint64_t)(*s - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return NULL;
		v = v * 10 + digit;
	}
	*system = v;
	return s;
}

bool
wal_name_of_log(const char *name, uint32_t segment_size, uint64_t *system,
    struct wal_name *out)
{
	const char *s = parse_system(name, system);
	uint32_t timeline;

	return s != NULL && *s == '/' && hex8(s + 1, &timeline) &&
	       s[9] == '/' && wal_name_parse(s + 10, segment_size, out) &&
	       out->timeline == timeline;
}

/* 1 to 8 digits of either case; what stands behind them, or NULL. */
static const char *
parse_half(const char *s, uint32_t *value)
{
	size_t n = strspn(s, "0123456789abcdefABCDEF");

	if (n < 1 || n > 8)
		return NULL;
	*value = (uint32_t)strtoul(s, NULL, 16);
	return s + n;
}

bool
lsn_parse(const char *s, lsn_t *lsn)
{
	uint32_t high, low;

	if ((s = parse_half(s, &high)) == NULL || *s != '/' ||
	    (s = parse_half(s + 1, &low)) == NULL || *s != '\0')
		return false;
	*lsn = (lsn_t)high << 32 | low;
	return true;
}

const char *
lsn_text(lsn_t lsn, char out[LSN_TEXT_MAX])
{
	(void)snprintf(out, LSN_TEXT_MAX, "%" PRIX32 "/%" PRIX32,
	    (uint32_t)(lsn >> 32), (uint32_t)lsn);
	return out;
}
