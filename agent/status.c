#include "agent/status.h"

#include "agent/decoy.h"
#include "agent/mend.h"
#include "agent/renewals.h"
#include "agent/text.h"
#include "agent/upkeep.h"
#include "agent/verdict.h"
#include "core/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct version *speaking_version(const struct credential *c)
{
	const struct version *v = credential_staged(c, STAGE_CURRENT);
	return v ? v : credential_staged(c, STAGE_PENDING);
}

static bool expires_soon(const struct credential *c, const struct settings *settings, int64_t now)
{
	/* Steps descend: the first is the longest. */
	int64_t at = renewal_person_at(c);
	return at && at - now <= settings->expiry_warning_s[0];
}

static bool is_older(const struct version *v, int64_t max_age_s, int64_t now)
{
	return max_age_s && now - v->stored_at > max_age_s;
}

bool status_is_older(const struct credential *c, int64_t max_age_s, int64_t now)
{
	const struct version *v = speaking_version(c);
	return v && is_older(v, max_age_s, now);
}

bool status_is_due(const struct credential *c, const struct settings *settings, int64_t now)
{
	const struct version *v = speaking_version(c);
	return v && !decoy_is(c) && (expires_soon(c, settings, now) || is_older(v, settings->max_age_s, now));
}

enum need status_need(const struct status_row *row, const struct settings *settings, int64_t max_age_s, int64_t now)
{
	const struct version *v = speaking_version(row->credential);
	if (!v)
		return row->credential->rotate_since ? NEED_ASKED : NEED_NONE;
	if (verdict_is_bad(row->verdict))
		return NEED_BAD;
	if (expires_soon(row->credential, settings, now))
		return NEED_EXPIRES;
	if (is_older(v, max_age_s ? max_age_s : settings->max_age_s, now))
		return NEED_OLD;
	return row->credential->rotate_since ? NEED_ASKED : NEED_NONE;
}

const char *need_name(enum need need)
{
	static const char *const names[] = { "bad", "expires", "old", "asked" };
	return (unsigned)need < COUNT_OF(names) ? names[need] : "none";
}

/* ---- advice: the most pressing sentence wins ---- */

static void advise(struct status_row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void advise(struct status_row *row, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(row->advice, sizeof row->advice, format, args);
	va_end(args);
}

/* The refused version that the advice is about: the one that speaks, else one that waits beside it; NULL = none. */
static const struct judgement *refused(const struct status_row *row)
{
	if (verdict_is_bad(row->verdict))
		return row->speaking;
	const struct version *pending = credential_staged(row->credential, STAGE_PENDING);
	const struct judgement *j = &row->health->pending;
	return pending && verdict_is_bad(j->verdict) ? j : NULL;
}

const char *status_owner(const struct status_row *row)
{
	const struct judgement *j = refused(row);
	return j && j->belongs_to[0] ? j->belongs_to : NULL;
}

static void advise_on_owner(struct status_row *row, enum mend m)
{
	const char *pixel = row->credential->pixel, *owner = status_owner(row);
	if (m == MEND_SWAP)
		advise(row, ADVISE_SWAP, owner, pixel, owner);
	else if (m == MEND_MOVE)
		advise(row, ADVISE_MOVE, owner, pixel, owner, pixel);
	else
		advise(row, ADVISE_OWN, owner, pixel);
}

static void advise_on_owner_of_pending(struct status_row *row, enum mend m)
{
	const char *pixel = row->credential->pixel, *owner = status_owner(row);
	uint32_t number = row->health->pending.version;
	if (m == MEND_SWAP)
		advise(row, ADVISE_PENDING_SWAP, number, owner, pixel, owner);
	else if (m == MEND_MOVE)
		advise(row, ADVISE_PENDING_MOVE, number, owner, pixel, owner);
	else
		advise(row, ADVISE_PENDING_BELONGS, number, owner, pixel);
}

void status_advise(struct status_row *row, const struct credential *owner, const struct health *health)
{
	const struct holder here = { row->credential, row->health }, there = { owner, health };
	if (!status_owner(row))
		return;
	enum mend m = owner ? mend_of(&here, &there) : MEND_NONE;
	if (verdict_is_bad(row->verdict))
		advise_on_owner(row, m);
	else
		advise_on_owner_of_pending(row, m);
}

void status_share(struct status_row *row, const char *other)
{
	const char *usual = verdict_advice(row->verdict);
	bool is_calm = !verdict_is_bad(row->verdict) && usual && strcmp(row->advice, usual) == 0;
	if (!row->advice[0] || is_calm)
		advise(row, ADVISE_SHARED, other, row->credential->pixel, other);
}

static void advise_on_pending(struct status_row *row, const struct version *current, const struct version *pending)
{
	const struct judgement *j = &row->health->pending;
	if (!verdict_is_bad(j->verdict))
		advise(row, ADVISE_PENDING_OPEN, pending->number, current->number);
	else
		advise(row, ADVISE_PENDING_REFUSED, pending->number, verdict_name(j->verdict), current->number);
}

static void advise_on_age(struct status_row *row, const struct settings *settings, int64_t now)
{
	char text[CLOCK_TEXT_MAX];
	int64_t at = renewal_person_at(row->credential);
	if (!expires_soon(row->credential, settings, now))
		advise(row, "%s", ADVISE_OLD);
	else if (credential_renewable(row->credential))
		advise(row, ADVISE_CONSENT_ENDS, clock_format(at, text));
	else if (at <= now)
		advise(row, ADVISE_EXPIRED, clock_format(at, text));
	else
		advise(row, ADVISE_EXPIRES, clock_format(at, text));
}

/* What is on its way out, and waits for somebody. */
static bool advise_on_leaving(struct status_row *row)
{
	const struct version *retiring = upkeep_retiring(row->credential), *taken = credential_taken(row->credential);
	/* The same token, put again since then: whoever revoked it would revoke the one in use. */
	if (taken && credential_with_fingerprint(row->credential, taken->fingerprint) != taken)
		taken = NULL;
	const struct fading *f = taken ? health_fading(row->health, taken->number) : NULL;
	const struct version *standby = credential_staged(row->credential, STAGE_STANDBY);
	const struct fading *aside = standby ? health_fading(row->health, standby->number) : NULL;
	char text[CLOCK_TEXT_MAX];
	if (aside && verdict_is_bad(aside->verdict)) {
		advise(row, ADVISE_STANDBY_DEAD, standby->number, verdict_name(aside->verdict), row->credential->pixel);
		return true;
	}
	if (retiring)
		advise(row, ADVISE_RETIRING, retiring->number, clock_format(retiring->retire_by, text));
	else if (f && f->checked_at >= taken->taken_at && !f->refused_at)
		advise(row, ADVISE_REVOKE, taken->number);
	else if (taken)
		advise(row, ADVISE_REVOKE_UNKNOWN, taken->number);
	return retiring || taken;
}

static void advise_on_wish(struct status_row *row)
{
	char text[CLOCK_TEXT_MAX];
	advise(row, ADVISE_WISHED, clock_format(row->credential->rotate_since, text));
}

/* ---- lists ---- */

static void advise_on_list(struct status_row *row)
{
	const struct judgement *j = row->speaking;
	const char *name = row->credential->pixel;
	if (row->verdict == VERDICT_NO_PERMISSION)
		advise(row, ADVISE_LIST_RIGHTS, name);
	else if (verdict_is_bad(row->verdict))
		advise(row, ADVISE_LIST_DEAD, name);
	else if (j && j->last_outcome == OUTCOME_UNKNOWN)
		advise(row, ADVISE_LIST_UNCLEAR, name);
	else if (j && verdict_is_transient(j->last_outcome))
		advise(row, "%s", verdict_advice(j->last_outcome));
}

/* The list that holds it no more, one that was read with the Pixel's own token first; NULL = none. */
static const struct sight *lost_sight(const struct health *h)
{
	const struct sight *lost = NULL;
	for (size_t i = 0; i < h->sight_count; i++) {
		const struct sight *s = &h->sights[i];
		if (s->kind == SIGHT_LISTED && s->is_own)
			return NULL;
		if (s->kind != SIGHT_LISTED && (!lost || s->is_own))
			lost = s;
	}
	return lost;
}

static void advise_on_sight(struct status_row *row, const struct sight *s)
{
	char since[CLOCK_TEXT_MAX];
	advise(row, ADVISE_SIGHT, s->list, sight_name(s->kind), clock_format(s->since, since), s->times,
	       s->times == 1 ? "" : "s");
}

static bool advise_on_refusal_by_list(struct status_row *row, const struct sight *s)
{
	const char *pixel = row->credential->pixel;
	if (!s || !row->speaking || row->speaking->evidence.probe != PROBE_LISTING)
		return false;
	if (s->kind == SIGHT_ABSENT)
		advise(row, ADVISE_LISTED_ABSENT, s->list, pixel);
	else
		advise(row, ADVISE_LISTED_UNBOUND, s->list, sight_name(s->kind), pixel);
	return true;
}

static void choose_advice(struct status_row *row, const struct settings *settings, int64_t now)
{
	const struct version *current = credential_staged(row->credential, STAGE_CURRENT);
	const struct version *pending = credential_staged(row->credential, STAGE_PENDING);
	const struct version *stand_in = upkeep_stand_in(row->credential, row->health);
	const struct judgement *j = row->speaking;
	/* Asked in vain is not the same as never asked. */
	bool is_in_vain = j && !row->verdict && verdict_is_transient(j->last_outcome);
	const char *usual = verdict_advice(is_in_vain ? j->last_outcome : row->verdict);
	const struct sight *lost = lost_sight(row->health);
	const struct fading *newer = upkeep_refused_newer(row->credential, row->health);
	bool was_lost;
	row->is_unlisted = lost != NULL;
	if (decoy_is(row->credential))
		advise(row, "%s", ADVISE_DECOY);
	else if (name_is_list(row->credential->pixel))
		advise_on_list(row);
	else if (row->verdict == VERDICT_EXPIRED && renewal_is_refused(row->credential, &was_lost))
		advise(row, "%s", was_lost ? ADVISE_PAIR_LOST : ADVISE_CONSENT);
	else if (status_owner(row))
		status_advise(row, NULL, NULL);
	else if (verdict_is_bad(row->verdict) && stand_in && !settings->failover)
		advise(row, stand_in->stage == STAGE_STANDBY ? ADVISE_STANDS_BY : ADVISE_STAND_IN, usual, stand_in->number,
		       row->credential->pixel);
	else if (verdict_is_bad(row->verdict) && advise_on_refusal_by_list(row, lost))
		return;
	else if (row->verdict == VERDICT_MISMATCHED)
		advise(row, ADVISE_NOBODYS, row->credential->pixel);
	else if (verdict_is_bad(row->verdict))
		advise(row, "%s", usual);
	else if (current && pending)
		advise_on_pending(row, current, pending);
	else if (j && j->suspected && lost)
		advise_on_sight(row, lost);
	else if (j && j->suspected)
		advise(row, ADVISE_SUSPECTED, verdict_name(j->suspected));
	else if (newer)
		advise(row, ADVISE_STANDS_IN, newer->version, verdict_name(newer->verdict));
	else if (row->is_due)
		advise_on_age(row, settings, now);
	else if (row->credential->rotate_since)
		advise_on_wish(row);
	else if (lost)
		advise_on_sight(row, lost);
	else if (row->verdict != VERDICT_UNPROVEN && usual)
		advise(row, "%s", usual);
	else if (!advise_on_leaving(row) && usual)
		advise(row, "%s", usual);
}

void status_of(const struct credential *c, const struct health *h, const struct settings *settings, int64_t now,
	       struct status_row *ret)
{
	const struct judgement *j = health_speaking(h, c);
	*ret = (struct status_row){ .credential = c,
				    .health = h,
				    .next_check_at = h->next_check_at,
				    .renew_at = renewal_due_at(c, settings) };
	if (j && (j->attempted_at || j->verdict))
		ret->speaking = j;
	ret->verdict = ret->speaking ? j->verdict : VERDICT_UNCHECKED;
	/* A token that TikTok refused and that nobody was given is not asked about again until it is put again. */
	if (decoy_is(c) || (!credential_staged(c, STAGE_CURRENT) && verdict_is_bad(ret->verdict)))
		ret->next_check_at = 0;
	ret->is_due = status_is_due(c, settings, now);
	if (speaking_version(c))
		choose_advice(ret, settings, now);
}

/* ---- JSON ---- */

static void labels_json(struct json *j, const struct credential *c)
{
	json_object(j, "labels");
	for (size_t i = 0; i < c->label_count; i++)
		json_text(j, c->labels[i].key, c->labels[i].value);
	json_end_object(j);
}

static const char *text_or_null(const char *text)
{
	return text[0] ? text : NULL;
}

void status_evidence_json(struct json *j, const char *key, const struct evidence *e)
{
	if (!e || !e->at || !e->probe) {
		json_null(j, key);
		return;
	}
	json_object(j, key);
	json_text(j, "probe", probe_name(e->probe));
	if (e->code == NO_CODE)
		json_null(j, "code");
	else
		json_int(j, "code", e->code);
	json_text(j, "message", text_or_null(e->text));
	json_text(j, "request_id", text_or_null(e->request_id));
	json_time(j, "at", e->at);
	json_end_object(j);
}

static void last_attempt_json(struct json *j, const struct judgement *judgement)
{
	if (!judgement || !judgement->attempted_at) {
		json_null(j, "last_attempt");
		return;
	}
	json_object(j, "last_attempt");
	json_text(j, "outcome", verdict_name(judgement->last_outcome));
	json_time(j, "at", judgement->attempted_at);
	json_end_object(j);
}

static void version_json(struct json *j, const struct status_row *row, enum stage stage)
{
	const struct version *v = credential_staged(row->credential, stage);
	char text[FINGERPRINT_TEXT_MAX];
	if (!v) {
		json_null(j, stage_name(stage));
		return;
	}
	json_object(j, stage_name(stage));
	json_int(j, "version", v->number);
	json_text(j, "fingerprint", version_has_token(v) ? fingerprint_text(v->fingerprint, text) : NULL);
	json_time(j, "stored_at", v->stored_at);
	json_time(j, "expires_at", version_ends_at(v));
	const struct fading *f = health_fading(row->health, v->number);
	if (stage == STAGE_PENDING)
		json_text(j, "verdict", verdict_name(row->health->pending.verdict));
	if (stage == STAGE_STANDBY)
		json_text(j, "verdict", verdict_name(f ? f->verdict : VERDICT_UNCHECKED));
	json_end_object(j);
}

/* null unless a refresh token renews the Pixel's token. */
static void renewal_json(struct json *j, const struct status_row *row)
{
	const struct version *v = credential_renewable(row->credential);
	if (!v) {
		json_null(j, "renewal");
		return;
	}
	json_object(j, "renewal");
	json_text(j, "family", family_name(v->renewal.family));
	json_time(j, "next_at", row->renew_at);
	json_time(j, "refresh_token_expires_at", v->renewal.refresh_until);
	json_time(j, "unanswered_since", v->renewal.asked_at);
	json_time(j, "refused_at", v->renewal.refused_at);
	json_end_object(j);
}

static void number_json(struct json *j, const char *key, const struct version *v)
{
	if (v)
		json_int(j, key, v->number);
	else
		json_null(j, key);
}

static const struct version *taken_last(const struct credential *c)
{
	const struct version *last = NULL;
	for (size_t i = 0; i < c->version_count; i++)
		if (c->versions[i].taken_at && (!last || c->versions[i].taken_at >= last->taken_at))
			last = &c->versions[i];
	return last;
}

bool status_rotation(const struct credential *c, struct rotation_facts *ret)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	const struct version *previous = credential_staged(c, STAGE_PREVIOUS);
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	enum rotation step = c->is_destroyed ? ROTATION_NONE : credential_rotation(c);
	*ret = (struct rotation_facts){ .step = step, .from = current };
	switch (step) {
	case ROTATION_DUE:
		ret->since = c->rotate_since;
		ret->from = credential_numbered(c, c->rotate_from);
		break;
	case ROTATION_CAPTURED:
		ret->since = pending->staged_at;
		ret->to = pending;
		break;
	case ROTATION_PROMOTED:
	case ROTATION_ACKED:
		ret->since = (current ? current : previous)->staged_at;
		ret->from = previous;
		ret->to = current;
		break;
	case ROTATION_RETIRED:
		ret->from = taken_last(c);
		ret->since = ret->from ? ret->from->taken_at : 0;
		ret->to = current;
		break;
	case ROTATION_NONE:
		break;
	}
	return step != ROTATION_NONE;
}

void status_rotation_json(struct json *j, const struct credential *c)
{
	struct rotation_facts r;
	if (!status_rotation(c, &r)) {
		json_null(j, "rotation");
		return;
	}
	json_object(j, "rotation");
	json_text(j, "step", rotation_name(r.step));
	json_time(j, "since", r.since);
	number_json(j, "from", r.from);
	number_json(j, "to", r.to);
	json_end_object(j);
}

void status_json(struct json *j, const struct status_row *row)
{
	const struct judgement *speaking = row->speaking;
	json_object(j, NULL);
	json_text(j, "pixel", row->credential->pixel);
	labels_json(j, row->credential);
	json_text(j, "verdict", verdict_name(row->verdict));
	status_evidence_json(j, "evidence", speaking ? &speaking->evidence : NULL);
	last_attempt_json(j, speaking);
	json_time(j, "checked_at", speaking ? speaking->checked_at : 0);
	json_time(j, "proven_at", speaking ? speaking->proven_at : 0);
	json_time(j, "next_check_at", row->next_check_at);
	version_json(j, row, STAGE_CURRENT);
	version_json(j, row, STAGE_PENDING);
	version_json(j, row, STAGE_PREVIOUS);
	version_json(j, row, STAGE_STANDBY);
	status_rotation_json(j, row->credential);
	renewal_json(j, row);
	status_sights_json(j, row->health);
	json_text(j, "advice", text_or_null(row->advice));
	json_end_object(j);
}

void status_sights_json(struct json *j, const struct health *h)
{
	json_array(j, "listings");
	for (size_t i = 0; i < h->sight_count; i++) {
		const struct sight *s = &h->sights[i];
		json_object(j, NULL);
		json_text(j, "listing", s->list);
		json_text(j, "says", sight_name(s->kind));
		json_bool(j, "own", s->is_own);
		json_int(j, "readings", s->times);
		json_time(j, "since", s->since);
		json_time(j, "at", s->at);
		json_end_object(j);
	}
	json_end_array(j);
}

void status_list_json(struct json *j, const struct status_row *row)
{
	const struct judgement *speaking = row->speaking;
	json_object(j, NULL);
	json_text(j, "listing", row->credential->pixel);
	json_text(j, "verdict", verdict_name(row->verdict));
	status_evidence_json(j, "evidence", speaking ? &speaking->evidence : NULL);
	last_attempt_json(j, speaking);
	json_time(j, "checked_at", speaking ? speaking->checked_at : 0);
	json_time(j, "proven_at", speaking ? speaking->proven_at : 0);
	json_time(j, "next_check_at", row->next_check_at);
	version_json(j, row, STAGE_CURRENT);
	version_json(j, row, STAGE_PENDING);
	json_text(j, "advice", text_or_null(row->advice));
	json_end_object(j);
}

/* ---- filtering ---- */

static bool is_named(const char *pixel, const char *const *pixels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(pixels[i], pixel) == 0)
			return true;
	return count == 0;
}

bool status_matches(const struct credential *c, const char *const *pixels, size_t pixel_count,
		    const struct label *labels, size_t label_count)
{
	for (size_t i = 0; i < label_count; i++)
		if (!credential_has_label(c, &labels[i]))
			return false;
	return is_named(c->pixel, pixels, pixel_count);
}
