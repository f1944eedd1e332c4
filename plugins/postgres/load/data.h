/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows alone: into tables that are there, and empty. */
#ifndef HF_POSTGRES_LOAD_DATA_H
#define HF_POSTGRES_LOAD_DATA_H

#include <holdfast/plugin.h>

struct job;

/* On failure every table that was loaded is emptied again. */
int data_run(struct job *, struct hf_error *);

#endif
