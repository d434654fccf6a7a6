/* tests/support/failing.h - memory and file calls that fail, within a unit program: what the program and the libraries
 * in it ask for is counted while a fault is armed, and the calls from the first to the last number fail. Include it
 * first. Of a program built with sanitizers nothing fails: their own functions stand where these would. */
#ifndef TESTS_SUPPORT_FAILING_H
#define TESTS_SUPPORT_FAILING_H
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define IS_SANITIZED
#endif

/* Of SYNCS are what makes a change last and names as well, of ROOM what asks for it ahead. */
enum failing_kind {
	FAIL_MEMORY,
	FAIL_MAPS,
	FAIL_FENCES,
	FAIL_READS,
	FAIL_STATS,
	FAIL_WRITES,
	FAIL_SYNCS,
	FAIL_ROOM,
	FAIL_OPENS,
	FAIL_LOCKS,
	FAIL_MUTEXES
};
#define FAIL_EVER SIZE_MAX

static struct {
	bool is_armed;
	enum failing_kind kind;
	int error;
	size_t seen, failed, first, last;
	void (*watch)(void); /* asked before each call that counts, with nothing armed */
} failing;

static inline void failing_from(enum failing_kind kind, int error, size_t first, size_t last)
{
	failing.kind = kind;
	failing.error = error;
	failing.seen = failing.failed = 0;
	failing.first = first;
	failing.last = last;
	failing.is_armed = true;
}

/* The environment's FAILING: "all" tries every point, a number the sample of a run that said it. */
static inline bool failing_all(void)
{
	const char *wanted = getenv("FAILING");
	return wanted && strcmp(wanted, "all") == 0;
}

/* Where a sample begins: another one in each run, and said in its log. */
static inline size_t failing_sample(void)
{
	static bool is_said;
	const char *wanted = getenv("FAILING");
	size_t sample = wanted && *wanted >= '0' && *wanted <= '9' ? strtoul(wanted, NULL, 10) : (size_t)getpid();
	if (!is_said)
		printf("# FAILING=%zu tries the same points again\n", sample);
	is_said = true;
	return sample;
}

/* How many failed. */
static inline size_t failing_stop(void)
{
	failing.is_armed = false;
	return failing.failed;
}

static inline bool is_failing(enum failing_kind kind)
{
	if (!failing.is_armed || failing.kind != kind)
		return false;
	failing.seen++;
	if (failing.watch) {
		failing.is_armed = false;
		failing.watch();
		failing.is_armed = true;
	}
	if (failing.seen < failing.first || failing.seen > failing.last)
		return false;
	failing.failed++;
	errno = failing.error;
	return true;
}

#ifndef IS_SANITIZED
extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *at, size_t len);

#pragma GCC visibility push(default) /* these stand in for the C library's */
void *malloc(size_t len)
{
	return is_failing(FAIL_MEMORY) ? NULL : __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
	return is_failing(FAIL_MEMORY) ? NULL : __libc_calloc(count, len);
}

void *realloc(void *at, size_t len)
{
	return is_failing(FAIL_MEMORY) ? NULL : __libc_realloc(at, len);
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	return is_failing(FAIL_MAPS) ? MAP_FAILED : (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

int mprotect(void *at, size_t len, int prot)
{
	return is_failing(FAIL_FENCES) ? -1 : (int)syscall(SYS_mprotect, at, len, prot);
}

ssize_t read(int fd, void *at, size_t len)
{
	return is_failing(FAIL_READS) ? -1 : syscall(SYS_read, fd, at, len);
}

ssize_t pread(int fd, void *at, size_t len, off_t offset)
{
	return is_failing(FAIL_READS) ? -1 : syscall(SYS_pread64, fd, at, len, offset);
}

ssize_t pread64(int fd, void *at, size_t len, off_t offset)
{
	return pread(fd, at, len, offset);
}

ssize_t write(int fd, const void *at, size_t len)
{
	return is_failing(FAIL_WRITES) ? -1 : syscall(SYS_write, fd, at, len);
}

ssize_t pwrite(int fd, const void *at, size_t len, off_t offset)
{
	return is_failing(FAIL_WRITES) ? -1 : syscall(SYS_pwrite64, fd, at, len, offset);
}

ssize_t pwrite64(int fd, const void *at, size_t len, off_t offset)
{
	return pwrite(fd, at, len, offset);
}

int fsync(int fd)
{
	return is_failing(FAIL_SYNCS) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return is_failing(FAIL_SYNCS) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t len)
{
	return is_failing(FAIL_SYNCS) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int rename(const char *from, const char *to)
{
	return is_failing(FAIL_SYNCS) ? -1 : (int)syscall(SYS_rename, from, to);
}

int fstat(int fd, struct stat *st)
{
	return is_failing(FAIL_STATS) ? -1 : (int)syscall(SYS_fstat, fd, st);
}

/* SQLite is built for these names. */
int fstat64(int fd, struct stat64 *st)
{
	return is_failing(FAIL_STATS) ? -1 : (int)syscall(SYS_fstat, fd, st);
}

int stat64(const char *path, struct stat64 *st)
{
	return is_failing(FAIL_STATS) ? -1 : (int)syscall(SYS_stat, path, st);
}

int lstat64(const char *path, struct stat64 *st)
{
	return is_failing(FAIL_STATS) ? -1 : (int)syscall(SYS_lstat, path, st);
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t offset)
{
	return mmap(at, len, prot, flags, fd, offset);
}

int ftruncate64(int fd, off64_t len)
{
	return is_failing(FAIL_SYNCS) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int lstat(const char *path, struct stat *st)
{
	return is_failing(FAIL_STATS) ? -1 : (int)syscall(SYS_lstat, path, st);
}

int fallocate(int fd, int mode, off_t from, off_t len)
{
	return is_failing(FAIL_ROOM) ? -1 : (int)syscall(SYS_fallocate, fd, mode, from, len);
}

int fcntl(int fd, int command, ...)
{
	va_list args;
	va_start(args, command);
	void *arg = va_arg(args, void *);
	va_end(args);
	bool is_lock = command == F_SETLK || command == F_OFD_SETLK;
	return is_lock && is_failing(FAIL_LOCKS) ? -1 : (int)syscall(SYS_fcntl, fd, command, arg);
}

int fcntl64(int fd, int command, ...)
{
	va_list args;
	va_start(args, command);
	void *arg = va_arg(args, void *);
	va_end(args);
	return fcntl(fd, command, arg);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	static int (*real)(pthread_mutex_t *mutex);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
	return is_failing(FAIL_MUTEXES) ? failing.error : real(mutex);
}

int openat(int at, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return is_failing(FAIL_OPENS) ? -1 : (int)syscall(SYS_openat, at, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return openat(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return openat(AT_FDCWD, path, flags, mode);
}
#pragma GCC visibility pop
#endif
#endif
