/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of filters that work in frames share: making them, running
 * them as the core does and step by step, and what must hold for each. */
#ifndef HF_TESTS_FILTER_KIT_H
#define HF_TESTS_FILTER_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct filter;
struct hf_error;
struct hf_filter;
struct options;
struct plugin;

#define MIB ((size_t)1 << 20)

/* ---- filters ---- */

/* Options as "level=2", NULL ends.  A status, and an error. */
int filter_kit_try(const struct plugin *, const char *const *args,
    struct filter **, struct hf_error *);
/* Fails the test where the options are refused. */
struct filter *filter_kit_make(const struct plugin *, const char *const *args);

/* A whole stream; what comes out is appended. */
void filter_kit_push(
    struct filter *, bool decode, const void *src, size_t len, struct buf *dst);
/* The same for one that must fail so. */
void filter_kit_refuse(
    struct filter *, const void *src, size_t len, int status, const char *text);

/* A filter's plain functions, for what the wrapper hides: exact counts. */
struct filter_kit_raw {
	const struct plugin *plugin;
	struct hf_filter *f;
	struct options *options;
};
struct filter_kit_raw
filter_kit_open(const struct plugin *, const char *const *args);
void filter_kit_close(struct filter_kit_raw *);
/* Run a whole stream in pieces of the given sizes.  Returns the status that
 * ended it; *used counts the input that was taken. */
int filter_kit_run(struct filter_kit_raw *, bool decode, const uint8_t *src,
    size_t len, size_t in_piece, size_t out_piece, struct buf *dst,
    size_t *used);

/* ---- data ---- */

enum { KIT_TEXT, KIT_NOISE, KIT_ZEROS, KIT_KINDS };

uint64_t filter_kit_random(void);
/* free() it. */
uint8_t *filter_kit_data(int kind, size_t len);

/* ---- what must hold for each ---- */

/* What goes in comes out, for any size and kind, and hardly grows. */
void filter_kit_round_trips(struct filter *);
/* Also when it comes and is taken in pieces of any size. */
void filter_kit_pieces(
    struct filter_kit_raw *enc, struct filter_kit_raw *dec, size_t longest);
/* The end of a frame is found to the byte, wherever the pieces end. */
void filter_kit_tail(struct filter_kit_raw *, const uint8_t *tail, size_t len);
/* Frames laid end to end decode through any room: one whose output just fills
 * it must still end with a step that moves something, or its caller takes it
 * for stuck. */
void filter_kit_joined(struct filter *);
/* A frame that ends too early is HF_E_CORRUPT, wherever it does. */
void filter_kit_truncated(struct filter_kit_raw *);
/* A flipped bit is HF_E_CORRUPT, or the content is right all the same.
 * remark: must it be right? */
void filter_kit_flipped(struct filter_kit_raw *, bool (*remark)(size_t bit));
/* Any bytes, most of them behind this head, end in HF_E_CORRUPT or, if lucky
 * says that they can, as a stream. */
void filter_kit_noise(
    struct filter_kit_raw *, const uint8_t *head, size_t len, bool lucky);
/* The same frame gives the same bytes: in a state that was used before, and in
 * another filter of the same options. */
void filter_kit_same_bytes(struct filter *, struct filter *other);
/* A stream may be ended at any point, and leaves nothing behind. */
void filter_kit_ended(struct filter *);
/* Many threads share an instance. */
void filter_kit_threads(struct filter *);

/* ---- the tools that people have, in a folder of the test's own ---- */

bool filter_kit_folder(void);
int filter_kit_folder_remove(void);
void filter_kit_write(const char *name, const void *, size_t);
void filter_kit_read(const char *name, struct buf *);
/* A shell command there: its status. */
int filter_kit_shell(const char *command);
bool filter_kit_has(const char *tool);
/* For each of the tools {tool, its command, from the file "want" to stdout}:
 * what it writes of that is read by the filter.  The first tool must be
 * there; a ';' in a command says that it writes all twice. */
void filter_kit_reads_tools(
    struct filter *, const char *const (*tools)[2], size_t n);

#endif
