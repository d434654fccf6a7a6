#include "agent/detective.h"
#include "agent/service_own.h"
#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>

struct put {
	struct service *service;
	const struct put_request *request;
	const struct secret *token; /* cleaned */
	uint8_t fingerprint[FINGERPRINT_LEN];
	/* what the staging came to */
	struct credential credential;
	struct health health;
	uint32_t version;
	bool is_unchanged;
};

/* ---- refuse or stage; runs again from the start when another writer was faster ---- */

static bool may_put(struct put *p, struct error *err)
{
	struct credential *c = &p->credential;
	const struct put_request *r = p->request;
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

static struct version *holder(struct put *p, enum stage stage)
{
	struct version *v = credential_at_stage(&p->credential, stage);
	return v && memcmp(v->fingerprint, p->fingerprint, FINGERPRINT_LEN) == 0 ? v : NULL;
}

/* What is said of the Pixel along with the token. */
static bool apply_extras(struct put *p, bool *ret_touched, struct error *err)
{
	const struct put_request *r = p->request;
	for (size_t i = 0; i < r->label_count; i++)
		if (!credential_label(&p->credential, &r->labels[i], err))
			return false;
	bool is_new_code = r->test_code && strcmp(r->test_code, p->credential.test_code) != 0;
	if (is_new_code)
		memcpy(p->credential.test_code, r->test_code, strlen(r->test_code) + 1); /* checked: it fits */
	*ret_touched = r->label_count || is_new_code;
	return true;
}

static bool add_version(struct put *p, struct change *change, struct error *err)
{
	struct version v = { .expires_at = p->request->expires_at };
	uint32_t dropped;
	memcpy(v.fingerprint, p->fingerprint, FINGERPRINT_LEN);
	return credential_add(&p->credential, &v, clock_wall(), &p->version, &dropped, err) &&
	       change_put_token(change, &p->credential, p->version, p->token, err) &&
	       (!dropped || change_drop_token(change, &p->credential, dropped, err));
}

/* The version that will hold the token: one that does already, or a new one. */
static bool choose_version(struct put *p, struct change *change, bool *ret_touched, struct error *err)
{
	struct version *v = holder(p, STAGE_CURRENT);
	p->is_unchanged = v != NULL;
	if (!v)
		v = holder(p, STAGE_PENDING);
	if (!v && (v = holder(p, STAGE_PREVIOUS)))
		return fail(err, ERR_CONFLICT, TXT_PUT_PREVIOUS, p->request->pixel, v->number);
	if (!v) {
		*ret_touched = true;
		return add_version(p, change, err);
	}
	p->version = v->number;
	if (p->request->expires_at && v->expires_at != p->request->expires_at) {
		v->expires_at = p->request->expires_at;
		*ret_touched = true;
	}
	return true;
}

/* A token that is put is judged anew, also one that was refused before: killed now, the next sweep asks about it. */
static bool stage_health(struct put *p, struct change *change, struct error *err)
{
	if (!change_health(change, &p->credential, &p->health, err))
		return false;
	if (!p->is_unchanged)
		*ruling_place(&p->health, &p->credential, p->version) =
			(struct judgement){ .version = p->version, .evidence.code = NO_CODE };
	ruling_plan(&p->health, &p->credential, p->service->settings, clock_wall());
	return change_store_health(change, p->request->pixel, &p->health, err);
}

static bool stage(void *context, struct change *change, struct error *err)
{
	struct put *p = context;
	bool exists, is_touched = false, has_version_moved = false, is_promoted = false;
	if (!change_find(change, p->request->pixel, &p->credential, &exists, err) || !may_put(p, err) ||
	    !apply_extras(p, &is_touched, err) || !choose_version(p, change, &has_version_moved, err))
		return false;
	if (p->request->no_check && !p->is_unchanged) {
		is_promoted = credential_promote(&p->credential, p->version, clock_wall());
		has_version_moved = has_version_moved || is_promoted;
	}
	if ((is_touched || has_version_moved) && !change_store(change, &p->credential, err))
		return false;
	change_note(change, "put", p->request->pixel, p->version);
	if (is_promoted)
		change_note(change, "promote", p->request->pixel, p->version);
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
	const struct version *v = credential_numbered(&p->credential, p->version);
	const struct judgement *j = judgement_of(&p->health, p->version);
	ret->version = p->version;
	ret->stage = v ? v->stage : STAGE_RETIRED;
	ret->is_unchanged = p->is_unchanged;
	ret->verdict = j->verdict;
	ret->evidence = j->evidence;
	ret->advice = verdict_advice(j->verdict);
	memcpy(ret->belongs_to, j->belongs_to, sizeof ret->belongs_to);
}

static bool probe_and_settle(struct put *p, struct asked *ret_asked, struct settlement *ret, struct error *err)
{
	struct question q = {
		.kind = service_probe_kind(p->service->settings, PROBE_CHOICE_AUTO, p->credential.test_code),
		.pixel = p->request->pixel,
		.test_code = p->credential.test_code,
		.token = p->token,
	};
	if (!service_ready(p->service, err) || !service_ask(p->service, &q, false, ret_asked, err))
		return false;
	enum verdict outcome = ret_asked->finding.outcome;
	bool is_judged = !verdict_is_transient(outcome);
	*ret = (struct settlement){
		.pixel = p->request->pixel,
		.version = p->version,
		.ruling = is_judged               ? RULING_VERDICT
			  : ret_asked->was_called ? RULING_TRANSIENT
						  : RULING_NONE,
		.outcome = outcome,
		.evidence = &ret_asked->evidence,
		.promote_unjudged = !is_judged,
	};
	if (!service_settle(p->service, ret, err))
		return false;
	p->credential = ret->credential;
	p->health = ret->health;
	return true;
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

/* The token put here belongs to `owner`; if owner's own is a stray too, it may well be this Pixel's: one call tells. */
static void name_the_other(struct put *p, struct detective *d, const char *owner)
{
	struct credential c;
	struct health h;
	struct error ignored;
	scoped(secret_freep) struct secret *token = NULL;
	char found[PIXEL_CODE_MAX + 1];
	if (!vault_find(p->service->vault, owner, false, &c, &ignored) ||
	    !vault_health(p->service->vault, &c, &h, &ignored))
		return;
	const struct judgement *j = h.pending.verdict == VERDICT_MISMATCHED ? &h.pending : &h.current;
	const struct version *v = credential_numbered(&c, j->version);
	if (j->verdict != VERDICT_MISMATCHED || j->belongs_to[0] || !v ||
	    !vault_token(p->service->vault, &c, v, "probe", &token, &ignored))
		return;
	detective_forget(d);
	detective_point(d, p->credential.pixel, p->credential.test_code);
	if (detective_find(p->service, d, token, owner, j->evidence.probe, 1, found, &ignored) && found[0])
		store_owner(p->service, owner, j->version, found, &h);
}

static void find_owner(struct put *p, enum probe_kind refuted_by, char ret[PIXEL_CODE_MAX + 1])
{
	scoped(detective_freep) struct detective *d = NULL;
	struct error ignored;
	detective_twin(p->service, p->fingerprint, p->request->pixel, ret);
	bool is_twin = ret[0];
	if (!is_twin && detective_new(p->service, DETECTIVE_BUDGET_PUT, &d, &ignored))
		(void)!detective_find(p->service, d, p->token, p->request->pixel, refuted_by, DETECTIVE_BUDGET_PUT, ret,
				      &ignored);
	if (!ret[0])
		return;
	store_owner(p->service, p->credential.pixel, p->version, ret, &p->health);
	if (!is_twin)
		name_the_other(p, d, ret);
}

static bool conclude(struct put *p, struct put_result *ret, struct error *err)
{
	struct asked asked;
	struct settlement settled;
	char owner[PIXEL_CODE_MAX + 1] = "";
	if (!probe_and_settle(p, &asked, &settled, err))
		return false;
	enum verdict outcome = asked.finding.outcome;
	if (outcome == VERDICT_MISMATCHED)
		find_owner(p, asked.evidence.probe, owner);
	report(p, ret);
	memcpy(ret->belongs_to, owner, sizeof owner);
	ret->outcome = outcome;
	ret->evidence = asked.evidence;
	ret->advice = asked.finding.advice;
	bool is_good = !verdict_is_bad(outcome) && !verdict_is_transient(outcome);
	if (is_good && ret->stage == STAGE_RETIRED)
		return fail(err, ERR_CONFLICT, TXT_PUT_OVERTAKEN, p->version, p->request->pixel);
	bool is_served = ret->stage == STAGE_CURRENT || ret->stage == STAGE_PREVIOUS;
	/* Not judged is one answer to a caller, whatever the reason: try later. */
	ret->exit = !verdict_is_transient(outcome) ? verdict_exit(outcome) : is_served ? ERR_NONE : ERR_UNREACHABLE;
	if (!ret->verdict && verdict_is_bad(outcome))
		ret->verdict = outcome; /* overtaken meanwhile: the health no longer speaks of it */
	return true;
}

static bool prepare(struct put *p, struct secret **ret_token, struct put_result *result, struct error *err)
{
	const struct put_request *r = p->request;
	if (!pixel_check(r->pixel, err) || (r->test_code && r->test_code[0] && !test_code_check(r->test_code, err)) ||
	    !token_clean(r->pasted, ret_token, &result->removed, err))
		return false;
	p->token = *ret_token;
	vault_fingerprint(p->service->vault, p->token, p->fingerprint);
	vault_find_duplicate(p->service->vault, p->fingerprint, r->pixel, result->also_stored);
	memcpy(result->pixel, r->pixel, strlen(r->pixel) + 1); /* checked: it fits */
	memcpy(result->fingerprint, p->fingerprint, FINGERPRINT_LEN);
	return true;
}

bool service_put(struct service *s, const struct put_request *request, put_notice_fn *notice, void *context,
		 struct put_result *ret, struct error *err)
{
	struct put p = { .service = s, .request = request };
	struct put_result result = { 0 };
	scoped(secret_freep) struct secret *token = NULL;
	if (!prepare(&p, &token, &result, err) || !vault_change(s->vault, stage, &p, err))
		return false;
	report(&p, &result);
	bool will_ask = !p.is_unchanged && !request->no_check;
	if (notice && (will_ask || result.also_stored[0]))
		notice(context, &result);
	if (will_ask && !conclude(&p, &result, err))
		return false;
	*ret = result;
	return true;
}
