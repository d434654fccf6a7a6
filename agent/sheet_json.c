/* JSON in three shapes: what `export` seals, {"pixels":[{...}]}; a bare array of objects; and a plain map from Pixel to
 * token, or to an object. */
#include "agent/sheet_own.h"

#include "agent/text.h"
#include "core/json.h"

#include <string.h>

#define DEPTH_MAX 5
#define NODES_MAX ((size_t)2 << 20)

/* Text is resolved where it lies: it never gets longer. Other values stay as they are written; null is nothing. */
static struct bytes value_in_place(struct scan *s, struct bytes raw)
{
	if (raw.len == 0 || raw.at[0] != '"')
		return bytes_equal(raw, bytes_of_text("null")) ? bytes_of("", 0) : raw;
	char *at = (char *)s->bytes + (raw.at - s->bytes);
	return json_as_text(raw, at, raw.len) ? bytes_of_text(at) : bytes_of("", 0);
}

/* The column of this name, a new one where there is none yet; SHEET_COLUMNS_MAX: too many. */
static size_t column_named(struct sheet *sheet, struct bytes name)
{
	char text[SHEET_NAME_MAX + 1];
	size_t len = name.len < SHEET_NAME_MAX ? name.len : SHEET_NAME_MAX, i;
	memcpy(text, name.at, len);
	text[len] = '\0';
	for (i = 0; i < sheet->column_count; i++)
		if (strcmp(sheet->columns[i], text) == 0)
			return i;
	if (i < SHEET_COLUMNS_MAX) {
		memcpy(sheet->columns[i], text, len + 1);
		sheet->column_count++;
	}
	return i;
}

/* The members of one object as a row, each in its column. */
static void take_members(struct scan *s, size_t row, struct bytes object, struct bytes cells[SHEET_COLUMNS_MAX])
{
	struct bytes key, value;
	while (json_next_member(&object, &key, &value)) {
		size_t column = column_named(s->sheet, key);
		if (column == SHEET_COLUMNS_MAX) {
			scan_fault(s, row, 0, SHEET_MANY_CELLS);
			return;
		}
		cells[column] = value_in_place(s, value);
	}
}

static void give_row(struct scan *s, const struct bytes cells[SHEET_COLUMNS_MAX])
{
	for (size_t i = 0, count = s->sheet->column_count; i < count; i++)
		scan_cell(s, cells[i].at ? cells[i] : bytes_of("", 0));
}

static bool is_object(struct bytes raw)
{
	return raw.len && raw.at[0] == '{';
}

static bool take_array(struct scan *s, struct bytes array, struct error *err)
{
	struct bytes element;
	for (size_t row = 1; json_next_element(&array, &element); row++) {
		struct bytes cells[SHEET_COLUMNS_MAX] = { { NULL, 0 } };
		if (!scan_row(s, row, err))
			return false;
		if (!is_object(element))
			scan_fault(s, row, 0, SHEET_JSON_ELEMENT);
		else
			take_members(s, row, element, cells);
		give_row(s, cells);
	}
	return true;
}

static bool take_map(struct scan *s, struct bytes map, struct error *err)
{
	struct bytes key, value;
	size_t token = column_named(s->sheet, bytes_of_text("pixel")) + 1;
	(void)column_named(s->sheet, bytes_of_text("token"));
	for (size_t row = 1; json_next_member(&map, &key, &value); row++) {
		struct bytes cells[SHEET_COLUMNS_MAX] = { { NULL, 0 } };
		if (!scan_row(s, row, err))
			return false;
		if (is_object(value))
			take_members(s, row, value, cells);
		else
			cells[token] = value_in_place(s, value);
		cells[0] = value_in_place(s, bytes_of(key.at - 1, key.len + 2));
		give_row(s, cells);
	}
	return true;
}

bool sheet_scan_json(struct scan *s, struct error *err)
{
	const struct json_limits limits = { .depth = DEPTH_MAX, .nodes = NODES_MAX };
	struct bytes text = bytes_of(s->bytes + s->at, s->len - s->at), pixels;
	const char *why;
	if (!json_check_wide(text, limits, SHEET_ROWS_MAX + 1, &why))
		return why == json_no_memory ? fail_no_memory(err) : fail(err, ERR_MALFORMED, TXT_SHEET_JSON, why);
	while (text.len && memchr(" \t\r\n", text.at[0], 4))
		text = bytes_of(text.at + 1, text.len - 1);
	if (text.at[0] == '[')
		return take_array(s, text, err);
	if (text.at[0] != '{')
		return fail(err, ERR_USAGE, TXT_SHEET_JSON_SHAPE);
	if (json_find_raw(text, "pixels", &pixels) && pixels.at[0] == '[')
		return take_array(s, pixels, err);
	return take_map(s, text, err);
}
