#include "cli/output.h"
#include "cli/table.h"
#include "cli/term.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_DEFAULT 50

/* ---- whose id is that ---- */

struct known {
	uint8_t id[PIXEL_ID_LEN];
	char pixel[PIXEL_CODE_MAX + 1];
};

struct names {
	struct vault *vault;
	struct buf known; /* of struct known, sorted by id */
};

static bool learn(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct names *n = context;
	struct known one = { .pixel = "" };
	(void)h;
	vault_log_id(n->vault, c->pixel, one.id);
	memcpy(one.pixel, c->pixel, sizeof one.pixel);
	buf_append(&n->known, &one, sizeof one);
	return buf_ok(&n->known, err);
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct known *)a)->id, ((const struct known *)b)->id, PIXEL_ID_LEN);
}

/* A vault that is damaged too has fewer names to give; the log is shown all the same. */
static void learn_all(struct names *n)
{
	struct error ignored;
	(void)!vault_each(n->vault, false, true, learn, n, &ignored);
	(void)!vault_each_list(n->vault, learn, n, &ignored);
	if (n->known.len)
		qsort(n->known.at, n->known.len / sizeof(struct known), sizeof(struct known), by_id);
}

/* The code, or for a Pixel that is not stored here the beginning of its id. */
static const char *name_of(const struct names *n, const struct audit_entry *e, char text[PIXEL_CODE_MAX + 1])
{
	struct known wanted = { .pixel = "" };
	memcpy(wanted.id, e->pixel, PIXEL_ID_LEN);
	const struct known *found =
		n->known.len ? bsearch(&wanted, n->known.at, n->known.len / sizeof wanted, sizeof wanted, by_id) : NULL;
	if (found)
		return found->pixel;
	snprintf(text, PIXEL_CODE_MAX + 1, "id:%02x%02x%02x%02x", e->pixel[0], e->pixel[1], e->pixel[2], e->pixel[3]);
	return text;
}

/* ---- show ---- */

struct show {
	struct invocation *inv;
	struct names names;
	const char *pixel; /* NULL = all */
	uint8_t id[PIXEL_ID_LEN];
	uint64_t matching, first; /* the first that is shown, from 0 */
	struct table table;
};

static bool is_wanted(const struct show *s, const struct audit_entry *e)
{
	return !s->pixel || (e->has_pixel && memcmp(e->pixel, s->id, PIXEL_ID_LEN) == 0);
}

static bool count_entry(void *context, const struct audit_entry *e, bool is_proven, struct error *err)
{
	struct show *s = context;
	(void)is_proven, (void)err;
	s->matching += is_wanted(s, e);
	return true;
}

static void text_or_null(struct json *j, const char *name, const char *text)
{
	if (text[0])
		json_text(j, name, text);
	else
		json_null(j, name);
}

static void entry_json(struct show *s, const struct audit_entry *e, bool is_proven)
{
	char text[PIXEL_CODE_MAX + 1];
	struct json j = JSON_INIT(&s->inv->out);
	output_json_begin(&j);
	json_int(&j, "seq", (int64_t)e->sequence);
	json_text(&j, "at", e->at);
	json_int(&j, "uid", e->uid);
	json_int(&j, "gid", e->gid);
	json_int(&j, "pid", e->pid);
	text_or_null(&j, "as", e->as);
	json_text(&j, "verb", e->verb);
	text_or_null(&j, "pixel", e->has_pixel ? name_of(&s->names, e, text) : "");
	if (e->version)
		json_int(&j, "version", e->version);
	else
		json_null(&j, "version");
	text_or_null(&j, "fingerprint", e->fingerprint);
	json_text(&j, "result", e->result);
	json_int(&j, "generation", (int64_t)e->generation);
	json_int(&j, "segment", (int64_t)e->segment);
	json_bool(&j, "proven", is_proven);
	output_json_end(s->inv, &j);
}

static void entry_row(struct show *s, const struct audit_entry *e, bool is_proven)
{
	char text[PIXEL_CODE_MAX + 1], number[32];
	bool is_plain = strcmp(e->result, "ok") == 0 || strcmp(e->result, "done") == 0;
	table_row(&s->table, 0);
	snprintf(number, sizeof number, "%" PRIu64, e->sequence);
	table_cell(&s->table, number, TINT_NONE);
	table_cell(&s->table, e->at, TINT_NONE);
	snprintf(number, sizeof number, "%" PRIu32, e->uid);
	table_cell(&s->table, number, TINT_NONE);
	snprintf(number, sizeof number, "%" PRIu32, e->pid);
	table_cell(&s->table, number, TINT_DIM);
	table_cell(&s->table, e->as[0] ? e->as : "-", TINT_NONE);
	table_cell(&s->table, e->verb, TINT_NONE);
	table_cell(&s->table, e->has_pixel ? name_of(&s->names, e, text) : "-", TINT_NONE);
	snprintf(number, sizeof number, "v%" PRIu32, e->version);
	table_cell(&s->table, e->version ? number : "-", TINT_NONE);
	table_cell(&s->table, is_proven ? e->result : "NOT PROVEN",
		   !is_proven ? TINT_BAD
		   : is_plain ? TINT_NONE
			      : TINT_WARN);
}

static bool show_entry(void *context, const struct audit_entry *e, bool is_proven, struct error *err)
{
	struct show *s = context;
	if (!is_wanted(s, e) || s->matching++ < s->first)
		return true;
	if (s->inv->globals.json)
		entry_json(s, e, is_proven);
	else
		entry_row(s, e, is_proven);
	return buf_ok(&s->inv->out, err);
}

static bool show_entries(struct show *s, uint64_t last, struct error *err)
{
	struct audit_report report;
	struct audit_reader counting = { .entry = count_entry, .context = s };
	struct audit_reader showing = { .entry = show_entry, .context = s };
	if (!vault_audit_walk(s->inv->vault, &counting, &report, err))
		return false;
	s->first = last && s->matching > last ? s->matching - last : 0;
	s->matching = 0;
	if (!vault_audit_walk(s->inv->vault, &showing, &report, err))
		return false;
	if (report.faults)
		say_problem(s->inv, NULL, TXT_AUDIT_SHOWN_BAD, report.first);
	return true;
}

static bool show(struct invocation *inv, struct error *err)
{
	static const char *const headings[] = { "SEQ", "AT", "UID", "PID", "AS", "VERB", "PIXEL", "VERSION", "RESULT" };
	const struct given *last = option_find(inv, "last");
	struct show s = { .inv = inv,
			  .names = { .vault = inv->vault, .known = BUF_INIT(SIZE_MAX / 4) },
			  .pixel = inv->arg_count > 1 ? inv->args[1] : NULL };
	if (s.pixel && !pixel_check(s.pixel, err))
		return false;
	if (s.pixel)
		vault_log_id(inv->vault, s.pixel, s.id);
	learn_all(&s.names);
	table_init(&s.table, headings, COUNT_OF(headings));
	bool ok = show_entries(&s, last ? (uint64_t)last->number : LAST_DEFAULT, err);
	if (ok && !inv->globals.json)
		ok = table_print(&s.table, term_wants_colour(inv->globals.colour, STDOUT_FILENO), 0, &inv->out, err);
	table_done(&s.table);
	buf_done(&s.names.known);
	return ok;
}

/* ---- verify, accept-loss ---- */

static void keep_fault(void *context, const char *sentence)
{
	buf_append(context, sentence, strlen(sentence) + 1);
}

/* Those that were accepted come first and are over. */
static void say_faults(struct invocation *inv, const struct buf *faults, uint64_t accepted)
{
	for (size_t at = 0; at < faults->len; at += strlen((const char *)faults->at + at) + 1)
		if (accepted)
			accepted--;
		else
			say_problem(inv, NULL, "%s", (const char *)faults->at + at);
}

static void print_report(struct invocation *inv, const struct audit_report *r)
{
	struct json j = JSON_INIT(&inv->out);
	char head[AUDIT_HEAD_TEXT_MAX];
	if (!inv->globals.json) {
		if (!inv->globals.quiet)
			buf_printf(&inv->out,
				   "proven: %" PRIu64 " entries in %" PRIu64 " segment%s, up to entry %" PRIu64 "\n",
				   r->entries, r->segments, r->segments == 1 ? "" : "s", r->last);
		return;
	}
	output_json_begin(&j);
	json_int(&j, "entries", (int64_t)r->entries);
	json_int(&j, "segments", (int64_t)r->segments);
	json_int(&j, "last", (int64_t)r->last);
	json_text(&j, "head", r->last ? audit_head_text(&r->head, head) : NULL);
	json_int(&j, "accepted_faults", (int64_t)r->accepted);
	json_int(&j, "clock_reversals", (int64_t)r->clock_reversals);
	json_int(&j, "unexplained", (int64_t)r->unexplained);
	json_int(&j, "torn_bytes", (int64_t)r->torn);
	json_int(&j, "faults", (int64_t)r->faults);
	output_json_end(inv, &j);
}

static bool verify(struct invocation *inv, struct error *err)
{
	struct audit_report report;
	struct buf faults = BUF_INIT(1u << 20);
	struct audit_position noted;
	const char *head = option_text(inv, "head");
	if (head && !audit_head_parse(head, &noted))
		return fail(err, ERR_USAGE, TXT_AUDIT_HEAD);
	struct audit_reader reader = { .fault = keep_fault, .context = &faults, .noted = head ? &noted : NULL };
	bool ok = vault_audit_walk(inv->vault, &reader, &report, err);
	if (ok)
		say_faults(inv, &faults, report.accepted);
	buf_done(&faults);
	if (!ok)
		return false;
	if (report.torn)
		say(inv, SAY_AUDIT_TORN, report.torn);
	if (report.clock_reversals)
		say(inv, SAY_AUDIT_CLOCK, report.clock_reversals);
	if (report.unexplained)
		say(inv, SAY_AUDIT_UNEXPLAINED, report.unexplained);
	if (report.faults == 1 && report.lacks_noted)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_NOT_NOTED, report.first);
	if (report.faults)
		return fail_class(err, ERR_DAMAGED, "audit", TXT_AUDIT_FAULTS, report.first);
	print_report(inv, &report);
	return true;
}

static bool accept_loss(struct invocation *inv, struct error *err)
{
	struct json j = JSON_INIT(&inv->out);
	if (!vault_accept_loss(inv->vault, err))
		return false;
	say(inv, SAY_AUDIT_ACCEPTED);
	if (inv->globals.json) {
		output_json_begin(&j);
		json_bool(&j, "accepted", true);
		output_json_end(inv, &j);
	}
	return true;
}

bool cmd_audit(struct invocation *inv, struct error *err)
{
	const char *action = inv->args[0];
	bool is_show = strcmp(action, "show") == 0, is_verify = strcmp(action, "verify") == 0;
	if (!is_show && !is_verify && strcmp(action, "accept-loss") != 0)
		return fail(err, ERR_USAGE, TXT_AUDIT_ACTION, action);
	if (!is_verify && option_is_given(inv, "head"))
		return fail(err, ERR_USAGE, TXT_AUDIT_HEAD_SURPLUS, action);
	if (is_show)
		return show(inv, err);
	if (inv->arg_count > 1 || option_is_given(inv, "last"))
		return fail(err, ERR_USAGE, TXT_AUDIT_SURPLUS, action);
	return is_verify ? verify(inv, err) : accept_loss(inv, err);
}
