/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/chainkit.h"

#include "support/memout.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE_PREFIX "pg_tblspc/" CHAINKIT_SPACE "/"
#define CONTROL 8192

static uint32_t
crc32c_slowly(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static void say(struct chainkit *, const char *, ...) HF_PRINTF(2, 3);

static void
say(struct chainkit *c, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (c->cap - c->len < 512) {
		c->cap = c->cap * 2 + 4096;
		if ((c->manifest = realloc(c->manifest, c->cap)) == NULL)
			abort();
	}
	va_start(ap, fmt);
	n = vsnprintf(c->manifest + c->len, c->cap - c->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= c->cap - c->len)
		abort();
	c->len += (size_t)n;
}

const char *
chainkit_start(size_t link, char text[24])
{
	(void)snprintf(text, 24, "0/%zX000028", 2 * link + 2);
	return text;
}

void
chainkit_free(struct chainkit *c)
{
	for (size_t i = 0; i < c->n; i++)
		memout_free(c->links[i]);
	tarkit_free(&c->base);
	tarkit_free(&c->space);
	free(c->manifest);
	*c = (struct chainkit){ 0 };
}

static void
set_facts(struct chainkit *c)
{
	struct memout *m = c->links[c->n];
	char text[24];

	memout_set_fact(m, "mode", "physical");
	memout_set_fact(m, "system_identifier", CHAINKIT_SYSTEM);
	memout_set_fact(m, "server_version", "170005");
	memout_set_fact(m, "timeline", "1");
	memout_set_fact(m, "wal_segment_size", "16777216");
	memout_set_fact(m, "wal", "included");
	memout_set_fact(m, "stop_time", "1795000000");
	memout_set_fact(m, "start_lsn", chainkit_start(c->n, text));
	memout_set_fact(m, "stop_lsn", chainkit_start(c->n, text));
	if (c->n == 0)
		return;
	memout_set_fact(m, "incremental_from", chainkit_start(c->n - 1, text));
	memout_set_fact(m, "incremental_from_timeline", "1");
}

static void
add_label(struct chainkit *c)
{
	char label[512], start[24], from[24];
	int n = snprintf(label, sizeof label,
	    "START WAL LOCATION: %s (file 000000010000000000000002)\n"
	    "CHECKPOINT LOCATION: 0/2000080\nBACKUP METHOD: streamed\n"
	    "BACKUP FROM: primary\nLABEL: link %zu\nSTART TIMELINE: 1\n",
	    chainkit_start(c->n, start), c->n);

	if (c->label != NULL)
		n = snprintf(label, sizeof label, "%s", c->label);
	else if (c->n > 0)
		n += snprintf(label + n, sizeof label - (size_t)n,
		    "INCREMENTAL FROM LSN: %s\nINCREMENTAL FROM TLI: 1\n",
		    chainkit_start(c->n - 1, from));
	chainkit_file(c, "backup_label", label, (size_t)n);
}

void
chainkit_link(struct chainkit *c)
{
	static const char *const folders[] = { "base", "base/5", "global",
		"pg_wal", "pg_tblspc" };

	if (c->n == CHAINKIT_MAX || (c->links[c->n] = memout_new()) == NULL)
		abort();
	set_facts(c);
	c->has_space = false;
	c->len = 0;
	say(c, "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
	       "\"System-Identifier\": " CHAINKIT_SYSTEM ",\n\"Files\": [");
	add_label(c);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		tarkit_add(&c->base, folders[i], TARKIT_FOLDER, NULL, NULL, 0);
	chainkit_file(c, "PG_VERSION", "17\n", 3);
}

void
chainkit_space(struct chainkit *c)
{
	if (c->has_space)
		return;
	c->has_space = true;
	memout_set_fact(
	    c->links[c->n], "tablespace." CHAINKIT_SPACE, "/nowhere/space");
	tarkit_add(&c->space, "PG_17", TARKIT_FOLDER, NULL, NULL, 0);
}

void
chainkit_stored(
    struct chainkit *c, const char *path, const void *bytes, size_t len)
{
	size_t n = sizeof SPACE_PREFIX - 1;

	if (strncmp(path, SPACE_PREFIX, n) == 0) {
		chainkit_space(c);
		tarkit_add(&c->space, path + n, TARKIT_FILE, NULL, bytes, len);
	} else {
		tarkit_add(&c->base, path, TARKIT_FILE, NULL, bytes, len);
	}
}

void
chainkit_listed(
    struct chainkit *c, const char *path, const void *bytes, size_t len)
{
	uint32_t crc = crc32c_slowly(bytes, len);

	say(c,
	    "%s\n{ \"Path\": \"%s\", \"Size\": %zu, \"Last-Modified\": "
	    "\"2026-11-21 12:00:%02zu GMT\", \"Checksum-Algorithm\": "
	    "\"CRC32C\", \"Checksum\": \"%02x%02x%02x%02x\" }",
	    c->manifest[c->len - 1] == '[' ? "" : ",", path, len, c->n,
	    crc & 0xff, crc >> 8 & 0xff, crc >> 16 & 0xff, crc >> 24);
}

void
chainkit_file(
    struct chainkit *c, const char *path, const void *bytes, size_t len)
{
	chainkit_stored(c, path, bytes, len);
	chainkit_listed(c, path, bytes, len);
}

size_t
chainkit_encode(unsigned char *out, uint32_t keep, uint32_t n,
    const uint32_t *numbers, const void *blocks)
{
	const uint32_t head[3] = { 0xd3ae1f0d, n, keep };

	memset(out, 0, CHAINKIT_ENCODED);
	memcpy(out, head, sizeof head);
	if (n == 0)
		return sizeof head;
	memcpy(out + sizeof head, numbers, n * sizeof *numbers);
	memcpy(out + CHAINKIT_BLOCK, blocks, (size_t)n * CHAINKIT_BLOCK);
	return (size_t)(n + 1) * CHAINKIT_BLOCK;
}

void
chainkit_increment(struct chainkit *c, const char *path, uint32_t keep,
    uint32_t n, const uint32_t *numbers, const void *blocks)
{
	unsigned char bytes[CHAINKIT_ENCODED];
	size_t len = chainkit_encode(bytes, keep, n, numbers, blocks);
	const char *name = strrchr(path, '/') + 1;
	char full[256];

	(void)snprintf(full, sizeof full, "%.*sINCREMENTAL.%s",
	    (int)(name - path), path, name);
	chainkit_file(c, full, bytes, len);
}

static void
add_control(struct chainkit *c)
{
	unsigned char bytes[CONTROL] = { 0 };
	uint64_t system = strtoull(CHAINKIT_SYSTEM, NULL, 10);
	const struct {
		size_t at;
		uint32_t value;
	} fields[] = { { 8, 1700 }, { 204, 8 }, { 216, CHAINKIT_BLOCK },
		{ 220, CHAINKIT_SEGMENT }, { 228, 16 << 20 } };
	uint32_t crc;

	memcpy(bytes, &system, sizeof system);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		memcpy(bytes + fields[i].at, &fields[i].value, 4);
	crc = crc32c_slowly(bytes, 288);
	memcpy(bytes + 288, &crc, sizeof crc);
	chainkit_file(c, "global/pg_control", bytes, sizeof bytes);
}

void
chainkit_done(struct chainkit *c)
{
	static const char map[] = CHAINKIT_SPACE " /nowhere/space\n";
	struct memout *m = c->links[c->n];

	if (c->has_space)
		chainkit_file(c, "tablespace_map", map, sizeof map - 1);
	add_control(c);
	tarkit_end(&c->base);
	memout_add(m, "base.tar", c->base.bytes, c->base.len);
	tarkit_free(&c->base);
	if (c->has_space) {
		tarkit_end(&c->space);
		memout_add(
		    m, CHAINKIT_SPACE ".tar", c->space.bytes, c->space.len);
	}
	tarkit_free(&c->space);
	say(c, "\n],\n\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": "
	       "\"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n"
	       "\"Manifest-Checksum\": \"00\"}\n");
	memout_add(m, "backup_manifest", c->manifest, c->len);
	c->n++;
}
