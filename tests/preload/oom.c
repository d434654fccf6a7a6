/* tests/preload/oom.c - memory that is not there.
 *
 *     LD_PRELOAD=oom.so OOM_COUNT=FILE [OOM_ONLY=WORD] [OOM_ALONG=1] program...
 *
 * FILE holds five numbers of 8 bytes: how many allocations were asked for, how many failed, the first and the last that
 * fail (0: none), and of which length those are that count (0, or nothing there: of any), of the program and of what it forks
 * together: malloc and its kin, and mmap of fresh memory. They may be written while the program runs. Without FILE all works as ever. What the loader itself asks for before the C library
 * is up is not seen. OOM_ONLY: only in processes with this word among their arguments. OOM_ALONG: programs that are started
 * with an environment of their own get these variables too.
 *
 * What libseccomp asks for is neither counted nor failed: version 2.5.4 reads what it never wrote, or turns in circles, where one
 * of its own allocations fails. It is used once, at the start, before anything secret is read; what becomes of a process
 * that it ends or holds up is the supervisor's affair, which has tests of its own. Likewise within getpwnam: glibc 2.36
 * looks into its list of name services even where there was no memory for it.
 *
 * Under an address sanitizer that is a shared library, memory comes from it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#pragma GCC visibility push(default)
extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *at, size_t len);
extern void *__libc_memalign(size_t align, size_t len);
void __asan_init(void) __attribute__((weak));
#pragma GCC visibility pop

static const char *const ours[] = { "LD_PRELOAD", "OOM_COUNT", "OOM_ONLY", "OOM_ALONG", "ASAN_OPTIONS" };
#define OURS (sizeof ours / sizeof *ours)
#define ALONG_MAX 64 /* variables of an environment that ours are added to */
static char along[OURS][512]; /* as they were when the program began; empty: not set, or not to be passed on */

static struct {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void *(*memalign)(size_t, size_t);
} from = { __libc_malloc, __libc_calloc, __libc_realloc, __libc_memalign };

static struct {
	uint64_t asked, failed, first, last, len;
} no_file, *tally;

static struct {
	uintptr_t from, to;
} spared; /* libseccomp's code */
static __thread int is_resting;

static void *map(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

/* Without libc's memory: whoever asks for some now would ask for ever. */
static int is_meant(const char *word)
{
	char words[4096];
	int fd = word ? (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC) : -1;
	ssize_t len = fd < 0 ? 0 : syscall(SYS_read, fd, words, sizeof words - 1);
	if (fd >= 0)
		syscall(SYS_close, fd);
	for (ssize_t i = 0; i < len; i += (ssize_t)strnlen(words + i, (size_t)(len - i)) + 1)
		if (strncmp(words + i, word, (size_t)(len - i)) == 0)
			return 1;
	return !word;
}

static void take_from_sanitizer(void)
{
	*(void **)&from.malloc = dlsym(RTLD_NEXT, "malloc");
	*(void **)&from.calloc = dlsym(RTLD_NEXT, "calloc");
	*(void **)&from.realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&from.memalign = dlsym(RTLD_NEXT, "memalign");
}

static void begin(void)
{
	if (__asan_init)
		take_from_sanitizer();
	for (size_t i = 0; getenv("OOM_ALONG") && i < OURS; i++)
		if (getenv(ours[i]))
			snprintf(along[i], sizeof along[i], "%s=%s", ours[i], getenv(ours[i]));
	const char *path = getenv("OOM_COUNT");
	tally = &no_file;
	int fd = path && is_meant(getenv("OOM_ONLY")) ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED : map(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		syscall(SYS_close, fd);
	if (at != MAP_FAILED)
		tally = at;
}

static int find_spared(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size, (void)unused;
	for (size_t i = 0; strstr(info->dlpi_name, "libseccomp") && i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
			spared.from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			spared.to = spared.from + info->dlpi_phdr[i].p_memsz;
		}
	return 0;
}

/* As early as can be, for a program may throw its environment away; but what asks for memory earlier may see none yet. */
static void __attribute__((constructor)) begin_again(void)
{
	if (!tally || tally == &no_file)
		begin();
	(void)dl_iterate_phdr(find_spared, NULL);
}

static int is_refused(const void *caller, size_t len)
{
	int before = errno;
	if (is_resting || (uintptr_t)caller - spared.from < spared.to - spared.from)
		return 0;
	if (!tally)
		begin();
	uint64_t only = __atomic_load_n(&tally->len, __ATOMIC_RELAXED);
	if (only && only != len) {
		errno = before;
		return 0;
	}
	uint64_t n = __atomic_add_fetch(&tally->asked, 1, __ATOMIC_RELAXED);
	uint64_t first = __atomic_load_n(&tally->first, __ATOMIC_RELAXED);
	errno = before;
	if (!first || n < first || n > __atomic_load_n(&tally->last, __ATOMIC_RELAXED))
		return 0;
	__atomic_add_fetch(&tally->failed, 1, __ATOMIC_RELAXED);
	errno = ENOMEM;
	return 1;
}

#pragma GCC visibility push(default) /* these stand in for the C library's */

void *malloc(size_t len)
{
	return is_refused(__builtin_return_address(0), len) ? NULL : from.malloc(len);
}

void *calloc(size_t count, size_t len)
{
	return is_refused(__builtin_return_address(0), count * len) ? NULL : from.calloc(count, len);
}

void *realloc(void *at, size_t len)
{
	return is_refused(__builtin_return_address(0), len) ? NULL : from.realloc(at, len);
}

void *memalign(size_t align, size_t len)
{
	return is_refused(__builtin_return_address(0), len) ? NULL : from.memalign(align, len);
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
	if (fd < 0 && is_refused(__builtin_return_address(0), len))
		return MAP_FAILED;
	return map(at, len, prot, flags, fd, offset);
}

struct passwd *getpwnam(const char *name)
{
	struct passwd *(*next)(const char *);
	*(void **)&next = dlsym(RTLD_NEXT, "getpwnam");
	is_resting = 1;
	struct passwd *found = next(name);
	is_resting = 0;
	return found;
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	return mmap(at, len, prot, flags, fd, offset);
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	char *all[ALONG_MAX + OURS + 1];
	size_t count = 0;
	for (; envp[count] && count < ALONG_MAX; count++)
		all[count] = envp[count];
	for (size_t i = 0; i < OURS; i++)
		if (along[i][0])
			all[count++] = along[i];
	all[count] = NULL;
	return (int)syscall(SYS_execve, path, argv, along[0][0] ? (char *const *)all : envp);
}
