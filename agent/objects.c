#include "agent/objects.h"

#include "agent/status.h"
#include "agent/text.h"

#include <stdio.h>

static void removed_json(struct json *j, unsigned removed)
{
	json_array(j, "removed");
	for (unsigned bit = 1; bit <= REMOVED_HEADER_NAME; bit <<= 1)
		if (removed & bit)
			json_text(j, NULL, removed_name((enum removed)bit));
	json_end_array(j);
}

void put_json(struct json *j, const struct put_result *r)
{
	char fingerprint[FINGERPRINT_TEXT_MAX];
	json_text(j, "pixel", r->pixel);
	json_int(j, "version", r->version);
	json_text(j, "stage", stage_name(r->stage));
	json_text(j, "verdict", verdict_name(r->verdict));
	json_text(j, "fingerprint", fingerprint_text(r->fingerprint, fingerprint));
	removed_json(j, r->removed);
	json_text(j, "belongs_to", r->belongs_to[0] ? r->belongs_to : NULL);
}

static void put_object(struct json *j, const char *key, const struct put_result *r)
{
	json_object(j, key);
	put_json(j, r);
	json_end_object(j);
}

void swap_json(struct json *j, const struct swap_result *r)
{
	if (r->is_move) {
		json_object(j, "from");
		json_text(j, "pixel", r->from.pixel);
		json_int(j, "version", r->from.version);
		json_text(j, "stage", stage_name(r->from.stage));
		json_end_object(j);
		put_object(j, "moved", &r->to);
		json_bool(j, "unchanged", r->to.is_unchanged);
		return;
	}
	json_array(j, "swapped");
	put_object(j, NULL, &r->from);
	put_object(j, NULL, &r->to);
	json_end_array(j);
}

#define HINT_MAX 240 /* as in struct error */

/* The command that puts right what the detective found. */
static void mismatch_hint(const struct put_result *r, char hint[HINT_MAX])
{
	const char *pixel = r->pixel, *owner = r->belongs_to;
	if (r->mend == MEND_SWAP)
		snprintf(hint, HINT_MAX, HINT_SWAP, pixel, owner);
	else if (r->mend == MEND_MOVE)
		snprintf(hint, HINT_MAX, HINT_MOVE, pixel, owner, pixel);
	else if (owner[0])
		snprintf(hint, HINT_MAX, HINT_HELD, owner, pixel);
	else
		snprintf(hint, HINT_MAX, HINT_NOBODYS, pixel);
}

/* What to do about a refusal, where the service has no better word. */
static const char *refusal_hint(const struct put_result *r, char room[HINT_MAX])
{
	static const char *const hints[OUTCOME_COUNT] = {
		[VERDICT_EXPIRED] = "make a new token in TikTok's Events Manager, on the settings page of this Pixel",
		[VERDICT_REVOKED] = "make a new token in TikTok's Events Manager, on the settings page of this Pixel",
		[VERDICT_NO_PERMISSION] = "let somebody who manages this Pixel make the token",
		[VERDICT_MALFORMED] = "copy the token again, all of it",
	};
	if (r->stage != STAGE_PREVIOUS && r->outcome == VERDICT_MISMATCHED) {
		mismatch_hint(r, room);
		return room;
	}
	const char *hint = r->advice ? r->advice : (unsigned)r->outcome < OUTCOME_COUNT ? hints[r->outcome] : NULL;
	return hint ? hint : "copy the token again from the settings page of this Pixel";
}

/* "", or whose token it is as far as that was found out. */
static const char *whose(const struct put_result *r, char room[80])
{
	room[0] = '\0';
	if (r->belongs_to[0])
		snprintf(room, 80, ", it belongs to %s", r->belongs_to);
	else if (r->tried)
		snprintf(room, 80, ", it fits none of the %zu other stored Pixel%s tried", r->tried,
			 r->tried == 1 ? "" : "s");
	return room;
}

static bool rollback_refusal(const struct put_result *r, const char *consumers, struct error *err)
{
	char room[HINT_MAX], hint[HINT_MAX + sizeof HINT_NEITHER_WORKS], of[80];
	if (!verdict_is_bad(r->outcome))
		return fail(err, r->exit, TXT_ROLLBACK_OPEN, r->pixel, verdict_name(r->outcome),
			    r->evidence.text[0] ? ": " : "", r->evidence.text, consumers);
	snprintf(hint, sizeof hint, HINT_NEITHER_WORKS, refusal_hint(r, room));
	return fail(err, r->exit, TXT_ROLLBACK_REFUSED, hint, r->pixel, verdict_name(r->outcome), whose(r, of),
		    consumers);
}

bool put_refusal(const struct put_result *r, uint32_t current, struct error *err)
{
	/* The sentence every reader of a refusal asks for first: do my senders still work? */
	char consumers[64] = "consumers get nothing for this Pixel yet", hint[HINT_MAX], of[80];
	if (current)
		snprintf(consumers, sizeof consumers, "consumers still get version %u", current);
	if (r->stage == STAGE_PREVIOUS)
		return rollback_refusal(r, consumers, err);
	if (!verdict_is_bad(r->outcome))
		return fail(err, r->exit, TXT_PUT_PENDING, r->pixel, verdict_name(r->outcome),
			    r->evidence.text[0] ? ": " : "", r->evidence.text, r->version, consumers);
	return fail(err, r->exit, TXT_PUT_REFUSED, refusal_hint(r, hint), r->pixel, verdict_name(r->outcome),
		    whose(r, of), r->version, consumers);
}

static void versions_json(struct json *j, const struct credential *c)
{
	char fingerprint[FINGERPRINT_TEXT_MAX];
	json_array(j, "versions");
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		json_object(j, NULL);
		json_int(j, "version", v->number);
		json_text(j, "stage", stage_name(v->stage));
		json_text(j, "fingerprint",
			  version_has_token(v) ? fingerprint_text(v->fingerprint, fingerprint) : NULL);
		json_time(j, "stored_at", v->stored_at);
		json_time(j, "staged_at", v->staged_at);
		json_time(j, "expires_at", version_ends_at(v));
		json_time(j, "retire_by", v->retire_by);
		json_time(j, "taken_at", v->taken_at);
		json_end_object(j);
	}
	json_end_array(j);
	json_array(j, "gone");
	for (size_t i = 0; i < c->gone_count; i++) {
		const struct gone *g = &c->gone[i];
		json_object(j, NULL);
		json_int(j, "version", g->number);
		json_text(j, "fingerprint", fingerprint_text(g->fingerprint, fingerprint));
		json_time(j, "stored_at", g->stored_at);
		json_time(j, "taken_at", g->taken_at);
		json_time(j, "gone_at", g->gone_at);
		json_text(j, "why", g->is_dead ? "dead" : "purged");
		json_end_object(j);
	}
	json_end_array(j);
}

static void verdicts_json(struct json *j, const struct health *h)
{
	json_array(j, "verdicts");
	for (size_t i = 0; i < h->history_count; i++) {
		const struct health_change *change = &h->history[i];
		json_object(j, NULL);
		json_time(j, "at", change->at);
		json_int(j, "version", change->version);
		json_text(j, "verdict", verdict_name(change->verdict));
		json_text(j, "probe", probe_name(change->probe));
		if (change->code == NO_CODE)
			json_null(j, "code");
		else
			json_int(j, "code", change->code);
		json_end_object(j);
	}
	json_end_array(j);
}

void history_json(struct json *j, const struct credential *c, const struct health *h)
{
	json_text(j, "pixel", c->pixel);
	json_time(j, "created_at", c->created_at);
	json_time(j, "deleted_at", c->deleted_at);
	json_bool(j, "destroyed", c->is_destroyed);
	status_rotation_json(j, c);
	versions_json(j, c);
	verdicts_json(j, h);
	status_sights_json(j, h);
}

void matches_json(struct json *j, struct bytes matches)
{
	struct match m;
	json_object(j, NULL);
	json_int(j, "schema", 1);
	json_array(j, "matches");
	while (bytes_take_copy(&matches, &m, sizeof m)) {
		json_object(j, NULL);
		json_text(j, "pixel", name_is_list(m.pixel) ? NULL : m.pixel);
		json_text(j, "listing", name_is_list(m.pixel) ? m.pixel : NULL);
		json_text(j, "what", m.is_refresh_token ? "refresh-token" : "token");
		json_int(j, "version", m.version);
		json_text(j, "stage", stage_name(m.stage));
		json_bool(j, "deleted", m.is_deleted);
		json_bool(j, "removed", m.is_removed);
		json_end_object(j);
	}
	json_end_array(j);
	json_end_object(j);
	buf_append_text(j->out, "\n");
}

void verify_json(struct json *j, const struct verify_report *r)
{
	json_int(j, "generation", (int64_t)r->generation);
	json_int(j, "pixels", (int64_t)r->pixels);
	json_int(j, "tokens", (int64_t)r->tokens);
	json_int(j, "nodes", (int64_t)r->nodes);
	json_int(j, "disposable", (int64_t)r->disposable);
	json_int(j, "rubbish", (int64_t)r->rubbish);
	json_int(j, "faults", (int64_t)r->faults);
}

void token_json(struct json *j, const struct token_facts *facts, const struct secret *token)
{
	char fingerprint[FINGERPRINT_TEXT_MAX];
	json_text(j, "pixel", facts->pixel);
	json_int(j, "version", facts->version);
	json_text_n(j, "token", secret_reveal(token));
	json_text(j, "fingerprint", fingerprint_text(facts->fingerprint, fingerprint));
	json_text(j, "verdict", verdict_name(facts->verdict));
	json_time(j, "proven_at", facts->proven_at);
	json_time(j, "expires_at", facts->expires_at);
}

void list_put_json(struct json *j, const struct list_result *r)
{
	char fingerprint[FINGERPRINT_TEXT_MAX];
	json_text(j, "listing", r->name);
	json_int(j, "version", r->version);
	json_text(j, "stage", stage_name(r->stage));
	json_text(j, "verdict", verdict_name(r->verdict));
	json_text(j, "fingerprint", fingerprint_text(r->fingerprint, fingerprint));
	removed_json(j, r->removed);
	json_bool(j, "unchanged", r->is_unchanged);
	json_int(j, "pages", r->pages);
	json_int(j, "listed", r->listed);
	json_int(j, "stored", (int64_t)r->stored);
	json_text(j, "outcome", r->outcome ? verdict_name(r->outcome) : NULL);
	json_text(j, "message", r->evidence.text[0] ? r->evidence.text : NULL);
	json_text(j, "advice", r->advice);
}

bool list_refusal(const struct list_result *r, struct error *err)
{
	const char *hint = verdict_exit(r->outcome) == ERR_EXPIRED ? HINT_LIST_DEAD
			   : r->outcome == VERDICT_NO_PERMISSION ? HINT_LIST_RIGHTS
			   : r->advice			   ? r->advice
								 : HINT_LIST_DEAD;
	return fail(err, r->exit, TXT_LIST_REFUSED, hint, r->name, r->version, verdict_name(r->outcome),
		    r->evidence.text[0] ? ": " : "", r->evidence.text);
}
