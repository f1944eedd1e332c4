/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a repository's README.txt. */
#ifndef HF_REPO_README_H
#define HF_REPO_README_H

/* Without line ends; NULL ends. */
extern const char *const readme_lines[];

#endif
