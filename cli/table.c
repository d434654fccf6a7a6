#include "cli/table.h"

#include "core/utf8.h"

#include <stdlib.h>

#define TABLE_BYTES_MAX ((size_t)1 << 30)
#define GAP 2
/* Longer cells do not push the others away for everyone. */
#define WIDTH_COUNTED_MAX 60

struct table_row {
	size_t at; /* of the first cell in cells */
	unsigned filled;
	uint64_t rank;
};

static const char *const tints[] = {
	[TINT_NONE] = "",          [TINT_GOOD] = "\033[32m", [TINT_WARN] = "\033[33m",
	[TINT_BAD] = "\033[1;31m", [TINT_DIM] = "\033[2m",
};

void table_init(struct table *t, const char *const *headings, size_t columns)
{
	*t = (struct table){ .cells = BUF_INIT(TABLE_BYTES_MAX),
			     .rows = BUF_INIT(TABLE_BYTES_MAX),
			     .columns = columns,
			     .headings = headings };
	for (size_t i = 0; headings && i < columns; i++)
		t->widths[i] = table_text_width(headings[i]);
}

void table_done(struct table *t)
{
	buf_done(&t->cells);
	buf_done(&t->rows);
}

static unsigned char_width(uint32_t c)
{
	if ((c >= 0x300 && c < 0x370) || (c >= 0x200b && c <= 0x200f) || (c >= 0xfe00 && c <= 0xfe0f))
		return 0;
	bool is_wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
		       (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
		       (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd);
	return is_wide ? 2 : 1;
}

/* The next character and its bytes; what is not UTF-8 or harmful is one '?'. */
static bool next_char(struct bytes *rest, struct bytes *ret_bytes, unsigned *ret_width)
{
	static const uint8_t mark = '?';
	struct bytes before = *rest;
	uint32_t c;
	if (!rest->len)
		return false;
	bool is_valid = utf8_take(rest, &c);
	if (!is_valid) {
		rest->at++;
		rest->len--;
	}
	*ret_bytes = is_valid && !utf8_is_harmful(c) ? bytes_of(before.at, before.len - rest->len) : bytes_of(&mark, 1);
	*ret_width = is_valid && !utf8_is_harmful(c) ? char_width(c) : 1;
	return true;
}

unsigned table_text_width(const char *text)
{
	struct bytes rest = bytes_of_text(text), unused;
	unsigned total = 0, width;
	while (next_char(&rest, &unused, &width))
		total += width;
	return total;
}

void table_row(struct table *t, uint64_t rank)
{
	struct table_row row = { .at = t->cells.len, .rank = rank };
	buf_append(&t->rows, &row, sizeof row);
	t->filled = 0;
	t->count++;
}

static struct table_row *row_at(const struct table *t, size_t i)
{
	return (struct table_row *)(void *)t->rows.at + i;
}

void table_cell(struct table *t, const char *text, enum tint tint)
{
	uint8_t first = (uint8_t)tint;
	if (t->rows.is_bad || t->filled == t->columns)
		return;
	buf_append(&t->cells, &first, 1);
	struct bytes rest = bytes_of_text(text), one;
	unsigned total = 0, width;
	while (next_char(&rest, &one, &width)) {
		buf_append(&t->cells, one.at, one.len);
		total += width;
	}
	buf_append(&t->cells, "", 1);
	if (total > WIDTH_COUNTED_MAX)
		total = WIDTH_COUNTED_MAX;
	if (total > t->widths[t->filled])
		t->widths[t->filled] = total;
	row_at(t, t->count - 1)->filled = (unsigned)++t->filled;
}

static int by_rank_then_text(const void *a, const void *b, void *cells)
{
	const struct table_row *x = a, *y = b;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	const char *base = cells;
	if (!x->filled || !y->filled)
		return 0;
	return strcmp(base + x->at + 1, base + y->at + 1);
}

void table_sort(struct table *t)
{
	if (t->count > 1 && !t->rows.is_bad && !t->cells.is_bad)
		qsort_r(t->rows.at, t->count, sizeof(struct table_row), by_rank_then_text, t->cells.at);
}

struct line {
	struct buf *out;
	unsigned used, width; /* columns; 0 = no limit */
	bool has_colour, is_cut;
};

static void put_text(struct line *line, const char *text, enum tint tint, unsigned pad_to)
{
	struct bytes rest = bytes_of_text(text), one;
	unsigned shown = 0, width;
	bool is_tinted = line->has_colour && tint != TINT_NONE && rest.len;
	if (is_tinted)
		buf_append_text(line->out, tints[tint]);
	while (!line->is_cut && next_char(&rest, &one, &width)) {
		bool fits = !line->width || line->used + width + (rest.len ? 1 : 0) <= line->width;
		if (!fits) {
			if (line->used < line->width)
				buf_append_text(line->out, "…");
			line->is_cut = true;
			break;
		}
		buf_append(line->out, one.at, one.len);
		line->used += width;
		shown += width;
	}
	if (is_tinted)
		buf_append_text(line->out, "\033[0m");
	for (; !line->is_cut && shown < pad_to && (!line->width || line->used < line->width); shown++, line->used++)
		buf_append_text(line->out, " ");
}

static void print_line(const struct table *t, const char *const *texts, const enum tint *tint, size_t filled,
		       bool has_colour, unsigned width, struct buf *out)
{
	struct line line = { .out = out, .width = width, .has_colour = has_colour };
	while (filled && !*texts[filled - 1])
		filled--;
	for (size_t i = 0; i < filled; i++)
		put_text(&line, texts[i], tint[i], i + 1 < filled ? t->widths[i] + GAP : 0);
	buf_append_text(out, "\n");
}

bool table_print(const struct table *t, bool has_colour, unsigned width, struct buf *out, struct error *err)
{
	const char *texts[TABLE_COLUMNS_MAX];
	enum tint tint[TABLE_COLUMNS_MAX] = { TINT_NONE };
	if (!buf_ok(&t->cells, err) || !buf_ok(&t->rows, err))
		return false;
	if (t->headings) {
		for (size_t i = 0; i < t->columns; i++)
			tint[i] = TINT_DIM;
		print_line(t, t->headings, tint, t->columns, has_colour, width, out);
	}
	for (size_t i = 0; i < t->count; i++) {
		const struct table_row *row = row_at(t, i);
		const uint8_t *at = t->cells.at + row->at;
		for (size_t cell = 0; cell < row->filled; cell++) {
			tint[cell] = (enum tint) * at;
			texts[cell] = (const char *)at + 1;
			at += strlen(texts[cell]) + 2;
		}
		print_line(t, texts, tint, row->filled, has_colour, width, out);
	}
	return buf_ok(out, err);
}
