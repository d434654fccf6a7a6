#include "core/process.h"

#include "core/clock.h"
#include "core/file.h"
#include "core/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Written once, in process_harden. */
static struct {
	mode_t mask;
	struct sigaction on_pipe, on_file_size;
	struct rlimit core;
	bool was_closed[3];
} at_start;

/* A descriptor 0-2 left closed by the caller would be taken by the next file we open, and a stray message written into
 * the vault. */
static bool open_standard_fds(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		at_start.was_closed[fd] = fcntl(fd, F_GETFD) < 0;
		if (at_start.was_closed[fd] && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd)
			return false;
	}
	return true;
}

/* glibc's loader protects what a program needs to write only while it is relocated. A static program on musl relocates
 * itself, and leaves it open. */
#ifndef __GLIBC__
static int protect_one(struct dl_phdr_info *info, size_t size, void *context)
{
	uintptr_t page = (uintptr_t)getpagesize();
	(void)size, (void)context;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + part->p_vaddr, to = (from + part->p_memsz) & ~(page - 1);
		from &= ~(page - 1);
		if (part->p_type == PT_GNU_RELRO && mprotect((void *)from, to - from, PROT_READ) != 0)
			return -1;
	}
	return 0;
}
static bool protect_relocated(void)
{
	return dl_iterate_phdr(protect_one, NULL) == 0;
}
#else
static bool protect_relocated(void)
{
	return true;
}
#endif

static bool ignore_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	return sigaction(SIGPIPE, &ignore, NULL) == 0 && sigaction(SIGXFSZ, &ignore, NULL) == 0;
}

bool process_harden(struct error *err)
{
	struct rlimit none;
	at_start.mask = umask(077);
	bool ok = protect_relocated() && open_standard_fds() && prctl(PR_SET_DUMPABLE, 0) == 0 && getrlimit(RLIMIT_CORE, &at_start.core) == 0;
	none = at_start.core;
	none.rlim_cur = 0;
	if (!ok || setrlimit(RLIMIT_CORE, &none) != 0 || sigaction(SIGPIPE, NULL, &at_start.on_pipe) != 0 ||
	    sigaction(SIGXFSZ, NULL, &at_start.on_file_size) != 0 || !ignore_signals())
		return fail(err, ERR_UNEXPECTED, TXT_HARDEN_FAILED, strerror(errno));
	return true;
}

/* The kernel's struct sched_attr, whose header cannot stand beside libc's. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};
#define QUICK_NS 100000u
#define RESET_ON_FORK 1u

void process_is_quick(void)
{
	struct attributes a = { .size = sizeof a,
				.flags = RESET_ON_FORK,
				.nice = getpriority(PRIO_PROCESS, 0),
				.runtime = QUICK_NS };
	(void)syscall(SYS_sched_setattr, 0, &a, 0);
}

void process_restore(void)
{
	umask(at_start.mask);
	(void)setrlimit(RLIMIT_CORE, &at_start.core);
	(void)sigaction(SIGPIPE, &at_start.on_pipe, NULL);
	(void)sigaction(SIGXFSZ, &at_start.on_file_size, NULL);
}

#define INSTALLED "pixel"             /* what an installed program's name begins with beyond that of a build */
#define PIECES "/../lib/pixelvault/" /* where what is no command of an installed program lies, from the folder of those */

/* A piece was started by its program, by a path that leads through the folder of that one: the file's own path need not
 * lead back, as folders may be links. */
static bool cut_piece(char path[PATH_MAX])
{
	const char *given = getauxval(AT_SECURE) ? NULL : (const char *)getauxval(AT_EXECFN);
	const char *at = given && *given == '/' ? strstr(given, PIECES) : NULL;
	if (!at || strchr(at + strlen(PIECES), '/') || (size_t)(at - given) >= PATH_MAX)
		return false;
	memcpy(path, given, (size_t)(at - given));
	path[at - given] = '\0';
	return true;
}

/* The folder that this program lies in, and (in *ret_prefix) what installed names begin with. A piece that was started by
 * itself takes the one beside its own. */
static bool find_self(char folder[PATH_MAX], const char **ret_prefix)
{
	static const char pieces[] = "/lib/pixelvault", programs[] = "/../../bin";
	ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - sizeof programs);
	if (len <= 0 || (size_t)len == PATH_MAX - sizeof programs)
		return false;
	folder[len] = '\0';
	char *slash = strrchr(folder, '/');
	if (!slash)
		return false;
	bool is_installed = strncmp(slash + 1, INSTALLED "vault", strlen(INSTALLED "vault")) == 0;
	*slash = '\0';
	*ret_prefix = is_installed ? INSTALLED : "";
	size_t before = (size_t)(slash - folder);
	if (is_installed && before >= strlen(pieces) && strcmp(slash - strlen(pieces), pieces) == 0)
		memcpy(slash, programs, sizeof programs);
	return true;
}

/* The folder that our programs lie in. */
static bool find_programs(char folder[PATH_MAX], const char **ret_prefix)
{
	*ret_prefix = INSTALLED;
	return cut_piece(folder) || find_self(folder, ret_prefix);
}

bool process_sibling(const char *name, char *ret, size_t size, struct error *err)
{
	char folder[PATH_MAX];
	const char *prefix;
	if (!find_programs(folder, &prefix))
		return fail(err, ERR_UNEXPECTED, TXT_SIBLING_MISSING, name);
	int put = snprintf(ret, size, "%s/%s%s", folder, prefix, name);
	if (put < 0 || (size_t)put >= size || access(ret, X_OK) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_SIBLING_MISSING, name);
	return true;
}

bool process_become_piece(const char *name, char **argv, struct error *err)
{
	char folder[PATH_MAX], path[PATH_MAX];
	const char *prefix;
	if (!find_self(folder, &prefix))
		return fail(err, ERR_UNEXPECTED, TXT_PIECE_MISSING, name);
	int put = snprintf(path, sizeof path, "%s%s%s%s", folder, *prefix ? PIECES : "/", prefix, name);
	if (put < 0 || (size_t)put >= sizeof path)
		return fail(err, ERR_UNEXPECTED, TXT_PIECE_MISSING, name);
	/* Those that we opened are closed again, for who asks whether its output goes anywhere. */
	for (int fd = 0; fd <= 2; fd++)
		if (at_start.was_closed[fd])
			(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	process_restore();
	execv(path, argv);
	int why = errno;
	(void)ignore_signals(); /* somebody is to be told of it */
	return fail(err, ERR_UNEXPECTED, TXT_PIECE_FAILED, path, strerror(why));
}

static _Noreturn void become(const struct process_plan *plan, pid_t parent)
{
	char *const no_environment[] = { NULL };
	int null = open("/dev/null", O_RDWR);
	sigset_t none;
	sigemptyset(&none);
	/* Before the mask goes: a signal that waits would still find the default. */
	for (const int *s = (const int[]){ SIGHUP, SIGINT, SIGTERM, 0 }; plan->is_deaf && *s; s++)
		(void)signal(*s, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(127);
	if (plan->fd == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(plan->fd, 3) < 0)
		_exit(127);
	/* Whatever else our caller left open, a key file perhaps, is no business of a helper's. */
	if (close_range(4, ~0u, 0) != 0)
		_exit(127);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(127);
	execve(plan->path, (char *const *)(uintptr_t)plan->argv,
	       plan->environment ? plan->environment : no_environment);
	_exit(127);
}

bool process_spawn(const struct process_plan *plan, pid_t *ret_pid, struct error *err)
{
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		become(plan, parent);
	if (pid < 0)
		return fail(err, ERR_UNEXPECTED, TXT_START_FAILED, plan->path, strerror(errno));
	*ret_pid = pid;
	return true;
}

bool process_start(const char *path, const char *const argv[], pid_t *ret_pid, int *ret_fd, struct error *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return fail(err, ERR_UNEXPECTED, TXT_START_FAILED, path, strerror(errno));
	struct process_plan plan = { .path = path, .argv = argv, .fd = pair[1] };
	bool is_started = process_spawn(&plan, ret_pid, err);
	close(pair[1]);
	if (is_started)
		*ret_fd = pair[0];
	else
		close(pair[0]);
	return is_started;
}

void process_end(pid_t pid, int wait_ms)
{
	for (int waited = 0; waited <= wait_ms; waited += 5) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		clock_sleep_ms(5);
	}
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
