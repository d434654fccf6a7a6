#include "core/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct secret *made_of(const char *text)
{
	struct secret *s = NULL;
	struct error err;
	assert_true(secret_copy(bytes_of_text(text), &s, &err));
	return s;
}

static void secret__a_new_one_is_zeroed_and_as_long_as_asked(void **state)
{
	(void)state;
	static const size_t lengths[] = { 0, 1, 63, 64, 65, 1000 };
	struct error err;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		scoped(secret_freep) struct secret *s = NULL;
		assert_true(secret_new(lengths[i], &s, &err));
		assert_int_equal(secret_len(s), lengths[i]);
		for (size_t n = 0; n < lengths[i]; n++)
			assert_int_equal(secret_reveal(s).at[n], 0);
		memset(secret_room(s), 0xff, lengths[i]);
	}
}

static void secret__a_copy_holds_the_same_bytes(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *s = made_of("token");
	assert_true(bytes_equal(secret_reveal(s), bytes_of_text("token")));
}

static void secret__freeing_wipes(void **state)
{
	(void)state;
	struct secret *s = made_of("a token that must not stay");
	const uint8_t *at = secret_reveal(s).at;
	secret_free(s);
	for (size_t i = 0; i < 26; i++)
		assert_int_equal(at[i], 0);
	secret_free(NULL);
}

static void secret__cutting_wipes_the_tail_and_never_lengthens(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *s = made_of("token-tail");
	secret_cut(s, 99);
	assert_int_equal(secret_len(s), 10);
	secret_cut(s, 5);
	assert_true(bytes_equal(secret_reveal(s), bytes_of_text("token")));
	assert_memory_equal(secret_reveal(s).at + 5, "\0\0\0\0\0", 5);
}

static void secret__equality_is_by_length_and_bytes(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *a = made_of("token"), *b = made_of("token");
	scoped(secret_freep) struct secret *c = made_of("tokem"), *d = made_of("tokens"), *e = made_of("");
	scoped(secret_freep) struct secret *f = made_of("");
	assert_true(secret_equal(a, b));
	assert_true(secret_equal(a, a));
	assert_true(secret_equal(e, f));
	assert_false(secret_equal(a, c));
	assert_false(secret_equal(a, d));
	assert_false(secret_equal(a, e));
}

static void secret__a_full_arena_is_an_ordinary_failure_and_room_comes_back(void **state)
{
	(void)state;
	static struct secret *many[SECRET_ARENA_SMALL / 64];
	struct error err;
	size_t count = 0;
	while (count < COUNT_OF(many) && secret_new(64, &many[count], &err))
		memset(secret_room(many[count++]), 0xff, 64);
	assert_int_equal(count, COUNT_OF(many));
	struct secret *one_more = NULL;
	assert_false(secret_new(1, &one_more, &err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	assert_null(one_more);
	/* Every second one free makes room for small ones only; their neighbours free, for a large one too. */
	for (size_t i = 0; i < count; i += 2)
		secret_freep(&many[i]);
	assert_false(secret_new(128, &one_more, &err));
	assert_true(secret_new(64, &one_more, &err));
	secret_freep(&one_more);
	for (size_t i = 1; i < count; i += 2)
		secret_freep(&many[i]);
	assert_true(secret_new(SECRET_ARENA_SMALL, &one_more, &err));
	assert_int_equal(secret_reveal(one_more).at[SECRET_ARENA_SMALL - 1], 0);
	secret_freep(&one_more);
	assert_false(secret_new(SECRET_ARENA_SMALL + 1, &one_more, &err));
}

static void secret__neighbours_do_not_touch(void **state)
{
	(void)state;
	scoped(secret_freep) struct secret *a = made_of("first"), *b = made_of("second"), *c = made_of("third");
	memset(secret_room(b), 0xff, 6);
	secret_freep(&b);
	assert_true(bytes_equal(secret_reveal(a), bytes_of_text("first")));
	assert_true(bytes_equal(secret_reveal(c), bytes_of_text("third")));
}

static int pipe_with(const char *text, size_t len)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, len), (ssize_t)len);
	close(ends[1]);
	return ends[0];
}

static void secret__everything_a_descriptor_gives_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
	} rows[] = { { "", 0 }, { "token\n", 6 }, { "a\0b", 3 }, { "0123456789", 10 } };
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		scoped(secret_freep) struct secret *s = NULL;
		struct error err;
		int fd = pipe_with(rows[i].text, rows[i].len);
		assert_true(secret_read(fd, 10, &s, &err));
		assert_true(bytes_equal(secret_reveal(s), bytes_of(rows[i].text, rows[i].len)));
		close(fd);
	}
}

static void secret__more_than_expected_is_refused_and_not_repeated(void **state)
{
	(void)state;
	struct secret *s = NULL;
	struct error err;
	int fd = pipe_with("0123456789x", 11);
	assert_false(secret_read(fd, 10, &s, &err));
	close(fd);
	assert_null(s);
	assert_int_equal(err.code, ERR_USAGE);
	assert_null(strstr(err.message, "0123"));
	assert_false(secret_read(-1, 10, &s, &err));
	assert_int_equal(err.code, ERR_USAGE);
	assert_null(s);
	int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_false(secret_read(folder, 10, &s, &err));
	close(folder);
	assert_int_equal(err.code, ERR_USAGE);
	assert_null(s);
}

static void secret__that_finds_no_room_is_not_read(void **state)
{
	(void)state;
	struct secret *s = NULL;
	struct error err;
	char left[8];
	int fd = pipe_with("token", 5);
	assert_false(secret_read(fd, SECRET_ARENA_SMALL, &s, &err));
	assert_int_equal(err.code, ERR_UNEXPECTED);
	assert_null(s);
	assert_int_equal(read(fd, left, sizeof left), 5);
	close(fd);
}

static void secret__still_held_when_its_arena_closes_may_be_freed_after(void **state)
{
	(void)state;
	struct error err;
	struct secret *s = made_of("held too long"), *next = NULL;
	secret_arena_close();
	assert_false(secret_new(1, &next, &err));
	secret_free(s);
	assert_true(secret_arena_open(SECRET_ARENA_SMALL, &err));
	assert_true(secret_new(SECRET_ARENA_SMALL, &next, &err)); /* all of it is free */
	secret_free(next);
}

/* In a child of its own, as the limit cannot be taken back by everyone. */
static void secret__an_arena_that_could_not_be_locked_says_so(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		struct error err;
		struct rlimit none = { 0, 0 };
		secret_arena_close();
		bool is_limited = setrlimit(RLIMIT_MEMLOCK, &none) == 0 &&
				  (geteuid() != 0 || setresuid(65533, 65533, 65533) == 0);
		char page[4096];
		if (is_limited && mlock(page, sizeof page) == 0)
			_exit(77); /* the sanitizers' mlock does nothing, with success */
		bool is_honest = is_limited && secret_arena_open(SECRET_ARENA_SMALL, &err) && !secret_arena_is_locked();
		secret_arena_close();
		_exit(is_honest ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* What the kernel says is locked, in KiB. */
static long locked_kib(void)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[got < 0 ? 0 : got] = '\0';
	const char *line = strstr(text, "VmLck:");
	return line ? strtol(line + 6, NULL, 10) : -1;
}

enum { IS_LOCKED, IS_NOT_LOCKED, LIES, CANNOT_TELL };

/* 5,000 secrets in an arena of this size under this limit; the truth is what the kernel says. */
static int truth_under(rlim_t limit, size_t arena_len, size_t secrets)
{
	struct rlimit most = { limit, limit };
	struct error err;
	secret_arena_close();
	if (setrlimit(RLIMIT_MEMLOCK, &most) != 0 || (geteuid() == 0 && setresuid(65533, 65533, 65533) != 0))
		return CANNOT_TELL;
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long before = locked_kib();
	if (limit == 0 ? mlock(page, 4096) == 0 : mlock(page, 4096) != 0 || locked_kib() == before)
		return CANNOT_TELL; /* the sanitizers' and valgrind's mlock does nothing, with success */
	munlock(page, 4096);
	if (!secret_arena_open(arena_len, &err))
		return LIES; /* there is memory: only its lock may be missing */
	for (size_t i = 0; i < secrets; i++) {
		struct secret *s;
		if (!secret_new(40, &s, &err))
			return LIES;
	}
	bool is_locked = locked_kib() >= (long)(arena_len / 1024);
	return is_locked != secret_arena_is_locked() ? LIES : is_locked ? IS_LOCKED : IS_NOT_LOCKED;
}

static int truth_in_a_child(rlim_t limit, size_t arena_len, size_t secrets)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(truth_under(limit, arena_len, secrets));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void secret__whether_all_is_locked_is_told_under_every_limit(void **state)
{
	(void)state;
	static const struct {
		rlim_t limit;
		size_t arena;
		int wanted;
	} rows[] = {
		{ 0, SECRET_ARENA_SMALL, IS_NOT_LOCKED },         { 0, SECRET_ARENA_LARGE, IS_NOT_LOCKED },
		{ 64 * 1024, SECRET_ARENA_LARGE, IS_NOT_LOCKED }, { 8 << 20, SECRET_ARENA_SMALL, IS_LOCKED },
		{ 8 << 20, SECRET_ARENA_LARGE, IS_LOCKED },
	};
	if (getenv("UNDER_VALGRIND") || truth_in_a_child(8 << 20, SECRET_ARENA_SMALL, 1) == CANNOT_TELL)
		skip();
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(truth_in_a_child(rows[i].limit, rows[i].arena,
						  rows[i].arena == SECRET_ARENA_LARGE ? 5000 : 100),
				 rows[i].wanted);
}

/* As a kernel before 4.4 or a container's filter refuses it: all pages are locked at once then. */
static bool is_mlock2_gone(void)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mlock2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = COUNT_OF(lines), .filter = lines };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int truth_without_mlock2(void)
{
	struct error err;
	secret_arena_close();
	long before = locked_kib();
	if (!is_mlock2_gone() || !secret_arena_open(SECRET_ARENA_SMALL, &err))
		return CANNOT_TELL;
	if (locked_kib() - before < (long)(SECRET_ARENA_SMALL / 1024))
		return secret_arena_is_locked() ? LIES : IS_NOT_LOCKED;
	return secret_arena_is_locked() ? IS_LOCKED : LIES;
}

static void secret__where_pages_cannot_be_locked_one_by_one_all_are(void **state)
{
	(void)state;
	if (getenv("UNDER_VALGRIND") || truth_in_a_child(8 << 20, SECRET_ARENA_SMALL, 1) == CANNOT_TELL)
		skip();
	pid_t pid = fork();
	if (pid == 0)
		_exit(truth_without_mlock2());
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), IS_LOCKED);
}

static int open_arena(void **state)
{
	(void)state;
	struct error err;
	return secret_arena_open(SECRET_ARENA_SMALL, &err) ? 0 : -1;
}

static int close_arena(void **state)
{
	(void)state;
	secret_arena_close();
	secret_arena_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secret__a_new_one_is_zeroed_and_as_long_as_asked),
		cmocka_unit_test(secret__a_copy_holds_the_same_bytes),
		cmocka_unit_test(secret__freeing_wipes),
		cmocka_unit_test(secret__cutting_wipes_the_tail_and_never_lengthens),
		cmocka_unit_test(secret__equality_is_by_length_and_bytes),
		cmocka_unit_test(secret__a_full_arena_is_an_ordinary_failure_and_room_comes_back),
		cmocka_unit_test(secret__neighbours_do_not_touch),
		cmocka_unit_test(secret__everything_a_descriptor_gives_is_read),
		cmocka_unit_test(secret__more_than_expected_is_refused_and_not_repeated),
		cmocka_unit_test(secret__that_finds_no_room_is_not_read),
		cmocka_unit_test(secret__still_held_when_its_arena_closes_may_be_freed_after),
		cmocka_unit_test(secret__an_arena_that_could_not_be_locked_says_so),
		cmocka_unit_test(secret__where_pages_cannot_be_locked_one_by_one_all_are),
		cmocka_unit_test(secret__whether_all_is_locked_is_told_under_every_limit),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
