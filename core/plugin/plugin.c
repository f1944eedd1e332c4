/* SPDX-License-Identifier: BSD-2-Clause */
/* One plugin file: is it to be trusted, does it load, is it for this core,
 * does it keep the contract? */
#include "loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "plugin/host.h"
#include "plugin/lint.h"

static int
check_folder(const char *path, struct hf_error *err)
{
	char copy[PATH_MAX];
	const char *dir;
	struct stat st;

	if (strlen(path) >= sizeof copy)
		return error_errno(err, ENAMETOOLONG, "cannot load %s", path);
	memcpy(copy, path, strlen(path) + 1);
	dir = dirname(copy);
	if (stat(dir, &st) != 0)
		return error_errno(err, errno, "cannot look at %s", dir);
	/* With the sticky bit others can add files but not swap this one. */
	if ((st.st_mode & S_IWOTH) == 0 || (st.st_mode & S_ISVTX) != 0)
		return HF_OK;
	(void)error_fail(err, HF_E_INVALID,
	    "the plugin %s is refused: everybody may write to its folder",
	    path);
	error_hint(err, "Run: chmod o-w %s", dir);
	return HF_E_INVALID;
}

/* What is loaded here runs with the rights of the backup: nobody but root and
 * this user may be able to change it. */
static int
check_file(const char *path, struct hf_error *err)
{
	char real[PATH_MAX];
	struct stat st;
	int rc;

	if (realpath(path, real) == NULL || stat(real, &st) != 0)
		return error_errno(
		    err, errno, "cannot load the plugin %s", path);
	if (!S_ISREG(st.st_mode))
		return error_fail(err, HF_E_INVALID,
		    "the plugin %s is not a regular file", path);
	if ((st.st_mode & S_IWOTH) != 0) {
		(void)error_fail(err, HF_E_INVALID,
		    "the plugin %s is refused: everybody may write to it",
		    path);
		error_hint(err, "Run: chmod o-w %s", real);
		return HF_E_INVALID;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		(void)error_fail(err, HF_E_INVALID,
		    "the plugin %s is refused: it belongs to the user %ju, "
		    "not to root or the user %ju who runs this",
		    path, (uintmax_t)st.st_uid, (uintmax_t)geteuid());
		error_hint(err, "Run: chown root %s", real);
		return HF_E_INVALID;
	}
	if ((rc = check_folder(path, err)) != HF_OK)
		return rc;
	return check_folder(real, err);
}

/* dlerror() is "LIB: cannot open shared object file: ..." for a library that
 * the plugin needs. */
static int
load_failed(const char *path, struct hf_error *err)
{
	const char *text = dlerror(), *missing;
	char lib[128];

	if (text == NULL)
		text = "no reason given";
	missing = strstr(text, ": cannot open shared object file");
	if (missing == NULL || strncmp(text, path, strlen(path)) == 0) {
		(void)error_fail(err, HF_E_INVALID,
		    "cannot load the plugin %s: %s", path, text);
		error_hint(err,
		    "It may be built for another machine or against other "
		    "libraries; ldd -r %s tells more.",
		    path);
		return HF_E_INVALID;
	}
	(void)snprintf(lib, sizeof lib, "%.*s", (int)(missing - text), text);
	(void)error_fail(err, HF_E_INVALID,
	    "cannot load the plugin %s: it needs the shared library %s, which "
	    "is not installed (%s)",
	    path, lib, text);
	error_hint(err,
	    "Install the package that has %s (apt-file search %s finds it); "
	    "ldd %s lists all that is missing.",
	    lib, lib, path);
	return HF_E_INVALID;
}

static int
find_symbol(void *dl, const char *path, hf_plugin_fn **fn, struct hf_error *err)
{
	void *symbol = dlsym(dl, HF_PLUGIN_SYMBOL);

	for (int major = 1; symbol == NULL && major <= 9; major++) {
		char other[32];

		(void)snprintf(other, sizeof other, "hf_plugin_v%d", major);
		if (major == HF_ABI_MAJOR || dlsym(dl, other) == NULL)
			continue;
		(void)error_fail(err, HF_E_INVALID,
		    "the plugin %s is made for version %d of the plugin "
		    "interface, this program has %d",
		    path, major, HF_ABI_MAJOR);
		error_hint(err, "Get the plugin's release for this version.");
		return HF_E_INVALID;
	}
	if (symbol == NULL) {
		(void)error_fail(err, HF_E_INVALID,
		    "%s is not a plugin of Holdfast: it has no symbol %s", path,
		    HF_PLUGIN_SYMBOL);
		error_hint(err,
		    "A plugin ends with HF_REGISTER(description, host); of "
		    "holdfast/plugin.h.");
		return HF_E_INVALID;
	}
	/* C has no cast from an object's to a function's pointer. */
	memcpy(fn, &symbol, sizeof *fn);
	return HF_OK;
}

static void
copy_tables(struct plugin *p, const struct hf_plugin *desc)
{
	lint_copy(&p->desc, sizeof p->desc, desc);
	if (p->desc.engine != NULL) {
		lint_copy(&p->engine, sizeof p->engine, p->desc.engine);
		p->desc.engine = &p->engine;
	}
	if (p->desc.filter != NULL) {
		lint_copy(&p->filter, sizeof p->filter, p->desc.filter);
		p->desc.filter = &p->filter;
	}
	if (p->desc.store != NULL) {
		lint_copy(&p->store, sizeof p->store, p->desc.store);
		p->desc.store = &p->store;
	}
}

static int
call_load(struct plugin *p, struct hf_error *err)
{
	struct hf_error why = { .status = HF_OK };
	int rc;

	if (p->desc.load == NULL || (rc = p->desc.load(&why)) == HF_OK)
		return HF_OK;
	if (rc > HF_OK || rc < HF_E_BUG)
		rc = error_fail(&why, HF_E_BUG,
		    "load() answered %d, which is no status", rc);
	else if (why.status == HF_OK)
		(void)error_fail(&why, rc, "load() did not say why (%s)",
		    error_status_name(rc));
	why.status = rc;
	if (err != NULL)
		*err = why;
	return rc;
}

/* dl is taken over on success only. */
static int
take(hf_plugin_fn *fn, const char *name, const char *path, void *dl,
    struct plugin **out, struct hf_error *err)
{
	const struct hf_plugin *desc = fn(&host_table);
	struct plugin *p;
	int rc;

	if ((rc = plugin_lint(desc, name, err)) != HF_OK)
		goto err0;
	if ((p = calloc(1, sizeof *p)) == NULL ||
	    (path != NULL && (p->path = strdup(path)) == NULL) ||
	    pthread_mutex_init(&p->serial, NULL) != 0) {
		rc = error_fail(err, HF_E_NOMEM, "no memory for a plugin");
		goto err1;
	}
	copy_tables(p, desc);
	if ((rc = call_load(p, err)) != HF_OK)
		goto err2;
	p->dl = dl;
	*out = p;
	return HF_OK;

err2:
	(void)pthread_mutex_destroy(&p->serial);
err1:
	if (p != NULL)
		free(p->path);
	free(p);
err0:
	return rc;
}

static void
unload_file(void *dl)
{
#ifndef HF_SANITIZED
	if (dl != NULL)
		(void)dlclose(dl);
#else
	/* A report needs the symbols of what it talks about. */
	(void)dl;
#endif
}

/* "/usr/lib/holdfast/gzip.so": "gzip", cut to cap. */
static void
name_of(const char *path, char *name, size_t cap)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash == NULL ? path : slash + 1;
	size_t len = strlen(base);

	if (len > 3 && strcmp(base + len - 3, ".so") == 0)
		len -= 3;
	(void)snprintf(name, cap, "%.*s", (int)len, base);
}

int
plugin_open_file(const char *path, struct plugin **out, struct hf_error *err)
{
	char real[PATH_MAX], name[256];
	hf_plugin_fn *fn = NULL;
	void *dl;
	int rc;

	*out = NULL;
	if ((rc = check_file(path, err)) != HF_OK)
		return rc;
	/* A bare name would be looked for in the system's libraries. */
	if (realpath(path, real) == NULL)
		return error_errno(
		    err, errno, "cannot load the plugin %s", path);
	if ((dl = dlopen(real, RTLD_NOW | RTLD_LOCAL)) == NULL)
		return load_failed(real, err);
	name_of(path, name, sizeof name);
	if ((rc = find_symbol(dl, path, &fn, err)) != HF_OK)
		goto err0;
	if ((rc = take(fn, name, path, dl, out, err)) != HF_OK) {
		(void)error_context(err, "loading the plugin %s", path);
		goto err0;
	}
	return HF_OK;

err0:
	unload_file(dl);
	return rc;
}

int
plugin_open_static(hf_plugin_fn *fn, struct plugin **out, struct hf_error *err)
{
	*out = NULL;
	return take(fn, NULL, NULL, NULL, out, err);
}

void
plugin_close(struct plugin *p)
{
	if (p == NULL)
		return;
	if (p->desc.unload != NULL)
		p->desc.unload();
	unload_file(p->dl);
	(void)pthread_mutex_destroy(&p->serial);
	free(p->path);
	free(p);
}
