#include "agent/levels.h"
#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HOUR INT64_C(3600)
#define DAY (24 * HOUR)
#define BEGIN INT64_C(1793491200) /* 2026-11-01 */
#define END (BEGIN + 30 * DAY)
#define NOW (END + 2 * DAY)

static const struct levels_period november = { .from = BEGIN, .until = END, .now = NOW, .is_over = true };

static struct credential stored(int64_t at)
{
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90", .created_at = at, .version_count = 1, .last_number = 1 };
	c.versions[0] = (struct version){ .number = 1, .stage = STAGE_CURRENT, .stored_at = at, .staged_at = at };
	return c;
}

static void heard(struct health *h, int64_t at, uint32_t version, enum verdict verdict)
{
	h->history[h->history_count++] =
		(struct health_change){ .at = at, .version = version, .verdict = verdict, .probe = PROBE_TEST };
	struct judgement *j = version == h->pending.version && version ? &h->pending : &h->current;
	j->version = version;
	j->verdict = verdict;
	j->checked_at = at;
	if (verdict == VERDICT_HEALTHY)
		j->proven_at = at;
}

static struct health healthy_until(int64_t from, int64_t proven)
{
	struct health h = { .failures = 0 };
	heard(&h, from, 1, VERDICT_HEALTHY);
	h.current.proven_at = h.current.checked_at = proven;
	return h;
}

static void a_second(struct credential *c, struct health *h, int64_t at)
{
	c->versions[0].stage = STAGE_PREVIOUS;
	c->versions[0].staged_at = at;
	c->versions[1] = (struct version){ .number = 2, .stage = STAGE_CURRENT, .stored_at = at, .staged_at = at };
	c->version_count = 2;
	struct judgement old = h->current;
	h->fading[h->fading_count++] = (struct fading){
		.version = 1, .verdict = old.verdict, .proven_at = old.proven_at, .checked_at = old.checked_at,
		.refused_at = verdict_is_bad(old.verdict) ? old.checked_at : 0
	};
	h->current = (struct judgement){ .version = 2 };
}

static struct levels seen(const struct credential *c, const struct health *h)
{
	struct levels l;
	assert_true(levels_of(c, h, &november, &l));
	assert_int_equal(l.working_s + l.dead_s + l.unknown_s, END - l.from);
	return l;
}

/* NOW is the 3rd of December 2026. */
static void period__is_a_month_or_two_moments_and_nothing_else(void **state)
{
	static const struct {
		struct levels_ask ask;
		int64_t from, until; /* 0 = refused */
	} rows[] = {
		{ { .month = "2026-11" }, BEGIN, END },
		{ { .month = "2026-12" }, END, NOW },
		{ { .month = "2025-12" }, 1764547200, 1767225600 },
		{ { .since = BEGIN }, BEGIN, NOW },
		{ { .since = BEGIN, .until = END }, BEGIN, END },
		{ { .since = BEGIN, .until = NOW + DAY }, BEGIN, NOW },
		{ { .month = NULL }, BEGIN, END }, /* the last whole one */
		{ { .month = "2026-11", .since = BEGIN }, 0, 0 },
		{ { .month = "2026-11", .until = END }, 0, 0 },
		{ { .until = END }, 0, 0 },
		{ { .since = END, .until = BEGIN }, 0, 0 },
		{ { .since = NOW + DAY }, 0, 0 },
		{ { .month = "2027-01" }, 0, 0 },
		{ { .month = "2026-13" }, 0, 0 },
		{ { .month = "2026-00" }, 0, 0 },
		{ { .month = "2026-1" }, 0, 0 },
		{ { .month = "2026/11" }, 0, 0 },
		{ { .month = "20 6-11" }, 0, 0 },
		{ { .month = "2026-1x" }, 0, 0 },
		{ { .month = "9999-12" }, 0, 0 },
		{ { .month = "" }, 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct levels_period p;
		struct error err;
		bool is_good = levels_period(&rows[i].ask, NOW, &p, &err);
		if (is_good != (rows[i].from != 0) || (is_good && (p.from != rows[i].from || p.until != rows[i].until)))
			fail_msg("row %zu: %lld to %lld", i, (long long)p.from, (long long)p.until);
		assert_true(is_good || (err.code == ERR_USAGE && err.hint[0]));
	}
}

static void levels__a_token_that_works_works_until_it_was_last_proven(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - 90 * DAY);
	struct health h = healthy_until(BEGIN - 90 * DAY, NOW - HOUR);
	struct levels l = seen(&c, &h);
	assert_int_equal(l.working_s, 30 * DAY);
	h.current.proven_at = h.current.checked_at = END - 3 * HOUR;
	l = seen(&c, &h);
	assert_int_equal(l.unknown_s, 3 * HOUR);
	assert_int_equal(l.dead_s, 0);
	assert_false(l.is_cut);
}

static void levels__an_incident_is_bounded_by_last_proof_and_first_refusal(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, BEGIN + 10 * DAY);
	heard(&h, BEGIN + 10 * DAY + 6 * HOUR, 1, VERDICT_REVOKED);
	h.current.suspected_at = BEGIN + 10 * DAY + 5 * HOUR;
	struct levels l = seen(&c, &h);
	assert_int_equal(l.working_s, 10 * DAY);
	assert_int_equal(l.unknown_s, 5 * HOUR);
	assert_int_equal(l.perhaps_dead_s, 5 * HOUR);
	assert_int_equal(l.dead_s, 20 * DAY - 5 * HOUR);
	assert_int_equal(l.incident_count, 1);
	assert_int_equal(l.incidents[0].refused_at, BEGIN + 10 * DAY + 5 * HOUR);
	assert_int_equal(incident_detect_s(&l.incidents[0], &november), 6 * HOUR);
	assert_int_equal(incident_repair_s(&l.incidents[0], &november), -1);
}

static void levels__a_new_token_mends_and_what_it_replaced_keeps_its_last_proof(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, BEGIN + DAY);
	heard(&h, BEGIN + DAY + 2 * HOUR, 1, VERDICT_EXPIRED);
	a_second(&c, &h, BEGIN + DAY + 5 * HOUR);
	heard(&h, BEGIN + DAY + 5 * HOUR - 1, 2, VERDICT_HEALTHY);
	h.current.proven_at = h.current.checked_at = NOW;
	struct levels l = seen(&c, &h);
	assert_int_equal(l.dead_s, 3 * HOUR);
	assert_int_equal(l.unknown_s, 2 * HOUR);
	assert_int_equal(l.incident_count, 1);
	assert_int_equal(incident_detect_s(&l.incidents[0], &november), 2 * HOUR);
	assert_int_equal(incident_repair_s(&l.incidents[0], &november), 3 * HOUR);
	assert_int_equal(l.token_stored_at, BEGIN + DAY + 5 * HOUR);
}

static void levels__a_token_that_comes_back_hides_the_proof_before_it_broke(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, 0);
	heard(&h, BEGIN + DAY, 1, VERDICT_REVOKED);
	heard(&h, BEGIN + 2 * DAY, 1, VERDICT_HEALTHY);
	h.current.proven_at = h.current.checked_at = NOW;
	struct levels l = seen(&c, &h);
	assert_int_equal(l.dead_s, DAY);
	assert_int_equal(l.unknown_s, 0);
	assert_int_equal(l.incidents[0].proven_at, 0);
	assert_int_equal(incident_detect_s(&l.incidents[0], &november), -1);
	assert_int_equal(incident_repair_s(&l.incidents[0], &november), DAY);
}

static void levels__two_bad_verdicts_are_one_incident_and_a_dead_successor_too(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN);
	struct health h = healthy_until(BEGIN, BEGIN + HOUR);
	heard(&h, BEGIN + HOUR, 1, VERDICT_EXPIRED);
	heard(&h, BEGIN + 2 * HOUR, 1, VERDICT_REVOKED);
	a_second(&c, &h, BEGIN + 3 * HOUR);
	heard(&h, BEGIN + 4 * HOUR, 2, VERDICT_REVOKED);
	heard(&h, BEGIN + 6 * HOUR, 2, VERDICT_HEALTHY);
	h.current.proven_at = h.current.checked_at = NOW;
	struct levels l = seen(&c, &h);
	assert_int_equal(l.incident_count, 1);
	assert_int_equal(l.incidents[0].repaired_at, BEGIN + 6 * HOUR);
	/* between: nobody had asked about the new one yet */
	assert_int_equal(l.dead_s, 4 * HOUR);
	assert_int_equal(l.unknown_s, HOUR);
}

static void levels__a_refused_pending_token_is_no_incident(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, NOW);
	c.versions[1] = (struct version){ .number = 2, .stage = STAGE_PENDING, .stored_at = BEGIN + DAY, .staged_at = BEGIN + DAY };
	c.version_count = 2;
	h.pending.version = 2;
	heard(&h, BEGIN + DAY, 2, VERDICT_MALFORMED);
	struct levels l = seen(&c, &h);
	assert_int_equal(l.working_s, 30 * DAY);
	assert_int_equal(l.incident_count, 0);
	/* put aside by a newer put, it is retired and was given to nobody either */
	c.versions[1].stage = STAGE_RETIRED;
	assert_int_equal(seen(&c, &h).incident_count, 0);
}

static void levels__nor_is_one_that_was_refused_before_another_took_over(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, BEGIN + 9 * DAY);
	heard(&h, BEGIN + DAY, 2, VERDICT_MALFORMED);
	heard(&h, BEGIN + 2 * DAY, 3, VERDICT_HEALTHY);
	h.current = (struct judgement){ .version = 1, .verdict = VERDICT_HEALTHY, .proven_at = BEGIN + 9 * DAY, .checked_at = BEGIN + 9 * DAY };
	a_second(&c, &h, BEGIN + 10 * DAY);
	c.versions[1].number = 4;
	c.versions[2] = (struct version){ .number = 3, .stage = STAGE_STANDBY, .stored_at = BEGIN + 2 * DAY, .staged_at = BEGIN + 2 * DAY };
	c.version_count = 3;
	heard(&h, BEGIN + 5 * DAY, 3, VERDICT_REVOKED); /* the standby one: given to nobody */
	heard(&h, BEGIN + 10 * DAY, 4, VERDICT_HEALTHY);
	h.current.proven_at = h.current.checked_at = NOW;
	struct levels l = seen(&c, &h);
	assert_int_equal(l.incident_count, 0);
	assert_int_equal(l.working_s, 29 * DAY); /* the last one was proven a day before it was replaced */
}

static void levels__a_token_that_a_dry_probe_accepts_is_seen_to_work_though_its_proof_is_old(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, BEGIN + DAY);
	h.current.checked_at = NOW;
	struct levels l = seen(&c, &h);
	assert_int_equal(l.working_s, 30 * DAY);
	h.current.checked_at = END - DAY;
	h.current.suspected = VERDICT_REVOKED;
	h.current.suspected_at = END - HOUR;
	l = seen(&c, &h);
	assert_int_equal(l.working_s, 29 * DAY);
}

static void levels__a_token_put_after_a_long_silence_says_nothing_of_the_one_before(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, BEGIN + 2 * DAY);
	a_second(&c, &h, BEGIN + 12 * DAY);
	heard(&h, BEGIN + 12 * DAY, 2, VERDICT_HEALTHY);
	h.current.proven_at = h.current.checked_at = NOW;
	struct levels l = seen(&c, &h);
	assert_int_equal(l.working_s, 20 * DAY);
	assert_int_equal(l.unknown_s, 10 * DAY);
	assert_int_equal(l.incident_count, 0);
	/* refused once since then, as previous: its verdict stays */
	h.fading[0].checked_at = h.fading[0].refused_at = BEGIN + 13 * DAY;
	assert_int_equal(seen(&c, &h).working_s, 20 * DAY);
	h.fading[0].refused_at = 0;
	/* asked about later, because it is on its way out, it still worked */
	h.fading[0].proven_at = h.fading[0].checked_at = BEGIN + 13 * DAY;
	assert_int_equal(seen(&c, &h).working_s, 30 * DAY);
}

static struct version numbered(uint32_t number, enum stage stage, int64_t stored_at, int64_t staged_at)
{
	return (struct version){ .number = number, .stage = stage, .stored_at = stored_at, .staged_at = staged_at };
}

/* A standby token is good on day 1, the current one dies on day 5, a day later the standby one takes its place, and on day
 * 9 a third token comes. */
static void levels__a_failover_mended_it_also_when_a_third_token_came_since(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, 0);
	heard(&h, BEGIN + DAY, 2, VERDICT_HEALTHY);
	heard(&h, BEGIN + 5 * DAY, 1, VERDICT_REVOKED);
	heard(&h, BEGIN + 6 * DAY, 2, VERDICT_HEALTHY);
	heard(&h, BEGIN + 9 * DAY, 3, VERDICT_HEALTHY);
	c.versions[0] = numbered(1, STAGE_RETIRED, BEGIN - DAY, BEGIN + 9 * DAY);
	c.versions[1] = numbered(2, STAGE_PREVIOUS, BEGIN, BEGIN + 9 * DAY);
	c.versions[2] = numbered(3, STAGE_CURRENT, BEGIN + 9 * DAY, BEGIN + 9 * DAY);
	c.version_count = 3;
	h.fading[0] = (struct fading){ .version = 1, .verdict = VERDICT_REVOKED, .proven_at = BEGIN + 5 * DAY - HOUR };
	h.fading[1] = (struct fading){ .version = 2, .verdict = VERDICT_HEALTHY, .proven_at = BEGIN + 9 * DAY - HOUR,
				       .checked_at = BEGIN + 9 * DAY - HOUR };
	h.fading_count = 2;
	h.current = (struct judgement){ .version = 3, .verdict = VERDICT_HEALTHY, .proven_at = NOW, .checked_at = NOW };
	struct levels l = seen(&c, &h);
	assert_int_equal(l.incident_count, 1);
	assert_int_equal(l.dead_s, DAY);
	assert_int_equal(l.unknown_s, 2 * HOUR);
	assert_int_equal(l.perhaps_dead_s, HOUR);
	assert_int_equal(incident_detect_s(&l.incidents[0], &november), HOUR);
	assert_int_equal(incident_repair_s(&l.incidents[0], &november), DAY);
}

/* A second token comes on day 1 and dies on day 3; the first is brought back on day 4; a third comes on day 9. */
static void levels__a_rollback_mended_it_also_when_a_third_token_came_since(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, 0);
	heard(&h, BEGIN + DAY, 2, VERDICT_HEALTHY);
	heard(&h, BEGIN + 3 * DAY, 2, VERDICT_REVOKED);
	heard(&h, BEGIN + 4 * DAY, 1, VERDICT_HEALTHY);
	heard(&h, BEGIN + 9 * DAY, 3, VERDICT_HEALTHY);
	c.versions[0] = numbered(1, STAGE_PREVIOUS, BEGIN - DAY, BEGIN + 9 * DAY);
	c.versions[1] = numbered(2, STAGE_RETIRED, BEGIN + DAY, BEGIN + 9 * DAY);
	c.versions[2] = numbered(3, STAGE_CURRENT, BEGIN + 9 * DAY, BEGIN + 9 * DAY);
	c.version_count = 3;
	h.current = (struct judgement){ .version = 3, .verdict = VERDICT_HEALTHY, .proven_at = NOW, .checked_at = NOW };
	struct levels l = seen(&c, &h);
	assert_int_equal(l.incident_count, 1);
	assert_int_equal(l.dead_s, DAY);
	assert_int_equal(incident_repair_s(&l.incidents[0], &november), DAY);
}

static void levels__a_standby_token_takes_over_when_it_is_brought_in(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, BEGIN + 9 * DAY);
	heard(&h, BEGIN + DAY, 2, VERDICT_HEALTHY);
	h.current = (struct judgement){ .version = 1, .proven_at = BEGIN + 9 * DAY };
	heard(&h, BEGIN + 10 * DAY, 1, VERDICT_REVOKED);
	a_second(&c, &h, BEGIN + 11 * DAY);
	h.current = (struct judgement){ .version = 2, .verdict = VERDICT_HEALTHY, .proven_at = NOW, .checked_at = NOW };
	struct levels l = seen(&c, &h);
	assert_int_equal(l.dead_s, DAY);
	assert_int_equal(l.incidents[0].repaired_at, BEGIN + 11 * DAY);
	assert_int_equal(l.working_s, 28 * DAY);
}

static void levels__a_rollback_mends(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, BEGIN + DAY);
	heard(&h, BEGIN + DAY, 2, VERDICT_HEALTHY);
	heard(&h, BEGIN + 2 * DAY, 2, VERDICT_REVOKED);
	c.versions[0].staged_at = BEGIN + 3 * DAY;
	c.versions[1] = (struct version){ .number = 2, .stage = STAGE_PREVIOUS, .stored_at = BEGIN + DAY, .staged_at = BEGIN + 3 * DAY };
	c.version_count = 2;
	h.current = (struct judgement){ .version = 1, .verdict = VERDICT_HEALTHY, .proven_at = NOW, .checked_at = NOW };
	struct levels l = seen(&c, &h);
	assert_int_equal(l.dead_s, DAY);
	assert_int_equal(l.incident_count, 1);
	assert_int_equal(incident_repair_s(&l.incidents[0], &november), DAY);
}

static void levels__an_incident_counts_where_it_was_noticed_or_mended(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - 9 * DAY);
	struct health h = healthy_until(BEGIN - 9 * DAY, BEGIN - 2 * DAY);
	heard(&h, BEGIN - DAY, 1, VERDICT_REVOKED);
	a_second(&c, &h, END + HOUR);
	heard(&h, END + HOUR, 2, VERDICT_HEALTHY);
	h.current.proven_at = h.current.checked_at = NOW;
	struct levels l = seen(&c, &h);
	assert_int_equal(l.dead_s, 30 * DAY);
	assert_int_equal(l.incident_count, 1);
	assert_int_equal(incident_detect_s(&l.incidents[0], &november), -1);
	assert_int_equal(incident_repair_s(&l.incidents[0], &november), -1);
	struct levels_period whole = { .from = BEGIN - 9 * DAY, .until = NOW, .now = NOW };
	assert_int_equal(incident_detect_s(&l.incidents[0], &whole), DAY);
	assert_int_equal(incident_repair_s(&l.incidents[0], &whole), 31 * DAY + HOUR);
}

static void levels__a_pixel_put_in_the_middle_counts_from_then_on(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN + 20 * DAY);
	struct health h = healthy_until(BEGIN + 20 * DAY + 60, NOW);
	struct levels l = seen(&c, &h);
	assert_int_equal(l.from, BEGIN + 20 * DAY);
	assert_int_equal(l.working_s, 10 * DAY - 60);
	assert_int_equal(l.unknown_s, 60);
	c.created_at = END;
	assert_false(levels_of(&c, &h, &november, &l));
}

static void levels__what_was_dropped_is_not_known(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - 90 * DAY);
	struct health h = { .failures = 0 };
	for (int i = 0; i < HEALTH_HISTORY_MAX; i++)
		heard(&h, BEGIN + (10 + i) * DAY, 1, i % 2 ? VERDICT_HEALTHY : VERDICT_REVOKED);
	struct levels l = seen(&c, &h);
	assert_true(l.is_cut);
	assert_int_equal(l.known_since, BEGIN + 10 * DAY);
	assert_int_equal(l.incident_count, 8);
	assert_int_equal(l.dead_s, 8 * DAY);
	assert_int_equal(l.working_s, 7 * DAY);
	assert_int_equal(l.unknown_s, 15 * DAY);
}

static void levels__a_pixel_nobody_asked_about_is_not_known(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = { .current = { .version = 1 } };
	struct levels l = seen(&c, &h);
	assert_int_equal(l.unknown_s, 30 * DAY);
	assert_int_equal(l.known_since, 0);
}

static void levels__times_that_are_not_in_order_count_nothing_twice(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN + 40 * DAY, NOW);
	heard(&h, BEGIN + 2 * DAY, 1, VERDICT_REVOKED);
	heard(&h, BEGIN + 3 * DAY, 1, VERDICT_HEALTHY);
	h.current.proven_at = h.current.checked_at = NOW + 900 * DAY;
	struct levels l = seen(&c, &h);
	assert_true(l.is_clock_unsure);
	assert_int_equal(l.dead_s, DAY);
	assert_int_equal(l.working_s, 27 * DAY);
	assert_int_equal(l.unknown_s, 2 * DAY);
}

static void levels__a_pair_that_is_renewed_no_more_is_not_called_dead(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, BEGIN + DAY);
	heard(&h, BEGIN + DAY, 1, VERDICT_EXPIRED);
	h.history[1].probe = PROBE_REFRESH;
	struct levels l = seen(&c, &h);
	assert_int_equal(l.dead_s, 0);
	assert_int_equal(l.unknown_s, 29 * DAY);
}

/* Its end is known, so what comes after is not waited for. */
static const struct levels_period until_now = { .from = BEGIN, .until = NOW, .now = NOW };

static void levels__a_pixel_from_the_future_has_no_time_yet(void **state)
{
	(void)state;
	struct credential c = stored(NOW + DAY); /* by a clock that was ahead */
	struct health h = healthy_until(NOW + DAY, NOW + DAY);
	struct levels l;
	assert_true(levels_of(&c, &h, &until_now, &l));
	assert_int_equal(l.from, NOW);
	assert_int_equal(l.working_s + l.dead_s + l.unknown_s, 0);
	assert_true(l.is_clock_unsure);
	assert_false(levels_of(&c, &h, &november, &l));
}

static void levels__what_ended_before_or_began_after_is_no_incident_of_it(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - 90 * DAY);
	struct health h = { .failures = 0 };
	heard(&h, BEGIN - 80 * DAY, 1, VERDICT_HEALTHY);
	heard(&h, BEGIN - 60 * DAY, 1, VERDICT_REVOKED);
	heard(&h, BEGIN - 50 * DAY, 1, VERDICT_HEALTHY);
	heard(&h, END + DAY, 1, VERDICT_REVOKED);
	struct levels l = seen(&c, &h);
	assert_int_equal(l.incident_count, 0);
	assert_int_equal(l.dead_s, 0);
}

static void levels__the_first_second_of_a_month_is_not_the_last_ones(void **state)
{
	(void)state;
	struct levels_period p;
	struct error err;
	struct credential c = stored(BEGIN - 90 * DAY), fresh = stored(END);
	struct health h = healthy_until(BEGIN - 80 * DAY, END - HOUR), none = { .failures = 0 };
	struct levels l;
	heard(&h, END, 1, VERDICT_REVOKED);
	assert_true(levels_period(&(struct levels_ask){ .month = NULL }, END, &p, &err));
	assert_int_equal(p.until, END);
	assert_true(levels_of(&c, &h, &p, &l));
	assert_int_equal(l.incident_count, 0);
	assert_false(levels_of(&fresh, &none, &p, &l));
	/* That second is in what lasts until now. */
	assert_true(levels_period(&(struct levels_ask){ .since = BEGIN }, END, &p, &err));
	assert_true(levels_of(&c, &h, &p, &l));
	assert_int_equal(l.incident_count, 1);
	assert_true(levels_of(&fresh, &none, &p, &l));
}

static void levels__a_first_token_that_waits_is_the_one_that_speaks(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = { .pending = { .version = 1 } };
	c.versions[0].stage = STAGE_PENDING;
	heard(&h, BEGIN - DAY, 1, VERDICT_HEALTHY);
	heard(&h, BEGIN + 10 * DAY, 1, VERDICT_REVOKED);
	struct levels l = seen(&c, &h);
	assert_int_equal(l.token_stored_at, 0); /* none is in use */
	assert_int_equal(l.dead_s, 20 * DAY);
	assert_int_equal(l.incident_count, 1);
	assert_int_equal(l.incidents[0].version, 1);
}

/* Of a full history the beginning is not known: a refused token that nobody has any more may never have been in use. */
static void levels__a_full_history_is_read_with_care(void **state)
{
	static const struct {
		enum stage stage;
		bool was_in_use;
	} rows[] = { { STAGE_RETIRED, false }, { STAGE_PREVIOUS, true } };
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct credential c = stored(BEGIN - 200 * DAY);
		struct health h = { .failures = 0 };
		c.version_count = 2;
		c.versions[0].stage = rows[i].stage;
		c.versions[1] = (struct version){ .number = 2, .stage = STAGE_CURRENT, .stored_at = BEGIN + 20 * DAY, .staged_at = BEGIN + 20 * DAY };
		for (size_t k = 0; k < HEALTH_HISTORY_MAX; k++)
			h.history[h.history_count++] = (struct health_change){ .at = BEGIN + (int64_t)k * HOUR, .version = 1,
									      .verdict = k % 2 ? VERDICT_EXPIRED : VERDICT_REVOKED,
									      .probe = PROBE_TEST };
		h.current = (struct judgement){ .version = 2 };
		struct levels l = seen(&c, &h);
		assert_false(l.is_cut); /* it goes back to the beginning of the month all the same */
		assert_int_equal(l.dead_s > 0, rows[i].was_in_use);
		h.history[0].at++;
		l = seen(&c, &h);
		assert_true(l.is_cut);
	}
}

static void levels__of_what_gave_way_the_last_good_answer_is_its_proof(void **state)
{
	(void)state;
	struct credential c = stored(BEGIN - DAY);
	struct health h = healthy_until(BEGIN - DAY, BEGIN + 2 * DAY);
	a_second(&c, &h, BEGIN + 10 * DAY);
	heard(&h, BEGIN + 10 * DAY, 2, VERDICT_HEALTHY);
	h.fading[0].checked_at = BEGIN + 8 * DAY;
	struct levels l = seen(&c, &h);
	int64_t working = l.working_s;
	h.fading[0].verdict = VERDICT_REVOKED; /* the later answer was no good one */
	l = seen(&c, &h);
	assert_int_equal(working - l.working_s, 6 * DAY);
}

static void levels__sums_stay_within_what_can_be_counted(void **state)
{
	struct levels_sums sums = { .pixels = 0 };
	struct levels l = { .from = BEGIN, .working_s = INT64_MAX / 2, .dead_s = INT64_MAX / 2, .weight = 1000 };
	struct error err;
	(void)state;
	for (int i = 0; i < 4; i++)
		assert_true(levels_add(&sums, &l, &november, &err));
	assert_true(sums.working_s > 0 && sums.dead_s > 0);
	assert_int_equal(sums.pixels, 4);
	levels_sums_done(&sums);
}

static void levels__sums_and_ages(void **state)
{
	(void)state;
	struct levels_sums sums = LEVELS_SUMS_INIT;
	struct levels_ages ages;
	struct error err;
	static const int64_t old[] = { 400 * DAY, 91 * DAY, 181 * DAY, 90 * DAY };
	for (size_t i = 0; i < 4; i++) {
		struct levels l = { .weight = 2500, .dead_s = HOUR, .perhaps_dead_s = HOUR, .token_stored_at = NOW - old[i] };
		assert_int_equal(levels_at_risk_s(&l), 9000);
		assert_true(levels_add(&sums, &l, &november, &err));
	}
	assert_int_equal(sums.at_risk_s, 36000);
	assert_int_equal(sums.at_risk_most_s, 72000);
	levels_ages(&sums, &ages);
	assert_int_equal(ages.median_s, 91 * DAY);
	assert_int_equal(ages.oldest_s, 400 * DAY);
	assert_int_equal(ages.over_90d, 3);
	assert_int_equal(ages.over_180d, 2);
	assert_int_equal(ages.over_365d, 1);
	levels_sums_done(&sums);
	levels_sums_done(&sums);
}

static void assert_period(const struct levels_ask *ask, int64_t from, int64_t until)
{
	struct levels_period p;
	struct error err;
	assert_true(levels_period(ask, NOW, &p, &err));
	assert_int_equal(p.from, from);
	assert_int_equal(p.until, until);
}

static void levels__periods(void **state)
{
	(void)state;
	assert_period(&(struct levels_ask){ .since = 0 }, BEGIN, END);
	assert_period(&(struct levels_ask){ .month = "2026-11" }, BEGIN, END);
	assert_period(&(struct levels_ask){ .month = "2026-12" }, END, NOW);
	assert_period(&(struct levels_ask){ .since = 5 }, 5, NOW);
	assert_period(&(struct levels_ask){ .since = 5, .until = NOW + 9 }, 5, NOW);
	static const struct levels_ask bad[] = { { .month = "2026-13" },  { .month = "2026-00" }, { .month = "2026-1" },
						 { .month = "2026-+1" },  { .month = "" },	  { .month = "2027-01" },
						 { .month = "2026-11x" }, { .until = 9 },	  { .since = 9, .until = 9 },
						 { .since = NOW },	  { .since = 5, .month = "2026-11" } };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct levels_period p;
		struct error err;
		assert_false(levels_period(&bad[i], NOW, &p, &err));
		assert_int_equal(err.code, ERR_USAGE);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(period__is_a_month_or_two_moments_and_nothing_else),
		cmocka_unit_test(levels__a_token_that_works_works_until_it_was_last_proven),
		cmocka_unit_test(levels__an_incident_is_bounded_by_last_proof_and_first_refusal),
		cmocka_unit_test(levels__a_new_token_mends_and_what_it_replaced_keeps_its_last_proof),
		cmocka_unit_test(levels__a_token_that_comes_back_hides_the_proof_before_it_broke),
		cmocka_unit_test(levels__two_bad_verdicts_are_one_incident_and_a_dead_successor_too),
		cmocka_unit_test(levels__a_refused_pending_token_is_no_incident),
		cmocka_unit_test(levels__nor_is_one_that_was_refused_before_another_took_over),
		cmocka_unit_test(levels__a_token_that_a_dry_probe_accepts_is_seen_to_work_though_its_proof_is_old),
		cmocka_unit_test(levels__a_token_put_after_a_long_silence_says_nothing_of_the_one_before),
		cmocka_unit_test(levels__a_failover_mended_it_also_when_a_third_token_came_since),
		cmocka_unit_test(levels__a_rollback_mended_it_also_when_a_third_token_came_since),
		cmocka_unit_test(levels__a_standby_token_takes_over_when_it_is_brought_in),
		cmocka_unit_test(levels__a_rollback_mends),
		cmocka_unit_test(levels__an_incident_counts_where_it_was_noticed_or_mended),
		cmocka_unit_test(levels__a_pixel_put_in_the_middle_counts_from_then_on),
		cmocka_unit_test(levels__what_was_dropped_is_not_known),
		cmocka_unit_test(levels__a_pixel_nobody_asked_about_is_not_known),
		cmocka_unit_test(levels__times_that_are_not_in_order_count_nothing_twice),
		cmocka_unit_test(levels__a_pair_that_is_renewed_no_more_is_not_called_dead),
		cmocka_unit_test(levels__a_pixel_from_the_future_has_no_time_yet),
		cmocka_unit_test(levels__what_ended_before_or_began_after_is_no_incident_of_it),
		cmocka_unit_test(levels__the_first_second_of_a_month_is_not_the_last_ones),
		cmocka_unit_test(levels__a_first_token_that_waits_is_the_one_that_speaks),
		cmocka_unit_test(levels__a_full_history_is_read_with_care),
		cmocka_unit_test(levels__of_what_gave_way_the_last_good_answer_is_its_proof),
		cmocka_unit_test(levels__sums_stay_within_what_can_be_counted),
		cmocka_unit_test(levels__sums_and_ages),
		cmocka_unit_test(levels__periods),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
