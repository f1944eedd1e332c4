/* SPDX-License-Identifier: BSD-2-Clause */
/* s3store PLUGIN [OPTION=VALUE...] -- VERB ARGUMENT...: a store on its own, for
 * tests/bench/s3: the core's layer above the plugin, and nothing else of
 * Holdfast.  Secrets as {"env": "NAME"}.
 *
 *   put FILE KEY            FILE to the object KEY
 *   get KEY FILE            and back, synced
 *   make SIZE KEY known|unknown   SIZE ("20GiB") bytes that nobody keeps, with
 *                           their number announced or not
 *   fill FROM TO PREFIX     small objects, PREFIX/000FROM and so on, before TO
 *   list PREFIX             prints the keys
 *   remove KEY
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "plugin/ctx.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "plugin/store.h"

#define CHUNK ((size_t)1 << 20) /* what the core hands over at a time */
#define WRITE ((size_t)32 * 1024)

static char chunk[CHUNK];

static int
open_it(const char *path, const char *const *args, struct plugin **plugin,
    struct store **store, struct hf_error *err)
{
	const struct hf_ctx ctx = { .who = "s3store" };
	struct options_input in = { .resolve = true };
	struct options *options;
	json_t *object;
	int rc;

	if ((rc = plugin_open_file(path, plugin, err)) != HF_OK ||
	    (rc = options_from_args(args, &object, err)) != HF_OK)
		return rc;
	in.table = (*plugin)->desc.options;
	in.stride = (*plugin)->desc.option_size;
	in.conf_size = (*plugin)->desc.conf_size;
	in.object = object;
	rc = options_parse(&in, &options, NULL, NULL, err);
	json_decref(object);
	return rc != HF_OK ? rc
			   : store_open(*plugin, &ctx, options, store, err);
}

/* The next bytes of what is put; 0: none are left, -1: errno says. */
struct source {
	int fd;        /* -1: made here */
	uint64_t left; /* to be made */
	uint64_t number;
};

static ssize_t
fill_chunk(struct source *s)
{
	size_t n = s->left < CHUNK ? (size_t)s->left : CHUNK;

	if (s->fd >= 0)
		return read(s->fd, chunk, CHUNK);
	/* Every MiB another, and compressible, so that the service can keep
	 * little of it. */
	s->number++;
	for (size_t i = 0; i < n; i += sizeof s->number)
		memcpy(chunk + i, &s->number, sizeof s->number);
	s->left -= n;
	return (ssize_t)n;
}

static int
put(struct store *store, const char *key, struct source *from, uint64_t hint,
    struct hf_error *err)
{
	struct store_put *p;
	ssize_t n;
	int rc;

	if ((rc = store_put(store, key, 0, hint, &p, err)) != HF_OK)
		return rc;
	while ((n = fill_chunk(from)) > 0 && rc == HF_OK)
		rc = store_put_write(p, chunk, (size_t)n, err);
	if (n < 0)
		rc = error_fail(err, HF_E_IO, "cannot read the file");
	if (rc == HF_OK)
		return store_put_commit(p, NULL, err);
	store_put_abort(p);
	return rc;
}

static int
put_file(struct store *store, const char *path, const char *key,
    struct hf_error *err)
{
	struct source from = { .fd = open(path, O_RDONLY | O_CLOEXEC) };
	struct stat st;
	int rc;

	if (from.fd < 0 || fstat(from.fd, &st) != 0)
		return error_fail(err, HF_E_IO, "cannot open %s", path);
	rc = put(store, key, &from, (uint64_t)st.st_size, err);
	(void)close(from.fd);
	return rc;
}

static bool
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		/* As other clients do: a kernel may be slow with more. */
		ssize_t n = write(fd, data, len < WRITE ? len : WRITE);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static int
get_file(struct store *store, const char *key, const char *path,
    struct hf_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct store_get *g;
	size_t n;
	int rc;

	if (fd < 0)
		return error_fail(err, HF_E_IO, "cannot make %s", path);
	if ((rc = store_get(store, key, 0, UINT64_MAX, &g, err)) != HF_OK)
		goto err0;
	while ((rc = store_get_read(g, chunk, CHUNK, &n, err)) == HF_OK)
		if (!write_all(fd, chunk, n)) {
			rc = error_fail(err, HF_E_IO, "cannot write %s", path);
			break;
		}
	store_get_close(g);
	if (rc == HF_EOF)
		rc = fsync(fd) == 0
			 ? HF_OK
			 : error_fail(err, HF_E_IO, "cannot sync %s", path);
err0:
	(void)close(fd);
	return rc;
}

static int
make(struct store *store, const char *size, const char *key, bool known,
    struct hf_error *err)
{
	struct source from = { .fd = -1 };
	int64_t n;

	if (!text_parse_size(size, &n) || n <= 0)
		return error_fail(err, HF_E_INVALID, "no size: %s", size);
	from.left = (uint64_t)n;
	return put(store, key, &from, known ? (uint64_t)n : 0, err);
}

static int
fill(struct store *store, const char *from, const char *to, const char *prefix,
    struct hf_error *err)
{
	unsigned long end = strtoul(to, NULL, 10);
	char key[256];
	int rc = HF_OK;

	for (unsigned long i = strtoul(from, NULL, 10); i < end; i++) {
		(void)snprintf(key, sizeof key, "%s/%06lu", prefix, i);
		if ((rc = store_put_all(
			 store, key, 0, key, strlen(key), err)) != HF_OK)
			break;
	}
	return rc;
}

static int
print_key(void *arg, const struct hf_object *o)
{
	(void)arg;
	return printf("%s\n", o->key) < 0 ? HF_E_IO : 0;
}

static int
act(struct store *store, int argc, char **argv, struct hf_error *err)
{
	const char *verb = argc > 0 ? argv[0] : "";

	if (argc == 3 && strcmp(verb, "put") == 0)
		return put_file(store, argv[1], argv[2], err);
	if (argc == 3 && strcmp(verb, "get") == 0)
		return get_file(store, argv[1], argv[2], err);
	if (argc == 4 && strcmp(verb, "make") == 0)
		return make(store, argv[1], argv[2],
		    strcmp(argv[3], "known") == 0, err);
	if (argc == 4 && strcmp(verb, "fill") == 0)
		return fill(store, argv[1], argv[2], argv[3], err);
	if (argc == 2 && strcmp(verb, "list") == 0)
		return store_list(store, argv[1], print_key, NULL, err);
	if (argc == 2 && strcmp(verb, "remove") == 0)
		return store_remove(store, argv[1], err);
	return error_fail(err, HF_E_INVALID, "see the head of s3store.c");
}

int
main(int argc, char **argv)
{
	static struct hf_error err;
	struct plugin *plugin = NULL;
	struct store *store = NULL;
	int verb = 2, rc;

	while (verb < argc && strcmp(argv[verb], "--") != 0)
		verb++;
	if (verb >= argc) {
		(void)fputs("s3store: see the head of s3store.c\n", stderr);
		return 2;
	}
	argv[verb] = NULL; /* ends the options */
	rc = open_it(
	    argv[1], (const char *const *)&argv[2], &plugin, &store, &err);
	if (rc == HF_OK)
		rc = act(store, argc - verb - 1, argv + verb + 1, &err);
	store_close(store);
	plugin_close(plugin);
	if (rc == HF_OK)
		return 0;
	error_render(&err, "s3store", stderr);
	return 1;
}
