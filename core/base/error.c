/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "secret.h"

static const struct {
	int errnum, status;
	const char *hint;
} errnos[] = {
	{ EAGAIN, HF_E_TRANSIENT, NULL },
	{ ETIMEDOUT, HF_E_TRANSIENT, NULL },
	{ ECONNREFUSED, HF_E_TRANSIENT, NULL },
	{ ECONNRESET, HF_E_TRANSIENT, NULL },
	{ ECONNABORTED, HF_E_TRANSIENT, NULL },
	{ EPIPE, HF_E_TRANSIENT, NULL },
	{ EACCES, HF_E_DENIED,
	    "Check the owner and the mode of the file and its folders." },
	{ EPERM, HF_E_DENIED, "Check the owner and the mode." },
	{ EROFS, HF_E_DENIED,
	    "The file system is mounted read-only; remount it or choose "
	    "another place." },
	{ ENOENT, HF_E_NOTFOUND, NULL },
	{ ENOTDIR, HF_E_NOTFOUND, NULL },
	{ EEXIST, HF_E_EXISTS, NULL },
	{ ENOSPC, HF_E_NOSPACE, "Free some space, or choose another place." },
	{ EDQUOT, HF_E_NOSPACE, "The disk quota is used up." },
	{ EFBIG, HF_E_NOSPACE,
	    "The file system or a limit forbids files of "
	    "this size." },
	{ ENOMEM, HF_E_NOMEM, NULL },
	{ EINVAL, HF_E_INVALID, NULL },
	{ ENAMETOOLONG, HF_E_INVALID, NULL },
	{ EIO, HF_E_IO,
	    "The disk or its connection is failing; look at the kernel's "
	    "log." },
	{ EMFILE, HF_E_IO, "Raise the limit of open files (ulimit -n)." },
};

int
error_from_errno(int errnum)
{
	for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
		if (errnos[i].errnum == errnum)
			return errnos[i].status;
	return HF_E_IO;
}

const char *
error_status_name(int status)
{
	static const char *const names[] = { "OK", "INVALID", "NOTFOUND",
		"EXISTS", "DENIED", "TRANSIENT", "NOSPACE", "CORRUPT",
		"UNSUPPORTED", "CANCELLED", "NOMEM", "IO", "BUG" };

	if (status == HF_EOF)
		return "EOF";
	if (status > 0 || status < HF_E_BUG)
		return "UNKNOWN";
	return names[-status];
}

void
error_clear(struct hf_error *err)
{
	if (err == NULL)
		return;
	err->status = HF_OK;
	err->cause[0] = '\0';
	err->nframes = err->nnotes = 0;
}

static void
vfail(struct hf_error *err, int status, const char *fmt, va_list ap)
{
	error_clear(err);
	err->status = status;
	(void)vsnprintf(err->cause, sizeof err->cause, fmt, ap);
	secret_scrub(err->cause);
}

int
error_fail(struct hf_error *err, int status, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return status;
	va_start(ap, fmt);
	vfail(err, status, fmt, ap);
	va_end(ap);
	return status;
}

int
error_errno(struct hf_error *err, int errnum, const char *fmt, ...)
{
	int status = error_from_errno(errnum);
	va_list ap;
	size_t len;

	if (err == NULL)
		return status;
	va_start(ap, fmt);
	vfail(err, status, fmt, ap);
	va_end(ap);
	len = strlen(err->cause);
	(void)snprintf(err->cause + len, sizeof err->cause - len, ": %s",
	    strerror(errnum));
	for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
		if (errnos[i].errnum == errnum && errnos[i].hint != NULL)
			error_note(err, "hint", errnos[i].hint);
	return status;
}

int
error_context(struct hf_error *err, const char *fmt, ...)
{
	va_list ap;
	char *frame;

	if (err == NULL)
		return HF_E_IO;
	/* A full slot keeps the innermost frames and the outermost one. */
	if (err->nframes < ERROR_FRAMES)
		err->nframes++;
	frame = err->frames[err->nframes - 1];
	va_start(ap, fmt);
	(void)vsnprintf(frame, sizeof err->frames[0], fmt, ap);
	va_end(ap);
	secret_scrub(frame);
	return err->status;
}

void
error_note(struct hf_error *err, const char *key, const char *value)
{
	int i;

	if (err == NULL)
		return;
	for (i = 0; i < err->nnotes; i++)
		if (strcmp(err->notes[i].key, key) == 0)
			break;
	if (i == ERROR_NOTES)
		return;
	if (i == err->nnotes)
		err->nnotes++;
	(void)snprintf(err->notes[i].key, sizeof err->notes[i].key, "%s", key);
	(void)snprintf(
	    err->notes[i].value, sizeof err->notes[i].value, "%s", value);
	secret_scrub(err->notes[i].value);
}

void
error_hint(struct hf_error *err, const char *fmt, ...)
{
	char text[sizeof err->notes[0].value];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	error_note(err, "hint", text);
}

const char *
error_get(const struct hf_error *err, const char *key)
{
	for (int i = 0; err != NULL && i < err->nnotes; i++)
		if (strcmp(err->notes[i].key, key) == 0)
			return err->notes[i].value;
	return NULL;
}

void
error_render(const struct hf_error *err, const char *what, FILE *f)
{
	const char *hint = error_get(err, "hint");

	fprintf(f, "error: %s%s%s\n", what == NULL ? "" : what,
	    what == NULL ? "" : ": ", err->cause);
	for (int i = err->nframes - 1; i >= 0; i--)
		fprintf(f, "  while: %s\n", err->frames[i]);
	for (int i = 0; i < err->nnotes; i++)
		if (strcmp(err->notes[i].key, "hint") != 0)
			fprintf(f, "  %s: %s\n", err->notes[i].key,
			    err->notes[i].value);
	if (hint != NULL)
		fprintf(f, "  hint: %s\n", hint);
}

void
error_line(const struct hf_error *err, char *buf, size_t cap)
{
	size_t len = 0;

	if (cap == 0)
		return;
	buf[0] = '\0';
	for (int i = err->nframes - 1; i >= 0 && len < cap; i--) {
		int n = snprintf(buf + len, cap - len, "%s: ", err->frames[i]);
		len += n > 0 ? (size_t)n : 0;
	}
	if (len < cap)
		(void)snprintf(buf + len, cap - len, "%s", err->cause);
}
