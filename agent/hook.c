#include "agent/hook.h"

#include "agent/text.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 64
#define SAID_MAX 100 /* of what it writes on standard error: enough for its first line */
#define LOOK_MS 20   /* how soon the end of one is seen that keeps standard error open */

__attribute__((format(printf, 2, 3))) static void end_later(struct delivery_result *ret, const char *format, ...)
{
	char text[PATH_MAX + 256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	ret->outcome = DELIVERY_LATER;
	snprintf(ret->reason, sizeof ret->reason, "%.*s", DELIVERY_REASON_MAX, text);
}

/* --- may it be run? --- */

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Nobody else can put another file in this place. In a sticky folder of root's such as /tmp nobody can replace what is
 * ours, but anybody could have made it: so above the first folder only. */
static bool folders_are_ours(const char *path, char *culprit)
{
	snprintf(culprit, PATH_MAX, "%s", path);
	bool is_first = true;
	struct stat st;
	for (char *slash; (slash = strrchr(culprit, '/')); is_first = false) {
		slash[slash == culprit] = '\0';
		if (stat(culprit, &st) != 0 || !is_ours(&st))
			return false;
		if (st.st_mode & (S_IWGRP | S_IWOTH) && (is_first || !(st.st_mode & S_ISVTX)))
			return false;
		if (!culprit[1])
			break;
	}
	return true;
}

/* Where it leads, and the way there as it is written: a link could be bent, too. */
bool hook_find(const char *command, char ret[PATH_MAX], struct error *err)
{
	char program[SINK_VALUE_SIZE], culprit[PATH_MAX];
	struct stat st;
	snprintf(program, sizeof program, "%.*s", (int)strcspn(command, " \t"), command);
	if (!realpath(program, ret) || stat(ret, &st) != 0)
		return fail(err, ERR_CONFIG, TXT_HOOK_MISSING, program, strerror(errno));
	if (!S_ISREG(st.st_mode) || access(ret, X_OK) != 0)
		return fail(err, ERR_CONFIG, TXT_HOOK_NO_PROGRAM, program);
	if (!is_ours(&st) || st.st_mode & (S_IWGRP | S_IWOTH))
		return fail(err, ERR_CONFIG, TXT_HOOK_OPEN, program);
	if (!folders_are_ours(ret, culprit) || !folders_are_ours(program, culprit))
		return fail(err, ERR_CONFIG, TXT_HOOK_FOLDER_OPEN, culprit);
	return true;
}

/* --- running --- */

struct hook {
	pid_t pid;
	int said_fd; /* what it writes on standard error */
	char said[SAID_MAX + 1];
	size_t said_len;
	bool said_line; /* one line is enough */
};

static void split(char *command, char *words[WORDS_MAX + 1])
{
	size_t count = 0;
	char *rest;
	for (char *at = strtok_r(command, " \t", &rest); at && count < WORDS_MAX; at = strtok_r(NULL, " \t", &rest))
		words[count++] = at;
	words[count] = NULL;
}

static _Noreturn void become(const char *program, char *const words[], int in, int said, pid_t parent)
{
	char *const environment[] = { "PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL };
	int null = open("/dev/null", O_WRONLY);
	sigset_t none;
	sigemptyset(&none);
	if (setpgid(0, 0) != 0 || null < 0 || dup2(in, 0) < 0 || dup2(null, 1) < 0 || dup2(said, 2) < 0 ||
	    close_range(3, ~0u, 0) != 0 || chdir("/") != 0)
		_exit(126);
	/* Its group is killed when its time is over; should we be killed before, at least it is not left behind. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(126);
	process_restore();
	for (const int *s = (const int[]){ SIGHUP, SIGINT, SIGTERM, SIGALRM, SIGCHLD, 0 }; *s; s++)
		(void)signal(*s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(program, words, environment);
	_exit(127);
}

static bool give_event(struct bytes event, int *ret_fd)
{
	scoped(file_closep) int fd = memfd_create("event", MFD_CLOEXEC);
	struct error ignored;
	if (fd < 0 || !file_write_all(fd, event, "event", &ignored) || lseek(fd, 0, SEEK_SET) != 0)
		return false;
	*ret_fd = fd;
	fd = -1;
	return true;
}

static bool start(const char *program, char *const words[], struct bytes event, struct hook *ret)
{
	scoped(file_closep) int in = -1;
	int said[2];
	pid_t parent = getpid();
	if (!give_event(event, &in) || pipe2(said, O_CLOEXEC) != 0)
		return false;
	ret->pid = fork();
	if (ret->pid == 0)
		become(program, words, in, said[1], parent);
	close(said[1]);
	ret->said_fd = said[0];
	(void)fcntl(said[0], F_SETFL, O_NONBLOCK);
	return ret->pid > 0;
}

/* Its first line is kept, the rest is read and thrown away, so that it is not stopped by a full pipe. */
static void hear(struct hook *h, int64_t wait_ms)
{
	struct pollfd event = { .fd = h->said_fd, .events = POLLIN };
	char some[512];
	if (poll(&event, 1, (int)wait_ms) <= 0)
		return;
	ssize_t got = read(h->said_fd, some, sizeof some);
	if (got == 0) {
		close(h->said_fd);
		h->said_fd = -1; /* poll passes over it */
	}
	for (ssize_t i = 0; i < got && !h->said_line; i++) {
		h->said_line = some[i] == '\n' || h->said_len == SAID_MAX;
		if (!h->said_line)
			h->said[h->said_len++] = some[i] >= ' ' && some[i] <= '~' ? some[i] : '?';
	}
}

/* True with *ret_status when it ended in time; else it and its group are killed. */
static bool wait_for(struct hook *h, int64_t until_ms, int *ret_status)
{
	for (;;) {
		pid_t ended = waitpid(h->pid, ret_status, WNOHANG);
		if (ended == h->pid) {
			hear(h, 0);
			return true;
		}
		if (clock_boot_ms() >= until_ms)
			break;
		hear(h, LOOK_MS);
	}
	kill(-h->pid, SIGKILL);
	kill(h->pid, SIGKILL); /* should it have been killed before it had a group */
	while (waitpid(h->pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return false;
}

static void judge(const struct hook *h, int status, struct delivery_result *ret)
{
	char what[80];
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		*ret = (struct delivery_result){ .outcome = DELIVERY_DONE };
		return;
	}
	if (WIFSIGNALED(status))
		snprintf(what, sizeof what, "the command was killed by signal %d", WTERMSIG(status));
	else
		snprintf(what, sizeof what, "the command ended with status %d", WEXITSTATUS(status));
	end_later(ret, "%s%s%s", what, h->said[0] ? ": " : "", h->said);
}

void hook_run(const char *command, int64_t time_limit_s, struct bytes event, struct delivery_result *ret)
{
	char copy[SINK_VALUE_SIZE], real[PATH_MAX], *words[WORDS_MAX + 1];
	struct hook h = { .said_fd = -1 };
	int status;
	struct error err;
	*ret = (struct delivery_result){ .outcome = DELIVERY_LATER };
	snprintf(copy, sizeof copy, "%s", command);
	split(copy, words);
	if (!hook_find(command, real, &err))
		end_later(ret, "%s", err.message);
	else if (!start(real, words, event, &h))
		end_later(ret, "the command could not be started: %s", strerror(errno));
	else if (wait_for(&h, clock_boot_ms() + time_limit_s * 1000, &status))
		judge(&h, status, ret);
	else
		end_later(ret, "the command took longer than its time-limit and was killed");
	if (h.said_fd >= 0)
		close(h.said_fd);
}
