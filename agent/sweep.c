#include "agent/sweep.h"

#define NO_PAIR SIZE_MAX
#define LONG_WAIT_MS 60000
#define PAUSE_LOOK_MS 100 /* the pause ends with a wall clock second: look often enough to be there */

/* The better canary: proven later; among those never proven one that is not bad, so that a dead token does not stand
 * first in line for ever. */
static bool is_better_canary(const struct pair *a, const struct pair *b)
{
	bool a_bad = verdict_is_bad(a->was), b_bad = verdict_is_bad(b->was);
	if (a_bad != b_bad)
		return b_bad;
	/* An odd answer about one Pixel, which ends a sweep, must not end every sweep to come. */
	if (a->was_unclear != b->was_unclear)
		return b->was_unclear;
	return a->proven_at > b->proven_at;
}

/* Of those who were not asked yet. */
static void bring_canaries(struct sweep *s)
{
	struct pair *pairs = s->pairs;
	size_t end = s->next + SWEEP_CANARIES;
	for (size_t front = s->next; front < end && front < s->count; front++) {
		size_t best = front;
		for (size_t i = front + 1; i < s->count; i++)
			if (is_better_canary(&pairs[i], &pairs[best]))
				best = i;
		struct pair moved = pairs[best];
		pairs[best] = pairs[front];
		pairs[front] = moved;
	}
}

void sweep_init(struct sweep *s, struct pair *pairs, size_t count, const struct sweep_limits *limits, int64_t now_ms)
{
	*s = (struct sweep){ .pairs = pairs, .count = count, .limits = *limits };
	s->suspect_head = s->suspect_tail = NO_PAIR;
	pace_init(&s->pace, limits->rate, now_ms);
	bring_canaries(s);
}

void sweep_grow(struct sweep *s, struct pair *pairs, size_t count, bool is_all)
{
	s->pairs = pairs;
	s->count = count;
	s->is_growing = !is_all;
	if (is_all && !s->is_canary_done)
		bring_canaries(s);
}

void sweep_stop(struct sweep *s, enum sweep_end why)
{
	if (!s->is_ended)
		s->end = why;
	s->is_ended = true;
}

/* ---- what next ---- */

static struct sweep_step wait_for(int64_t ms)
{
	return (struct sweep_step){ .act = SWEEP_ACT_WAIT, .wait_ms = ms };
}

static bool is_suspect_ready(const struct sweep *s, int64_t now_ms)
{
	return s->is_canary_done && s->suspect_head != NO_PAIR && s->pairs[s->suspect_head].confirm_at_ms <= now_ms;
}

/* The next pair that may be asked now, or NO_PAIR. Second looks first: their time has come, and they are few. */
static size_t candidate(const struct sweep *s, int64_t now_ms)
{
	if (is_suspect_ready(s, now_ms))
		return s->suspect_head;
	/* Who is the next best canary is known when all are there. */
	if (s->is_growing && s->next && !s->is_canary_done)
		return NO_PAIR;
	return s->next < s->count ? s->next : NO_PAIR;
}

static struct sweep_step ask(struct sweep *s, size_t i, int64_t now)
{
	struct pair *p = &s->pairs[i];
	bool is_second = p->state == PAIR_SUSPECT;
	if (is_second) {
		s->suspect_head = p->next_suspect;
		p->state = PAIR_CONFIRMING;
	} else {
		s->next++;
		s->asked++;
		p->state = PAIR_ASKED;
	}
	p->asked_at = now;
	s->in_flight++;
	pace_take(&s->pace);
	return (struct sweep_step){ SWEEP_ACT_ASK, i, is_second || p->suspected != VERDICT_UNCHECKED, 0 };
}

static struct sweep_step idle(const struct sweep *s, int64_t now_ms)
{
	if (s->in_flight || s->is_growing)
		return wait_for(LONG_WAIT_MS);
	if (s->is_ended || s->suspect_head == NO_PAIR)
		return (struct sweep_step){ .act = SWEEP_ACT_DONE };
	int64_t ms = s->pairs[s->suspect_head].confirm_at_ms - now_ms;
	return wait_for(ms > 0 ? ms : 0);
}

struct sweep_step sweep_next(struct sweep *s, int64_t now_ms, int64_t now)
{
	/* One canary that nobody follows is an ordinary pair: its second look may come. */
	if (!s->is_canary_done && s->next == s->count && !s->in_flight && !s->is_growing)
		s->is_canary_done = true;
	size_t i = s->is_ended ? NO_PAIR : candidate(s, now_ms);
	if (i == NO_PAIR)
		return idle(s, now_ms);
	int64_t pause_s = breaker_pause_s(&s->breaker, now);
	if (pause_s > SWEEP_PAUSE_MAX_S) {
		sweep_stop(s, SWEEP_BREAKER);
		return idle(s, now_ms);
	}
	if (pause_s > 0)
		return wait_for(PAUSE_LOOK_MS);
	if (s->in_flight >= (s->is_canary_done ? s->limits.in_flight : 1))
		return wait_for(LONG_WAIT_MS);
	int64_t pace_ms = pace_wait_ms(&s->pace, now_ms);
	return pace_ms > 0 ? wait_for(pace_ms) : ask(s, i, now);
}

/* ---- what an answer means ---- */

/* "expired" and "revoked" are two words for one loss; "expired" and "mismatched" contradict each other. */
static bool agree(enum verdict a, enum verdict b)
{
	return verdict_is_bad(a) && verdict_is_bad(b) && verdict_exit(a) == verdict_exit(b);
}

static enum ruling suspect(struct sweep *s, size_t i, int64_t now_ms)
{
	struct pair *p = &s->pairs[i];
	if (s->limits.confirms_later) {
		p->state = PAIR_DONE;
		s->turned += !verdict_is_bad(p->was);
		return RULING_SUSPECT;
	}
	p->state = PAIR_SUSPECT;
	p->first = p->outcome;
	p->confirm_at_ms = now_ms + s->limits.confirm_delay_ms;
	p->next_suspect = NO_PAIR;
	if (s->suspect_head == NO_PAIR)
		s->suspect_head = i;
	else
		s->pairs[s->suspect_tail].next_suspect = i;
	s->suspect_tail = i;
	return RULING_SUSPECT;
}

/* Refused twice. What stands at once: a change from one bad verdict to another, and a loss while another pair was
 * proven, so that TikTok is well. A mismatch is always held: whose token it is shall be known when it is told. */
static enum ruling confirmed(struct sweep *s, struct pair *p)
{
	bool has_turned = !verdict_is_bad(p->was);
	s->turned += has_turned;
	bool is_sure = !has_turned || s->proven > 0;
	p->state = is_sure && p->outcome != VERDICT_MISMATCHED ? PAIR_DONE : PAIR_HELD;
	return p->state == PAIR_DONE ? RULING_VERDICT : RULING_NONE;
}

static enum ruling refused(struct sweep *s, size_t i, int64_t now_ms, int64_t now)
{
	struct pair *p = &s->pairs[i];
	if (p->state == PAIR_CONFIRMING && agree(p->first, p->outcome))
		return confirmed(s, p);
	if (p->state == PAIR_CONFIRMING || p->outcome == p->was) {
		enum ruling ruling = p->outcome == p->was ? RULING_VERDICT : RULING_SUSPECT;
		p->state = PAIR_DONE;
		return ruling;
	}
	int64_t since_ms = (now - p->suspected_at) * 1000;
	if (agree(p->suspected, p->outcome) && since_ms >= s->limits.confirm_delay_ms)
		return confirmed(s, p);
	return suspect(s, i, now_ms);
}

static enum ruling accepted(struct sweep *s, struct pair *p)
{
	/* A proof is a proof, but a dry "not refuted" against a refusal leaves us as wise as before. */
	bool is_contradiction = p->state == PAIR_CONFIRMING && p->outcome != VERDICT_HEALTHY;
	s->proven += p->outcome == VERDICT_HEALTHY;
	p->state = PAIR_DONE;
	return is_contradiction ? RULING_DISAGREED : RULING_VERDICT;
}

/* What ends the sweep early. A throttle in its middle does not: that is the breaker's affair. */
static void count_transient(struct sweep *s, const struct finding *finding)
{
	bool concerns_all = finding->flags & FINDING_NOT_THE_PAIR;
	bool is_about_pair = finding->flags & FINDING_ABOUT_THE_PAIR;
	s->transient++;
	s->silence = finding->outcome == OUTCOME_UNREACHABLE ? s->silence + 1 : 0;
	if (concerns_all || (!s->is_canary_done && !is_about_pair) || s->silence >= SWEEP_SILENCE_MAX)
		sweep_stop(s, SWEEP_CANARY);
}

static void move_canary(struct sweep *s, enum verdict outcome)
{
	bool is_answered = !verdict_is_bad(outcome) && !verdict_is_transient(outcome);
	if (is_answered || ++s->canaries >= SWEEP_CANARIES)
		s->is_canary_done = true;
}

enum ruling sweep_answer(struct sweep *s, size_t i, const struct finding *finding, bool is_reply, int64_t now_ms,
			 int64_t now)
{
	struct pair *p = &s->pairs[i];
	bool was_first_look = p->state == PAIR_ASKED;
	enum ruling ruling;
	s->in_flight--;
	s->answered += was_first_look;
	p->outcome = finding->outcome;
	/* Wall time has whole seconds: one more makes sure that a pause is never shorter than it says. */
	if (p->outcome == OUTCOME_THROTTLED)
		breaker_throttled(&s->breaker, p->asked_at, now + 1);
	else if (is_reply)
		breaker_answered(&s->breaker, p->asked_at);
	if (verdict_is_transient(p->outcome)) {
		p->state = PAIR_DONE;
		count_transient(s, finding);
		ruling = RULING_TRANSIENT;
	} else {
		s->silence = 0;
		ruling = verdict_is_bad(p->outcome) ? refused(s, i, now_ms, now) : accepted(s, p);
	}
	if (!s->is_canary_done)
		move_canary(s, p->outcome);
	return ruling;
}

void sweep_drop(struct sweep *s, size_t i)
{
	struct pair *p = &s->pairs[i];
	s->in_flight--;
	if (p->state == PAIR_ASKED) {
		s->asked--;
		s->answered++;
	}
	p->state = PAIR_DONE;
	p->outcome = VERDICT_UNCHECKED;
}

/* ---- outage or loss? ---- */

void sweep_settle(struct sweep *s, uint32_t *ret_outages)
{
	bool looks_like_outage = s->turned >= 3 && s->turned * 2 > s->asked && s->proven == 0;
	s->is_outage = looks_like_outage && s->limits.outages + 1 < SWEEP_OUTAGES_AGREE;
	*ret_outages = s->limits.outages;
	if (s->proven > 0)
		*ret_outages = 0;
	if (s->is_ended)
		return;
	if (s->is_outage) {
		s->end = SWEEP_OUTAGE;
		*ret_outages = s->limits.outages + 1;
	} else if (looks_like_outage || s->asked >= 3) {
		*ret_outages = 0;
	}
}

enum ruling sweep_held_ruling(const struct sweep *s, const struct pair *p)
{
	if (p->state != PAIR_HELD)
		return RULING_NONE;
	if (!s->is_outage || verdict_is_bad(p->was))
		return RULING_VERDICT;
	/* Half a sweep cannot tell: the suspicion written down at the first look stays, and a later sweep confirms it.
	 */
	return s->is_ended ? RULING_NONE : RULING_OUTAGE;
}
