#include "agent/upkeep.h"

#include "agent/decoy.h"
#include "agent/schedule.h"

const struct version *upkeep_stand_in(const struct credential *c, const struct health *h)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	const struct version *both[] = { credential_staged(c, STAGE_STANDBY), credential_staged(c, STAGE_PREVIOUS) };
	if (!current || h->current.version != current->number || !verdict_is_bad(h->current.verdict))
		return NULL;
	for (size_t i = 0; i < COUNT_OF(both); i++) {
		const struct version *v = both[i];
		const struct fading *f = v ? health_fading(h, v->number) : NULL;
		/* One that a refresh replaced is no way out: it ends before the one that it would stand in for. */
		bool is_replaced = v && v->renewal.family != FAMILY_PLAIN && !version_has_grant(v);
		if (v && !is_replaced && !(f && verdict_is_bad(f->verdict)))
			return v;
	}
	return NULL;
}

/* An interval after it was asked about; at once, where the clock was ahead then. */
static int64_t an_interval_later(const struct fading *f, const struct settings *settings, int64_t now)
{
	return f->checked_at > now ? now : f->checked_at + settings->interval_s;
}

const struct fading *upkeep_refused_newer(const struct credential *c, const struct health *h)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	for (size_t i = 0; current && i < h->fading_count; i++) {
		const struct fading *f = &h->fading[i];
		if (f->version > current->number && credential_numbered(c, f->version) && verdict_is_bad(f->verdict) &&
		    f->refused_at && f->refused_at <= current->staged_at)
			return f;
	}
	return NULL;
}

int64_t upkeep_stand_in_at(const struct version *stand_in, const struct health *h, const struct settings *settings,
			   int64_t now)
{
	const struct fading *f = health_fading(h, stand_in->number);
	return f && f->refused_at ? an_interval_later(f, settings, now) : 0;
}

bool upkeep_is_needed(const struct credential *c, const struct health *h)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	return !current || (h->current.version == current->number && (verdict_is_bad(h->current.verdict) || h->current.suspected));
}

bool upkeep_is_unjudged(const struct credential *c, const struct health *h)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	return current && (h->current.version != current->number || h->current.verdict == VERDICT_UNCHECKED);
}

const struct version *upkeep_retiring(const struct credential *c)
{
	const struct version *first = NULL;
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		if (v->retire_by && (!first || v->retire_by < first->retire_by))
			first = v;
	}
	return first;
}

static int64_t confirm_delay_s(const struct settings *settings)
{
	return settings->confirm_delay_s >= 0 ? settings->confirm_delay_s : SCHEDULE_CONFIRM_DELAY_S;
}

/* When it is asked about next. */
static int64_t ask_at(const struct version *v, const struct health *h, const struct settings *settings, int64_t now)
{
	const struct fading *f = health_fading(h, v->number);
	if (v->stage == STAGE_STANDBY)
		return f ? an_interval_later(f, settings, now) : v->staged_at;
	if (!f || f->checked_at < v->taken_at)
		return v->taken_at;
	if (!f->refused_at || f->checked_at > now)
		return an_interval_later(f, settings, now);
	int64_t delay_s = confirm_delay_s(settings);
	return f->checked_at + (delay_s ? delay_s : 1); /* never in one go */
}

static int64_t delete_at(const struct version *v, const struct settings *settings)
{
	return settings->purge_after_s && v->taken_at ? v->taken_at + settings->purge_after_s : INT64_MAX;
}

static bool is_asked_about(const struct version *v)
{
	return v->stage == STAGE_STANDBY || (v->stage == STAGE_RETIRED && v->taken_at);
}

enum upkeep_end upkeep_of_idle(const struct version *v, const struct health *h, const struct settings *settings,
			       int64_t now, int64_t sure_now)
{
	if (!is_asked_about(v))
		return UPKEEP_LEAVE;
	if (sure_now >= delete_at(v, settings))
		return UPKEEP_DELETE;
	return now >= ask_at(v, h, settings, now) ? UPKEEP_ASK : UPKEEP_LEAVE;
}

bool upkeep_note_answer(struct health *h, const struct version *v, enum verdict outcome, const struct settings *settings,
			int64_t now)
{
	struct fading *f = health_fade(h, v->number);
	bool is_dead = outcome == VERDICT_EXPIRED || outcome == VERDICT_REVOKED;
	bool was_refused = f->refused_at != 0;
	f->checked_at = now;
	if (verdict_is_transient(outcome))
		return false;
	/* One refusal of a previous token, perhaps in TikTok's bad hour, must not bar it from ever standing in. */
	if (v->stage != STAGE_PREVIOUS || !verdict_is_bad(outcome))
		f->verdict = outcome;
	if (outcome == VERDICT_HEALTHY)
		f->proven_at = now;
	if (!verdict_is_bad(outcome) || (!is_dead && v->stage == STAGE_RETIRED)) {
		f->refused_at = 0;
		return false;
	}
	if (!f->refused_at || f->refused_at > now)
		f->refused_at = now;
	return was_refused && is_dead && now - f->refused_at >= confirm_delay_s(settings) && !verdict_is_bad(h->current.verdict) &&
	       !h->current.suspected;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t upkeep_at(const struct credential *c, const struct health *h, const struct settings *settings, int64_t now)
{
	int64_t at = INT64_MAX;
	const struct version *stand_in = settings->failover ? upkeep_stand_in(c, h) : NULL;
	if (decoy_is(c)) /* that would be asking about it */
		return INT64_MAX;
	/* Nobody tells when the last consumer has moved on. */
	if (upkeep_retiring(c))
		return now;
	if (stand_in)
		at = upkeep_stand_in_at(stand_in, h, settings, now);
	if (at <= now)
		return now;
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		if (is_asked_about(v))
			at = earlier(at, earlier(delete_at(v, settings), ask_at(v, h, settings, now)));
	}
	return at;
}
