#include "agent/ruling.h"

#include "agent/renewals.h"
#include "agent/schedule.h"

#include <stdio.h>

/* Where TikTok said nothing that can be read, the evidence says what came instead. */
static void describe_silence(const struct answer *a, char *text, size_t size)
{
	if (a->transport != TRANSPORT_OK)
		snprintf(text, size, "%s%s%.150s", transport_text(a->transport), a->text[0] ? ": " : "", a->text);
	else if (a->http >= 300 && a->http < 400)
		snprintf(text, size, "HTTP %d, a redirect, which is never followed", (int)a->http);
	else if (a->body == BODY_NONE)
		snprintf(text, size, "HTTP %d with an empty answer", (int)a->http);
	else if (a->body == BODY_ODD_JSON)
		snprintf(text, size, "HTTP %d with JSON that holds no plain code", (int)a->http);
	else
		snprintf(text, size, "HTTP %d with a page that is not JSON", (int)a->http);
}

struct evidence evidence_of(const struct answer *answer, enum probe_kind kind)
{
	struct evidence e = { .probe = kind, .code = answer->code, .http = answer->http, .at = answer->at };
	if (answer->transport == TRANSPORT_OK && (answer->body == BODY_CODE || answer->body == BODY_NAMED))
		snprintf(e.text, sizeof e.text, "%s", answer->text);
	else
		describe_silence(answer, e.text, sizeof e.text);
	snprintf(e.request_id, sizeof e.request_id, "%s", answer->request_id);
	return e;
}

struct judgement *ruling_place(struct health *h, const struct credential *c, uint32_t version)
{
	const struct version *v = credential_numbered(c, version);
	if (!v || (v->stage != STAGE_CURRENT && v->stage != STAGE_PENDING))
		return NULL;
	struct judgement *j = v->stage == STAGE_CURRENT ? &h->current : &h->pending;
	if (j->version != version)
		*j = (struct judgement){ .version = version, .evidence.code = NO_CODE };
	return j;
}

static void suspect(struct judgement *j, enum verdict outcome, int64_t at)
{
	/* Refused the same way once more, before the second look was due: that look comes no later for it. */
	if (!j->suspected || verdict_exit(j->suspected) != verdict_exit(outcome))
		j->suspected_at = at;
	j->suspected = outcome;
}

static void stand(struct judgement *j, enum verdict verdict, const struct evidence *evidence)
{
	j->suspected = VERDICT_UNCHECKED;
	j->checked_at = evidence->at;
	if (verdict == VERDICT_UNPROVEN && j->verdict == VERDICT_HEALTHY)
		return;
	if (verdict == VERDICT_HEALTHY)
		j->proven_at = evidence->at;
	if (verdict != j->verdict)
		j->belongs_to[0] = '\0';
	j->verdict = verdict;
	j->evidence = *evidence;
}

static void describe_attempt(struct judgement *j, enum ruling ruling, const struct evidence *e)
{
	j->attempt_text[0] = '\0';
	if (ruling == RULING_OUTAGE)
		snprintf(j->attempt_text, sizeof j->attempt_text,
			 "most tokens were refused at once, which is taken for an outage");
	else if (ruling == RULING_TRANSIENT && e->code != NO_CODE)
		snprintf(j->attempt_text, sizeof j->attempt_text, "TikTok answered %d \"%.110s\"", (int)e->code,
			 e->text);
	else if (ruling == RULING_TRANSIENT)
		snprintf(j->attempt_text, sizeof j->attempt_text, "%.*s", ATTEMPT_TEXT_MAX, e->text);
}

void ruling_apply(struct judgement *j, enum ruling ruling, enum verdict outcome, const struct evidence *evidence)
{
	if (ruling == RULING_NONE)
		return;
	j->attempted_at = evidence->at;
	j->last_outcome = ruling == RULING_OUTAGE ? OUTCOME_UNREACHABLE : outcome;
	describe_attempt(j, ruling, evidence);
	if (ruling == RULING_SUSPECT)
		suspect(j, outcome, evidence->at);
	else if (ruling == RULING_VERDICT)
		stand(j, outcome, evidence);
	else if (ruling != RULING_TRANSIENT) /* TikTok disagreed with the suspicion, or had an outage */
		j->suspected = VERDICT_UNCHECKED;
}

static void plan_second_look(const struct judgement *j, const struct settings *settings, int64_t now, int64_t *next)
{
	int64_t delay_s = settings->confirm_delay_s >= 0 ? settings->confirm_delay_s : SCHEDULE_CONFIRM_DELAY_S;
	int64_t at = j->suspected_at + delay_s;
	if (j->suspected && at < *next)
		*next = at > now ? at : now + 1;
}

/* The list will be read again before it is due: only when that fails it is asked about by itself. */
static bool was_listed(const struct judgement *j, int64_t now)
{
	return j->evidence.probe == PROBE_LISTING && j->evidence.at == now && j->checked_at == now;
}

void ruling_plan(struct health *h, const struct credential *c, const struct settings *settings, int64_t now)
{
	const struct version *v = credential_staged(c, STAGE_CURRENT);
	if (!v)
		v = credential_staged(c, STAGE_PENDING);
	h->next_check_at = schedule_next(c->pixel, settings, v ? v->expires_at : 0, now, h->failures);
	if (!h->failures && name_is_list(c->pixel))
		h->next_check_at = now + settings->interval_s * 9 / 10;
	else if (!h->failures && v && !v->expires_at && was_listed(&h->current, now))
		h->next_check_at = now + settings->interval_s - schedule_splay(c->pixel, settings->interval_s / 20);
	plan_second_look(&h->current, settings, now, &h->next_check_at);
	plan_second_look(&h->pending, settings, now, &h->next_check_at);
}

/* TikTok renews the token no more. That it still works for a while changes nothing about what is to be done. */
static bool only_lasts(const struct credential *c, const struct judgement *j, enum ruling ruling, enum verdict outcome)
{
	bool was_lost;
	return ruling == RULING_VERDICT && !verdict_is_bad(outcome) && j->verdict == VERDICT_EXPIRED &&
	       renewal_is_refused(c, &was_lost);
}

bool ruling_write(struct health *h, const struct credential *c, uint32_t version, enum ruling ruling,
		  enum verdict outcome, const struct evidence *evidence, const struct settings *settings)
{
	struct judgement *j = ruling_place(h, c, version);
	if (!j)
		return false;
	if (only_lasts(c, j, ruling, outcome)) {
		j->attempted_at = j->checked_at = evidence->at;
		j->last_outcome = outcome;
		if (outcome == VERDICT_HEALTHY)
			j->proven_at = evidence->at;
	} else {
		ruling_apply(j, ruling, outcome, evidence);
	}
	if (ruling == RULING_VERDICT)
		health_remember(h, j);
	bool is_failure = ruling == RULING_TRANSIENT || ruling == RULING_OUTAGE;
	if (ruling != RULING_NONE)
		h->failures = is_failure ? h->failures + (h->failures < UINT32_MAX) : 0;
	ruling_plan(h, c, settings, evidence->at);
	return true;
}
