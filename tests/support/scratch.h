/* tests/support/scratch.h - a folder of its own for each test, and the small things that tests of the vault layer
 * share. Include cmocka.h (and what it needs) before this. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include "core/bytes.h"
#include "core/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#undef fail /* cmocka's; ours is core/error.h */
#undef fail_msg
#define fail_msg(...)                                                                                                  \
	do {                                                                                                           \
		print_error("ERROR: " __VA_ARGS__);                                                                    \
		print_error("\n");                                                                                     \
		_fail(__FILE__, __LINE__);                                                                             \
	} while (0)
#define UNUSED __attribute__((unused))

static char scratch[64]; /* the folder of the test that runs */

UNUSED static int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st, (void)type, (void)walk;
	return remove(path);
}

UNUSED static int scratch_make(void **state)
{
	(void)state;
	strcpy(scratch, "/tmp/pixelvault-test-XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

/* In memory where there is such a place: a disk would be waited for at each of many commits. */
UNUSED static int scratch_make_in_memory(void **state)
{
	strcpy(scratch, "/dev/shm/pixelvault-test-XXXXXX");
	return mkdtemp(scratch) ? 0 : scratch_make(state);
}

UNUSED static int scratch_remove(void **state)
{
	(void)state;
	return nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

UNUSED static void in_scratch(char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%s/%.200s", scratch, name);
}

UNUSED static int open_arena(void **state)
{
	(void)state;
	struct error err;
	return secret_arena_open(SECRET_ARENA_LARGE, &err) ? 0 : -1;
}

UNUSED static int close_arena(void **state)
{
	(void)state;
	secret_arena_close();
	return 0;
}

UNUSED static struct secret *secret_of(struct bytes from)
{
	struct secret *s = NULL;
	struct error err;
	assert_true(secret_copy(from, &s, &err));
	return s;
}

UNUSED static struct secret *secret_of_text(const char *text)
{
	return secret_of(bytes_of_text(text));
}

/* 32 bytes that begin with seed. */
UNUSED static struct secret *key_of(uint8_t seed)
{
	uint8_t bytes[32];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(seed + i * 7);
	return secret_of(bytes_of(bytes, sizeof bytes));
}

UNUSED static void hex_to(const char *hex, uint8_t *ret, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned byte;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		ret[i] = (uint8_t)byte;
	}
}

UNUSED static size_t file_bytes(const char *path, uint8_t *ret, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t got = read(fd, ret, max);
	close(fd);
	return got < 0 ? 0 : (size_t)got;
}

UNUSED static void write_bytes(const char *path, const void *at, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, at, len), len);
	close(fd);
}

UNUSED static void copy_file(const char *from, const char *to)
{
	static uint8_t bytes[16 << 20];
	size_t len = file_bytes(from, bytes, sizeof bytes);
	assert_true(len > 0 && len < sizeof bytes);
	write_bytes(to, bytes, len);
}

/* fork, but the child ends with us: a test that fails early leaves nobody behind. */
UNUSED static pid_t fork_child(void)
{
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Wait for a child; its exit status, or 1000 + the signal that ended it. */
UNUSED static int ended(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

UNUSED static void kill_hard(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(ended(pid), 1000 + SIGKILL);
}

#endif
