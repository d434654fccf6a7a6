#include "cli/template.h"

#include "cli/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64

void template_done(struct template *t)
{
	free(t->parts);
	*t = (struct template){ .parts = NULL };
}

/* ---- parsing ---- */

struct parser {
	struct bytes text;
	size_t at;
	unsigned line, column;
	const char *name;
	struct template *out;
	struct part part; /* the one whose braces are open */
};

static bool add_part(struct template *t, const struct part *part, struct error *err)
{
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 16;
		struct part *grown = reallocarray(t->parts, room, sizeof *grown);
		if (!grown)
			return fail_no_memory(err);
		t->parts = grown;
		t->room = room;
	}
	t->parts[t->count++] = *part;
	return true;
}

static bool add_text(struct parser *p, const void *at, size_t len, struct error *err)
{
	struct part part = { .text = bytes_of(at, len) };
	return !len || add_part(p->out, &part, err);
}

static bool starts_with(const struct parser *p, const char *what)
{
	size_t len = strlen(what);
	return p->text.len - p->at >= len && memcmp(p->text.at + p->at, what, len) == 0;
}

static void advance(struct parser *p, size_t len)
{
	for (size_t i = 0; i < len; i++, p->at++) {
		bool is_end = p->text.at[p->at] == '\n';
		p->line += is_end;
		/* A character of several bytes is one column. */
		p->column = is_end ? 1 : p->column + ((p->text.at[p->at] & 0xc0) != 0x80);
	}
}

static void skip_blanks(struct parser *p)
{
	while (p->at < p->text.len && (p->text.at[p->at] == ' ' || p->text.at[p->at] == '\t'))
		advance(p, 1);
}

/* Letters, digits and what may stand in a code; "" where something else stands. */
static void take_word(struct parser *p, char ret[WORD_MAX])
{
	size_t len = 0;
	skip_blanks(p);
	while (p->at < p->text.len && len < WORD_MAX - 1) {
		uint8_t c = p->text.at[p->at];
		bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
			       c == '-';
		if (!is_word)
			break;
		ret[len++] = (char)c;
		advance(p, 1);
	}
	ret[len] = '\0';
	skip_blanks(p);
}

static bool take_filter(struct parser *p, struct error *err)
{
	static const char *const names[FILTER_COUNT] = { "", "json", "shell", "env", "url", "base64" };
	char word[WORD_MAX];
	if (!starts_with(p, "|"))
		return true;
	advance(p, 1);
	unsigned line = p->line, column = p->column;
	take_word(p, word);
	for (size_t i = FILTER_JSON; i < COUNT_OF(names); i++)
		if (strcmp(word, names[i]) == 0) {
			p->part.filter = (enum filter)i;
			return true;
		}
	return fail(err, ERR_CONFIG, TXT_TEMPLATE_FILTER, p->name, line, column, error_repeatable(word));
}

static bool take_pixel(struct parser *p, struct error *err)
{
	char word[WORD_MAX];
	struct error why;
	unsigned line = p->line, column = p->column;
	take_word(p, word);
	if (!pixel_check(word, &why))
		return fail(err, ERR_CONFIG, TXT_TEMPLATE_PIXEL, p->name, line, column, why.message);
	text_copy(p->part.pixel, sizeof p->part.pixel, word);
	return true;
}

static bool take_placeholder(struct parser *p, struct error *err)
{
	char word[WORD_MAX];
	const char braces[] = "\"{{\"";
	p->part = (struct part){ .line = p->line, .column = p->column };
	advance(p, 2);
	skip_blanks(p);
	bool is_braces = starts_with(p, braces);
	if (is_braces) {
		p->part.text = bytes_of(p->text.at + p->at + 1, 2);
		advance(p, sizeof braces - 1);
		skip_blanks(p);
	} else {
		unsigned line = p->line, column = p->column;
		take_word(p, word);
		p->part.is_previous = strcmp(word, "previous") == 0;
		if (!p->part.is_previous && strcmp(word, "token") != 0)
			return fail(err, ERR_CONFIG, TXT_TEMPLATE_WORD, p->name, line, column, error_repeatable(word));
		if (!take_pixel(p, err) || !take_filter(p, err))
			return false;
	}
	if (!starts_with(p, "}}"))
		return fail(err, ERR_CONFIG, TXT_TEMPLATE_OPEN, p->name, p->line, p->column, p->part.line,
			    p->part.column);
	advance(p, 2);
	return add_part(p->out, &p->part, err);
}

bool template_parse(struct bytes text, const char *name, struct template *ret, struct error *err)
{
	struct parser p = { .text = text, .line = 1, .column = 1, .name = name, .out = ret };
	while (p.at < text.len) {
		const uint8_t *start = text.at + p.at;
		const uint8_t *braces = memmem(start, text.len - p.at, "{{", 2);
		size_t len = braces ? (size_t)(braces - start) : text.len - p.at;
		advance(&p, len);
		if (!add_text(&p, start, len, err) || (braces && !take_placeholder(&p, err)))
			return false;
	}
	return true;
}

/* ---- filters ---- */

struct writer {
	uint8_t *at;
	size_t len;
};

static void put(struct writer *w, const char *text)
{
	for (; *text; text++)
		w->at[w->len++] = (uint8_t)*text;
}

static void put_quoted(struct writer *w, struct bytes token, const char *quote, const char *special, const char *before)
{
	put(w, quote);
	for (size_t i = 0; i < token.len; i++) {
		if (strchr(special, token.at[i]))
			put(w, before);
		w->at[w->len++] = token.at[i];
	}
	put(w, quote);
}

/* A quote inside of quotes that know no escape: they end, it stands alone, they go on. */
static void put_shell(struct writer *w, struct bytes token)
{
	put(w, "'");
	for (size_t i = 0; i < token.len; i++)
		if (token.at[i] == '\'')
			put(w, "'\\''");
		else
			w->at[w->len++] = token.at[i];
	put(w, "'");
}

static void put_url(struct writer *w, struct bytes token)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < token.len; i++) {
		uint8_t c = token.at[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
				memchr("-._~", c, 4);
		if (!is_plain) {
			w->at[w->len++] = '%';
			w->at[w->len++] = (uint8_t)digits[c >> 4];
			c = (uint8_t)digits[c & 15];
		}
		w->at[w->len++] = c;
	}
}

static void put_base64(struct writer *w, struct bytes token)
{
	size_t room = sodium_base64_encoded_len(token.len, sodium_base64_VARIANT_ORIGINAL);
	sodium_bin2base64((char *)w->at, room, token.at, token.len, sodium_base64_VARIANT_ORIGINAL);
	w->len = room - 1;
}

/* A token is printable ASCII (token_clean), so that none of these needs more than four bytes for one. */
bool template_filter(enum filter filter, const struct secret *token, struct secret **ret, struct error *err)
{
	struct bytes from = secret_reveal(token);
	scoped(secret_freep) struct secret *out = NULL;
	if (!secret_new(from.len * 4 + 8, &out, err))
		return false;
	struct writer w = { .at = secret_room(out) };
	switch (filter) {
	case FILTER_JSON:
		put_quoted(&w, from, "\"", "\"\\", "\\");
		break;
	case FILTER_ENV:
		put_quoted(&w, from, "\"", "\"\\$`", "\\");
		break;
	case FILTER_SHELL:
		put_shell(&w, from);
		break;
	case FILTER_URL:
		put_url(&w, from);
		break;
	case FILTER_BASE64:
		put_base64(&w, from);
		break;
	default:
		memcpy(w.at, from.at, from.len);
		w.len = from.len;
	}
	secret_cut(out, w.len);
	*ret = take(out);
	return true;
}
