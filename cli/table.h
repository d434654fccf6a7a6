/* cli/table.h - aligned columns for people.
 *
 * Rows are collected as packed text, sorted by rank and then by their first cell, and printed in one pass: a hundred
 * thousand of them cost a few megabytes and no allocation each. Text is data of strangers: what a terminal would act on
 * becomes '?'. A character counts as one column, wide ones as two, combining ones as none. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "core/buf.h"

#define TABLE_COLUMNS_MAX 10

enum tint { TINT_NONE, TINT_GOOD, TINT_WARN, TINT_BAD, TINT_DIM };

struct table {
	struct buf cells;       /* for each cell: tint, text, NUL */
	struct buf rows;        /* struct table_row */
	size_t columns, filled; /* cells given to the last row */
	unsigned widths[TABLE_COLUMNS_MAX];
	size_t count; /* rows, headings not counted */
	const char *const *headings;
};

/* headings has that many entries, or is NULL for none; borrowed. */
void table_init(struct table *t, const char *const *headings, size_t columns);
void table_done(struct table *t);

/* Lower ranks come first. Then one table_cell for each column; missing ones are empty. */
void table_row(struct table *t, uint64_t rank);
void table_cell(struct table *t, const char *text, enum tint tint);

void table_sort(struct table *t);

/* width: lines are cut to it ("…"); 0 = as long as they are. */
must_check bool table_print(const struct table *t, bool has_colour, unsigned width, struct buf *out, struct error *err);

/* How many columns a text takes. */
unsigned table_text_width(const char *text);

#endif
