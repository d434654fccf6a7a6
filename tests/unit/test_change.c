/* What a change and a walk make of a store that another writes past the lock, or that was damaged, and of functions that
 * ask for what is not there. */
#include "tests/support/failing.h"

#include "vault/grant.h"
#include "vault/vault.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"
#include "vault/internal.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B90"
#define C "C2U2T02IU8J6B9GC2B90"
#define TOKEN_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOKEN_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LIST "bc:1000"

static struct vault *v;
static sqlite3 *db;
static struct keys *keys;

/* A and B with a token each, a list of C's. */
static int change_make(void **state)
{
	if (vault_make(state) != 0)
		return -1;
	v = open_it();
	put_token(v, A, TOKEN_A);
	put_token(v, B, TOKEN_B);
	put_token(v, LIST, TOKEN_B);
	db = sql_open();
	keys = true_keys(db);
	return 0;
}

static int change_free(void **state)
{
	vault_close(v);
	v = NULL;
	keys_freep(&keys);
	sqlite3_close(db);
	return scratch_remove(state);
}

static void key_of_pixel(char kind, const char *pixel, char ret[KEY_TEXT_MAX])
{
	uint8_t id[PIXEL_ID_LEN];
	keys_pixel_id(keys, pixel, id);
	key_for_pixel(1, kind, id, ret);
}

static void key_of_node(const char *pixel, size_t depth, char ret[KEY_TEXT_MAX])
{
	uint8_t id[PIXEL_ID_LEN];
	keys_pixel_id(keys, pixel, id);
	key_for_node(1, id, depth, ret);
}

/* One bit in the middle of the value is another one. */
static void tamper(const char *key)
{
	struct rows rows = rows_read(db);
	struct row *row = row_of(&rows, key);
	row->value[row->len / 2] ^= 1;
	row_put_back(db, row);
	rows_free(&rows);
}

static void refused_by(change_fn *fn, enum error_code code)
{
	struct error err = { .code = ERR_NONE };
	uint64_t before = vault_generation(v);
	assert_false(vault_change(v, fn, NULL, &err));
	if (err.code != code || !err.message[0] || !err.hint[0])
		fail_msg("code %d: %s", err.code, err.message);
	assert_int_equal(vault_generation(v), before);
}

/* ---- functions that ask for what is not there ---- */

static bool find_a(struct change *ch, struct credential *c, struct error *err)
{
	bool exists;
	return change_find(ch, A, c, &exists, err) && exists;
}

static bool put_into_no_version(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	(void)context;
	scoped(secret_freep) struct secret *token = secret_of_text(TOKEN_A);
	return find_a(ch, &c, err) && change_put_token(ch, &c, 99, token, err);
}

static bool grant_into_no_version(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	struct grant g = { bytes_of_text("701"), bytes_of_text("secret"), bytes_of_text("rft.token") };
	(void)context;
	scoped(secret_freep) struct secret *packed = NULL;
	return find_a(ch, &c, err) && grant_pack(&g, &packed, err) && change_put_grant(ch, &c, 99, packed, err);
}

static bool grant_of_no_version(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	(void)context;
	return find_a(ch, &c, err) && change_drop_grant(ch, &c, 99, err);
}

static bool grant_that_is_none(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	(void)context;
	scoped(secret_freep) struct secret *text = secret_of_text("what no grant_pack made");
	return find_a(ch, &c, err) && change_put_grant(ch, &c, 1, text, err);
}

static bool say_nothing(void *context, struct change *ch, struct error *err)
{
	(void)context, (void)ch, (void)err;
	return false;
}

static void change__of_a_version_that_is_not_there_is_not_found(void **state)
{
	(void)state;
	refused_by(put_into_no_version, ERR_NOT_FOUND);
	refused_by(grant_into_no_version, ERR_NOT_FOUND);
	refused_by(grant_of_no_version, ERR_NOT_FOUND);
}

static void change__refused_without_a_reason_or_with_what_is_no_grant_is_a_mistake_of_ours(void **state)
{
	(void)state;
	refused_by(say_nothing, ERR_UNEXPECTED);
	refused_by(grant_that_is_none, ERR_UNEXPECTED);
}

/* A version without a pair, one that is still listed, a Pixel that was never stored: nothing of others is touched. */
static bool drop_what_is_not_there(void *context, struct change *ch, struct error *err)
{
	struct credential c, unknown;
	bool exists;
	(void)context;
	return find_a(ch, &c, err) && change_drop_grant(ch, &c, 1, err) && change_drop_token(ch, &c, 7, err) &&
	       change_find(ch, C, &unknown, &exists, err) && !exists && change_drop_token(ch, &unknown, 1, err);
}

static void change__that_drops_what_is_not_there_takes_nothing_else_along(void **state)
{
	(void)state;
	struct error err;
	struct verify_report report;
	assert_true(vault_change(v, drop_what_is_not_there, NULL, &err));
	assert_token(v, A, 0, TOKEN_A);
	assert_token(v, B, 0, TOKEN_B);
	assert_true(vault_verify(v, NULL, NULL, &report, &err));
	assert_int_equal(report.faults, 0);
}

/* The same token twice: the hint that another Pixel's owner sees stays until the last of them is dropped. */
static bool drop_first(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	(void)context;
	if (!find_a(ch, &c, err))
		return false;
	c.versions[0] = c.versions[1];
	c.version_count = 1;
	change_note(ch, "drop", A, 1);
	return change_drop_token(ch, &c, 1, err) && change_store(ch, &c, err);
}

static void change__that_drops_one_of_two_like_tokens_still_knows_the_other(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	char duplicate[PIXEL_CODE_MAX + 1];
	put_token(v, A, TOKEN_A);
	assert_true(vault_change(v, drop_first, NULL, &err));
	assert_true(vault_find(v, A, false, &c, &err));
	assert_int_equal(c.version_count, 1);
	vault_find_duplicate(v, c.versions[0].fingerprint, C, duplicate);
	assert_string_equal(duplicate, A);
}

/* ---- another writer, or damage, under a change ---- */

static bool move_the_root(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	(void)context;
	if (!find_a(ch, &c, err))
		return false;
	row_set(db, "root", bytes_of_text("another root"), 1);
	/* As of a store whose reads are not all of one instant: ours ends that by a view. */
	struct store_view *view;
	assert_int_equal(store_view_open(v->store, &view, err), STORE_OK);
	store_view_close(v->store, view);
	return change_find(ch, B, &c, &exists, err);
}

static void change__under_which_the_root_moves_is_a_conflict(void **state)
{
	(void)state;
	refused_by(move_the_root, ERR_CONFLICT);
}

static bool find_it(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	(void)context;
	return change_find(ch, A, &c, &exists, err);
}

static bool store_it_blindly(void *context, struct change *ch, struct error *err)
{
	struct credential c = { .created_at = 1 };
	(void)context;
	strcpy(c.pixel, A);
	change_note(ch, "put", A, 0);
	return change_store(ch, &c, err);
}

static bool drop_it_blindly(void *context, struct change *ch, struct error *err)
{
	struct credential c = { .created_at = 1 };
	(void)context;
	strcpy(c.pixel, A);
	return change_drop_token(ch, &c, 1, err);
}

static void change__of_a_pixel_whose_records_are_damaged_is_refused(void **state)
{
	(void)state;
	char key[KEY_TEXT_MAX];
	struct rows rows = rows_read(db);
	for (size_t depth = 1; depth <= NODE_DEPTH; depth++) {
		key_of_node(A, depth, key);
		tamper(key);
		refused_by(find_it, ERR_DAMAGED);
		refused_by(store_it_blindly, ERR_DAMAGED); /* not written over either */
		refused_by(drop_it_blindly, ERR_DAMAGED);
		row_put_back(db, row_of(&rows, key));
	}
	key_of_pixel('m', A, key);
	tamper(key);
	refused_by(find_it, ERR_DAMAGED);
	row_put_back(db, row_of(&rows, key));
	struct error err;
	assert_true(vault_change(v, find_it, NULL, &err));
	rows_free(&rows);
}

/* Of two states, the other one comes whenever we are about to commit: the later first, then the earlier. */
struct tug {
	struct rows state[2];
	char anchor[2][PATH_MAX];
	unsigned runs;
};

static bool pull(void *context, struct change *ch, struct error *err)
{
	struct tug *tug = context;
	struct put_job job = { .pixel = A, .label = "mine=1" };
	if (!put_one(&job, ch, err))
		return false;
	unsigned other = ++tug->runs % 2;
	rows_put_back(db, &tug->state[other]);
	copy_file(tug->anchor[other], anchor_path);
	return true;
}

static void change__overtaken_by_what_the_anchor_knows_to_be_older_is_refused(void **state)
{
	(void)state;
	struct tug tug = { .runs = 0 };
	struct error err;
	struct vault *w = open_it();
	for (size_t i = 0; i < 2; i++) {
		in_scratch(tug.anchor[i], i ? "second.anchor" : "first.anchor");
		put_label(w, B, i ? "n=1" : "n=0");
		copy_file(anchor_path, tug.anchor[i]);
		tug.state[i] = rows_read(db);
	}
	rows_put_back(db, &tug.state[0]);
	copy_file(tug.anchor[0], anchor_path);
	vault_close(w);
	memset(&err, 0, sizeof err);
	assert_false(vault_change(v, pull, &tug, &err));
	assert_refused(&err, ERR_DAMAGED, "rolled-back");
	assert_true(tug.runs >= 2);
	rows_free(&tug.state[0]);
	rows_free(&tug.state[1]);
}

/* A Pixel in a part of the tree where none was: nodes are made, and where one misses memory nothing is there in part. */
static void change__of_a_new_pixel_without_memory_leaves_all_of_it_or_nothing(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct verify_report report;
	size_t failed = 1;
#ifdef IS_SANITIZED
	skip();
#endif
	for (size_t n = 1; failed; n++) {
		char pixel[PIXEL_CODE_MAX + 1];
		snprintf(pixel, sizeof pixel, "E%018zu0", n);
		struct put_job job = { .pixel = pixel, .label = "k=v" };
		memset(&err, 0, sizeof err);
		failing_from(FAIL_MEMORY, ENOMEM, n, n);
		bool good = vault_change(v, put_one, &job, &err);
		failed = failing_stop();
		if (!good && (!failed || err.code == ERR_NONE || !err.hint[0]))
			fail_msg("point %zu: code %d: %s", n, err.code, err.message);
		memset(&err, 0, sizeof err);
		bool is_there = vault_find(v, pixel, false, &c, &err);
		if (is_there ? c.label_count != 1 : good || err.code != ERR_NOT_FOUND) /* there although told otherwise: the anchor failed */
			fail_msg("point %zu: %s: %s", n, is_there ? "there in part" : "not there", err.message);
	}
	assert_true(vault_verify(v, NULL, NULL, &report, &err));
	assert_int_equal(report.faults, 0);
}

/* ---- walks ---- */

struct seen {
	unsigned items, unreadable, last;
	char pixel[PIXEL_CODE_MAX + 1];
};

static bool count_item(void *context, const struct vault_item *item, struct error *err)
{
	struct seen *s = context;
	s->items++;
	s->unreadable += !item->credential;
	if (item->credential)
		strcpy(s->pixel, item->credential->pixel);
	return s->items != s->last || fail(err, ERR_MISMATCHED, "enough%s", "none", "");
}

static bool count_pixel(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct seen *s = context;
	(void)h;
	s->items++;
	strcpy(s->pixel, c->pixel);
	return s->items != s->last || fail(err, ERR_MISMATCHED, "enough%s", "none", "");
}

static void walk__of_a_locked_vault_is_refused(void **state)
{
	(void)state;
	struct error err;
	struct seen seen = { 0 };
	struct vault_position at = { .rev = 0 };
	struct vault *locked = NULL;
	assert_true(vault_open(&place, &locked, &err));
	struct error errors[4];
	memset(errors, 0, sizeof errors);
	assert_false(vault_load(locked, count_item, &seen, &at, &errors[0]));
	assert_false(vault_position(locked, &at, &errors[1]));
	assert_false(vault_catch_up(locked, count_item, &seen, &at, &errors[2]));
	assert_false(vault_each(locked, true, true, count_pixel, &seen, &errors[3]));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(errors[i].code, ERR_LOCKED);
	assert_int_equal(seen.items, 0);
	vault_close(locked);
}

static void walk__of_a_store_without_a_root_is_refused(void **state)
{
	(void)state;
	struct error err = { .code = ERR_NONE };
	struct vault_position at;
	struct seen seen = { 0 };
	assert_true(vault_position(v, &at, &err));
	row_delete(db, "root");
	assert_false(vault_each(v, false, false, count_pixel, &seen, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	row_set(db, "root2", bytes_of_text("not the one"), 1);
	err.code = ERR_NONE;
	assert_false(vault_each(v, false, false, count_pixel, &seen, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	err.code = ERR_NONE;
	assert_false(vault_catch_up(v, count_item, &seen, &at, &err)); /* though the store's number did not move */
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_int_equal(seen.items, 0);
}

static void walk__ends_when_whoever_asked_has_enough(void **state)
{
	(void)state;
	struct error err = { .code = ERR_NONE };
	struct seen seen = { .last = 1 };
	struct vault_position at;
	assert_false(vault_each(v, true, true, count_pixel, &seen, &err));
	assert_int_equal(err.code, ERR_MISMATCHED);
	seen.items = 0;
	assert_false(vault_each_list(v, count_pixel, &seen, &err));
	assert_int_equal(err.code, ERR_MISMATCHED);
	assert_string_equal(seen.pixel, LIST);
	seen.items = 0;
	assert_false(vault_load(v, count_item, &seen, &at, &err));
	assert_int_equal(seen.items, 1);
	/* Also one whose record cannot be read, at loading and at catching up. */
	char key[KEY_TEXT_MAX];
	seen.last = 0;
	assert_true(vault_load(v, count_item, &seen, &at, &err));
	put_label(v, A, "n=1");
	key_of_pixel('m', A, key);
	tamper(key);
	seen = (struct seen){ 0 };
	struct vault_position then = at;
	assert_true(vault_catch_up(v, count_item, &seen, &then, &err));
	assert_int_equal(seen.unreadable, 1);
	seen = (struct seen){ .last = 1 };
	err.code = ERR_NONE;
	assert_false(vault_catch_up(v, count_item, &seen, &at, &err));
	assert_int_equal(err.code, ERR_MISMATCHED);
	seen = (struct seen){ 0 };
	assert_true(vault_load(v, count_item, &seen, &at, &err));
	assert_int_equal(seen.unreadable, 1);
	unsigned all = seen.items;
	for (unsigned last = 1; last <= all; last++) {
		seen = (struct seen){ .last = last };
		assert_false(vault_load(v, count_item, &seen, &at, &err));
		assert_int_equal(seen.items, last);
	}
}

/* A row that no inventory names is nobody's, whatever its name says. */
static void catch_up__passes_over_rows_that_are_nobodys(void **state)
{
	(void)state;
	char key[KEY_TEXT_MAX], odd[KEY_TEXT_MAX];
	struct error err;
	struct vault_position at;
	struct seen seen = { 0 };
	assert_true(vault_load(v, count_item, &seen, &at, &err));
	put_label(v, B, "n=1");
	struct rows rows = rows_read(db);
	key_of_pixel('m', B, key);
	int64_t now = row_of(&rows, key)->mod;
	key_of_pixel('m', C, odd);
	row_set(db, odd, bytes_of_text("no such Pixel"), now);
	memset(strrchr(odd, '/') + 1, 'z', strlen(strrchr(odd, '/') + 1));
	row_set(db, odd, bytes_of_text("no name of any"), now);
	row_set(db, "e1/n/-", bytes_of_text("no node"), now);
	seen = (struct seen){ 0 };
	assert_true(vault_catch_up(v, count_item, &seen, &at, &err));
	assert_int_equal(seen.items, 1);
	assert_string_equal(seen.pixel, B);
	assert_true(vault_load(v, count_item, &seen, &at, &err));
	rows_free(&rows);
}

static void catch_up__below_a_damaged_node_is_refused(void **state)
{
	(void)state;
	char key[KEY_TEXT_MAX];
	struct error err = { .code = ERR_NONE };
	struct vault_position at;
	struct seen seen = { 0 };
	assert_true(vault_load(v, count_item, &seen, &at, &err));
	put_label(v, B, "n=1");
	key_of_node(B, 2, key);
	tamper(key);
	seen = (struct seen){ 0 };
	assert_false(vault_catch_up(v, count_item, &seen, &at, &err));
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_int_equal(seen.items, 0);
}

static bool destroy_a(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	(void)context;
	if (!find_a(ch, &c, err))
		return false;
	c.version_count = 0;
	c.is_destroyed = true;
	change_note(ch, "destroy", A, 0);
	return change_drop_token(ch, &c, 1, err) && change_store(ch, &c, err);
}

static void walk__shows_the_destroyed_only_to_those_who_ask(void **state)
{
	(void)state;
	struct error err;
	struct seen seen = { 0 };
	assert_true(vault_change(v, destroy_a, NULL, &err));
	assert_true(vault_each(v, false, false, count_pixel, &seen, &err));
	assert_int_equal(seen.items, 1);
	assert_string_equal(seen.pixel, B);
	seen.items = 0;
	assert_true(vault_each(v, false, true, count_pixel, &seen, &err));
	assert_int_equal(seen.items, 2);
}

/* ---- pages of the file ---- */

#define PIXELS_MANY 60

static bool load_tokens(void *context, const struct vault_item *item, struct error *err)
{
	(void)err;
	unsigned *whole = context;
	*whole += !item->damage && item->sealed_current.len > 0;
	return true;
}

static bool put_many(void *context, struct change *ch, struct error *err)
{
	(void)context;
	for (unsigned i = 0; i < PIXELS_MANY; i++) {
		char pixel[PIXEL_CODE_MAX + 1];
		snprintf(pixel, sizeof pixel, "D%018u0", i);
		struct put_job job = { .pixel = pixel, .token = TOKEN_A, .is_promoted = true, .now = 1700000000 };
		if (!put_one(&job, ch, err))
			return false;
	}
	return true;
}

/* Whichever page the disk lost: all Pixels come whole, or it is said that something is wrong. */
static void walk__of_a_file_with_a_page_of_zeros_never_passes_for_whole(void **state)
{
	(void)state;
	static uint8_t bytes[4 << 20];
	struct error err;
	struct change_item item = { .fn = put_many };
	vault_change_all(v, &item, 1);
	assert_true(item.is_done);
	struct health_update updates[PIXELS_MANY];
	memset(updates, 0, sizeof updates);
	for (unsigned i = 0; i < PIXELS_MANY; i++) {
		snprintf(updates[i].pixel, sizeof updates[i].pixel, "D%018u0", i);
		updates[i].health.failures = 3;
	}
	assert_true(vault_store_health(v, updates, PIXELS_MANY, &err));
	vault_close(v);
	v = NULL;
	assert_int_equal(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	db = NULL;
	size_t len = file_bytes(vault_file, bytes, sizeof bytes), refused = 0;
	assert_in_range(len, 40 * 4096, sizeof bytes - 1);
	for (size_t at = 4096; at < len; at += 4096) {
		uint8_t kept[4096];
		struct vault *other = NULL;
		struct vault_position where;
		unsigned whole = 0;
		memcpy(kept, bytes + at, sizeof kept);
		memset(bytes + at, 0, sizeof kept);
		write_bytes(vault_file, bytes, len);
		memcpy(bytes + at, kept, sizeof kept);
		memset(&err, 0, sizeof err);
		bool good = try_open(&other, &err) && vault_load(other, load_tokens, &whole, &where, &err);
		vault_close(other);
		if (good && whole != PIXELS_MANY + 2)
			continue; /* items that say that they are damaged */
		if (!good && err.code != ERR_DAMAGED)
			fail_msg("page at %zu: code %d, %s", at, err.code, err.message);
		refused += !good;
	}
	assert_true(refused > 10);
	write_bytes(vault_file, bytes, len);
}

#define T(f) cmocka_unit_test_setup_teardown(f, change_make, change_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(change__of_a_version_that_is_not_there_is_not_found),
		T(change__refused_without_a_reason_or_with_what_is_no_grant_is_a_mistake_of_ours),
		T(change__that_drops_what_is_not_there_takes_nothing_else_along),
		T(change__that_drops_one_of_two_like_tokens_still_knows_the_other),
		T(change__under_which_the_root_moves_is_a_conflict),
		T(change__of_a_pixel_whose_records_are_damaged_is_refused),
		T(change__overtaken_by_what_the_anchor_knows_to_be_older_is_refused),
		T(change__of_a_new_pixel_without_memory_leaves_all_of_it_or_nothing),
		T(walk__of_a_locked_vault_is_refused),
		T(walk__of_a_store_without_a_root_is_refused),
		T(walk__ends_when_whoever_asked_has_enough),
		T(catch_up__passes_over_rows_that_are_nobodys),
		T(catch_up__below_a_damaged_node_is_refused),
		T(walk__shows_the_destroyed_only_to_those_who_ask),
		T(walk__of_a_file_with_a_page_of_zeros_never_passes_for_whole),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
