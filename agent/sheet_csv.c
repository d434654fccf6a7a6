/* CSV as RFC 4180 has it, with the separators that spreadsheets use. Strict: a quote that stands where none may is a
 * fault of its row, as a guess may cut a token. */
#include "agent/sheet_own.h"

#include "agent/text.h"

#include <string.h>

/* The one that the first line has most of, outside of quotes. */
static char guess_separator(const struct scan *s)
{
	static const char candidates[] = ",;\t";
	size_t counts[3] = { 0 }, best = 0;
	bool is_quoted = false;
	for (size_t i = s->at; i < s->len && (is_quoted || (s->bytes[i] != '\n' && s->bytes[i] != '\r')); i++) {
		const char *found = s->bytes[i] ? strchr(candidates, s->bytes[i]) : NULL;
		is_quoted ^= s->bytes[i] == '"';
		if (found && !is_quoted)
			counts[found - candidates]++;
	}
	for (size_t i = 1; i < COUNT_OF(counts); i++)
		if (counts[i] > counts[best])
			best = i;
	return candidates[best];
}

/* Excel's "sep=;" before everything else. */
static bool take_declared_separator(struct scan *s)
{
	const uint8_t *at = s->bytes + s->at;
	if (s->len - s->at < 5 || memcmp(at, "sep=", 4) != 0 || !memchr(",;\t|", at[4], 4))
		return false;
	s->sheet->separator = (char)at[4];
	s->at += 5;
	return true;
}

static bool is_line_end(const struct scan *s)
{
	return s->at < s->len && (s->bytes[s->at] == '\n' || s->bytes[s->at] == '\r');
}

static bool is_cell_end(const struct scan *s)
{
	return s->at >= s->len || is_line_end(s) || s->bytes[s->at] == (uint8_t)s->sheet->separator;
}

static void skip_line_end(struct scan *s)
{
	bool is_return = s->at < s->len && s->bytes[s->at] == '\r';
	if (s->at < s->len)
		s->at++;
	if (is_return && s->at < s->len && s->bytes[s->at] == '\n')
		s->at++;
}

/* Behind the opening quote; doubled quotes become one where they lie. */
static bool take_quoted(struct scan *s, size_t row, size_t column, struct error *err)
{
	size_t start = s->at, to = start;
	for (; s->at < s->len; s->bytes[to++] = s->bytes[s->at++]) {
		if (s->bytes[s->at] != '"')
			continue;
		if (s->at + 1 >= s->len || s->bytes[s->at + 1] != '"')
			break;
		s->at++;
	}
	if (s->at >= s->len)
		return fail(err, ERR_MALFORMED, TXT_SHEET_QUOTE_OPEN, row, column);
	s->at++;
	scan_cell(s, bytes_of(s->bytes + start, to - start));
	if (!is_cell_end(s))
		scan_fault(s, row, column, SHEET_BEHIND_QUOTE);
	while (!is_cell_end(s))
		s->at++;
	return true;
}

static void take_plain(struct scan *s, size_t row, size_t column)
{
	size_t start = s->at;
	bool has_quote = false;
	for (; !is_cell_end(s); s->at++)
		has_quote = has_quote || s->bytes[s->at] == '"';
	scan_cell(s, bytes_of(s->bytes + start, s->at - start));
	if (has_quote)
		scan_fault(s, row, column, SHEET_STRAY_QUOTE);
}

static bool is_empty_row(const struct scan *s)
{
	const struct sheet_row *row = sheet_row(s->sheet, sheet_row_count(s->sheet) - 1);
	for (size_t i = 0; i < row->count; i++)
		if (sheet_cell(s->sheet, row, i).len)
			return false;
	return !row->is_bad;
}

static bool take_record(struct scan *s, size_t row, struct error *err)
{
	if (!scan_row(s, row, err))
		return false;
	for (size_t column = 1;; column++) {
		if (s->at < s->len && s->bytes[s->at] == '"') {
			s->at++;
			if (!take_quoted(s, row, column, err))
				return false;
		} else {
			take_plain(s, row, column);
		}
		if (s->at >= s->len || is_line_end(s))
			break;
		s->at++;
	}
	skip_line_end(s);
	if (is_empty_row(s))
		scan_drop_row(s);
	return true;
}

bool sheet_scan_csv(struct scan *s, struct error *err)
{
	size_t row = 1;
	s->sheet->separator = guess_separator(s);
	if (take_declared_separator(s)) {
		skip_line_end(s);
		row++;
	}
	for (; s->at < s->len; row++)
		if (!take_record(s, row, err))
			return false;
	return true;
}
