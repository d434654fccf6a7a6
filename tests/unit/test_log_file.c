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
	int rc = run(db, sql);
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

static void others_see_a_commit_as_soon_as_it_is_one_also_when_nothing_is_synced(void **state)
{
	static const char *const sync[] = { "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL",
					    "PRAGMA synchronous=OFF" };
	char path[PATH_MAX];
	sqlite3 *db = fresh(path), *other = opened(path, NULL);
	long long sum = 0;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sync); i++) {
		assert_int_equal(run(db, sync[i]), SQLITE_OK);
		assert_int_equal(run(db, "UPDATE t SET n = n + 1"), SQLITE_OK);
		sum += ROWS;
		assert_int_equal(number(other, "SELECT sum(n) FROM t"), sum);
	}
	is_whole(other, sum);
	sqlite3_close(other);
	sqlite3_close(db);
}

/* With room for few pages SQLite writes some before the commit, and reads them again. */
static void what_is_collected_is_read_again_within_the_transaction_and_goes_with_it(void **state)
{
	char path[PATH_MAX];
	sqlite3 *db = fresh(path), *other = opened(path, NULL);
	(void)state;
	assert_int_equal(run(db, "PRAGMA cache_size=4; BEGIN; UPDATE t SET n = n + 1"), SQLITE_OK);
	is_whole(db, ROWS);
	is_whole(other, 0);
	assert_int_equal(run(db, "ROLLBACK"), SQLITE_OK);
	is_whole(db, 0);
	assert_int_equal(run(db, "BEGIN; UPDATE t SET n = n + 2; SAVEPOINT s; UPDATE t SET n = n + 5; ROLLBACK TO s;"
				 "UPDATE t SET n = n + 1 WHERE k = 3; COMMIT"),
			 SQLITE_OK);
	is_whole(db, 2 * ROWS + 1);
	is_whole(other, 2 * ROWS + 1);
	sqlite3_close(db);
	sqlite3_close(other);
	db = opened(path, NULL);
	is_whole(db, 2 * ROWS + 1);
	sqlite3_close(db);
}

static void a_connection_that_ends_amid_a_transaction_leaves_nothing(void **state)
{
	char path[PATH_MAX];
	sqlite3 *other, *db = fresh(path);
	(void)state;
	assert_int_equal(run(db, "UPDATE t SET n = n + 1; PRAGMA cache_size=4; BEGIN; UPDATE t SET n = n + 1"), SQLITE_OK);
	other = opened(path, NULL);
	sqlite3_close(db);
	is_whole(other, ROWS);
	sqlite3_close(other);
}

/* As a process that is killed: its log is read by whoever comes next. */
static void a_log_that_nobody_emptied_is_replayed_by_sqlite_as_it_is(void **state)
{
	char path[PATH_MAX], from[PATH_MAX + 8], to[PATH_MAX + 16];
	sqlite3 *db = fresh(path);
	(void)state;
	assert_int_equal(run(db, "UPDATE t SET n = n + 1; UPDATE t SET n = n + 3 WHERE k > 20;"
				 "PRAGMA cache_size=4; BEGIN; UPDATE t SET n = 7"),
			 SQLITE_OK);
	const char *endings[] = { "", "-wal" };
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		snprintf(from, sizeof from, "%s%s", path, endings[i]);
		snprintf(to, sizeof to, "%s.copy%s", path, endings[i]);
		char command[3 * PATH_MAX];
		snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
		assert_int_equal(system(command), 0);
	}
	snprintf(to, sizeof to, "%s.copy", path);
	sqlite3 *copy = opened(to, NULL);
	is_whole(copy, ROWS + 3 * 20);
	sqlite3_close(copy);
	sqlite3_close(db);
}

/* Each write in turn, and from each on: the commit is refused, and what stood there stands there. */
static void a_write_that_fails_is_told_and_changes_nothing(void **state)
{
	char path[PATH_MAX];
	sqlite3 *db = fresh(path), *other = opened(path, NULL);
	long long sum = 0;
	size_t refused = 0;
	(void)state;
	for (size_t first = 1; first < 9; first++) {
		for (int is_lasting = 0; is_lasting < 2; is_lasting++) {
			failing_from(FAIL_WRITES, ENOSPC, first, is_lasting ? FAIL_EVER : first);
			int rc = run(db, "BEGIN; UPDATE t SET n = n + 1; COMMIT");
			(void)failing_stop();
			if (rc != SQLITE_OK) {
				refused++;
				assert_int_equal(rc, SQLITE_FULL);
				if (!sqlite3_get_autocommit(db))
					assert_int_equal(run(db, "ROLLBACK"), SQLITE_OK);
			} else {
				sum += ROWS;
			}
			is_whole(other, sum);
			is_whole(db, sum);
			assert_int_equal(run(db, "UPDATE t SET n = n + 1 WHERE k = 1"), SQLITE_OK);
			is_whole(other, ++sum);
		}
	}
#ifndef IS_SANITIZED
	assert_true(refused >= 6);
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
	int rc = sqlite3_step(commit);
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
		cmocka_unit_test_setup_teardown(what_is_collected_is_read_again_within_the_transaction_and_goes_with_it,
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
