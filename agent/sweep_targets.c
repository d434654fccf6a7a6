#include "agent/sweep_targets.h"

#include "agent/decoy.h"
#include "agent/renewals.h"
#include "agent/status.h"
#include "agent/upkeep.h"
#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

#define HEALTH_ROOM 8192
#define UPKEEP_SOON_S 3600 /* what is due before any sweep has ended */

void targets_done(struct targets *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->at[i].health);
	vault_walk_freep(&t->walk);
	free(t->at);
	free(t->pairs);
	*t = (struct targets){ 0 };
}

static struct target_version slim(const struct version *v)
{
	struct target_version t = { 0 };
	if (!v)
		return t;
	t = (struct target_version){ .number = v->number,
				     .stage = (uint8_t)v->stage,
				     .family = (uint8_t)v->renewal.family,
				     .is_refused = v->renewal.refused_at != 0 && version_has_grant(v),
				     .stored_at = v->stored_at,
				     .staged_at = v->staged_at,
				     .expires_at = v->expires_at };
	memcpy(t.fingerprint, v->fingerprint, FINGERPRINT_LEN);
	memcpy(t.digest, v->digest, DIGEST_LEN);
	return t;
}

static struct version whole(const struct target_version *t)
{
	struct version v = { .number = t->number,
			     .stage = (enum stage)t->stage,
			     .stored_at = t->stored_at,
			     .staged_at = t->staged_at,
			     .expires_at = t->expires_at,
			     .renewal = { .family = (enum family)t->family, .refused_at = t->is_refused } };
	memcpy(v.fingerprint, t->fingerprint, FINGERPRINT_LEN);
	memcpy(v.digest, t->digest, DIGEST_LEN);
	v.renewal.digest[0] = t->is_refused; /* there is something that renews it */
	return v;
}

void target_learn(struct target *t, const struct credential *c)
{
	t->current = slim(credential_staged(c, STAGE_CURRENT));
	t->pending = slim(credential_staged(c, STAGE_PENDING));
}

void target_credential(const struct target *t, struct credential *ret)
{
	const struct target_version *both[] = { &t->current, &t->pending };
	bool is_swapped = t->pending.number && t->pending.number < t->current.number;
	*ret = (struct credential){ .version_count = 0 };
	memcpy(ret->pixel, t->pixel, sizeof ret->pixel);
	for (size_t i = 0; i < COUNT_OF(both); i++) {
		const struct target_version *v = both[is_swapped ? 1 - i : i];
		if (v->number)
			ret->versions[ret->version_count++] = whole(v);
	}
}

static bool remember_health(struct target *t, const struct health *h, struct buf *scratch, struct error *err)
{
	buf_clear(scratch);
	if (!health_encode(h, scratch, err))
		return false;
	t->health = malloc(scratch->len);
	if (!t->health)
		return fail_no_memory(err);
	memcpy(t->health, scratch->at, scratch->len);
	t->health_len = (uint32_t)scratch->len;
	return true;
}

bool target_health(const struct target *t, struct health *ret)
{
	return t->health && health_decode(bytes_of(t->health, t->health_len), ret);
}

void target_forget_health(struct target *t)
{
	free(t->health);
	t->health = NULL;
}

bool target_speaks(const struct target *t, uint32_t version)
{
	return version == (t->current.number ? t->current.number : t->pending.number);
}

/* The array with room for one more, growing by half; NULL, and the array untouched, when there is no memory. */
static void *with_room(void *at, size_t *room, size_t count, size_t size)
{
	if (count < *room)
		return at;
	size_t wanted = *room + *room / 2 + 16;
	void *moved = reallocarray(at, wanted, size);
	if (moved)
		*room = wanted;
	return moved;
}

static bool add_pair(struct targets *t, const struct judgement *j, struct error *err)
{
	struct pair *pairs = with_room(t->pairs, &t->pair_room, t->pair_count, sizeof *pairs);
	if (!pairs)
		return fail_no_memory(err);
	t->pairs = pairs;
	t->pairs[t->pair_count++] = (struct pair){
		.target = (uint32_t)(t->count - 1),
		.version = j->version,
		.was = j->verdict,
		.suspected = j->suspected,
		.suspected_at = j->suspected_at,
		.proven_at = j->proven_at,
		.was_unclear = j->last_outcome == OUTCOME_UNKNOWN,
	};
	return true;
}

struct collecting {
	struct service *service;
	const struct check_request *request;
	struct targets *targets;
	int64_t now;
	struct buf scratch;
};

static bool is_listed(const struct judgement *j, int64_t since)
{
	return since && j->evidence.probe == PROBE_LISTING && j->evidence.at >= since && j->checked_at == j->evidence.at &&
	       !j->suspected;
}

/* A token that is promoted or renewed moves another one out; beside that, time and a dead current one are what calls for it. */
static bool may_need_upkeep(const struct credential *c, const struct health *h, const struct collecting *x)
{
	int64_t by = x->now + UPKEEP_SOON_S;
	return credential_staged(c, STAGE_PENDING) || renewal_need(c, h, x->service->settings, x->now) != RENEWAL_NONE ||
	       upkeep_at(c, h, x->service->settings, by) <= by;
}

/* Put since it was known that there is none of its kind: it would have to be renewed first. */
static bool is_too_late(const struct targets *t)
{
	const struct target *last = &t->at[t->count - 1];
	return t->walk && (last->current.family != FAMILY_PLAIN || last->pending.family != FAMILY_PLAIN);
}

static bool collect(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct collecting *x = context;
	struct targets *t = x->targets;
	bool is_here = strcmp(c->pixel, t->first) == 0;
	if (is_here || !status_matches(c, NULL, 0, x->request->labels, x->request->label_count))
		return true;
	if (!x->request->pixel_count && decoy_is(c)) {
		t->decoys++;
		return true;
	}
	struct target *at = with_room(t->at, &t->room, t->count, sizeof *at);
	if (!at)
		return fail_no_memory(err);
	t->at = at;
	struct target *target = &t->at[t->count++];
	const struct judgement *speaking = health_speaking(h, c);
	*target = (struct target){ .spoke = speaking ? speaking->verdict : VERDICT_UNCHECKED, .slot = NO_SLOT };
	memcpy(target->pixel, c->pixel, sizeof target->pixel);
	memcpy(target->test_code, c->test_code, sizeof target->test_code);
	target_learn(target, c);
	if (is_too_late(t)) {
		t->count--;
		return true;
	}
	target->is_due = status_is_due(c, x->service->settings, x->now);
	target->renewal = (uint8_t)renewal_need(c, h, x->service->settings, x->now);
	target->may_need_upkeep = x->request->notable && may_need_upkeep(c, h, x);
	if (!remember_health(target, h, &x->scratch, err))
		return false;
	bool was_listed = is_listed(&h->current, x->request->listed_since);
	t->listed += target->current.number && was_listed;
	if (target->current.number && !was_listed && !add_pair(t, &h->current, err))
		return false;
	const struct version *pending = credential_staged(c, STAGE_PENDING);
	bool is_open = pending && version_has_token(pending) && !verdict_is_bad(h->pending.verdict);
	return !is_open || add_pair(t, &h->pending, err);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool collect_named(struct collecting *x, const char **names, struct error *err)
{
	qsort(names, x->request->pixel_count, sizeof *names, by_text);
	for (size_t i = 0; i < x->request->pixel_count; i++) {
		struct credential c;
		struct health h;
		if (i > 0 && strcmp(names[i], names[i - 1]) == 0)
			continue;
		if (!vault_find(x->service->vault, names[i], false, &c, err) ||
		    !vault_health(x->service->vault, &c, &h, err) || !collect(x, &c, &h, err))
			return false;
	}
	return true;
}

static bool collect_any(struct collecting *x, struct error *err)
{
	size_t count = x->request->pixel_count;
	if (!count)
		return vault_each(x->service->vault, true, false, collect, x, err);
	const char **names = calloc(count, sizeof *names);
	if (!names)
		return fail_no_memory(err);
	memcpy(names, x->request->pixels, count * sizeof *names);
	bool ok = collect_named(x, names, err);
	free(names);
	return ok;
}

static struct collecting collecting(struct service *s, const struct check_request *request, struct targets *t)
{
	return (struct collecting){ s, request, t, vault_later_clock(s->vault), BUF_INIT(HEALTH_ROOM) };
}

bool targets_collect(struct service *s, const struct check_request *request, struct targets *ret, struct error *err)
{
	struct targets targets = { 0 };
	struct collecting x = collecting(s, request, &targets);
	bool ok = collect_any(&x, err);
	buf_done(&x.scratch);
	if (!ok) {
		targets_done(&targets);
		return false;
	}
	*ret = targets;
	return true;
}

bool targets_begin(struct service *s, const struct check_request *request, const char *first, struct targets *ret,
		   struct error *err)
{
	struct targets targets = { 0 };
	struct collecting x = collecting(s, request, &targets);
	struct credential c;
	struct health h;
	bool ok = vault_find(s->vault, first, false, &c, err) && vault_health(s->vault, &c, &h, err) &&
		  collect(&x, &c, &h, err) && vault_walk_new(s->vault, &targets.walk, err);
	buf_done(&x.scratch);
	if (!ok) {
		targets_done(&targets);
		return false;
	}
	memcpy(targets.first, c.pixel, sizeof targets.first);
	*ret = targets;
	return true;
}

bool targets_more(struct service *s, const struct check_request *request, struct targets *t, struct error *err)
{
	struct collecting x = collecting(s, request, t);
	bool is_over;
	bool ok = vault_walk_some(t->walk, collect, &x, &is_over, err);
	buf_done(&x.scratch);
	if (ok && is_over)
		vault_walk_freep(&t->walk);
	return ok;
}
