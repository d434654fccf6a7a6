#include "agent/service_own.h"

#include "agent/text.h"
#include "core/clock.h"

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BREAKER_NOTE "breaker"
#define PAUSE_MAX_S 5
#define PAUSE_LOOK_MS 100
#define ABSENCE_LOOK_MS 50
#define SLICE_MS 200 /* a signal is noticed after as long */
#define COMMITS_AT_ONCE 64
#define QUESTION_TAG UINT32_MAX /* of the one question of job_ask */

int64_t service_sure_now(struct service *s)
{
	return sure_clock_now(&s->sure_clock, clock_wall(), clock_boot_ms());
}

static bool make(struct vault *v, const struct settings *settings, struct service **ret, struct error *err)
{
	struct service *s = calloc(1, sizeof *s);
	if (!s)
		return fail_no_memory(err);
	s->vault = v;
	s->settings = settings;
	pace_init(&s->pace, settings->rate, clock_boot_ms());
	(void)service_sure_now(s); /* what jumps behind this is noticed */
	*ret = s;
	return true;
}

bool service_new(struct vault *v, const struct settings *settings, struct service **ret, struct error *err)
{
	if (!make(v, settings, ret, err))
		return false;
	(*ret)->owns_courier = true;
	return true;
}

bool service_new_with(struct vault *v, const struct settings *settings, struct courier *courier, struct service **ret,
		      struct error *err)
{
	if (!make(v, settings, ret, err))
		return false;
	(*ret)->courier = courier;
	return true;
}

void service_bring_courier(struct service *s, struct courier *courier)
{
	assert(s->owns_courier && !s->courier);
	s->courier = courier;
}

struct courier *service_dismiss_courier(struct service *s)
{
	assert(s->owns_courier);
	if (s->courier)
		courier_dismiss(s->courier);
	return take(s->courier);
}

static void end_job(struct job *job)
{
	job->ops->end(job, job->has_failed ? &job->err : NULL);
}

static void cut_short(struct job *job)
{
	job->has_failed = true;
	(void)!fail(&job->err, ERR_CONFLICT, TXT_JOB_CUT_SHORT);
	end_job(job);
}

void service_free(struct service *s)
{
	if (!s)
		return;
	while (s->jobs) {
		struct job *job = s->jobs;
		s->jobs = job->next;
		cut_short(job);
	}
	if (s->owns_courier)
		courier_free(s->courier);
	buf_done(&s->lists);
	free(s);
}

void service_freep(struct service **s)
{
	service_free(*s);
	*s = NULL;
}

bool service_read_breaker(struct service *s, struct breaker *ret, struct error *err)
{
	struct buf note = BUF_INIT(NOTE_MAX);
	bool is_read = vault_note(s->vault, BREAKER_NOTE, &note, err);
	if (is_read && !breaker_decode(buf_bytes(&note), ret))
		*ret = (struct breaker){ 0 };
	buf_done(&note);
	return is_read;
}

bool service_ready(struct service *s, struct error *err)
{
	if (!s->courier && !courier_new(s->settings, &s->courier, err))
		return false;
	bool is_read = service_read_breaker(s, &s->breaker, err);
	s->stored_breaker = s->breaker;
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

/* ---- what jobs ask for ---- */

/* Of the process, not of a service: a courier outlives one that is locked, and what it was asked for that one must be nobody's
 * answer in the next. */
static uint32_t last_number;

static void enter(struct service *s, struct job *job, const struct job_ops *ops, const struct audit_who *who,
		  struct job **at)
{
	job->ops = ops;
	job->service = s;
	job->number = ++last_number;
	if (who)
		job->who = *who;
	job->next = *at;
	*at = job;
}

void job_start(struct service *s, struct job *job, const struct job_ops *ops, const struct audit_who *who)
{
	struct job **last = &s->jobs;
	while (*last)
		last = &(*last)->next;
	enter(s, job, ops, who, last);
}

void job_start_first(struct service *s, struct job *job, const struct job_ops *ops, const struct audit_who *who)
{
	enter(s, job, ops, who, &s->jobs);
}

void job_ask(struct job *job, const struct question *q, bool was_healthy)
{
	job->question = *q;
	job->question.id = job_question_id(job, QUESTION_TAG);
	job->was_healthy = was_healthy;
	job->is_asking = true;
	job->is_sent = false;
}

void job_commit(struct job *job, change_fn *fn, void *context)
{
	job->change = fn;
	job->change_context = context;
}

uint64_t job_question_id(const struct job *job, uint32_t tag)
{
	return (uint64_t)job->number << 32 | tag;
}

static void fail_job(struct job *job, const struct error *err)
{
	job->has_failed = job->is_done = true;
	job->err = *err;
}

/* ---- questions ---- */

static bool has_waiting_question(const struct service *s)
{
	for (const struct job *job = s->jobs; job; job = job->next)
		if (job->is_asking && !job->is_sent)
			return true;
	return false;
}

size_t service_room(const struct service *s)
{
	return courier_is_ready(s->courier) && !has_waiting_question(s) ? courier_room(s->courier) : 0;
}

static void hand_answer(struct job *job, const struct asked *asked)
{
	struct error err;
	job->is_asking = false;
	if (!job->ops->asked(job, asked, &err))
		fail_job(job, &err);
}

/* Nothing was sent, so there is nothing to remember of it but why. */
static void answer_without_call(struct job *job, enum verdict outcome, const char *why)
{
	struct asked asked = { .answer = { .code = NO_CODE, .at = clock_wall() } };
	asked.finding.outcome = outcome;
	asked.finding.advice = verdict_advice(outcome);
	asked.evidence = evidence_of(&asked.answer, PROBE_NONE);
	snprintf(asked.evidence.text, sizeof asked.evidence.text, "%s", why);
	hand_answer(job, &asked);
}

/* Send the job's question, or say how long to wait. */
static int64_t send_question(struct service *s, struct job *job)
{
	int64_t pause_s = breaker_pause_s(&s->breaker, clock_wall());
	if (pause_s > PAUSE_MAX_S) {
		answer_without_call(job, OUTCOME_THROTTLED, "not asked, an earlier throttle still holds");
		return 0;
	}
	if (pause_s > 0)
		return PAUSE_LOOK_MS;
	if (!courier_is_ready(s->courier))
		return ABSENCE_LOOK_MS;
	/* An answer makes room, and wakes us. */
	if (!courier_room(s->courier) || !courier_takes(s->courier, job->question.kind))
		return INT64_MAX;
	int64_t wait_ms = pace_wait_ms(&s->pace, clock_boot_ms());
	if (wait_ms > 0)
		return wait_ms;
	pace_take(&s->pace);
	job->is_sent = true;
	job->asked_at = clock_wall();
	courier_ask(s->courier, &job->question);
	return INT64_MAX;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t send_questions(struct service *s)
{
	int64_t wait_ms = INT64_MAX;
	for (struct job *job = s->jobs; job; job = job->next)
		if (job->is_asking && !job->is_sent && !job->is_done)
			wait_ms = least(wait_ms, send_question(s, job));
	return wait_ms;
}

static struct job *job_of(const struct service *s, uint64_t id)
{
	struct job *job = s->jobs;
	while (job && job->number != id >> 32)
		job = job->next;
	return job;
}

static bool take_single(struct service *s, struct job *job, const struct reply *reply, struct error *err)
{
	const struct answer *answer = &reply->answer;
	enum probe_kind kind = job->question.kind;
	struct question_context context = { .endpoint = kind == PROBE_REFRESH   ? ENDPOINT_REFRESH
							: kind == PROBE_LISTING ? ENDPOINT_PIXEL_LIST
										: ENDPOINT_EVENT_TRACK,
					    .kind = kind,
					    .was_healthy = job->was_healthy,
					    .is_list = kind == PROBE_LISTING };
	struct asked asked = { .answer = *answer, .was_called = true, .pair = reply->pair, .page = reply->page };
	asked.finding = verdict_judge(answer, &context);
	asked.evidence = evidence_of(answer, job->question.kind);
	if (asked.finding.outcome == OUTCOME_THROTTLED)
		breaker_throttled(&s->breaker, job->asked_at, clock_wall() + 1);
	else if (answer->transport == TRANSPORT_OK)
		breaker_answered(&s->breaker, job->asked_at);
	/* A pair is stored whatever else cannot be. */
	bool is_stored = service_store_breaker(s, err);
	if (is_stored || asked.pair)
		hand_answer(job, &asked);
	courier_forget_pair(s->courier);
	return is_stored || asked.pair;
}

/* The answer to a job that ended meanwhile is nobody's, and a pair of tokens that came with it is not kept. */
static bool take_reply(struct service *s, const struct reply *reply)
{
	struct job *job = job_of(s, reply->id);
	uint32_t tag = (uint32_t)reply->id;
	struct error err;
	if (!job || job->is_done) {
		if (reply->pair)
			courier_forget_pair(s->courier);
		return true;
	}
	bool is_fine = tag == QUESTION_TAG ? take_single(s, job, reply, &err)
					   : job->ops->answered(job, tag, &reply->answer, &err);
	if (!is_fine)
		fail_job(job, &err);
	return true;
}

static void take_replies(struct service *s)
{
	struct reply reply;
	while (s->courier && courier_next(s->courier, 0, &reply) && take_reply(s, &reply))
		;
}

/* ---- commits ---- */

static size_t gather_commits(struct service *s, struct change_item *items, struct job **owners)
{
	size_t count = 0;
	for (struct job *job = s->jobs; job && count < COMMITS_AT_ONCE; job = job->next)
		if (job->change && !job->is_done) {
			items[count] =
				(struct change_item){ .fn = job->change, .context = job->change_context, .who = job->who };
			owners[count++] = job;
		}
	return count;
}

/* True when there was something to commit. */
static bool commit_requests(struct service *s)
{
	struct change_item items[COMMITS_AT_ONCE];
	struct job *owners[COMMITS_AT_ONCE];
	size_t count = gather_commits(s, items, owners);
	struct error err;
	if (!count)
		return false;
	vault_change_all(s->vault, items, count);
	for (size_t i = 0; i < count; i++) {
		struct job *job = owners[i];
		job->change = NULL;
		if (!items[i].is_done && job->ops->uncommitted && job->ops->uncommitted(job, &items[i].err))
			continue;
		if (!items[i].is_done)
			fail_job(job, &items[i].err);
		else if (!job->ops->committed(job, &err))
			fail_job(job, &err);
	}
	return true;
}

/* ---- the step ---- */

static int64_t step_jobs(struct service *s)
{
	int64_t wait_ms = INT64_MAX;
	for (struct job *job = s->jobs; job; job = job->next) {
		struct error err;
		int64_t wants_ms = INT64_MAX;
		if (job->is_done || job->is_asking || job->change)
			continue;
		vault_set_who(s->vault, &job->who);
		if (!job->ops->step(job, &wants_ms, &err))
			fail_job(job, &err);
		wait_ms = least(wait_ms, wants_ms);
	}
	return wait_ms;
}

/* An `end` may start new jobs. True when one ended. */
static bool end_done_jobs(struct service *s)
{
	bool any = false;
	for (struct job **at = &s->jobs; *at;) {
		struct job *job = *at;
		if (!job->is_done) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		end_job(job);
		any = true;
		at = &s->jobs;
	}
	return any;
}

int64_t service_step(struct service *s)
{
	int64_t wait_ms;
	bool goes_on;
	do {
		take_replies(s);
		wait_ms = step_jobs(s);
		goes_on = commit_requests(s);
		wait_ms = least(wait_ms, send_questions(s));
		goes_on = end_done_jobs(s) || goes_on;
	} while (goes_on);
	if (s->courier) {
		courier_flush(s->courier);
		wait_ms = least(wait_ms, courier_wait_ms(s->courier));
	}
	return wait_ms;
}

int service_fd(const struct service *s)
{
	return s->courier ? courier_fd(s->courier) : -1;
}

bool service_is_idle(const struct service *s)
{
	return !s->jobs;
}

bool service_is_sweeping(const struct service *s)
{
	for (const struct job *job = s->jobs; job; job = job->next)
		if (job->is_sweep)
			return true;
	return false;
}

void service_stop_sweeps(struct service *s)
{
	s->is_stopping = true;
}

bool service_wind_up(struct service *s)
{
	s->is_stopping = true;
	for (struct job **at = &s->jobs; *at;) {
		struct job *job = *at;
		if (job->ops->is_irreplaceable && job->ops->is_irreplaceable(job)) {
			if (job->is_asking && !job->is_sent)
				answer_without_call(job, OUTCOME_UNREACHABLE, TXT_NOT_ASKED);
			at = &job->next;
			continue;
		}
		*at = job->next;
		cut_short(job);
	}
	return !s->jobs;
}

/* ---- one job alone: the command line ---- */

/* A signal handler can reach nothing but this; only service_drive installs it. */
static volatile sig_atomic_t is_interrupted;
static struct sigaction was_int, was_term;

/* Once: a second Ctrl-C ends us at once, as everybody expects; by whoever took it before us, if anybody did. */
static void on_interrupt(int signal)
{
	is_interrupted = 1;
	sigaction(signal, signal == SIGINT ? &was_int : &was_term, NULL);
}

static void catch_one(int signal, struct sigaction *was)
{
	struct sigaction action = { .sa_handler = on_interrupt };
	sigaction(signal, NULL, was);
	if (was->sa_handler != SIG_IGN)
		sigaction(signal, &action, NULL);
}

static void interrupts_catch(void)
{
	is_interrupted = 0;
	catch_one(SIGINT, &was_int);
	catch_one(SIGTERM, &was_term);
}

static void interrupts_release(void)
{
	sigaction(SIGINT, &was_int, NULL);
	sigaction(SIGTERM, &was_term, NULL);
}

static bool is_running(const struct service *s, uint32_t number)
{
	for (const struct job *job = s->jobs; job; job = job->next)
		if (job->number == number)
			return true;
	return false;
}

void service_drive(struct service *s, const struct job *job)
{
	uint32_t number = job->number;
	bool is_sweep = job->is_sweep;
	/* A put that is interrupted ends as it always did: at once, with the token safe as pending. */
	if (is_sweep)
		interrupts_catch();
	for (;;) {
		int64_t wait_ms = service_step(s);
		if (!is_running(s, number))
			break;
		struct pollfd event = { .fd = service_fd(s), .events = POLLIN };
		(void)poll(&event, 1, (int)least(wait_ms, SLICE_MS));
		s->is_stopping = s->is_stopping || (is_sweep && is_interrupted);
	}
	if (is_sweep)
		interrupts_release();
}

/* ---- a finding becomes the truth ---- */

static bool may_serve(const struct settlement *x, const struct credential *c)
{
	if (x->ruling == RULING_VERDICT)
		return !verdict_is_bad(x->outcome);
	return x->promote_unjudged && !credential_staged(c, STAGE_CURRENT);
}

bool service_settle(void *settlement, struct change *change, struct error *err)
{
	struct settlement *x = settlement;
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
	/* Judged while it is pending: put aside, it has no judgement of its own, and this one goes along. */
	bool is_aside = v->is_aside;
	if (is_aside && !ruling_write(&h, &c, x->version, x->ruling, x->outcome, x->evidence, x->settings))
		return true;
	/* Only while it is still the pending one: a newer put, or a sweep, may have been here since it was asked. */
	if (v->stage == STAGE_PENDING && may_serve(x, &c))
		x->is_promoted = credential_promote(&c, x->version, clock_wall());
	health_align(&h, &c);
	if (!is_aside && !ruling_write(&h, &c, x->version, x->ruling, x->outcome, x->evidence, x->settings))
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
