/* The contract of vault/store.h, line by line, against the backend named: test_store [sqlite]. */
#include "core/clock.h"
#include "vault/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "tests/support/scratch.h"

/* ---- backends ---- */

static void fresh_file(char path[PATH_MAX])
{
	static unsigned count;
	snprintf(path, PATH_MAX, "%s/store-%u.db", scratch, count++);
}

static const struct backend {
	const char *name;
	const struct store_ops *ops;
	void (*fresh)(char path[PATH_MAX]); /* a place where nothing lies */
	bool is_file;
} backends[] = {
	{ "sqlite", &store_sqlite, fresh_file, true },
};

static const struct backend *backend = &backends[0];

/* ---- small things ---- */

static bool yes(void *context, struct error *err)
{
	(void)context, (void)err;
	return true;
}

static struct store_op put(const char *key, const char *value)
{
	return (struct store_op){ .key = key, .value = bytes_of_text(value) };
}

static struct store_op del(const char *key)
{
	return (struct store_op){ .key = key, .is_delete = true };
}

static struct store *opened(const char *path)
{
	struct store *s = NULL;
	struct error err;
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_OK);
	return s;
}

/* A new store that holds root = "r0", opened. */
static struct store *fresh_store(char path[PATH_MAX])
{
	struct error err;
	struct store_op root = put("root", "r0");
	backend->fresh(path);
	assert_int_equal(store_create(backend->ops, path, &root, 1, yes, NULL, &err), STORE_OK);
	return opened(path);
}

static enum store_class commit_if(struct store *s, struct store_condition c, struct store_op op, struct store_why *why)
{
	struct error err = { 0 };
	enum store_class class = store_commit(s, &c, 1, &op, 1, NULL, why, &err);
	if (class == STORE_OK)
		assert_int_equal(err.code, ERR_NONE);
	else
		assert_true(err.code != ERR_NONE && err.message[0] && err.hint[0]);
	return class;
}

static enum store_class commit_one(struct store *s, struct store_op op)
{
	struct error err;
	return store_commit(s, NULL, 0, &op, 1, NULL, NULL, &err);
}

/* The value as text, "-" when absent. */
static const char *text_of(struct store *s, const char *key)
{
	static char text[8][128];
	static unsigned turn;
	char *ret = text[turn++ % 8];
	struct buf room = BUF_INIT(1 << 20);
	struct store_record found;
	struct error err;
	assert_int_equal(store_get_many(s, &key, 1, &room, &found, &err), STORE_OK);
	if (found.is_found)
		snprintf(ret, 128, "%.*s", (int)found.value.len, (const char *)found.value.at);
	else
		strcpy(ret, "-");
	buf_done(&room);
	return ret;
}

static struct store_record record_of(struct store *s, const char *key)
{
	struct buf room = BUF_INIT(1 << 20);
	struct store_record found;
	struct error err;
	assert_int_equal(store_get_many(s, &key, 1, &room, &found, &err), STORE_OK);
	buf_done(&room);
	found.value.at = NULL;
	return found;
}

static struct store_pos head_of(struct store *s)
{
	struct store_pos at;
	struct error err;
	assert_int_equal(store_head(s, &at, &err), STORE_OK);
	return at;
}

static void say_number(int fd, uint32_t n)
{
	if (write(fd, &n, sizeof n) != sizeof n)
		_exit(9);
}

/* False at the end of the pipe. */
static bool hear_number(int fd, uint32_t *ret)
{
	ssize_t got;
	while ((got = read(fd, ret, sizeof *ret)) < 0 && errno == EINTR)
		;
	return got == (ssize_t)sizeof *ret;
}

/* A child that opens the store anew and does one thing. */
typedef void child_fn(struct store *s, int say, void *context);
static pid_t child(const char *path, child_fn *fn, void *context, int *ret_hear)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork_child();
	if (pid == 0) {
		struct store *s;
		struct error err;
		close(ends[0]);
		if (store_open(backend->ops, path, &s, &err) != STORE_OK)
			_exit(8);
		fn(s, ends[1], context);
		store_close(s);
		_exit(0);
	}
	close(ends[1]);
	*ret_hear = ends[0];
	return pid;
}

/* ---- creating and opening ---- */

static void create__makes_exactly_what_was_asked(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store_view *view;
	struct store_cursor *cursor;
	struct store_record found;
	struct store_op ops[] = { put("slots", "s"), put("a/b-c_d", ""), put("root", "r") };
	backend->fresh(path);
	assert_int_equal(store_create(backend->ops, path, ops, 3, yes, NULL, &err), STORE_OK);
	struct store *s = opened(path);
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	assert_int_equal(store_cursor_open(s, view, "", &cursor, &err), STORE_OK);
	static const char *const keys[] = { "a/b-c_d", "root", "slots" };
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(store_cursor_next(s, cursor, &found, &err), STORE_OK);
		assert_string_equal(found.key, keys[i]);
		assert_true(found.mod != 0);
	}
	assert_int_equal(store_cursor_next(s, cursor, &found, &err), STORE_NOT_FOUND);
	store_cursor_close(s, cursor);
	store_view_close(s, view);
	assert_int_equal(store_check(s, &err), STORE_OK);
	store_close(s);
}

static void create__never_replaces_what_lies_at_the_path(void **state)
{
	(void)state;
	char path[PATH_MAX];
	uint8_t after[64];
	struct error err;
	struct store_op op = put("root", "other");
	struct store *s = fresh_store(path);
	assert_int_equal(store_create(backend->ops, path, &op, 1, yes, NULL, &err), STORE_CONFLICT);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_string_equal(text_of(s, "root"), "r0");
	store_close(s);
	if (!backend->is_file)
		return;
	backend->fresh(path);
	write_bytes(path, "a letter", 8);
	assert_int_equal(store_create(backend->ops, path, &op, 1, yes, NULL, &err), STORE_CONFLICT);
	assert_int_equal(file_bytes(path, after, sizeof after), 8);
	assert_memory_equal(after, "a letter", 8);
	backend->fresh(path);
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	assert_int_equal(store_create(backend->ops, path, &op, 1, yes, NULL, &err), STORE_CONFLICT);
	backend->fresh(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(store_create(backend->ops, path, &op, 1, yes, NULL, &err), STORE_CONFLICT);
}

struct looker {
	const char *path;
	bool was_visible, answer;
	int go;
};

static bool look(void *context, struct error *err)
{
	struct looker *l = context;
	struct store *s;
	struct error ignored;
	l->was_visible = store_open(backend->ops, l->path, &s, &ignored) != STORE_NOT_FOUND;
	if (l->go >= 0) {
		say_number(l->go, 1);
		clock_sleep_ms(150);
	}
	return l->answer ? true : fail(err, ERR_STORAGE, "no", "no");
}

static void create__is_abandoned_whole_when_before_says_no(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s;
	struct store_op op = put("root", "r");
	struct looker l = { .path = path, .go = -1 };
	backend->fresh(path);
	assert_int_equal(store_create(backend->ops, path, &op, 1, look, &l, &err), STORE_CANCELLED);
	assert_int_equal(err.code, ERR_STORAGE);
	assert_false(l.was_visible);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_NOT_FOUND);
	if (backend->is_file) { /* nothing but the lock file, which is never removed, stays */
		static const char *const endings[] = { "",          ".new", ".new-wal", ".new-shm", ".new-journal",
						       ".new.lock", "-wal" };
		for (size_t i = 0; i < COUNT_OF(endings); i++) {
			char beside[PATH_MAX + 16];
			struct stat st;
			snprintf(beside, sizeof beside, "%s%s", path, endings[i]);
			assert_int_equal(lstat(beside, &st), -1);
		}
	}
	l.answer = true;
	assert_int_equal(store_create(backend->ops, path, &op, 1, look, &l, &err), STORE_OK);
	assert_false(l.was_visible);
	s = opened(path);
	store_close(s);
}

static bool put_a_letter_there(void *context, struct error *err)
{
	(void)err;
	write_bytes(context, "a letter", 8);
	return true;
}

/* Even from somebody who knows nothing of our lock, at the last moment. */
static void create__never_replaces_what_came_there_meanwhile(void **state)
{
	(void)state;
	char path[PATH_MAX];
	uint8_t found[64];
	struct error err;
	struct store_op op = put("root", "r");
	if (!backend->is_file)
		skip();
	backend->fresh(path);
	assert_int_equal(store_create(backend->ops, path, &op, 1, put_a_letter_there, path, &err), STORE_CONFLICT);
	assert_int_equal(file_bytes(path, found, sizeof found), 8);
	assert_memory_equal(found, "a letter", 8);
}

static void create__of_two_at_once_one_wins(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int go[2];
	uint32_t n;
	struct error err;
	struct store_op op = put("root", "winner");
	backend->fresh(path);
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork_child();
	if (pid == 0) {
		struct store_op late = put("root", "late");
		if (!hear_number(go[0], &n))
			_exit(9);
		_exit((int)store_create(backend->ops, path, &late, 1, yes, NULL, &err));
	}
	struct looker l = { .path = path, .answer = true, .go = go[1] };
	assert_int_equal(store_create(backend->ops, path, &op, 1, look, &l, &err), STORE_OK);
	assert_int_equal(ended(pid), STORE_CONFLICT);
	struct store *s = opened(path);
	assert_string_equal(text_of(s, "root"), "winner");
	store_close(s);
	close(go[0]);
	close(go[1]);
}

static void create__after_one_that_was_killed_succeeds(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	backend->fresh(path);
	for (unsigned ms = 0; ms < 12; ms++) {
		pid_t pid = fork_child();
		if (pid == 0) {
			static char value[60000];
			struct store_op ops[20];
			static char keys[20][8];
			memset(value, 'x', sizeof value - 1);
			for (size_t i = 0; i < 20; i++) {
				snprintf(keys[i], sizeof keys[i], "k%zu", i);
				ops[i] = put(keys[i], value);
			}
			_exit((int)store_create(backend->ops, path, ops, 20, yes, NULL, &err));
		}
		clock_sleep_ms(ms);
		kill(pid, SIGKILL);
		(void)ended(pid);
		struct store *s;
		enum store_class class = store_open(backend->ops, path, &s, &err);
		if (class == STORE_OK) { /* whole, or not there */
			assert_int_equal(store_check(s, &err), STORE_OK);
			assert_int_equal(record_of(s, "k19").value.len, 59999);
			store_close(s);
			return;
		}
		assert_int_equal(class, STORE_NOT_FOUND);
	}
	struct store_op op = put("root", "r");
	assert_int_equal(store_create(backend->ops, path, &op, 1, yes, NULL, &err), STORE_OK);
	store_close(opened(path));
}

static void create__refuses_what_commit_refuses(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s;
	static uint8_t big[STORE_VALUE_MAX + 1];
	struct store_op ops[] = { put("Root", "r"), { .key = "root", .value = bytes_of(big, sizeof big) } };
	for (size_t i = 0; i < COUNT_OF(ops); i++) {
		backend->fresh(path);
		assert_int_equal(store_create(backend->ops, path, &ops[i], 1, yes, NULL, &err), STORE_INVALID);
		assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_NOT_FOUND);
	}
}

static void create__gives_each_store_an_incarnation_of_its_own(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct store *a = fresh_store(path), *b = fresh_store(path);
	struct store_pos at = head_of(a), bt = head_of(b);
	assert_memory_not_equal(at.incarnation, bt.incarnation, 16);
	store_close(a);
	a = opened(path);
	assert_memory_equal(head_of(a).incarnation, bt.incarnation, 16);
	store_close(a);
	store_close(b);
}

static void open__of_nothing_is_not_found(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct store *s = NULL;
	struct error err;
	backend->fresh(path);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_NOT_FOUND);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(s);
}

static void open__refuses_what_is_not_a_store_as_corrupt(void **state)
{
	(void)state;
	char path[PATH_MAX], target[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(target);
	sqlite3 *db;
	if (!backend->is_file)
		skip();
	store_close(s);
	backend->fresh(path);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_CORRUPT);
	assert_int_equal(err.code, ERR_DAMAGED);
	assert_string_equal(err.class, "damaged");
	backend->fresh(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_CORRUPT);
	backend->fresh(path);
	write_bytes(path, "", 0);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_CORRUPT);
	backend->fresh(path);
	static const char letter[] =
		"This is a letter, and longer than the head of a database would be, by some words. "
		"This is a letter, and longer than the head of a database would be.";
	write_bytes(path, letter, sizeof letter);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_CORRUPT);
	backend->fresh(path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE kv(k, v, mod)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_CORRUPT);
	assert_int_equal(chmod(target, 0620), 0);
	assert_int_equal(store_open(backend->ops, target, &s, &err), STORE_CORRUPT);
	assert_int_equal(chmod(target, 0600), 0);
	store_close(opened(target));
}

/* The file of a store with another object, row or type in it. */
static void open__refuses_tables_and_bookkeeping_that_are_not_exactly_ours(void **state)
{
	(void)state;
	static const char *const changes[] = {
		"CREATE TABLE more(x)",
		"CREATE VIEW more AS SELECT * FROM kv",
		"CREATE TRIGGER more AFTER INSERT ON kv BEGIN DELETE FROM meta; END",
		"CREATE INDEX more ON kv(v)",
		"DROP INDEX kv_mod",
		"DROP TABLE fence",
		"ALTER TABLE kv ADD COLUMN extra",
		"DELETE FROM meta WHERE k = 'seq'",
		"DELETE FROM meta WHERE k = 'horizon'",
		"DELETE FROM meta WHERE k = 'incarnation'",
		"UPDATE meta SET v = 'many' WHERE k = 'seq'",
		"UPDATE meta SET v = x'00' WHERE k = 'incarnation'",
		"INSERT INTO meta VALUES('more', 1)",
	};
	if (!backend->is_file)
		skip();
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		char path[PATH_MAX];
		struct error err;
		struct store *s = fresh_store(path);
		sqlite3 *db;
		store_close(s);
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, changes[i], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		if (store_open(backend->ops, path, &s, &err) != STORE_CORRUPT)
			fail_msg("accepted: %s", changes[i]);
		assert_int_equal(err.code, ERR_DAMAGED);
	}
}

/* Root may look into somebody's whole vault; a file whose owner is not its folder's was put there by others. */
static void open__of_a_file_that_is_neither_ours_nor_its_folders_owners_is_refused(void **state)
{
	(void)state;
	char path[PATH_MAX], still[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path);
	store_close(s);
	if (!backend->is_file || geteuid() != 0) {
		print_message("SKIPPED: only root can give files away\n");
		skip();
	}
	assert_int_equal(chown(path, 65534, 65534), 0);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_CORRUPT);
	assert_non_null(strstr(err.message, "belongs to uid 65534"));
	assert_int_equal(chown(scratch, 65533, 65533), 0);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_CORRUPT);
	assert_int_equal(chown(scratch, 65534, 65534), 0);
	store_close(opened(path)); /* all of one account's */
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(store_open(backend->ops, path, &s, &err), STORE_CORRUPT);
	assert_int_equal(chown(scratch, 0, 0), 0);
	/* Another account opens what is root's, as far as it may read. */
	backend->fresh(still);
	copy_file(path, still);
	assert_int_equal(chmod(scratch, 0755), 0);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(still, 0600), 0);
	pid_t pid = fork_child();
	if (pid == 0) {
		bool is_other = setresgid(65533, 65533, 65533) == 0 && setresuid(65533, 65533, 65533) == 0;
		enum store_class whole = store_open_still(backend->ops, path, &s, &err);
		enum store_class denied = store_open_still(backend->ops, still, &s, &err);
		_exit(!is_other ? 1 : whole != STORE_OK ? 2 : denied != STORE_DENIED || err.code != ERR_STORAGE ? 3 : 0);
	}
	assert_int_equal(ended(pid), 0);
}

static void open_still__takes_a_path_as_it_is_written(void **state)
{
	(void)state;
	static const char *const names[] = { "a%41b.db", "what?immutable=0", "#1.db", "100%", "mode=rw&x.db" };
	char path[PATH_MAX], odd[PATH_MAX], below[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path);
	store_close(s);
	if (!backend->is_file)
		skip();
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		in_scratch(odd, names[i]);
		copy_file(path, odd);
		if (store_open_still(backend->ops, odd, &s, &err) != STORE_OK)
			fail_msg("%s: %s", names[i], err.message);
		assert_string_equal(text_of(s, "root"), "r0");
		store_close(s);
	}
	snprintf(below, sizeof below, "%.300s/below", path);
	assert_int_equal(store_open_still(backend->ops, below, &s, &err), STORE_NOT_FOUND);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* ---- 1: atomic and durable ---- */

/* What orders the commits was taken away or changed under an open store: nothing is written on top of it. */
static void commit__without_its_bookkeeping_is_refused_as_corrupt(void **state)
{
	(void)state;
	static const struct {
		const char *change;
		bool hurts_puts;
	} rows[] = { { "DELETE FROM meta WHERE k = 'seq'", true },
		     { "UPDATE meta SET v = 'many' WHERE k = 'seq'", true },
		     { "DELETE FROM meta WHERE k = 'horizon'", false } };
	if (!backend->is_file)
		skip();
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char path[PATH_MAX];
		struct store_pos at;
		struct error err;
		struct store *s = fresh_store(path);
		sqlite3 *db;
		assert_int_equal(commit_one(s, put("a", "1")), STORE_OK);
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, rows[i].change, NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		assert_int_equal(commit_one(s, put("a", "2")), rows[i].hurts_puts ? STORE_CORRUPT : STORE_OK);
		assert_int_equal(commit_one(s, del("root")), STORE_CORRUPT);
		assert_string_equal(text_of(s, "a"), rows[i].hurts_puts ? "1" : "2");
		assert_string_equal(text_of(s, "root"), "r0");
		assert_int_equal(store_head(s, &at, &err), rows[i].hurts_puts ? STORE_CORRUPT : STORE_OK);
		store_close(s);
	}
}

static void commit__beside_a_writer_that_does_not_end_is_told_to_try_again(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store_op op = put("a", "1");
	sqlite3 *db;
	if (!backend->is_file)
		skip();
	struct store *s = fresh_store(path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK); /* without our lock */
	assert_int_equal(store_commit(s, NULL, 0, &op, 1, NULL, NULL, &err), STORE_UNAVAILABLE);
	assert_int_equal(err.code, ERR_CONFLICT);
	sqlite3_close(db);
	assert_int_equal(commit_one(s, op), STORE_OK);
	store_close(s);
}

static void view__of_a_prefix_longer_than_any_key_is_our_own_mistake(void **state)
{
	(void)state;
	char path[PATH_MAX], prefix[STORE_KEY_MAX + 2];
	struct store_view *view;
	struct store_cursor *cursor = NULL;
	struct error err;
	struct store *s = fresh_store(path);
	memset(prefix, 'a', sizeof prefix);
	prefix[STORE_KEY_MAX + 1] = '\0';
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	assert_int_equal(store_cursor_open(s, view, prefix, &cursor, &err), STORE_INVALID);
	assert_null(cursor);
	prefix[STORE_KEY_MAX] = '\0';
	assert_int_equal(store_cursor_open(s, view, prefix, &cursor, &err), STORE_OK);
	store_cursor_close(s, cursor);
	store_view_close(s, view);
	store_close(s);
}

static void commit__is_whole_or_not_at_all(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store_pos at = { .rev = 77 };
	struct store_why why;
	struct store *s = fresh_store(path);
	struct store_pos before = head_of(s);
	struct store_op ops[] = { put("a", "1"), put("root", "r1"), put("b", "2") };
	struct store_condition wrong = { .kind = STORE_IF_VALUE, .key = "root", .value = bytes_of_text("other") };
	assert_int_equal(store_commit(s, &wrong, 1, ops, 3, &at, &why, &err), STORE_CONFLICT);
	assert_int_equal(at.rev, 77);
	assert_string_equal(text_of(s, "a"), "-");
	assert_string_equal(text_of(s, "root"), "r0");
	assert_int_equal(head_of(s).rev, before.rev);
	wrong.value = bytes_of_text("r0");
	assert_int_equal(store_commit(s, &wrong, 1, ops, 3, &at, &why, &err), STORE_OK);
	assert_true(at.rev > before.rev);
	assert_string_equal(text_of(s, "a"), "1");
	assert_string_equal(text_of(s, "b"), "2");
	assert_string_equal(text_of(s, "root"), "r1");
	store_close(s);
	s = opened(path);
	assert_string_equal(text_of(s, "b"), "2");
	assert_int_equal(head_of(s).rev, at.rev);
	store_close(s);
}

/* Commit i writes i to "a" and "b" and makes "n/i"; its number goes out once it was STORE_OK. */
static void commit_for_ever(struct store *s, int say, void *context)
{
	uint32_t i = *(uint32_t *)context;
	char filler[6000];
	memset(filler, 'x', sizeof filler - 1);
	for (;;) {
		char number[16], key[32];
		struct error err;
		snprintf(number, sizeof number, "%u", ++i);
		snprintf(key, sizeof key, "n/%u", i);
		memcpy(filler, number, strlen(number));
		filler[sizeof filler - 1] = '\0';
		struct store_op ops[] = { put("a", number), put(key, filler), put("b", number) };
		if (store_commit(s, NULL, 0, ops, 3, NULL, NULL, &err) != STORE_OK)
			_exit(7);
		say_number(say, i);
	}
}

static void commit__what_was_acknowledged_survives_kill_at_any_moment(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path);
	store_close(s);
	uint32_t done = 0;
	for (unsigned round = 0; round < 40; round++) {
		int hear;
		uint32_t acknowledged = done, n;
		pid_t pid = child(path, commit_for_ever, &done, &hear);
		bool was_heard = hear_number(hear, &n); /* it is under way */
		assert_true(was_heard);
		acknowledged = n;
		usleep((unsigned)rand() % 25000);
		kill_hard(pid);
		while (hear_number(hear, &n))
			acknowledged = n;
		close(hear);
		s = opened(path);
		assert_int_equal(store_check(s, &err), STORE_OK);
		uint32_t a = (uint32_t)atoi(text_of(s, "a")), b = (uint32_t)atoi(text_of(s, "b"));
		assert_int_equal(a, b);
		if (a < acknowledged || a > acknowledged + 1)
			fail_msg("acknowledged %u, found %u", acknowledged, a);
		for (uint32_t i = done + 1; i <= a + 1; i++) {
			char key[32];
			snprintf(key, sizeof key, "n/%u", i);
			assert_int_equal(record_of(s, key).is_found, i <= a);
		}
		done = a;
		store_close(s);
	}
	assert_true(done > 40);
}

static void commit__takes_the_batch_that_every_backend_takes(void **state)
{
	(void)state;
	char path[PATH_MAX], keys[STORE_BATCH_MIN][16];
	struct error err;
	struct store *s = fresh_store(path);
	struct store_op ops[STORE_BATCH_MIN];
	static uint8_t big[STORE_VALUE_MAX];
	assert_true(store_caps(s).batch_max >= STORE_BATCH_MIN);
	for (size_t i = 0; i < STORE_BATCH_MIN; i++) {
		snprintf(keys[i], sizeof keys[i], "k/%zu", i);
		memset(big, (int)i, sizeof big);
		ops[i] = (struct store_op){ .key = keys[i], .value = bytes_of(big, sizeof big) };
	}
	assert_int_equal(store_commit(s, NULL, 0, ops, STORE_BATCH_MIN, NULL, NULL, &err), STORE_OK);
	for (size_t i = 0; i < STORE_BATCH_MIN; i++)
		assert_int_equal(record_of(s, keys[i]).value.len, STORE_VALUE_MAX);
	for (size_t i = 0; i < STORE_BATCH_MIN; i++)
		ops[i] = del(keys[i]);
	assert_int_equal(store_commit(s, NULL, 0, ops, STORE_BATCH_MIN, NULL, NULL, &err), STORE_OK);
	for (size_t i = 0; i < STORE_BATCH_MIN; i++)
		assert_false(record_of(s, keys[i]).is_found);
	store_close(s);
}

static void commit__refuses_keys_and_values_out_of_bounds_and_writes_nothing(void **state)
{
	(void)state;
	char path[PATH_MAX], longest[STORE_KEY_MAX + 2];
	struct error err;
	struct store *s = fresh_store(path);
	struct store_pos before = head_of(s);
	static uint8_t big[STORE_VALUE_MAX + 1];
	memset(longest, 'k', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	static const char *const keys[] = { "", "A", "a b", "a.b", "a\n", "a\"", "a\xc3\xa4", "a%", "a~", "a:" };
	for (size_t i = 0; i <= COUNT_OF(keys); i++) {
		struct store_op ops[] = { put("fine", "1"), put(i < COUNT_OF(keys) ? keys[i] : longest, "x") };
		assert_int_equal(store_commit(s, NULL, 0, ops, 2, NULL, NULL, &err), STORE_INVALID);
	}
	struct store_op ops[] = { put("fine", "1"), { .key = "big", .value = bytes_of(big, sizeof big) } };
	enum store_class class = store_commit(s, NULL, 0, ops, 2, NULL, NULL, &err);
	assert_true(class == STORE_INVALID || class == STORE_TOO_BIG);
	assert_string_equal(text_of(s, "fine"), "-");
	assert_int_equal(head_of(s).rev, before.rev);
	longest[STORE_KEY_MAX] = '\0';
	assert_int_equal(commit_one(s, put(longest, "x")), STORE_OK);
	assert_string_equal(text_of(s, longest), "x");
	ops[1].value.len--;
	assert_int_equal(store_commit(s, NULL, 0, ops, 2, NULL, NULL, &err), STORE_OK);
	assert_int_equal(record_of(s, "big").value.len, STORE_VALUE_MAX);
	assert_int_equal(commit_one(s, put("empty", "")), STORE_OK);
	assert_true(record_of(s, "empty").is_found);
	assert_int_equal(record_of(s, "empty").value.len, 0);
	store_close(s);
}

/* Two values for one key in one commit is our own mistake, not the store's. */
static void commit__naming_a_key_twice_is_our_own_mistake(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path);
	struct store_op ops[] = { put("twice", "1"), put("twice", "2") };
	assert_int_equal(store_commit(s, NULL, 0, ops, 2, NULL, NULL, &err), STORE_INVALID);
	assert_string_equal(text_of(s, "twice"), "-");
	store_close(s);
}

static void commit__overwrites_and_deletes_and_binary_values_come_back(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path);
	uint8_t all[256];
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)i;
	struct store_op op = { .key = "all", .value = bytes_of(all, sizeof all) };
	assert_int_equal(commit_one(s, op), STORE_OK);
	struct buf room = BUF_INIT(1 << 20);
	struct store_record found;
	const char *key = "all";
	assert_int_equal(store_get_many(s, &key, 1, &room, &found, &err), STORE_OK);
	assert_true(bytes_equal(found.value, op.value));
	buf_done(&room);
	assert_int_equal(commit_one(s, put("all", "less")), STORE_OK);
	assert_string_equal(text_of(s, "all"), "less");
	assert_int_equal(commit_one(s, del("all")), STORE_OK);
	assert_string_equal(text_of(s, "all"), "-");
	assert_int_equal(commit_one(s, del("never-there")), STORE_OK);
	store_close(s);
}

/* ---- 2: conditions and revisions ---- */

static void commit__all_keys_get_one_rev_greater_than_every_earlier_one(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path), *other = opened(path);
	struct store_pos last = head_of(s);
	for (unsigned i = 0; i < 20; i++) {
		struct store_pos at;
		struct store_op ops[] = { put("a", "x"), put("b", "y") };
		assert_int_equal(store_commit(i % 2 ? s : other, NULL, 0, ops, 2, &at, NULL, &err), STORE_OK);
		assert_true(at.rev > last.rev);
		assert_memory_equal(at.incarnation, last.incarnation, 16);
		assert_int_equal(record_of(s, "a").mod, record_of(s, "b").mod);
		assert_int_equal(head_of(s).rev, at.rev);
		last = at;
	}
	uint64_t mod = record_of(s, "a").mod;
	assert_int_equal(commit_one(s, put("b", "z")), STORE_OK);
	assert_int_equal(record_of(s, "a").mod, mod);
	assert_true(record_of(s, "b").mod != mod);
	store_close(s);
	store_close(other);
}

static void condition__absent(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct store_why why;
	struct store *s = fresh_store(path);
	struct store_condition absent = { .kind = STORE_IF_ABSENT, .key = "a" };
	assert_int_equal(commit_if(s, absent, put("a", "1"), &why), STORE_OK);
	assert_int_equal(commit_if(s, absent, put("a", "2"), &why), STORE_CONFLICT);
	assert_int_equal(why.index, 0);
	assert_false(why.is_mine);
	assert_int_equal(commit_if(s, absent, put("a", "1"), &why), STORE_CONFLICT);
	assert_true(why.is_mine);
	assert_string_equal(text_of(s, "a"), "1");
	store_close(s);
}

static void condition__mod(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct store_why why;
	struct store *s = fresh_store(path);
	assert_int_equal(commit_one(s, put("a", "1")), STORE_OK);
	struct store_condition is = { .kind = STORE_IF_MOD, .key = "a", .number = record_of(s, "a").mod };
	assert_int_equal(commit_if(s, is, put("a", "2"), &why), STORE_OK);
	assert_int_equal(commit_if(s, is, put("a", "3"), &why), STORE_CONFLICT);
	assert_int_equal(why.index, 0);
	assert_false(why.is_mine);
	assert_int_equal(commit_if(s, is, put("a", "2"), &why), STORE_CONFLICT);
	assert_true(why.is_mine); /* our own commit whose answer was lost */
	struct store_condition none = { .kind = STORE_IF_MOD, .key = "b", .number = 0 };
	assert_int_equal(commit_if(s, none, put("b", "1"), &why), STORE_OK); /* 0 = absent */
	assert_int_equal(commit_if(s, none, put("b", "2"), &why), STORE_CONFLICT);
	struct store_condition gone = { .kind = STORE_IF_MOD, .key = "b", .number = record_of(s, "b").mod };
	assert_int_equal(commit_if(s, gone, del("b"), &why), STORE_OK);
	assert_int_equal(commit_if(s, gone, del("b"), &why), STORE_CONFLICT);
	assert_true(why.is_mine); /* what we tried is how it is */
	assert_int_equal(commit_if(s, gone, put("b", "4"), &why), STORE_CONFLICT);
	assert_false(why.is_mine);
	store_close(s);
}

static void condition__value_is_byte_for_byte(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct store_why why;
	struct store *s = fresh_store(path);
	struct store_condition c = { .kind = STORE_IF_VALUE, .key = "root", .value = bytes_of_text("r0") };
	assert_int_equal(commit_if(s, c, put("root", "r1"), &why), STORE_OK);
	static const char *const wrong[] = { "r0", "r", "r11", "", "R1" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		c.value = bytes_of_text(wrong[i]);
		why = (struct store_why){ 99, true };
		assert_int_equal(commit_if(s, c, put("root", "r2"), &why), STORE_CONFLICT);
		assert_int_equal(why.index, 0);
		assert_false(why.is_mine);
	}
	c.value = bytes_of_text("r0");
	assert_int_equal(commit_if(s, c, put("root", "r1"), &why), STORE_CONFLICT);
	assert_true(why.is_mine);
	c.key = "absent";
	c.value = bytes_of_text("");
	assert_int_equal(commit_if(s, c, put("root", "r2"), &why), STORE_CONFLICT);
	assert_false(why.is_mine);
	assert_int_equal(commit_one(s, put("absent", "")), STORE_OK);
	assert_int_equal(commit_if(s, c, put("root", "r2"), &why), STORE_OK);
	store_close(s);
}

static void condition__the_first_that_fails_is_named(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path);
	assert_int_equal(commit_one(s, put("a", "1")), STORE_OK);
	struct store_condition c[] = {
		{ .kind = STORE_IF_VALUE, .key = "root", .value = bytes_of_text("r0") },
		{ .kind = STORE_IF_ABSENT, .key = "b" },
		{ .kind = STORE_IF_ABSENT, .key = "a" },
		{ .kind = STORE_IF_MOD, .key = "root", .number = 12345 },
	};
	struct store_op op = put("b", "1");
	for (size_t first = 3; first-- > 0;) {
		struct store_why why = { 99, true };
		struct store_condition rest[4];
		size_t count = 0;
		for (size_t i = 2 - first; i < COUNT_OF(c); i++)
			rest[count++] = c[i];
		assert_int_equal(store_commit(s, rest, count, &op, 1, NULL, &why, &err), STORE_CONFLICT);
		assert_int_equal(why.index, first);
	}
	assert_int_equal(store_commit(s, c, COUNT_OF(c), &op, 1, NULL, NULL, &err),
			 STORE_CONFLICT); /* why may be NULL */
	assert_string_equal(text_of(s, "b"), "-");
	assert_int_equal(store_commit(s, c, 2, &op, 1, NULL, NULL, &err), STORE_OK);
	store_close(s);
}

static void condition__fence(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store_why why;
	struct store *s = fresh_store(path), *other = opened(path);
	struct store_lock *lock;
	uint64_t fence, next;
	struct store_condition c = { .kind = STORE_IF_FENCE, .key = "sweep" };
	assert_int_equal(commit_if(s, c, put("a", "1"), &why), STORE_FENCED); /* nobody ever held it */
	assert_int_equal(store_lock_try(s, "sweep", bytes_of_text("me"), &lock, &fence, &err), STORE_OK);
	c.number = fence;
	assert_int_equal(commit_if(s, c, put("a", "1"), &why), STORE_OK);
	c.number = fence + 1;
	assert_int_equal(commit_if(s, c, put("a", "2"), &why), STORE_FENCED);
	store_lock_release(s, lock);
	assert_int_equal(store_lock_try(other, "sweep", bytes_of_text("you"), &lock, &next, &err), STORE_OK);
	c.number = fence;
	struct store_condition both[] = { { .kind = STORE_IF_VALUE, .key = "a", .value = bytes_of_text("1") }, c };
	struct store_op op = put("a", "3");
	assert_int_equal(store_commit(s, both, 2, &op, 1, NULL, &why, &err), STORE_FENCED);
	assert_int_equal(why.index, 1);
	assert_false(why.is_mine);
	assert_string_equal(text_of(s, "a"), "1");
	both[1].number = next;
	assert_int_equal(store_commit(other, both, 2, &op, 1, NULL, &why, &err), STORE_OK);
	c.key = "another-lock";
	c.number = next;
	assert_int_equal(commit_if(s, c, put("a", "4"), &why), STORE_FENCED);
	store_lock_release(other, lock);
	store_close(s);
	store_close(other);
}

static void count_up(struct store *s, int say, void *context)
{
	(void)say;
	for (unsigned i = 0; i < *(unsigned *)context;) {
		char text[16];
		struct error err;
		struct store_record now = record_of(s, "counter");
		snprintf(text, sizeof text, "%d", atoi(text_of(s, "counter")) + 1);
		/* The number read behind mod may be newer; then mod does not hold and we read again. */
		struct store_condition c = { .kind = STORE_IF_MOD, .key = "counter", .number = now.mod };
		struct store_op op = put("counter", text);
		enum store_class class = store_commit(s, &c, 1, &op, 1, NULL, NULL, &err);
		if (class == STORE_OK)
			i++;
		else if (class != STORE_CONFLICT)
			_exit(20 + (int)class);
	}
}

static void commit__of_competing_processes_loses_no_update(void **state)
{
	(void)state;
	char path[PATH_MAX];
	unsigned each = 100;
	int hear[4], seen = 0;
	pid_t pids[4];
	struct store *s = fresh_store(path);
	assert_int_equal(commit_one(s, put("counter", "0")), STORE_OK);
	for (size_t i = 0; i < 4; i++)
		pids[i] = child(path, count_up, &each, &hear[i]);
	while (seen < 400 &&
	       waitpid(-1, NULL, WNOHANG | WNOWAIT) >= 0) { /* while they write, reading never goes back */
		int now = atoi(text_of(s, "counter"));
		assert_true(now >= seen);
		if (now == seen)
			usleep(200);
		seen = now;
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(ended(pids[i]), 0);
		close(hear[i]);
	}
	assert_string_equal(text_of(s, "counter"), "400");
	store_close(s);
}

/* ---- 3: reading ---- */

static void reading__shows_what_another_handle_just_committed(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *a = fresh_store(path), *b = opened(path);
	for (unsigned i = 0; i < 100; i++) {
		char number[16];
		struct store_pos at;
		snprintf(number, sizeof number, "%u", i);
		struct store_op op = put("a", number);
		assert_int_equal(store_commit(i % 2 ? a : b, NULL, 0, &op, 1, &at, NULL, &err), STORE_OK);
		assert_string_equal(text_of(i % 2 ? b : a, "a"), number);
		assert_true(head_of(i % 2 ? b : a).rev >= at.rev);
	}
	store_close(a);
	store_close(b);
}

static void reading__shows_what_another_process_was_told_is_stored(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int hear;
	uint32_t n = 0, start = 0;
	struct store *s = fresh_store(path);
	pid_t pid = child(path, commit_for_ever, &start, &hear);
	for (unsigned i = 0; i < 300; i++) {
		assert_true(hear_number(hear, &n));
		assert_true((uint32_t)atoi(text_of(s, "a")) >= n);
	}
	kill_hard(pid);
	close(hear);
	store_close(s);
}

static void reading__get_many_is_one_instant(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int hear;
	uint32_t n, start = 0, last = 0;
	struct error err;
	struct store *s = fresh_store(path);
	pid_t pid = child(path, commit_for_ever, &start, &hear);
	assert_true(hear_number(hear, &n));
	fcntl(hear, F_SETFL, O_NONBLOCK);
	struct buf room = BUF_INIT(1 << 20);
	unsigned moved = 0;
	for (int64_t until = clock_boot_ms() + 10000; moved < 100 && clock_boot_ms() < until;) {
		static const char *const keys[] = { "a", "root", "absent", "b" };
		struct store_record found[4];
		while (hear_number(hear, &n))
			;
		assert_int_equal(store_get_many(s, keys, 4, &room, found, &err), STORE_OK);
		assert_true(bytes_equal(found[0].value, found[3].value));
		assert_int_equal(found[0].mod, found[3].mod);
		assert_true(bytes_equal(found[1].value, bytes_of_text("r0")));
		assert_false(found[2].is_found);
		assert_int_equal(found[2].mod, 0);
		uint32_t now = 0;
		for (size_t k = 0; k < found[0].value.len; k++)
			now = now * 10 + (uint32_t)(found[0].value.at[k] - '0');
		moved += now != last;
		last = now;
	}
	assert_true(moved >= 100);
	buf_done(&room);
	kill_hard(pid);
	close(hear);
	store_close(s);
}

/* ---- 4: views ---- */

static void view__is_in_byte_order_and_holds_exactly_the_prefix(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path);
	static const char *const sorted[] = { "-",     "/",   "0",  "a",  "a-", "a/", "a/-",  "a/0", "a/b",
					      "a/b/c", "a/z", "a0", "a_", "aa", "b",  "root", "z" };
	for (size_t i = COUNT_OF(sorted); i-- > 0;)
		assert_int_equal(commit_one(s, put(sorted[i], sorted[i])), STORE_OK);
	static const char *const prefixes[] = { "", "a", "a/", "a/b", "a/b/c", "a/b/cd", "b", "z", "-", "_", "roo" };
	struct store_view *view;
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	for (size_t p = 0; p < COUNT_OF(prefixes); p++) {
		struct store_cursor *cursor;
		struct store_record found;
		assert_int_equal(store_cursor_open(s, view, prefixes[p], &cursor, &err), STORE_OK);
		for (size_t i = 0; i < COUNT_OF(sorted); i++) {
			if (strncmp(sorted[i], prefixes[p], strlen(prefixes[p])) != 0)
				continue;
			assert_int_equal(store_cursor_next(s, cursor, &found, &err), STORE_OK);
			assert_string_equal(found.key, sorted[i]);
			if (strcmp(sorted[i], "root") != 0)
				assert_true(bytes_equal(found.value, bytes_of_text(sorted[i])));
			assert_true(found.is_found);
		}
		assert_int_equal(store_cursor_next(s, cursor, &found, &err), STORE_NOT_FOUND);
		store_cursor_close(s, cursor);
	}
	store_view_close(s, view);
	store_close(s);
}

static void view__a_cursor_at_its_end_stays_there(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store_view *view;
	struct store_cursor *cursor;
	struct store_record found;
	struct store *s = fresh_store(path);
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	assert_int_equal(store_cursor_open(s, view, "", &cursor, &err), STORE_OK);
	assert_int_equal(store_cursor_next(s, cursor, &found, &err), STORE_OK);
	enum store_class first = store_cursor_next(s, cursor, &found, &err);
	enum store_class second = store_cursor_next(s, cursor, &found, &err);
	store_cursor_close(s, cursor);
	store_view_close(s, view);
	store_close(s);
	assert_int_equal(first, STORE_NOT_FOUND);
	assert_int_equal(second, STORE_NOT_FOUND);
}

static void view__several_cursors_see_one_instant_while_others_write(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store_view *view;
	struct store_cursor *x, *y, *late;
	struct store_record found;
	struct store *s = fresh_store(path), *other = opened(path);
	struct store_op ops[] = { put("x/1", "old"), put("x/2", "old"), put("y/1", "old"), put("y/2", "old") };
	assert_int_equal(store_commit(s, NULL, 0, ops, 4, NULL, NULL, &err), STORE_OK);
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	assert_int_equal(store_cursor_open(s, view, "x/", &x, &err), STORE_OK);
	assert_int_equal(store_cursor_open(s, view, "y/", &y, &err), STORE_OK);
	assert_int_equal(store_cursor_next(s, x, &found, &err), STORE_OK);
	struct store_op changes[] = { put("x/2", "new"), del("y/1"), put("y/2", "new"), put("y/3", "new") };
	assert_int_equal(store_commit(other, NULL, 0, changes, 4, NULL, NULL, &err), STORE_OK);
	assert_int_equal(store_cursor_next(s, y, &found, &err), STORE_OK);
	assert_string_equal(found.key, "y/1");
	assert_int_equal(store_cursor_next(s, x, &found, &err), STORE_OK);
	assert_string_equal(found.key, "x/2");
	assert_true(bytes_equal(found.value, bytes_of_text("old")));
	assert_int_equal(store_cursor_open(s, view, "y/", &late, &err), STORE_OK);
	assert_string_equal(text_of(s, "x/2"), "old"); /* ordinary reading while a view stands: its instant */
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(store_cursor_next(s, late, &found, &err), STORE_OK);
		assert_true(bytes_equal(found.value, bytes_of_text("old")));
	}
	assert_int_equal(store_cursor_next(s, late, &found, &err), STORE_NOT_FOUND);
	store_cursor_close(s, x);
	store_cursor_close(s, y);
	store_cursor_close(s, late);
	store_view_close(s, view);
	assert_string_equal(text_of(s, "x/2"), "new");
	assert_string_equal(text_of(s, "y/1"), "-");
	store_close(other);
	store_close(s);
}

/* Moves one unit between two of ten accounts in each commit. */
static void move_about(struct store *s, int say, void *context)
{
	(void)context;
	int account[10];
	for (size_t i = 0; i < 10; i++)
		account[i] = 100;
	for (unsigned n = 1;; n++) {
		char keys[2][16], values[2][16];
		struct error err;
		size_t from = n % 10, to = (n * 7 + 3) % 10;
		if (from == to)
			continue;
		account[from]--;
		account[to]++;
		for (size_t i = 0; i < 2; i++) {
			size_t which = i ? to : from;
			snprintf(keys[i], sizeof keys[i], "acc/%zu", which);
			snprintf(values[i], sizeof values[i], "%d", account[which] + 1000);
		}
		struct store_op ops[] = { put(keys[0], values[0]), put(keys[1], values[1]) };
		if (store_commit(s, NULL, 0, ops, 2, NULL, NULL, &err) != STORE_OK)
			_exit(7);
		if (n < 20)
			say_number(say, n);
	}
}

static void view__is_never_torn_under_a_writing_process(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int hear;
	uint32_t n;
	struct error err;
	struct store *s = fresh_store(path);
	for (size_t i = 0; i < 10; i++) {
		char key[16];
		snprintf(key, sizeof key, "acc/%zu", i);
		assert_int_equal(commit_one(s, put(key, "1100")), STORE_OK);
	}
	pid_t pid = child(path, move_about, NULL, &hear);
	assert_true(hear_number(hear, &n));
	for (unsigned round = 0; round < 200; round++) {
		struct store_view *view;
		struct store_cursor *cursor;
		struct store_record found;
		int sum = 0;
		assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
		assert_int_equal(store_cursor_open(s, view, "acc/", &cursor, &err), STORE_OK);
		while (store_cursor_next(s, cursor, &found, &err) == STORE_OK) {
			char text[16];
			snprintf(text, sizeof text, "%.*s", (int)found.value.len, (const char *)found.value.at);
			sum += atoi(text);
			if (round % 4 == 0)
				usleep(100);
		}
		store_cursor_close(s, cursor);
		store_view_close(s, view);
		assert_int_equal(sum, 11000);
	}
	kill_hard(pid);
	close(hear);
	store_close(s);
}

/* What a caller must not do is told as our own mistake, not as an alarm about the store. */
/* ---- 11: what was written since ---- */

static void since_is(struct store *s, const char *prefix, const struct store_pos *after, const char *expected)
{
	char found[256] = "";
	struct error err;
	struct store_view *view;
	struct store_cursor *cursor;
	struct store_record record;
	enum store_class class;
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	assert_int_equal(store_cursor_since(s, view, prefix, after, &cursor, &err), STORE_OK);
	while ((class = store_cursor_next(s, cursor, &record, &err)) == STORE_OK)
		snprintf(found + strlen(found), sizeof found - strlen(found), "%s=%.*s ", record.key,
			 (int)record.value.len, (const char *)record.value.at);
	assert_int_equal(class, STORE_NOT_FOUND);
	store_cursor_close(s, cursor);
	store_view_close(s, view);
	assert_string_equal(found, expected);
}

static void since__gives_what_was_written_after_a_position_and_is_still_there(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct store *s = fresh_store(path);
	assert_int_equal(commit_one(s, put("a/1", "old")), STORE_OK);
	struct store_pos before = head_of(s);
	since_is(s, "", &before, "");
	assert_int_equal(commit_one(s, put("a/3", "x")), STORE_OK);
	assert_int_equal(commit_one(s, put("b/1", "x")), STORE_OK);
	assert_int_equal(commit_one(s, put("a/1", "new")), STORE_OK);
	assert_int_equal(commit_one(s, put("a/2", "gone")), STORE_OK);
	struct store_pos between = head_of(s);
	assert_int_equal(commit_one(s, del("a/2")), STORE_OK); /* no alarm, no trace */
	since_is(s, "a/", &before, "a/3=x a/1=new ");
	since_is(s, "b", &before, "b/1=x ");
	since_is(s, "a/", &between, "");
	store_close(s);
}

static void since__a_position_of_the_future_or_of_another_store_is_an_alarm(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store_view *view;
	struct store_cursor *cursor;
	struct store *s = fresh_store(path), *other = fresh_store(path);
	struct store_pos future = head_of(s), foreign = head_of(other);
	future.rev++;
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	assert_int_equal(store_cursor_since(s, view, "", &future, &cursor, &err), STORE_ROLLBACK);
	assert_int_equal(store_cursor_since(s, view, "", &foreign, &cursor, &err), STORE_ROLLBACK);
	assert_int_equal(err.code, ERR_DAMAGED);
	store_view_close(s, view);
	store_close(s);
	store_close(other);
}

static void view__a_second_one_or_a_commit_inside_one_is_our_own_mistake(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store_view *view, *second = NULL;
	struct store *s = fresh_store(path);
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	enum store_class nested = store_view_open(s, &second, &err), commit = commit_one(s, put("a", "1"));
	store_view_close(s, view);
	store_close(s);
	assert_int_equal(nested, STORE_INVALID);
	assert_int_equal(commit, STORE_INVALID);
}

/* ---- 5: watching ---- */

struct seen {
	size_t count, puts, resyncs;
	uint64_t last_rev;
	bool went_back;
	char last_key[64], last_value[64];
	const char *until_key;
	size_t until_count;
	char keys[4096][16];
	int per_key[64]; /* k/<n>: the last number seen */
	bool number_went_back;
};

static bool note_event(void *context, const struct store_event *event)
{
	struct seen *seen = context;
	seen->count++;
	seen->went_back |= event->at.rev < seen->last_rev;
	seen->last_rev = event->at.rev;
	if (event->kind == STORE_EVENT_RESYNC)
		seen->resyncs++;
	if (event->kind == STORE_EVENT_PUT) {
		snprintf(seen->last_key, sizeof seen->last_key, "%s", event->record.key);
		snprintf(seen->last_value, sizeof seen->last_value, "%.*s", (int)event->record.value.len,
			 (const char *)event->record.value.at);
		if (seen->puts < COUNT_OF(seen->keys))
			snprintf(seen->keys[seen->puts], sizeof seen->keys[0], "%s", event->record.key);
		seen->puts++;
		unsigned which;
		if (sscanf(event->record.key, "k/%u", &which) == 1 && which < COUNT_OF(seen->per_key)) {
			int number = atoi(seen->last_value);
			seen->number_went_back |= number < seen->per_key[which];
			seen->per_key[which] = number;
		}
		if (seen->until_key && strcmp(event->record.key, seen->until_key) == 0)
			return false;
	}
	return !seen->until_count || seen->count < seen->until_count;
}

/* A stop that comes by itself, so that a watch that misses what it waits for ends as a failure, not as a hang. */
struct stopper {
	pthread_t thread;
	atomic_bool stop;
	atomic_bool is_over;
	int64_t after_ms, stopped_at;
};

static void *stop_later(void *context)
{
	struct stopper *st = context;
	int64_t until = clock_boot_ms() + st->after_ms;
	while (!atomic_load(&st->is_over) && clock_boot_ms() < until)
		usleep(2000);
	st->stopped_at = clock_boot_ms();
	atomic_store(&st->stop, true);
	return NULL;
}

static enum store_class watch(struct store *s, const char *prefix, const struct store_pos *after, struct seen *seen,
			      int64_t limit_ms, int64_t *ret_late_ms)
{
	struct stopper st = { .after_ms = limit_ms };
	struct error err = { 0 };
	assert_int_equal(pthread_create(&st.thread, NULL, stop_later, &st), 0);
	enum store_class class = store_watch(s, prefix, after, note_event, seen, &st.stop, &err);
	int64_t ended_at = clock_boot_ms();
	bool was_stopped = atomic_load(&st.stop);
	atomic_store(&st.is_over, true);
	pthread_join(st.thread, NULL);
	if (ret_late_ms)
		*ret_late_ms = was_stopped ? ended_at - st.stopped_at : -1;
	if (class != STORE_OK && class != STORE_CANCELLED)
		assert_true(err.code != ERR_NONE);
	return class;
}

static struct seen *new_seen(void)
{
	struct seen *seen = calloc(1, sizeof *seen);
	assert_non_null(seen);
	return seen;
}

/* 600 commits: number i to k/<i % 20>, and two keys of its own, then "w/last". */
static void write_numbers(struct store *s, int say, void *context)
{
	(void)say, (void)context;
	for (unsigned i = 1; i <= 600; i++) {
		char number[16], key[16], a[16], b[16];
		struct error err;
		snprintf(number, sizeof number, "%u", i);
		snprintf(key, sizeof key, "k/%u", i % 20);
		snprintf(a, sizeof a, "u/%u/a", i);
		snprintf(b, sizeof b, "u/%u/b", i);
		struct store_op ops[] = { put(b, "x"), put(key, number), put(a, "x") };
		if (store_commit(s, NULL, 0, ops, 3, NULL, NULL, &err) != STORE_OK)
			_exit(7);
		if (i % 50 == 0)
			usleep(30000);
	}
	if (commit_one(s, put("w-last", "x")) != STORE_OK)
		_exit(7);
}

static void watch__delivers_each_commit_in_order_and_whole(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int hear;
	struct seen *seen = new_seen();
	struct store *s = fresh_store(path);
	struct store_pos start = head_of(s);
	pid_t pid = child(path, write_numbers, NULL, &hear);
	seen->until_key = "w-last";
	watch(s, "", &start, seen, 30000, NULL);
	assert_int_equal(ended(pid), 0);
	assert_string_equal(seen->last_key, "w-last");
	assert_false(seen->went_back);
	assert_false(seen->number_went_back);
	assert_int_equal(seen->resyncs, 0);
	for (unsigned i = 0; i < 20; i++) /* the last value of each key arrived */
		assert_int_equal(seen->per_key[i], i == 0 ? 600 : 580 + (int)i);
	/* What was written once arrived at least once, and the two of one commit with nothing of a later one between.
	 */
	static bool has[601][2];
	memset(has, 0, sizeof has);
	unsigned expected = 0;
	for (size_t i = 0; i < seen->puts && i < COUNT_OF(seen->keys); i++) {
		unsigned n;
		char which;
		if (sscanf(seen->keys[i], "u/%u/%c", &n, &which) != 2)
			continue;
		assert_true(n >= 1 && n <= 600);
		has[n][which - 'a'] = true;
		assert_true(n == expected || n == expected + 1 || (n <= expected && has[n][0] && has[n][1]));
		if (n == expected + 1) {
			assert_true(expected == 0 || (has[expected][0] && has[expected][1]));
			expected = n;
		}
	}
	assert_int_equal(expected, 600);
	close(hear);
	free(seen);
	store_close(s);
}

static void watch__begins_behind_the_position_and_keeps_to_the_prefix(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store_pos after;
	struct seen *seen = new_seen();
	struct store *s = fresh_store(path);
	assert_int_equal(commit_one(s, put("p/1", "early")), STORE_OK);
	struct store_op op = put("p/2", "at");
	assert_int_equal(store_commit(s, NULL, 0, &op, 1, &after, NULL, &err), STORE_OK);
	assert_int_equal(commit_one(s, put("q/1", "other")), STORE_OK);
	assert_int_equal(commit_one(s, put("p/3", "after")), STORE_OK);
	assert_int_equal(commit_one(s, put("p-4", "other")), STORE_OK);
	assert_int_equal(commit_one(s, put("p/1", "again")), STORE_OK);
	seen->until_count = 2;
	watch(s, "p/", &after, seen, 3000, NULL);
	assert_int_equal(seen->puts, 2);
	assert_string_equal(seen->keys[0], "p/3");
	assert_string_equal(seen->keys[1], "p/1");
	assert_string_equal(seen->last_value, "again");
	free(seen);
	store_close(s);
}

static void delete_then_write(struct store *s, int say, void *context)
{
	(void)context;
	(void)say;
	clock_sleep_ms(100);
	if (commit_one(s, del("p/1")) != STORE_OK)
		_exit(7);
	clock_sleep_ms(700);
	if (commit_one(s, put("p/last", "x")) != STORE_OK)
		_exit(7);
}

static void watch__says_resync_after_a_deletion_and_goes_on(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int hear;
	struct seen *seen = new_seen();
	struct store *s = fresh_store(path);
	assert_int_equal(commit_one(s, put("p/1", "x")), STORE_OK);
	struct store_pos after = head_of(s);
	pid_t pid = child(path, delete_then_write, NULL, &hear);
	seen->until_key = "p/last";
	watch(s, "p/", &after, seen, 8000, NULL);
	assert_int_equal(ended(pid), 0);
	assert_int_equal(seen->resyncs, 1);
	assert_int_equal(seen->puts, 1);
	assert_string_equal(seen->last_key, "p/last");
	assert_false(seen->went_back);
	assert_int_equal(seen->last_rev, head_of(s).rev);
	memset(seen, 0, sizeof *seen);
	seen->until_count = 1;
	watch(s, "p/", &after, seen, 3000, NULL); /* from before the deletion: told to list again */
	assert_int_equal(seen->resyncs, 1);
	assert_int_equal(seen->last_rev, head_of(s).rev);
	close(hear);
	free(seen);
	store_close(s);
}

static void watch__returns_within_a_second_of_stop(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int64_t late, least = INT64_MAX, least_at_once = INT64_MAX;
	struct seen *seen = new_seen();
	struct store *s = fresh_store(path);
	struct store_pos after = head_of(s);
	for (int i = 0; i < 3; i++) { /* the machine may be busy once */
		assert_int_equal(watch(s, "", &after, seen, 300, &late), STORE_CANCELLED);
		assert_true(late >= 0);
		least = late < least ? late : least;
		assert_int_equal(seen->puts, 0);
		int64_t begun = clock_boot_ms();
		assert_int_equal(watch(s, "", &after, seen, 0, NULL), STORE_CANCELLED);
		int64_t took = clock_boot_ms() - begun;
		least_at_once = took < least_at_once ? took : least_at_once;
	}
	assert_true(least <= 1000 && least_at_once <= 1000);
	free(seen);
	store_close(s);
}

static void watch__from_the_future_or_from_another_store_is_a_rollback(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct seen *seen = new_seen();
	struct store *s = fresh_store(path), *other = fresh_store(path);
	struct store_pos future = head_of(s), foreign = head_of(other);
	future.rev++;
	assert_int_equal(watch(s, "", &future, seen, 3000, NULL), STORE_ROLLBACK);
	assert_int_equal(watch(s, "", &foreign, seen, 3000, NULL), STORE_ROLLBACK);
	assert_int_equal(seen->count, 0);
	free(seen);
	store_close(s);
	store_close(other);
}

/* The store goes back while it is being watched. */
static void watch__notices_a_store_that_goes_back(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct seen *seen = new_seen();
	struct store *s = fresh_store(path);
	sqlite3 *db;
	if (!backend->is_file)
		skip();
	assert_int_equal(commit_one(s, put("a", "1")), STORE_OK);
	struct store_pos after = head_of(s);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE meta SET v = v - 1 WHERE k = 'seq'", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(watch(s, "", &after, seen, 3000, NULL), STORE_ROLLBACK);
	free(seen);
	store_close(s);
}

/* ---- 7: locks ---- */

static void try_lock(struct store *s, int say, void *context)
{
	struct store_lock *lock;
	uint64_t fence = 0;
	struct error err;
	enum store_class class = store_lock_try(s, context, bytes_of_text("child"), &lock, &fence, &err);
	say_number(say, (uint32_t) class);
	say_number(say, (uint32_t)fence);
	if (class == STORE_OK)
		for (;;)
			pause();
}

static void lock__a_second_holder_is_refused_everywhere(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int hear;
	uint32_t class;
	uint64_t fence, ignored;
	struct error err;
	struct store *s = fresh_store(path), *other = opened(path);
	struct store_lock *lock, *second, *elsewhere;
	assert_int_equal(store_lock_try(s, "sweep", bytes_of_text("me"), &lock, &fence, &err), STORE_OK);
	assert_int_equal(store_lock_try(s, "sweep", bytes_of_text("me"), &second, &ignored, &err), STORE_CONFLICT);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(store_lock_try(other, "sweep", bytes_of_text("you"), &second, &ignored, &err), STORE_CONFLICT);
	pid_t pid = child(path, try_lock, "sweep", &hear);
	assert_true(hear_number(hear, &class));
	assert_int_equal(class, STORE_CONFLICT);
	assert_int_equal(ended(pid), 0);
	close(hear);
	assert_int_equal(store_lock_try(other, "sweep-2", bytes_of_text("you"), &elsewhere, &ignored, &err), STORE_OK);
	store_lock_release(other, elsewhere);
	assert_int_equal(store_lock_try(other, "sweep", bytes_of_text("you"), &second, &ignored, &err), STORE_CONFLICT);
	assert_int_equal(commit_one(other, put("a", "1")), STORE_OK); /* it keeps no writer out */
	store_lock_release(s, lock);
	assert_int_equal(store_lock_try(other, "sweep", bytes_of_text("you"), &second, &ignored, &err), STORE_OK);
	assert_true(ignored > fence);
	store_lock_release(other, second);
	store_close(s);
	store_close(other);
}

static void lock__its_fence_strictly_increases_over_holders_and_reopening(void **state)
{
	(void)state;
	char path[PATH_MAX];
	uint64_t last = 0;
	struct error err;
	struct store *s = fresh_store(path);
	for (unsigned i = 0; i < 6; i++) {
		struct store_lock *lock;
		uint64_t fence;
		assert_int_equal(store_lock_try(s, "sweep", bytes_of_text("me"), &lock, &fence, &err), STORE_OK);
		assert_true(fence > last);
		last = fence;
		store_lock_release(s, lock);
		if (i % 2) {
			store_close(s);
			s = opened(path);
		}
	}
	store_close(s);
}

static void lock__is_freed_when_its_holder_is_killed(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int hear;
	uint32_t class = 0, its_fence = 0;
	uint64_t fence;
	struct error err;
	struct store_lock *lock;
	struct store *s = fresh_store(path);
	pid_t pid = child(path, try_lock, "sweep", &hear);
	assert_true(hear_number(hear, &class) && hear_number(hear, &its_fence));
	assert_int_equal(class, STORE_OK);
	assert_int_equal(store_lock_try(s, "sweep", bytes_of_text("me"), &lock, &fence, &err), STORE_CONFLICT);
	kill_hard(pid);
	assert_int_equal(store_lock_try(s, "sweep", bytes_of_text("me"), &lock, &fence, &err), STORE_OK);
	assert_true(fence > its_fence);
	struct store_condition old = { .kind = STORE_IF_FENCE, .key = "sweep", .number = its_fence };
	assert_int_equal(commit_if(s, old, put("a", "late"), NULL), STORE_FENCED);
	assert_string_equal(text_of(s, "a"), "-");
	store_lock_release(s, lock);
	close(hear);
	store_close(s);
}

/* Released means released: a child that was forked meanwhile and lives on does not keep it. */
static void lock__released_is_free_although_a_forked_child_lives(void **state)
{
	(void)state;
	char path[PATH_MAX];
	uint64_t fence;
	struct error err;
	struct store_lock *lock;
	struct store *s = fresh_store(path), *other = opened(path);
	assert_int_equal(store_lock_try(s, "sweep", bytes_of_text("me"), &lock, &fence, &err), STORE_OK);
	pid_t pid = fork_child();
	if (pid == 0)
		for (;;)
			pause();
	store_lock_release(s, lock);
	enum store_class class = store_lock_try(other, "sweep", bytes_of_text("you"), &lock, &fence, &err);
	kill_hard(pid);
	if (class == STORE_OK)
		store_lock_release(other, lock);
	store_close(s);
	store_close(other);
	assert_int_equal(class, STORE_OK);
}

static void lock__peek_tells_who_and_which_fence(void **state)
{
	(void)state;
	char path[PATH_MAX];
	uint64_t fence = 0, peeked = 0;
	uint8_t nonce[16] = { 1, 2, 3, 0, 255 };
	struct buf who = BUF_INIT(256);
	struct error err;
	struct store_lock *lock;
	struct store *s = fresh_store(path), *other = opened(path);
	assert_int_equal(store_lock_peek(other, "sweep", &who, &peeked, &err), STORE_NOT_FOUND);
	assert_int_equal(store_lock_try(s, "sweep", bytes_of(nonce, sizeof nonce), &lock, &fence, &err), STORE_OK);
	assert_int_equal(store_lock_peek(other, "sweep", &who, &peeked, &err), STORE_OK);
	assert_int_equal(peeked, fence);
	assert_true(bytes_equal(buf_bytes(&who), bytes_of(nonce, sizeof nonce)));
	assert_int_equal(store_lock_peek(other, "sweep-2", &who, &peeked, &err), STORE_NOT_FOUND);
	buf_done(&who);
	store_lock_release(s, lock);
	store_close(s);
	store_close(other);
}

static void lock__refuses_names_that_are_not_keys(void **state)
{
	(void)state;
	char path[PATH_MAX], longest[301];
	struct error err;
	struct store *s = fresh_store(path);
	memset(longest, 'n', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	const char *const names[] = { "Sweep", "a b", "a.b", "", longest };
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct store_lock *lock;
		uint64_t fence;
		if (store_lock_try(s, names[i], bytes_of_text("me"), &lock, &fence, &err) != STORE_INVALID)
			fail_msg("the name '%.20s' was not refused", names[i]);
	}
	store_close(s);
}

/* ---- 8: bounded waiting ---- */

static void hold_for_ever(struct store *s, int say, void *context)
{
	struct error err;
	(void)context;
	say_number(say, (uint32_t)store_hold(s, 1000, &err));
	for (;;)
		pause();
}

static void hold__is_counted(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path), *other = opened(path);
	if (store_caps(s).is_shared)
		skip();
	assert_int_equal(store_hold(s, 100, &err), STORE_OK);
	assert_int_equal(store_hold(s, 100, &err), STORE_OK);
	assert_int_equal(commit_one(s, put("a", "1")), STORE_OK); /* inside: does not give it up */
	assert_int_equal(store_hold(other, 50, &err), STORE_UNAVAILABLE);
	store_release(s);
	assert_int_equal(store_hold(other, 50, &err), STORE_UNAVAILABLE);
	store_release(s);
	assert_int_equal(store_hold(other, 50, &err), STORE_OK);
	assert_int_equal(store_hold(s, 50, &err), STORE_UNAVAILABLE);
	store_release(other);
	store_release(other); /* one too many does no harm */
	assert_int_equal(store_hold(s, 50, &err), STORE_OK);
	store_release(s);
	store_close(s);
	store_close(other);
}

static void hold__reading_inside_stands_in_the_way_of_nothing(void **state)
{
	(void)state;
	char path[PATH_MAX];
	uint64_t fence;
	struct error err;
	struct store_view *view;
	struct store_lock *lock;
	struct store *s = fresh_store(path), *other = opened(path);
	assert_int_equal(store_hold(s, 100, &err), STORE_OK);
	assert_string_equal(text_of(s, "root"), "r0");
	assert_string_equal(text_of(other, "root"), "r0");
	assert_int_equal(commit_one(s, put("root", "r1")), STORE_OK);
	assert_string_equal(text_of(s, "root"), "r1");
	assert_string_equal(text_of(other, "root"), "r1");
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	assert_string_equal(text_of(s, "root"), "r1");
	store_view_close(s, view);
	assert_string_equal(text_of(s, "root"), "r1");
	assert_int_equal(store_lock_try(s, "sweep", bytes_of_text("me"), &lock, &fence, &err), STORE_OK);
	store_lock_release(s, lock);
	assert_string_equal(text_of(s, "root"), "r1");
	store_release(s);
	assert_int_equal(commit_one(other, put("root", "r2")), STORE_OK);
	assert_string_equal(text_of(s, "root"), "r2"); /* the instant ended with the hold */
	assert_int_equal(store_hold(s, 100, &err), STORE_OK);
	assert_string_equal(text_of(s, "root"), "r2");
	store_release(s);
	store_close(s);
	store_close(other);
}

static void hold__waits_no_longer_than_told_and_readers_go_on(void **state)
{
	(void)state;
	char path[PATH_MAX];
	int hear;
	uint32_t class;
	struct error err;
	struct store *s = fresh_store(path);
	if (store_caps(s).is_shared)
		skip();
	pid_t pid = child(path, hold_for_ever, NULL, &hear);
	assert_true(hear_number(hear, &class));
	assert_int_equal(class, STORE_OK);
	int64_t begun = clock_boot_ms();
	assert_int_equal(store_hold(s, 300, &err), STORE_UNAVAILABLE);
	int64_t took = clock_boot_ms() - begun;
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_true(took >= 290 && took < STORE_WAIT_MS / 2); /* who waited the longer limit waited that long */
	begun = clock_boot_ms();
	assert_int_equal(store_hold(s, 0, &err), STORE_UNAVAILABLE);
	assert_true(clock_boot_ms() - begun < STORE_WAIT_MS / 2);
	begun = clock_boot_ms();
	assert_string_equal(text_of(s, "root"), "r0");
	assert_true(clock_boot_ms() - begun < STORE_WAIT_MS / 2);
	begun = clock_boot_ms();
	assert_int_equal(commit_one(s, put("a", "1")), STORE_UNAVAILABLE);
	took = clock_boot_ms() - begun;
	assert_true(took >= STORE_WAIT_MS - 50 && took < STORE_WAIT_MS + 2000);
	assert_string_equal(text_of(s, "a"), "-");
	kill_hard(pid);
	assert_int_equal(store_hold(s, 300, &err), STORE_OK); /* the kernel took it back */
	store_release(s);
	close(hear);
	store_close(s);
}

/* ---- 9: values are never told ---- */

/* ---- SQLite's own locks ---- */

/* POSIX locks belong to the process and go with the first descriptor of the file that it closes, whoever opened that.
 * Then another process takes the store for abandoned and removes the log that we write to. */
static void assert_locked_by_us(const char *path, const char *behind)
{
	pid_t us = getpid(), pid = fork_child();
	if (pid == 0) {
		/* the bytes that SQLite's readers and writers share */
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000002, .l_len = 510 };
		int fd = open(path, O_RDWR | O_CLOEXEC);
		_exit(fd >= 0 && fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK && l.l_pid == us ? 0 : 1);
	}
	if (ended(pid) != 0)
		fail_msg("behind %s the kernel knows of no lock of ours on the store's file", behind);
}

static void open__keeps_the_file_locked_through_every_call(void **state)
{
	(void)state;
	char path[PATH_MAX], copied[PATH_MAX];
	struct error err;
	struct store_view *view;
	struct store_cursor *cursor;
	struct store_record found;
	struct store_lock *lock;
	struct store_pos at;
	uint64_t fence;
	struct buf who = BUF_INIT(1024);
	if (!backend->is_file)
		skip();
	struct store *s = fresh_store(path);
	assert_locked_by_us(path, "open");
	assert_int_equal(store_head(s, &at, &err), STORE_OK);
	assert_locked_by_us(path, "head");
	assert_string_equal(text_of(s, "root"), "r0");
	assert_locked_by_us(path, "get_many");
	assert_int_equal(store_hold(s, STORE_WAIT_MS, &err), STORE_OK);
	assert_int_equal(commit_one(s, put("root", "r1")), STORE_OK);
	assert_locked_by_us(path, "commit");
	store_release(s);
	assert_locked_by_us(path, "release");
	assert_int_equal(store_view_open(s, &view, &err), STORE_OK);
	assert_int_equal(store_cursor_open(s, view, "", &cursor, &err), STORE_OK);
	assert_int_equal(store_cursor_next(s, cursor, &found, &err), STORE_OK);
	store_cursor_close(s, cursor);
	assert_int_equal(store_cursor_since(s, view, "", &at, &cursor, &err), STORE_OK);
	store_cursor_close(s, cursor);
	backend->fresh(copied);
	assert_int_equal(store_copy(s, view, copied, &err), STORE_OK);
	store_view_close(s, view);
	assert_locked_by_us(path, "a view that was copied");
	assert_int_equal(store_lock_try(s, "leader", bytes_of_text("me"), &lock, &fence, &err), STORE_OK);
	assert_int_equal(store_lock_peek(s, "leader", &who, &fence, &err), STORE_OK);
	store_lock_release(s, lock);
	assert_locked_by_us(path, "a lock");
	assert_int_equal(store_check(s, &err), STORE_OK);
	assert_locked_by_us(path, "check");
	store_discard(backend->ops, copied);
	store_close(s);
	buf_done(&who);
}

static void errors__never_hold_a_value(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	struct store *s = fresh_store(path);
	struct store_condition c = { .kind = STORE_IF_VALUE, .key = "root", .value = bytes_of_text("OPAQUE-ONE") };
	struct store_op ops[] = { put("a", "OPAQUE-TWO"), put("B", "OPAQUE-THREE") };
	assert_int_equal(store_commit(s, &c, 1, ops, 1, NULL, NULL, &err), STORE_CONFLICT);
	assert_null(strstr(err.message, "OPAQUE"));
	assert_int_equal(store_commit(s, NULL, 0, ops, 2, NULL, NULL, &err), STORE_INVALID);
	assert_null(strstr(err.message, "OPAQUE"));
	store_close(s);
}

/* ---- what the place does to us ---- */

static void place__a_full_disk_is_full_and_what_was_there_stays(void **state)
{
	(void)state;
	char path[PATH_MAX], folder[PATH_MAX];
	static char filler[50000];
	struct error err;
	struct store *s;
	struct store_op root = put("root", "r0");
	in_scratch(folder, "small");
	assert_int_equal(mkdir(folder, 0700), 0);
	if (!backend->is_file || mount("none", folder, "tmpfs", 0, "size=1m,mode=0700") != 0) {
		print_message("SKIPPED: a small file system cannot be mounted here: %s\n", strerror(errno));
		skip();
	}
	snprintf(path, sizeof path, "%.200s/vault.db", folder);
	assert_int_equal(store_create(backend->ops, path, &root, 1, yes, NULL, &err), STORE_OK);
	s = opened(path);
	memset(filler, 'x', sizeof filler - 1);
	enum store_class class = STORE_OK;
	unsigned stored = 0;
	while (class == STORE_OK && stored < 60) {
		char key[16];
		snprintf(key, sizeof key, "k/%u", stored);
		struct store_op op = put(key, filler);
		class = store_commit(s, NULL, 0, &op, 1, NULL, NULL, &err);
		stored += class == STORE_OK;
	}
	assert_int_equal(class, STORE_FULL);
	assert_int_equal(err.code, ERR_STORAGE);
	assert_true(stored > 2 && stored < 30);
	for (unsigned i = 0; i <= stored; i++) {
		char key[16];
		snprintf(key, sizeof key, "k/%u", i);
		assert_int_equal(record_of(s, key).is_found, i < stored);
	}
	assert_string_equal(text_of(s, "root"), "r0");
	store_close(s);
	s = opened(path); /* and anew, with the disk still full */
	assert_string_equal(text_of(s, "root"), "r0");
	assert_int_equal(store_check(s, &err), STORE_OK);
	store_close(s);
	assert_int_equal(mount("none", folder, "tmpfs", MS_REMOUNT, "size=8m"), 0);
	s = opened(path);
	assert_int_equal(commit_one(s, put("root", "r1")), STORE_OK); /* room made: writing goes on */
	assert_int_equal(record_of(s, "k/0").value.len, sizeof filler - 1);
	store_close(s);
	assert_int_equal(umount(folder), 0);
}

/* In a child that gave up root's rights. 0 = as promised, else the line that was not. */
static int as_stranger(const char *path, const char *fresh)
{
	struct error err;
	struct store *s;
	struct store_op op = put("root", "r1");
	if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
		return 1;
	if (store_create(backend->ops, fresh, &op, 1, yes, NULL, &err) != STORE_DENIED || err.code != ERR_STORAGE)
		return 2;
	enum store_class class = store_open(backend->ops, path, &s, &err);
	if (class == STORE_DENIED)
		return err.code == ERR_STORAGE ? 0 : 3;
	if (class != STORE_OK)
		return 4;
	class = store_commit(s, NULL, 0, &op, 1, NULL, NULL, &err);
	if (class != STORE_DENIED || err.code != ERR_STORAGE)
		return 5;
	store_close(s);
	return 0;
}

static void place__a_read_only_folder_is_denied(void **state)
{
	(void)state;
	char path[PATH_MAX], fresh[PATH_MAX];
	struct error err;
	struct store_op op = put("root", "r0");
	if (!backend->is_file || geteuid() != 0) {
		print_message("SKIPPED: only root can become somebody else\n");
		skip();
	}
	in_scratch(path, "vault.db");
	in_scratch(fresh, "fresh.db");
	assert_int_equal(store_create(backend->ops, path, &op, 1, yes, NULL, &err), STORE_OK);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(chmod(scratch, 0555), 0);
	pid_t pid = fork_child();
	if (pid == 0)
		_exit(as_stranger(path, fresh));
	assert_int_equal(ended(pid), 0);
	assert_int_equal(chmod(scratch, 0700), 0);
	struct store *s = opened(path);
	assert_string_equal(text_of(s, "root"), "r0");
	store_close(s);
}

static void place__a_read_only_file_system_is_denied(void **state)
{
	(void)state;
	char path[PATH_MAX], folder[PATH_MAX], fresh[PATH_MAX];
	struct error err;
	struct store *s = NULL;
	struct store_op op = put("root", "r0");
	in_scratch(folder, "ro");
	assert_int_equal(mkdir(folder, 0700), 0);
	if (!backend->is_file || mount("none", folder, "tmpfs", 0, "size=4m,mode=0700") != 0) {
		print_message("SKIPPED: a small file system cannot be mounted here: %s\n", strerror(errno));
		skip();
	}
	snprintf(path, sizeof path, "%.200s/vault.db", folder);
	snprintf(fresh, sizeof fresh, "%.200s/fresh.db", folder);
	assert_int_equal(store_create(backend->ops, path, &op, 1, yes, NULL, &err), STORE_OK);
	assert_int_equal(mount("none", folder, "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
	enum store_class made = store_create(backend->ops, fresh, &op, 1, yes, NULL, &err);
	enum error_code code = err.code;
	enum store_class class = store_open(backend->ops, path, &s, &err), commit = STORE_DENIED;
	const char *text = "r0";
	if (class == STORE_OK) {
		text = text_of(s, "root");
		commit = commit_one(s, put("root", "r1"));
		store_close(s);
	}
	assert_int_equal(umount(folder), 0);
	assert_int_equal(made, STORE_DENIED);
	assert_int_equal(code, ERR_STORAGE);
	assert_true(class == STORE_OK || class == STORE_DENIED);
	assert_int_equal(commit, STORE_DENIED);
	assert_string_equal(text, "r0");
}

static void place__files_are_private_whatever_the_umask(void **state)
{
	(void)state;
	char path[PATH_MAX], lock[PATH_MAX + 8];
	struct stat st;
	if (!backend->is_file)
		skip();
	mode_t before = umask(0);
	struct store *s = fresh_store(path);
	assert_int_equal(commit_one(s, put("a", "1")), STORE_OK);
	umask(before);
	static const char *const endings[] = { "", ".lock", "-wal", "-shm" };
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		snprintf(lock, sizeof lock, "%s%s", path, endings[i]);
		if (lstat(lock, &st) == 0)
			assert_int_equal(st.st_mode & 0177, 0);
		else
			assert_true(i >= 2);
	}
	store_close(s);
}

static void close__leaves_one_file_that_can_be_copied(void **state)
{
	(void)state;
	char path[PATH_MAX], copy[PATH_MAX];
	if (!backend->is_file)
		skip();
	struct store *s = fresh_store(path);
	assert_int_equal(commit_one(s, put("a", "1")), STORE_OK);
	store_close(s);
	backend->fresh(copy);
	copy_file(path, copy);
	s = opened(copy);
	assert_string_equal(text_of(s, "a"), "1");
	store_close(s);
}

static void check__finds_what_is_damaged_inside(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct error err;
	sqlite3 *db;
	if (!backend->is_file)
		skip();
	struct store *s = fresh_store(path);
	assert_int_equal(store_check(s, &err), STORE_OK);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "INSERT INTO fence VALUES('odd', 1, x'00')", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_check(s, &err), STORE_CORRUPT);
	assert_int_equal(sqlite3_exec(db, "DELETE FROM fence; CREATE TABLE more(x)", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_check(s, &err), STORE_CORRUPT);
	assert_int_equal(sqlite3_exec(db, "DROP TABLE more", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_check(s, &err), STORE_OK);
	sqlite3_close(db);
	for (unsigned i = 0; i < 300; i++) {
		char key[16];
		snprintf(key, sizeof key, "k/%u", i);
		assert_int_equal(commit_one(s, put(key, "some text that fills the page so that there are several")),
				 STORE_OK);
	}
	store_close(s);
	static uint8_t bytes[1 << 20]; /* two pages change places: each is sound in itself */
	size_t len = file_bytes(path, bytes, sizeof bytes);
	uint8_t page[4096];
	assert_true(len >= 8 * sizeof page);
	size_t a = len / sizeof page - 2, b = len / sizeof page - 1;
	memcpy(page, bytes + a * sizeof page, sizeof page);
	memcpy(bytes + a * sizeof page, bytes + b * sizeof page, sizeof page);
	memcpy(bytes + b * sizeof page, page, sizeof page);
	write_bytes(path, bytes, len);
	enum store_class class = store_open(backend->ops, path, &s, &err);
	if (class == STORE_OK) {
		class = store_check(s, &err);
		store_close(s);
	}
	assert_int_equal(class, STORE_CORRUPT);
	assert_int_equal(err.code, ERR_DAMAGED);
}

static void class_name__is_there_for_each_and_for_none(void **state)
{
	(void)state;
	for (int i = 0; i < STORE_CLASS_COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(store_class_name((enum store_class)i),
						store_class_name((enum store_class)j));
	assert_string_equal(store_class_name(STORE_OK), "ok");
	assert_string_equal(store_class_name(STORE_CORRUPT), "corrupt");
	assert_string_equal(store_class_name(STORE_CLASS_COUNT), "?");
}

/* A test that failed half-way leaves its small file system mounted. */
static int unmount_and_remove(void **state)
{
	static const char *const names[] = { "small", "ro" };
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		char folder[PATH_MAX];
		in_scratch(folder, names[i]);
		(void)umount2(folder, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	return scratch_remove(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_make, unmount_and_remove)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(create__makes_exactly_what_was_asked),
		T(create__never_replaces_what_lies_at_the_path),
		T(create__is_abandoned_whole_when_before_says_no),
		T(create__never_replaces_what_came_there_meanwhile),
		T(create__of_two_at_once_one_wins),
		T(create__after_one_that_was_killed_succeeds),
		T(create__refuses_what_commit_refuses),
		T(create__gives_each_store_an_incarnation_of_its_own),
		T(open__of_nothing_is_not_found),
		T(open__refuses_what_is_not_a_store_as_corrupt),
		T(open__refuses_tables_and_bookkeeping_that_are_not_exactly_ours),
		T(open__of_a_file_that_is_neither_ours_nor_its_folders_owners_is_refused),
		T(open_still__takes_a_path_as_it_is_written),
		T(commit__without_its_bookkeeping_is_refused_as_corrupt),
		T(commit__beside_a_writer_that_does_not_end_is_told_to_try_again),
		T(view__of_a_prefix_longer_than_any_key_is_our_own_mistake),
		T(commit__is_whole_or_not_at_all),
		T(commit__what_was_acknowledged_survives_kill_at_any_moment),
		T(commit__takes_the_batch_that_every_backend_takes),
		T(commit__refuses_keys_and_values_out_of_bounds_and_writes_nothing),
		T(commit__naming_a_key_twice_is_our_own_mistake),
		T(commit__overwrites_and_deletes_and_binary_values_come_back),
		T(commit__all_keys_get_one_rev_greater_than_every_earlier_one),
		T(condition__absent),
		T(condition__mod),
		T(condition__value_is_byte_for_byte),
		T(condition__the_first_that_fails_is_named),
		T(condition__fence),
		T(commit__of_competing_processes_loses_no_update),
		T(reading__shows_what_another_handle_just_committed),
		T(reading__shows_what_another_process_was_told_is_stored),
		T(reading__get_many_is_one_instant),
		T(view__is_in_byte_order_and_holds_exactly_the_prefix),
		T(view__a_cursor_at_its_end_stays_there),
		T(view__several_cursors_see_one_instant_while_others_write),
		T(view__is_never_torn_under_a_writing_process),
		T(since__gives_what_was_written_after_a_position_and_is_still_there),
		T(since__a_position_of_the_future_or_of_another_store_is_an_alarm),
		T(view__a_second_one_or_a_commit_inside_one_is_our_own_mistake),
		T(watch__delivers_each_commit_in_order_and_whole),
		T(watch__begins_behind_the_position_and_keeps_to_the_prefix),
		T(watch__says_resync_after_a_deletion_and_goes_on),
		T(watch__returns_within_a_second_of_stop),
		T(watch__from_the_future_or_from_another_store_is_a_rollback),
		T(watch__notices_a_store_that_goes_back),
		T(lock__a_second_holder_is_refused_everywhere),
		T(lock__its_fence_strictly_increases_over_holders_and_reopening),
		T(lock__is_freed_when_its_holder_is_killed),
		T(lock__released_is_free_although_a_forked_child_lives),
		T(lock__peek_tells_who_and_which_fence),
		T(lock__refuses_names_that_are_not_keys),
		T(hold__is_counted),
		T(hold__reading_inside_stands_in_the_way_of_nothing),
		T(hold__waits_no_longer_than_told_and_readers_go_on),
		T(open__keeps_the_file_locked_through_every_call),
		T(errors__never_hold_a_value),
		T(place__a_full_disk_is_full_and_what_was_there_stays),
		T(place__a_read_only_folder_is_denied),
		T(place__a_read_only_file_system_is_denied),
		T(place__files_are_private_whatever_the_umask),
		T(close__leaves_one_file_that_can_be_copied),
		T(check__finds_what_is_damaged_inside),
		T(class_name__is_there_for_each_and_for_none),
	};
	if (argc > 1) {
		backend = NULL;
		for (size_t i = 0; i < COUNT_OF(backends); i++)
			if (strcmp(argv[1], backends[i].name) == 0)
				backend = &backends[i];
		if (!backend) {
			fprintf(stderr, "test_store: no backend '%s'\n", argv[1]);
			return 2;
		}
	}
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
