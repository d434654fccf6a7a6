#include "core/file.h"

#include "core/fresh.h"
#include "core/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void file_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool owner_is_trusted(uid_t owner)
{
	return owner == 0 || owner == geteuid();
}

static bool check_trusted(const struct stat *st, const char *path, bool is_secret, enum error_code code,
			  struct error *err)
{
	if (!S_ISREG(st->st_mode))
		return fail(err, code, TXT_FILE_NOT_REGULAR, path);
	if (!owner_is_trusted(st->st_uid))
		return fail(err, code, TXT_FILE_FOREIGN, path, (unsigned)st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return fail(err, code, TXT_FILE_WRITABLE, path, (unsigned)(st->st_mode & 07777));
	if (is_secret && st->st_mode & (S_IRWXG | S_IRWXO))
		return fail(err, code, TXT_FILE_TOO_OPEN, path, (unsigned)(st->st_mode & 07777));
	return true;
}

bool file_open_trusted(const char *path, bool is_secret, enum error_code code, int *ret_fd, struct error *err)
{
	/* Non-blocking, so that a fifo put in place of a file cannot hang us before fstat unmasks it. */
	scoped(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ELOOP)
		return fail(err, code, TXT_FILE_NOT_REGULAR, path);
	if (fd < 0)
		return fail(err, code, TXT_FILE_UNREADABLE, path, strerror(errno));
	struct stat st;
	if (fstat(fd, &st) != 0)
		return fail(err, code, TXT_FILE_UNREADABLE, path, strerror(errno));
	if (!check_trusted(&st, path, is_secret, code, err))
		return false;
	*ret_fd = fd;
	fd = -1;
	return true;
}

bool file_read(int fd, const char *path, size_t max, enum error_code code, struct buf *ret, struct error *err)
{
	size_t total = 0;
	for (;;) {
		/* In growing steps: most files are small, and room that is not needed would have to be wiped. Where a
		 * file ends within the first, its end is looked for in what is left of that. */
		size_t step = total < 1024 ? 1024 - total : total < 16384 ? total : 16384;
		size_t ask = max + 1 - total < step ? max + 1 - total : step;
		uint8_t *room = buf_room(ret, ask);
		if (!room)
			return buf_ok(ret, err);
		ssize_t got = read(fd, room, ask);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(err, code, TXT_FILE_UNREADABLE, path, strerror(errno));
		if (got == 0)
			return true;
		ret->len += (size_t)got;
		total += (size_t)got;
		if (total > max)
			return fail(err, code, TXT_FILE_TOO_LONG, path, max);
	}
}

bool file_write_all(int fd, struct bytes data, const char *path, struct error *err)
{
	while (data.len) {
		ssize_t put = write(fd, data.at, data.len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return fail(err, ERR_STORAGE, TXT_FILE_UNWRITABLE, path, strerror(put < 0 ? errno : ENOSPC));
		data.at += put;
		data.len -= (size_t)put;
	}
	return true;
}

bool file_folder_of(const char *path, char *ret, size_t size, struct error *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
	if (len >= size)
		return fail(err, ERR_USAGE, TXT_PATH_TOO_LONG, path);
	memcpy(ret, slash ? path : ".", len);
	ret[len] = '\0';
	return true;
}

bool file_absolute(const char *path, char *ret, size_t size, struct error *err)
{
	char folder[PATH_MAX], real[PATH_MAX];
	if (!file_folder_of(path, folder, sizeof folder, err))
		return false;
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return fail(err, ERR_USAGE, TXT_PATH_IS_FOLDER, path);
	if (!realpath(folder, real))
		return fail(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_STORAGE, TXT_FOLDER_UNREADABLE, folder,
			    strerror(errno));
	int len = snprintf(ret, size, "%s/%s", strcmp(real, "/") == 0 ? "" : real, base);
	if (len < 0 || (size_t)len >= size)
		return fail(err, ERR_USAGE, TXT_PATH_TOO_LONG, path);
	return true;
}

bool file_is_same(const char *a, const char *b)
{
	struct stat one, other;
	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

bool file_is_companion(const char *ending)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-journal", ".lock" };
	for (size_t i = 0; i < COUNT_OF(endings); i++)
		if (strcmp(ending, endings[i]) == 0)
			return true;
	return false;
}

bool file_sync_folder_of(const char *path, struct error *err)
{
	char folder[PATH_MAX];
	if (!file_folder_of(path, folder, sizeof folder, err))
		return false;
	scoped(file_closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return fail(err, ERR_STORAGE, TXT_FILE_UNWRITABLE, folder, strerror(errno));
	return true;
}

/* Data into a file of ours alone, durable, closed. */
static bool fill_new(int *fd, const char *path, struct bytes data, mode_t mode, struct error *err)
{
	if (!file_write_all(*fd, data, path, err))
		return false;
	/* A failed fsync is final: the kernel marks the pages clean, a second try would lie. */
	if (fchmod(*fd, mode) != 0 || fsync(*fd) != 0)
		return fail(err, ERR_STORAGE, TXT_FILE_UNWRITABLE, path, strerror(errno));
	int last = *fd;
	*fd = -1;
	if (close(last) != 0)
		return fail(err, ERR_STORAGE, TXT_FILE_UNWRITABLE, path, strerror(errno));
	return true;
}

static bool write_new(const char *path, struct bytes data, mode_t mode, struct error *err)
{
	scoped(file_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return fail(err, errno == EEXIST ? ERR_CONFLICT : ERR_STORAGE, TXT_FILE_UNWRITABLE, path,
			    strerror(errno));
	/* Only from here on the file is ours to take away: an open that fails for want of descriptors or memory has not
	 * even looked whether the name is taken. */
	if (fill_new(&fd, path, data, mode, err))
		return true;
	unlink(path);
	return false;
}

/* Not every file system can rename without replacing. */
static int give_name(const char *beside, const char *path)
{
	if (renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	return (errno == EINVAL || errno == ENOSYS) && link(beside, path) == 0 ? unlink(beside) : -1;
}

/* Renamed only after fsync: a crash must leave the old file or the new one, never half of each. */
static bool put_in_place(const char *path, struct bytes data, mode_t mode, int (*place)(const char *, const char *),
			 struct error *err)
{
	char beside[PATH_MAX];
	if (!fresh_name(path, "new", beside, sizeof beside, err) || !write_new(beside, data, mode, err))
		return false;
	if (place(beside, path) != 0) {
		int why = errno;
		unlink(beside);
		return fail(err, why == EEXIST ? ERR_CONFLICT : ERR_STORAGE, TXT_FILE_UNWRITABLE, path, strerror(why));
	}
	return file_sync_folder_of(path, err);
}

bool file_create(const char *path, struct bytes data, mode_t mode, struct error *err)
{
	return put_in_place(path, data, mode, give_name, err);
}

bool file_replace(const char *path, struct bytes data, mode_t mode, struct error *err)
{
	return put_in_place(path, data, mode, rename, err);
}

static bool make_missing(char *path, struct error *err)
{
	for (char *p = path + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char was = *p;
		*p = '\0';
		bool is_new = mkdir(path, 0700) == 0;
		if (!is_new && errno != EEXIST)
			return fail(err, ERR_STORAGE, TXT_FOLDER_UNWRITABLE, path, strerror(errno));
		/* Or a power cut takes the folder, with all that was synced in it. */
		if (is_new && !file_sync_folder_of(path, err))
			return false;
		*p = was;
		if (!was)
			return true;
	}
}

bool file_make_folder(const char *path, struct error *err)
{
	char copy[PATH_MAX];
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof copy)
		return fail(err, ERR_USAGE, TXT_PATH_TOO_LONG, path);
	memcpy(copy, path, len + 1);
	struct stat st;
	if (stat(copy, &st) != 0 && !make_missing(copy, err))
		return false;
	if (stat(copy, &st) != 0 || !S_ISDIR(st.st_mode))
		return fail(err, ERR_STORAGE, TXT_FOLDER_UNWRITABLE, path, strerror(ENOTDIR));
	if (!owner_is_trusted(st.st_uid) || st.st_mode & (S_IWGRP | S_IWOTH))
		return fail(err, ERR_STORAGE, TXT_FOLDER_TOO_OPEN, path);
	return true;
}
