/* A pair of tokens is renewed: one question at a time across processes, noted before it is asked, and what it brings is
 * durable before anybody is given it. */
#include "agent/renewals.h"
#include "agent/service_own.h"
#include "agent/text.h"
#include "agent/tiktok.h"
#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_WAIT_MS 60000 /* another process may wait for TikTok */
#define LOCK_LOOK_MS 20
#define CONFIRM_DELAY_S 5
#define STORE_AGAIN_MS 500
#define STORE_FOR_MS 8000 /* a command, or an agent that shall lock or end, waits no longer for room on the disk */

enum refresh_phase {
	REFRESH_LOCK,
	REFRESH_NOTE,
	REFRESH_ASK,
	REFRESH_WAIT,
	REFRESH_SETTLE,
	REFRESH_SETTLE_AGAIN,
	REFRESH_END
};

struct refresh {
	struct job job;
	char pixel[PIXEL_CODE_MAX + 1];
	enum refresh_when when;
	enum refresh_phase phase;
	struct vault_lock *lock;
	int64_t lock_until_ms, ask_again_ms, store_again_ms, store_until_ms;
	/* what is renewed, as it was when the lock was taken */
	enum family family;
	uint32_t holder, renewed; /* whose refresh token, whose token */
	uint32_t wanted;          /* this pending one and no other; 0 = what is due */
	bool is_first;            /* it is pending: the pair becomes its own */
	bool was_open;            /* an earlier question got no answer: it may have been lost */
	bool is_sure;             /* refused twice */
	struct secret *grant;
	/* what came of it */
	struct asked asked;
	bool has_pair, may_be_lost;
	struct secret *access_token, *next_grant;
	int64_t life_s, refresh_life_s;
	struct refresh_result result;
	refresh_done_fn *done;
	void *context;
};

static struct refresh *refresh_of(struct job *job)
{
	return (struct refresh *)job;
}

/* ---- the commits ---- */

/* The credential as it is now, while it still is what the question was about. *ret_holder NULL: it is not, by a person
 * or another program; then what was asked is nobody's any more. */
static bool find_holder(struct refresh *r, struct change *change, struct credential *ret, struct version **ret_holder,
			struct error *err)
{
	bool exists;
	*ret_holder = NULL;
	if (!change_find(change, r->pixel, ret, &exists, err))
		return false;
	if (!exists || ret->deleted_at || ret->is_destroyed)
		return true;
	const struct version *current = credential_staged(ret, STAGE_CURRENT), *renewable = credential_renewable(ret);
	bool is_still_current = current && current->number == r->renewed && renewable && renewable->number == r->holder;
	for (size_t i = 0; i < ret->version_count; i++) {
		struct version *v = &ret->versions[i];
		bool is_pending = v->stage == STAGE_PENDING && version_has_grant(v);
		if (v->number == r->holder && (r->is_first ? is_pending : is_still_current))
			*ret_holder = v;
	}
	return true;
}

static bool note_question(void *context, struct change *change, struct error *err)
{
	struct refresh *r = context;
	struct credential c;
	struct version *holder;
	if (!find_holder(r, change, &c, &holder, err))
		return false;
	r->result.is_overtaken = !holder;
	if (!holder || holder->renewal.asked_at)
		return true;
	holder->renewal.asked_at = clock_wall();
	change_note(change, "refresh", r->pixel, r->renewed);
	return change_store(change, &c, err);
}

static void describe_pair(const struct refresh *r, const struct renewal *was, int64_t now, struct renewal *ret)
{
	*ret = (struct renewal){ .family = r->family, .issued_at = now };
	ret->access_until = r->life_s ? now + r->life_s : 0;
	ret->refresh_until = r->refresh_life_s ? now + r->refresh_life_s : was->refresh_until;
}

/* The first token of a version that waited for it, or a version of its own, current at once. */
static bool place_pair(struct refresh *r, struct change *change, struct credential *c, struct version *holder,
		       struct error *err)
{
	struct version fresh = { .number = 0 };
	uint32_t number = r->renewed, dropped = 0;
	int64_t now = clock_wall();
	describe_pair(r, &holder->renewal, now, &fresh.renewal);
	if (r->is_first) {
		holder->renewal = fresh.renewal;
	} else {
		holder->renewal.asked_at = holder->renewal.refused_at = 0;
		if (!change_drop_grant(change, c, r->holder, err))
			return false;
		if (!credential_renew(c, r->renewed, &fresh, now, &number, &dropped))
			return fail(err, ERR_UNEXPECTED, TXT_REFRESH_NO_PLACE, r->pixel);
	}
	r->result.version = number;
	return change_put_token(change, c, number, r->access_token, err) &&
	       change_put_grant(change, c, number, r->next_grant, err) &&
	       (!dropped || change_drop_token(change, c, dropped, err));
}

/* Nobody has asked about the new token: that is due at once. */
static bool store_pair(struct refresh *r, struct change *change, struct credential *c, struct version *holder,
		       struct error *err)
{
	struct health h;
	if (!place_pair(r, change, c, holder, err) || !change_store(change, c, err) ||
	    !change_health(change, c, &h, err))
		return false;
	h.failures = 0;
	h.next_check_at = clock_wall();
	r->result.is_renewed = true;
	change_note(change, "renew", r->pixel, r->result.version);
	return change_store_health(change, r->pixel, &h, err);
}

static bool store_answer(struct refresh *r, struct change *change, struct credential *c, struct version *holder,
			 struct error *err)
{
	struct health h;
	bool is_refused = r->asked.finding.outcome == VERDICT_EXPIRED;
	bool stays_open = r->was_open || r->may_be_lost;
	int64_t was_asked = holder->renewal.asked_at, was_refused = holder->renewal.refused_at;
	if (is_refused)
		holder->renewal.refused_at = clock_wall();
	if (!stays_open)
		holder->renewal.asked_at = 0;
	bool has_moved = holder->renewal.asked_at != was_asked || holder->renewal.refused_at != was_refused;
	if ((has_moved && !change_store(change, c, err)) || !change_health(change, c, &h, err))
		return false;
	change_note(change, "verdict", r->pixel, r->renewed);
	return !ruling_write(&h, c, r->renewed, is_refused ? RULING_VERDICT : RULING_TRANSIENT,
			     r->asked.finding.outcome, &r->asked.evidence, r->job.service->settings) ||
	       change_store_health(change, r->pixel, &h, err);
}

/* The pair, or what was said instead. */
static bool settle(void *context, struct change *change, struct error *err)
{
	struct refresh *r = context;
	struct credential c;
	struct version *holder;
	r->result.is_renewed = false;
	if (!find_holder(r, change, &c, &holder, err))
		return false;
	r->result.is_overtaken = !holder;
	if (!holder)
		return true;
	return r->has_pair ? store_pair(r, change, &c, holder, err) : store_answer(r, change, &c, holder, err);
}

/* ---- the phases ---- */

static void end(struct refresh *r)
{
	r->phase = REFRESH_END;
	r->job.is_done = true;
}

static bool is_wanted(const struct refresh *r, const struct credential *c, const struct health *h)
{
	enum renewal_need need = renewal_need(c, h, r->job.service->settings, vault_later_clock(r->job.service->vault));
	return need == RENEWAL_OVER || (need == RENEWAL_DUE && r->when == REFRESH_WHEN_DUE);
}

/* Whose refresh token is used; NULL = none, it is not due. */
static const struct version *choose_holder(struct refresh *r, const struct credential *c, const struct health *h)
{
	const struct version *pending = credential_staged(c, STAGE_PENDING), *unfetched = renewal_unfetched(c, h);
	if (r->wanted)
		return pending && pending->number == r->wanted && version_has_grant(pending) ? pending : NULL;
	if (!is_wanted(r, c, h))
		return NULL;
	return unfetched ? unfetched : credential_renewable(c);
}

/* With the lock held: another process may have been here while we waited for it. */
static bool look(struct refresh *r, struct error *err)
{
	struct vault *v = r->job.service->vault;
	struct credential c;
	struct health h;
	if (!service_ready(r->job.service, err))
		return false;
	if (!vault_find(v, r->pixel, false, &c, err) || !vault_health(v, &c, &h, err))
		return false;
	const struct version *holder = choose_holder(r, &c, &h), *current = credential_staged(&c, STAGE_CURRENT);
	if (!holder) {
		r->result.was_needless = true;
		end(r);
		return true;
	}
	r->family = holder->renewal.family;
	r->holder = holder->number;
	r->is_first = holder->stage == STAGE_PENDING;
	r->renewed = r->is_first ? holder->number : current->number;
	r->was_open = holder->renewal.asked_at != 0;
	if (!vault_grant(v, &c, holder, "refresh", &r->grant, err))
		return false;
	r->phase = REFRESH_NOTE;
	job_commit(&r->job, note_question, r);
	return true;
}

static bool lock(struct refresh *r, int64_t *ret_wait_ms, struct error *err)
{
	if (vault_lock(r->job.service->vault, VAULT_LOCK_REFRESH, 0, &r->lock, err))
		return look(r, err);
	if (err->code != ERR_CONFLICT)
		return false;
	if (clock_boot_ms() >= r->lock_until_ms)
		return fail(err, ERR_CONFLICT, TXT_REFRESH_BUSY);
	*ret_wait_ms = LOCK_LOOK_MS;
	return true;
}

static void ask(struct refresh *r)
{
	r->phase = REFRESH_ASK;
	job_ask(&r->job,
		&(struct question){ .kind = PROBE_REFRESH,
				    .family = r->family,
				    .is_fresh = true,
				    .pixel = r->pixel,
				    .test_code = "",
				    .token = r->grant },
		false);
}

static void store(struct refresh *r)
{
	r->phase = REFRESH_SETTLE;
	job_commit(&r->job, settle, r);
}

static bool refresh_step(struct job *job, int64_t *ret_wait_ms, struct error *err)
{
	struct refresh *r = refresh_of(job);
	if (r->phase == REFRESH_LOCK)
		return lock(r, ret_wait_ms, err);
	if (r->phase != REFRESH_WAIT && r->phase != REFRESH_SETTLE_AGAIN)
		return true;
	int64_t until_ms = r->phase == REFRESH_WAIT ? r->ask_again_ms : r->store_again_ms;
	int64_t left_ms = until_ms - clock_boot_ms();
	if (r->phase == REFRESH_WAIT && job->service->is_stopping) { /* refused once only: no reason to condemn it */
		r->asked.finding.outcome = OUTCOME_UNKNOWN;
		store(r);
	} else if (left_ms <= 0) {
		(r->phase == REFRESH_WAIT ? ask : store)(r);
	} else {
		*ret_wait_ms = left_ms;
	}
	return true;
}

/* TikTok may have made a new pair although we hold none: what was sent got no answer that says otherwise. */
static bool may_be_lost(const struct asked *asked)
{
	const struct answer *a = &asked->answer;
	if (!asked->was_called || a->transport == TRANSPORT_NAME || a->transport == TRANSPORT_CONNECT ||
	    a->transport == TRANSPORT_TLS || a->http == 429)
		return false;
	bool is_refusal = a->transport == TRANSPORT_OK &&
			  (a->body == BODY_NAMED || (a->body == BODY_CODE && a->code >= 40000 && a->code < 50000));
	return !is_refusal;
}

static bool take_pair(struct refresh *r, const struct token_pair *pair, struct error *err)
{
	struct bytes refresh_token = bytes_of(pair->refresh, pair->refresh_len);
	r->has_pair = true;
	r->life_s = pair->life_s;
	r->refresh_life_s = pair->refresh_life_s;
	if (!secret_copy(bytes_of(pair->access, pair->access_len), &r->access_token, err))
		return false;
	return pair->refresh_len ? grant_renewed(r->grant, refresh_token, &r->next_grant, err)
				 : secret_copy(secret_reveal(r->grant), &r->next_grant, err);
}

static int64_t confirm_delay_ms(const struct settings *settings)
{
	int64_t delay_s = settings->confirm_delay_s;
	return (delay_s >= 0 && delay_s < CONFIRM_DELAY_S ? delay_s : CONFIRM_DELAY_S) * 1000;
}

static bool refresh_asked(struct job *job, const struct asked *asked, struct error *err)
{
	struct refresh *r = refresh_of(job);
	bool is_refused = !asked->pair && asked->finding.outcome == VERDICT_EXPIRED;
	r->asked = *asked;
	r->asked.pair = NULL;
	r->may_be_lost = may_be_lost(asked);
	if (asked->pair && !take_pair(r, asked->pair, err))
		return false;
	/* One bad answer condemns nothing. Asking twice does no harm: who is refused gets no pair. */
	if (is_refused && !r->is_sure) {
		r->is_sure = true;
		r->ask_again_ms = clock_boot_ms() + confirm_delay_ms(job->service->settings);
		r->phase = REFRESH_WAIT;
		return true;
	}
	/* Other verdicts are not for the answer to a refresh to give. */
	if (!r->has_pair && !is_refused && !verdict_is_transient(r->asked.finding.outcome))
		r->asked.finding.outcome = OUTCOME_UNKNOWN;
	store(r);
	return true;
}

/* TikTok takes the old pair no longer, and the new one is nowhere but here: a full disk may have room in a moment. */
static bool refresh_uncommitted(struct job *job, const struct error *err)
{
	struct refresh *r = refresh_of(job);
	int64_t now = clock_boot_ms();
	if (r->phase != REFRESH_SETTLE || !r->has_pair || (err->code != ERR_STORAGE && err->code != ERR_CONFLICT))
		return false;
	if (!r->store_until_ms)
		r->store_until_ms = job->service->owns_courier ? now + STORE_FOR_MS : INT64_MAX;
	if (job->service->is_stopping && r->store_until_ms > now + STORE_FOR_MS)
		r->store_until_ms = now + STORE_FOR_MS;
	if (now >= r->store_until_ms)
		return false;
	r->phase = REFRESH_SETTLE_AGAIN;
	r->store_again_ms = now + STORE_AGAIN_MS;
	return true;
}

static bool refresh_committed(struct job *job, struct error *err)
{
	struct refresh *r = refresh_of(job);
	(void)err;
	if (r->phase == REFRESH_NOTE && !r->result.is_overtaken)
		ask(r);
	else
		end(r);
	return true;
}

static void refresh_end(struct job *job, const struct error *err)
{
	struct refresh *r = refresh_of(job);
	struct refresh_result *ret = &r->result;
	memcpy(ret->pixel, r->pixel, sizeof ret->pixel);
	vault_unlockp(&r->lock);
	ret->was_asked = r->has_pair || r->asked.evidence.at;
	ret->outcome = ret->is_renewed ? VERDICT_UNCHECKED : r->asked.finding.outcome;
	ret->evidence = r->asked.evidence;
	ret->advice = r->asked.finding.advice;
	if (ret->outcome == VERDICT_EXPIRED && r->was_open)
		ret->advice = ADVISE_PAIR_LOST;
	if (err && r->has_pair && !job->service->owns_courier) /* whoever asked for it may have gone */
		log_line(LOG_ERROR, LOG_PAIR_LOST, r->pixel, err->message);
	if (r->done)
		r->done(r->context, err ? NULL : ret, err);
	secret_free(r->grant);
	secret_free(r->access_token);
	secret_free(r->next_grant);
	free(r);
}

/* TikTok takes the old pair no longer once it has made a new one; and that it was, or was not, asked is to be written down. */
static bool refresh_is_irreplaceable(const struct job *job)
{
	const struct refresh *r = (const struct refresh *)job;
	return r->has_pair || r->phase == REFRESH_ASK || r->phase == REFRESH_WAIT;
}

static const struct job_ops refresh_ops = { .step = refresh_step,
					    .asked = refresh_asked,
					    .committed = refresh_committed,
					    .uncommitted = refresh_uncommitted,
					    .is_irreplaceable = refresh_is_irreplaceable,
					    .end = refresh_end };

/* ---- starting ---- */

bool refresh_start(struct service *s, const char *pixel, enum refresh_when when, uint32_t wanted,
		   const struct audit_who *who, refresh_done_fn *done, void *context, struct job **ret,
		   struct error *err)
{
	if (!pixel_check(pixel, err))
		return false;
	struct refresh *r = calloc(1, sizeof *r);
	if (!r)
		return fail_no_memory(err);
	memcpy(r->pixel, pixel, strlen(pixel) + 1); /* checked: it fits */
	r->when = when;
	r->wanted = wanted;
	r->lock_until_ms = clock_boot_ms() + LOCK_WAIT_MS;
	r->done = done;
	r->context = context;
	job_start(s, &r->job, &refresh_ops, who);
	*ret = &r->job;
	return true;
}

void refresh_detach(struct job *job)
{
	if (job)
		refresh_of(job)->done = NULL;
}

bool service_start_refresh(struct service *s, const char *pixel, enum refresh_when when, refresh_done_fn *done,
			   void *context, struct error *err)
{
	struct job *unused;
	return refresh_start(s, pixel, when, 0, NULL, done, context, &unused, err);
}
