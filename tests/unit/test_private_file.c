/* Files for one reader, and files that are overwritten and deleted: what fails is told, and leaves the file that was there
 * whole and nothing beside it. */
#include "tests/support/failing.h"

#include "cli/private_file.h"
#include "cli/shred.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

/* ---- what goes into it ---- */

#define LONG_LEN 10000 /* more than is compared at once */

struct text {
	const uint8_t *at;
	size_t len;
	bool is_broken; /* it gives half of it, and fails */
};

static bool give(void *context, piece_fn *piece, void *sink, struct error *err)
{
	const struct text *t = context;
	size_t half = t->len / 2;
	if (!piece(sink, bytes_of(t->at, half), err))
		return false;
	if (t->is_broken)
		return fail(err, ERR_DAMAGED, "broken", "as asked");
	return piece(sink, bytes_of(t->at + half, t->len - half), err);
}

static char path[PATH_MAX];
static uint8_t first[LONG_LEN], second[LONG_LEN];

static int prepare(void **state)
{
	if (scratch_make(state) != 0)
		return -1;
	in_scratch(path, "file");
	for (size_t i = 0; i < LONG_LEN; i++) {
		first[i] = (uint8_t)(i * 7);
		second[i] = (uint8_t)(i * 13 + 1);
	}
	return 0;
}

static struct error told;

static bool put(const uint8_t *at, size_t len, bool *ret_changed)
{
	struct text t = { .at = at, .len = len };
	return private_file_put(path, (uid_t)-1, (gid_t)-1, give, &t, ret_changed, &told);
}

static bool holds(const uint8_t *at, size_t len)
{
	static uint8_t room[LONG_LEN + 1];
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0400);
	return file_bytes(path, room, sizeof room) == len && memcmp(room, at, len) == 0;
}

static size_t count_files(void)
{
	size_t count = 0;
	DIR *open = opendir(scratch);
	assert_non_null(open);
	for (const struct dirent *e; (e = readdir(open));)
		count += e->d_name[0] != '.';
	closedir(open);
	return count;
}

static void private_file__is_written_once_and_left_alone_when_it_is_right(void **state)
{
	(void)state;
	bool has_changed = false;
	struct stat before, after;
	assert_true(put(first, LONG_LEN, &has_changed));
	assert_true(has_changed && holds(first, LONG_LEN));
	assert_int_equal(lstat(path, &before), 0);
	assert_true(put(first, LONG_LEN, &has_changed));
	assert_false(has_changed);
	assert_int_equal(lstat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	/* Longer, shorter, other at the end, too open: written anew. */
	assert_true(put(first, LONG_LEN - 1, &has_changed));
	assert_true(has_changed && holds(first, LONG_LEN - 1));
	assert_true(put(first, LONG_LEN, &has_changed));
	assert_true(has_changed && holds(first, LONG_LEN));
	assert_true(put(second, LONG_LEN, &has_changed));
	assert_true(has_changed && holds(second, LONG_LEN));
	assert_int_equal(chmod(path, 0444), 0);
	assert_true(put(second, LONG_LEN, &has_changed));
	assert_true(has_changed && holds(second, LONG_LEN));
	assert_true(put(second, 0, &has_changed));
	assert_true(has_changed && holds(second, 0));
	assert_int_equal(count_files(), 1);
}

static void private_file__what_is_no_plain_file_is_refused(void **state)
{
	(void)state;
	bool has_changed;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(put(first, 10, &has_changed));
	assert_int_equal(told.code, ERR_USAGE);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_false(put(first, 10, &has_changed));
	assert_int_equal(told.code, ERR_USAGE);
	/* A folder that is none. */
	in_scratch(path, "none/file");
	assert_false(put(first, 10, &has_changed));
	in_scratch(path, "file/file");
	assert_false(put(first, 10, &has_changed));
	assert_int_equal(count_files(), 1);
}

static void private_file__whose_content_breaks_off_leaves_the_old_one(void **state)
{
	(void)state;
	bool has_changed;
	assert_true(put(first, LONG_LEN, &has_changed));
	/* Found while it is compared; and, where there is none yet, while it is written. */
	struct text broken = { .at = second, .len = LONG_LEN, .is_broken = true };
	assert_false(private_file_put(path, (uid_t)-1, (gid_t)-1, give, &broken, &has_changed, &told));
	assert_int_equal(told.code, ERR_DAMAGED);
	assert_true(holds(first, LONG_LEN));
	assert_int_equal(unlink(path), 0);
	assert_false(private_file_put(path, (uid_t)-1, (gid_t)-1, give, &broken, &has_changed, &told));
	assert_int_equal(told.code, ERR_DAMAGED);
	assert_int_equal(count_files(), 0);
}

static void private_file__any_call_that_fails_leaves_the_old_or_the_new_one(void **state)
{
	(void)state;
#ifdef IS_SANITIZED
	skip();
#endif
	static const struct {
		enum failing_kind kind;
		int error;
	} faults[] = { { FAIL_READS, EIO },    { FAIL_READS, EINTR },  { FAIL_STATS, EIO },  { FAIL_WRITES, ENOSPC },
		       { FAIL_WRITES, EINTR }, { FAIL_SYNCS, EIO },    { FAIL_OPENS, EACCES }, { FAIL_MEMORY, ENOMEM },
		       { FAIL_FENCES, ENOMEM } };
	size_t hit = 0;
	for (size_t i = 0; i < COUNT_OF(faults); i++)
		for (int has_row = 0; has_row < 2; has_row++)
			for (size_t point = 1;; point++) {
				bool has_changed = false;
				if (faults[i].error == EINTR && has_row)
					break; /* for ever: nothing would come of it */
				(void)unlink(path);
				assert_true(put(first, LONG_LEN, &has_changed));
				failing_from(faults[i].kind, faults[i].error, point, has_row ? FAIL_EVER : point);
				bool is_done = put(second, LONG_LEN, &has_changed);
				size_t failed = failing_stop();
				if (!failed)
					break;
				hit++;
				if (is_done ? !holds(second, LONG_LEN) : !holds(first, LONG_LEN) && !holds(second, LONG_LEN))
					fail_msg("fault %zu at %zu: neither the old nor the new one", i, point);
				if (faults[i].error == EINTR)
					assert_true(is_done);
				assert_int_equal(count_files(), 1);
			}
	assert_true(hit > 15);
}

/* ---- whose ---- */

static void assert_owner(const char *text, uid_t uid, gid_t gid)
{
	uid_t found = 7;
	gid_t group = 7;
	if (!private_file_owner(text, &found, &group, &told))
		fail_msg("%s: %s", text, told.message);
	assert_int_equal(found, uid);
	assert_int_equal(group, gid);
}

static void owner__is_named_or_numbered_with_or_without_a_group(void **state)
{
	(void)state;
	assert_owner("root", 0, 0);
	assert_owner("0", 0, 0);
	assert_owner("root:", 0, 0);
	assert_owner("root:12345", 0, 12345);
	assert_owner(":12345", (uid_t)-1, 12345);
	assert_owner(":root", (uid_t)-1, 0);
	assert_owner("4000000001", 4000000001u, (gid_t)-1);
	static const char *const none[] = { "",         ":",          "nobody-of-this-name", "root:nobody-of-this-name", "4294967295", "-1",
					    ":4294967295", "root:-1", "a name that is longer than any account's name could ever be, with more" };
	for (size_t i = 0; i < COUNT_OF(none); i++) {
		uid_t uid;
		gid_t gid;
		if (private_file_owner(none[i], &uid, &gid, &told))
			fail_msg("taken: '%s'", none[i]);
		assert_int_equal(told.code, ERR_USAGE);
	}
}

/* ---- shredding ---- */

static struct stat as_read(void)
{
	struct stat st;
	write_bytes(path, first, LONG_LEN);
	assert_int_equal(stat(path, &st), 0);
	return st;
}

static void shred__a_file_is_gone_and_its_place_holds_nothing_of_it(void **state)
{
	(void)state;
	static uint8_t big[40000];
	struct stat st;
	memset(big, 'x', sizeof big);
	write_bytes(path, big, sizeof big);
	assert_int_equal(stat(path, &st), 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(shred_file(path, &st, &told));
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	close(fd);
}

static void shred__what_is_not_the_file_that_was_read_is_left_alone(void **state)
{
	(void)state;
	char other[PATH_MAX];
	in_scratch(other, "other");
	struct stat st = as_read(), odd;
	for (int i = 0; i < 5; i++) {
		odd = st;
		odd.st_dev += i == 0;
		odd.st_ino += i == 1;
		odd.st_size += i == 2;
		odd.st_mtim.tv_sec += i == 3;
		odd.st_mtim.tv_nsec += i == 4;
		assert_false(shred_file(path, &odd, &told));
		assert_int_equal(told.code, ERR_CONFLICT);
	}
	assert_int_equal(link(path, other), 0);
	assert_false(shred_file(path, &st, &told));
	assert_int_equal(told.code, ERR_STORAGE);
	assert_int_equal(unlink(path), 0);
	assert_false(shred_file(path, &st, &told));
	assert_int_equal(symlink(other, path), 0);
	assert_false(shred_file(path, &st, &told));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_false(shred_file(path, &st, &told));
	assert_int_equal(told.code, ERR_STORAGE);
	close(reader);
	static uint8_t room[LONG_LEN + 1];
	assert_int_equal(file_bytes(other, room, sizeof room), LONG_LEN);
	assert_memory_equal(room, first, LONG_LEN);
}

static void shred__a_call_that_fails_is_told(void **state)
{
	(void)state;
#ifdef IS_SANITIZED
	skip();
#endif
	static const struct {
		enum failing_kind kind;
		int error;
	} faults[] = { { FAIL_OPENS, EACCES }, { FAIL_STATS, EIO }, { FAIL_WRITES, EIO }, { FAIL_SYNCS, EIO } };
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		size_t point = 1;
		for (;; point++) {
			(void)unlink(path);
			struct stat st = as_read();
			failing_from(faults[i].kind, faults[i].error, point, point);
			bool is_done = shred_file(path, &st, &told);
			if (!failing_stop())
				break;
			assert_false(is_done);
			assert_true(told.message[0] != '\0');
		}
		assert_true(point > 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(private_file__is_written_once_and_left_alone_when_it_is_right, prepare, scratch_remove),
		cmocka_unit_test_setup_teardown(private_file__what_is_no_plain_file_is_refused, prepare, scratch_remove),
		cmocka_unit_test_setup_teardown(private_file__whose_content_breaks_off_leaves_the_old_one, prepare, scratch_remove),
		cmocka_unit_test_setup_teardown(private_file__any_call_that_fails_leaves_the_old_or_the_new_one, prepare, scratch_remove),
		cmocka_unit_test(owner__is_named_or_numbered_with_or_without_a_group),
		cmocka_unit_test_setup_teardown(shred__a_file_is_gone_and_its_place_holds_nothing_of_it, prepare, scratch_remove),
		cmocka_unit_test_setup_teardown(shred__what_is_not_the_file_that_was_read_is_left_alone, prepare, scratch_remove),
		cmocka_unit_test_setup_teardown(shred__a_call_that_fails_is_told, prepare, scratch_remove),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
