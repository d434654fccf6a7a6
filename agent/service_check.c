/* The sweep's hands: what agent/sweep.h decides is done here, with the courier, the vault and the clocks. */
#include "agent/detective.h"
#include "agent/service_own.h"
#include "agent/sweep_store.h"
#include "agent/text.h"
#include "core/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_NAME "sched"
#define LOCK_WAIT_MS 5000
#define OUTAGE_NOTE "outage"
#define CONFIRM_DELAY_S 5
#define SLICE_MS 200            /* a signal is noticed after as long */
#define INTERRUPT_GRACE_MS 1000 /* for what is on its way */

/* A signal handler can reach nothing but this; only a verb that runs installs it. */
static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	is_interrupted = 1;
}

struct interrupts {
	struct sigaction was_int, was_term;
};

static void catch_one(int signal, struct sigaction *was)
{
	/* Once: a second Ctrl-C ends us at once, as everybody expects. */
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };
	sigaction(signal, NULL, was);
	if (was->sa_handler != SIG_IGN)
		sigaction(signal, &action, NULL);
}

static void interrupts_catch(struct interrupts *i)
{
	is_interrupted = 0;
	catch_one(SIGINT, &i->was_int);
	catch_one(SIGTERM, &i->was_term);
}

static void interrupts_release(struct interrupts *i)
{
	sigaction(SIGINT, &i->was_int, NULL);
	sigaction(SIGTERM, &i->was_term, NULL);
}

struct run {
	struct service *service;
	const struct check_request *request;
	struct check_result *result;
	struct targets targets;
	struct sweep sweep;
	struct sweep_store store;
	struct evidence **kept; /* of the pairs held, by pair */
	int64_t interrupted_at_ms;
	const char *advice; /* what concerns no Pixel in particular */
};

static void run_done(struct run *run)
{
	for (size_t i = 0; run->kept && i < run->targets.pair_count; i++)
		free(run->kept[i]);
	free(run->kept);
	sweep_store_done(&run->store);
	targets_done(&run->targets);
}

/* ---- asking ---- */

static bool ask(struct run *run, const struct sweep_step *step, struct error *err)
{
	const struct pair *pair = &run->sweep.pairs[step->pair];
	const struct target *t = &run->targets.at[pair->target];
	scoped(secret_freep) struct secret *token = NULL;
	struct credential c;
	struct error why;
	target_credential(t, &c);
	const struct version *v = credential_numbered(&c, pair->version);
	if (!v || !vault_token(run->service->vault, &c, v, "probe", &token, &why)) {
		/* Deleted, or pushed out by newer versions, since the sweep began. */
		sweep_drop(&run->sweep, step->pair);
		if (!v || why.code == ERR_NOT_FOUND || why.code == ERR_CONFLICT)
			return true;
		*err = why;
		return false;
	}
	enum probe_kind kind = service_probe_kind(run->service->settings, run->request->probe, t->test_code);
	courier_ask(run->service->courier, &(struct question){
						   .id = step->pair,
						   .kind = kind,
						   .is_fresh = step->is_fresh,
						   .pixel = t->pixel,
						   .test_code = kind == PROBE_TEST ? t->test_code : "",
						   .token = token,
					   });
	return true;
}

/* ---- answers ---- */

static bool keep(struct run *run, size_t i, const struct evidence *evidence, struct error *err)
{
	if (run->sweep.pairs[i].state != PAIR_HELD)
		return true;
	run->kept[i] = malloc(sizeof *run->kept[i]);
	if (!run->kept[i])
		return fail_no_memory(err);
	*run->kept[i] = *evidence;
	return true;
}

static bool take_in(struct run *run, const struct reply *reply, struct error *err)
{
	size_t i = (size_t)reply->id;
	const struct pair *pair = &run->sweep.pairs[i];
	const struct target *t = &run->targets.at[pair->target];
	const struct answer *answer = &reply->answer;
	enum probe_kind kind = service_probe_kind(run->service->settings, run->request->probe, t->test_code);
	struct question_context asked = { ENDPOINT_EVENT_TRACK, kind, pair->proven_at != 0, false, false };
	struct finding finding = verdict_judge(answer, &asked);
	struct evidence evidence = evidence_of(answer, kind);
	/* Ctrl-C reaches the courier too: its end is no news about TikTok. */
	if (is_interrupted && answer->transport == TRANSPORT_NO_COURIER) {
		sweep_drop(&run->sweep, i);
		return true;
	}
	enum ruling ruling = sweep_answer(&run->sweep, i, &finding, answer->transport == TRANSPORT_OK, clock_boot_ms(),
					  clock_wall());
	run->service->breaker = run->sweep.breaker;
	if (finding.flags & (FINDING_LEAK_HINT | FINDING_NOT_THE_PAIR))
		run->advice = finding.advice;
	if (!service_store_breaker(run->service, err) || !keep(run, i, &evidence, err) ||
	    !sweep_store_ruling(&run->store, pair, ruling, &evidence, NULL, err))
		return false;
	if (run->request->progress)
		run->request->progress(run->request->context, run->sweep.answered, run->sweep.count, t->pixel,
				       finding.outcome);
	return true;
}

static bool listen(struct run *run, int64_t wait_ms, struct error *err)
{
	struct reply reply;
	if (!courier_next(run->service->courier, wait_ms < SLICE_MS ? wait_ms : SLICE_MS, &reply))
		return true;
	return take_in(run, &reply, err);
}

/* ---- the walk ---- */

static bool is_out_of_patience(struct run *run, int64_t now_ms)
{
	if (!is_interrupted)
		return false;
	if (!run->interrupted_at_ms)
		run->interrupted_at_ms = now_ms;
	sweep_stop(&run->sweep, SWEEP_INTERRUPTED);
	return now_ms - run->interrupted_at_ms >= INTERRUPT_GRACE_MS;
}

static bool walk(struct run *run, struct error *err)
{
	int64_t now_ms = clock_boot_ms();
	while (!is_out_of_patience(run, now_ms)) {
		struct sweep_step step = sweep_next(&run->sweep, now_ms, clock_wall());
		if (step.act == SWEEP_ACT_DONE)
			return true;
		if (step.act == SWEEP_ACT_ASK ? !ask(run, &step, err) : !listen(run, step.wait_ms, err))
			return false;
		now_ms = clock_boot_ms();
		if (!sweep_store_flush_old(&run->store, now_ms, err))
			return false;
	}
	/* Questions are left open: no later verb may take their answers for its own. */
	courier_freep(&run->service->courier);
	return true;
}

/* ---- what was held until the end ---- */

static bool is_stray(const struct run *run, const struct pair *p)
{
	return p->outcome == VERDICT_MISMATCHED && sweep_held_ruling(&run->sweep, p) == RULING_VERDICT;
}

static bool find_owner(struct run *run, struct detective *d, size_t i, size_t calls, char ret[PIXEL_CODE_MAX + 1],
		       struct error *err)
{
	const struct pair *p = &run->sweep.pairs[i];
	const struct target *t = &run->targets.at[p->target];
	scoped(secret_freep) struct secret *token = NULL;
	struct credential c;
	struct error ignored;
	target_credential(t, &c);
	const struct version *v = credential_numbered(&c, p->version);
	ret[0] = '\0';
	if (v)
		detective_twin(run->service, v->fingerprint, t->pixel, ret);
	if (!v || ret[0] || d->is_over || is_interrupted ||
	    !vault_token(run->service->vault, &c, v, "probe", &token, &ignored))
		return true;
	return detective_find(run->service, d, token, t->pixel, run->kept[i]->probe, calls, ret, err);
}

static bool call_detective(struct run *run, struct detective **ret, size_t *ret_calls, struct error *err)
{
	size_t strays = 0;
	for (size_t i = 0; i < run->sweep.count; i++)
		strays += is_stray(run, &run->sweep.pairs[i]);
	if (!strays)
		return true;
	if (!detective_new(run->service, DETECTIVE_BUDGET_SWEEP, ret, err))
		return false;
	/* While TikTok is in trouble, or somebody waits for us to end, only what costs no call is found out. */
	(*ret)->is_over = run->sweep.is_ended;
	for (size_t i = 0; i < run->sweep.count; i++) {
		const struct target *t = &run->targets.at[run->sweep.pairs[i].target];
		if (is_stray(run, &run->sweep.pairs[i]))
			detective_point(*ret, t->pixel, t->test_code);
	}
	/* A fair share each, but enough to find the other half of a swap. */
	*ret_calls = DETECTIVE_BUDGET_SWEEP / strays;
	if (*ret_calls < 3)
		*ret_calls = 3;
	return true;
}

static bool settle_held(struct run *run, struct error *err)
{
	scoped(detective_freep) struct detective *d = NULL;
	size_t calls = 0;
	if (!call_detective(run, &d, &calls, err))
		return false;
	for (size_t i = 0; i < run->sweep.count; i++) {
		const struct pair *p = &run->sweep.pairs[i];
		char owner[PIXEL_CODE_MAX + 1] = "";
		enum ruling ruling = sweep_held_ruling(&run->sweep, p);
		if (ruling == RULING_NONE)
			continue;
		if (is_stray(run, p) && !find_owner(run, d, i, calls, owner, err))
			return false;
		if (!sweep_store_ruling(&run->store, p, ruling, run->kept[i], owner, err))
			return false;
	}
	return true;
}

/* ---- outages in a row ---- */

static bool read_outages(struct service *s, uint32_t *ret, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	bool is_read = vault_note(s->vault, OUTAGE_NOTE, &note, err);
	struct bytes from = buf_bytes(&note);
	uint32_t count;
	*ret = is_read && from.len == sizeof count && bytes_take_u32(&from, &count) ? count : 0;
	buf_done(&note);
	return is_read;
}

static bool store_outages(struct service *s, uint32_t was, uint32_t now, struct error *err)
{
	uint8_t note[4] = { (uint8_t)now, (uint8_t)(now >> 8), (uint8_t)(now >> 16), (uint8_t)(now >> 24) };
	struct error why;
	if (was == now)
		return true;
	bool is_stored = vault_store_note(s->vault, OUTAGE_NOTE, bytes_of(note, sizeof note), &why);
	return service_tolerate(s, is_stored, &why, err);
}

/* ---- the result ---- */

/* The order in which `check` speaks: 10, 11, 15, 16, 9, 14, 0. */
static enum error_code graver(enum error_code a, enum error_code b)
{
	static const enum error_code order[] = { ERR_EXPIRED, ERR_MISMATCHED,  ERR_MALFORMED,
						 ERR_UNCLEAR, ERR_UNREACHABLE, ERR_DUE };
	for (size_t i = 0; i < COUNT_OF(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return ERR_NONE;
}

static void count_targets(const struct run *run)
{
	struct check_result *r = run->result;
	for (size_t i = 0; i < run->targets.count; i++) {
		const struct target *t = &run->targets.at[i];
		r->bad += verdict_is_bad(t->spoke);
		r->verdicts[t->spoke]++;
		r->due += t->is_due;
		r->transient += t->transient != VERDICT_UNCHECKED;
		r->exit = graver(r->exit, verdict_is_bad(t->spoke) ? verdict_exit(t->spoke) : ERR_NONE);
		r->exit = graver(r->exit, verdict_exit(t->transient));
		r->exit = graver(r->exit, t->is_due ? ERR_DUE : ERR_NONE);
	}
}

static const char *notice_of(const struct run *run)
{
	static const char *const notices[] = {
		[SWEEP_COMPLETE] = NULL,
		[SWEEP_CANARY] = NOTICE_CANARY,
		[SWEEP_BREAKER] = NOTICE_BREAKER,
		[SWEEP_OUTAGE] = NOTICE_OUTAGE,
		[SWEEP_INTERRUPTED] = NOTICE_INTERRUPTED,
	};
	enum sweep_end end = run->result->end;
	if (run->service->is_unstored)
		return NOTICE_UNSTORED;
	if (run->advice && end != SWEEP_INTERRUPTED)
		return run->advice;
	return end == SWEEP_CANARY && run->sweep.is_canary_done ? NOTICE_SILENCE : notices[end];
}

static void conclude(struct run *run)
{
	struct check_result *r = run->result;
	const struct sweep *s = &run->sweep;
	r->pixels = run->targets.count;
	r->asked = s->asked;
	/* Nobody was left to be asked: then nothing was cut short. */
	r->end = s->end == SWEEP_CANARY && s->next == s->count ? SWEEP_COMPLETE : s->end;
	r->resume_at = r->end == SWEEP_BREAKER ? s->breaker.open_until : 0;
	r->notice = notice_of(run);
	count_targets(run);
	/* Cut short is never "all is well", whichever token the trouble was met with. */
	if (r->end != SWEEP_COMPLETE)
		r->exit = graver(r->exit, ERR_UNREACHABLE);
}

static struct sweep_limits limits_of(const struct settings *settings, uint32_t outages)
{
	int64_t delay_s = settings->confirm_delay_s >= 0 ? settings->confirm_delay_s : CONFIRM_DELAY_S;
	return (struct sweep_limits){ settings->rate, settings->in_flight, delay_s * 1000, outages };
}

static bool prepare(struct run *run, uint32_t *ret_outages, struct error *err)
{
	struct service *s = run->service;
	s->is_unstored = false;
	if (!targets_collect(s, run->request, &run->targets, err) || !service_ready(s, err) ||
	    !read_outages(s, ret_outages, err) || !sweep_store_init(&run->store, err))
		return false;
	run->kept = calloc(run->targets.pair_count + 1, sizeof *run->kept);
	if (!run->kept)
		return fail_no_memory(err);
	struct sweep_limits limits = limits_of(s->settings, *ret_outages);
	sweep_init(&run->sweep, run->targets.pairs, run->targets.pair_count, &limits, clock_boot_ms());
	run->sweep.breaker = s->breaker;
	return true;
}

static bool sweep_all(struct run *run, struct error *err)
{
	uint32_t outages_before = 0, outages;
	struct error ignored;
	if (!prepare(run, &outages_before, err))
		return false;
	if (!walk(run, err)) {
		/* What is known is worth keeping, whatever went wrong; err says what. */
		(void)!sweep_store_flush(&run->store, &ignored);
		courier_freep(&run->service->courier);
		return false;
	}
	sweep_settle(&run->sweep, &outages);
	if (!settle_held(run, err) || !sweep_store_flush(&run->store, err) ||
	    !store_outages(run->service, outages_before, outages, err))
		return false;
	conclude(run);
	return true;
}

bool service_check(struct service *s, const struct check_request *request, struct check_result *ret, struct error *err)
{
	scoped(vault_unlockp) struct vault_lock *lock = NULL;
	struct interrupts interrupts;
	struct check_result result = { .end = SWEEP_COMPLETE };
	struct run run = { .service = s, .request = request, .result = &result };
	run.store =
		(struct sweep_store){ .service = s, .request = request, .result = &result, .targets = &run.targets };
	if (!vault_lock(s->vault, LOCK_NAME, LOCK_WAIT_MS, &lock, err))
		return err->code == ERR_CONFLICT ? fail(err, ERR_CONFLICT, TXT_CHECK_BUSY) : false;
	interrupts_catch(&interrupts);
	bool ok = sweep_all(&run, err);
	interrupts_release(&interrupts);
	run_done(&run);
	if (ok)
		*ret = result;
	return ok;
}
