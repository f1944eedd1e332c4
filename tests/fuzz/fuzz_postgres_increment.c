/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an increment, in pieces, on a file of any length: refused with
 * a reason, or the file is what the format says.  Any bytes as a backup_label,
 * and as a name. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "label.h"
#include "plugin/host.h"
#include "postgres.h"
#include "recover/increment.h"
#include "text.h"

#define BLOCK 1024u
#define SEGMENT 8u
#define LEN ((size_t)BLOCK * SEGMENT)

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct geometry geometry = { BLOCK, SEGMENT };

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "fuzz_postgres_increment: %s\n", what);
	abort();
}

static uint32_t
u32(const uint8_t *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof n);
	return n;
}

/* Of one that was taken: what the file must be now, read with all of it in
 * hand. */
static size_t
model(const uint8_t *data, size_t size, uint8_t file[LEN], size_t len)
{
	uint32_t n = u32(data + 4), keep = u32(data + 8), blocks;
	uint8_t out[LEN] = { 0 };

	keep = keep < SEGMENT ? keep : SEGMENT;
	blocks = keep;
	for (uint32_t b = 0; b < keep && (size_t)(b + 1) * BLOCK <= len; b++)
		memcpy(
		    out + (size_t)b * BLOCK, file + (size_t)b * BLOCK, BLOCK);
	if (n > SEGMENT || size != (n == 0 ? 12 : (size_t)(n + 1) * BLOCK))
		die("a size that is not right was taken");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t b = u32(data + 12 + (size_t)i * 4);

		if (b >= SEGMENT)
			die("a block behind the end was taken");
		memcpy(out + (size_t)b * BLOCK, data + (size_t)(i + 1) * BLOCK,
		    BLOCK);
		blocks = b >= blocks ? b + 1 : blocks;
	}
	memcpy(file, out, LEN);
	return (size_t)blocks * BLOCK;
}

static int
feed(int fd, const uint8_t *data, size_t size, size_t piece,
    struct hf_error *err)
{
	struct increment i;
	int rc = HF_OK;

	increment_init(&i, &geometry, "fuzz");
	for (size_t at = 0; at < size && rc == HF_OK; at += piece)
		rc = increment_feed(&i, fd, data + at,
		    size - at < piece ? size - at : piece, err);
	if (rc == HF_OK)
		rc = increment_end(&i, fd, err);
	increment_clear(&i);
	return rc;
}

static void
apply(const uint8_t *data, size_t size)
{
	struct hf_error err = { 0 };
	uint8_t file[LEN], now[LEN];
	size_t len, piece;
	struct stat st;
	int fd, rc;

	if (size < 2)
		return;
	len = (size_t)data[0] * 37 % (LEN + 1);
	piece = 1 + (size_t)data[1] * data[1];
	data += 2;
	size -= 2;
	for (size_t i = 0; i < LEN; i++)
		file[i] = (uint8_t)(i / BLOCK + 1);
	if ((fd = memfd_create("fuzz", MFD_CLOEXEC)) < 0 ||
	    write(fd, file, len) != (ssize_t)len)
		die("no file");
	rc = feed(fd, data, size, piece, &err);
	if ((rc < HF_OK) != (err.cause[0] != '\0'))
		die("refused without a reason");
	if (fstat(fd, &st) != 0 || (size_t)st.st_size > LEN)
		die("a file that is too long");
	if (rc == HF_OK) {
		len = model(data, size, file, len);
		if ((size_t)st.st_size != len ||
		    pread(fd, now, LEN, 0) != (ssize_t)len ||
		    memcmp(now, file, len) != 0)
			die("the file is not what the format says");
	}
	(void)close(fd);
}

static void
label(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct text plain = { 0 };
	struct label l, again;

	if (text == NULL)
		die("no memory");
	memcpy(text, data, size);
	text[size] = '\0';
	label_plain(text, &plain);
	if (label_parse(text, &l, NULL) == HF_OK) {
		if (label_parse(text_get(&plain), &again, NULL) != HF_OK ||
		    again.from != 0 || again.start != l.start)
			die("a label that is another one without its lines");
	}
	text_free(&plain);
	increment_strip(text);
	increment_name(&plain, text);
	if (text[0] != '\0' && text[strlen(text) - 1] != '/' &&
	    !increment_is(text_get(&plain)))
		die("a name that has no mark");
	text_free(&plain);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	H = &host_table;
	apply(data, size);
	label(data, size);
	return 0;
}
