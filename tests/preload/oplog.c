/* tests/preload/oplog.c - what a program does to files, in order, for a replay of power cuts.
 *
 *     LD_PRELOAD=oplog.so OPLOG=FILE OPLOG_UNDER=FOLDER program...
 *
 * Each call that changes a file or a folder below FOLDER becomes a record in FILE once it has succeeded: struct record,
 * the path, for a rename the second path, for a write its bytes (tests/e2e/test_power_loss.py reads them). What changes
 * no bytes and no names (fallocate that keeps the size, modes, owners) is left out, and so is memory mapped from files:
 * SQLite maps only its index, which nobody needs after a power cut. One thread, one process at a time.
 *
 * OPLOG_BOOT=ID: the kernel's boot id, as the program sees it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, UNLINK, RENAME, MKDIR };

struct record {
	uint32_t kind, path_len, other_len, zero;
	uint64_t offset, len;
};

#pragma GCC visibility push(default) /* these stand in for the C library's */

#define FDS 256
static char paths[FDS][PATH_MAX];

static void put_all(int fd, const void *at, size_t len)
{
	const char *from = at;
	while (len) {
		long put = syscall(SYS_write, fd, from, len);
		if (put <= 0)
			abort();
		from += put;
		len -= (size_t)put;
	}
}

/* Opened each time: programs close descriptors they do not know. */
static void note(enum kind kind, const char *path, const char *other, uint64_t offset, const void *data, uint64_t len)
{
	const char *under = getenv("OPLOG_UNDER"), *log = getenv("OPLOG");
	int before = errno;
	if (!under || !log || !path[0] || strncmp(path, under, strlen(under)) != 0)
		return;
	struct record r = { .kind = kind, .path_len = (uint32_t)strlen(path), .offset = offset, .len = len };
	r.other_len = other ? (uint32_t)strlen(other) : 0;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	put_all(fd, &r, sizeof r);
	put_all(fd, path, r.path_len);
	if (other)
		put_all(fd, other, r.other_len);
	if (data)
		put_all(fd, data, len);
	syscall(SYS_close, fd);
	errno = before;
}

static void absolute(const char *path, char ret[PATH_MAX])
{
	char cwd[PATH_MAX];
	int len = path[0] == '/' || !getcwd(cwd, sizeof cwd) ? snprintf(ret, PATH_MAX, "%s", path)
							     : snprintf(ret, PATH_MAX, "%s/%s", cwd, path);
	if (len < 0 || len >= PATH_MAX)
		abort();
}

static const char *path_of(int fd)
{
	return fd >= 0 && fd < FDS ? paths[fd] : "";
}

static int opened(int fd, const char *path, int flags, int existed)
{
	char whole[PATH_MAX];
	if (fd < 0 || fd >= FDS)
		return fd;
	absolute(path, whole);
	memcpy(paths[fd], whole, sizeof whole);
	if ((flags & O_CREAT) && !existed)
		note(CREATE, whole, NULL, 0, NULL, 0);
	else if (flags & O_TRUNC)
		note(TRUNCATE, whole, NULL, 0, NULL, 0);
	return fd;
}

static int open_boot_id(const char *id)
{
	int fd = (int)syscall(SYS_memfd_create, "boot_id", 0);
	if (fd < 0)
		abort();
	put_all(fd, id, strlen(id));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int open_it(int at, const char *path, int flags, unsigned mode)
{
	const char *boot = getenv("OPLOG_BOOT");
	if (boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
		return open_boot_id(boot);
	struct stat unused;
	int before = errno, existed = fstatat(at, path, &unused, AT_SYMLINK_NOFOLLOW) == 0;
	errno = before;
	return opened((int)syscall(SYS_openat, at, path, flags, mode), path, flags, existed);
}

#define MODE_OF(flags, mode)                                                                                           \
	do {                                                                                                           \
		va_list rest;                                                                                          \
		va_start(rest, flags);                                                                                 \
		(mode) = (flags) & (O_CREAT | O_TMPFILE) ? va_arg(rest, unsigned) : 0;                                 \
		va_end(rest);                                                                                          \
	} while (0)

int open(const char *path, int flags, ...)
{
	unsigned mode;
	MODE_OF(flags, mode);
	return open_it(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	unsigned mode;
	MODE_OF(flags, mode);
	return open_it(AT_FDCWD, path, flags, mode);
}

int close(int fd)
{
	if (fd >= 0 && fd < FDS)
		paths[fd][0] = '\0';
	return (int)syscall(SYS_close, fd);
}

static ssize_t wrote(int fd, const void *at, ssize_t put, off_t offset)
{
	if (put > 0)
		note(WRITE, path_of(fd), NULL, (uint64_t)offset, at, (uint64_t)put);
	return put;
}

ssize_t pwrite(int fd, const void *at, size_t len, off_t offset)
{
	return wrote(fd, at, syscall(SYS_pwrite64, fd, at, len, offset), offset);
}

ssize_t pwrite64(int fd, const void *at, size_t len, off_t offset)
{
	return wrote(fd, at, syscall(SYS_pwrite64, fd, at, len, offset), offset);
}

ssize_t write(int fd, const void *at, size_t len)
{
	ssize_t put = syscall(SYS_write, fd, at, len);
	return path_of(fd)[0] && put > 0 ? wrote(fd, at, put, lseek(fd, 0, SEEK_CUR) - put) : put;
}

static int truncated(int fd, int rc, off_t len)
{
	if (rc == 0)
		note(TRUNCATE, path_of(fd), NULL, (uint64_t)len, NULL, 0);
	return rc;
}

int ftruncate(int fd, off_t len)
{
	return truncated(fd, (int)syscall(SYS_ftruncate, fd, len), len);
}

int ftruncate64(int fd, off_t len)
{
	return truncated(fd, (int)syscall(SYS_ftruncate, fd, len), len);
}

static int synced(int fd, int rc)
{
	if (rc == 0)
		note(SYNC, path_of(fd), NULL, 0, NULL, 0);
	return rc;
}

int fsync(int fd)
{
	return synced(fd, (int)syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
	return synced(fd, (int)syscall(SYS_fdatasync, fd));
}

int unlink(const char *path)
{
	char whole[PATH_MAX];
	int rc = (int)syscall(SYS_unlink, path);
	absolute(path, whole);
	if (rc == 0)
		note(UNLINK, whole, NULL, 0, NULL, 0);
	return rc;
}

static int renamed(int rc, const char *from, const char *to)
{
	char source[PATH_MAX], target[PATH_MAX];
	absolute(from, source);
	absolute(to, target);
	if (rc != 0)
		return rc;
	for (int fd = 0; fd < FDS; fd++)
		if (strcmp(paths[fd], source) == 0)
			memcpy(paths[fd], target, sizeof target);
	note(RENAME, source, target, 0, NULL, 0);
	return rc;
}

int rename(const char *from, const char *to)
{
	return renamed((int)syscall(SYS_rename, from, to), from, to);
}

int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags)
{
	return renamed((int)syscall(SYS_renameat2, at, from, to_at, to, flags), from, to);
}

int mkdir(const char *path, mode_t mode)
{
	char whole[PATH_MAX];
	int rc = (int)syscall(SYS_mkdir, path, mode);
	absolute(path, whole);
	if (rc == 0)
		note(MKDIR, whole, NULL, 0, NULL, 0);
	return rc;
}
