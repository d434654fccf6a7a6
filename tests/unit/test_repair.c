/* What of a Pixel is to come from a backup: the judgements that no damaged file leads to. */
#include "vault/grant.h"
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

/* ---- whatever rows are lost ---- */

#define LIST "bc:1000"

struct pair {
	const char *pixel, *token, *refresh;
};

static bool put_pair(void *context, struct change *ch, struct error *err)
{
	const struct pair *pair = context;
	struct credential c;
	struct version fresh = { .renewal = { .family = FAMILY_ACCOUNTS, .issued_at = 5 } };
	struct grant g = { bytes_of_text("701"), bytes_of_text("secret"), bytes_of_text(pair->refresh) };
	bool exists;
	uint32_t number = 0, dropped = 0;
	scoped(secret_freep) struct secret *token = secret_of_text(pair->token), *packed = NULL;
	if (!grant_pack(&g, &packed, err) || !change_find(ch, pair->pixel, &c, &exists, err) ||
	    !credential_add(&c, &fresh, 1700000000, &number, &dropped, err) ||
	    !change_put_token(ch, &c, number, token, err) || !change_put_grant(ch, &c, number, packed, err) ||
	    !credential_promote(&c, number, 1700000000))
		return false;
	change_note(ch, "put", pair->pixel, number);
	return change_store(ch, &c, err);
}

static void must_pair(struct vault *v, const char *pixel, const char *token, const char *refresh)
{
	struct pair pair = { pixel, token, refresh };
	struct error err;
	if (!vault_change(v, put_pair, &pair, &err))
		fail_msg("%s", err.message);
}

/* The rows that belong to A: its record, tokens, pairs, health, and the nodes above. */
static size_t rows_of(const struct vault *v, const struct rows *rows, size_t ret[32])
{
	uint8_t id[PIXEL_ID_LEN];
	char hex[PIXEL_ID_LEN * 2 + 1];
	size_t count = 0;
	vault_pixel_id(v, A, id);
	sodium_bin2hex(hex, sizeof hex, id, sizeof id);
	for (size_t i = 0; i < rows->count; i++) {
		const char *key = rows->at[i].key;
		bool is_node = strncmp(key, "e1/n/", 5) == 0 && strncmp(key + 5, hex, strlen(key + 5)) == 0;
		if (!is_node && (!strstr(key, hex) || key[3] == 'a'))
			continue;
		assert_true(count < 32);
		ret[count++] = i;
	}
	return count;
}

enum hurt { DELETED, CHANGED, EMPTY, HURT_COUNT };

static void hurt(sqlite3 *db, const struct row *row, enum hurt how)
{
	struct row other = *row;
	uint8_t bytes[8192];
	if (how == DELETED) {
		row_delete(db, row->key);
		return;
	}
	memcpy(bytes, row->value, row->len);
	bytes[row->len / 2] ^= 1;
	other.value = bytes;
	other.len = how == EMPTY ? 0 : row->len;
	row_put_back(db, &other);
}

static unsigned long repaired_count, refused_count;

/* A is whole again, or the reason is told and nothing was done; the others are as they were either way. */
static void must_come_back(struct vault *from, const char *what)
{
	static const char *const pixels[] = { A, B, LIST };
	struct repair_wish wish = { .from = from, .pixels = pixels, .count = 3, .may_step_back = true };
	struct repair plan[3];
	struct verify_report report;
	struct error err = { .code = ERR_NONE };
	char text[TOKEN_MAX + 1];
	scoped(vault_closep) struct vault *v = open_it();
	uint64_t before = vault_generation(v);
	if (!vault_plan_repair(v, &wish, plan, &err) || !vault_repair(v, &wish, plan, &err)) {
		if (err.code == ERR_NONE || !err.message[0] || !err.hint[0] || vault_generation(v) != before)
			fail_msg("%s: code %d: %s", what, err.code, err.message);
		refused_count++;
		return;
	}
	if (!vault_verify(v, NULL, NULL, &report, &err) || report.faults)
		fail_msg("%s: repaired, and verify says: %s", what, err.message);
	if (!token_text(v, A, 0, text, &err) || (strcmp(text, FIRST) != 0 && strcmp(text, SECOND) != 0 && strcmp(text, THIRD) != 0))
		fail_msg("%s: repaired, and there is no token: %s", what, err.message);
	assert_token(v, B, 0, SECOND);
	repaired_count++;
}

static void any_two_rows(struct vault *from, bool is_newer)
{
	struct vault *v = open_it();
	struct health_update update = { .pixel = A, .health.failures = 1 };
	struct error err;
	char kept_anchor[PATH_MAX], what[300];
	size_t at[32];
	assert_true(vault_store_health(v, &update, 1, &err));
	if (is_newer)
		must_pair(v, A, THIRD, "rft.third");
	sqlite3 *db = sql_open();
	struct rows rows = rows_read(db);
	size_t count = rows_of(v, &rows, at);
	vault_close(v);
	in_scratch(kept_anchor, is_newer ? "newer.anchor" : "kept.anchor");
	copy_file(anchor_path, kept_anchor);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k <= i; k++)
			for (int how = 0; how < HURT_COUNT; how++) {
				if (k != i && (how == EMPTY || (i + k) % 2 != (size_t)how)) /* of two, half the ways */
					continue;
				hurt(db, &rows.at[at[i]], (enum hurt)how);
				if (k != i)
					hurt(db, &rows.at[at[k]], how == DELETED ? CHANGED : DELETED);
				snprintf(what, sizeof what, "%s and %s, way %d%s", rows.at[at[i]].key, rows.at[at[k]].key, how,
					 is_newer ? ", newer" : "");
				must_come_back(from, what);
				rows_put_back(db, &rows);
				copy_file(kept_anchor, anchor_path);
			}
	rows_free(&rows);
	sqlite3_close(db);
}

static void repair__of_any_two_rows_lost_or_changed_makes_whole_or_does_nothing(void **state)
{
	(void)state;
	struct vault *v = open_it();
	put_token(v, A, FIRST);
	must_pair(v, A, SECOND, "rft.second");
	put_token(v, B, SECOND);
	put_token(v, LIST, FIRST);
	scoped(vault_closep) struct vault *from = backup_of(v, "copy");
	vault_close(v);
	any_two_rows(from, false);
	any_two_rows(from, true);
	print_message("%lu repaired, %lu refused\n", repaired_count, refused_count);
	assert_true(repaired_count > 100);
}

/* Where nobody can read the name, the id that verify tells stands for it. */
static void repair__takes_ids_of_pixels_and_lists(void **state)
{
	(void)state;
	uint8_t id[2][PIXEL_ID_LEN];
	char hex[2][PIXEL_ID_LEN * 2 + 1], key[2][KEY_TEXT_MAX];
	struct error err;
	struct repair plan[2];
	struct vault *v = open_it();
	put_token(v, A, FIRST);
	put_token(v, LIST, SECOND);
	scoped(vault_closep) struct vault *from = backup_of(v, "copy");
	vault_pixel_id(v, A, id[0]);
	vault_pixel_id(v, LIST, id[1]);
	sqlite3 *db = sql_open();
	for (size_t i = 0; i < 2; i++) {
		sodium_bin2hex(hex[i], sizeof hex[i], id[i], PIXEL_ID_LEN);
		key_for_token(1, id[i], 1, key[i]);
		row_delete(db, key[i]);
	}
	const char *const pixels[] = { hex[0], hex[1] };
	struct repair_wish wish = { .from = from, .pixels = pixels, .count = 2 };
	if (!vault_plan_repair(v, &wish, plan, &err) || !vault_repair(v, &wish, plan, &err))
		fail_msg("%s", err.message);
	assert_string_equal(plan[0].pixel, A);
	assert_string_equal(plan[1].pixel, LIST);
	assert_token(v, A, 0, FIRST);
	assert_token(v, LIST, 0, SECOND);
	hex[1][0] = hex[1][0] == '0' ? '1' : '0';
	assert_false(vault_plan_repair(v, &wish, plan, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	hex[1][0] = 'A'; /* no id is written so */
	assert_false(vault_plan_repair(v, &wish, plan, &err));
	assert_true(err.code != ERR_NONE && err.code != ERR_NOT_FOUND);
	sqlite3_close(db);
	vault_close(v);
}

/* A Pixel that came, was backed up, and is not in the vault as it was before. */
static void repair__brings_a_pixel_that_the_vault_does_not_name(void **state)
{
	(void)state;
	static const char *const pixels[] = { B };
	char kept_anchor[PATH_MAX];
	struct error err;
	struct repair plan;
	struct verify_report report;
	struct vault *v = open_it();
	put_token(v, A, FIRST);
	sqlite3 *db = sql_open();
	struct rows before = rows_read(db);
	in_scratch(kept_anchor, "kept.anchor");
	copy_file(anchor_path, kept_anchor);
	must_pair(v, B, SECOND, "rft.second");
	scoped(vault_closep) struct vault *from = backup_of(v, "copy");
	vault_close(v);
	rows_put_back(db, &before);
	copy_file(kept_anchor, anchor_path);
	v = open_it();
	struct repair_wish wish = { .from = from, .pixels = pixels, .count = 1 };
	if (!vault_plan_repair(v, &wish, &plan, &err) || !vault_repair(v, &wish, &plan, &err))
		fail_msg("%s", err.message);
	assert_int_equal(plan.kind, REPAIR_RETURNED);
	assert_false(plan.is_step_back);
	assert_token(v, B, 0, SECOND);
	assert_token(v, A, 0, FIRST);
	assert_true(vault_verify(v, NULL, NULL, &report, &err));
	rows_free(&before);
	sqlite3_close(db);
	vault_close(v);
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
		cmocka_unit_test_setup_teardown(repair__of_any_two_rows_lost_or_changed_makes_whole_or_does_nothing, vault_make_in_memory,
						scratch_remove),
		V(repair__takes_ids_of_pixels_and_lists),
		V(repair__brings_a_pixel_that_the_vault_does_not_name),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
