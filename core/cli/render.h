/* SPDX-License-Identifier: BSD-2-Clause */
/* How results look: tables, words, moments, JSON. */
#ifndef HF_CLI_RENDER_H
#define HF_CLI_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/text.h"

struct hf_error;

enum render_style { RENDER_PLAIN, RENDER_GOOD, RENDER_WARN, RENDER_BAD };

/* Colour on stdout?  Decided once: a terminal, and NO_COLOR not set. */
bool render_colour(void);

/* A word in its colour, control characters replaced. */
void render_word(FILE *, enum render_style, const char *);

/* Text from that column on, which has been reached: words are wrapped before
 * the 80th, line feeds kept; ends the line. */
void render_wrap(FILE *, int column, const char *);

/* A table that is printed when it is complete.  Texts are copied; a failed
 * allocation makes render_table_print fail. */
struct render_table;
/* heads: NULL ends; a head that begins with '>' stands to the right. */
struct render_table *render_table_new(const char *const *heads);
void render_cell(struct render_table *, enum render_style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* HF_OK, or HF_E_NOMEM (also for a NULL table).  Frees the table. */
int render_table_print(struct render_table *, FILE *, struct hf_error *);
void render_table_free(struct render_table *);

/* "2026-11-21 02:15:00 +0100": for people, in the local zone. */
struct text_small render_time(int64_t ms);
/* "12s", "5m", "3h", "12d": since then. */
struct text_small render_age(int64_t since_ms);

/* A JSON string of any bytes: what is not UTF-8 is replaced. */
json_t *render_string(const char *);
/* UTC, or null for 0. */
json_t *render_json_time(int64_t ms);
/* {"status", "message", "while", "hint", "notes"} */
json_t *render_json_error(const struct hf_error *);
/* Prints the document and a newline, and frees it.  HF_E_NOMEM: it is NULL. */
int render_json(json_t *, FILE *, struct hf_error *);

#endif
