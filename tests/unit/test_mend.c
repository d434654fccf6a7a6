/* Which command puts a token right that lies under the wrong Pixel. */
#include "agent/mend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B9G"
#define C "C2U2T02IU8J6B9GC2B90"

/* A Pixel with up to one version a stage, each with its token (a letter) and its judgement. */
struct world {
	struct credential credential;
	struct health health;
};

static struct world pixel(const char *code)
{
	struct world w = { .credential = { .pixel = "" } };
	strcpy(w.credential.pixel, code);
	return w;
}

static void has(struct world *w, enum stage stage, char token, enum verdict verdict, const char *owner)
{
	struct credential *c = &w->credential;
	struct version *v = &c->versions[c->version_count++];
	*v = (struct version){ .number = ++c->last_number, .stage = stage };
	memset(v->fingerprint, token, sizeof v->fingerprint);
	struct judgement *j = stage == STAGE_CURRENT ? &w->health.current : &w->health.pending;
	if (stage != STAGE_CURRENT && stage != STAGE_PENDING)
		return;
	*j = (struct judgement){ .version = v->number, .verdict = verdict };
	strcpy(j->belongs_to, owner);
}

static struct holder holder_of(const struct world *w)
{
	return (struct holder){ &w->credential, &w->health };
}

static enum mend mend_for(const struct world *a, const struct world *b)
{
	struct holder of = holder_of(a), other = holder_of(b);
	return mend_of(&of, &other);
}

static void mend__two_that_hold_each_others_token_are_swapped(void **state)
{
	(void)state;
	static const enum stage stages[] = { STAGE_CURRENT, STAGE_PENDING };
	for (size_t i = 0; i < 4; i++) {
		struct world a = pixel(A), b = pixel(B);
		if (i & 1)
			has(&a, STAGE_CURRENT, 'x', VERDICT_HEALTHY, "");
		has(&a, stages[i & 1], 'b', VERDICT_MISMATCHED, B);
		if (i & 2)
			has(&b, STAGE_CURRENT, 'y', VERDICT_HEALTHY, "");
		has(&b, stages[i >> 1], 'a', VERDICT_MISMATCHED, A);
		assert_int_equal(mend_for(&a, &b), MEND_SWAP);
		assert_int_equal(mend_for(&b, &a), MEND_SWAP);
		struct holder of = holder_of(&a);
		assert_int_equal(mend_given(&of, B)->fingerprint[0], 'b');
		assert_ptr_equal(mend_given(&of, B), mend_stray(&of, B));
		assert_false(mend_is_proven(&of, mend_given(&of, B)));
	}
}

static void mend__one_that_alone_holds_a_foreign_token_gives_it_away(void **state)
{
	(void)state;
	static const enum verdict others[] = { VERDICT_HEALTHY, VERDICT_UNPROVEN, VERDICT_EXPIRED, VERDICT_MISMATCHED };
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		struct world a = pixel(A), b = pixel(B);
		has(&a, STAGE_CURRENT, 'b', VERDICT_MISMATCHED, B);
		has(&b, STAGE_CURRENT, 'y', others[i], i == 3 ? C : "");
		assert_int_equal(mend_for(&a, &b), MEND_MOVE);
		assert_int_equal(mend_for(&b, &a), MEND_NONE);
	}
	struct world a = pixel(A), b = pixel(B);
	has(&a, STAGE_PENDING, 'b', VERDICT_MISMATCHED, B);
	assert_int_equal(mend_for(&a, &b), MEND_MOVE); /* also to one that holds nothing */
}

static void mend__a_token_that_lies_there_already_only_has_to_go_here(void **state)
{
	(void)state;
	static const enum stage stages[] = { STAGE_CURRENT, STAGE_PENDING, STAGE_PREVIOUS, STAGE_STANDBY };
	for (size_t i = 0; i < COUNT_OF(stages); i++) {
		struct world a = pixel(A), b = pixel(B);
		has(&b, stages[i], 'b', VERDICT_HEALTHY, "");
		has(&a, STAGE_PENDING, 'b', VERDICT_MISMATCHED, B);
		assert_int_equal(mend_for(&a, &b), MEND_PUT); /* its only one stays until its own comes */
		has(&a, STAGE_CURRENT, 'a', VERDICT_HEALTHY, "");
		assert_int_equal(mend_for(&a, &b), MEND_MOVE);
	}
	struct world a = pixel(A), b = pixel(B);
	has(&b, STAGE_RETIRED, 'b', VERDICT_HEALTHY, "");
	has(&a, STAGE_PENDING, 'b', VERDICT_MISMATCHED, B);
	assert_int_equal(mend_for(&a, &b), MEND_MOVE);
}

static void mend__of_a_removed_pixel_there_is_nothing_to_move_to(void **state)
{
	(void)state;
	struct world a = pixel(A), b = pixel(B);
	has(&a, STAGE_CURRENT, 'b', VERDICT_MISMATCHED, B);
	has(&b, STAGE_CURRENT, 'a', VERDICT_MISMATCHED, A);
	b.credential.deleted_at = 1;
	assert_int_equal(mend_for(&a, &b), MEND_PUT);
	b.credential.is_destroyed = true;
	assert_int_equal(mend_for(&a, &b), MEND_PUT);
	struct holder of = holder_of(&a), nobody = { 0 };
	assert_int_equal(mend_of(&of, &nobody), MEND_NONE);
}

static void mend__what_is_not_known_is_not_advised(void **state)
{
	(void)state;
	struct world a = pixel(A), b = pixel(B);
	has(&a, STAGE_CURRENT, 'b', VERDICT_MISMATCHED, "");
	has(&b, STAGE_CURRENT, 'a', VERDICT_MISMATCHED, A);
	assert_int_equal(mend_for(&a, &b), MEND_NONE);
	strcpy(a.health.current.belongs_to, B);
	a.health.current.verdict = VERDICT_HEALTHY; /* a name that an earlier verdict left behind */
	assert_int_equal(mend_for(&a, &b), MEND_NONE);
	a.health.current.verdict = VERDICT_MISMATCHED;
	a.health.current.version = 7; /* of a version that is gone */
	assert_int_equal(mend_for(&a, &b), MEND_NONE);
}

static void given__is_the_stray_then_one_of_unknown_owner_then_the_one_that_speaks(void **state)
{
	(void)state;
	struct world a = pixel(A);
	struct holder of = holder_of(&a);
	assert_null(mend_given(&of, B));
	has(&a, STAGE_PENDING, 'p', VERDICT_UNCHECKED, "");
	assert_int_equal(mend_given(&of, B)->fingerprint[0], 'p');
	has(&a, STAGE_CURRENT, 'c', VERDICT_HEALTHY, "");
	assert_int_equal(mend_given(&of, B)->fingerprint[0], 'c');
	assert_true(mend_is_proven(&of, mend_given(&of, B)));
	a.health.pending.verdict = VERDICT_MISMATCHED;
	assert_int_equal(mend_given(&of, B)->fingerprint[0], 'p');
	a.health.current.verdict = VERDICT_MISMATCHED;
	assert_int_equal(mend_given(&of, B)->fingerprint[0], 'c');
	strcpy(a.health.pending.belongs_to, B);
	assert_int_equal(mend_given(&of, B)->fingerprint[0], 'p');
	strcpy(a.health.current.belongs_to, B);
	assert_int_equal(mend_given(&of, B)->fingerprint[0], 'c');
	assert_int_equal(mend_given(&of, C)->fingerprint[0], 'c');
	a.credential.deleted_at = 1;
	assert_null(mend_given(&of, B));
}

static void mend__has_a_name_where_there_is_a_command(void **state)
{
	(void)state;
	for (enum mend m = MEND_SWAP; m <= MEND_PUT; m++)
		assert_int_equal(mend_by_name(mend_name(m)), m);
	assert_null(mend_name(MEND_NONE));
	assert_int_equal(mend_by_name(""), MEND_NONE);
	assert_int_equal(mend_by_name("rotate"), MEND_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mend__two_that_hold_each_others_token_are_swapped),
		cmocka_unit_test(mend__one_that_alone_holds_a_foreign_token_gives_it_away),
		cmocka_unit_test(mend__a_token_that_lies_there_already_only_has_to_go_here),
		cmocka_unit_test(mend__of_a_removed_pixel_there_is_nothing_to_move_to),
		cmocka_unit_test(mend__what_is_not_known_is_not_advised),
		cmocka_unit_test(given__is_the_stray_then_one_of_unknown_owner_then_the_one_that_speaks),
		cmocka_unit_test(mend__has_a_name_where_there_is_a_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
