/* SPDX-License-Identifier: BSD-2-Clause */
/* One configured instance of a plugin: finding the plugin, and handing its
 * options to the plugin layer with their places in the file. */
#ifndef HF_CONFIG_ITEM_H
#define HF_CONFIG_ITEM_H

#include <holdfast/plugin.h>

struct config;
struct config_item;
struct keys;
struct options;
struct plugins;
struct problems;

/* By where it stands: filters, sinks, or a pipeline's sources. */
const struct keys *item_keys(const struct config_item *);

/* Load its plugin.  A failure is a problem, with these flags. */
void item_load(
    struct config *, struct config_item *, struct plugins *, unsigned flags);

/* Parse its options.  resolve: environment and files too, then what the
 * plugin itself thinks of them.  Everything found goes to the problems, with
 * these flags; *out is NULL then, and when resolve is false.  HF_E_NOMEM, else
 * HF_OK. */
int item_parse(const struct config *, const struct config_item *, bool resolve,
    unsigned flags, struct problems *, struct options **out, struct hf_error *);

#endif
