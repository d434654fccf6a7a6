#include "agent/upkeep.h"

#include "agent/schedule.h"

const struct version *upkeep_stand_in(const struct credential *c, const struct health *h)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	const struct version *previous = credential_staged(c, STAGE_PREVIOUS);
	if (!current || !previous || h->current.version != current->number || !verdict_is_bad(h->current.verdict))
		return NULL;
	/* One that a refresh replaced is no way out: it ends before the one that it would stand in for. */
	if (previous->renewal.family != FAMILY_PLAIN && !version_has_grant(previous))
		return NULL;
	const struct fading *f = health_fading(h, previous->number);
	return f && verdict_is_bad(f->verdict) ? NULL : previous;
}

const struct version *upkeep_retiring(const struct credential *c)
{
	const struct version *previous = credential_staged(c, STAGE_PREVIOUS);
	return previous && previous->retire_by ? previous : NULL;
}

static int64_t confirm_delay_s(const struct settings *settings)
{
	return settings->confirm_delay_s >= 0 ? settings->confirm_delay_s : SCHEDULE_CONFIRM_DELAY_S;
}

/* When it is asked about next. */
static int64_t ask_at(const struct version *v, const struct health *h, const struct settings *settings)
{
	const struct fading *f = health_fading(h, v->number);
	if (!f || f->checked_at < v->taken_at)
		return v->taken_at;
	return f->refused_at ? f->checked_at + confirm_delay_s(settings) : f->checked_at + settings->interval_s;
}

static int64_t delete_at(const struct version *v, const struct settings *settings)
{
	return settings->purge_after_s ? v->taken_at + settings->purge_after_s : INT64_MAX;
}

enum upkeep_end upkeep_of_taken(const struct version *v, const struct health *h, const struct settings *settings,
				int64_t now)
{
	if (v->stage != STAGE_RETIRED || !v->taken_at)
		return UPKEEP_LEAVE;
	if (now >= delete_at(v, settings))
		return UPKEEP_DELETE;
	return now >= ask_at(v, h, settings) ? UPKEEP_ASK : UPKEEP_LEAVE;
}

bool upkeep_note_answer(struct health *h, uint32_t version, enum verdict outcome, const struct settings *settings,
			int64_t now)
{
	struct fading *f = health_fade(h, version);
	bool is_dead = outcome == VERDICT_EXPIRED || outcome == VERDICT_REVOKED;
	bool was_refused = f->refused_at != 0;
	f->checked_at = now;
	if (verdict_is_transient(outcome))
		return false;
	f->verdict = outcome;
	if (outcome == VERDICT_HEALTHY)
		f->proven_at = now;
	if (!is_dead) {
		f->refused_at = 0;
		return false;
	}
	if (!f->refused_at)
		f->refused_at = now;
	return was_refused && now - f->refused_at >= confirm_delay_s(settings) && !verdict_is_bad(h->current.verdict) &&
	       !h->current.suspected;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t upkeep_at(const struct credential *c, const struct health *h, const struct settings *settings, int64_t now)
{
	int64_t at = INT64_MAX;
	/* Nobody tells when the last consumer has moved on. */
	if ((settings->failover && upkeep_stand_in(c, h)) || upkeep_retiring(c))
		return now;
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		if (v->stage == STAGE_RETIRED && v->taken_at)
			at = earlier(at, earlier(delete_at(v, settings), ask_at(v, h, settings)));
	}
	return at;
}
