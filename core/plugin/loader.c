/* SPDX-License-Identifier: BSD-2-Clause */
/* The search path, and the set of plugins that were loaded from it. */
#include "loader.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "plugin/lint.h"

struct names {
	char **v; /* NULL ends */
	size_t n, cap;
};

struct plugins {
	pthread_mutex_t lock; /* loaded; held while a file is loaded */
	struct names path;
	struct plugin **loaded;
	size_t nloaded;
};

static int
no_memory(struct hf_error *err)
{
	return error_fail(err, HF_E_NOMEM, "no memory for the plugins");
}

/* Takes s over, also on failure; NULL is out of memory. */
static int
names_take(struct names *l, char *s, struct hf_error *err)
{
	if (s != NULL && l->n + 1 >= l->cap) {
		size_t cap = l->cap == 0 ? 8 : l->cap * 2;
		char **v = realloc(l->v, cap * sizeof *v);

		if (v == NULL) {
			free(s);
			s = NULL;
		} else {
			l->v = v;
			l->cap = cap;
		}
	}
	if (s == NULL)
		return no_memory(err);
	l->v[l->n++] = s;
	l->v[l->n] = NULL;
	return HF_OK;
}

static void
names_free(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct names){ 0 };
}

/* ---- the search path ---- */

static int
add_given(struct plugins *set, const char *const *dirs, struct hf_error *err)
{
	for (; dirs != NULL && *dirs != NULL; dirs++) {
		struct stat st;
		int rc;

		/* Somebody typed it: a slip should not go unseen. */
		if (**dirs == '\0' || stat(*dirs, &st) != 0)
			return error_errno(err, **dirs == '\0' ? ENOENT : errno,
			    "cannot use the plugin folder \"%s\"", *dirs);
		if (!S_ISDIR(st.st_mode))
			return error_fail(err, HF_E_INVALID,
			    "the plugin folder %s is not a folder", *dirs);
		rc = names_take(&set->path, file_absolute(*dirs, NULL), err);
		if (rc != HF_OK)
			return rc;
	}
	return HF_OK;
}

static int
add_environment(struct plugins *set, struct hf_error *err)
{
	const char *p = getenv("HOLDFAST_PLUGIN_PATH");

	while (p != NULL && *p != '\0') {
		size_t len = strcspn(p, ":");
		char *dir = strndup(p, len);
		int rc = HF_OK;

		if (dir == NULL)
			return no_memory(err);
		if (len > 0)
			rc = names_take(
			    &set->path, file_absolute(dir, NULL), err);
		free(dir);
		if (rc != HF_OK)
			return rc;
		p += len + (p[len] == ':');
	}
	return HF_OK;
}

/* The program's folder with a trailing /bin taken off; beside it stands the
 * plugin folder, in the build tree as in the installed one. */
static char *
installed_folder(void)
{
	static const char bin[] = "/" HF_BINDIR;
	char exe[PATH_MAX];
	ssize_t n;
	size_t len;
	char *slash;

	if (HF_PLUGINDIR[0] == '/')
		return strdup(HF_PLUGINDIR);
	n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	if (n <= 0)
		return NULL;
	exe[n] = '\0';
	if ((slash = strrchr(exe, '/')) == NULL)
		return NULL;
	*slash = '\0';
	len = strlen(exe);
	if (len >= sizeof bin - 1 &&
	    strcmp(exe + len - (sizeof bin - 1), bin) == 0) {
		exe[len - (sizeof bin - 1)] = '\0';
		return text_format("%s/%s", exe, HF_PLUGINDIR);
	}
	return text_format("%s/../%s", exe, HF_PLUGINDIR);
}

int
plugins_new(struct plugins **out, const char *const *dirs, struct hf_error *err)
{
	struct plugins *set = calloc(1, sizeof *set);
	char *installed;
	int rc;

	*out = NULL;
	if (set == NULL)
		return no_memory(err);
	if (pthread_mutex_init(&set->lock, NULL) != 0) {
		free(set);
		return no_memory(err);
	}
	if ((rc = add_given(set, dirs, err)) != HF_OK ||
	    (rc = add_environment(set, err)) != HF_OK)
		goto err0;
	installed = installed_folder();
	if (installed != NULL &&
	    (rc = names_take(&set->path, installed, err)) != HF_OK)
		goto err0;
	*out = set;
	return HF_OK;

err0:
	plugins_free(set);
	return rc;
}

void
plugins_free(struct plugins *set)
{
	if (set == NULL)
		return;
	while (set->nloaded > 0)
		plugin_close(set->loaded[--set->nloaded]);
	free(set->loaded);
	names_free(&set->path);
	(void)pthread_mutex_destroy(&set->lock);
	free(set);
}

const char *const *
plugins_path(const struct plugins *set)
{
	static const char *const none[] = { NULL };

	return set->path.v == NULL ? none : (const char *const *)set->path.v;
}

/* ---- what is there ---- */

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
known(const struct names *l, const char *name, size_t len)
{
	for (size_t i = 0; i < l->n; i++)
		if (strlen(l->v[i]) == len && memcmp(l->v[i], name, len) == 0)
			return true;
	return false;
}

/* The names of all *.so, sorted, each once.  Folders that are not there are
 * passed over. */
static int
list_names(const struct plugins *set, struct names *l, struct hf_error *err)
{
	int rc = HF_OK;

	for (size_t i = 0; rc == HF_OK && i < set->path.n; i++) {
		DIR *dir = opendir(set->path.v[i]);
		const struct dirent *e;

		while (
		    dir != NULL && rc == HF_OK && (e = readdir(dir)) != NULL) {
			size_t len = strlen(e->d_name);

			if (len <= 3 || strcmp(e->d_name + len - 3, ".so") != 0)
				continue;
			if (!known(l, e->d_name, len - 3))
				rc = names_take(
				    l, strndup(e->d_name, len - 3), err);
		}
		if (dir != NULL)
			(void)closedir(dir);
	}
	if (l->n > 1)
		qsort(l->v, l->n, sizeof *l->v, compare);
	return rc;
}

static int
fail_unknown(const struct plugins *set, const char *name, struct hf_error *err)
{
	struct buf text = BUF_INIT;
	struct names l = { 0 };
	const char *near;
	size_t i;

	(void)error_fail(
	    err, HF_E_NOTFOUND, "there is no plugin \"%.64s\"", name);
	if (list_names(set, &l, NULL) != HF_OK)
		goto out;
	near = l.n == 0 ? NULL : text_nearest(name, (const char *const *)l.v);
	for (i = 0; i < l.n; i++)
		if (buf_puts(&text, i == 0 ? "" : ", ", NULL) != HF_OK ||
		    buf_puts(&text, l.v[i], NULL) != HF_OK)
			goto out;
	if (near != NULL)
		error_hint(err, "Did you mean \"%s\"?  There are: %s.", near,
		    (const char *)text.data);
	else if (l.n > 0)
		error_hint(err, "There are: %s.", (const char *)text.data);
	else
		error_hint(err,
		    "No plugin was found at all; name their folder with "
		    "--plugin-dir or HOLDFAST_PLUGIN_PATH.");
out:
	buf_free(&text);
	names_free(&l);
	return HF_E_NOTFOUND;
}

/* The one file of that name.  *path is NULL when there is none. */
static int
locate(const struct plugins *set, const char *name, char **path,
    struct hf_error *err)
{
	struct stat st, first = { 0 };
	int rc = HF_OK;

	*path = NULL;
	for (size_t i = 0; rc == HF_OK && i < set->path.n; i++) {
		char *file = text_format("%s/%s.so", set->path.v[i], name);

		if (file == NULL) {
			rc = no_memory(err);
		} else if (stat(file, &st) != 0) {
			/* Not in this folder. */
		} else if (*path == NULL) {
			first = st;
			*path = file;
			file = NULL;
		} else if (st.st_dev != first.st_dev ||
			   st.st_ino != first.st_ino) {
			rc = error_fail(err, HF_E_INVALID,
			    "the plugin name \"%s\" is taken twice: %s and %s",
			    name, *path, file);
			error_hint(err,
			    "Remove one of the files, or one of the folders "
			    "from --plugin-dir or HOLDFAST_PLUGIN_PATH.");
		}
		free(file);
	}
	if (rc != HF_OK) {
		free(*path);
		*path = NULL;
	}
	return rc;
}

static int
load_locked(struct plugins *set, const char *name, const struct plugin **out,
    struct hf_error *err)
{
	struct plugin **loaded, *p = NULL;
	char *path;
	int rc;

	for (size_t i = 0; i < set->nloaded; i++)
		if (strcmp(set->loaded[i]->desc.name, name) == 0) {
			*out = set->loaded[i];
			return HF_OK;
		}
	if ((rc = locate(set, name, &path, err)) != HF_OK)
		return rc;
	if (path == NULL)
		return fail_unknown(set, name, err);
	loaded = realloc(set->loaded, (set->nloaded + 1) * sizeof *loaded);
	if (loaded == NULL) {
		rc = no_memory(err);
		goto out;
	}
	set->loaded = loaded;
	if ((rc = plugin_open_file(path, &p, err)) == HF_OK)
		*out = set->loaded[set->nloaded++] = p;
out:
	free(path);
	return rc;
}

int
plugins_find(struct plugins *set, const char *name, const struct plugin **out,
    struct hf_error *err)
{
	int rc;

	*out = NULL;
	if (!lint_name(name))
		return fail_unknown(set, name == NULL ? "" : name, err);
	(void)pthread_mutex_lock(&set->lock);
	rc = load_locked(set, name, out, err);
	(void)pthread_mutex_unlock(&set->lock);
	return rc;
}

static const char *
kinds(const struct plugin *p)
{
	static const char *const texts[] = { "", "an engine", "a filter",
		"an engine and a filter", "a store", "an engine and a store",
		"a filter and a store", "an engine, a filter and a store" };

	return texts[(p->desc.engine != NULL ? 1 : 0) +
		     (p->desc.filter != NULL ? 2 : 0) +
		     (p->desc.store != NULL ? 4 : 0)];
}

int
plugins_get(struct plugins *set, const char *name, enum plugin_kind kind,
    const struct plugin **out, struct hf_error *err)
{
	static const char *const wanted[] = { "an engine", "a filter",
		"a store" };
	const struct plugin *p;
	bool is;
	int rc;

	*out = NULL;
	if ((rc = plugins_find(set, name, &p, err)) != HF_OK)
		return rc;
	is = kind == PLUGIN_ENGINE   ? p->desc.engine != NULL
	     : kind == PLUGIN_FILTER ? p->desc.filter != NULL
				     : p->desc.store != NULL;
	if (!is)
		return error_fail(err, HF_E_INVALID,
		    "the plugin \"%s\" is %s, not %s", name, kinds(p),
		    wanted[kind]);
	*out = p;
	return HF_OK;
}

int
plugins_each(struct plugins *set,
    int (*cb)(void *arg, const char *path, const struct plugin *,
	const struct hf_error *why),
    void *arg)
{
	struct hf_error why = { .status = HF_OK };
	struct names l = { 0 };
	int rc;

	rc = list_names(set, &l, &why);
	if (rc != HF_OK)
		rc = cb(arg, "", NULL, &why);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		const struct plugin *p = NULL;
		char *path = NULL;

		error_clear(&why);
		if (!lint_name(l.v[i]))
			(void)error_fail(&why, HF_E_INVALID,
			    "\"%s.so\" is not a plugin's file name "
			    "([a-z][a-z0-9-]*.so)",
			    l.v[i]);
		else if (plugins_find(set, l.v[i], &p, &why) != HF_OK &&
			 locate(set, l.v[i], &path, NULL) != HF_OK)
			path = NULL;
		rc = cb(arg,
		    p != NULL      ? p->path
		    : path != NULL ? path
				   : l.v[i],
		    p, p == NULL ? &why : NULL);
		free(path);
	}
	names_free(&l);
	return rc;
}
