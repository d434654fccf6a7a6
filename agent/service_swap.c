/* A token that lies under the wrong Pixel goes where it belongs: swap (two Pixels hold each other's) and move (one
 * alone holds a foreign one). TikTok is asked about the new pairs first; then all of it is one commit. */
#include "agent/mend.h"
#include "agent/service_own.h"
#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* sides[0] is the Pixel named first. Each gives its token to the other; in a move only the first does. */
struct side {
	char pixel[PIXEL_CODE_MAX + 1];
	struct credential credential;
	struct health health;
	struct version given; /* number 0: it gives nothing */
	struct secret *token; /* of the version given */
	struct secret *grant; /* what renews that; NULL: nothing does */
	/* what comes in */
	bool takes;
	struct asked asked;
	uint32_t version; /* the number it gets here */
};

struct swap {
	struct job job;
	bool is_move, no_check;
	bool is_held; /* a move: it lies there already, and only has to go here */
	bool is_chosen;
	size_t at; /* the side whose pair is asked about */
	struct side sides[2];
	struct swap_result result;
	swap_done_fn *done;
	void *context;
};

static struct holder holder_of(const struct side *side)
{
	return (struct holder){ &side->credential, &side->health };
}

/* ---- what goes where ---- */

static bool read_side(struct vault *v, struct side *side, struct error *err)
{
	return vault_find(v, side->pixel, false, &side->credential, err) &&
	       vault_health(v, &side->credential, &side->health, err);
}

static void command_hint(char hint[240], const char *words, enum mend m, const char *pixel, const char *other)
{
	bool is_put = m != MEND_SWAP && m != MEND_MOVE;
	snprintf(hint, 240, "%.100svault %s %.40s%s%.40s", words, is_put ? "put" : mend_name(m), pixel, is_put ? "" : " ",
		 is_put ? "" : other);
}

/* What to run in place of a swap: as far as it is known, the other way that puts one of the two right. */
static void hint_instead(const struct swap *s, char hint[240])
{
	const struct holder holders[] = { holder_of(&s->sides[0]), holder_of(&s->sides[1]) };
	for (size_t i = 0; i < 2; i++) {
		enum mend m = mend_of(&holders[i], &holders[1 - i]);
		if (m == MEND_MOVE || m == MEND_PUT) {
			command_hint(hint, HINT_ONE_SIDED, m, s->sides[i].pixel, s->sides[1 - i].pixel);
			return;
		}
	}
	snprintf(hint, 240, HINT_LOOK_AT_BOTH, s->sides[0].pixel, s->sides[1].pixel);
}

static bool choose_for_swap(struct swap *s, struct error *err)
{
	char hint[240];
	size_t accepted = 0;
	for (size_t i = 0; i < 2; i++) {
		struct side *side = &s->sides[i];
		struct holder holder = holder_of(side);
		const struct version *given = mend_given(&holder, s->sides[1 - i].pixel);
		if (!given)
			return fail(err, ERR_NOT_FOUND, TXT_NO_TOKEN, side->pixel);
		if (mend_is_proven(&holder, given)) {
			hint_instead(s, hint);
			return fail(err, ERR_CONFLICT, TXT_SWAP_PROVEN, hint, side->pixel);
		}
		accepted += mend_is_accepted(&holder, given);
		side->given = *given;
		side->takes = true;
	}
	/* A dry probe refutes no pair that TikTok would take, so it could not tell that this is no swap, or one done already. */
	if (accepted == 2 && !s->no_check)
		return fail(err, ERR_CONFLICT, TXT_SWAP_ACCEPTED, s->sides[0].pixel, s->sides[1].pixel);
	if (memcmp(s->sides[0].given.fingerprint, s->sides[1].given.fingerprint, FINGERPRINT_LEN) == 0)
		return fail(err, ERR_CONFLICT, TXT_SWAP_SAME, s->sides[0].pixel, s->sides[1].pixel);
	return true;
}

static bool choose_for_move(struct swap *s, struct error *err)
{
	struct side *from = &s->sides[0], *to = &s->sides[1];
	struct holder giver = holder_of(from), taker = holder_of(to);
	const struct version *stray = mend_stray(&giver, to->pixel);
	char hint[240];
	if (!stray) {
		snprintf(hint, sizeof hint, HINT_ASK_WHOSE, from->pixel);
		return fail(err, ERR_CONFLICT, TXT_MOVE_NO_STRAY, hint, from->pixel, to->pixel);
	}
	enum mend m = mend_of(&giver, &taker);
	if (m != MEND_MOVE) {
		command_hint(hint, m == MEND_SWAP ? "" : HINT_TAKE_OWN, m, from->pixel, to->pixel);
		return m == MEND_SWAP ? fail(err, ERR_CONFLICT, TXT_MOVE_CROSSED, hint, from->pixel, to->pixel)
				      : fail(err, ERR_CONFLICT, TXT_MOVE_HELD, hint, to->pixel, from->pixel);
	}
	const struct version *held = mend_held(&taker, stray->fingerprint);
	if (!held && mend_unjudged(&taker))
		return fail(err, ERR_CONFLICT, TXT_PENDING_OPEN, mend_unjudged(&taker)->number, to->pixel);
	s->is_held = held != NULL;
	to->version = held ? held->number : 0;
	to->takes = !held;
	from->given = *stray;
	return true;
}

static const char *verb_of(const struct swap *s)
{
	return s->is_move ? "move" : "swap";
}

/* A pair goes as a whole: without what renews it a token would end in a day. While TikTok may be changing the pair,
 * nobody knows which one to take along. */
static bool read_grant(struct swap *s, struct side *side, struct error *err)
{
	const struct renewal *r = &side->given.renewal;
	if (r->family == FAMILY_PLAIN)
		return true;
	if (!version_has_grant(&side->given))
		return fail(err, ERR_CONFLICT, TXT_SWAP_NO_GRANT, side->given.number, side->pixel);
	if (r->asked_at)
		return fail(err, ERR_CONFLICT, TXT_SWAP_RENEWING, side->given.number, side->pixel);
	return vault_grant(s->job.service->vault, &side->credential, &side->given, verb_of(s), &side->grant, err);
}

static bool read_tokens(struct swap *s, struct error *err)
{
	const char *verb = s->no_check ? verb_of(s) : "probe";
	for (size_t i = 0; i < 2; i++) {
		struct side *side = &s->sides[i];
		if (!side->given.number || !s->sides[1 - i].takes)
			continue;
		if (!read_grant(s, side, err) ||
		    !vault_token(s->job.service->vault, &side->credential, &side->given, verb, &side->token, err))
			return false;
	}
	return true;
}

static bool choose(struct swap *s, struct error *err)
{
	struct vault *v = s->job.service->vault;
	return read_side(v, &s->sides[0], err) && read_side(v, &s->sides[1], err) &&
	       (s->is_move ? choose_for_move(s, err) : choose_for_swap(s, err)) && read_tokens(s, err);
}

/* ---- the proof ---- */

static void ask(struct swap *s)
{
	const struct side *side = &s->sides[s->at];
	const char *test_code = side->credential.test_code;
	job_ask(&s->job,
		&(struct question){ .kind = service_probe_kind(s->job.service->settings, PROBE_CHOICE_AUTO, test_code),
				    .pixel = side->pixel,
				    .test_code = test_code,
				    .token = s->sides[1 - s->at].token },
		false);
}

/* Both pairs, or nothing moves. */
static bool refuse(const struct swap *s, struct error *err)
{
	const struct side *side = &s->sides[s->at];
	const struct asked *asked = &side->asked;
	enum verdict outcome = asked->finding.outcome;
	const char *other = s->sides[1 - s->at].pixel;
	char hint[240];
	if (verdict_is_transient(outcome))
		return fail_class(err, ERR_UNREACHABLE, verdict_name(outcome), TXT_SWAP_OPEN, side->pixel, other,
				  verdict_name(outcome), asked->evidence.text[0] ? ": " : "", asked->evidence.text);
	if (s->is_move)
		command_hint(hint, HINT_TAKE_OWN, MEND_PUT, side->pixel, other);
	else
		hint_instead(s, hint);
	return fail_class(err, verdict_exit(outcome), verdict_name(outcome), TXT_SWAP_REFUSED, hint, side->pixel, other,
			  verdict_name(outcome));
}

/* Two that nobody refused where they lie: only proof tells that they are crossed, as a dry probe refutes no pair that TikTok
 * would take. */
static bool is_known_as_crossed(const struct swap *s)
{
	bool is_refused = false, are_proven = true;
	for (size_t i = 0; i < 2; i++) {
		struct holder holder = holder_of(&s->sides[i]);
		is_refused = is_refused || mend_is_refused(&holder, &s->sides[i].given);
		are_proven = are_proven && s->sides[i].asked.finding.outcome == VERDICT_HEALTHY;
	}
	return is_refused || are_proven;
}

static bool swap_asked(struct job *job, const struct asked *asked, struct error *err)
{
	struct swap *s = (struct swap *)job;
	enum verdict outcome = asked->finding.outcome;
	s->sides[s->at].asked = *asked;
	if (verdict_is_bad(outcome) || verdict_is_transient(outcome))
		return refuse(s, err);
	s->at++;
	return s->at < 2 || s->is_move || is_known_as_crossed(s) ? true
		: fail(err, ERR_CONFLICT, TXT_SWAP_UNKNOWN, s->sides[0].pixel, s->sides[1].pixel);
}

/* ---- the commit ---- */

static bool has_moved(const struct side *side)
{
	const struct credential *c = &side->credential;
	const struct version *v = credential_numbered(c, side->given.number);
	struct holder holder = holder_of(side);
	if (c->deleted_at || c->is_destroyed)
		return true;
	if (v && side->grant &&
	    (v->renewal.asked_at || memcmp(v->renewal.digest, side->given.renewal.digest, DIGEST_LEN) != 0))
		return true;
	return side->given.number && (!v || v->stage != side->given.stage || mend_is_proven(&holder, v));
}

/* The token is as old as it was, and ends when it was to end. */
static void keep_age(struct side *side, const struct version *came_as)
{
	for (size_t i = 0; i < side->credential.version_count; i++)
		if (side->credential.versions[i].number == side->version)
			side->credential.versions[i].stored_at = came_as->stored_at;
}

/* A current token that is proven gives way only to one that is. */
static bool may_serve(const struct swap *s, const struct side *side)
{
	struct holder holder = holder_of(side);
	const struct version *current = credential_staged(&side->credential, STAGE_CURRENT);
	return !mend_is_proven(&holder, current) || (!s->no_check && side->asked.finding.outcome == VERDICT_HEALTHY);
}

/* What was put aside stays so, unless it is needed now. */
static bool is_for_standby(const struct side *side, const struct version *came_as)
{
	return came_as->is_aside && credential_staged(&side->credential, STAGE_CURRENT) &&
	       !verdict_is_bad(side->health.current.verdict);
}

/* In the place of the current version that is given away; else as pending, to be judged first. */
static bool place_version(struct side *side, const struct version *came_as, uint32_t *ret_dropped, struct error *err)
{
	struct version v = { .expires_at = came_as->expires_at, .is_aside = is_for_standby(side, came_as) };
	struct credential *c = &side->credential;
	memcpy(v.fingerprint, came_as->fingerprint, FINGERPRINT_LEN);
	if (version_has_grant(came_as)) {
		v.renewal = came_as->renewal;
		memset(v.renewal.digest, 0, DIGEST_LEN); /* of the record where it was */
	}
	if (side->given.number && side->given.stage == STAGE_CURRENT)
		return credential_replace(c, &v, clock_wall(), &side->version, ret_dropped, err);
	return credential_add(c, &v, clock_wall(), &side->version, ret_dropped, err);
}

/* Judged where it lies, so that what was found goes with it when it is promoted. */
static void settle(const struct swap *s, struct side *side)
{
	const struct settings *settings = s->job.service->settings;
	struct credential *c = &side->credential;
	const struct version *v = credential_numbered(c, side->version);
	bool is_pending = v->stage == STAGE_PENDING, is_aside = v->is_aside;
	health_align(&side->health, c);
	if (!s->no_check)
		(void)!ruling_write(&side->health, c, side->version, RULING_VERDICT, side->asked.finding.outcome,
				    &side->asked.evidence, settings);
	if (is_pending && (is_aside ? !s->no_check : may_serve(s, side)) &&
	    credential_promote(c, side->version, clock_wall()))
		health_align(&side->health, c);
	ruling_plan(&side->health, c, settings, clock_wall());
}

/* What renews a token is in one place only: each renewal here would end the pair there. */
static bool take_grants_out(struct swap *s, struct change *change, struct error *err)
{
	for (size_t i = 0; i < 2; i++) {
		struct side *side = &s->sides[i];
		if (side->grant && (!change_drop_grant(change, &side->credential, side->given.number, err) ||
				    !change_store(change, &side->credential, err)))
			return false;
	}
	return true;
}

static bool put_grant(const struct swap *s, struct change *change, struct side *side, const struct side *from,
		      struct error *err)
{
	bool is_shared;
	if (!from->grant)
		return true;
	if (!service_renewed_elsewhere(s->job.service, change, from->given.renewal.fingerprint, side->pixel, &is_shared,
				       err))
		return false;
	return is_shared ? fail(err, ERR_CONFLICT, TXT_PUT_SHARED_PAIR)
			 : change_put_grant(change, &side->credential, side->version, from->grant, err);
}

static bool take_in(const struct swap *s, struct change *change, struct side *side, const struct side *from,
		    struct error *err)
{
	uint32_t dropped;
	if (!place_version(side, &from->given, &dropped, err) ||
	    !change_put_token(change, &side->credential, side->version, from->token, err) ||
	    !put_grant(s, change, side, from, err) ||
	    (dropped && !change_drop_token(change, &side->credential, dropped, err)))
		return false;
	keep_age(side, &from->given);
	settle(s, side);
	change_note(change, verb_of(s), side->pixel, side->version);
	return change_store(change, &side->credential, err) &&
	       change_store_health(change, side->pixel, &side->health, err);
}

/* After a move: what the Pixel can do without goes, as it lies where it belongs now. */
static bool let_go(struct change *change, struct side *side, struct error *err)
{
	struct holder holder = holder_of(side);
	if (!mend_can_spare(&holder, &side->given))
		return true;
	if (!credential_withdraw(&side->credential, side->given.number, clock_wall()))
		return fail(err, ERR_CONFLICT, TXT_ROLLBACK_MOVED, side->pixel);
	health_align(&side->health, &side->credential);
	change_note(change, "move", side->pixel, side->given.number);
	return change_store(change, &side->credential, err) &&
	       change_store_health(change, side->pixel, &side->health, err);
}

/* Runs again from the start when another writer was faster. */
static bool exchange(void *context, struct change *change, struct error *err)
{
	struct swap *s = context;
	for (size_t i = 0; i < 2; i++) {
		struct side *side = &s->sides[i];
		bool exists;
		if (!change_find(change, side->pixel, &side->credential, &exists, err) ||
		    !change_health(change, &side->credential, &side->health, err))
			return false;
		if (!exists || has_moved(side))
			return fail(err, ERR_CONFLICT, TXT_ROLLBACK_MOVED, side->pixel);
	}
	struct holder taker = holder_of(&s->sides[1]);
	if (s->is_move && (mend_held(&taker, s->sides[0].given.fingerprint) != NULL) != s->is_held)
		return fail(err, ERR_CONFLICT, TXT_ROLLBACK_MOVED, s->sides[1].pixel);
	if (!take_grants_out(s, change, err) || (s->is_move && !let_go(change, &s->sides[0], err)))
		return false;
	for (size_t i = 0; i < 2; i++)
		if (s->sides[i].takes && !take_in(s, change, &s->sides[i], &s->sides[1 - i], err))
			return false;
	return true;
}

/* ---- the job ---- */

/* Of a version that stands by the health speaks in its own way. */
static enum verdict verdict_of(struct health *h, uint32_t version)
{
	const struct fading *f = health_fading(h, version);
	if (h->current.version == version)
		return h->current.verdict;
	if (h->pending.version == version)
		return h->pending.verdict;
	return f ? f->verdict : VERDICT_UNCHECKED;
}

static void report_side(const struct swap *s, struct side *side, struct put_result *ret)
{
	const struct version *v = credential_numbered(&side->credential, side->version);
	memcpy(ret->pixel, side->pixel, sizeof ret->pixel);
	ret->version = side->version;
	ret->stage = credential_stage_of(&side->credential, side->version);
	ret->verdict = verdict_of(&side->health, side->version);
	ret->is_unchanged = !side->takes;
	ret->was_asked = side->takes && !s->no_check;
	ret->outcome = side->asked.finding.outcome;
	ret->evidence = side->asked.evidence;
	ret->advice = side->asked.finding.advice;
	if (v)
		memcpy(ret->fingerprint, v->fingerprint, FINGERPRINT_LEN);
}

static void report(struct swap *s)
{
	struct swap_result *r = &s->result;
	struct side *from = &s->sides[0];
	r->is_move = s->is_move;
	report_side(s, &s->sides[1], &r->to);
	if (!s->is_move) {
		report_side(s, from, &r->from);
		return;
	}
	memcpy(r->from.pixel, from->pixel, sizeof from->pixel);
	r->from.version = from->given.number;
	r->from.stage = credential_stage_of(&from->credential, from->given.number);
}

/* Is there a pair to be proven, at this side or behind it? */
static bool will_ask(const struct swap *s, size_t at)
{
	bool any = false;
	for (; at < 2; at++)
		any = any || s->sides[at].takes;
	return any && !s->no_check;
}

static bool swap_step(struct job *job, int64_t *ret_wait_ms, struct error *err)
{
	struct swap *s = (struct swap *)job;
	(void)ret_wait_ms;
	if (!s->is_chosen && (!choose(s, err) || (will_ask(s, 0) && !service_ready(job->service, err))))
		return false;
	s->is_chosen = true;
	while (s->at < 2 && !s->sides[s->at].takes)
		s->at++;
	if (will_ask(s, s->at))
		ask(s);
	else
		job_commit(job, exchange, s);
	return true;
}

static bool swap_committed(struct job *job, struct error *err)
{
	struct swap *s = (struct swap *)job;
	(void)err;
	report(s);
	job->is_done = true;
	return true;
}

static void swap_end(struct job *job, const struct error *err)
{
	struct swap *s = (struct swap *)job;
	s->done(s->context, err ? NULL : &s->result, err);
	for (size_t i = 0; i < 2; i++) {
		secret_free(s->sides[i].token);
		secret_free(s->sides[i].grant);
	}
	free(s);
}

static const struct job_ops swap_ops = {
	.step = swap_step, .asked = swap_asked, .committed = swap_committed, .end = swap_end
};

static bool make_swap(const struct swap_request *r, swap_done_fn *done, void *context, struct swap **ret,
		      struct error *err)
{
	if (!pixel_check(r->pixel, err) || !pixel_check(r->other, err))
		return false;
	if (strcmp(r->pixel, r->other) == 0)
		return fail(err, ERR_USAGE, TXT_SWAP_ITSELF, r->pixel);
	struct swap *s = calloc(1, sizeof *s);
	if (!s)
		return fail_no_memory(err);
	s->is_move = r->is_move;
	s->no_check = r->no_check;
	snprintf(s->sides[0].pixel, sizeof s->sides[0].pixel, "%s", r->pixel);
	snprintf(s->sides[1].pixel, sizeof s->sides[1].pixel, "%s", r->other);
	s->done = done;
	s->context = context;
	*ret = s;
	return true;
}

bool service_start_swap(struct service *s, const struct swap_request *request, const struct audit_who *who,
			swap_done_fn *done, void *context, struct error *err)
{
	struct swap *swap;
	if (!make_swap(request, done, context, &swap, err))
		return false;
	job_start(s, &swap->job, &swap_ops, who);
	return true;
}

struct swap_outcome {
	struct swap_result *result;
	struct error *err;
	bool is_done;
};

static void keep_outcome(void *context, const struct swap_result *result, const struct error *err)
{
	struct swap_outcome *o = context;
	o->is_done = !err;
	if (err)
		*o->err = *err;
	else
		*o->result = *result;
}

bool service_swap(struct service *s, const struct swap_request *request, struct swap_result *ret, struct error *err)
{
	struct swap_outcome outcome = { .result = ret, .err = err };
	struct swap *swap;
	if (!make_swap(request, keep_outcome, &outcome, &swap, err))
		return false;
	job_start(s, &swap->job, &swap_ops, NULL);
	service_drive(s, &swap->job);
	return outcome.is_done;
}
