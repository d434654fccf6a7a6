#include "cli/private_file.h"

#include "cli/text.h"
#include "core/file.h"
#include "core/fresh.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0400
#define COMPARED_AT_ONCE 4096

/* ---- whose ---- */

static bool is_number(const char *text, uint64_t *ret)
{
	return text_take_number(text, UINT32_MAX - 1, ret);
}

static bool find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct error *err)
{
	uint64_t number = 0;
	bool has_number = is_number(name, &number);
	const struct passwd *found = has_number ? getpwuid((uid_t)number) : getpwnam(name);
	if (!found && !has_number)
		return fail(err, ERR_USAGE, TXT_OWNER_NO_USER, error_repeatable(name));
	*ret_uid = found ? found->pw_uid : (uid_t)number;
	if (found)
		*ret_gid = found->pw_gid;
	return true;
}

static bool find_group(const char *name, gid_t *ret, struct error *err)
{
	uint64_t number = 0;
	bool has_number = is_number(name, &number);
	const struct group *found = has_number ? NULL : getgrnam(name);
	if (!found && !has_number)
		return fail(err, ERR_USAGE, TXT_OWNER_NO_GROUP, error_repeatable(name));
	*ret = found ? found->gr_gid : (gid_t)number;
	return true;
}

bool private_file_owner(const char *text, uid_t *ret_uid, gid_t *ret_gid, struct error *err)
{
	char user[64];
	size_t len = text_until(text, ':');
	*ret_uid = (uid_t)-1;
	*ret_gid = (gid_t)-1;
	if (len >= sizeof user || !text[0] || strcmp(text, ":") == 0)
		return fail(err, ERR_USAGE, TXT_OWNER_NO_USER, error_repeatable(text));
	memcpy(user, text, len);
	user[len] = '\0';
	return (!len || find_user(user, ret_uid, ret_gid, err)) &&
	       (!text[len] || !text[len + 1] || find_group(text + len + 1, ret_gid, err));
}

/* ---- is it there already? ---- */

struct comparison {
	int fd;
	bool differs;
	struct secret *room;
};

static bool read_as_much(struct comparison *c, size_t len)
{
	uint8_t *room = secret_room(c->room);
	for (size_t got = 0; got < len;) {
		ssize_t n = read(c->fd, room + got, len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

static bool compare_piece(void *sink, struct bytes piece, struct error *err)
{
	struct comparison *c = sink;
	(void)err;
	while (piece.len && !c->differs) {
		size_t len = piece.len < COMPARED_AT_ONCE ? piece.len : COMPARED_AT_ONCE;
		c->differs = !read_as_much(c, len) || memcmp(secret_reveal(c->room).at, piece.at, len) != 0;
		piece.at += len;
		piece.len -= len;
	}
	return true;
}

static bool compare(int fd, pieces_fn *pieces, void *context, bool *ret_same, struct error *err)
{
	scoped(secret_freep) struct secret *room = NULL;
	if (!secret_new(COMPARED_AT_ONCE, &room, err))
		return false;
	struct comparison c = { .fd = fd, .room = room };
	if (!pieces(context, compare_piece, &c, err))
		return false;
	*ret_same = !c.differs && !read_as_much(&c, 1);
	return true;
}

static bool is_there(const char *path, uid_t uid, gid_t gid, pieces_fn *pieces, void *context, bool *ret,
		     struct error *err)
{
	struct stat st;
	*ret = false;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? true : fail(err, ERR_STORAGE, TXT_RENDER_UNWRITABLE, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(err, ERR_USAGE, TXT_RENDER_NO_FILE, path);
	if (st.st_uid != uid || st.st_gid != gid || (st.st_mode & 07777) != MODE)
		return true;
	scoped(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	/* One that cannot be read, as it was given to somebody else, is written anew. */
	return fd < 0 || compare(fd, pieces, context, ret, err);
}

/* ---- putting it there ---- */

static bool write_piece(void *sink, struct bytes piece, struct error *err)
{
	return file_write_all(*(const int *)sink, piece, "the file", err);
}

/* Nameless until it is whole, so that whoever is killed leaves nothing behind; where that cannot be, under another
 * name. */
static int open_new(const char *folder, const char *beside)
{
	int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, MODE);
	return fd >= 0 ? fd : open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
}

static bool give_name(int fd, const char *beside)
{
	char link[40];
	struct stat st;
	if (fstat(fd, &st) != 0 || st.st_nlink)
		return true;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, link, AT_FDCWD, beside, AT_SYMLINK_FOLLOW) == 0;
}

static bool fill(int fd, const char *path, uid_t uid, gid_t gid, pieces_fn *pieces, void *context, struct error *err)
{
	if (fchown(fd, uid, gid) != 0)
		return fail(err, ERR_DENIED, TXT_RENDER_OWNER, path, (unsigned)uid, (unsigned)gid, strerror(errno));
	if (!pieces(context, write_piece, &fd, err))
		return false;
	return fchmod(fd, MODE) == 0 && fsync(fd) == 0 ? true
		: fail(err, ERR_STORAGE, TXT_RENDER_UNWRITABLE, path, strerror(errno));
}

static bool put_in_place(int fd, const char *path, const char *beside, struct error *err)
{
	if (give_name(fd, beside) && rename(beside, path) == 0)
		return file_sync_folder_of(path, err);
	return fail(err, ERR_STORAGE, TXT_RENDER_UNWRITABLE, path, strerror(errno));
}

bool private_file_put(const char *path, uid_t uid, gid_t gid, pieces_fn *pieces, void *context, bool *ret_changed,
		      struct error *err)
{
	char folder[PATH_MAX], beside[PATH_MAX];
	bool is_same;
	uid = uid == (uid_t)-1 ? geteuid() : uid;
	gid = gid == (gid_t)-1 ? getegid() : gid;
	if (!file_folder_of(path, folder, sizeof folder, err) ||
	    !is_there(path, uid, gid, pieces, context, &is_same, err))
		return false;
	*ret_changed = !is_same;
	if (is_same)
		return true;
	if (!fresh_name(path, "new", beside, sizeof beside, err))
		return false;
	scoped(file_closep) int fd = open_new(folder, beside);
	if (fd < 0)
		return fail(err, ERR_STORAGE, TXT_RENDER_UNWRITABLE, path, strerror(errno));
	if (fill(fd, path, uid, gid, pieces, context, err) && put_in_place(fd, path, beside, err))
		return true;
	unlink(beside);
	return false;
}
