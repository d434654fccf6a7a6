#include "agent/sweep_store.h"

#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

bool sweep_store_init(struct sweep_store *st, struct error *err)
{
	st->updates = calloc(SWEEP_BATCH_MAX, sizeof *st->updates);
	st->owners = calloc(SWEEP_BATCH_MAX, sizeof *st->owners);
	st->known = calloc(SWEEP_BATCH_MAX, sizeof *st->known);
	if (!st->updates || !st->owners || !st->known)
		return fail_no_memory(err);
	return true;
}

void sweep_store_done(struct sweep_store *st)
{
	free(st->updates);
	free(st->owners);
	free(st->known);
}

/* ---- telling ---- */

/* After the commit that makes it true: did the Pixel's verdict turn bad, or good again? */
static void tell(struct sweep_store *st, struct target *t, const struct judgement *now)
{
	enum verdict was = t->spoke;
	if (!now || now->verdict == was)
		return;
	t->spoke = now->verdict;
	bool is_bad = verdict_is_bad(now->verdict);
	if (!is_bad && !verdict_is_bad(was))
		return;
	st->result->newly_bad += is_bad && !verdict_is_bad(was);
	if (st->request->changed)
		st->request->changed(st->request->context, t->pixel, was, now);
}

/* ---- other writers ---- */

/* A judgement of ours on top of what is stored now. Where somebody else judged meanwhile, as for a report that was asked about
 * ahead of us, the later verdict stands; of a first refusal since then it is remembered that it came. */
static void merge_judgement(struct health *theirs, struct judgement *to, const struct health *ours,
			    const struct judgement *from, enum verdict known, int64_t known_at)
{
	bool was_judged = to->checked_at != known_at || to->verdict != known;
	if (was_judged && to->checked_at >= from->checked_at) {
		if (from->attempted_at < to->attempted_at || verdict_is_bad(to->verdict))
			return;
		to->last_outcome = from->last_outcome;
		to->attempted_at = from->attempted_at;
		memcpy(to->attempt_text, from->attempt_text, sizeof to->attempt_text);
		to->suspected = from->suspected;
		to->suspected_at = from->suspected_at;
	} else {
		bool has_changed = to->verdict != from->verdict;
		*to = *from;
		if (has_changed)
			health_remember(theirs, to);
	}
	theirs->failures = ours->failures;
	theirs->next_check_at = ours->next_check_at;
}

/* What somebody else stored meanwhile about versions we did not ask about stays. */
static void merge(struct health *theirs, const struct health *ours, const struct known *known)
{
	const struct judgement *from[] = { &ours->current, &ours->pending };
	for (size_t i = 0; i < COUNT_OF(from); i++) {
		uint32_t version = from[i]->version;
		struct judgement *to = theirs->current.version == version   ? &theirs->current
				       : theirs->pending.version == version ? &theirs->pending
									    : NULL;
		bool was_pending = known->pending.version == version;
		if (version && to)
			merge_judgement(theirs, to, ours, from[i],
					was_pending ? known->pending.verdict : known->current.verdict,
					was_pending ? known->pending.checked_at : known->current.checked_at);
	}
}

static bool catch_up(struct sweep_store *st, size_t i, struct error *err)
{
	struct health_update *update = &st->updates[i];
	struct credential c;
	struct health h;
	struct error why;
	if (!vault_find(st->service->vault, update->pixel, false, &c, &why)) {
		/* Deleted meanwhile: the store passes it over. */
		if (why.code == ERR_NOT_FOUND)
			return true;
		*err = why;
		return false;
	}
	if (!vault_health(st->service->vault, &c, &h, err))
		return false;
	merge(&h, &update->health, &st->known[i]);
	update->health = h;
	target_learn(&st->targets->at[st->owners[i]], &c);
	return true;
}

/* own: how many commits of ours there were since the last look. */
static bool look_for_others(struct sweep_store *st, uint64_t own, struct error *err)
{
	struct vault_position now;
	if (!vault_position(st->service->vault, &now, err))
		return false;
	st->has_moved = st->has_moved || now.rev != st->at.rev + own ||
			memcmp(now.incarnation, st->at.incarnation, sizeof now.incarnation) != 0;
	st->at = now;
	return true;
}

/* One look tells whether anybody wrote anything; from then on each Pixel is read again. */
static bool catch_up_all(struct sweep_store *st, struct error *err)
{
	if (!look_for_others(st, 0, err))
		return false;
	for (size_t i = 0; st->has_moved && i < st->count; i++)
		if (!catch_up(st, i, err))
			return false;
	return true;
}

/* ---- the batch ---- */

bool sweep_store_flush(struct sweep_store *st, struct error *err)
{
	if (!st->count)
		return true;
	struct error why;
	/* Held from reading to writing: a put between the two would lose its proof. */
	bool is_held = vault_hold(st->service->vault, &why);
	bool is_caught_up = is_held && catch_up_all(st, err);
	bool is_stored = is_caught_up && vault_store_health(st->service->vault, st->updates, st->count, &why);
	is_caught_up = is_caught_up && (!is_stored || look_for_others(st, 1, err));
	if (is_held)
		vault_release(st->service->vault);
	if (is_held && !is_caught_up)
		return false;
	if (!service_tolerate(st->service, is_stored, &why, err))
		return false;
	for (size_t i = 0; i < st->count; i++) {
		struct target *t = &st->targets->at[st->owners[i]];
		const struct health *h = &st->updates[i].health;
		t->slot = NO_SLOT;
		target_forget_health(t);
		tell(st, t, t->current.number ? &h->current : &h->pending);
	}
	st->count = 0;
	return true;
}

bool sweep_store_flush_old(struct sweep_store *st, int64_t now_ms, struct error *err)
{
	bool is_due = st->count == SWEEP_BATCH_MAX || (st->count && now_ms - st->since_ms >= SWEEP_BATCH_AGE_MS);
	return !is_due || sweep_store_flush(st, err);
}

/* What is known of versions on their way out needs the whole credential. */
static bool read_health(struct sweep_store *st, const struct target *t, struct health *ret, struct error *err)
{
	struct credential c;
	struct error why;
	if (vault_find(st->service->vault, t->pixel, false, &c, &why))
		return vault_health(st->service->vault, &c, ret, err);
	if (why.code != ERR_NOT_FOUND) {
		*err = why;
		return false;
	}
	target_credential(t, &c); /* deleted meanwhile: stored for nobody */
	return vault_health(st->service->vault, &c, ret, err);
}

/* The Pixel's place in the batch, filled with what is stored about it. */
static bool open_slot(struct sweep_store *st, uint32_t target, struct error *err)
{
	struct target *t = &st->targets->at[target];
	if (t->slot != NO_SLOT)
		return true;
	if (st->count == SWEEP_BATCH_MAX && !sweep_store_flush(st, err))
		return false;
	struct health_update *update = &st->updates[st->count];
	bool is_known = !st->has_moved && target_health(t, &update->health);
	if (!is_known && !read_health(st, t, &update->health, err))
		return false;
	memcpy(update->pixel, t->pixel, sizeof update->pixel);
	if (!st->count)
		st->since_ms = clock_boot_ms();
	st->owners[st->count] = target;
	const struct judgement *current = &update->health.current, *pending = &update->health.pending;
	st->known[st->count] = (struct known){ { current->version, current->verdict, current->checked_at },
					       { pending->version, pending->verdict, pending->checked_at } };
	t->slot = (uint32_t)st->count++;
	return true;
}

/* A commit of its own: the moment it returns, consumers get the new token. */
static bool promote(struct sweep_store *st, const struct pair *pair, const struct evidence *evidence, struct error *err)
{
	struct target *t = &st->targets->at[pair->target];
	struct settlement settlement = { .pixel = t->pixel,
					 .version = pair->version,
					 .ruling = RULING_VERDICT,
					 .outcome = pair->outcome,
					 .evidence = evidence,
					 .settings = st->service->settings };
	struct error why;
	if (!sweep_store_flush(st, err))
		return false;
	if (!vault_change(st->service->vault, service_settle, &settlement, &why))
		return service_tolerate(st->service, false, &why, err);
	if (!look_for_others(st, 1, err))
		return false;
	st->result->promoted += settlement.is_promoted;
	target_learn(t, &settlement.credential);
	target_forget_health(t);
	tell(st, t, health_speaking(&settlement.health, &settlement.credential));
	return true;
}

bool sweep_store_ruling(struct sweep_store *st, const struct pair *pair, enum ruling ruling,
			const struct evidence *evidence, const char *belongs_to, struct error *err)
{
	struct target *t = &st->targets->at[pair->target];
	struct credential c;
	if (ruling == RULING_NONE)
		return true;
	bool is_loss = ruling == RULING_TRANSIENT || ruling == RULING_OUTAGE;
	if (is_loss && target_speaks(t, pair->version))
		t->transient = ruling == RULING_OUTAGE ? OUTCOME_UNREACHABLE : pair->outcome;
	if (ruling == RULING_VERDICT && t->pending.number == pair->version && !verdict_is_bad(pair->outcome))
		return promote(st, pair, evidence, err);
	target_credential(t, &c);
	if (!open_slot(st, pair->target, err))
		return false;
	struct health *h = &st->updates[t->slot].health;
	bool is_written = ruling_write(h, &c, pair->version, ruling, pair->outcome, evidence, st->service->settings);
	if (is_written && belongs_to && belongs_to[0]) {
		struct judgement *j = ruling_place(h, &c, pair->version);
		memcpy(j->belongs_to, belongs_to, sizeof j->belongs_to);
	}
	return true;
}
