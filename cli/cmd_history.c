#include "agent/objects.h"
#include "agent/status.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <unistd.h>

static void print_json(struct invocation *inv, const struct credential *c, const struct health *h)
{
	struct json j = JSON_INIT(&inv->out);
	output_json_begin(&j);
	history_json(&j, c, h);
	output_json_end(inv, &j);
}

static bool print_versions(struct invocation *inv, const struct credential *c, bool has_colour, struct error *err)
{
	static const char *const headings[] = { "VERSION", "STAGE", "FINGERPRINT", "STORED", "SINCE", "EXPIRES" };
	scoped(table_done) struct table t;
	char text[CLOCK_TEXT_MAX], fingerprint[FINGERPRINT_TEXT_MAX];
	table_init(&t, headings, COUNT_OF(headings));
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		table_row(&t, 0);
		snprintf(text, sizeof text, "v%u", v->number);
		table_cell(&t, text, TINT_NONE);
		table_cell(&t, stage_name(v->stage), v->stage == STAGE_CURRENT ? TINT_GOOD : TINT_NONE);
		table_cell(&t, version_has_token(v) ? fingerprint_text(v->fingerprint, fingerprint) : "-", TINT_NONE);
		table_cell(&t, clock_format(v->stored_at, text), TINT_NONE);
		table_cell(&t, clock_format(v->staged_at, text), TINT_NONE);
		table_cell(&t, version_ends_at(v) ? clock_format(version_ends_at(v), text) : "-", TINT_NONE);
	}
	return table_print(&t, has_colour, 0, &inv->out, err);
}

static void print_rotation(struct invocation *inv, const struct credential *c)
{
	struct rotation_facts r;
	char since[CLOCK_TEXT_MAX], from[16] = "-", to[16] = "-";
	if (!status_rotation(c, &r))
		return;
	if (r.from)
		snprintf(from, sizeof from, "v%u", r.from->number);
	if (r.to)
		snprintf(to, sizeof to, "v%u", r.to->number);
	buf_printf(&inv->out, "\nrotation: %s since %s, from %s to %s\n", rotation_name(r.step),
		   clock_format(r.since, since), from, to);
}

static bool print_verdicts(struct invocation *inv, const struct health *h, bool has_colour, struct error *err)
{
	static const char *const headings[] = { "AT", "VERSION", "VERDICT", "PROBE", "CODE" };
	scoped(table_done) struct table t;
	char text[CLOCK_TEXT_MAX];
	table_init(&t, headings, COUNT_OF(headings));
	for (size_t i = 0; i < h->history_count; i++) {
		const struct health_change *change = &h->history[i];
		const char *probe = probe_name(change->probe);
		table_row(&t, 0);
		table_cell(&t, clock_format(change->at, text), TINT_NONE);
		snprintf(text, sizeof text, "v%u", change->version);
		table_cell(&t, text, TINT_NONE);
		table_cell(&t, verdict_name(change->verdict), verdict_is_bad(change->verdict) ? TINT_BAD : TINT_NONE);
		table_cell(&t, probe ? probe : "-", TINT_NONE);
		snprintf(text, sizeof text, "%d", (int)change->code);
		table_cell(&t, change->code == NO_CODE ? "-" : text, TINT_NONE);
	}
	return table_print(&t, has_colour, 0, &inv->out, err);
}

static void print_sights(struct invocation *inv, const struct health *h)
{
	char since[CLOCK_TEXT_MAX], at[CLOCK_TEXT_MAX];
	for (size_t i = 0; i < h->sight_count; i++) {
		const struct sight *s = &h->sights[i];
		buf_printf(&inv->out, "%slisted by %s%s: %s since %s, last read %s\n", i ? "" : "\n", s->list,
			   s->is_own ? " with this very token" : "", sight_name(s->kind), clock_format(s->since, since),
			   clock_format(s->at, at));
	}
}

bool cmd_history(struct invocation *inv, struct error *err)
{
	struct credential c;
	struct health h;
	char text[CLOCK_TEXT_MAX];
	bool has_colour = term_wants_colour(inv->globals.colour, STDOUT_FILENO);
	if (!source_find(inv, inv->args[0], true, &c, &h, err))
		return false;
	if (inv->globals.json) {
		print_json(inv, &c, &h);
		return true;
	}
	if (c.deleted_at)
		say(inv, c.is_destroyed ? SAY_HISTORY_DESTROYED : SAY_HISTORY_REMOVED, c.pixel,
		    clock_format(c.deleted_at, text));
	if (c.version_count && !print_versions(inv, &c, has_colour, err))
		return false;
	print_rotation(inv, &c);
	print_sights(inv, &h);
	if (!h.history_count)
		return true;
	if (inv->out.len)
		buf_append_text(&inv->out, "\n");
	return print_verdicts(inv, &h, has_colour, err);
}
