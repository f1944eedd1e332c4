/* SPDX-License-Identifier: BSD-2-Clause */
/* The manifest: what a backup is.  Written last, never changed; each sink's
 * manifest describes the bytes in that sink.  docs/format.md has every
 * member. */
#ifndef HF_REPO_MANIFEST_H
#define HF_REPO_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"

struct hf_error;

#define MANIFEST_FORMAT 1

struct manifest_filter {
	char *name, *type; /* "gz", "gzip" */
};

struct manifest_object {
	char *name, *key;
	uint64_t raw_size, stored_size, frame_size;
	char raw_sha256[SHA256_HEX], stored_sha256[SHA256_HEX];
	struct manifest_filter *filters; /* in the order of writing */
	size_t nfilters;
	char *index_key; /* or NULL */
	uint64_t index_size;
	char index_sha256[SHA256_HEX];
};

struct manifest_source {
	char *name, *engine, *engine_version;
	char *prefix; /* of its objects' names, "" or "main/" */
	/* Builds on the source of its name in the manifest's parent; in an
	 * incremental backup sources may be full all the same. */
	bool incremental;
	char **facts; /* keys and values in turn, NULL ends */
	struct manifest_object *objects;
	size_t nobjects;
};

struct manifest_check {
	char *source, *check, *result;
	int verdict; /* enum hf_verdict */
};

#define MANIFEST_FULL "full"
#define MANIFEST_INCREMENTAL "incremental"

struct manifest {
	/* kind: MANIFEST_FULL, or MANIFEST_INCREMENTAL: a source is. */
	char *id, *pipeline, *kind;
	char *parent; /* id, which sorts before its own; NULL: full */
	char *host, *environment, *operator_name; /* the last two may be NULL */
	char *program_version;
	int64_t started_ms, ended_ms;
	char **labels; /* keys and values in turn, NULL ends; may be NULL */
	/* Names of all sinks that the run was to write to, this one and those
	 * that failed; NULL ends; may be NULL (older ones do not say). */
	char **sinks;
	struct manifest_source *sources;
	size_t nsources;
	struct manifest_check *checks; /* made before publishing */
	size_t nchecks;
};

/* "<pipeline>/catalog/<id>.json"; the caller frees.  NULL: no memory. */
char *manifest_key(const char *pipeline, const char *id);
char *manifest_data_prefix(const char *pipeline, const char *id);

/* A new id: "20261121T021500Z-7f3a91c2".  Of two, that of a later millisecond
 * sorts behind. */
void manifest_new_id(int64_t started_ms, char id[32]);
bool manifest_valid_id(const char *id);
/* When it started, from the id: Unix milliseconds. */
int64_t manifest_id_time(const char *id);

/* JSON both ways.  Reading refuses a format or a "features" entry that this
 * program does not know (HF_E_UNSUPPORTED), and whatever does not hold
 * together (HF_E_CORRUPT): keys outside the backup's own folder, bad hashes, a
 * parent of a full backup or one that is not older. */
int manifest_to_json(const struct manifest *, json_t **, struct hf_error *);
int manifest_from_json(const json_t *, struct manifest **, struct hf_error *);
void manifest_free(struct manifest *);

/* One object alone, for documents that are about one; its keys stand below
 * prefix.  NULL: no memory, or a name that is not UTF-8. */
json_t *manifest_object_to_json(const struct manifest_object *);
int manifest_object_from_json(const json_t *, const char *prefix,
    struct manifest_object *, struct hf_error *);
void manifest_object_clear(struct manifest_object *);

/* NULL: it has none of that name. */
const struct manifest_source *
manifest_source(const struct manifest *, const char *name);
uint64_t manifest_source_size(const struct manifest_source *); /* raw */
uint64_t manifest_raw_size(const struct manifest *);
uint64_t manifest_stored_size(const struct manifest *);

#endif
