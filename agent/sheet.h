/* agent/sheet.h - a file of many tokens as rows of cells: CSV, .env or JSON. Pure.
 *
 * The file lies in one secret; cells lead into it, and quotes and escapes are resolved where they lie, so that no copy
 * of a token is made anywhere. What stands in a cell is looked at by nobody here (agent/intake.h does).
 *
 * Rows are counted as a spreadsheet shows them, from 1 with the header; those of .env are lines; those of JSON are
 * elements or members. */
#ifndef AGENT_SHEET_H
#define AGENT_SHEET_H

#include "core/buf.h"
#include "core/secret.h"

#define SHEET_BYTES_MAX ((size_t)4 << 20)
#define SHEET_ROWS_MAX 20000
#define SHEET_COLUMNS_MAX 64
#define SHEET_NAME_MAX 63

enum sheet_format { SHEET_CSV, SHEET_ENV, SHEET_JSON, SHEET_FORMAT_COUNT };
const char *sheet_format_name(enum sheet_format format); /* "csv", "env", "json" */

/* What is wrong with one row; texts are literals, and never hold anything of the file. */
struct sheet_fault {
	size_t row, column; /* column 0 = the whole row */
	const char *what, *hint;
};

struct sheet_row {
	size_t number;       /* for people */
	size_t first, count; /* its cells */
	bool is_bad;         /* a fault was noted: nothing more is to be said of it */
};

struct sheet {
	enum sheet_format format;
	char separator; /* of CSV */
	size_t column_count;
	char columns[SHEET_COLUMNS_MAX][SHEET_NAME_MAX + 1]; /* "" = it has none */
	struct buf rows;                                     /* struct sheet_row */
	struct buf cells;                                    /* struct bytes, into the file */
	struct buf faults;                                   /* struct sheet_fault */
};

/* As its content looks. */
enum sheet_format sheet_guess(struct bytes file);

/* False: nothing can be made of the file (ERR_USAGE; ERR_MALFORMED where it is broken in the middle). What is wrong
 * with single rows stands in faults. The file is changed. CSV gives its first row as any other (see sheet_take_header);
 * .env has the columns NAME and VALUE. */
must_check bool sheet_read(struct secret *file, enum sheet_format format, struct sheet *ret, struct error *err);
void sheet_done(struct sheet *s);

/* The first row of a CSV names the columns from now on. */
void sheet_take_header(struct sheet *s);

size_t sheet_row_count(const struct sheet *s);
const struct sheet_row *sheet_row(const struct sheet *s, size_t i);
struct bytes sheet_cell(const struct sheet *s, const struct sheet_row *row,
			size_t column); /* empty where there is none */

#endif
