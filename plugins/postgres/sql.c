/* SPDX-License-Identifier: BSD-2-Clause */
#include "sql.h"

#include <string.h>
#include <strings.h>

enum kind { BLANK, WORD, IDENT, STRING, SYMBOL };

#define UNFINISHED ((size_t)-1)

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Bytes above ASCII are letters to the server, in every encoding. */
static bool
begins_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (unsigned char)c >= 0x80;
}

static bool
at(const char *s, size_t len, size_t i, char c)
{
	return i < len && s[i] == c;
}

/* The end of the line that i is in, behind its '\n'. */
static size_t
skip_line(const char *s, size_t len, size_t i)
{
	const char *eol = memchr(s + i, '\n', len - i);

	return eol == NULL ? UNFINISHED : (size_t)(eol - s) + 1;
}

/* Comments of this kind nest. */
static size_t
skip_comment(const char *s, size_t len, size_t i)
{
	size_t depth = 0;

	while (i + 1 < len) {
		if (s[i] == '/' && s[i + 1] == '*') {
			depth++;
			i += 2;
		} else if (s[i] == '*' && s[i + 1] == '/') {
			i += 2;
			if (--depth == 0)
				return i;
		} else {
			i++;
		}
	}
	return UNFINISHED;
}

/* i: of the quote that begins it.  Doubled quotes end one and begin the next,
 * which comes to the same. */
static size_t
skip_quoted(const char *s, size_t len, size_t i)
{
	const char *end = memchr(s + i + 1, s[i], len - i - 1);

	return end == NULL ? UNFINISHED : (size_t)(end - s) + 1;
}

/* 'a' <line end> 'b' is one string: the quote that goes on, or len. */
static size_t
continued(const char *s, size_t len, size_t i)
{
	bool line = false;

	while (i < len) {
		if (at(s, len, i, '-') && at(s, len, i + 1, '-')) {
			while (i < len && s[i] != '\n')
				i++;
		} else if (is_space(s[i])) {
			line = line || s[i] == '\n' || s[i] == '\r';
			i++;
		} else {
			break;
		}
	}
	return line && at(s, len, i, '\'') ? i : len;
}

/* E'...': a backslash takes the next byte with it, and so in what continues
 * it on another line. */
static size_t
skip_escaped(const char *s, size_t len, size_t i)
{
	for (;;) {
		size_t end = i + 1, next;

		while (end < len && s[end] != '\'')
			end += s[end] == '\\' ? 2 : 1;
		if (end >= len)
			return UNFINISHED;
		end++;
		if (at(s, len, end, '\'')) {
			i = end;
			continue;
		}
		if ((next = continued(s, len, end)) == len)
			return end;
		i = next;
	}
}

/* $tag$...$tag$; i itself when it begins none. */
static size_t
skip_dollar(const char *s, size_t len, size_t i)
{
	size_t end = i + 1, n;

	if (end < len && begins_word(s[end]))
		while (end < len && (begins_word(s[end]) || is_digit(s[end])))
			end++;
	if (end == len)
		return UNFINISHED;
	if (s[end] != '$')
		return i;
	n = end + 1 - i;
	for (end++; end < len; end++) {
		const char *dollar = memchr(s + end, '$', len - end);

		if (dollar == NULL)
			return UNFINISHED;
		end = (size_t)(dollar - s);
		if (len - end >= n && memcmp(s + end, s + i, n) == 0)
			return end + n;
	}
	return UNFINISHED;
}

static size_t
skip_word(const char *s, size_t len, size_t i)
{
	while (i < len && (begins_word(s[i]) || is_digit(s[i]) || s[i] == '$'))
		i++;
	return i;
}

/* What begins with a letter. */
static size_t
skip_letter(const char *s, size_t len, size_t i, enum kind *kind)
{
	char c = s[i] | 0x20;

	*kind = STRING;
	if (c == 'e' && at(s, len, i + 1, '\''))
		return skip_escaped(s, len, i + 1);
	if (c == 'u' && at(s, len, i + 1, '&') && at(s, len, i + 2, '\''))
		return skip_quoted(s, len, i + 2);
	if (c == 'u' && at(s, len, i + 1, '&') && at(s, len, i + 2, '"')) {
		*kind = IDENT;
		i += 2;
		do
			i = skip_quoted(s, len, i);
		while (i != UNFINISHED && at(s, len, i, '"'));
		return i;
	}
	*kind = WORD;
	return skip_word(s, len, i);
}

/* The end of the token at i < len, UNFINISHED when these bytes do not have
 * it. */
static size_t
skip_token(const char *s, size_t len, size_t i, enum kind *kind)
{
	char c = s[i];
	size_t end;

	*kind = BLANK;
	if (is_space(c)) {
		while (i < len && is_space(s[i]))
			i++;
		return i;
	}
	if (c == '-' && at(s, len, i + 1, '-'))
		return skip_line(s, len, i);
	if (c == '/' && at(s, len, i + 1, '*'))
		return skip_comment(s, len, i);
	if (begins_word(c))
		return skip_letter(s, len, i, kind);
	*kind = c == '"' ? IDENT : STRING;
	if (c == '"' || c == '\'') {
		do
			i = skip_quoted(s, len, i);
		while (i != UNFINISHED && at(s, len, i, c));
		return i;
	}
	if (c == '$' && (end = skip_dollar(s, len, i)) != i)
		return end;
	if (is_digit(c) || (c == '$' && i + 1 < len && is_digit(s[i + 1]))) {
		*kind = WORD;
		for (i++; i < len && (is_digit(s[i]) || s[i] == '.');)
			i++;
		return i;
	}
	*kind = SYMBOL;
	return i + 1;
}

/* ---- statements ---- */

/* How deep inside of what keeps a ';' from ending the statement. */
struct nesting {
	size_t parens; /* CREATE RULE ... DO (a; b) */
	size_t begins; /* CREATE FUNCTION ... BEGIN ATOMIC a; b; END */
	size_t words;
	char first[4]; /* the initials of create, or, replace, function ... */
};

static bool
is_word(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(s, word, len) == 0;
}

static bool
is_routine(char initial)
{
	return initial == 'f' || initial == 'p';
}

/* Inside of a routine's definition BEGIN and, below it, CASE end in END. */
static void
nest_word(struct nesting *n, const char *s, size_t len)
{
	static const char *const heads[] = { "create", "or", "replace",
		"function", "procedure" };

	if (n->words < sizeof n->first)
		for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
			if (is_word(s, len, heads[i]))
				n->first[n->words] = heads[i][0];
	n->words++;
	if (n->parens > 0 || n->first[0] != 'c' ||
	    !(is_routine(n->first[1]) ||
		(n->first[1] == 'o' && n->first[2] == 'r' &&
		    is_routine(n->first[3]))))
		return;
	if (is_word(s, len, "begin") ||
	    (n->begins > 0 && is_word(s, len, "case")))
		n->begins++;
	else if (n->begins > 0 && is_word(s, len, "end"))
		n->begins--;
}

/* Does this symbol end the statement? */
static bool
nest_symbol(struct nesting *n, char c)
{
	if (c == '(')
		n->parens++;
	else if (c == ')' && n->parens > 0)
		n->parens--;
	return c == ';' && n->parens == 0 && n->begins == 0;
}

/* Where the first statement begins, or what may become one. */
static size_t
skip_to_statement(const char *s, size_t len)
{
	size_t i = 0, end;
	enum kind kind;

	while (i < len) {
		if (s[i] == '\\') {
			end = skip_line(s, len, i);
		} else if (s[i] == ';') {
			end = i + 1;
		} else {
			end = skip_token(s, len, i, &kind);
			if (kind != BLANK)
				return i;
		}
		if (end == UNFINISHED)
			return i;
		i = end;
	}
	return len;
}

size_t
sql_statement(const char *s, size_t len, size_t *start)
{
	struct nesting n = { 0 };
	size_t begin = skip_to_statement(s, len), i, end;
	enum kind kind;

	*start = begin;
	for (i = begin; i < len; i = end) {
		if ((end = skip_token(s, len, i, &kind)) == UNFINISHED)
			return 0;
		if (kind == WORD && begins_word(s[i]))
			nest_word(&n, s + i, end - i);
		else if (kind == SYMBOL && nest_symbol(&n, s[i]))
			return end - begin;
	}
	return 0;
}

/* ---- tokens ---- */

/* The token as buf shall have it; what does not fit is cut. */
static void
take(const char *s, size_t len, enum kind kind, char *buf, size_t cap)
{
	size_t n = 0;

	if (kind == IDENT) {
		size_t skip = s[0] == '"' ? 1 : 3; /* U&" */

		s += skip;
		len -= skip + 1;
	}
	for (size_t i = 0; i < len && n + 1 < cap; i++) {
		char c = s[i];

		if (kind == IDENT && c == '"')
			i++; /* it stands there twice */
		if (kind == WORD && c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		buf[n++] = c;
	}
	if (cap > 0)
		buf[n] = '\0';
}

bool
sql_token(
    const char *s, size_t len, size_t n, char *buf, size_t cap, bool *quoted)
{
	enum kind kind;

	for (size_t i = 0, end; i < len; i = end) {
		end = skip_token(s, len, i, &kind);
		if (end == UNFINISHED)
			return false;
		if (kind == BLANK || n-- > 0)
			continue;
		take(s + i, end - i, kind, buf, cap);
		if (quoted != NULL)
			*quoted = kind == IDENT;
		return true;
	}
	return false;
}

bool
sql_begins(const char *s, size_t len, const char *words)
{
	char token[64];
	bool quoted;

	for (size_t n = 0; *words != '\0'; n++) {
		size_t w = strcspn(words, " ");

		if (!sql_token(s, len, n, token, sizeof token, &quoted) ||
		    quoted || strlen(token) != w ||
		    strncmp(token, words, w) != 0)
			return false;
		words += w;
		words += strspn(words, " ");
	}
	return true;
}
