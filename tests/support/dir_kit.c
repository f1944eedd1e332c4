/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* A function of the host table has this name. */
#undef fail

#include "support/dir_kit.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "plugin/loader.h"
#include "plugin/options.h"
#include "plugin/store.h"

char scratch[64], root[128];

static struct plugin *dir;

int
dir_kit_load(const char *file)
{
	struct hf_error err = { 0 };

	if (plugin_open_file(file, &dir, &err) == HF_OK)
		return 0;
	print_error("%s\n", err.cause);
	return -1;
}

int
dir_kit_unload(void **state)
{
	(void)state;
	plugin_close(dir);
	return 0;
}

void
must(int rc, const struct hf_error *err)
{
	if (rc != HF_OK)
		print_error("%s\n", err->cause);
	assert_int_equal(rc, HF_OK);
}

int
try_open(const char *path, const char *min_free, struct store **out,
    struct hf_error *err)
{
	struct options_input in = { .table = dir->desc.options,
		.stride = dir->desc.option_size,
		.conf_size = dir->desc.conf_size,
		.resolve = true };
	struct options *options = NULL;
	json_t *json =
	    json_pack("{s:s,s:s}", "path", path, "min_free", min_free);

	in.object = json;
	must(options_parse(&in, &options, NULL, NULL, err), err);
	json_decref(json);
	return store_open(dir, NULL, options, out, err);
}

struct store *
open_at(const char *path)
{
	struct hf_error err = { 0 };
	struct store *s = NULL;

	must(try_open(path, "0", &s, &err), &err);
	return s;
}

struct store *
open_store(void)
{
	(void)mkdir(root, 0700);
	return open_at(root);
}

const char *
at(const char *name)
{
	static char path[8][512];
	static unsigned turn;
	char *p = path[turn++ % 8];

	(void)snprintf(p, sizeof path[0], "%s/%s", root, name);
	return p;
}

void
put(struct store *s, const char *key, const char *text)
{
	struct hf_error err = { 0 };

	must(store_put_all(s, key, 0, text, strlen(text), &err), &err);
}

void
assert_holds(struct store *s, const char *key, const char *text)
{
	struct hf_error err = { 0 };
	struct buf b = BUF_INIT;

	must(store_get_all(s, key, MIB, &b, &err), &err);
	assert_int_equal(b.len, strlen(text));
	assert_memory_equal(b.data, text, b.len);
	buf_free(&b);
}

void
assert_missing(struct store *s, const char *key)
{
	struct hf_object o = { .struct_size = sizeof o };

	assert_int_equal(store_stat(s, key, &o, NULL), HF_E_NOTFOUND);
}

size_t
count_names(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			n++;
	(void)closedir(d);
	return n;
}

void
assert_lists(struct store *s, const char *prefix, const char *want)
{
	struct hf_error err = { 0 };
	struct store_keys keys = { 0 };
	struct buf b = BUF_INIT;

	must(store_list_all(s, prefix, &keys, &err), &err);
	assert_int_equal(buf_puts(&b, "", NULL), HF_OK);
	for (size_t i = 0; i < keys.n; i++) {
		assert_int_equal(buf_puts(&b, i == 0 ? "" : " ", NULL), HF_OK);
		assert_int_equal(buf_puts(&b, keys.keys[i].key, NULL), HF_OK);
	}
	assert_string_equal((const char *)b.data, want);
	buf_free(&b);
	store_keys_free(&keys);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
dir_kit_setup(void **state)
{
	(void)state;
	(void)snprintf(scratch, sizeof scratch, "/tmp/hf-dir-XXXXXX");
	if (mkdtemp(scratch) == NULL)
		return -1;
	(void)snprintf(root, sizeof root, "%s/sink", scratch);
	return 0;
}

int
dir_kit_teardown(void **state)
{
	(void)state;
	(void)umount2(root, MNT_DETACH);
	return nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
