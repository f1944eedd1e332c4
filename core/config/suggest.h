/* SPDX-License-Identifier: BSD-2-Clause */
/* Hints for names that are not there. */
#ifndef HF_CONFIG_SUGGEST_H
#define HF_CONFIG_SUGGEST_H

#include <jansson.h>

/* Did you mean "busy_timeout"? Valid keys: a, b, c.
 * what: "Valid keys".  NULL ends the names; a long list is cut.  The caller
 * frees; NULL without names or memory. */
char *
suggest_names(const char *typed, const char *const *names, const char *what);

/* The same with the keys of an object, which may be NULL. */
char *
suggest_members(const char *typed, const json_t *object, const char *what);

#endif
