/* tests/preload/oom.c - memory that is not there.
 *
 *     LD_PRELOAD=oom.so OOM_FIRST=N OOM_LAST=M OOM_COUNT=FILE program...
 *
 * The N-th to the M-th allocation of the program and of what it forks fail: malloc and its kin, and mmap of fresh
 * memory (N = 0: none). FILE, 16 bytes that are there already, counts what was asked for and what failed; without it
 * all works as ever. What the loader itself asks for before the C library is up is not seen. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *at, size_t len);
extern void *__libc_memalign(size_t align, size_t len);

static struct {
	uint64_t asked, failed;
} no_file, *tally;
static uint64_t first, last;

static void *map(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

static uint64_t number(const char *name)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : 0;
}

static void begin(void)
{
	const char *path = getenv("OOM_COUNT");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED : map(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		syscall(SYS_close, fd);
	tally = at == MAP_FAILED ? &no_file : at;
	first = at == MAP_FAILED ? 0 : number("OOM_FIRST");
	last = number("OOM_LAST");
}

static int is_refused(void)
{
	int before = errno;
	if (!tally)
		begin();
	uint64_t n = __atomic_add_fetch(&tally->asked, 1, __ATOMIC_RELAXED);
	errno = before;
	if (!first || n < first || n > last)
		return 0;
	__atomic_add_fetch(&tally->failed, 1, __ATOMIC_RELAXED);
	errno = ENOMEM;
	return 1;
}

#pragma GCC visibility push(default) /* these stand in for the C library's */

void *malloc(size_t len)
{
	return is_refused() ? NULL : __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
	return is_refused() ? NULL : __libc_calloc(count, len);
}

void *realloc(void *at, size_t len)
{
	return is_refused() ? NULL : __libc_realloc(at, len);
}

void *memalign(size_t align, size_t len)
{
	return is_refused() ? NULL : __libc_memalign(align, len);
}

void *aligned_alloc(size_t align, size_t len)
{
	return memalign(align, len);
}

int posix_memalign(void **ret, size_t align, size_t len)
{
	void *at = memalign(align, len);
	if (!at)
		return ENOMEM;
	*ret = at;
	return 0;
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (fd < 0 && is_refused())
		return MAP_FAILED;
	return map(at, len, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	return mmap(at, len, prot, flags, fd, offset);
}
