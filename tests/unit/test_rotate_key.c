/* A new root key: all that was there is there, nothing of the old one is left, and whoever has the old key is told. */
#include "core/clock.h"
#include "vault/grant.h"
#include "vault/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B9G"
#define TOKEN_A "0123456789abcdef0123456789abcdef01234567"
#define TOKEN_B "fedcba9876543210fedcba9876543210fedcba98"

static bool rotate_with(struct vault *v, uint8_t seed, struct rotate_key_report *ret, struct error *err)
{
	scoped(secret_freep) struct secret *key = key_of(seed);
	struct slot_holder holder = { .secret = { SLOT_KEY_FILE, key } };
	memcpy(holder.id, vault_opened_by(v), SLOT_ID_LEN);
	memset(err, 0, sizeof *err);
	return vault_rotate_key(v, &holder, 1, 0, ret, err);
}

static void rotate(struct vault *v)
{
	struct rotate_key_report report;
	struct error err;
	if (!rotate_with(v, KEY_SEED, &report, &err))
		fail_msg("rotate-key: %s", err.message);
}

static void assert_whole(struct vault *v)
{
	struct verify_report report;
	struct error err;
	if (!vault_verify(v, NULL, NULL, &report, &err))
		fail_msg("verify: %s", err.message);
	assert_int_equal(report.rubbish, 0);
}

static bool put_pair(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	struct version fresh = { .renewal = { .family = FAMILY_ACCOUNTS, .issued_at = 5 } };
	bool exists;
	uint32_t number, dropped;
	scoped(secret_freep) struct secret *token = secret_of_text(TOKEN_B);
	if (!change_find(ch, B, &c, &exists, err) || !credential_add(&c, &fresh, 7, &number, &dropped, err) ||
	    !change_put_token(ch, &c, number, token, err) || !change_put_grant(ch, &c, number, context, err))
		return false;
	assert_true(credential_promote(&c, number, 7));
	change_note(ch, "put", B, number);
	return change_store(ch, &c, err);
}

static bool keep_one(void *context, const struct read_mark *mark, struct error *err)
{
	(void)err;
	*(struct read_mark *)context = *mark;
	return true;
}

/* One of each kind of record. */
static void fill(struct vault *v)
{
	struct error err;
	scoped(secret_freep) struct secret *packed = NULL;
	struct grant in = { bytes_of_text("17"), bytes_of_text("secret"), bytes_of_text("rft.once") };
	struct read_mark mark = { .name = "shop", .version = 1, .at = clock_wall() };
	put_token(v, A, TOKEN_A);
	put_token(v, A, TOKEN_B);
	put_label(v, A, "k=v");
	assert_true(grant_pack(&in, &packed, &err));
	assert_true(vault_change(v, put_pair, packed, &err));
	assert_true(vault_mark_read(v, A, &mark, &err));
	assert_true(vault_store_note(v, "breaker", bytes_of_text("note"), &err));
	struct health_update update = { .pixel = A, .health = { .next_check_at = 42, .current = { .version = 2 } } };
	assert_true(vault_store_health(v, &update, 1, &err));
}

static void assert_filled(struct vault *v)
{
	struct error err;
	struct credential c;
	struct health h;
	struct read_mark mark = { .version = 0 };
	struct grant grant;
	struct buf note = BUF_INIT(NOTE_MAX);
	char pixel[PIXEL_CODE_MAX + 1];
	scoped(secret_freep) struct secret *packed = NULL, *token = secret_of_text(TOKEN_B);
	uint8_t fingerprint[FINGERPRINT_LEN];
	assert_token(v, A, 0, TOKEN_B);
	assert_token(v, A, 1, TOKEN_A);
	assert_token(v, B, 0, TOKEN_B);
	assert_true(vault_find(v, A, false, &c, &err));
	assert_int_equal(c.label_count, 1);
	assert_true(vault_health(v, &c, &h, &err));
	assert_int_equal(h.next_check_at, 42);
	assert_true(vault_find(v, B, false, &c, &err));
	assert_true(vault_grant(v, &c, &c.versions[0], "refresh", &packed, &err));
	assert_true(grant_open(secret_reveal(packed), &grant));
	assert_true(bytes_equal(grant.refresh_token, bytes_of_text("rft.once")));
	assert_true(vault_each_mark(v, A, keep_one, &mark, &err));
	assert_int_equal(mark.version, 1);
	assert_true(vault_note(v, "breaker", &note, &err));
	assert_true(bytes_equal(buf_bytes(&note), bytes_of_text("note")));
	buf_done(&note);
	vault_fingerprint(v, token, fingerprint);
	vault_find_duplicate(v, fingerprint, A, pixel);
	assert_string_equal(pixel, B);
	vault_find_duplicate(v, fingerprint, B, pixel);
	assert_string_equal(pixel, A);
	assert_whole(v);
}

static void rotation__keeps_every_kind_of_record_and_nothing_of_the_old_epoch(void **state)
{
	(void)state;
	struct vault *v = open_it();
	fill(v);
	struct rotate_key_report report;
	struct error err;
	assert_true(rotate_with(v, KEY_SEED, &report, &err));
	assert_int_equal(report.epoch, 2);
	assert_int_equal(report.pixels, 2);
	assert_int_equal(report.tokens, 3);
	assert_filled(v);
	vault_close(v);
	v = open_it();
	assert_filled(v);
	rotate(v);
	vault_close(v);
	v = open_it();
	assert_filled(v);
	put_token(v, A, "0000000000000000000000000000000000000000");
	vault_close(v);
	sqlite3 *db = sql_open();
	struct rows rows = rows_read(db);
	for (size_t i = 0; i < rows.count; i++)
		assert_true(strncmp(rows.at[i].key, "e3/", 3) == 0 || strchr(rows.at[i].key, '/') == NULL);
	rows_free(&rows);
	sqlite3_close(db);
}

static void rotation__of_an_empty_vault(void **state)
{
	(void)state;
	struct vault *v = open_it();
	rotate(v);
	vault_close(v);
	v = open_it();
	put_token(v, A, TOKEN_A);
	assert_token(v, A, 0, TOKEN_A);
	assert_whole(v);
	vault_close(v);
}

static void rotation__another_process_is_told_and_opens_again(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct vault *v = open_it(), *other = open_it();
	put_token(v, A, TOKEN_A);
	assert_token(other, A, 0, TOKEN_A);
	rotate(v);
	assert_false(vault_find(other, A, false, &c, &err));
	assert_refused(&err, ERR_LOCKED, NULL);
	assert_non_null(strstr(err.message, "rotate-key"));
	struct put_job job = { .pixel = A, .token = TOKEN_B, .is_promoted = true, .now = 1700000000 };
	assert_false(vault_change(other, put_one, &job, &err));
	assert_refused(&err, ERR_LOCKED, NULL);
	vault_close(other);
	other = open_it();
	assert_token(other, A, 0, TOKEN_A);
	vault_close(other);
	assert_whole(v);
	vault_close(v);
}

static void rotation__without_its_secret_a_slot_is_gone(void **state)
{
	(void)state;
	struct error err;
	struct vault *v = open_it(), *gone = NULL;
	struct rotate_key_report report;
	assert_true(rotate_with(v, KEY_SEED + 1, &report, &err));
	vault_close(v);
	assert_false(try_open(&gone, &err));
	assert_refused(&err, ERR_WRONG_KEY, NULL);
}

static void rotation__where_the_anchor_cannot_be_written_nothing_changes(void **state)
{
	(void)state;
	struct error err;
	struct rotate_key_report report;
	char aside[PATH_MAX];
	struct vault *v = open_it();
	in_scratch(aside, "aside");
	put_token(v, A, TOKEN_A);
	vault_close(v);
	v = open_it();
	sqlite3 *db = sql_open();
	struct rows before = rows_read(db);
	assert_int_equal(rename(anchor_path, aside), 0);
	assert_false(rotate_with(v, KEY_SEED, &report, &err));
	assert_int_equal(rename(aside, anchor_path), 0);
	struct rows after = rows_read(db);
	assert_true(rows_are_equal(&before, &after));
	rows_free(&before);
	rows_free(&after);
	sqlite3_close(db);
	vault_close(v);
	v = open_it();
	assert_token(v, A, 0, TOKEN_A);
	vault_close(v);
}

/* Killed between the anchor for the new key and the commit, or between the commit and the anchor behind it. */
static void rotation__with_the_anchor_of_before_or_after_opens_at_each_step(void **state)
{
	(void)state;
	uint8_t old_anchor[2 * ANCHOR_BLOCK], new_anchor[2 * ANCHOR_BLOCK], mixed[2 * ANCHOR_BLOCK];
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	vault_close(v);
	FILE *f = fopen(anchor_path, "r+");
	assert_non_null(f);
	assert_int_equal(fread(old_anchor, 1, sizeof old_anchor, f), sizeof old_anchor);
	v = open_it();
	rotate(v);
	vault_close(v);
	rewind(f);
	assert_int_equal(fread(new_anchor, 1, sizeof new_anchor, f), sizeof new_anchor);
	/* The new key's last block is torn: the one written before the commit is left. */
	for (size_t torn = 0; torn < 2; torn++) {
		memcpy(mixed, new_anchor, sizeof mixed);
		memcpy(mixed + torn * ANCHOR_BLOCK, old_anchor + torn * ANCHOR_BLOCK, ANCHOR_BLOCK);
		rewind(f);
		assert_int_equal(fwrite(mixed, 1, sizeof mixed, f), sizeof mixed);
		assert_int_equal(fflush(f), 0);
		v = open_it();
		assert_token(v, A, 0, TOKEN_A);
		vault_close(v);
	}
	fclose(f);
}

static void slots__add_replace_and_remove_prove_what_they_commit(void **state)
{
	(void)state;
	struct error err;
	struct slot_info slots[SLOTS_MAX], added, found;
	scoped(secret_freep) struct secret *second = key_of(9), *third = key_of(10), *first = key_of(KEY_SEED);
	struct slot_secret with_second = { SLOT_RECOVERY, second }, with_third = { SLOT_KEY_FILE, third };
	struct slot_secret with_first = { SLOT_KEY_FILE, first };
	struct vault *v = open_it();
	assert_int_equal(vault_slots(v, slots), 1);
	assert_memory_equal(vault_opened_by(v), slots[0].id, SLOT_ID_LEN);
	assert_false(vault_remove_slot(v, slots[0].id, &err));
	assert_refused(&err, ERR_CONFLICT, NULL);
	assert_false(vault_add_slot(v, &with_first, 0, &added, &err));
	assert_refused(&err, ERR_CONFLICT, NULL);
	assert_true(vault_add_slot(v, &with_second, 0, &added, &err));
	assert_true(vault_try_secret(v, &with_second, &found, &err));
	assert_memory_equal(found.id, added.id, SLOT_ID_LEN);
	assert_true(vault_replace_slot(v, added.id, &with_third, 0, &found, &err));
	assert_memory_equal(found.id, added.id, SLOT_ID_LEN);
	assert_false(vault_try_secret(v, &with_second, &found, &err));
	vault_close(v);
	assert_true(vault_open(&place, &v, &err));
	assert_true(vault_unlock(v, &with_third, &err));
	assert_false(vault_remove_slot(v, added.id, &err));
	assert_refused(&err, ERR_CONFLICT, NULL);
	assert_true(vault_remove_slot(v, slots[0].id, &err));
	assert_false(vault_remove_slot(v, slots[0].id, &err));
	assert_refused(&err, ERR_NOT_FOUND, NULL);
	assert_whole(v);
	vault_close(v);
}

/* Two programs change the slots: neither loses what the other did. */
static void slots__of_two_writers_are_both_there(void **state)
{
	(void)state;
	struct error err;
	struct slot_info slots[SLOTS_MAX], added;
	scoped(secret_freep) struct secret *second = key_of(9), *third = key_of(10);
	struct slot_secret with_second = { SLOT_KEY_FILE, second }, with_third = { SLOT_KEY_FILE, third };
	struct vault *v = open_it(), *other = open_it();
	assert_true(vault_add_slot(v, &with_second, 0, &added, &err));
	assert_true(vault_add_slot(other, &with_third, 0, &added, &err));
	assert_int_equal(vault_slots(other, slots), 3);
	vault_close(v);
	vault_close(other);
}

/* The new root key is wrapped for the slots that were there when the vault was opened: one added since would be dropped
 * unsaid, one removed since would be back. */
static void rotation__slots_that_changed_meanwhile_stop_it(void **state)
{
	(void)state;
	struct error err;
	struct rotate_key_report report;
	struct slot_info added;
	scoped(secret_freep) struct secret *second = key_of(9);
	struct slot_secret with_second = { SLOT_KEY_FILE, second };
	struct vault *v = open_it(), *other = open_it();
	fill(v);
	assert_true(vault_add_slot(other, &with_second, 0, &added, &err));
	assert_false(rotate_with(v, KEY_SEED, &report, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	vault_close(v);
	v = open_it();
	assert_filled(v);
	assert_true(vault_remove_slot(other, added.id, &err));
	assert_false(rotate_with(v, KEY_SEED, &report, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	vault_close(other);
	vault_close(v);
	v = open_it();
	assert_filled(v);
	rotate(v);
	vault_close(v);
}

/* Two sessions that take each other's slot away would leave a third one, which nobody has tried. */
static void slots__the_one_that_proves_another_may_go_must_still_be_there(void **state)
{
	(void)state;
	struct error err;
	struct slot_info slots[SLOTS_MAX], second_slot, third_slot;
	scoped(secret_freep) struct secret *second = key_of(9), *third = key_of(10);
	struct slot_secret with_second = { SLOT_KEY_FILE, second }, with_third = { SLOT_KEY_FILE, third };
	struct vault *v = open_it(), *other = NULL;
	uint8_t first[SLOT_ID_LEN];
	memcpy(first, vault_opened_by(v), sizeof first);
	assert_true(vault_add_slot(v, &with_second, 0, &second_slot, &err));
	assert_true(vault_add_slot(v, &with_third, 0, &third_slot, &err));
	assert_true(vault_open(&place, &other, &err) && vault_unlock(other, &with_second, &err));
	assert_true(vault_remove_slot(other, first, &err));
	assert_false(vault_remove_slot(v, second_slot.id, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_true(vault_remove_slot(other, third_slot.id, &err));
	assert_int_equal(vault_slots(other, slots), 1);
	vault_close(v);
	vault_close(other);
}

static bool drop_grant(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	(void)context;
	if (!change_find(ch, B, &c, &exists, err) || !change_drop_grant(ch, &c, 1, err))
		return false;
	change_note(ch, "refresh", B, 1);
	return change_store(ch, &c, err);
}

/* Between the look at the Pixel and at what renews it somebody else was faster: that is no damage. */
static void grant__dropped_by_another_meanwhile_is_gone_and_not_tampered_with(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	scoped(secret_freep) struct secret *packed = NULL;
	struct vault *v = open_it(), *other = open_it();
	fill(v);
	assert_true(vault_find(v, B, false, &c, &err));
	assert_true(vault_change(other, drop_grant, NULL, &err));
	assert_false(vault_grant(v, &c, &c.versions[0], "refresh", &packed, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(packed);
	vault_close(other);
	vault_close(v);
}

/* Under the new key lies what was proven under the old one: a row that is lost or changed stops it with nothing done,
 * unless it is one of those that may be lost. */
static void rotation__over_a_damaged_row_is_refused_or_does_without_it(void **state)
{
	(void)state;
	char kept_anchor[PATH_MAX];
	struct vault *v = open_it();
	unsigned refused = 0, done = 0;
	fill(v);
	vault_close(v);
	in_scratch(kept_anchor, "kept.anchor");
	copy_file(anchor_path, kept_anchor);
	sqlite3 *db = sql_open();
	struct rows rows = rows_read(db);
	for (size_t i = 0; i < rows.count; i++)
		for (int is_deleted = 0; is_deleted < 2; is_deleted++) {
			struct row row = rows.at[i];
			struct rotate_key_report report;
			struct error err;
			uint8_t bytes[8192];
			if (strcmp(row.key, "root") == 0)
				continue;
			memcpy(bytes, row.value, row.len);
			bytes[row.len / 2] ^= 1;
			row.value = bytes;
			v = open_it();
			if (is_deleted)
				row_delete(db, row.key);
			else
				row_put_back(db, &row);
			if (rotate_with(v, KEY_SEED, &report, &err)) {
				assert_whole(v);
				assert_token(v, A, 0, TOKEN_B);
				assert_token(v, B, 0, TOKEN_B);
				done++;
			} else {
				struct rows after = rows_read(db);
				assert_true(err.code == ERR_DAMAGED || err.code == ERR_CONFLICT);
				assert_int_equal(after.count, rows.count - (size_t)is_deleted);
				rows_free(&after);
				refused++;
			}
			vault_close(v);
			rows_put_back(db, &rows);
			copy_file(kept_anchor, anchor_path);
		}
	rows_free(&rows);
	sqlite3_close(db);
	print_message("%u refused, %u done\n", refused, done);
	assert_true(refused > 20 && done >= 4);
	v = open_it();
	assert_filled(v);
	vault_close(v);
}

/* As many as a hint names; each is still told of the others. */
static void rotation__of_many_pixels_with_one_token_keeps_what_tells_of_it(void **state)
{
	(void)state;
	char pixel[PIXEL_CODE_MAX + 1], found[PIXEL_CODE_MAX + 1];
	uint8_t fingerprint[FINGERPRINT_LEN];
	scoped(secret_freep) struct secret *token = secret_of_text(TOKEN_A);
	struct vault *v = open_it();
	for (unsigned i = 0; i < 12; i++) {
		snprintf(pixel, sizeof pixel, "D%018u0", i);
		put_token(v, pixel, TOKEN_A);
		put_token(v, pixel, TOKEN_A); /* twice of the same one */
	}
	rotate(v);
	vault_fingerprint(v, token, fingerprint);
	vault_find_duplicate(v, fingerprint, "D0000000000000000000", found);
	assert_true(found[0] == 'D' && strcmp(found, "D0000000000000000000") != 0);
	assert_whole(v);
	vault_close(v);
}

#define F(f) cmocka_unit_test_setup_teardown(f, vault_make_in_memory, scratch_remove)
#define V(f) cmocka_unit_test_setup_teardown(f, vault_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		V(rotation__keeps_every_kind_of_record_and_nothing_of_the_old_epoch),
		V(rotation__of_an_empty_vault),
		V(rotation__another_process_is_told_and_opens_again),
		V(rotation__without_its_secret_a_slot_is_gone),
		V(rotation__where_the_anchor_cannot_be_written_nothing_changes),
		V(rotation__with_the_anchor_of_before_or_after_opens_at_each_step),
		V(slots__add_replace_and_remove_prove_what_they_commit),
		V(slots__of_two_writers_are_both_there),
		V(grant__dropped_by_another_meanwhile_is_gone_and_not_tampered_with),
		V(slots__the_one_that_proves_another_may_go_must_still_be_there),
		V(rotation__slots_that_changed_meanwhile_stop_it),
		F(rotation__over_a_damaged_row_is_refused_or_does_without_it),
		F(rotation__of_many_pixels_with_one_token_keeps_what_tells_of_it),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
