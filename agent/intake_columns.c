/* Which column holds what: as --map says, else as its name says, else (no header) as its cells look. */
#include "agent/intake_own.h"

#include "agent/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOOKED_AT 50 /* rows whose cells are compared when there is no header */

static const struct {
	const char *name; /* in small letters and digits only */
	enum field field;
} names[] = {
	{ "pixel", FIELD_PIXEL },
	{ "pixelcode", FIELD_PIXEL },
	{ "pixelid", FIELD_PIXEL },
	{ "tiktokpixel", FIELD_PIXEL },
	{ "tiktokpixelid", FIELD_PIXEL },
	{ "tiktokpixelcode", FIELD_PIXEL },
	{ "code", FIELD_PIXEL },
	{ "eventsource", FIELD_PIXEL },
	{ "eventsourceid", FIELD_PIXEL },
	{ "sourceid", FIELD_PIXEL },
	{ "datasource", FIELD_PIXEL },
	{ "datasourceid", FIELD_PIXEL },
	{ "token", FIELD_TOKEN },
	{ "accesstoken", FIELD_TOKEN },
	{ "apitoken", FIELD_TOKEN },
	{ "eventsapitoken", FIELD_TOKEN },
	{ "eventsapiaccesstoken", FIELD_TOKEN },
	{ "tiktoktoken", FIELD_TOKEN },
	{ "tiktokaccesstoken", FIELD_TOKEN },
	{ "capitoken", FIELD_TOKEN },
	{ "pixeltoken", FIELD_TOKEN },
	{ "expires", FIELD_EXPIRES },
	{ "expiresat", FIELD_EXPIRES },
	{ "expiresutc", FIELD_EXPIRES },
	{ "expiry", FIELD_EXPIRES },
	{ "expirydate", FIELD_EXPIRES },
	{ "expirationdate", FIELD_EXPIRES },
	{ "expiration", FIELD_EXPIRES },
	{ "validuntil", FIELD_EXPIRES },
	{ "testcode", FIELD_TEST_CODE },
	{ "testeventcode", FIELD_TEST_CODE },
	{ "testid", FIELD_TEST_CODE },
	{ "labels", FIELD_LABELS },
	{ "tags", FIELD_LABELS },
};

const char *field_name(enum field f)
{
	static const char *const words[FIELD_COUNT] = {
		[FIELD_NONE] = "none",       [FIELD_PIXEL] = "pixel",         [FIELD_TOKEN] = "token",
		[FIELD_EXPIRES] = "expires", [FIELD_TEST_CODE] = "test-code", [FIELD_LABELS] = "labels",
		[FIELD_LABEL] = "label",
	};
	return words[f];
}

/* "Pixel ID *" is pixelid. */
static void plain_name(const char *name, char ret[SHEET_NAME_MAX + 1])
{
	size_t len = 0;
	for (; *name; name++) {
		char c = *name, low = (char)(c | 0x20);
		if (c >= '0' && c <= '9')
			ret[len++] = c;
		else if (low >= 'a' && low <= 'z')
			ret[len++] = low;
	}
	ret[len] = '\0';
}

static bool is_label_key(const char *text)
{
	size_t len = strlen(text);
	return len >= 1 && len <= LABEL_KEY_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

/* label.shop, label:shop, label_shop. */
static bool name_of_label(const char *name, struct intake_column *ret)
{
	if (strncasecmp(name, "label", 5) != 0 || !memchr(".:_", name[5], 3) || !is_label_key(name + 6))
		return false;
	ret->field = FIELD_LABEL;
	memcpy(ret->label, name + 6, strlen(name + 6) + 1);
	return true;
}

static struct intake_column column_of_name(const char *name)
{
	char plain[SHEET_NAME_MAX + 1];
	struct intake_column ret = { .field = FIELD_NONE };
	plain_name(name, plain);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (strcmp(names[i].name, plain) == 0)
			ret.field = names[i].field;
	if (ret.field == FIELD_NONE)
		(void)name_of_label(name, &ret);
	return ret;
}

/* ---- is the first row a header? ---- */

static bool names_a_field(struct bytes cell)
{
	char name[SHEET_NAME_MAX + 1];
	cell = trimmed(cell);
	if (cell.len == 0 || cell.len > SHEET_NAME_MAX)
		return false;
	memcpy(name, cell.at, cell.len);
	name[cell.len] = '\0';
	return column_of_name(name).field != FIELD_NONE;
}

/* A --map speaks of it by name. */
static bool is_mapped_name(const struct reading *r, struct bytes cell)
{
	for (size_t i = 0; cell.len && i < r->request->map_count; i++) {
		const char *map = r->request->maps[i], *equals = strrchr(map, '=');
		if (equals && bytes_equal(cell, bytes_of(map, (size_t)(equals - map))))
			return true;
	}
	return false;
}

static bool row_looks(const struct reading *r, size_t row, bool (*looks)(struct bytes))
{
	for (size_t i = 0; i < r->sheet->column_count; i++)
		if (looks(trimmed(sheet_cell(r->sheet, sheet_row(r->sheet, row), i))))
			return true;
	return false;
}

static bool has_names(const struct reading *r)
{
	const struct sheet_row *row = sheet_row(r->sheet, 0);
	for (size_t i = 0; i < row->count; i++) {
		struct bytes cell = trimmed(sheet_cell(r->sheet, row, i));
		if (names_a_field(cell) || is_mapped_name(r, cell))
			return true;
	}
	return false;
}

/* Names that nobody knows: nothing in it is a Pixel or a token, and behind it both are. */
static bool stands_above_values(const struct reading *r)
{
	if (row_looks(r, 0, looks_like_pixel) || row_looks(r, 0, looks_like_token))
		return false;
	for (size_t i = 1; i < sheet_row_count(r->sheet) && i < LOOKED_AT; i++)
		if (row_looks(r, i, looks_like_pixel) && row_looks(r, i, looks_like_token))
			return true;
	return false;
}

/* What was only taken for a name is never shown: it may be a value after all. */
static void take_header(struct reading *r)
{
	bool is_known = has_names(r);
	if (!is_known && !stands_above_values(r))
		return;
	r->in->has_header = true;
	r->in->has_strange_header = !is_known;
	sheet_take_header(r->sheet);
	if (!is_known)
		memset(r->sheet->columns, 0, sizeof r->sheet->columns);
}

/* ---- --map ---- */

static bool field_of_word(const char *word, struct intake_column *ret)
{
	*ret = (struct intake_column){ .field = FIELD_NONE };
	if (strncmp(word, "label.", 6) == 0 || strncmp(word, "label:", 6) == 0)
		return name_of_label(word, ret);
	for (enum field f = FIELD_NONE; f < FIELD_LABEL; f++)
		if (strcmp(word, field_name(f)) == 0) {
			ret->field = f;
			return true;
		}
	return false;
}

static bool column_of_text(const struct sheet *s, const char *text, size_t *ret)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);
	for (size_t i = 0; i < s->column_count; i++) {
		struct bytes name = trimmed(bytes_of_text(s->columns[i]));
		if (name.len && bytes_equal(name, bytes_of_text(text))) {
			*ret = i;
			return true;
		}
	}
	*ret = number - 1;
	return *text >= '0' && *text <= '9' && !*end && number >= 1 && number <= s->column_count;
}

static bool apply_map(struct reading *r, const char *map, bool is_mapped[SHEET_COLUMNS_MAX], struct error *err)
{
	char name[SHEET_NAME_MAX + 1];
	struct intake_column column;
	size_t at;
	const char *equals = strrchr(map, '=');
	size_t len = equals ? (size_t)(equals - map) : 0;
	if (!equals || len == 0 || len > SHEET_NAME_MAX || !field_of_word(equals + 1, &column))
		return fail(err, ERR_USAGE, TXT_INTAKE_MAP_FORM, error_repeatable(map));
	memcpy(name, map, len);
	name[len] = '\0';
	if (!column_of_text(r->sheet, name, &at))
		return fail(err, ERR_USAGE, TXT_INTAKE_MAP_COLUMN, error_repeatable(name), r->sheet->column_count);
	r->in->columns[at] = column;
	is_mapped[at] = true;
	return true;
}

/* What a map names is not guessed as well. */
static void drop_guesses_of_mapped(struct reading *r, const bool is_mapped[SHEET_COLUMNS_MAX])
{
	for (size_t i = 0; i < r->sheet->column_count; i++)
		for (size_t k = 0; k < r->sheet->column_count; k++) {
			enum field f = r->in->columns[k].field;
			if (is_mapped[k] && !is_mapped[i] && f != FIELD_LABEL && r->in->columns[i].field == f)
				r->in->columns[i].field = FIELD_NONE;
		}
}

/* ---- by what stands in them ---- */

static size_t count_looking(const struct reading *r, size_t column, bool (*looks)(struct bytes))
{
	size_t rows = sheet_row_count(r->sheet), found = 0;
	for (size_t i = 0; i < rows && i < LOOKED_AT; i++)
		found += looks(trimmed(sheet_cell(r->sheet, sheet_row(r->sheet, i), column)));
	return found;
}

static void guess(struct reading *r, enum field field, bool (*looks)(struct bytes))
{
	size_t best = SHEET_COLUMNS_MAX, most = 0;
	for (size_t i = 0; i < r->sheet->column_count; i++) {
		size_t found = r->in->columns[i].field == FIELD_NONE ? count_looking(r, i, looks) : 0;
		if (found > most) {
			most = found;
			best = i;
		}
	}
	if (best == SHEET_COLUMNS_MAX)
		return;
	r->in->columns[best].field = field;
	r->in->is_guessed = true;
}

static bool demand(const struct reading *r, enum field field, struct error *err)
{
	size_t first = 0;
	for (size_t i = 0; i < r->sheet->column_count; i++) {
		if (r->in->columns[i].field != field)
			continue;
		if (first)
			return fail(err, ERR_USAGE, TXT_INTAKE_TWO_COLUMNS, first, i + 1, field_name(field));
		first = i + 1;
	}
	return first ? true : fail(err, ERR_USAGE, TXT_INTAKE_NO_COLUMN, field_name(field));
}

static bool has_field(const struct reading *r, enum field field)
{
	for (size_t i = 0; i < r->sheet->column_count; i++)
		if (r->in->columns[i].field == field)
			return true;
	return false;
}

static bool is_empty(const struct reading *r, size_t column)
{
	for (size_t i = 0; i < sheet_row_count(r->sheet); i++)
		if (trimmed(sheet_cell(r->sheet, sheet_row(r->sheet, i), column)).len)
			return false;
	return true;
}

bool find_columns(struct reading *r, struct error *err)
{
	bool is_mapped[SHEET_COLUMNS_MAX] = { false };
	if (r->sheet->format == SHEET_CSV)
		take_header(r);
	for (size_t i = 0; i < r->sheet->column_count; i++)
		r->in->columns[i] = column_of_name(r->sheet->columns[i]);
	for (size_t i = 0; i < r->request->map_count; i++)
		if (!apply_map(r, r->request->maps[i], is_mapped, err))
			return false;
	drop_guesses_of_mapped(r, is_mapped);
	if (!has_field(r, FIELD_PIXEL))
		guess(r, FIELD_PIXEL, looks_like_pixel);
	if (!has_field(r, FIELD_TOKEN))
		guess(r, FIELD_TOKEN, looks_like_token);
	for (size_t i = 0; i < r->sheet->column_count; i++)
		r->in->unused += r->in->columns[i].field == FIELD_NONE && !is_mapped[i] && !is_empty(r, i);
	return demand(r, FIELD_PIXEL, err) && demand(r, FIELD_TOKEN, err);
}
