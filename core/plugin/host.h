/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands behind the host table's out_* and in_* functions.
 *
 * A backup being written and one being read are interfaces here, so that the
 * flow, the conformance suite and tests can each bring their own; the host
 * table only dispatches.  An implementation puts the struct first in its own.
 */
#ifndef HF_PLUGIN_HOST_H
#define HF_PLUGIN_HOST_H

#include <holdfast/plugin.h>

struct out_ops {
	int (*begin)(struct hf_out *, const char *name, uint64_t size_hint,
	    struct hf_writer **, struct hf_error *);
	int (*write)(
	    struct hf_writer *, const void *, size_t, struct hf_error *);
	int (*commit)(struct hf_writer *, struct hf_error *);
	void (*abort)(struct hf_writer *);
	int (*fact)(struct hf_out *, const char *key, const char *value,
	    struct hf_error *);
	/* Of logs alone; NULL: what is written is no log. */
	int (*writer_fact)(struct hf_writer *, const char *key,
	    const char *value, struct hf_error *);
	int (*remove)(struct hf_out *, const char *name, struct hf_error *);
};
struct hf_out {
	const struct out_ops *ops;
};
struct hf_writer {
	const struct out_ops *ops;
};

/* != 0 stops. */
typedef int host_fact_fn(void *arg, const char *key, const char *value);

struct in_ops {
	int (*list)(struct hf_in *, hf_list_fn *, void *, struct hf_error *);
	int (*open)(struct hf_in *, const char *name, uint64_t off,
	    uint64_t len, struct hf_reader **, struct hf_error *);
	int (*read)(struct hf_reader *, void *, size_t cap, size_t *n,
	    struct hf_error *);
	void (*close)(struct hf_reader *);
	const char *(*fact)(struct hf_in *, const char *key);
	/* Of logs alone; NULL: what is read is no log. */
	int (*facts)(struct hf_in *, const char *name, host_fact_fn *,
	    void *arg, struct hf_error *);
	/* The names that begin so; NULL: list, and those alone are told. */
	int (*list_below)(struct hf_in *, const char *prefix, hf_list_fn *,
	    void *arg, struct hf_error *);
};
struct hf_in {
	const struct in_ops *ops;
};
struct hf_reader {
	const struct in_ops *ops;
};

/* The services that plugins get. */
extern const struct hf_host host_table;

#endif
