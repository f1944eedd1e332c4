/* SPDX-License-Identifier: BSD-2-Clause */
#include "xml.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

#define PATH_MAX_LEN 512
#define DEPTH_MAX 32
#define TEXT_MAX ((size_t)1 << 16)

struct walk {
	XML_Parser parser;
	char path[PATH_MAX_LEN];
	size_t len, depth;
	char *text;
	size_t text_len, text_cap;
	xml_fn *fn;
	void *arg;
	int rc;
};

static void
stop(struct walk *w, int rc)
{
	if (w->rc == HF_OK)
		w->rc = rc;
	(void)XML_StopParser(w->parser, XML_FALSE);
}

static void
on_start(void *arg, const char *name, const char **attributes)
{
	struct walk *w = arg;
	size_t n = strlen(name), sep = w->len > 0;

	(void)attributes;
	if (w->depth == DEPTH_MAX || w->len + sep + n >= sizeof w->path) {
		stop(w, HF_E_CORRUPT);
		return;
	}
	if (sep)
		w->path[w->len] = '/';
	memcpy(w->path + w->len + sep, name, n + 1);
	w->len += sep + n;
	w->depth++;
	w->text_len = 0;
}

static void
on_text(void *arg, const char *s, int n)
{
	struct walk *w = arg;
	size_t need = w->text_len + (size_t)n + 1;
	char *grown;

	if (need > TEXT_MAX) {
		stop(w, HF_E_CORRUPT);
		return;
	}
	if (need > w->text_cap) {
		if ((grown = realloc(w->text, 2 * need)) == NULL) {
			stop(w, HF_E_NOMEM);
			return;
		}
		w->text = grown;
		w->text_cap = 2 * need;
	}
	memcpy(w->text + w->text_len, s, (size_t)n);
	w->text_len += (size_t)n;
}

static void
on_end(void *arg, const char *name)
{
	struct walk *w = arg;
	size_t n = strlen(name);
	int rc;

	if (w->rc != HF_OK)
		return;
	if (w->text != NULL)
		w->text[w->text_len] = '\0';
	rc = w->fn(w->arg, w->path,
	    w->text == NULL || w->text_len == 0 ? "" : w->text);
	if (rc != HF_OK)
		stop(w, rc);
	w->len -= n;
	if (w->len > 0)
		w->len--;
	w->path[w->len] = '\0';
	w->depth--;
	/* What follows belongs to the parent, whose text nobody wants. */
	w->text_len = 0;
}

/* No service needs one; they are how small texts become huge. */
static void
on_doctype(void *arg, const char *name, const char *sysid, const char *pubid,
    int internal)
{
	(void)name, (void)sysid, (void)pubid, (void)internal;
	stop(arg, HF_E_CORRUPT);
}

int
xml_walk(
    const char *xml, size_t len, xml_fn *fn, void *arg, struct hf_error *err)
{
	struct walk w = { .fn = fn, .arg = arg };
	enum XML_Status status;

	/* Blanks that keep a connection alive may come first. */
	while (len > 0 && strchr(" \t\r\n", *xml) != NULL && *xml != '\0') {
		xml++;
		len--;
	}
	if (len > INT32_MAX)
		return H->fail(err, HF_E_CORRUPT, "the XML answer is too long");
	if ((w.parser = XML_ParserCreate(NULL)) == NULL)
		return H->fail(err, HF_E_NOMEM, "no memory");
	XML_SetUserData(w.parser, &w);
	XML_SetElementHandler(w.parser, on_start, on_end);
	XML_SetCharacterDataHandler(w.parser, on_text);
	XML_SetStartDoctypeDeclHandler(w.parser, on_doctype);
	status = XML_Parse(w.parser, xml, (int)len, 1);
	if (status != XML_STATUS_OK && w.rc == HF_OK)
		w.rc = H->fail(err, HF_E_CORRUPT, "the answer is no XML: %s",
		    XML_ErrorString(XML_GetErrorCode(w.parser)));
	else if (w.rc == HF_E_CORRUPT || w.rc == HF_E_NOMEM)
		(void)H->fail(err, w.rc, "the XML answer cannot be read");
	XML_ParserFree(w.parser);
	free(w.text);
	return w.rc;
}

struct wanted {
	const char *path;
	char *value;
	size_t cap;
	bool found;
};

static int
on_wanted(void *arg, const char *path, const char *text)
{
	struct wanted *w = arg;
	size_t n;

	if (w->found || strcmp(path, w->path) != 0)
		return HF_OK;
	n = strnlen(text, w->cap - 1);
	memcpy(w->value, text, n);
	w->value[n] = '\0';
	w->found = true;
	return HF_OK;
}

bool
xml_value(
    const char *xml, size_t len, const char *path, char *value, size_t cap)
{
	struct wanted w = { path, value, cap, false };

	value[0] = '\0';
	(void)xml_walk(xml, len, on_wanted, &w, NULL);
	return w.found;
}
