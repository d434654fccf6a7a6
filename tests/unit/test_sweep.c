/* Scripted histories of an API that misbehaves, at no speed at all: the sweep decides, the test is TikTok and the
 * clock. */
#include "agent/detective.h"
#include "agent/ruling.h"
#include "agent/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1795406706)
#define PAIRS_MAX 64

/* A sweep and the world around it: what each pair is answered, and what came of it. */
struct world {
	struct sweep sweep;
	struct pair pairs[PAIRS_MAX];
	struct finding first[PAIRS_MAX], second[PAIRS_MAX]; /* by target */
	unsigned times_asked[PAIRS_MAX];
	enum ruling ruling[PAIRS_MAX]; /* the last */
	bool was_fresh[PAIRS_MAX];
	int64_t asked_ms[PAIRS_MAX][4];
	uint32_t order[4 * PAIRS_MAX];
	size_t order_count, open_max;
	int64_t now_ms;
	uint32_t outages;
	size_t all; /* while it grows: how many there will be */
};

static const struct finding proven = { VERDICT_HEALTHY, 0, "6", NULL }, unproven = { VERDICT_UNPROVEN, 0, "20b", NULL },
			    expired = { VERDICT_EXPIRED, 0, "12", NULL }, revoked = { VERDICT_REVOKED, 0, "10", NULL },
			    mismatched = { VERDICT_MISMATCHED, 0, "14", NULL },
			    throttled = { OUTCOME_THROTTLED, 0, "4", NULL },
			    unreachable = { OUTCOME_UNREACHABLE, 0, "2", NULL },
			    unknown = { OUTCOME_UNKNOWN, 0, "24", NULL },
			    about_it = { OUTCOME_UNKNOWN, FINDING_ABOUT_THE_PAIR, "20", NULL },
			    our_fault = { OUTCOME_UNKNOWN, FINDING_NOT_THE_PAIR, "3", NULL };

static struct world *world_new(size_t count, enum verdict was, struct finding answer)
{
	struct world *w = calloc(1, sizeof *w);
	struct sweep_limits limits = { .rate = 1000, .in_flight = 4, .confirm_delay_ms = 5000 };
	assert_non_null(w);
	w->now_ms = 1000000;
	for (size_t i = 0; i < count; i++) {
		w->pairs[i] = (struct pair){ .target = (uint32_t)i, .version = 1, .was = was };
		w->pairs[i].proven_at = was == VERDICT_HEALTHY ? NOW - 100 : 0;
		w->first[i] = w->second[i] = answer;
	}
	sweep_init(&w->sweep, w->pairs, count, &limits, w->now_ms);
	return w;
}

static int64_t wall(const struct world *w)
{
	return NOW + (w->now_ms - 1000000) / 1000;
}

static void answer(struct world *w, size_t i)
{
	struct pair *p = &w->pairs[i];
	const struct finding *f = w->times_asked[p->target] > 1 ? &w->second[p->target] : &w->first[p->target];
	w->ruling[p->target] = sweep_answer(&w->sweep, i, f, f->outcome != OUTCOME_UNREACHABLE, w->now_ms, wall(w));
}

/* Ask as much as the sweep wants, answer the oldest question, and let time pass when there is nothing else to do. */
static void run(struct world *w)
{
	size_t open[PAIRS_MAX], count = 0;
	for (int guard = 0; guard < 100000; guard++) {
		struct sweep_step step = sweep_next(&w->sweep, w->now_ms, wall(w));
		if (w->sweep.is_growing && step.act == SWEEP_ACT_WAIT)
			sweep_grow(&w->sweep, w->pairs, w->sweep.count + 1, w->sweep.count + 1 == w->all);
		if (step.act == SWEEP_ACT_DONE) {
			assert_int_equal(count, 0);
			assert_false(w->sweep.is_growing);
			sweep_settle(&w->sweep, &w->outages);
			return;
		}
		if (step.act == SWEEP_ACT_ASK) {
			uint32_t target = w->pairs[step.pair].target;
			w->asked_ms[target][w->times_asked[target]++] = w->now_ms;
			w->was_fresh[target] = step.is_fresh;
			w->order[w->order_count++] = target;
			open[count++] = step.pair;
			w->open_max = count > w->open_max ? count : w->open_max;
		} else if (count) {
			answer(w, open[0]);
			memmove(open, open + 1, --count * sizeof open[0]);
		} else {
			assert_true(step.wait_ms > 0);
			w->now_ms += step.wait_ms;
		}
	}
	fail_msg("the sweep does not end");
}

static enum ruling held_ruling(const struct world *w, uint32_t target)
{
	for (size_t i = 0; i < w->sweep.count; i++)
		if (w->pairs[i].target == target)
			return sweep_held_ruling(&w->sweep, &w->pairs[i]);
	return RULING_NONE;
}

/* ---- the walk ---- */

static void sweep__asks_everyone_once_when_all_is_well(void **state)
{
	(void)state;
	struct world *w = world_new(40, VERDICT_HEALTHY, proven);
	run(w);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	assert_int_equal(w->order_count, 40);
	assert_int_equal(w->open_max, 4);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(w->ruling[i], RULING_VERDICT);
	free(w);
}

/* Of its pairs it has the first one, and gets the others while it waits. */
static struct world *growing(size_t count, enum verdict was, struct finding answer)
{
	struct world *w = world_new(count, was, answer);
	struct sweep_limits limits = w->sweep.limits;
	w->all = count;
	sweep_init(&w->sweep, w->pairs, 1, &limits, w->now_ms);
	w->sweep.is_growing = true;
	return w;
}

static void sweep__that_grows_asks_everyone_once(void **state)
{
	(void)state;
	struct world *w = growing(40, VERDICT_HEALTHY, proven);
	w->second[0] = w->first[0] = revoked; /* a dead canary moves on to whoever comes next */
	run(w);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	assert_int_equal(w->order_count, 41);
	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(w->times_asked[i], i == 0 ? 2 : 1);
		assert_int_equal(w->ruling[i], RULING_VERDICT);
	}
	free(w);
}

static void sweep__that_grows_looks_for_another_canary_among_all(void **state)
{
	(void)state;
	struct world *w = growing(40, VERDICT_HEALTHY, proven);
	w->first[0] = w->second[0] = revoked;
	w->first[1] = unknown; /* it would end the sweep */
	w->pairs[1].was_unclear = true;
	w->pairs[39].proven_at++;
	run(w);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	assert_int_equal(w->order[0], 0);
	assert_int_equal(w->order[1], 39);
	assert_int_equal(w->order_count, 41);
	free(w);
}

static void sweep__that_grows_is_not_over_before_it_is_grown(void **state)
{
	(void)state;
	struct world *w = growing(40, VERDICT_HEALTHY, unreachable);
	run(w);
	assert_int_equal(w->sweep.end, SWEEP_CANARY);
	assert_int_equal(w->order_count, 1);
	assert_int_equal(w->sweep.count, 40);
	free(w);
}

static void sweep__of_nothing_is_done_at_once(void **state)
{
	(void)state;
	struct world *w = world_new(0, VERDICT_HEALTHY, proven);
	run(w);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	free(w);
}

static void sweep__the_canary_is_the_pair_proven_last_and_goes_alone(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_HEALTHY, unreachable);
	w->pairs[7].proven_at = NOW - 1;
	sweep_init(&w->sweep, w->pairs, 10, &w->sweep.limits, w->now_ms);
	run(w);
	assert_int_equal(w->order_count, 1);
	assert_int_equal(w->order[0], 7);
	assert_int_equal(w->sweep.end, SWEEP_CANARY);
	assert_int_equal(w->ruling[7], RULING_TRANSIENT);
	free(w);
}

static void sweep__what_is_our_fault_ends_it(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_HEALTHY, our_fault);
	run(w);
	assert_int_equal(w->order_count, 1);
	assert_int_equal(w->sweep.end, SWEEP_CANARY);
	free(w);
}

static void sweep__a_canary_refused_for_a_reason_of_its_own_moves_on_to_the_next(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_HEALTHY, about_it);
	run(w);
	assert_int_equal(w->order_count, 10);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	free(w);
}

static void sweep__a_canary_that_is_not_understood_ends_it_but_not_the_next_one(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_HEALTHY, proven);
	w->first[4] = unknown;
	w->pairs[4].proven_at = NOW;
	sweep_init(&w->sweep, w->pairs, 10, &w->sweep.limits, w->now_ms);
	run(w);
	assert_int_equal(w->order_count, 1);
	assert_int_equal(w->sweep.end, SWEEP_CANARY);
	free(w);
	w = world_new(10, VERDICT_HEALTHY, proven);
	w->first[4] = unknown;
	w->pairs[4].proven_at = NOW;
	w->pairs[4].was_unclear = true;
	sweep_init(&w->sweep, w->pairs, 10, &w->sweep.limits, w->now_ms);
	run(w);
	assert_int_equal(w->order_count, 10);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	free(w);
}

static void sweep__a_dead_canary_moves_on_and_is_looked_at_again(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_HEALTHY, proven);
	w->pairs[3].proven_at = NOW;
	w->first[3] = w->second[3] = expired;
	sweep_init(&w->sweep, w->pairs, 10, &w->sweep.limits, w->now_ms);
	run(w);
	assert_int_equal(w->order[0], 3);
	assert_int_equal(w->order_count, 11);
	assert_int_equal(w->ruling[3], RULING_VERDICT);
	free(w);
}

static void sweep__nobody_there_any_more_ends_it(void **state)
{
	(void)state;
	struct world *w = world_new(60, VERDICT_HEALTHY, unreachable);
	w->first[0] = proven;
	run(w);
	assert_int_equal(w->sweep.end, SWEEP_CANARY);
	assert_in_range(w->order_count, SWEEP_SILENCE_MAX, SWEEP_SILENCE_MAX + 5);
	free(w);
}

static void sweep__keeps_its_rate(void **state)
{
	(void)state;
	struct world *w = world_new(20, VERDICT_HEALTHY, proven);
	w->sweep.limits.rate = 5;
	sweep_init(&w->sweep, w->pairs, 20, &w->sweep.limits, w->now_ms);
	run(w);
	assert_int_equal(w->now_ms, 1000000 + 19 * 200);
	free(w);
}

/* ---- one bad answer is none ---- */

static void sweep__a_refusal_stands_only_after_a_second_look_on_a_fresh_connection(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_HEALTHY, proven);
	w->first[5] = revoked;
	w->second[5] = expired; /* another word for the same loss */
	run(w);
	assert_int_equal(w->times_asked[5], 2);
	assert_true(w->was_fresh[5]);
	assert_true(w->asked_ms[5][1] - w->asked_ms[5][0] >= 5000);
	assert_int_equal(w->ruling[5], RULING_VERDICT);
	assert_int_equal(w->pairs[5].outcome, VERDICT_EXPIRED);
	free(w);
}

static void sweep__second_looks_share_one_wait(void **state)
{
	(void)state;
	struct world *w = world_new(60, VERDICT_HEALTHY, proven);
	for (size_t i = 1; i < 11; i++)
		w->first[i] = w->second[i] = revoked;
	run(w);
	assert_int_equal(w->order_count, 70);
	assert_in_range(w->now_ms - 1000000, 5000, 5200);
	free(w);
}

static void sweep__a_second_look_that_disagrees_leaves_the_verdict(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_UNPROVEN, unproven);
	w->first[5] = w->first[6] = w->first[7] = w->first[8] = revoked;
	w->second[5] = unproven;
	w->second[6] = mismatched;
	w->second[7] = unreachable;
	w->second[8] = proven;
	run(w);
	assert_int_equal(w->ruling[5], RULING_DISAGREED);
	assert_int_equal(w->ruling[6], RULING_SUSPECT);
	assert_int_equal(w->ruling[7], RULING_TRANSIENT);
	assert_int_equal(w->ruling[8], RULING_VERDICT);
	for (size_t i = 5; i < 9; i++)
		assert_int_equal(w->times_asked[i], 2);
	free(w);
}

static void sweep__what_was_known_to_be_bad_needs_no_second_look(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_REVOKED, revoked);
	w->first[9] = w->second[9] = expired; /* it is told again, after a second look */
	run(w);
	assert_int_equal(w->order_count, 11);
	assert_int_equal(w->ruling[0], RULING_VERDICT);
	assert_int_equal(w->ruling[9], RULING_VERDICT);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	free(w);
}

static void sweep__a_suspicion_left_by_an_earlier_sweep_counts_as_the_first_look(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_HEALTHY, proven);
	for (size_t i = 3; i < 7; i++) {
		w->pairs[i].suspected = VERDICT_REVOKED;
		w->pairs[i].suspected_at = NOW - 60;
		w->first[i] = w->second[i] = revoked;
	}
	w->pairs[4].suspected_at = NOW - 1;      /* too fresh to count */
	w->first[5] = w->second[5] = mismatched; /* another matter */
	w->first[6] = proven;
	run(w);
	assert_int_equal(w->times_asked[3], 1);
	assert_true(w->was_fresh[3]);
	assert_int_equal(w->ruling[3], RULING_VERDICT);
	assert_int_equal(w->times_asked[4], 2);
	assert_int_equal(w->times_asked[5], 2);
	assert_int_equal(w->ruling[6], RULING_VERDICT);
	free(w);
}

/* ---- outage or loss ---- */

static void sweep__most_turning_bad_at_once_is_an_outage_until_the_third_time(void **state)
{
	(void)state;
	for (uint32_t before = 0; before < 3; before++) {
		struct world *w = world_new(9, VERDICT_HEALTHY, revoked);
		for (size_t i = 0; i < 4; i++)
			w->first[i] = unproven;
		w->sweep.limits.outages = before;
		run(w);
		bool stands = before == 2;
		assert_int_equal(w->sweep.is_outage, !stands);
		assert_int_equal(w->sweep.end, stands ? SWEEP_COMPLETE : SWEEP_OUTAGE);
		assert_int_equal(w->outages, stands ? 0 : before + 1);
		assert_int_equal(held_ruling(w, 8), stands ? RULING_VERDICT : RULING_OUTAGE);
		assert_int_equal(held_ruling(w, 0), RULING_NONE);
		free(w);
	}
}

static void sweep__of_the_schedule_leaves_the_second_look_to_a_later_one(void **state)
{
	(void)state;
	struct world *w = world_new(6, VERDICT_HEALTHY, proven);
	w->first[5] = w->second[5] = revoked;
	w->sweep.limits.confirms_later = true;
	run(w);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(w->times_asked[i], 1);
	assert_int_equal(w->ruling[5], RULING_SUSPECT);
	assert_int_equal(held_ruling(w, 5), RULING_NONE);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	free(w);
	/* The later one: the suspicion is old enough, and the others work. */
	w = world_new(6, VERDICT_HEALTHY, proven);
	w->first[5] = w->second[5] = revoked;
	w->pairs[5].suspected = VERDICT_REVOKED;
	w->pairs[5].suspected_at = NOW - 10;
	w->sweep.limits.confirms_later = true;
	run(w);
	assert_true(w->ruling[5] == RULING_VERDICT || held_ruling(w, 5) == RULING_VERDICT);
	free(w);
}

static void sweep__of_the_schedule_sees_an_outage_in_its_controls(void **state)
{
	(void)state;
	/* One suspect whose time has come, and four that worked until now: all refused. */
	struct world *w = world_new(5, VERDICT_HEALTHY, revoked);
	w->pairs[4].suspected = VERDICT_REVOKED;
	w->pairs[4].suspected_at = NOW - 10;
	w->sweep.limits.confirms_later = true;
	run(w);
	assert_true(w->sweep.is_outage);
	assert_int_equal(held_ruling(w, 4), RULING_OUTAGE);
	assert_int_equal(w->outages, 1);
	free(w);
}

static void sweep__half_or_less_or_two_is_no_outage(void **state)
{
	(void)state;
	struct world *w = world_new(8, VERDICT_HEALTHY, revoked);
	for (size_t i = 0; i < 4; i++)
		w->first[i] = unproven;
	run(w);
	assert_false(w->sweep.is_outage);
	assert_int_equal(held_ruling(w, 7), RULING_VERDICT);
	free(w);
	w = world_new(2, VERDICT_HEALTHY, revoked);
	run(w);
	assert_false(w->sweep.is_outage);
	assert_int_equal(held_ruling(w, 1), RULING_VERDICT);
	free(w);
}

static void sweep__one_proof_shows_that_tiktok_is_well(void **state)
{
	(void)state;
	struct world *w = world_new(9, VERDICT_HEALTHY, revoked);
	w->first[8] = proven;
	w->sweep.limits.outages = 1;
	run(w);
	assert_false(w->sweep.is_outage);
	assert_int_equal(w->outages, 0);
	for (uint32_t i = 0; i < 8; i++)
		assert_true(w->ruling[i] == RULING_VERDICT || held_ruling(w, i) == RULING_VERDICT);
	free(w);
}

static void sweep__what_was_bad_before_does_not_make_an_outage(void **state)
{
	(void)state;
	struct world *w = world_new(9, VERDICT_REVOKED, revoked);
	run(w);
	assert_false(w->sweep.is_outage);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	free(w);
}

/* ---- the breaker ---- */

static void sweep__a_throttle_in_the_middle_is_waited_out_once(void **state)
{
	(void)state;
	struct world *w = world_new(20, VERDICT_HEALTHY, proven);
	w->first[6] = throttled;
	run(w);
	assert_int_equal(w->sweep.end, SWEEP_COMPLETE);
	assert_int_equal(w->order_count, 20);
	assert_int_equal(w->ruling[6], RULING_TRANSIENT);
	assert_true(w->now_ms - 1000000 >= 1000);
	free(w);
}

static void sweep__a_second_throttle_ends_it_and_the_rest_is_not_asked(void **state)
{
	(void)state;
	struct world *w = world_new(20, VERDICT_HEALTHY, throttled);
	w->first[0] = proven;
	run(w);
	assert_int_equal(w->sweep.end, SWEEP_BREAKER);
	assert_true(w->order_count < 12);
	assert_int_equal(w->sweep.breaker.throttles, 2);
	free(w);
}

static void sweep__an_open_breaker_is_waited_for_or_respected(void **state)
{
	(void)state;
	struct world *w = world_new(3, VERDICT_HEALTHY, proven);
	w->sweep.breaker = (struct breaker){ 1, NOW, NOW + 4 };
	run(w);
	assert_int_equal(w->order_count, 3);
	assert_true(w->asked_ms[w->order[0]][0] >= 1000000 + 4000);
	free(w);
	w = world_new(3, VERDICT_HEALTHY, proven);
	w->sweep.breaker = (struct breaker){ 2, NOW, NOW + 300 };
	run(w);
	assert_int_equal(w->order_count, 0);
	assert_int_equal(w->sweep.end, SWEEP_BREAKER);
	free(w);
}

static void sweep__stopped_it_asks_nothing_more(void **state)
{
	(void)state;
	struct world *w = world_new(10, VERDICT_HEALTHY, proven);
	sweep_stop(&w->sweep, SWEEP_INTERRUPTED);
	run(w);
	assert_int_equal(w->order_count, 0);
	assert_int_equal(w->sweep.end, SWEEP_INTERRUPTED);
	free(w);
}

/* ---- rulings ---- */

static struct evidence at(int64_t when)
{
	return (struct evidence){ .probe = PROBE_DRY, .code = 40002, .http = 200, .at = when };
}

static void ruling__nothing_transient_touches_the_verdict(void **state)
{
	(void)state;
	struct judgement j = { .version = 1, .verdict = VERDICT_HEALTHY, .checked_at = 5, .proven_at = 5 };
	struct evidence e = at(NOW);
	static const struct {
		enum ruling ruling;
		enum verdict outcome, last;
	} cases[] = { { RULING_TRANSIENT, OUTCOME_THROTTLED, OUTCOME_THROTTLED },
		      { RULING_SUSPECT, VERDICT_REVOKED, VERDICT_REVOKED },
		      { RULING_DISAGREED, VERDICT_UNPROVEN, VERDICT_UNPROVEN },
		      { RULING_OUTAGE, VERDICT_REVOKED, OUTCOME_UNREACHABLE } };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ruling_apply(&j, cases[i].ruling, cases[i].outcome, &e);
		assert_int_equal(j.verdict, VERDICT_HEALTHY);
		assert_int_equal(j.checked_at, 5);
		assert_int_equal(j.last_outcome, cases[i].last);
		assert_int_equal(j.attempted_at, NOW);
		assert_int_equal(j.suspected, cases[i].ruling == RULING_SUSPECT ? VERDICT_REVOKED : VERDICT_UNCHECKED);
	}
}

static void ruling__a_dry_answer_never_takes_healthy_but_ends_a_bad_verdict(void **state)
{
	(void)state;
	struct judgement j = { .version = 1, .verdict = VERDICT_HEALTHY, .proven_at = 5 };
	struct evidence e = at(NOW);
	ruling_apply(&j, RULING_VERDICT, VERDICT_UNPROVEN, &e);
	assert_int_equal(j.verdict, VERDICT_HEALTHY);
	assert_int_equal(j.checked_at, NOW);
	assert_int_equal(j.proven_at, 5);
	assert_int_equal(j.evidence.at, 0);
	j.verdict = VERDICT_MISMATCHED;
	strcpy(j.belongs_to, "C9AAAAAAAAAAAAAAAAA0");
	ruling_apply(&j, RULING_VERDICT, VERDICT_UNPROVEN, &e);
	assert_int_equal(j.verdict, VERDICT_UNPROVEN);
	assert_string_equal(j.belongs_to, "");
}

static void ruling__speaks_only_of_versions_that_are_served_or_wait(void **state)
{
	(void)state;
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90", .version_count = 3 };
	struct health h = { 0 };
	struct settings settings = { .interval_s = 3600 };
	struct evidence e = at(NOW);
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_PREVIOUS };
	c.versions[1] = (struct version){ .number = 2, .stage = STAGE_CURRENT };
	c.versions[2] = (struct version){ .number = 3, .stage = STAGE_PENDING };
	assert_false(ruling_write(&h, &c, 1, RULING_VERDICT, VERDICT_EXPIRED, &e, &settings));
	assert_true(ruling_write(&h, &c, 2, RULING_VERDICT, VERDICT_EXPIRED, &e, &settings));
	assert_true(ruling_write(&h, &c, 3, RULING_TRANSIENT, OUTCOME_UNREACHABLE, &e, &settings));
	assert_int_equal(h.current.verdict, VERDICT_EXPIRED);
	assert_int_equal(h.pending.version, 3);
	assert_int_equal(h.pending.verdict, VERDICT_UNCHECKED);
	assert_int_equal(h.history_count, 1);
	assert_int_equal(h.failures, 1);
	assert_int_equal(h.next_check_at, NOW + 60);
}

/* ---- the detective ---- */

static void detective__a_dry_answer_names_nobody_unless_a_dry_one_refused(void **state)
{
	(void)state;
	assert_true(detective_convicts(PROBE_TEST, PROBE_TEST, VERDICT_HEALTHY));
	assert_true(detective_convicts(PROBE_DRY, PROBE_TEST, VERDICT_HEALTHY));
	assert_true(detective_convicts(PROBE_DRY, PROBE_DRY, VERDICT_UNPROVEN));
	assert_false(detective_convicts(PROBE_TEST, PROBE_DRY, VERDICT_UNPROVEN));
	assert_false(detective_convicts(PROBE_DRY, PROBE_DRY, VERDICT_MISMATCHED));
	assert_false(detective_convicts(PROBE_DRY, PROBE_DRY, OUTCOME_THROTTLED));
}

static void detective__looks_first_where_a_token_is_missing_and_at_nobody_twice(void **state)
{
	(void)state;
	struct detective *d = calloc(1, sizeof *d);
	struct credential c = { .version_count = 1 };
	struct health h = { .current = { .version = 1 } };
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_CURRENT };
	static const enum verdict verdicts[] = { VERDICT_HEALTHY, VERDICT_UNPROVEN, VERDICT_MISMATCHED };
	for (size_t i = 0; i < 3; i++) {
		snprintf(c.pixel, sizeof c.pixel, "C9AAAAAAAAAAAAAAAA%zu0", i);
		h.current.verdict = verdicts[i];
		detective_consider(d, &c, &h);
	}
	assert_string_equal(d->candidates[LIKELY_NOT][0].pixel, "C9AAAAAAAAAAAAAAAA00");
	assert_string_equal(d->candidates[LIKELY_IN_NEED][0].pixel, "C9AAAAAAAAAAAAAAAA10");
	assert_string_equal(d->candidates[LIKELY_SWAPPED][0].pixel, "C9AAAAAAAAAAAAAAAA20");
	detective_point(d, "C9AAAAAAAAAAAAAAAA10", "");
	assert_string_equal(d->candidates[LIKELY_NOW][0].pixel, "C9AAAAAAAAAAAAAAAA10");
	assert_string_equal(d->candidates[LIKELY_IN_NEED][0].pixel, "");
	for (size_t i = 0; i < 200; i++)
		detective_consider(d, &c, &h);
	assert_int_equal(d->counts[LIKELY_SWAPPED], DETECTIVE_BUDGET_SWEEP + 1);
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sweep__asks_everyone_once_when_all_is_well),
		cmocka_unit_test(sweep__that_grows_asks_everyone_once),
		cmocka_unit_test(sweep__that_grows_looks_for_another_canary_among_all),
		cmocka_unit_test(sweep__that_grows_is_not_over_before_it_is_grown),
		cmocka_unit_test(sweep__of_nothing_is_done_at_once),
		cmocka_unit_test(sweep__the_canary_is_the_pair_proven_last_and_goes_alone),
		cmocka_unit_test(sweep__what_is_our_fault_ends_it),
		cmocka_unit_test(sweep__a_canary_refused_for_a_reason_of_its_own_moves_on_to_the_next),
		cmocka_unit_test(sweep__a_canary_that_is_not_understood_ends_it_but_not_the_next_one),
		cmocka_unit_test(sweep__a_dead_canary_moves_on_and_is_looked_at_again),
		cmocka_unit_test(sweep__nobody_there_any_more_ends_it),
		cmocka_unit_test(sweep__keeps_its_rate),
		cmocka_unit_test(sweep__a_refusal_stands_only_after_a_second_look_on_a_fresh_connection),
		cmocka_unit_test(sweep__second_looks_share_one_wait),
		cmocka_unit_test(sweep__a_second_look_that_disagrees_leaves_the_verdict),
		cmocka_unit_test(sweep__what_was_known_to_be_bad_needs_no_second_look),
		cmocka_unit_test(sweep__a_suspicion_left_by_an_earlier_sweep_counts_as_the_first_look),
		cmocka_unit_test(sweep__most_turning_bad_at_once_is_an_outage_until_the_third_time),
		cmocka_unit_test(sweep__of_the_schedule_leaves_the_second_look_to_a_later_one),
		cmocka_unit_test(sweep__of_the_schedule_sees_an_outage_in_its_controls),
		cmocka_unit_test(sweep__half_or_less_or_two_is_no_outage),
		cmocka_unit_test(sweep__one_proof_shows_that_tiktok_is_well),
		cmocka_unit_test(sweep__what_was_bad_before_does_not_make_an_outage),
		cmocka_unit_test(sweep__a_throttle_in_the_middle_is_waited_out_once),
		cmocka_unit_test(sweep__a_second_throttle_ends_it_and_the_rest_is_not_asked),
		cmocka_unit_test(sweep__an_open_breaker_is_waited_for_or_respected),
		cmocka_unit_test(sweep__stopped_it_asks_nothing_more),
		cmocka_unit_test(ruling__nothing_transient_touches_the_verdict),
		cmocka_unit_test(ruling__a_dry_answer_never_takes_healthy_but_ends_a_bad_verdict),
		cmocka_unit_test(ruling__speaks_only_of_versions_that_are_served_or_wait),
		cmocka_unit_test(detective__a_dry_answer_names_nobody_unless_a_dry_one_refused),
		cmocka_unit_test(detective__looks_first_where_a_token_is_missing_and_at_nobody_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
