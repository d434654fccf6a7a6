/* What of a Pixel is to come from a backup: the judgements that no damaged file leads to. */
#include "vault/repair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"
#include "vault/backup.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B90"
#define FIRST "0123456789abcdef0123456789abcdef01234567"
#define SECOND "76543210fedcba9876543210fedcba9876543210"
#define THIRD "89abcdef0123456789abcdef0123456701234567"

static struct vault *backup_of(struct vault *v, const char *name)
{
	char path[PATH_MAX];
	struct backup_report report;
	struct vault *from = NULL;
	struct error err;
	scoped(secret_freep) struct secret *key = key_of(KEY_SEED);
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	in_scratch(path, name);
	struct vault_place there = { .path = path, .state_dir = state_dir, .is_copy = true };
	if (!vault_backup(v, path, false, &report, &err) || !vault_open(&there, &from, &err) ||
	    !vault_unlock(from, &holder, &err))
		fail_msg("%s: %s", name, err.message);
	return from;
}

struct step {
	const char *pixel;
	void (*turn)(struct credential *c);
	bool is_destroying;
};

static bool do_step(void *context, struct change *ch, struct error *err)
{
	const struct step *step = context;
	struct credential c;
	bool exists;
	if (!change_find(ch, step->pixel, &c, &exists, err))
		return false;
	while (step->is_destroying && c.version_count)
		if (!change_drop_token(ch, &c, c.versions[--c.version_count].number, err))
			return false;
	step->turn(&c);
	change_note(ch, "label", step->pixel, 0);
	return change_store(ch, &c, err);
}

static void changed(struct vault *v, struct step step)
{
	struct error err;
	if (!vault_change(v, do_step, &step, &err))
		fail_msg("%s", err.message);
}

static void roll_back(struct credential *c)
{
	assert_true(credential_rollback(c, 1700000100));
}

static void retire_all(struct credential *c)
{
	for (size_t i = 0; i < c->version_count; i++)
		c->versions[i].stage = STAGE_RETIRED;
}

static void destroy(struct credential *c)
{
	c->deleted_at = 1700000000;
	c->is_destroyed = true;
}

static void put_at(struct vault *v, const char *token, int64_t now)
{
	struct put_job job = { .pixel = A, .token = token, .is_promoted = true, .now = now };
	struct error err;
	assert_true(vault_change(v, put_one, &job, &err));
}

static struct repair plan_for(struct vault *v, struct vault *from)
{
	static const char *const pixels[] = { A };
	struct repair_wish wish = { .from = from, .pixels = pixels, .count = 1 };
	struct repair plan;
	struct error err;
	if (!vault_plan_repair(v, &wish, &plan, &err))
		fail_msg("%s", err.message);
	return plan;
}

static bool repair_as(struct vault *v, struct vault *from, const struct repair *plan, bool may_step_back,
		      struct error *err)
{
	static const char *const pixels[] = { A };
	struct repair_wish wish = { .from = from, .pixels = pixels, .count = 1, .may_step_back = may_step_back };
	return vault_repair(v, &wish, plan, err);
}

static void plan__a_whole_pixel_is_left_alone_and_nothing_is_committed(void **state)
{
	(void)state;
	struct error err;
	scoped(vault_closep) struct vault *v = open_it();
	put_token(v, A, FIRST);
	scoped(vault_closep) struct vault *from = backup_of(v, "copy");
	struct repair plan = plan_for(v, from);
	uint64_t before = vault_generation(v);
	assert_int_equal(plan.kind, REPAIR_NOTHING);
	assert_int_equal(plan.now, 1);
	assert_int_equal(plan.then, 1);
	assert_int_equal(plan.others + plan.mended_count + plan.lost_count, 0);
	assert_true(repair_as(v, from, &plan, false, &err));
	assert_int_equal(vault_generation(v), before);
}

static void plan__tokens_that_were_retired_are_no_loss(void **state)
{
	(void)state;
	struct error err;
	scoped(vault_closep) struct vault *v = open_it();
	put_at(v, FIRST, 1700000000);
	scoped(vault_closep) struct vault *from = backup_of(v, "copy");
	put_at(v, SECOND, 1700000100);
	changed(v, (struct step){ .pixel = A, .turn = retire_all });
	struct repair plan = plan_for(v, from);
	assert_int_equal(plan.kind, REPAIR_RETURNED);
	assert_false(plan.is_step_back);
	assert_int_equal(plan.now, 0);
	assert_int_equal(plan.then, 1);
	assert_true(repair_as(v, from, &plan, false, &err));
	assert_token(v, A, 0, FIRST);
	put_token(v, A, THIRD);
	assert_token(v, A, 3, THIRD); /* no number is given twice */
}

static void plan__a_rollback_since_the_backup_is_no_newer_token(void **state)
{
	(void)state;
	struct error err;
	scoped(vault_closep) struct vault *v = open_it();
	put_at(v, FIRST, 1700000000);
	put_at(v, SECOND, 1700000100);
	scoped(vault_closep) struct vault *from = backup_of(v, "copy");
	changed(v, (struct step){ .pixel = A, .turn = roll_back });
	assert_token(v, A, 0, FIRST);
	struct repair plan = plan_for(v, from);
	assert_int_equal(plan.kind, REPAIR_RETURNED);
	assert_false(plan.is_step_back);
	assert_true(repair_as(v, from, &plan, false, &err));
	assert_token(v, A, 0, SECOND);
	assert_token(v, A, 1, FIRST);
}

static void plan__a_newer_token_that_the_backup_has_not_gives_way_only_when_told(void **state)
{
	(void)state;
	struct error err;
	scoped(vault_closep) struct vault *v = open_it();
	put_at(v, FIRST, 1700000000);
	scoped(vault_closep) struct vault *from = backup_of(v, "copy");
	put_at(v, SECOND, 1700000100);
	struct repair plan = plan_for(v, from);
	assert_true(plan.is_step_back);
	assert_int_equal(plan.newer, 2);
	assert_int_equal(plan.newer_at, 1700000100);
	assert_false(repair_as(v, from, &plan, false, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_token(v, A, 0, SECOND);
	assert_true(repair_as(v, from, &plan, true, &err));
	assert_token(v, A, 0, FIRST);
}

static void plan__what_the_backup_knows_as_destroyed_is_not_found(void **state)
{
	(void)state;
	static const char *const pixels[] = { B, A };
	struct error err;
	struct repair plan[2];
	scoped(vault_closep) struct vault *v = open_it();
	put_token(v, A, FIRST);
	put_token(v, B, SECOND);
	changed(v, (struct step){ .pixel = A, .turn = destroy, .is_destroying = true });
	scoped(vault_closep) struct vault *from = backup_of(v, "copy");
	struct repair_wish wish = { .from = from, .pixels = pixels, .count = 2 };
	assert_false(vault_plan_repair(v, &wish, plan, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_token(v, B, 0, SECOND);
}

/* Each member of it. */
static void deed__another_plan_than_what_would_be_done_changes_nothing(void **state)
{
	(void)state;
	struct error err;
	scoped(vault_closep) struct vault *v = open_it();
	put_at(v, FIRST, 1700000000);
	scoped(vault_closep) struct vault *from = backup_of(v, "copy");
	put_at(v, SECOND, 1700000100);
	const struct repair plan = plan_for(v, from);
	struct repair others[14];
	for (size_t i = 0; i < COUNT_OF(others); i++)
		others[i] = plan;
	others[0].pixel[0] ^= 1;
	others[1].kind = REPAIR_MENDED;
	others[2].is_unreadable = !plan.is_unreadable;
	others[3].is_step_back = !plan.is_step_back;
	others[4].now++;
	others[5].then++;
	others[6].now_at++;
	others[7].then_at++;
	others[8].newer++;
	others[9].newer_at++;
	others[10].mended_count++;
	others[11].lost_count++;
	others[12].mended[0]++;
	others[13].others++;
	uint64_t before = vault_generation(v);
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		assert_false(repair_as(v, from, &others[i], true, &err));
		assert_int_equal(err.code, ERR_CONFLICT);
	}
	assert_int_equal(vault_generation(v), before);
	assert_true(repair_as(v, from, &plan, true, &err));
	assert_token(v, A, 0, FIRST);
}

#define V(f) cmocka_unit_test_setup_teardown(f, vault_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		V(plan__a_whole_pixel_is_left_alone_and_nothing_is_committed),
		V(plan__tokens_that_were_retired_are_no_loss),
		V(plan__a_rollback_since_the_backup_is_no_newer_token),
		V(plan__a_newer_token_that_the_backup_has_not_gives_way_only_when_told),
		V(plan__what_the_backup_knows_as_destroyed_is_not_found),
		V(deed__another_plan_than_what_would_be_done_changes_nothing),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
