/* What a list concludes about stored Pixels. */
#include "agent/lists.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define A "C0U2T02IU8J6B9GC2B90"
#define BC "bc:7123"
#define OTHER "advertiser:7456"
#define NOW INT64_C(1795406706)

static const struct settings settings = { .interval_s = 6 * 3600, .confirm_delay_s = 600, .probe = PROBE_CHOICE_AUTO };

struct pixel {
	struct credential credential;
	struct health health;
};

static struct pixel pixel(const char *code, char token)
{
	struct pixel p = { .credential = { .version_count = 1, .last_number = 1 } };
	strcpy(p.credential.pixel, code);
	p.credential.versions[0] = (struct version){ .number = 1, .stage = STAGE_CURRENT };
	memset(p.credential.versions[0].fingerprint, token, FINGERPRINT_LEN);
	p.health.current = (struct judgement){ .version = 1, .verdict = VERDICT_HEALTHY, .proven_at = NOW - 100000 };
	return p;
}

/* A whole list with this word for the Pixel (0 = it is not on it), read with token x. */
static struct list_reading reading(const char *name, const char *code, uint8_t kind)
{
	struct list_reading r;
	struct error err;
	uint8_t fingerprint[FINGERPRINT_LEN];
	struct list_page page = { .page = 1, .pages = 1, .total = kind != 0, .count = kind != 0 };
	memset(fingerprint, 'x', sizeof fingerprint);
	snprintf(page.rows[0].pixel, sizeof page.rows[0].pixel, "%s", code);
	page.rows[0].kind = kind;
	lists_begin(&r, name, fingerprint);
	assert_true(lists_take_page(&r, &page, &err));
	return r;
}

static bool read_at(struct pixel *p, struct list_reading r, int64_t at)
{
	struct answer last = { .body = BODY_CODE, .http = 200, .at = at };
	(void)lists_count(&r, &p->credential, &p->health);
	lists_describe(&r, &last);
	bool is_new = lists_apply(&r, &p->credential, &p->health, &settings);
	lists_done(&r);
	return is_new;
}

static enum verdict verdict_of(const struct pixel *p)
{
	return p->health.current.verdict;
}

static void lists__only_the_last_page_ends_it_and_only_what_was_understood_is_whole(void **state)
{
	(void)state;
	struct error err;
	static const uint8_t fingerprint[FINGERPRINT_LEN];
	static const struct {
		struct list_page first, second;
		bool is_whole;
	} rows[] = {
		{ { .page = 1, .pages = 2, .total = 2, .count = 1 },
		  { .page = 2, .pages = 2, .total = 2, .count = 1 },
		  true },
		{ { .page = 1, .pages = 2, .total = 2, .count = 1 },
		  { .page = 2, .pages = 2, .total = 3, .count = 1 },
		  false },
		{ { .page = 1, .pages = 2, .total = 2, .count = 1 },
		  { .page = 2, .pages = 2, .total = 2, .count = 0 },
		  false },
		{ { .page = 1, .pages = 2, .total = 2, .count = 1, .unreadable = 1 },
		  { .page = 2, .pages = 2, .total = 2, .count = 1 },
		  false },
		{ { .page = 1, .pages = 3, .total = 2, .count = 1 },
		  { .page = 2, .pages = 2, .total = 2, .count = 1 },
		  false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct list_reading r;
		struct list_page first = rows[i].first, second = rows[i].second;
		strcpy(first.rows[0].pixel, A);
		strcpy(second.rows[0].pixel, "C1U2T02IU8J6B9GC2B90");
		lists_begin(&r, BC, fingerprint);
		assert_false(lists_is_at_end(&r));
		assert_true(lists_take_page(&r, &first, &err));
		assert_false(lists_is_at_end(&r));
		assert_true(lists_take_page(&r, &second, &err));
		assert_true(lists_is_at_end(&r));
		assert_int_equal(lists_is_whole(&r), rows[i].is_whole);
		lists_done(&r);
	}
}

static void lists__a_listed_pixel_is_healthy_where_its_token_made_the_list(void **state)
{
	(void)state;
	struct pixel own = pixel(A, 'x'), other = pixel(A, 'y');
	own.health.current.verdict = other.health.current.verdict = VERDICT_UNPROVEN;
	assert_true(read_at(&own, reading(BC, A, SIGHT_LISTED), NOW));
	assert_int_equal(verdict_of(&own), VERDICT_HEALTHY);
	assert_int_equal(own.health.current.evidence.probe, PROBE_LISTING);
	assert_int_equal(own.health.current.proven_at, NOW);
	/* not due before the list is read again */
	assert_true(own.health.next_check_at > NOW + settings.interval_s * 9 / 10);
	assert_true(own.health.next_check_at <= NOW + settings.interval_s);
	assert_true(read_at(&other, reading(BC, A, SIGHT_LISTED), NOW));
	assert_int_equal(verdict_of(&other), VERDICT_UNPROVEN);
	assert_false(health_sight(&other.health, BC)->is_own);
}

static void lists__absence_is_nothing_for_who_never_was_on_it(void **state)
{
	(void)state;
	struct pixel p = pixel(A, 'y');
	assert_false(read_at(&p, reading(BC, "C1U2T02IU8J6B9GC2B90", SIGHT_LISTED), NOW));
	assert_int_equal(p.health.sight_count, 0);
}

static void lists__an_unknown_relation_says_nothing(void **state)
{
	(void)state;
	struct pixel p = pixel(A, 'x');
	struct list_reading r = reading(BC, A, SIGHT_LISTED);
	((struct list_row *)(uintptr_t)pixel_map_find(&r.map, A))->kind = 0;
	assert_false(read_at(&p, r, NOW));
	assert_int_equal(verdict_of(&p), VERDICT_HEALTHY);
}

static void lists__the_second_reading_decides_once_the_delay_is_over(void **state)
{
	(void)state;
	static const struct {
		uint8_t kind;
		enum verdict verdict;
	} rows[] = { { 0, VERDICT_MISMATCHED },
		     { SIGHT_UNBOUND, VERDICT_NO_PERMISSION },
		     { SIGHT_PENDING, VERDICT_NO_PERMISSION },
		     { SIGHT_REJECTED, VERDICT_NO_PERMISSION } };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct pixel p = pixel(A, 'x');
		assert_true(read_at(&p, reading(BC, A, rows[i].kind), NOW));
		assert_int_equal(verdict_of(&p), VERDICT_HEALTHY);
		assert_int_equal(p.health.current.suspected, rows[i].verdict);
		assert_true(p.health.next_check_at <= NOW + settings.confirm_delay_s); /* its own probe is asked */
		read_at(&p, reading(BC, A, rows[i].kind), NOW + 599);
		assert_int_equal(verdict_of(&p), VERDICT_HEALTHY);
		read_at(&p, reading(BC, A, rows[i].kind), NOW + 600);
		assert_int_equal(verdict_of(&p), rows[i].verdict);
		read_at(&p, reading(BC, A, SIGHT_LISTED), NOW + 700);
		assert_int_equal(verdict_of(&p), VERDICT_HEALTHY);
	}
}

static void lists__a_proof_since_then_and_a_probe_that_can_prove_outweigh_it(void **state)
{
	(void)state;
	struct pixel proven = pixel(A, 'x'), coded = pixel(A, 'x');
	strcpy(coded.credential.test_code, "TEST12345");
	read_at(&proven, reading(BC, A, SIGHT_UNBOUND), NOW);
	proven.health.current.proven_at = NOW + 1;
	for (int64_t i = 0; i < 5; i++) {
		read_at(&proven, reading(BC, A, SIGHT_UNBOUND), NOW + 1000 + i);
		read_at(&coded, reading(BC, A, SIGHT_UNBOUND), NOW + i * 1000);
	}
	assert_int_equal(verdict_of(&proven), VERDICT_HEALTHY);
	assert_int_equal(verdict_of(&coded), VERDICT_HEALTHY);
	assert_int_equal(coded.health.current.suspected, VERDICT_NO_PERMISSION);
}

static void lists__another_list_that_holds_it_outweighs_it(void **state)
{
	(void)state;
	struct pixel p = pixel(A, 'x');
	read_at(&p, reading(BC, A, 0), NOW);
	read_at(&p, reading(OTHER, A, SIGHT_LISTED), NOW - 1);
	for (int64_t i = 1; i < 4; i++)
		read_at(&p, reading(BC, A, 0), NOW + i * 1000);
	assert_int_equal(verdict_of(&p), VERDICT_HEALTHY);
	/* but not for ever: that list was not read for longer than an interval */
	read_at(&p, reading(BC, A, 0), NOW + settings.interval_s + 1);
	assert_int_equal(verdict_of(&p), VERDICT_MISMATCHED);
}

static void lists__most_of_a_list_gone_takes_three_readings(void **state)
{
	(void)state;
	struct pixel p = pixel(A, 'x');
	for (int64_t i = 0; i < 3; i++) {
		struct list_reading r = reading(BC, A, 0);
		r.lost = 2; /* and this one */
		assert_int_equal(verdict_of(&p), VERDICT_HEALTHY);
		assert_int_equal(p.health.current.suspected, VERDICT_UNCHECKED);
		read_at(&p, r, NOW + i * 1000);
	}
	assert_int_equal(verdict_of(&p), VERDICT_MISMATCHED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists__only_the_last_page_ends_it_and_only_what_was_understood_is_whole),
		cmocka_unit_test(lists__a_listed_pixel_is_healthy_where_its_token_made_the_list),
		cmocka_unit_test(lists__absence_is_nothing_for_who_never_was_on_it),
		cmocka_unit_test(lists__an_unknown_relation_says_nothing),
		cmocka_unit_test(lists__the_second_reading_decides_once_the_delay_is_over),
		cmocka_unit_test(lists__a_proof_since_then_and_a_probe_that_can_prove_outweigh_it),
		cmocka_unit_test(lists__another_list_that_holds_it_outweighs_it),
		cmocka_unit_test(lists__most_of_a_list_gone_takes_three_readings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
