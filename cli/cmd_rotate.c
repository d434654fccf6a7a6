/* vault rotate: who needs a new token, and the sitting in which they get one. */
#include "agent/problem.h"
#include "cli/output.h"
#include "cli/select.h"
#include "cli/sitting.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ITEMS_BYTES_MAX ((size_t)1 << 30)

/* ---- who needs one ---- */

struct gathering {
	struct invocation *inv;
	int64_t max_age_s; /* of the option; 0 = none */
	struct buf items;  /* struct item */
};

static void gathering_done(struct gathering *g)
{
	buf_done(&g->items);
}

static void copy_label(const struct credential *c, const char *key, char ret[LABEL_VALUE_MAX + 1])
{
	for (size_t i = 0; i < c->label_count; i++)
		if (strcmp(c->labels[i].key, key) == 0)
			memcpy(ret, c->labels[i].value, LABEL_VALUE_MAX + 1);
}

static void explain(const struct status_row *row, int64_t now, struct item *item)
{
	char text[CLOCK_TEXT_MAX], *ret = item->why;
	const struct version *v = problem_version(row->credential);
	if (item->need == NEED_BAD && row->speaking->belongs_to[0])
		snprintf(ret, WHY_WORDS_MAX, WHY_BELONGS, row->speaking->belongs_to);
	else if (item->need == NEED_BAD)
		snprintf(ret, WHY_WORDS_MAX, WHY_BAD, verdict_name(row->verdict));
	else if (item->need == NEED_EXPIRES)
		snprintf(ret, WHY_WORDS_MAX, v->expires_at > now ? WHY_EXPIRES : WHY_EXPIRED,
			 clock_format(v->expires_at, text));
	else if (item->need == NEED_OLD)
		snprintf(ret, WHY_WORDS_MAX, WHY_OLD, clock_format_span(now - v->stored_at, text));
	else
		snprintf(ret, WHY_WORDS_MAX, WHY_ASKED, clock_format(row->credential->rotate_since, text));
}

static bool add_needy(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct gathering *g = context;
	struct item item = { .end = ITEM_LEFT };
	struct status_row row;
	status_of(c, h, g->inv->settings, g->inv->clock, &row);
	item.need = status_need(&row, g->inv->settings, g->max_age_s, g->inv->clock);
	if (item.need == NEED_NONE)
		return true;
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	memcpy(item.pixel, c->pixel, sizeof item.pixel);
	item.current = current ? current->number : 0;
	item.expires_at = current ? current->expires_at : 0;
	copy_label(c, "user", item.user);
	copy_label(c, "bc", item.center);
	explain(&row, g->inv->clock, &item);
	buf_append(&g->items, &item, sizeof item);
	return buf_ok(&g->items, err);
}

/* The gravest first; among equals those of one login and Business Center together, so that nobody has to change them back
 * and forth. */
static int by_gravity(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	if (x->need != y->need)
		return x->need < y->need ? -1 : 1;
	int order = strcmp(x->user, y->user);
	if (!order)
		order = strcmp(x->center, y->center);
	if (!order && x->need == NEED_EXPIRES && x->expires_at != y->expires_at)
		return x->expires_at < y->expires_at ? -1 : 1;
	return order ? order : strcmp(x->pixel, y->pixel);
}

/* In order. */
static struct item *items_of(struct gathering *g, size_t *ret_count)
{
	*ret_count = g->items.len / sizeof(struct item);
	if (*ret_count > 1)
		qsort(g->items.at, *ret_count, sizeof(struct item), by_gravity);
	return (struct item *)(void *)g->items.at;
}

/* ---- --list ---- */

static void item_json(struct json *j, const struct item *item)
{
	json_object(j, NULL);
	json_text(j, "pixel", item->pixel);
	json_text(j, "need", need_name(item->need));
	json_text(j, "why", item->why);
	json_text(j, "user", item->user[0] ? item->user : NULL);
	json_text(j, "bc", item->center[0] ? item->center : NULL);
	json_end_object(j);
}

static void list_json(struct invocation *inv, const struct item *items, size_t count)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	json_array(&j, "pixels");
	for (size_t i = 0; i < count; i++)
		item_json(&j, &items[i]);
	json_end_array(&j);
	output_json_end(inv, &j);
}

static bool list_table(struct invocation *inv, const struct item *items, size_t count, struct error *err)
{
	static const char *const headings[] = { "PIXEL", "WHY", "LOGIN", "BUSINESS CENTER" };
	unsigned width = term_width(STDOUT_FILENO);
	scoped(table_done) struct table t;
	table_init(&t, width ? headings : NULL, COUNT_OF(headings));
	for (size_t i = 0; i < count; i++) {
		table_row(&t, 0);
		table_cell(&t, items[i].pixel, TINT_NONE);
		table_cell(&t, items[i].why, items[i].need == NEED_BAD ? TINT_BAD : TINT_WARN);
		table_cell(&t, items[i].user[0] ? items[i].user : "-", TINT_NONE);
		table_cell(&t, items[i].center[0] ? items[i].center : "-", TINT_NONE);
	}
	return table_print(&t, term_wants_colour(inv->globals.colour, STDOUT_FILENO), width, &inv->out, err);
}

static bool list(struct invocation *inv, const struct selection *which, struct gathering *g, struct error *err)
{
	size_t count;
	if (!select_each(inv, which, true, add_needy, g, err))
		return false;
	const struct item *items = items_of(g, &count);
	if (inv->globals.json) {
		list_json(inv, items, count);
		return true;
	}
	if (count)
		return list_table(inv, items, count, err);
	say(inv, SAY_ROTATE_NOTHING);
	return true;
}

/* ---- the wish ---- */

static bool wish(struct invocation *inv, const struct selection *which, int64_t max_age_s, struct buf *ret,
		 size_t *ret_changed, struct error *err)
{
	struct rotate_request request = { .pixels = which->pixels,
					  .pixel_count = which->pixel_count,
					  .labels = which->labels,
					  .label_count = which->label_count,
					  .max_age_s = max_age_s,
					  .is_cancel = option_is_given(inv, "cancel") };
	return source_rotate(inv, &request, ret, ret_changed, err);
}

/* --later, --cancel: the wish, and nothing else. */
static bool wish_only(struct invocation *inv, const struct selection *which, int64_t max_age_s, struct error *err)
{
	struct buf pixels = BUF_INIT(ITEMS_BYTES_MAX);
	struct json j = JSON_INIT(&inv->out);
	size_t changed, count;
	bool is_cancel = option_is_given(inv, "cancel"), is_done = wish(inv, which, max_age_s, &pixels, &changed, err);
	count = pixels.len / (PIXEL_CODE_MAX + 1);
	if (is_done && !inv->globals.json)
		say(inv, is_cancel ? SAY_ROTATE_CANCELLED : SAY_ROTATE_LATER, count, count == 1 ? "" : "s");
	if (is_done && inv->globals.json) {
		output_json_begin(&j);
		json_bool(&j, "cancel", is_cancel);
		json_int(&j, "changed", (int64_t)changed);
		json_array(&j, "pixels");
		for (size_t i = 0; i < count; i++)
			json_text(&j, NULL, (const char *)pixels.at + i * (PIXEL_CODE_MAX + 1));
		json_end_array(&j);
		output_json_end(inv, &j);
	}
	buf_done(&pixels);
	return is_done;
}

/* What the words of the command say is asked for durably, before the first question: so a sitting that breaks off goes on
 * without them. Then those alone are gathered; without words all who need one. */
static bool gather(struct invocation *inv, const struct selection *which, struct gathering *g, struct error *err)
{
	struct buf pixels = BUF_INIT(ITEMS_BYTES_MAX);
	size_t unused, count = 0;
	if (!which->pixel_count && !which->label_count && !g->max_age_s)
		return source_each(inv, NULL, 0, true, add_needy, g, err);
	bool is_done = wish(inv, which, g->max_age_s, &pixels, &unused, err);
	count = pixels.len / (PIXEL_CODE_MAX + 1);
	const char **names = calloc(count + 1, sizeof *names);
	if (is_done && !names)
		is_done = fail_no_memory(err);
	for (size_t i = 0; names && i < count; i++)
		names[i] = (const char *)pixels.at + i * (PIXEL_CODE_MAX + 1);
	is_done = is_done && (!count || source_each(inv, names, count, true, add_needy, g, err));
	free(names);
	buf_done(&pixels);
	return is_done;
}

/* ---- the sitting ---- */

static size_t count_ends(const struct item *items, size_t count, enum item_end end)
{
	size_t found = 0;
	for (size_t i = 0; i < count; i++)
		found += items[i].end == end;
	return found;
}

static void sum_json(struct invocation *inv, const struct item *items, size_t count)
{
	static const char *const names[ITEM_END_COUNT] = { [ITEM_ROTATED] = "rotated",
							   [ITEM_SKIPPED] = "skipped",
							   [ITEM_REFUSED] = "refused",
							   [ITEM_UNJUDGED] = "unjudged",
							   [ITEM_LEFT] = "left" };
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	for (enum item_end end = ITEM_LEFT; end < ITEM_END_COUNT; end++) {
		json_array(&j, names[end]);
		for (size_t i = 0; i < count; i++)
			if (items[i].end == end)
				json_text(&j, NULL, items[i].pixel);
		json_end_array(&j);
	}
	json_int(&j, "exit", inv->exit);
	output_json_end(inv, &j);
}

static void sum_up(struct invocation *inv, const struct item *items, size_t count)
{
	size_t refused = count_ends(items, count, ITEM_REFUSED), unjudged = count_ends(items, count, ITEM_UNJUDGED);
	size_t rotated = count_ends(items, count, ITEM_ROTATED);
	inv->exit = refused || unjudged ? ERR_PARTIAL : ERR_NONE;
	if (inv->globals.json)
		sum_json(inv, items, count);
	else if (count)
		say(inv, SAY_ROTATE_SUM, rotated, count_ends(items, count, ITEM_SKIPPED), refused, unjudged,
		    count_ends(items, count, ITEM_LEFT), rotated < count ? SAY_ROTATE_GO_ON : "");
	else
		say(inv, SAY_ROTATE_NOTHING);
}

bool cmd_rotate(struct invocation *inv, struct error *err)
{
	const struct given *max_age = option_find(inv, "max-age");
	scoped(gathering_done) struct gathering g = { .inv = inv,
						      .max_age_s = max_age ? max_age->number : 0,
						      .items = BUF_INIT(ITEMS_BYTES_MAX) };
	struct selection which;
	size_t count;
	if (!select_read(inv, &which, err))
		return false;
	if (option_is_given(inv, "list"))
		return list(inv, &which, &g, err);
	if (option_is_given(inv, "later") || option_is_given(inv, "cancel"))
		return wish_only(inv, &which, g.max_age_s, err);
	bool may_ask = term_may_ask(&inv->globals), has_words = which.pixel_count || which.label_count || max_age;
	/* Nothing is asked for that nobody can be asked about. */
	if (!may_ask && has_words)
		return fail(err, ERR_USAGE, TXT_ROTATE_NO_TERMINAL);
	if (!gather(inv, &which, &g, err))
		return false;
	struct item *items = items_of(&g, &count);
	if (count && !may_ask)
		return fail(err, ERR_USAGE, TXT_ROTATE_NO_TERMINAL);
	bool is_fine = !count || sitting_hold(inv, items, count, option_is_given(inv, "retire"), err);
	if (is_fine || !inv->globals.json)
		sum_up(inv, items, count);
	return is_fine;
}
