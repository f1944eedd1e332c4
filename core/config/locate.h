/* SPDX-License-Identifier: BSD-2-Clause */
/* Where in a JSON text a value stands.  The parser has accepted the text
 * already, so this only counts. */
#ifndef HF_CONFIG_LOCATE_H
#define HF_CONFIG_LOCATE_H

#include <stdbool.h>

/* path: "pipelines.shop.to[1]"; a key with a dot or a bracket in it is
 * written as in the file's problems: ["a.b"].  key: point at the member's key
 * rather than at its value.  As much of the path as is there is followed. */
bool locate_path(
    const char *json, const char *path, bool key, int *line, int *column);

#endif
