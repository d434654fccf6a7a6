#include "agent/socket_path.h"

#include "agent/text.h"
#include "core/file.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool check_folder(const char *path, struct error *err)
{
	char folder[PATH_MAX];
	struct stat st;
	if (!file_folder_of(path, folder, sizeof folder, err))
		return false;
	if (stat(folder, &st) != 0)
		return fail(err, ERR_CONFIG, TXT_LISTEN_FOLDER, folder, strerror(errno));
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH))
		return fail(err, ERR_CONFIG, TXT_LISTEN_FOLDER_OPEN, folder);
	return true;
}

static bool make_address(const char *path, struct sockaddr_un *ret)
{
	size_t len = strlen(path);
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof ret->sun_path)
		return false;
	memcpy(ret->sun_path, path, len + 1);
	return true;
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Only a socket at which nobody answers is taken away. */
static bool remove_stale(const struct sockaddr_un *address, struct error *err)
{
	struct stat st;
	scoped(file_closep) int probe = -1;
	if (lstat(address->sun_path, &st) != 0)
		return errno == ENOENT ? true : fail(err, ERR_CONFIG, TXT_LISTEN_PATH, address->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return fail(err, ERR_CONFLICT, TXT_LISTEN_NO_SOCKET, address->sun_path);
	probe = new_socket();
	if (probe < 0 || connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 || errno != ECONNREFUSED)
		return fail(err, ERR_CONFLICT, TXT_LISTEN_BUSY, address->sun_path);
	if (unlink(address->sun_path) != 0)
		return fail(err, ERR_CONFIG, TXT_LISTEN_PATH, address->sun_path, strerror(errno));
	return true;
}

bool socket_path_bind(const char *path, mode_t mode, gid_t group, int *ret_fd, struct error *err)
{
	struct sockaddr_un address;
	if (!make_address(path, &address))
		return fail(err, ERR_CONFIG, TXT_LISTEN_PATH, path, strerror(ENAMETOOLONG));
	if (!check_folder(path, err) || !remove_stale(&address, err))
		return false;
	scoped(file_closep) int fd = new_socket();
	mode_t before = umask(0177); /* nobody slips in before its mode is set */
	int failed = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0;
	int reason = errno;
	umask(before);
	errno = reason;
	if (failed || (group != (gid_t)-1 && lchown(path, (uid_t)-1, group) != 0) || chmod(path, mode) != 0 ||
	    listen(fd, 1024) != 0)
		return fail(err, ERR_CONFIG, TXT_LISTEN_PATH, path, strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return true;
}

/* Of a listening socket it names who called listen, and to whoever connects the same. */
static pid_t listening_pid(int fd)
{
	struct ucred who = { .pid = 0 };
	socklen_t len = sizeof who;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 ? who.pid : 0;
}

bool socket_path_leads_to(const char *path, int fd)
{
	struct sockaddr_un address;
	scoped(file_closep) int probe = new_socket();
	if (!make_address(path, &address))
		return false;
	/* No descriptor left, or too many newcomers: not a sign of anybody else. */
	if (probe < 0 || (connect(probe, (struct sockaddr *)&address, sizeof address) != 0 && errno == EAGAIN))
		return true;
	return listening_pid(probe) == listening_pid(fd);
}
