/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of the JSON file, in one place: the checker, the merge, the schema
 * and the test of docs/configuration.md all read these tables.
 *
 * "$comment" and "$schema" may stand in every object and are in no table. */
#ifndef HF_CONFIG_KEYS_H
#define HF_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

enum key_type {
	KEY_STRING,
	KEY_TEXT, /* a string, {"env"} or {"file"} */
	KEY_PATH, /* the same, made absolute */
	KEY_BOOL,
	KEY_INT, /* choices "1..9", "1.." */
	KEY_NUMBER,
	KEY_SCALAR,   /* string, number or boolean */
	KEY_SIZE,     /* choices "64KiB..16MiB" */
	KEY_DURATION, /* choices "1ms.." */
	KEY_ENUM,     /* choices "a|b" */
	KEY_CRON,
	KEY_REQUIRE, /* "all", "any" or a whole number from 1 */
	KEY_NAMES,   /* list of different names; choices: the map they are of,
		       * "filters" or "sinks" */
	KEY_COMMAND, /* list of strings, not empty */
	KEY_LABELS,  /* object of texts */
	KEY_OBJECT,  /* by sub */
	KEY_OBJECTS, /* list of such */
	KEY_EITHER,  /* one such, or a list of them */
	KEY_MAP      /* named ones */
};

#define KEY_REQUIRED (1u << 0)
#define KEY_NONEMPTY (1u << 1) /* of a list: at least one */
/* Read and checked, but this version does not act on it.  A warning says
 * so, since nobody should rely on a schedule that does not run. */
#define KEY_LATER (1u << 2)

struct keys;

struct key {
	const char *name; /* NULL ends the table */
	enum key_type type;
	unsigned flags;
	const char *choices;
	const char *def; /* as it would be written, or NULL */
	const struct keys *sub;
	const char *help; /* a sentence without its full stop */
};

/* What one kind of object may hold. */
struct keys {
	const char *title; /* the heading in docs/configuration.md */
	const struct key *list;
	/* An instance of a plugin: this key names it, and the keys that are
	 * not in the list are its options. */
	const char *plugin;
	const char *one, *other; /* keys that exclude each other */
	bool one_needed;         /* and one of the two must be there */
	const char *const *some; /* at least one of these, NULL ends */
};

extern const struct keys keys_top, keys_pipeline, keys_filter, keys_sink,
    keys_source;

/* All tables, NULL ends: for the documentation's test. */
extern const struct keys *const keys_all[];

const struct key *keys_find(const struct keys *, const char *name);

#define KEYS_MAX 32
/* The names with what may stand everywhere, NULL ends: for messages and for
 * the reserved keys of plugin options. */
void
keys_names(const struct keys *, bool everywhere, const char *names[KEYS_MAX]);

/* May it stand in every object? */
bool keys_everywhere(const char *name);

/* [A-Za-z0-9][A-Za-z0-9_-]{0,62}: what people name filters, sinks, pipelines
 * and sources; they become parts of keys in a store. */
bool keys_name_valid(const char *);
#define KEYS_NAME_PATTERN "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"

#endif
