/* rollout: which consumers were last seen with which version, those that are behind first. */
#include "agent/problem.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONG_AGO_S ((int64_t)7 * 24 * 3600) /* from then on it is said that nobody came, rather than when */
#define NAMED_MAX 3                         /* of those behind, in the last line */

struct view {
	uint32_t current; /* 0 = none */
	int64_t now;
	struct buf marks; /* struct read_mark, one behind the other */
	size_t count, behind;
};

static bool keep_mark(void *context, const struct read_mark *mark, struct error *err)
{
	struct view *v = context;
	buf_append(&v->marks, mark, sizeof *mark);
	v->count++;
	v->behind += mark->version != v->current;
	return buf_ok(&v->marks, err);
}

static int compare(const void *a, const void *b, void *context)
{
	const struct read_mark *x = a, *y = b;
	uint32_t current = *(const uint32_t *)context;
	bool is_behind = x->version != current, is_other_behind = y->version != current;
	return is_behind != is_other_behind ? (is_behind ? -1 : 1) : strcmp(x->name, y->name);
}

static const struct read_mark *sorted_marks(const struct view *v)
{
	const struct read_mark *ret = (const void *)v->marks.at; /* malloced: aligned for anything */
	if (v->count > 1)
		qsort_r(v->marks.at, v->count, sizeof *ret, compare, (void *)(uintptr_t)&v->current);
	return ret;
}

static void print_json(struct invocation *inv, const struct credential *c, const struct view *v)
{
	struct json j = JSON_INIT(&inv->out);
	const struct read_mark *marks = sorted_marks(v);
	output_json_begin(&j);
	json_text(&j, "pixel", c->pixel);
	if (v->current)
		json_int(&j, "current", v->current);
	else
		json_null(&j, "current");
	json_array(&j, "readers");
	for (size_t i = 0; i < v->count; i++) {
		json_object(&j, NULL);
		json_text(&j, "as", marks[i].name);
		json_int(&j, "version", marks[i].version);
		json_time(&j, "at", marks[i].at);
		json_bool(&j, "acked", marks[i].is_acked);
		json_end_object(&j);
	}
	json_end_array(&j);
	output_json_end(inv, &j);
}

/* ---- for people ---- */

static const char *seen_text(const struct read_mark *mark, int64_t now, char *text, size_t size)
{
	char span[CLOCK_TEXT_MAX];
	if (now - mark->at < LONG_AGO_S)
		return problem_ago(mark->at, now, text, size);
	snprintf(text, size, "not seen for %s", clock_format_span(now - mark->at, span));
	return text;
}

static bool print_table(struct invocation *inv, const struct view *v, struct error *err)
{
	static const char *const headings[] = { "CONSUMER", "VERSION", "BY", "SEEN" };
	const struct read_mark *marks = sorted_marks(v);
	unsigned width = term_width(STDOUT_FILENO);
	struct table table;
	char text[2 * CLOCK_TEXT_MAX];
	table_init(&table, width ? headings : NULL, COUNT_OF(headings));
	for (size_t i = 0; i < v->count; i++) {
		bool is_behind = marks[i].version != v->current, is_lost = v->now - marks[i].at >= LONG_AGO_S;
		table_row(&table, is_behind ? 0 : 1);
		table_cell(&table, marks[i].name, TINT_NONE);
		snprintf(text, sizeof text, "v%u", marks[i].version);
		table_cell(&table, text, is_behind ? TINT_WARN : TINT_GOOD);
		table_cell(&table, marks[i].is_acked ? "ack" : "read", TINT_NONE);
		table_cell(&table, seen_text(&marks[i], v->now, text, sizeof text), is_lost ? TINT_DIM : TINT_NONE);
	}
	table_sort(&table);
	bool is_done =
		buf_ok(&table.cells, err) &&
		table_print(&table, term_wants_colour(inv->globals.colour, STDOUT_FILENO), width, &inv->out, err);
	table_done(&table);
	return is_done;
}

/* "gtm-relay still on v7, last read 6h ago; shop ... and 2 more" */
static void name_those_behind(const struct view *v, struct buf *out)
{
	const struct read_mark *marks = sorted_marks(v);
	char text[2 * CLOCK_TEXT_MAX];
	for (size_t i = 0; i < v->behind && i < NAMED_MAX; i++) {
		bool is_lost = v->now - marks[i].at >= LONG_AGO_S;
		buf_printf(out, SAY_ROLLOUT_BEHIND, i ? "; " : "", marks[i].name, marks[i].version,
			   is_lost             ? ""
			   : marks[i].is_acked ? "acknowledged "
					       : "last read ",
			   seen_text(&marks[i], v->now, text, sizeof text));
	}
	if (v->behind > NAMED_MAX)
		buf_printf(out, SAY_ROLLOUT_MORE, v->behind - NAMED_MAX);
}

static void say_summary(struct invocation *inv, const struct credential *c, const struct view *v)
{
	struct buf behind = BUF_INIT(4096);
	if (!v->count) {
		say(inv, SAY_ROLLOUT_NOBODY, c->pixel, c->pixel);
		return;
	}
	name_those_behind(v, &behind);
	if (!v->current)
		say(inv, SAY_ROLLOUT_NO_CURRENT, c->pixel);
	else if (!v->behind)
		say(inv, SAY_ROLLOUT_ALL, c->pixel, v->current, v->count, v->count == 1 ? "" : "s");
	else
		say(inv, SAY_ROLLOUT_SOME, c->pixel, v->current, v->count - v->behind, v->count,
		    v->count == 1 ? "" : "s", (int)behind.len, (const char *)behind.at);
	buf_done(&behind);
}

bool cmd_rollout(struct invocation *inv, struct error *err)
{
	struct view view = { .now = clock_wall(), .marks = BUF_INIT(SOURCE_MARKS_BYTES_MAX) };
	struct credential c;
	if (!source_find(inv, inv->args[0], false, &c, NULL, err))
		return false;
	const struct version *current = credential_staged(&c, STAGE_CURRENT);
	view.current = current ? current->number : 0;
	bool is_done = source_marks(inv, c.pixel, keep_mark, &view, err);
	if (is_done && inv->globals.json) {
		print_json(inv, &c, &view);
	} else if (is_done) {
		is_done = !view.count || print_table(inv, &view, err);
		say_summary(inv, &c, &view);
	}
	buf_done(&view.marks);
	return is_done;
}
