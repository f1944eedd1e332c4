/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of the JSON file: texts that may come from elsewhere, numbers that
 * are written as text, and what to call a value in a message. */
#ifndef HF_CONFIG_SCALAR_H
#define HF_CONFIG_SCALAR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct hf_error;
struct key;

/* Is it {"env": ...} or {"file": ...}, and so one value rather than an object
 * to merge with another? */
bool scalar_is_reference(const json_t *);

/* What is wrong with a reference, or NULL.  *key is the member it is about,
 * or NULL. */
const char *scalar_reference_problem(const json_t *, const char **key);

/* A text: as it is written, from the environment, or from a file (relative to
 * dir, one trailing newline trimmed).  The caller frees. */
int scalar_text(const json_t *, const char *dir, char **out, struct hf_error *);

/* By the key's type.  False when it is none or stands outside the choices. */
bool scalar_size(const struct key *, const json_t *, int64_t *);
bool scalar_duration(const struct key *, const json_t *, int64_t *);
bool scalar_int(const struct key *, const json_t *, int64_t *);

/* The key's default: SIZE, DURATION and INT; 0 when it has none. */
int64_t scalar_default(const struct key *);

/* The same as it would be written; the key must have one.  The caller
 * decrefs; NULL: no memory. */
json_t *scalar_default_json(const struct key *);

/* Is it one of "a|b|c"? */
bool scalar_choice(const char *choices, const char *);

/* "the number 5", "a list", for messages; long texts are cut. */
struct scalar_seen {
	char s[64];
};
struct scalar_seen scalar_seen(const json_t *);

#endif
