/* listing put | list | rm: tokens that list the Pixels of a Business Center or ad account. */
#include "agent/objects.h"
#include "agent/status.h"
#include "cli/output.h"
#include "cli/put_words.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"
#include "cli/token_input.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- put ---- */

static void tell_put(struct invocation *inv, const struct list_result *r)
{
	if (r->is_unchanged)
		say(inv, SAY_LISTING_UNCHANGED, r->name, r->version);
	else if (r->was_read)
		say(inv, SAY_LISTING_READ, r->name, r->version, r->evidence.text);
	else if (verdict_is_transient(r->outcome))
		say(inv, SAY_LISTING_NOT_READ, r->name, r->version, verdict_name(r->outcome),
		    r->evidence.text[0] ? ": " : "", r->evidence.text);
	else
		say(inv, SAY_LISTING_NOT_ASKED, r->name, r->version);
}

static void told_done(struct remote_list *told)
{
	buf_done(&told->body);
}

static bool put(struct invocation *inv, const char *name, struct error *err)
{
	scoped(secret_freep) struct secret *pasted = NULL;
	scoped(told_done) struct remote_list told = { .advice = "" };
	char list[REMOVED_WORDS_MAX];
	if (!token_input(inv, name, &pasted, err))
		return false;
	struct list_request request = { .name = name, .pasted = pasted, .no_check = option_is_given(inv, "no-check") };
	if (!source_list_put(inv, &request, &told, err))
		return false;
	const struct list_result *r = &told.result;
	if (r->removed)
		say(inv, SAY_REMOVED, removed_words(r->removed, list));
	if (!inv->globals.json && r->exit != ERR_NONE)
		return list_refusal(r, err);
	inv->exit = (int)r->exit;
	if (!inv->globals.json) {
		tell_put(inv, r);
	} else if (inv->agent) {
		remote_list_json(&told, &inv->out);
	} else {
		struct json j = JSON_INIT(&inv->out);
		output_json_begin(&j);
		list_put_json(&j, r);
		output_json_end(inv, &j);
	}
	return true;
}

/* ---- list ---- */

struct listings {
	struct invocation *inv;
	struct table table;
	struct json json;
	struct buf advice;
};

static void listings_done(struct listings *l)
{
	table_done(&l->table);
	buf_done(&l->advice);
}

static void add_row(struct listings *l, const struct status_row *row)
{
	const struct judgement *j = row->speaking;
	bool is_bad = verdict_is_bad(row->verdict);
	char text[CLOCK_TEXT_MAX];
	table_row(&l->table, is_bad ? 0 : 1);
	table_cell(&l->table, row->credential->pixel, TINT_NONE);
	table_cell(&l->table, verdict_name(row->verdict), is_bad ? TINT_BAD : TINT_NONE);
	table_cell(&l->table, j && j->attempted_at ? clock_format(j->attempted_at, text) : "-", TINT_NONE);
	table_cell(&l->table, row->next_check_at ? clock_format(row->next_check_at, text) : "-", TINT_NONE);
	table_cell(&l->table, j && j->evidence.text[0] ? j->evidence.text : "-", TINT_NONE);
	if (row->advice[0])
		buf_printf(&l->advice, "%s  %s\n", row->credential->pixel, row->advice);
}

static bool add(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct listings *l = context;
	struct status_row row;
	status_of(c, h, l->inv->settings, l->inv->clock, &row);
	if (l->inv->globals.json)
		status_list_json(&l->json, &row);
	else
		add_row(l, &row);
	return buf_ok(&l->inv->out, err) && buf_ok(&l->table.cells, err);
}

static bool show(struct invocation *inv, struct error *err)
{
	static const char *const headings[] = { "LISTING", "VERDICT", "READ", "NEXT", "EVIDENCE" };
	scoped(listings_done) struct listings l = { .inv = inv,
						    .json = JSON_INIT(&inv->out),
						    .advice = BUF_INIT(1u << 20) };
	unsigned width = term_width(STDOUT_FILENO);
	table_init(&l.table, width ? headings : NULL, COUNT_OF(headings));
	if (inv->globals.json) {
		output_json_begin(&l.json);
		json_array(&l.json, "listings");
	}
	if (!source_each_list(inv, add, &l, err))
		return false;
	if (inv->globals.json) {
		json_end_array(&l.json);
		output_json_end(inv, &l.json);
		return true;
	}
	if (!l.table.count) {
		say(inv, "%s", SAY_NO_LISTING);
		return true;
	}
	table_sort(&l.table);
	if (!table_print(&l.table, term_wants_colour(inv->globals.colour, STDOUT_FILENO), width, &inv->out, err))
		return false;
	buf_append(&inv->out, "\n", l.advice.len ? 1 : 0);
	buf_append(&inv->out, l.advice.at, l.advice.len);
	return true;
}

/* ---- rm ---- */

static bool confirm(struct invocation *inv, const char *name, struct error *err)
{
	scoped(secret_freep) struct secret *answer = NULL;
	char prompt[sizeof ASK_DESTROY + PIXEL_CODE_MAX];
	if (option_is_given(inv, "yes"))
		return true;
	if (!term_may_ask(&inv->globals))
		return fail(err, ERR_USAGE, TXT_DESTROY_NEEDS_YES, name);
	snprintf(prompt, sizeof prompt, ASK_DESTROY, name);
	struct question_on_tty q = { .prompt = prompt, .echo = ECHO_ON, .max = 255 };
	if (term_ask(&q, &answer, err) && bytes_equal(secret_reveal(answer), bytes_of_text("yes")))
		return true;
	return fail(err, ERR_UNEXPECTED, TXT_DESTROY_NOT_CONFIRMED, name);
}

static bool drop(struct invocation *inv, const char *name, struct error *err)
{
	bool is_destroyed = option_is_given(inv, "destroy"), is_nothing = false;
	if (is_destroyed && !confirm(inv, name, err))
		return false;
	if (!source_list_remove(inv, name, is_destroyed, &is_nothing, err))
		return false;
	if (inv->globals.json) {
		struct json j = JSON_INIT(&inv->out);
		output_json_begin(&j);
		json_text(&j, "listing", name);
		json_text(&j, "state", is_destroyed ? "destroyed" : "removed");
		output_json_end(inv, &j);
		return true;
	}
	if (is_destroyed)
		say(inv, SAY_RM_DESTROYED, name);
	else
		say(inv, is_nothing ? SAY_LISTING_GONE : SAY_LISTING_REMOVED, name);
	return true;
}

bool cmd_listing(struct invocation *inv, struct error *err)
{
	const char *what = inv->args[0], *name = inv->args[1];
	bool is_list = strcmp(what, "list") == 0, is_put = strcmp(what, "put") == 0;
	if (!is_list && !is_put && strcmp(what, "rm") != 0)
		return fail(err, ERR_USAGE, TXT_LISTING_WORD, error_repeatable(what));
	if (is_list)
		return name ? fail(err, ERR_USAGE, TXT_LISTING_LIST) : show(inv, err);
	if (!name)
		return fail(err, ERR_USAGE, TXT_LISTING_NAME, what);
	return list_check(name, err) && (is_put ? put : drop)(inv, name, err);
}
