/* What killed processes left beside a file is taken away; what others are making, and files of other names, stay. */
#include "core/fresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

static void touch(const char *name)
{
	char path[PATH_MAX];
	in_scratch(path, name);
	write_bytes(path, "x", 1);
}

static bool is_there(const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	in_scratch(path, name);
	return lstat(path, &st) == 0;
}

static void make_name(char ret[PATH_MAX])
{
	char path[PATH_MAX];
	struct error err;
	in_scratch(path, "copy");
	assert_true(fresh_name(path, "new", ret, PATH_MAX, &err));
}

static long dead_process(void)
{
	pid_t pid = fork_child();
	if (pid == 0)
		_exit(0);
	assert_int_equal(ended(pid), 0);
	return pid;
}

static void fresh__names_what_it_makes_after_its_process_and_never_twice(void **state)
{
	(void)state;
	char one[PATH_MAX], other[PATH_MAX], start[PATH_MAX + 32];
	make_name(one);
	make_name(other);
	snprintf(start, sizeof start, "%s/copy.new-%ld-", scratch, (long)getpid());
	assert_memory_equal(one, start, strlen(start));
	assert_int_equal(strlen(one), strlen(start) + 8);
	assert_string_not_equal(one, other);
}

static void fresh__what_a_dead_process_left_is_taken_away(void **state)
{
	(void)state;
	static const char *const endings[] = { "", "-wal", "-shm", "-journal", ".lock" };
	char name[64], unused[PATH_MAX];
	long pid = dead_process();
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		snprintf(name, sizeof name, "copy.new-%ld-0123abcd%s", pid, endings[i]);
		touch(name);
	}
	make_name(unused);
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		snprintf(name, sizeof name, "copy.new-%ld-0123abcd%s", pid, endings[i]);
		assert_false(is_there(name));
	}
}

static void fresh__everything_else_stays(void **state)
{
	(void)state;
	static const struct {
		const char *before, *behind; /* the number of the process */
	} shapes[] = { { "copy.new-", "" },
		       { "copy.new-", "-0123abc" },
		       { "copy.new-", "-0123abcd.txt" },
		       { "copy.new-", "-0123abcdef" },
		       { "copy.new-", "-0123abcg" },
		       { "copy.old-", "-0123abcd" },
		       { "other.new-", "-0123abcd" },
		       { "copy.new--", "-0123abcd" },
		       { "copy.new- ", "-0123abcd" },
		       { "copy.new-", "99999999999999999-0123abcd" },
		       { "acopy.new-", "-0123abcd" } };
	char name[64], living[64], folder[PATH_MAX], unused[PATH_MAX];
	long pid = dead_process();
	snprintf(living, sizeof living, "copy.new-%ld-0123abcd", (long)getppid());
	touch(living);
	touch("copy");
	touch("copy.new-0-0123abcd");
	snprintf(name, sizeof name, "copy.new-%ld-00000000", pid);
	in_scratch(folder, name);
	assert_int_equal(mkdir(folder, 0700), 0);
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		snprintf(name, sizeof name, "%s%ld%s", shapes[i].before, pid, shapes[i].behind);
		touch(name);
	}
	make_name(unused);
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		snprintf(name, sizeof name, "%s%ld%s", shapes[i].before, pid, shapes[i].behind);
		if (!is_there(name))
			fail_msg("%s is gone", name);
	}
	snprintf(name, sizeof name, "copy.new-%ld-00000000", pid);
	assert_true(is_there(name) && is_there(living) && is_there("copy") && is_there("copy.new-0-0123abcd"));
}

static void fresh__a_link_is_not_followed_and_stays(void **state)
{
	(void)state;
	char name[64], link[PATH_MAX], target[PATH_MAX], unused[PATH_MAX];
	in_scratch(target, "target");
	touch("target");
	snprintf(name, sizeof name, "copy.new-%ld-0123abcd", dead_process());
	in_scratch(link, name);
	assert_int_equal(symlink(target, link), 0);
	make_name(unused);
	assert_true(is_there("target") && is_there(name));
}

static void fresh__refuses_what_is_too_long(void **state)
{
	(void)state;
	char ret[64], path[PATH_MAX];
	struct error err;
	in_scratch(path, "copy");
	memset(ret, 0, sizeof ret);
	assert_false(fresh_name(path, "new", ret, 20, &err));
	assert_int_equal(err.code, ERR_USAGE);
	char long_name[NAME_MAX + 1], whole[PATH_MAX];
	memset(long_name, 'x', NAME_MAX);
	long_name[NAME_MAX] = '\0'; /* fits, and with what is made beside it no more */
	snprintf(path, sizeof path, "%s/%s", scratch, long_name);
	assert_false(fresh_name(path, "new", whole, sizeof whole, &err));
	assert_int_equal(err.code, ERR_USAGE);
	touch("copy");
	fresh_sweep(path, "new"); /* nothing of such a name can be there */
	assert_true(is_there("copy"));
}

static void fresh__what_another_account_left_and_numbers_of_no_process_stay(void **state)
{
	(void)state;
	char name[64], path[PATH_MAX], unused[PATH_MAX];
	touch("copy.new-4294967297-0123abcd"); /* more than any process has */
	snprintf(name, sizeof name, "copy.new-%ld-0123abcd", dead_process());
	touch(name);
	in_scratch(path, name);
	bool is_given = chown(path, 65534, 65534) == 0;
	make_name(unused);
	assert_true(is_there("copy.new-4294967297-0123abcd"));
	assert_int_equal(is_there(name), is_given);
}

static pid_t parent_of_all;

/* Whom this account may not even ask about is alive. */
static int sweep_as_other(void)
{
	char name[64], path[PATH_MAX];
	if (setresgid(65533, 65533, 65533) != 0 || setresuid(65533, 65533, 65533) != 0)
		return 9;
	snprintf(name, sizeof name, "copy.new-%ld-0123abcd", (long)parent_of_all);
	touch(name);
	in_scratch(path, "copy");
	fresh_sweep(path, "new");
	return is_there(name) ? 0 : 1;
}

static void fresh__what_a_process_of_another_account_is_making_stays(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("SKIPPED: only root can become somebody else\n");
		skip();
	}
	parent_of_all = getpid();
	assert_int_equal(chmod(scratch, 0777), 0);
	pid_t pid = fork_child();
	if (pid == 0)
		_exit(sweep_as_other());
	assert_int_equal(ended(pid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fresh__names_what_it_makes_after_its_process_and_never_twice,
						scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(fresh__what_a_dead_process_left_is_taken_away, scratch_make,
						scratch_remove),
		cmocka_unit_test_setup_teardown(fresh__everything_else_stays, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(fresh__a_link_is_not_followed_and_stays, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(fresh__refuses_what_is_too_long, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(fresh__what_another_account_left_and_numbers_of_no_process_stay,
						scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(fresh__what_a_process_of_another_account_is_making_stays, scratch_make,
						scratch_remove),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
