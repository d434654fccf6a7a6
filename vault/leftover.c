#include "vault/leftover.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET_S 600

/* The process that a name of this beginning is of; 0: it is no such name. */
static pid_t maker_of(const char *name, const char *beginning)
{
	static const char *const endings[] = { "", "-journal", "-wal", "-shm", ".lock" };
	size_t len = strlen(beginning), digits;
	if (strncmp(name, beginning, len) != 0)
		return 0;
	digits = strspn(name + len, "0123456789");
	if (digits < 1 || digits > 9)
		return 0;
	for (size_t i = 0; i < COUNT_OF(endings); i++)
		if (strcmp(name + len + digits, endings[i]) == 0)
			return (pid_t)strtol(name + len, NULL, 10);
	return 0;
}

static bool is_abandoned(int folder, const char *name, pid_t maker)
{
	struct stat st;
	bool is_gone = maker > 0 && kill(maker, 0) != 0 && errno == ESRCH;
	return is_gone && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_uid == geteuid() && clock_wall() - st.st_mtime > QUIET_S;
}

void leftover_sweep(const char *path, const char *word)
{
	char folder[PATH_MAX], beginning[NAME_MAX + 1];
	struct error ignored;
	const char *slash = strrchr(path, '/');
	int len = snprintf(beginning, sizeof beginning, "%s.%s-", slash ? slash + 1 : path, word);
	if (len < 0 || (size_t)len >= sizeof beginning || !file_folder_of(path, folder, sizeof folder, &ignored))
		return;
	DIR *names = opendir(folder);
	if (!names)
		return;
	for (const struct dirent *e; (e = readdir(names));)
		if (is_abandoned(dirfd(names), e->d_name, maker_of(e->d_name, beginning)))
			(void)!unlinkat(dirfd(names), e->d_name, 0);
	closedir(names);
}
