#include "cli/board.h"

#include "agent/page.h"
#include "agent/problem.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"
#include "cli/twins.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOARD_BYTES_MAX ((size_t)1 << 30)
#define ADVICE_LINES_MAX 20
#define AGAIN_MAX 1000

/* A Pixel's piece of the output lies in `text` until all are read and can be sorted. */
struct piece {
	char pixel[PIXEL_CODE_MAX + 1];
	uint64_t place; /* gravity_place */
	size_t at, len;
};

/* A Pixel whose advice depends on another one, which is looked at when the walk is over. */
struct again {
	char pixel[PIXEL_CODE_MAX + 1];
	char twin[PIXEL_CODE_MAX + 1]; /* holds the same token; "" = the other one is the token's owner */
};

struct pass {
	struct invocation *inv;
	const struct board_request *request;
	struct buf text, pieces, again, lists;
	struct twins twins;
	struct table table;
	const char *headings[TABLE_COLUMNS_MAX];
	unsigned width; /* of the terminal; 0 = none */
	size_t pixels, bad, due, unproven, bad_weights;
	char bad_weight[PIXEL_CODE_MAX + 1]; /* the first one */
	struct page_counts counts;
};

static void pass_done(struct pass *p)
{
	buf_done(&p->text);
	buf_done(&p->pieces);
	buf_done(&p->again);
	buf_done(&p->lists);
	twins_done(&p->twins);
	table_done(&p->table);
}

/* ---- cells ---- */

/* In a column whose heading says the direction the bare length is enough; only the other direction is said. */
static const char *age(int64_t at, int64_t now, char *text, size_t size)
{
	return at && at <= now ? clock_format_span(now - at, text) : problem_ago(at, now, text, size);
}

static const char *until(int64_t at, int64_t now, char *text, size_t size)
{
	return at > now ? clock_format_span(at - now, text) : problem_ago(at, now, text, size);
}

static enum tint tint_of(enum gravity gravity)
{
	return gravity == GRAVITY_BAD ? TINT_BAD : gravity == GRAVITY_HEALTHY ? TINT_GOOD : TINT_WARN;
}

/* The columns, and how much room the terminal must have for one: a code means little to people, so on a narrow one the
 * labels are worth more than the rest. */
enum column {
	COLUMN_PIXEL,
	COLUMN_VERDICT,
	COLUMN_EVIDENCE,
	COLUMN_PROVEN,
	COLUMN_EXPIRES,
	COLUMN_CHECKED,
	COLUMN_NEXT,
	COLUMN_LABELS,
	COLUMN_COUNT
};

static const struct {
	const char *heading;
	unsigned width_needed;
} columns[COLUMN_COUNT] = {
	[COLUMN_PIXEL] = { "PIXEL", 0 },   [COLUMN_VERDICT] = { "VERDICT", 0 }, [COLUMN_EVIDENCE] = { "EVIDENCE", 110 },
	[COLUMN_PROVEN] = { "PROVEN", 0 }, [COLUMN_EXPIRES] = { "EXPIRES", 0 }, [COLUMN_CHECKED] = { "CHECKED", 80 },
	[COLUMN_NEXT] = { "NEXT", 100 },   [COLUMN_LABELS] = { "LABELS", 0 },
};

static bool has_column(const struct pass *p, enum column column)
{
	return !p->width || p->width >= columns[column].width_needed;
}

static void begin_table(struct pass *p)
{
	size_t count = 0;
	for (enum column i = 0; i < COLUMN_COUNT; i++)
		if (has_column(p, i))
			p->headings[count++] = columns[i].heading;
	table_init(&p->table, p->headings, count);
}

static void cell(struct pass *p, enum column column, const char *text, enum tint tint)
{
	if (has_column(p, column))
		table_cell(&p->table, text, tint);
}

static void add_row(struct pass *p, const struct status_row *row, enum gravity gravity)
{
	const struct judgement *j = row->speaking;
	const struct version *v = problem_version(row->credential);
	char text[LABEL_WORDS_MAX];
	char failing[32] = "", when[CLOCK_TEXT_MAX + 8];
	table_row(&p->table, gravity_place_of(row));
	cell(p, COLUMN_PIXEL, row->credential->pixel, TINT_NONE);
	problem_words(row, text, sizeof text);
	cell(p, COLUMN_VERDICT, text, tint_of(gravity));
	cell(p, COLUMN_EVIDENCE, problem_evidence(j, text, sizeof text), TINT_NONE);
	cell(p, COLUMN_PROVEN, age(j ? j->proven_at : 0, p->inv->clock, text, sizeof text), TINT_NONE);
	cell(p, COLUMN_EXPIRES, until(v ? version_ends_at(v) : 0, p->inv->clock, text, sizeof text), TINT_NONE);
	if (j && problem_is_transient(row, 1))
		snprintf(failing, sizeof failing, " (%s)", verdict_name(j->last_outcome));
	snprintf(text, sizeof text, "%s%s", age(j ? j->attempted_at : 0, p->inv->clock, when, sizeof when), failing);
	cell(p, COLUMN_CHECKED, text, TINT_NONE);
	bool is_now = row->next_check_at && row->next_check_at <= p->inv->clock;
	cell(p, COLUMN_NEXT, is_now ? "now" : until(row->next_check_at, p->inv->clock, text, sizeof text), TINT_NONE);
	select_label_words(row->credential, text);
	cell(p, COLUMN_LABELS, text, TINT_NONE);
}

/* ---- pieces ---- */

static void end_piece(struct pass *p, const struct status_row *row, size_t at)
{
	/* Objects are sorted by code alone. */
	bool has_place = p->request->face != BOARD_JSON;
	struct piece piece = { .place = has_place ? gravity_place_of(row) : 0, .at = at, .len = p->text.len - at };
	memcpy(piece.pixel, row->credential->pixel, sizeof piece.pixel);
	buf_append(&p->pieces, &piece, sizeof piece);
}

static void add_problem(struct pass *p, const struct status_row *row)
{
	char text[512];
	size_t at = p->text.len;
	if (!problem_of(row, p->request->asked_since, p->inv->clock, text, sizeof text))
		return;
	const char *hint = problem_hint(row);
	buf_append(&p->text, text, strlen(text) + 1);
	buf_append(&p->text, hint, strlen(hint) + 1);
	end_piece(p, row, at);
}

static void add_advice(struct pass *p, const struct status_row *row, enum gravity gravity, bool has_twin)
{
	bool is_quiet = gravity > GRAVITY_WISHED && !has_twin && !status_owner(row) && !row->is_unlisted;
	if (is_quiet || !row->advice[0])
		return;
	size_t at = p->text.len;
	buf_printf(&p->text, "%s  %s\n", row->credential->pixel, row->advice);
	end_piece(p, row, at);
}

static void add_nagios(struct pass *p, const struct status_row *row)
{
	char text[512];
	size_t at = p->text.len;
	if (row->verdict == VERDICT_HEALTHY && !row->is_due && !problem_is_transient(row, p->request->asked_since))
		return;
	if (problem_of(row, p->request->asked_since, p->inv->clock, text, sizeof text))
		buf_printf(&p->text, "%s%s%s\n", text, row->advice[0] ? " - " : "", row->advice);
	else
		buf_printf(&p->text, "%s: %s\n", row->credential->pixel, verdict_name(row->verdict));
	/* A bar begins performance data, a line end the next Pixel. */
	for (size_t i = at; i < p->text.len; i++)
		if (p->text.at[i] == '|' || (p->text.at[i] < 0x20 && i + 1 < p->text.len))
			p->text.at[i] = '/';
	end_piece(p, row, at);
}

static void add_object(struct pass *p, const struct status_row *row)
{
	struct json j = JSON_INIT(&p->text);
	size_t at = p->text.len;
	status_json(&j, row);
	end_piece(p, row, at);
}

static void add_page_row(struct pass *p, const struct status_row *row)
{
	size_t at = p->text.len;
	page_row(&p->text, row, p->inv->clock);
	end_piece(p, row, at);
}

/* What is said of the Pixel in lines of its own; the table's row is another thing. */
static void add_piece(struct pass *p, const struct status_row *row, bool has_twin)
{
	enum gravity gravity = gravity_of(row);
	switch (p->request->face) {
	case BOARD_TABLE:
		add_advice(p, row, gravity, has_twin);
		break;
	case BOARD_JSON:
		add_object(p, row);
		break;
	case BOARD_PROBLEM:
		add_problem(p, row);
		break;
	case BOARD_NAGIOS:
		add_nagios(p, row);
		break;
	case BOARD_PAGE:
		add_page_row(p, row);
		break;
	}
}

static void look_again(struct pass *p, const char *pixel, const char *twin)
{
	struct again again = { .pixel = "" };
	snprintf(again.pixel, sizeof again.pixel, "%s", pixel);
	snprintf(again.twin, sizeof again.twin, "%s", twin);
	buf_append(&p->again, &again, sizeof again);
}

/* One token for all that it lists is how a listing token is meant. */
static bool is_listed(const struct health *h)
{
	for (size_t i = 0; i < h->sight_count; i++)
		if (h->sights[i].is_own && h->sights[i].kind == SIGHT_LISTED)
			return true;
	return false;
}

/* Of a token that is shared both are told; that is no problem by itself, so those who want problems alone are not. */
static bool note_others(struct pass *p, const struct status_row *row, bool *ret_is_later, struct error *err)
{
	const struct credential *c = row->credential;
	char twin[PIXEL_CODE_MAX + 1] = "";
	bool tells_twins = p->request->face == BOARD_TABLE || p->request->face == BOARD_JSON ||
			   p->request->face == BOARD_PAGE;
	if (tells_twins && !is_listed(row->health) && !twins_note(&p->twins, c, twin, err))
		return false;
	*ret_is_later = (status_owner(row) || twin[0]) && p->again.len < AGAIN_MAX * sizeof(struct again);
	if (!*ret_is_later)
		return true;
	look_again(p, c->pixel, twin);
	if (twin[0])
		look_again(p, twin, c->pixel);
	return true;
}

static void note_weight(struct pass *p, const struct credential *c)
{
	bool is_bad;
	(void)gravity_weight(c, &is_bad);
	if (is_bad && !p->bad_weights++)
		snprintf(p->bad_weight, sizeof p->bad_weight, "%s", c->pixel);
}

static bool add(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct pass *p = context;
	struct status_row row;
	status_of(c, h, p->inv->settings, p->inv->clock, &row);
	enum gravity gravity = gravity_of(&row);
	p->pixels++;
	p->bad += gravity == GRAVITY_BAD;
	p->due += row.is_due && gravity != GRAVITY_BAD;
	p->unproven += gravity == GRAVITY_UNPROVEN || gravity == GRAVITY_UNCHECKED ||
		       (gravity == GRAVITY_WISHED && row.verdict != VERDICT_HEALTHY);
	page_count(&p->counts, &row);
	note_weight(p, c);
	if (p->request->face == BOARD_TABLE)
		add_row(p, &row, gravity);
	bool is_later;
	if (!note_others(p, &row, &is_later, err))
		return false;
	if (!is_later)
		add_piece(p, &row, false);
	return buf_ok(&p->text, err) && buf_ok(&p->pieces, err) && buf_ok(&p->again, err);
}

static int by_place_then_pixel(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	return x->place != y->place ? (x->place < y->place ? -1 : 1) : strcmp(x->pixel, y->pixel);
}

static const struct piece *piece_at(const struct pass *p, size_t i)
{
	return (const struct piece *)(const void *)p->pieces.at + i;
}

/* What was said of the Pixel before: it is said anew. */
static void drop_pieces(struct pass *p, const char *pixel)
{
	struct piece *pieces = (struct piece *)(void *)p->pieces.at;
	size_t count = p->pieces.len / sizeof *pieces, kept = 0;
	for (size_t i = 0; i < count; i++)
		if (strcmp(pieces[i].pixel, pixel) != 0)
			pieces[kept++] = pieces[i];
	p->pieces.len = kept * sizeof *pieces;
}

static bool say_again(struct pass *p, const struct again *again, struct error *err)
{
	struct credential c, of_owner;
	struct health h, owners;
	struct status_row row;
	struct error unknown;
	if (!source_find(p->inv, again->pixel, false, &c, &h, err))
		return err->code == ERR_NOT_FOUND; /* removed meanwhile */
	status_of(&c, &h, p->inv->settings, p->inv->clock, &row);
	const char *owner = status_owner(&row);
	if (owner && source_find(p->inv, owner, false, &of_owner, &owners, &unknown))
		status_advise(&row, &of_owner, &owners);
	if (again->twin[0])
		status_share(&row, again->twin);
	drop_pieces(p, again->pixel);
	add_piece(p, &row, again->twin[0] != '\0');
	return buf_ok(&p->text, err) && buf_ok(&p->pieces, err);
}

static bool say_all_again(struct pass *p, struct error *err)
{
	struct again again;
	for (size_t at = 0; at < p->again.len; at += sizeof again) {
		memcpy(&again, p->again.at + at, sizeof again);
		if (!say_again(p, &again, err))
			return false;
	}
	return true;
}

static size_t sort_pieces(struct pass *p)
{
	size_t count = p->pieces.len / sizeof(struct piece);
	if (count > 1)
		qsort(p->pieces.at, count, sizeof(struct piece), by_place_then_pixel);
	return count;
}

/* ---- listing tokens ---- */

/* Rows and lines like a Pixel's, but none of the Pixels counted; in JSON an array of their own. */
static bool add_list(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct pass *p = context;
	struct status_row row;
	struct json j = JSON_INIT(&p->lists);
	status_of(c, h, p->inv->settings, p->inv->clock, &row);
	enum gravity gravity = gravity_of(&row);
	page_count(&p->counts, &row);
	if (p->request->face == BOARD_TABLE)
		add_row(p, &row, gravity);
	if (p->request->face != BOARD_JSON) {
		add_piece(p, &row, false);
		return buf_ok(&p->text, err) && buf_ok(&p->pieces, err);
	}
	buf_append(&p->lists, ",", p->lists.len ? 1 : 0);
	status_list_json(&j, &row);
	return buf_ok(&p->lists, err);
}

/* ---- the faces ---- */

static void print_objects(struct pass *p)
{
	struct buf *out = &p->inv->out;
	size_t count = sort_pieces(p);
	buf_append_text(out, "{\"schema\":1,\"pixels\":[");
	for (size_t i = 0; i < count; i++) {
		buf_append(out, ",", i ? 1 : 0);
		buf_append(out, p->text.at + piece_at(p, i)->at, piece_at(p, i)->len);
	}
	buf_append_text(out, "]");
	if (p->lists.len) {
		buf_append_text(out, ",\"listings\":[");
		buf_append(out, p->lists.at, p->lists.len);
		buf_append_text(out, "]");
	}
	if (p->request->exit_member >= 0)
		buf_printf(out, ",\"exit\":%d", p->request->exit_member);
	buf_append_text(out, "}\n");
}

static void say_problems(struct pass *p)
{
	size_t count = sort_pieces(p);
	for (size_t i = 0; i < count; i++) {
		const char *text = (const char *)p->text.at + piece_at(p, i)->at;
		say_problem(p->inv, text + strlen(text) + 1, "%s", text);
	}
}

static void print_lines(struct pass *p, size_t max)
{
	size_t count = sort_pieces(p);
	for (size_t i = 0; i < count && i < max; i++)
		buf_append(&p->inv->out, p->text.at + piece_at(p, i)->at, piece_at(p, i)->len);
	if (count > max)
		buf_printf(&p->inv->out, "... and %zu more: vault status --json\n", count - max);
}

static bool print_table(struct pass *p, struct error *err)
{
	struct buf *out = &p->inv->out;
	if (!p->table.count)
		return true;
	/* Two programs are called vault; a person sees at once which one speaks. A script sees only the rows. */
	if (p->width)
		buf_printf(out, "pixelvault: %zu Pixel%s, %zu bad, %zu due, %zu without proof\n", p->pixels,
			   p->pixels == 1 ? "" : "s", p->bad, p->due, p->unproven);
	table_sort(&p->table);
	if (!table_print(&p->table, term_wants_colour(p->inv->globals.colour, STDOUT_FILENO), p->width, out, err))
		return false;
	if (p->pieces.len)
		buf_append_text(out, "\n");
	print_lines(p, ADVICE_LINES_MAX);
	return true;
}

static void print_page(struct pass *p)
{
	struct buf *out = &p->inv->out;
	size_t count = sort_pieces(p);
	page_begin(out, &p->counts, p->inv->clock);
	for (size_t i = 0; i < count; i++) {
		page_fold(out, i);
		buf_append(out, p->text.at + piece_at(p, i)->at, piece_at(p, i)->len);
	}
	page_end(out, count);
}

static void warn_of_weights(const struct pass *p)
{
	bool is_sorted = p->request->face == BOARD_TABLE || p->request->face == BOARD_PAGE;
	if (p->bad_weights && is_sorted)
		say_problem(p->inv, BAD_WEIGHT_HINT, SAY_BAD_WEIGHT, p->bad_weights, p->bad_weights == 1 ? "" : "s",
			    p->bad_weights == 1 ? "" : "the first is ", p->bad_weight);
}

/* On stderr, also beside JSON: what is shown may be right while the clock is not. */
static void warn_of_clock(struct invocation *inv)
{
	char text[CLOCK_TEXT_MAX];
	int64_t behind_s = vault_clock_behind(inv->clock);
	if (behind_s)
		say_problem(inv, CLOCK_SUSPECT_HINT, SAY_CLOCK_SUSPECT, clock_format_span(behind_s, text));
}

bool board_show(struct invocation *inv, const struct selection *which, const struct board_request *request,
		size_t *ret_pixels, struct error *err)
{
	scoped(pass_done) struct pass p = { .inv = inv,
					    .request = request,
					    .text = BUF_INIT(BOARD_BYTES_MAX),
					    .pieces = BUF_INIT(BOARD_BYTES_MAX),
					    .again = BUF_INIT(BOARD_BYTES_MAX),
					    .lists = BUF_INIT(BOARD_BYTES_MAX) };
	bool is_of_all = !which->pixel_count && !which->label_count;
	p.width = request->face == BOARD_TABLE ? term_width(STDOUT_FILENO) : 0;
	begin_table(&p);
	if (!select_each(inv, which, true, add, &p, err) || !say_all_again(&p, err) ||
	    (is_of_all && !source_each_list(inv, add_list, &p, err)))
		return false;
	*ret_pixels = p.pixels;
	if (!request->is_silent) {
		warn_of_clock(inv);
		warn_of_weights(&p);
	}
	switch (request->face) {
	case BOARD_TABLE:
		return print_table(&p, err);
	case BOARD_JSON:
		print_objects(&p);
		return true;
	case BOARD_PROBLEM:
		say_problems(&p);
		return true;
	case BOARD_NAGIOS:
		print_lines(&p, SIZE_MAX);
		return true;
	case BOARD_PAGE:
		print_page(&p);
		return true;
	}
	return true;
}
