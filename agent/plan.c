#include "agent/plan.h"

#include "agent/decoy.h"
#include "agent/pixel_map.h"
#include "agent/schedule.h"

#include <stdlib.h>
#include <string.h>

struct planned {
	char pixel[PIXEL_CODE_MAX + 1];
	bool is_suspected, is_good;
	int64_t at_ms;
};

struct plan {
	struct pixel_map map;
	int64_t next_ms; /* no later than the earliest; exact after a walk */
	bool is_exact;
	size_t control_at; /* where the search for controls goes on, so that not always the same are asked */
};

bool plan_new(struct plan **ret, struct error *err)
{
	*ret = calloc(1, sizeof **ret);
	if (!*ret)
		return fail_no_memory(err);
	(*ret)->next_ms = INT64_MAX;
	return true;
}

static struct planned *planned_at(const struct plan *p, size_t i)
{
	return (struct planned *)(uintptr_t)pixel_map_at(&p->map, i);
}

void plan_clear(struct plan *p)
{
	pixel_map_empty(&p->map);
	*p = (struct plan){ .next_ms = INT64_MAX };
}

void plan_free(struct plan *p)
{
	if (p)
		plan_clear(p);
	free(p);
}

/* A refused token that nobody was given is not asked about again until it is put again; a Pixel without any token, and
 * a decoy, never. */
static bool is_asked_about(const struct credential *c, const struct health *h)
{
	if (decoy_is(c))
		return false;
	if (credential_staged(c, STAGE_CURRENT))
		return true;
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	return pending && version_has_token(pending) && !verdict_is_bad(h->pending.verdict);
}

static int64_t wait_s(const struct credential *c, const struct health *h, const struct settings *settings, int64_t now)
{
	int64_t at = h->next_check_at ? h->next_check_at : schedule_next(c->pixel, settings, 0, now, 0);
	/* Written down by a longer interval, or by a clock that was ahead: each at its own moment, not all at once. */
	if (at - now > settings->interval_s)
		at = schedule_next(c->pixel, settings, 0, now, 0);
	return at < now ? 0 : at - now;
}

bool plan_note(struct plan *p, const struct credential *c, const struct health *h, const struct settings *settings,
	       int64_t now, int64_t now_ms, struct error *err)
{
	if (!is_asked_about(c, h)) {
		plan_forget(p, c->pixel);
		return true;
	}
	const struct judgement *j = health_speaking(h, c);
	struct planned *planned = pixel_map_make(&p->map, c->pixel, sizeof *planned, err);
	if (!planned)
		return false;
	planned->at_ms = now_ms + wait_s(c, h, settings, now) * 1000;
	planned->is_suspected = j && j->suspected != VERDICT_UNCHECKED;
	planned->is_good = j && (j->verdict == VERDICT_HEALTHY || j->verdict == VERDICT_UNPROVEN);
	if (planned->at_ms < p->next_ms)
		p->next_ms = planned->at_ms;
	return true;
}

void plan_forget(struct plan *p, const char *pixel)
{
	pixel_map_drop(&p->map, pixel);
}

bool plan_look(const struct plan *p, const char *pixel, int64_t *ret_at_ms)
{
	const struct planned *planned = (const void *)pixel_map_find(&p->map, pixel);
	if (planned)
		*ret_at_ms = planned->at_ms;
	return planned != NULL;
}

void plan_forget_one(struct plan *p, bool (*is)(void *context, const char *pixel), void *context)
{
	for (size_t i = 0; i < p->map.room; i++)
		if (planned_at(p, i) && is(context, planned_at(p, i)->pixel)) {
			plan_forget(p, planned_at(p, i)->pixel);
			return;
		}
}

int64_t plan_next_ms(struct plan *p)
{
	if (p->is_exact)
		return p->next_ms;
	p->next_ms = INT64_MAX;
	for (size_t i = 0; i < p->map.room; i++)
		if (planned_at(p, i) && planned_at(p, i)->at_ms < p->next_ms)
			p->next_ms = planned_at(p, i)->at_ms;
	p->is_exact = true;
	return p->next_ms;
}

static int by_time(const void *a, const void *b)
{
	const struct planned *x = *(const struct planned *const *)a, *y = *(const struct planned *const *)b;
	return (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

static bool holds(const char *const *pixels, size_t count, const char *pixel)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(pixels[i], pixel) == 0)
			return true;
	return false;
}

static size_t add_controls(struct plan *p, bool are_suspected, const char **ret, size_t count, size_t max)
{
	size_t due = count;
	for (size_t seen = 0; seen < p->map.room && count < max; seen++) {
		const struct planned *planned = planned_at(p, p->control_at++ & (p->map.room - 1));
		if (planned && planned->is_good && planned->is_suspected == are_suspected &&
		    !holds(ret, due, planned->pixel))
			ret[count++] = planned->pixel;
	}
	return count;
}

/* In an outage that goes on all are suspected in the end, and two of them asked alone would confirm each other. */
size_t plan_controls(struct plan *p, const char **ret, size_t count, size_t max)
{
	count = add_controls(p, false, ret, count, max);
	return add_controls(p, true, ret, count, max);
}

size_t plan_due(struct plan *p, int64_t now_ms, const char **ret, size_t max)
{
	struct planned **due = calloc(p->map.count + 1, sizeof(struct planned *));
	size_t count = 0;
	bool is_suspected = false;
	/* Without memory nothing is due for now: the next look tries again. */
	for (size_t i = 0; due && i < p->map.room; i++)
		if (planned_at(p, i) && planned_at(p, i)->at_ms <= now_ms)
			due[count++] = planned_at(p, i);
	if (count)
		qsort(due, count, sizeof(struct planned *), by_time);
	if (count > max)
		count = max;
	for (size_t i = 0; i < count; i++) {
		ret[i] = due[i]->pixel;
		is_suspected |= due[i]->is_suspected;
	}
	free(due);
	p->is_exact = false;
	return is_suspected ? plan_controls(p, ret, count, count + PLAN_CONTROLS < max ? count + PLAN_CONTROLS : max) : count;
}

void plan_postpone(struct plan *p, const char *const *pixels, size_t count, int64_t not_before_ms)
{
	for (size_t i = 0; i < count; i++) {
		struct planned *planned = (struct planned *)(uintptr_t)pixel_map_find(&p->map, pixels[i]);
		if (planned && planned->at_ms < not_before_ms)
			planned->at_ms = not_before_ms;
	}
	p->is_exact = false;
}
