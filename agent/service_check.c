/* The sweep's hands: what agent/sweep.h decides is done here, with the courier, the vault and the clocks. */
#include "agent/detective.h"
#include "agent/head_start.h"
#include "agent/renewals.h"
#include "agent/service_own.h"
#include "agent/status.h"
#include "agent/sweep_store.h"
#include "agent/text.h"
#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_NAME "sched"
#define LOCK_WAIT_MS 5000
#define LOCK_LOOK_MS 20
#define OUTAGE_NOTE "outage"
#define CONFIRM_DELAY_S 5
#define URGENT_DELAY_MS 500
#define STOP_GRACE_MS 1000 /* for what is on its way */
#define ROOM_LOOK_MS 50
#define RENEW_LOOK_MS 50
#define LIST_NAMES_MAX ((size_t)1 << 20)
#define ASKED_AT_ONCE VAULT_TOKENS_MAX

enum check_phase { CHECK_LOCK, CHECK_RENEW, CHECK_LISTS, CHECK_WALK, CHECK_SETTLE, CHECK_STORE };

/* A pair whose token is read next. */
struct asking {
	size_t pair;
	bool is_fresh, is_put;
	struct credential credential;
	const struct version *version;
};

struct check {
	struct job job;
	struct check_request request; /* its pointers lead to the copies below */
	const char **pixels;
	struct label labels[LABELS_MAX];
	check_done_fn *done;
	void *context;
	enum check_phase phase;
	struct check_result result;
	struct vault_lock *lock;
	int64_t lock_until_ms;
	struct targets targets;
	uint64_t generation;     /* of the vault as it was read */
	struct head_start known; /* left by the last check of everything */
	bool is_plain;           /* nothing comes before the Pixels */
	bool is_unread;          /* some of them could not be */
	struct error unread;
	bool has_proven;         /* somebody */
	struct sweep sweep;
	struct asking asking[ASKED_AT_ONCE];
	size_t asking_count;
	struct sweep_store store;
	struct evidence **kept; /* of the pairs held, by pair */
	size_t kept_room;       /* how many places kept has */
	uint32_t outages_before, outages;
	int64_t outage_at; /* when outages_before was written */
	int64_t stopped_at_ms;
	/* pairs that are renewed before anything is asked */
	struct job *renewing; /* NULL = none at the moment */
	size_t renew_at;      /* targets before it were looked at */
	bool has_renewed; /* what was read of the targets is old */
	/* lists that are read before any Pixel is asked about */
	struct buf lists; /* names */
	size_t list_at;
	struct job *listing; /* NULL = none at the moment */
	bool has_listed;
	enum error_code lists_exit;
	int64_t began_at;
	const char *advice; /* what concerns no Pixel in particular */
	/* whose are the strays? */
	struct detective *detective;
	size_t calls, settled;
	struct search search;
	bool is_searching;
	struct secret *stray;
	char owner[PIXEL_CODE_MAX + 1];
};

static bool is_of_all(const struct check *run)
{
	return !run->request.pixel_count && !run->request.label_count;
}

static struct check *check_of(struct job *job)
{
	return (struct check *)job;
}

static void check_free(struct check *run)
{
	for (size_t i = 0; run->kept && i < run->kept_room; i++)
		free(run->kept[i]);
	free(run->kept);
	sweep_store_done(&run->store);
	targets_done(&run->targets);
	detective_freep(&run->detective);
	buf_done(&run->lists);
	secret_free(run->stray);
	vault_unlockp(&run->lock);
	free(run->pixels);
	free(run);
}

/* ---- asking ---- */

static void put_question(struct check *run, const struct asking *a, const struct secret *token)
{
	const struct target *t = &run->targets.at[run->sweep.pairs[a->pair].target];
	enum probe_kind kind = service_probe_kind(run->job.service->settings, run->request.probe, t->test_code);
	courier_ask(run->job.service->courier, &(struct question){
						   .id = job_question_id(&run->job, (uint32_t)a->pair),
						   .kind = kind,
						   .is_fresh = a->is_fresh,
						   .pixel = t->pixel,
						   .test_code = kind == PROBE_TEST ? t->test_code : "",
						   .token = token,
					       });
}

/* Deleted, or pushed out by newer versions, since the sweep began. */
static bool is_gone_meanwhile(const struct error *err)
{
	return err->code == ERR_NOT_FOUND || err->code == ERR_CONFLICT;
}

/* What could not be read among many for want of locked memory may be read now that the others have gone. */
static bool read_alone(struct check *run, const struct asking *a, struct token_reading *r)
{
	return r->err.code == ERR_UNEXPECTED &&
	       vault_token(run->job.service->vault, &a->credential, a->version, "probe", &r->token, &r->err);
}

static void put_those_read(struct check *run, struct token_reading *readings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (readings[i].token) {
			put_question(run, &run->asking[i], readings[i].token);
			secret_freep(&readings[i].token);
			run->asking[i].is_put = true;
		}
}

/* About those that were taken up: their tokens are read together. */
static bool ask(struct check *run, struct error *err)
{
	struct token_reading readings[ASKED_AT_ONCE];
	size_t count = run->asking_count;
	bool is_good = true;
	for (size_t i = 0; i < count; i++)
		readings[i] = (struct token_reading){ .credential = &run->asking[i].credential,
						      .version = run->asking[i].version };
	run->asking_count = 0;
	if (count && !vault_tokens(run->job.service->vault, readings, count, "probe", err)) {
		for (size_t i = 0; i < count; i++)
			sweep_drop(&run->sweep, run->asking[i].pair);
		return false;
	}
	put_those_read(run, readings, count);
	for (size_t i = 0; i < count; i++) {
		if (run->asking[i].is_put)
			continue;
		if (read_alone(run, &run->asking[i], &readings[i])) {
			put_those_read(run, readings, count);
			continue;
		}
		sweep_drop(&run->sweep, run->asking[i].pair);
		if (is_good && !is_gone_meanwhile(&readings[i].err)) {
			*err = readings[i].err;
			is_good = false;
		}
	}
	return is_good;
}

static void take_up(struct check *run, const struct sweep_step *step)
{
	const struct pair *pair = &run->sweep.pairs[step->pair];
	struct asking *a = &run->asking[run->asking_count];
	*a = (struct asking){ .pair = step->pair, .is_fresh = step->is_fresh };
	target_credential(&run->targets.at[pair->target], &a->credential);
	a->version = credential_numbered(&a->credential, pair->version);
	if (a->version)
		run->asking_count++;
	else
		sweep_drop(&run->sweep, step->pair);
}

/* ---- answers ---- */

static bool keep(struct check *run, size_t i, const struct evidence *evidence, struct error *err)
{
	if (run->sweep.pairs[i].state != PAIR_HELD)
		return true;
	run->kept[i] = malloc(sizeof *run->kept[i]);
	if (!run->kept[i])
		return fail_no_memory(err);
	*run->kept[i] = *evidence;
	return true;
}

/* While pairs are still being read, as many as there were the last time. */
static size_t total(const struct check *run)
{
	bool is_more_known = run->targets.walk && run->known.pairs > run->sweep.count;
	return is_more_known ? run->known.pairs : run->sweep.count;
}

static bool check_answered(struct job *job, uint32_t i, const struct answer *answer, struct error *err)
{
	struct check *run = check_of(job);
	const struct pair *pair = &run->sweep.pairs[i];
	const struct target *t = &run->targets.at[pair->target];
	enum probe_kind kind = service_probe_kind(run->job.service->settings, run->request.probe, t->test_code);
	struct question_context asked = { .kind = kind, .was_healthy = pair->proven_at != 0 };
	struct finding finding = verdict_judge(answer, &asked);
	struct evidence evidence = evidence_of(answer, kind);
	/* Ctrl-C reaches the courier too: its end is no news about TikTok. */
	if (job->service->is_stopping && answer->transport == TRANSPORT_NO_COURIER) {
		sweep_drop(&run->sweep, i);
		return true;
	}
	enum ruling ruling = sweep_answer(&run->sweep, i, &finding, answer->transport == TRANSPORT_OK, clock_boot_ms(),
					  clock_wall());
	run->job.service->breaker = run->sweep.breaker;
	run->has_proven = run->has_proven || finding.outcome == VERDICT_HEALTHY;
	if (finding.flags & (FINDING_LEAK_HINT | FINDING_NOT_THE_PAIR))
		run->advice = finding.advice;
	if (!service_store_breaker(run->job.service, err) || !keep(run, i, &evidence, err) ||
	    !sweep_store_ruling(&run->store, pair, ruling, &evidence, NULL, err))
		return false;
	if (run->request.progress)
		run->request.progress(run->request.context, run->sweep.answered, total(run), t->pixel, finding.outcome);
	return true;
}

/* ---- what was held until the end ---- */

static bool is_stray(const struct check *run, const struct pair *p)
{
	return p->outcome == VERDICT_MISMATCHED && sweep_held_ruling(&run->sweep, p) == RULING_VERDICT;
}

static bool call_detective(struct check *run, struct error *err)
{
	size_t strays = 0;
	for (size_t i = 0; i < run->sweep.count; i++)
		strays += is_stray(run, &run->sweep.pairs[i]);
	if (!strays)
		return true;
	if (!detective_new(run->job.service, DETECTIVE_BUDGET_SWEEP, &run->detective, err))
		return false;
	/* While TikTok is in trouble, or somebody waits for us to end, only what costs no call is found out. */
	run->detective->is_over = run->sweep.is_ended;
	for (size_t i = 0; i < run->sweep.count; i++) {
		const struct target *t = &run->targets.at[run->sweep.pairs[i].target];
		if (is_stray(run, &run->sweep.pairs[i]))
			detective_point(run->detective, t->pixel, t->test_code);
	}
	/* A fair share each, but enough to find the other half of a swap. */
	run->calls = DETECTIVE_BUDGET_SWEEP / strays;
	if (run->calls < 3)
		run->calls = 3;
	return true;
}

/* False: what can be known of this stray is known. */
static bool begin_search(struct check *run, size_t i)
{
	const struct pair *p = &run->sweep.pairs[i];
	const struct target *t = &run->targets.at[p->target];
	struct credential c;
	struct error ignored;
	target_credential(t, &c);
	const struct version *v = credential_numbered(&c, p->version);
	run->owner[0] = '\0';
	if (v)
		detective_twin(run->job.service, v->fingerprint, t->pixel, run->owner);
	if (!v || run->owner[0] || run->detective->is_over || run->job.service->is_stopping ||
	    !vault_token(run->job.service->vault, &c, v, "probe", &run->stray, &ignored))
		return false;
	search_begin(&run->search, run->stray, t->pixel, run->kept[i]->probe, run->calls);
	run->is_searching = true;
	return true;
}

/* True when the pair's owner is known as well as it can be; false when a question is on its way. */
static bool is_owner_settled(struct check *run, size_t i)
{
	if (!is_stray(run, &run->sweep.pairs[i])) {
		run->owner[0] = '\0';
		return true;
	}
	if (!run->is_searching && !begin_search(run, i))
		return true;
	if (search_ask(&run->search, run->detective, &run->job))
		return false;
	memcpy(run->owner, run->search.found, sizeof run->owner);
	run->is_searching = false;
	secret_freep(&run->stray);
	return true;
}

static bool settle_held(struct check *run, struct error *err)
{
	for (; run->settled < run->sweep.count; run->settled++) {
		const struct pair *p = &run->sweep.pairs[run->settled];
		enum ruling ruling = sweep_held_ruling(&run->sweep, p);
		if (ruling == RULING_NONE)
			continue;
		if (!is_owner_settled(run, run->settled))
			return true;
		if (!sweep_store_ruling(&run->store, p, ruling, run->kept[run->settled], run->owner, err))
			return false;
	}
	run->phase = CHECK_STORE;
	return true;
}

static bool check_asked(struct job *job, const struct asked *asked, struct error *err)
{
	struct check *run = check_of(job);
	(void)err;
	search_answer(&run->search, run->detective, asked);
	return true;
}

/* ---- the walk ---- */

static bool is_out_of_patience(struct check *run, int64_t now_ms)
{
	bool is_late = run->request.until_ms && now_ms >= run->request.until_ms;
	if (!is_late && (!run->job.service->is_stopping || run->request.is_urgent))
		return false;
	if (!run->stopped_at_ms)
		run->stopped_at_ms = now_ms;
	sweep_stop(&run->sweep, SWEEP_INTERRUPTED);
	return now_ms - run->stopped_at_ms >= STOP_GRACE_MS;
}

/* Evidence is kept by pair. */
static bool make_kept_room(struct check *run, struct error *err)
{
	size_t wanted = run->targets.pair_room + 1;
	if (run->targets.pair_count < run->kept_room)
		return true;
	struct evidence **kept = reallocarray(run->kept, wanted, sizeof *kept);
	if (!kept)
		return fail_no_memory(err);
	for (size_t i = run->kept_room; i < wanted; i++)
		kept[i] = NULL;
	run->kept = kept;
	run->kept_room = wanted;
	return true;
}

/* What cannot be read ends the check, but not before what was asked is answered and stored. */
static void read_more(struct check *run)
{
	struct targets *t = &run->targets;
	if (!targets_more(run->job.service, &run->request, t, &run->unread) || !make_kept_room(run, &run->unread)) {
		run->is_unread = true;
		vault_walk_freep(&t->walk);
		sweep_stop(&run->sweep, SWEEP_INTERRUPTED);
	}
	sweep_grow(&run->sweep, t->pairs, t->pair_count, !t->walk);
}

/* While there is nothing to be asked, the vault is read on. */
static void use_wait(struct check *run, int64_t *ret_wait_ms)
{
	if (!run->targets.walk)
		return;
	*ret_wait_ms = 0;
	courier_flush(run->job.service->courier); /* what was asked now is not to wait for that */
	read_more(run);
}

/* The pace is one for all that the service asks. */
static struct sweep_step next_step(struct check *run, int64_t now_ms)
{
	struct service *s = run->job.service;
	run->sweep.breaker = s->breaker;
	run->sweep.pace = s->pace;
	struct sweep_step step = sweep_next(&run->sweep, now_ms, clock_wall());
	s->pace = run->sweep.pace;
	return step;
}

static int64_t wait_of(const struct check *run, const struct sweep_step *step)
{
	/* While something waits to be stored it must not grow old. */
	return run->store.count && step->wait_ms > SWEEP_BATCH_AGE_MS ? SWEEP_BATCH_AGE_MS : step->wait_ms;
}

/* Takes up as many pairs as may be asked about now; ret is the step that ended it. */
static struct sweep_step take_up_some(struct check *run, size_t room, int64_t now_ms)
{
	struct sweep_step step = next_step(run, now_ms);
	for (; step.act == SWEEP_ACT_ASK; step = next_step(run, now_ms)) {
		take_up(run, &step);
		if (run->asking_count == room || run->asking_count == ASKED_AT_ONCE)
			break;
	}
	return step;
}

static bool walk(struct check *run, int64_t *ret_wait_ms, struct error *err)
{
	int64_t now_ms = clock_boot_ms();
	while (!is_out_of_patience(run, now_ms)) {
		if (!sweep_store_flush_old(&run->store, now_ms, err))
			return false;
		size_t room = service_room(run->job.service);
		if (!room) {
			*ret_wait_ms = ROOM_LOOK_MS;
			use_wait(run, ret_wait_ms);
			return true;
		}
		struct sweep_step step = take_up_some(run, room, now_ms);
		if (!ask(run, err))
			return false;
		if (step.act == SWEEP_ACT_DONE)
			break;
		if (step.act == SWEEP_ACT_WAIT) {
			*ret_wait_ms = wait_of(run, &step);
			use_wait(run, ret_wait_ms);
			return true;
		}
		now_ms = clock_boot_ms();
	}
	*ret_wait_ms = 0;
	if (run->targets.walk) { /* nobody is asked any more, but all are counted */
		read_more(run);
		return true;
	}
	if (run->is_unread) {
		*err = run->unread;
		return false;
	}
	run->phase = CHECK_SETTLE;
	sweep_settle(&run->sweep, &run->outages);
	return call_detective(run, err);
}

/* ---- outages in a row ---- */

static bool read_outages(struct check *run, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	bool is_read = vault_note(run->job.service->vault, OUTAGE_NOTE, &note, err);
	struct bytes from = buf_bytes(&note);
	if (!is_read || !bytes_take_u32(&from, &run->outages_before) || !bytes_take_i64(&from, &run->outage_at))
		run->outages_before = 0;
	buf_done(&note);
	return is_read;
}

/* Sweeps of the schedule are small and follow each other closely: three within a minute are one opinion, not three. */
static bool is_same_outage(const struct check *run)
{
	const struct settings *settings = run->job.service->settings;
	int64_t gap_s = settings->interval_s / 6, passed_s = clock_wall() - run->outage_at;
	if (gap_s < settings->confirm_delay_s)
		gap_s = settings->confirm_delay_s;
	return run->request.is_scheduled && run->outages_before && passed_s >= 0 && passed_s < gap_s;
}

static bool store_outages(struct check *run, struct error *err)
{
	struct service *s = run->job.service;
	struct buf note = BUF_INIT(NOTE_MAX);
	struct error why;
	if (run->outages == run->outages_before || run->request.is_urgent)
		return true;
	buf_append_uint(&note, 4, run->outages);
	buf_append_uint(&note, 8, (uint64_t)clock_wall());
	bool is_stored = buf_ok(&note, &why) && vault_store_note(s->vault, OUTAGE_NOTE, buf_bytes(&note), &why);
	buf_done(&note);
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

static void note_notable(struct check *run, const struct target *t)
{
	bool is_notable = t->may_need_upkeep || t->is_due || verdict_is_bad(t->spoke) || t->transient != VERDICT_UNCHECKED;
	if (run->request.notable && is_notable)
		buf_append(run->request.notable, t->pixel, sizeof t->pixel);
}

static void count_targets(struct check *run)
{
	struct check_result *r = &run->result;
	for (size_t i = 0; i < run->targets.count; i++) {
		const struct target *t = &run->targets.at[i];
		note_notable(run, t);
		r->bad += verdict_is_bad(t->spoke);
		r->verdicts[t->spoke]++;
		r->due += t->is_due;
		r->transient += t->transient != VERDICT_UNCHECKED;
		r->exit = graver(r->exit, verdict_is_bad(t->spoke) ? verdict_exit(t->spoke) : ERR_NONE);
		r->exit = graver(r->exit, verdict_exit(t->transient));
		r->exit = graver(r->exit, t->is_due ? ERR_DUE : ERR_NONE);
	}
}

static const char *notice_of(const struct check *run)
{
	static const char *const notices[] = {
		[SWEEP_COMPLETE] = NULL,
		[SWEEP_CANARY] = NOTICE_CANARY,
		[SWEEP_BREAKER] = NOTICE_BREAKER,
		[SWEEP_OUTAGE] = NOTICE_OUTAGE,
		[SWEEP_INTERRUPTED] = NOTICE_INTERRUPTED,
	};
	enum sweep_end end = run->result.end;
	if (run->job.service->is_unstored)
		return NOTICE_UNSTORED;
	if (run->advice && end != SWEEP_INTERRUPTED)
		return run->advice;
	return end == SWEEP_CANARY && run->sweep.is_canary_done ? NOTICE_SILENCE : notices[end];
}

static void conclude(struct check *run)
{
	struct check_result *r = &run->result;
	const struct sweep *s = &run->sweep;
	r->pixels = run->targets.count;
	r->asked = s->asked;
	/* Nobody was left to be asked: then nothing was cut short. */
	r->end = s->end == SWEEP_CANARY && s->next == s->count ? SWEEP_COMPLETE : s->end;
	r->resume_at = r->end == SWEEP_BREAKER ? s->breaker.open_until : 0;
	r->notice = notice_of(run);
	count_targets(run);
	r->listed = run->targets.listed;
	r->decoys = run->targets.decoys;
	r->exit = graver(r->exit, run->lists_exit);
	/* Cut short is never "all is well", whichever token the trouble was met with. */
	if (r->end != SWEEP_COMPLETE)
		r->exit = graver(r->exit, ERR_UNREACHABLE);
}

static struct sweep_limits limits_of(const struct check *run)
{
	const struct settings *settings = run->job.service->settings;
	bool is_scheduled = run->request.is_scheduled;
	int64_t delay_s = settings->confirm_delay_s >= 0 ? settings->confirm_delay_s
			  : is_scheduled		 ? SCHEDULE_CONFIRM_DELAY_S
							 : CONFIRM_DELAY_S;
	return (struct sweep_limits){ .rate = settings->rate,
				      .in_flight = COURIER_AHEAD * settings->in_flight, /* the courier says how many now */
				      .confirm_delay_ms = run->request.is_urgent ? URGENT_DELAY_MS : delay_s * 1000,
				      .outages = run->outages_before - is_same_outage(run),
				      .confirms_later = is_scheduled };
}

/* ---- pairs that are due to be renewed ---- */

static void one_is_renewed(void *context, const struct refresh_result *result, const struct error *err)
{
	struct check *run = context;
	run->renewing = NULL;
	/* An error is told by what the token is worth now: nothing that another program does ends a check. */
	if (err)
		return;
	/* Needless: somebody else did it since the targets were read. */
	run->has_renewed = true;
	if (result->outcome == OUTCOME_UNKNOWN && result->advice)
		run->advice = result->advice;
}

static bool is_to_be_renewed(const struct check *run, const struct target *t)
{
	return t->renewal == RENEWAL_OVER || (t->renewal == RENEWAL_DUE && run->request.renews_early);
}

/* A first token that could not be fetched is as good as one that could not be asked about. Of any other the sweep tells
 * what it is worth. */
static void mark_missing(struct check *run)
{
	struct health h;
	for (size_t i = 0; i < run->targets.count; i++) {
		struct target *t = &run->targets.at[i];
		bool is_missing = t->renewal == RENEWAL_OVER && !t->current.number && target_health(t, &h);
		if (is_missing && verdict_is_transient(h.pending.last_outcome) && h.pending.attempted_at >= run->began_at)
			t->transient = h.pending.last_outcome;
	}
}

static bool set_out(struct check *run, struct error *err);

/* From where the store stood before it: whatever others write from then on is seen when something is stored. */
static bool collect(struct check *run, struct error *err)
{
	struct service *s = run->job.service;
	targets_done(&run->targets);
	bool is_read = vault_position(s->vault, &run->store.at, err) &&
		       targets_collect(s, &run->request, &run->targets, err);
	run->generation = vault_generation(s->vault);
	return is_read;
}

/* One after the other; then all is read again. */
static bool renew(struct check *run, int64_t *ret_wait_ms, struct error *err)
{
	struct service *s = run->job.service;
	enum refresh_when when = run->request.renews_early ? REFRESH_WHEN_DUE : REFRESH_WHEN_OVER;
	*ret_wait_ms = RENEW_LOOK_MS;
	if (run->renewing)
		return true;
	while (!s->is_stopping && run->renew_at < run->targets.count) {
		const struct target *t = &run->targets.at[run->renew_at++];
		if (is_to_be_renewed(run, t))
			return refresh_start(s, t->pixel, when, 0, &run->job.who, one_is_renewed, run, &run->renewing, err);
	}
	if (run->has_renewed) {
		if (!collect(run, err))
			return false;
		mark_missing(run);
	}
	run->phase = CHECK_LISTS;
	*ret_wait_ms = 0;
	return true;
}

/* ---- a head start: asking begins before everything is read ---- */

static void learn_what_comes_first(struct check *run)
{
	run->is_plain = is_of_all(run) && run->lists.len == 0;
	for (size_t i = 0; run->is_plain && i < run->targets.count; i++) {
		const struct target *t = &run->targets.at[i];
		run->is_plain = t->current.family == FAMILY_PLAIN && t->pending.family == FAMILY_PLAIN;
	}
}

/* Where this check proved nobody, it is who was so before, and is not refused now. */
static bool store_canary(struct check *run, struct error *err)
{
	const struct pair *best = NULL;
	struct proven last;
	if (run->has_proven)
		return true;
	for (size_t i = 0; i < run->targets.pair_count; i++) {
		const struct pair *p = &run->targets.pairs[i];
		if (p->outcome == VERDICT_UNPROVEN && (!best || p->proven_at > best->proven_at))
			best = p;
	}
	if (!best)
		return true;
	last.at = best->proven_at;
	memcpy(last.pixel, run->targets.at[best->target].pixel, sizeof last.pixel);
	return vault_store_proven(run->job.service->vault, &last, err);
}

/* Once for each generation. */
static bool store_head_start(struct check *run, struct error *err)
{
	struct service *s = run->job.service;
	struct head_start now = { run->generation, (uint32_t)run->targets.pair_count };
	struct error why;
	if (!run->is_plain || (now.generation == run->known.generation && now.pairs == run->known.pairs))
		return true;
	bool is_stored = store_canary(run, &why) && head_start_store(s->vault, &now, &why);
	return service_tolerate(s, is_stored, &why, err);
}

/* Of the canary all must be as it should, or it is looked for among all. */
static bool is_fit(const struct targets *t, const struct proven *last)
{
	const struct pair *p = t->pairs;
	return t->pair_count == 1 && p->proven_at == last->at && !verdict_is_bad(p->was) && !p->was_unclear && !p->suspected;
}

/* *ret: the canary is there, and the others may be read while it is asked about. */
static bool begin_early(struct check *run, bool *ret, struct error *err)
{
	struct service *s = run->job.service;
	struct proven last;
	struct error why;
	*ret = false;
	if (!is_of_all(run) || run->request.is_urgent)
		return true;
	if (!head_start_read(s->vault, &run->known, err) || !vault_proven_last(s->vault, &last, err) ||
	    !vault_position(s->vault, &run->store.at, err))
		return false;
	if (!run->known.generation || !last.pixel[0])
		return true;
	/* With the canary the vault's root is read, and with it the generation. */
	bool is_there = targets_begin(s, &run->request, last.pixel, &run->targets, &why);
	bool is_same = vault_generation(s->vault) == run->known.generation;
	*ret = run->is_plain = is_there && is_same && is_fit(&run->targets, &last);
	run->generation = run->known.generation;
	if (!*ret)
		run->known = (struct head_start){ 0 }; /* so that the next check has another canary */
	return true;
}

/* ---- lists ---- */

static void list_has_changed(void *context, const char *name, enum verdict was, const struct judgement *now)
{
	struct check *run = context;
	run->result.newly_bad += verdict_is_bad(now->verdict) && !verdict_is_bad(was);
	if (run->request.changed)
		run->request.changed(run->request.context, name, was, now);
}

static void one_is_read(void *context, const struct list_result *result, const struct error *err)
{
	struct check *run = context;
	run->listing = NULL;
	if (err) /* somebody else is reading, or it was removed meanwhile: that ends no check */
		return;
	run->has_listed = run->has_listed || result->was_read;
	run->lists_exit = graver(run->lists_exit, verdict_is_bad(result->verdict) ? verdict_exit(result->verdict) : ERR_NONE);
	run->lists_exit = graver(run->lists_exit, verdict_exit(result->outcome));
}

static bool note_list(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct check *run = context;
	const struct service *s = run->job.service;
	(void)h;
	if (status_is_due(c, s->settings, vault_later_clock(s->vault)))
		run->lists_exit = graver(run->lists_exit, ERR_DUE);
	buf_append(&run->lists, c->pixel, sizeof c->pixel);
	return buf_ok(&run->lists, err);
}

/* Of a check of everything only: fifty Pixels cost one call then, but one Pixel may cost twenty. */
static bool read_lists(struct check *run, int64_t *ret_wait_ms, struct error *err)
{
	struct service *s = run->job.service;
	*ret_wait_ms = RENEW_LOOK_MS;
	if (run->listing)
		return true;
	if (is_of_all(run) && !run->lists.max) {
		run->lists.max = LIST_NAMES_MAX;
		if (!vault_each_list(s->vault, note_list, run, err))
			return false;
	}
	if (!s->is_stopping && run->list_at < run->lists.len) {
		struct list_request request = { .name = (const char *)run->lists.at + run->list_at,
						.changed = list_has_changed,
						.context = run };
		run->list_at += PIXEL_CODE_MAX + 1;
		return list_start(s, &request, &run->job.who, one_is_read, run, &run->listing, err);
	}
	if (run->has_listed)
		run->request.listed_since = run->began_at;
	*ret_wait_ms = 0;
	if (run->has_listed && !collect(run, err))
		return false;
	learn_what_comes_first(run);
	return set_out(run, err);
}

static bool begin(struct check *run, struct error *err)
{
	struct service *s = run->job.service;
	s->is_unstored = false;
	s->is_stopping = s->is_stopping && run->request.is_urgent;
	run->began_at = clock_wall();
	run->phase = CHECK_RENEW;
	/* The agent's own schedule renews by itself. */
	if (run->request.is_scheduled)
		run->renew_at = SIZE_MAX;
	if (!service_ready(s, err))
		return false;
	courier_wake(s->courier);
	bool is_early;
	if (!begin_early(run, &is_early, err))
		return false;
	return is_early ? set_out(run, err) : collect(run, err);
}

static bool set_out(struct check *run, struct error *err)
{
	if (!read_outages(run, err) || !sweep_store_init(&run->store, err))
		return false;
	if (!make_kept_room(run, err))
		return false;
	struct sweep_limits limits = limits_of(run);
	sweep_init(&run->sweep, run->targets.pairs, run->targets.pair_count, &limits, clock_boot_ms());
	run->sweep.is_growing = run->targets.walk != NULL;
	run->phase = CHECK_WALK;
	return true;
}

/* One sweep at a time, across processes. */
static bool lock(struct check *run, int64_t *ret_wait_ms, struct error *err)
{
	if (run->request.is_urgent || vault_lock(run->job.service->vault, LOCK_NAME, 0, &run->lock, err))
		return begin(run, err);
	if (err->code != ERR_CONFLICT)
		return false;
	if (clock_boot_ms() >= run->lock_until_ms)
		return fail(err, ERR_CONFLICT, TXT_CHECK_BUSY);
	*ret_wait_ms = LOCK_LOOK_MS;
	return true;
}

static bool finish(struct check *run, struct error *err)
{
	if (!sweep_store_flush(&run->store, err) || !store_outages(run, err) || !store_head_start(run, err))
		return false;
	conclude(run);
	run->job.is_done = true;
	return true;
}

static bool do_phase(struct check *run, int64_t *ret_wait_ms, struct error *err)
{
	if (run->phase == CHECK_LOCK && !lock(run, ret_wait_ms, err))
		return false;
	if (run->phase == CHECK_RENEW && !renew(run, ret_wait_ms, err))
		return false;
	if (run->phase == CHECK_LISTS && !read_lists(run, ret_wait_ms, err))
		return false;
	if (run->phase == CHECK_WALK && !walk(run, ret_wait_ms, err))
		return false;
	if (run->phase == CHECK_SETTLE && !settle_held(run, err))
		return false;
	return run->phase != CHECK_STORE || finish(run, err);
}

static bool check_step(struct job *job, int64_t *ret_wait_ms, struct error *err)
{
	struct check *run = check_of(job);
	struct error ignored;
	if (do_phase(run, ret_wait_ms, err))
		return true;
	/* What is known is worth keeping, whatever went wrong; err says what. */
	if (run->phase > CHECK_LISTS)
		(void)!sweep_store_flush(&run->store, &ignored);
	return false;
}

static void check_end(struct job *job, const struct error *err)
{
	struct check *run = check_of(job);
	refresh_detach(run->renewing);
	list_detach(run->listing);
	vault_unlockp(&run->lock); /* before whoever waited for us begins the next */
	run->done(run->context, err ? NULL : &run->result, err);
	check_free(run);
}

static const struct job_ops check_ops = {
	.step = check_step, .asked = check_asked, .answered = check_answered, .end = check_end
};

/* ---- starting ---- */

/* The list and its texts in one block. */
static bool copy_pixels(struct check *run, const struct check_request *request, struct error *err)
{
	size_t count = request->pixel_count;
	if (!count)
		return true;
	char(*texts)[PIXEL_CODE_MAX + 1];
	run->pixels = calloc(count, sizeof *run->pixels + sizeof *texts);
	if (!run->pixels)
		return fail_no_memory(err);
	texts = (char(*)[PIXEL_CODE_MAX + 1])(void *)(run->pixels + count);
	for (size_t i = 0; i < count; i++) {
		snprintf(texts[i], sizeof texts[i], "%s", request->pixels[i]);
		run->pixels[i] = texts[i];
	}
	return true;
}

static bool make_check(const struct check_request *request, struct check **ret, struct error *err)
{
	struct check *run = calloc(1, sizeof *run);
	if (!run)
		return fail_no_memory(err);
	run->request = *request;
	run->job.is_sweep = !request->is_urgent;
	run->lock_until_ms = clock_boot_ms() + LOCK_WAIT_MS;
	if (request->label_count > COUNT_OF(run->labels) || !copy_pixels(run, request, err)) {
		check_free(run);
		return request->label_count > COUNT_OF(run->labels)
			       ? fail(err, ERR_USAGE, TXT_PUT_LABELS, COUNT_OF(run->labels))
			       : false;
	}
	if (request->label_count)
		memcpy(run->labels, request->labels, request->label_count * sizeof *run->labels);
	run->request.pixels = run->pixels;
	run->request.labels = run->labels;
	*ret = run;
	return true;
}

static void enter(struct service *s, struct check *run, const struct audit_who *who, check_done_fn *done, void *context)
{
	run->done = done;
	run->context = context;
	(run->request.is_urgent ? job_start_first : job_start)(s, &run->job, &check_ops, who);
	run->store = (struct sweep_store){
		.service = s, .request = &run->request, .result = &run->result, .targets = &run->targets
	};
}

bool service_start_check(struct service *s, const struct check_request *request, const struct audit_who *who,
			 check_done_fn *done, void *context, struct error *err)
{
	struct check *run;
	if (!make_check(request, &run, err))
		return false;
	enter(s, run, who, done, context);
	return true;
}

struct outcome {
	struct check_result *result;
	struct error *err;
	bool is_done;
};

static void keep_outcome(void *context, const struct check_result *result, const struct error *err)
{
	struct outcome *o = context;
	o->is_done = !err;
	if (err)
		*o->err = *err;
	else
		*o->result = *result;
}

bool service_check(struct service *s, const struct check_request *request, struct check_result *ret, struct error *err)
{
	struct outcome outcome = { .result = ret, .err = err };
	struct check *run;
	if (!make_check(request, &run, err))
		return false;
	enter(s, run, NULL, keep_outcome, &outcome);
	service_drive(s, &run->job);
	return outcome.is_done;
}
