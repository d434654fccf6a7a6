/* .env: NAME=VALUE, perhaps behind `export`, with comments and quotes as shells and the usual libraries read them. No
 * expansion and no value over several lines: such a line is a fault. */
#include "agent/sheet_own.h"

#include "agent/text.h"

#include <string.h>

struct line {
	uint8_t *at;
	size_t len, number;
};

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct line *l)
{
	while (l->len && is_blank(l->at[0])) {
		l->at++;
		l->len--;
	}
}

static bool next_line(struct scan *s, struct line *ret)
{
	if (s->at >= s->len)
		return false;
	uint8_t *start = s->bytes + s->at, *end = memchr(start, '\n', s->len - s->at);
	ret->at = start;
	ret->len = end ? (size_t)(end - start) : s->len - s->at;
	ret->number++;
	s->at += ret->len + (end != NULL);
	while (ret->len && (ret->at[ret->len - 1] == '\r' || is_blank(ret->at[ret->len - 1])))
		ret->len--;
	skip_blanks(ret);
	return true;
}

static size_t name_len(const struct line *l)
{
	size_t i = 0;
	for (; i < l->len; i++) {
		uint8_t c = l->at[i], low = c | 0x20;
		if (!((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
			break;
	}
	return i;
}

/* What the quotes hold, with the escapes of double ones resolved where they lie; false: they do not end, or something
 * stands behind them. */
static bool unquote(struct line *l, struct bytes *ret)
{
	uint8_t quote = l->at[0];
	size_t to = 1, i = 1;
	for (; i < l->len && l->at[i] != quote; l->at[to++] = l->at[i++])
		if (quote == '"' && l->at[i] == '\\' && i + 1 < l->len && memchr("\"\\$`", l->at[i + 1], 4))
			i++;
	if (i >= l->len)
		return false;
	*ret = bytes_of(l->at + 1, to - 1);
	struct line rest = { .at = l->at + i + 1, .len = l->len - i - 1 };
	skip_blanks(&rest);
	return rest.len == 0 || (rest.at[0] == '#' && rest.at != l->at + i + 1);
}

/* A comment begins behind a blank. */
static struct bytes plain_value(const struct line *l)
{
	size_t end = l->len;
	for (size_t i = 0; i < l->len; i++)
		if (l->at[i] == '#' && (i == 0 || is_blank(l->at[i - 1]))) {
			end = i;
			break;
		}
	while (end && is_blank(l->at[end - 1]))
		end--;
	return bytes_of(l->at, end);
}

static void take_value(struct scan *s, struct line *l)
{
	struct bytes value = bytes_of("", 0);
	if (l->len && (l->at[0] == '"' || l->at[0] == '\'')) {
		if (!unquote(l, &value))
			scan_fault(s, l->number, 2, SHEET_ENV_QUOTE);
	} else {
		value = plain_value(l);
	}
	scan_cell(s, value);
}

static bool take_line(struct scan *s, struct line *l, struct error *err)
{
	if (l->len == 0 || l->at[0] == '#')
		return true;
	if (!scan_row(s, l->number, err))
		return false;
	if (l->len > 7 && memcmp(l->at, "export", 6) == 0 && is_blank(l->at[6])) {
		l->at += 6;
		l->len -= 6;
		skip_blanks(l);
	}
	size_t len = name_len(l);
	struct bytes name = bytes_of(l->at, len);
	l->at += len;
	l->len -= len;
	skip_blanks(l);
	if (len == 0 || l->len == 0 || l->at[0] != '=') {
		scan_fault(s, l->number, 0, SHEET_ENV_LINE);
		return true;
	}
	l->at++;
	l->len--;
	skip_blanks(l);
	scan_cell(s, name);
	take_value(s, l);
	return true;
}

bool sheet_scan_env(struct scan *s, struct error *err)
{
	struct line l = { .number = 0 };
	s->sheet->column_count = 2;
	memcpy(s->sheet->columns[0], "NAME", 5);
	memcpy(s->sheet->columns[1], "VALUE", 6);
	while (next_line(s, &l))
		if (!take_line(s, &l, err))
			return false;
	return true;
}
