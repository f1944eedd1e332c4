/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of a store: [A-Za-z0-9._=/-], at most 512 bytes, no empty component,
 * none that starts with a dot.  A hostile listing can therefore never name a
 * path outside a repository. */
#ifndef HF_BASE_KEY_H
#define HF_BASE_KEY_H

#include <stdbool.h>
#include <stddef.h>

#define KEY_MAX 512
#define KEY_COMPONENT_MAX 200

bool key_valid(const char *key);

/* A prefix to list: as a key, but it may be empty, and its last component
 * may be cut or end in '/'. */
bool key_valid_prefix(const char *prefix);

/* Any UTF-8 name as a key: bytes outside the set, and a leading dot, become
 * =XX (two upper-case hex digits), '=' itself =3D; '/' stays and parts a name
 * into components.  A component longer than KEY_COMPONENT_MAX keeps its first
 * 160 bytes and gets =. and 32 digits of its SHA-256.  Different names give
 * different keys.  False when it does not fit or the name is empty. */
bool key_escape(const char *name, char *out, size_t cap);

#endif
