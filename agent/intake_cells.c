/* What stands in a cell, and what is wrong with it. */
#include "agent/intake_own.h"

#include "agent/text.h"
#include "core/clock.h"
#include "core/json.h"

#include <stdio.h>
#include <string.h>

#define DIGITS "0123456789"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define SMALL "abcdefghijklmnopqrstuvwxyz"
#define TOKEN_SHAPE_MIN 24

static bool is_all(struct bytes in, const char *allowed)
{
	for (size_t i = 0; i < in.len; i++)
		if (!in.at[i] || !strchr(allowed, in.at[i]))
			return false;
	return in.len > 0;
}

static bool starts_with(struct bytes in, const char *what)
{
	size_t len = strlen(what);
	return in.len >= len && memcmp(in.at, what, len) == 0;
}

static bool ends_with(struct bytes in, const char *what)
{
	size_t len = strlen(what);
	return in.len >= len && memcmp(in.at + in.len - len, what, len) == 0;
}

static bool contains(struct bytes in, const char *what)
{
	return in.len && memmem(in.at, in.len, what, strlen(what));
}

struct bytes trimmed(struct bytes cell)
{
	/* Blanks, a no-break space, zero-width ones, a byte order mark. */
	static const char *const around[] = { " ",        "\t",           "\r",           "\n",
					      "\xc2\xa0", "\xe2\x80\x8b", "\xe2\x80\x8d", "\xef\xbb\xbf" };
	for (size_t i = 0; i < COUNT_OF(around); i++) {
		size_t len = strlen(around[i]);
		if (starts_with(cell, around[i]))
			cell = bytes_of(cell.at + len, cell.len - len);
		else if (ends_with(cell, around[i]))
			cell.len -= len;
		else
			continue;
		i = SIZE_MAX; /* from the first again */
	}
	return cell;
}

bool looks_like_pixel(struct bytes cell)
{
	bool is_code = cell.len == 20 && is_all(cell, DIGITS "ABCDEFGHIJKLMNOPQRSTUV");
	return is_code || (cell.len >= 17 && cell.len <= 20 && is_all(cell, DIGITS));
}

bool looks_like_token(struct bytes cell)
{
	return cell.len >= TOKEN_SHAPE_MIN && is_all(cell, DIGITS CAPITALS SMALL "._~+/=-") && !looks_like_pixel(cell);
}

/* 1.23E+18: a number that was rounded. */
static bool is_scientific(struct bytes in)
{
	size_t i = 0, digits;
	while (i < in.len && (memchr(DIGITS ".,", in.at[i], 12)))
		i++;
	if (i == 0 || i + 2 >= in.len || (in.at[i] | 0x20) != 'e' || in.at[i + 1] != '+')
		return false;
	for (digits = i + 2; digits < in.len; digits++)
		if (in.at[digits] < '0' || in.at[digits] > '9')
			return false;
	return true;
}

static bool is_sheet_error(struct bytes in)
{
	static const char *const errors[] = { "#REF!", "#NAME?", "#VALUE!", "#N/A", "#NUM!", "#NULL!", "#DIV/0!" };
	for (size_t i = 0; i < COUNT_OF(errors); i++)
		if (bytes_equal(in, bytes_of_text(errors[i])))
			return true;
	return false;
}

static bool has_odd_quote(struct bytes in)
{
	static const char *const quotes[] = { "\xe2\x80\x98", "\xe2\x80\x99", "\xe2\x80\x9a", "\xe2\x80\x9c",
					      "\xe2\x80\x9d", "\xe2\x80\x9e", "\xc2\xab",     "\xc2\xbb" };
	for (size_t i = 0; i < COUNT_OF(quotes); i++)
		if (contains(in, quotes[i]))
			return true;
	return false;
}

/* What a spreadsheet does to a value, whatever it was. */
static bool is_damaged(struct reading *r, size_t column, enum field field, struct bytes in)
{
	size_t before = r->in->problems.len;
	if (is_scientific(in))
		note_problem(r, column, field, INTAKE_SCIENTIFIC);
	else if (is_sheet_error(in))
		note_problem(r, column, field, INTAKE_SHEET_ERROR);
	else if (starts_with(in, "="))
		note_problem(r, column, field, INTAKE_FORMULA);
	else if (ends_with(in, "...") || ends_with(in, "\xe2\x80\xa6") || (in.len > 2 && is_all(in, "#")))
		note_problem(r, column, field, INTAKE_CUT);
	return r->in->problems.len != before;
}

/* Excel's own mark for "this is text". */
static struct bytes without_apostrophe(struct reading *r, size_t column, enum field field, struct bytes in)
{
	if (in.len < 2 || in.at[0] != '\'' || in.at[in.len - 1] == '\'')
		return in;
	note_warning(r, column, field, INTAKE_APOSTROPHE);
	return bytes_of(in.at + 1, in.len - 1);
}

static bool is_trouble(struct reading *r, const struct error *why)
{
	if (why->code == ERR_MALFORMED)
		return false;
	r->trouble = *why;
	return true;
}

/* ---- Pixel ---- */

static bool refuse_pixel(struct reading *r, size_t column, struct bytes in, struct bytes token)
{
	bool is_code = is_all(in, DIGITS CAPITALS SMALL) && in.len >= PIXEL_CODE_MIN && in.len <= PIXEL_CODE_MAX;
	if (in.len == 0)
		note_problem(r, column, FIELD_PIXEL, INTAKE_PIXEL_EMPTY);
	else if (looks_like_pixel(token) && !is_all(token, DIGITS))
		note_problem(r, column, FIELD_PIXEL, INTAKE_SWAPPED);
	else if (has_odd_quote(in))
		note_problem(r, column, FIELD_PIXEL, INTAKE_QUOTE);
	else if (is_code && in.len == 20)
		note_problem(r, column, FIELD_PIXEL, INTAKE_PIXEL_LOWER);
	else if (looks_like_token(in))
		note_problem(r, column, FIELD_PIXEL, INTAKE_PIXEL_IS_TOKEN);
	else
		note_problem(r, column, FIELD_PIXEL, INTAKE_PIXEL_BAD);
	return false;
}

bool take_pixel(struct reading *r, size_t column, struct bytes cell, struct bytes token, char ret[PIXEL_CODE_MAX + 1])
{
	struct error why;
	unsigned removed = 0;
	scoped(secret_freep) struct secret *clean = NULL;
	struct bytes in = without_apostrophe(r, column, FIELD_PIXEL, trimmed(cell));
	if (is_damaged(r, column, FIELD_PIXEL, in))
		return false;
	if (!paste_clean("it", in, 1, PIXEL_CODE_MAX, &clean, &removed, &why))
		return !is_trouble(r, &why) && refuse_pixel(r, column, in, token);
	in = secret_reveal(clean);
	if (in.len >= 17 && in.len <= 20 && is_all(in, DIGITS)) {
		note_problem(r, column, FIELD_PIXEL, INTAKE_PIXEL_NUMERIC);
		return false;
	}
	if (in.len < PIXEL_CODE_MIN || !is_all(in, DIGITS CAPITALS))
		return refuse_pixel(r, column, in, token);
	memcpy(ret, in.at, in.len);
	ret[in.len] = '\0';
	return true;
}

/* ---- token ---- */

static bool refuse_token(struct reading *r, size_t column, struct bytes in, const struct error *why)
{
	if (has_odd_quote(in))
		note_problem(r, column, FIELD_TOKEN, INTAKE_QUOTE);
	else
		note_problem(r, column, FIELD_TOKEN, why->message, why->hint);
	return false;
}

/* Until nothing more is to be taken away: the put that follows cleans once more, and must find the same token. */
static bool clean_well(struct reading *r, struct bytes in, struct secret **ret, struct error *why)
{
	scoped(secret_freep) struct secret *before = NULL;
	unsigned removed;
	if (!secret_copy(in, &before, why))
		return false;
	for (;;) {
		struct secret *after = NULL;
		removed = 0;
		if (!token_clean(before, &after, &removed, why))
			return false;
		r->in->removed |= removed;
		secret_free(before);
		before = after;
		if (!removed)
			break;
	}
	*ret = take(before);
	return true;
}

bool take_token(struct reading *r, size_t column, struct bytes cell, struct bytes *ret)
{
	struct error why;
	scoped(secret_freep) struct secret *clean = NULL;
	struct bytes in = without_apostrophe(r, column, FIELD_TOKEN, trimmed(cell));
	if (is_damaged(r, column, FIELD_TOKEN, in))
		return false;
	if (starts_with(in, "$") && r->sheet->format == SHEET_ENV) {
		note_problem(r, column, FIELD_TOKEN, INTAKE_REFERENCE);
		return false;
	}
	if (!clean_well(r, in, &clean, &why))
		return !is_trouble(r, &why) && refuse_token(r, column, in, &why);
	struct bytes token = secret_reveal(clean);
	/* Back to where it lay: cleaning only takes away. */
	const uint8_t *at = in.at;
	memcpy((uint8_t *)(uintptr_t)at, token.at, token.len);
	*ret = bytes_of(at, token.len);
	return true;
}

/* ---- the rest ---- */

bool take_expires(struct reading *r, size_t column, struct bytes cell, int64_t *ret)
{
	char text[40];
	struct error why;
	struct bytes in = trimmed(cell);
	*ret = 0;
	if (in.len == 0)
		return true;
	if (in.len < sizeof text - 12) {
		/* A day alone begins at midnight, UTC: a warning too early is none too late. */
		snprintf(text, sizeof text, "%.*s%s", (int)in.len, (const char *)in.at,
			 in.len == 10 ? "T00:00:00Z" : "");
		if (clock_parse(text, ret, &why))
			return true;
	}
	note_problem(r, column, FIELD_EXPIRES, INTAKE_EXPIRES);
	return false;
}

bool take_test_code(struct reading *r, size_t column, struct bytes cell, char ret[TEST_CODE_MAX + 1])
{
	struct error why;
	struct bytes in = trimmed(cell);
	ret[0] = '\0';
	if (in.len == 0)
		return true;
	if (in.len <= TEST_CODE_MAX && !is_scientific(in)) {
		memcpy(ret, in.at, in.len);
		ret[in.len] = '\0';
		if (test_code_check(ret, &why))
			return true;
	}
	note_problem(r, column, FIELD_TEST_CODE, INTAKE_TEST_CODE);
	return false;
}

static bool add_label(struct reading *r, size_t column, const char *text)
{
	struct label label;
	struct error why;
	if (!label_parse(text, &label, &why)) {
		note_problem(r, column, FIELD_LABELS, INTAKE_LABEL);
		return false;
	}
	if (label.value[0])
		buf_append(&r->in->labels, &label, sizeof label);
	return true;
}

#define LABEL_TEXT_MAX (LABEL_KEY_MAX + LABEL_VALUE_MAX + 2)

bool take_label(struct reading *r, size_t column, const char *key, struct bytes cell)
{
	char text[LABEL_TEXT_MAX * 2];
	struct bytes in = trimmed(cell);
	if (in.len > LABEL_VALUE_MAX) {
		note_problem(r, column, FIELD_LABEL, INTAKE_LABEL);
		return false;
	}
	snprintf(text, sizeof text, "%s=%.*s", key, (int)in.len, (const char *)in.at);
	return add_label(r, column, text);
}

static bool take_label_object(struct reading *r, size_t column, struct bytes object)
{
	struct bytes key, raw;
	while (json_next_member(&object, &key, &raw)) {
		char text[LABEL_TEXT_MAX * 2], value[LABEL_VALUE_MAX + 1];
		if (key.len > LABEL_KEY_MAX || !json_as_text(raw, value, sizeof value)) {
			note_problem(r, column, FIELD_LABELS, INTAKE_LABEL);
			return false;
		}
		snprintf(text, sizeof text, "%.*s=%s", (int)key.len, (const char *)key.at, value);
		if (!add_label(r, column, text))
			return false;
	}
	return true;
}

bool take_labels(struct reading *r, size_t column, struct bytes cell)
{
	struct bytes rest = trimmed(cell);
	if (rest.len && rest.at[0] == '{' && r->sheet->format == SHEET_JSON)
		return take_label_object(r, column, rest);
	while (rest.len) {
		char text[LABEL_TEXT_MAX];
		const uint8_t *end = memchr(rest.at, ';', rest.len);
		size_t len = end ? (size_t)(end - rest.at) : rest.len;
		struct bytes one = trimmed(bytes_of(rest.at, len));
		rest = bytes_of(rest.at + len + (end != NULL), rest.len - len - (end != NULL));
		if (one.len == 0)
			continue;
		if (one.len >= sizeof text) {
			note_problem(r, column, FIELD_LABELS, INTAKE_LABEL);
			return false;
		}
		memcpy(text, one.at, one.len);
		text[one.len] = '\0';
		if (!add_label(r, column, text))
			return false;
	}
	return true;
}
