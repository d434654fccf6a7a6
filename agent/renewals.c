#include "agent/renewals.h"

#include "agent/decoy.h"
#include "agent/pixel_map.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_S 300 /* what TikTok asks for after trouble of its own */

/* ---- one Pixel ---- */

static const struct version *renewed(const struct credential *c)
{
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	return current ? current : credential_staged(c, STAGE_PENDING);
}

int64_t renewal_due_at(const struct credential *c, const struct settings *settings)
{
	const struct version *holder = credential_renewable(c), *v = renewed(c);
	if (!holder || holder->renewal.refused_at || decoy_is(c))
		return 0;
	const struct renewal *r = &v->renewal;
	if (!version_has_token(v))
		return r->issued_at;
	if (r->access_until > r->issued_at)
		return r->issued_at + (r->access_until - r->issued_at) / 2;
	return r->issued_at + settings->interval_s;
}

int64_t renewal_person_at(const struct credential *c)
{
	const struct version *holder = credential_renewable(c), *v = renewed(c);
	return holder ? holder->renewal.refresh_until : v ? v->expires_at : 0;
}

bool renewal_is_refused(const struct credential *c, bool *ret_was_lost)
{
	const struct version *holder = credential_renewable(c);
	*ret_was_lost = holder && holder->renewal.refused_at && holder->renewal.asked_at;
	return holder && holder->renewal.refused_at;
}

/* TikTok said so, and since the pair came. */
static bool is_known_to_be_over(const struct judgement *j, const struct version *v)
{
	return j->version == v->number && j->verdict == VERDICT_EXPIRED && j->evidence.at >= v->renewal.issued_at;
}

const struct version *renewal_unfetched(const struct credential *c, const struct health *h)
{
	const struct version *v = credential_unfetched(c);
	/* Refused, it waits for a person. */
	bool is_refused =
		v && (v->renewal.refused_at || (h->pending.version == v->number && verdict_is_bad(h->pending.verdict)));
	return is_refused ? NULL : v;
}

enum renewal_need renewal_need(const struct credential *c, const struct health *h, const struct settings *settings,
			       int64_t now)
{
	int64_t due_at = renewal_due_at(c, settings);
	const struct version *v = credential_staged(c, STAGE_CURRENT);
	if (decoy_is(c))
		return RENEWAL_NONE;
	if (renewal_unfetched(c, h))
		return RENEWAL_OVER;
	if (!due_at || !v)
		return RENEWAL_NONE;
	if ((v->renewal.access_until && v->renewal.access_until <= now) || is_known_to_be_over(&h->current, v))
		return RENEWAL_OVER;
	return due_at <= now ? RENEWAL_DUE : RENEWAL_NONE;
}

int64_t renewal_retry_s(const struct settings *settings)
{
	return settings->interval_s < RETRY_S ? settings->interval_s : RETRY_S;
}

/* ---- all of them ---- */

struct planned {
	char pixel[PIXEL_CODE_MAX + 1];
	int64_t at_ms, not_before_ms;
};

struct renewals {
	struct pixel_map map;
};

bool renewals_new(struct renewals **ret, struct error *err)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? true : fail_no_memory(err);
}

static struct planned *planned_at(const struct renewals *r, size_t i)
{
	return (struct planned *)(uintptr_t)pixel_map_at(&r->map, i);
}

static struct planned *planned_of(const struct renewals *r, const char *pixel)
{
	return (struct planned *)(uintptr_t)pixel_map_find(&r->map, pixel);
}

void renewals_clear(struct renewals *r)
{
	pixel_map_empty(&r->map);
	*r = (struct renewals){ 0 };
}

void renewals_free(struct renewals *r)
{
	if (r)
		renewals_clear(r);
	free(r);
}

void renewals_forget(struct renewals *r, const char *pixel)
{
	pixel_map_drop(&r->map, pixel);
}

/* One whose last question is still open is left in peace for a while: another process may be at it, or TikTok's answer
 * was lost. */
static int64_t wait_s(const struct version *v, const struct settings *settings, int64_t due_at, int64_t now)
{
	int64_t asked_at = v->renewal.asked_at;
	int64_t again_at = asked_at ? asked_at + renewal_retry_s(settings) : 0;
	int64_t wait = (due_at > again_at ? due_at : again_at) - now;
	return wait < 0 ? 0 : wait;
}

bool renewals_note(struct renewals *r, const struct credential *c, const struct health *h,
		   const struct settings *settings, int64_t now, int64_t now_ms, struct error *err)
{
	const struct version *v = renewal_unfetched(c, h);
	int64_t due_at = renewal_due_at(c, settings);
	if (!v)
		v = credential_renewable(c);
	if (v && renewal_need(c, h, settings, now) == RENEWAL_OVER) {
		due_at = now;
	} else if (!v || !due_at || renewal_need(c, h, settings, due_at) == RENEWAL_NONE) {
		renewals_forget(r, c->pixel);
		return true;
	}
	struct planned *planned = pixel_map_make(&r->map, c->pixel, sizeof *planned, err);
	if (!planned)
		return false;
	/* Boot time, so that a wall clock that jumps makes no storm; no further off than a day, so that it is not
	 * trusted for long either. */
	int64_t wait = wait_s(v, settings, due_at, now);
	planned->at_ms = now_ms + (wait < 86400 ? wait : 86400) * 1000;
	return true;
}

static int64_t due_ms(const struct planned *p)
{
	return p->at_ms > p->not_before_ms ? p->at_ms : p->not_before_ms;
}

const char *renewals_due(const struct renewals *r, int64_t now_ms)
{
	const struct planned *first = NULL;
	for (size_t i = 0; i < r->map.room; i++) {
		const struct planned *p = planned_at(r, i);
		if (p && due_ms(p) <= now_ms && (!first || due_ms(p) < due_ms(first)))
			first = p;
	}
	return first ? first->pixel : NULL;
}

void renewals_postpone(struct renewals *r, const char *pixel, int64_t not_before_ms)
{
	struct planned *p = planned_of(r, pixel);
	if (p)
		p->not_before_ms = not_before_ms;
}
