#include "cli/import_words.h"

#include "agent/text.h"
#include "cli/output.h"
#include "cli/put_words.h"
#include "cli/text.h"

#include <stdio.h>

#define COLUMN_WORDS_MAX 600
#define NAME_SHOWN_MAX 24 /* a longer one may be a token in the wrong place */

/* ---- columns ---- */

static const char *shown_name(const char *name)
{
	return strlen(name) <= NAME_SHOWN_MAX ? name : "(long name)";
}

static void field_words(const struct intake_column *c, char ret[64])
{
	if (c->field == FIELD_NONE)
		snprintf(ret, 64, "not taken");
	else
		snprintf(ret, 64, "%s%s%s", field_name(c->field), c->field == FIELD_LABEL ? " " : "", c->label);
}

static void say_column(const struct import_work *w, size_t i)
{
	char field[64];
	const char *name = w->sheet.columns[i];
	field_words(&w->intake.columns[i], field);
	if (name[0])
		say(w->inv, SAY_IMPORT_COLUMN_NAMED, i + 1, shown_name(name), field);
	else
		say(w->inv, SAY_IMPORT_COLUMN, i + 1, field);
}

void import_show_columns(const struct import_work *w)
{
	char removed[REMOVED_WORDS_MAX];
	if (w->is_sealed)
		return;
	if (w->sheet.format == SHEET_ENV) {
		say(w->inv, SAY_IMPORT_VARIABLES, intake_count(&w->intake), w->intake.untaken);
		return;
	}
	if (w->intake.has_strange_header)
		say(w->inv, SAY_IMPORT_STRANGE_HEADER);
	for (size_t i = 0; i < w->sheet.column_count; i++)
		say_column(w, i);
	if (w->intake.removed)
		say(w->inv, SAY_IMPORT_REMOVED, removed_words(w->intake.removed, removed));
}

/* ---- JSON ---- */

static void json_columns(struct json *j, const struct import_work *w)
{
	json_array(j, "columns");
	for (size_t i = 0; w->sheet.format != SHEET_ENV && i < w->sheet.column_count; i++) {
		const struct intake_column *c = &w->intake.columns[i];
		json_object(j, NULL);
		json_int(j, "column", (int64_t)i + 1);
		json_text(j, "name", w->sheet.columns[i][0] ? shown_name(w->sheet.columns[i]) : NULL);
		json_text(j, "field", c->field ? field_name(c->field) : NULL);
		json_text(j, "label", c->field == FIELD_LABEL ? c->label : NULL);
		json_end_object(j);
	}
	json_end_array(j);
}

static void json_problem(struct json *j, size_t row, size_t column, enum field field, const char *what,
			 const char *hint)
{
	json_object(j, NULL);
	json_int(j, "row", (int64_t)row);
	if (column)
		json_int(j, "column", (int64_t)column);
	else
		json_null(j, "column");
	json_text(j, "field", field ? field_name(field) : NULL);
	json_text(j, "what", what);
	json_text(j, "hint", hint[0] ? hint : NULL);
	json_end_object(j);
}

/* A row that the vault or TikTok refuses; false: it is fine. */
static bool why_not(const struct import_row *r, const char **ret_what, const char **ret_hint)
{
	if (r->err.code != ERR_NONE) {
		*ret_what = r->err.message;
		*ret_hint = r->err.hint;
		return true;
	}
	if (!r->was_asked || (!verdict_is_bad(r->outcome) && !verdict_is_transient(r->outcome)))
		return false;
	*ret_what = verdict_name(r->outcome);
	*ret_hint = verdict_advice(r->outcome) ? verdict_advice(r->outcome) : "";
	return true;
}

static void json_problems(struct json *j, const struct import_work *w, bool of_warnings)
{
	const char *what, *hint;
	json_array(j, of_warnings ? "warnings" : "problems");
	for (size_t i = 0; i < intake_problem_count(&w->intake); i++) {
		const struct intake_problem *p = intake_problem_at(&w->intake, i);
		if (p->is_warning == of_warnings)
			json_problem(j, p->row, p->column, p->field, p->what, p->hint);
	}
	for (size_t i = 0; i < w->count; i++) {
		size_t row = intake_entry_at(&w->intake, i)->row;
		if (!of_warnings && why_not(&w->rows[i], &what, &hint))
			json_problem(j, row, 0, FIELD_NONE, what, hint);
		if (of_warnings && w->rows[i].also_stored[0])
			json_problem(j, row, 0, FIELD_TOKEN, SAY_IMPORT_ALSO_JSON, "");
	}
	json_end_array(j);
}

static void json_rows(struct json *j, const struct import_work *w)
{
	char fingerprint[FINGERPRINT_TEXT_MAX];
	json_array(j, "rows");
	for (size_t i = 0; i < w->count; i++) {
		const struct import_row *r = &w->rows[i];
		json_object(j, NULL);
		json_int(j, "row", (int64_t)intake_entry_at(&w->intake, i)->row);
		json_text(j, "pixel", r->pixel);
		json_text(j, "fingerprint", r->version ? fingerprint_text(r->fingerprint, fingerprint) : NULL);
		if (r->version)
			json_int(j, "version", r->version);
		else
			json_null(j, "version");
		json_text(j, "stage", r->version ? stage_name(r->stage) : NULL);
		json_bool(j, "unchanged", r->is_unchanged);
		json_text(j, "outcome", r->was_asked ? verdict_name(r->outcome) : NULL);
		json_end_object(j);
	}
	json_end_array(j);
}

/* why NULL: all is well. */
static void print_json(const struct import_work *w, const struct error *why)
{
	struct invocation *inv = w->inv;
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_text(&j, "format", w->is_sealed ? "export" : sheet_format_name(w->sheet.format));
	json_bool(&j, "dry_run", w->is_dry_run);
	json_bool(&j, "stored", w->result.is_stored);
	json_bool(&j, "shredded", w->is_shredded);
	json_columns(&j, w);
	json_problems(&j, w, false);
	json_problems(&j, w, true);
	json_rows(&j, w);
	json_int(&j, "exit", why ? (int)why->code : inv->exit);
	if (why) {
		json_object(&j, "error");
		json_text(&j, "code", error_name(why->code));
		json_int(&j, "exit", why->code);
		json_text(&j, "message", why->message);
		json_text(&j, "hint", why->hint);
		json_end_object(&j);
	} else {
		json_null(&j, "error");
	}
	output_json_end(inv, &j);
}

/* The object says all of it, the failure too. */
static bool end_badly(const struct import_work *w, const struct error *why)
{
	if (!w->inv->globals.json)
		return false;
	print_json(w, why);
	w->inv->exit = (int)why->code;
	return true;
}

/* ---- words ---- */

static void say_fault(const struct import_work *w, const struct intake_problem *p, const char *hint)
{
	char place[64] = "";
	const char *unit = w->sheet.format == SHEET_ENV ? "line" : "row";
	if (p->column && p->field && w->sheet.format != SHEET_ENV)
		snprintf(place, sizeof place, ", column %zu (%s)", p->column, field_name(p->field));
	else if (p->column && w->sheet.format != SHEET_ENV)
		snprintf(place, sizeof place, ", column %zu", p->column);
	else if (p->field)
		snprintf(place, sizeof place, " (%s)", field_name(p->field));
	say_problem(w->inv, hint, "%s %zu%s: %s", unit, p->row, place, p->what);
}

/* The same advice once, not behind each of a thousand rows. */
static void say_faults(const struct import_work *w, bool of_warnings)
{
	const char *last = "";
	for (size_t i = 0; i < intake_problem_count(&w->intake); i++) {
		const struct intake_problem *p = intake_problem_at(&w->intake, i);
		if (p->is_warning != of_warnings || (of_warnings && w->inv->globals.quiet))
			continue;
		say_fault(w, p, strcmp(p->hint, last) == 0 ? NULL : p->hint);
		last = p->hint;
	}
}

bool import_tell_wrong(const struct import_work *w, struct error *err)
{
	size_t all = sheet_row_count(&w->sheet);
	if (!w->inv->globals.json)
		say_faults(w, false);
	(void)!fail(err, ERR_MALFORMED, TXT_IMPORT_WRONG, w->intake.wrong_rows, all);
	return end_badly(w, err);
}

static void say_refusals(const struct import_work *w)
{
	const char *what, *hint, *last = "";
	for (size_t i = 0; i < w->count; i++) {
		const struct import_row *r = &w->rows[i];
		if (!why_not(r, &what, &hint))
			continue;
		say_problem(w->inv, strcmp(hint, last) == 0 ? NULL : hint, SAY_IMPORT_REFUSED,
			    intake_entry_at(&w->intake, i)->row, r->pixel, what);
		last = hint;
	}
}

static bool fail_gravest(const struct import_work *w, struct error *err)
{
	static const enum error_code order[] = { ERR_EXPIRED, ERR_MISMATCHED, ERR_MALFORMED };
	enum error_code gravest = ERR_MALFORMED;
	for (size_t k = COUNT_OF(order); k-- > 0;)
		for (size_t i = 0; i < w->count; i++)
			if (w->rows[i].was_asked && verdict_is_bad(w->rows[i].outcome) &&
			    verdict_exit(w->rows[i].outcome) == order[k])
				gravest = order[k];
	return fail(err, gravest, TXT_IMPORT_REFUSED, w->result.refused, w->count);
}

static bool fail_for(const struct import_work *w, struct error *err)
{
	const struct import_result *r = &w->result;
	if (r->wrong)
		return fail(err, ERR_CONFLICT, TXT_IMPORT_WRONG, r->wrong, w->count);
	if (r->refused)
		return fail_gravest(w, err);
	if (r->unjudged)
		return fail(err, ERR_UNREACHABLE, TXT_IMPORT_UNJUDGED,
			    intake_entry_at(&w->intake, r->unjudged - 1)->row,
			    verdict_name(w->rows[r->unjudged - 1].outcome));
	return true;
}

static void say_done(const struct import_work *w)
{
	size_t current = 0, waiting = 0, unchanged = 0;
	for (size_t i = 0; i < w->count; i++) {
		const struct import_row *r = &w->rows[i];
		unchanged += r->is_unchanged;
		current += !r->is_unchanged && r->stage == STAGE_CURRENT;
		waiting += !r->is_unchanged && r->stage != STAGE_CURRENT;
		if (r->also_stored[0])
			say(w->inv, SAY_IMPORT_ALSO, intake_entry_at(&w->intake, i)->row, r->pixel, r->also_stored);
	}
	say(w->inv, w->is_dry_run ? SAY_IMPORT_WOULD : SAY_IMPORT_DONE, current, waiting, unchanged);
	if (waiting && !w->is_dry_run)
		say(w->inv, SAY_IMPORT_WAITING);
}

bool import_tell(const struct import_work *w, struct error *err)
{
	if (!fail_for(w, err)) {
		if (!w->inv->globals.json)
			say_refusals(w);
		return end_badly(w, err);
	}
	if (w->inv->globals.json) {
		print_json(w, NULL);
		return true;
	}
	say_faults(w, true);
	say_done(w);
	return true;
}
