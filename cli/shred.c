#include "cli/shred.h"

#include "cli/text.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool overwrite(int fd, const char *path, off_t size, struct error *err)
{
	uint8_t noise[16384];
	for (off_t left = size; left > 0;) {
		size_t len = left < (off_t)sizeof noise ? (size_t)left : sizeof noise;
		randombytes_buf(noise, len);
		if (!file_write_all(fd, bytes_of(noise, len), path, err))
			return false;
		left -= (off_t)len;
	}
	if (fsync(fd) != 0 || ftruncate(fd, 0) != 0 || fsync(fd) != 0)
		return fail(err, ERR_STORAGE, TXT_SHRED_FAILED, path, strerror(errno));
	return true;
}

bool shred_file(const char *path, const struct stat *as_read, struct error *err)
{
	struct stat st, now;
	scoped(file_closep) int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0)
		return fail(err, ERR_STORAGE, TXT_SHRED_FAILED, path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return fail(err, ERR_STORAGE, TXT_SHRED_NOT_PLAIN, path);
	if (!is_same(&st, as_read))
		return fail(err, ERR_CONFLICT, TXT_SHRED_CHANGED, path);
	if (!overwrite(fd, path, st.st_size, err))
		return false;
	/* Whoever saved it anew meanwhile put another file there. */
	if (lstat(path, &now) != 0 || now.st_dev != st.st_dev || now.st_ino != st.st_ino)
		return fail(err, ERR_CONFLICT, TXT_SHRED_CHANGED, path);
	if (unlink(path) != 0)
		return fail(err, ERR_STORAGE, TXT_SHRED_FAILED, path, strerror(errno));
	return file_sync_folder_of(path, err);
}
