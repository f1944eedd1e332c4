/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared credentials and config files of AWS programs: INI, a section a
 * profile ("[name]", in the config file "[profile name]"). */
#ifndef HF_S3_PROFILE_H
#define HF_S3_PROFILE_H

#include <stdbool.h>

struct profile {
	char name[128], file[512];
	/* Into text; NULL: not there. */
	const char *access_key, *secret_key, *session_token, *region;
	char text[4][4096];
};

/* name NULL: AWS_PROFILE, or "default".  false when neither file has a key of
 * it; region may be found all the same. */
bool profile_read(const char *name, struct profile *);

#endif
