#include "agent/sheet_own.h"

#include "agent/text.h"

#include <string.h>

#define LIST_BYTES_MAX (SIZE_MAX / 4)

const char *sheet_format_name(enum sheet_format format)
{
	static const char *const names[] = { [SHEET_CSV] = "csv", [SHEET_ENV] = "env", [SHEET_JSON] = "json" };
	return names[format];
}

/* ---- what it looks like ---- */

static struct bytes without_mark(struct bytes file)
{
	bool has_mark = file.len >= 3 && memcmp(file.at, "\xef\xbb\xbf", 3) == 0;
	return has_mark ? bytes_of(file.at + 3, file.len - 3) : file;
}

static bool is_name_byte(uint8_t c)
{
	uint8_t low = c | 0x20;
	return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

/* NAME= or export NAME=. */
static bool is_assignment(struct bytes line)
{
	size_t i = 0;
	if (line.len > 7 && memcmp(line.at, "export ", 7) == 0)
		line = bytes_of(line.at + 7, line.len - 7);
	while (i < line.len && is_name_byte(line.at[i]))
		i++;
	while (i < line.len && line.at[i] == ' ')
		i++;
	return i > 0 && i < line.len && line.at[i] == '=';
}

enum sheet_format sheet_guess(struct bytes file)
{
	file = without_mark(file);
	while (file.len) {
		const uint8_t *end = memchr(file.at, '\n', file.len);
		size_t len = end ? (size_t)(end - file.at) : file.len;
		struct bytes line = bytes_of(file.at, len);
		file = bytes_of(file.at + len + (end != NULL), file.len - len - (end != NULL));
		while (line.len && memchr(" \t\r", line.at[0], 3))
			line = bytes_of(line.at + 1, line.len - 1);
		if (line.len == 0 || line.at[0] == '#')
			continue;
		if (line.at[0] == '{' || line.at[0] == '[')
			return SHEET_JSON;
		/* Excel's own first line, which looks like an assignment. */
		bool is_excel = line.len >= 4 && memcmp(line.at, "sep=", 4) == 0;
		return is_assignment(line) && !is_excel ? SHEET_ENV : SHEET_CSV;
	}
	return SHEET_CSV;
}

/* ---- filling it ---- */

bool scan_row(struct scan *s, size_t number, struct error *err)
{
	struct sheet *sheet = s->sheet;
	if (sheet_row_count(sheet) >= SHEET_ROWS_MAX + 1)
		return fail(err, ERR_USAGE, TXT_SHEET_ROWS, SHEET_ROWS_MAX);
	struct sheet_row row = { .number = number, .first = sheet->cells.len / sizeof(struct bytes) };
	buf_append(&sheet->rows, &row, sizeof row);
	return buf_ok(&sheet->rows, err);
}

static struct sheet_row *last_row(struct sheet *sheet)
{
	return (struct sheet_row *)(void *)sheet->rows.at + sheet_row_count(sheet) - 1;
}

void scan_cell(struct scan *s, struct bytes cell)
{
	struct sheet_row *row = last_row(s->sheet);
	if (row->count == SHEET_COLUMNS_MAX) {
		if (!row->is_bad)
			scan_fault(s, row->number, 0, SHEET_MANY_CELLS);
		return;
	}
	buf_append(&s->sheet->cells, &cell, sizeof cell);
	if (s->sheet->cells.is_bad)
		return; /* told at the end; no row counts a cell that is not there */
	row->count++;
	if (s->sheet->column_count < row->count)
		s->sheet->column_count = row->count;
}

void scan_fault(struct scan *s, size_t row, size_t column, const char *what, const char *hint)
{
	struct sheet_fault fault = { row, column, what, hint };
	buf_append(&s->sheet->faults, &fault, sizeof fault);
	if (sheet_row_count(s->sheet) && last_row(s->sheet)->number == row)
		last_row(s->sheet)->is_bad = true;
}

void scan_drop_row(struct scan *s)
{
	s->sheet->cells.len = last_row(s->sheet)->first * sizeof(struct bytes);
	s->sheet->rows.len -= sizeof(struct sheet_row);
}

static bool check_bytes(const struct scan *s, struct error *err)
{
	if (s->len >= 2 && (memcmp(s->bytes, "\xff\xfe", 2) == 0 || memcmp(s->bytes, "\xfe\xff", 2) == 0))
		return fail(err, ERR_USAGE, TXT_SHEET_UTF16);
	if (s->len >= 2 && memcmp(s->bytes, "PK", 2) == 0)
		return fail(err, ERR_USAGE, TXT_SHEET_XLSX);
	if (memchr(s->bytes, 0, s->len))
		return fail(err, ERR_USAGE, TXT_SHEET_BINARY);
	return true;
}

static bool scan_all(struct scan *s, struct error *err)
{
	static bool (*const scanners[SHEET_FORMAT_COUNT])(struct scan *, struct error *) = {
		[SHEET_CSV] = sheet_scan_csv, [SHEET_ENV] = sheet_scan_env, [SHEET_JSON] = sheet_scan_json
	};
	struct sheet *sheet = s->sheet;
	if (!check_bytes(s, err))
		return false;
	s->at = s->len - without_mark(bytes_of(s->bytes, s->len)).len;
	return scanners[sheet->format](s, err) && buf_ok(&sheet->cells, err) && buf_ok(&sheet->faults, err);
}

bool sheet_read(struct secret *file, enum sheet_format format, struct sheet *ret, struct error *err)
{
	*ret = (struct sheet){ .format = format,
			       .rows = BUF_INIT(LIST_BYTES_MAX),
			       .cells = BUF_INIT(LIST_BYTES_MAX),
			       .faults = BUF_INIT(LIST_BYTES_MAX) };
	struct scan s = { .sheet = ret, .bytes = secret_room(file), .len = secret_len(file) };
	if (scan_all(&s, err))
		return true;
	sheet_done(ret);
	return false;
}

void sheet_done(struct sheet *s)
{
	buf_done(&s->rows);
	buf_done(&s->cells);
	buf_done(&s->faults);
}

/* ---- looking at it ---- */

size_t sheet_row_count(const struct sheet *s)
{
	return s->rows.len / sizeof(struct sheet_row);
}

const struct sheet_row *sheet_row(const struct sheet *s, size_t i)
{
	return (const struct sheet_row *)(const void *)s->rows.at + i;
}

struct bytes sheet_cell(const struct sheet *s, const struct sheet_row *row, size_t column)
{
	if (column >= row->count)
		return bytes_of("", 0);
	return ((const struct bytes *)(const void *)s->cells.at)[row->first + column];
}

void sheet_take_header(struct sheet *s)
{
	const struct sheet_row *header = sheet_row(s, 0);
	s->column_count = header->count;
	for (size_t i = 0; i < header->count; i++) {
		struct bytes name = sheet_cell(s, header, i);
		size_t len = name.len < SHEET_NAME_MAX ? name.len : SHEET_NAME_MAX;
		memcpy(s->columns[i], name.at, len);
		s->columns[i][len] = '\0';
	}
	s->rows.len -= sizeof *header;
	memmove(s->rows.at, s->rows.at + sizeof *header, s->rows.len);
}
