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

/* Seal the key, as systemd-creds is told to. It takes what it is given through a pipe; 32 bytes always have room in
 * one. */
static bool seal_with(const char *with, const struct secret *key, const char *named, const char *file,
		      bool *ret_is_sealed, struct error *err)
{
	scoped(file_closep) int out = -1;
	int ends[2], status;
	struct stat st;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_CREDS_FAILED, PROGRAM);
	out = ends[0];
	bool is_written = file_write_all(ends[1], secret_reveal(key), "a pipe", err);
	close(ends[1]);
	const char *const argv[] = { PROGRAM, "-q", "encrypt", with, named, "/proc/self/fd/3", file, NULL };
	if (!is_written || !run(argv, out, &status, err))
		return false;
	*ret_is_sealed = WIFEXITED(status) && WEXITSTATUS(status) == 0 && lstat(file, &st) == 0 && st.st_size > 0;
	return true;
}

/* Not --with-key=auto: where the TPM does not work, that seals without one and does not tell us. */
bool credential_make(const char *file, const char *name, struct secret **ret, bool *ret_has_tpm, struct error *err)
{
	scoped(secret_freep) struct secret *key = NULL;
	char named[300];
	struct stat st;
	bool is_sealed;
	if (lstat(file, &st) == 0)
		return fail(err, ERR_CONFLICT, TXT_CREDENTIAL_EXISTS, file);
	int len = snprintf(named, sizeof named, "--name=%s", name);
	if (len < 0 || (size_t)len >= sizeof named || !secret_new(KEY_FILE_LEN, &key, err))
		return false;
	randombytes_buf(secret_room(key), KEY_FILE_LEN);
	if (!seal_with("--with-key=host+tpm2", key, named, file, ret_has_tpm, err))
		return false;
	is_sealed = *ret_has_tpm;
	if (!is_sealed && !seal_with("--with-key=host", key, named, file, &is_sealed, err))
		return false;
	if (!is_sealed)
		return fail(err, ERR_UNEXPECTED, TXT_CREDS_FAILED, PROGRAM);
	*ret = take(key);
	return true;
}
