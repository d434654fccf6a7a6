/* vault/log_file.h: SQLite's log in long pieces, with SQLite's own files beside it as the other opinion. */
#include "tests/support/failing.h"

#include "core/secret.h"
#include "vault/log_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "tests/support/scratch.h"

#define ROWS 40

/* ---- small things ---- */

static int run(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* One transaction, as the store commits it. */
static int change(sqlite3 *db, const char *sql)
{
	int rc = run(db, "BEGIN IMMEDIATE");
	if (rc == SQLITE_OK)
		rc = run(db, sql);
	if (rc == SQLITE_OK) {
		log_file_begin(db);
		rc = log_file_end(db, run(db, "COMMIT"));
	}
	if (!sqlite3_get_autocommit(db))
		assert_int_equal(run(db, "ROLLBACK"), SQLITE_OK);
	return rc;
}

static long long number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	long long ret = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return ret;
}

static sqlite3 *opened(const char *path, const char *vfs)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
	sqlite3_extended_result_codes(db, 1);
	return db;
}

/* ROWS rows of n = 0, a page each, in a file whose log is empty. */
static sqlite3 *fresh(char path[PATH_MAX])
{
	assert_int_equal(sqlite3_initialize(), SQLITE_OK);
	in_scratch(path, "log.db");
	sqlite3 *db = opened(path, log_file_vfs());
	assert_int_equal(run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
				 "CREATE TABLE t(k INTEGER PRIMARY KEY, n INTEGER, v BLOB);"
				 "WITH RECURSIVE i(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM i WHERE k < 40)"
				 " INSERT INTO t SELECT k, 0, zeroblob(3000) FROM i;"
				 "PRAGMA wal_checkpoint(TRUNCATE)"),
			 SQLITE_OK);
	return db;
}

static void is_whole(sqlite3 *db, long long sum)
{
	assert_int_equal(number(db, "SELECT sum(n) FROM t"), sum);
	assert_int_equal(number(db, "SELECT count(*) FROM t WHERE length(v) = 3000"), ROWS);
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

static size_t writes_of(sqlite3 *db, const char *sql)
{
	failing_from(FAIL_WRITES, EIO, FAIL_EVER, FAIL_EVER);
	int rc = change(db, sql);
	(void)failing_stop();
	assert_int_equal(rc, SQLITE_OK);
	return failing.seen;
}

/* ---- the tests ---- */

static void a_commit_is_written_in_one_piece_or_one_for_each_64_kib(void **state)
{
	char path[PATH_MAX];
	sqlite3 *db = fresh(path);
	(void)state;
	(void)writes_of(db, "UPDATE t SET n = n + 1 WHERE k = 1"); /* also the log's header and SQLite's shared memory */
	size_t of_ten = writes_of(db, "UPDATE t SET n = n + 1 WHERE k <= 10");
	size_t of_forty = writes_of(db, "UPDATE t SET n = n + 1");
	sqlite3 *usual = opened(path, NULL);
	size_t of_ten_usually = writes_of(usual, "UPDATE t SET n = n + 1 WHERE k <= 10");
	is_whole(usual, 1 + 10 + ROWS + 10);
	sqlite3_close(usual);
	sqlite3_close(db);
#ifndef IS_SANITIZED
	assert_int_equal(of_ten, 1);
	assert_int_equal(of_forty, 3); /* of 15 pages and their headers at most */
	assert_int_equal(of_ten_usually, 20);
#else
	(void)of_ten, (void)of_forty, (void)of_ten_usually;
#endif
}

/* A copy of the files as a process that is killed leaves them, opened with SQLite's own. */
static sqlite3 *copy_of(const char *path)
{
	static const char *const endings[] = { "", "-wal" };
	char from[PATH_MAX + 8], to[PATH_MAX + 16], command[3 * PATH_MAX];
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		snprintf(from, sizeof from, "%s%s", path, endings[i]);
		snprintf(to, sizeof to, "%s.copy%s", path, endings[i]);
		snprintf(command, sizeof command, "cp '%s' '%s'; rm -f '%s.copy-shm'", from, to, path);
		assert_int_equal(system(command), 0);
	}
	snprintf(to, sizeof to, "%s.copy", path);
	return opened(to, NULL);
}

static void a_crash_leaves(const char *path, long long sum)
{
	sqlite3 *copy = copy_of(path);
	is_whole(copy, sum);
	sqlite3_close(copy);
}

struct onlooker {
	sqlite3 *other;
	const char *path;
	long long seen;
};

/* SQLite calls it within COMMIT, when it has told others of it. */
static int look(void *context, sqlite3 *db, const char *name, int pages)
{
	struct onlooker *o = context;
	(void)db, (void)name, (void)pages;
	o->seen = number(o->other, "SELECT sum(n) FROM t");
	a_crash_leaves(o->path, o->seen);
	return SQLITE_OK;
}

static void others_see_a_commit_as_soon_as_it_is_one_also_when_nothing_is_synced(void **state)
{
	static const char *const sync[] = { "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL",
					    "PRAGMA synchronous=OFF" };
	static const char *const caches[] = { "PRAGMA cache_size=100", "PRAGMA cache_size=4" };
	char path[PATH_MAX];
	sqlite3 *db = fresh(path);
	long long sum = 0;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sync) * COUNT_OF(caches); i++) {
		struct onlooker o = { .other = opened(path, NULL), .path = path };
		assert_int_equal(number(o.other, "SELECT sum(n) FROM t"), sum);
		assert_int_equal(run(db, sync[i % COUNT_OF(sync)]), SQLITE_OK);
		assert_int_equal(run(db, caches[i / COUNT_OF(sync)]), SQLITE_OK);
		sqlite3_wal_hook(db, look, &o);
		assert_int_equal(change(db, "UPDATE t SET n = n + 1; UPDATE t SET n = n + 1"), SQLITE_OK);
		sqlite3_wal_hook(db, NULL, NULL);
		sum += 2 * ROWS;
		assert_int_equal(o.seen, sum);
		is_whole(o.other, sum);
		sqlite3_close(o.other);
	}
	sqlite3_close(db);
}

/* With room for few pages SQLite writes some before the commit, reads them again, and writes some of them anew. */
static void what_is_written_ahead_of_a_commit_is_read_again_and_goes_with_it(void **state)
{
	static const char *const sync[] = { "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL",
					    "PRAGMA synchronous=OFF" };
	char path[PATH_MAX];
	sqlite3 *db = fresh(path), *other = opened(path, NULL);
	long long sum = 0;
	(void)state;
	assert_int_equal(run(db, "PRAGMA cache_size=4; BEGIN; UPDATE t SET n = n + 1"), SQLITE_OK);
	is_whole(db, ROWS);
	is_whole(other, 0);
	assert_int_equal(run(db, "ROLLBACK"), SQLITE_OK);
	is_whole(db, 0);
	for (size_t i = 0; i < COUNT_OF(sync); i++) {
		assert_int_equal(run(db, sync[i]), SQLITE_OK);
		assert_int_equal(change(db, "UPDATE t SET n = n + 2; SAVEPOINT s; UPDATE t SET n = n + 5; ROLLBACK TO s;"
					    "UPDATE t SET n = n + 1 WHERE k = 3; UPDATE t SET n = n + 1"),
				 SQLITE_OK);
		sum += 3 * ROWS + 1;
		a_crash_leaves(path, sum);
		is_whole(db, sum);
		is_whole(other, sum);
	}
	/* Pages of the first are written ahead, those of the second are new, and one of the first comes again behind them. */
	assert_int_equal(run(db, "PRAGMA cache_size=10"), SQLITE_OK);
	assert_int_equal(change(db, "UPDATE t SET n = n + 1 WHERE k > 8; UPDATE t SET n = n + 1 WHERE k <= 3;"
				    "UPDATE t SET n = n + 1 WHERE k = 30"),
			 SQLITE_OK);
	sum += ROWS - 8 + 3 + 1;
	a_crash_leaves(path, sum);
	is_whole(other, sum);
	sqlite3_close(db);
	sqlite3_close(other);
	db = opened(path, NULL);
	is_whole(db, sum);
	sqlite3_close(db);
}

/* Somebody else commits where it lay, before the connection comes to read again, or ends. */
static void nothing_of_a_transaction_that_is_rolled_back_is_written_later(void **state)
{
	static const char *const rows[] = { "1", "12", "40" };
	char path[PATH_MAX], sql[128];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (int ends = 0; ends < 2; ends++) {
			sqlite3 *db = fresh(path), *other = opened(path, log_file_vfs());
			snprintf(sql, sizeof sql, "PRAGMA cache_size=4; BEGIN; UPDATE t SET n = 100 WHERE k <= %s; ROLLBACK",
				 rows[i]);
			assert_int_equal(change(db, "UPDATE t SET n = n - 1"), SQLITE_OK);
			assert_int_equal(run(db, sql), SQLITE_OK);
			assert_int_equal(change(other, "UPDATE t SET n = n + 2"), SQLITE_OK);
			if (ends)
				sqlite3_close(db);
			else
				is_whole(db, ROWS);
			a_crash_leaves(path, ROWS);
			is_whole(other, ROWS);
			if (!ends)
				sqlite3_close(db);
			sqlite3_close(other);
			assert_int_equal(unlink(path), 0);
		}
	}
}

static void a_connection_that_ends_amid_a_transaction_leaves_nothing(void **state)
{
	char path[PATH_MAX];
	sqlite3 *other, *db = fresh(path);
	(void)state;
	assert_int_equal(change(db, "UPDATE t SET n = n + 1"), SQLITE_OK);
	assert_int_equal(run(db, "PRAGMA cache_size=4; BEGIN; UPDATE t SET n = n + 1"), SQLITE_OK);
	other = opened(path, NULL);
	sqlite3_close(db);
	is_whole(other, ROWS);
	sqlite3_close(other);
}

static void a_log_that_nobody_emptied_is_replayed_by_sqlite_as_it_is(void **state)
{
	char path[PATH_MAX];
	sqlite3 *db = fresh(path);
	(void)state;
	assert_int_equal(change(db, "UPDATE t SET n = n + 1"), SQLITE_OK);
	assert_int_equal(change(db, "UPDATE t SET n = n + 3 WHERE k > 20"), SQLITE_OK);
	assert_int_equal(run(db, "PRAGMA cache_size=4; BEGIN; UPDATE t SET n = 7"), SQLITE_OK);
	a_crash_leaves(path, ROWS + 3 * 20);
	sqlite3_close(db);
}

/* Each write in turn, and from each on, with room for all pages and for few: the commit is refused, what stood there stands
 * there, and somebody else's commit in the same place stays. */
static void a_write_that_fails_is_told_and_changes_nothing(void **state)
{
	static const char *const caches[] = { "PRAGMA cache_size=100", "PRAGMA cache_size=4" };
	char path[PATH_MAX];
	sqlite3 *db = fresh(path), *other = opened(path, log_file_vfs());
	long long sum = 0;
	size_t refused = 0;
	(void)state;
	for (size_t cache = 0; cache < COUNT_OF(caches); cache++) {
		assert_int_equal(run(db, caches[cache]), SQLITE_OK);
		for (size_t first = 1; first < 9; first++) {
			for (int is_lasting = 0; is_lasting < 2; is_lasting++) {
				failing_from(FAIL_WRITES, ENOSPC, first, is_lasting ? FAIL_EVER : first);
				int rc = change(db, "UPDATE t SET n = n + 1");
				(void)failing_stop();
				refused += rc != SQLITE_OK;
				sum += rc == SQLITE_OK ? ROWS : 0;
				assert_true(rc == SQLITE_OK || rc == SQLITE_FULL);
				assert_int_equal(change(other, "UPDATE t SET n = n + 1 WHERE k = 1"), SQLITE_OK);
				sum++;
				is_whole(db, sum);
				a_crash_leaves(path, sum);
				assert_int_equal(change(db, "UPDATE t SET n = n + 1 WHERE k <= 2"), SQLITE_OK);
				sum += 2;
				is_whole(other, sum);
			}
		}
	}
#ifndef IS_SANITIZED
	assert_true(refused >= 6 + 14);
#else
	(void)refused;
#endif
	sqlite3_close(other);
	sqlite3_close(db);
}

static void without_memory_for_it_each_piece_is_written_by_itself(void **state)
{
	char path[PATH_MAX];
	sqlite3 *db = fresh(path);
	(void)state;
	sqlite3_close(db);
	db = opened(path, log_file_vfs());
	sqlite3_stmt *commit = NULL; /* made ready before memory runs out */
	assert_int_equal(run(db, "PRAGMA synchronous=FULL; BEGIN; UPDATE t SET n = n + 1"), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL), SQLITE_OK);
	failing_from(FAIL_MEMORY, ENOMEM, 1, FAIL_EVER);
	log_file_begin(db);
	int rc = sqlite3_step(commit);
	(void)log_file_end(db, rc == SQLITE_DONE ? SQLITE_OK : rc);
	size_t failed = failing_stop();
	assert_int_equal(rc, SQLITE_DONE);
	sqlite3_finalize(commit);
#ifndef IS_SANITIZED
	assert_true(failed > 0);
#else
	(void)failed;
#endif
	is_whole(db, ROWS);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_commit_is_written_in_one_piece_or_one_for_each_64_kib, scratch_make,
						scratch_remove),
		cmocka_unit_test_setup_teardown(others_see_a_commit_as_soon_as_it_is_one_also_when_nothing_is_synced,
						scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(what_is_written_ahead_of_a_commit_is_read_again_and_goes_with_it,
						scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(nothing_of_a_transaction_that_is_rolled_back_is_written_later,
						scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(a_connection_that_ends_amid_a_transaction_leaves_nothing, scratch_make,
						scratch_remove),
		cmocka_unit_test_setup_teardown(a_log_that_nobody_emptied_is_replayed_by_sqlite_as_it_is, scratch_make,
						scratch_remove),
		cmocka_unit_test_setup_teardown(a_write_that_fails_is_told_and_changes_nothing, scratch_make,
						scratch_remove),
		cmocka_unit_test_setup_teardown(without_memory_for_it_each_piece_is_written_by_itself, scratch_make,
						scratch_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
