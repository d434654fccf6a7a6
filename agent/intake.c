#include "agent/intake_own.h"

#include "agent/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_BYTES_MAX (SIZE_MAX / 4)
#define ALIKE_MIN 5 /* so many tokens of one length make a shorter one suspect */

/* ---- what is wrong ---- */

static void add_problem(struct reading *r, const struct intake_problem *p)
{
	buf_append(&r->in->problems, p, sizeof *p);
}

void note_problem(struct reading *r, size_t column, enum field field, const char *what, const char *hint)
{
	struct intake_problem p = { .row = r->row, .column = column, .field = field };
	snprintf(p.what, sizeof p.what, "%s", what);
	snprintf(p.hint, sizeof p.hint, "%s", hint);
	add_problem(r, &p);
}

void note_warning(struct reading *r, size_t column, enum field field, const char *what)
{
	struct intake_problem p = { .row = r->row, .column = column, .field = field, .is_warning = true };
	snprintf(p.what, sizeof p.what, "%s", what);
	add_problem(r, &p);
}

static void note_faults_of_sheet(struct reading *r)
{
	const struct sheet_fault *f = (const struct sheet_fault *)(const void *)r->sheet->faults.at;
	for (size_t i = 0; i < r->sheet->faults.len / sizeof *f; i++) {
		r->row = f[i].row;
		note_problem(r, f[i].column, FIELD_NONE, f[i].what, f[i].hint);
	}
}

/* ---- a row ---- */

static bool take_cell(struct reading *r, const struct sheet_row *row, size_t i, struct intake_entry *e)
{
	const struct intake_column *column = &r->in->columns[i];
	struct bytes cell = sheet_cell(r->sheet, row, i);
	switch (column->field) {
	case FIELD_TOKEN:
		e->token_column = i + 1;
		return take_token(r, i + 1, cell, &e->token);
	case FIELD_EXPIRES:
		return take_expires(r, i + 1, cell, &e->expires_at);
	case FIELD_TEST_CODE:
		return take_test_code(r, i + 1, cell, e->test_code);
	case FIELD_LABELS:
		return take_labels(r, i + 1, cell);
	case FIELD_LABEL:
		return take_label(r, i + 1, column->label, cell);
	default:
		return true;
	}
}

static size_t column_of(const struct reading *r, enum field field)
{
	size_t i = 0;
	while (i < r->sheet->column_count && r->in->columns[i].field != field)
		i++;
	return i;
}

/* Cells behind the last column: a separator inside a value that has no quotes, and so all may be shifted. */
static bool has_surplus(struct reading *r, const struct sheet_row *row)
{
	r->row = row->number;
	for (size_t i = r->sheet->column_count; i < row->count; i++)
		if (trimmed(sheet_cell(r->sheet, row, i)).len) {
			note_problem(r, i + 1, FIELD_NONE, INTAKE_SURPLUS);
			return true;
		}
	return false;
}

/* Every cell of it is looked at, also behind one that is wrong. The Pixel first: the token is changed where it lies. */
static void take_row(struct reading *r, const struct sheet_row *row)
{
	struct intake_entry e = { .row = row->number, .first_label = r->in->labels.len / sizeof(struct label) };
	size_t pixel = column_of(r, FIELD_PIXEL);
	if (has_surplus(r, row))
		return;
	struct bytes token = trimmed(sheet_cell(r->sheet, row, column_of(r, FIELD_TOKEN)));
	bool is_good = take_pixel(r, pixel + 1, sheet_cell(r->sheet, row, pixel), token, e.pixel);
	/* One mistake, one line: a Pixel code in the token's place was named already. */
	bool is_swapped = !is_good && looks_like_pixel(token);
	for (size_t i = 0; i < r->sheet->column_count; i++)
		if (!is_swapped || r->in->columns[i].field != FIELD_TOKEN)
			is_good &= take_cell(r, row, i, &e);
	e.label_count = r->in->labels.len / sizeof(struct label) - e.first_label;
	if (e.label_count > LABELS_MAX) {
		note_problem(r, 0, FIELD_LABELS, INTAKE_LABELS_MANY);
		is_good = false;
	}
	if (is_good)
		buf_append(&r->in->entries, &e, sizeof e);
}

/* ---- rows beside each other ---- */

static int by_pixel(const void *a, const void *b)
{
	const struct intake_entry *x = *(const struct intake_entry *const *)a,
				  *y = *(const struct intake_entry *const *)b;
	int order = strcmp(x->pixel, y->pixel);
	return order ? order : x->row < y->row ? -1 : x->row > y->row;
}

static int by_token(const void *a, const void *b)
{
	const struct intake_entry *x = *(const struct intake_entry *const *)a,
				  *y = *(const struct intake_entry *const *)b;
	size_t least = x->token.len < y->token.len ? x->token.len : y->token.len;
	int order = memcmp(x->token.at, y->token.at, least);
	if (order == 0 && x->token.len != y->token.len)
		return x->token.len < y->token.len ? -1 : 1;
	return order ? order : x->row < y->row ? -1 : x->row > y->row;
}

static void note_same_pixel(struct reading *r, const struct intake_entry *e, const struct intake_entry *first)
{
	char what[sizeof INTAKE_SAME_PIXEL + 20];
	r->row = e->row;
	snprintf(what, sizeof what, INTAKE_SAME_PIXEL, first->row);
	note_problem(r, r->sheet->format == SHEET_ENV ? 1 : column_of(r, FIELD_PIXEL) + 1, FIELD_PIXEL, what,
		     INTAKE_SAME_PIXEL_HINT);
}

static void note_same_token(struct reading *r, const struct intake_entry *e, const struct intake_entry *first)
{
	char what[sizeof INTAKE_SAME_TOKEN + 20];
	r->row = e->row;
	snprintf(what, sizeof what, INTAKE_SAME_TOKEN, first->row);
	note_problem(r, e->token_column, FIELD_TOKEN, what, INTAKE_SAME_TOKEN_HINT);
}

static void find_repeated(struct reading *r, const struct intake_entry **sorted, size_t count)
{
	qsort(sorted, count, sizeof *sorted, by_pixel);
	for (size_t i = 1, first = 0; i < count; i++) {
		if (strcmp(sorted[i]->pixel, sorted[first]->pixel) == 0)
			note_same_pixel(r, sorted[i], sorted[first]);
		else
			first = i;
	}
	qsort(sorted, count, sizeof *sorted, by_token);
	for (size_t i = 1, first = 0; i < count && !r->request->allow_shared; i++) {
		if (!bytes_equal(sorted[i]->token, sorted[first]->token))
			first = i;
		else if (strcmp(sorted[i]->pixel, sorted[first]->pixel) != 0)
			note_same_token(r, sorted[i], sorted[first]);
	}
}

/* TikTok's tokens have no documented length, so one that differs is only worth a word. */
static void find_short(struct reading *r, size_t count)
{
	const struct intake_entry *e = intake_entry_at(r->in, 0);
	size_t *of_length = calloc(TOKEN_MAX + 1, sizeof *of_length), usual = 0;
	if (!of_length)
		return;
	for (size_t i = 0; i < count; i++)
		if (++of_length[e[i].token.len] > of_length[usual])
			usual = e[i].token.len;
	for (size_t i = 0; i < count && of_length[usual] >= ALIKE_MIN && of_length[usual] * 10 >= count * 8; i++)
		if (e[i].token.len < usual) {
			r->row = e[i].row;
			note_warning(r, e[i].token_column, FIELD_TOKEN, INTAKE_SHORT);
		}
	free(of_length);
}

static bool compare_rows(struct reading *r, struct error *err)
{
	size_t count = intake_count(r->in);
	if (count == 0)
		return true;
	const struct intake_entry **sorted = calloc(count + 1, sizeof *sorted);
	if (!sorted)
		return fail_no_memory(err);
	for (size_t i = 0; i < count; i++)
		sorted[i] = intake_entry_at(r->in, i);
	find_repeated(r, sorted, count);
	find_short(r, count);
	free(sorted);
	return true;
}

/* ---- all of it ---- */

static int by_row(const void *a, const void *b)
{
	const struct intake_problem *x = a, *y = b;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

static void sort_problems(struct intake *in)
{
	size_t count = intake_problem_count(in), last = 0;
	if (!count)
		return;
	qsort(in->problems.at, count, sizeof(struct intake_problem), by_row);
	for (size_t i = 0; i < count; i++) {
		const struct intake_problem *p = intake_problem_at(in, i);
		if (p->is_warning || p->row == last)
			continue;
		in->wrong_rows++;
		last = p->row;
	}
}

static bool take_rows(struct reading *r, struct error *err)
{
	if (r->sheet->format == SHEET_ENV)
		return read_variables(r, err);
	if (!find_columns(r, err))
		return false;
	if (sheet_row_count(r->sheet) == 0)
		return fail(err, ERR_USAGE, TXT_SHEET_EMPTY);
	for (size_t i = 0; i < sheet_row_count(r->sheet); i++)
		if (!sheet_row(r->sheet, i)->is_bad)
			take_row(r, sheet_row(r->sheet, i));
	return true;
}

static bool read_all(struct reading *r, struct error *err)
{
	struct intake *in = r->in;
	if (sheet_row_count(r->sheet) == 0)
		return fail(err, ERR_USAGE, TXT_SHEET_EMPTY);
	note_faults_of_sheet(r);
	if (!take_rows(r, err))
		return false;
	if (r->trouble.code != ERR_NONE) {
		*err = r->trouble;
		return false;
	}
	if (!buf_ok(&in->entries, err) || !buf_ok(&in->labels, err) || !compare_rows(r, err) ||
	    !buf_ok(&in->problems, err))
		return false;
	sort_problems(in);
	return true;
}

bool intake_read(struct sheet *sheet, const struct intake_request *request, struct intake *ret, struct error *err)
{
	struct reading r = { .sheet = sheet, .request = request, .in = ret };
	*ret = (struct intake){ .entries = BUF_INIT(LIST_BYTES_MAX),
				.labels = BUF_INIT(LIST_BYTES_MAX),
				.problems = BUF_INIT(LIST_BYTES_MAX) };
	if (read_all(&r, err))
		return true;
	intake_done(ret);
	return false;
}

void intake_done(struct intake *in)
{
	buf_done(&in->entries);
	buf_done(&in->labels);
	buf_done(&in->problems);
}

size_t intake_count(const struct intake *in)
{
	return in->entries.len / sizeof(struct intake_entry);
}

const struct intake_entry *intake_entry_at(const struct intake *in, size_t i)
{
	return (const struct intake_entry *)(const void *)in->entries.at + i;
}

const struct label *intake_labels(const struct intake *in, const struct intake_entry *e)
{
	return e->label_count ? (const struct label *)(const void *)in->labels.at + e->first_label : NULL;
}

size_t intake_problem_count(const struct intake *in)
{
	return in->problems.len / sizeof(struct intake_problem);
}

const struct intake_problem *intake_problem_at(const struct intake *in, size_t i)
{
	return (const struct intake_problem *)(const void *)in->problems.at + i;
}
