/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as what a filter wrote, and as what it is to write.  The first two
 * say in which pieces they come and are taken. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/plugin.h>

#include "base/buf.h"
#include "plugin/host.h"
#include "plugin/options.h"

/* Some bytes can become gigabytes. */
#define OUTPUT_MAX ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
const struct hf_plugin *hf_plugin_v1(const struct hf_host *);

static const struct hf_plugin *plugin;
static struct hf_filter *filter;

static void
open_filter(void)
{
	struct options_input in = { .resolve = true };
	struct options *options = NULL;
	json_t *none = json_object();

	plugin = hf_plugin_v1(&host_table);
	in.table = plugin->options;
	in.stride = plugin->option_size;
	in.conf_size = plugin->conf_size;
	in.object = none;
	if (options_parse(&in, &options, NULL, NULL, NULL) != HF_OK ||
	    plugin->filter->open(NULL, options_conf(options), &filter, NULL) !=
		HF_OK)
		abort();
	options_free(options);
	json_decref(none);
}

/* One stream.  Each step moves something, and fails only as it may. */
static int
transform(bool decode, const uint8_t *src, size_t len, size_t in_piece,
    size_t out_piece, struct buf *dst)
{
	struct hf_step s = { .struct_size = sizeof s };
	struct hf_xform *x = NULL;
	uint8_t room[4096];
	int rc = HF_OK;

	if (plugin->filter->begin(filter, decode, "o", &x, NULL) != HF_OK)
		abort();
	while (rc == HF_OK && dst->len < OUTPUT_MAX) {
		s.src = src;
		s.src_len = len < in_piece ? len : in_piece;
		s.dst = room;
		s.dst_cap = out_piece;
		s.last = s.src_len == len;
		rc = plugin->filter->step(x, &s, NULL);
		if (rc < HF_OK)
			break;
		if (s.src_used > s.src_len || s.dst_len > s.dst_cap)
			abort();
		if (s.src_used == 0 && s.dst_len == 0 && s.src_len > 0)
			abort();
		src += s.src_used;
		len -= s.src_used;
		if (buf_append(dst, room, s.dst_len, NULL) != HF_OK)
			abort();
	}
	plugin->filter->end(x);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf there = BUF_INIT, back = BUF_INIT;
	size_t in, out;
	int rc;

	if (filter == NULL)
		open_filter();
	if (size < 2)
		return 0;
	in = 1 + (size_t)data[0] * data[0];
	out = 1 + (size_t)data[1] * 16;
	data += 2;
	size -= 2;
	rc = transform(true, data, size, in, out, &back);
	if (rc < HF_OK && rc != HF_E_CORRUPT)
		abort();
	back.len = 0;
	if (transform(false, data, size, in, out, &there) != HF_EOF ||
	    transform(true, there.data, there.len, in, out, &back) != HF_EOF ||
	    back.len != size ||
	    (size > 0 && memcmp(back.data, data, size) != 0))
		abort();
	buf_free(&there);
	buf_free(&back);
	return 0;
}
