/* agent/intake.h - what the rows of a sheet are: which column holds what, and for each row a Pixel, its token and what
 * is said along with it, or what is wrong. Pure.
 *
 * Nothing is stored while one row is wrong, so all of them are found in one go: wrong codes and tokens, what
 * spreadsheets do to both, and repetitions. A problem names row and column and never says what stands there. */
#ifndef AGENT_INTAKE_H
#define AGENT_INTAKE_H

#include "agent/sheet.h"
#include "vault/credential.h"

enum field {
	FIELD_NONE,
	FIELD_PIXEL,
	FIELD_TOKEN,
	FIELD_EXPIRES,
	FIELD_TEST_CODE,
	FIELD_LABELS, /* K=V; K=V, or an object */
	FIELD_LABEL,  /* the value of one */
	FIELD_COUNT
};
const char *field_name(enum field f); /* "pixel", "test-code" ...; "label" */

struct intake_column {
	enum field field;
	char label[LABEL_KEY_MAX + 1]; /* FIELD_LABEL */
};

/* --map COLUMN=FIELD, as it was written. COLUMN is a name or a number from 1; of .env a variable, FIELD then a Pixel.
 */
struct intake_request {
	const char *const *maps;
	size_t map_count;
	bool allow_shared; /* one token under several Pixels of the file */
};

struct intake_entry {
	size_t row;
	char pixel[PIXEL_CODE_MAX + 1];
	struct bytes token; /* cleaned, in the file's secret */
	int64_t expires_at;
	char test_code[TEST_CODE_MAX + 1];
	size_t first_label, label_count; /* of the intake's labels */
	size_t token_column;
};

struct intake_problem {
	size_t row, column; /* from 1; column 0 = the whole row */
	enum field field;
	bool is_warning;
	char what[160], hint[200];
};

struct intake {
	bool has_header, has_strange_header; /* of CSV; strange: none of its names is known */
	bool is_guessed;                     /* columns were told apart by what stands in them */
	struct intake_column columns[SHEET_COLUMNS_MAX];
	struct buf entries;  /* struct intake_entry */
	struct buf labels;   /* struct label */
	struct buf problems; /* struct intake_problem, by row */
	size_t wrong_rows;
	size_t untaken;   /* .env: variables that hold no token, as far as their names say */
	size_t unused;    /* variables, or columns with something in them, that are neither taken nor given up by =none */
	unsigned removed; /* enum removed, of all tokens */
};

/* Tokens are cleaned where they lie in the file. False: columns are not known, or --map is wrong (ERR_USAGE). */
must_check bool intake_read(struct sheet *sheet, const struct intake_request *r, struct intake *ret, struct error *err);
void intake_done(struct intake *in);

size_t intake_count(const struct intake *in);
const struct intake_entry *intake_entry_at(const struct intake *in, size_t i);
const struct label *intake_labels(const struct intake *in, const struct intake_entry *e);
size_t intake_problem_count(const struct intake *in);
const struct intake_problem *intake_problem_at(const struct intake *in, size_t i);

#endif
