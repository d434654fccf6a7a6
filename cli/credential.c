#include "cli/credential.h"

#include "cli/text.h"
#include "core/file.h"
#include "core/process.h"
#include "vault/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "/usr/bin/systemd-creds" /* PATH is never searched */

static bool run(const char *const argv[], int fd, int *ret_status, struct error *err)
{
	static char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	struct process_plan plan = { .path = PROGRAM, .argv = argv, .environment = environment, .fd = fd };
	pid_t pid;
	if (access(PROGRAM, X_OK) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_CREDS_NONE, PROGRAM);
	if (!process_spawn(&plan, &pid, err))
		return false;
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return fail(err, ERR_UNEXPECTED, TXT_CREDS_FAILED, PROGRAM);
	return true;
}

static bool has_tpm(int fd, bool *ret, struct error *err)
{
	static const char *const argv[] = { PROGRAM, "-q", "has-tpm2", NULL };
	int status;
	if (!run(argv, fd, &status, err))
		return false;
	*ret = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return true;
}

bool credential_make(const char *file, const char *name, struct secret **ret, bool *ret_has_tpm, struct error *err)
{
	scoped(secret_freep) struct secret *key = NULL;
	scoped(file_closep) int out = -1;
	char named[300];
	int ends[2], status;
	struct stat st;
	if (lstat(file, &st) == 0)
		return fail(err, ERR_CONFLICT, TXT_CREDENTIAL_EXISTS, file);
	int len = snprintf(named, sizeof named, "--name=%s", name);
	if (len < 0 || (size_t)len >= sizeof named || !secret_new(KEY_FILE_LEN, &key, err))
		return false;
	randombytes_buf(secret_room(key), KEY_FILE_LEN);
	if (pipe2(ends, O_CLOEXEC) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_CREDS_FAILED, PROGRAM);
	out = ends[0];
	/* 32 bytes always have room in a pipe. */
	bool is_written = file_write_all(ends[1], secret_reveal(key), "a pipe", err);
	close(ends[1]);
	const char *const argv[] = {
		PROGRAM, "-q", "encrypt", "--with-key=auto", named, "/proc/self/fd/3", file, NULL
	};
	if (!is_written || !has_tpm(STDERR_FILENO, ret_has_tpm, err) || !run(argv, out, &status, err))
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || lstat(file, &st) != 0 || st.st_size == 0)
		return fail(err, ERR_UNEXPECTED, TXT_CREDS_FAILED, PROGRAM);
	*ret = take(key);
	return true;
}
