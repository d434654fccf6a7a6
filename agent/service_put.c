#include "agent/detective.h"
#include "agent/service_own.h"
#include "agent/text.h"
#include "core/clock.h"
#include "vault/grant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A token comes in: staged in one commit, asked about, settled in another; refused, it is compared with the other
 * Pixels. Each step is a phase of the job. */
#define FETCH_LOOK_MS 50

enum put_phase { PUT_STAGE, PUT_FETCH, PUT_ASK, PUT_SETTLE, PUT_FIND_OWNER, PUT_FIND_OTHER, PUT_REPORT };

struct put {
	struct job job;
	struct put_request request; /* its pointers lead to the copies below */
	char pixel[PIXEL_CODE_MAX + 1];
	char test_code[TEST_CODE_MAX + 1];
	struct label labels[LABELS_MAX];
	struct secret *token; /* cleaned; NULL: of a family, and to be fetched with its refresh token */
	uint8_t fingerprint[FINGERPRINT_LEN];
	/* of a family */
	struct grant_document document;
	uint8_t grant_fingerprint[FINGERPRINT_LEN];
	struct job *fetching; /* NULL = not under way */
	struct error fetch_err;
	bool has_fetched;
	put_notice_fn *notice;
	void *notice_context;
	put_done_fn *done;
	void *context;
	enum put_phase phase;
	/* what the staging came to */
	struct credential credential;
	struct health health;
	uint32_t version;
	bool is_unchanged;
	/* what TikTok said */
	struct asked asked;
	struct settlement settlement;
	/* whose it is */
	struct detective *detective;
	struct search search;
	char owner[PIXEL_CODE_MAX + 1];
	uint32_t others_version; /* of the owner's own stray token */
	struct secret *others_token;
	struct put_result result;
};

static struct put *put_of(struct job *job)
{
	return (struct put *)job;
}

/* ---- refuse or stage; runs again from the start when another writer was faster ---- */

static bool may_put(struct put *p, struct error *err)
{
	struct credential *c = &p->credential;
	const struct put_request *r = &p->request;
	if (c->is_destroyed) {
		c->is_destroyed = false;
		c->deleted_at = 0;
		c->version_count = 0;
	}
	if (c->deleted_at)
		return fail(err, ERR_CONFLICT, TXT_PUT_DELETED, r->pixel);
	const struct version *current = credential_staged(c, STAGE_CURRENT);
	uint32_t number = current ? current->number : 0;
	if (r->has_if_version && r->if_version != number)
		return fail(err, ERR_CONFLICT, TXT_PUT_IF_VERSION, r->pixel, number, r->if_version);
	return true;
}

/* Of those that hold the token too, one where it is not but a stray that TikTok refused, and its version there; 0 = none. */
static bool find_anothers(struct put *p, struct change *change, char ret_other[PIXEL_CODE_MAX + 1], uint32_t *ret_version,
			  struct error *err)
{
	struct credential other;
	struct health health;
	bool exists;
	*ret_version = 0;
	for (size_t n = 0; !*ret_version; n++) {
		vault_nth_duplicate(p->job.service->vault, p->fingerprint, p->pixel, n, ret_other);
		if (!ret_other[0])
			return true;
		if (!change_find(change, ret_other, &other, &exists, err) || !change_health(change, &other, &health, err))
			return false;
		const struct version *v = exists ? mend_used(&(struct holder){ &other, &health }, p->fingerprint) : NULL;
		*ret_version = v ? v->number : 0;
	}
	return true;
}

static bool may_have(struct put *p, struct change *change, struct error *err)
{
	char other[PIXEL_CODE_MAX + 1];
	uint32_t version;
	if (!p->request.must_be_own || !p->result.also_stored[0] ||
	    credential_with_fingerprint(&p->credential, p->fingerprint))
		return true;
	if (!find_anothers(p, change, other, &version, err))
		return false;
	if (version && p->request.hides_others)
		return fail(err, ERR_CONFLICT, TXT_PUT_SOMEBODYS, p->request.pixel);
	return version ? fail(err, ERR_CONFLICT, TXT_PUT_ANOTHERS, other, version, p->request.pixel) : true;
}

static struct version *holder(struct put *p, enum stage stage)
{
	struct version *v = credential_at_stage(&p->credential, stage);
	return v && memcmp(v->fingerprint, p->fingerprint, FINGERPRINT_LEN) == 0 ? v : NULL;
}

/* What is said of the Pixel along with the token. */
static bool apply_extras(struct put *p, bool *ret_touched, struct error *err)
{
	const struct put_request *r = &p->request;
	for (size_t i = 0; i < r->label_count; i++)
		if (!credential_label(&p->credential, &r->labels[i], err))
			return false;
	bool is_new_code = r->test_code && strcmp(r->test_code, p->credential.test_code) != 0;
	if (is_new_code)
		memcpy(p->credential.test_code, r->test_code, strlen(r->test_code) + 1); /* checked: it fits */
	*ret_touched = r->label_count || is_new_code;
	return true;
}

static bool is_of_family(const struct put *p)
{
	return p->request.family != FAMILY_PLAIN;
}

static bool add_version(struct put *p, struct change *change, struct error *err)
{
	struct version v = { .expires_at = p->request.expires_at, .is_aside = p->request.is_standby };
	uint32_t dropped;
	memcpy(v.fingerprint, p->fingerprint, FINGERPRINT_LEN);
	return credential_add(&p->credential, &v, clock_wall(), &p->version, &dropped, err) &&
	       (!p->token || change_put_token(change, &p->credential, p->version, p->token, err)) &&
	       (!dropped || change_drop_token(change, &p->credential, dropped, err));
}

/* What a person brings is taken anew, also for a token that is stored already: they have authorised again, or corrected
 * a client secret. */
static bool put_grant(struct put *p, struct change *change, struct error *err)
{
	const struct grant_document *d = &p->document;
	int64_t now = clock_wall();
	struct version *v = NULL;
	for (size_t i = 0; i < p->credential.version_count; i++)
		if (p->credential.versions[i].number == p->version)
			v = &p->credential.versions[i];
	if (!v)
		return fail(err, ERR_CONFLICT, TXT_PUT_OVERTAKEN, p->version, p->pixel);
	v->renewal = (struct renewal){ .family = p->request.family,
				       .issued_at = now,
				       .access_until = d->life_s && p->token ? now + d->life_s : 0,
				       .refresh_until = d->refresh_life_s ? now + d->refresh_life_s : 0 };
	return change_put_grant(change, &p->credential, p->version, d->grant, err);
}

/* An old pair never comes back over the one that replaced it: TikTok ends the old refresh token with the new one. */
static bool is_replaced(const struct put *p, const struct version *v)
{
	bool is_its_token = p->token && memcmp(v->fingerprint, p->fingerprint, FINGERPRINT_LEN) == 0;
	bool is_its_grant = memcmp(v->renewal.fingerprint, p->grant_fingerprint, FINGERPRINT_LEN) == 0;
	return v->renewal.family != FAMILY_PLAIN && !version_has_grant(v) && (is_its_token || is_its_grant);
}

static bool refuse_old_pair(const struct put *p, struct error *err)
{
	const struct credential *c = &p->credential;
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		/* Where the refresh token stays the same, the newer version has it too. */
		if (v->stage != STAGE_RETIRED && version_has_grant(v) &&
		    memcmp(v->renewal.fingerprint, p->grant_fingerprint, FINGERPRINT_LEN) == 0)
			return true;
	}
	for (size_t i = 0; i < c->version_count; i++)
		if (is_replaced(p, &c->versions[i]))
			return fail(err, ERR_CONFLICT, TXT_PUT_OLD_PAIR, p->pixel, c->versions[i].number);
	return true;
}

/* Retired, or refused while it is pending, a pair is not renewed there. */
static bool is_idle(const struct credential *c, const struct health *h, const struct version *v)
{
	bool is_refused = h->pending.version == v->number && verdict_is_bad(h->pending.verdict);
	return v->stage == STAGE_RETIRED || (v->stage == STAGE_PENDING && is_refused && credential_staged(c, STAGE_PENDING) == v);
}

static bool renews_with(const struct credential *c, const struct health *h, const uint8_t grant_fingerprint[FINGERPRINT_LEN])
{
	for (size_t i = 0; i < c->version_count; i++) {
		const struct version *v = &c->versions[i];
		if (version_has_grant(v) && memcmp(v->renewal.fingerprint, grant_fingerprint, FINGERPRINT_LEN) == 0 &&
		    !is_idle(c, h, v))
			return true;
	}
	return false;
}

bool service_renewed_elsewhere(struct service *s, struct change *change, const uint8_t grant_fingerprint[FINGERPRINT_LEN],
			       const char *not_pixel, bool *ret, struct error *err)
{
	char other[PIXEL_CODE_MAX + 1];
	struct credential c;
	struct health h;
	bool exists;
	*ret = false;
	for (size_t n = 0; !*ret; n++) {
		vault_nth_duplicate(s->vault, grant_fingerprint, not_pixel, n, other);
		if (!other[0])
			return true;
		if (!change_find(change, other, &c, &exists, err) || !change_health(change, &c, &h, err))
			return false;
		*ret = exists && renews_with(&c, &h, grant_fingerprint);
	}
	return true;
}

/* Each renewal for one Pixel would end the pair of the other. */
static bool refuse_shared_pair(struct put *p, struct change *change, struct error *err)
{
	bool is_shared;
	return service_renewed_elsewhere(p->job.service, change, p->grant_fingerprint, p->pixel, &is_shared, err) &&
	       (is_shared ? fail(err, ERR_CONFLICT, TXT_PUT_SHARED_PAIR) : true);
}

/* Without a token it is known by its refresh token. */
static struct version *holder_of_grant(struct put *p)
{
	static const enum stage stages[] = { STAGE_CURRENT, STAGE_PENDING };
	for (size_t i = 0; i < COUNT_OF(stages); i++) {
		struct version *v = credential_at_stage(&p->credential, stages[i]);
		if (v && version_has_grant(v) &&
		    memcmp(v->renewal.fingerprint, p->grant_fingerprint, FINGERPRINT_LEN) == 0)
			return v;
	}
	return NULL;
}

/* A second token for later must not push out one that is waited for now. */
static bool may_stand_by(struct put *p, struct change *change, struct error *err)
{
	struct health h;
	if (!p->request.is_standby)
		return true;
	if (!change_health(change, &p->credential, &h, err))
		return false;
	const struct version *open = mend_unjudged(&(struct holder){ &p->credential, &h });
	return !open || open->is_aside || holder(p, STAGE_PENDING) == open ? true
		: fail(err, ERR_CONFLICT, TXT_PENDING_OPEN, open->number, p->pixel);
}

/* The version that will hold the token: one that does already, or a new one. */
static bool choose_version(struct put *p, struct change *change, bool *ret_touched, struct error *err)
{
	if ((is_of_family(p) && (!refuse_old_pair(p, err) || !refuse_shared_pair(p, change, err))) || !may_stand_by(p, change, err))
		return false;
	struct version *v = p->token ? holder(p, STAGE_CURRENT) : holder_of_grant(p);
	p->is_unchanged = v && v->stage == STAGE_CURRENT;
	if (!v && p->token && holder(p, STAGE_STANDBY)) {
		credential_recall(&p->credential, p->request.is_standby, clock_wall());
		*ret_touched = true;
	}
	if (!v && p->token)
		v = holder(p, STAGE_PENDING);
	if (!v && p->token && (v = holder(p, STAGE_PREVIOUS)))
		return fail(err, ERR_CONFLICT, TXT_PUT_PREVIOUS, p->request.pixel, v->number);
	if (!v) {
		*ret_touched = true;
		return add_version(p, change, err);
	}
	p->version = v->number;
	if (v->stage == STAGE_PENDING && v->is_aside != p->request.is_standby) {
		v->is_aside = p->request.is_standby;
		*ret_touched = true;
	}
	if (p->request.expires_at && v->expires_at != p->request.expires_at) {
		v->expires_at = p->request.expires_at;
		*ret_touched = true;
	}
	return true;
}

/* A token that is put is judged anew, also one that was refused before: killed now, the next sweep asks about it. */
static bool stage_health(struct put *p, struct change *change, struct error *err)
{
	if (!change_health(change, &p->credential, &p->health, err))
		return false;
	struct judgement *place = ruling_place(&p->health, &p->credential, p->version);
	if (!p->is_unchanged && place)
		*place = (struct judgement){ .version = p->version, .evidence.code = NO_CODE };
	ruling_plan(&p->health, &p->credential, p->job.service->settings, clock_wall());
	return change_store_health(change, p->request.pixel, &p->health, err);
}

static bool is_promoted_at_once(const struct put *p)
{
	bool has_current = credential_staged(&p->credential, STAGE_CURRENT) != NULL;
	return p->request.no_check && !p->is_unchanged && !(p->request.is_judged_later && has_current);
}

static bool stage(void *context, struct change *change, struct error *err)
{
	struct put *p = context;
	bool exists, is_touched = false, has_version_moved = false;
	vault_find_duplicate(p->job.service->vault, p->fingerprint, p->pixel, p->result.also_stored);
	if (!change_find(change, p->request.pixel, &p->credential, &exists, err) || !may_put(p, err) ||
	    !may_have(p, change, err) || !apply_extras(p, &is_touched, err) ||
	    !choose_version(p, change, &has_version_moved, err) || (is_of_family(p) && !put_grant(p, change, err)))
		return false;
	is_touched = is_touched || is_of_family(p);
	if (is_promoted_at_once(p)) {
		bool is_promoted = credential_promote(&p->credential, p->version, clock_wall());
		has_version_moved = has_version_moved || is_promoted;
	}
	if ((is_touched || has_version_moved) && !change_store(change, &p->credential, err))
		return false;
	if (is_touched || has_version_moved || !p->is_unchanged)
		change_note(change, "put", p->pixel, p->version);
	if (p->is_unchanged && !has_version_moved)
		return change_health(change, &p->credential, &p->health, err);
	return stage_health(p, change, err);
}

/* ---- after the commits ---- */

static const struct judgement *judgement_of(const struct health *h, uint32_t version)
{
	static const struct judgement none = { .evidence.code = NO_CODE };
	return h->current.version == version ? &h->current : h->pending.version == version ? &h->pending : &none;
}

static void report(const struct put *p, struct put_result *ret)
{
	const struct judgement *j = judgement_of(&p->health, p->version);
	ret->version = p->version;
	ret->stage = credential_stage_of(&p->credential, p->version);
	ret->is_unchanged = p->is_unchanged;
	ret->verdict = j->verdict;
	ret->evidence = j->evidence;
	ret->advice = verdict_advice(j->verdict);
	memcpy(ret->belongs_to, j->belongs_to, sizeof ret->belongs_to);
}

/* Read, changed and stored with other writers held out, and for the Pixel as it is now. */
static bool store_owner_held(struct service *s, const char *pixel, uint32_t version, const char *owner,
			     struct health *ret)
{
	struct health_update update = { 0 };
	struct credential c;
	struct error ignored;
	if (!vault_find(s->vault, pixel, false, &c, &ignored) || !vault_health(s->vault, &c, &update.health, &ignored))
		return false;
	memcpy(update.pixel, c.pixel, sizeof update.pixel);
	struct judgement *j = ruling_place(&update.health, &c, version);
	if (!j || j->verdict != VERDICT_MISMATCHED)
		return false;
	snprintf(j->belongs_to, sizeof j->belongs_to, "%s", owner);
	if (!vault_store_health(s->vault, &update, 1, &ignored))
		return false;
	*ret = update.health;
	return true;
}

/* Written down when found; a clue only, so nothing that goes wrong here undoes the put. */
static void store_owner(struct service *s, const char *pixel, uint32_t version, const char *owner, struct health *ret)
{
	struct error ignored;
	if (!vault_hold(s->vault, &ignored))
		return;
	(void)!store_owner_held(s, pixel, version, owner, ret);
	vault_release(s->vault);
}

/* ---- the phases ---- */

static bool will_ask(const struct put *p)
{
	return !p->is_unchanged && !p->request.no_check;
}

/* The fetched token, or what was said instead. */
static void token_is_fetched(void *context, const struct refresh_result *result, const struct error *err)
{
	struct put *p = context;
	p->fetching = NULL;
	if (err) {
		p->fetch_err = *err;
		return;
	}
	p->asked = (struct asked){ .was_called = result->was_asked, .evidence = result->evidence };
	p->asked.finding.outcome = result->outcome;
	p->asked.finding.advice = result->advice;
}

static bool start_fetching(struct put *p, struct error *err)
{
	p->phase = PUT_FETCH;
	p->has_fetched = true;
	return refresh_start(p->job.service, p->pixel, REFRESH_WHEN_OVER, p->version, &p->job.who, token_is_fetched, p, &p->fetching,
			     err);
}

static void ask_tiktok(struct put *p)
{
	struct question q = {
		.kind = service_probe_kind(p->job.service->settings, PROBE_CHOICE_AUTO, p->credential.test_code),
		.pixel = p->pixel,
		.test_code = p->credential.test_code,
		.token = p->token,
	};
	p->phase = PUT_ASK;
	job_ask(&p->job, &q, false);
}

static void settle(struct put *p)
{
	enum verdict outcome = p->asked.finding.outcome;
	bool is_judged = !verdict_is_transient(outcome);
	p->settlement = (struct settlement){
		.pixel = p->pixel,
		.version = p->version,
		.ruling = is_judged              ? RULING_VERDICT
			  : p->asked.was_called ? RULING_TRANSIENT
						: RULING_NONE,
		.outcome = outcome,
		.evidence = &p->asked.evidence,
		.promote_unjudged = !is_judged,
		.settings = p->job.service->settings,
	};
	p->phase = PUT_SETTLE;
	job_commit(&p->job, service_settle, &p->settlement);
}

/* What is known of both by now, also of the owner's own stray. */
static enum mend mend_for(struct put *p)
{
	struct vault *v = p->job.service->vault;
	struct credential c;
	struct health h;
	struct error ignored;
	if (!p->owner[0])
		return MEND_NONE;
	const struct holder here = { &p->credential, &p->health };
	if (!vault_find(v, p->owner, false, &c, &ignored) || !vault_health(v, &c, &h, &ignored))
		return MEND_PUT;
	const struct holder there = { &c, &h };
	return mend_of(&here, &there);
}

static bool conclude(struct put *p, struct error *err)
{
	struct put_result *ret = &p->result;
	enum verdict outcome = p->asked.finding.outcome;
	report(p, ret);
	memcpy(ret->belongs_to, p->owner, sizeof p->owner);
	ret->mend = mend_for(p);
	ret->was_asked = true;
	ret->outcome = outcome;
	ret->evidence = p->asked.evidence;
	ret->advice = p->asked.finding.advice;
	bool is_good = !verdict_is_bad(outcome) && !verdict_is_transient(outcome);
	if (is_good && ret->stage == STAGE_RETIRED)
		return fail(err, ERR_CONFLICT, TXT_PUT_OVERTAKEN, p->version, p->pixel);
	bool is_served = ret->stage != STAGE_PENDING && ret->stage != STAGE_RETIRED;
	/* Not judged is one answer to a caller, whatever the reason: try later. */
	ret->exit = !verdict_is_transient(outcome) ? verdict_exit(outcome) : is_served ? ERR_NONE : ERR_UNREACHABLE;
	if (!ret->verdict && (verdict_is_bad(outcome) || ret->stage == STAGE_STANDBY))
		ret->verdict = verdict_is_transient(outcome) ? VERDICT_UNCHECKED : outcome; /* no judgement speaks of it */
	p->job.is_done = true;
	return true;
}

/* A clue only: nothing that goes wrong from here on undoes the put. */
static void begin_search(struct put *p)
{
	struct error ignored;
	detective_twin(p->job.service, p->fingerprint, p->pixel, p->owner);
	if (p->owner[0])
		store_owner(p->job.service, p->pixel, p->version, p->owner, &p->health);
	if (p->owner[0] || !detective_new(p->job.service, DETECTIVE_BUDGET_PUT, &p->detective, &ignored)) {
		p->phase = PUT_REPORT;
		return;
	}
	p->phase = PUT_FIND_OWNER;
	search_begin(&p->search, p->token, p->pixel, p->asked.evidence.probe, DETECTIVE_BUDGET_PUT);
}

/* The token put here belongs to the owner found; if the owner's own is a stray too, it may well be this Pixel's: one
 * call tells. */
static bool begin_search_for_other(struct put *p)
{
	struct vault *v = p->job.service->vault;
	struct credential c;
	struct health h;
	struct error ignored;
	if (!vault_find(v, p->owner, false, &c, &ignored) || !vault_health(v, &c, &h, &ignored))
		return false;
	const struct judgement *j = h.pending.verdict == VERDICT_MISMATCHED ? &h.pending : &h.current;
	const struct version *version = credential_numbered(&c, j->version);
	if (j->verdict != VERDICT_MISMATCHED || j->belongs_to[0] || !version ||
	    !vault_token(v, &c, version, "probe", &p->others_token, &ignored))
		return false;
	p->others_version = j->version;
	detective_forget(p->detective);
	detective_point(p->detective, p->pixel, p->credential.test_code);
	search_begin(&p->search, p->others_token, p->owner, j->evidence.probe, 1);
	p->phase = PUT_FIND_OTHER;
	return true;
}

static void end_search(struct put *p)
{
	struct health unused;
	bool is_own = p->phase == PUT_FIND_OWNER;
	p->phase = PUT_REPORT;
	if (is_own && !p->search.found[0])
		p->result.tried = p->search.tried;
	if (!p->search.found[0])
		return;
	if (!is_own) {
		store_owner(p->job.service, p->owner, p->others_version, p->search.found, &unused);
		return;
	}
	memcpy(p->owner, p->search.found, sizeof p->owner);
	store_owner(p->job.service, p->pixel, p->version, p->owner, &p->health);
	if (!begin_search_for_other(p))
		p->phase = PUT_REPORT;
}

/* Whoever fetched it, this job or another program: it is there or it is not. */
static bool go_on_with_fetched(struct put *p, struct error *err)
{
	struct vault *v = p->job.service->vault;
	if (p->fetch_err.code) {
		*err = p->fetch_err;
		return false;
	}
	if (!vault_find(v, p->pixel, false, &p->credential, err) || !vault_health(v, &p->credential, &p->health, err))
		return false;
	const struct version *fetched = credential_numbered(&p->credential, p->version);
	if (!fetched || fetched->stage == STAGE_RETIRED)
		return fail(err, ERR_CONFLICT, TXT_PUT_OVERTAKEN, p->version, p->pixel);
	bool is_new = memcmp(fetched->fingerprint, p->fingerprint, FINGERPRINT_LEN) != 0;
	if (!version_has_token(fetched) || !is_new) {
		p->phase = PUT_REPORT;
		return true;
	}
	secret_freep(&p->token);
	memcpy(p->fingerprint, fetched->fingerprint, FINGERPRINT_LEN);
	memcpy(p->result.fingerprint, fetched->fingerprint, FINGERPRINT_LEN);
	if (!vault_token(v, &p->credential, fetched, "probe", &p->token, err))
		return false;
	ask_tiktok(p);
	return true;
}

static bool put_step(struct job *job, int64_t *ret_wait_ms, struct error *err)
{
	struct put *p = put_of(job);
	if (p->phase == PUT_STAGE)
		job_commit(job, stage, p);
	if (p->phase == PUT_FETCH && p->fetching)
		*ret_wait_ms = FETCH_LOOK_MS;
	else if (p->phase == PUT_FETCH && !go_on_with_fetched(p, err))
		return false;
	if (job->is_asking)
		return true;
	while (p->phase == PUT_FIND_OWNER || p->phase == PUT_FIND_OTHER) {
		if (search_ask(&p->search, p->detective, job))
			return true;
		end_search(p);
	}
	return p->phase != PUT_REPORT || conclude(p, err);
}

static bool put_asked(struct job *job, const struct asked *asked, struct error *err)
{
	struct put *p = put_of(job);
	if (p->phase == PUT_ASK) {
		p->asked = *asked;
		/* It has run out since it was copied: what renews it may well be good. */
		if (asked->finding.outcome == VERDICT_EXPIRED && is_of_family(p) && !p->has_fetched)
			return start_fetching(p, err);
		settle(p);
	} else {
		search_answer(&p->search, p->detective, asked);
	}
	return true;
}

static bool put_committed(struct job *job, struct error *err)
{
	struct put *p = put_of(job);
	if (p->phase == PUT_STAGE) {
		report(p, &p->result);
		if (p->notice && (will_ask(p) || p->result.also_stored[0]))
			p->notice(p->notice_context, &p->result);
		job->is_done = !will_ask(p);
		if (!job->is_done && !service_ready(job->service, err))
			return false;
		if (!job->is_done && !p->token)
			return start_fetching(p, err);
		if (!job->is_done)
			ask_tiktok(p);
		return true;
	}
	p->credential = p->settlement.credential;
	p->health = p->settlement.health;
	if (p->asked.finding.outcome == VERDICT_MISMATCHED)
		begin_search(p);
	else
		p->phase = PUT_REPORT;
	return true;
}

static void put_free(struct put *p)
{
	refresh_detach(p->fetching);
	grant_document_done(&p->document);
	secret_free(p->token);
	secret_free(p->others_token);
	detective_freep(&p->detective);
	free(p);
}

static void put_end(struct job *job, const struct error *err)
{
	struct put *p = put_of(job);
	p->done(p->context, err ? NULL : &p->result, err);
	put_free(p);
}

static const struct job_ops put_ops = { .step = put_step, .asked = put_asked, .committed = put_committed, .end = put_end };

/* ---- starting ---- */

static bool read_document(struct put *p, struct service *s, struct error *err)
{
	struct grant grant;
	if (p->request.is_standby)
		return fail(err, ERR_USAGE, TXT_PUT_STANDBY_FAMILY);
	if (!grant_document_read(p->request.pasted, p->request.family, &p->document, err) ||
	    !grant_open(secret_reveal(p->document.grant), &grant))
		return false;
	p->result.removed = p->document.removed;
	p->token = take(p->document.access_token);
	vault_fingerprint_bytes(s->vault, grant.refresh_token, p->grant_fingerprint);
	return p->token || !p->request.no_check ? true : fail(err, ERR_USAGE, TXT_PUT_NO_CHECK_NO_TOKEN);
}

static bool prepare(struct put *p, struct service *s, struct error *err)
{
	const struct put_request *r = &p->request;
	struct put_result *result = &p->result;
	if (!pixel_check(r->pixel, err) || (r->test_code && r->test_code[0] && !test_code_check(r->test_code, err)))
		return false;
	if (is_of_family(p) ? !read_document(p, s, err) : !token_clean(r->pasted, &p->token, &result->removed, err))
		return false;
	snprintf(p->pixel, sizeof p->pixel, "%s", r->pixel);
	if (r->test_code)
		snprintf(p->test_code, sizeof p->test_code, "%s", r->test_code);
	if (r->label_count)
		memcpy(p->labels, r->labels, r->label_count * sizeof *r->labels);
	p->request.pixel = p->pixel;
	p->request.labels = p->labels;
	p->request.test_code = r->test_code ? p->test_code : NULL;
	p->request.pasted = NULL; /* only borrowed for the cleaning */
	if (p->token)
		vault_fingerprint(s->vault, p->token, p->fingerprint);
	memcpy(result->pixel, p->pixel, sizeof result->pixel);
	memcpy(result->fingerprint, p->fingerprint, FINGERPRINT_LEN);
	return true;
}

static bool make_put(struct service *s, const struct put_request *request, struct put **ret, struct error *err)
{
	struct put *p = calloc(1, sizeof *p);
	if (!p)
		return fail_no_memory(err);
	p->request = *request;
	if (request->label_count > COUNT_OF(p->labels)) {
		free(p);
		return fail(err, ERR_USAGE, TXT_PUT_LABELS, COUNT_OF(p->labels));
	}
	if (!prepare(p, s, err)) {
		put_free(p);
		return false;
	}
	*ret = p;
	return true;
}

bool put_stage(struct service *s, const struct put_request *request, struct change *change, struct put_result *ret,
	       struct error *err)
{
	struct put *p;
	if (!make_put(s, request, &p, err))
		return false;
	p->job.service = s;
	bool is_staged = stage(p, change, err);
	if (is_staged)
		report(p, &p->result);
	*ret = p->result;
	put_free(p);
	return is_staged;
}

bool service_start_put(struct service *s, const struct put_request *request, const struct audit_who *who,
		       put_done_fn *done, void *context, struct error *err)
{
	struct put *p;
	if (!make_put(s, request, &p, err))
		return false;
	p->done = done;
	p->context = context;
	job_start(s, &p->job, &put_ops, who);
	return true;
}

void service_keep_outcome(void *context, const struct put_result *result, const struct error *err)
{
	struct put_outcome *o = context;
	o->is_done = !err;
	if (err)
		*o->err = *err;
	else
		*o->result = *result;
}

bool service_put(struct service *s, const struct put_request *request, put_notice_fn *notice, void *context,
		 struct put_result *ret, struct error *err)
{
	struct put_outcome outcome = { .result = ret, .err = err };
	struct put *p;
	if (!make_put(s, request, &p, err))
		return false;
	p->notice = notice;
	p->notice_context = context;
	p->done = service_keep_outcome;
	p->context = &outcome;
	job_start(s, &p->job, &put_ops, NULL);
	service_drive(s, &p->job);
	return outcome.is_done;
}
