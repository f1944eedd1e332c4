/* SPDX-License-Identifier: BSD-2-Clause */
/* Does the service keep "If-None-Match: *"?  Some do not know it and overwrite
 * without a word, so it is tried with an object of its own, and the answer is
 * kept beside other state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "attributes.h"
#include "ops.h"
#include "probe.h"
#include "request.h"

/* The name of the file that remembers: FNV-1a is enough to tell places apart. */
static char *
memory_path(const struct hf_store *s)
{
	const char *parts[] = { s->endpoint, "\n", s->conf.bucket };
	const char *dir = H->folder(s->ctx, HF_FOLDER_STATE);
	uint64_t hash = 14695981039346656037u;
	char *path;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		for (const char *p = parts[i]; *p != '\0'; p++)
			hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	if (dir == NULL || asprintf(&path, "%s/s3-conditional-%016llx", dir,
			       (unsigned long long)hash) < 0)
		return NULL;
	return path;
}

static int
remembered(const struct hf_store *s)
{
	char *path = memory_path(s);
	FILE *f = path == NULL ? NULL : fopen(path, "re");
	int c = f == NULL ? EOF : fgetc(f);

	if (f != NULL)
		(void)fclose(f);
	free(path);
	return c == '1' ? 1 : c == '0' ? 0 : -1;
}

/* Losing it costs three requests. */
static void
remember(const struct hf_store *s, int answer)
{
	char *path = memory_path(s), *temp = NULL;
	FILE *f = NULL;

	if (path != NULL && asprintf(&temp, "%s.%ld", path, (long)getpid()) > 0)
		f = fopen(temp, "we");
	if (f != NULL) {
		int bad = fprintf(f, "%d\n", answer) < 0;

		if (fclose(f) != 0 || bad || rename(temp, path) != 0)
			(void)unlink(temp);
	}
	free(temp);
	free(path);
}

static int
put_new(struct hf_store *s, const char *key, const char *text, bool *repeated,
    struct hf_error *err)
{
	struct attributes attributes;
	struct request r = { .method = "PUT",
		.key = key,
		.headers = attributes.list,
		.body = { text, strlen(text) },
		.checksum = true };
	struct answer a = { 0 };
	int rc;

	/* Policies may refuse what is not encrypted, or not tagged. */
	attributes_fill(s, false, &attributes);
	attributes_add(&attributes, "If-None-Match: %s", "*");
	rc = request_run(s, &r, &a, "trying a conditional put", err);
	/* The first try's answer was lost: what is there is ours. */
	*repeated = a.sent > 1;
	answer_clear(&a);
	return rc;
}

/* A service that does not answer is not waited for twice. */
static void
remove_probe(struct hf_store *s, const char *key, bool answers)
{
	struct request r = {
		.method = "DELETE", .key = key, .unstoppable = !answers
	};
	struct answer a = { 0 };

	(void)request_run(s, &r, &a, "removing the probe", NULL);
	answer_clear(&a);
}

int
probe_conditional(struct hf_store *s, int *answer, struct hf_error *err)
{
	uint64_t random = 0;
	bool repeated;
	char key[64];
	int rc;

	*answer = -1;
	(void)getrandom(&random, sizeof random, 0);
	(void)snprintf(key, sizeof key, "holdfast-probe-%016llx",
	    (unsigned long long)random);
	rc = put_new(s, key, "first", &repeated, err);
	if (rc == HF_E_UNSUPPORTED) {
		*answer = 0; /* the header itself is refused */
		rc = HF_OK;
	} else if (rc == HF_OK || (rc == HF_E_EXISTS && repeated)) {
		rc = put_new(s, key, "second", &repeated, err);
		if (rc == HF_OK || rc == HF_E_EXISTS) {
			*answer = rc == HF_E_EXISTS;
			rc = HF_OK;
		}
	}
	remove_probe(s, key, rc == HF_OK);
	if (rc == HF_OK)
		remember(s, *answer);
	return rc;
}

/* Under the lock. */
static int
find_out(struct hf_store *s, struct hf_error *err)
{
	int rc = HF_OK;

	if (s->conditional < 0)
		s->conditional = remembered(s);
	if (s->conditional < 0 &&
	    (rc = probe_conditional(s, &s->conditional, err)) == HF_OK &&
	    s->conditional == 0)
		H->log(s->ctx, HF_LOG_WARN, "s3.unconditional",
		    "this service does not keep \"If-None-Match: *\": two "
		    "machines must not share this bucket and prefix");
	return rc;
}

int
probe_answer(struct hf_store *s, int *answer, struct hf_error *err)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	/* All its time was used up a moment ago: told, not tried again. */
	if ((rc = s->unknown) != HF_OK) {
		s->unknown = HF_OK;
		(void)H->fail_move(err, s->why);
	} else {
		rc = find_out(s, err);
	}
	*answer = s->conditional;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* Has no error to return.  "No" would be a lie where nobody knows, and two
 * runs would share what must not be shared: it says "yes", and the put that
 * relies on it gets the error. */
uint32_t
probe_caps(struct hf_store *s)
{
	uint32_t caps = HF_CAP_RANGE | HF_CAP_IF_ABSENT;

	if (s->conf.exclusive)
		return caps;
	pthread_mutex_lock(&s->lock);
	if (s->unknown == HF_OK)
		s->unknown = find_out(s, s->why);
	if (s->conditional == 0)
		caps = HF_CAP_RANGE;
	pthread_mutex_unlock(&s->lock);
	return caps;
}
