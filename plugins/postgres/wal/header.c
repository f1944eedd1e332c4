/* SPDX-License-Identifier: BSD-2-Clause */
#include "segment.h"

#include "page.h"
#include "postgres.h"

#include <inttypes.h>

/* All magics of the servers that are known, and of some that will be. */
#define MAGIC_OLDEST 0xD106 /* 13 */
#define MAGIC_END 0xE000
#define MAGIC_NEWEST 0xD118 /* 18; what later ones add is let through */

bool
page_magic_known(uint16_t magic)
{
	return magic >= MAGIC_OLDEST && magic < MAGIC_END;
}

bool
page_odd(uint16_t magic, uint16_t info)
{
	return magic <= MAGIC_NEWEST && (info & ~PAGE_KNOWN) != 0;
}

bool
page_block_size_valid(uint32_t size)
{
	return size >= 1024 && size <= 65536 && (size & (size - 1)) == 0;
}

int
segment_header_why(
    const void *data, size_t len, struct segment_header *h, char why[WHY_MAX])
{
	const uint8_t *p = data;
	uint16_t info;

	if (len < PAGE_LONG_HEADER)
		return why_say(
		    why, HF_E_CORRUPT, "it is shorter than its header");
	info = get16(p + 2);
	h->magic = get16(p);
	h->timeline = get32(p + 4);
	h->address = get64(p + 8);
	h->system_identifier = get64(p + 24);
	h->segment_size = get32(p + 32);
	h->block_size = get32(p + 36);
	if (h->magic == 0 && h->address == 0 && h->system_identifier == 0)
		return why_say(why, HF_E_CORRUPT, "it begins with zeros");
	if (page_magic_known((uint16_t)(h->magic >> 8 | h->magic << 8)) &&
	    !page_magic_known(h->magic))
		return why_say(why, HF_E_UNSUPPORTED,
		    "it was written on a big-endian machine");
	if (!page_magic_known(h->magic))
		return why_say(why, HF_E_CORRUPT,
		    "it is no WAL of PostgreSQL 13 or later: its magic number "
		    "is %04" PRIX16,
		    h->magic);
	if (page_odd(h->magic, info))
		return why_say(
		    why, HF_E_CORRUPT, "its header has unknown flags");
	if ((info & PAGE_LONG) == 0)
		return why_say(
		    why, HF_E_CORRUPT, "its first page has no long header");
	if (!wal_segment_size_valid(h->segment_size) ||
	    !page_block_size_valid(h->block_size))
		return why_say(
		    why, HF_E_CORRUPT, "its header has impossible sizes");
	if (h->address % h->segment_size != 0)
		return why_say(why, HF_E_CORRUPT,
		    "its header has the address of no segment");
	if (h->timeline == 0 || h->system_identifier == 0)
		return why_say(why, HF_E_CORRUPT,
		    "its header has no timeline or no system");
	return HF_OK;
}

int
segment_header(const void *data, size_t len, const char *file,
    struct segment_header *h, struct hf_error *err)
{
	char why[WHY_MAX];
	int rc = segment_header_why(data, len, h, why);

	return rc == HF_OK ? HF_OK : H->fail(err, rc, "%s: %s", file, why);
}

int
segment_header_fits(const struct segment_header *h, uint64_t system,
    const struct wal_name *name, char why[WHY_MAX])
{
	char address[LSN_TEXT_MAX];

	if (system != 0 && h->system_identifier != system)
		return why_say(why, HF_E_CORRUPT,
		    "it belongs to another server: system identifier %" PRIu64
		    " instead of %" PRIu64,
		    h->system_identifier, system);
	if (h->address / h->segment_size != name->segno)
		return why_say(why, HF_E_CORRUPT,
		    "it has the content of another segment, which begins at %s",
		    lsn_text(h->address, address));
	/* The first segment of a timeline begins as its parent's did. */
	if (h->timeline > name->timeline)
		return why_say(why, HF_E_CORRUPT,
		    "it has the content of another timeline, %" PRIu32,
		    h->timeline);
	return HF_OK;
}
