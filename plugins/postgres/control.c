/* SPDX-License-Identifier: BSD-2-Clause */
#include "control.h"

#include "crc32c.h"
#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE 8192 /* the rest behind the structure is zero */

/* Where ControlFileData of 13 to 18 has its fields, as 64-bit systems align
 * them.  Its numbers are in the server's byte order, which must be ours: data
 * directories do not move between the two either. */
enum {
	SYSTEM_IDENTIFIER = 0,
	VERSION = 8,
	CATALOG = 12,
	STATE = 16,
	CHECKPOINT = 32,
	REDO = 40, /* here begins the copy of the checkpoint */
	TIMELINE = 48,
	MAX_ALIGN = 204,
	BLOCK_SIZE = 216,
	SEGMENT_BLOCKS = 220,
	SEGMENT_SIZE = 228,
	CHECKSUM_VERSION = 252,
	END = 296
};

/* DBState */
#define SHUTDOWNED 1
#define SHUTDOWNED_IN_RECOVERY 2

/* Where the CRC of all that stands before it is.  18 put
 * default_char_signedness before the nonce, and the CRC moved. */
static const struct {
	uint32_t version;
	size_t crc;
} layouts[] = {
	{ 1300, 288 }, /* 13 to 16 */
	{ 1700, 288 },
	{ 1800, 292 },
};

static uint32_t
u32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t
u64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static size_t
crc_offset(uint32_t version)
{
	for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
		if (layouts[i].version == version)
			return layouts[i].crc;
	return 0;
}

int
control_parse(const void *buf, size_t len, const char *name, struct control *c,
    struct hf_error *err)
{
	const unsigned char *p = buf;
	size_t crc;

	memset(c, 0, sizeof *c);
	if (len < END)
		return H->fail(err, HF_E_CORRUPT,
		    "%s: %zu bytes are no pg_control", name, len);
	if ((crc = crc_offset(u32(p + VERSION))) == 0)
		return postgres_fail_hint(err, HF_E_UNSUPPORTED,
		    "Servers 13 to 18 of this machine's byte order are known.",
		    "%s: pg_control of the unknown version %u", name,
		    u32(p + VERSION));
	if (crc32c(0, p, crc) != u32(p + crc))
		return H->fail(err, HF_E_CORRUPT,
		    "%s: pg_control is damaged (its CRC does not fit)", name);
	c->system_identifier = u64(p + SYSTEM_IDENTIFIER);
	c->version = u32(p + VERSION);
	c->catalog = u32(p + CATALOG);
	c->shut_down = u32(p + STATE) == SHUTDOWNED ||
		       u32(p + STATE) == SHUTDOWNED_IN_RECOVERY;
	c->checkpoint = u64(p + CHECKPOINT);
	c->redo = u64(p + REDO);
	c->timeline = u32(p + TIMELINE);
	c->block_size = u32(p + BLOCK_SIZE);
	c->segment_blocks = u32(p + SEGMENT_BLOCKS);
	c->wal_segment_size = u32(p + SEGMENT_SIZE);
	c->data_checksums = u32(p + CHECKSUM_VERSION) != 0;
	if (u32(p + MAX_ALIGN) != 8)
		return H->fail(err, HF_E_UNSUPPORTED,
		    "%s: pg_control of a 32-bit server", name);
	return HF_OK;
}

static int
read_all(int fd, unsigned char *buf, size_t cap, size_t *len)
{
	ssize_t n;

	*len = 0;
	while (*len < cap) {
		n = read(fd, buf + *len, cap - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return 0;
}

int
control_read(const char *datadir, struct control *c, struct hf_error *err)
{
	unsigned char buf[FILE_SIZE];
	char path[4096];
	size_t len;
	int fd, rc;

	rc = snprintf(path, sizeof path, "%s/global/pg_control", datadir);
	if (rc < 0 || (size_t)rc >= sizeof path)
		return H->fail(err, HF_E_INVALID, "%s: too long", datadir);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return H->fail_errno(err, errno, "%s", path);
	if (read_all(fd, buf, sizeof buf, &len) == -1)
		rc = H->fail_errno(err, errno, "reading %s", path);
	else
		rc = control_parse(buf, len, path, c, err);
	(void)close(fd);
	return rc;
}
