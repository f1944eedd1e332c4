/* SPDX-License-Identifier: BSD-2-Clause */
/* Folders by descriptors, never by paths: root works below folders that
 * another user owns, and that user could put a link in the way. */
#ifndef HF_POSTGRES_TREE_H
#define HF_POSTGRES_TREE_H

#include <stdbool.h>
#include <stddef.h>

/* The folder NAME below dir (AT_FDCWD: a path), never a link; -1: errno. */
int tree_open(int dir, const char *name);
/* Remove what is in it, as far as it can be; true: it is empty now. */
bool tree_empty(int fd);
/* The folder too.  One that is not there is no failure. */
void tree_remove(int dir, const char *name);

#endif
