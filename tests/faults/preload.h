/* SPDX-License-Identifier: BSD-2-Clause */
/* A library for LD_PRELOAD that makes system calls fail, or kills the process
 * at one of them.  It is told what to do by the environment, when the process
 * starts, or by the functions below (found with dlsym), at any time.
 *
 *   HF_FAULT_CALLS    which calls: "write,fsync", or "all".  Names: open (also
 *                     openat), read (pread), write (pwrite), fsync
 *                     (fdatasync), rename (renameat, renameat2), link
 *                     (linkat), unlink (unlinkat, rmdir), mkdir (mkdirat),
 *                     close, truncate (ftruncate), statvfs (fstatvfs alone),
 *                     flock
 *   HF_FAULT_AT       the n-th of them, from 1; 0 or unset: none, only count
 *   HF_FAULT_ERROR    "EIO", "ENOSPC", ... or a number; "kill": SIGKILL in
 *                     place of the call; "after": SIGKILL once it is done;
 *                     "short": half of a write.  A "+" behind an error: every
 *                     one from the n-th on
 *   HF_FAULT_PATH     only where the path of the file has this in it
 *   HF_FAULT_COUNT    a file that always holds the number of calls seen
 *   HF_FAULT_WITHOUT  what the file system cannot do: "tmpfile",
 *                     "renameat2", or both with a comma
 *
 * A close that fails has closed nevertheless, as the kernel's does.  What the
 * C library does inside itself (stdio) is not seen. */
#ifndef HF_FAULTS_PRELOAD_H
#define HF_FAULTS_PRELOAD_H

/* As the environment would; NULL: as if unset.  Counting starts anew.  Not
 * while other threads make calls. */
void fault_arm(const char *calls, long at, const char *error, const char *path);
void fault_without(const char *what);

/* Calls seen since fault_arm. */
long fault_seen(void);

#endif
