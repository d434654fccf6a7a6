#include "agent/service_own.h"

#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BREAKER_NOTE "breaker"
#define PAUSE_MAX_S 5
#define SLICE_MS 100

bool service_new(struct vault *v, const struct settings *settings, struct service **ret, struct error *err)
{
	struct service *s = calloc(1, sizeof *s);
	if (!s)
		return fail_no_memory(err);
	s->vault = v;
	s->settings = settings;
	pace_init(&s->pace, settings->rate, clock_boot_ms());
	*ret = s;
	return true;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	courier_free(s->courier);
	free(s);
}

void service_freep(struct service **s)
{
	service_free(*s);
	*s = NULL;
}

bool service_ready(struct service *s, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	if (!s->courier && !courier_new(s->settings, &s->courier, err))
		return false;
	bool is_read = vault_note(s->vault, BREAKER_NOTE, &note, err);
	if (is_read && !breaker_decode(buf_bytes(&note), &s->breaker))
		s->breaker = (struct breaker){ 0 };
	s->stored_breaker = s->breaker;
	buf_done(&note);
	return is_read;
}

bool service_tolerate(struct service *s, bool is_done, const struct error *why, struct error *err)
{
	if (is_done)
		return true;
	if (why->code == ERR_STORAGE) {
		s->is_unstored = true;
		return true;
	}
	*err = *why;
	return false;
}

bool service_store_breaker(struct service *s, struct error *err)
{
	const struct breaker *now = &s->breaker, *then = &s->stored_breaker;
	uint8_t note[24];
	struct error why;
	if (now->throttles == then->throttles && now->opened_at == then->opened_at &&
	    now->open_until == then->open_until)
		return true;
	breaker_encode(now, note);
	bool is_stored = vault_store_note(s->vault, BREAKER_NOTE, bytes_of(note, sizeof note), &why);
	s->stored_breaker = s->breaker;
	return service_tolerate(s, is_stored, &why, err);
}

enum probe_kind service_probe_kind(const struct settings *settings, enum probe_choice choice, const char *test_code)
{
	if (choice == PROBE_CHOICE_AUTO)
		choice = settings->probe;
	if (choice == PROBE_CHOICE_LIVE)
		return PROBE_LIVE;
	return choice != PROBE_CHOICE_DRY && test_code[0] ? PROBE_TEST : PROBE_DRY;
}

/* Nothing was sent, so there is nothing to remember of it but when it may be. */
static void not_called(struct asked *ret)
{
	*ret = (struct asked){ .answer = { .code = NO_CODE, .at = clock_wall() } };
	ret->finding.outcome = OUTCOME_THROTTLED;
	ret->finding.advice = verdict_advice(OUTCOME_THROTTLED);
	ret->evidence = evidence_of(&ret->answer, PROBE_NONE);
	snprintf(ret->evidence.text, sizeof ret->evidence.text, "not asked, an earlier throttle still holds");
}

static bool wait_out_breaker(const struct service *s)
{
	if (breaker_pause_s(&s->breaker, clock_wall()) > PAUSE_MAX_S)
		return false;
	while (breaker_pause_s(&s->breaker, clock_wall()) > 0)
		clock_sleep_ms(SLICE_MS);
	return true;
}

bool service_ask(struct service *s, const struct question *q, bool was_healthy, struct asked *ret, struct error *err)
{
	struct question_context context = { ENDPOINT_EVENT_TRACK, q->kind, was_healthy, false, false };
	if (!wait_out_breaker(s)) {
		not_called(ret);
		return true;
	}
	clock_sleep_ms(pace_wait_ms(&s->pace, clock_boot_ms()));
	pace_take(&s->pace);
	int64_t asked_at = clock_wall();
	ret->was_called = true;
	courier_ask_one(s->courier, q, &ret->answer);
	ret->finding = verdict_judge(&ret->answer, &context);
	ret->evidence = evidence_of(&ret->answer, q->kind);
	if (ret->finding.outcome == OUTCOME_THROTTLED)
		breaker_throttled(&s->breaker, asked_at, clock_wall() + 1);
	else if (ret->answer.transport == TRANSPORT_OK)
		breaker_answered(&s->breaker, asked_at);
	return service_store_breaker(s, err);
}

/* ---- a finding becomes the truth ---- */

static bool may_serve(const struct settlement *x, const struct credential *c)
{
	if (x->ruling == RULING_VERDICT)
		return !verdict_is_bad(x->outcome);
	return x->promote_unjudged && !credential_staged(c, STAGE_CURRENT);
}

static bool settle(void *context, struct change *change, struct error *err)
{
	struct settlement *x = context;
	struct credential c;
	struct health h;
	bool exists;
	/* Health is read in the same instant: what another program learnt while we asked must not be lost. */
	if (!change_find(change, x->pixel, &c, &exists, err) || !change_health(change, &c, &h, err))
		return false;
	x->is_promoted = false;
	x->credential = c;
	x->health = h;
	const struct version *v =
		exists && !c.deleted_at && !c.is_destroyed ? credential_numbered(&c, x->version) : NULL;
	if (!v)
		return true;
	/* Only while it is still the pending one: a newer put, or a sweep, may have been here since it was asked. */
	if (v->stage == STAGE_PENDING && may_serve(x, &c))
		x->is_promoted = credential_promote(&c, x->version, clock_wall());
	health_align(&h, &c);
	if (!ruling_write(&h, &c, x->version, x->ruling, x->outcome, x->evidence, x->settings))
		return true;
	if (x->is_promoted && !change_store(change, &c, err))
		return false;
	if (!change_store_health(change, x->pixel, &h, err))
		return false;
	change_note(change, x->is_promoted ? "promote" : "verdict", x->pixel, x->version);
	x->credential = c;
	x->health = h;
	return true;
}

bool service_settle(struct service *s, struct settlement *settlement, struct error *err)
{
	settlement->settings = s->settings;
	return vault_change(s->vault, settle, settlement, err);
}
