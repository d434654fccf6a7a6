#include "core/fresh.h"

#include "core/file.h"
#include "core/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANDOM_DIGITS 8

/* The process in a name that begins with `start`; 0 where it is another kind of name. */
static pid_t maker_of(const char *name, const char *start)
{
	size_t len = strlen(start);
	char *end;
	if (strncmp(name, start, len) != 0 || !isdigit((unsigned char)name[len]))
		return 0;
	errno = 0;
	long pid = strtol(name + len, &end, 10);
	if (errno || pid <= 0 || pid > INT_MAX || *end++ != '-')
		return 0;
	for (size_t i = 0; i < RANDOM_DIGITS; i++)
		if (!isxdigit((unsigned char)*end++))
			return 0;
	return file_is_companion(end) ? (pid_t)pid : 0;
}

/* A process that cannot be seen from here, in another container, loses its file: it fails, and nothing of what counts
 * is lost. */
static void sweep(const char *folder, const char *start)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	struct stat st;
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		pid_t pid = maker_of(entry->d_name, start);
		if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH &&
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    st.st_uid == geteuid())
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
}

/* start = how such names begin in the folder. */
static bool split(const char *path, const char *what, char folder[PATH_MAX], char start[NAME_MAX + 1], struct error *err)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	int len = snprintf(start, NAME_MAX + 1, "%s.%s-", base, what);
	if (len < 0 || len > NAME_MAX)
		return fail(err, ERR_USAGE, TXT_PATH_TOO_LONG, path);
	return file_folder_of(path, folder, PATH_MAX, err);
}

void fresh_sweep(const char *path, const char *what)
{
	char folder[PATH_MAX], start[NAME_MAX + 1];
	struct error ignored;
	if (split(path, what, folder, start, &ignored))
		sweep(folder, start);
}

bool fresh_name(const char *path, const char *what, char *ret, size_t size, struct error *err)
{
	char folder[PATH_MAX], start[NAME_MAX + 1];
	if (!split(path, what, folder, start, err))
		return false;
	int len = snprintf(ret, size, "%s.%s-%ld-%08x", path, what, (long)getpid(), randombytes_random());
	if (len < 0 || (size_t)len >= size)
		return fail(err, ERR_USAGE, TXT_PATH_TOO_LONG, path);
	sweep(folder, start);
	return true;
}
