/* The sealed vault on real files, used through its calls and attacked through SQLite. */
#include "core/clock.h"
#include "vault/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault_kit.h"
#include "vault/backup.h"

#define A "C0U2T02IU8J6B9GC2B90"
#define B "C1U2T02IU8J6B9GC2B90"
#define TOKEN_A "aaaa456789abcdef0123456789abcdef01234567"
#define TOKEN_B "bbbb456789abcdef0123456789abcdef01234567"

/* ---- making, opening, unlocking ---- */

static void create__makes_a_private_empty_vault_with_its_anchor(void **state)
{
	(void)state;
	struct stat st;
	struct error err;
	struct verify_report report;
	assert_int_equal(stat(vault_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(state_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(anchor_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	struct vault *v = open_it();
	assert_int_equal(vault_generation(v), 1);
	assert_string_equal(vault_path(v), vault_file);
	assert_true(vault_has_slot(v, SLOT_KEY_FILE));
	assert_false(vault_has_slot(v, SLOT_PASSPHRASE));
	assert_true(vault_verify(v, NULL, NULL, &report, &err));
	assert_int_equal(
		report.pixels + report.tokens + report.nodes + report.disposable + report.rubbish + report.faults, 0);
	vault_close(v);
}

static void create__never_replaces_a_vault_nor_its_anchor(void **state)
{
	(void)state;
	uint8_t before[1024], after[1024];
	struct error err;
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	vault_close(v);
	assert_int_equal(file_bytes(anchor_path, before, sizeof before), sizeof before);
	assert_false(create_at(&place, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(file_bytes(anchor_path, after, sizeof after), sizeof after);
	assert_memory_equal(before, after, sizeof before);
	v = open_it();
	assert_token(v, A, 0, TOKEN_A);
	vault_close(v);
}

static void create__needs_one_to_sixteen_secrets_and_each_opens(void **state)
{
	(void)state;
	struct error err;
	struct secret *keys[SLOTS_MAX + 1];
	struct slot_secret holders[SLOTS_MAX + 1];
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		keys[i] = key_of((uint8_t)(100 + i));
		holders[i] = (struct slot_secret){ i % 2 ? SLOT_KEY_FILE : SLOT_RECOVERY, keys[i] };
	}
	set_place("many");
	assert_false(vault_create(&place, holders, 0, &err));
	assert_int_equal(err.code, ERR_USAGE);
	assert_false(vault_create(&place, holders, SLOTS_MAX + 1, &err));
	assert_int_equal(err.code, ERR_USAGE);
	assert_int_equal(access(vault_file, F_OK), -1);
	assert_true(vault_create(&place, holders, SLOTS_MAX, &err));
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		struct vault *v = NULL;
		assert_true(vault_open(&place, &v, &err));
		assert_int_equal(vault_unlock(v, &holders[i], &err), i < SLOTS_MAX);
		if (i == SLOTS_MAX)
			assert_int_equal(err.code, ERR_WRONG_KEY);
		vault_close(v);
		secret_free(keys[i]);
	}
}

static void open__of_nothing_is_not_found(void **state)
{
	(void)state;
	struct vault *v = NULL;
	struct error err;
	struct vault_place nowhere = { .path = "/tmp/pixelvault-no-such-folder/vault.db", .state_dir = state_dir };
	assert_false(vault_open(&nowhere, &v, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(unlink(vault_file), 0);
	assert_false(vault_open(&place, &v, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(v);
}

/* Others who may write the folder can put another file in the vault's place. */
static void open__in_a_folder_that_others_may_write_is_refused(void **state)
{
	(void)state;
	char folder[PATH_MAX];
	struct vault *v = NULL;
	struct error err;
	in_scratch(folder, "home");
	assert_int_equal(chmod(folder, 0777), 0);
	bool ok = try_open(&v, &err);
	vault_close(v);
	assert_false(ok);
	assert_refused(&err, ERR_DAMAGED, "damaged");
}

static void sealed__everything_but_unlocking_is_refused_as_locked(void **state)
{
	(void)state;
	struct vault *v = NULL;
	struct error err = { 0 };
	struct credential c = { .pixel = A };
	struct health h;
	struct secret *token = NULL;
	struct version version = { .number = 1 };
	struct buf note = BUF_INIT(NOTE_MAX);
	struct read_mark mark = { .name = "x" };
	struct health_update update = { .pixel = A };
	struct verify_report report;
	struct put_job job = { .pixel = A, .label = "k=v" };
	assert_true(vault_open(&place, &v, &err));
#define LOCKED(call)                                                                                                   \
	do {                                                                                                           \
		memset(&err, 0, sizeof err);                                                                           \
		assert_false(call);                                                                                    \
		assert_int_equal(err.code, ERR_LOCKED);                                                                \
	} while (0)
	LOCKED(vault_find(v, A, true, &c, &err));
	LOCKED(vault_token(v, &c, &version, "get", &token, &err));
	LOCKED(vault_health(v, &c, &h, &err));
	LOCKED(vault_each(v, true, true, NULL, NULL, &err));
	LOCKED(vault_change(v, put_one, &job, &err));
	LOCKED(vault_store_health(v, &update, 1, &err));
	LOCKED(vault_note(v, "breaker", &note, &err));
	LOCKED(vault_store_note(v, "breaker", bytes_of_text("x"), &err));
	LOCKED(vault_mark_read(v, A, &mark, &err));
	LOCKED(vault_each_mark(v, A, NULL, NULL, &err));
	LOCKED(vault_verify(v, NULL, NULL, &report, &err));
	LOCKED(vault_adopt(v, &err));
	struct buf book = BUF_INIT(NOTE_MAX);
	struct vault_opener *opener = NULL;
	struct slot_info info;
	struct slot_holder holder = { .id = { 0 } };
	struct rotate_key_report rotated;
	size_t parts;
	bool is_followed, is_found;
	struct error ignored;
	scoped(secret_freep) struct secret *second = key_of(9);
	struct slot_secret with_second = { SLOT_KEY_FILE, second };
	struct vault *whole = open_it();
	char checkpoint[CHECKPOINT_TEXT_MAX];
	vault_checkpoint(whole, checkpoint);
	vault_close(whole);
	LOCKED(vault_adopt_checkpoint(v, checkpoint, &is_followed, &err));
	LOCKED(vault_list_names(v, &note, &err));
	LOCKED(vault_each_list(v, NULL, NULL, &err));
	LOCKED(vault_book(v, "pages", &book, &parts, &err));
	LOCKED(vault_store_books(v, &(struct book){ .name = "pages", .value = bytes_of_text("x") }, 1, &err));
	LOCKED(vault_find_mark(v, A, "x", &mark, &is_found, &err));
	LOCKED(vault_grant(v, &c, &version, "refresh", &token, &err));
	LOCKED(vault_opener_new(v, &opener, &err));
	LOCKED(vault_hold(v, &err));
	LOCKED(vault_anchor_audit(v, &err));
	LOCKED(vault_accept_loss(v, &err));
	LOCKED(vault_add_slot(v, &with_second, 0, &info, &err));
	LOCKED(vault_remove_slot(v, info.id, &err));
	LOCKED(vault_mend_slots(v, &err));
	LOCKED(vault_rotate_key(v, &holder, 1, 0, &rotated, &err));
	assert_false(vault_has_lost(v, &ignored)); /* nothing was written */
	vault_close(v);
	vault_close(NULL);
}

static void unlock__a_wrong_key_leaves_it_sealed_to_be_tried_again(void **state)
{
	(void)state;
	struct vault *v = NULL;
	struct error err;
	struct credential c;
	scoped(secret_freep) struct secret *right = key_of(KEY_SEED), *wrong = key_of(KEY_SEED + 1);
	struct slot_secret good = { SLOT_KEY_FILE, right }, bad = { SLOT_KEY_FILE, wrong },
			   other = { SLOT_RECOVERY, right };
	assert_true(vault_open(&place, &v, &err));
	assert_false(vault_unlock(v, &bad, &err));
	assert_int_equal(err.code, ERR_WRONG_KEY);
	assert_false(vault_unlock(v, &other, &err));
	assert_int_equal(err.code, ERR_WRONG_KEY);
	assert_false(vault_find(v, A, false, &c, &err));
	assert_int_equal(err.code, ERR_LOCKED);
	assert_true(vault_unlock(v, &good, &err));
	assert_true(vault_unlock(v, &bad, &err)); /* open already */
	assert_false(vault_find(v, A, false, &c, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	vault_close(v);
}

/* ---- changing and reading ---- */

static void change__what_was_stored_is_found_in_any_handle(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct vault *v = open_it(), *w = open_it();
	put_token(v, A, TOKEN_A);
	put_token(w, B, TOKEN_B);
	put_label(v, A, "team=shop");
	assert_token(w, A, 0, TOKEN_A);
	assert_token(v, B, 1, TOKEN_B);
	assert_int_equal(vault_generation(v), vault_generation(w));
	vault_close(v);
	vault_close(w);
	v = open_it();
	assert_int_equal(vault_generation(v), 4);
	assert_true(vault_find(v, A, false, &c, &err));
	assert_string_equal(c.pixel, A);
	assert_int_equal(c.label_count, 1);
	assert_string_equal(c.labels[0].value, "shop");
	assert_int_equal(c.version_count, 1);
	assert_int_equal(c.versions[0].stage, STAGE_CURRENT);
	assert_true(vault_find(v, B, false, &c, &err));
	memset(&c, 0xa5, sizeof c);
	assert_false(vault_find(v, "ABCDEFGH", false, &c, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(((uint8_t *)&c)[0], 0xa5);
	vault_close(v);
}

static void change__tokens_of_every_length_come_back(void **state)
{
	(void)state;
	static const size_t lengths[] = { 8, 40, 511, 512, 1023, 1024, 2047, 2048, 4094, 4095 };
	struct vault *v = open_it();
	static char texts[COUNT_OF(lengths)][TOKEN_MAX + 1];
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		memset(texts[i], (int)('a' + i), lengths[i]);
		put_token(v, A, texts[i]);
	}
	for (size_t i = 0; i < COUNT_OF(lengths); i++)
		assert_token(v, A, (uint32_t)(i + 1), texts[i]);
	vault_close(v);
}

static void change__the_seventeenth_version_takes_the_oldest_retired_token_along(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct verify_report report;
	struct vault *v = open_it();
	char text[64];
	for (unsigned i = 1; i <= 18; i++) {
		snprintf(text, sizeof text, "token-number-%02u", i);
		put_token(v, A, text);
	}
	assert_true(vault_find(v, A, false, &c, &err));
	assert_int_equal(c.version_count, VERSIONS_MAX);
	assert_null(credential_numbered(&c, 2));
	assert_int_equal(c.versions[0].number, 3);
	assert_token(v, A, 3, "token-number-03");
	assert_token(v, A, 18, "token-number-18");
	assert_true(vault_verify(v, NULL, NULL, &report, &err));
	assert_int_equal(report.tokens, 16);
	vault_close(v);
}

struct refusal {
	const char *how;
	unsigned runs;
};

static bool stage_and_refuse(void *context, struct change *ch, struct error *err)
{
	struct refusal *r = context;
	struct put_job job = { .pixel = A, .token = TOKEN_B, .is_promoted = true },
		       other = { .pixel = "ABCDEFGH", .token = TOKEN_A };
	struct health h = { .failures = 9 };
	r->runs++;
	assert_true(put_one(&job, ch, err));
	assert_true(put_one(&other, ch, err));
	assert_true(change_store_health(ch, A, &h, err));
	assert_true(change_drop_health(ch, B, err));
	return fail(err, ERR_MISMATCHED, "changed my mind (%s)", "no hint needed", r->how);
}

static void change__whose_callback_fails_leaves_nothing(void **state)
{
	(void)state;
	uint8_t before_anchor[1024], after_anchor[1024];
	struct error err;
	struct refusal r = { .how = "test" };
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	put_token(v, B, TOKEN_B);
	sqlite3 *db = sql_open();
	struct rows before = rows_read(db);
	file_bytes(anchor_path, before_anchor, sizeof before_anchor);
	assert_false(vault_change(v, stage_and_refuse, &r, &err));
	assert_int_equal(err.code, ERR_MISMATCHED);
	assert_string_equal(err.message, "changed my mind (test)");
	assert_int_equal(r.runs, 1);
	struct rows after = rows_read(db);
	file_bytes(anchor_path, after_anchor, sizeof after_anchor);
	assert_true(rows_are_equal(&before, &after));
	assert_memory_equal(before_anchor, after_anchor, sizeof before_anchor);
	assert_token(v, A, 0, TOKEN_A);
	put_label(v, A, "k=v"); /* and the next one works */
	rows_free(&before);
	rows_free(&after);
	sqlite3_close(db);
	vault_close(v);
}

static bool do_nothing(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	*(bool *)context = change_find(ch, A, &c, &exists, err) && exists && c.version_count == 1;
	return true;
}

static void change__with_nothing_staged_commits_nothing(void **state)
{
	(void)state;
	struct error err;
	bool was_found = false;
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	uint64_t before = vault_generation(v);
	assert_true(vault_change(v, do_nothing, &was_found, &err));
	assert_true(was_found);
	assert_int_equal(vault_generation(v), before);
	vault_close(v);
	v = open_it();
	assert_int_equal(vault_generation(v), before);
	vault_close(v);
}

static bool see_own_changes(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists;
	struct put_job job = { .pixel = A, .token = TOKEN_A, .is_promoted = true },
		       more = { .pixel = A, .label = "k=v" };
	(void)context;
	if (!change_find(ch, A, &c, &exists, err))
		return false;
	assert_false(exists);
	assert_string_equal(c.pixel, A);
	assert_int_equal(c.version_count, 0);
	assert_true(c.created_at > 1600000000);
	if (!put_one(&job, ch, err) || !put_one(&more, ch, err) || !change_find(ch, A, &c, &exists, err))
		return false;
	assert_true(exists);
	assert_int_equal(c.version_count, 1);
	assert_int_equal(c.label_count, 1);
	return true;
}

static void change__sees_what_it_staged_itself(void **state)
{
	(void)state;
	struct error err;
	struct vault *v = open_it();
	assert_true(vault_change(v, see_own_changes, NULL, &err));
	assert_int_equal(vault_generation(v), 2);
	assert_token(v, A, 0, TOKEN_A);
	vault_close(v);
}

/* Another writer that does not keep to the lock comes first: the callback runs again on what that one left. */
struct race {
	sqlite3 *db;
	const struct rows *theirs;
	const char *their_anchor;
	unsigned runs;
	bool saw_theirs;
};

static bool be_overtaken(void *context, struct change *ch, struct error *err)
{
	struct race *race = context;
	struct put_job job = { .pixel = A, .label = "mine=1" };
	struct credential c;
	struct label theirs = { "theirs", "1" };
	bool exists;
	if (!change_find(ch, A, &c, &exists, err) || !put_one(&job, ch, err))
		return false;
	race->saw_theirs = credential_has_label(&c, &theirs);
	if (race->runs++ == 0) {
		rows_put_back(race->db, race->theirs);
		copy_file(race->their_anchor, anchor_path);
	}
	return true;
}

static void change__overtaken_by_another_runs_again_and_loses_nothing(void **state)
{
	(void)state;
	char old_anchor[PATH_MAX], their_anchor[PATH_MAX];
	struct error err;
	struct credential c;
	struct label mine = { "mine", "1" }, theirs = { "theirs", "1" };
	struct vault *w = open_it();
	sqlite3 *db = sql_open();
	put_token(w, A, TOKEN_A);
	struct vault *v = open_it();
	in_scratch(old_anchor, "old.anchor");
	in_scratch(their_anchor, "their.anchor");
	copy_file(anchor_path, old_anchor);
	struct rows old = rows_read(db);
	put_label(w, A, "theirs=1");
	copy_file(anchor_path, their_anchor);
	struct rows new = rows_read(db);
	vault_close(w);
	rows_put_back(db, &old);
	copy_file(old_anchor, anchor_path);
	struct race race = { .db = db, .theirs = &new, .their_anchor = their_anchor };
	assert_true(vault_change(v, be_overtaken, &race, &err));
	assert_int_equal(race.runs, 2);
	assert_true(race.saw_theirs);
	assert_true(vault_find(v, A, false, &c, &err));
	assert_true(credential_has_label(&c, &mine));
	assert_true(credential_has_label(&c, &theirs));
	rows_free(&old);
	rows_free(&new);
	sqlite3_close(db);
	vault_close(v);
	vault_close(open_it());
}

static bool count_one_up(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	struct label label = { "n", "" };
	bool exists;
	(void)context;
	if (!change_find(ch, A, &c, &exists, err))
		return false;
	snprintf(label.value, sizeof label.value, "%d", (c.label_count ? atoi(c.labels[0].value) : 0) + 1);
	change_note(ch, "label", A, 0);
	return credential_label(&c, &label, err) && change_store(ch, &c, err);
}

static void change__of_competing_processes_loses_no_update(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	pid_t pids[3];
	for (size_t i = 0; i < COUNT_OF(pids); i++) {
		pids[i] = fork_child();
		if (pids[i] == 0) {
			struct vault *v = NULL;
			if (!try_open(&v, &err))
				_exit(3);
			for (unsigned n = 0; n < 50; n++)
				if (!vault_change(v, count_one_up, NULL, &err))
					_exit(4);
			vault_close(v);
			_exit(0);
		}
	}
	for (size_t i = 0; i < COUNT_OF(pids); i++)
		assert_int_equal(ended(pids[i]), 0);
	struct vault *v = open_it();
	assert_true(vault_find(v, A, false, &c, &err));
	assert_string_equal(c.labels[0].value, "150");
	assert_int_equal(vault_generation(v), 151);
	vault_close(v);
}

static void change__waits_at_most_its_five_seconds_for_a_writer(void **state)
{
	(void)state;
	struct error err;
	struct store *s = NULL;
	struct put_job job = { .pixel = A, .label = "k=v" };
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	assert_int_equal(store_open(&store_sqlite, vault_file, &s, &err), STORE_OK);
	assert_int_equal(store_hold(s, 100, &err), STORE_OK);
	assert_token(v, A, 0, TOKEN_A); /* readers go on */
	int64_t begun = clock_boot_ms();
	assert_false(vault_change(v, put_one, &job, &err));
	int64_t took = clock_boot_ms() - begun;
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_true(took >= 4900 && took < 7000);
	store_release(s);
	assert_true(vault_change(v, put_one, &job, &err));
	store_close(s);
	vault_close(v);
}

static void change__killed_at_any_moment_leaves_a_whole_vault(void **state)
{
	(void)state;
	struct error err;
	struct verify_report report;
	int last = 0;
	for (unsigned round = 0; round < 25; round++) {
		int ends[2], acknowledged = last, n;
		assert_int_equal(pipe(ends), 0);
		pid_t pid = fork_child();
		if (pid == 0) {
			struct vault *v = NULL;
			if (!try_open(&v, &err))
				_exit(3);
			for (int i = last + 1;; i++)
				if (!vault_change(v, count_one_up, NULL, &err) ||
				    write(ends[1], &i, sizeof i) != sizeof i)
					_exit(4);
		}
		close(ends[1]);
		assert_int_equal(read(ends[0], &n, sizeof n), sizeof n);
		acknowledged = n;
		usleep((unsigned)rand() % 15000);
		kill_hard(pid);
		while (read(ends[0], &n, sizeof n) == sizeof n)
			acknowledged = n;
		close(ends[0]);
		struct vault *v = open_it(); /* the anchor is at most one commit behind */
		struct credential c;
		assert_true(vault_find(v, A, false, &c, &err));
		last = atoi(c.labels[0].value);
		assert_true(last == acknowledged || last == acknowledged + 1);
		assert_true(vault_verify(v, NULL, NULL, &report, &err));
		vault_close(v);
	}
}

static bool delete_it(void *context, struct change *ch, struct error *err)
{
	struct credential c;
	bool exists, is_for_good = *(bool *)context;
	if (!change_find(ch, A, &c, &exists, err))
		return false;
	c.deleted_at = 1700000000;
	if (is_for_good) {
		while (c.version_count) {
			uint32_t number = c.versions[--c.version_count].number;
			if (!change_drop_token(ch, &c, number, err))
				return false;
		}
		c.is_destroyed = true;
	}
	change_note(ch, is_for_good ? "destroy" : "remove", A, 0);
	return change_drop_health(ch, A, err) && change_store(ch, &c, err);
}

static bool count_them(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	(void)c, (void)h, (void)err;
	++*(unsigned *)context;
	return true;
}

static void find__a_deleted_pixel_is_found_only_when_wanted(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct verify_report report;
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	for (int for_good = 0; for_good < 2; for_good++) {
		bool is_for_good = for_good;
		unsigned live = 0, all = 0;
		assert_true(vault_change(v, delete_it, &is_for_good, &err));
		assert_false(vault_find(v, A, false, &c, &err));
		assert_int_equal(err.code, ERR_NOT_FOUND);
		assert_true(vault_find(v, A, true, &c, &err));
		assert_int_equal(c.version_count, !for_good);
		assert_int_equal(c.last_number, 1); /* the number is never given again */
		assert_true(vault_each(v, false, false, count_them, &live, &err));
		assert_true(vault_each(v, false, true, count_them, &all, &err));
		assert_int_equal(live, 0);
		assert_int_equal(all, 1);
		assert_true(vault_verify(v, NULL, NULL, &report, &err));
		assert_int_equal(report.tokens, !for_good);
	}
	vault_close(v);
}

/* Another process drops the version between our look and our reading it. */
static void token__dropped_meanwhile_is_not_found_and_no_alarm(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct secret *token = NULL;
	bool is_for_good = true;
	struct vault *v = open_it(), *w = open_it();
	put_token(w, A, TOKEN_A);
	assert_true(vault_find(v, A, false, &c, &err));
	assert_true(vault_change(w, delete_it, &is_for_good, &err));
	assert_false(vault_token(v, &c, &c.versions[0], "get", &token, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(token);
	vault_close(v);
	vault_close(w);
}

static void token__is_not_given_when_its_line_cannot_be_written(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct secret *token = NULL;
	char log[PATH_MAX];
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	assert_true(vault_find(v, A, false, &c, &err));
	size_t stem = strlen(anchor_path) - strlen(".anchor");
	assert_string_equal(anchor_path + stem, ".anchor");
	(void)snprintf(log, sizeof log, "%.*s.audit.log", (int)stem, anchor_path);
	assert_int_equal(unlink(log), 0);
	assert_false(vault_token(v, &c, &c.versions[0], "get", &token, &err));
	assert_string_equal(err.class, "audit");
	assert_null(token);
	struct token_reading twice[] = { { .credential = &c, .version = &c.versions[0] },
					 { .credential = &c, .version = &c.versions[0] } };
	assert_false(vault_tokens(v, twice, COUNT_OF(twice), "get", &err));
	assert_string_equal(err.class, "audit");
	assert_null(twice[0].token);
	assert_null(twice[1].token);
	vault_close(v);
}

/* A log with so many lines. */
static size_t lines_of_the_log(void)
{
	char log[PATH_MAX];
	size_t lines = 0;
	(void)snprintf(log, sizeof log, "%.*s.audit.log", (int)(strlen(anchor_path) - strlen(".anchor")), anchor_path);
	FILE *f = fopen(log, "r");
	assert_non_null(f);
	for (int c; (c = fgetc(f)) != EOF;)
		lines += c == '\n';
	fclose(f);
	return lines;
}

static void tokens__read_together_each_has_a_result_of_its_own(void **state)
{
	(void)state;
	struct error err;
	struct credential a, b, gone;
	const char *other = "C3U2T02IU8J6B9GC2B90";
	bool is_for_good = true;
	struct vault *v = open_it(), *w = open_it();
	put_token(w, B, TOKEN_B);
	put_token(w, A, TOKEN_A);
	assert_true(vault_find(v, A, false, &gone, &err));
	assert_true(vault_change(w, delete_it, &is_for_good, &err));
	put_token(w, other, TOKEN_B);
	assert_true(vault_find(v, other, false, &a, &err));
	assert_true(vault_find(v, B, false, &b, &err));
	struct token_reading readings[] = { { .credential = &gone, .version = &gone.versions[0] },
					    { .credential = &b, .version = &b.versions[0] },
					    { .credential = &a, .version = credential_staged(&a, STAGE_CURRENT) } };
	size_t before = lines_of_the_log();
	assert_true(vault_tokens(v, readings, COUNT_OF(readings), "probe", &err));
	assert_null(readings[0].token);
	assert_int_equal(readings[0].err.code, ERR_NOT_FOUND);
	for (size_t i = 1; i < COUNT_OF(readings); i++) {
		assert_non_null(readings[i].token);
		assert_true(bytes_equal(secret_reveal(readings[i].token), bytes_of_text(TOKEN_B)));
		secret_freep(&readings[i].token);
	}
	assert_int_equal(lines_of_the_log() - before, 2);
	assert_true(vault_tokens(v, readings, 0, "probe", &err));
	vault_close(v);
	vault_close(w);
}

/* That our memory is full says nothing about the vault. */
static void token__without_room_in_locked_memory_is_no_alarm(void **state)
{
	(void)state;
	static struct secret *hogs[SECRET_ARENA_LARGE / 512];
	struct error err, ignored, why = { 0 };
	struct credential c;
	struct secret *token = NULL;
	struct verify_report report;
	size_t count = 0;
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	assert_true(vault_find(v, A, false, &c, &err));
	while (count < COUNT_OF(hogs) && secret_new(512, &hogs[count], &ignored))
		count++;
	bool ok = vault_token(v, &c, &c.versions[0], "get", &token, &err),
	     verified = vault_verify(v, NULL, NULL, &report, &why);
	for (size_t i = 0; i < count; i++)
		secret_free(hogs[i]);
	vault_close(v);
	assert_true(count > 1000);
	assert_false(ok);
	assert_int_not_equal(err.code, ERR_DAMAGED);
	assert_false(verified);
	assert_int_not_equal(why.code, ERR_DAMAGED);
}

/* ---- many ---- */

#define MANY 5000
#define BATCH 500

struct batch {
	unsigned first;
};

static void numbered(unsigned i, char pixel[PIXEL_CODE_MAX + 1], char token[64])
{
	snprintf(pixel, PIXEL_CODE_MAX + 1, "D%018u0", i);
	snprintf(token, 64, "token-of-the-pixel-number-%06u", i);
}

static bool put_batch(void *context, struct change *ch, struct error *err)
{
	struct batch *batch = context;
	for (unsigned i = batch->first; i < batch->first + BATCH; i++) {
		char pixel[PIXEL_CODE_MAX + 1], token[64];
		numbered(i, pixel, token);
		struct put_job job = { .pixel = pixel, .token = token, .is_promoted = true };
		struct health h = { .failures = i };
		if (!put_one(&job, ch, err) || !change_store_health(ch, pixel, &h, err))
			return false;
	}
	return true;
}

struct tally {
	unsigned count, wrong;
	uint8_t seen[MANY];
};

static bool tally_one(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	struct tally *t = context;
	char pixel[PIXEL_CODE_MAX + 1], token[64];
	unsigned i = 0;
	(void)err;
	t->count++;
	sscanf(c->pixel + 1, "%18u", &i);
	numbered(i, pixel, token);
	if (strcmp(pixel, c->pixel) != 0 || i >= MANY || t->seen[i]++ || h->failures != i || c->version_count != 1 ||
	    h->current.version != 1)
		t->wrong++;
	return true;
}

static bool stop_at_three(void *context, const struct credential *c, const struct health *h, struct error *err)
{
	(void)c;
	assert_null(h);
	return ++*(unsigned *)context < 3 ? true : fail(err, ERR_UNCLEAR, "enough", "of this");
}

static void many__five_thousand_pixels_are_stored_found_walked_and_verified(void **state)
{
	(void)state;
	static struct tally t;
	struct error err;
	struct verify_report report;
	struct vault *v = open_it();
	for (struct batch batch = { 0 }; batch.first < MANY; batch.first += BATCH)
		if (!vault_change(v, put_batch, &batch, &err))
			fail_msg("batch at %u: %s", batch.first, err.message);
	assert_int_equal(vault_generation(v), 1 + MANY / BATCH);
	vault_close(v);
	v = open_it();
	memset(&t, 0, sizeof t);
	assert_true(vault_each(v, true, false, tally_one, &t, &err));
	assert_int_equal(t.count, MANY);
	assert_int_equal(t.wrong, 0);
	for (unsigned i = 0; i < MANY; i += 17) {
		char pixel[PIXEL_CODE_MAX + 1], token[64];
		numbered(i, pixel, token);
		assert_token(v, pixel, 0, token);
	}
	unsigned seen = 0;
	assert_false(vault_each(v, false, false, stop_at_three, &seen, &err));
	assert_int_equal(seen, 3);
	assert_int_equal(err.code, ERR_UNCLEAR);
	assert_true(vault_verify(v, NULL, NULL, &report, &err));
	assert_int_equal(report.pixels, MANY);
	assert_int_equal(report.tokens, MANY);
	assert_int_equal(report.disposable, 2 * MANY); /* health and duplicate hint */
	assert_true(report.nodes > 16 + 256 && report.nodes <= 16 + 256 + 4096);
	assert_int_equal(report.rubbish, 0);
	assert_int_equal(report.generation, vault_generation(v));
	put_label(v, "D0000000000000001230", "k=v"); /* one path among many */
	assert_token(v, "D0000000000000001230", 0, "token-of-the-pixel-number-000123");
	assert_true(vault_verify(v, NULL, NULL, &report, &err));
	vault_close(v);
}

/* ---- health, notes, marks, duplicates, locks ---- */

static void health__is_kept_counted_and_aligned(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct health h;
	struct health_update updates[2] = { { .pixel = A }, { .pixel = B } };
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	put_token(v, B, TOKEN_B);
	assert_true(vault_find(v, A, false, &c, &err));
	assert_true(vault_health(v, &c, &h, &err)); /* missing: as never asked, aligned */
	assert_int_equal(h.counter, 0);
	assert_int_equal(h.current.version, 1);
	assert_int_equal(h.current.verdict, VERDICT_UNCHECKED);
	uint64_t generation = vault_generation(v);
	updates[0].health = h;
	updates[0].health.current.verdict = VERDICT_HEALTHY;
	updates[1].health.failures = 3;
	assert_true(vault_store_health(v, updates, 2, &err));
	assert_true(vault_store_health(v, updates, 0, &err));
	assert_true(vault_health(v, &c, &h, &err));
	assert_int_equal(h.counter, 1);
	assert_int_equal(h.current.verdict, VERDICT_HEALTHY);
	updates[0].health = h;
	assert_true(vault_store_health(v, updates, 1, &err));
	assert_true(vault_health(v, &c, &h, &err));
	assert_int_equal(h.counter, 2);
	assert_int_equal(vault_generation(v), generation); /* beside the inventory */
	assert_true(vault_find(v, B, false, &c, &err));
	assert_true(vault_health(v, &c, &h, &err));
	assert_int_equal(h.failures, 3);
	put_token(v, A, "a-new-token-for-a");
	assert_true(vault_find(v, A, false, &c, &err));
	assert_true(vault_health(v, &c, &h, &err));
	assert_int_equal(h.current.version, 2);
	assert_int_equal(h.current.verdict, VERDICT_UNCHECKED);
	vault_close(v);
}

static void health__damaged_moved_or_deleted_is_as_never_asked(void **state)
{
	(void)state;
	struct error err;
	struct credential a, b;
	struct health h;
	struct health_update updates[2] = { { .pixel = A }, { .pixel = B } };
	char key_a[KEY_TEXT_MAX], key_b[KEY_TEXT_MAX];
	uint8_t id[PIXEL_ID_LEN];
	struct vault *v = open_it();
	sqlite3 *db = sql_open();
	struct keys *k = true_keys(db);
	put_token(v, A, TOKEN_A);
	put_token(v, B, TOKEN_B);
	assert_true(vault_find(v, A, false, &a, &err) && vault_find(v, B, false, &b, &err));
	updates[0].health.failures = 5;
	updates[1].health.failures = 6;
	assert_true(vault_store_health(v, updates, 2, &err));
	keys_pixel_id(k, A, id);
	key_for_pixel(1, 'h', id, key_a);
	keys_pixel_id(k, B, id);
	key_for_pixel(1, 'h', id, key_b);
	struct rows rows = rows_read(db);
	struct row *row_a = row_of(&rows, key_a), *row_b = row_of(&rows, key_b);
	row_set(db, key_a, bytes_of(row_b->value, row_b->len), 1); /* another Pixel's */
	assert_true(vault_health(v, &a, &h, &err));
	assert_int_equal(h.failures, 0);
	assert_int_equal(h.current.version, 1);
	row_a->value[40] ^= 1;
	row_put_back(db, row_a);
	assert_true(vault_health(v, &a, &h, &err));
	assert_int_equal(h.failures, 0);
	assert_token(v, A, 0, TOKEN_A); /* it touches no token */
	row_set(db, key_a, bytes_of("", 0), 1);
	assert_true(vault_health(v, &a, &h, &err));
	row_delete(db, key_a);
	assert_true(vault_health(v, &a, &h, &err));
	assert_int_equal(h.failures, 0);
	assert_true(vault_health(v, &b, &h, &err));
	assert_int_equal(h.failures, 6);
	rows_free(&rows);
	keys_free(k);
	sqlite3_close(db);
	vault_close(v);
}

static void note__is_kept_replaced_and_bound_to_its_name(void **state)
{
	(void)state;
	struct error err;
	struct buf note = BUF_INIT(1 << 16);
	static uint8_t big[NOTE_MAX];
	struct vault *v = open_it();
	assert_true(vault_note(v, "breaker", &note, &err));
	assert_int_equal(note.len, 0);
	assert_true(vault_store_note(v, "breaker", bytes_of_text("first"), &err));
	assert_true(vault_store_note(v, "breaker", bytes_of_text("second"), &err));
	assert_true(vault_store_note(v, "quota-0", bytes_of(big, sizeof big), &err));
	assert_true(vault_note(v, "breaker", &note, &err));
	assert_true(bytes_equal(buf_bytes(&note), bytes_of_text("second")));
	assert_true(vault_note(v, "quota-0", &note, &err));
	assert_int_equal(note.len, NOTE_MAX);
	sqlite3 *db = sql_open();
	sql_do(db, "UPDATE kv SET v = (SELECT v FROM kv WHERE k = 'e1/a/quota-0') WHERE k = 'e1/a/breaker'");
	assert_true(vault_note(v, "breaker", &note, &err));
	assert_int_equal(note.len, 0);
	sqlite3_close(db);
	buf_done(&note);
	vault_close(v);
}

/* name is [a-z0-9-]{1,32}, a value at most NOTE_MAX: what is not so is refused, not cut or mixed up with another. */
static void note__out_of_its_bounds_is_refused(void **state)
{
	(void)state;
	struct error err;
	struct buf note = BUF_INIT(1 << 16);
	static uint8_t big[NOTE_MAX + 1];
	static const char *const names[] = { "", "Breaker", "a/b", "a b", "123456789012345678901234567890123" };
	struct vault *v = open_it();
	unsigned taken = 0;
	assert_true(vault_store_note(v, "12345678901234567890123456789012", bytes_of_text("of the 32"), &err));
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (vault_store_note(v, names[i], bytes_of_text("x"), &err)) {
			print_message("the name '%s' was taken\n", names[i]);
			taken++;
		}
	if (vault_store_note(v, "big", bytes_of(big, sizeof big), &err)) {
		print_message("a note of %zu bytes was taken\n", sizeof big);
		taken++;
	}
	assert_true(vault_note(v, "12345678901234567890123456789012", &note, &err));
	bool is_kept = bytes_equal(buf_bytes(&note), bytes_of_text("of the 32"));
	buf_done(&note);
	vault_close(v);
	assert_int_equal(taken, 0);
	assert_true(is_kept);
}

struct marks {
	unsigned count;
	struct read_mark at[8];
};

static bool keep_mark(void *context, const struct read_mark *mark, struct error *err)
{
	struct marks *marks = context;
	(void)err;
	assert_true(marks->count < COUNT_OF(marks->at));
	marks->at[marks->count++] = *mark;
	return true;
}

static const struct read_mark *mark_named(const struct marks *marks, const char *name)
{
	for (unsigned i = 0; i < marks->count; i++)
		if (strcmp(marks->at[i].name, name) == 0)
			return &marks->at[i];
	return NULL;
}

static void mark__one_for_each_consumer_and_pixel(void **state)
{
	(void)state;
	struct error err;
	struct marks marks = { 0 };
	struct read_mark mark = { .name = "shop@eu-1", .version = 1, .at = 100 };
	struct vault *v = open_it();
	put_token(v, A, TOKEN_A);
	assert_true(vault_each_mark(v, A, keep_mark, &marks, &err));
	assert_int_equal(marks.count, 0);
	assert_true(vault_mark_read(v, A, &mark, &err));
	mark.version = 2;
	assert_true(vault_mark_read(v, A, &mark, &err));
	memset(mark.name, 'n', 64);
	mark.name[64] = '\0';
	assert_true(vault_mark_read(v, A, &mark, &err));
	strcpy(mark.name, "other");
	assert_true(vault_mark_read(v, B, &mark, &err));
	assert_true(vault_each_mark(v, A, keep_mark, &marks, &err));
	assert_int_equal(marks.count, 2);
	assert_int_equal(mark_named(&marks, "shop@eu-1")->version, 2);
	assert_int_equal(mark_named(&marks, "shop@eu-1")->at, 100);
	sqlite3 *db = sql_open();
	sql_do(db, "UPDATE kv SET v = zeroblob(552) WHERE k LIKE 'e1/c/%'"); /* disposable: skipped */
	marks.count = 0;
	assert_true(vault_each_mark(v, A, keep_mark, &marks, &err));
	assert_int_equal(marks.count, 0);
	sqlite3_close(db);
	vault_close(v);
}

static void mark_as(struct vault *v, const char *name, uid_t uid, uint32_t version, int64_t at, bool is_acked)
{
	struct error err;
	struct read_mark mark = { .version = version, .at = at, .is_acked = is_acked, .has_uid = true, .uid = uid };
	snprintf(mark.name, sizeof mark.name, "%s", name);
	assert_true(vault_mark_read(v, A, &mark, &err));
}

static bool is_marked(struct vault *v, const char *name, struct read_mark *ret)
{
	struct error err;
	bool is_found;
	assert_true(vault_find_mark(v, A, name, ret, &is_found, &err));
	return is_found;
}

static bool count_marks(void *context, const struct read_mark *mark, struct error *err)
{
	(void)mark, (void)err;
	++*(unsigned *)context;
	return true;
}

static unsigned mark_count(struct vault *v)
{
	struct error err;
	unsigned count = 0;
	assert_true(vault_each_mark(v, A, count_marks, &count, &err));
	return count;
}

static void mark__an_acknowledgement_outlives_reads_of_that_version_only(void **state)
{
	(void)state;
	struct read_mark m;
	struct vault *v = open_it();
	assert_false(is_marked(v, "shop", &m));
	mark_as(v, "shop", 7, 2, 100, true);
	mark_as(v, "shop", 8, 2, 101, false);
	assert_true(is_marked(v, "shop", &m));
	assert_true(m.is_acked);
	assert_int_equal(m.at, 101);
	assert_int_equal(m.uid, 8);
	mark_as(v, "shop", 7, 1, 102, false);
	assert_true(is_marked(v, "shop", &m));
	assert_false(m.is_acked);
	mark_as(v, "shop", 7, 2, 103, false);
	assert_true(is_marked(v, "shop", &m) && !m.is_acked);
	vault_close(v);
}

static void mark__made_up_names_push_out_only_their_users_own(void **state)
{
	(void)state;
	struct error err;
	struct read_mark m;
	struct vault *v = open_it();
	static struct mark_update many[500];
	mark_as(v, "victim", 1, 1, 10, false);
	mark_as(v, "own-old", 2, 1, 11, false);
	for (unsigned i = 0; i < COUNT_OF(many); i++) {
		many[i] = (struct mark_update){ A, { .version = 1, .at = 100 + i, .has_uid = true, .uid = 2 } };
		snprintf(many[i].mark.name, sizeof many[i].mark.name, "made-up-%u", i);
	}
	assert_true(vault_mark_reads(v, many, COUNT_OF(many), &err));
	assert_int_equal(mark_count(v), MARKS_PER_UID + 1);
	assert_true(is_marked(v, "victim", &m));
	assert_false(is_marked(v, "own-old", &m));
	assert_false(is_marked(v, "made-up-435", &m));
	assert_true(is_marked(v, "made-up-436", &m) && is_marked(v, "made-up-499", &m));
	mark_as(v, "own-new", 2, 1, 700, false);
	assert_int_equal(mark_count(v), MARKS_PER_UID + 1);
	assert_false(is_marked(v, "made-up-436", &m));
	vault_close(v);
}

static void mark__of_a_full_pixel_the_user_with_the_most_gives_up_one(void **state)
{
	(void)state;
	struct error err;
	struct read_mark m;
	struct vault *v = open_it();
	static struct mark_update many[MARKS_PER_PIXEL];
	for (unsigned i = 0; i < COUNT_OF(many); i++) {
		many[i] = (struct mark_update){ A, { .version = 1, .at = 100 + i, .has_uid = true, .uid = 2 + i / MARKS_PER_UID } };
		snprintf(many[i].mark.name, sizeof many[i].mark.name, "made-up-%u", i);
	}
	many[0].mark.at = 5000; /* of the first user another one is the oldest now */
	many[MARKS_PER_PIXEL - 1].mark.uid = 9;
	assert_true(vault_mark_reads(v, many, COUNT_OF(many), &err));
	assert_int_equal(mark_count(v), MARKS_PER_PIXEL);
	mark_as(v, "newcomer", 9, 1, 20, false);
	assert_int_equal(mark_count(v), MARKS_PER_PIXEL);
	assert_true(is_marked(v, "newcomer", &m) && is_marked(v, "made-up-0", &m));
	/* the oldest of one of the three users who have 64, not of the newcomer's, who has two */
	assert_int_equal(is_marked(v, "made-up-1", &m) + is_marked(v, "made-up-64", &m) + is_marked(v, "made-up-128", &m), 2);
	assert_true(is_marked(v, "made-up-255", &m));
	vault_close(v);
}

static void mark__who_was_long_not_seen_while_others_were_is_forgotten(void **state)
{
	(void)state;
	struct read_mark m;
	struct vault *v = open_it();
	int64_t now = clock_wall();
	mark_as(v, "gone", 1, 1, now - 2 * MARK_AGE_S, false);
	assert_int_equal(mark_count(v), 1); /* the only one stays, however old */
	mark_as(v, "late", 1, 1, now - 2 * MARK_AGE_S + 10, false);
	assert_int_equal(mark_count(v), 2);
	mark_as(v, "here", 1, 1, now, false);
	assert_int_equal(mark_count(v), 1);
	assert_false(is_marked(v, "gone", &m));
	mark_as(v, "almost", 1, 1, now - MARK_AGE_S + 60, false);
	mark_as(v, "from-the-future", 1, 1, now + 3 * MARK_AGE_S, false); /* its clock was wrong: nobody is old by it */
	assert_int_equal(mark_count(v), 3);
	vault_close(v);
}

static void mark__who_will_not_wait_does_not_wait_for_another_writer(void **state)
{
	(void)state;
	struct error err;
	struct read_mark m, mark = { .name = "shop", .version = 1, .at = 5 };
	struct vault *v = open_it(), *other = open_it();
	assert_true(vault_hold(other, &err));
	int64_t began = clock_boot_ms();
	assert_false(vault_try_mark(v, A, &mark, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_true(clock_boot_ms() - began < 2500); /* of the five seconds that others wait */
	vault_release(other);
	assert_true(vault_try_mark(v, A, &mark, &err));
	assert_true(is_marked(v, "shop", &m));
	vault_close(other);
	vault_close(v);
}

static void duplicate__another_live_pixel_with_the_token_is_named(void **state)
{
	(void)state;
	struct error err;
	char pixel[PIXEL_CODE_MAX + 1];
	uint8_t f[FINGERPRINT_LEN];
	scoped(secret_freep) struct secret *token = secret_of_text(TOKEN_A);
	bool is_for_good = false;
	struct vault *v = open_it();
	vault_fingerprint(v, token, f);
	vault_find_duplicate(v, f, B, pixel);
	assert_string_equal(pixel, "");
	put_token(v, A, TOKEN_A);
	vault_find_duplicate(v, f, A, pixel); /* itself is no duplicate */
	assert_string_equal(pixel, "");
	vault_find_duplicate(v, f, B, pixel);
	assert_string_equal(pixel, A);
	put_token(v, B, TOKEN_A);
	vault_find_duplicate(v, f, A, pixel);
	assert_string_equal(pixel, B);
	put_token(v, A, "another-token-1");
	vault_find_duplicate(v, f, B, pixel); /* still A's previous */
	assert_string_equal(pixel, A);
	put_token(v, A, "another-token-2");
	vault_find_duplicate(v, f, B, pixel); /* retired: no more */
	assert_string_equal(pixel, "");
	put_token(v, A, TOKEN_A);
	vault_find_duplicate(v, f, B, pixel);
	assert_string_equal(pixel, A);
	assert_true(vault_change(v, delete_it, &is_for_good, &err));
	vault_find_duplicate(v, f, B, pixel);
	assert_string_equal(pixel, "");
	sqlite3 *db = sql_open();
	sql_do(db, "UPDATE kv SET v = zeroblob(232) WHERE k LIKE 'e1/d/%'");
	vault_find_duplicate(v, f, A, pixel);
	assert_string_equal(pixel, "");
	put_token(v, "ABCDEFGH", TOKEN_A); /* a damaged hint is made anew */
	vault_find_duplicate(v, f, B, pixel);
	assert_string_equal(pixel, "ABCDEFGH");
	sqlite3_close(db);
	vault_close(v);
}

static void duplicate__nine_holders_push_out_the_oldest(void **state)
{
	(void)state;
	struct error err;
	char pixel[PIXEL_CODE_MAX + 1], code[16];
	uint8_t f[FINGERPRINT_LEN];
	struct verify_report report;
	scoped(secret_freep) struct secret *token = secret_of_text(TOKEN_A);
	struct vault *v = open_it();
	for (unsigned i = 0; i < 10; i++) {
		snprintf(code, sizeof code, "ABCDEFG%u", i);
		put_token(v, code, TOKEN_A);
	}
	vault_fingerprint(v, token, f);
	vault_find_duplicate(v, f, "ABCDEFG9", pixel);
	assert_string_equal(pixel, "ABCDEFG2");
	assert_true(vault_verify(v, NULL, NULL, &report, &err));
	vault_close(v);
}

static void lock__one_at_a_time_waits_no_longer_than_told(void **state)
{
	(void)state;
	struct error err;
	struct vault_lock *lock = NULL, *second = NULL;
	struct vault *v = open_it(), *w = open_it();
	assert_true(vault_lock(v, "sweep", 0, &lock, &err));
	int64_t begun = clock_boot_ms();
	assert_false(vault_lock(w, "sweep", 200, &second, &err));
	int64_t took = clock_boot_ms() - begun;
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_null(second);
	assert_true(took >= 190 && took < 2500);
	assert_true(vault_lock(w, "other", 0, &second, &err));
	vault_unlockp(&second);
	assert_null(second);
	vault_unlockp(&lock);
	vault_unlockp(&lock);
	assert_true(vault_lock(w, "sweep", 0, &second, &err));
	vault_unlockp(&second);
	vault_close(v);
	vault_close(w);
}

/* ---- tampering: a few Pixels, spread over the inventory, with a file's past to put back ---- */

#define PIXELS 6
#define VERSIONS 3

static struct {
	char pixel[PIXELS][24], token[PIXELS][VERSIONS][64], meta[PIXELS][KEY_TEXT_MAX], leaf[PIXELS][KEY_TEXT_MAX];
	uint8_t id[PIXELS][PIXEL_ID_LEN];
	char key[PIXELS][VERSIONS][KEY_TEXT_MAX];
	sqlite3 *db;
	struct keys *keys;
	struct rows rows, old; /* now, and before the last change of every Pixel */
	uint8_t anchor[1024];
	struct vault *v;
} t;

static int tamper_make(void **state)
{
	if (vault_make(state) != 0)
		return -1;
	t.v = open_it();
	t.db = sql_open();
	t.keys = true_keys(t.db);
	for (unsigned p = 0; p < PIXELS; p++) {
		snprintf(t.pixel[p], sizeof t.pixel[p], "D00000000000000000%u0", p + 1);
		keys_pixel_id(t.keys, t.pixel[p], t.id[p]);
		key_for_pixel(1, 'm', t.id[p], t.meta[p]);
		key_for_node(1, t.id[p], 3, t.leaf[p]);
		for (uint32_t n = 0; n < VERSIONS; n++) {
			snprintf(t.token[p][n], sizeof t.token[p][n], "token-%u-of-pixel-%u", n + 1, p);
			key_for_token(1, t.id[p], n + 1, t.key[p][n]);
		}
	}
	for (unsigned n = 0; n < VERSIONS; n++) {
		if (n == VERSIONS - 1)
			t.old = rows_read(t.db);
		for (unsigned p = 0; p < PIXELS; p++)
			put_token(t.v, t.pixel[p], t.token[p][n]);
	}
	t.rows = rows_read(t.db);
	return file_bytes(anchor_path, t.anchor, sizeof t.anchor) == sizeof t.anchor ? 0 : -1;
}

static void mend(void)
{
	rows_put_back(t.db, &t.rows);
	write_bytes(anchor_path, t.anchor, sizeof t.anchor);
}

static int tamper_remove(void **state)
{
	vault_close(t.v);
	sqlite3_close(t.db);
	keys_free(t.keys);
	rows_free(&t.rows);
	rows_free(&t.old);
	memset(&t, 0, sizeof t);
	return scratch_remove(state);
}

static struct bytes value_of(const struct rows *rows, const char *key)
{
	const struct row *row = row_of(rows, key);
	return bytes_of(row->value, row->len);
}

/* Reads every token of the Pixel: how many were right; the error of the first that was not. Never a wrong one. */
static unsigned right_tokens(struct vault *v, unsigned p, struct error *err)
{
	unsigned right = 0;
	err->code = ERR_NONE;
	for (uint32_t n = 1; n <= VERSIONS; n++) {
		char text[TOKEN_MAX + 1];
		struct error why;
		if (token_text(v, t.pixel[p], n, text, &why)) {
			assert_string_equal(text, t.token[p][n - 1]);
			right++;
		} else if (err->code == ERR_NONE) {
			*err = why;
		}
	}
	return right;
}

/* vault_verify must see it, as what. */
static void assert_verify_sees(struct vault *v, const char *class)
{
	struct verify_report report;
	struct error err = { 0 };
	if (vault_verify(v, NULL, NULL, &report, &err))
		fail_msg("verify saw nothing");
	assert_refused(&err, ERR_DAMAGED, class);
}

/* This Pixel is refused as tampered, all others are served, verify names it. */
static void assert_only(unsigned p, unsigned expected_right)
{
	for (unsigned i = 0; i < PIXELS; i++) {
		struct error err;
		unsigned right = right_tokens(t.v, i, &err);
		if (i != p) {
			assert_int_equal(right, VERSIONS);
			continue;
		}
		assert_int_equal(right, expected_right);
		assert_refused(&err, ERR_DAMAGED, "tampered");
	}
	assert_verify_sees(t.v, "tampered");
}

static void tamper__nothing_done_is_nothing_seen(void **state)
{
	(void)state;
	struct verify_report report;
	struct error err;
	mend();
	for (unsigned p = 0; p < PIXELS; p++)
		assert_int_equal(right_tokens(t.v, p, &err), VERSIONS);
	assert_true(vault_verify(t.v, NULL, NULL, &report, &err));
	/* and what the test recomputes by itself is what the program wrote */
	nodes_forge(t.db, t.keys);
	assert_true(vault_verify(t.v, NULL, NULL, &report, &err));
	struct rows rows = rows_read(t.db);
	assert_true(rows_are_equal(&rows, &t.rows));
	rows_free(&rows);
}

static void tamper__metadata_swapped_doubled_deleted_or_older_is_refused_for_that_pixel_alone(void **state)
{
	(void)state;
	for (unsigned p = 0; p < PIXELS; p++) {
		for (unsigned from = 0; from < PIXELS; from++) {
			if (from == p)
				continue;
			row_set(t.db, t.meta[p], value_of(&t.rows, t.meta[from]), 1);
			assert_only(p, 0);
			mend();
		}
		row_set(t.db, t.meta[p], value_of(&t.old, t.meta[p]), 1);
		assert_only(p, 0);
		mend();
		row_delete(t.db, t.meta[p]);
		assert_only(p, 0);
		mend();
		row_set(t.db, t.meta[p], bytes_of("", 0), 1);
		assert_only(p, 0);
		mend();
	}
}

static void tamper__tokens_swapped_doubled_deleted_or_cut_are_refused_for_that_version_alone(void **state)
{
	(void)state;
	unsigned cases = 0;
	for (unsigned p = 0; p < PIXELS; p++)
		for (unsigned n = 0; n < VERSIONS; n++)
			for (unsigned from = 0; from < PIXELS * VERSIONS; from++) {
				if (from == p * VERSIONS + n)
					continue;
				struct error err;
				row_set(t.db, t.key[p][n], value_of(&t.rows, t.key[from / VERSIONS][from % VERSIONS]),
					1);
				assert_int_equal(right_tokens(t.v, p, &err), VERSIONS - 1);
				assert_refused(&err, ERR_DAMAGED, "tampered");
				row_put_back(t.db, row_of(&t.rows, t.key[p][n]));
				cases++;
			}
	assert_int_equal(cases, 18 * 17);
	for (unsigned n = 0; n < VERSIONS; n++) {
		row_delete(t.db, t.key[2][n]);
		assert_only(2, VERSIONS - 1);
		mend();
		struct bytes whole = value_of(&t.rows, t.key[2][n]);
		row_set(t.db, t.key[2][n], bytes_of(whole.at, whole.len - 1), 1);
		assert_only(2, VERSIONS - 1);
		mend();
	}
}

/* A node is refused for what lies under it; what has another first digit is served. */
static void tamper__nodes_swapped_deleted_or_older_are_refused_below_them(void **state)
{
	(void)state;
	for (unsigned p = 0; p < PIXELS; p++)
		for (size_t depth = 1; depth <= NODE_DEPTH; depth++) {
			char key[KEY_TEXT_MAX], other[KEY_TEXT_MAX];
			key_for_node(1, t.id[p], depth, key);
			for (unsigned way = 0; way < 4; way++) {
				struct error err;
				unsigned q = (p + 1) % PIXELS;
				key_for_node(1, t.id[q], depth, other);
				if (way == 0 && memcmp(key, other, sizeof "e1/n/" + depth - 1) == 0)
					continue; /* the same node */
				if (way == 0)
					row_set(t.db, key, value_of(&t.rows, other), 1);
				else if (way == 1)
					row_set(t.db, key, value_of(&t.old, key), 1);
				else if (way == 2)
					row_delete(t.db, key);
				else
					row_set(t.db, key, bytes_of("", 0), 1);
				assert_int_equal(right_tokens(t.v, p, &err), 0);
				assert_refused(&err, ERR_DAMAGED, "tampered");
				for (unsigned i = 0; i < PIXELS; i++)
					if (id_nibble(t.id[i], 0) != id_nibble(t.id[p], 0))
						assert_int_equal(right_tokens(t.v, i, &err), VERSIONS);
				assert_verify_sees(t.v, "tampered");
				mend();
			}
		}
}

/* An older record with the older leaf, inner nodes and tokens that belong to it: the root does not name them. */
static void tamper__a_whole_older_subtree_is_refused(void **state)
{
	(void)state;
	for (unsigned p = 0; p < PIXELS; p++) {
		char key[KEY_TEXT_MAX];
		struct error err;
		for (size_t depth = NODE_DEPTH; depth >= 1; depth--) {
			mend();
			row_set(t.db, t.meta[p], value_of(&t.old, t.meta[p]), 1);
			for (size_t d = NODE_DEPTH; d >= depth; d--) {
				key_for_node(1, t.id[p], d, key);
				row_set(t.db, key, value_of(&t.old, key), 1);
			}
			assert_int_equal(right_tokens(t.v, p, &err), 0);
			assert_refused(&err, ERR_DAMAGED, "tampered");
			assert_verify_sees(t.v, "tampered");
		}
	}
	mend();
}

static void tamper__the_whole_older_store_or_its_root_alone_is_rolled_back(void **state)
{
	(void)state;
	struct error err;
	struct credential c;
	struct vault *v = NULL;
	row_set(t.db, "root", value_of(&t.old, "root"), 1);
	assert_false(vault_find(t.v, t.pixel[0], false, &c, &err));
	assert_refused(&err, ERR_DAMAGED, "rolled-back");
	assert_verify_sees(t.v, "rolled-back");
	assert_false(try_open(&v, &err));
	assert_refused(&err, ERR_DAMAGED, "rolled-back");
	rows_put_back(t.db, &t.old);
	assert_false(vault_find(t.v, t.pixel[0], false, &c, &err));
	assert_refused(&err, ERR_DAMAGED, "rolled-back");
	assert_false(try_open(&v, &err));
	assert_refused(&err, ERR_DAMAGED, "rolled-back");
}

static const char *class_of_root_byte(size_t at, uint8_t *root)
{
	static const uint8_t zeros[8] = { 0 };
	if (at < 24)
		return "format";
	if (at < 40)
		return NULL; /* the vault id: no slot opens for another vault */
	if (memcmp(root + 56, zeros, 4) == 0 || memcmp(root + 60, zeros, 8) == 0)
		return "format"; /* no epoch 0, no generation 0 */
	return "tampered";
}

static void tamper__every_byte_of_the_root_is_refused_by_the_class_of_its_place(void **state)
{
	(void)state;
	struct row *row = row_of(&t.rows, "root");
	assert_int_equal(row->len, ROOT_LEN);
	for (size_t at = 0; at < row->len; at++) {
		struct vault *v = NULL;
		struct error err;
		row->value[at] ^= (uint8_t)(1 << at % 8);
		row_put_back(t.db, row);
		assert_false(try_open(&v, &err));
		const char *class = class_of_root_byte(at, row->value);
		if (!is_class(&err, class ? ERR_DAMAGED : ERR_WRONG_KEY, class))
			fail_msg("byte %zu: code %d class %s: %s", at, err.code, err.class ? err.class : "-",
				 err.message);
		if (at % 50 == 0) { /* a process that has it open */
			struct credential c;
			assert_false(vault_find(t.v, t.pixel[0], false, &c, &err));
			assert_int_equal(err.code, ERR_DAMAGED);
		}
		row->value[at] ^= (uint8_t)(1 << at % 8);
	}
	for (size_t len = 0; len < row->len; len += 31) {
		struct vault *v = NULL;
		struct error err;
		row_set(t.db, "root", bytes_of(row->value, len), 1);
		assert_false(try_open(&v, &err));
		assert_refused(&err, ERR_DAMAGED, "format");
	}
	row_delete(t.db, "root");
	struct vault *v = NULL;
	struct error err;
	assert_false(try_open(&v, &err));
	assert_refused(&err, ERR_DAMAGED, "format");
	mend();
}

static void tamper__every_byte_of_the_slots_is_refused_as_tampered_before_any_key_is_tried(void **state)
{
	(void)state;
	struct row *row = row_of(&t.rows, "slots");
	assert_int_equal(row->len, 4 + SLOT_LEN);
	for (size_t at = 0; at < row->len; at++) {
		struct vault *v = NULL;
		struct error err;
		row->value[at] ^= (uint8_t)(1 << at % 8);
		row_put_back(t.db, row);
		assert_false(vault_open(&place, &v, &err));
		assert_refused(&err, ERR_DAMAGED, "tampered");
		row->value[at] ^= (uint8_t)(1 << at % 8);
	}
	row_delete(t.db, "slots");
	struct vault *v = NULL;
	struct error err;
	assert_false(vault_open(&place, &v, &err));
	assert_refused(&err, ERR_DAMAGED, "tampered");
	mend();
}

/* A running agent verifies too: the slots under it may have been changed since it opened them. */
static void tamper__slots_changed_or_deleted_in_an_open_vault_are_seen_by_verify(void **state)
{
	(void)state;
	struct verify_report report;
	struct error err = { 0 }, other = { 0 };
	struct row *row = row_of(&t.rows, "slots");
	row->value[100] ^= 1;
	row_put_back(t.db, row);
	row->value[100] ^= 1;
	bool changed = vault_verify(t.v, NULL, NULL, &report, &err);
	row_delete(t.db, "slots");
	bool deleted = vault_verify(t.v, NULL, NULL, &report, &other);
	assert_false(changed);
	assert_refused(&err, ERR_DAMAGED, "tampered");
	assert_false(deleted);
	assert_refused(&other, ERR_DAMAGED, "tampered");
}

static void tamper__changed_bytes_of_any_value_never_give_a_wrong_token(void **state)
{
	(void)state;
	unsigned refused = 0, cases = 0;
	for (size_t i = 0; i < t.rows.count; i++) {
		struct row *row = &t.rows.at[i];
		if (!strchr("mtn", row->key[3]) || strchr(row->key, '/') == NULL)
			continue;
		for (size_t at = i % 13; at < row->len; at += 61) {
			struct error err;
			unsigned right = 0;
			row->value[at] ^= (uint8_t)(1 << (at + i) % 8);
			row_put_back(t.db, row);
			for (unsigned p = 0; p < PIXELS; p++) {
				right += right_tokens(t.v, p, &err); /* asserts that what comes is right */
				if (err.code != ERR_NONE)
					assert_refused(&err, ERR_DAMAGED, "tampered");
			}
			refused += right < PIXELS * VERSIONS;
			cases++;
			row->value[at] ^= (uint8_t)(1 << (at + i) % 8);
			row_put_back(t.db, row);
		}
	}
	assert_int_equal(refused, cases);
	assert_true(cases > 200);
}

static void verify__deleting_any_row_is_seen_unless_it_is_disposable(void **state)
{
	(void)state;
	for (size_t i = 0; i < t.rows.count; i++) {
		const struct row *row = &t.rows.at[i];
		struct verify_report report;
		struct vault *v = NULL;
		struct error err = { 0 };
		bool is_disposable = row->key[0] == 'e' && strchr("hcad", row->key[3]) != NULL;
		row_delete(t.db, row->key);
		bool ok = try_open(&v, &err) && vault_verify(v, NULL, NULL, &report, &err);
		vault_close(v);
		if (ok != is_disposable)
			fail_msg("without %s: %s", row->key, ok ? "nothing was seen" : err.message);
		row_put_back(t.db, row);
	}
}

static void verify__any_row_added_is_seen(void **state)
{
	(void)state;
	char foreign[KEY_TEXT_MAX], token[KEY_TEXT_MAX], node[3][KEY_TEXT_MAX];
	uint8_t id[PIXEL_ID_LEN];
	keys_pixel_id(t.keys, "ABCDEFGH", id); /* no such Pixel here */
	key_for_pixel(1, 'm', id, foreign);
	key_for_token(1, id, 1, token);
	snprintf(node[0], sizeof node[0], "%s", t.key[0][0]);
	node[0][strlen(node[0]) - 1] = '9';
	snprintf(node[1], sizeof node[1], "%.80s/x", t.meta[0]);
	snprintf(node[2], sizeof node[2], "%.38s01", t.key[0][0]); /* version "01" */
	const char *const keys[] = {
		foreign,       token,     node[0],   node[1],     node[2],      "aaa",         "zzz",
		"root2",       "roo",     "slots/1", "e1",        "e1/",        "e1/m",        "e1/m/",
		"e1/m/xx",     "e1/x/1",  "e1/n/",   "e1/n/abcd", "e1/n/xyz",   "e1/n/ABC",    "e1/t/",
		"e1/t/12/1",   "E1/m/1",  "e/m/1",   "-",         "/",          "0",           "lock/x",
		"~",           "~later",  "\x7f",    "\xc3\xa4",  "e1/h/short", "e1/a/forged", "e1/c/forged",
		"e1/d/forged", "e 1/m/x", " e1/m/x",
	};
	unsigned unseen = 0;
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		struct verify_report report;
		struct error err = { 0 };
		row_set(t.db, keys[i], value_of(&t.rows, t.meta[0]), 1);
		if (vault_verify(t.v, NULL, NULL, &report, &err)) {
			print_message("added and not seen: '%s'\n", keys[i]);
			unseen++;
		} else {
			assert_refused(&err, ERR_DAMAGED, "tampered");
		}
		row_delete(t.db, keys[i]);
	}
	struct verify_report report;
	struct error err = { 0 };
	sql_do(t.db, "INSERT INTO kv VALUES(x'6531', x'00', 1)"); /* a key that is no text */
	if (vault_verify(t.v, NULL, NULL, &report, &err)) {
		print_message("added and not seen: a key of type blob\n");
		unseen++;
	}
	mend();
	assert_int_equal(unseen, 0);
}

/* A copy of a node or record under another spelling of its name is one row too many. */
static void verify__other_spellings_of_a_name_are_seen(void **state)
{
	(void)state;
	unsigned unseen = 0;
	const char *const genuine[] = { t.meta[0], t.leaf[0], t.key[0][0] };
	for (size_t i = 0; i < COUNT_OF(genuine); i++)
		for (unsigned spelling = 0; spelling < 3; spelling++) {
			char name[128];
			struct verify_report report;
			struct error err;
			snprintf(name, sizeof name,
				 spelling == 0   ? "e01%.90s"
				 : spelling == 1 ? "e+1%.90s"
						 : "e1%.90s",
				 genuine[i] + 2);
			for (char *c = name + 5; spelling == 2 && *c; c++)
				*c = *c >= 'a' && *c <= 'f' ? (char)(*c - 32) : *c;
			if (strcmp(name, genuine[i]) == 0)
				continue;
			row_set(t.db, name, value_of(&t.rows, genuine[i]), 1);
			if (vault_verify(t.v, NULL, NULL, &report, &err)) {
				print_message("added and not seen: '%s'\n", name);
				unseen++;
			}
			row_delete(t.db, name);
		}
	assert_int_equal(unseen, 0);
}

/* Every metadata record renamed so that no reader finds it: verify must not call that vault proven. */
static void verify__records_renamed_so_that_nobody_finds_them_are_seen(void **state)
{
	(void)state;
	static const char *const ways[] = {
		"UPDATE kv SET k = 'e01' || substr(k, 3) WHERE k LIKE 'e1/m/%'",
		"UPDATE kv SET k = 'e+1' || substr(k, 3) WHERE k LIKE 'e1/m/%'",
		"UPDATE kv SET k = substr(k, 1, 5) || upper(substr(k, 6)) WHERE k LIKE 'e1/m/%'",
	};
	unsigned unseen = 0;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct verify_report report;
		struct error err;
		sql_do(t.db, ways[i]);
		assert_int_equal(right_tokens(t.v, 0, &err), 0);
		if (vault_verify(t.v, NULL, NULL, &report, &err)) {
			print_message("not seen: %s\n", ways[i]);
			unseen++;
		}
		mend();
	}
	assert_int_equal(unseen, 0);
}

static void count_faults(void *context, const char *sentence)
{
	assert_true(sentence[0]);
	++*(unsigned *)context;
}

static void verify__reports_every_fault_and_the_first_one(void **state)
{
	(void)state;
	unsigned told = 0;
	struct verify_report report;
	struct error err;
	row_delete(t.db, t.meta[1]);
	row_delete(t.db, t.key[2][0]);
	row_set(t.db, t.key[3][1], value_of(&t.rows, t.key[3][0]), 1);
	row_set(t.db, "zzz", bytes_of_text("x"), 1);
	assert_false(vault_verify(t.v, count_faults, &told, &report, &err));
	assert_refused(&err, ERR_DAMAGED, "tampered");
	assert_int_equal(report.faults, told);
	/* the record, its three tokens that nothing names now, the token, the other token, the row */
	assert_int_equal(report.faults, 1 + VERSIONS + 3);
	assert_true(report.first[0]);
	assert_non_null(strstr(err.message, report.first));
	mend();
}

static void verify__a_damaged_disposable_record_is_seen_and_others_epochs_are_rubbish(void **state)
{
	(void)state;
	struct error err;
	struct verify_report report;
	struct health_update update = { .pixel = "D0000000000000000010" };
	assert_true(vault_store_health(t.v, &update, 1, &err));
	assert_true(vault_verify(t.v, NULL, NULL, &report, &err));
	row_set(t.db, "e2/m/anything", bytes_of_text("x"), 1);
	row_set(t.db, "e7/n/abc", bytes_of_text("x"), 1);
	assert_true(vault_verify(t.v, NULL, NULL, &report, &err));
	assert_int_equal(report.rubbish, 2);
	sql_do(t.db, "UPDATE kv SET v = zeroblob(552) WHERE k LIKE 'e1/h/%'");
	assert_verify_sees(t.v, "tampered");
	mend();
}

static void verify__the_databases_own_structure_is_read(void **state)
{
	(void)state;
	sql_do(t.db, "CREATE TABLE more(x)");
	assert_verify_sees(t.v, "damaged");
	sql_do(t.db, "DROP TABLE more");
	sql_do(t.db, "INSERT INTO meta VALUES('more', 1)");
	assert_verify_sees(t.v, "damaged");
	sql_do(t.db, "DELETE FROM meta WHERE k = 'more'");
	struct verify_report report;
	struct error err;
	assert_true(vault_verify(t.v, NULL, NULL, &report, &err));
}

/* A value of two megabytes, or one of another type, is damage and not our mistake. */
static void tamper__a_value_out_of_all_bounds_is_damage(void **state)
{
	(void)state;
	static const char *const ways[] = { "UPDATE kv SET v = zeroblob(2000000) WHERE k = '%s'",
					    "UPDATE kv SET v = zeroblob(900000) WHERE k = '%s'",
					    "UPDATE kv SET v = 'text' WHERE k = '%s'",
					    "UPDATE kv SET v = 17 WHERE k = '%s'" };
	const char *const keys[] = { "root", "slots", t.meta[0], t.leaf[0], t.key[0][0] };
	unsigned odd = 0;
	for (size_t w = 0; w < COUNT_OF(ways); w++)
		for (size_t i = 0; i < COUNT_OF(keys); i++) {
			char text[256];
			struct vault *v = NULL;
			struct error err = { 0 };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(text, sizeof text, ways[w], keys[i]);
#pragma GCC diagnostic pop
			sql_do(t.db, text);
			if (try_open(&v, &err))
				assert_true(right_tokens(v, 0, &err) < VERSIONS);
			vault_close(v);
			if (err.code != ERR_DAMAGED) {
				print_message("way %zu, key %zu: code %d: %s\n", w, i, err.code, err.message);
				odd++;
			}
			mend();
		}
	assert_int_equal(odd, 0);
}

/* ---- with the keys: root and inventory MACs are right again, so that only the seal itself can refuse ---- */

static void assert_forged_is_refused(unsigned p, unsigned expected_right, const char *what)
{
	struct vault *v = open_it(); /* root, path and anchor are right */
	struct error err;
	unsigned right = right_tokens(v, p, &err);
	if (right != expected_right)
		fail_msg("%s: %u versions were given out", what, right);
	assert_refused(&err, ERR_DAMAGED, "tampered");
	assert_verify_sees(v, "tampered");
	vault_close(v);
}

static void forge_metadata(unsigned p, struct bytes sealed)
{
	row_set(t.db, t.meta[p], sealed, 1);
	leaf_forge(t.db, t.keys, t.id[p], sealed);
}

static void load(unsigned p, struct credential *ret)
{
	struct root r = root_of(t.db);
	struct seal_context c = {
		.vault_id = r.vault_id, .epoch = 1, .kind = 'm', .what = bytes_of(t.id[p], PIXEL_ID_LEN)
	};
	struct buf plain = BUF_INIT(65536);
	assert_true(unseal(t.keys, &c, value_of(&t.rows, t.meta[p]), &plain));
	assert_true(credential_decode(buf_bytes(&plain), ret));
	buf_done(&plain);
}

/* Seal c as the metadata of p, in a context that change may spoil, and make everything above it agree. */
static void forge_sealed(unsigned p, const struct credential *credential, struct seal_context context)
{
	struct error err;
	struct buf plain = BUF_INIT(65536), sealed = BUF_INIT(65536);
	assert_true(credential_encode(credential, &plain, &err));
	assert_true(seal(t.keys, &context, buf_bytes(&plain), &sealed, &err));
	forge_metadata(p, buf_bytes(&sealed));
	buf_done(&plain);
	buf_done(&sealed);
}

static void forged__records_of_another_pixel_do_not_open(void **state)
{
	(void)state;
	unsigned cases = 0;
	forge_metadata(0, value_of(&t.rows, t.meta[0])); /* what is right stays right */
	struct vault *v = open_it();
	struct error err;
	assert_int_equal(right_tokens(v, 0, &err), VERSIONS);
	vault_close(v);
	for (unsigned p = 0; p < PIXELS; p++)
		for (unsigned from = 0; from < PIXELS; from++) {
			if (from == p)
				continue;
			forge_metadata(p, value_of(&t.rows, t.meta[from]));
			assert_forged_is_refused(p, 0, "metadata of another Pixel");
			mend();
			cases++;
		}
	assert_int_equal(cases, 30);
}

static void forged__tokens_of_another_pixel_or_version_do_not_open(void **state)
{
	(void)state;
	unsigned cases = 0;
	struct root r = root_of(t.db);
	for (unsigned p = 0; p < PIXELS; p++)
		for (unsigned n = 0; n < VERSIONS; n++)
			for (unsigned from = 0; from < PIXELS * VERSIONS; from++) {
				if (from == p * VERSIONS + n)
					continue;
				struct credential c;
				struct bytes sealed = value_of(&t.rows, t.key[from / VERSIONS][from % VERSIONS]);
				load(p, &c);
				seal_digest(sealed, c.versions[n].digest);
				row_set(t.db, t.key[p][n], sealed, 1);
				forge_sealed(p, &c,
					     (struct seal_context){ .vault_id = r.vault_id,
								    .epoch = 1,
								    .kind = 'm',
								    .what = bytes_of(t.id[p], PIXEL_ID_LEN) });
				struct vault *v = open_it();
				struct error err;
				assert_int_equal(right_tokens(v, p, &err), VERSIONS - 1);
				assert_refused(&err, ERR_DAMAGED, "tampered");
				if (cases++ % 20 == 0)
					assert_verify_sees(v, "tampered");
				vault_close(v);
				mend();
			}
	assert_int_equal(cases, 306);
}

static void forged__records_sealed_for_another_vault_epoch_kind_or_version_do_not_open(void **state)
{
	(void)state;
	struct root r = root_of(t.db);
	uint8_t other_vault[VAULT_ID_LEN];
	memcpy(other_vault, r.vault_id, sizeof other_vault);
	other_vault[0] ^= 1;
	struct seal_context right = {
		.vault_id = r.vault_id, .epoch = 1, .kind = 'm', .what = bytes_of(t.id[0], PIXEL_ID_LEN)
	};
	struct seal_context contexts[] = { right, right, right, right, right, right };
	contexts[0].vault_id = other_vault;
	contexts[1].epoch = 2;
	contexts[2].kind = 'h';
	contexts[3].kind = 't';
	contexts[4].version = 1;
	contexts[5].what = bytes_of(t.id[1], PIXEL_ID_LEN);
	struct credential c;
	load(0, &c);
	for (size_t i = 0; i < COUNT_OF(contexts); i++) {
		forge_sealed(0, &c, contexts[i]);
		assert_forged_is_refused(0, 0, "metadata in another context");
		mend();
	}
	for (size_t i = 0; i < COUNT_OF(contexts); i++) {
		struct error err;
		struct seal_context context = contexts[i];
		struct buf sealed = BUF_INIT(65536);
		struct credential changed = c;
		if (context.kind == 'm')
			context.kind = 't';
		else if (context.kind == 't')
			context.kind = 'm';
		if (i != 4)
			context.version = 1;
		else
			context.version = 2;
		assert_true(seal(t.keys, &context, bytes_of_text(t.token[0][0]), &sealed, &err));
		row_set(t.db, t.key[0][0], buf_bytes(&sealed), 1);
		seal_digest(buf_bytes(&sealed), changed.versions[0].digest);
		forge_sealed(0, &changed, right);
		assert_forged_is_refused(0, VERSIONS - 1, "a token in another context");
		buf_done(&sealed);
		mend();
	}
}

/* The seal alone would open it: what the metadata names is that one token, not any token of that version. */
static void forged__another_token_sealed_for_the_very_same_version_is_refused(void **state)
{
	(void)state;
	struct root r = root_of(t.db);
	struct error err;
	struct buf sealed = BUF_INIT(65536);
	struct seal_context context = {
		.vault_id = r.vault_id, .epoch = 1, .kind = 't', .what = bytes_of(t.id[0], PIXEL_ID_LEN), .version = 1
	};
	assert_true(seal(t.keys, &context, bytes_of_text("a token that was never put"), &sealed, &err));
	row_set(t.db, t.key[0][0], buf_bytes(&sealed), 1);
	buf_done(&sealed);
	assert_only(0, VERSIONS - 1);
	mend();
}

/* What a thief of the root key could do is not our promise; a record under a name that is not its own is refused still.
 */
static void forged__a_record_that_says_another_pixels_name_is_refused(void **state)
{
	(void)state;
	struct root r = root_of(t.db);
	struct credential c;
	load(0, &c);
	strcpy(c.pixel, t.pixel[1]);
	forge_sealed(
		0, &c,
		(struct seal_context){
			.vault_id = r.vault_id, .epoch = 1, .kind = 'm', .what = bytes_of(t.id[0], PIXEL_ID_LEN) });
	assert_forged_is_refused(0, 0, "another name");
	struct vault *v = open_it();
	struct error err;
	assert_false(vault_find(v, t.pixel[0], false, &c, &err));
	assert_refused(&err, ERR_DAMAGED, "tampered");
	vault_close(v);
	mend();
}

static void forged__nodes_of_a_wrong_shape_are_refused_although_their_mac_is_right(void **state)
{
	(void)state;
	struct bytes leaf = value_of(&t.rows, t.leaf[0]);
	struct error err;
	uint8_t bytes[4 * ENTRY_LEN];
	assert_true(leaf.len <= 2 * ENTRY_LEN);
	for (unsigned way = 0; way < 5; way++) {
		size_t len = leaf.len;
		memcpy(bytes, leaf.at, leaf.len);
		memcpy(bytes + len, leaf.at, ENTRY_LEN);
		if (way == 0) /* twice the same */
			len += ENTRY_LEN;
		else if (way == 1) { /* one that belongs under another prefix */
			bytes[len] ^= 0x80;
			len += ENTRY_LEN;
		} else if (way == 2) /* half an entry */
			len += ENTRY_LEN / 2;
		else if (way == 3) { /* in front of its smaller neighbour */
			memset(bytes + len + 2, 0, PIXEL_ID_LEN - 2);
			len += ENTRY_LEN;
		} else
			len = ENTRY_LEN - 1;
		row_set(t.db, t.leaf[0], bytes_of(bytes, len), 1);
		nodes_forge(t.db, t.keys);
		assert_forged_is_refused(0, 0, "a leaf of a wrong shape");
		mend();
	}
	for (unsigned way = 0; way < 2; way++) { /* an inner node that is too short or too long */
		char key[KEY_TEXT_MAX];
		uint8_t node[17 * DIGEST_LEN] = { 0 }, mac[DIGEST_LEN];
		key_for_node(1, t.id[0], 1, key);
		struct bytes inner = value_of(&t.rows, key);
		struct root r = root_of(t.db);
		assert_int_equal(inner.len, 16 * DIGEST_LEN);
		memcpy(node, inner.at, inner.len);
		size_t len = way ? sizeof node : (size_t)(id_nibble(t.id[0], 1) + 1) * DIGEST_LEN - 1;
		row_set(t.db, key, bytes_of(node, len), 1);
		kit_node_mac(t.keys, key + 5, bytes_of(node, len), mac);
		memcpy(r.top[id_nibble(t.id[0], 0)], mac, DIGEST_LEN);
		root_forge(t.db, t.keys, &r);
		assert_forged_is_refused(0, 0, "an inner node of a wrong length");
		mend();
	}
	/* a node under another prefix, with its digest where its new parent wants it */
	char key[KEY_TEXT_MAX], moved[KEY_TEXT_MAX];
	struct root r = root_of(t.db);
	unsigned to = 0;
	while (!sodium_is_zero(r.top[to], DIGEST_LEN))
		to++;
	key_for_node(1, t.id[0], 1, key);
	snprintf(moved, sizeof moved, "e1/n/%x", to);
	row_set(t.db, moved, value_of(&t.rows, key), 1);
	memcpy(r.top[to], r.top[id_nibble(t.id[0], 0)], DIGEST_LEN);
	root_forge(t.db, t.keys, &r);
	struct vault *v = open_it();
	assert_int_equal(right_tokens(v, 0, &err), VERSIONS);
	assert_verify_sees(v, "tampered");
	vault_close(v);
	mend();
}

static void forged__slots_of_another_vault_open_nothing(void **state)
{
	(void)state;
	struct error err;
	struct vault *v = NULL;
	uint8_t slots[4 + SLOT_LEN] = { 1 }, other_vault[VAULT_ID_LEN] = { 9 };
	scoped(secret_freep) struct secret *key = key_of(KEY_SEED), *root_key = key_of(77);
	struct slot_secret holder = { SLOT_KEY_FILE, key };
	struct root r = root_of(t.db);
	assert_true(slot_make(other_vault, &holder, root_key, slots + 4, &err));
	row_set(t.db, "slots", bytes_of(slots, sizeof slots), 1);
	seal_digest(bytes_of(slots, sizeof slots), r.slots_digest);
	root_forge(t.db, t.keys, &r);
	assert_false(try_open(&v, &err));
	assert_int_equal(err.code, ERR_WRONG_KEY);
	/* this vault's, but around another root key: nothing that it proves is right */
	assert_true(slot_make(r.vault_id, &holder, root_key, slots + 4, &err));
	row_set(t.db, "slots", bytes_of(slots, sizeof slots), 1);
	seal_digest(bytes_of(slots, sizeof slots), r.slots_digest);
	root_forge(t.db, t.keys, &r);
	assert_false(try_open(&v, &err));
	assert_refused(&err, ERR_DAMAGED, "tampered");
	/* a slot that demands the impossible is refused before any work */
	slots[4 + 8] = SLOT_PASSPHRASE;
	slots[4 + 9] = 1;
	memset(slots + 4 + 12, 0xff, 8);
	row_set(t.db, "slots", bytes_of(slots, sizeof slots), 1);
	seal_digest(bytes_of(slots, sizeof slots), r.slots_digest);
	root_forge(t.db, t.keys, &r);
	assert_false(try_open(&v, &err));
	assert_refused(&err, ERR_DAMAGED, "limit");
	mend();
}

static void forged__a_root_of_another_lineage_or_generation_is_judged_by_the_anchor(void **state)
{
	(void)state;
	struct error err;
	struct vault *v = NULL;
	struct root r = root_of(t.db);
	r.lineage[3] ^= 1;
	root_forge(t.db, t.keys, &r);
	write_bytes(anchor_path, t.anchor, sizeof t.anchor);
	assert_false(try_open(&v, &err));
	assert_refused(&err, ERR_DAMAGED, "forked");
	r.lineage[3] ^= 1;
	r.generation--;
	root_forge(t.db, t.keys, &r);
	write_bytes(anchor_path, t.anchor, sizeof t.anchor);
	assert_false(try_open(&v, &err));
	assert_refused(&err, ERR_DAMAGED, "rolled-back");
	r.generation += 1 + ROOT_PAST + 1;
	root_forge(t.db, t.keys, &r);
	write_bytes(anchor_path, t.anchor, sizeof t.anchor);
	assert_false(try_open(&v, &err));
	assert_refused(&err, ERR_DAMAGED, "anchor");
	r.generation -= ROOT_PAST;
	root_forge(t.db, t.keys, &r);
	write_bytes(anchor_path, t.anchor, sizeof t.anchor);
	assert_false(try_open(&v, &err));
	assert_refused(&err, ERR_DAMAGED, "forked");
	mend();
}

/* Nothing of a Pixel's name, label or token lies in the file in clear. */
static void file__holds_no_name_label_or_token_in_clear(void **state)
{
	(void)state;
	static uint8_t bytes[8 << 20];
	static const char *const words[] = { "D0000000000000000010", "token-1-of-pixel", "secret-label-value",
					     "shop-consumer" };
	struct error err;
	struct read_mark mark = { .name = "shop-consumer", .version = 1 };
	put_label(t.v, t.pixel[0], "k=secret-label-value");
	assert_true(vault_mark_read(t.v, t.pixel[0], &mark, &err));
	vault_close(t.v);
	t.v = NULL;
	sqlite3_close(t.db);
	t.db = NULL;
	size_t len = file_bytes(vault_file, bytes, sizeof bytes);
	assert_true(len > 10000);
	for (size_t i = 0; i < COUNT_OF(words); i++)
		assert_null(memmem(bytes, len, words[i], strlen(words[i])));
}

#define V(f) cmocka_unit_test_setup_teardown(f, vault_make, scratch_remove)
#define T(f) cmocka_unit_test_setup_teardown(f, tamper_make, tamper_remove)

/* ---- the clock ---- */

static struct anchor read_anchor(struct vault *v, struct keys **ret_keys, struct anchor_file *ret_file)
{
	struct anchor a;
	struct error err;
	unsigned block;
	assert_true(keys_derive(vault_root_key(v), ret_keys, &err));
	assert_true(anchor_place(state_dir, vault_file, ret_file, &err));
	assert_true(anchor_read(ret_file, &err));
	assert_true(anchor_prove(ret_file, *ret_keys, &a, &block));
	return a;
}

static int64_t remembered_clock(struct vault *v)
{
	scoped(keys_freep) struct keys *keys = NULL;
	struct anchor_file file;
	return read_anchor(v, &keys, &file).wall_clock;
}

static void remember_clock(int64_t at)
{
	scoped(vault_closep) struct vault *v = open_it();
	scoped(keys_freep) struct keys *keys = NULL;
	struct anchor_file file;
	struct error err;
	struct anchor a = read_anchor(v, &keys, &file);
	a.wall_clock = at;
	assert_true(anchor_create(&file, keys, &a, &err));
}

static void clock__behind_the_anchor_is_suspect_until_adopted(void **state)
{
	(void)state;
	int64_t behind_s = 0, ahead = clock_wall() + 86400;
	struct error err;
	remember_clock(ahead);
	assert_true(vault_glance_at_clock(&place, &behind_s, &err));
	assert_in_range(behind_s, 86000, 86400);
	scoped(vault_closep) struct vault *v = open_it();
	assert_in_range(vault_clock_suspect(v), 86000, 86400);
	assert_int_equal(vault_later_clock(v), ahead);
	put_token(v, "A1", "token-one");
	assert_int_equal(remembered_clock(v), ahead);
	assert_true(vault_adopt(v, &err));
	assert_int_equal(vault_clock_suspect(v), 0);
	assert_in_range(remembered_clock(v), ahead - 86400, ahead - 86000);
}

static void clock__a_small_step_back_is_not_suspect(void **state)
{
	(void)state;
	remember_clock(clock_wall() + 200);
	scoped(vault_closep) struct vault *v = open_it();
	assert_int_equal(vault_clock_suspect(v), 0);
	remember_clock(INT64_MIN);
	scoped(vault_closep) struct vault *other = open_it();
	assert_int_equal(vault_clock_suspect(other), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		V(create__makes_a_private_empty_vault_with_its_anchor),
		V(create__never_replaces_a_vault_nor_its_anchor),
		V(create__needs_one_to_sixteen_secrets_and_each_opens),
		V(clock__behind_the_anchor_is_suspect_until_adopted),
		V(clock__a_small_step_back_is_not_suspect),
		V(open__of_nothing_is_not_found),
		V(open__in_a_folder_that_others_may_write_is_refused),
		V(sealed__everything_but_unlocking_is_refused_as_locked),
		V(unlock__a_wrong_key_leaves_it_sealed_to_be_tried_again),
		V(change__what_was_stored_is_found_in_any_handle),
		V(change__tokens_of_every_length_come_back),
		V(change__the_seventeenth_version_takes_the_oldest_retired_token_along),
		V(change__whose_callback_fails_leaves_nothing),
		V(change__with_nothing_staged_commits_nothing),
		V(change__sees_what_it_staged_itself),
		V(change__overtaken_by_another_runs_again_and_loses_nothing),
		V(change__of_competing_processes_loses_no_update),
		V(change__waits_at_most_its_five_seconds_for_a_writer),
		V(change__killed_at_any_moment_leaves_a_whole_vault),
		V(find__a_deleted_pixel_is_found_only_when_wanted),
		V(token__dropped_meanwhile_is_not_found_and_no_alarm),
		V(token__is_not_given_when_its_line_cannot_be_written),
		T(tokens__read_together_each_has_a_result_of_its_own),
		V(token__without_room_in_locked_memory_is_no_alarm),
		V(many__five_thousand_pixels_are_stored_found_walked_and_verified),
		V(health__is_kept_counted_and_aligned),
		V(health__damaged_moved_or_deleted_is_as_never_asked),
		V(note__is_kept_replaced_and_bound_to_its_name),
		V(note__out_of_its_bounds_is_refused),
		V(mark__one_for_each_consumer_and_pixel),
		V(mark__an_acknowledgement_outlives_reads_of_that_version_only),
		V(mark__made_up_names_push_out_only_their_users_own),
		V(mark__of_a_full_pixel_the_user_with_the_most_gives_up_one),
		V(mark__who_was_long_not_seen_while_others_were_is_forgotten),
		V(mark__who_will_not_wait_does_not_wait_for_another_writer),
		V(duplicate__another_live_pixel_with_the_token_is_named),
		V(duplicate__nine_holders_push_out_the_oldest),
		V(lock__one_at_a_time_waits_no_longer_than_told),
		T(tamper__nothing_done_is_nothing_seen),
		T(tamper__metadata_swapped_doubled_deleted_or_older_is_refused_for_that_pixel_alone),
		T(tamper__tokens_swapped_doubled_deleted_or_cut_are_refused_for_that_version_alone),
		T(tamper__nodes_swapped_deleted_or_older_are_refused_below_them),
		T(tamper__a_whole_older_subtree_is_refused),
		T(tamper__the_whole_older_store_or_its_root_alone_is_rolled_back),
		T(tamper__every_byte_of_the_root_is_refused_by_the_class_of_its_place),
		T(tamper__every_byte_of_the_slots_is_refused_as_tampered_before_any_key_is_tried),
		T(tamper__slots_changed_or_deleted_in_an_open_vault_are_seen_by_verify),
		T(tamper__changed_bytes_of_any_value_never_give_a_wrong_token),
		T(tamper__a_value_out_of_all_bounds_is_damage),
		T(verify__deleting_any_row_is_seen_unless_it_is_disposable),
		T(verify__any_row_added_is_seen),
		T(verify__other_spellings_of_a_name_are_seen),
		T(verify__records_renamed_so_that_nobody_finds_them_are_seen),
		T(verify__reports_every_fault_and_the_first_one),
		T(verify__a_damaged_disposable_record_is_seen_and_others_epochs_are_rubbish),
		T(verify__the_databases_own_structure_is_read),
		T(forged__records_of_another_pixel_do_not_open),
		T(forged__tokens_of_another_pixel_or_version_do_not_open),
		T(forged__records_sealed_for_another_vault_epoch_kind_or_version_do_not_open),
		T(forged__another_token_sealed_for_the_very_same_version_is_refused),
		T(forged__a_record_that_says_another_pixels_name_is_refused),
		T(forged__nodes_of_a_wrong_shape_are_refused_although_their_mac_is_right),
		T(forged__slots_of_another_vault_open_nothing),
		T(forged__a_root_of_another_lineage_or_generation_is_judged_by_the_anchor),
		T(file__holds_no_name_label_or_token_in_clear),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
