/* rollout: which consumers were last seen with which version, those that are behind first. */
#include "cli/output.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <unistd.h>

struct view {
	uint32_t current;
	struct table table;
	struct json *json; /* NULL: a table */
};

static bool add_reader(void *context, const struct read_mark *mark, struct error *err)
{
	struct view *v = context;
	char text[CLOCK_TEXT_MAX];
	bool is_behind = mark->version != v->current;
	if (v->json) {
		json_object(v->json, NULL);
		json_text(v->json, "as", mark->name);
		json_int(v->json, "version", mark->version);
		json_time(v->json, "at", mark->at);
		json_end_object(v->json);
		return true;
	}
	table_row(&v->table, is_behind ? 0 : 1);
	table_cell(&v->table, mark->name, TINT_NONE);
	snprintf(text, sizeof text, "v%u", mark->version);
	table_cell(&v->table, text, is_behind ? TINT_WARN : TINT_GOOD);
	table_cell(&v->table, clock_format(mark->at, text), TINT_NONE);
	return buf_ok(&v->table.cells, err);
}

static void begin_json(struct json *j, const struct credential *c, uint32_t current)
{
	output_json_begin(j);
	json_text(j, "pixel", c->pixel);
	if (current)
		json_int(j, "current", current);
	else
		json_null(j, "current");
	json_array(j, "readers");
}

bool cmd_rollout(struct invocation *inv, struct error *err)
{
	static const char *const headings[] = { "CONSUMER", "VERSION", "SEEN" };
	unsigned width = term_width(STDOUT_FILENO);
	struct json j = JSON_INIT(&inv->out);
	struct view view = { .json = inv->globals.json ? &j : NULL };
	struct credential c;
	if (!source_find(inv, inv->args[0], false, &c, NULL, err))
		return false;
	const struct version *current = credential_staged(&c, STAGE_CURRENT);
	view.current = current ? current->number : 0;
	if (view.json)
		begin_json(&j, &c, view.current);
	table_init(&view.table, width ? headings : NULL, COUNT_OF(headings));
	bool is_done = source_marks(inv, c.pixel, add_reader, &view, err);
	if (is_done && view.json) {
		json_end_array(&j);
		output_json_end(inv, &j);
	} else if (is_done && !view.table.count) {
		say(inv, SAY_ROLLOUT_NOBODY, c.pixel, c.pixel);
	} else if (is_done) {
		table_sort(&view.table);
		is_done = table_print(&view.table, term_wants_colour(inv->globals.colour, STDOUT_FILENO), width, &inv->out,
				      err);
	}
	table_done(&view.table);
	return is_done;
}
