#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test starts in an empty folder of its own. */
static char folder[] = "/tmp/test_file.XXXXXX";

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void assert_holds(const char *path, const char *text)
{
	char got[4096];
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	assert_true(fd >= 0);
	ssize_t len = read(fd, got, sizeof got);
	close(fd);
	assert_int_equal(len, (ssize_t)strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static size_t count_here(void)
{
	DIR *here = opendir(".");
	size_t count = 0;
	assert_non_null(here);
	for (struct dirent *e; (e = readdir(here));)
		count += e->d_name[0] != '.';
	closedir(here);
	return count;
}

static bool can_open(const char *path, bool is_secret, struct error *err)
{
	scoped(file_closep) int fd = -1;
	bool is_open = file_open_trusted(path, is_secret, ERR_CONFIG, &fd, err);
	assert_int_equal(is_open, fd >= 0);
	return is_open;
}

static void file__a_plain_file_of_ours_is_trusted(void **state)
{
	(void)state;
	struct error err;
	put("f", "x", 0644);
	assert_true(can_open("f", false, &err));
	put("g", "x", 0400);
	assert_true(can_open("g", true, &err));
}

static void file__one_that_others_may_change_is_refused_with_its_mode(void **state)
{
	(void)state;
	static const mode_t modes[] = { 0620, 0602, 0666, 0664, 0646 };
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		struct error err;
		char text[8];
		put("f", "x", modes[i]);
		assert_false(can_open("f", false, &err));
		assert_int_equal(err.code, ERR_CONFIG);
		snprintf(text, sizeof text, "%04o", (unsigned)modes[i]);
		assert_non_null(strstr(err.message, text));
		assert_true(err.hint[0]);
	}
}

static void file__a_secret_one_that_others_may_read_is_refused(void **state)
{
	(void)state;
	static const mode_t modes[] = { 0640, 0604, 0644, 0610, 0601 };
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		struct error err;
		put("f", "x", modes[i]);
		assert_false(can_open("f", true, &err));
		assert_true(can_open("f", false, &err));
	}
}

static void file__links_pipes_folders_and_missing_ones_are_refused_at_once(void **state)
{
	(void)state;
	static const char *const names[] = { "link", "dangling", "fifo", "folder", "missing", "", "f/x" };
	put("f", "x", 0600);
	assert_int_equal(symlink("f", "link"), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(mkdir("folder", 0700), 0);
	alarm(10);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct error err;
		if (can_open(names[i], false, &err))
			fail_msg("'%s' was opened", names[i]);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_true(err.message[0] && err.hint[0]);
	}
	alarm(0);
}

static void file__one_of_another_user_is_refused(void **state)
{
	(void)state;
	struct error err;
	if (geteuid() != 0)
		skip();
	put("f", "x", 0600);
	assert_int_equal(chown("f", 12345, 0), 0);
	assert_false(can_open("f", false, &err));
	assert_non_null(strstr(err.message, "12345"));
}

static void file__reading_stops_at_the_limit(void **state)
{
	(void)state;
	struct error err;
	put("f", "0123456789", 0600);
	for (size_t max = 9; max <= 11; max++) {
		scoped(buf_done) struct buf text = BUF_INIT(100);
		scoped(file_closep) int fd = open("f", O_RDONLY);
		bool is_read = file_read(fd, "f", max, ERR_CONFIG, &text, &err);
		assert_int_equal(is_read, max >= 10);
		if (is_read)
			assert_true(bytes_equal(buf_bytes(&text), bytes_of_text("0123456789")));
		else
			assert_int_equal(err.code, ERR_CONFIG);
	}
	scoped(buf_done) struct buf none = BUF_INIT(100);
	assert_false(file_read(-1, "f", 5, ERR_LOCKED, &none, &err));
	assert_int_equal(err.code, ERR_LOCKED);
}

static void file__creating_never_touches_an_existing_one(void **state)
{
	(void)state;
	struct error err;
	put("f", "old", 0600);
	assert_int_equal(symlink("nowhere", "link"), 0);
	assert_false(file_create("f", bytes_of_text("new"), 0600, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_false(file_create("link", bytes_of_text("new"), 0600, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_holds("f", "old");
	assert_int_equal(access("nowhere", F_OK), -1);
}

static void file__creating_without_a_free_descriptor_leaves_the_existing_one(void **state)
{
	(void)state;
	struct error err;
	struct rlimit was, none;
	if (getenv("UNDER_VALGRIND")) /* it keeps descriptors of its own above any limit */
		skip();
	put("f", "old", 0600);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	bool is_made = file_create("f", bytes_of_text("new"), 0600, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_false(is_made);
	assert_int_equal(err.code, ERR_STORAGE);
	assert_holds("f", "old");
}

static void file__a_new_one_has_the_mode_asked_for_whatever_the_umask(void **state)
{
	(void)state;
	struct error err;
	mode_t was = umask(0);
	assert_true(file_create("a", bytes_of_text("text"), 0600, &err));
	umask(0777);
	assert_true(file_create("b", bytes_of_text(""), 0644, &err));
	umask(was);
	assert_holds("a", "text");
	assert_int_equal(mode_of("a"), 0600);
	assert_int_equal(mode_of("b"), 0644);
}

static void file__replacing_takes_the_place_and_leaves_nothing_beside(void **state)
{
	(void)state;
	struct error err;
	put("f", "old", 0644);
	assert_true(file_replace("f", bytes_of_text("new"), 0600, &err));
	assert_holds("f", "new");
	assert_int_equal(mode_of("f"), 0600);
	assert_true(file_replace("g", bytes_of_text("fresh"), 0600, &err));
	assert_holds("g", "fresh");
	assert_int_equal(count_here(), 2);
}

static void file__a_replacement_that_fails_leaves_the_old_one_alone(void **state)
{
	(void)state;
	struct error err;
	struct rlimit was, small;
	char *large = malloc(100000);
	assert_non_null(large);
	memset(large, 'x', 100000);
	put("f", "old", 0600);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	bool is_replaced = file_replace("f", bytes_of(large, 100000), 0600, &err);
	bool is_made = file_create("g", bytes_of(large, 100000), 0600, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, SIG_DFL);
	free(large);
	assert_false(is_replaced || is_made);
	assert_int_equal(err.code, ERR_STORAGE);
	assert_holds("f", "old");
	assert_int_equal(count_here(), 1);
	assert_int_equal(mkdir("d", 0700), 0);
	assert_false(file_replace("d", bytes_of_text("x"), 0600, &err));
	assert_int_equal(count_here(), 2);
	assert_false(file_replace("no/f", bytes_of_text("x"), 0600, &err));
}

static void file__folders_are_made_private_with_their_parents(void **state)
{
	(void)state;
	struct error err;
	mode_t was = umask(0);
	assert_true(file_make_folder("a/b/c/", &err));
	umask(was);
	assert_int_equal(mode_of("a"), 0700);
	assert_int_equal(mode_of("a/b"), 0700);
	assert_int_equal(mode_of("a/b/c"), 0700);
	assert_true(file_make_folder("a/b/c", &err));
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/x/y", folder);
	assert_true(file_make_folder(path, &err));
	assert_int_equal(mode_of("x/y"), 0700);
}

static void file__a_folder_that_others_may_write_is_refused(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(chmod("d", 01777), 0);
	assert_false(file_make_folder("d", &err));
	assert_int_equal(chmod("d", 0770), 0);
	assert_false(file_make_folder("d", &err));
	assert_int_equal(chmod("d", 0755), 0);
	assert_true(file_make_folder("d", &err));
	put("f", "x", 0600);
	assert_false(file_make_folder("f", &err));
	assert_false(file_make_folder("f/d", &err));
	assert_false(file_make_folder("", &err));
	if (geteuid() == 0) {
		assert_int_equal(chown("d", 12345, 0), 0);
		assert_false(file_make_folder("d", &err));
	}
}

static void file__the_folder_of_a_path_is_what_stands_before_the_last_slash(void **state)
{
	(void)state;
	static const struct {
		const char *path, *folder;
	} rows[] = { { "f", "." }, { "/f", "/" }, { "a/f", "a" }, { "/a/b/f", "/a/b" }, { "a/", "a" }, { "", "." } };
	char got[16];
	struct error err;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_true(file_folder_of(rows[i].path, got, sizeof got, &err));
		assert_string_equal(got, rows[i].folder);
	}
	assert_false(file_folder_of("0123456789abcdef/f", got, sizeof got, &err));
	assert_true(file_folder_of("0123456789abcde/f", got, sizeof got, &err));
}

static void file__an_absolute_path_has_its_folders_resolved_but_not_its_end(void **state)
{
	(void)state;
	struct error err;
	char got[PATH_MAX], expected[PATH_MAX];
	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(symlink("d", "l"), 0);
	assert_int_equal(symlink("nowhere", "d/v"), 0);
	snprintf(expected, sizeof expected, "%s/d/v", folder);
	assert_true(file_absolute("l/v", got, sizeof got, &err));
	assert_string_equal(got, expected);
	assert_true(file_absolute("./l/../d/./v", got, sizeof got, &err));
	assert_string_equal(got, expected);
	assert_true(file_absolute("/v", got, sizeof got, &err));
	assert_string_equal(got, "/v");
	static const char *const folders[] = { "d/", ".", "..", "d/.", "" };
	for (size_t i = 0; i < COUNT_OF(folders); i++)
		assert_false(file_absolute(folders[i], got, sizeof got, &err));
	assert_false(file_absolute("missing/v", got, sizeof got, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_false(file_absolute("d/v", got, 5, &err));
}

static int enter(void **state)
{
	(void)state;
	memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

#define here(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		here(file__a_plain_file_of_ours_is_trusted),
		here(file__one_that_others_may_change_is_refused_with_its_mode),
		here(file__a_secret_one_that_others_may_read_is_refused),
		here(file__links_pipes_folders_and_missing_ones_are_refused_at_once),
		here(file__one_of_another_user_is_refused),
		here(file__reading_stops_at_the_limit),
		here(file__creating_never_touches_an_existing_one),
		here(file__creating_without_a_free_descriptor_leaves_the_existing_one),
		here(file__a_new_one_has_the_mode_asked_for_whatever_the_umask),
		here(file__replacing_takes_the_place_and_leaves_nothing_beside),
		here(file__a_replacement_that_fails_leaves_the_old_one_alone),
		here(file__folders_are_made_private_with_their_parents),
		here(file__a_folder_that_others_may_write_is_refused),
		here(file__the_folder_of_a_path_is_what_stands_before_the_last_slash),
		here(file__an_absolute_path_has_its_folders_resolved_but_not_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
