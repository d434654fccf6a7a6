/* What is done to a vault seldom, while each allocation and file call fails once, and from there on: making one, backups
 * and the way back, repair, slots, taking over, going on after a loss. What happened is told, what lies there opens
 * afterwards, and the same works once more. */
#include "tests/support/failing.h"

#include "vault/backup.h"
#include "vault/grant.h"
#include "vault/repair.h"
#include "vault/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/kept.h"
#include "tests/support/vault_kit.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B90"
#define LIST "bc:1000"
#define FIRST "0123456789abcdef0123456789abcdef01234567"
#define SECOND "76543210fedcba9876543210fedcba9876543210"

/* ---- vaults ---- */

static char copy_path[PATH_MAX], other_path[PATH_MAX];
static struct vault *v, *from;
static const char *what; /* the work and the point */
static size_t point;

static bool open_as(const struct vault_place *where, uint8_t seed, struct vault **ret, struct error *err)
{
	scoped(secret_freep) struct secret *key = key_of(seed);
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	scoped(vault_closep) struct vault *opened = NULL;
	memset(err, 0, sizeof *err);
	if (!vault_open(where, &opened, err) || !vault_unlock(opened, &holder, err))
		return false;
	*ret = take(opened);
	return true;
}

static struct vault *must_open(const struct vault_place *where)
{
	struct vault *opened = NULL;
	struct error err;
	if (!open_as(where, KEY_SEED, &opened, &err))
		fail_msg("%s, point %zu: does not open: %s", what, point, err.message);
	return opened;
}

static struct vault_place copy_place(void)
{
	return (struct vault_place){ .path = copy_path, .state_dir = state_dir, .is_copy = true };
}

static struct vault_place adopting(void)
{
	struct vault_place p = place;
	p.is_adopting = true;
	return p;
}

static void is_proven(struct vault *opened)
{
	struct verify_report report;
	struct error err;
	if (!vault_verify(opened, NULL, NULL, &report, &err) || report.faults)
		fail_msg("%s, point %zu: verify: %s", what, point, err.message);
}

/* A vault with two Pixels and a list. */
static void prepare_vault(void)
{
	struct error err;
	in_scratch(copy_path, "copy.db");
	in_scratch(other_path, "other.db");
	set_place("home");
	assert_true(create_at(&place, &err));
	find_anchor();
	struct vault *opened = must_open(&place);
	put_token(opened, A, FIRST);
	put_token(opened, B, FIRST);
	put_token(opened, LIST, SECOND);
	vault_close(opened);
}

/* B has a second version, with what renews it; beside it lie health, a mark, a note and a book. */
static bool put_pair(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	struct version fresh = { .renewal = { .family = FAMILY_ACCOUNTS, .issued_at = 5 } };
	struct grant g = { bytes_of_text("701"), bytes_of_text("secret"), bytes_of_text("rft.token") };
	bool exists;
	uint32_t number = 0, dropped = 0;
	(void)context;
	scoped(secret_freep) struct secret *token = secret_of_text(SECOND), *packed = NULL;
	if (!grant_pack(&g, &packed, err) || !change_find(ch, B, &c, &exists, err) ||
	    !credential_add(&c, &fresh, 7, &number, &dropped, err) || !change_put_token(ch, &c, number, token, err) ||
	    !change_put_grant(ch, &c, number, packed, err) || !credential_promote(&c, number, 7))
		return false;
	change_note(ch, "put", B, number);
	return change_store(ch, &c, err);
}

static void prepare_full(void)
{
	struct error err;
	struct health_update update = { .pixel = B, .health.failures = 3 };
	struct read_mark mark = { .name = "shop", .version = 1, .at = 5 };
	struct book book = { .name = "pages", .value = bytes_of_text("what stands in it") };
	prepare_vault();
	struct vault *opened = must_open(&place);
	assert_true(vault_change(opened, put_pair, NULL, &err));
	assert_true(vault_store_health(opened, &update, 1, &err));
	assert_true(vault_mark_read(opened, B, &mark, &err));
	assert_true(vault_store_note(opened, "note", bytes_of_text("text"), &err));
	assert_true(vault_store_books(opened, &book, 1, &err));
	vault_close(opened);
}

static void prepare_copy(void)
{
	struct backup_report report;
	struct error err;
	prepare_vault();
	struct vault *opened = must_open(&place);
	assert_true(vault_backup(opened, copy_path, false, &report, &err));
	vault_close(opened);
}

/* Since the backup A has another token. */
static void prepare_newer(void)
{
	prepare_copy();
	struct vault *opened = must_open(&place);
	put_token(opened, A, SECOND);
	vault_close(opened);
}

/* The record and the token of A, and the nodes above, are no longer what they were. */
static void prepare_damage(void)
{
	prepare_copy();
	sqlite3 *db = sql_open();
	struct keys *k = true_keys(db);
	uint8_t id[PIXEL_ID_LEN];
	char key[4][KEY_TEXT_MAX];
	keys_pixel_id(k, A, id);
	key_for_pixel(1, 'm', id, key[0]);
	key_for_token(1, id, 1, key[1]);
	key_for_node(1, id, 2, key[2]);
	key_for_node(1, id, 3, key[3]);
	struct rows rows = rows_read(db);
	for (size_t i = 0; i < 4; i++) {
		struct row *row = row_of(&rows, key[i]);
		row->value[row->len / 2] ^= 1;
		row_put_back(db, row);
	}
	rows_free(&rows);
	keys_freep(&k);
	sqlite3_close(db);
}

static void prepare_no_anchor(void)
{
	prepare_vault();
	assert_int_equal(unlink(anchor_path), 0);
}

static void prepare_bad_log(void)
{
	char log[PATH_MAX];
	prepare_vault();
	snprintf(log, sizeof log, "%.*s.audit.log", (int)(strlen(anchor_path) - strlen(".anchor")), anchor_path);
	write_bytes(log, "no log at all\n", 14);
}

/* The second of two slots is no slot. */
static void prepare_bad_slots(void)
{
	struct slot_info added;
	struct error err;
	prepare_vault();
	struct vault *opened = must_open(&place);
	scoped(secret_freep) struct secret *second = key_of(9);
	assert_true(vault_add_slot(opened, &(struct slot_secret){ SLOT_RECOVERY, second }, 0, &added, &err));
	vault_close(opened);
	sqlite3 *db = sql_open();
	struct rows rows = rows_read(db);
	struct row *row = row_of(&rows, "slots");
	row->value[4 + SLOT_LEN + 8] = 77;
	row_put_back(db, row);
	rows_free(&rows);
	sqlite3_close(db);
}

static void begin_nothing(void)
{
}

static void begin_vault(void)
{
	v = must_open(&place);
}

static void begin_vault_and_copy(void)
{
	struct vault_place there = copy_place();
	v = must_open(&place);
	from = must_open(&there);
}

/* ---- the works ---- */

static bool make_it(struct error *err)
{
	scoped(secret_freep) struct secret *key = NULL;
	uint8_t bytes[32];
	struct vault_place there = { .path = other_path, .state_dir = state_dir };
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(KEY_SEED + i * 7);
	if (!secret_copy(bytes_of(bytes, sizeof bytes), &key, err))
		return false;
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	return vault_create(&there, &holder, 1, err);
}

static bool back_up(struct error *err)
{
	struct backup_report report;
	struct backup_note note;
	bool good = vault_backup(v, copy_path, true, &report, err);
	(void)vault_last_backup(&place, &note);
	return good;
}

static bool lose_nothing(struct vault *staged, struct error *err)
{
	struct restore_plan plan;
	return vault_plan_restore(staged, &place, NULL, NULL, &plan, err);
}

static bool restore_it(struct error *err)
{
	char kept_as[PATH_MAX];
	uint8_t bytes[32];
	struct verify_report report;
	scoped(secret_freep) struct secret *key = NULL;
	scoped(vault_unstagep) struct vault *staged = NULL;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(KEY_SEED + i * 7);
	if (!secret_copy(bytes_of(bytes, sizeof bytes), &key, err))
		return false;
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	return vault_stage(copy_path, &place, &staged, err) && vault_unlock(staged, &holder, err) &&
	       vault_verify(staged, NULL, NULL, &report, err) && lose_nothing(staged, err) &&
	       vault_install(staged, &place, kept_as, err);
}

static bool repair_it(struct error *err)
{
	static const char *const pixels[] = { A };
	struct repair_wish wish = { .from = from, .pixels = pixels, .count = 1, .may_step_back = true };
	struct repair plan;
	return vault_plan_repair(v, &wish, &plan, err) && vault_repair(v, &wish, &plan, err);
}

static bool turn_slots(struct error *err)
{
	struct slot_info added, found;
	uint8_t bytes[32] = { 9 };
	scoped(secret_freep) struct secret *second = NULL, *third = NULL;
	if (!secret_copy(bytes_of(bytes, sizeof bytes), &second, err))
		return false;
	bytes[0] = 10;
	if (!secret_copy(bytes_of(bytes, sizeof bytes), &third, err))
		return false;
	struct slot_secret a = { SLOT_RECOVERY, second }, b = { SLOT_CREDENTIAL, third };
	return vault_add_slot(v, &a, 0, &added, err) && vault_replace_slot(v, added.id, &b, 0, &found, err) &&
	       vault_try_secret(v, &b, &found, err) && vault_remove_slot(v, added.id, err);
}

static bool open_then(const struct vault_place *where, struct error *err)
{
	uint8_t bytes[32];
	scoped(secret_freep) struct secret *key = NULL;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(KEY_SEED + i * 7);
	if (!secret_copy(bytes_of(bytes, sizeof bytes), &key, err))
		return false;
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	return vault_open(where, &v, err) && vault_unlock(v, &holder, err);
}

static bool adopt_it(struct error *err)
{
	struct vault_place where = adopting();
	return open_then(&where, err) && vault_adopt(v, err);
}

static bool accept_it(struct error *err)
{
	struct vault_place where = place;
	where.is_doubting = true;
	return open_then(&where, err) && vault_accept_loss(v, err);
}

static bool mend_slots(struct error *err)
{
	struct vault_place where = place;
	where.is_mending = true;
	return open_then(&where, err) && vault_mend_slots(v, err);
}

static bool rotate_it(struct error *err)
{
	uint8_t bytes[32];
	scoped(secret_freep) struct secret *key = NULL;
	struct rotate_key_report report;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(KEY_SEED + i * 7);
	if (!secret_copy(bytes_of(bytes, sizeof bytes), &key, err))
		return false;
	struct slot_holder holder = { .secret = { SLOT_KEY_FILE, key } };
	memcpy(holder.id, vault_opened_by(v), SLOT_ID_LEN);
	return vault_rotate_key(v, &holder, 1, 0, &report, err);
}

static bool wrap_one(void *context, const struct vault_item *item, struct error *err)
{
	struct vault_opener *o = context;
	struct buf wrapped = BUF_INIT(4096);
	scoped(secret_freep) struct secret *token = NULL;
	if (!item->credential || !item->sealed_current.len)
		return true;
	const struct credential *c = item->credential;
	uint32_t number = credential_staged(c, STAGE_CURRENT)->number;
	bool good = vault_opener_wrap(o, c->pixel, number, item->sealed_current, &wrapped, err) &&
		    vault_opener_open(o, c->pixel, number, buf_bytes(&wrapped), &token, err);
	buf_done(&wrapped);
	return good;
}

static bool any_mark(void *context, const struct read_mark *mark, struct error *err)
{
	(void)context, (void)mark, (void)err;
	return true;
}

static bool read_secrets(struct error *err)
{
	struct credential c;
	scoped(secret_freep) struct secret *token = NULL, *grant = NULL;
	if (!vault_find(v, B, false, &c, err))
		return false;
	const struct version *current = credential_staged(&c, STAGE_CURRENT);
	return vault_token(v, &c, current, "get", &token, err) && vault_grant(v, &c, current, "refresh", &grant, err);
}

static bool read_all(struct error *err)
{
	struct vault_opener *o = NULL;
	struct vault_position at;
	struct read_mark mark;
	struct buf text = BUF_INIT(65536);
	size_t parts;
	bool is_found;
	if (!vault_opener_new(v, &o, err))
		return false;
	bool good = vault_load(v, wrap_one, o, &at, err) && read_secrets(err) && vault_book(v, "pages", &text, &parts, err) &&
		    vault_note(v, "note", &text, err) && vault_find_mark(v, B, "shop", &mark, &is_found, err) &&
		    vault_each_mark(v, B, any_mark, NULL, err);
	vault_opener_free(o);
	buf_done(&text);
	return good;
}

/* What lies beside: many at once. */
static bool write_beside(struct error *err)
{
	struct mark_update marks[2] = { { .pixel = A, .mark = { .name = "shop", .version = 1, .at = 7 } },
					{ .pixel = B, .mark = { .name = "till", .version = 1, .at = 8 } } };
	struct health_update health[2] = { { .pixel = A, .health.failures = 1 }, { .pixel = B, .health.failures = 2 } };
	struct book books[2] = { { .name = "pages", .value = bytes_of_text("another text") },
				 { .name = "more", .value = bytes_of_text("text") } };
	return vault_mark_reads(v, marks, 2, err) && vault_store_health(v, health, 2, err) &&
	       vault_store_books(v, books, 2, err) && vault_store_note(v, "note", bytes_of_text("other"), err);
}

static bool lock_and_anchor(struct error *err)
{
	struct vault_lock *lock = NULL;
	if (!vault_lock(v, "name", 0, &lock, err))
		return false;
	bool good = vault_anchor_audit(v, err);
	vault_unlockp(&lock);
	return good;
}

/* ---- what holds afterwards ---- */

static bool has_token(struct vault *opened, const char *token)
{
	char text[TOKEN_MAX + 1];
	struct error err;
	return token_text(opened, A, 0, text, &err) && strcmp(text, token) == 0;
}

static void check_vault(bool good)
{
	(void)good;
	struct vault *opened = must_open(&place);
	if (!has_token(opened, FIRST))
		fail_msg("%s, point %zu: the token is lost", what, point);
	is_proven(opened);
	vault_close(opened);
}

static void check_made(bool good)
{
	struct vault_place there = { .path = other_path, .state_dir = state_dir };
	struct stat st;
	struct error err;
	if (stat(other_path, &st) != 0 && (good || !make_it(&err)))
		fail_msg("%s, point %zu: %s", what, point, good ? "nothing was made" : err.message);
	vault_close(must_open(&there));
	check_vault(good);
}

static void check_copy(bool good)
{
	struct vault_place there = copy_place();
	struct stat st;
	if (stat(copy_path, &st) == 0) {
		struct vault *opened = must_open(&there);
		is_proven(opened);
		vault_close(opened);
	} else if (good) {
		fail_msg("%s, point %zu: there is no copy", what, point);
	}
	check_vault(good);
}

/* The one vault or the other; between the two this host may want to be told. */
static void check_restored(bool good)
{
	struct vault_place where = adopting();
	struct vault *opened = NULL;
	struct error err;
	if (!open_as(&place, KEY_SEED, &opened, &err)) {
		if (good)
			fail_msg("%s, point %zu: restored, and does not open: %s", what, point, err.message);
		opened = must_open(&where);
		if (!vault_adopt(opened, &err))
			fail_msg("%s, point %zu: cannot be adopted: %s", what, point, err.message);
		vault_close(opened);
		opened = must_open(&place);
	}
	if (!has_token(opened, FIRST) && (good || !has_token(opened, SECOND)))
		fail_msg("%s, point %zu: neither token", what, point);
	is_proven(opened);
	vault_close(opened);
}

static void check_repaired(bool good)
{
	struct error err;
	if (!good) {
		begin_vault_and_copy();
		if (!repair_it(&err))
			fail_msg("%s, point %zu: cannot be repaired: %s", what, point, err.message);
		vault_closep(&v);
		vault_closep(&from);
	}
	check_vault(good);
}

static void check_adopted(bool good)
{
	struct error err;
	if (!good && !adopt_it(&err))
		fail_msg("%s, point %zu: cannot be adopted: %s", what, point, err.message);
	vault_closep(&v);
	check_vault(good);
}

static void check_accepted(bool good)
{
	struct error err;
	memset(&err, 0, sizeof err);
	if (!good && !accept_it(&err) && err.code != ERR_CONFLICT)
		fail_msg("%s, point %zu: cannot be accepted: %s", what, point, err.message);
	vault_closep(&v);
	check_vault(good);
}

static void check_mended(bool good)
{
	struct error err;
	memset(&err, 0, sizeof err);
	if (!good && !mend_slots(&err) && err.code != ERR_CONFLICT)
		fail_msg("%s, point %zu: cannot be mended: %s", what, point, err.message);
	vault_closep(&v);
	check_vault(good);
}

struct work {
	const char *name;
	void (*prepare)(void), (*begin)(void);
	bool (*run)(struct error *err);
	void (*check)(bool good);
};

static const struct work works[] = {
	{ "create", prepare_vault, begin_nothing, make_it, check_made },
	{ "backup", prepare_copy, begin_vault, back_up, check_copy },
	{ "restore", prepare_newer, begin_nothing, restore_it, check_restored },
	{ "repair", prepare_damage, begin_vault_and_copy, repair_it, check_repaired },
	{ "return", prepare_newer, begin_vault_and_copy, repair_it, check_repaired },
	{ "slots", prepare_vault, begin_vault, turn_slots, check_vault },
	{ "adopt", prepare_no_anchor, begin_nothing, adopt_it, check_adopted },
	{ "accept-loss", prepare_bad_log, begin_nothing, accept_it, check_accepted },
	{ "mend-slots", prepare_bad_slots, begin_nothing, mend_slots, check_mended },
	{ "rotate-key", prepare_full, begin_vault, rotate_it, check_vault },
	{ "read", prepare_full, begin_vault, read_all, check_vault },
	{ "beside", prepare_full, begin_vault, write_beside, check_vault },
	{ "lock", prepare_vault, begin_vault, lock_and_anchor, check_vault },
};

struct fault {
	enum failing_kind kind;
	int error;
	size_t step, step_of_all;
	bool is_once;
};

static size_t try_point(const struct fault *f, const struct work *w, size_t n, size_t last)
{
	struct error err;
	put_all_back();
	what = w->name;
	point = n;
	w->begin();
	memset(&err, 0, sizeof err);
	failing_from(f->kind, f->error, n, last);
	bool good = w->run(&err);
	size_t failed = failing_stop();
	vault_closep(&v);
	vault_closep(&from);
	if (!good && (!failed || err.code == ERR_NONE || !err.message[0] || !err.hint[0]))
		fail_msg("%s, point %zu of kind %d: %zu failed, code %d: %s", w->name, n, (int)f->kind, failed, err.code,
			 err.message);
	w->check(good);
	return failed;
}

static void wreck(const struct fault *faults, size_t count)
{
	size_t hit[8] = { 0 };
#ifdef IS_SANITIZED
	print_message("SKIPPED: under a sanitizer nothing can be made to fail\n");
	skip();
#endif
	for (size_t k = 0; k < COUNT_OF(works); k++) {
		assert_int_equal(nftw(scratch, remove_below, 16, FTW_DEPTH | FTW_PHYS), 0);
		what = works[k].name;
		point = 0;
		works[k].prepare();
		keep_all();
		for (size_t i = 0; i < count; i++) {
			size_t step = failing_all() ? faults[i].step_of_all : faults[i].step, failed = 1;
			for (size_t n = 1 + failing_sample() % step; failed; n += step) {
				failed = try_point(&faults[i], &works[k], n, n);
				hit[i] += failed;
				if (failed && !faults[i].is_once)
					(void)try_point(&faults[i], &works[k], n, FAIL_EVER);
			}
		}
	}
	for (size_t i = 0; i < count; i++)
		assert_true(hit[i] > 0);
}

static void rare__without_memory_loses_nothing(void **state)
{
	static const struct fault faults[] = { { FAIL_MEMORY, ENOMEM, 211, 7, false } };
	(void)state;
	wreck(faults, COUNT_OF(faults));
}

static void rare__whose_files_cannot_be_read_loses_nothing(void **state)
{
	static const struct fault faults[] = { { FAIL_READS, EIO, 23, 1, false },
					       { FAIL_STATS, EIO, 23, 1, true },
					       { FAIL_OPENS, EACCES, 11, 1, false } };
	(void)state;
	wreck(faults, COUNT_OF(faults));
}

static void rare__whose_files_cannot_be_written_loses_nothing(void **state)
{
	static const struct fault faults[] = { { FAIL_WRITES, ENOSPC, 31, 2, false },
					       { FAIL_WRITES, EIO, 37, 2, true },
					       { FAIL_SYNCS, EIO, 17, 1, false },
					       { FAIL_ROOM, EDQUOT, 1, 1, false },
					       { FAIL_LOCKS, EIO, 23, 1, true } };
	(void)state;
	wreck(faults, COUNT_OF(faults));
}

static bool is_wanted(void *context, struct error *err)
{
	(void)context, (void)err;
	return true;
}

static void store__that_opened_without_memory_takes_changes(void **state)
{
	char path[PATH_MAX + 8];
	struct error err;
	struct store_op root = { .key = "root", .value = bytes_of_text("r") };
	size_t failed = 1, refused = 0;
	(void)state;
#ifdef IS_SANITIZED
	print_message("SKIPPED: under a sanitizer nothing can be made to fail\n");
	skip();
#endif
	snprintf(path, sizeof path, "%s/s.db", scratch);
	assert_int_equal(store_create(&store_sqlite, path, &root, 1, is_wanted, NULL, &err), STORE_OK);
	for (size_t n = 1; failed; n++) {
		struct store *s = NULL;
		memset(&err, 0, sizeof err);
		failing_from(FAIL_MEMORY, ENOMEM, n, n);
		enum store_class class = store_open(&store_sqlite, path, &s, &err);
		failed = failing_stop();
		refused += class != STORE_OK;
		if (class == STORE_OK && store_commit(s, NULL, 0, &root, 1, NULL, NULL, &err) != STORE_OK)
			fail_msg("opened without allocation %zu, and then: %s", n, err.message);
		if (class != STORE_OK && (err.code == ERR_NONE || !err.message[0] || !err.hint[0]))
			fail_msg("not opened without allocation %zu, and nothing told", n);
		store_close(s);
	}
	assert_true(refused > 0);
}

static int remove_place(void **state)
{
	forget_kept();
	vault_closep(&v);
	vault_closep(&from);
	return scratch_remove(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_make_in_memory, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rare__without_memory_loses_nothing),
		T(rare__whose_files_cannot_be_read_loses_nothing),
		T(rare__whose_files_cannot_be_written_loses_nothing),
		T(store__that_opened_without_memory_takes_changes),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
