/* SPDX-License-Identifier: BSD-2-Clause */
/* libcurl makes a pair of sockets for each handle to wake itself with, and
 * children would inherit them: there is no option for that. */
#ifndef HF_S3_CLOEXEC_H
#define HF_S3_CLOEXEC_H

/* Mark every unnamed local socket of the process that a child would inherit.
 * In this program none is meant to be inherited. */
void cloexec_sockets(void);

#endif
