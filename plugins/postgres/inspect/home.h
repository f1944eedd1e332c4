/* SPDX-License-Identifier: BSD-2-Clause */
/* The folders of a private server: where they can be, who owns them, and
 * their removal, also of those that killed runs left behind. */
#ifndef HF_POSTGRES_HOME_H
#define HF_POSTGRES_HOME_H

#include <sys/types.h>

#include <holdfast/plugin.h>

#define HOME_PATH 4096

struct home {
	char user[64];            /* who runs the server */
	bool switch_user;         /* that is not us: we are root */
	char data[HOME_PATH];     /* data folder, not made yet */
	char socket[HOME_PATH];   /* socket folder; short enough */
	char roots[2][HOME_PATH]; /* what home_remove removes; "": none */
	int locks[2];
};

/* Make the folders, mode 0700, for a server of run_as (when we are root; else
 * ours).  Below dir if that user can get there; if not, and for the socket
 * where the path is too long for one, below /var/tmp.  Each holds a locked
 * file for as long as we live.  On failure nothing is left. */
int home_make(
    const char *dir, const char *run_as, struct home *, struct hf_error *);
void home_remove(struct home *);

/* Remove what killed runs of this user left below dir and /var/tmp: nobody
 * holds the lock, and no server runs in it. */
void home_sweep(const char *dir, const char *user);

#endif
