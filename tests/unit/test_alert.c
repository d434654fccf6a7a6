/* What is told, to whom and when: histories in, messages out. */
#include "tests/support/failing.h"

#include "agent/alert.h"
#include "agent/gravity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef fail

#define MINUTE 60
#define HOUR 3600
#define DAY 86400
#define NOON 1800000000

struct world {
	struct alerts *a;
	int64_t now;
	/* told so far */
	size_t sent, raised, reminders, recoveries;
	struct alert_due last;
};

static uint64_t drawn;
static uint64_t draw(void)
{
	return ++drawn * 0x1234567u;
}

static void sinks(struct world *w, size_t count, int64_t remind_s)
{
	struct alert_sink s[3] = { { "ops", SEVERITY_INFO, remind_s },
				   { "pager", SEVERITY_CRITICAL, remind_s },
				   { "mail", SEVERITY_INFO, remind_s } };
	alerts_set_sinks(w->a, s, count);
}

static void begin(struct world *w)
{
	struct error err;
	*w = (struct world){ .now = NOON };
	assert_true(alerts_new(&w->a, &err));
	sinks(w, 1, 0);
}

static void end(struct world *w)
{
	alerts_free(w->a);
}

struct pixel {
	char code[24];
	struct label labels[2];
	size_t label_count;
	enum verdict verdict;
	int64_t step; /* 0 = not due */
};

static struct pixel *pixels_new(size_t count)
{
	struct pixel *p = calloc(count, sizeof *p);
	assert_non_null(p);
	for (size_t i = 0; i < count; i++) {
		snprintf(p[i].code, sizeof p[i].code, "C%019zu", i * 7919 % 1000003);
		p[i].verdict = VERDICT_HEALTHY;
	}
	return p;
}

static void give(struct pixel *p, size_t from, size_t to, const char *key, const char *value)
{
	for (size_t i = from; i < to; i++) {
		struct label *label = &p[i].labels[p[i].label_count++];
		snprintf(label->key, sizeof label->key, "%s", key);
		snprintf(label->value, sizeof label->value, "%s", value);
	}
}

static void turn(struct pixel *p, size_t from, size_t to, enum verdict verdict)
{
	for (size_t i = from; i < to; i++)
		p[i].verdict = verdict;
}

static struct alert_fact fact_of(const struct world *w, const struct pixel *p)
{
	struct alert_fact f = {
		.pixel = p->code, .labels = p->labels, .label_count = p->label_count, .weight = WEIGHT_ONE, .version = 1
	};
	if (verdict_is_bad(p->verdict)) {
		f.kind = ALERT_KIND_REFUSED;
		f.verdict = p->verdict;
		f.since = w->now;
	} else if (p->step) {
		f.kind = ALERT_KIND_DUE;
		f.step = p->step;
		f.since = w->now;
	}
	return f;
}

static bool look(struct world *w, const struct pixel *p, size_t count)
{
	struct error err;
	bool has_changed = false;
	assert_true(alerts_begin(w->a, &err));
	for (size_t i = 0; i < count; i++) {
		struct alert_fact f = fact_of(w, &p[i]);
		assert_true(alerts_note(w->a, &f, &err));
	}
	assert_true(alerts_end(w->a, draw, w->now, &has_changed, &err));
	return has_changed;
}

static void answer(struct world *w, const struct alert_due *due, enum alert_outcome outcome)
{
	alerts_done(w->a, due, &(struct alert_answer){ outcome, 0, "" }, w->now);
}

/* All that is owed arrives. */
static size_t deliver(struct world *w)
{
	struct alert_due due;
	size_t count = 0;
	while (alerts_next(w->a, w->now, &due)) {
		answer(w, &due, ALERT_DELIVERED);
		w->raised += due.event == ALERT_RAISED;
		w->reminders += due.event == ALERT_REMINDER;
		w->recoveries += due.event == ALERT_RECOVERY;
		w->last = due;
		count++;
	}
	w->sent += count;
	return count;
}

static size_t tick(struct world *w, int64_t seconds)
{
	w->now += seconds;
	(void)alerts_tick(w->a, w->now);
	return deliver(w);
}

static const struct cause *last_cause(const struct world *w)
{
	return alerts_find(w->a, w->last.key);
}

/* ---- one message a cause ---- */

static void test_a_person_leaving_is_one_alert_that_names_the_label(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(100);
	(void)state;
	begin(&w);
	give(p, 0, 40, "minted-by", "anna");
	give(p, 0, 100, "env", "prod");
	assert_false(look(&w, p, 100));
	assert_int_equal(deliver(&w), 0);
	turn(p, 0, 40, VERDICT_REVOKED);
	assert_true(look(&w, p, 100));
	assert_int_equal(deliver(&w), 1);
	assert_true(last_cause(&w)->has_label);
	assert_string_equal(last_cause(&w)->label.key, "minted-by");
	assert_string_equal(last_cause(&w)->label.value, "anna");
	assert_int_equal(last_cause(&w)->bad, 40);
	assert_false(look(&w, p, 100)); /* known already */
	assert_int_equal(deliver(&w), 0);
	turn(p, 0, 39, VERDICT_HEALTHY);
	w.now += HOUR;
	assert_true(look(&w, p, 100));
	assert_int_equal(deliver(&w), 0); /* one is left */
	turn(p, 39, 40, VERDICT_UNPROVEN);
	assert_true(look(&w, p, 100));
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(w.last.event, ALERT_RECOVERY);
	free(p);
	end(&w);
}

static void test_forty_of_a_hundred_with_the_one_label_are_one_alert_too(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(100);
	(void)state;
	begin(&w);
	give(p, 0, 100, "owner", "anna");
	turn(p, 30, 70, VERDICT_EXPIRED);
	assert_true(look(&w, p, 100));
	assert_int_equal(deliver(&w), 1);
	assert_string_equal(last_cause(&w)->label.value, "anna");
	free(p);
	end(&w);
}

static void test_what_has_nothing_to_do_with_it_is_a_cause_of_its_own(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(100);
	(void)state;
	begin(&w);
	give(p, 0, 40, "minted-by", "anna");
	give(p, 40, 100, "minted-by", "bert");
	turn(p, 0, 42, VERDICT_REVOKED);
	turn(p, 50, 51, VERDICT_MISMATCHED);
	assert_true(look(&w, p, 100));
	assert_int_equal(deliver(&w), 3); /* anna's; two of bert's; the mismatched one */
	assert_int_equal(w.a->cause_count, 3);
	assert_int_equal(w.a->causes[0].bad, 40);
	assert_int_equal(w.a->causes[1].bad, 2);
	free(p);
	end(&w);
}

static void test_labels_of_which_each_pixel_has_its_own_explain_nothing(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(500);
	char value[24];
	(void)state;
	begin(&w);
	for (size_t i = 0; i < 500; i++) {
		snprintf(value, sizeof value, "shop-%zu", i / 4);
		give(p, i, i + 1, "shop", value);
	}
	for (size_t i = 0; i < 500; i += 2)
		turn(p, i, i + 1, VERDICT_REVOKED);
	assert_true(look(&w, p, 500));
	assert_int_equal(deliver(&w), 1);
	assert_false(last_cause(&w)->has_label);
	free(p);
	end(&w);
}

static void test_who_dies_one_by_one_is_told_ever_more_rarely_and_the_label_is_learnt(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(100);
	(void)state;
	begin(&w);
	give(p, 0, 40, "minted-by", "anna");
	for (size_t i = 0; i < 40; i++) {
		turn(p, i, i + 1, VERDICT_REVOKED);
		assert_true(look(&w, p, 100));
		(void)deliver(&w);
		w.now += 9 * MINUTE;
	}
	(void)tick(&w, HOUR);
	assert_in_range(w.sent, 6, 11); /* of forty */
	assert_int_equal(w.a->cause_count, 1);
	assert_string_equal(w.a->causes[0].label.value, "anna");
	assert_int_equal(w.a->causes[0].told_count, 40);
	free(p);
	end(&w);
}

static void test_one_more_is_told_within_an_hour_however_often_it_grew(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(10);
	(void)state;
	begin(&w);
	for (size_t i = 0; i < 10; i++) {
		turn(p, i, i + 1, VERDICT_REVOKED);
		assert_true(look(&w, p, 10));
		size_t at_once = deliver(&w);
		assert_int_equal(at_once + tick(&w, HOUR), 1);
	}
	free(p);
	end(&w);
}

/* ---- what flaps ---- */

static void test_a_storm_is_few_messages_and_the_last_one_is_true(void **state)
{
	struct world w;
	size_t count = getenv("UNDER_VALGRIND") ? 500 : 10000;
	struct pixel *p = pixels_new(count);
	char value[24];
	(void)state;
	begin(&w);
	for (size_t i = 0; i < count; i++) {
		snprintf(value, sizeof value, "shop-%zu", i % 300);
		give(p, i, i + 1, "shop", value);
	}
	for (int round = 0; round < 10; round++) {
		turn(p, 0, count, VERDICT_REVOKED);
		(void)look(&w, p, count);
		(void)deliver(&w);
		w.now += MINUTE;
		turn(p, 0, count, VERDICT_HEALTHY);
		(void)look(&w, p, count);
		(void)deliver(&w);
		w.now += MINUTE;
	}
	(void)tick(&w, 6 * HOUR);
	assert_in_range(w.sent, 2, 6);
	assert_int_equal(w.raised, w.recoveries);
	assert_int_equal(w.last.event, ALERT_RECOVERY);
	assert_true(alerts_is_quiet(w.a));
	(void)tick(&w, 2 * DAY);
	assert_int_equal(w.a->cause_count, 0);
	assert_int_equal(w.a->member_count, 0);
	free(p);
	end(&w);
}

static void test_a_storm_of_random_ones_is_few_messages_too(void **state)
{
	struct world w;
	size_t count = 1000;
	struct pixel *p = pixels_new(count);
	(void)state;
	begin(&w);
	srandom(7);
	for (int round = 0; round < 60; round++) {
		for (size_t i = 0; i < count; i++)
			p[i].verdict = random() % 3 ? VERDICT_HEALTHY : VERDICT_EXPIRED;
		(void)look(&w, p, count);
		(void)deliver(&w);
		w.now += 5 * MINUTE;
	}
	turn(p, 0, count, VERDICT_HEALTHY);
	(void)look(&w, p, count);
	(void)deliver(&w);
	(void)tick(&w, 6 * HOUR);
	assert_in_range(w.sent, 2, 12);
	assert_int_equal(w.recoveries, w.a->cause_count);
	assert_true(alerts_is_quiet(w.a));
	free(p);
	end(&w);
}

static void test_one_that_comes_back_is_the_same_cause_and_is_believed_later_each_time(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(1);
	(void)state;
	begin(&w);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 1);
	assert_int_equal(deliver(&w), 1);
	uint64_t key = w.last.key;
	turn(p, 0, 1, VERDICT_HEALTHY);
	(void)look(&w, p, 1);
	assert_int_equal(deliver(&w), 1); /* the first time at once */
	for (int64_t hold = 10 * MINUTE; hold <= 40 * MINUTE; hold *= 2) {
		turn(p, 0, 1, VERDICT_EXPIRED);
		(void)look(&w, p, 1);
		assert_int_equal(deliver(&w), 1);
		assert_int_equal(w.last.event, ALERT_RAISED);
		assert_true(w.last.key == key);
		turn(p, 0, 1, VERDICT_HEALTHY);
		(void)look(&w, p, 1);
		assert_int_equal(deliver(&w), 0);
		assert_int_equal(alerts_next_at(w.a, w.now), w.now + hold);
		assert_int_equal(tick(&w, hold - 1), 0);
		assert_int_equal(tick(&w, 1), 1);
		assert_int_equal(w.last.event, ALERT_RECOVERY);
	}
	assert_int_equal(last_cause(&w)->again, 3);
	free(p);
	end(&w);
}

/* ---- one trouble turns into another ---- */

static void test_what_gets_worse_is_no_recovery(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(2);
	(void)state;
	begin(&w);
	p[0].step = 14 * DAY;
	(void)look(&w, p, 2);
	assert_int_equal(deliver(&w), 1);
	p[0].step = 3 * DAY;
	(void)look(&w, p, 2);
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(w.last.event, ALERT_RAISED);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 2);
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(w.last.event, ALERT_RAISED);
	assert_int_equal(last_cause(&w)->kind, ALERT_KIND_REFUSED);
	turn(p, 0, 1, VERDICT_HEALTHY);
	p[0].step = 0;
	(void)look(&w, p, 2);
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(w.recoveries, 1);
	free(p);
	end(&w);
}

static void test_a_verdict_that_changes_from_bad_to_bad_is_no_news(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(2);
	(void)state;
	begin(&w);
	turn(p, 0, 2, VERDICT_EXPIRED);
	(void)look(&w, p, 2);
	assert_int_equal(deliver(&w), 1);
	turn(p, 0, 2, VERDICT_REVOKED);
	(void)look(&w, p, 2);
	assert_int_equal(deliver(&w), 0);
	free(p);
	end(&w);
}

static void note_stand_in(struct world *w, enum alert_kind kind, uint32_t version)
{
	struct error err;
	bool has_changed;
	struct alert_fact f = { .pixel = "C0000000000000000000", .kind = kind, .version = version, .since = w->now };
	assert_true(alerts_begin(w->a, &err));
	assert_true(alerts_note(w->a, &f, &err));
	assert_true(alerts_end(w->a, draw, w->now, &has_changed, &err));
}

static void test_an_older_token_stands_in_until_another_one_serves(void **state)
{
	struct world w;
	(void)state;
	begin(&w);
	note_stand_in(&w, ALERT_KIND_STAND_IN, 2);
	assert_int_equal(deliver(&w), 1);
	note_stand_in(&w, ALERT_KIND_NONE, 2); /* the record of the dead one is gone */
	assert_int_equal(deliver(&w), 0);
	struct alert_fact same = { .pixel = "C0000000000000000000", .version = 2 };
	struct alert_fact other = { .pixel = "C0000000000000000000", .version = 4 };
	assert_false(alerts_is_news(w.a, &same));
	assert_true(alerts_is_news(w.a, &other));
	note_stand_in(&w, ALERT_KIND_NONE, 4);
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(w.last.event, ALERT_RECOVERY);
	end(&w);
}

static void test_a_pixel_that_was_removed_ends_its_cause(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(2);
	(void)state;
	begin(&w);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 2);
	assert_int_equal(deliver(&w), 1);
	assert_true(look(&w, p + 1, 1));
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(w.last.event, ALERT_RECOVERY);
	free(p);
	end(&w);
}

static void test_what_concerns_no_pixel_is_told_and_ends(void **state)
{
	struct world w;
	struct error err;
	bool has_changed;
	(void)state;
	begin(&w);
	assert_true(alerts_begin(w.a, &err));
	assert_true(alerts_note_general(w.a, ALERT_KIND_BLIND, w.now - DAY, &err));
	assert_true(alerts_end(w.a, draw, w.now, &has_changed, &err));
	assert_true(has_changed);
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(last_cause(&w)->since, w.now - DAY);
	assert_true(look(&w, NULL, 0));
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(w.last.event, ALERT_RECOVERY);
	end(&w);
}

/* ---- people ---- */

static void test_reminders_come_until_somebody_acknowledges(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(1);
	(void)state;
	begin(&w);
	sinks(&w, 1, DAY);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 1);
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(alerts_next_at(w.a, w.now), w.now + DAY);
	assert_int_equal(tick(&w, DAY - 1), 0);
	assert_int_equal(tick(&w, 1), 1);
	assert_int_equal(w.last.event, ALERT_REMINDER);
	alerts_ack(alerts_find(w.a, w.last.key), w.now, w.now + 3 * DAY);
	assert_int_equal(tick(&w, 3 * DAY - 1), 0);
	assert_int_equal(tick(&w, 1), 1); /* nobody saw to it in that time */
	assert_int_equal(w.last.event, ALERT_REMINDER);
	alerts_ack(alerts_find(w.a, w.last.key), w.now, INT64_MAX);
	assert_int_equal(tick(&w, 50 * DAY), 0);
	turn(p, 0, 1, VERDICT_HEALTHY);
	(void)look(&w, p, 1);
	assert_int_equal(deliver(&w), 1); /* its end is told all the same */
	assert_int_equal(w.last.event, ALERT_RECOVERY);
	free(p);
	end(&w);
}

static void test_who_is_only_told_of_grave_things_is_not_told_of_others(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(1);
	(void)state;
	begin(&w);
	sinks(&w, 2, 0);
	p[0].step = 30 * DAY;
	(void)look(&w, p, 1);
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(w.last.line, 0);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 1);
	assert_int_equal(deliver(&w), 2);
	free(p);
	end(&w);
}

static void test_an_id_is_read_back_however_it_is_typed(void **state)
{
	char text[ALERT_ID_MAX];
	uint64_t key;
	(void)state;
	assert_string_equal(alert_id(0xffffffffffu, text), "ZZZZ-ZZZZ");
	assert_string_equal(alert_id(0x123456789au, text), "28T5-CY4T");
	assert_true(alert_id_parse("28t5-cy4t", &key) && key == 0x123456789au);
	assert_true(alert_id_parse("28T5CY4T", &key) && key == 0x123456789au);
	assert_false(alert_id_parse("28T5-CY4", &key));
	assert_false(alert_id_parse("28T5-CY4TT", &key));
	assert_false(alert_id_parse("28T5-CY4U", &key));
	assert_false(alert_id_parse("", &key));
}

/* ---- sinks that do not take it ---- */

static void test_a_sink_that_fails_is_tried_ever_more_rarely_and_keeps_nobody_waiting(void **state)
{
	struct world w;
	struct alert_due due;
	struct pixel *p = pixels_new(3);
	(void)state;
	begin(&w);
	sinks(&w, 3, 0);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 3);
	assert_true(alerts_next(w.a, w.now, &due) && due.line == 0);
	struct alert_due hangs = due; /* nothing comes back of it */
	assert_true(alerts_next(w.a, w.now, &due) && due.line == 1);
	answer(&w, &due, ALERT_DELIVERED);
	assert_true(alerts_next(w.a, w.now, &due) && due.line == 2);
	answer(&w, &due, ALERT_DELIVERED);
	assert_false(alerts_next(w.a, w.now, &due));
	int64_t wait = MINUTE;
	for (int i = 0; i < 9; i++) {
		answer(&w, &hangs, ALERT_LATER);
		assert_int_equal(alerts_next_at(w.a, w.now), w.now + wait);
		w.now += wait - 1;
		assert_false(alerts_next(w.a, w.now, &due));
		w.now += 1;
		assert_true(alerts_next(w.a, w.now, &hangs));
		assert_int_equal(hangs.number, due.number); /* the same message */
		wait = wait * 2 < HOUR ? wait * 2 : HOUR;
	}
	/* It got well in the meantime: the newest state is told, once. */
	turn(p, 0, 1, VERDICT_HEALTHY);
	(void)look(&w, p, 3);
	answer(&w, &hangs, ALERT_LATER);
	w.now += HOUR;
	assert_int_equal(deliver(&w), 3);
	assert_int_equal(w.recoveries, 3);
	assert_false(alerts_next(w.a, w.now, &due));
	free(p);
	end(&w);
}

static void test_a_message_that_is_refused_for_good_is_not_sent_again(void **state)
{
	struct world w;
	struct alert_due due;
	struct pixel *p = pixels_new(1);
	(void)state;
	begin(&w);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 1);
	assert_true(alerts_next(w.a, w.now, &due));
	answer(&w, &due, ALERT_REFUSED);
	assert_int_equal(tick(&w, DAY), 0);
	free(p);
	end(&w);
}

static void test_what_changed_while_a_message_was_on_its_way_is_told_after_it(void **state)
{
	struct world w;
	struct alert_due due;
	struct pixel *p = pixels_new(1);
	(void)state;
	begin(&w);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 1);
	assert_true(alerts_next(w.a, w.now, &due));
	turn(p, 0, 1, VERDICT_HEALTHY);
	(void)look(&w, p, 1);
	answer(&w, &due, ALERT_DELIVERED);
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(w.last.event, ALERT_RECOVERY);
	free(p);
	end(&w);
}

static void test_a_sink_that_is_added_is_told_what_stands(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(1);
	(void)state;
	begin(&w);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 1);
	assert_int_equal(deliver(&w), 1);
	sinks(&w, 2, 0);
	assert_int_equal(tick(&w, 1), 1);
	assert_int_equal(w.last.line, 1);
	assert_int_equal(tick(&w, 1), 0);
	free(p);
	end(&w);
}

static void test_a_sink_that_another_program_does_not_know_is_told_by_the_one_that_does(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(2);
	(void)state;
	begin(&w);
	sinks(&w, 2, 0);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 2);
	assert_int_equal(deliver(&w), 2);
	alerts_set_sinks(w.a, NULL, 0);
	turn(p, 0, 1, VERDICT_HEALTHY);
	turn(p, 1, 2, VERDICT_MISMATCHED);
	(void)look(&w, p, 2);
	assert_int_equal(deliver(&w), 0);
	assert_int_equal(alerts_next_at(w.a, w.now), w.now + DAY); /* nobody waits for what cannot be sent here */
	sinks(&w, 2, 0);
	assert_int_equal(tick(&w, 60), 4);
	assert_int_equal(w.recoveries, 2);
	assert_int_equal(w.raised, 4);
	alerts_set_sinks(w.a, NULL, 0);
	(void)look(&w, p, 1);
	(void)tick(&w, 2 * DAY);
	alerts_set_sinks(w.a, NULL, 0);
	assert_int_equal(w.a->line_count + w.a->cause_count, 0); /* what is past is forgotten all the same */
	free(p);
	end(&w);
}

static void test_a_clock_that_goes_back_a_second_reminds_nobody_and_one_set_back_far_stops_nothing(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(1);
	(void)state;
	begin(&w);
	sinks(&w, 1, DAY);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 1);
	assert_int_equal(deliver(&w), 1);
	assert_int_equal(tick(&w, -1), 0);
	assert_int_equal(tick(&w, -300 * DAY), 1);
	assert_int_equal(w.last.event, ALERT_REMINDER);
	assert_int_equal(tick(&w, 1), 0);
	free(p);
	end(&w);
}

static void test_who_joins_while_the_clock_is_behind_is_told_all_the_same(void **state)
{
	static const int64_t steps[] = { -20, -300 * (int64_t)DAY };
	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct world w;
		struct pixel *p = pixels_new(5);
		begin(&w);
		give(p, 0, 5, "minted-by", "anna");
		turn(p, 0, 3, VERDICT_EXPIRED);
		(void)look(&w, p, 5);
		assert_int_equal(deliver(&w), 1);
		w.now += steps[i];
		turn(p, 3, 4, VERDICT_EXPIRED);
		(void)look(&w, p, 5);
		(void)deliver(&w);
		(void)tick(&w, 6 * MINUTE);
		assert_int_equal(w.raised, 2);
		assert_int_equal(last_cause(&w)->added, 1);
		turn(p, 4, 5, VERDICT_EXPIRED);
		(void)look(&w, p, 5);
		(void)tick(&w, 20 * MINUTE);
		assert_int_equal(w.raised, 3);
		assert_int_equal(tick(&w, DAY), 0);
		free(p);
		end(&w);
	}
}

static void test_who_sees_to_it_for_an_hour_does_so_for_no_year_when_the_clock_was_ahead(void **state)
{
	struct world w;
	struct pixel *p = pixels_new(1);
	(void)state;
	begin(&w);
	sinks(&w, 1, DAY);
	turn(p, 0, 1, VERDICT_EXPIRED);
	(void)look(&w, p, 1);
	assert_int_equal(deliver(&w), 1);
	alerts_ack(alerts_find(w.a, w.last.key), w.now, w.now + HOUR);
	assert_int_equal(tick(&w, -1), 0);
	assert_int_equal(tick(&w, -300 * DAY), 1);
	assert_int_equal(w.last.event, ALERT_REMINDER);
	alerts_ack(alerts_find(w.a, w.last.key), w.now, INT64_MAX);
	assert_int_equal(tick(&w, -300 * DAY), 0);
	free(p);
	end(&w);
}

/* ---- as bytes ---- */

static void test_the_book_survives_a_restart(void **state)
{
	struct world w, other;
	struct error err;
	struct alert_due due;
	struct buf causes = BUF_INIT(1 << 20), members = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20),
		   rest = BUF_INIT(1 << 20);
	struct pixel *p = pixels_new(50);
	(void)state;
	begin(&w);
	sinks(&w, 3, DAY);
	give(p, 0, 20, "minted-by", "anna");
	turn(p, 0, 20, VERDICT_REVOKED);
	p[40].step = 7 * DAY;
	(void)look(&w, p, 50);
	assert_true(alerts_next(w.a, w.now, &due));
	answer(&w, &due, ALERT_LATER);
	assert_true(alerts_encode(w.a, &causes, &members, &err));
	begin(&other);
	assert_true(alerts_decode(other.a, buf_bytes(&causes), buf_bytes(&members)));
	sinks(&other, 3, DAY);
	assert_true(alerts_encode(other.a, &again, &rest, &err));
	assert_true(bytes_equal(buf_bytes(&causes), buf_bytes(&again)) &&
		    bytes_equal(buf_bytes(&members), buf_bytes(&rest)));
	assert_false(look(&other, p, 50));                   /* nothing is new to it */
	assert_int_equal(alerts_next_at(other.a, w.now), 0); /* what was not sent still waits */
	for (size_t cut = 0; cut < causes.len; cut++)
		assert_false(alerts_decode(other.a, bytes_of(causes.at, cut), buf_bytes(&members)));
	for (size_t cut = 0; cut < members.len; cut++)
		assert_false(alerts_decode(other.a, buf_bytes(&causes), bytes_of(members.at, cut)));
	assert_int_equal(other.a->cause_count, 0);
	assert_true(look(&other, p, 50));
	buf_done(&causes);
	buf_done(&members);
	buf_done(&again);
	buf_done(&rest);
	free(p);
	end(&w);
	end(&other);
}

/* What was told is not owed once more, and a book that finds no room or no memory is told of. */
static void test_the_book_says_what_was_told_and_fails_as_a_whole(void **state)
{
	struct world w, other;
	struct error err;
	struct alert_due due;
	struct buf causes = BUF_INIT(1 << 20), members = BUF_INIT(1 << 20), small = BUF_INIT(8), rest = BUF_INIT(8);
	struct pixel *p = pixels_new(3);
	(void)state;
	begin(&w);
	begin(&other);
	turn(p, 0, 3, VERDICT_EXPIRED);
	(void)look(&w, p, 3);
	assert_int_equal(deliver(&w), 1);
	assert_true(alerts_encode(w.a, &causes, &members, &err));
	memset(&err, 0, sizeof err);
	assert_false(alerts_encode(w.a, &small, &rest, &err));
	assert_true(err.code != ERR_NONE && err.message[0]);
	buf_done(&small);
	small = (struct buf)BUF_INIT(1 << 20);
	memset(&err, 0, sizeof err);
	assert_false(alerts_encode(w.a, &small, &rest, &err));
	assert_true(err.code != ERR_NONE && err.message[0]);
#ifndef IS_SANITIZED
	if (!getenv("UNDER_VALGRIND")) { /* its allocator stands where ours would */
		failing_from(FAIL_MEMORY, ENOMEM, 1, FAIL_EVER);
		bool is_read = alerts_decode(other.a, buf_bytes(&causes), buf_bytes(&members));
		assert_true(failing_stop() > 0);
		assert_false(is_read);
		assert_int_equal(other.a->cause_count + other.a->member_count + other.a->line_count, 0);
	}
#endif
	causes.at[0] = 0; /* a format before the first */
	assert_false(alerts_decode(other.a, buf_bytes(&causes), buf_bytes(&members)));
	causes.at[0] = 1;
	assert_true(alerts_decode(other.a, buf_bytes(&causes), buf_bytes(&members)));
	sinks(&other, 1, 0);
	assert_false(look(&other, p, 3));
	assert_false(alerts_next(other.a, w.now, &due));
	buf_done(&causes);
	buf_done(&members);
	buf_done(&small);
	buf_done(&rest);
	free(p);
	end(&w);
	end(&other);
}

#ifndef IS_SANITIZED
static bool try_look(struct world *w, const struct pixel *p, size_t count, struct error *err)
{
	bool has_changed;
	if (!alerts_begin(w->a, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct alert_fact f = fact_of(w, &p[i]);
		if (!alerts_note(w->a, &f, err))
			return false;
	}
	return alerts_note_general(w->a, ALERT_KIND_BLIND, w->now, err) && alerts_end(w->a, draw, w->now, &has_changed, err);
}

/* What was found until then may be told; whoever is not in the book yet comes into it with the next look. */
static void test_a_look_without_memory_says_so_and_the_next_one_finds_all(void **state)
{
	size_t failed = 1;
	(void)state;
	for (size_t n = 1; failed; n++) {
		struct world w;
		struct error err = { .code = ERR_NONE };
		struct pixel *p = pixels_new(60);
		char value[32];
		begin(&w);
		give(p, 0, 60, "minted-by", "anna");
		for (size_t i = 0; i < 60; i++) { /* as many values of the other one as there are Pixels */
			snprintf(value, sizeof value, "v%zu", i);
			give(p, i, i + 1, "id", value);
		}
		turn(p, 0, 40, VERDICT_REVOKED);
		failing_from(FAIL_MEMORY, ENOMEM, n, n % 2 ? n : FAIL_EVER);
		bool is_done = try_look(&w, p, 60, &err);
		failed = failing_stop();
		assert_true(is_done == (failed == 0));
		if (!is_done) {
			assert_true(err.code != ERR_NONE && err.message[0] && err.hint[0]);
			alerts_drop(w.a);
			(void)deliver(&w);
			assert_true(try_look(&w, p, 60, &err));
		}
		(void)deliver(&w);
		assert_true(w.raised >= 2);
		size_t bad = 0;
		for (size_t i = 0; i < w.a->cause_count; i++)
			bad += w.a->causes[i].bad;
		assert_int_equal(bad, 41); /* and the general one */
		free(p);
		end(&w);
	}
}
#endif

/* The label is read as the board reads it. */
static void test_what_is_at_risk_goes_by_the_weight_of_the_board(void **state)
{
	struct error err;
	struct world w;
	bool has_changed;
	struct settings settings = { .interval_s = 3600 };
	struct credential c = { .pixel = "C0U2T02IU8J6B9GC2B90",
				.label_count = 1,
				.labels = { { "weight", "2.5" } },
				.version_count = 1,
				.versions = { { .number = 1, .stage = STAGE_CURRENT } } };
	struct health h = { .current = { .version = 1, .verdict = VERDICT_REVOKED, .evidence = { .at = NOON - 2 * HOUR } } };
	struct alert_fact fact;
	(void)state;
	begin(&w);
	alert_fact_of(&c, &h, &settings, NOON, &fact);
	assert_int_equal(fact.kind, ALERT_KIND_REFUSED);
	assert_true(alerts_begin(w.a, &err) && alerts_note(w.a, &fact, &err));
	assert_true(alerts_end(w.a, draw, NOON, &has_changed, &err));
	assert_true(w.a->at_risk > 4.99 && w.a->at_risk < 5.01);
	end(&w);
}

static void test_rubbish_is_no_book(void **state)
{
	struct world w;
	uint8_t rubbish[600];
	(void)state;
	begin(&w);
	srandom(3);
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof rubbish; i++)
			rubbish[i] = (uint8_t)(random() % 4 ? random() % 3 : random());
		rubbish[0] = 1;
		size_t len = (size_t)random() % sizeof rubbish;
		(void)!alerts_decode(w.a, bytes_of(rubbish, len), bytes_of(rubbish + len, sizeof rubbish - len));
	}
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_person_leaving_is_one_alert_that_names_the_label),
		cmocka_unit_test(test_forty_of_a_hundred_with_the_one_label_are_one_alert_too),
		cmocka_unit_test(test_what_has_nothing_to_do_with_it_is_a_cause_of_its_own),
		cmocka_unit_test(test_labels_of_which_each_pixel_has_its_own_explain_nothing),
		cmocka_unit_test(test_who_dies_one_by_one_is_told_ever_more_rarely_and_the_label_is_learnt),
		cmocka_unit_test(test_one_more_is_told_within_an_hour_however_often_it_grew),
		cmocka_unit_test(test_a_storm_is_few_messages_and_the_last_one_is_true),
		cmocka_unit_test(test_a_storm_of_random_ones_is_few_messages_too),
		cmocka_unit_test(test_one_that_comes_back_is_the_same_cause_and_is_believed_later_each_time),
		cmocka_unit_test(test_what_gets_worse_is_no_recovery),
		cmocka_unit_test(test_a_verdict_that_changes_from_bad_to_bad_is_no_news),
		cmocka_unit_test(test_an_older_token_stands_in_until_another_one_serves),
		cmocka_unit_test(test_a_pixel_that_was_removed_ends_its_cause),
		cmocka_unit_test(test_what_concerns_no_pixel_is_told_and_ends),
		cmocka_unit_test(test_reminders_come_until_somebody_acknowledges),
		cmocka_unit_test(test_who_is_only_told_of_grave_things_is_not_told_of_others),
		cmocka_unit_test(test_an_id_is_read_back_however_it_is_typed),
		cmocka_unit_test(test_a_sink_that_fails_is_tried_ever_more_rarely_and_keeps_nobody_waiting),
		cmocka_unit_test(test_a_message_that_is_refused_for_good_is_not_sent_again),
		cmocka_unit_test(test_what_changed_while_a_message_was_on_its_way_is_told_after_it),
		cmocka_unit_test(test_a_sink_that_is_added_is_told_what_stands),
		cmocka_unit_test(test_a_sink_that_another_program_does_not_know_is_told_by_the_one_that_does),
		cmocka_unit_test(test_a_clock_that_goes_back_a_second_reminds_nobody_and_one_set_back_far_stops_nothing),
		cmocka_unit_test(test_who_joins_while_the_clock_is_behind_is_told_all_the_same),
		cmocka_unit_test(test_who_sees_to_it_for_an_hour_does_so_for_no_year_when_the_clock_was_ahead),
		cmocka_unit_test(test_the_book_survives_a_restart),
		cmocka_unit_test(test_the_book_says_what_was_told_and_fails_as_a_whole),
#ifndef IS_SANITIZED
		cmocka_unit_test(test_a_look_without_memory_says_so_and_the_next_one_finds_all),
#endif
		cmocka_unit_test(test_what_is_at_risk_goes_by_the_weight_of_the_board),
		cmocka_unit_test(test_rubbish_is_no_book),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
