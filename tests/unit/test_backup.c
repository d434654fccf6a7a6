/* Backups, and a vault judged by a line that was kept elsewhere, where paths, folders and lines are odd. */
#include "vault/backup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B9G"
#define FIRST "0123456789abcdef0123456789abcdef01234567"
#define SECOND "76543210fedcba9876543210fedcba9876543210"

static void no_backup(struct vault *v, const char *to, bool may_replace, enum error_code code)
{
	struct backup_report report;
	struct error err = { .code = ERR_NONE };
	assert_false(vault_backup(v, to, may_replace, &report, &err));
	if (err.code != code || !err.message[0] || !err.hint[0])
		fail_msg("%s: code %d: %s", to, err.code, err.message);
}

static struct vault *unlocked_as(const struct vault_place *where)
{
	scoped(secret_freep) struct secret *key = key_of(KEY_SEED);
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	struct vault *v = NULL;
	struct error err;
	if (!vault_open(where, &v, &err) || !vault_unlock(v, &holder, &err))
		fail_msg("%s", err.message);
	return v;
}

static void backup__goes_where_nothing_lies_or_what_may_be_replaced_and_never_onto_the_vault(void **state)
{
	(void)state;
	char to[PATH_MAX], link[PATH_MAX], longest[PATH_MAX + 300];
	struct backup_report report;
	struct error err;
	struct vault *v = open_it();
	put_token(v, A, FIRST);
	no_backup(v, vault_file, true, ERR_CONFLICT);
	in_scratch(link, "home/../home/vault.db");
	no_backup(v, link, true, ERR_CONFLICT);
	in_scratch(to, "copy");
	assert_true(vault_backup(v, to, false, &report, &err));
	assert_true(report.is_proven && report.checkpoint[0]);
	no_backup(v, to, false, ERR_CONFLICT);
	put_token(v, A, SECOND);
	assert_true(vault_backup(v, to, true, &report, &err));
	in_scratch(to, "no such folder/copy");
	no_backup(v, to, false, ERR_NOT_FOUND);
	memset(longest, 'x', sizeof longest - 1);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	no_backup(v, longest, false, ERR_USAGE);
	vault_close(v);
	struct vault_place there = { .path = to, .state_dir = state_dir, .is_copy = true };
	in_scratch(to, "copy");
	v = unlocked_as(&there);
	struct credential c;
	assert_true(vault_find(v, A, false, &c, &err));
	assert_int_equal(c.version_count, 2); /* the later one */
	vault_close(v);
}

static void restore__onto_itself_or_where_no_folder_can_be_is_refused(void **state)
{
	(void)state;
	char to[PATH_MAX], below[PATH_MAX];
	struct backup_report report;
	struct vault *staged = NULL;
	struct error err = { .code = ERR_NONE };
	struct vault *v = open_it();
	in_scratch(to, "copy");
	assert_true(vault_backup(v, to, false, &report, &err));
	vault_close(v);
	assert_false(vault_stage(vault_file, &place, &staged, &err));
	assert_int_equal(err.code, ERR_USAGE);
	snprintf(below, sizeof below, "%.300s/folder/vault.db", to); /* below a file */
	struct vault_place there = { .path = below, .state_dir = state_dir };
	assert_false(vault_stage(to, &there, &staged, &err));
	assert_true(err.message[0] && err.hint[0]);
	in_scratch(below, "nothing");
	assert_false(vault_stage(below, &place, &staged, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(staged);
}

struct losses {
	unsigned told, whole;
	uint64_t versions;
};

static void count_loss(void *context, const char *pixel, uint64_t versions, bool is_whole)
{
	struct losses *l = context;
	assert_true(pixel[0]);
	l->told++;
	l->whole += is_whole;
	l->versions += versions;
}

/* What came since the backup, told for each Pixel; a version of the same number that is another token too. */
static void restore__tells_what_would_be_lost(void **state)
{
	(void)state;
	char to[PATH_MAX];
	struct backup_report report;
	struct restore_plan plan;
	struct losses losses = { 0 };
	struct error err;
	struct vault *v = open_it();
	put_token(v, A, FIRST);
	in_scratch(to, "copy");
	assert_true(vault_backup(v, to, false, &report, &err));
	put_token(v, A, SECOND);
	put_token(v, B, FIRST);
	vault_close(v);
	struct vault *staged = NULL;
	scoped(secret_freep) struct secret *key = key_of(KEY_SEED);
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	assert_true(vault_stage(to, &place, &staged, &err) && vault_unlock(staged, &holder, &err));
	assert_true(vault_plan_restore(staged, &place, count_loss, &losses, &plan, &err));
	assert_true(plan.is_now_there && plan.is_now_known);
	assert_int_equal(plan.lost_pixels, 1);
	assert_int_equal(plan.lost_versions, 2);
	assert_int_equal(losses.told, 2);
	assert_int_equal(losses.whole, 1);
	assert_int_equal(losses.versions, 2);
	vault_unstagep(&staged);
	v = open_it();
	assert_token(v, A, 0, SECOND); /* nothing was done */
	vault_close(v);
}

/* ---- checkpoints ---- */

static void checkpoint__is_read_as_it_was_printed_and_in_no_other_way(void **state)
{
	(void)state;
	char line[CHECKPOINT_TEXT_MAX], odd[2 * CHECKPOINT_TEXT_MAX];
	struct vault_place adopting = place;
	bool is_followed;
	struct error err;
	struct vault *v = open_it();
	put_token(v, A, FIRST);
	vault_checkpoint(v, line);
	vault_close(v);
	adopting.is_adopting = true;
	v = unlocked_as(&adopting);
	char *number = strchr(line, ':') + 1, *mac = strchr(number, ':') + 1;
	static const char *const numbers[] = { "", "0", "-1", "+2", " 2", "02", "x", "99999999999999999999999", "2 ", "2;" };
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		snprintf(odd, sizeof odd, "%.*s%s:%s", (int)(number - line), line, numbers[i], mac);
		assert_false(vault_adopt_checkpoint(v, odd, &is_followed, &err));
		assert_int_equal(err.code, ERR_USAGE);
	}
	for (size_t cut = 0; cut < strlen(line); cut += 7) {
		snprintf(odd, sizeof odd, "%.*s", (int)cut, line);
		assert_false(vault_adopt_checkpoint(v, odd, &is_followed, &err));
		assert_int_equal(err.code, ERR_USAGE);
	}
	snprintf(odd, sizeof odd, "%s0", line);
	assert_false(vault_adopt_checkpoint(v, odd, &is_followed, &err));
	assert_int_equal(err.code, ERR_USAGE);
	mac[0] = mac[0] == '0' ? '1' : '0';
	assert_false(vault_adopt_checkpoint(v, line, &is_followed, &err));
	assert_refused(&err, ERR_DAMAGED, "forked");
	vault_close(v);
}

static void checkpoint__of_a_vault_whose_root_is_gone_or_changed_adopts_nothing(void **state)
{
	(void)state;
	char line[CHECKPOINT_TEXT_MAX];
	struct vault_place adopting = place;
	bool is_followed;
	struct error err;
	struct vault *v = open_it();
	vault_checkpoint(v, line);
	vault_close(v);
	adopting.is_adopting = true;
	assert_int_equal(unlink(anchor_path), 0);
	v = unlocked_as(&adopting);
	sqlite3 *db = sql_open();
	struct rows rows = rows_read(db);
	struct row *root = row_of(&rows, "root");
	row_delete(db, "root");
	assert_false(vault_adopt_checkpoint(v, line, &is_followed, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	root->value[60] ^= 1;
	row_put_back(db, root);
	assert_false(vault_adopt_checkpoint(v, line, &is_followed, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_int_equal(access(anchor_path, F_OK), -1);
	root->value[60] ^= 1;
	row_put_back(db, root);
	assert_true(vault_adopt_checkpoint(v, line, &is_followed, &err));
	assert_true(is_followed);
	vault_close(v);
	vault_close(open_it());
	rows_free(&rows);
	sqlite3_close(db);
}

#define V(f) cmocka_unit_test_setup_teardown(f, vault_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		V(backup__goes_where_nothing_lies_or_what_may_be_replaced_and_never_onto_the_vault),
		V(restore__onto_itself_or_where_no_folder_can_be_is_refused),
		V(restore__tells_what_would_be_lost),
		V(checkpoint__is_read_as_it_was_printed_and_in_no_other_way),
		V(checkpoint__of_a_vault_whose_root_is_gone_or_changed_adopts_nothing),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
